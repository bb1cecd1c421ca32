"""What changed between two releases of a dataset: documents, spans, attributes, relations, claims, schema.

Read from the flat configs, so that releases of other schemas can be compared too. Spans and relations are the same
where their ids are; a span that is gone and one that is new, of the same label and overlapping, are one with other
bounds, paired from the greatest overlap down.
"""

from __future__ import annotations

import contextlib
import io
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
KINDS = ("none", "patch", "minor", "major")
# Columns that say nothing about a span or a mention that its id, bounds or document do not.
_DERIVED = {"id", "doc_id", "language", "fold", "start", "end", "text", "label"}
TOLD = 20  # of a kind, in words


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A release as it is compared: rows by id, of each flat config; columns and their types, by config."""

    version: str
    scheme_version: str
    documents: Mapping[str, Json]
    spans: Mapping[str, Json]
    relations: Mapping[str, Json]
    claims: Mapping[str, Json]
    columns: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed from one release to another.

    Attributes:
        old, new: the versions.
        kind: the least part of the version that must rise: major (scheme, schema or a text changed), minor (documents,
            spans, attributes, relations or claims), patch (nothing but the rest, such as the card).
        schema: lines about scheme and columns.
        documents, spans, relations, claims: `{"added": [id], "removed": [id], "changed": {id: {column: [old, new]}}}`;
            spans also have `"moved": {old id: new id}`, and a span that moved may be changed under its new id.
        counts: of each, `[old, new]`.
        texts: the words of spans, by id.
    """

    old: str
    new: str
    kind: str
    schema: tuple[str, ...]
    documents: Json
    spans: Json
    relations: Json
    claims: Json
    counts: Mapping[str, tuple[int, int]]
    texts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> Json:
        """The record that `--json` prints."""
        parts = {"documents": self.documents, "spans": self.spans, "relations": self.relations, "claims": self.claims}
        counts = {name: list(both) for name, both in self.counts.items()}
        head = {"old": self.old, "new": self.new, "kind": self.kind, "schema": list(self.schema)}
        return head | {"counts": counts} | parts


@contextlib.contextmanager
def release_folder(corpus: Path, where: str) -> Iterator[Path]:
    """The dataset folder of a release: a folder, or `dataset/` of a git revision of the corpus. Raises InputError."""
    if Path(where).is_dir():
        yield Path(where)
        return
    archive = git(corpus, "archive", "--format=tar", where, "dataset")
    if archive is None:
        raise InputError(f"{where}: is neither a folder nor a git revision of {corpus} that has a dataset/")
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        yield Path(folder) / "dataset"


def git(folder: Path, *arguments: str) -> bytes | None:
    """What a git command prints in a folder; None where it fails or there is no git."""
    program = shutil.which("git")
    if program is None:
        return None
    done = subprocess.run([program, "-C", str(folder), *arguments], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def read_snapshot(folder: Path) -> Snapshot:
    """A dataset folder of any version. Raises InputError where it has no manifest or an unreadable config."""
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest, dict) or not isinstance(manifest.get("configs"), dict):
        raise InputError(f"{folder / 'manifest.json'}: lists no configs; is this a release?")
    rows: dict[str, dict[str, Json]] = {}
    columns = {}
    for config, key in (("documents", "doc_id"), ("spans", "id"), ("relations", "id"), ("claims", "claim_id")):
        files = sorted((folder / config).glob("*.parquet"))
        read = [tables.read_parquet(file) for file in files]
        if not read and config in manifest["configs"]:
            raise InputError(f"{folder / config}: holds no Parquet file, but the manifest has this config; restore it")
        rows[config] = {row[key]: row for table in read for row in table.to_pylist()}
        if read:
            columns[config] = {one.name: _type(one.type) for one in read[0].schema}
    return Snapshot(
        version=str(manifest.get("version", "")),
        scheme_version=str(manifest.get("scheme_version", "")),
        columns=columns,
        **rows,
    )


def _type(found: pa.DataType) -> str:
    """A type in words; of a list of structs the names of its fields, so that a new one shows."""
    if pa.types.is_list(found):
        return f"list of {_type(found.value_type)}"
    if pa.types.is_struct(found):
        return "{" + ", ".join(f"{one.name}: {_type(one.type)}" for one in found) + "}"
    return str(found)


def compare(old: Snapshot, new: Snapshot) -> Changes:
    """What changed from one release to the next."""
    schema = list(_schema(old, new))
    nested = {"spans", "relations"}
    documents = _changed(old.documents, new.documents, nested)
    texts = [doc_id for doc_id, found in documents["changed"].items() if {"text", "zones"} & set(found)]
    moved = _moved(old.spans, new.spans)
    spans = _changed(_renamed(old.spans, moved), new.spans, _DERIVED)
    relations = _changed({_followed(key, row, moved): row for key, row in old.relations.items()}, new.relations, None)
    claims = _changed(old.claims, new.claims, set())
    parts = (documents, spans, relations, claims)
    if schema or texts or documents["removed"]:
        kind = "major"
    elif moved or any(part[what] for part in parts for what in ("added", "removed", "changed")):
        kind = "minor"
    else:
        kind = "patch" if old.version != new.version else "none"
    both = {"documents": (old.documents, new.documents), "spans": (old.spans, new.spans)}
    both |= {"relations": (old.relations, new.relations), "claims": (old.claims, new.claims)}
    return Changes(
        old=old.version,
        new=new.version,
        kind=kind,
        schema=tuple(schema),
        documents=documents,
        spans=spans | {"moved": moved},
        relations=relations,
        claims=claims,
        counts={name: (len(left), len(right)) for name, (left, right) in both.items()},
        texts={key: row["text"] for rows in (old.spans, new.spans) for key, row in rows.items()},
    )


def _schema(old: Snapshot, new: Snapshot) -> Iterator[str]:
    if old.scheme_version != new.scheme_version:
        yield f"scheme {old.scheme_version} became {new.scheme_version}"
    for config in sorted({*old.columns, *new.columns}):
        left, right = old.columns.get(config), new.columns.get(config)
        if left is None or right is None:
            if config != "claims":  # a config that comes with the first claims is content
                yield f"config {config}: {'new' if left is None else 'gone'}"
            continue
        for name in sorted({*left, *right}):
            if left.get(name) != right.get(name):
                yield f"column {config}.{name}: {left.get(name, 'not there')} became {right.get(name, 'not there')}"


def _changed(old: Mapping[str, Json], new: Mapping[str, Json], beside: set[str] | None) -> Json:
    """Rows added, removed and changed, by id; columns `beside` the matter are not compared; None: no column is."""
    changed = {}
    for key in [key for key in new if key in old and beside is not None]:
        left, right = old[key], new[key]
        names = [name for name in right if name in left and name not in (beside or ())]
        found = {name: [left[name], right[name]] for name in names if left[name] != right[name]}
        if found:
            changed[key] = found
    return {
        "added": [key for key in new if key not in old],
        "removed": [key for key in old if key not in new],
        "changed": changed,
    }


def _moved(old: Mapping[str, Json], new: Mapping[str, Json]) -> dict[str, str]:
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
    for *_, left, right in sorted(pairs):
        if left not in moved and right not in moved.values():
            moved[left] = right
    return moved


def _renamed(rows: Mapping[str, Json], moved: Mapping[str, str]) -> dict[str, Json]:
    return {moved.get(key, key): row for key, row in rows.items()}


def _followed(key: str, row: Json, moved: Mapping[str, str]) -> str:
    """The id that a relation would have after its ends moved."""
    for end in (row["head"], row["tail"]):
        if end in moved:
            key = key.replace(end.split(":", 1)[1], moved[end].split(":", 1)[1], 1)
    return key


def changes_text(changes: Changes, most: int | None = TOLD) -> str:
    """The changes in words, a line each; of a kind at most so many, the rest counted (None: all)."""
    lines = [f"{changes.new} against {changes.old}: {_KIND[changes.kind]}"]
    lines += _listed("schema", list(changes.schema), most)
    for name in ("documents", "spans", "relations", "claims"):
        part: Json = getattr(changes, name)
        left, right = changes.counts[name]
        told = ", ".join(_counted(part)) or "none changed"
        if left or right:
            lines.append(f"{name}: {left} became {right}: {told}")
        words = changes.texts if name == "spans" else {}
        lines += _listed("+", [_named(key, words) for key in part["added"]], most)
        lines += _listed("-", [_named(key, words) for key in part["removed"]], most)
        lines += _listed(
            "~", [f"{_named(key, words)} -> {_named(to, words)}" for key, to in part.get("moved", {}).items()], most
        )
        lines += _listed("~", [f"{_named(k, words)}: {_values(found)}" for k, found in part["changed"].items()], most)
    return "\n".join(lines) + "\n"


_WORDS = {"added": "added", "removed": "removed", "moved": "with other bounds", "changed": "with other values"}
_KIND = {
    "none": "the same",
    "patch": "no document, label, relation or claim changed",
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
    def told(value: object) -> str:
        return value if isinstance(value, str) and len(value) <= 60 else "none" if value is None else _short(value)

    return ", ".join(f"{name} {told(left)} -> {told(right)}" for name, (left, right) in found.items())


def _short(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _listed(sign: str, items: Sequence[str], most: int | None) -> list[str]:
    shown = items if most is None else items[:most]
    rest = [f"  {sign} and {len(items) - len(shown)} more"] if len(shown) < len(items) else []
    return [f"  {sign} {item}" for item in shown] + rest


def summary_text(changes: Changes) -> str:
    """The changes as a sentence or two for a changelog: what there is, and how much of it is new."""
    sentences = [f"{line[0].upper()}{line[1:]}." for line in changes.schema]
    for name in ("documents", "spans", "relations", "claims"):
        part: Json = getattr(changes, name)
        if counted := _counted(part):
            sentences.append(f"{name.capitalize()}: {changes.counts[name][1]}; {', '.join(counted)}.")
    return " ".join(sentences) or "Documents, labels, relations and claims are those of " + changes.old + "."
