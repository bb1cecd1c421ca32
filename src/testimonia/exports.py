"""Exports of Label Studio: a corpus's own under `labeling/exports/<round>/`, one task per document, and anybody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testimonia.corpus import Corpus, Round
from testimonia.document import Annotation, Document
from testimonia.errors import Finding, InputError
from testimonia.files import read_json
from testimonia.label_config import TEXT_OBJECT
from testimonia.scheme import Attribute, AttributeType, Label, RelationType, Scheme
from testimonia.tasks import parse_tasks

Json = dict[str, Any]


def read_round(folder: Path) -> dict[str, Json]:
    """The exported task of each document in a round's folder, by doc_id. Raises InputError."""
    tasks = {}
    for path in sorted(folder.glob("*.json")):
        task = read_json(path)
        data = task.get("data") if isinstance(task, dict) else None
        if not isinstance(data, dict) or data.get("doc_id") != path.stem:
            raise InputError(f"{path}: is not the exported task of {path.stem}; pull it again")
        tasks[path.stem] = task
    return tasks


def read_annotations(corpus: Corpus) -> tuple[list[Annotation], list[Finding]]:
    """Every annotation of the rounds that make the release, and what was found wrong in them."""
    annotations: list[Annotation] = []
    findings: list[Finding] = []
    known = {one.id for one in corpus.rounds}
    for folder in sorted(path.name for path in corpus.exports.glob("*") if path.is_dir()):
        if folder not in known:
            message = "is no round of rounds.toml; its exports are not used"
            findings.append(Finding(folder, "round-unknown", message, "warning"))
    for one in corpus.released:
        parsed, found = round_annotations(corpus, one)
        annotations += parsed
        findings += [Finding(f"{one.id}/{f.place}", f.id, f.message, f.severity) for f in found]
    return annotations, findings


def round_annotations(corpus: Corpus, one: Round) -> tuple[list[Annotation], list[Finding]]:
    """Every annotation of a round, and what was found wrong in its exports."""
    tasks = read_round(corpus.exports / one.id)
    return parse_tasks(tasks.values(), corpus.by_id, corpus.scheme, one.id)


@dataclass(frozen=True, slots=True)
class Export:
    """What was read from the exports of any project: texts, annotations, the scheme given or found, findings."""

    documents: tuple[Document, ...]
    annotations: tuple[Annotation, ...]
    scheme: Scheme
    findings: tuple[Finding, ...]

    def of(self, annotators: Sequence[str]) -> Export:
        """The same with the annotations of these annotators only; of all where none is named. Raises InputError."""
        known = sorted({annotation.annotator for annotation in self.annotations})
        for name in annotators:
            if name not in known:
                raise InputError(f"annotator {name!r}: has no annotation here; there are: {', '.join(known) or 'none'}")
        chosen = tuple(a for a in self.annotations if not annotators or a.annotator in annotators)
        return replace(self, annotations=chosen)


def read_corpus_round(corpus: Corpus, one: Round) -> Export:
    """What annotators said in a round of a corpus. Raises InputError."""
    annotations, findings = round_annotations(corpus, one)
    return Export(corpus.documents, tuple(annotations), corpus.scheme, tuple(findings))


def read_exports(paths: Sequence[Path], scheme: Scheme | None = None) -> Export:
    """The annotations in JSON exports (files, or folders of them) of any project with one text per task.

    Without a scheme the labels, relations and attributes are those found. A document is known by `data.doc_id`, else
    by the id of its task; several files may hold one document. Names with an `@` become numbers. Raises InputError.
    """
    findings: list[Finding] = []
    merged: dict[str, Json] = {}
    for path, task in _tasks(paths):
        doc_id, plain = _plain(task, len(merged), str(path), findings)
        if plain is None:
            continue
        before = merged.setdefault(doc_id, plain)
        if before is not plain:
            if before["data"]["text"] != plain["data"]["text"]:
                message = f"{path} has another text under this id; it was left out, give it an id of its own"
                findings.append(Finding(doc_id, "document-texts", message))
            else:
                before["annotations"] += plain["annotations"]
    tasks = list(merged.values())
    scheme = scheme or found_scheme(tasks)
    documents = {
        doc_id: Document(doc_id, task["data"]["language"], task["data"]["text"], title=task["data"]["title"])
        for doc_id, task in merged.items()
    }
    annotations, found = parse_tasks(tasks, documents, scheme)
    addresses = sorted({a.annotator for a in annotations if "@" in a.annotator})
    names = {address: f"annotator-{number}" for number, address in enumerate(addresses, 1)}
    findings += [replace(f, place=_renamed(f.place, names)) for f in found]
    annotations = [replace(a, annotator=names.get(a.annotator, a.annotator)) for a in annotations]
    return Export(tuple(documents.values()), tuple(annotations), scheme, tuple(findings))


def _renamed(place: str, names: Mapping[str, str]) -> str:
    for address, name in names.items():
        place = place.replace(f"({address})", f"({name})")
    return place


def _tasks(paths: Iterable[Path]) -> Iterator[tuple[Path, Json]]:
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path}: holds no JSON file; give exports in Label Studio's format JSON")
        for file in files:
            content = read_json(file)
            for task in content if isinstance(content, list) else [content]:
                if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
                    raise InputError(f"{file}: is no export in Label Studio's format JSON; export it again as JSON")
                yield file, task


def _plain(task: Json, number: int, path: str, findings: list[Finding]) -> tuple[str, Json | None]:
    """A task with its text under `text`, on which the regions lie, and a doc_id."""
    data = task["data"]
    doc_id = data.get("doc_id")
    if not isinstance(doc_id, str) or not doc_id:
        doc_id = f"task-{task.get('id', number + 1)}"
    annotations = [dict(entry) for entry in task.get("annotations") or [] if isinstance(entry, dict)]
    results = [r for entry in annotations for r in _results(entry)]
    objects = Counter(str(r.get("to_name")) for r in results if r.get("type") == "labels")
    name = objects.most_common(1)[0][0] if objects else TEXT_OBJECT
    words = ("language", "title")
    keys = [key for key in ("text", name, *data) if isinstance(data.get(key), str) and key not in ("doc_id", *words)]
    fitting = [key for key in dict.fromkeys(keys) if _fits(data[key], results)]
    if not keys:
        findings.append(Finding(f"{path}: {doc_id}", "task-without-text", "no value in its data is a text; left out"))
        return doc_id, None
    text = data[fitting[0] if fitting else keys[0]]
    for entry in annotations:
        if isinstance(entry.get("result"), list):
            entry["result"] = [
                r | {"to_name": TEXT_OBJECT} if isinstance(r, dict) and r.get("to_name") == name else r
                for r in entry["result"]
            ]
    said = {key: data[key] if isinstance(data.get(key), str) else "" for key in words}
    return doc_id, {"data": {"doc_id": doc_id, "text": text, **said}, "annotations": annotations}


def _results(entry: Json) -> list[Json]:
    results = entry.get("result")
    return [r for r in results if isinstance(r, dict)] if isinstance(results, list) else []


def _fits(text: str, results: Iterable[Json]) -> bool:
    """Whether some region's copy of its text stands in the text where the region says."""
    values = [r["value"] for r in results if r.get("type") == "labels" and isinstance(r.get("value"), dict)]
    for value in values[:20]:
        start, end = value.get("start"), value.get("end")
        if isinstance(start, int) and isinstance(end, int) and text[start:end] == value.get("text") != "":
            return True
    return not values


_TYPES: dict[str, AttributeType] = {
    "choices": "choice",
    "number": "number",
    "rating": "number",
    "textarea": "string",
    "taxonomy": "entity",
}


def found_scheme(tasks: Iterable[Json]) -> Scheme:
    """The labels, relations and attributes that occur in tasks, sorted by name."""
    labels: dict[str, dict[str, AttributeType]] = {}
    relations: set[str] = set()
    for task in tasks:
        for entry in task["annotations"]:
            results = _results(entry)
            of_region: dict[str, list[str]] = {}
            for result in results:
                value = result.get("value") if isinstance(result.get("value"), dict) else {}
                if result.get("type") == "labels" and isinstance(value, dict):
                    names = [name for name in value.get("labels") or [] if isinstance(name, str)]
                    of_region.setdefault(str(result.get("id")), []).extend(names)
                elif result.get("type") == "relation":
                    relations.update(name for name in result.get("labels") or [] if isinstance(name, str))
            for names in of_region.values():
                for name in names:
                    labels.setdefault(name, {})
            for result in results:
                if result.get("type") in _TYPES and result.get("from_name"):
                    for name in of_region.get(str(result.get("id")), []):
                        labels[name][str(result["from_name"])] = _TYPES[str(result["type"])]
    return Scheme(
        name="found",
        version="0",
        labels=tuple(
            Label(
                name=name,
                description="",
                color="",
                hotkey="",
                attributes=tuple(
                    Attribute(control, kind, required=False, description="", control=control)
                    for control, kind in sorted(controls.items())
                ),
            )
            for name, controls in sorted(labels.items())
        ),
        relations=tuple(RelationType(name, "", (), (), 0) for name in sorted(relations)),
    )
