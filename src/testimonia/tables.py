"""Arrow schemas of the dataset's configs, and Parquet in and out.

Storage follows what `datasets` 2.14 to 5.2 all read: `string` and `list` only, class labels as int64, and the
features in the legacy spelling under the key `huggingface` of the Parquet schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from testimonia.claims import Claims, claim_rows, mention_rows
from testimonia.document import Annotation, Gold, Relation, Span, relation_id, span_id
from testimonia.errors import InputError
from testimonia.language import Language
from testimonia.scheme import Scheme, column

Json = dict[str, Any]
# A feature: a dtype name, ("class", names), ("list", feature), or a mapping of names to features (a struct).
Feature = str | tuple[Literal["class"], list[str]] | tuple[Literal["list"], Any] | dict[str, Any]

CONFIGS = ("documents", "spans", "relations", "tokens", "annotations", "claims", "claim_mentions")

# What the configs are, and what their fields say; a name with a config counts before the bare one. Those of
# attributes are in the scheme.
ABOUT = {
    "documents": "one row per article, with its spans and relations nested",
    "spans": "one row per span of the gold",
    "relations": "one row per relation of the gold",
    "tokens": "one row per sentence, with tokens and IOB2 tags for each label",
    "annotations": "one row per annotator and article: what was entered, before any adjudication, and the adjudication",
    "claims": "one row per claim: what at least two articles say about the same thing",
    "claim_mentions": "one row per place where an article makes a claim",
}
MEANING = {
    "doc_id": "id of the article",
    "language": "language code of the article",
    "title": "headline, as far as there is one",
    "text": "the article, byte for byte as it was found",
    "text_sha256": "hex SHA-256 of the text in UTF-8",
    "translation": "how the article came into its language, as far as its text shows: human, machine or unknown",
    "zones": "parts of the text, in order; what no zone covers is white space",
    "zones[].start": "first code point of the zone",
    "zones[].end": "code point after its last",
    "zones[].kind": "title, body, caption, heading or boilerplate",
    "fold": "number of the article, for leave-one-article-out",
    "spans": "marked stretches of the text, by start, end and label",
    "id": "id, unique in the release: document, bounds and label",
    "start": "first code point of the span in `text` of its document",
    "end": "code point after its last",
    "label": "label",
    "provenance": "how the annotators stood to the span: agreed, attribute, boundary, label, some, one or added",
    "relations": "relations between spans of the document",
    "head": "id of the span that the relation starts from",
    "tail": "id of the span that it leads to",
    "head_text": "words of the head",
    "tail_text": "words of the tail",
    "sentence": "number of the sentence in its document, from 0",
    "tokens": "tokens of the sentence",
    "starts": "first code point of each token",
    "ends": "code point after the last of each token",
    "round": "round of annotation",
    "annotator": "pseudonym of the annotator",
    "state": "submitted, skipped or draft",
    "claim_id": "id of the claim",
    "type": "kind of claim",
    "gloss": "what is claimed, in a neutral English sentence",
    "languages": "languages of the articles that make it",
    "documents": "articles that make it",
    "mentions": "ids of its mentions",
    "marks": "how every two mentions of the claim stand to each other",
    "marks[].first": "one mention",
    "marks[].second": "the other",
    "marks[].mark": "same, compatible, conflicting or partial",
    "marks[].reason": "why, in a sentence",
    "mention_id": "id of the mention",
    "claim_mentions.spans": "ids of the spans that make the claim",
    "texts": "their words",
    "sources": "ids of the spans of its sources",
    "source_texts": "their words",
    "source_entities": "ids of the actors that these sources are, where they are actors",
    "bound": "how the value is bounded: exact, approx, lower, upper, range or vague; null without a value",
    "value_min": "lower value, in `unit`",
    "value_max": "upper value, in `unit`",
    "unit": "unit of the value",
    "annotations.spans": "marked stretches of the text, with the fields of `documents`",
    "annotations.relations": "relations between them, with the fields of `documents`",
    "relations[].id": "id, unique in the release: document, head, label and tail",
    "relations.id": "id, unique in the release: document, head, label and tail",
    "spans.text": "words of the span",
    "spans[].text": "words of the span",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a config: `path` (`spans[].start` for one of a list of structs), its feature, what it says."""

    path: str
    feature: Feature
    description: str


def fields(config: str, scheme: Scheme) -> list[Field]:
    """Every field of a config, those in lists of structs too, in column order."""
    found: list[Field] = []

    def add(prefix: str, columns: Mapping[str, Feature]) -> None:
        for name, feature in columns.items():
            found.append(Field(prefix + name, feature, _meaning(config, prefix + name, name, scheme)))
            if isinstance(feature, tuple) and feature[0] == "list" and isinstance(feature[1], dict):
                add(f"{prefix}{name}[].", feature[1])

    add("", features(config, scheme))
    return found


def _meaning(config: str, path: str, name: str, scheme: Scheme) -> str:
    for key in (f"{config}.{path}", path, name):
        if key in MEANING:
            return MEANING[key]
    if name in scheme.columns:
        label, attribute = scheme.columns[name]
        return f"{label.name}, {attribute.name}: {attribute.description}" + (", required" if attribute.required else "")
    label_name = next(one for one in scheme.label_names if tag_column(one) == name)
    return f"IOB2 tag of each token for {label_name}"


def features(config: str, scheme: Scheme) -> dict[str, Feature]:
    """The features of a config, in column order. Offsets are code points of the document's text."""
    span_label: Feature = ("class", scheme.label_names)
    relation_label: Feature = ("class", scheme.relation_names)
    attributes: dict[str, Feature] = {
        name: "float64" if attribute.type == "number" else "string" for name, (_, attribute) in scheme.columns.items()
    }
    span: dict[str, Feature] = {"id": "string", "start": "int64", "end": "int64", "text": "string"}
    relation: dict[str, Feature] = {"head": "string", "tail": "string"}
    zone: dict[str, Feature] = {"start": "int64", "end": "int64", "kind": "string"}
    own: dict[str, Feature] = {"provenance": "string"} if config != "annotations" else {}
    nested: dict[str, Feature] = {
        "spans": ("list", span | {"label": span_label} | own | attributes),
        "relations": ("list", {"id": "string", "label": relation_label} | relation),
    }
    row: dict[str, Feature] = {"doc_id": "string", "language": "string", "fold": "int64"}
    if config == "documents":
        document: dict[str, Feature] = {"title": "string", "text": "string", "text_sha256": "string"}
        rest: dict[str, Feature] = {"translation": "string", "zones": ("list", zone), "fold": "int64"}
        return {"doc_id": "string", "language": "string"} | document | rest | nested
    if config == "spans":
        return row | span | {"label": "string"} | own | attributes
    if config == "relations":
        texts: dict[str, Feature] = {"head_text": "string", "tail_text": "string"}
        return row | {"id": "string", "label": "string"} | relation | texts
    if config == "tokens":
        integers: Feature = ("list", "int64")
        tokens: dict[str, Feature] = {"sentence": "int64", "tokens": ("list", "string")}
        tags: dict[str, Feature] = {
            tag_column(name): ("list", ("class", tag_names(name))) for name in scheme.label_names
        }
        return row | tokens | {"starts": integers, "ends": integers} | tags
    if config == "annotations":
        who: dict[str, Feature] = {"round": "string", "annotator": "string", "state": "string"}
        return {"doc_id": "string", "language": "string"} | who | nested
    strings: Feature = ("list", "string")
    if config == "claims":
        about: dict[str, Feature] = {"claim_id": "string", "type": "string", "gloss": "string"}
        mark: dict[str, Feature] = dict.fromkeys(("first", "second", "mark", "reason"), "string")
        return about | {"languages": strings, "documents": strings, "mentions": strings, "marks": ("list", mark)}
    if config == "claim_mentions":
        numbers: dict[str, Feature] = {"value_min": "float64", "value_max": "float64"}
        value: dict[str, Feature] = {"bound": "string"} | numbers | {"unit": "string"}
        names = ("spans", "texts", "sources", "source_texts", "source_entities")
        return {"claim_id": "string", "mention_id": "string"} | row | dict.fromkeys(names, strings) | value
    raise ValueError(config)


def tag_column(label: str) -> str:
    """`ACTOR` -> `actor_tags`."""
    return f"{label.lower()}_tags"


def tag_names(label: str) -> list[str]:
    """The IOB2 tags of one label, in class order."""
    return ["O", f"B-{label}", f"I-{label}"]


def arrow_type(feature: Feature) -> pa.DataType:
    if isinstance(feature, str):
        return {"string": pa.string(), "int64": pa.int64(), "float64": pa.float64()}[feature]
    if isinstance(feature, dict):
        return pa.struct([(name, arrow_type(inner)) for name, inner in feature.items()])
    return pa.int64() if feature[0] == "class" else pa.list_(arrow_type(feature[1]))


def legacy(feature: Feature) -> Any:
    """A feature in the spelling that every release of `datasets` reads from a Parquet schema."""
    if isinstance(feature, str):
        return {"dtype": feature, "_type": "Value"}
    if isinstance(feature, dict):
        return {name: legacy(inner) for name, inner in feature.items()}
    if feature[0] == "class":
        return {"names": feature[1], "_type": "ClassLabel"}
    if isinstance(feature[1], dict):
        return [legacy(feature[1])]
    return {"feature": legacy(feature[1]), "_type": "Sequence"}


def yaml_feature(feature: Feature) -> Json:
    """A feature in the spelling of the `dataset_info` block of a card, without its name."""
    if isinstance(feature, str):
        return {"dtype": feature}
    if isinstance(feature, dict):
        return {"struct": yaml_features(feature)}
    if feature[0] == "class":
        return {"dtype": {"class_label": {"names": {str(i): name for i, name in enumerate(feature[1])}}}}
    if isinstance(feature[1], dict):
        return {"list": yaml_features(feature[1])}
    return {"sequence": yaml_feature(feature[1])["dtype"]}


def yaml_features(struct: Mapping[str, Feature]) -> list[Json]:
    return [{"name": name} | yaml_feature(feature) for name, feature in struct.items()]


def feature_of(found: Any) -> Feature:
    """A feature from the spelling of `legacy`."""
    if isinstance(found, list):
        return ("list", {name: feature_of(inner) for name, inner in found[0].items()})
    kind = found.get("_type")
    if kind == "Value":
        return str(found["dtype"])
    if kind == "ClassLabel":
        return ("class", list(found["names"]))
    if kind == "Sequence":
        return ("list", feature_of(found["feature"]))
    return {name: feature_of(inner) for name, inner in found.items()}


def schema(config: str, scheme: Scheme) -> pa.Schema:
    """The Arrow schema of a config, with the features for `datasets` in its metadata."""
    return schema_of(features(config, scheme))


def schema_of(columns: Mapping[str, Feature]) -> pa.Schema:
    """The Arrow schema of columns, with the features for `datasets` in its metadata."""
    info = json.dumps({"info": {"features": legacy(dict(columns))}})
    return pa.schema([(name, arrow_type(f)) for name, f in columns.items()], metadata={"huggingface": info})


def rows(
    config: str,
    scheme: Scheme,
    languages: Mapping[str, Language],
    golds: Sequence[Gold],
    annotations: Iterable[Annotation] = (),
    claims: Claims | None = None,
) -> list[Json]:
    """The rows of a config, sorted; `annotations` and `claims` are used by the configs of those names only."""
    if config == "documents":
        return [_document_row(gold, scheme) for gold in golds]
    if config == "spans":
        return [
            _row(gold) | _span_row(gold, span, scheme) | {"label": span.label, "provenance": provenance}
            for gold in golds
            for span, provenance in _traced(gold)
        ]
    if config == "relations":
        return [_row(gold) | _relation_row(gold, relation) for gold in golds for relation in sorted(gold.relations)]
    if config == "tokens":
        return [row for gold in golds for row in _token_rows(gold, scheme, languages[gold.document.language])]
    if config == "claims":
        return claim_rows(claims or Claims(), golds)
    if config == "claim_mentions":
        return mention_rows(claims or Claims(), golds, scheme)
    by_id = {gold.document.doc_id: gold for gold in golds}
    return [
        _annotation_row(by_id[annotation.doc_id], annotation, scheme)
        for annotation in sorted(annotations, key=lambda a: (a.doc_id, a.round, a.annotator, a.state))
        if annotation.doc_id in by_id
    ]


def _row(gold: Gold) -> Json:
    document = gold.document
    return {"doc_id": document.doc_id, "language": document.language, "fold": document.fold}


def _document_row(gold: Gold, scheme: Scheme) -> Json:
    document = gold.document
    return {
        "doc_id": document.doc_id,
        "language": document.language,
        "title": document.title,
        "text": document.text,
        "text_sha256": document.text_sha256,
        "translation": document.translation,
        "zones": [{"start": zone.start, "end": zone.end, "kind": zone.kind} for zone in document.zones],
        "fold": document.fold,
        "spans": [_nested_span(gold, span, scheme) | {"provenance": provenance} for span, provenance in _traced(gold)],
        "relations": _nested_relations(gold, gold.relations, scheme),
    }


def _traced(gold: Gold) -> list[tuple[Span, str | None]]:
    """The gold spans in order, each with its provenance; None where gold does not say."""
    words = dict(zip(gold.spans, gold.provenance, strict=False))
    return [(span, words.get(span)) for span in sorted(gold.spans)]


def _nested_span(gold: Gold, span: Span, scheme: Scheme) -> Json:
    return _span_row(gold, span, scheme) | {"label": scheme.label_names.index(span.label)}


def _nested_relations(gold: Gold, relations: Iterable[Relation], scheme: Scheme) -> list[Json]:
    doc_id = gold.document.doc_id
    return [
        {
            "id": relation_id(doc_id, relation),
            "label": scheme.relation_names.index(relation.label),
            "head": span_id(doc_id, relation.head),
            "tail": span_id(doc_id, relation.tail),
        }
        for relation in sorted(relations)
    ]


def _span_row(gold: Gold, span: Span, scheme: Scheme) -> Json:
    values = {column(span.label, name): value for name, value in span.attributes}
    return {
        "id": span_id(gold.document.doc_id, span),
        "start": span.start,
        "end": span.end,
        "text": gold.document.text[span.start : span.end],
    } | {name: values.get(name) for name in scheme.columns}


def _relation_row(gold: Gold, relation: Relation) -> Json:
    doc_id, text = gold.document.doc_id, gold.document.text
    return {
        "id": relation_id(doc_id, relation),
        "label": relation.label,
        "head": span_id(doc_id, relation.head),
        "tail": span_id(doc_id, relation.tail),
        "head_text": text[relation.head.start : relation.head.end],
        "tail_text": text[relation.tail.start : relation.tail.end],
    }


def _annotation_row(gold: Gold, annotation: Annotation, scheme: Scheme) -> Json:
    return {
        "doc_id": annotation.doc_id,
        "language": gold.document.language,
        "round": annotation.round,
        "annotator": annotation.annotator,
        "state": annotation.state,
        "spans": [_nested_span(gold, span, scheme) for span in sorted(annotation.spans)],
        "relations": _nested_relations(gold, annotation.relations, scheme),
    }


def _token_rows(gold: Gold, scheme: Scheme, language: Language) -> list[Json]:
    text = gold.document.text
    result = []
    for index, (start, end) in enumerate(language.sentences(text)):
        tokens = language.tokens(text, start, end)
        row = _row(gold) | {
            "sentence": index,
            "tokens": [text[left:right] for left, right in tokens],
            "starts": [left for left, _ in tokens],
            "ends": [right for _, right in tokens],
        }
        for label in scheme.label_names:
            row[tag_column(label)] = iob2(tokens, [span for span in gold.spans if span.label == label])
        result.append(row)
    return result


def iob2(tokens: Sequence[tuple[int, int]], spans: Iterable[Span]) -> list[int]:
    """IOB2 class numbers (0 O, 1 B, 2 I) of the spans that begin and end on edges of these tokens.

    Of spans that overlap, the first by start, then the longest, is kept.
    """
    tags = [0] * len(tokens)
    first = {start: index for index, (start, _) in enumerate(tokens)}
    last = {end: index for index, (_, end) in enumerate(tokens)}
    for span in sorted(spans, key=lambda s: (s.start, -s.end)):
        left, right = first.get(span.start), last.get(span.end)
        if left is not None and right is not None and not any(tags[left : right + 1]):
            tags[left : right + 1] = [1] + [2] * (right - left)
    return tags


def parquet_name(config: str, split: str = "test") -> str:
    return f"{config}/{split}-00000-of-00001.parquet"


def split_of(name: str) -> str:
    """The split that a file of that name is of."""
    return name.rpartition("/")[2].partition("-")[0]


def files_of(entry: Json) -> list[Json]:
    """The files of a config, one a split, as a manifest lists them: under `files`, or the entry itself."""
    listed: list[Json] = entry.get("files") or [entry]
    return listed


def write_parquet(path: Path, table_rows: Sequence[Json], table_schema: pa.Schema) -> None:
    """Rows as one Parquet file; the same rows and pyarrow give the same bytes."""
    pq.write_table(
        pa.Table.from_pylist(list(table_rows), schema=table_schema),
        path,
        version="2.6",
        compression="zstd",
        compression_level=9,
        data_page_version="1.0",
        row_group_size=1000,
        use_dictionary=True,
        write_statistics=True,
    )


def unpacked(path: Path) -> int:
    """How many bytes may be in a packed file: more than any of its size has that was not made to fill the memory."""
    return max(1 << 26, path.stat().st_size << 7)


def _read(file: pq.ParquetFile, most: int) -> pa.Table:
    """All rows of a file. Raises ValueError where they take more than so many bytes."""
    # Of groups no more is asked: what pyarrow says of columns ends the process where a footer is spoilt.
    said, rows = file.metadata, file.metadata.num_rows
    size = sum(said.row_group(number).total_byte_size for number in range(said.num_row_groups))
    if size <= most and (rows + 1) * size <= most:
        return file.read()  # not even if each value were as long as all
    tables, held = [file.schema_arrow.empty_table()], max(4 * size, rows)
    for batch in file.iter_batches(32 * (most >> 26) ** 2) if held <= most else ():
        tables.append(_undictionaried(pa.Table.from_batches([batch])))
        held += tables[-1].nbytes
        if held > most:
            break
    if held > most:
        raise ValueError(f"it unpacks to more than {most >> 20} MB")
    return pa.concat_tables([_undictionaried(tables[0]), *tables[1:]])


def _undictionaried(table: pa.Table) -> pa.Table:
    """The same with each value as long as it is."""
    for number, one in enumerate(table.schema):
        if pa.types.is_dictionary(one.type):
            column = table.column(number).cast(one.type.value_type)
            table = table.set_column(number, one.with_type(one.type.value_type), column)
    return table


def read_parquet(path: Path) -> pa.Table:
    """A Parquet file. Raises InputError where it cannot be read, or unpacks to far more than its size."""
    with _readable(path):
        table = _read(pq.ParquetFile(path), unpacked(path))
        table.validate(full=True)
        return table


def batches(paths: Iterable[Path], rows: int = 1000) -> Iterator[pa.RecordBatch]:
    """The rows of Parquet files in order, so many at a time.

    Raises InputError where one cannot be read, or unpacks to far more than its size.
    """
    for path in paths:
        with _readable(path), pq.ParquetFile(path) as file:
            left = unpacked(path)
            for batch in file.iter_batches(rows):
                batch.validate(full=True)
                left -= batch.nbytes + batch.num_rows
                if left < 0:
                    raise ValueError(f"it unpacks to more than {unpacked(path) >> 20} MB")
                yield batch


def read_schema(path: Path) -> pa.Schema:
    """The Arrow schema of a Parquet file. Raises InputError where it cannot be read."""
    with _readable(path):
        return pq.read_schema(path)


def size(path: Path) -> int:
    """The number of rows of a Parquet file. Raises InputError where it cannot be read."""
    with _readable(path):
        return int(pq.read_metadata(path).num_rows)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {error}; restore the file") from None


class Stream:
    """Rows of batches, taken in order, any number at a time."""

    def __init__(self, batches: Iterable[pa.RecordBatch], columns: pa.Schema) -> None:
        self._batches, self._schema = iter(batches), columns
        self._left = pa.Table.from_batches([], columns)

    def peek(self, rows: int) -> pa.Table:
        """So many rows, or as many as there are; they stay."""
        while self._left.num_rows < rows and (batch := next(self._batches, None)) is not None:
            self._left = pa.concat_tables([self._left, pa.Table.from_batches([batch], self._schema)])
        return self._left.slice(0, rows)

    def take(self, rows: int) -> pa.Table:
        """So many rows, or as many as there are."""
        found = self.peek(rows)
        self._left = self._left.slice(rows)
        return found


def flat(config: str, batch: pa.RecordBatch, scheme: Scheme) -> pa.Table | None:
    """The rows of the config `spans` or `relations` that documents give; None where that takes objects to tell.

    `batch`: rows of the config `documents` in which nothing is wrong. It takes objects where their lists are not in
    the order of `rows`.
    """
    if config not in ("spans", "relations"):
        return None
    cells = {name: values for name in ("spans", "relations") for values in [_children(batch[name].flatten())]}
    parents = {name: pc.list_parent_indices(batch[name]) for name in cells}
    spans, own = cells["spans"], cells[config]
    names = scheme.label_names if config == "spans" else scheme.relation_names
    found = {name: batch[name].take(parents[config]) for name in ("doc_id", "language", "fold")} | own
    found["label"] = pa.array(names, pa.string()).take(own["label"])
    keys = [(parents["spans"], spans["start"], spans["end"], pa.array(scheme.label_names).take(spans["label"]))]
    if config == "relations":
        rows = [pc.index_in(own[end], spans["id"]) for end in ("head", "tail")]
        found |= {f"{end}_text": spans["text"].take(row) for end, row in zip(("head", "tail"), rows, strict=True)}
        keys.append((parents["relations"], found["label"], *rows))
    ordered = all(_rises(*key) for key in keys)
    return pa.table([found[name] for name in schema(config, scheme).names], schema(config, scheme)) if ordered else None


def _rises(*columns: pa.Array) -> bool:
    """Whether rows rise from one to the next, by the first column, then the second, ..."""
    table = pa.table(list(columns), [str(number) for number in range(len(columns))])
    order = pc.sort_indices(table, [(name, "ascending") for name in table.column_names])
    there = pa.array(range(len(table)), order.type)
    return bool(order.equals(there)) and len(table.group_by(table.column_names).aggregate([])) == len(table)


def _children(structs: Any) -> dict[str, pa.Array]:
    return {structs.type.field(number).name: array for number, array in enumerate(structs.flatten())}
