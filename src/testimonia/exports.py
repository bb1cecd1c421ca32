"""Exports of Label Studio as annotations: those of a corpus's rounds, and anybody's."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

from testimonia.corpus import Corpus, Round
from testimonia.dialects import TURN_KEY, Reader, annotated_object, listed, read_tasks, results_of, text_key
from testimonia.document import Annotation, Document
from testimonia.errors import Finding, InputError
from testimonia.label_config import CONTROL_TYPES, Project, foreign_scheme
from testimonia.rounds import round_annotations
from testimonia.scheme import AttributeType, Scheme
from testimonia.tasks import REFUSALS, fit_of, parse_tasks, unit_findings
from testimonia.units import Unit

Json = dict[str, Any]


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


def read_exports(paths: Sequence[Path], scheme: Scheme | None = None, config: Project | None = None) -> Export:
    """The annotations in JSON exports (files, or folders of them) of any project with one text per task.

    Labels, relations and attributes are those of the scheme, else of the label config, else those found; the texts are
    under the key of the label config, else under that which most regions fit. A document is known by `data.doc_id`,
    else by the id of its task; several files may hold one document. A region that cannot be read is left out and
    counted; a file of which fewer than half of the regions fit their texts is left out whole. Annotators named by
    e-mail addresses get numbers. Raises InputError, also where no file can be used.
    """
    files = []
    findings: list[Finding] = []
    for path in paths:
        inside = sorted(path.glob("*.json")) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"{path}: holds no JSON file; give exports in Label Studio's format JSON")
        for file in inside:
            tasks, found = read_tasks(file)
            findings += found
            files.append((str(file), tasks))
    return export_of(files, scheme, config, findings)


def export_of(
    files: Sequence[tuple[str, Sequence[Json]]],
    scheme: Scheme | None = None,
    config: Project | None = None,
    findings: Sequence[Finding] = (),
) -> Export:
    """The same for tasks that were read, by the name of their file; what was found wrong before goes in front."""
    told = list(findings)
    read = [part for name, tasks in files if (part := _file(name, tasks, config, told))]
    if files and not read:
        raise InputError("; ".join(f.message for f in told if f.id == "file-refused"))
    given = scheme or (config.scheme if config else None)
    used = given or found_scheme(task for part in read for task in part.tasks)
    if given is None:
        told.append(Finding("labels", "labels-found", _listing(used), "warning"))
    documents: dict[str, Document] = {}
    annotations: list[Annotation] = []
    holders: dict[str, str] = {}
    found: list[Finding] = []
    for part in read:
        own: dict[str, Json] = {}
        for task in part.tasks:
            doc_id, text = task["data"]["doc_id"], task["data"]["text"]
            document = Document(doc_id, task["data"]["language"], text, title=task["data"]["title"])
            if documents.setdefault(doc_id, document).text != text:
                message = f"{part.name} has another text under this id; it was left out, give it an id of its own"
                told.append(Finding(doc_id, "document-texts", message))
                continue
            other = holders.setdefault(text, doc_id)
            if other != doc_id and text:
                message = f"has the text of {other}; give both one doc_id if they are one document"
                told.append(Finding(doc_id, "text-twice", message, "warning"))
            before = own.setdefault(doc_id, task)
            if before is not task:
                before["annotations"] += task["annotations"]
                before["drafts"] += task["drafts"]
        parsed, wrong = parse_tasks(own.values(), documents, used, unit=part.unit)
        annotations += parsed
        found += wrong
    names = numbered({annotation.annotator for annotation in annotations})
    if names:
        message = f"{len(names)} e-mail addresses became {', '.join(names.values())}, in the order of the alphabet"
        told.append(Finding("annotators", "annotator-renamed", message, "warning"))
    told += [replace(f, place=renamed(f.place, names)) for f in found]
    told += _left_out(told, annotations)
    annotations = [replace(a, annotator=names.get(a.annotator, a.annotator)) for a in annotations]
    return Export(tuple(documents.values()), tuple(annotations), used, tuple(told))


@dataclass(frozen=True, slots=True)
class _Part:
    """What one file gives: its tasks in one form, and the unit of their offsets."""

    name: str
    tasks: tuple[Json, ...]
    unit: Unit


def _file(name: str, tasks: Sequence[Json], config: Project | None, findings: list[Finding]) -> _Part | None:
    """The tasks of one file in one form; None where its texts are not those that were annotated."""
    turn_key = config.turn_key if config else TURN_KEY
    if config:
        key, object_ = config.key, config.name
        keys = {other for task in tasks for other in task["data"]}
        if tasks and key not in keys:
            have = ", ".join(sorted(keys)) or "nothing"
            raise InputError(f"{name}: the label config takes the text from {key!r}; the tasks have {have}")
    else:
        (key, found), object_ = text_key(name, tasks, turn_key), annotated_object(tasks)
        findings += found
    reader = Reader(key, turn_key, object_)
    plain = []
    for number, task in enumerate(tasks, 1):
        one = reader.plain(task, number)
        if not encodable(one):
            message = "holds half a surrogate pair, which is no character; left out, mend it and export again"
            findings.append(Finding(f"{name}: {one['data']['doc_id']}", "task-surrogate", message))
        elif one["data"]["text"] is None:
            message = f"has no text under {key!r}; left out"
            findings.append(Finding(f"{name}: {one['data']['doc_id']}", "task-without-text", message))
        else:
            plain.append(one)
    findings += reader.findings(name)
    fit = fit_of((one["data"]["text"], one) for one in plain)
    if 2 * fit.fitting.get(fit.unit, 0) < fit.regions:
        message = (
            f"{name}: {fit}; the texts were changed after they were annotated, or are others; nothing of the file was "
            "used, export texts and annotations together again"
        )
        findings.append(Finding(name, "file-refused", message))
        return None
    findings += unit_findings(name, fit)
    return _Part(name, tuple(plain), fit.unit)


def _listing(scheme: Scheme) -> str:
    attributes = {attribute.name for label in scheme.labels for attribute in label.attributes}
    parts = {"labels": scheme.label_names, "attributes": sorted(attributes), "relations": scheme.relation_names}
    listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in parts.items() if names)
    return f"taken as found ({listed or 'none'}); --label-config or --scheme says which there are"


def _left_out(findings: Iterable[Finding], annotations: Iterable[Annotation]) -> list[Finding]:
    """How many regions of submitted annotations were left out, by reason."""
    counts = Counter(f.id for f in findings if f.id in REFUSALS and f.severity == "error")
    if not counts:
        return []
    kept = sum(len(annotation.spans) for annotation in annotations if annotation.state == "submitted")
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.most_common())
    message = f"{counts.total():,} left out ({reasons}), {kept:,} read"
    return [Finding("regions", "regions-left-out", message, "warning")]


def numbered(annotators: Iterable[str]) -> dict[str, str]:
    """A name for each annotator known by an e-mail address, none of them in use."""
    known = set(annotators)
    free = (name for number in count(1) if (name := f"annotator-{number}") not in known)
    return {address: next(free) for address in sorted(known) if "@" in address}


def renamed(place: str, names: Mapping[str, str]) -> str:
    for address, name in names.items():
        place = place.replace(f"({address})", f"({name})")
    return place


def encodable(task: Json) -> bool:
    """Whether a task can be written as UTF-8. Raises InputError where it is nested too deep to be written at all."""
    try:
        json.dumps(task, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:
        raise InputError(f"task {task['data']['doc_id']!r}: is nested too deep; restore it, or export again") from None
    return True


def found_scheme(tasks: Iterable[Json]) -> Scheme:
    """The labels, relations and attributes that occur in tasks, sorted by name."""
    labels: dict[str, dict[str, AttributeType]] = {}
    relations: set[str] = set()
    for task in tasks:
        for entry in task["annotations"]:
            of_region: dict[str, list[str]] = {}
            results = list(results_of({"annotations": [entry]}))
            for result in results:
                value = result.get("value")
                if result.get("type") == "labels" and isinstance(value, dict):
                    names = [name for name in listed(value.get("labels")) if isinstance(name, str)]
                    of_region.setdefault(str(result.get("id")), []).extend(names)
                elif result.get("type") == "relation":
                    relations.update(name for name in listed(result.get("labels")) if isinstance(name, str))
            for names in of_region.values():
                for name in names:
                    labels.setdefault(name, {})
            for result in results:
                kind = CONTROL_TYPES.get(str(result.get("type")))
                if kind and result.get("from_name"):
                    for name in of_region.get(str(result.get("id")), []):
                        labels[name][str(result["from_name"])] = kind
    return foreign_scheme("found", labels, relations)
