"""A corpus: the folder that holds `seeds/`, `labeling/` and `dataset/`, read into values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from testimonia.claims import Claims, read_claims
from testimonia.document import Document
from testimonia.errors import InputError
from testimonia.language import Language, read_languages
from testimonia.scheme import Scheme, read_scheme
from testimonia.seeds import read_seeds
from testimonia.splits import Policy
from testimonia.toml import Table, is_file_name

ROUND_KINDS = ("annotation", "adjudication")


@dataclass(frozen=True, slots=True)
class Round:
    """One round of work in Label Studio: a project there, a folder of exports here.

    `of`: the round of annotation that a round of kind adjudication decides on.
    """

    id: str
    kind: str
    release: bool
    of: str = ""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything that the steps of the pipeline start from. `version` is the dataset's."""

    folder: Path
    scheme: Scheme
    languages: Mapping[str, Language]
    documents: tuple[Document, ...]
    version: str
    rounds: tuple[Round, ...]
    claims: Claims
    policy: Policy

    @property
    def by_id(self) -> dict[str, Document]:
        """The documents by doc_id."""
        return {document.doc_id: document for document in self.documents}

    @property
    def released(self) -> tuple[Round, ...]:
        """The rounds that make the release."""
        return tuple(one for one in self.rounds if one.release)

    def round(self, name: str | None, kind: str = "annotation") -> Round:
        """The round of that id, or the last one of a kind. Raises InputError."""
        for candidate in reversed(self.rounds):
            if candidate.id == name or (name is None and candidate.kind == kind):
                return candidate
        known = ", ".join(r.id for r in self.rounds) or "none"
        what = f"no round {name!r}" if name else f"no round of kind {kind}"
        raise InputError(f"{self.folder / 'labeling/rounds.toml'}: {what}; there are: {known}")

    @property
    def exports(self) -> Path:
        return self.folder / "labeling" / "exports"

    @property
    def dataset(self) -> Path:
        return self.folder / "dataset"


def read_corpus(folder: Path) -> Corpus:
    """The corpus in a folder. Raises InputError for anything that is not as it must be."""
    labeling = folder / "labeling"
    scheme = read_scheme(labeling / "scheme.toml")
    languages = read_languages(labeling / "languages")
    documents, policy = read_seeds(folder / "seeds", languages)
    version, rounds = read_rounds(labeling / "rounds.toml")
    claims = read_claims(labeling / "claims.toml", scheme)
    return Corpus(folder, scheme, languages, tuple(documents), version, rounds, claims, policy)


def read_rounds(path: Path) -> tuple[str, tuple[Round, ...]]:
    """The version of the release, and the rounds of annotation, oldest first. Raises InputError."""
    table = Table.read(path)
    version = table.string("version")
    if not re.fullmatch(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}", version):
        raise table.error(f"version = {version!r} is not major.minor.patch")
    rounds: list[Round] = []
    for t in table.tables("round"):
        earlier = tuple(r.id for r in rounds if r.kind == "annotation")
        kind = t.string("kind", among=ROUND_KINDS)
        of = t.string("of", among=earlier) if kind == "adjudication" else ""
        one = Round(t.string("id"), kind, t.boolean("release", False), of)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.id) or not is_file_name(one.id):
            raise t.error(f"id = {one.id!r} is not lower-case words joined by hyphens; it names a folder")
        if one.id in {r.id for r in rounds}:
            raise t.error("stands twice; keep one")
        t.end()
        rounds.append(one)
    table.end()
    return version, tuple(rounds)
