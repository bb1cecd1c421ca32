"""Reads every config without `datasets`: `python -m tests.matrix.readers FOLDER`.

pandas, polars and duckdb read the Parquet, mlcroissant what croissant.json declares; each must give the rows that the
manifest has the SHA-256 of.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import mlcroissant
import numpy
import pandas
import polars

from tests.matrix.content import content_sha256

Json = dict[str, Any]


def plain(value: Any) -> Any:
    """A value of any reader as JSON has it: no arrays, no NaN, no bytes, no prefixes of field ids."""
    if isinstance(value, dict):
        return {key.rpartition("/")[2]: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | numpy.ndarray):
        return [plain(inner) for inner in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, numpy.generic):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


def of_pandas(path: Path, _config: str) -> list[Json]:
    return list(pandas.read_parquet(path).to_dict("records"))


def of_polars(path: Path, _config: str) -> list[Json]:
    return polars.read_parquet(path).to_dicts()


def of_duckdb(path: Path, _config: str) -> list[Json]:
    found = duckdb.read_parquet(str(path))
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def of_mlcroissant(path: Path, config: str) -> list[Json]:
    return list(mlcroissant.Dataset(jsonld=str(path.parent.parent / "croissant.json")).records(config))


READERS: tuple[Callable[[Path, str], list[Json]], ...] = (of_pandas, of_polars, of_duckdb, of_mlcroissant)


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    wrong = []
    issues = mlcroissant.Dataset(jsonld=str(folder / "croissant.json")).metadata.ctx.issues
    wrong += [str(issue) for issue in (*issues.errors, *issues.warnings)]
    for config, entry in manifest["configs"].items():
        for reader in READERS:
            if (
                content_sha256([plain(row) for row in reader(folder / entry["file"], config)])
                != entry["content_sha256"]
            ):
                wrong.append(f"{config}, {reader.__name__}: other rows")
    used = ", ".join(f"{name} {version(name)}" for name in ("pandas", "polars", "duckdb", "mlcroissant"))
    print(f"{used}: {len(manifest['configs'])} configs", *wrong, sep="\n  ")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
