"""Scores of claims: which mentions in which documents belong together, and how they stand to each other.

A claim is a cluster of mentions; a mention is one or more stretches of one document and may be in several claims.
Mentions of both sides are paired one to one, `strict` where a stretch has equal bounds, `partial` where one overlaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from testimonia.claims import MARKS
from testimonia.errors import InputError
from testimonia.formats import read_records
from testimonia.matching import most
from testimonia.measures import Score
from testimonia.tables import read_parquet

Json = dict[str, Any]
Place = tuple[str, tuple[tuple[int, int], ...]]  # a document, and the bounds of each stretch there, sorted
Pair = tuple[Place, Place]


@dataclass(frozen=True, slots=True)
class Clusters:
    """The claims of one side: the claims of each mention, and the marks of each two mentions of one claim."""

    claims: Mapping[Place, frozenset[str]]
    marks: Mapping[Pair, frozenset[str]]

    def links(self) -> set[Pair]:
        """Every two mentions that are in one claim, the lesser first."""
        by_claim: dict[str, list[Place]] = {}
        for place in sorted(self.claims):
            for claim in self.claims[place]:
                by_claim.setdefault(claim, []).append(place)
        return {pair for places in by_claim.values() for pair in combinations(places, 2)}


@dataclass(frozen=True, slots=True)
class BCubed:
    """Precision and recall averaged over mentions; None where there are none."""

    precision: float | None
    recall: float | None

    @property
    def f1(self) -> float | None:
        if self.precision is None or self.recall is None:
            return None
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(frozen=True, slots=True)
class ClaimScores:
    """One way of pairing mentions. `links`: two mentions in one claim; `marks`: links that also bear the same mark."""

    mentions: Score
    links: Score
    marks: Score
    b_cubed: BCubed

    def as_json(self) -> Json:
        averages = {"precision": self.b_cubed.precision, "recall": self.b_cubed.recall, "f1": self.b_cubed.f1}
        counts = {name: getattr(self, name).as_json() for name in ("mentions", "links", "marks")}
        return counts | {"b_cubed": averages}


def score_claims(gold: Clusters, predicted: Clusters) -> dict[str, ClaimScores]:
    """Scores of predicted claims by `strict` and `partial`.

    `b_cubed` is BCubed for overlapping clusters (Amigó et al. 2009, section 4.3; without overlap that of Bagga and
    Baldwin 1998), its averages over all mentions of a side: one that has no partner counts 0 (Pradhan et al. 2014).
    """
    return {
        "strict": _scored(gold, predicted, _paired(gold, predicted, lambda a, b: a == b)),
        "partial": _scored(gold, predicted, _paired(gold, predicted, lambda a, b: a[0] < b[1] and b[0] < a[1])),
    }


def _paired(gold: Clusters, predicted: Clusters, meets: Any) -> dict[Place, Place]:
    """A gold mention for each of as many predicted mentions as possible; mentions alike come first."""
    pairs = {place: place for place in predicted.claims if place in gold.claims}
    left = sorted(set(gold.claims) - set(pairs))
    right = sorted(set(predicted.claims) - set(pairs))
    by_document: dict[str, list[int]] = {}
    for row, (doc_id, _) in enumerate(left):
        by_document.setdefault(doc_id, []).append(row)
    found = [
        (row, column)
        for column, (doc_id, bounds) in enumerate(right)
        for row in by_document.get(doc_id, ())
        if any(meets(one, other) for one in left[row][1] for other in bounds)
    ]
    rows, columns = (np.array([pair[side] for pair in found], np.int64) for side in (0, 1))
    for row, column in zip(*(side.tolist() for side in most((rows, columns), len(left), len(right))), strict=True):
        pairs[right[column]] = left[row]
    return pairs


def _scored(gold: Clusters, predicted: Clusters, pairs: Mapping[Place, Place]) -> ClaimScores:
    def moved(pair: Pair) -> Pair | None:
        first, second = pairs.get(pair[0]), pairs.get(pair[1])
        return None if first is None or second is None else (min(first, second), max(first, second))

    gold_links, predicted_links = gold.links(), predicted.links()
    links = sum(moved(pair) in gold_links for pair in predicted_links)
    wanted = {(pair, mark) for pair, marks in gold.marks.items() for mark in marks}
    said = [(moved(pair), mark) for pair, marks in predicted.marks.items() for mark in marks]
    marks = sum(one in wanted for one in said)
    back = {place: partner for partner, place in pairs.items()}
    return ClaimScores(
        _score(len(pairs), len(gold.claims), len(predicted.claims)),
        _score(links, len(gold_links), len(predicted_links)),
        _score(marks, len(wanted), len(said)),
        BCubed(_b_cubed(predicted, gold, pairs), _b_cubed(gold, predicted, back)),
    )


def _score(correct: int, possible: int, actual: int) -> Score:
    return Score(correct, 0, 0, possible - correct, actual - correct)


def _b_cubed(one: Clusters, other: Clusters, pairs: Mapping[Place, Place]) -> float | None:
    """The mean over the mentions of one side of how far those in their claims are together on the other side too."""
    if not one.claims:
        return None
    members: dict[str, list[Place]] = {}
    for place, claims in one.claims.items():
        for claim in claims:
            members.setdefault(claim, []).append(place)
    total = 0.0
    for place, claims in one.claims.items():
        partner = pairs.get(place)
        if partner is None:
            continue
        together = {neighbour for claim in claims for neighbour in members[claim]}
        worth = 0.0
        for neighbour in together:
            shared = len(claims & one.claims[neighbour])
            match = pairs.get(neighbour)
            if match is not None:
                worth += min(shared, len(other.claims[partner] & other.claims[match])) / shared
        total += worth / len(together)
    return total / len(one.claims)


def read_clusters(source: object) -> Clusters:
    """The claims of a dataset folder, of JSONL with one claim a line, or of records: `claim_id`, `mentions`, `marks`.

    A mention is `{"doc_id", "start", "end"}`, or `{"doc_id", "spans": [[start, end], ...]}`; a mark is
    `{"first", "second", "mark"}` with the numbers of two mentions, from 0. Raises InputError.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        return _of_folder(path) if path.is_dir() else _clusters(read_records(path))
    if not isinstance(source, list | tuple):
        raise InputError(f"claims: {type(source).__name__} is no path and no list of records; give one of them")
    return _clusters((f"claim {number}", record) for number, record in enumerate(source))


def _clusters(records: Iterable[tuple[str, Any]]) -> Clusters:
    claims: dict[Place, set[str]] = {}
    marks: dict[Pair, set[str]] = {}
    names: set[str] = set()
    for where, record in records:
        name = record.get("claim_id") if isinstance(record, dict) else None
        if not isinstance(name, str) or not isinstance(record.get("mentions"), list):
            raise InputError(f'{where}: is no claim; write {{"claim_id": "...", "mentions": [...]}}')
        if name in names:
            raise InputError(f"{where}: claim {name!r} stands twice; write all its mentions on one line")
        names.add(name)
        places = [_place(f"{where}: mention {number}", m) for number, m in enumerate(record["mentions"])]
        for place in places:
            claims.setdefault(place, set()).add(name)
        for pair, mark in _marks(where, record.get("marks") or [], places):
            marks.setdefault(pair, set()).add(mark)
    return Clusters(
        {place: frozenset(found) for place, found in claims.items()},
        {pair: frozenset(found) for pair, found in marks.items()},
    )


def _place(where: str, mention: Any) -> Place:
    if not isinstance(mention, dict) or not isinstance(mention.get("doc_id"), str):
        raise InputError(f'{where}: has no doc_id; write {{"doc_id": "...", "start": n, "end": n}}')
    bounds = mention.get("spans", [[mention.get("start"), mention.get("end")]])
    if not isinstance(bounds, list) or not bounds or not all(map(_is_bounds, bounds)):
        raise InputError(f"{where}: {bounds!r} are no bounds; write start and end, whole numbers, start before end")
    return mention["doc_id"], tuple(sorted({(start, end) for start, end in bounds}))


def _is_bounds(value: Any) -> bool:
    numbers = isinstance(value, list) and len(value) == 2 and all(type(number) is int for number in value)
    return numbers and 0 <= value[0] < value[1]


def _marks(where: str, marks: Any, places: Sequence[Place]) -> Iterable[tuple[Pair, str]]:
    for mark in marks if isinstance(marks, list) else [marks]:
        ends: tuple[Any, Any] = (mark.get("first"), mark.get("second")) if isinstance(mark, dict) else (None, None)
        if not all(type(end) is int and 0 <= end < len(places) for end in ends) or ends[0] == ends[1]:
            raise InputError(f"{where}: mark {mark!r} joins no two of {len(places)} mentions; number them from 0")
        if mark.get("mark") not in MARKS:
            raise InputError(f"{where}: mark {mark.get('mark')!r} is not one of {', '.join(MARKS)}")
        first, second = sorted((places[ends[0]], places[ends[1]]))
        if first != second:
            yield (first, second), mark["mark"]


def _of_folder(folder: Path) -> Clusters:
    tables: dict[str, list[Json]] = {}
    for config in ("claims", "claim_mentions"):
        files = sorted((folder / config).glob("*.parquet"))
        if not files:
            raise InputError(f"{folder}: has no {config}/*.parquet; give a dataset with claims, or JSONL of claims")
        tables[config] = [row for file in files for row in read_parquet(file).to_pylist()]
    try:
        return _clusters(_records(tables["claims"], tables["claim_mentions"], str(folder)))
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{folder}: its claims are not of this shape ({error!r}); restore the files") from None


def _records(claims: Sequence[Json], mentions: Sequence[Json], where: str) -> Iterable[tuple[str, Json]]:
    by_claim: dict[str, list[Json]] = {}
    for row in mentions:
        by_claim.setdefault(row["claim_id"], []).append(row)
    for claim in claims:
        own = by_claim.get(claim["claim_id"], [])
        number = {row["mention_id"]: index for index, row in enumerate(own)}
        yield (
            f"{where}: {claim['claim_id']}",
            {
                "claim_id": claim["claim_id"],
                "mentions": [{"doc_id": row["doc_id"], "spans": list(map(_bounds, row["spans"]))} for row in own],
                "marks": [
                    {"first": number[m["first"]], "second": number[m["second"]], "mark": m["mark"]}
                    for m in claim["marks"]
                ],
            },
        )


def _bounds(span: str) -> list[int]:
    """`ro-1:3-9:ACTOR` -> [3, 9]."""
    start, end = span.rsplit(":", 2)[1].split("-")
    return [int(start), int(end)]
