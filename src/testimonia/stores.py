"""Folders put into an object store: each key is written once, whole, and the file that says what there is, last."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from testimonia.errors import InputError
from testimonia.files import sha256_of

_WHOLE = ("s3", "gcs", "abfs")  # where a key is there when all of it is, or not at all
_BYTES = 1 << 20


def is_url(target: str) -> bool:
    """Whether a target is a URL such as `s3://bucket/prefix`, and no path."""
    return re.match(r"[a-z][a-z0-9+.-]*://", target) is not None


def put(folder: Path, url: str, last: str) -> None:
    """Puts every file of a folder but hidden ones under a URL, `last` when all others are there.

    A key that holds the same bytes already, from a run that was interrupted, is kept. Raises InputError where one holds
    others, where `last` is there already, or where the store does not let itself be written.
    """
    try:
        store, root = _opened(url)
        if store.get_file_info(f"{root}/{last}").type != fs.FileType.NotFound:
            raise InputError(f"{url}: has a {last} already; keys are written once, take another prefix")
        names = [path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file()]
        names = [name for name in names if not any(part.startswith(".") for part in name.parts)]
        for name in sorted(names, key=lambda name: (str(name) == last, name)):
            path, key = folder / name, f"{root}/{name.as_posix()}"
            found = store.get_file_info(key)
            if found.type == fs.FileType.NotFound:
                _put(path, store, key)
            elif found.size != path.stat().st_size or _sha256(store, key) != sha256_of(path):
                raise InputError(f"{url}: {key} holds something else; keys are written once, take another prefix")
    except (OSError, ValueError, ImportError, pa.ArrowException) as error:
        raise InputError(f"{url}: cannot be written: {error}; see to its address, rights and credentials") from None


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, that of pyarrow or, for all else, of fsspec; and the path in it."""
    try:
        store, root = fs.FileSystem.from_uri(url)
    except pa.ArrowInvalid:
        import fsspec

        made, root = fsspec.core.url_to_fs(url)
        store = fs.PyFileSystem(fs.FSSpecHandler(made))
    return store, root.rstrip("/")


def _put(path: Path, store: Any, key: str) -> None:
    whole = store.type_name in _WHOLE
    store.create_dir(key.rpartition("/")[0], recursive=True)
    target = key if whole else f"{key}.new"
    with path.open("rb") as source, store.open_output_stream(target) as sink:
        while block := source.read(_BYTES):
            sink.write(block)
    if not whole:
        store.move(target, key)


def _sha256(store: Any, key: str) -> str:
    digest = hashlib.sha256()
    with store.open_input_stream(key) as source:
        while block := source.read(_BYTES):
            digest.update(block)
    return digest.hexdigest()
