"""Files as strangers might send them: mutations of bytes, JSON, TOML and Parquet, some of which change no meaning."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import tomllib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

Draw = random.Random
Mutation = tuple[str, bytes]  # its name, and the new content

HOSTILE = (
    "",
    " ",
    "../../x",
    "/etc/passwd",
    "a/b",
    "CON",
    "nul\0nul",
    "x" * 5000,
    "<script>window.__hit=1</script>",
    "\u202eno\u202c",
    "a\u2028b\rc\nd",
    "=cmd|' /C calc'!A0",
    "|`]]>`|",
    "\x1b[31m",
    "\ufeff",
    "😀" * 3,
    "١٢٣",
    "NaN",
    "__proto__",
    "a@b.example",
)
NUMBERS = (
    0,
    -1,
    1,
    2,
    10**6,
    2**31,
    2**40,
    2**53 + 1,
    -(2**63),
    2**63,
    2**64,
    10**30,
    10**400,
    0.5,
    -0.0,
    1e300,
    1e308,
)
VALUES = ("values",) * 3
JUNK = (
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"{",
    b"]",
    b'"',
    b"\\",
    b"\xe2\x80\xae",
    b"-",
    b"9" * 30,
)


class Raw(str):
    """JSON that is written as it stands."""

    __slots__ = ()


class Twice(dict[str, Any]):
    """An object whose last key stands twice, first with null."""


def written(value: Any, draw: Draw | None = None) -> str:
    """A value as JSON; with `draw` in any order of keys and with white space that means nothing."""

    def space() -> str:
        return draw.choice(("", "", " ", "\t")) if draw else ""

    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        items = list(value.items())
        if draw:
            draw.shuffle(items)
        pairs = [f"{space()}{json.dumps(str(k))}{space()}:{space()}{written(v, draw)}{space()}" for k, v in items]
        pairs += [f"{json.dumps(items[-1][0])}: null"] if isinstance(value, Twice) and items else []
        return "{" + ",".join(reversed(pairs) if isinstance(value, Twice) else pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(f"{space()}{written(one, draw)}{space()}" for one in value) + "]"
    return json.dumps(value, ensure_ascii=bool(draw is None or draw.random() < 0.5 or _lone(value)))


def _lone(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value)


def nested(depth: int, kind: str = "[]") -> str:
    """JSON of so many levels."""
    return "[" * depth + "]" * depth if kind == "[]" else '{"a":' * depth + "1" + "}" * depth


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value that lies in another."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, one in items for place in ((*path, key), *_places(one, (*path, key)))]


def strange(draw: Draw, old: Any, raw: bool = True) -> Any:
    """A value in place of another; `raw` lets through what only JSON can say."""
    kinds: list[Callable[[], Any]] = [
        lambda: None,
        lambda: draw.choice(NUMBERS),
        lambda: draw.choice(HOSTILE),
        list,
        dict,
        lambda: [old],
        lambda: {"a": old},
        lambda: [None, old],
        lambda: draw.random() < 0.5,
        lambda: str(old),
        lambda: old + draw.choice((-1, 1, 1000)) if isinstance(old, int) else old * 2 if isinstance(old, str) else 7,
        lambda: float(old) if isinstance(old, int) and abs(old) < 2**60 else float("nan"),
    ]
    if raw:
        said = (
            "NaN",
            "-Infinity",
            "1e999",
            "9" * 5000,
            '"\\ud800"',
            '"\\udc00x"',
            nested(60),
            nested(400),
            nested(930),
        )
        kinds += [lambda: Raw(draw.choice((*said, nested(970, "{}"), nested(100_000))))] * 2
    return draw.choice(kinds)()


def spoilt(draw: Draw, value: Any, raw: bool = True) -> tuple[str, Any]:
    """A value with one to three things changed in its structure, and what was done."""
    value, done = copy.deepcopy(value), []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        places = _places(value)
        if not places or draw.random() < 0.01:
            return "json-root", strange(draw, value, raw)
        path = draw.choice(places)
        if draw.random() < 0.7:  # nearer to the root: of the many equal leaves fewer
            path = path[: draw.randint(1, len(path))]
        holder = value
        for key in path[:-1]:
            holder = holder[key]
        old, key = holder[path[-1]], path[-1]
        what = draw.choice(("swap", "swap", "swap", "drop", "twice", "rename", "elsewhere"))
        if what == "drop":
            del holder[key]
        elif what == "twice" and isinstance(holder, list):
            holder.insert(key, old)
        elif what == "twice" and raw and isinstance(old, dict):
            holder[key] = Twice(old)
        elif what == "rename" and isinstance(holder, dict):
            holder[draw.choice(HOSTILE)] = holder.pop(key)
        elif what == "elsewhere":
            holder[key] = copy.deepcopy(_at(value, draw.choice(places)))
        else:
            holder[key] = strange(draw, old, raw)
        done.append(what)
    return f"json-{done[0]}", value


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return value
    return value


def of_bytes(draw: Draw, data: bytes) -> Mutation:
    """Bytes flipped, deleted, inserted, cut off, repeated."""
    found = bytearray(data)
    what = draw.choice(
        ("flip", "delete", "insert", "cut", "repeat", "empty") if draw.random() < 0.3 else ("flip", "insert")
    )
    for _ in range(draw.choice((1, 1, 2, 8)) if found else 0):
        at = draw.randrange(len(found) or 1)
        size = draw.choice((1, 2, 16, 300))
        if what == "flip" and found:
            found[at] ^= 1 << draw.randrange(8)
        elif what == "delete":
            del found[at : at + size]
        elif what == "insert":
            found[at:at] = draw.choice(JUNK)
        elif what == "repeat":
            found[at:at] = found[at : at + size] * draw.choice((1, 2, 50))
    if what == "cut":
        del found[draw.randrange(len(found) + 1) :]
    return f"bytes-{what}", b"" if what == "empty" else bytes(found)


def of_json(draw: Draw, data: bytes) -> Mutation:
    what, value = spoilt(draw, json.loads(data))
    return what, written(value).encode()


def of_lines(draw: Draw, data: bytes) -> Mutation:
    """JSON, a value a line."""
    lines = data.splitlines()
    row = draw.randrange(len(lines))
    what = draw.choice(("spoil", "spoil", "spoil", "spoil", "twice", "drop", "swap"))
    if what == "spoil":
        what, value = spoilt(draw, json.loads(lines[row]))
        lines[row] = written(value).encode()
        return what, b"\n".join(lines) + b"\n"
    lines[row : row + 1] = {"twice": [lines[row]] * 2, "drop": [], "swap": [written(strange(draw, 1)).encode()]}[what]
    return f"lines-{what}", b"\n".join(lines) + b"\n"


def of_toml(draw: Draw, data: bytes) -> Mutation:
    what, value = spoilt(draw, tomllib.loads(data.decode()), raw=False)
    if draw.random() < 0.05:
        return "toml-deep", data + b"\ndeep = " + nested(draw.choice((300, 5000))).encode()
    if draw.random() < 0.05:
        return "toml-number", data.replace(b"= 0", b"= " + b"9" * draw.choice((30, 5000)), 1) + b"\n"
    root = value if isinstance(value, dict) else {"root": value}
    return what.replace("json", "toml"), toml_text(root).encode("utf-8", "replace")


def toml_text(root: dict[str, Any], draw: Draw | None = None) -> str:
    """A table as TOML, arrays of tables in line; what TOML does not know is left out."""
    items = list(root.items())
    if draw:
        draw.shuffle(items)
    return "".join(f"{json.dumps(str(key))} = {_inline(value)}\n" for key, value in items if value is not None)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{ " + ", ".join(f"{json.dumps(str(k))} = {_inline(v)}" for k, v in value.items() if v is not None) + " }"
        )
    if isinstance(value, list):
        return "[" + ", ".join(_inline(one) for one in value if one is not None) + "]"
    if isinstance(value, float):
        return str(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")


def of_parquet(draw: Draw, data: bytes) -> Mutation:
    """Columns, values, metadata, statistics and bytes of a Parquet file."""
    table = pq.read_table(io.BytesIO(data))
    what = draw.choice(
        ("drop", "rename", "retype", "null", "metadata", "rows", "untyped", "statistics", "footer", "bytes", *VALUES)
    )
    column = draw.randrange(table.num_columns)
    name = table.column_names[column]
    if what == "footer":
        size = int.from_bytes(data[-8:-4], "little")
        at = len(data) - 8 - draw.randrange(min(size, len(data) - 8)) if draw.random() < 0.9 else len(data) - 6
        return "parquet-footer", data[:at] + bytes([data[at] ^ (1 << draw.randrange(8))]) + data[at + 1 :]
    if what == "bytes":
        return of_bytes(draw, data)
    if what == "statistics":
        return "parquet-statistics", lying(draw, data)
    try:
        if what == "drop":
            table = table.drop_columns([name])
        elif what == "rename":
            new = draw.choice((*HOSTILE, *table.column_names))
            table = table.rename_columns([new if one == name else one for one in table.column_names])
        elif what == "retype":
            kind = draw.choice((pa.string(), pa.float64(), pa.int32(), pa.large_string(), pa.binary(), pa.null()))
            values = pa.nulls(len(table), kind) if draw.random() < 0.3 else table.column(column).cast(kind)
            table = table.set_column(column, name, values)
        elif what == "null":
            kept = [None if draw.random() < 0.5 else one for one in table.column(column).to_pylist()]
            table = table.set_column(column, table.schema.field(column), pa.array(kept, table.schema.types[column]))
        elif what == "metadata":
            table = table.replace_schema_metadata(_metadata(draw, table.schema.metadata or {}))
        elif what == "rows":
            rows = [draw.randrange(len(table)) for _ in range(draw.choice((0, 1, len(table), 3 * len(table))))]
            table = table.take(pa.array(rows, pa.int64()))
        else:
            _, rows = spoilt(draw, table.to_pylist(), raw=False)
            schema = table.schema if what == "values" else None
            table = pa.Table.from_pylist(rows, schema=schema).replace_schema_metadata(table.schema.metadata)
        return f"parquet-{what}", packed(table)
    except (pa.ArrowException, TypeError, ValueError, AttributeError, OverflowError):
        return of_bytes(draw, data)  # what Arrow does not write


def _metadata(draw: Draw, old: dict[bytes, bytes]) -> dict[bytes, bytes] | None:
    if draw.random() < 0.1:
        return None
    key = draw.choice(list(old)) if old else b"huggingface"
    try:
        return old | {key: written(spoilt(draw, json.loads(old[key]))[1]).encode()}
    except (KeyError, ValueError):
        return old | {key: of_bytes(draw, old.get(key, b"{}"))[1]}


def packed(table: pa.Table, **options: Any) -> bytes:
    """A table as Parquet."""
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def lying(draw: Draw, data: bytes) -> bytes:
    """A Parquet file whose footer says other least and greatest values of a column than it has."""
    size = int.from_bytes(data[-8:-4], "little")
    body, footer = data[: -8 - size], data[-8 - size :]
    group = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0)
    for number in draw.sample(range(group.num_columns), group.num_columns):
        said = group.column(number).statistics
        if said is None or not said.has_min_max:
            continue
        for value in (said.min, said.max):
            old = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""
            if isinstance(value, int):
                old = value.to_bytes(8, "little", signed=True)
            if old and old in footer:
                return body + footer.replace(old, bytes(draw.randrange(256) for _ in old))
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


def of_gzip(draw: Draw, data: bytes) -> Mutation:
    if draw.random() < 0.3:
        return of_bytes(draw, data)
    what, inner = of_lines(draw, gzip.decompress(data))
    return what, gzip.compress(inner, 1)


def of_yaml(draw: Draw, data: bytes) -> Mutation:
    """YAML, or the YAML at the head of a card."""
    head, card, rest = data.decode().removeprefix("---\n").partition("---\n")
    what, value = spoilt(draw, yaml.safe_load(head), raw=False)
    text = yaml.safe_dump(value, allow_unicode=True)
    if draw.random() < 0.05:
        text = "a: &a [x, x]\nb: &b [*a, *a]\n" + text
    return what.replace("json", "yaml"), (f"---\n{text}---\n{rest}" if card else text).encode()


def of_zlib(draw: Draw, data: bytes) -> Mutation:
    """A DocBin: bytes of what is packed in it."""
    what, inner = of_bytes(draw, zlib.decompress(data))
    return what.replace("bytes", "docbin"), zlib.compress(inner)


STRUCTURED: dict[str, Callable[[Draw, bytes], Mutation]] = {
    ".json": of_json,
    ".jsonl": of_lines,
    ".toml": of_toml,
    ".parquet": of_parquet,
    ".gz": of_gzip,
    ".spacy": of_zlib,
    ".cff": of_yaml,
    ".md": of_yaml,
}


def mutated(draw: Draw, path: Path, data: bytes) -> Mutation:
    """A file with its meaning changed, most often in its structure, else in its bytes."""
    structured = STRUCTURED.get(path.suffix)
    return structured(draw, data) if structured and draw.random() < 0.75 else of_bytes(draw, data)


def alike(draw: Draw, path: Path, data: bytes) -> Mutation | None:
    """A file that means the same, or None where nothing such is known of its form."""
    if path.suffix == ".json":
        text = written(json.loads(data), draw)
        return "same-json", draw.choice(("", "\ufeff", "\n \t")).encode() + text.encode() + draw.choice((b"", b"\n\n"))
    if path.suffix == ".jsonl":
        ends = draw.choice((b"\n", b"\r\n", b"\n\n"))
        return "same-lines", ends.join(written(json.loads(line), draw).encode() for line in data.splitlines())
    if path.suffix == ".gz":
        return "same-gzip", gzip.compress(gzip.decompress(data), draw.randrange(10))
    if path.suffix == ".toml":
        return "same-toml", toml_text(tomllib.loads(data.decode()), draw).encode() + b"# a comment \xe2\x80\xae\n\n"
    if path.suffix == ".parquet":
        options = {"compression": draw.choice(("none", "snappy", "gzip")), "row_group_size": draw.choice((1, 2, 1000))}
        table = pq.read_table(io.BytesIO(data))
        return "same-parquet", packed(table, use_dictionary=draw.random() < 0.5, write_statistics=False, **options)
    return None
