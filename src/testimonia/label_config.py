"""The label config of Label Studio: made from the scheme, and anybody's read.

Each line of the text takes its own direction, so one config serves scripts of both directions. The CSS class
names are internals of Label Studio 1.23; the browser tests hold them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

from testimonia.errors import InputError
from testimonia.folding import fold
from testimonia.scheme import Attribute, AttributeType, Entity, Label, RelationType, Scheme, column

LABEL_CONTROL = "label"
TEXT_OBJECT = "text"
# The controls of a candidate in an adjudication, and their values.
STATUS, DECISION, WHO = "adjudication_status", "adjudication_decision", "adjudication_who"
DISPUTED, OPEN, KEEP = "disputed", "open", "keep"
PROPOSED = "_proposed"  # suffix of the box in which an id is proposed that the registry lacks

_STYLE = """
    .news .lsf-richtext__container { font-size: 18px; line-height: 2; white-space: pre-wrap;
      unicode-bidi: plaintext; text-align: start;
      font-family: "Noto Sans", "Noto Naskh Arabic", "Noto Sans Arabic", "Noto Sans Hebrew", sans-serif; }
    .news .lsf-richtext__line { display: inline-block; width: 100%; unicode-bidi: plaintext; text-align: start;
      white-space: pre-wrap; }
    .meta { border-bottom: 1px solid var(--color-neutral-border, #ddd); margin-bottom: 8px; padding-bottom: 4px; }
    .meta h3, .meta h4, .meta h5 { unicode-bidi: plaintext; text-align: start; margin: 2px 0 !important; }
    .meta h4 { font-size: 13px; font-weight: 400; color: var(--color-neutral-content-subtle, #667); }
    .labels, .attributes { position: sticky; z-index: 200; background: var(--color-neutral-background, #fff); }
    .labels { top: 0; border-bottom: 1px solid var(--color-neutral-border, #ddd); }
    .labels .lsf-labels { margin: 6px 0 0; }
    .attributes { bottom: -8px; }
    .row, .field { display: flex; gap: 2px 18px; align-items: center; max-width: 100%; }
    .row { flex-wrap: wrap; padding: 6px 0 14px; border-top: 1px solid var(--color-neutral-border, #ddd); }
    .field { gap: 8px; }
    .field h4, .field h5, .field h6 { margin: 0 !important; font-size: 13px; line-height: 1.3; white-space: nowrap; }
    .field .lsf-choices, .field .lsf-taxonomy, .field .lsf-text-area, .field .ant-form-item { margin: 0; }
    .field .lsf-number input, .field .lsf-text-area input { height: 30px; padding: 2px 8px; font-size: 14px; }
    .field .lsf-number input { width: 100px; }
    .field .lsf-text-area { width: 240px; }
    .field .htx-taxonomy { width: 280px; max-width: 100%; }
    .htx-taxonomy .ant-select-selection-item { max-width: 240px; }
    .htx-taxonomy .ant-select-selection-item-content { display: inline-block; overflow: hidden;
      text-overflow: ellipsis; white-space: nowrap !important; }
    .htx-taxonomy-dropdown .ant-select-tree-title { display: inline-block; max-width: 560px; overflow: hidden;
      text-overflow: ellipsis; white-space: nowrap; vertical-align: bottom; }
  """

_ADJUDICATION_STYLE = """
    .differences { max-height: 34vh; overflow: auto; }
    .differences div { unicode-bidi: plaintext; text-align: start; }
    .differences table { border-collapse: collapse; width: 100%; font-size: 13px; }
    .differences th, .differences td { border: 1px solid var(--color-neutral-border, #ccc); padding: 2px 6px;
      text-align: start; unicode-bidi: plaintext; vertical-align: top; }
    .differences mark { background: #f4d35e; color: #000; }
    .differences summary { cursor: pointer; font-weight: 600; }
    .off { display: none; }
    .lsf-outliner-item__ocr:not(:has([data-testid="textarea-region-item"])) { display: none; }
  """


def render_label_config(scheme: Scheme, adjudication: bool = False) -> str:
    """The XML of the label config: one Labels control, the relations, the text, a row of attributes per label.

    For an adjudication also `$differences` as a table, and the decision on each candidate.
    """
    view = ET.Element("View")
    ET.SubElement(view, "Style").text = _STYLE + (_ADJUDICATION_STYLE if adjudication else "")
    meta = ET.SubElement(view, "View", className="meta")
    ET.SubElement(meta, "Header", name="h_title", value="$title", size="4")
    ET.SubElement(meta, "Header", name="h_meta", value="$meta_line", size="6")
    if adjudication:
        table = ET.SubElement(view, "View", className="differences")
        ET.SubElement(
            table, "HyperText", name="h_differences", value="$differences", inline="true", selectionEnabled="false"
        )
    top = ET.SubElement(view, "View", className="labels")
    labels = ET.SubElement(top, "Labels", name=LABEL_CONTROL, toName=TEXT_OBJECT, showInline="true")
    for label in scheme.labels:
        ET.SubElement(labels, "Label", value=label.name, hotkey=label.hotkey, background=label.color)
    relations = ET.SubElement(view, "Relations")
    for relation in scheme.relations:
        ET.SubElement(relations, "Relation", value=relation.name)
    news = ET.SubElement(view, "View", className="news")
    ET.SubElement(news, "Text", name=TEXT_OBJECT, value="$text", granularity="symbol")
    # Below the text, so that the text does not move when a span is selected.
    bar = ET.SubElement(view, "View", className="attributes")
    if adjudication:
        _decision_row(bar, scheme)
    for label in scheme.labels:
        _attribute_row(bar, scheme, label)
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def decision_keys(scheme: Scheme) -> tuple[str, str]:
    """The hotkeys of open and keep: two letters that the scheme leaves free, j and k where it can be."""
    taken = {label.hotkey for label in scheme.labels}
    taken |= {key for label in scheme.labels for attribute in label.attributes for key in attribute.hotkeys}
    free = [key for key in "jklmnbvcxz098765" if key not in taken]
    if len(free) < 2:
        raise InputError("scheme.toml: its hotkeys leave none for the decisions of an adjudication; free two letters")
    return free[0], free[1]


def _decision_row(bar: ET.Element, scheme: Scheme) -> None:
    """The decision shows for regions with status disputed; who said a region shows in the outliner."""
    common = {"toName": TEXT_OBJECT, "perRegion": "true"}
    off = ET.SubElement(bar, "View", className="off")
    status = ET.SubElement(off, "Choices", common, name=STATUS, choice="single-radio")
    # Label Studio gives a choice without a hotkey one of its own, which acts although the control is hidden.
    ET.SubElement(status, "Choice", value=DISPUTED, hotkey="ctrl+alt+shift+f12")
    ET.SubElement(
        off, "TextArea", common, name=WHO, displayMode="region-list", editable="false", maxSubmissions="1", rows="1"
    )
    row = ET.SubElement(
        bar, "View", className="row", visibleWhen="choice-selected", whenTagName=STATUS, whenChoiceValue=DISPUTED
    )
    field = _field(row, "decision (Backspace drops the candidate)")
    choices = ET.SubElement(field, "Choices", common, name=DECISION, choice="single-radio", showInline="true")
    for value, key in zip((OPEN, KEEP), decision_keys(scheme), strict=True):
        ET.SubElement(choices, "Choice", value=value, hotkey=key)


def _attribute_row(bar: ET.Element, scheme: Scheme, label: Label) -> None:
    if not label.attributes:
        return
    row = ET.SubElement(
        bar,
        "View",
        className="row",
        visibleWhen="region-selected",
        whenTagName=LABEL_CONTROL,
        whenLabelValue=label.name,
    )
    for attribute in label.attributes:
        caption = attribute.caption or attribute.name.replace("_", " ")
        _control(_field(row, caption + (" *" if attribute.required else "")), scheme, label, attribute)
        if attribute.type == "entity":
            _text_area(
                _field(row, "or a new id"), column(label.name, attribute.name) + PROPOSED, "where the list has none"
            )


def _field(row: ET.Element, caption: str) -> ET.Element:
    """A view that keeps a caption beside its control."""
    field = ET.SubElement(row, "View", className="field")
    ET.SubElement(field, "Header", size="6", value=caption)
    return field


def _control(field: ET.Element, scheme: Scheme, label: Label, attribute: Attribute) -> None:
    name = column(label.name, attribute.name)
    common = {"name": name, "toName": TEXT_OBJECT, "perRegion": "true"}
    if attribute.type == "choice":
        if attribute.required:  # Label Studio asks for it in the regions of the label that the control itself names
            common |= {
                "required": "true",
                "requiredMessage": f"a span of {label.name} has no {attribute.name}",
                "visibleWhen": "region-selected",
                "whenTagName": LABEL_CONTROL,
                "whenLabelValue": label.name,
            }
        choices = ET.SubElement(field, "Choices", common, choice="single-radio", showInline="true")
        for index, value in enumerate(attribute.values):
            choice = ET.SubElement(choices, "Choice", value=value)
            if index < len(attribute.hotkeys):
                choice.set("hotkey", attribute.hotkeys[index])
    elif attribute.type == "number":
        ET.SubElement(field, "Number", common)
    elif attribute.type == "string":
        _text_area(field, name, attribute.placeholder)
    else:
        taxonomy = ET.SubElement(
            field,
            "Taxonomy",
            common,
            maxUsages="1",
            minWidth="280px",
            dropdownWidth="520",
            placeholder="search by id or name",
        )
        for entity in scheme.registries[attribute.registry].values():
            ET.SubElement(taxonomy, "Choice", value=entity_caption(entity), alias=entity.id)


def _text_area(field: ET.Element, name: str, placeholder: str) -> None:
    common = {"name": name, "toName": TEXT_OBJECT, "perRegion": "true"}
    ET.SubElement(field, "TextArea", common, maxSubmissions="1", editable="true", rows="1", placeholder=placeholder)


def entity_caption(entity: Entity) -> str:
    """What an annotator reads and searches: the id, one name per language, and what else may be typed for it.

    Label Studio searches for letters as they stand: so each other name, and each folded, follows where none before
    holds it.
    """
    names = [name for named in entity.names.values() for name in named]
    shown = dict.fromkeys([entity.id, *(next(iter(named)) for named in entity.names.values() if named)])
    caption = " · ".join(shown)
    for spelling in (*names, *(name.translate(_COMMA_BELOW) for name in names), *(fold(name).text for name in names)):
        if spelling.lower() not in caption.lower():
            caption += f" · {spelling}"
    return caption


# Romanian's letters with a cedilla, as many texts and keyboards have them, and as they ought to be.
_COMMA_BELOW = str.maketrans("şţŞŢ", "șțȘȚ")


# The controls of a region that say an attribute, and its type; by the tag in lower case, as results name them.
CONTROL_TYPES: dict[str, AttributeType] = {
    "choices": "choice",
    "number": "number",
    "rating": "number",
    "textarea": "string",
    "taxonomy": "entity",
}
_TEXT_TAGS = ("Text", "HyperText", "Paragraphs")
_LABEL_TAGS = ("Labels", "HyperTextLabels", "ParagraphLabels")


@dataclass(frozen=True, slots=True)
class Project:
    """What anybody's label config says of its exports.

    The text lies in the object `name`, under `key` of a task's data; of a dialogue, under `turn_key` of each turn.
    """

    name: str
    key: str
    turn_key: str
    scheme: Scheme


def read_label_config(path: Path) -> Project:
    """The label config in a file. Raises InputError unless labels mark exactly one text."""
    tags = _elements(path)
    controls = [tag for tag in tags if tag.tag in _LABEL_TAGS]
    marked = sorted({tag.get("toName", "") for tag in controls})
    texts = {tag.get("name", ""): tag for tag in tags if tag.tag in _TEXT_TAGS}
    if len(marked) != 1 or marked[0] not in texts:
        known = ", ".join(marked) or "none"
        raise InputError(f"{path}: labels must mark one object of type {', '.join(_TEXT_TAGS)}; they mark {known}")
    [name] = marked
    value = texts[name].get("value", "")
    if not value.startswith("$") or len(value) < 2:
        raise InputError(f"{path}: {name} takes its text from {value!r}; a variable such as $text is wanted")
    labels = [label.get("alias") or label.get("value") or "" for tag in controls for label in tag.iter("Label")]
    attributes: dict[str, AttributeType] = {
        tag.get("name", ""): CONTROL_TYPES[tag.tag.lower()]
        for tag in tags
        if tag.tag.lower() in CONTROL_TYPES and tag.get("toName") == name and tag.get("perRegion") == "true"
    }
    relations = [tag.get("alias") or tag.get("value") or "" for tag in tags if tag.tag == "Relation"]
    scheme = foreign_scheme("label config", dict.fromkeys(labels, attributes), relations)
    return Project(name, value[1:], texts[name].get("textKey") or "text", scheme)


def _elements(path: Path) -> list[ET.Element]:
    """The elements of an XML file in order; one that declares entities is refused, since these can be made to grow."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise InputError(f"{path}: has a DOCTYPE, which no label config needs; take it out")
        parser: ET.XMLPullParser[ET.Element] = ET.XMLPullParser(["start"])
        parser.feed(text)
        parser.close()
        return [tag for _, tag in cast("Iterator[tuple[str, ET.Element]]", parser.read_events())]
    except (ET.ParseError, UnicodeDecodeError) as error:
        message = f"is no label config: {error}; copy the XML from the settings of the project"
        raise InputError(f"{path}: {message}") from None


def foreign_scheme(name: str, labels: Mapping[str, Mapping[str, AttributeType]], relations: Iterable[str]) -> Scheme:
    """A scheme of a project that is not ours: labels with the types of their attributes by control, relations."""
    return Scheme(
        name=name,
        version="0",
        labels=tuple(
            Label(
                name=label,
                description="",
                color="",
                hotkey="",
                attributes=tuple(
                    Attribute(control, kind, required=False, description="", control=control)
                    for control, kind in sorted(controls.items())
                ),
            )
            for label, controls in sorted(labels.items())
        ),
        relations=tuple(RelationType(relation, "", (), (), 0) for relation in sorted(set(relations))),
    )
