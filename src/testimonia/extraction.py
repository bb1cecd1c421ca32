"""Spans of many documents as columns: gold, or what a model predicted; from Arrow tables and from records."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testimonia.errors import LONGEST, Finding, InputError
from testimonia.matching import Ints, Spans, runs
from testimonia.scheme import column

Json = dict[str, Any]
Mask = NDArray[np.bool_]

# Of a span, what is no attribute of it.
_OWN = ("id", "start", "end", "text", "label", "score", "grounding", "attributes", "fold", "model", "lang", "language")
_FAR = 2**40  # past any text
_HUGE = 1e300
MOST_PLACES = 100


@dataclass(frozen=True, slots=True)
class Extraction:
    """The spans and relations of d documents: n spans, r relations.

    `doc_ids`, `languages`, `texts`, `models`: (d,) strings, null where not given. `spans`: columns (n,); `document`
    is a row of `doc_ids`, `label` of `labels`. `attributes`: by column name, such as `quantity_value_min`, (n,).
    `quotes`: (n,) what each span says is its text. `relations`: columns (r,); start and end are the rows of head and
    tail in `spans`. `zones`: columns; label is a row of `zone_kinds`. `places`: where a document stands in a file.
    """

    doc_ids: pa.Array
    languages: pa.Array
    texts: pa.Array
    models: pa.Array
    labels: tuple[str, ...]
    spans: Spans
    attributes: Mapping[str, pa.Array] = field(default_factory=dict)
    quotes: Any = None  # a pyarrow Array, or None
    relation_labels: tuple[str, ...] = ()
    relations: Spans = field(default_factory=lambda: Spans(*[np.empty(0, np.int64)] * 4))
    zone_kinds: tuple[str, ...] = ()
    zones: Spans = field(default_factory=lambda: Spans(*[np.empty(0, np.int64)] * 4))
    places: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.doc_ids)

    @property
    def lengths(self) -> Ints:
        """Code points of each text, (d,); -1 where there is none."""
        return _ints(pc.fill_null(pc.utf8_length(self.texts), -1))

    def place(self, document: int) -> str:
        """What to call a document in a message."""
        name = str(self.doc_ids[document].as_py())
        return f"{self.places[document]} ({name})" if self.places else name

    def at(self, document: Ints, rows: int) -> Extraction:
        """The same spans among other documents: `document[i]` is the new row of the i-th, -1 where it is left out.

        `doc_ids`, `languages`, `texts` and `models` become (rows,) of null where no document comes to stand.
        """
        source = np.full(rows, -1)
        source[document[document >= 0]] = np.flatnonzero(document >= 0)
        take = pa.array(source, mask=source < 0)
        kept = document[self.spans.document] >= 0
        found = replace(
            self.of_spans(kept),
            doc_ids=self.doc_ids.take(take),
            languages=self.languages.take(take),
            texts=self.texts.take(take),
            models=self.models.take(take),
            places=tuple(self.places[i] if i >= 0 else "" for i in source) if self.places else (),
        )
        zones = self.zones.take(document[self.zones.document] >= 0)
        return replace(
            found,
            spans=_moved(found.spans, document),
            relations=_moved(found.relations, document),
            zones=_moved(zones, document),
        )

    def in_order(self, common: Collection[str] = ()) -> Extraction:
        """The same with spans by document, start, end, name of the label, and attributes, those in `common` first."""
        spans = self.spans
        place = spans.document * (int(spans.end.max(initial=0)) + 1) + spans.start
        if (place[1:] > place[:-1]).all():
            return self
        tied = len(np.unique(place)) < len(place)
        names = sorted(self.attributes, key=lambda name: (name not in common, name)) if tied else []
        ties = [_rank(self.attributes[name]) for name in reversed(names)]
        by_name = np.argsort(np.argsort(np.array(self.labels, object)))
        order = np.lexsort((*ties, by_name[spans.label], spans.end, place))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        rows = pa.array(order)
        relations = self.relations
        return replace(
            self,
            spans=spans.take(order),
            attributes={name: values.take(rows) for name, values in self.attributes.items()},
            quotes=None if self.quotes is None else self.quotes.take(rows),
            relations=Spans(relations.document, back[relations.start], back[relations.end], relations.label),
        )

    def of_spans(self, kept: Mask) -> Extraction:
        """The same without the other spans and the relations that hang on them."""
        if kept.all():
            return self
        row = np.cumsum(kept) - 1
        chosen = self.relations.take(kept[self.relations.start] & kept[self.relations.end])
        mask = pa.array(kept)
        return replace(
            self,
            spans=self.spans.take(np.flatnonzero(kept)),
            attributes={name: values.filter(mask) for name, values in self.attributes.items()},
            quotes=None if self.quotes is None else self.quotes.filter(mask),
            relations=Spans(chosen.document, row[chosen.start], row[chosen.end], chosen.label),
        )

    def labelled(self, labels: tuple[str, ...], mapping: Mapping[str, str]) -> Extraction:
        """The same spans with their labels renamed by `mapping` and numbered as in `labels`, which has them all."""
        number = {name: row for row, name in enumerate(labels)}
        renamed = np.array([number[mapping.get(name, name)] for name in self.labels], np.int64)
        spans = replace(self.spans, label=renamed[self.spans.label]) if len(self.spans) else self.spans
        attributes: dict[str, pa.Array] = {}
        for name, values in self.attributes.items():
            old = next((old for old in mapping if name.startswith(column(old, ""))), None)
            new = name if old is None else column(mapping[old], "") + name.removeprefix(column(old, ""))
            before = attributes.get(new)
            if before is None:
                attributes[new] = values
            elif before.type == values.type:
                attributes[new] = pc.coalesce(before, values)
            else:
                attributes[new] = pc.coalesce(before.cast(pa.large_string()), values.cast(pa.large_string()))
        return replace(self, labels=labels, spans=spans, attributes=attributes)


def _rank(values: pa.Array) -> Ints:
    rank: Ints = pc.rank(values, null_placement="at_start", tiebreaker="dense").to_numpy().astype(np.int64)
    return rank


def _moved(spans: Spans, document: Ints) -> Spans:
    return Spans(document[spans.document], spans.start, spans.end, spans.label) if len(spans) else spans


def of_rows(rows: Iterable[tuple[str, Json]]) -> Extraction:
    """Documents from records, each with the place where it stands.

    A record: `doc_id`, `spans` (each `start`, `end`, `label`; the rest, or what is under `attributes`, are attributes),
    and where known `language` (or `lang`), `text`, `model`, `relations` (each `label`, `head`, `tail`: the number
    of a span of the record from 0, or its `id`, a string), `zones`. Raises InputError with the place.
    """
    documents: dict[str, list[str | None]] = {name: [] for name in ("doc_id", "language", "text", "model")}
    places: list[str] = []
    spans, zones, relations = _Columns(), _Columns(), _Columns()
    quotes: list[str | None] = []
    attributes: dict[str, list[Any]] = {}
    for place, row in rows:
        document = len(places)
        places.append(place)
        doc_id = row.get("doc_id")
        if not isinstance(doc_id, str) or not 0 < len(doc_id) <= LONGEST:
            raise InputError(f"{place}: doc_id = {doc_id!r} is no name; give each document its doc_id")
        documents["doc_id"].append(_text(place, "doc_id", doc_id))
        documents["language"].append(_text(place, "language", row.get("language", row.get("lang"))))
        documents["text"].append(_text(place, "text", row.get("text")))
        documents["model"].append(_text(place, "model", row.get("model")))
        first = len(quotes)
        ids: dict[object, int] = {}
        for number, span in enumerate(_records(place, row, "spans", required=True)):
            where = f"{place} ({doc_id}): span {number}"
            spans.add(document, *_bounds(where, span), _label(where, span))
            quotes.append(_text(where, "text", span.get("text")))
            ids[number] = first + number
            if (name := _text(where, "id", span.get("id"))) is not None:
                if name in ids:
                    raise InputError(f"{where}: id = {name!r} stands twice; give each span an id of its own")
                ids[name] = first + number
            for name, value in _values(where, span).items():
                cells = attributes.setdefault(name, [])
                cells += [None] * (first + number - len(cells)) + [value]
        for number, relation in enumerate(_records(place, row, "relations")):
            where = f"{place} ({doc_id}): relation {number}"
            ends = [ids.get(relation.get(end)) if _hashes(relation.get(end)) else None for end in ("head", "tail")]
            if ends[0] is None or ends[1] is None:
                wrong = "head" if ends[0] is None else "tail"
                raise InputError(f"{where}: {wrong} = {relation.get(wrong)!r} is no span here; give its id or number")
            relations.add(document, ends[0], ends[1], _label(where, relation))
        for number, zone in enumerate(_records(place, row, "zones")):
            where = f"{place} ({doc_id}): zone {number}"
            zones.add(document, *_bounds(where, zone), _label(where, zone, "kind"))
    size = len(quotes)
    strings = {name: pa.array(cells, pa.large_string()) for name, cells in documents.items()}
    return Extraction(
        doc_ids=strings["doc_id"],
        languages=strings["language"],
        texts=strings["text"],
        models=strings["model"],
        labels=spans.names,
        spans=spans.columns(),
        attributes={name: _array(cells + [None] * (size - len(cells))) for name, cells in attributes.items()},
        quotes=pa.array(quotes, pa.large_string()) if any(quote is not None for quote in quotes) else None,
        relation_labels=relations.names,
        relations=relations.columns(),
        zone_kinds=zones.names,
        zones=zones.columns(),
        places=tuple(places),
    )


class _Columns:
    """Columns of spans that grow."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._labels: dict[str, int] = {}

    def add(self, document: int, start: int, end: int, label: str) -> None:
        self._rows += (document, start, end, self._labels.setdefault(label, len(self._labels)))

    def columns(self) -> Spans:
        document, start, end, label = np.array(self._rows, np.int64).reshape(-1, 4).T.copy()
        place = {name: row for row, name in enumerate(self.names)}
        number = np.array([place[name] for name in self._labels], np.int64)
        return Spans(document, start, end, number[label])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._labels))


def _hashes(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _records(place: str, row: Json, key: str, required: bool = False) -> list[Json]:
    found = row.get(key)
    if found is None and not required:
        return []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise InputError(f"{place}: {key} is no list of objects; a document without any has an empty list")
    return found


def _bounds(where: str, span: Json) -> tuple[int, int]:
    values = []
    for name in ("start", "end"):
        value = span.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise InputError(f"{where}: {name} = {value!r} is no whole number; offsets are code points of the text")
        if abs(value) > _FAR:
            raise InputError(f"{where}: {name} lies outside any text; offsets are code points of the text")
        values.append(value)
    return values[0], values[1]


def _label(where: str, span: Json, key: str = "label") -> str:
    label = span.get(key)
    if not isinstance(label, str) or not 0 < len(label) <= LONGEST:
        raise InputError(f"{where}: {key} = {label!r} is no name; give one")
    return str(_text(where, key, label))


def _text(where: str, name: str, value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InputError(f"{where}: {name} = {value!r} is no string; quote it, or leave it out")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InputError(f"{where}: {name} holds half a surrogate pair; write it as UTF-8 anew") from None
    return value


def _values(where: str, span: Json) -> dict[str, Any]:
    """The attributes of a record, by column name."""
    under = span.get("attributes", {})
    if not isinstance(under, dict):
        raise InputError(f"{where}: attributes is no object; give names and values")
    prefix = column(span["label"], "")
    named = {name if name.startswith(prefix) else prefix + name: value for name, value in under.items()}
    values: dict[str, Any] = {}
    for name, value in (*named.items(), *((name, value) for name, value in span.items() if name not in _OWN)):
        before = values.setdefault(str(_text(where, "name", name)), value)
        if before is not value and before != value:
            raise InputError(f"{where}: {name} stands twice with other values; give it once")
    return {name: _scalar(where, name, value) for name, value in values.items()}


def _scalar(where: str, name: str, value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise InputError(f"{where}: {name} = {value!r} is neither a string nor a number; an attribute is one of them")
    if isinstance(value, int | float) and not -_HUGE < value < _HUGE:
        raise InputError(f"{where}: {name} is no number that can be counted with; leave it out where it is not known")
    return _text(where, name, value) if isinstance(value, str) else value


def _array(cells: list[Any]) -> pa.Array:
    """Numbers as float64; strings where there is one, or nothing at all."""
    some = [cell for cell in cells if cell is not None]
    if some and not any(isinstance(cell, str) for cell in some):
        return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())
    return pa.array([None if cell is None else _written(cell) for cell in cells], pa.large_string())


def _written(value: str | float) -> str:
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def of_table(table: pa.Table, where: str) -> Extraction:
    """Documents from an Arrow table: one row per document with nested `spans`, or one row per span.

    Columns as in the configs `documents` and `spans` of a dataset; what is not there is null. Labels are strings, or
    numbers whose names stand in the schema's metadata as `datasets` writes them. Raises InputError.
    """
    try:
        return _of_table(table, where)
    except (pa.ArrowException, KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise InputError(f"{where}: cannot be read as documents with spans: {error}; see docs/scoring.md") from None


def _of_table(table: pa.Table, where: str) -> Extraction:
    names = table.column_names
    if "doc_id" not in names or not ("spans" in names or {"start", "end", "label"} <= set(names)):
        raise InputError(
            f"{where}: has the columns {', '.join(names) or 'none'}; give doc_id and spans (one row per document), or "
            "doc_id, start, end and label (one row per span)"
        )
    features = _features(table.schema)
    doc_ids = _strings(table, "doc_id")
    if doc_ids.null_count:
        raise InputError(f"{where}: a doc_id is null; give each document its doc_id")
    if "spans" in names:
        counts, cells = _flat(table["spans"], f"{where}: spans")
        document = np.repeat(np.arange(len(table)), counts)
        languages, texts, models = (_strings(table, name) for name in ("language", "text", "model"))
        if "language" not in names:
            languages = _strings(table, "lang")
    else:
        codes = doc_ids.dictionary_encode()
        document = _ints(codes.indices)
        first = np.unique(document, return_index=True)[1]
        cells = {name: table[name].combine_chunks() for name in names if name not in ("doc_id", "language", "lang")}
        doc_ids = codes.dictionary
        known = "language" if "language" in names else "lang"
        languages, models = (_strings(table, name).take(pa.array(first)) for name in (known, "model"))
        texts = pa.nulls(len(doc_ids), pa.large_string())
        counts = np.bincount(document, minlength=len(doc_ids))
    if missing := [name for name in ("start", "end", "label") if name not in cells] if counts.any() else []:
        raise InputError(f"{where}: spans have no {missing[0]}; each has start, end, label")
    labels, label = _classes(cells.get("label"), _names(features, "spans", "label"), f"{where}: labels of spans")
    start, end = (_offsets(cells.get(name), f"{where}: {name}") for name in ("start", "end"))
    spans = Spans(document, start, end, label)
    found = Extraction(
        doc_ids,
        languages,
        texts,
        models,
        labels=labels,
        spans=spans,
        attributes={name: _attribute(cells[name]) for name in cells if name not in _OWN and _is_plain(cells[name])},
        quotes=cells["text"].cast(pa.large_string()) if "text" in cells else None,
    )
    if "relations" in names:
        found = _with_relations(found, table, cells.get("id"), counts, features, where)
    if "zones" in names:
        counts, cells = _flat(table["zones"], f"{where}: zones")
        if len(zones_lack := {"start", "end", "kind"} - cells.keys()) and counts.any():
            raise InputError(f"{where}: zones have no {min(zones_lack)}; each has start, end, kind")
        if cells:
            kinds, kind = _classes(cells.get("kind"), None, f"{where}: kinds of zones")
            start, end = (_offsets(cells.get(name), f"{where}: zones: {name}") for name in ("start", "end"))
            zones = Spans(np.repeat(np.arange(len(table)), counts), start, end, kind)
            found = replace(found, zone_kinds=kinds, zones=zones)
    return found


def _with_relations(
    found: Extraction, table: pa.Table, ids: pa.Array | None, sizes: Ints, features: Any, where: str
) -> Extraction:
    counts, cells = _flat(table["relations"], f"{where}: relations")
    if not len(cells.get("label", ())):
        return found
    document = np.repeat(np.arange(len(table)), counts)
    labels, label = _classes(cells["label"], _names(features, "relations", "label"), f"{where}: labels of relations")
    ends = []
    for name in ("head", "tail"):
        if pa.types.is_integer(cells[name].type):
            number = _offsets(cells[name], f"{where}: {name}")
            first = np.cumsum(sizes) - sizes
            wrong = (number < 0) | (number >= sizes[document])
            row = first[document] + number
        else:
            if ids is None:
                raise InputError(f"{where}: relations name spans by id, but spans have no id; give both")
            known = _keys(found.spans.document, ids)
            row = _ints(pc.fill_null(pc.index_in(_keys(document, cells[name]), known), -1))
            wrong = row < 0
        if wrong.any():
            bad = int(np.flatnonzero(wrong)[0])
            place = found.place(int(document[bad]))
            raise InputError(f"{where}: {place}: {name} {cells[name][bad]} of a relation is no span of the document")
        ends.append(row)
    return replace(found, relation_labels=labels, relations=Spans(document, ends[0], ends[1], label))


def _keys(document: Ints, ids: pa.Array) -> pa.Array:
    numbers = pa.array(document).cast(pa.large_string())
    return pc.binary_join_element_wise(numbers, ids.cast(pa.large_string()), pa.scalar(" ", pa.large_string()))


def _strings(table: pa.Table, name: str) -> pa.Array:
    if name not in table.column_names:
        return pa.nulls(len(table), pa.large_string())
    return _whole(table[name]).cast(pa.large_string())


def _whole(values: pa.ChunkedArray) -> pa.Array:
    combined = values.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def _flat(values: pa.ChunkedArray, where: str) -> tuple[Ints, dict[str, pa.Array]]:
    """Of a column of lists of structs, or of structs of lists: items per row, and the fields on end."""
    column_ = _whole(values)
    if pa.types.is_struct(column_.type):  # as `datasets` before 4 wrote a sequence of structs
        lists = {f.name: column_.field(f.name) for f in column_.type}
        sizes = [_ints(pc.fill_null(pc.list_value_length(one), 0)) for one in lists.values()]
        return sizes[0], {name: one.flatten() for name, one in lists.items()}
    if not (pa.types.is_list(column_.type) or pa.types.is_large_list(column_.type)):
        raise InputError(f"{where}: is {column_.type}; give a list of structs")
    counts = _ints(pc.fill_null(pc.list_value_length(column_), 0))
    items = column_.flatten()
    if not pa.types.is_struct(items.type):
        if len(items) == 0:
            return counts, {}
        raise InputError(f"{where}: is {column_.type}; give a list of structs")
    if items.null_count:
        raise InputError(f"{where}: holds a null; leave it out")
    return counts, dict(zip((f.name for f in items.type), items.flatten(), strict=True))


def _offsets(values: pa.Array | None, where: str) -> Ints:
    if values is None:
        return np.empty(0, np.int64)
    if not pa.types.is_integer(values.type) and not (pa.types.is_null(values.type) and not len(values)):
        raise InputError(f"{where} is {values.type}; offsets are whole numbers: code points of the text")
    if values.null_count:
        raise InputError(f"{where} holds a null; every span has both")
    numbers = _ints(values)
    if len(numbers) and not -_FAR < numbers.min() <= numbers.max() < _FAR:
        raise InputError(f"{where} lies outside any text; offsets are code points of the text")
    return numbers


def _ints(values: pa.Array) -> Ints:
    numbers: Ints = values.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _classes(values: pa.Array | None, names: list[str] | None, where: str) -> tuple[tuple[str, ...], Ints]:
    """The names that occur and the number of each."""
    if values is None or not len(values):
        return tuple(names or ()), np.empty(0, np.int64)
    if values.null_count:
        raise InputError(f"{where}: one is null; every span has a label")
    if pa.types.is_integer(values.type):
        numbers = _ints(values)
        if names is None:
            raise InputError(
                f"{where} are numbers without names; give strings, or the features as `datasets` writes them"
            )
        if numbers.min() < 0 or numbers.max() >= len(names):
            raise InputError(f"{where}: {numbers.min()}..{numbers.max()} are not all among the {len(names)} names")
        return tuple(names), numbers
    codes = (values if pa.types.is_dictionary(values.type) else values.cast(pa.large_string())).dictionary_encode()
    found = codes.dictionary.to_pylist()
    number = np.argsort(np.argsort(np.array(found, object)))
    return tuple(sorted(found)), number[_ints(codes.indices)]


def _features(schema: pa.Schema) -> Json:
    raw = (schema.metadata or {}).get(b"huggingface")
    try:
        found = json.loads(raw)["info"]["features"] if raw else {}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def class_names(schema: pa.Schema, name: str) -> list[str] | None:
    """The class names of a column of lists of class labels, from a schema's metadata; None where there are none."""
    feature = _features(schema).get(name)
    while isinstance(feature, dict) and "feature" in feature:
        feature = feature["feature"]
    if isinstance(feature, list) and feature:
        feature = feature[0]
    names = feature.get("names") if isinstance(feature, dict) else None
    return [str(word) for word in names] if isinstance(names, list) else None


def _names(features: Any, outer: str, inner: str) -> list[str] | None:
    """The class names of a nested feature, in any spelling of a list of structs; None where there are none."""
    feature = features.get(outer, features) if isinstance(features, dict) else None
    if isinstance(feature, list) and feature:
        feature = feature[0]
    if isinstance(feature, dict) and "feature" in feature and "_type" in feature:
        feature = feature["feature"]
    found = feature.get(inner) if isinstance(feature, dict) else None
    names = found.get("names") if isinstance(found, dict) else None
    return [str(name) for name in names] if isinstance(names, list) else None


def _is_plain(values: pa.Array) -> bool:
    kind = values.type
    return bool(
        pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_temporal(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_dictionary(kind)
    )


def _attribute(values: pa.Array) -> pa.Array:
    """Numbers as float64, all else as strings."""
    if pa.types.is_integer(values.type) or pa.types.is_floating(values.type):
        return values.cast(pa.float64())
    return values.cast(pa.large_string())


def told(rows: Ints, finding: Callable[[int], Finding]) -> list[Finding]:
    """A finding for each of the first hundred rows, and one that says how many more there are."""
    findings = [finding(row) for row in rows[:MOST_PLACES].tolist()]
    if len(rows) > MOST_PLACES:
        findings.append(replace(findings[-1], place="and more", message=f"{len(rows) - MOST_PLACES} more of this kind"))
    return findings


def repeated(found: Extraction) -> list[Finding]:
    """The documents that stand twice."""
    codes = _ints(found.doc_ids.dictionary_encode().indices)
    again = np.ones(len(codes), bool)
    again[np.unique(codes, return_index=True)[1]] = False
    message = "stands twice; keep one, or give it an id of its own"
    return told(np.flatnonzero(again), lambda row: Finding(found.place(row), "document-duplicate", message))


def misplaced(found: Extraction, texts: pa.Array) -> list[Finding]:
    """Spans that end before they start, lie outside their text, or whose quote is not what stands there.

    `texts`: (d,) what the offsets speak of, null where not known.
    """
    spans = found.spans
    lengths = _ints(pc.fill_null(pc.utf8_length(texts), -1))[spans.document]
    backwards = spans.end <= spans.start
    outside = ~backwards & ((spans.start < 0) | ((lengths >= 0) & (spans.end > lengths)))

    def finding(row: int, id_: str, message: str) -> Finding:
        bounds = f"{found.labels[spans.label[row]]} [{spans.start[row]}, {spans.end[row]})"
        return Finding(found.place(int(spans.document[row])), id_, f"{bounds} {message}")

    def unlike(row: int) -> str:
        text = texts[int(spans.document[row])].as_py()[int(spans.start[row]) : int(spans.end[row])]
        said = found.quotes[row].as_py()
        return f"says that it is {said[:40]!r}, but there stands {text[:40]!r}; are these offsets of the same text?"

    findings = told(
        np.flatnonzero(backwards),
        lambda row: finding(row, "span-order", "ends before it starts, or is empty; end is exclusive"),
    )
    findings += told(
        np.flatnonzero(outside),
        lambda row: finding(row, "span-outside", f"lies outside the text{_size(int(lengths[row]))}"),
    )
    findings += _zones_wrong(found)
    if found.quotes is not None and not findings:
        findings += told(unlike_quotes(found, texts), lambda row: finding(row, "span-text", unlike(row)))
    return findings


def _zones_wrong(found: Extraction) -> list[Finding]:
    """Zones that are empty, lie outside their text, or overlap the one before."""
    zones = found.zones.take(np.lexsort((found.zones.start, found.zones.document)))
    lengths = found.lengths[zones.document]
    wrong = (zones.end <= zones.start) | (zones.start < 0) | ((lengths >= 0) & (zones.end > lengths))
    wrong[1:] |= (zones.document[1:] == zones.document[:-1]) & (zones.start[1:] < zones.end[:-1])

    def finding(row: int) -> Finding:
        what = f"{found.zone_kinds[zones.label[row]]} [{zones.start[row]}, {zones.end[row]})"
        message = f"zone {what} is empty, lies outside the text, or overlaps another; mend it"
        return Finding(found.place(int(zones.document[row])), "zone", message)

    return told(np.flatnonzero(wrong), finding)


def _size(length: int) -> str:
    return f" of {length} code points" if length >= 0 else ""


def unlike_quotes(found: Extraction, texts: pa.Array, chunk: int = 2000) -> Ints:
    """Rows of the spans whose quote is not what stands at their bounds (which lie within their texts).

    Vectorised over the code points of `chunk` documents at a time.
    """
    spans, quotes = found.spans, found.quotes
    order = np.argsort(spans.document, kind="stable")
    wrong: list[Ints] = []
    for first in range(0, len(found), chunk):
        low, high = np.searchsorted(spans.document[order], [first, first + chunk])
        rows = order[low:high]
        some = pa.array(rows)
        known = ~np.asarray(quotes.take(some).is_null()) & ~np.asarray(
            texts.take(pa.array(spans.document[rows])).is_null()
        )
        rows = rows[known]
        if not len(rows):
            continue
        here = texts.slice(first, chunk)
        begin = np.cumsum(np.append(0, _ints(pc.fill_null(pc.utf8_length(here), 0))))
        characters = _code_points(here)
        said = quotes.take(pa.array(rows))
        sizes = _ints(pc.utf8_length(said))
        fits = sizes == spans.end[rows] - spans.start[rows]
        wrong.append(rows[~fits])
        letters = _code_points(said.filter(pa.array(fits)))
        rows, sizes = rows[fits], sizes[fits]
        actual = characters[runs(begin[spans.document[rows] - first] + spans.start[rows], sizes)]
        wrong.append(np.unique(np.repeat(rows, sizes)[actual != letters]))
    return np.sort(np.concatenate([np.empty(0, np.int64), *wrong]))


def _code_points(texts: pa.Array) -> NDArray[np.uint32]:
    joined = "".join(text or "" for text in texts.to_pylist())
    return np.frombuffer(joined.encode("utf-32-le"), np.uint32)
