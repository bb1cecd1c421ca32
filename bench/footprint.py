"""What `pip install .` brings, counted in this environment. Run: .venv/bin/python -m bench.footprint"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def dependencies(root: Path = ROOT) -> list[str]:
    """The dependencies of the project itself, without its extras."""
    listed: list[str] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    return listed


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The installed distributions that the requirements need on this Python and machine, by name.

    Raises PackageNotFoundError where one is not installed.
    """
    waiting = [(Requirement(one), "") for one in requirements]
    found: dict[str, Distribution] = {}
    looked_at: set[tuple[str, str]] = set()
    while waiting:
        requirement, of = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of}):
            continue
        name = str(canonicalize_name(requirement.name))
        for extra in ("", *requirement.extras):
            if (name, extra) not in looked_at:
                looked_at.add((name, extra))
                found[name] = distribution(name)
                waiting += [(Requirement(one), extra) for one in found[name].requires or []]
    return found


def size(one: Distribution) -> int:
    """Bytes of a distribution's files, as its RECORD gives them: without compiled bytecode."""
    return sum(file.size or 0 for file in one.files or [])


def sentence() -> str:
    """What the README says of it."""
    sizes = {name: size(one) for name, one in closure(dependencies()).items()}
    return f"{len(sizes)} distributions, {sum(sizes.values()) / 1e6:.0f} MB"


def main() -> None:
    found = closure(dependencies())
    for name, one in sorted(found.items(), key=lambda pair: -size(pair[1])):
        print(f"{size(one) / 1e6:8.1f} MB  {name} {one.version}")
    print(sentence())


if __name__ == "__main__":
    main()
