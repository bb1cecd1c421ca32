"""Exports of any size as chunks of whole tasks, read from front to back.

Read are one JSON array (compact or indented) and one task a line, both also packed by gzip; what is written otherwise
has no chunks. A chunk ends where all JSON before is whole: a place is guessed by how the tasks of the file begin, and
holds only if what lies before decodes as a list of values. What is left at the end of the file must be whole too.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Any, Literal

import msgspec

from testimonia.errors import InputError

CHUNK = 8 << 20  # bytes
LARGEST = 1 << 28  # bytes of one task
_TRIES = 8
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
_MALFORMED = re.compile(r"malformed.*\(byte (\d+)\)")
_STRING = rb'("(?:[^"\\]|\\.)*")'
_KEY = re.compile(rb"\s*\{\s*" + _STRING + rb"\s*:")
_SECOND = re.compile(rb'\s*(?:"(?:[^"\\]|\\.)*"|[-+.\w]+)\s*,\s*' + _STRING + rb"\s*:")
# What msgspec refuses and Python's json reads: halves of surrogate pairs, and numbers that are none.
_LENIENT = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}|NaN|Infinity")
_SPACE = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])

Form = Literal["array", "lines", "other"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole tasks of a file: `count` of them after `first` others, from byte `start` of the (unpacked) file.

    `data` is a JSON array or lines.
    """

    path: Path
    start: int
    first: int
    count: int
    data: bytes
    form: Form
    raws: Sequence[msgspec.Raw] = field(default=(), compare=False, repr=False)

    def values(self) -> Sequence[bytes | msgspec.Raw]:
        """The JSON of each task."""
        if self.raws:
            return self.raws
        if self.form == "lines":
            return [line for line in self.data.split(b"\n") if line.strip()]
        try:
            return _RAWS.decode(self.data)
        except msgspec.DecodeError:
            pass
        try:
            return _apart(self.data[1:-1])
        except (ValueError, RecursionError) as error:
            raise InputError(f"{self.path}: byte {self.start:,}: not JSON: {error}; restore the file") from None

    def read(self, raw: bytes | msgspec.Raw, number: int) -> Any:
        """One of the values, the `number`-th of the file. Raises InputError, with the byte, where it is no JSON."""
        try:
            return json.loads(bytes(raw))
        except (ValueError, RecursionError) as error:
            at = self.start + max(0, self.data.find(bytes(raw)))
            raise InputError(f"{self.path}: byte {at:,}: task {number:,} is not JSON: {error}; restore it") from None

    def bare(self) -> Chunk:
        """The same without values that were decoded already, to be sent elsewhere."""
        return replace(self, raws=())


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The exports that are named, and those in folders. Raises InputError where there is none."""
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise InputError(f"{path}: is not there; give exports in Label Studio's format JSON, or a folder of them")
        inside = [path]
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.name.endswith((".json", ".jsonl", ".json.gz", ".jsonl.gz")))
        if not inside:
            raise InputError(
                f"{path}: holds no .json, .jsonl or .gz of one; give exports in Label Studio's format JSON"
            )
        found += inside
    return found


def form_of(path: Path) -> Form:
    """How the tasks of a file stand in it, by its beginning. Raises InputError where it cannot be read."""
    with opened(path) as file:
        head = file.read(CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if head.startswith(b"["):
        return "array"
    line = head.partition(b"\n")[0]
    with contextlib.suppress(ValueError, RecursionError):
        if isinstance(json.loads(line), dict) and head[len(line) :].strip():
            return "lines"
    return "other"


def chunks_of(path: Path, form: Form, size: int = CHUNK) -> Iterator[Chunk]:
    """The tasks of a file of form array or lines, in chunks of about so many bytes.

    Raises InputError where the file is broken or cut off, with the byte, or cannot be read.
    """
    with opened(path) as file:
        buffer, start = bytearray(), 0
        head = file.read(3)
        if head == b"\xef\xbb\xbf":
            start = 3
        else:
            buffer += head
        if form == "lines":
            yield from _lines(path, file, buffer, start, size)
        else:
            yield from _array(path, file, buffer, start, size)


@contextlib.contextmanager
def opened(path: Path) -> Iterator[BufferedIOBase]:
    """A file, unpacked where it is gzip by its first bytes. Raises InputError."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=raw) as file:
                    yield file
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: is broken gzip: {error}; restore the file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}; restore the file") from None


def _lines(path: Path, file: BufferedIOBase, buffer: bytearray, start: int, size: int) -> Iterator[Chunk]:
    first = 0
    ended = False
    while not ended:
        block = file.read(size)
        ended = not block
        buffer += block
        cut = len(buffer) if ended else buffer.rfind(b"\n") + 1
        if cut:
            data = bytes(buffer[:cut])
            count = sum(1 for line in data.split(b"\n") if line.strip())
            if count:
                yield Chunk(path, start, first, count, data, "lines")
            start, first = start + cut, first + count
            del buffer[:cut]
        if len(buffer) > LARGEST:
            raise InputError(f"{path}: byte {start:,}: a line of more than {LARGEST >> 20} MB; give one task a line")


def _array(path: Path, file: BufferedIOBase, buffer: bytearray, start: int, size: int) -> Iterator[Chunk]:
    while not buffer.lstrip() and (block := file.read(size)):
        buffer += block
    opening = buffer.index(b"[") + 1
    del buffer[:opening]
    start, first = start + opening, 0
    head: re.Pattern[bytes] | None = None
    ended = False
    while not ended:
        block = file.read(max(size, len(buffer)))  # as much again, so that what is looked at twice adds up to little
        ended = not block
        buffer += block
        head = head or _head(buffer)
        cut = None if ended else _cut(buffer, head)
        if cut is not None:
            begin, data, count, raws = cut
            del buffer[:begin]
            yield Chunk(path, start, first, count, data, "array", raws)
            start, first = start + begin, first + count
        elif not ended and len(buffer) > LARGEST:
            raise InputError(f"{path}: byte {start:,}: a task of more than {LARGEST >> 20} MB; leave it out")
        elif not ended and _malformed(buffer):
            raise _broken(path, bytes(buffer), start)
    closing = buffer.rfind(b"]")
    if closing < 0 or buffer[closing + 1 :].strip():
        raise _broken(path, bytes(buffer), start)
    rest = b"".join((b"[", memoryview(buffer)[:closing], b"]"))
    whole = _whole(rest)
    if whole is None:
        raise _broken(path, bytes(buffer), start)
    count, raws = whole
    if count:
        yield Chunk(path, start, first, count, rest, "array", raws)


def _cut(buffer: bytearray, head: re.Pattern[bytes] | None) -> tuple[int, bytes, int, Sequence[msgspec.Raw]] | None:
    """Where the next task begins, and the whole tasks before: as an array, their count, apart; None without a place."""
    end = len(buffer)
    for _ in range(_TRIES):
        between = None
        while between is None:
            end = buffer.rfind(b"}", 0, end)
            if end < 0:
                return None
            between = _BETWEEN.match(buffer, end)
            if between and head is not None and not head.match(buffer, between.end()):
                between = None
        data = b"".join((b"[", memoryview(buffer)[: end + 1], b"]"))
        whole = _whole(data)
        if whole is not None:
            return between.end(), data, *whole
    return _scanned(buffer)


def _scanned(buffer: bytearray) -> tuple[int, bytes, int, Sequence[msgspec.Raw]] | None:
    """The same, slower and without a guess: value by value from the beginning."""
    text, decoder = buffer.decode("utf-8", "surrogateescape"), json.JSONDecoder()
    at = count = stop = begin = 0
    with contextlib.suppress(ValueError, RecursionError):
        while (ahead := _gap(text, at)) < len(text):
            _, at = decoder.raw_decode(text, ahead)
            if text[at : (after := _gap(text, at))].strip() != ",":
                break
            count, stop, begin = count + 1, at, after
    if not count:
        return None
    start, end = (len(text[:edge].encode("utf-8", "surrogateescape")) for edge in (begin, stop))
    return start, b"".join((b"[", memoryview(buffer)[:end], b"]")), count, ()


def _whole(data: bytes) -> tuple[int, Sequence[msgspec.Raw]] | None:
    """How many values an array has, and these where msgspec reads them; None where it is not whole."""
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        raws = _RAWS.decode(data)
        return len(raws), raws
    with contextlib.suppress(msgspec.DecodeError, RecursionError):
        return len(_RAWS.decode(_LENIENT.sub(_strict, data))), ()
    return None


def _malformed(buffer: bytearray) -> bool:
    """Whether what there is can be no beginning of an array, whatever follows; the last bytes may be half a word."""
    try:
        _RAWS.decode(_LENIENT.sub(_strict, b"[" + buffer))
    except msgspec.DecodeError as error:
        place = _MALFORMED.search(str(error))
        return place is not None and int(place[1]) < len(buffer) - 16
    except RecursionError:
        return True
    return False


def _strict(odd: re.Match[bytes]) -> bytes:
    """What msgspec reads, of the same length."""
    return b"\\u0000" if odd[0].startswith(b"\\") else b"1.000000"[: len(odd[0])]


def _apart(data: bytes) -> list[bytes | msgspec.Raw]:
    """The values of a chunk that msgspec refuses, as they stand."""
    text, decoder, at = data.decode(), json.JSONDecoder(), 0
    found: list[bytes | msgspec.Raw] = []
    while (begin := _gap(text, at)) < len(text):
        _, at = decoder.raw_decode(text, begin)
        found.append(text[begin:at].encode())
    return found


def _gap(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _head(buffer: bytearray) -> re.Pattern[bytes] | None:
    """How the tasks of this file begin: the name of their first key, and of their second after a plain value."""
    first = _KEY.match(buffer)
    if first is None:
        return None
    second = _SECOND.match(buffer, first.end())
    names = rb"\{\s*" + re.escape(first[1]) + rb"\s*:"
    return re.compile(names + _SECOND.pattern.replace(_STRING, re.escape(second[1])) if second else names)


def _broken(path: Path, buffer: bytes, start: int) -> InputError:
    """Where the JSON of the tasks from a place on stops being JSON."""
    text = buffer.decode("utf-8", "replace")
    decoder, at = json.JSONDecoder(), 0
    try:
        while (begin := _gap(text, at)) < len(text):
            _, at = decoder.raw_decode(text, begin)
    except (json.JSONDecodeError, RecursionError) as error:
        place = getattr(error, "pos", at)
        byte = start + len(text[:place].encode())
        end = "the file ends within a task"
        told = end if place >= len(text.rstrip()) - 1 else f"not JSON: {getattr(error, 'msg', 'nested too deep')}"
        return InputError(f"{path}: byte {byte:,}: {told}; restore the file, or export again")
    return InputError(f"{path}: byte {start + len(buffer):,}: the list of tasks has no end; restore the file")
