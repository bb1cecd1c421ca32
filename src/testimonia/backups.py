"""Backups of the embedded Label Studio: one file from which the same server comes back.

A backup is a zip: `manifest.json` (every other file with its size and SHA-256), `secrets.json` and `pseudonyms.json`
(so that log-ins, tokens and pseudonyms are the same), the database, and the media. Only these names are read.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import importlib.util
import json
import os
import re
import shutil
import sqlite3
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import IO, Any

from testimonia.errors import InputError, StudioError, plain
from testimonia.files import locked, read_json, replaced_file, write_json
from testimonia.server import PSEUDONYMS, RESTORING, SQLITE, alone, database_of

Json = dict[str, Any]

FORMAT = 1
MANIFEST, SECRETS = "manifest.json", "secrets.json"
DATABASE, MEDIA = "studio/label_studio.sqlite3", "studio/media"
_NAMES = ("studio", SECRETS, PSEUDONYMS, "database.json")  # what a restored backup takes the place of
_MEDIUM = re.compile(rf"{MEDIA}(/(?!\.{{1,2}}(/|$))[^/\\\x00-\x1f\ud800-\udfff]+)+")
_COUNTS = {
    "projects": "SELECT count(*) FROM project",
    "tasks": "SELECT count(*) FROM task",
    "annotations": "SELECT count(*) FROM task_completion",
    "drafts": "SELECT count(*) FROM tasks_annotationdraft",
    "accounts": "SELECT count(*) FROM htx_user",
}
_DAMAGED = "https://sqlite.org/recovery.html"
# What reading a zip or its contents raises where they are broken.
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError, ValueError, KeyError,
    OverflowError, FileExistsError, NotADirectoryError, IsADirectoryError,
)  # fmt: skip
_MIGRATION = re.compile(r"""\(['"](\w+)['"], *['"](\w+)['"]\)""")
_STEP = 16_384  # pages of a database that are read at once: 64 MB
_PATIENCE = 5
_LONGEST = 255  # bytes of the name of a file
_CHUNK = 1 << 20
_LARGEST = 1 << 26  # bytes of a JSON file in a backup


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds.

    Attributes:
        made_at: when, in UTC.
        label_studio: version of the package that was installed.
        counts: of projects, tasks, annotations, drafts, accounts.
        files: how many media.
        missing: media that are not in it: uploads that were not there, and files of names that Label Studio gives none.
    """

    made_at: str
    label_studio: str
    counts: Mapping[str, int]
    files: int
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Restored:
    """What `restore_backup` did. `aside`: the folder of what was there before, if anything was."""

    backup: Backup
    aside: Path | None


@dataclass(frozen=True, slots=True)
class _Stored:
    bytes: int
    sha256: str


def make_backup(folder: Path, file: Path, elsewhere: str = "") -> Backup:
    """Backs the server of a folder up, whether it runs or not, to a file of mode 600 that is written whole or not.

    Everything that was stored before it began is in it: the database is copied by sqlite while annotators go on,
    and the copy is checked. `elsewhere`: a PostgreSQL or another server that the commands are pointed at.
    Raises InputError where the annotations are elsewhere, nothing is there, the database is damaged, or the file is
    there and is no backup.
    """
    folder, file = folder.resolve(), file.resolve()
    elsewhere = elsewhere or (database_of(folder) if database_of(folder) != SQLITE else "")
    if elsewhere:
        raise InputError(_elsewhere(elsewhere, folder))
    if (folder / RESTORING).is_file():
        raise InputError(f"{folder}: a restore was cut off; run the same `testimonia restore` again first")
    source = folder / DATABASE
    if not source.is_file():
        raise InputError(f"{folder}: holds no Label Studio yet; there is nothing to back up")
    if folder in file.parents:
        raise InputError(f"{file}: lies in the folder that is backed up; name one on another disk")
    if file.exists() and file.stat().st_size:
        with _opened(file):
            pass
    with locked(folder / "backup"):
        work = folder / ".backup"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(mode=0o700)
        try:
            copy = work / "copy.sqlite3"
            _copy(source, copy)
            return _write(file, folder, copy, *_checked(copy, source))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _write(file: Path, folder: Path, copy: Path, counts: Mapping[str, int], uploads: set[str]) -> Backup:
    """Writes a copy of the database and what goes with it. The manifest comes last, it has the sums."""
    with replaced_file(file, 0o600) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.compresslevel = 1
        files, odd = {DATABASE: _store(archive, DATABASE, copy)}, set()
        for name, path in _beside(folder):
            if not _is_known(name):
                odd.add(plain(name.removeprefix(f"{MEDIA}/")))
                continue
            with contextlib.suppress(FileNotFoundError):  # deleted in the meantime
                files[name] = _store(archive, name, path)
        missing = tuple(sorted({one for one in uploads if f"{MEDIA}/{one}" not in files} | odd))
        media = sum(name.startswith(MEDIA) for name in files)
        backup = Backup(_now().isoformat(timespec="seconds"), _installed(), counts, media, missing)
        told = {"format": FORMAT} | asdict(backup) | {"contents": {n: asdict(s) for n, s in files.items()}}
        archive.writestr(MANIFEST, json.dumps(told, ensure_ascii=False, indent=1))
    return backup


def restore_backup(file: Path, folder: Path, replace: bool = False) -> Restored:
    """Puts what a backup holds into a folder without a server; cut off at any moment, it can be run again.

    Everything is unpacked and checked first; then it takes the place of what was there, which is moved aside to a
    folder `replaced-<time>` within. Raises StudioError where a server runs there or Label Studio is not installed;
    InputError where something is there (unless `replace`), or the backup is not whole, not of this kind, or of a
    newer Label Studio. What was there is then untouched.
    """
    if not file.is_file():
        raise InputError(f"{file}: is not there or no file; name a backup")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with alone(folder):
        done = _placed(folder)
        with _opened(file) as opened:
            if done and done[0] == opened.digest:
                return Restored(opened.backup, done[1])
            there = [name for name in _NAMES if os.path.lexists(folder / name)]
            if there and not replace:
                raise InputError(
                    f"{folder}: holds {', '.join(there)} already; restore into an empty folder (TESTIMONIA_HOME=...), "
                    "or say --replace: what is there is then moved aside"
                )
            work = folder / RESTORING.parent
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir(mode=0o700)
            try:
                _unpack(opened, work)
                _check_unpacked(work, file)
                write_json(work / "database.json", {"database": SQLITE}, mode=0o600)
                aside = f"replaced-{_now():%Y%m%dT%H%M%S%fZ}"
                names = [name for name in _NAMES if (work / name).exists()]
                write_json(folder / RESTORING, {"backup": opened.digest, "aside": aside, "names": names}, mode=0o600)
            finally:
                if not (folder / RESTORING).is_file():
                    shutil.rmtree(work, ignore_errors=True)
        done = _placed(folder)
        return Restored(opened.backup, done[1] if done else None)


def backup_text(backup: Backup) -> str:
    """What a backup holds, in a line."""
    counts = ", ".join(f"{count:,} {name}" for name, count in backup.counts.items())
    return f"{counts}, {backup.files:,} files; of {backup.made_at}, Label Studio {backup.label_studio}"


def _placed(folder: Path) -> tuple[str, Path | None] | None:
    """Moves what is unpacked into its place, and what is there aside; goes on where an earlier run was cut off.

    Returns the digest of the backup and the folder of what was there; None where nothing is unpacked.
    """
    ready = folder / RESTORING
    if not ready.is_file():
        return None
    plan, work = read_json(ready), ready.parent
    aside = folder / str(plan["aside"])
    for name in _NAMES:
        new = work / name
        placed = name in plan["names"] and not new.exists()
        if not placed and os.path.lexists(folder / name):
            aside.mkdir(exist_ok=True, mode=0o700)
            old = aside / name
            while os.path.lexists(old):  # made anew between the two runs
                old = old.with_name(f"{old.name}~")
            (folder / name).rename(old)
        if new.exists():
            new.rename(folder / name)
    ready.unlink()
    shutil.rmtree(work, ignore_errors=True)
    return str(plan["backup"]), aside if aside.is_dir() else None


def _elsewhere(what: str, folder: Path) -> str:
    """What to do where the annotations are not in the folder. No password is told."""
    if not what.startswith("postgres"):
        return f"{what}: is another Label Studio; back its database up where it runs, or unset LABEL_STUDIO_URL"
    what = re.sub(r"(?<=//)([^/@:]*):[^/@]*@", r"\1@", what)
    return (
        f"{what}: the annotations are in this PostgreSQL; back it up with `pg_dump --format=custom "
        f"--file=studio.dump '{what}'`, and with it {folder / SECRETS}, {folder / PSEUDONYMS} and {folder / MEDIA}"
    )


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _installed() -> str:
    try:
        return metadata.version("label-studio")
    except metadata.PackageNotFoundError:
        return "unknown"


class _RestlessError(Exception):
    """Others write to a database so often that it cannot be copied in steps."""


def _copy(source: Path, target: Path) -> None:
    """A copy of a database that may be in use, in one file. Raises InputError.

    It is read in steps, between which others may write; sqlite then begins anew. After `_PATIENCE` such beginnings
    it is read at once, and writers wait.
    """
    anew, left = 0, -1

    def watch(_status: int, remaining: int, _total: int) -> None:
        nonlocal anew, left
        anew += left >= 0 and remaining >= left
        left = remaining
        if anew > _PATIENCE:
            raise _RestlessError

    try:
        with (
            contextlib.closing(sqlite3.connect(f"{source.as_uri()}?mode=rw", uri=True, timeout=60)) as live,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            copy.execute("PRAGMA synchronous = OFF")
            try:
                live.backup(copy, pages=_STEP, progress=watch, sleep=0.02)
            except _RestlessError:
                live.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.DatabaseError as error:
        raise InputError(f"{source}: cannot be copied: {error}; no backup was written, see {_DAMAGED}") from None


def _checked(database: Path, source: Path) -> tuple[dict[str, int], set[str]]:
    """How much there is in a database that nobody uses, and the files that were uploaded.

    Raises InputError, which names `source`, where sqlite finds it damaged or it is not Label Studio's.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as one:
            one.execute("PRAGMA trusted_schema = OFF")
            found = [str(row[0]) for row in one.execute("PRAGMA integrity_check(3)")]
            if found != ["ok"]:
                raise InputError(f"{source}: the database is damaged: {'; '.join(found)}; see {_DAMAGED}")
            made = {str(row[0]) for row in one.execute("SELECT DISTINCT type FROM sqlite_master")}
            if not made <= {"table", "index"}:
                raise InputError(f"{source}: the database has triggers or views, Label Studio's has none; take another")
            counts = {name: int(one.execute(query).fetchone()[0]) for name, query in _COUNTS.items()}
            uploads = {str(row[0]) for row in one.execute("SELECT file FROM data_import_fileupload")}
    except sqlite3.Error as error:
        raise InputError(f"{source}: the database is not Label Studio's, or damaged: {error}; see {_DAMAGED}") from None
    return counts, uploads


def _newer(database: Path) -> list[str]:
    """Migrations that a database has had and the installed Label Studio does not know. Raises StudioError."""
    spec = importlib.util.find_spec("label_studio")
    if spec is None or not spec.submodule_search_locations:
        raise StudioError("the package label-studio is not installed; pip install 'testimonia[studio]'")
    root = Path(spec.submodule_search_locations[0])
    paths = list(root.glob("*/migrations/*.py"))
    known = {(path.parent.parent.name, path.stem) for path in paths}
    apps = {app for app, _ in known}
    for path in paths:
        if "squashed" in path.stem:  # stands for others, which it names
            known |= set(_MIGRATION.findall(path.read_text("utf-8")))
    with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro&immutable=1", uri=True)) as one:
        had = {(str(app), str(name)) for app, name in one.execute("SELECT app, name FROM django_migrations")}
    return sorted(f"{app}.{name}" for app, name in had - known if app in apps)


def _beside(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files that go with the database, by their name in a backup. Raises InputError for a link to a folder."""
    for name in (SECRETS, PSEUDONYMS):
        if (folder / name).is_file():
            yield name, folder / name
    for where, folders, names in os.walk(folder / MEDIA):
        for name in folders:
            if (Path(where) / name).is_symlink():
                raise InputError(f"{Path(where) / name}: is a link, what it leads to is not backed up; move it here")
        for name in names:
            path = Path(where) / name
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _store(archive: zipfile.ZipFile, name: str, path: Path) -> _Stored:
    with path.open("rb") as file, archive.open(name, "w", force_zip64=True) as entry:
        return _copied(file, entry)


def _copied(source: IO[bytes], target: IO[bytes], most: int | None = None) -> _Stored:
    """Copies, at most one chunk more than `most`; returns what was copied."""
    digest, size = hashlib.sha256(), 0
    while (most is None or size <= most) and (chunk := source.read(_CHUNK)):
        digest.update(chunk)
        target.write(chunk)
        size += len(chunk)
    return _Stored(size, digest.hexdigest())


@dataclass(frozen=True, slots=True)
class _Opened:
    """A backup that is being read. `digest`: the SHA-256 of its manifest, and so of all of it."""

    archive: zipfile.ZipFile
    digest: str
    backup: Backup
    contents: Mapping[str, _Stored]


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[_Opened]:
    """A backup whose manifest and names are as they must be. Raises InputError where it is none, or broken."""
    try:
        with zipfile.ZipFile(file) as archive:
            with archive.open(MANIFEST) as entry:
                text = entry.read(_LARGEST)
            backup, contents = _told(json.loads(text))
            _check_names(archive, contents)
            yield _Opened(archive, hashlib.sha256(text).hexdigest(), backup, contents)
    except _BROKEN as error:
        message = f"{type(error).__name__} {error}".strip()
        raise InputError(f"{file}: is no backup, or not whole: {message}; take another file") from None


def _told(manifest: Any) -> tuple[Backup, dict[str, _Stored]]:
    """What a manifest says is in its backup. Raises ValueError where it does not say it."""
    try:
        if int(manifest["format"]) > FORMAT:
            raise ValueError(f"made by a newer testimonia, in format {manifest['format']}")
        counts = {name: int(manifest["counts"][name]) for name in _COUNTS}
        missing = tuple(map(str, manifest["missing"]))
        made_at, release = str(manifest["made_at"]), str(manifest["label_studio"])
        contents = {str(n): _Stored(int(one["bytes"]), str(one["sha256"])) for n, one in manifest["contents"].items()}
        return Backup(made_at, release, counts, int(manifest["files"]), missing), contents
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its {MANIFEST} is not that of a backup ({error})") from None


def _check_names(archive: zipfile.ZipFile, contents: Mapping[str, _Stored]) -> None:
    """Raises ValueError where an archive holds other files than its manifest says, or what no backup holds."""
    found = archive.infolist()
    for info in found:
        name = info.filename
        if not _is_known(name):
            raise ValueError(f"{name!r} is in no backup")
        plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
        if not plain or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{name!r} is no plain file")
    if sorted(info.filename for info in found) != sorted([*contents, MANIFEST]):
        raise ValueError(f"it does not hold what its {MANIFEST} says")
    if not {SECRETS, DATABASE} <= set(contents) or any(one.bytes < 0 for one in contents.values()):
        raise ValueError("the database or the secrets are not in it")


def _is_known(name: str) -> bool:
    """Whether a file of this name may be in a backup."""
    if name in (MANIFEST, SECRETS, PSEUDONYMS, DATABASE):
        return True
    return bool(_MEDIUM.fullmatch(name)) and all(len(part.encode()) <= _LONGEST for part in name.split("/"))


def _unpack(opened: _Opened, work: Path) -> None:
    """Writes the files of a backup below a new folder. Raises ValueError where one is not as its manifest has it."""
    needed, free = sum(one.bytes for one in opened.contents.values()), shutil.disk_usage(work).free
    if needed > free:
        raise InputError(f"{opened.archive.filename}: needs {needed:,} bytes, {work} has {free:,}; make room")
    for name, expected in opened.contents.items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with opened.archive.open(name) as entry, path.open("xb") as file:
            os.fchmod(file.fileno(), 0o600)
            if _copied(entry, file, expected.bytes) != expected:
                raise ValueError(f"{name} is not as {MANIFEST} has it")
            if not name.startswith(MEDIA):
                file.flush()
                os.fsync(file.fileno())


def _check_unpacked(work: Path, file: Path) -> None:
    """Raises InputError or ValueError where the database, the secrets or the pseudonyms would not serve."""
    _checked(work / DATABASE, file)
    if newer := _newer(work / DATABASE):
        raise InputError(
            f"{file}: is of a newer Label Studio than the installed {_installed()} ({', '.join(newer[:3])}); "
            "install the one it was made with"
        )
    secrets = _strings(work / SECRETS)
    if not {"email", "password", "token", "secret_key"} <= {name for name, value in secrets.items() if value}:
        raise ValueError(f"{SECRETS} is not as testimonia writes it")
    if (work / PSEUDONYMS).exists() and any("@" in name for name in _strings(work / PSEUDONYMS).values()):
        raise ValueError(f"{PSEUDONYMS} is not as testimonia writes it")


def _strings(path: Path) -> dict[str, str]:
    """The strings in a JSON file of nothing else. Raises ValueError."""
    values = read_json(path) if path.stat().st_size <= _LARGEST else None
    if not isinstance(values, dict) or not all(isinstance(v, str) and v.isprintable() for v in values.values()):
        raise ValueError(f"{path.name} is not as testimonia writes it")
    return values
