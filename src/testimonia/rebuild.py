"""A release built again from `seeds/` and `labeling/`, and compared with the one that is there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testimonia import tables
from testimonia.corpus import Corpus
from testimonia.document import SPLITS
from testimonia.errors import Finding, InputError
from testimonia.files import read_json
from testimonia.release import (
    CARD,
    CROISSANT,
    MANIFEST,
    PAPERS,
    SUMS,
    build_release,
    check_sums,
    content_sha256,
    read_manifest,
    read_text,
    strays,
)

Json = dict[str, Any]
# What depends on the pyarrow that wrote the Parquet: sizes and sums of its bytes.
_SIZES = re.compile(r"(?m)^ *(- )?(num_bytes|download_size|dataset_size): \d+$")
_OF_BYTES = {"bytes", "sha256", "contentSize", "pyarrow"}


@dataclass(frozen=True, slots=True)
class Verification:
    """What comes of building a release again.

    Attributes:
        content_sha256: of what was built.
        built_with, here: the versions of pyarrow that wrote the release, by its manifest, and that wrote it again.
            Where they are the same all bytes are compared, else all but what follows from the bytes of the Parquet.
        findings: empty where all is as it should be.
    """

    content_sha256: str
    built_with: str
    here: str
    findings: tuple[Finding, ...]


def verify_release(corpus: Corpus) -> Verification:
    """Checks the sums of `dataset/`, builds it again elsewhere, and compares.

    Raises InputError where the release cannot be read, FindingsError where the exports have errors.
    """
    there = corpus.dataset
    if not there.is_dir():
        raise InputError(f"{there}: is not there; `testimonia export-gold` builds it")
    manifest = read_manifest(there)
    findings = check_sums(there)
    findings += [
        Finding(path.relative_to(corpus.folder).as_posix(), "rebuild-differs", "is no plain file of the release")
        for path in strays(there, manifest)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "dataset"
        release, card = build_release(corpus, made)
        built_with, here = (
            str(manifest.get("tools", {}).get("pyarrow", "unknown")),
            release.manifest["tools"]["pyarrow"],
        )
        for config in sorted({*manifest["configs"], *release.manifest["configs"]}):
            findings += _config(config, there, made)
        for name in PAPERS:
            if name != SUMS and not _alike(there / name, made / name, exact=built_with == here):
                findings.append(Finding(name, "rebuild-differs", _paper(there / name, made / name)))
        if read_text(corpus.folder / CARD) != card:
            findings.append(Finding(CARD, "rebuild-differs", "is not the card that is made now"))
        if built_with == here and not findings:
            findings += _bytes(there, made)
    return Verification(release.manifest["content_sha256"], built_with, here, tuple(findings))


def _config(config: str, there: Path, made: Path) -> Iterator[Finding]:
    """A finding where a config has other rows, another schema, or is in one of both releases only."""
    for split in SPLITS:
        name = tables.parquet_name(config, split)
        yield from _file(config if split == "test" else f"{config} {split}", there / name, made / name)


def _file(config: str, old: Path, new: Path) -> Iterator[Finding]:
    if not old.is_file() or not new.is_file():
        message = "is in the release, but not made now" if old.is_file() else "is made now, but is not in the release"
        yield from [Finding(config, "rebuild-differs", message)] * (old.is_file() or new.is_file())
        return
    left, right = tables.read_parquet(old), tables.read_parquet(new)
    if not left.schema.equals(right.schema, check_metadata=True):
        yield Finding(config, "rebuild-differs", "its columns, their types or features are others than are made now")
        return
    rows, expected = left.to_pylist(), right.to_pylist()
    if content_sha256(rows) != content_sha256(expected):
        yield Finding(config, "rebuild-differs", _first(rows, expected))


def _first(left: list[Json], right: list[Json]) -> str:
    """How many rows differ, and the first of them."""
    if len(left) != len(right):
        return f"has {len(left)} rows, made now {len(right)}"
    differing = [(one, other) for one, other in zip(left, right, strict=True) if one != other]
    one, other = differing[0]
    columns = ", ".join(name for name in one if one[name] != other[name])
    key = one.get("id", next(iter(one.values())))
    return f"{len(differing)} of {len(left)} rows are others; the first is {key}, in {columns}"


def _alike(old: Path, new: Path, exact: bool) -> bool:
    """Whether two papers are the same; if not `exact`, but for what follows from the bytes of the Parquet."""
    if not old.is_file() or exact:
        return old.is_file() and old.read_bytes() == new.read_bytes()
    if old.suffix == ".md":
        return _SIZES.sub("", read_text(old)) == _SIZES.sub("", read_text(new))
    try:
        return bool(_without_bytes(read_json(old)) == _without_bytes(read_json(new)))
    except (InputError, RecursionError):
        return False


def _without_bytes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_bytes(inner) for name, inner in value.items() if name not in _OF_BYTES}
    return [_without_bytes(inner) for inner in value] if isinstance(value, list) else value


def _paper(old: Path, new: Path) -> str:
    """What is wrong with a paper; of JSON the keys in which it differs, of the manifest the inputs too."""
    if not old.is_file():
        return "is not there"
    if old.name not in (MANIFEST, CROISSANT):
        return "is not the one that is made now"
    try:
        left, right = read_json(old), read_json(new)
        keys = [key for key in sorted({*left, *right}) if left.get(key) != right.get(key)]
        inputs = left.get("inputs", {}), right.get("inputs", {})
        changed = [path for path in sorted({*inputs[0], *inputs[1]}) if inputs[0].get(path) != inputs[1].get(path)]
    except (InputError, TypeError, AttributeError):
        return "is not the one that is made now"
    told = f"; the inputs {', '.join(changed)} are others, new or gone" if changed else ""
    return f"is not the one that is made now, in {', '.join(keys) or 'its form'}{told}"


def _bytes(there: Path, made: Path) -> Iterator[Finding]:
    """A finding on each file whose bytes are others."""
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        name = path.relative_to(made).as_posix()
        if (there / name).read_bytes() != path.read_bytes():
            yield Finding(name, "rebuild-differs", "its bytes are not those that are made now, with the same pyarrow")


def verification_text(verification: Verification) -> str:
    """What was verified, in a sentence."""
    if verification.findings:
        return f"{len(verification.findings)} differences from what is made now\n"
    how = f"the same bytes (pyarrow {verification.here})"
    if verification.built_with != verification.here:
        how = (
            f"the same rows and papers; the release names pyarrow {verification.built_with}, here is "
            f"{verification.here}, so that the bytes of the Parquet were not compared"
        )
    return f"built again: {how}; content {verification.content_sha256[:16]}\n"
