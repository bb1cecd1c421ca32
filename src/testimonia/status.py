"""How far the work of a round is: per annotator, language and label, and what became of suggestions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from testimonia.document import Annotation, Document
from testimonia.report import table_text
from testimonia.suggestions import Fate, fate_of

Json = dict[str, Any]
STATES = ("submitted", "skipped", "draft")


def status_of(
    documents: Sequence[Document],
    annotations: Iterable[Annotation],
    tasks: Iterable[Json],
    labels: Sequence[str],
    accounts: Iterable[str] = (),
) -> Json:
    """Counts for machines: `documents`, `by_language`, `by_annotator`, `without_work`, `by_label`, `suggestions`.

    A document is done by two, by one, or by nobody, as annotators have submitted it. `tasks` are the exported ones;
    `without_work` are those of `accounts` that have not even a draft.
    """
    entries = list(annotations)
    submitted = Counter(a.doc_id for a in entries if a.state == "submitted")
    languages = {document.doc_id: document.language for document in documents}
    names = sorted({a.annotator for a in entries})
    by_annotator = {}
    for name in names:
        own = [a for a in entries if a.annotator == name]
        by_annotator[name] = {state: sum(a.state == state for a in own) for state in STATES} | {
            "left": len(documents) - len({a.doc_id for a in own if a.state != "draft"}),
            "spans": _by_label((a for a in own if a.state == "submitted"), labels),
        }
    return {
        "documents": _done(documents, submitted),
        "by_language": {
            language: _done([d for d in documents if d.language == language], submitted)
            for language in sorted(set(languages.values()))
        },
        "by_annotator": by_annotator,
        "without_work": sorted(set(accounts) - set(names)),
        "by_label": _by_label((a for a in entries if a.state == "submitted"), labels),
        "suggestions": asdict(fate_of(entry for task in tasks for entry in task.get("annotations") or [])),
    }


def _done(documents: Sequence[Document], submitted: Counter[str]) -> Json:
    counts = [submitted[document.doc_id] for document in documents]
    by = {"by_two_or_more": sum(n > 1 for n in counts), "by_one": counts.count(1), "by_nobody": counts.count(0)}
    return {"all": len(documents)} | by


def _by_label(annotations: Iterable[Annotation], labels: Sequence[str]) -> dict[str, int]:
    found = Counter(span.label for annotation in annotations for span in annotation.spans)
    return {label: found[label] for label in labels}


def status_text(status: Json, labels: Sequence[str]) -> str:
    """The same as tables."""
    head = ["", "documents", "by two or more", "by one", "by nobody"]
    rows = [
        [name, *(found[key] for key in ("all", "by_two_or_more", "by_one", "by_nobody"))]
        for name, found in {"all": status["documents"], **status["by_language"]}.items()
    ]
    parts = [table_text("submitted", head, rows)]
    rows = [
        [name, found["submitted"], found["skipped"], found["draft"], found["left"], *found["spans"].values()]
        for name, found in status["by_annotator"].items()
    ]
    parts.append(table_text("by annotator", ["", "submitted", "skipped", "drafts", "left", *labels], rows))
    if status["without_work"]:
        parts.append(f"accounts without work here: {', '.join(status['without_work'])}")
    fate = Fate(**status["suggestions"])
    if fate != Fate():
        suggested = fate.kept + fate.changed + fate.dropped
        parts.append(
            f"suggested spans in submitted annotations: {suggested}, kept as they were {fate.kept}, changed "
            f"{fate.changed}, thrown away {fate.dropped}; added by annotators: {fate.added}"
        )
    return "\n\n".join(part for part in parts if part) + "\n"
