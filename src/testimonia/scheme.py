"""The annotation scheme: labels, attributes, relations and overlap rules, as `scheme.toml` says them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

import regex

from testimonia.errors import InputError
from testimonia.toml import Table, is_file_name

AttributeType = Literal["choice", "number", "string", "entity"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
# Columns of the dataset that an attribute's column must not hide.
_RESERVED = {
    "id",
    "start",
    "end",
    "text",
    "label",
    "doc_id",
    "language",
    "fold",
    "annotator",
    "round",
    "state",
    "provenance",
}


@dataclass(frozen=True, slots=True)
class Attribute:
    """A property of a span: a value of a closed set, a number, a string with a pattern, or an entity id."""

    name: str
    type: AttributeType
    required: bool
    description: str
    values: tuple[str, ...] = ()
    hotkeys: tuple[str, ...] = ()
    pattern: str = ""
    placeholder: str = ""
    registry: str = ""
    same: tuple[str, ...] = ()
    caption: str = ""  # for annotators, where the name alone would not tell
    control: str = ""  # of a label config that was not made from the scheme


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition between the attributes of one span; see the head of scheme.toml."""

    when: tuple[tuple[str, tuple[str, ...]], ...]
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    equal: tuple[str, ...] = ()
    ascending: tuple[str, ...] = ()
    match: tuple[tuple[str, str], ...] = ()

    def applies(self, values: Mapping[str, object]) -> bool:
        return all(values.get(name) in allowed for name, allowed in self.when)

    def __str__(self) -> str:
        return " and ".join(f"{name} = {' or '.join(allowed)}" for name, allowed in self.when)


@dataclass(frozen=True, slots=True)
class Label:
    """A kind of span."""

    name: str
    description: str
    color: str
    hotkey: str
    attributes: tuple[Attribute, ...]
    rules: tuple[Rule, ...] = ()
    max_tokens: int = 0
    loose_edges: bool = False

    def attribute(self, name: str) -> Attribute | None:
        return next((attribute for attribute in self.attributes if attribute.name == name), None)


@dataclass(frozen=True, slots=True)
class RelationType:
    """A kind of relation: which labels it may join, and how many tails a head may have."""

    name: str
    description: str
    heads: tuple[str, ...]
    tails: tuple[str, ...]
    max: int
    acyclic: bool = False
    prefer: str = ""
    unless: str = ""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A permitted overlap: a span of `outer` may contain one of `inner`; equal bounds only where `equal`."""

    outer: str
    inner: str
    equal: bool


@dataclass(frozen=True, slots=True)
class Scheme:
    """Everything that `scheme.toml` says."""

    name: str
    version: str
    labels: tuple[Label, ...]
    relations: tuple[RelationType, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    registries: Mapping[str, Registry] = field(default_factory=dict, compare=False)

    def label(self, name: str) -> Label | None:
        return next((label for label in self.labels if label.name == name), None)

    def relation(self, name: str) -> RelationType | None:
        return next((relation for relation in self.relations if relation.name == name), None)

    def relations_between(self, head: str, tail: str) -> list[str]:
        """The names of the relations that lead from one label to another."""
        return [relation.name for relation in self.relations if head in relation.heads and tail in relation.tails]

    @property
    def label_names(self) -> list[str]:
        return [label.name for label in self.labels]

    @property
    def relation_names(self) -> list[str]:
        return [relation.name for relation in self.relations]

    def controls(self, label: Label) -> dict[str, Attribute]:
        """The attributes of a label by the name of their control in the label config."""
        return {a.control or column(label.name, a.name): a for a in label.attributes}

    def resolved(self, attribute: Attribute, value: str) -> str:
        """The registry's id of an entity that an annotator proposed under another; any other value as it is."""
        entities = self.registries.get(attribute.registry, {})
        if value in entities:
            return value
        return next((entity.id for entity in entities.values() if value in entity.proposed), value)

    @property
    def columns(self) -> dict[str, tuple[Label, Attribute]]:
        """Column name -> (label, attribute), in the order of the scheme; also the names of the controls."""
        return {column(label.name, a.name): (label, a) for label in self.labels for a in label.attributes}


@dataclass(frozen=True, slots=True)
class Entity:
    """A real-world actor: names per language, each with the documents where it was seen.

    `proposed`: other ids under which annotators proposed it.
    """

    id: str
    kind: str
    names: Mapping[str, Mapping[str, tuple[str, ...]]]
    wikidata: str = ""
    proposed: tuple[str, ...] = ()


Registry = dict[str, Entity]


def column(label: str, attribute: str) -> str:
    """`ACTOR`, `kind` -> `actor_kind`: the name of the control and of the column."""
    return f"{label}_{attribute}".lower()


def read_scheme(path: Path) -> Scheme:
    """The scheme in a TOML file, with the registries that it names (beside it). Raises InputError."""
    table = Table.read(path)
    labels = tuple(_label(t) for t in table.tables("label"))
    if not labels:
        raise table.error("no [[label]]; a scheme has at least one")
    names = [label.name for label in labels]
    relations = tuple(_relation(t, names) for t in table.tables("relation"))
    for relation in relations:
        if relation.unless and relation.unless not in [r.name for r in relations]:
            raise table.error(f"relation {relation.name}: unless = {relation.unless!r} is no relation")
    overlaps = tuple(_overlap(t, names) for t in table.tables("overlap"))
    _unique(table, "label", [name.lower() for name in names])
    _unique(table, "relation", [relation.name for relation in relations])
    _unique(table, "column", [column(label.name, a.name) for label in labels for a in label.attributes])
    hotkeys = [label.hotkey for label in labels] + [
        key for label in labels for a in label.attributes for key in a.hotkeys
    ]
    _unique(table, "hotkey", [key for key in hotkeys if key])
    registries = {
        a.registry: read_registry(path.parent / a.registry, label)
        for label in labels
        for a in label.attributes
        if a.type == "entity"
    }
    scheme = Scheme(table.string("name"), table.string("version"), labels, relations, overlaps, registries)
    table.end()
    return scheme


def read_registry(path: Path, label: Label) -> Registry:
    """The entities of a registry file, by id. Raises InputError."""
    table = Table.read(path)
    kind = label.attribute("kind")
    entities: Registry = {}
    for t in table.tables("entity"):
        names: dict[str, dict[str, tuple[str, ...]]] = {}
        by_language = t.table("names")
        for language in by_language.left():
            seen = by_language.table(language)
            names[language] = {name: seen.strings(name) for name in seen.left()}
        by_language.end()
        entity = Entity(
            id=t.string("id"),
            kind=t.string("kind", "", among=kind.values if kind else ()),
            names=names,
            wikidata=t.string("wikidata", ""),
            proposed=t.strings("proposed"),
        )
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entity.id):
            raise t.error(f"id = {entity.id!r} is not lower-case words joined by hyphens; rename it")
        if entity.wikidata and not re.fullmatch(r"Q[1-9][0-9]*", entity.wikidata):
            raise t.error(f"wikidata = {entity.wikidata!r} is no Wikidata id; write one such as Q42 or leave it out")
        if entity.id in entities:
            raise t.error("stands twice; keep one entry")
        t.end()
        entities[entity.id] = entity
    table.end()
    ids = Counter([*entities, *(name for entity in entities.values() for name in entity.proposed)])
    for name, count in ids.items():
        if count > 1:
            raise table.error(f"{name!r} stands {count} times among ids and proposed ids; one id is one entity")
    return entities


def _label(table: Table) -> Label:
    attributes = tuple(_attribute(t) for t in table.tables("attribute"))
    names = [attribute.name for attribute in attributes]
    _unique(table, "attribute", names)
    for attribute in attributes:
        if set(attribute.same) - set(names):
            raise table.error(f"attribute {attribute.name}: same names an unknown attribute")
    label = Label(
        name=_identifier(table, "name"),
        description=table.string("description"),
        color=table.string("color"),
        hotkey=table.string("hotkey", ""),
        attributes=attributes,
        rules=tuple(_rule(t, {a.name: a for a in attributes}) for t in table.tables("rule")),
        max_tokens=table.integer("max_tokens", 0),
        loose_edges=table.boolean("loose_edges", False),
    )
    if not _COLOR.fullmatch(label.color):
        raise table.error(f"color = {label.color!r} is not #RRGGBB")
    for attribute in attributes:
        if column(label.name, attribute.name) in _RESERVED:
            raise table.error(f"attribute {attribute.name}: its column is the name of another column; rename it")
    table.end()
    return label


def _attribute(table: Table) -> Attribute:
    attribute = Attribute(
        name=_identifier(table, "name"),
        type=cast(AttributeType, table.string("type", among=get_args(AttributeType))),
        required=table.boolean("required", False),
        description=table.string("description"),
        values=table.strings("values"),
        hotkeys=table.strings("hotkeys"),
        pattern=table.string("pattern", ""),
        placeholder=table.string("placeholder", ""),
        registry=table.string("registry", ""),
        same=table.strings("same"),
        caption=table.string("caption", ""),
    )
    if (attribute.type == "choice") != bool(attribute.values):
        raise table.error("values belong to type choice, and only there")
    if set(attribute.same) - {"kind"}:
        raise table.error("same can only name kind, which the registry says of an entity")
    if attribute.name.endswith("_proposed"):
        raise table.error("a name that ends in _proposed is kept for the box beside an entity; rename it")
    if (attribute.type == "entity") != bool(attribute.registry):
        raise table.error("registry belongs to type entity, and only there")
    if not is_file_name(attribute.registry):
        raise table.error(f"registry = {attribute.registry!r} is no file beside the scheme; put it there")
    if attribute.pattern and attribute.type != "string":
        raise table.error("pattern belongs to type string only")
    if len(attribute.hotkeys) > len(attribute.values):
        raise table.error("more hotkeys than values")
    _pattern(table, attribute.pattern)
    table.end()
    return attribute


def _rule(table: Table, attributes: Mapping[str, Attribute]) -> Rule:
    names = list(attributes)
    when = table.table("when")
    conditions = []
    for name in when.left():
        if name not in attributes or attributes[name].type != "choice":
            raise when.error(f"{name!r} is no attribute of type choice of this label")
        conditions.append((name, when.strings(name, among=attributes[name].values)))
    match = table.table("match")
    patterns = []
    for name in match.left():
        if name not in attributes:
            raise match.error(f"{name!r} is no attribute of this label")
        patterns.append((name, _pattern(match, match.string(name))))
    rule = Rule(
        when=tuple(conditions),
        require=table.strings("require", among=names),
        forbid=table.strings("forbid", among=names),
        equal=table.strings("equal", among=names),
        ascending=table.strings("ascending", among=names),
        match=tuple(patterns),
    )
    table.end()
    return rule


def _relation(table: Table, labels: list[str]) -> RelationType:
    relation = RelationType(
        name=_identifier(table, "name"),
        description=table.string("description"),
        heads=table.strings("heads", among=labels),
        tails=table.strings("tails", among=labels),
        max=table.integer("max", 0),
        acyclic=table.boolean("acyclic", False),
        prefer=table.string("prefer", "", among=labels),
        unless=table.string("unless", ""),
    )
    if relation.prefer and relation.prefer not in relation.tails:
        raise table.error(f"prefer = {relation.prefer!r} is not among the tails")
    if not relation.heads or not relation.tails:
        raise table.error("heads and tails each need at least one label")
    table.end()
    return relation


def _overlap(table: Table, labels: list[str]) -> Overlap:
    overlap = Overlap(
        outer=table.string("outer", among=labels),
        inner=table.string("inner", among=labels),
        equal=table.boolean("equal", False),
    )
    table.end()
    return overlap


def _identifier(table: Table, key: str) -> str:
    value = table.string(key)
    if not _NAME.fullmatch(value):
        raise table.error(f"{key} = {value!r} is not a letter followed by letters, digits or _; rename it")
    return value


def _pattern(table: Table, pattern: str) -> str:
    try:
        regex.compile(pattern)
    except (regex.error, OverflowError, RecursionError) as error:
        raise table.error(f"{pattern!r} is no regular expression: {error}") from None
    return pattern


def _unique(table: Table, what: str, names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise InputError(f"{table.place}: {what} {name!r} stands {count} times; keep one")
