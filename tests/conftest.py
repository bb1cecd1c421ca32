"""The corpus as it is committed, copies of it to spoil, and one real Label Studio for the session."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from testimonia import server
from testimonia.corpus import Corpus, read_corpus
from testimonia.studio import Studio

ROOT = Path(__file__).parent.parent
Json = dict[str, Any]
DATA = Path(__file__).parent / "data"
SHOTS = ROOT / "build" / "screenshots"
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    return read_corpus(ROOT)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the corpus that a test may spoil."""
    return copy_corpus(tmp_path / "corpus")


def copy_corpus(target: Path) -> Path:
    for name in ("seeds", "labeling", "dataset"):
        shutil.copytree(ROOT / name, target / name)
    for name in ("DATASET_CARD.md", "CHANGELOG.md", "CITATION.cff"):
        shutil.copy2(ROOT / name, target)
    return target


def one_reader(folder: Path) -> Path:
    """Leaves the corpus in a folder with one round of one annotator, whatever the release is made of."""
    labeling = folder / "labeling"
    (labeling / "rounds.toml").write_text(
        'version = "0.0.1"\n\n[[round]]\nid = "first"\nkind = "annotation"\nrelease = true\n'
    )
    for path in (labeling / "exports").iterdir():
        if path.is_dir() and path.name != "first":
            shutil.rmtree(path)
    shutil.rmtree(labeling / "audits", ignore_errors=True)
    (labeling / "claims.toml").unlink(missing_ok=True)
    return folder


@pytest.fixture
def alone(copy: Path) -> Path:
    """A copy of the corpus with one round of one annotator."""
    return one_reader(copy)


def two_readers(folder: Path) -> None:
    """Gives the corpus in a folder a second annotator, and a round of adjudication that decides between the two."""
    one_reader(folder)
    for path in sorted((folder / "labeling" / "exports" / "first").glob("*.json")):
        path.write_text(json.dumps(second_reader(json.loads(path.read_text())), ensure_ascii=False))
    with (folder / "labeling" / "rounds.toml").open("a") as file:
        file.write('\n[[round]]\nid = "decided"\nkind = "adjudication"\nof = "first"\nrelease = true\n')


def second_reader(task: Json) -> Json:
    """The task with a second annotation: each tenth region gone, each sixth one character longer."""
    first = task["annotations"][0]
    dropped, results, number = set(), [], 0
    for result in json.loads(json.dumps(first["result"])):
        if result["type"] == "labels":
            number += 1
            if number % 10 == 0:
                dropped.add(result["id"])
            if number % 6 == 0:
                value = result["value"]
                value["end"] += 1
                value["text"] = task["data"]["text"][value["start"] : value["end"]]
        if {result.get("id"), result.get("from_id"), result.get("to_id")}.isdisjoint(dropped):
            results.append(result)
    results = [r for r in results if {r.get("id"), r.get("from_id"), r.get("to_id")}.isdisjoint(dropped)]
    second = first | {"completed_by": "reader-2", "result": results, "id": first["id"] + 100}
    return task | {"annotations": [first, second]}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of the session's server."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def running(home: Path) -> Iterator[server.Server]:
    with server.running(home) as one:
        yield one


@pytest.fixture(scope="session")
def studio(running: server.Server) -> Iterator[Studio]:
    with Studio(running.address) as one:
        yield one


@pytest.fixture(scope="session")
def personal_token(studio: Studio) -> str:
    """A personal access token of the owner, which Label Studio gives once."""
    url, legacy = studio.address.url, studio.address.token
    answer = httpx.post(f"{url}/api/token/", headers={"Authorization": f"Token {legacy}"})
    return str(answer.json()["token"])


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The real Chromium."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def page(browser: Browser, running: server.Server, home: Path) -> Iterator[Page]:
    """A page of Label Studio, logged in as the owner."""
    values = server.read_secrets(home)
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    page = context.new_page()
    page.goto(f"{running.address.url}/user/login")
    page.fill("input[name=email]", values["email"])
    page.fill("input[name=password]", values["password"])
    page.click("button[type=submit]")
    page.wait_for_url(lambda url: "/user/login" not in url)
    yield page
    context.close()
