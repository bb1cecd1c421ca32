"""Loads every config as a stranger would, with any `datasets`: `python -m tests.matrix.loads FOLDER`.

Each way of loading (map and streaming; by the folder's card and as raw Parquet) must give the rows that the manifest
has the SHA-256 of, and the names of all class labels. Needs nothing but `datasets`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
os.environ["HF_HOME"] = tempfile.mkdtemp()

import datasets
import pyarrow

from tests.matrix.content import content_sha256


def class_names(feature: Any) -> list[list[str]]:
    """The names of every ClassLabel in features of any spelling, in the order of their columns."""
    if isinstance(feature, datasets.ClassLabel):
        return [feature.names]
    if isinstance(feature, dict):
        return [names for inner in feature.values() for names in class_names(inner)]
    if isinstance(feature, list):
        return class_names(feature[0])
    return class_names(feature.feature) if hasattr(feature, "feature") else []


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    wrong = []
    for config, entry in manifest["configs"].items():
        raw = str(folder / entry["file"])
        names: list[list[list[str]]] = []
        for way, arguments in (("folder", (str(folder), config)), ("parquet", ("parquet",))):
            for streaming in (False, True):
                more = {} if way == "folder" else {"data_files": {"test": raw}}
                loaded = datasets.load_dataset(*arguments, **more, split="test", streaming=streaming)
                names.append(class_names(dict(loaded.features)))
                if content_sha256([dict(row) for row in loaded]) != entry["content_sha256"]:
                    wrong.append(f"{config}, {way}, streaming={streaming}: other rows")
        if any(one != names[0] for one in names) or (config in ("documents", "tokens") and not names[0]):
            wrong.append(f"{config}: the names of labels differ: {names}")
    default = datasets.load_dataset(str(folder), split="test")
    if content_sha256([dict(row) for row in default]) != manifest["configs"]["documents"]["content_sha256"]:
        wrong.append("the default config: other rows")
    print(f"datasets {datasets.__version__}, pyarrow {pyarrow.__version__}: {len(manifest['configs'])} configs", *wrong)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
