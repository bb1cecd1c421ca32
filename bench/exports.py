"""Conversion of a made export: `testimonia convert-export` beside the converter of label-studio-sdk.

The export is one compact JSON array of tasks of 30 regions, with attributes and relations, in three languages. Each
command runs in a process of its own, start-up counted, the best of several runs; memory is the greatest resident set.

Run: .venv/bin/python bench/exports.py [--tasks 20000] [--more 130000] [--seed 1] [--runs 3]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent / "labeling" / "label_config.xml"
REGIONS = 30
WORDS = {
    language: text.split()
    for language, text in {
        "ro": "trupe mii soldați președintele a declarat că țara va trimite ajutor în regiunea Kursk după șase luni",
        "ar": "أعلن الرئيس أن القوات سترسل آلاف الجنود إلى المنطقة بعد ستة أشهر من الحرب وفقا لوكالة الأنباء",
        "fr": "le président a déclaré que des milliers de soldats 🇰🇵 seront envoyés dans la région après six mois",
    }.items()
}
ATTRIBUTES: dict[str, list[tuple[str, str, list[Any]]]] = {
    "ACTOR": [("actor_kind", "choices", ["person", "state", "gov_body"])],
    "QUANTITY": [
        ("quantity_kind", "choices", ["personnel", "weapons"]),
        ("quantity_value_min", "number", [1.0, 500.0]),
    ],
    "SOURCE": [("source_kind", "choices", ["official", "media"])],
}


def made_tasks(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Tasks as Label Studio's export JSON has them; each region's words are those of the text."""
    draw = random.Random(seed)
    for number in range(1, count + 1):
        language = draw.choice(list(WORDS))
        words = [draw.choice(WORDS[language]) for _ in range(150)]
        starts, at = [], 0
        for word in words:
            starts.append(at)
            at += len(word) + 1
        text = " ".join(words)
        results: list[dict[str, Any]] = []
        ids: list[tuple[str, str]] = []
        for first in sorted(draw.sample(range(147), REGIONS)):
            last = first + draw.randrange(3)
            start, end = starts[first], starts[last] + len(words[last])
            label = draw.choice(list(ATTRIBUTES))
            region = f"{draw.getrandbits(60):x}"[:10]
            ids.append((region, label))
            value = {"start": start, "end": end, "text": text[start:end]}
            results.append(
                {"value": value | {"labels": [label]}, "id": region, "from_name": "label", "to_name": "text"}
                | {"type": "labels", "origin": "manual"}
            )
            for name, kind, choices in ATTRIBUTES[label] if draw.random() < 0.2 else ():
                chosen = draw.choice(choices)
                own = value | {kind: [chosen] if kind == "choices" else chosen}
                results.append(
                    {"value": own, "id": region, "from_name": name, "to_name": "text", "type": kind, "origin": "manual"}
                )
        for head in [region for region, label in ids if label == "QUANTITY"][:2]:
            tails = [region for region, label in ids if label == "SOURCE"]
            if tails:
                results.append(
                    {"from_id": head, "to_id": draw.choice(tails), "type": "relation", "direction": "right"}
                    | {"labels": ["attributed_to"]}
                )
        stamp = "2026-01-02T03:04:05.678901Z"
        yield {
            "id": number,
            "annotations": [
                {"id": number, "completed_by": 1 + number % 7, "result": results, "was_cancelled": False}
                | {"ground_truth": False, "created_at": stamp, "updated_at": stamp, "lead_time": 61.5, "prediction": {}}
            ],
            "file_upload": "x.json",
            "drafts": [],
            "predictions": [],
            "data": {"doc_id": f"made-{number}", "language": language, "title": "", "text": text},
            "meta": {},
            "created_at": stamp,
            "updated_at": stamp,
            "project": 1,
        }


def write_export(path: Path, count: int, seed: int) -> None:
    """One JSON array, compact, in UTF-8, as the server writes it."""
    with path.open("w", encoding="utf-8") as file:
        for number, task in enumerate(made_tasks(count, seed)):
            file.write(("," if number else "[") + json.dumps(task, ensure_ascii=False, separators=(",", ":")))
        file.write("]")


SDK = """
import sys
from label_studio_sdk.converter import Converter
Converter(open(sys.argv[1]).read(), project_dir=None).convert(sys.argv[2], sys.argv[3], sys.argv[4], is_dir=False)
"""


def measured(command: list[str], out: Path, runs: int) -> tuple[float, float]:
    """Seconds of the best run, and MB of the greatest resident set of a process."""
    best, most = float("inf"), 0
    for _ in range(runs):
        shutil.rmtree(out, ignore_errors=True)
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0, command
        best, most = min(best, time.perf_counter() - start), max(most, usage.ru_maxrss)
    return best, most / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--more", type=int, default=130_000, help="tasks of the export that is only converted")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    given = parser.parse_args()
    packages = ("testimonia", "label-studio-sdk", "msgspec", "pyarrow")
    print(", ".join(f"{name} {version(name)}" for name in packages), f"· Python {platform.python_version()}")
    print(f"seed {given.seed}, best of {given.runs}\n")
    print("| tasks | MB | what | s | times JSON_MIN | MB resident |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for tasks in (given.tasks, given.more):
            path, out = Path(folder) / f"{tasks}.json", Path(folder) / "out"
            write_export(path, tasks, given.seed)
            ours = [str(Path(sys.executable).parent / "testimonia"), "convert-export", str(path), str(out)]
            theirs = [sys.executable, "-c", SDK, str(CONFIG), str(path), str(out)]
            commands = {f"convert-export, {n} process{'es' * (n > 1)}": [*ours, "--workers", str(n)] for n in (1, 2)}
            if tasks == given.tasks:
                commands = {f"SDK {name}": [*theirs, name] for name in ("JSON_MIN", "CONLL2003")} | commands
            found = {name: measured(command, out, given.runs) for name, command in commands.items()}
            base = found.get("SDK JSON_MIN", (0.0, 0.0))[0]
            for name, (seconds, memory) in found.items():
                ratio = f"{base / seconds:.1f}" if base else ""
                size = path.stat().st_size / 1e6
                print(f"| {tasks:,} | {size:.0f} | {name} | {seconds:.2f} | {ratio} | {memory:.0f} |", flush=True)
            path.unlink()


if __name__ == "__main__":
    main()
