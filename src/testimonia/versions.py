"""Versions of the dataset: what the changelog, CITATION.cff and git say of them, and the making of a release."""

from __future__ import annotations

import datetime
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testimonia.changes import KINDS, Changes, compare, git, read_snapshot, release_folder, summary_text
from testimonia.corpus import Corpus
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.files import write_atomic
from testimonia.release import CITATION, build_release, check_label_config, export_gold, validate_dataset

CHANGELOG = "CHANGELOG.md"
Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Made:
    """What `make_release` did: the tag, whether it is set; files to be committed first; changes since, if any."""

    tag: str
    tagged: bool
    to_commit: tuple[str, ...]
    since: str
    changes: Changes | None
    warnings: tuple[Finding, ...]


def make_release(corpus: Corpus, since: str = "", today: datetime.date | None = None) -> Made:
    """Brings everything of a release into line with its version, and tags it once all of it is committed.

    Builds and validates the dataset, compares it with the release before (`since`: a folder or git revision; the
    highest tag below, if not given), enters it in the changelog and CITATION.cff where it is not, and sets the tag
    where nothing is left to commit. Run again after a commit, it goes on where it was.

    Raises InputError where the corpus is not in git, the version was tagged at other contents, or has not risen as
    far as the changes ask; FindingsError where the exports or the dataset have errors.
    """
    folder, version = corpus.folder, corpus.version
    if git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise InputError(f"{folder}: is not in a git repository; releases are git tags: git init, and commit")
    tag = f"v{version}"
    tagged_at, head = _commit(folder, tag), _commit(folder, "HEAD")
    if tagged_at and (tagged_at != head or _uncommitted(folder)):
        raise InputError(f"{tag}: is a tag already, of other contents; raise version in labeling/rounds.toml")
    before = since or _highest_below(folder, version)
    changes = _changes_since(corpus, before)
    if changes:
        _check_rise(changes)
    cite(folder, version, today or datetime.datetime.now(datetime.UTC).date())
    warnings = list(export_gold(corpus).findings)
    findings = validate_dataset(corpus.dataset, corpus) + check_label_config(corpus)
    if errors_among(findings):
        raise FindingsError(f"{corpus.dataset}: has errors; it is not released", findings)
    enter(folder / CHANGELOG, version, summary_text(changes) if changes else "First release.")
    to_commit = _uncommitted(folder)
    if not to_commit and not tagged_at:
        message = f"{corpus.scheme.name} {version}\n\n{entry(folder / CHANGELOG, version)}"
        if git(folder, "tag", "--annotate", "--message", message, tag) is None:
            raise InputError(f"{tag}: git would not set the tag; are user.name and user.email set?")
    return Made(tag, not to_commit, to_commit, before, changes, tuple(dict.fromkeys(warnings + findings)))


def _changes_since(corpus: Corpus, before: str) -> Changes | None:
    """What the release would change; it is built elsewhere, so that nothing is written where it may not be made."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "dataset"
        build_release(corpus, made)
        if not before:
            return None
        with release_folder(corpus.folder, before) as old:
            return compare(read_snapshot(old), read_snapshot(made))


def _check_rise(changes: Changes) -> None:
    """Raises InputError where the version has not risen as far as the changes ask."""
    old, new = parse(changes.old), parse(changes.new)
    if new <= old:
        raise InputError(f"version {changes.new} is not above {changes.old}; raise it in labeling/rounds.toml")
    part = KINDS[::-1].index(changes.kind) if changes.kind != "none" else 2
    if new[: part + 1] <= old[: part + 1]:
        least = [*old[:part], old[part] + 1, 0, 0][:3]
        raise InputError(
            f"version {changes.new}: since {changes.old} the changes are {changes.kind}; "
            f"make it {'.'.join(map(str, least))} or above in labeling/rounds.toml"
        )


def parse(version: str) -> Version:
    """`1.2.3` as numbers. Raises InputError."""
    match = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", version)
    if match is None:
        raise InputError(f"version {version!r} is not major.minor.patch")
    return int(match[1]), int(match[2]), int(match[3])


def _commit(folder: Path, revision: str) -> str:
    found = git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return found.decode().strip() if found else ""


def _uncommitted(folder: Path) -> tuple[str, ...]:
    """Files of the folder that are changed or new."""
    found = git(folder, "status", "--porcelain", "-z", "--", ".") or b""
    return tuple(sorted(entry[3:].decode() for entry in found.split(b"\0") if entry[2:3] == b" "))


def _highest_below(folder: Path, version: str) -> str:
    """The tag `v...` of the highest version below this one; empty without one."""
    names = (git(folder, "tag", "--list", "v*") or b"").decode().split()
    versions = [parse(name[1:]) for name in names if re.fullmatch(r"v\d+\.\d+\.\d+", name)]
    below = [one for one in versions if one < parse(version)]
    return "v" + ".".join(map(str, max(below))) if below else ""


def entries(path: Path) -> Iterator[tuple[str, str]]:
    """Version and text of each entry of a changelog, in its order. Raises InputError where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}; make one that begins with a heading") from None
    parts = re.split(r"(?m)^## +(\S+).*\n", text)
    yield from zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True)


def entry(path: Path, version: str) -> str:
    """The entry of a version in a changelog; empty without one."""
    return dict(entries(path)).get(version, "")


def enter(path: Path, version: str, text: str) -> None:
    """Puts an entry at the top of a changelog, if it has none of that version."""
    if version in dict(entries(path)):
        return
    source = path.read_text(encoding="utf-8")
    start = re.search(r"(?m)^## ", source)
    at = start.start() if start else len(source)
    gap = "" if source[:at].endswith("\n\n") else "\n"
    write_atomic(path, f"{source[:at]}{gap}## {version}\n\n{text}\n{chr(10) if start else ''}{source[at:]}")


def cite(folder: Path, version: str, day: datetime.date) -> None:
    """Sets version and date in CITATION.cff, where there is one and it has another version."""
    path = folder / CITATION
    if not path.is_file():
        return
    text = path.read_text(encoding="utf-8")
    found = re.search(r'(?m)^version: *"?([^"\n]*)"?$', text)
    if found is None:
        raise InputError(f"{path}: has no line `version: ...`; add one")
    if found[1] != version:
        text = re.sub(r"(?m)^version:.*$", f'version: "{version}"', text)
        text = re.sub(r"(?m)^date-released:.*$", f'date-released: "{day.isoformat()}"', text)
        write_atomic(path, text)


def made_text(made: Made) -> str:
    """What was done, and what to do next."""
    against = f", against {made.since}: {made.changes.kind}" if made.changes else ", the first"
    if made.tagged:
        return f"{made.tag}: tagged{against}; next: git push origin {made.tag}\n"
    listed = "".join(f"  {name}\n" for name in made.to_commit)
    return f"{made.tag}: prepared{against}; not tagged, as these are not committed:\n{listed}commit, then run again\n"
