"""Between the corpus and Label Studio: load the seeds, pull the annotations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt

from testimonia.corpus import Corpus, Round
from testimonia.errors import InputError, StudioError
from testimonia.exports import read_round
from testimonia.files import locked, write_atomic, write_json
from testimonia.label_config import render_label_config
from testimonia.studio import Loaded, Progress, Pseudonyms, Studio, pseudonymised

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pulled:
    """The doc_ids of a pull: written new, written changed, unchanged, and gone from Label Studio (kept here)."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    gone: tuple[str, ...]


def project_title(corpus: Corpus, one: Round) -> str:
    return f"{corpus.scheme.name}: {one.id}"


def load_seeds(corpus: Corpus, studio: Studio, one: Round, with_annotations: bool, progress: Progress) -> Loaded:
    """Brings the round's project to the corpus: label config, guidelines, one task per document.

    With annotations: those committed under `labeling/exports/<round>/` too, under their annotators. Drafts cannot
    be imported and are counted. Raises StudioError, InputError.
    """
    guidelines = corpus.folder / "labeling" / "guidelines.md"
    try:
        instruction = MarkdownIt("commonmark", {"html": False}).enable("table").render(guidelines.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{guidelines}: cannot be read: {error}; restore the guidelines") from None
    entries: dict[str, list[Json]] = {}
    drafts = 0
    if with_annotations:
        for doc_id, task in read_round(corpus.exports / one.id).items():
            entries[doc_id] = list(task.get("annotations") or [])
            drafts += len(task.get("drafts") or [])
    names = sorted({str(entry.get("completed_by")) for found in entries.values() for entry in found})
    users: Mapping[str, int] = studio.ensure_users(names) if names else {}
    project = studio.ensure_project(project_title(corpus, one), render_label_config(corpus.scheme), instruction)
    loaded = studio.load(project, corpus.documents, entries, users, progress)
    return Loaded(loaded.new, loaded.present, loaded.annotations, drafts)


def pull_annotations(corpus: Corpus, studio: Studio, one: Round, home: Path, progress: Progress) -> Pulled:
    """Writes each task of the round's project to `labeling/exports/<round>/<doc_id>.json`, and its label config.

    Users become pseudonyms. Nothing is deleted. Raises StudioError where the project or its ids are not as they
    must be; files already written are then whole, and the next pull goes on.
    """
    project = studio.project(project_title(corpus, one))
    if project is None:
        raise StudioError(f"no project {project_title(corpus, one)!r}; load it with `testimonia load-seeds`")
    folder = corpus.exports / one.id
    pseudonyms = Pseudonyms(home / "pseudonyms.json")
    users = studio.users()
    new: list[str] = []
    changed: list[str] = []
    same: list[str] = []
    with locked(folder):
        before = read_round(folder)
        for task in studio.export(project, progress):
            doc_id = str(task.get("data", {}).get("doc_id"))
            if corpus.document(doc_id) is None:
                raise StudioError(
                    f"task {task.get('id')}: doc_id {doc_id!r} is no document of the corpus; delete the task"
                )
            if doc_id in new or doc_id in changed or doc_id in same:
                raise StudioError(f"{doc_id}: two tasks hold it; delete the one without annotations")
            pulled = pseudonymised(task, users, pseudonyms)
            if before.get(doc_id) == pulled:
                same.append(doc_id)
                continue
            (changed if doc_id in before else new).append(doc_id)
            write_json(folder / f"{doc_id}.json", pulled)
        write_atomic(folder / "label_config.xml", studio.label_config(project))
    gone = sorted(set(before) - set(new) - set(changed) - set(same))
    return Pulled(tuple(sorted(new)), tuple(sorted(changed)), tuple(sorted(same)), tuple(gone))
