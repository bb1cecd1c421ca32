"""Earlier versions of a round's exports: `labeling/exports/<round>/history/<doc_id>/<time>-<hash>.json`.

What a pull writes over is kept there, and what it saw in Label Studio and did not take. Builds read no folder within a
round's. Git ignores the history by a file within; it keeps what is pulled between commits. Two versions are the same
where annotators, states and results are: numbers, times and order change when tasks are loaded again.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testimonia.errors import InputError
from testimonia.files import write_atomic, write_json

Json = dict[str, Any]

HISTORY = "history"
_NEVER = datetime.datetime(1, 1, 1, tzinfo=datetime.UTC)
_DIGITS = 16  # of a hash in a name


def entries(task: Json, kind: str) -> list[Json]:
    """The `annotations` or `drafts` of an exported task; what is no object is none."""
    found = task.get(kind)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def annotator(entry: Json) -> str:
    """Whose an annotation or a draft is."""
    return str(entry.get("completed_by", entry.get("user")))


def content(entry: Json) -> str:
    """The results of an annotation or a draft, as text that is the same where they are."""
    return json.dumps(entry.get("result"), sort_keys=True)


def changed_at(entry: Json) -> datetime.datetime:
    """When an annotation, a draft or a task was last changed, by the server's clock; long ago where it is not told."""
    try:
        told = datetime.datetime.fromisoformat(str(entry.get("updated_at")))
        return told.astimezone(datetime.UTC) if told.tzinfo else told.replace(tzinfo=datetime.UTC)
    except (ValueError, OverflowError):
        return _NEVER


def holds(task: Json, earlier: Json) -> bool:
    """Whether an exported task says all that an earlier one says, whatever numbers and times Label Studio gave it."""
    return task.get("data") == earlier.get("data") and Counter(_parts(earlier)) <= Counter(_parts(task))


def _parts(task: Json) -> list[tuple[str, str, bool, str]]:
    return [
        (kind, annotator(entry), bool(entry.get("was_cancelled")), content(entry))
        for kind in ("annotations", "drafts")
        for entry in entries(task, kind)
    ]


def keep(folder: Path, doc_id: str, task: Json, within: Path) -> Path:
    """Keeps an exported task in the history of a round's folder; returns its file, which may have been there.

    Raises InputError where a link leads elsewhere.
    """
    text = json.dumps([task.get("data"), sorted(_parts(task))], sort_keys=True)
    newest = max(map(changed_at, _dated(task)))
    time = f"{newest:%Y%m%dT%H%M%SZ}" if newest > _NEVER else "undated"
    path, there = _place(folder, doc_id, time, text, ".json")
    if not there:
        write_json(path, task, within=within)
    return path


def keep_text(folder: Path, name: str, text: str, within: Path) -> Path:
    """Keeps what is no exported task, such as a file that cannot be read, as text. Raises InputError as `keep`."""
    path, there = _place(folder, name, "text", text, ".txt")
    if not there:
        write_atomic(path, text.encode(errors="surrogateescape"), within=within)
    return path


def _dated(task: Json) -> Iterator[Json]:
    yield task
    for kind in ("annotations", "drafts"):
        yield from entries(task, kind)


def _place(folder: Path, name: str, first: str, text: str, suffix: str) -> tuple[Path, bool]:
    """The file for a version in the history of a folder, and whether it is there, under whatever time."""
    history = folder / HISTORY
    versions = history / name
    if versions.resolve() != folder.resolve() / HISTORY / name:
        raise InputError(f"{versions}: a symbolic link leads elsewhere; put a plain folder there")
    if not history.exists():
        write_atomic(history / ".gitignore", "*\n")
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGITS]
    found = sorted(versions.glob(f"*-{digest}{suffix}"))
    return (found[0], True) if found else (versions / f"{first}-{digest}{suffix}", False)
