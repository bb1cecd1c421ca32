"""Versions of the dataset: what the changelog, CITATION.cff and git say of them, and the making of a release."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from testimonia.changes import KINDS, Changes, compare, git, read_snapshot, release_folder, summary_text
from testimonia.corpus import Corpus
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.files import write_atomic
from testimonia.release import (
    CITATION,
    build_release,
    check_label_config,
    citation_of,
    export_gold,
    read_citation,
    read_text,
    validate_dataset,
)

CHANGELOG = "CHANGELOG.md"
_VERSION = r"(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)"
_HEADING = re.compile(rf"(?m)^## +\[?v?({_VERSION})(?![0-9.]).*$")
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

    Raises InputError where the corpus is not in git, the version was tagged at other contents, has not risen as far as
    the changes ask, or has nothing to be compared with though there were releases; FindingsError where the exports
    or the dataset have errors. Then nothing was written.
    """
    folder, version = corpus.folder, corpus.version
    if git(folder, "rev-parse", "--is-inside-work-tree") is None:
        raise InputError(f"{folder}: is not in a git repository; releases are git tags: git init, and commit")
    tag = f"v{version}"
    tagged_at, head = _commit(folder, f"refs/tags/{tag}"), _commit(folder, "HEAD")
    if tagged_at and (tagged_at != head or _uncommitted(folder)):
        raise InputError(f"{tag}: is a tag already, of other contents; raise version in labeling/rounds.toml")
    stale = check_label_config(corpus)
    if stale:
        raise FindingsError(f"{folder}: is not ready to be released", stale)
    before = since or _highest_below(folder, version)
    earlier = [name for name, _ in entries(folder / CHANGELOG) if name != version]
    if not before and earlier:
        raise InputError(
            f"{CHANGELOG}: has {earlier[0]}, but there is no tag below {tag}; fetch the tags, or say --since"
        )
    cited = _cited(folder, version, today or datetime.datetime.now(datetime.UTC).date())
    changes = _changes_since(corpus, before)
    if changes:
        check_rise(changes)
    if cited:
        write_atomic(folder / CITATION, cited, within=folder)
    warnings = list(export_gold(corpus).findings)
    findings = validate_dataset(corpus.dataset, corpus)
    if errors_among(findings):
        raise FindingsError(f"{corpus.dataset}: has errors; it is not released", findings)
    enter(folder / CHANGELOG, version, summary_text(changes) if changes else "First release.")
    to_commit = _uncommitted(folder)
    if not to_commit and not tagged_at:
        _tag(folder, tag, f"{corpus.scheme.name} {version}\n\n{entry(folder / CHANGELOG, version)}\n")
    return Made(tag, not to_commit, to_commit, before, changes, tuple(dict.fromkeys(warnings + findings)))


def _tag(folder: Path, tag: str, message: str) -> None:
    """Sets an annotated tag on HEAD. Raises InputError with what git says where it would not."""
    program = shutil.which("git") or "git"
    arguments = ["tag", "--annotate", "--cleanup=verbatim", "--file=-", tag]
    done = subprocess.run(
        [program, "-C", str(folder), *arguments], input=message.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise InputError(f"{tag}: git would not set the tag: {done.stderr.decode(errors='replace').strip()}")


def _changes_since(corpus: Corpus, before: str) -> Changes | None:
    """What the release would change; it is built elsewhere, so that nothing is written where it may not be made."""
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "dataset"
        build_release(corpus, made)
        if not before:
            return None
        with release_folder(corpus.folder, before) as old:
            return compare(read_snapshot(old), read_snapshot(made))


def check_rise(changes: Changes) -> None:
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
    match = re.fullmatch(_VERSION, version)
    if match is None:
        raise InputError(f"version {version!r} is not major.minor.patch")
    return int(match[1]), int(match[2]), int(match[3])


def _commit(folder: Path, revision: str) -> str:
    found = git(folder, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    return found.decode().strip() if found else ""


def _uncommitted(folder: Path) -> tuple[str, ...]:
    """Files of the folder that are changed or new, and those of the dataset that git ignores. Raises InputError."""
    status = git(folder, "status", "--porcelain", "--untracked-files=all", "--no-renames", "-z", "--", ".")
    tracked = git(folder, "ls-files", "-z", "--", "dataset")
    if status is None or tracked is None:
        raise InputError(f"{folder}: git cannot tell what is committed; see what git status says")
    changed = {one[3:].decode(errors="replace") for one in status.split(b"\0") if one}
    held = {name.decode(errors="replace") for name in tracked.split(b"\0")}
    files = {path.relative_to(folder).as_posix() for path in (folder / "dataset").rglob("*") if path.is_file()}
    return tuple(sorted(changed | (files - held)))


def _highest_below(folder: Path, version: str) -> str:
    """The tag `v...` of the highest version below this one; empty without one."""
    names = (git(folder, "tag", "--list", "v*") or b"").decode(errors="replace").split()
    versions = [parse(name[1:]) for name in names if re.fullmatch(_VERSION, name[1:])]
    below = [one for one in versions if one < parse(version)]
    return "refs/tags/v" + ".".join(map(str, max(below))) if below else ""


def entries(path: Path) -> Iterator[tuple[str, str]]:
    """Version and text of each entry of a changelog, in its order. Raises InputError where it cannot be read.

    An entry begins with a heading of the second level: `## 1.2.3`, with brackets, a `v` or more after it as it may be.
    """
    parts = re.split(_HEADING, read_text(path))
    for at in range(1, len(parts), 5):
        yield parts[at], parts[at + 4].strip()


def entry(path: Path, version: str) -> str:
    """The entry of a version in a changelog; empty without one."""
    return dict(entries(path)).get(version, "")


def enter(path: Path, version: str, text: str) -> None:
    """Puts an entry at the top of a changelog, if it has none of that version."""
    if version in dict(entries(path)):
        return
    source = read_text(path)
    start = re.search(_HEADING, source)
    top, rest = (source[: start.start()], source[start.start() :]) if start else (source, "")
    made = "\n\n".join(part for part in (top.rstrip("\n"), f"## {version}", text) if part)
    write_atomic(path, f"{made}\n\n{rest}" if rest else f"{made}\n", within=path.parent)


def _cited(folder: Path, version: str, day: datetime.date) -> str:
    """CITATION.cff with this version and date; empty where there is none, or it has the version already.

    Raises InputError where its lines `version` and `date-released` are not to be found.
    """
    path = folder / CITATION
    citation = read_citation(folder)
    if not citation or str(citation.get("version")) == version:
        return ""
    text, versions = re.subn(r"(?m)^version:.*$", f'version: "{version}"', read_text(path))
    text, dates = re.subn(r"(?m)^date-released:.*$", f'date-released: "{day.isoformat()}"', text)
    if (versions, dates) != (1, 1) or citation_of(path, text).get("version") != version:
        raise InputError(f"{path}: has no lines `version: ...` and `date-released: ...`, one of each; add them")
    return text


def made_text(made: Made) -> str:
    """What was done, and what to do next."""
    against = f", against {made.since}: {made.changes.kind}" if made.changes else ", the first"
    if made.tagged:
        return f"{made.tag}: tagged{against}; next: git push origin {made.tag}\n"
    listed = "".join(f"  {name}\n" for name in made.to_commit)
    return f"{made.tag}: prepared{against}; not tagged, as these are not committed:\n{listed}commit, then run again\n"
