"""What changed between two releases of a dataset: documents, spans, attributes, relations, claims, schema.

Read from the flat configs, so that releases of other schemas can be compared too. Spans and relations are the same
where their ids are; a span that is gone and one that is new, of the same label and overlapping, are one with other
bounds, paired from the greatest overlap down.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from testimonia import tables
from testimonia.errors import InputError
from testimonia.files import read_json

Json = dict[str, Any]
Rows = Mapping[str, Json]
KINDS = ("none", "patch", "minor", "major")
# What is compared, and what tells its rows apart.
PARTS = {
    "documents": ("doc_id",),
    "spans": ("id",),
    "relations": ("id",),
    "claims": ("claim_id",),
    "claim_mentions": ("claim_id", "mention_id"),
    "annotations": ("doc_id", "round", "annotator", "state"),
    "tokens": ("doc_id", "sentence"),
}
# What else is looked into of each row that comes or goes.
NEEDED: dict[str, dict[str, type]] = {
    "spans": {"doc_id": str, "label": str, "start": int, "end": int},
    "relations": {"head": str, "label": str, "tail": str},
}
TOLD = 20  # of a kind, in words


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A release as it is compared: the rows of each config by key; its columns and their types."""

    version: str
    scheme_version: str
    rows: Mapping[str, Rows]
    columns: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed from one release to another.

    Attributes:
        old, new: the versions.
        kind: the least part of the version that must rise: major (scheme, schema or a text changed, or a document
            went), minor (anything else in the rows), patch (nothing but the rest, such as the card).
        schema: lines about scheme and columns.
        parts: of each of PARTS `{"added": [key], "removed": [key], "changed": {key: {column: [old, new]}}}`; spans
            also have `"moved": {old id: new id}`, and a span that moved may be changed under its new id.
        counts: of each, `[old, new]`.
        texts: the words of spans, by id.
    """

    old: str
    new: str
    kind: str
    schema: tuple[str, ...]
    parts: Mapping[str, Json]
    counts: Mapping[str, tuple[int, int]]
    texts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """The record that `--json` prints."""
        head = {"old": self.old, "new": self.new, "kind": self.kind, "schema": list(self.schema)}
        return head | {"counts": {name: list(both) for name, both in self.counts.items()}} | dict(self.parts)


@contextlib.contextmanager
def release_folder(corpus: Path, where: str) -> Iterator[Path]:
    """The dataset folder of a release: a folder, or `dataset/` of a git revision of the corpus. Raises InputError."""
    if (Path(where) / "manifest.json").is_file():
        yield Path(where)
        return
    commit = git(corpus, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{where}^{{commit}}")
    archive = git(corpus, "archive", "--format=tar", commit.decode().strip(), "dataset") if commit else None
    if archive is None:
        raise InputError(f"{where}: is neither a dataset folder nor a git revision of {corpus} with a dataset/")
    with tempfile.TemporaryDirectory() as folder:
        try:
            with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise InputError(f"{where}: its dataset/ cannot be unpacked: {error}") from None
        yield Path(folder) / "dataset"


def git(folder: Path, *arguments: str) -> bytes | None:
    """What a git command prints in a folder; None where it fails or there is no git."""
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, "-C", str(folder), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def read_snapshot(folder: Path) -> Snapshot:
    """A dataset folder of any version. Raises InputError where it has no manifest, or a config cannot be read."""
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest, dict):
        raise InputError(f"{folder / 'manifest.json'}: is not a JSON object; is this a release?")
    rows: dict[str, Rows] = {}
    columns = {}
    for config, key in PARTS.items():
        read = [tables.read_parquet(file) for file in sorted((folder / config).glob("*.parquet"))]
        if not read and config == "documents":
            raise InputError(f"{folder / config}: holds no Parquet file; is this a release?")
        found = [row for table in read for row in table.to_pylist()]
        if config == "documents":  # their spans and relations are those of the flat configs
            found = [{name: value for name, value in row.items() if name not in PARTS} for row in found]
        for name, kind in NEEDED.get(config, {}).items():
            if not all(isinstance(row.get(name), kind) for row in found):
                raise InputError(f"{folder / config}: {name} is missing or of another type; is this a release?")
        rows[config] = _keyed(folder / config, found, key)
        if read:
            columns[config] = _columns(read[0].schema)
    return Snapshot(str(manifest.get("version", "")), str(manifest.get("scheme_version", "")), rows, columns)


def _keyed(place: Path, rows: Sequence[Json], key: Sequence[str]) -> Rows:
    found: dict[str, Json] = {}
    for row in rows:
        if any(row.get(name) is None for name in key):
            raise InputError(f"{place}: a row has no {' or '.join(key)}; is this a release?")
        name = " ".join(str(row[name]) for name in key)
        if name in found:
            raise InputError(f"{place}: {name} stands twice; restore the release")
        found[name] = row
    return found


def _columns(schema: pa.Schema) -> dict[str, str]:
    """Columns with their types, with the names of classes where the features give them."""
    try:
        told = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        found = {name: str(tables.feature_of(one)) for name, one in told.items()}
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError):
        found = {}
    return {one.name: found.get(one.name, str(one.type)) for one in schema}


def compare(old: Snapshot, new: Snapshot) -> Changes:
    """What changed from one release to the next."""
    schema = tuple(_schema(old, new))
    moved = _moved(old.rows["spans"], new.rows["spans"])
    before = dict(old.rows)
    before["spans"] = {moved.get(key, key): row for key, row in old.rows["spans"].items()}
    before["relations"] = {_followed(row, moved): row for row in old.rows["relations"].values()}
    parts = {name: _changed(before[name], new.rows[name], moved) for name in PARTS}
    parts["spans"]["moved"] = moved
    texts = any({"text", "zones"} & set(found) for found in parts["documents"]["changed"].values())
    if schema or texts or parts["documents"]["removed"]:
        kind = "major"
    elif any(any(part.values()) for part in parts.values()):
        kind = "minor"
    else:
        kind = "patch" if old.version != new.version else "none"
    return Changes(
        old=old.version,
        new=new.version,
        kind=kind,
        schema=schema,
        parts=parts,
        counts={name: (len(old.rows[name]), len(new.rows[name])) for name in PARTS},
        texts={key: str(row.get("text", "")) for one in (old, new) for key, row in one.rows["spans"].items()},
    )


def _schema(old: Snapshot, new: Snapshot) -> Iterator[str]:
    """Scheme and columns; a config is there where it has rows, so that one that comes or goes is no change of these."""
    if old.scheme_version != new.scheme_version:
        yield f"scheme {old.scheme_version} became {new.scheme_version}"
    for config in sorted({*old.columns} & {*new.columns}):
        left, right = old.columns[config], new.columns[config]
        for name in sorted({*left, *right}):
            if left.get(name) != right.get(name):
                yield f"column {config}.{name}: {left.get(name, 'not there')} became {right.get(name, 'not there')}"


def _changed(old: Rows, new: Rows, moved: Mapping[str, str]) -> Json:
    """Rows added, removed and changed, by key. What follows from other bounds of a span is no change of its own."""
    changed = {}
    follow = set(moved.values())
    for key in (key for key in new if key in old):
        left, right = old[key], new[key]
        found = {
            name: [left[name], right[name]]
            for name in right
            if name in left and _followed_by(left[name], moved) != right[name]
        }
        if key in follow:
            found = {name: both for name, both in found.items() if name not in ("id", "start", "end", "text")}
        if {"head", "tail"} <= set(right) and {left["head"], left["tail"]} & set(moved):
            found = {name: both for name, both in found.items() if name not in ("id", "head_text", "tail_text")}
        if found:
            changed[key] = found
    return {
        "added": [key for key in new if key not in old],
        "removed": [key for key in old if key not in new],
        "changed": changed,
    }


def _followed_by(value: Any, moved: Mapping[str, str]) -> Any:
    """A value with the new ids of spans that moved."""
    if isinstance(value, str):
        return moved.get(value, value)
    return [_followed_by(one, moved) for one in value] if isinstance(value, list) else value


def _moved(old: Rows, new: Rows) -> dict[str, str]:
    """New ids of spans with other bounds by their old ones: same document and label, the greatest overlap first."""
    gone: dict[tuple[str, str], list[Json]] = {}
    for key, row in old.items():
        if key not in new:
            gone.setdefault((row["doc_id"], row["label"]), []).append(row)
    pairs = []
    for key, row in new.items():
        for other in gone.get((row["doc_id"], row["label"]), []) if key not in old else []:
            overlap = min(row["end"], other["end"]) - max(row["start"], other["start"])
            if overlap > 0:
                pairs.append((-overlap, other["start"], row["start"], other["id"], key))
    moved: dict[str, str] = {}
    taken: set[str] = set()
    for *_, left, right in sorted(pairs):
        if left not in moved and right not in taken:
            moved[left] = right
            taken.add(right)
    return moved


def _followed(row: Json, moved: Mapping[str, str]) -> str:
    """The id that a relation would have after its ends moved."""
    head, tail = moved.get(row["head"], row["head"]), moved.get(row["tail"], row["tail"])
    return f"{head}>{row['label']}>{tail.partition(':')[2]}"


def changes_text(changes: Changes, most: int | None = TOLD) -> str:
    """The changes in words, a line each; of a kind at most so many, the rest counted (None: all)."""
    lines = [f"{changes.new} against {changes.old}: {_KIND[changes.kind]}"]
    lines += _listed("schema", list(changes.schema), most)
    for name, part in changes.parts.items():
        left, right = changes.counts[name]
        if left or right:
            lines.append(f"{name}: {left} became {right}: {', '.join(_counted(part)) or 'none changed'}")
        words = changes.texts if name == "spans" else {}
        lines += _listed("+", [_named(key, words) for key in part["added"]], most)
        lines += _listed("-", [_named(key, words) for key in part["removed"]], most)
        moved = [f"{_named(key, words)} -> {_named(to, words)}" for key, to in part.get("moved", {}).items()]
        lines += _listed("~", moved, most)
        lines += _listed("~", [f"{_named(k, words)}: {_values(found)}" for k, found in part["changed"].items()], most)
    return "\n".join(lines) + "\n"


_WORDS = {"added": "added", "removed": "removed", "moved": "with other bounds", "changed": "with other values"}
_KIND = {
    "none": "the same",
    "patch": "no row changed",
    "minor": "documents, labels, relations or claims changed",
    "major": "scheme, schema or texts changed",
}


def _counted(part: Json) -> list[str]:
    """How many were added, removed, moved and changed, and in which columns."""
    found = [f"{len(part[what])} {_WORDS[what]}" for what in _WORDS if part.get(what)]
    columns = Counter(name for values in part["changed"].values() for name in values)
    if columns:
        found[-1] += f" ({', '.join(f'{name} {count}' for name, count in columns.most_common())})"
    return found


def _named(key: str, words: Mapping[str, str]) -> str:
    return f"{key} “{' '.join(words[key].split())}”" if key in words else key


def _values(found: Mapping[str, Sequence[object]]) -> str:
    return ", ".join(f"{name} {_short(left)} -> {_short(right)}" for name, (left, right) in found.items())


def _short(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, list):
        return f"{len(value)} entries"
    text = f"{value:g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(sign: str, items: Sequence[str], most: int | None) -> list[str]:
    shown = items if most is None else items[:most]
    rest = [f"  {sign} and {len(items) - len(shown)} more"] if len(shown) < len(items) else []
    return [f"  {sign} {item}" for item in shown] + rest


def summary_text(changes: Changes) -> str:
    """The changes in a few sentences for a changelog: what there is, and how much of it is new."""
    sentences = [f"{line[0].upper()}{line[1:]}." for line in changes.schema]
    for name in ("documents", "spans", "relations", "claims", "claim_mentions"):
        if counted := _counted(changes.parts[name]):
            sentences.append(f"{name.replace('_', ' ').capitalize()}: {changes.counts[name][1]}; {', '.join(counted)}.")
    if not sentences and changes.kind == "minor":
        return "Annotations or tokens changed; the gold is that of " + changes.old + "."
    return " ".join(sentences) or "Documents, labels, relations and claims are those of " + changes.old + "."
