"""Exports of Label Studio: a corpus's own under `labeling/exports/<round>/`, one task per document, and anybody's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
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
    by the id of its task; several files may hold one document. The texts are under the key that most regions fit.
    Annotators named by e-mail addresses get numbers. Raises InputError.
    """
    findings: list[Finding] = []
    tasks = list(_tasks(paths, findings))
    return export_of(tasks, scheme, findings)


def export_of(tasks: Sequence[tuple[Path, Json]], scheme: Scheme | None, findings: list[Finding]) -> Export:
    """The same for tasks that were read, each with the file it is from; what was found wrong before goes in front."""
    key = _text_key([task for _, task in tasks], findings)
    merged: dict[str, Json] = {}
    holders: dict[str, str] = {}
    for number, (path, task) in enumerate(tasks, 1):
        plain = _plain(task, number, key)
        doc_id = plain["data"]["doc_id"]
        if not isinstance(plain["data"]["text"], str):
            message = f"has no text under {key!r}; left out"
            findings.append(Finding(f"{path}: {doc_id}", "task-without-text", message))
            continue
        before = merged.setdefault(doc_id, plain)
        if before is not plain:
            if before["data"]["text"] != plain["data"]["text"]:
                message = f"{path} has another text under this id; it was left out, give it an id of its own"
                findings.append(Finding(doc_id, "document-texts", message))
            else:
                before["annotations"] += plain["annotations"]
                before["drafts"] += plain["drafts"]
        other = holders.setdefault(plain["data"]["text"], doc_id)
        if other != doc_id and plain["data"]["text"]:
            message = f"has the text of {other}; give both one doc_id if they are one document"
            findings.append(Finding(doc_id, "text-twice", message, "warning"))
    scheme = scheme or found_scheme(merged.values())
    documents = {
        doc_id: Document(doc_id, task["data"]["language"], task["data"]["text"], title=task["data"]["title"])
        for doc_id, task in merged.items()
    }
    annotations, found = parse_tasks(merged.values(), documents, scheme)
    names = _numbered({annotation.annotator for annotation in annotations})
    if names:
        message = f"{len(names)} e-mail addresses became {', '.join(names.values())}, in the order of the alphabet"
        findings.append(Finding("annotators", "annotator-renamed", message, "warning"))
    findings += [replace(f, place=_renamed(f.place, names)) for f in found]
    annotations = [replace(a, annotator=names.get(a.annotator, a.annotator)) for a in annotations]
    return Export(tuple(documents.values()), tuple(annotations), scheme, tuple(findings))


def _numbered(annotators: Iterable[str]) -> dict[str, str]:
    """A name for each annotator known by an e-mail address, none of them in use."""
    known = set(annotators)
    free = (name for number in count(1) if (name := f"annotator-{number}") not in known)
    return {address: next(free) for address in sorted(known) if "@" in address}


def _renamed(place: str, names: Mapping[str, str]) -> str:
    for address, name in names.items():
        place = place.replace(f"({address})", f"({name})")
    return place


def _tasks(paths: Iterable[Path], findings: list[Finding]) -> Iterator[tuple[Path, Json]]:
    for path in paths:
        files = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not files:
            raise InputError(f"{path}: holds no JSON file; give exports in Label Studio's format JSON")
        for file in files:
            content = read_json(file)
            escaped = b"\\ud" in file.read_bytes().lower()
            for task in content if isinstance(content, list) else [content]:
                if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
                    raise InputError(f"{file}: is no export in Label Studio's format JSON; export it again as JSON")
                if escaped and not _encodable(task):
                    message = "holds half a surrogate pair, which is no character; left out, mend it and export again"
                    findings.append(Finding(f"{file}: task {task.get('id')!r}", "task-surrogate", message))
                else:
                    yield file, task


def _encodable(task: Json) -> bool:
    try:
        json.dumps(task, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_key(tasks: Iterable[Json], findings: list[Finding]) -> str:
    """The key of `data` whose values most regions fit; where none does `text`, else that of the longest values."""
    fits: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    for task in tasks:
        values = [
            value
            for entry in _list(task.get("annotations"))
            for result in _results(entry)
            if isinstance(value := result.get("value"), dict) and "labels" in value
        ]
        for key, text in task["data"].items():
            if isinstance(text, str) and key != "doc_id":
                lengths[key] += len(text)
                fits[key] += sum(_fits(text, value) for value in values[:50])
    best = max(fits.values(), default=0)
    fitting = [key for key, found in fits.items() if found == best]
    if best:
        key = "text" if "text" in fitting else fitting[0]
    else:
        key = "text" if "text" in lengths or not lengths else max(lengths, key=lambda key: lengths[key])
    if key != "text":
        others = ", ".join(sorted(set(lengths) - {key})) or "none"
        message = f"the texts were taken from {key!r}; other texts: {others}"
        findings.append(Finding("data", "text-key", message, "warning"))
    return key


def _fits(text: str, value: Json) -> bool:
    """Whether a region's copy of its text stands in the text where the region says."""
    start, end, quoted = value.get("start"), value.get("end"), value.get("text")
    return isinstance(start, int) and isinstance(end, int) and bool(quoted) and text[start:end] == quoted


def _plain(task: Json, number: int, key: str) -> Json:
    """A task with its text under `text`, on which the regions lie, and a doc_id."""
    data = task["data"]
    doc_id = data.get("doc_id")
    if not isinstance(doc_id, str) or not doc_id:
        doc_id = f"task-{task['id']}" if isinstance(task.get("id"), int | str) else f"nth-{number}"
    entries = {
        kind: [dict(entry) if isinstance(entry, dict) else entry for entry in _list(task.get(kind))]
        for kind in ("annotations", "drafts")
    }
    objects = Counter(
        str(result.get("to_name"))
        for entry in entries["annotations"]
        for result in _results(entry)
        if result.get("type") == "labels"
    )
    name = objects.most_common(1)[0][0] if objects else TEXT_OBJECT
    for entry in [*entries["annotations"], *entries["drafts"]]:
        if isinstance(entry, dict) and isinstance(entry.get("result"), list):
            entry["result"] = [
                r | {"to_name": TEXT_OBJECT} if isinstance(r, dict) and r.get("to_name") == name else r
                for r in entry["result"]
            ]
    words = {word: data[word] if isinstance(data.get(word), str) else "" for word in ("language", "title")}
    return {"data": {"doc_id": doc_id, "text": data.get(key), **words}, **entries}


def _list(value: object) -> list[Any]:
    """A list as it is, nothing as an empty one, anything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _results(entry: object) -> list[Json]:
    results = entry.get("result") if isinstance(entry, dict) else None
    return [r for r in results if isinstance(r, dict)] if isinstance(results, list) else []


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
            of_region: dict[str, list[str]] = {}
            results = _results(entry)
            for result in results:
                value = result.get("value")
                if result.get("type") == "labels" and isinstance(value, dict):
                    names = [name for name in _list(value.get("labels")) if isinstance(name, str)]
                    of_region.setdefault(str(result.get("id")), []).extend(names)
                elif result.get("type") == "relation":
                    relations.update(name for name in _list(result.get("labels")) if isinstance(name, str))
            for names in of_region.values():
                for name in names:
                    labels.setdefault(name, {})
            for result in results:
                kind = _TYPES.get(str(result.get("type")))
                if kind and result.get("from_name"):
                    for name in of_region.get(str(result.get("id")), []):
                        labels[name][str(result["from_name"])] = kind
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
