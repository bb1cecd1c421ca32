"""Conversion into a store behind a URL: keys written once, the manifest last."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest
from typer.testing import CliRunner, Result

from testimonia import shards, stores
from testimonia.cli import app
from testimonia.errors import InputError
from tests.test_shards import made as made_tasks

MANIFEST = shards.MANIFEST


def made(folder: Path) -> Path:
    """A folder with three files, a hidden one and a manifest."""
    for name in ("b/part-1.parquet", "a/part-0.parquet", ".work/part", "manifest.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def url(request: pytest.FixtureRequest) -> str:
    return f"memory://{request.node.name}/out"


def there(url: str) -> list[str]:
    store, root = fsspec.core.url_to_fs(url)
    return sorted(name.removeprefix(root) for name in store.find(root))


def test_the_manifest_is_put_last_and_hidden_files_are_not(tmp_path: Path, url: str) -> None:
    folder = made(tmp_path / "out")
    store, root = fsspec.core.url_to_fs(url)
    store.pipe(f"{root}/b/part-1.parquet", b"something else")
    with pytest.raises(InputError, match=r"part-1\.parquet holds something else; keys are written once"):
        stores.put(folder, url, MANIFEST)
    assert there(url) == ["/a/part-0.parquet", "/b/part-1.parquet"]
    store.rm(f"{root}/b/part-1.parquet")
    stores.put(folder, url, MANIFEST)
    assert there(url) == ["/a/part-0.parquet", "/b/part-1.parquet", "/manifest.json"]
    assert store.cat(f"{root}/b/part-1.parquet") == b"b/part-1.parquet"
    with pytest.raises(InputError, match=r"has a manifest\.json already"):
        stores.put(folder, url, MANIFEST)


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere://x: cannot be written"):
        stores.put(made(tmp_path / "out"), "nowhere://x", MANIFEST)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["convert-export", *map(str, arguments)])


def test_an_export_is_converted_to_a_url(tmp_path: Path) -> None:
    export, work = tmp_path / "export.json", tmp_path / "work"
    export.write_text(json.dumps(made_tasks(3)))
    whole, target = tmp_path / "whole", tmp_path / "store"
    assert run(export, whole).exit_code == 0
    part = target / "documents" / "part-000000.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"cut")
    with pytest.raises(InputError, match="holds something else"):
        CliRunner().invoke(
            app, ["convert-export", str(export), f"file://{target}", "--work", str(work)], catch_exceptions=False
        )
    part.unlink()
    again = run(export, f"file://{target}", "--work", work, "--json")
    assert again.exit_code == 0
    assert json.loads((target / MANIFEST).read_text()).items() >= json.loads(again.stdout).items()
    names = sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file())
    assert [(target / name).read_bytes() for name in names] == [(whole / name).read_bytes() for name in names]
    assert not work.exists()
    assert "is for a URL" in str(run(export, tmp_path / "other", "--work", work).exception)
