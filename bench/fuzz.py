"""Hostile input: mutated files through the command line; nothing may end in a traceback, hang, or eat memory.

Every input is one file of a small corpus, release, export or prediction, changed by `bench.mutations`, and one command
that reads it. It ends in a result (exit code 0), in findings (1) or is refused (a TestimoniaError, 2); anything else is
a violation. Mutations that change no meaning must give what the file gave before. Each input has 5 s of processor time
and 1 GB of memory; the processes that try them are limited, and begun again where one dies.

Run: .venv/bin/python -m bench.fuzz [--inputs 20000] [--seed 1] [--processes 4]
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import gzip
import hashlib
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import traceback
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import pyarrow.parquet as pq
from typer.main import get_command

from bench.mutations import alike, mutated, toml_text
from testimonia.cli import app
from testimonia.errors import FindingsError, TestimoniaError
from testimonia.release import SUMS, write_sums

ROOT = Path(__file__).resolve().parent.parent
Json = dict[str, Any]

SECONDS = 5.0  # of processor time for an input
LIMIT = 1 << 30  # bytes that an input may add
CUT = 700  # code points of each article that are kept
DOCUMENTS = ("ro-1", "ar-1")
SAME = 0.1  # share of inputs whose meaning is not changed
GOOD = ("result", "findings", "refused")

FILES = "{file}"
OF_BYTES = ("validate-dataset", "verify-release")  # commands that look at sums
RELEASES = ("dataset", "corpus/dataset", "bare")
NO_DRAWS = ("--resamples", "0")
SCORE = ("score-predictions", "dataset", FILES, *NO_DRAWS)
# What is tried: files by pattern with a weight, and the commands that read them.
READERS: tuple[tuple[str, float, tuple[tuple[str, ...], ...]], ...] = (
    (
        "exports/*.*",
        4,
        (
            ("measure-agreement", FILES, *NO_DRAWS, "--html", "out/a.html"),
            ("measure-agreement", FILES, *NO_DRAWS, "--json"),
            ("measure-agreement", FILES, "--resamples", "100", "--scheme", "corpus/labeling/scheme.toml", "--json"),
            ("measure-agreement", FILES, *NO_DRAWS, "--gamma", "--json"),
            ("convert-export", FILES, "out/made", "--json"),
            ("convert-export", FILES, "out/made", "--label-config", "corpus/labeling/label_config.xml", "--json"),
            ("convert-export", FILES, "out/made", "--scheme", "corpus/labeling/scheme.toml"),
        ),
    ),
    (
        "predictions/*.*",
        4,
        (
            (*SCORE, "--html", "out/a.html", "--markdown", "out/a.md"),
            (*SCORE, "--json"),
            (*SCORE, "--matching", "nervaluate", "--json"),
            (*SCORE, "--matching", "hipe", "--json"),
            (*SCORE, "--unit", "utf-16", "--ends", "inclusive"),
            ("score-predictions", "dataset", FILES, "--resamples", "100", "--json"),
            ("score-predictions", FILES, "predictions/own.jsonl", *NO_DRAWS, "--json"),
            ("compare-predictions", "dataset", FILES, "predictions/own.jsonl", "--resamples", "100", "--json"),
            ("browse", FILES, "--out", "out/a.html", "--corpus", "corpus"),
            ("predict-baseline", FILES, "--corpus", "corpus"),
        ),
    ),
    ("quotes/*", 0.5, (("ground-quotes", "dataset", FILES, "--out", "out/a.jsonl", "--corpus", "corpus", "--json"),)),
    (
        "claims/*",
        0.5,
        (("score-predictions", "dataset", "predictions/own.jsonl", *NO_DRAWS, "--claims", FILES, "--json"),),
    ),
    (
        "corpus/labeling/*.toml corpus/labeling/languages/*.toml corpus/labeling/baseline/*.toml "
        "corpus/seeds/sources.toml corpus/CITATION.cff",
        4,
        (
            ("validate-dataset", "--corpus", "corpus", "--json"),
            ("label-config", "--corpus", "corpus"),
            ("measure-agreement", "--corpus", "corpus", *NO_DRAWS, "--json"),
            ("export-gold", "--corpus", "corpus"),
            ("verify-release", "--corpus", "corpus"),
            ("predict-baseline", "--corpus", "corpus", "--out", "out/a.jsonl"),
            ("plant-errors", "out/planted", "--key", "out/key.json", "--corpus", "corpus", "--count", "3"),
            ("estimate-errors", "corpus/labeling/audits/one", "--corpus", "corpus", "--json"),
        ),
    ),
    (
        "corpus/labeling/scheme.toml",
        1,
        (
            (*SCORE[:2], "predictions/own.jsonl", *NO_DRAWS, "--scheme", FILES, "--html", "out/a.html"),
            ("measure-agreement", "exports/array.json", *NO_DRAWS, "--scheme", FILES, "--json"),
            ("convert-export", "exports/array.json", "out/made", "--scheme", FILES),
        ),
    ),
    (
        "corpus/labeling/label_config.xml",
        0.5,
        (
            ("measure-agreement", "exports/array.json", *NO_DRAWS, "--label-config", FILES, "--json"),
            ("convert-export", "exports/array.json", "out/made", "--label-config", FILES),
        ),
    ),
    (
        "corpus/labeling/exports/*/*.json",
        1,
        (
            ("measure-agreement", "--corpus", "corpus", "--round", "second", *NO_DRAWS, "--json"),
            ("export-gold", "--corpus", "corpus"),
            ("verify-release", "--corpus", "corpus"),
        ),
    ),
    (
        "corpus/labeling/audits/*/*",
        0.5,
        (
            ("estimate-errors", "corpus/labeling/audits/one", "--corpus", "corpus"),
            ("export-gold", "--corpus", "corpus"),
        ),
    ),
    (
        "dataset/*/*.parquet",
        5,
        (
            ("validate-dataset", "dataset", "--corpus", "corpus", "--json"),
            ("validate-dataset", FILES, "--corpus", "corpus"),
            ("diff-releases", "dataset", "corpus/dataset", "--json"),
            ("diff-releases", "corpus/dataset", "dataset", "--all"),
            ("browse", "dataset", "--out", "out/a.html", "--corpus", "corpus"),
            ("score-predictions", "dataset", "predictions/own.jsonl", *NO_DRAWS, "--json"),
            ("score-predictions", "corpus/dataset", "dataset", *NO_DRAWS, "--json"),
            ("score-predictions", "dataset", "predictions/tags.jsonl", *NO_DRAWS, "--html", "out/a.html"),
            ("score-predictions", "dataset", "predictions/own.jsonl", *NO_DRAWS, "--claims", "claims/own.jsonl"),
            ("score-predictions", "corpus/dataset", FILES, *NO_DRAWS, "--json"),
            ("ground-quotes", "dataset", "quotes/own.jsonl", "--out", "out/a.jsonl", "--corpus", "corpus", "--json"),
            ("strip-text", "out/bare", "--dataset", "dataset"),
        ),
    ),
    (
        "corpus/dataset/manifest.json corpus/dataset/README.md corpus/dataset/SHA256SUMS corpus/dataset/*.json "
        "corpus/dataset/*/*.parquet corpus/DATASET_CARD.md corpus/CITATION.cff",
        3,
        (
            ("validate-dataset", "--corpus", "corpus"),
            ("verify-release", "--corpus", "corpus", "--json"),
            ("strip-text", "out/bare", "--dataset", "corpus/dataset"),
            ("diff-releases", "dataset", "corpus/dataset"),
            ("export-gold", "--corpus", "corpus", "--json"),
        ),
    ),
    (
        "bare/*.* bare/*/*.*",
        1,
        (
            ("rehydrate", "bare", "--texts", "corpus/seeds", "--out", "out/full"),
            ("validate-dataset", "bare", "--corpus", "corpus"),
            ("diff-releases", "bare", "dataset"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of an input: the file, how it was changed, the command, and how that ended."""

    number: int
    file: str
    mutation: str
    command: str
    outcome: str
    seconds: float = 0.0
    memory: int = 0
    detail: str = ""


def run_command(arguments: Iterable[str]) -> tuple[str, str]:
    """A command in this process as the command line runs it: how it ended, and its standard output."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    outcome = "result"
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            get_command(app).main(list(arguments), prog_name="testimonia")
        except SystemExit as end:
            outcome = "result" if end.code in (0, None) else "findings" if end.code == 1 else "refused"
        except FindingsError as error:
            print(*error.findings, sep="\n")
            outcome = "refused"
        except TestimoniaError as error:
            outcome = "refused"
            print(error, file=sys.stderr)
        out.flush()
    return outcome, out.buffer.getvalue().decode()


class TooLong(BaseException):
    """An input took more than its time."""


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise TooLong


def material(folder: Path) -> None:
    """Writes what is to be changed: a corpus of two short articles, its releases, exports and predictions."""
    corpus = folder / "corpus"
    shutil.copytree(ROOT / "labeling", corpus / "labeling", ignore=shutil.ignore_patterns("briefs", "*.py", "first"))
    for name in ("CITATION.cff", "DATASET_CARD.md"):
        shutil.copy(ROOT / name, corpus / name)
    (corpus / "seeds").mkdir()
    sources = tomllib.loads((ROOT / "seeds" / "sources.toml").read_text())
    kept = [document for document in sources["document"] if document["id"] in DOCUMENTS]
    texts = {}
    for document in kept:
        text = (ROOT / "seeds" / document["file"]).read_text()[:CUT]
        texts[document["id"]] = text
        (corpus / "seeds" / document["file"]).write_text(text)
        document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        document["zones"] = [zone | {"end": min(zone["end"], CUT)} for zone in document["zones"] if zone["start"] < CUT]
    (corpus / "seeds" / "sources.toml").write_text(toml_text({"document": kept}))
    rounds = tomllib.loads((corpus / "labeling" / "rounds.toml").read_text())
    rounds["round"] = [one for one in rounds["round"] if one["id"] != "first"]
    (corpus / "labeling" / "rounds.toml").write_text(toml_text(rounds))
    claims = tomllib.loads((corpus / "labeling" / "claims.toml").read_text())
    claims["claim"] = [claim for claim in map(_claim, claims["claim"]) if claim]
    (corpus / "labeling" / "claims.toml").write_text(toml_text(claims))
    for path in corpus.glob("labeling/exports/*/*.json"):
        if path.stem not in texts:
            path.unlink()
            continue
        path.write_text(json.dumps(_cut(json.loads(path.read_text()), texts[path.stem]), ensure_ascii=False))
    for path in corpus.glob("labeling/audits/*/*"):
        rows = path.read_text()
        if path.suffix == ".jsonl":
            found = [json.loads(line) for line in rows.splitlines() if line.strip()]
            found = [row for row in found if texts.get(row["document"], "").count(row["quote"]) >= row["n"]]
            rows = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)
        path.write_text(rows)
    here = Path.cwd()
    os.chdir(folder)
    try:
        _must("export-gold", "--corpus", "corpus")
        shutil.copytree(corpus / "dataset", "dataset")
        _must("strip-text", "bare", "--dataset", "dataset")
        _exports(Path("exports"), corpus)
        _predictions(folder, corpus)
    finally:
        os.chdir(here)


def _must(*arguments: str) -> str:
    outcome, said = run_command(arguments)
    if outcome == "refused":
        raise RuntimeError(f"{arguments}: {said}")
    return said


def _inside(span: str) -> bool:
    return int(span.split(":")[1].split("-")[1]) <= CUT


def _claim(claim: Json) -> Json | None:
    """A claim with the mentions that lie in what is kept; None where fewer than two documents have one."""
    mentions = [
        one
        for one in claim["mention"]
        if one["document"] in DOCUMENTS and all(map(_inside, [*one["spans"], *one.get("sources", [])]))
    ]
    names = {one["id"] for one in mentions}
    pairs = [pair for pair in claim["pair"] if set(pair["mentions"]) <= names]
    return claim | {"mention": mentions, "pair": pairs} if len({one["document"] for one in mentions}) > 1 else None


def _cut(task: Json, text: str) -> Json:
    """A task with the beginning of its text and what is annotated there."""
    task["data"]["text"], task["data"]["text_sha256"] = text, hashlib.sha256(text.encode()).hexdigest()
    for entry in task["annotations"]:
        results = [r for r in entry["result"] if r["type"] == "relation" or r["value"].get("end", 0) <= CUT]
        ids = {result["id"] for result in results if "id" in result}
        ends = ({r.get("from_id"), r.get("to_id")} - {None} for r in results)
        entry["result"] = [r for r, both in zip(results, ends, strict=True) if both <= ids]
    return task


def _exports(folder: Path, corpus: Path) -> None:
    """The exports of a round in the dialects that are read."""
    folder.mkdir()
    tasks = [json.loads(path.read_text()) for path in sorted((corpus / "labeling/exports/second").glob("*.json"))]
    for task in tasks:
        del task["annotations"][2:]
    (folder / "array.json").write_text(json.dumps(tasks, ensure_ascii=False))
    lines = "".join(json.dumps(task) + "\n" for task in tasks)
    (folder / "lines.jsonl").write_text(lines)
    (folder / "packed.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    old = [{"id": t["id"], "data": t["data"], "completions": t["annotations"]} for t in tasks]
    (folder / "completions.json").write_text(json.dumps(old))
    rows = []
    for task in tasks:
        for entry in task["annotations"]:
            values = [r["value"] for r in entry["result"] if r["type"] == "labels"][:20]
            rows.append(
                {"id": task["id"], "text": task["data"]["text"], "label": values, "annotator": 1, "annotation_id": 1}
            )
    (folder / "min.json").write_text(json.dumps({"rows": rows}))
    turns = [{"author": "a", "text": "Ana left."}, {"author": "b", "text": "🇰🇵 Where to?"}]
    spot = {"start": "1", "end": "1", "startOffset": 3, "endOffset": 8, "text": "Where", "paragraphlabels": ["WORD"]}
    result = {"id": "r", "type": "paragraphlabels", "from_name": "l", "to_name": "d", "value": spot}
    html = {"startOffset": 0, "endOffset": 3, "globalOffsets": {"start": 0, "end": 3}, "text": "Ana", "labels": ["X"]}
    results = [result], [result | {"value": spot | html, "type": "hypertextlabels"}]
    talk = [
        {"id": number, "data": {"dialogue": turns}, "annotations": [{"completed_by": {"id": number}, "result": found}]}
        for number, found in enumerate(results)
    ]
    (folder / "dialogue.json").write_text(json.dumps(talk))


def _predictions(folder: Path, corpus: Path) -> None:
    """Predictions in the forms of docs/scoring.md, quotes and claims."""
    for name in ("predictions", "quotes", "claims"):
        (folder / name).mkdir()
    lines = _must("predict-baseline", "--corpus", "corpus").splitlines()
    where = folder / "predictions"
    records = [json.loads(line) for line in lines]
    texts = {row["doc_id"]: row["text"] for row in pq.read_table(folder / "dataset/documents").to_pylist()}
    own = [row | {"text": texts[row["doc_id"]]} for row in records]
    bare = [
        {"doc_id": r["doc_id"], "entities": [[s["start"], s["end"], s["label"]] for s in r["spans"]]} for r in records
    ]
    tasks = []
    for path in sorted((corpus / "labeling/exports/second").glob("*.json")):
        task = json.loads(path.read_text())
        first, *_ = task.pop("annotations")
        tasks.append(task | {"predictions": [{"model_version": "m", "result": first["result"]}]})
    rows = pq.read_table(folder / "dataset/tokens").to_pylist()
    tags = [
        {"doc_id": r["doc_id"], "sentence": r["sentence"], "actor_tags": [("O", "B-ACTOR", "I-ACTOR")[t] for t in tags]}
        for r in rows
        for tags in [r["actor_tags"]]
    ]
    spacy = [
        {"text": r["text"], "ents": [{n: s[n] for n in ("start", "end", "label")} for s in r["spans"]]} for r in own
    ]
    forms = {"own": own, "bare": bare, "tags": tags, "spacy": spacy, "tasks": tasks}
    for name, found in forms.items():
        (where / f"{name}.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in found))
        (where / f"{name}.json").write_text(json.dumps(found))
    (where / "gliner.json").write_text(json.dumps({r["doc_id"]: r["spans"] for r in records}))
    (where / "own.jsonl.gz").write_bytes(gzip.compress((where / "own.jsonl").read_bytes()))
    shutil.copy(next((folder / "dataset/documents").iterdir()), where / "documents.parquet")
    shutil.copy(next((folder / "dataset/spans").iterdir()), where / "spans.parquet")
    shutil.copy(next((folder / "dataset/tokens").iterdir()), where / "tokens.parquet")
    _doc_bin(where / "docs.spacy", own)
    quotes = [
        {
            "doc_id": r["doc_id"],
            "model": "m",
            "quotes": [{"quote": s["text"], "label": s["label"]} for s in r["spans"][:6]],
            "relations": [{"label": "x", "head": 0, "tail": 1}],
        }
        for r in own
    ]
    (folder / "quotes/own.jsonl").write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in quotes))
    mentions = [{"doc_id": name, "start": 10, "end": 21} for name in texts]
    claim = {"claim_id": "c", "mentions": mentions, "marks": [{"first": 0, "second": 1, "mark": "same"}]}
    (folder / "claims/own.jsonl").write_text(json.dumps(claim) + "\n")


def _doc_bin(path: Path, rows: list[Json]) -> None:
    from spacy.tokens import Doc, DocBin
    from spacy.vocab import Vocab

    kept = DocBin(store_user_data=True)
    for row in rows:
        words = row["text"].split(" ")
        doc = Doc(Vocab(), words=words, spaces=[True] * (len(words) - 1) + [False], user_data={"doc_id": row["doc_id"]})
        doc.ents = [doc[0:1]]
        kept.add(doc)
    kept.to_disk(path)


class Tester:
    """Tries inputs in a copy of the material, whose folder becomes the current one."""

    def __init__(self, pristine: Path, work: Path, seed: int) -> None:
        self.pristine, self.work, self.seed = pristine, work, seed
        shutil.copytree(pristine, work)
        os.chdir(work)
        self._files = [
            sorted(path.relative_to(work).as_posix() for one in patterns.split() for path in work.glob(one))
            for patterns, _, _ in READERS
        ]
        self._before: dict[tuple[str, ...], list[object]] = {}

    def tried(self, number: int) -> Tried:
        """The input of that number."""
        draw = random.Random(f"{self.seed}/{number}")
        [reader] = draw.choices(range(len(READERS)), [weight for _, weight, _ in READERS])
        name = draw.choice(self._files[reader])
        data = (self.pristine / name).read_bytes()
        commands = READERS[reader][2]
        same = None
        if draw.random() < SAME:
            commands = tuple(
                c for c in commands if "--json" in c and c[0] not in ("validate-dataset", "verify-release")
            )
            same = alike(draw, Path(name), data) if commands else None
        command = draw.choice(commands or READERS[reader][2])
        arguments = tuple(name if one == FILES else one for one in command)
        mutation, content = same or mutated(draw, Path(name), data)
        if same and arguments not in self._before:
            self._before[arguments] = self._run(arguments)
            self._tidy(command)
        Path(name).write_bytes(content)
        release = next((one for one in RELEASES if name.startswith(f"{one}/")), None)
        if release and not name.endswith(SUMS) and draw.random() < 0.6:
            write_sums(Path(release))  # so that what is behind the sums is reached too
        before = _memory()
        begun = time.process_time()
        outcome, detail = "crash", ""
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            outcome, *_ = said = self._run(arguments)
            if same and said != self._before[arguments]:
                outcome, detail = "other", _unlike(self._before[arguments], said)
        except TooLong:
            outcome, detail = "hang", _where()
        except MemoryError:
            outcome, detail = "memory", _where()
        except Exception as error:
            detail = f"{type(error).__name__}: {str(error)[:200]!r} {_where()}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        grown = _memory("VmHWM:") - before
        if grown > LIMIT and outcome in GOOD:
            outcome = "memory"
        took = time.process_time() - begun
        if outcome not in GOOD:
            kept = self.pristine.parent / "violations" / f"{number}-{Path(name).name}"
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(content)
        self._tidy(command)
        for path in (name, *([f"{release}/{SUMS}"] if release else [])):
            shutil.copyfile(self.pristine / path, path)
        return Tried(number, name, mutation, " ".join(arguments), outcome, round(took, 3), grown, detail)

    def _run(self, arguments: tuple[str, ...]) -> list[Any]:
        outcome, said = run_command(arguments)
        if "--json" not in arguments:
            return [outcome, said]
        tables: dict[str, list[Json]] = {}
        for path in sorted(Path("out").rglob("*.parquet")):
            tables.setdefault(path.parent.name, []).extend(pq.read_table(path).to_pylist())
        return [outcome, json.loads(said) if said.startswith("{") else said, tables]

    def _tidy(self, command: tuple[str, ...]) -> None:
        shutil.rmtree("out", ignore_errors=True)
        if command[0] in ("export-gold", "label-config"):
            shutil.rmtree("corpus")
            shutil.copytree(self.pristine / "corpus", "corpus")


def _unlike(one: object, other: object) -> str:
    left, right = str(one), str(other)
    at = next((n for n, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    return f"{left[max(0, at - 60) : at + 60]!r} / {right[max(0, at - 60) : at + 60]!r}"


def _where() -> str:
    """The innermost lines of testimonia that an exception came from."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    own = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames if "/src/testimonia/" in f.filename]
    return " < ".join(own[:-4:-1])


def _memory(key: str = "VmRSS:") -> int:
    """Bytes resident; VmHWM is the most since the last call for VmRSS."""
    if key == "VmRSS:":
        Path("/proc/self/clear_refs").write_text("5")
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith(key)) << 10


def _work(arguments: argparse.Namespace) -> None:
    """Tries the inputs of one share and prints a line each; the last line of one that dies says its number."""
    first, step = arguments.share
    faulthandler.enable()
    signal.signal(signal.SIGPROF, _stop)
    warnings.simplefilter("error", RuntimeWarning)
    with tempfile.TemporaryDirectory() as folder:
        tester = Tester(arguments.material, Path(folder) / "work", arguments.seed)
        for command in READERS[0][2][0], READERS[1][2][0]:
            run_command([next(iter(tester._files[0])) if one == FILES else one for one in command])
        used = _memory("VmSize:")
        resource.setrlimit(resource.RLIMIT_AS, (used + 4 * LIMIT, used + 4 * LIMIT))
        for number in range(first, arguments.inputs, step):
            print(json.dumps({"number": number}), flush=True)
            faulthandler.dump_traceback_later(12 * SECONDS, exit=True)
            found = tester.tried(number)
            faulthandler.cancel_dump_traceback_later()
            print(json.dumps(asdict(found)), flush=True)
        os.chdir("/")


def fuzz(inputs: int, seed: int, processes: int, folder: Path) -> Iterator[Tried]:
    """Every input with its outcome, in no order. `folder` gets the material, and the violations."""
    material(folder / "material")

    def share(number: int) -> list[Tried]:
        done: list[Tried] = []
        first = number
        while first < inputs:
            command = [sys.executable, "-m", "bench.fuzz", "--inputs", str(inputs), "--seed", str(seed)]
            command += ["--share", str(first), str(processes), "--material", str(folder / "material")]
            run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            lines = [json.loads(line) for line in run.stdout.splitlines()]
            done += [Tried(**line) for line in lines if "outcome" in line]
            if run.returncode == 0:
                break
            if not lines:
                raise RuntimeError(run.stderr)
            last = lines[-1]["number"]
            done.append(Tried(last, "", "", "", "death", detail=f"{run.returncode} {run.stderr[-1500:]}"))
            first = last + processes
        return done

    with ThreadPoolExecutor(processes) as pool:
        for found in pool.map(share, range(processes)):
            yield from found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--keep", type=Path, help="Folder for the inputs that were violations.")
    parser.add_argument("--share", type=int, nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--material", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.share:
        _work(arguments)
        return
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = list(fuzz(arguments.inputs, arguments.seed, arguments.processes, folder))
    for title, names in (
        ("files", Counter(one.file.split("/")[0] + "/…" + Path(one.file).suffix for one in found)),
        ("mutations", Counter(one.mutation for one in found)),
        ("outcomes", Counter(one.outcome for one in found)),
    ):
        print(f"{title}: " + ", ".join(f"{name} {count:,}" for name, count in names.most_common()))
    most = max(found, key=lambda one: one.memory)
    longest = max(found, key=lambda one: one.seconds)
    print(f"{len(found):,} inputs in {time.monotonic() - begun:.0f} s")
    print(f"most memory: {most.memory >> 20} MB by {most}\nlongest: {longest.seconds} s by {longest}")
    wrong = [one for one in found if one.outcome not in GOOD]
    kinds: dict[str, list[Tried]] = {}
    for one in wrong:
        kinds.setdefault(one.outcome + " " + one.detail.rpartition("' ")[2][:200], []).append(one)
    for kind, ones in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"\n{len(ones)} x {kind}\n  {ones[0]}")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
