"""Gold and predictions in the forms that datasets and models give them, read into an `Extraction`.

Parquet and JSONL of this project's shape; tags over tokens (IOB2, IOBES); Label Studio predictions; spaCy `Doc`s, as
objects, as JSON and in a `DocBin`; the lists of entities that GLiNER returns.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from testimonia.document import Document, Relation, Span, Zone
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.exports import export_of
from testimonia.extraction import Extraction, class_names, of_rows, of_table
from testimonia.scheme import Label, Scheme
from testimonia.tables import read_parquet, unpacked

Json = dict[str, Any]
Places = Iterable[tuple[str, Any]]
Tokens = Mapping[tuple[str, int], list[tuple[int, int]]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read. From tags: the tokens, and the columns of tags without `_tags`."""

    extraction: Extraction
    findings: tuple[Finding, ...] = ()
    tokens: Tokens | None = None
    columns: tuple[str, ...] = ()


def read_gold(source: object, where: str = "gold") -> Extraction:
    """Gold from a dataset folder, a file, an Arrow table, a `datasets.Dataset`, or records. Raises InputError."""
    if isinstance(source, Extraction):
        return source
    if isinstance(source, str | Path):
        return _rows_or_table(Path(source), None, None, None).extraction
    return _of_object(source, where, None, None, None).extraction


def read_predictions(
    source: object, gold: Extraction, tokens: Tokens | None = None, model: str | None = None, where: str = "predictions"
) -> Reading:
    """Predictions in any of the forms. Documents without doc_id are known by their text, which must be the gold's.

    `tokens`: what tags stand over where the predictions do not say it themselves. `model`: of several in Label
    Studio tasks, the one. Raises InputError, FindingsError.
    """
    if isinstance(source, Extraction):
        return Reading(source)
    if isinstance(source, str | Path):
        return _rows_or_table(Path(source), gold, tokens, model)
    return _of_object(source, where, gold, tokens, model)


def read_documents(path: Path) -> list[Document]:
    """Texts to predict on, from a dataset folder, Parquet, or records with `doc_id`, `language`, `text` (and `zones`).

    Raises InputError where one of the three is not there, or a doc_id stands twice.
    """
    files = files_of(path)
    if all(file.suffix.lower() == ".parquet" for file in files):
        rows = [(f"{file}[{n}]", row) for file in files for n, row in enumerate(_texts(file))]
    else:
        rows = [entry for file in files for entry in read_rows(file)]
    documents: dict[str, Document] = {}
    for place, row in rows:
        values = row if isinstance(row, dict) else {}
        doc_id, language, text = (values.get(name) for name in ("doc_id", "language", "text"))
        language = language or values.get("lang")
        if not (isinstance(doc_id, str) and isinstance(language, str) and isinstance(text, str)):
            raise InputError(f"{place}: has no doc_id, language or text; give all three as strings")
        if doc_id in documents:
            raise InputError(f"{place}: {doc_id} stands twice; keep one")
        documents[doc_id] = Document(doc_id, language, text, zones=_zones(place, values.get("zones")))
    if not documents:
        raise InputError(f"{path}: is empty; give documents with doc_id, language and text")
    return list(documents.values())


def _zones(place: str, zones: Any) -> tuple[Zone, ...]:
    try:
        return tuple(sorted(Zone(int(zone["start"]), int(zone["end"]), str(zone["kind"])) for zone in zones or []))
    except (TypeError, ValueError, KeyError):
        raise InputError(f"{place}: zones are no list of start, end, kind; mend them or leave them out") from None


def _texts(path: Path) -> list[Json]:
    table = read_parquet(path)
    wanted = [name for name in ("doc_id", "language", "lang", "text", "zones") if name in table.column_names]
    for name in wanted:
        if table.column_names.count(name) > 1:
            raise InputError(f"{path}: has several columns {name}; keep one")
    rows: list[Json] = table.select(wanted).to_pylist()
    return rows


def read_records(path: Path) -> list[tuple[str, Any]]:
    """The records of a JSONL or JSON file, each with its place. Raises InputError."""
    rows = [entry for file in files_of(path) for entry in read_rows(file)]
    if not rows:
        raise InputError(f"{path}: is empty; give one record a line")
    return rows


def record_of(document: Document, model: str, spans: Sequence[Span], relations: Iterable[Relation]) -> Json:
    """A prediction as a record of JSONL that `read_predictions` reads; relations name spans by their number."""
    number = {span: row for row, span in enumerate(spans)}
    return {
        "doc_id": document.doc_id,
        "language": document.language,
        "model": model,
        "spans": [
            {"start": s.start, "end": s.end, "label": s.label, "text": document.text[s.start : s.end]}
            | {"attributes": dict(s.attributes)}
            for s in spans
        ],
        "relations": [{"label": r.label, "head": number[r.head], "tail": number[r.tail]} for r in relations],
    }


def prediction_schema(scheme: Scheme) -> Json:
    """The JSON Schema (2020-12) of a line of predictions, as `record_of` writes it, for the labels of a scheme.

    What a model need not say may be left out; fields of other names are let through.
    """
    integer, string = {"type": "integer", "minimum": 0}, {"type": "string"}
    attributes = [
        {
            "if": {"properties": {"label": {"const": label.name}}},
            "then": {"properties": {"attributes": {"type": "object", "properties": _values_of(label)}}},
        }
        for label in scheme.labels
    ]
    span = {
        "type": "object",
        "required": ["start", "end", "label"],
        "properties": {
            "start": integer | {"description": "first code point of the span in the text of the document"},
            "end": integer | {"description": "code point after its last"},
            "label": {"enum": scheme.label_names},
            "text": string | {"description": "words of the span; if given, they are checked"},
            "score": {"type": "number"},
        },
        "allOf": attributes,
    }
    relation = {
        "type": "object",
        "required": ["label", "head", "tail"],
        "properties": {
            "label": {"enum": scheme.relation_names},
            "head": integer | {"description": "number of the span in `spans`, from 0"},
            "tail": integer | {"description": "number of the span in `spans`, from 0"},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"a line of predictions for {scheme.name} {scheme.version}",
        "type": "object",
        "required": ["doc_id", "spans"],
        "properties": {
            "doc_id": string | {"minLength": 1},
            "language": string,
            "model": string,
            "spans": {"type": "array", "items": span},
            "relations": {"type": "array", "items": relation},
        },
    }


def _values_of(label: Label) -> Json:
    """What the attributes of a label may be, by name."""
    found: Json = {}
    for one in label.attributes:
        told: Json = {"enum": [*one.values, None]} if one.type == "choice" else {"type": ["string", "null"]}
        if one.type == "number":
            told = {"type": ["number", "null"]}
        found[one.name] = told | {"description": one.description}
    return found


def tokens_of(gold: object) -> Tokens | None:
    """The tokens of each sentence, from the config `tokens` where the gold is a dataset folder that has one."""
    folder = Path(gold) / "tokens" if isinstance(gold, str | Path) else None
    files = sorted(folder.glob("*.parquet")) if folder and folder.is_dir() else []
    found = {}
    for path in files:
        for row in read_parquet(path).to_pylist():
            try:
                found[row["doc_id"], row["sentence"]] = list(zip(row["starts"], row["ends"], strict=True))
            except (KeyError, TypeError, ValueError):
                raise InputError(f"{path}: has no doc_id, sentence, starts or ends; restore the dataset") from None
    return found or None


def reading_of_table(table: pa.Table, where: str) -> Reading:
    """Documents with nested spans, or tags with their tokens, in an Arrow table. Raises InputError."""
    return _of_table(table, where, None)


def reading_of_rows(places: Sequence[tuple[str, Any]], gold: Extraction | None, model: str | None) -> Reading:
    """Records, each with the place where it stands. Raises InputError."""
    return _of_places(list(places), gold, None, model)


def _rows_or_table(path: Path, gold: Extraction | None, tokens: Tokens | None, model: str | None) -> Reading:
    files = files_of(path)
    if all(file.suffix.lower() == ".parquet" for file in files):
        tables = [read_parquet(file) for file in files]
        if len({(table.schema.metadata or {}).get(b"huggingface") for table in tables}) > 1:
            raise InputError(f"{path}: the files name their features differently; write them with one schema")
        try:
            table = pa.concat_tables(tables)
        except pa.ArrowException as error:
            raise InputError(f"{path}: files of different columns: {error}; give them one by one") from None
        return _of_table(table, str(path), tokens)
    rows: list[tuple[str, Any]] = [entry for file in files for entry in read_rows(file)]
    if not rows:
        raise InputError(f"{path}: is empty; a document without spans is a line with an empty list of them")
    return _of_places(rows, gold, tokens, model)


_SUFFIXES = (".parquet", ".jsonl", ".jsonl.gz", ".json")


def files_of(path: Path) -> list[Path]:
    """The files of documents at a path: itself, those in its folder documents/, or those in it. Raises InputError."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: is not there; give a dataset folder, or a Parquet or JSONL file")
    for folder in (path / "documents", path):
        files = (
            sorted(file for file in folder.glob("*") if file.name.lower().endswith(_SUFFIXES))
            if folder.is_dir()
            else []
        )
        if len({file.suffix.lower() == ".parquet" for file in files}) > 1:
            raise InputError(f"{folder}: holds Parquet and JSON; give the one that is meant")
        if files:
            return files
    raise InputError(f"{path}: holds neither documents/*.parquet nor *.parquet nor *.jsonl; give the files")


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """The records of a file with their places: one JSON value a line, or one JSON array or object of records."""
    if path.suffix == ".spacy":
        yield from _doc_bin(path)
        return
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8-sig") as file:
            bounded = _Bounded(path, file)
            first = next((line for line in bounded if line.strip()), "")
            if not first:
                return
            try:
                row = json.loads(first)
            except (ValueError, RecursionError):
                row = None
            if first.lstrip().startswith("[") or row is None:
                yield from _whole(path, first + bounded.rest())
                return
            yield from _records_of(f"{path}:1", row)
            for number, line in enumerate(bounded, 2):
                if line.strip():
                    try:
                        row = json.loads(line)
                    except (ValueError, RecursionError) as error:
                        raise InputError(f"{path}:{number}: is no JSON: {_reason(error)}; mend the line") from None
                    yield from _records_of(f"{path}:{number}", row)
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}; restore the file") from None


_LINE = 32  # bytes that a line counts beside its length, as lines of next to nothing take time


class _Bounded:
    """The lines of a file, of which a packed one may not unpack to far more than its size. Raises InputError."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self._file = path, file
        self._left = unpacked(path)

    def __iter__(self) -> Iterator[str]:
        while line := self._checked(self._file.readline(max(0, self._left) + 1)):
            self._left -= _LINE
            yield line

    def rest(self) -> str:
        """All that is left."""
        return self._checked(self._file.read(self._left + 1))

    def _checked(self, text: str) -> str:
        self._left -= len(text)
        if text and self._left < 0:
            raise InputError(f"{self._path}: unpacks to far more than its size; unpack it, and look what it is")
        return text


def _whole(path: Path, content: str) -> Iterator[tuple[str, Any]]:
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}:{getattr(error, 'lineno', 1)}: is no JSON: {_reason(error)}; mend the line") from None
    if isinstance(value, list):
        for number, row in enumerate(value):
            yield f"{path}[{number}]", row
    else:
        yield from _records_of(str(path), value)


def _reason(error: Exception) -> str:
    return f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)


def _records_of(place: str, row: Any) -> Iterator[tuple[str, Any]]:
    """A record as it is; an object of lists by doc_id as a record each."""
    known = {"spans", "ents", "entities", "tags", "quotes"}
    if isinstance(row, dict) and row and not known & row.keys() and all(isinstance(v, list) for v in row.values()):
        for doc_id, entities in row.items():
            yield f"{place}: {doc_id}", {"doc_id": doc_id, "entities": entities}
    else:
        yield place, row


def _doc_bin(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        from spacy.tokens import DocBin
        from spacy.vocab import Vocab
    except ImportError:
        raise InputError(
            f"{path}: a DocBin needs spaCy; pip install 'testimonia[spacy]', or write doc.to_json() as JSONL"
        ) from None
    try:
        data, most = path.read_bytes(), unpacked(path)
        if len(zlib.decompressobj().decompress(data, most)) == most:
            raise ValueError("unpacks to far more than its size")
        docs = list(DocBin(store_user_data=True).from_bytes(data).get_docs(Vocab()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read as a DocBin: {error}; restore the file") from None
    for number, doc in enumerate(docs):
        yield f"{path}[{number}]", _of_doc(doc)


def _of_doc(doc: Any, doc_id: str | None = None) -> Json:
    """A spaCy `Doc` as a record; its id from `user_data["doc_id"]`."""
    spans = [{"start": ent.start_char, "end": ent.end_char, "label": ent.label_} for ent in doc.ents]
    name = doc_id or (doc.user_data.get("doc_id") if isinstance(doc.user_data, dict) else None)
    return {"doc_id": name, "text": doc.text, "spans": spans}


def _of_object(source: Any, where: str, gold: Extraction | None, tokens: Tokens | None, model: str | None) -> Reading:
    if isinstance(source, pa.RecordBatch):
        source = pa.Table.from_batches([source])
    if hasattr(source, "__arrow_c_stream__") and not isinstance(source, pa.Table):
        source = pa.table(source)
    if isinstance(source, pa.Table):
        return _of_table(source, where, tokens)
    if hasattr(source, "with_format") and not hasattr(source, "__len__"):  # a stream of `datasets`
        schema = source.features.arrow_schema if source.features else None
        return _of_table(pa.Table.from_pylist(list(source), schema=schema), where, tokens)
    if hasattr(source, "with_format") and hasattr(source, "features"):
        table = source.with_format("arrow")[:]
        return _of_table(table.replace_schema_metadata(source.features.arrow_schema.metadata), where, tokens)
    if isinstance(source, Mapping) and any(hasattr(value, "with_format") for value in source.values()):
        raise InputError(f"{where}: holds the splits {', '.join(map(str, source))}; give one of them")
    if isinstance(source, Mapping) and "doc_id" in source:
        rows = [(where, dict(source))]
    elif isinstance(source, Mapping):
        rows = [(str(doc_id), _named(str(doc_id), value)) for doc_id, value in source.items()]
    elif isinstance(source, Iterable):
        rows = [
            (f"{where}[{number}]", _of_doc(row) if hasattr(row, "ents") else row) for number, row in enumerate(source)
        ]
    else:
        raise InputError(f"{where}: is {type(source).__name__}; give a path, a table, a Dataset, or records")
    return _of_places(rows, gold, tokens, model)


def _named(doc_id: str, value: Any) -> Any:
    if hasattr(value, "ents"):
        return _of_doc(value, doc_id)
    return {"doc_id": doc_id} | value if isinstance(value, dict) else {"doc_id": doc_id, "entities": value}


def _of_table(table: pa.Table, where: str, tokens: Tokens | None) -> Reading:
    columns = [name for name in table.column_names if _is_tags(name)]
    if not columns or "spans" in table.column_names:
        return Reading(of_table(table, where))
    names = {name: class_names(table.schema, name) for name in columns}
    rows = table.to_pylist()
    for row in rows:
        for name, words in names.items():
            if words:
                row[name] = [_tag(f"{where}: {name}", words, tag) for tag in row[name] or []]
    return _of_tags([(f"{where}[{number}]", row) for number, row in enumerate(rows)], tokens)


def _tag(where: str, words: list[str], tag: Any) -> Any:
    if isinstance(tag, int) and 0 <= tag < len(words):
        return words[tag]
    if isinstance(tag, str):
        return tag
    raise InputError(f"{where}: {tag!r} is none of the {len(words)} classes; leave out what a model pads or masks with")


def _of_places(
    places: list[tuple[str, Any]], gold: Extraction | None, tokens: Tokens | None, model: str | None
) -> Reading:
    for place, row in places:
        if not isinstance(row, dict):
            raise InputError(
                f"{place}: is no object but {type(row).__name__}; give each document as an object with its doc_id"
            )
    first = places[0][1] if places else {}
    if "spans" not in first and any(_is_tags(name) for name in first):
        return _of_tags(places, tokens)
    if isinstance(first.get("data"), dict):
        return _of_tasks(places, model)
    if model is not None:
        raise InputError(
            f"--model {model}: chooses among the predictions in Label Studio tasks; these are of one model"
        )
    known = _Known(gold)
    return Reading(of_rows((place, known.named(place, _with_spans(place, row))) for place, row in places))


class _Known:
    """The doc_ids of the gold by text, made when the first record without an id comes."""

    def __init__(self, gold: Extraction | None) -> None:
        self._gold, self._by_text = gold, dict[str, list[str]]()

    def named(self, place: str, row: Json) -> Json:
        text = row.get("text")
        if row.get("doc_id") is not None or self._gold is None or not isinstance(text, str):
            return row
        if not self._by_text:
            for doc_id, other in zip(self._gold.doc_ids.to_pylist(), self._gold.texts.to_pylist(), strict=True):
                self._by_text.setdefault(other or "", []).append(doc_id)
        found = self._by_text.get(text, [])
        if len(found) != 1:
            why = "no document of the gold has this text" if not found else f"{' and '.join(found)} have this text"
            raise InputError(f"{place}: has no doc_id, and {why}; give it a doc_id")
        return row | {"doc_id": found[0]}


def _with_spans(place: str, row: Json) -> Json:
    """A record with its spans under `spans`, whichever of the known names they had."""
    if "spans" in row and not ("ents" in row and isinstance(row["spans"], dict)):  # span groups of spaCy
        return row
    key = next((name for name in ("ents", "entities") if name in row), None)
    if key is None:
        return row
    found = row[key]
    if not isinstance(found, list):
        raise InputError(f"{place}: {key} is no list; a document without any has an empty one")
    spans = []
    for item in found:
        if isinstance(item, list | tuple) and len(item) == 3:
            item = dict(zip(("start", "end", "label"), item, strict=True))
        spans.append(
            {name: value for name, value in item.items() if name != "score" and not isinstance(value, list | dict)}
            if isinstance(item, dict)
            else item
        )
    user_data = row.get("user_data")
    doc_id = row.get("doc_id", user_data.get("doc_id") if isinstance(user_data, dict) else None)
    return {name: row[name] for name in ("language", "lang", "text", "model", "relations") if name in row} | {
        "doc_id": doc_id,
        "spans": spans,
    }


def _of_tasks(places: list[tuple[str, Any]], model: str | None) -> Reading:
    """The predictions of one model in Label Studio tasks."""
    found: set[str] = set()
    tasks = []
    bare = 0
    for place, task in places:
        if not isinstance(task.get("data"), dict):
            raise InputError(f"{place}: is no task of Label Studio, the ones before it are; give one form in one file")
        given = task.get("predictions") or []
        if not isinstance(given, list):
            raise InputError(f"{place}: predictions is no list; export the tasks with their predictions")
        predictions = [one for one in given if isinstance(one, dict)]
        bare += len(given) - len(predictions)
        versions = {str(one.get("model_version") or "undefined") for one in predictions}
        found |= versions
        chosen = [one for one in predictions if model in (None, str(one.get("model_version") or "undefined"))]
        if len(chosen) > 1 and len(versions) == 1:
            raise InputError(f"{place}: has {len(chosen)} predictions of {next(iter(versions))}; keep one")
        entries = [{"result": one.get("result"), "completed_by": "model"} for one in chosen[:1]]
        tasks.append({**task, "annotations": entries, "drafts": []})
    if not found:
        raise InputError(f"{places[0][0]}: no task has a prediction; export the tasks with their predictions")
    if model is None and len(found) > 1:
        raise InputError(f"{places[0][0]}: predictions of {', '.join(sorted(found))}; name one with --model")
    if model is not None and model not in found:
        raise InputError(f"--model {model}: has no prediction here; there are: {', '.join(sorted(found))}")
    message = f"{bare:,} predictions are ids alone; left out, export the tasks with their predictions"
    findings = [Finding(places[0][0], "prediction-bare", message, "warning")] if bare else []
    export = export_of([(places[0][0], tasks)], findings=findings)
    if wrong := errors_among(export.findings):
        raise FindingsError(f"{len(wrong)} errors in the tasks; nothing was scored", wrong)
    by_id = {annotation.doc_id: annotation for annotation in export.annotations}
    if len(by_id) < len(export.annotations):
        twice = next(doc_id for doc_id, n in Counter(a.doc_id for a in export.annotations).items() if n > 1)
        raise InputError(f"{twice}: stands in two tasks with predictions of {model or next(iter(found))}; keep one")
    name = model or next(iter(found))
    rows = []
    for document in export.documents:
        if annotation := by_id.get(document.doc_id):
            record = record_of(document, name, annotation.spans, annotation.relations)
            rows.append((document.doc_id, record | {"text": document.text}))
    return Reading(of_rows(rows), export.findings)


def _is_tags(name: str) -> bool:
    return name == "tags" or name.endswith("_tags")


def _of_tags(places: Places, tokens: Tokens | None) -> Reading:
    """Rows of tags over tokens, one a sentence. Each column is a layer of its own."""
    documents: dict[str, Json] = {}
    names: dict[str, None] = {}
    over: dict[tuple[str, int], list[tuple[int, int]]] = {}
    own: set[str] = set()  # documents that come with tokens of their own
    broken = 0
    for place, row in places:
        doc_id, sentence = row.get("doc_id"), row.get("sentence", 0)
        if "spans" in row or not any(_is_tags(name) for name in row):
            raise InputError(f"{place}: has no tags, the rows before have; give one form in one file")
        if not isinstance(doc_id, str) or not isinstance(sentence, int):
            raise InputError(f"{place}: has no doc_id, or its sentence is no number; each row of tags has both")
        here = _tokens_of(place, row, doc_id, sentence, tokens)
        if (doc_id, sentence) in over:
            raise InputError(f"{place}: sentence {sentence} of {doc_id} stands twice; keep one")
        over[doc_id, sentence] = here
        record = documents.setdefault(doc_id, {"doc_id": doc_id, "spans": [], "model": row.get("model")})
        for name in row:
            if not _is_tags(name):
                continue
            tags = row[name]
            if not isinstance(tags, list) or len(tags) != len(here):
                size = len(tags) if isinstance(tags, list) else 0
                raise InputError(f"{place}: {name} has {size} tags for {len(here)} tokens; give one tag for each token")
            spans, wrong = spans_of_tags(f"{place}: {name}", tags, here)
            broken += wrong
            record["spans"] += spans
            names[name] = None
        own.update([doc_id] if "starts" in row else [])
    findings = []
    if broken:
        message = f"{broken} tags go on where nothing began; each was read as a beginning"
        findings.append(Finding("tags", "tags-broken", message, "warning"))
    extraction = of_rows((doc_id, record) for doc_id, record in documents.items())
    over |= {key: value for key, value in (tokens or {}).items() if key[0] not in own}
    columns = tuple(name.removesuffix("_tags") for name in names)
    return Reading(extraction, tuple(findings), over, columns)


def _tokens_of(place: str, row: Json, doc_id: str, sentence: int, tokens: Tokens | None) -> list[tuple[int, int]]:
    starts, ends = row.get("starts"), row.get("ends")
    if isinstance(starts, list) and isinstance(ends, list):
        if len(starts) != len(ends):
            raise InputError(f"{place}: starts and ends differ in number; give both for each token")
        if not all(isinstance(offset, int) for offset in (*starts, *ends)):
            raise InputError(f"{place}: starts or ends are not whole numbers; offsets are code points of the text")
        return list(zip(starts, ends, strict=True))
    if tokens is None or (doc_id, sentence) not in tokens:
        raise InputError(
            f"{place}: the tokens of sentence {sentence} of {doc_id} are not known; give starts and ends with the "
            "tags, or a dataset folder with the config tokens as gold"
        )
    return tokens[doc_id, sentence]


def spans_of_tags(place: str, tags: list[Any], tokens: list[tuple[int, int]]) -> tuple[list[Json], int]:
    """Spans of IOB2 or IOBES tags, and how many tags go on without a beginning (they are read as one).

    An I or E of another label than the one before it begins a span, as conlleval reads it.
    """
    spans: list[Json] = []
    broken, inside = 0, ""
    for tag, (start, end) in zip(tags, tokens, strict=True):
        if not isinstance(tag, str) or not (tag == "O" or (tag[:2] in ("B-", "I-", "E-", "S-") and len(tag) > 2)):
            raise InputError(f"{place}: {tag!r} is no tag; write O, B-LABEL, I-LABEL, and E-LABEL, S-LABEL in IOBES")
        kind, label = tag[:1], tag[2:]
        if kind == "O":
            inside = ""
        elif kind in "IE" and inside == label:
            spans[-1]["end"] = end
        else:
            broken += kind in "IE"
            spans.append({"start": start, "end": end, "label": label})
        if kind != "O":
            inside = "" if kind in "ES" else label
    return spans, broken


def taggable(gold: Extraction, reading: Reading, mapping: Mapping[str, str]) -> Extraction:
    """Of the gold, the most that tags over these tokens can say: what predictions in tags can reach in strict mode.

    A span that begins or ends within a token cannot be tagged, nor can spans that overlap in one column of tags: of
    these as many are kept as can be, by their ends. `x_tags` is the column of label X, in any case; any other column is
    for all labels that have none of their own.
    """
    names = {
        label: {label.lower(), *(old.lower() for old in mapping if mapping[old] == label)} for label in gold.labels
    }
    own = {label: column for label in gold.labels for column in reading.columns if column.lower() in names[label]}
    shared = next((column for column in reading.columns if column not in own.values()), None)
    rows = {doc_id: row for row, doc_id in enumerate(gold.doc_ids.to_pylist())}
    starts: list[dict[int, int]] = [{} for _ in rows]
    ends: list[dict[int, int]] = [{} for _ in rows]
    for number, ((doc_id, _), tokens) in enumerate((reading.tokens or {}).items()):
        if doc_id in rows:
            starts[rows[doc_id]].update((start, number) for start, _ in tokens)
            ends[rows[doc_id]].update((end, number) for _, end in tokens)
    spans = gold.spans
    reached: dict[tuple[int, str], int] = {}
    kept = np.zeros(len(spans), bool)
    for row in np.lexsort((-spans.start, spans.end, spans.document)).tolist():
        document, start, end = int(spans.document[row]), int(spans.start[row]), int(spans.end[row])
        column = own.get(gold.labels[spans.label[row]], shared)
        sentence = starts[document].get(start)
        fits = sentence is not None and ends[document].get(end) == sentence
        if column is not None and fits and start >= reached.get((document, column), 0):
            kept[row] = True
            reached[document, column] = end
    return gold.of_spans(kept)
