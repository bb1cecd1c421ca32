"""A release built again from `seeds/` and `labeling/`, and compared with the one that is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testimonia import tables
from testimonia.card import split_header
from testimonia.corpus import Corpus
from testimonia.errors import Finding, InputError
from testimonia.files import read_json
from testimonia.release import CARD, MANIFEST, SUMS, build_release, check_sums, content_sha256

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Verification:
    """What comes of building a release again.

    Attributes:
        content_sha256: of the release that is there.
        built_with, here: the versions of pyarrow that wrote it, and that wrote it again. Bytes are compared where
            they are the same; rows always.
        findings: empty where all is as it should be.
    """

    content_sha256: str
    built_with: str
    here: str
    findings: tuple[Finding, ...]


def verify_release(corpus: Corpus) -> Verification:
    """Checks the sums of `dataset/`, builds it again elsewhere, and compares.

    Raises InputError where the release or its manifest cannot be read, FindingsError where the exports have errors.
    """
    there = corpus.dataset
    manifest = read_json(there / MANIFEST)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("configs"), dict):
        raise InputError(f"{there / MANIFEST}: lists no configs; restore it, or run testimonia export-gold")
    findings = check_sums(there)
    with tempfile.TemporaryDirectory() as temporary:
        made = Path(temporary) / "dataset"
        release, card = build_release(corpus, made)
        built_with = str(manifest.get("tools", {}).get("pyarrow", "unknown"))
        here = str(release.manifest["tools"]["pyarrow"])
        findings += _rows(there, made, manifest, release.manifest)
        if split_header(card)[1] != split_header((there / "README.md").read_text(encoding="utf-8"))[1]:
            findings.append(Finding("README.md", "rebuild-differs", "its text is not the one that is made now"))
        if (corpus.folder / CARD).read_text(encoding="utf-8") != card:
            findings.append(Finding(CARD, "rebuild-differs", "is not the card that is made now"))
        if not findings and built_with == here:
            findings += _bytes(there, made)
    return Verification(str(manifest.get("content_sha256")), built_with, here, tuple(findings))


def _rows(there: Path, made: Path, manifest: Json, again: Json) -> Iterator[Finding]:
    """A finding on each config whose rows are others, and on each input that is."""
    for config in sorted({*manifest["configs"], *again["configs"]}):
        old, new = manifest["configs"].get(config), again["configs"].get(config)
        if old is None or new is None:
            message = "is made now, but is not in the release" if old is None else "is in the release, but not made now"
            yield Finding(config, "rebuild-differs", message)
            continue
        rows, expected = (tables.read_parquet(root / tables.parquet_name(config)) for root in (there, made))
        if content_sha256(rows.to_pylist()) != new["content_sha256"]:
            yield Finding(config, "rebuild-differs", _first(rows.to_pylist(), expected.to_pylist()))
        elif old.get("content_sha256") != new["content_sha256"]:
            yield Finding(MANIFEST, "rebuild-differs", f"the content_sha256 of {config} is not that of its rows")
    for name in ("name", "version", "scheme_version", "guidelines_version", "counts"):
        if manifest.get(name) != again[name]:
            message = f"{name} is {manifest.get(name)!r}, made now {again[name]!r}"
            yield Finding(MANIFEST, "rebuild-differs", message)
    inputs = manifest.get("inputs", {})
    for path in sorted({*inputs, *again["inputs"]}):
        if inputs.get(path) != again["inputs"].get(path):
            yield Finding(MANIFEST, "rebuild-differs", f"the input {path} is another, new or gone")


def _first(left: list[Json], right: list[Json]) -> str:
    """How many rows differ, and the first of them."""
    if len(left) != len(right):
        return f"has {len(left)} rows, made now {len(right)}"
    differing = [(one, other) for one, other in zip(left, right, strict=True) if one != other]
    one, other = differing[0]
    columns = ", ".join(name for name in {**one, **other} if one.get(name) != other.get(name))
    key = one.get("id", next(iter(one.values())))
    return f"{len(differing)} of {len(left)} rows are others; the first is {key}, in {columns}"


def _bytes(there: Path, made: Path) -> Iterator[Finding]:
    """A finding on each file whose bytes are others."""
    names = {path.relative_to(root).as_posix() for root in (there, made) for path in root.rglob("*") if path.is_file()}
    for name in sorted(names - {SUMS}):
        one, other = there / name, made / name
        if not one.is_file() or not other.is_file() or one.read_bytes() != other.read_bytes():
            yield Finding(name, "rebuild-differs", "its bytes are not those that are made now, with the same pyarrow")


def verification_text(verification: Verification) -> str:
    """What was verified, in a sentence."""
    if verification.findings:
        return f"{len(verification.findings)} differences from what is made now\n"
    if verification.built_with == verification.here:
        how = f"the same bytes (pyarrow {verification.here})"
    else:
        how = f"the same rows; built with pyarrow {verification.built_with}, so bytes are not compared with those of "
        how += verification.here
    return f"built again: {how}; content {verification.content_sha256[:16]}\n"
