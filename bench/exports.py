"""A made export of Label Studio: tasks of 30 regions, with attributes and relations, in three languages.

Run: .venv/bin/python bench/exports.py FILE [--tasks 20000] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

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


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file", type=Path)
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    write_export(given.file, given.tasks, given.seed)
    print(f"{given.file}: {given.file.stat().st_size / 1e6:.0f} MB, {given.tasks} tasks, seed {given.seed}")


if __name__ == "__main__":
    main()
