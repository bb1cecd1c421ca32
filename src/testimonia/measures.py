"""What is made of counts, and counts beyond spans: slices of the gold, attributes, links to entities, relations.

Each count is a `Tally` of (blocks,), so that everything is drawn and divided alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testimonia.extraction import Extraction
from testimonia.matching import Floats, Ints, Spans
from testimonia.tallies import MODES, Blocks, Mask, Tally

Key = tuple[str, str, str]  # kind of group, name, mode or measure
Counted = Iterator[tuple[Key, Tally]]
Interval = tuple[float, float] | None
Json = dict[str, Any]

COUNTS = ("correct", "incorrect", "partial", "missed", "spurious")

MOST_VALUES = 50  # of an attribute that makes slices
ABOUT_GOLD = ("provenance",)  # attributes that say something of the gold, not of the text
_SCALES = {"exact": 0.0, "within_1_percent": 0.01}


@dataclass(frozen=True, slots=True)
class Score:
    """Counts of one mode, and what follows from them; None for 0/0. `ci95` is that of F1.

    precision = credit / actual, recall = credit / possible, F1 = 2 credit / (actual + possible), where credit =
    correct + partial / 2 (SemEval-2013 task 9.1).
    """

    correct: int
    incorrect: int
    partial: int
    missed: int
    spurious: int | None
    ci95: Interval = None

    @property
    def possible(self) -> int:
        return self.correct + self.incorrect + self.partial + self.missed

    @property
    def actual(self) -> int | None:
        return None if self.spurious is None else self.correct + self.incorrect + self.partial + self.spurious

    @property
    def precision(self) -> float | None:
        return self._credit / self.actual if self.actual else None

    @property
    def recall(self) -> float | None:
        return self._credit / self.possible if self.possible else None

    @property
    def f1(self) -> float | None:
        both = None if self.actual is None else self.possible + self.actual
        return 2 * self._credit / both if both else None

    @property
    def _credit(self) -> float:
        return self.correct + self.partial / 2

    def as_json(self) -> Json:
        names = (*COUNTS, "possible", "actual", "precision", "recall", "f1", "ci95")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How many of so many are right."""

    correct: int
    compared: int
    ci95: Interval = None

    @property
    def accuracy(self) -> float | None:
        return self.correct / self.compared if self.compared else None

    def as_json(self) -> Json:
        return {"correct": self.correct, "compared": self.compared, "accuracy": self.accuracy, "ci95": self.ci95}


@dataclass(frozen=True, slots=True)
class Match:
    """Gold spans and predictions of one label that stand for each other: rows `gold_rows`, `predicted_rows`, (p,)."""

    gold: Extraction
    predictions: Extraction
    gold_rows: Ints
    predicted_rows: Ints
    blocks: Blocks

    @property
    def equal(self) -> Mask:
        """Which of the pairs have equal bounds, (p,)."""
        one, other = self.gold.spans.take(self.gold_rows), self.predictions.spans.take(self.predicted_rows)
        same: Mask = (one.start == other.start) & (one.end == other.end)
        return same

    def slices(self) -> Counted:
        """Scores of the spans in each zone, and of the gold spans with each value of an attribute.

        Without predicted values nothing tells which predictions are spurious in a slice: `spurious` is None.
        """
        if len(self.gold.zones):
            zones = [_zone(self.gold, side.spans) for side in (self.gold, self.predictions)]
            name = "zone" if "zone" not in self.gold.attributes else "zone of the text"
            yield from self._slices(name, self.gold.zone_kinds, zones[0], zones[1])
        for name, values in self.gold.attributes.items():
            if pa.types.is_floating(values.type):
                continue
            predicted = self.predictions.attributes.get(name, pa.nulls(0, pa.large_string()))
            ours, theirs, words = _codes(values, predicted)
            if len(np.unique(ours[ours >= 0])) <= MOST_VALUES:
                known = name in self.predictions.attributes
                yield from self._slices(name, words, ours, theirs if known else None)

    def _slices(self, name: str, words: tuple[str, ...], ours: Ints, theirs: Ints | None) -> Counted:
        unpaired = np.ones(len(self.predictions.spans), bool)
        unpaired[self.predicted_rows] = False
        equal = self.equal
        for number, word in enumerate(words):
            here = ours == number
            if not here.any():
                continue
            paired = here[self.gold_rows]
            exact = self._gold(paired & equal)
            near = self._gold(paired & ~equal)
            missed = np.bincount(self.blocks.gold[here], minlength=self.blocks.size) - exact - near
            spurious = None if theirs is None else self._predicted(unpaired & (theirs == number))
            none = np.zeros_like(missed)
            tally = {
                "strict": Tally(exact, near, none, missed, spurious),
                "exact": Tally(exact, near, none, missed, spurious),
                "partial": Tally(exact, none, near, missed, spurious),
                "type": Tally(exact + near, none, none, missed, spurious),
            }
            yield from ((("slices", f"{name}={word}", mode), tally[mode]) for mode in MODES)

    def _gold(self, pairs: Mask) -> Ints:
        return np.bincount(self.blocks.gold[self.gold_rows[pairs]], minlength=self.blocks.size)

    def _predicted(self, spans: Mask) -> Ints:
        return np.bincount(self.blocks.predictions[spans], minlength=self.blocks.size)

    def attributes(self) -> Counted:
        """Attributes that both sides have, on pairs where either has a value: how many are right.

        Strings: equal. Numbers: equal, within 1% of the gold's, within a factor of the square root of 10 ("right
        order of magnitude"). Bounds `x_min` and `x_max`: whether the intervals overlap, open where one is absent.
        """
        for name, values in self.gold.attributes.items():
            if name not in self.predictions.attributes or name in ABOUT_GOLD:
                continue
            gold = values.take(pa.array(self.gold_rows))
            predicted = self.predictions.attributes[name].take(pa.array(self.predicted_rows))
            said = ~np.asarray(gold.is_null()) | ~np.asarray(predicted.is_null())
            if pa.types.is_floating(values.type):
                for measure, hits in _close(_numbers(gold), _numbers(predicted)).items():
                    yield ("attributes", name, measure), self._ratio(said, hits)
            else:
                ours, theirs, _ = _codes(gold, predicted)
                kind = "linking" if is_entity(name) else "attributes"
                yield (kind, name, "accuracy"), self._ratio(said, ours == theirs)
        for name in self.gold.attributes:
            stem = name.removesuffix("_min")
            both = f"{stem}_min", f"{stem}_max"
            sides = self.gold.attributes, self.predictions.attributes
            if name != stem and all(one in side for one in both for side in sides):
                low, high = (_numbers(sides[0][one].take(pa.array(self.gold_rows))) for one in both)
                left, right = (_numbers(sides[1][one].take(pa.array(self.predicted_rows))) for one in both)
                yield ("attributes", stem, "interval_overlap"), self._ratio(*_overlap(low, high, left, right))

    def _ratio(self, compared: Mask, right: Mask) -> Tally:
        correct, wrong = self._gold(compared & right), self._gold(compared & ~right)
        none = np.zeros_like(correct)
        return Tally(correct, wrong, none, none, none)

    def linking(self) -> Counted:
        """Spans with their entity: right where bounds, label and id are."""
        for name, values in self.gold.attributes.items():
            if is_entity(name) and name in self.predictions.attributes:
                ours, theirs, _ = _codes(values, self.predictions.attributes[name])
                right = self.equal & (ours[self.gold_rows] == theirs[self.predicted_rows]) & (ours[self.gold_rows] >= 0)
                correct = self._gold(right)
                none = np.zeros_like(correct)
                missed = np.bincount(self.blocks.gold[ours >= 0], minlength=self.blocks.size) - correct
                predicted = self._predicted(theirs >= 0) - np.bincount(
                    self.blocks.predictions[self.predicted_rows[right]], minlength=self.blocks.size
                )
                yield ("linking", name, "strict"), Tally(correct, none, none, missed, predicted)

    def relations(self) -> Counted:
        """Relations, all and by label. `strict`: both ends have bounds and label of the gold's; `partial`: are paired.

        Equal relations of one side count once.
        """
        gold, predictions = self.gold.relations, self.predictions.relations
        if not len(gold) and not len(predictions):
            return
        names = tuple(dict.fromkeys([*self.gold.relation_labels, *self.predictions.relation_labels]))
        ours = np.array([names.index(label) for label in self.gold.relation_labels], np.int64)[gold.label]
        theirs = np.array([names.index(label) for label in self.predictions.relation_labels], np.int64)
        theirs = theirs[predictions.label]
        identity, other = _identities(self.gold.spans, self.predictions.spans)
        partner = other.copy()
        partner[self.predicted_rows] = identity[self.gold_rows]
        unpaired = np.ones(len(partner), bool)
        unpaired[self.predicted_rows] = False
        partner[unpaired] = -1 - np.arange(int(unpaired.sum()))
        gold_keys = np.column_stack([identity[gold.start], identity[gold.end], ours])
        gold_keys, first = np.unique(gold_keys, axis=0, return_index=True)
        places = self.blocks.gold[gold.start[first]]
        for measure, ends in (("strict", other), ("partial", partner)):
            keys = np.column_stack([ends[predictions.start], ends[predictions.end], theirs])
            keys, first = np.unique(keys, axis=0, return_index=True)
            theirs_at = self.blocks.predictions[predictions.start[first]]
            found = np.unique(np.concatenate([gold_keys, keys]), axis=0, return_inverse=True)[1].reshape(-1)
            right = np.isin(found[: len(gold_keys)], found[len(gold_keys) :])
            hit = np.isin(found[len(gold_keys) :], found[: len(gold_keys)])
            for number, name in ((None, ""), *enumerate(names)):
                here = np.ones(len(right), bool) if number is None else gold_keys[:, 2] == number
                there = np.ones(len(hit), bool) if number is None else keys[:, 2] == number
                correct = np.bincount(places[here & right], minlength=self.blocks.size)
                missed = np.bincount(places[here & ~right], minlength=self.blocks.size)
                spurious = np.bincount(theirs_at[there & ~hit], minlength=self.blocks.size)
                none = np.zeros_like(correct)
                kind = "relations" if number is None else "by_relation"
                yield (kind, name, measure), Tally(correct, none, none, missed, spurious)


def is_entity(name: str) -> bool:
    """Whether an attribute holds ids of entities, by its name: `entity`, or `<label>_entity`."""
    return name == "entity" or name.endswith("_entity")


def _zone(gold: Extraction, spans: Spans) -> Ints:
    """The kind of zone that each span begins in, -1 for none; zones do not overlap."""
    zones = gold.zones
    width = int(max(zones.end.max(initial=0), spans.end.max(initial=0))) + 1
    keys = zones.document * width + zones.start
    order = np.argsort(keys)
    row = np.searchsorted(keys[order], spans.document * width + spans.start, side="right") - 1
    zone = order[np.maximum(row, 0)]
    inside = (row >= 0) & (zones.document[zone] == spans.document) & (spans.start < zones.end[zone])
    return np.where(inside, zones.label[zone], -1)


def _codes(gold: pa.Array, predicted: pa.Array) -> tuple[Ints, Ints, tuple[str, ...]]:
    """Strings of both sides as numbers of the words, -1 for null; and the words."""
    codes = pa.concat_arrays([side.cast(pa.large_string()) for side in (gold, predicted)]).dictionary_encode()
    numbers = pc.fill_null(codes.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers[: len(gold)], numbers[len(gold) :], tuple(codes.dictionary.to_pylist())


def _numbers(values: pa.Array) -> Floats:
    """Values as float64, nan for null and for what is no number."""
    if not pa.types.is_floating(values.type):
        values = pa.array([_number(value) for value in values.to_pylist()], pa.float64())
    found: Floats = pc.fill_null(values, float("nan")).to_numpy(zero_copy_only=False)
    return found


def _number(value: str | None) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        return None


def _close(gold: Floats, predicted: Floats) -> dict[str, Mask]:
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(predicted - gold)
        factor = np.abs(np.log10(predicted / gold))
    found: dict[str, Mask] = {name: off <= scale * np.abs(gold) for name, scale in _SCALES.items()}
    return found | {"order_of_magnitude": (factor < 0.5) | (gold == predicted)}


def _overlap(low: Floats, high: Floats, left: Floats, right: Floats) -> tuple[Mask, Mask]:
    """Which pairs say something on either side, and which of those intervals share a number."""
    gold, predicted = ~(np.isnan(low) & np.isnan(high)), ~(np.isnan(left) & np.isnan(right))
    low, left = np.where(np.isnan(low), -np.inf, low), np.where(np.isnan(left), -np.inf, left)
    high, right = np.where(np.isnan(high), np.inf, high), np.where(np.isnan(right), np.inf, right)
    shared: Mask = gold & predicted & (np.maximum(low, left) <= np.minimum(high, right))
    return gold | predicted, shared


def _identities(gold: Spans, predicted: Spans) -> tuple[Ints, Ints]:
    """A number for each document, bounds and label, on both sides."""
    both = [np.column_stack([side.document, side.start, side.end, side.label]) for side in (gold, predicted)]
    numbers = np.unique(np.concatenate(both), axis=0, return_inverse=True)[1].reshape(-1)
    return numbers[: len(gold)], numbers[len(gold) :]
