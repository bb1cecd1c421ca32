"""Files written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from testimonia.errors import InputError


@contextlib.contextmanager
def replaced_file(path: Path, mode: int = 0o644, within: Path | None = None) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` where the block ends without an exception.

    Written beside the target, synced and renamed: a reader sees the old file or the new one. A symbolic link stays
    one: what it points to is written. Raises InputError where the target is there and is no file, such as a folder or
    a device, or where links lead out of the folder `within`.
    """
    if within is not None and within.resolve() not in path.resolve().parents:
        raise InputError(f"{path}: a symbolic link leads out of {within}; put a plain file or folder there")
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is there and is no file; name another")
    new = path.with_name(f".{path.name}.new")
    with disk_told(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise InputError(f"{path}: {path.parent} is no folder; name another") from None
        with os.fdopen(_begun(new), "wb") as file:
            try:
                os.fchmod(file.fileno(), mode)
                yield file
                file.flush()
                os.fsync(file.fileno())
                os.replace(new, path)
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(new)
                raise


def _begun(new: Path) -> int:
    """A descriptor of a new file that no other process writes; what a process that died left there is removed."""
    while True:
        try:
            handle, mine = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), True
        except FileExistsError:
            try:
                handle, mine = os.open(new, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), False
            except FileNotFoundError:
                continue
        fcntl.flock(handle, fcntl.LOCK_EX)  # another's is free when it has ended, also by dying
        there = _is_at(new, handle)
        if mine and there:
            return handle
        if there:
            os.unlink(new)
        os.close(handle)


def _is_at(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(handle))
    except FileNotFoundError:
        return False


# What a disk answers where it takes no more, and what to do.
_NO_MORE = {
    errno.ENOSPC: "make room and run this again",
    errno.EDQUOT: "make room and run this again",
    errno.EFBIG: "allow larger files and run this again",
    errno.EROFS: "name another place",
}


class _DiskError(InputError):
    def __init__(self, path: Path, number: int) -> None:
        super().__init__(f"{path}: cannot be written: {os.strerror(number)}; {_NO_MORE[number]}")
        self.number = number


@contextlib.contextmanager
def disk_told(path: Path) -> Iterator[None]:
    """Turns it into an InputError that names `path` where the disk is full or read-only; also of what is part of it."""
    try:
        yield
    except _DiskError as error:
        raise _DiskError(path, error.number) from None
    except OSError as error:
        if error.errno not in _NO_MORE:
            raise
        raise _DiskError(path, error.errno) from None


def write_atomic(path: Path, data: str | bytes, mode: int = 0o644, within: Path | None = None) -> None:
    """Writes a file as `replaced_file` does. Raises InputError as it does."""
    with replaced_file(path, mode, within) as file:
        # Half a surrogate pair is written as JSON writes it.
        file.write(data.encode(errors="backslashreplace") if isinstance(data, str) else data)


def write_json(path: Path, value: Any, mode: int = 0o644, within: Path | None = None) -> None:
    """Canonical enough to compare by eye and by diff: indented, in UTF-8, with a newline at the end."""
    write_atomic(path, json.dumps(value, ensure_ascii=False, indent=1) + "\n", mode, within)


def read_json(path: Path) -> Any:
    """The JSON in a file. Raises InputError with the line where it breaks."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no plain file; restore the file")
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: not JSON: {error.msg}; restore the file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}; restore the file") from None


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_target(out: Path, inputs: Iterable[Path], mark: str) -> Path:
    """The folder to be replaced, resolved; an earlier result is known by a file of the name `mark` in it.

    Raises InputError where the folder is a link, holds or lies in one of the inputs, or holds anything else.
    """
    where = out.resolve()
    if out.is_symlink() or where.parent == where:
        raise InputError(f"{out}: is a link or no folder of its own; name another")
    for one in (path.resolve() for path in inputs):
        if one == where or one in where.parents or where in one.parents:
            raise InputError(f"{out}: is, holds or lies in {one}, which is read; name another folder")
    if where.is_dir() and any(where.iterdir()) and not (where / mark).is_file():
        raise InputError(f"{out}: holds other things; name a folder that is empty or not there")
    return where


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock beside `path`, so that two processes never write it at once. Raises InputError where held."""
    with disk_told(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        file = (path.parent / f".{path.name}.lock").open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path}: another process is writing it; wait until it has ended") from None
        yield


@contextlib.contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """A new empty folder that takes the place of `path` where the block ends without an exception."""
    if path.exists() and not path.is_dir():
        raise InputError(f"{path}: is no folder; move it away")
    with locked(path), disk_told(path):
        old = path.with_name(f".{path.name}.old")
        if old.exists() and not path.exists():
            old.rename(path)  # a run was cut off between the two renames
        shutil.rmtree(old, ignore_errors=True)
        for left in path.parent.glob(f".{path.name}.new-*"):
            shutil.rmtree(left, ignore_errors=True)
        new = Path(tempfile.mkdtemp(prefix=f".{path.name}.new-", dir=path.parent))
        try:
            new.chmod(0o755)
            yield new
            if path.exists():
                path.rename(old)
            try:
                new.rename(path)
            except OSError:
                if old.exists():
                    old.rename(path)
                raise
            shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(new, ignore_errors=True)
