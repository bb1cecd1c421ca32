"""Ten annotators at once on a server of five thousand tasks: nothing lost, nothing twice, how long they wait.

A real embedded server with made articles. Each annotator has an account and a session of a browser's kind, and does
what the annotation page does: asks for the next task, saves a draft, submits or skips; now and then an annotation is
opened again and updated. What a server's answer confirmed is written down; at the end the project is exported, and each
confirmed annotation must be in it once, as it was last. Without `--pause` they work as fast as the server answers.

Run: .venv/bin/python -m bench.longrun [--tasks 5000] [--annotators 10] [--minutes 10] [--pause 0] [--seed 1]
     [--database postgresql://user@host:port/name]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from bench.loading import made
from testimonia import server
from testimonia.corpus import read_corpus
from testimonia.label_config import render_label_config
from testimonia.studio import Studio
from testimonia.tasks import task_of

ROOT = Path(__file__).parent.parent
Json = dict[str, Any]
TRIES = 5


@dataclass(slots=True)
class Log:
    """What happened: seconds by request, answers that were errors, what was confirmed, by id of the annotation."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    errors: Counter[str] = field(default_factory=Counter)
    confirmed: dict[int, tuple[int, str, bool, str]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


def content(results: list[Json]) -> str:
    """What is to be kept of an annotation, as text."""
    return json.dumps([[r["id"], r["from_name"], r["type"], r["value"]] for r in results], sort_keys=True)


class Annotator:
    """An account in a session of its own."""

    def __init__(self, url: str, email: str, password: str, project: int, seed: str, log: Log) -> None:
        self.email, self._project, self._log, self._draw = email, project, log, random.Random(seed)
        self._http = httpx.Client(base_url=url, follow_redirects=True, timeout=120)
        self._http.get("/user/login/")
        values = {"email": email, "password": password, "csrfmiddlewaretoken": self._http.cookies["csrftoken"]}
        self._http.post("/user/login/", data=values, headers={"Referer": url}).raise_for_status()
        self._mine: list[tuple[int, int, list[Json]]] = []

    def work(self, until: float, pause: float) -> None:
        while time.monotonic() < until:
            task = self._asked("next task", "POST", f"/api/dm/actions?id=next_task&project={self._project}", {})
            if task is None:
                return
            results = self._regions(task["data"]["text"])
            self._asked("draft", "POST", f"/api/tasks/{task['id']}/drafts?project={self._project}", {"result": results})
            time.sleep(pause * self._draw.random() * 2)
            skipped = self._draw.random() < 0.05
            body = {"result": results, "was_cancelled": skipped, "lead_time": 1.0}
            kind = "skip" if skipped else "submit"
            made = self._asked(kind, "POST", f"/api/tasks/{task['id']}/annotations/", body)
            if made is not None:
                self._confirm(kind, made["id"], task["id"], skipped, results)
                if not skipped:
                    self._mine.append((made["id"], task["id"], results))
            if self._mine and self._draw.random() < 0.1:
                annotation, number, results = self._draw.choice(self._mine)
                results = results[: self._draw.randrange(len(results)) + 1]
                if self._asked("update", "PATCH", f"/api/annotations/{annotation}/", {"result": results}) is not None:
                    self._confirm("update", annotation, number, False, results)

    def _confirm(self, kind: str, annotation: int, task: int, skipped: bool, results: list[Json]) -> None:
        with self._log.lock:
            self._log.done[kind] += 1
            self._log.confirmed[annotation] = (task, self.email, skipped, content(results))

    def _regions(self, text: str) -> list[Json]:
        found = []
        for number in range(self._draw.randrange(1, 30)):
            start = self._draw.randrange(len(text) - 1)
            end = min(len(text), start + self._draw.randrange(1, 30))
            value = {
                "start": start,
                "end": end,
                "text": text[start:end],
                "labels": [self._draw.choice(("ACTOR", "SOURCE"))],
            }
            common = {"id": f"r{number}", "from_name": "label", "to_name": "text", "type": "labels", "origin": "manual"}
            found.append(common | {"value": value})
        return found

    def _asked(self, kind: str, method: str, path: str, body: Json) -> Any:
        """The answer; None where there is no task left, or after so many errors."""
        headers = {"X-CSRFToken": self._http.cookies["csrftoken"], "Referer": str(self._http.base_url)}
        for _ in range(TRIES):
            start = time.perf_counter()
            answer = self._http.request(method, path, json=body, headers=headers)
            with self._log.lock:
                self._log.seconds.setdefault(kind, []).append(time.perf_counter() - start)
            if answer.status_code == 404 and kind == "next task":
                return None
            if answer.status_code < 400:
                return answer.json()
            with self._log.lock:
                self._log.errors[f"{kind}: HTTP {answer.status_code} {answer.text[:100]}"] += 1
            time.sleep(0.2)
        return None


def lost(log: Log, tasks: list[Json], users: dict[int, str]) -> list[str]:
    """What is not in the export as it was confirmed, or is there twice, or was never confirmed."""
    there: dict[int, tuple[int, str, bool, str]] = {}
    wrong = []
    for task in tasks:
        for one in task["annotations"]:
            if one["id"] in there:
                wrong.append(f"annotation {one['id']} stands twice")
            who = users[one["completed_by"]]
            there[one["id"]] = (task["id"], who, bool(one["was_cancelled"]), content(one["result"]))
    wrong += [f"annotation {n} is not there" for n in log.confirmed.keys() - there.keys()]
    wrong += [f"annotation {n} was never confirmed" for n in there.keys() - log.confirmed.keys()]
    return wrong + [f"annotation {n} is another" for n in there.keys() & log.confirmed if there[n] != log.confirmed[n]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--annotators", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--pause", type=float, default=0, help="mean seconds that an annotator thinks about a task")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--database", default="", help="postgresql://user@host:port/name, else sqlite")
    given = parser.parse_args()
    kind = "PostgreSQL" if given.database else "sqlite"
    print(
        f"label-studio {version('label-studio')} on {kind}, Python {platform.python_version()}, {os.cpu_count()} cores"
    )
    print({name: value for name, value in vars(given).items() if name != "database"})
    corpus, _ = made(read_corpus(ROOT), given.tasks, given.seed)
    log = Log()
    with (
        tempfile.TemporaryDirectory() as folder,
        server.running(Path(folder), database=given.database) as up,
        Studio(up.address) as studio,
    ):
        project = studio.ensure_project("long run", render_label_config(corpus.scheme), "")
        studio.load(project, [{"data": task_of(d)} for d in corpus.documents], {}, {}, lambda _done, _total: None)
        emails = [f"annotator-{number}@example.org" for number in range(given.annotators)]
        passwords = [studio.sign_up(email) for email in emails]
        workers = [
            Annotator(up.address.url, email, password, project, f"{given.seed} {email}", log)
            for email, password in zip(emails, passwords, strict=True)
        ]
        start = time.monotonic()
        until = start + 60 * given.minutes
        with ThreadPoolExecutor(len(workers)) as pool:
            for one in [pool.submit(worker.work, until, given.pause) for worker in workers]:
                one.result()
        taken = time.monotonic() - start
        tasks = list(studio.export(project, lambda _done, _total: None))
        wrong = lost(log, tasks, studio.users())
    requests = sum(map(len, log.seconds.values()))
    print(f"{taken:.0f} s, {requests:,} requests, {requests / taken:.1f} a second; {len(tasks):,} tasks exported")
    print("confirmed:", ", ".join(f"{kind} {count:,}" for kind, count in sorted(log.done.items())))
    print("| request | times | median, s | 95% | 99% | longest |\n| --- | --- | --- | --- | --- | --- |")
    for kind, seconds in sorted(log.seconds.items()):
        median, high, higher = np.percentile(seconds, [50, 95, 99])
        print(f"| {kind} | {len(seconds):,} | {median:.2f} | {high:.2f} | {higher:.2f} | {max(seconds):.2f} |")
    print("errors answered:", "; ".join(f"{what} ({count})" for what, count in log.errors.most_common()) or "none")
    print(f"lost, twice or another: {len(wrong)}", *wrong[:10], sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
