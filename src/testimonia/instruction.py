"""The guidelines as HTML for Label Studio, whose page takes off margins, markers, lines, directions and styles."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from markdown_it.token import Token

_GAPS = ("paragraph_close", "bullet_list_close", "ordered_list_close", "table_close", "blockquote_close")
_TABLE = re.compile(r"<table>.*?</table>", re.DOTALL)
_HEAD, _ROW, _CELL = (re.compile(rf"<{tag}>(.*?)</{tag}>", re.DOTALL) for tag in ("th", "tr", "td"))
_ARABIC = "\u0600-\u06ff"
# A paragraph that starts in Arabic, whole; else Arabic words with what stands between them, and their brackets.
_RIGHT_TO_LEFT = re.compile(
    rf"^[\[«(]*[{_ARABIC}](?s:.*)"
    rf"|(?:[\[«]|</?em>)*[{_ARABIC}]+(?:(?:[^\w;<>]|[\d¹²³]|</?em>)*[{_ARABIC}]+)*(?:</em>|[\]»])*"
)


def render_instruction(guidelines: str) -> str:
    """The HTML of guidelines in Markdown (CommonMark with tables); HTML in them is shown as text.

    Gaps and markers are written, the row of a table is a line that names its columns, Arabic stands in isolates.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens: list[Token] = []
    marker = ""
    for token in parser.parse(guidelines):
        if token.type == "list_item_open":
            marker = f"{token.info}. " if token.info else "• "
        elif token.type == "inline":
            html = parser.renderer.render([token], parser.options, {})
            isolated = _RIGHT_TO_LEFT.sub("\u2067\\g<0>\u2069", html)
            token.children = [Token("html_inline", "", 0, content=marker + isolated)]
            marker = ""
        tokens.append(token)
        if token.type in _GAPS and token.level == 0:
            tokens.append(Token("html_block", "", 0, content="<br>\n"))
    return _TABLE.sub(_lines, parser.renderer.render(tokens, parser.options, {}))


def _lines(table: re.Match[str]) -> str:
    heads = _HEAD.findall(table[0])
    rows = [_CELL.findall(row) for row in _ROW.findall(table[0])]
    lines = (
        " · ".join(
            [f"<strong>{row[0]}</strong>", *(f"{head}: {cell}" for head, cell in zip(heads[1:], row[1:], strict=True))]
        )
        for row in rows
        if row
    )
    return "".join(f"<p>{line}</p>\n" for line in lines)
