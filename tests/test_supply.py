"""What comes from others is known: pins with hashes, no more packages than are needed; and no secrets in git."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.footprint import closure, dependencies, sentence, size
from testimonia import server
from tests.conftest import ROOT

LOCKS = [ROOT / "requirements.lock", *sorted([*ROOT.glob("bench/*/*.txt"), *ROOT.glob("tests/*/*.txt")])]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_USERS = sorted(set(EXTRAS) - {"dev"})


def pinned(path: Path) -> dict[tuple[str, str], list[str]]:
    """The hashes of each requirement of a lock, by name and marker; fails on a line that is none."""
    found: dict[tuple[str, str], list[str]] = {}
    joined = path.read_text().replace("\\\n", " ")
    for line in (line.partition("    #")[0].strip() for line in joined.splitlines()):
        if line and not line.startswith("#"):
            head, *hashes = re.split(r"\s+--hash=", line)
            requirement = Requirement(head)
            assert [one.operator for one in requirement.specifier] == ["=="], line
            assert "*" not in str(requirement.specifier)
            assert requirement.url is None
            key = str(canonicalize_name(requirement.name)), str(requirement.marker or "")
            found.setdefault(key, []).extend(hashes)
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_pin_has_hashes(path: Path) -> None:
    found = pinned(path)
    assert found
    assert [name for name, hashes in found.items() if not hashes] == []
    assert [one for hashes in found.values() for one in hashes if not re.fullmatch(r"sha256:[0-9a-f]{64}", one)] == []
    assert (
        re.findall(r"(?:https?|file|git)[:+]|--(?:index|extra|find|trusted)|^-", path.read_text(), re.MULTILINE) == []
    )


@pytest.mark.parametrize("line", ["a==1", "a>=1 --hash=sha256:00", "--index-url x", "a @ https://host/a.whl", "a==1.*"])
def test_a_pin_without_hash_is_seen(tmp_path: Path, line: str) -> None:
    (tmp_path / "bad.txt").write_text(f"{line}\n")
    with pytest.raises((AssertionError, ValueError)):
        test_every_pin_has_hashes(tmp_path / "bad.txt")


def test_the_locks_are_of_what_is_asked_for() -> None:
    locked = {name for name, _ in pinned(ROOT / "requirements.lock")}
    asked = {str(canonicalize_name(Requirement(one).name)) for one in sum(EXTRAS.values(), dependencies())}
    assert asked - locked == set()
    inputs = {*ROOT.glob("bench/*/*.in"), *ROOT.glob("tests/*/*.in")}
    assert {path.with_suffix(".txt") for path in inputs} == set(LOCKS[1:])
    makefile = (ROOT / "Makefile").read_text()
    for path in inputs:
        assert f"{path.parent.relative_to(ROOT).as_posix()}/*.in" in makefile, "make lock leaves it out"


def test_nothing_is_installed_without_hashes() -> None:
    sources = [ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "bench").glob("*.py"), *(ROOT / "scripts").iterdir()]
    lines = [line for path in sources for line in path.read_text().splitlines() if re.search(r"\bpip install -", line)]
    assert len(lines) >= 5
    assert [
        line for line in lines if "--require-hashes" not in line and "--no-deps --no-build-isolation" not in line
    ] == []


def imported(path: Path) -> Iterator[tuple[str, bool]]:
    """The top-level modules that a file imports, and whether it does without where they are not installed."""
    tree = ast.parse(path.read_text())
    optional = {
        id(inner)
        for one in ast.walk(tree)
        if isinstance(one, ast.Try) and any("ImportError" in ast.dump(handler) for handler in one.handlers)
        for statement in one.body
        for inner in ast.walk(statement)
    }
    for one in ast.walk(tree):
        if isinstance(one, ast.Import):
            yield from ((name.name.partition(".")[0], id(one) in optional) for name in one.names)
        elif isinstance(one, ast.ImportFrom) and one.module and not one.level:
            yield one.module.partition(".")[0], id(one) in optional


def test_what_is_imported_is_a_dependency() -> None:
    own = {"testimonia", "testimonia_baseline"}
    needed = {str(canonicalize_name(Requirement(one).name)) for one in dependencies()}
    extras = {str(canonicalize_name(Requirement(one).name)) for name in FOR_USERS for one in EXTRAS[name]}
    of = packages_distributions()
    seen = set()
    for path in [*(ROOT / "src").rglob("*.py"), *(ROOT / "labeling" / "baseline").rglob("*.py")]:
        for module, optional in imported(path):
            if module not in sys.stdlib_module_names | own:
                names = {str(canonicalize_name(name)) for name in of[module]}
                seen |= names
                assert names & (needed | extras if optional else needed), f"{path}: {module}"
    run_only = {"typer", "datasketch", "datasets", "label-studio"}
    assert needed - seen - run_only == set(), "declared, but imported nowhere"
    assert extras - seen - run_only == set()


def without(modules: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Python code where these modules are not installed."""
    blocked = f"import sys\nfor name in {modules}: sys.modules[name] = None\n"
    return subprocess.run([sys.executable, "-c", blocked + code], capture_output=True, text=True, check=False)


def test_without_the_extras() -> None:
    """Every module but the baseline is there without them, and a command that needs one says which."""
    blocked = ["babel", "ray", "spacy", "label_studio", "duckdb", "polars", "playwright", "hypothesis", "krippendorff"]
    code = (
        "import importlib, pkgutil, testimonia\n"
        "for one in pkgutil.iter_modules(testimonia.__path__): importlib.import_module(f'testimonia.{one.name}')\n"
        f"sys.argv[1:] = ['--corpus', {str(ROOT)!r}]\nfrom testimonia.cli import main; main('validate-dataset')\n"
    )
    done = without(blocked, code)
    assert (done.returncode, "0 errors" in done.stdout) == (0, True), done.stderr
    new = ["new", "--name", "a", "--languages", "en", "--labels", "A", "--purpose", "p"]
    for command, arguments in (("predict-baseline", ["--corpus", str(ROOT)]), ("init", new)):
        done = without(blocked, f"sys.argv[1:] = {arguments}\nfrom testimonia.cli import main; main({command!r})")
        assert (done.returncode, "pip install 'testimonia[languages]'" in done.stderr) == (2, True), done.stderr
        assert "Traceback" not in done.stderr


def test_the_readme_says_how_much_is_installed() -> None:
    said = re.search(r"(\d+) distributions, (\d+) MB", (ROOT / "README.md").read_text())
    assert said
    if sys.version_info[:2] != (3, 11) or sys.platform != "linux":
        pytest.skip("said for Python 3.11 on Linux: elsewhere markers choose others")
    found = closure(dependencies())
    assert int(said[1]) == len(found), f"python -m bench.footprint says {sentence()}"
    assert float(said[2]) == pytest.approx(sum(map(size, found.values())) / 1e6, rel=0.05)
    assert {"label-studio-sdk", "datasets", "pyarrow", "typer"} <= set(found)
    assert {"babel", "label-studio", "ray", "spacy"}.isdisjoint(found)


def git(*arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


def added() -> str:
    """Every line that a commit ever added."""
    return "\n".join(line for line in git("log", "-p", "--all", "--no-color").splitlines() if line.startswith("+"))


SECRETS = re.compile(
    r"hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}|gh[pousr]_\w{30,}|github_pat_\w{30,}|glpat-[\w-]{20}|xox[bpa]-[\w-]{10,}"
    r"|sk-[A-Za-z0-9_-]{20,}|pypi-[\w-]{30,}|-----BEGIN [A-Z ]*PRIVATE KEY|eyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}"
    r"|(?<![0-9a-f])[0-9a-f]{40}(?![0-9a-f])"  # a legacy token of Label Studio
    r"|://[^/\s:@\"'{}]+:[^/\s@\"'{}]+@"
)
# Made up for tests, and known by it: passwords of addresses, and digits in their order.
MADE_UP = re.compile(r":(?:s3cret|secret|open)@$|^(?:0123456789abcdef)+01234567$")
EMAIL = re.compile(r"[\w.+%-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")


def secret_like(text: str) -> set[str]:
    return {found for found in SECRETS.findall(text) if not MADE_UP.search(found)}


def test_no_secret_in_git() -> None:
    """In no file that is tracked, and in no line that ever was."""
    tracked = [ROOT / name for name in git("ls-files", "-z").split("\0") if name]
    assert len(tracked) > 100
    for path in tracked:
        assert secret_like(path.read_bytes().decode(errors="replace")) == set(), path
    history = added()
    assert "+def test_no_secret_in_git" in history or "labeling/scheme.toml" in history
    assert secret_like(history) == set()
    for seen in (
        "hf_" + "aB3" * 11,
        "f0" * 20,
        "postgresql://me:" + "hunter2@host/name",
        "-----BEGIN " + "PRIVATE KEY",
    ):
        assert secret_like(f"x {seen} y") != set()


def test_no_address_of_a_person_in_the_data() -> None:
    history = git("log", "-p", "--all", "--no-color", "--", "labeling", "dataset", "seeds")
    files = [ROOT / name for name in git("ls-files", "-z", "labeling", "dataset", "seeds").split("\0") if name]
    texts = [history, *(path.read_bytes().decode(errors="replace") for path in files)]
    lines = "\n".join(line for text in texts for line in text.splitlines() if not line.startswith("Author:"))
    found = set(EMAIL.findall(lines))
    assert {one for one in found if not re.search(r"@(?:[\w-]+\.)*example\.(?:org|com|net)$", one)} == set()


@pytest.mark.server
def test_the_servers_secrets_are_not_in_git(running: server.Server, home: Path) -> None:
    values = server.read_secrets(home)
    text = added() + "".join(
        (ROOT / name).read_bytes().decode(errors="replace") for name in git("ls-files").split("\n") if name
    )
    assert [name for name in ("password", "token", "secret_key") if values[name] in text] == []
