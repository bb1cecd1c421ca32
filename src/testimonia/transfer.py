"""Between the corpus and Label Studio: load the seeds, pull the annotations."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from testimonia.adjudication import candidates_of, docket_of
from testimonia.checks import check_gold
from testimonia.corpus import Corpus, Round
from testimonia.document import Annotation, Document, Gold
from testimonia.errors import Finding, FindingsError, InputError, StudioError, errors_among
from testimonia.files import locked, read_json, write_atomic, write_json
from testimonia.history import annotator, content, entries, holds, keep, keep_text
from testimonia.instruction import render_instruction
from testimonia.label_config import render_label_config
from testimonia.losses import losses
from testimonia.report import differences_html
from testimonia.rounds import read_round, round_annotations
from testimonia.scheme import Scheme
from testimonia.server import OWNER, PSEUDONYMS
from testimonia.studio import PSEUDONYM, Loaded, Progress, Pseudonyms, Studio, pseudonymised, quiet, without_addresses
from testimonia.suggestions import Suggestions
from testimonia.tasks import task_of

Json = dict[str, Any]


CANDIDATES = "All readings"  # the model version that a curator starts from; no pseudonym has a capital


def _pseudonym(doc_id: str, entry: Json) -> str:
    """The annotator of an exported annotation. Raises InputError where it is none that a pull has written."""
    name = entry.get("completed_by") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not PSEUDONYM.fullmatch(name) or not isinstance(entry.get("result"), list):
        raise InputError(f"{doc_id}: an annotation by {name!r} is not as a pull writes it; pull the round again")
    return name


@dataclass(frozen=True, slots=True)
class Pulled:
    """The doc_ids of a pull: written new, written changed, unchanged, kept, and gone from Label Studio.

    Kept: an annotation or draft that the export here holds is not, or only older, in Label Studio, so the export was
    left alone; the findings say which, and what another account than the author's wrote or changed.
    """

    new: tuple[str, ...]
    changed: tuple[str, ...]
    same: tuple[str, ...]
    kept: tuple[str, ...]
    gone: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Adjudicated:
    """What `adjudicate` did, and the documents that fewer than two annotators have submitted."""

    loaded: Loaded
    waiting: tuple[str, ...]


def project_title(corpus: Corpus, one: Round) -> str:
    return f"{corpus.scheme.name}: {one.id}"


def load_seeds(
    corpus: Corpus,
    studio: Studio,
    one: Round,
    with_annotations: bool,
    progress: Progress,
    suggestions: Suggestions | None = None,
    home: Path | None = None,
) -> Loaded:
    """Brings the round's project to the corpus: label config, guidelines, one task per document.

    With annotations: those committed under `labeling/exports/<round>/` too, under their annotators. Drafts cannot
    be imported and are counted. `home`: where the pseudonyms are, by which annotators' accounts are found again;
    without it each has one of the pseudonym's name. With suggestions: annotators start from what a model predicts; a
    task that has others by now gets these, what annotators have submitted stays. Raises StudioError, InputError.
    """
    if one.kind == "adjudication":
        raise InputError(f"{one.id}: is a round of adjudication; make its project with `testimonia adjudicate`")
    tasks: list[Json] = [{"data": task_of(document)} for document in corpus.documents]
    if suggestions:
        for task in tasks:
            own = suggestions.of(task["data"]["doc_id"])
            task["predictions"] = own["predictions"]
            task["data"]["predictions_sha256"] = own["predictions_sha256"]
    project, loaded = _load(corpus, studio, one, tasks, with_annotations, progress, home=home)
    if suggestions:
        studio.start_from(project, suggestions.model)
    return loaded


def adjudicate(
    corpus: Corpus,
    studio: Studio,
    one: Round,
    with_annotations: bool,
    progress: Progress,
    home: Path | None = None,
) -> Adjudicated:
    """Brings the project of a round of adjudication to the annotations of the round that it decides on.

    A task for each document that two annotators or more submitted: a new annotation starts from what they agree on
    and every other reading as a candidate; each pass is at hand as a prediction named by its pseudonym. Run again
    after more annotations: tasks that changed get new predictions, what a curator has submitted stays. Raises
    StudioError, InputError, FindingsError where an export cannot be read.
    """
    if one.kind != "adjudication":
        raise InputError(f"{one.id}: is a round of annotation; add one of kind adjudication to rounds.toml")
    of = corpus.round(one.of)
    annotations, findings = round_annotations(corpus, of)
    if errors_among(findings):
        raise FindingsError(f"{of.id}: errors in its exports; mend them before anybody decides on them", findings)
    passes: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        if annotation.state == "submitted":
            passes.setdefault(annotation.doc_id, []).append(annotation)
    exported = read_round(corpus.exports / of.id)
    tasks = []
    for document in corpus.documents:
        found = passes.get(document.doc_id, [])
        if len({annotation.annotator for annotation in found}) > 1:
            tasks.append(_adjudication_task(document, found, exported[document.doc_id], corpus.scheme))
    waiting = tuple(d.doc_id for d in corpus.documents if d.doc_id not in {t["data"]["doc_id"] for t in tasks})
    if not tasks:
        raise InputError(f"{of.id}: no document was submitted by two annotators; pull their work first")
    _, loaded = _load(corpus, studio, one, tasks, with_annotations, progress, CANDIDATES, home)
    return Adjudicated(loaded, waiting)


def _adjudication_task(document: Document, passes: Sequence[Annotation], exported: Json, scheme: Scheme) -> Json:
    docket = docket_of(document, passes, scheme)
    predictions = [{"model_version": CANDIDATES, "result": candidates_of(docket, scheme)}]
    for entry in exported["annotations"]:
        if not entry.get("was_cancelled"):
            predictions.append({"model_version": entry["completed_by"], "result": entry["result"]})
    disputed = len(docket.disputed) + len(docket.disputed_links)
    data = task_of(document) | {"differences": differences_html(docket), "disputed": disputed}
    text = json.dumps([data, predictions], ensure_ascii=False, sort_keys=True)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {"data": data | {"predictions_sha256": digest}, "predictions": predictions}


def _load(
    corpus: Corpus,
    studio: Studio,
    one: Round,
    tasks: Sequence[Json],
    with_annotations: bool,
    progress: Progress,
    start_from: str = "",
    home: Path | None = None,
) -> tuple[int, Loaded]:
    """Brings a project to the corpus and these tasks; returns its id, and what was found and done."""
    guidelines = corpus.folder / "labeling" / "guidelines.md"
    try:
        instruction = render_instruction(guidelines.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{guidelines}: cannot be read: {error}; restore the guidelines") from None
    entries: dict[str, list[Json]] = {}
    drafts = 0
    if with_annotations:
        documents = corpus.by_id
        for doc_id, task in read_round(corpus.exports / one.id).items():
            if doc_id not in documents or task["data"].get("text") != documents[doc_id].text:
                raise InputError(f"{corpus.exports / one.id / doc_id}.json: its text is no document of the corpus")
            entries[doc_id] = list(task.get("annotations") or [])
            drafts += len(task.get("drafts") or [])
    names = sorted({_pseudonym(doc_id, entry) for doc_id, found in entries.items() for entry in found})
    pseudonyms = Pseudonyms(home / PSEUDONYMS) if home else None
    users: Mapping[str, int] = studio.ensure_users(names, pseudonyms) if names else {}
    config = render_label_config(corpus.scheme, adjudication=bool(start_from))
    project = studio.ensure_project(project_title(corpus, one), config, instruction, start_from)
    loaded = studio.load(project, tasks, entries, users, progress)
    studio.ensure_views(project, _views(corpus, studio.users(), bool(start_from)), _HIDDEN)
    return project, replace(loaded, drafts_left_out=drafts)


# Columns of the list of tasks that tell an annotator nothing.
_HIDDEN = [
    *(f"tasks:data.{name}" for name in ("text", "text_sha256", "meta_line", "predictions_sha256", "differences")),
    *(f"tasks:{name}" for name in ("annotations_results", "annotations_ids", "predictions_results", "inner_id")),
    *(f"tasks:{name}" for name in ("file_upload", "storage_filename", "predictions_model_versions", "updated_by")),
    *(f"tasks:{name}" for name in ("created_at", "updated_at", "completed_at", "avg_lead_time", "draft_exists")),
]
_MOST_VIEWS = 12  # of annotators, and of languages: more tabs than that help nobody


def _views(corpus: Corpus, users: Mapping[int, str], adjudication: bool) -> dict[str, list[Json]]:
    """Saved views by title: all, to do, skipped; where annotators disagree; one per language and per annotator."""
    languages = sorted({document.language for document in corpus.documents})
    views = {"all": [], "to do": [_filter("total_annotations", "less", "Number", 1)]}
    if adjudication:
        views["disagreeing"] = [_filter("data.disputed", "greater", "Number", 0)]
    views["skipped"] = [_filter("cancelled_annotations", "greater", "Number", 0)]
    for language in languages[:_MOST_VIEWS] if len(languages) > 1 else ():
        views[language] = [_filter("data.language", "equal", "String", language)]
    for user, email in sorted(users.items())[:_MOST_VIEWS]:
        views[f"by {email.partition('@')[0]}"] = [_filter("annotators", "contains", "List", user)]
    return views


def _filter(name: str, operator: str, kind: str, value: str | int) -> Json:
    return {"filter": f"filter:tasks:{name}", "operator": operator, "type": kind, "value": value}


def pull_annotations(
    corpus: Corpus, studio: Studio, one: Round, home: Path, progress: Progress, overwrite: bool = False
) -> Pulled:
    """Writes each task of the round's project to `labeling/exports/<round>/<doc_id>.json`, and its label config.

    Users become pseudonyms. An export that would lose something is kept as it is, unless `overwrite`. A file that
    cannot be read is written anew. What is replaced, and what is not taken, is in the history beside. Raises
    StudioError where the project or its ids are not as they must be; files already written are then whole, and the
    next pull goes on.
    """
    project = studio.project(project_title(corpus, one))
    if project is None:
        how = "adjudicate" if one.kind == "adjudication" else "load-seeds"
        raise StudioError(f"no project {project_title(corpus, one)!r}; make it with `testimonia {how}`")
    folder = corpus.exports / one.id
    pseudonyms = Pseudonyms(home / PSEUDONYMS)
    users, own = studio.users(), pseudonyms.of(studio.account())
    documents = corpus.by_id
    outcome: dict[str, str] = {}
    findings: list[Finding] = []
    with locked(folder):
        before = {path.stem: _readable(path) for path in sorted(folder.glob("*.json"))}
        for task in studio.export(project, progress):
            doc_id = str(task.get("data", {}).get("doc_id"))
            if doc_id not in documents:
                raise StudioError(
                    f"task {task.get('id')}: doc_id {doc_id!r} is no document of the corpus; delete the task"
                )
            if doc_id in outcome:
                raise StudioError(f"{doc_id}: two tasks hold it; delete the one without annotations")
            pulled = pseudonymised(task, users, pseudonyms)
            findings += check_authors(pulled, own)
            path = folder / f"{doc_id}.json"
            lost = [] if overwrite else losses(doc_id, before.get(doc_id, {}), pulled)
            if before.get(doc_id) == pulled:
                outcome[doc_id] = "same"
            elif lost:
                outcome[doc_id] = "kept"
                findings += lost
                keep(folder, doc_id, pulled, corpus.folder)
            else:
                outcome[doc_id] = "changed" if doc_id in before else "new"
                if doc_id in before:
                    _keep_replaced(path, before[doc_id], pulled, pseudonyms, corpus.folder)
                write_json(path, pulled, within=corpus.folder)
        if "kept" not in outcome.values():  # what is kept was annotated with the config that lies beside it
            _write_config(folder / "label_config.xml", studio.label_config(project), corpus.folder)
    outcome |= dict.fromkeys(set(before) - set(outcome), "gone")
    new, changed, same, kept, gone = (
        tuple(sorted(doc_id for doc_id, found in outcome.items() if found == kind))
        for kind in ("new", "changed", "same", "kept", "gone")
    )
    return Pulled(new, changed, same, kept, gone, tuple(sorted(findings)))


def check_authors(task: Json, own: str) -> list[Finding]:
    """The annotations of a pulled task that another account than their author's wrote or changed last.

    Label Studio lets every member post and change in another's name, and tells by `updated_by` who did; of what came
    with an import it tells nobody. What `load-seeds` puts back by the key of the account `own` is no finding.
    """
    findings = []
    for entry in task.get("annotations") or []:
        author, last = entry.get("completed_by"), entry.get("updated_by")
        loaded = last == own and entry.get("import_id") is not None
        if last not in (None, author) and not loaded:
            place = f"{task['data']['doc_id']} ({author})"
            message = f"{last} wrote or changed last what stands here as the work of {author}; ask both whose it is"
            findings.append(Finding(place, "annotation-author", message, "warning"))
    return findings


def _keep_replaced(path: Path, before: Json, pulled: Json, pseudonyms: Pseudonyms, within: Path) -> None:
    """Keeps an export that is about to be replaced, unless all of it is in what replaces it. No address gets in."""
    if not before and path.is_file():
        text = path.read_bytes().decode(errors="surrogateescape")
        keep_text(path.parent, path.stem, without_addresses(text, pseudonyms), within)
    elif before and not holds(pulled, before):
        keep(path.parent, path.stem, pseudonymised(before, {}, pseudonyms), within)


def _write_config(path: Path, config: str, within: Path) -> None:
    old = path.read_bytes() if path.is_file() else b""
    if old and old != config.encode():
        keep_text(path.parent, path.stem, old.decode(errors="surrogateescape"), within)
    write_atomic(path, config, within=within)


@dataclass(frozen=True, slots=True)
class PutBack:
    """What `put_back` did to one document: annotators whose annotation was replaced, added, and there as it was."""

    doc_id: str
    replaced: tuple[str, ...]
    added: tuple[str, ...]
    same: tuple[str, ...]
    drafts_left_out: int


def put_back(
    corpus: Corpus, studio: Studio, one: Round, home: Path, path: Path, annotators: Sequence[str] = ()
) -> PutBack:
    """Puts the annotations of an export, or of a version in its history, into Label Studio in place of those there.

    Of all annotators, or some. What is in Label Studio is kept in the history first. Annotations of others and those
    that are there already stay as they are. Raises InputError where the file is no export of a document of the
    corpus; StudioError where its task is not in Label Studio.
    """
    version = read_json(path)
    data = version.get("data") if isinstance(version, dict) else None
    doc_id = str(data.get("doc_id")) if isinstance(data, dict) else ""
    document = corpus.by_id.get(doc_id)
    if not isinstance(data, dict) or document is None or data.get("text") != document.text:
        raise InputError(f"{path}: is not the export of a document of the corpus; name one of labeling/exports/")
    wanted = [entry for entry in entries(version, "annotations") if not annotators or annotator(entry) in annotators]
    names = sorted({_pseudonym(doc_id, entry) for entry in wanted})
    absent = sorted(set(annotators) - set(names))
    if absent:
        raise InputError(f"{path}: has no annotation by {', '.join(absent)}; leave that out")
    project, pseudonyms = studio.project(project_title(corpus, one)), Pseudonyms(home / PSEUDONYMS)
    found = list(studio.export(project, quiet, [doc_id])) if project else []
    if len(found) != 1:
        raise StudioError(f"{doc_id}: {len(found)} tasks of {project_title(corpus, one)!r} hold it; load it first")
    folder = corpus.exports / one.id
    there = pseudonymised(found[0], studio.users(), pseudonyms)
    with locked(folder):
        keep(folder, doc_id, there, corpus.folder)
    users = studio.ensure_users(names, pseudonyms) if names else {}
    did: dict[str, list[str]] = {"replaced": [], "added": [], "same": []}
    for entry, instead_of in _places(wanted, entries(there, "annotations")):
        name = annotator(entry)
        if instead_of is None or not _same(entry, instead_of):
            studio.put(int(found[0]["id"]), entry, users[name], int(instead_of["id"]) if instead_of else None)
        did["added" if instead_of is None else "same" if _same(entry, instead_of) else "replaced"].append(name)
    kinds = {kind: tuple(names) for kind, names in did.items()}
    return PutBack(doc_id, **kinds, drafts_left_out=len(entries(version, "drafts")))


def _same(left: Json, right: Json) -> bool:
    alike = annotator(left) == annotator(right) and content(left) == content(right)
    return alike and bool(left.get("was_cancelled")) == bool(right.get("was_cancelled"))


def _places(wanted: Sequence[Json], there: Sequence[Json]) -> list[tuple[Json, Json | None]]:
    """Each annotation of an export with the one of the same annotator that it takes the place of; None for a new one.

    One that says the same comes first, then the one with the same id of Label Studio, then any other.
    """
    free = list(there)
    places: list[tuple[Json, Json | None]] = []
    rest = list(wanted)
    fits = (_same, lambda a, b: a.get("unique_id") == b.get("unique_id"), lambda a, b: annotator(a) == annotator(b))
    for fit in fits:
        for entry in list(rest):
            found = next((t for t in free if annotator(t) == annotator(entry) and fit(entry, t)), None)
            if found is not None:
                free = [t for t in free if t is not found]
                rest = [e for e in rest if e is not entry]
                places.append((entry, found))
    return places + [(entry, None) for entry in rest]


def check_passes(corpus: Corpus, one: Round) -> list[Finding]:
    """What is wrong in the pulled annotations of a round, each by the checks of the dataset, with its annotator."""
    annotations, findings = round_annotations(corpus, one)
    for annotation in annotations:
        if annotation.state == "submitted":
            gold = Gold(corpus.by_id[annotation.doc_id], annotation.spans, annotation.relations)
            for finding in check_gold(gold, corpus.scheme, corpus.languages[gold.document.language]):
                findings.append(replace(finding, place=f"{finding.place} ({annotation.annotator})"))
    return findings


def exported(
    corpus: Corpus, studio: Studio, one: Round, home: Path, progress: Progress
) -> tuple[list[Json], list[str]]:
    """The tasks of a round's project as a pull would write them, and the accounts by pseudonym; nothing is written.

    Raises StudioError.
    """
    project = studio.project(project_title(corpus, one))
    if project is None:
        raise StudioError(f"no project {project_title(corpus, one)!r}; load it with `testimonia load-seeds`")
    pseudonyms = Pseudonyms(home / PSEUDONYMS)
    users = studio.users()
    tasks = [pseudonymised(task, users, pseudonyms) for task in studio.export(project, progress)]
    return tasks, sorted(pseudonyms.of(email) for email in users.values() if email != OWNER)


def _readable(path: Path) -> Json:
    """The exported task in a file; an empty one where it cannot be read."""
    try:
        task = read_json(path)
    except InputError:
        return {}
    return task if isinstance(task, dict) else {}
