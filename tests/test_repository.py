"""The repository itself: what it says is there is there."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main

from bench import scores
from testimonia.card import table
from testimonia.cli import app
from tests.conftest import ROOT

COMMANDS = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_each_script_is_a_door_to_its_command() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert scripts
    for path in scripts:
        body = ast.parse(path.read_text()).body
        assert ast.get_docstring(ast.parse(path.read_text()))
        assert ast.unparse(body[-1]) == f"main('{path.stem.replace('_', '-')}')"
        assert len(body) == 3
        assert path.stem.replace("_", "-") in COMMANDS


def test_each_command_is_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    assert [name for name in sorted(COMMANDS) if f"`{name}" not in readme and f"testimonia {name}" not in readme] == []


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, testimonia.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"datasets", "pyarrow", "label_studio_sdk", "httpx", "yaml", "regex", "pandas"} & set(modules)


def test_the_import_contract_names_every_module() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers = set(config["tool"]["importlinter"]["contracts"][0]["layers"])
    source = ROOT / "src" / "testimonia"
    modules = {path.stem for path in source.glob("*.py")} | {path.parent.name for path in source.glob("*/__init__.py")}
    modules -= {"__init__"}
    assert layers == modules


def test_the_lock_names_no_host() -> None:
    assert "http://" not in (lock := (ROOT / "requirements.lock").read_text())
    assert "https://" not in lock


def test_the_readme_loads_the_dataset_as_it_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    snippet = (ROOT / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    names: dict[str, Any] = {}
    exec(snippet, names)
    assert len(names["documents"]) == 5
    assert len(names["tokens"]) > 50


def test_the_scores_are_those_of_this_release() -> None:
    made = table(scores.HEAD, list(scores.rows()))
    for name in ("README.md", "DATASET_CARD.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert scores.BEGIN in text
        assert scores.filled(text, made) == text, "run bench/scores.py --write, then testimonia export-gold"
