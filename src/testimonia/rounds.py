"""The exports of a corpus's own rounds: `labeling/exports/<round>/`, one task per document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from testimonia.corpus import Corpus, Round
from testimonia.document import Annotation
from testimonia.errors import Finding, InputError
from testimonia.files import read_json
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
