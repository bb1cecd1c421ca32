"""The engines of `convert-export` on the same parts: wall and CPU seconds of all their processes.

CPU is read from /proc for every process whose environment carries a mark of the run, so that workers of Ray count too.

Run: .venv/bin/python -m bench.engines [--tasks 130000] [--seed 1] [--runs 2]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path

from bench.exports import write_export

MARK = "TESTIMONIA_BENCH"
TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(mark: str) -> dict[int, float]:
    """CPU seconds so far of each process with the mark."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    found[int(folder.name)] = (int(fields[11]) + int(fields[12])) / TICK
            except OSError:
                continue
    return found


def measured(command: list[str], out: Path, runs: int) -> tuple[float, float]:
    """Wall and CPU seconds of the run that took least CPU."""
    best = (float("inf"), float("inf"))
    for _ in range(runs):
        shutil.rmtree(out, ignore_errors=True)
        mark, spent = uuid.uuid4().hex, dict[int, float]()
        start = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | {MARK: mark}, stdout=subprocess.DEVNULL)
        while process.poll() is None:
            spent |= cpu_of(mark)
            time.sleep(0.05)
        assert process.returncode == 0, command
        best = min(best, (time.perf_counter() - start, sum(spent.values())), key=lambda pair: pair[1])
    return best


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", type=int, default=130_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=2)
    given = parser.parse_args()
    packages = ("testimonia", "ray", "pyarrow")
    print(", ".join(f"{name} {version(name)}" for name in packages), f"· Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder) / "export.json", Path(folder) / "out"
        write_export(path, given.tasks, given.seed)
        print(f"{given.tasks:,} tasks, {path.stat().st_size / 1e6:.0f} MB, seed {given.seed}, best of {given.runs}\n")
        ours = [str(Path(sys.executable).parent / "testimonia"), "convert-export", str(path), str(out)]
        found = {
            "one process": measured([*ours], out, given.runs),
            "two processes": measured([*ours, "--workers", "2"], out, given.runs),
            "Ray, two workers": measured([*ours, "--workers", "2", "--engine", "ray"], out, given.runs),
        }
        wall, cpu = found["one process"][0], found["two processes"][1]
        print("| engine | s | times one process | CPU s | times two processes |\n| --- | --- | --- | --- | --- |")
        for name, (seconds, spent) in found.items():
            print(f"| {name} | {seconds:.1f} | {wall / seconds:.2f} | {spent:.1f} | {spent / cpu:.2f} |")


if __name__ == "__main__":
    main()
