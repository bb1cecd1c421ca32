"""Loading: `load_seeds` with predictions for made articles beside bare `import_tasks` calls on one Label Studio.

The articles are those of `exports.py`, their regions the predictions. Both import the same tasks with the same
predictions in batches of the same size, in turns, each into a new project of the embedded server; the bare calls do
nothing else.

Run: .venv/bin/python -m bench.loading [--tasks 2000] [--seed 1] [--runs 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.exports import made_tasks
from testimonia import server
from testimonia.corpus import Corpus, Round, read_corpus
from testimonia.document import Document
from testimonia.label_config import render_label_config
from testimonia.studio import BATCH, Studio
from testimonia.suggestions import Suggestions
from testimonia.tasks import task_of
from testimonia.transfer import load_seeds

ROOT = Path(__file__).parent.parent
ONE = Round("first", "annotation", True)


def made(corpus: Corpus, count: int, seed: int) -> tuple[Corpus, Suggestions]:
    """A corpus of made articles, and predictions for each."""
    documents, predictions = [], {}
    for task in made_tasks(count, seed):
        data = task["data"]
        documents.append(Document(data["doc_id"], data["language"], data["text"], title=data["doc_id"]))
        predictions[data["doc_id"]] = {"model_version": "made 1", "result": task["annotations"][0]["result"]}
    return replace(corpus, documents=tuple(documents)), Suggestions("made 1", predictions)


def bare(corpus: Corpus, suggestions: Suggestions, studio: Studio, title: str) -> float:
    """Seconds of the calls of `import_tasks` alone."""
    project = studio.ensure_project(title, render_label_config(corpus.scheme), "")
    tasks: list[Any] = [{"data": task_of(d), **suggestions.of(d.doc_id)} for d in corpus.documents]
    start = time.perf_counter()
    for first in range(0, len(tasks), BATCH):
        studio.client.projects.import_tasks(project, request=tasks[first : first + BATCH])
    return time.perf_counter() - start


def loaded(corpus: Corpus, suggestions: Suggestions, studio: Studio, title: str) -> float:
    """Seconds of the whole of `load_seeds`: project, views, what is there already, tasks, predictions."""
    named = replace(corpus, scheme=replace(corpus.scheme, name=title))
    start = time.perf_counter()
    done = load_seeds(named, studio, ONE, False, lambda _done, _total: None, suggestions)
    assert done.new == len(corpus.documents)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    print(f"label-studio {version('label-studio')}, label-studio-sdk {version('label-studio-sdk')}, seed {given.seed}")
    corpus, suggestions = made(read_corpus(ROOT), given.tasks, given.seed)
    with tempfile.TemporaryDirectory() as folder, server.running(Path(folder)) as up, Studio(up.address) as studio:
        bare(corpus, suggestions, studio, "warm")
        print("| run | bare import_tasks, s | load_seeds, s | rate in % of bare |\n| --- | --- | --- | --- |")
        for run in range(given.runs):
            alone, whole = (one(corpus, suggestions, studio, f"{one.__name__} {run}") for one in (bare, loaded))
            print(f"| {run + 1} | {alone:.1f} | {whole:.1f} | {100 * alone / whole:.0f} |", flush=True)


if __name__ == "__main__":
    main()
