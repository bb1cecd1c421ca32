"""Two models on one gold: the difference of their F1, its interval, and how likely it is by chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from testimonia.errors import Finding, InputError
from testimonia.formats import read_gold, read_predictions, tokens_of
from testimonia.matching import Floats
from testimonia.measures import Key, Score
from testimonia.offsets import Ends
from testimonia.resampling import Resampling
from testimonia.scheme import Scheme
from testimonia.scoring import Drawn, as_names, checked, counted, fraction, layout_of, score_of
from testimonia.sides import Sides, Subset, sides_of
from testimonia.tallies import MODES, Matching, Tally
from testimonia.units import Unit

Json = dict[str, Any]
LEVEL = 0.05
_ROWS = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """F1 of both models in one mode, and B minus A. None where one of them is 0/0.

    `ci95` and `p_bootstrap`: paired percentile bootstrap, both models on the same draws (Efron and Tibshirani 1993,
    sections 13.3 and 15.4; two-sided). `p_randomisation`: approximate randomisation, the two models' outputs exchanged
    in each drawn unit with probability 1/2 (Noreen 1989; Yeh 2000), two-sided.
    """

    a: Score
    b: Score
    difference: float | None
    ci95: tuple[float, float] | None
    p_bootstrap: float | None
    p_randomisation: float | None

    def as_json(self) -> Json:
        names = ("difference", "ci95", "p_bootstrap", "p_randomisation")
        return {"a": self.a.as_json(), "b": self.b.as_json()} | {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models: by mode, over all labels and by label."""

    settings: Json
    overall: Mapping[str, Difference]
    by_label: Mapping[str, Mapping[str, Difference]]
    findings: tuple[Finding, ...]

    def as_json(self) -> Json:
        """Everything as dictionaries."""
        return {
            "settings": self.settings,
            "overall": {mode: one.as_json() for mode, one in self.overall.items()},
            "by_label": {
                label: {mode: one.as_json() for mode, one in found.items()} for label, found in self.by_label.items()
            },
            "findings": [f.as_json() for f in self.findings],
        }


def compare(
    gold: object,
    a: object,
    b: object,
    *,
    matching: Matching = "best",
    labels: Sequence[str] = (),
    languages: Sequence[str] = (),
    mapping: Mapping[str, str] | None = None,
    scheme: Scheme | None = None,
    unit: Unit = "code-points",
    ends: Ends = "exclusive",
    model_a: str | None = None,
    model_b: str | None = None,
    drawn: Drawn = "auto",
    resamples: int = 10_000,
    seed: int = 1,
) -> Comparison:
    """Predictions B against predictions A, each given as to `testimonia.score`. Raises InputError, FindingsError."""
    checked(matching, drawn)
    known = tuple(scheme.label_names) if scheme else ()
    subset = Subset(as_names(labels), as_names(languages), mapping or {}, known, unit, ends)
    truth = read_gold(gold)
    sides = []
    for name, predictions, model in (("A", a, model_a), ("B", b, model_b)):
        reading = read_predictions(predictions, truth, tokens_of(gold), model, where=name)
        one = sides_of(truth, reading.extraction, subset)
        sides.append(replace(one, findings=(*reading.findings, *one.findings)))
    return compare_sides(sides[0], sides[1], matching, Resampling(resamples, seed), drawn)


def compare_sides(
    a: Sides, b: Sides, matching: Matching = "best", resampling: Resampling | None = None, drawn: Drawn = "auto"
) -> Comparison:
    """B against A on the same gold. Raises InputError where the golds are not the same."""
    resampling = resampling or Resampling()
    known = a.gold.labels[: a.known]
    if a.gold.doc_ids != b.gold.doc_ids or known != b.gold.labels[: b.known]:
        raise InputError("A and B: were not brought to the same gold; give both the same documents and labels")
    layout = layout_of(a.gold, drawn)
    units, what = layout.units(drawn)
    ordered = [side.in_order() if matching == "best" else side for side in (a, b)]
    counts = [_wanted(counted(side, layout, matching)[0]) for side in ordered]
    keys = [key for key in counts[0] if key in counts[1]]
    columns = [[column for key in keys for column in fraction(side[key])] for side in counts]
    size = int(units.max(initial=-1)) + 1
    tables = [_summed(side, units, size) for side in columns]
    drawn_f1 = [_f1(resampling.drawn(table)) for table in tables]
    observed = [_f1(table.sum(axis=0, keepdims=True))[0] for table in tables]
    swapped = _exchanged(tables[0], tables[1], resampling)
    found: dict[Key, Difference] = {}
    for column, key in enumerate(keys):
        scores = [score_of(side[key]) for side in counts]
        difference = float(observed[1][column] - observed[0][column])
        draws = drawn_f1[1][:, column] - drawn_f1[0][:, column]
        found[key] = Difference(scores[0], scores[1], *_tested(difference, draws, swapped[:, column], size))
    overall = {mode: found["overall", "", mode] for mode in MODES}
    by_label = {label: {mode: found["by_label", label, mode] for mode in MODES} for label in known}
    settings = {
        "matching": matching,
        "documents": len(a.gold),
        "gold_spans": len(a.gold.spans),
        "resampled": what,
        "resamples": resampling.resamples,
        "seed": resampling.seed,
    }
    findings = [
        Finding(f"{side}: {f.place}", f.id, f.message, f.severity)
        for side, sides in (("A", a), ("B", b))
        for f in sides.findings
    ]
    return Comparison(settings, overall, by_label, (*findings, *_unclear(overall, len(a.gold), what)))


def _wanted(counts: Mapping[Key, Tally]) -> dict[Key, Tally]:
    return {key: tally for key, tally in counts.items() if key[0] in ("overall", "by_label")}


def _summed(columns: list[Floats], units: Any, size: int) -> Floats:
    return np.column_stack([np.bincount(units, column, size) for column in columns]).astype(np.float64)


def _f1(sums: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return sums[:, 0::2] / sums[:, 1::2]


def _exchanged(a: Floats, b: Floats, resampling: Resampling) -> Floats:
    """Differences of F1 with the two models exchanged in each unit by the toss of a coin: resamples x figures."""
    rng = np.random.default_rng(resampling.seed)
    total, change = a.sum(axis=0), (b - a)[(a != b).any(axis=1)]
    parts: list[Floats] = [np.empty((0, a.shape[1] // 2))]
    for first in range(0, resampling.resamples, _ROWS):
        rows = min(_ROWS, resampling.resamples - first)
        moved = rng.integers(2, size=(rows, len(change)), dtype=np.uint8).astype(np.float64) @ change
        parts.append(_f1(b.sum(axis=0) - moved) - _f1(total + moved))
    return np.concatenate(parts)


def _tested(
    difference: float, draws: Floats, swapped: Floats, units: int
) -> tuple[float | None, tuple[float, float] | None, float | None, float | None]:
    """The difference, its interval, and both p values; None where nothing can be drawn or the figure is 0/0."""
    if not np.isfinite(difference):
        return None, None, None, None
    draws, swapped = draws[np.isfinite(draws)], swapped[np.isfinite(swapped)]
    if units < 2 or not len(draws) or not len(swapped):
        return difference, None, None, None
    low, high = np.percentile(draws, [2.5, 97.5])
    beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    bootstrap = min(1.0, 2 * (beyond + 1) / (len(draws) + 1))
    as_far = int((np.abs(swapped) >= abs(difference) - 1e-12).sum())
    return difference, (float(low), float(high)), bootstrap, (as_far + 1) / (len(swapped) + 1)


def _unclear(overall: Mapping[str, Difference], documents: int, what: str) -> list[Finding]:
    """The modes in which the data do not tell the models apart."""
    findings = []
    for mode, found in overall.items():
        if found.ci95 is None or found.p_randomisation is None:
            message = "there is too little to draw from; nothing can be said about the difference"
        elif found.ci95[0] <= 0 <= found.ci95[1] or found.p_randomisation > LEVEL:
            message = (
                f"these {documents} documents (drawn by {what}) are too few to tell the models apart: a difference of "
                f"{found.difference:+.3f} may be chance (p = {found.p_randomisation:.3f})"
            )
        else:
            continue
        findings.append(Finding(mode, "difference-unclear", message, "warning"))
    return findings
