from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testimonia.errors import InputError
from testimonia.files import locked, read_json, replaced_folder, write_atomic


def content(folder: Path) -> dict[str, str]:
    return {p.name: p.read_text() for p in folder.rglob("*") if p.is_file() and not p.name.endswith(".lock")}


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "dataset"
    with replaced_folder(target) as new:
        (new / "a").write_text("1")
    with pytest.raises(RuntimeError), replaced_folder(target) as new:
        (new / "a").write_text("2")
        raise RuntimeError
    assert content(tmp_path) == {"a": "1"}


def test_a_failed_swap_is_rolled_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "dataset"
    with replaced_folder(target) as new:
        (new / "a").write_text("1")
    rename = Path.rename

    def failing(self: Path, other: Path) -> Path:
        if ".new-" in self.name:
            raise OSError(28, "No space left on device")
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", failing)
    with (
        pytest.raises(InputError, match=r"dataset: cannot be written: No space left.*; make room"),
        replaced_folder(target) as new,
    ):
        (new / "a").write_text("2")
    assert content(tmp_path) == {"a": "1"}


def test_a_run_cut_off_between_the_renames_is_healed(tmp_path: Path) -> None:
    (tmp_path / ".dataset.old").mkdir()
    (tmp_path / ".dataset.old" / "a").write_text("1")
    (tmp_path / ".dataset.new-x").mkdir()
    with pytest.raises(RuntimeError), replaced_folder(tmp_path / "dataset"):
        raise RuntimeError
    assert content(tmp_path / "dataset") == {"a": "1"}
    assert [p.name for p in tmp_path.iterdir() if ".new-" in p.name] == []


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset").write_text("precious")
    with pytest.raises(InputError, match="is no folder"), replaced_folder(tmp_path / "dataset"):
        pass
    assert content(tmp_path) == {"dataset": "precious"}


def test_two_at_once_are_told(tmp_path: Path) -> None:
    with locked(tmp_path / "x"), pytest.raises(InputError, match="another process is writing it"):
        with locked(tmp_path / "x"):
            pass


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_atomic(path, "old", 0o600)
    with pytest.raises(TypeError):
        write_atomic(path, 3)  # type: ignore[arg-type]
    assert content(tmp_path) == {"a": "old"}
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"{", b"\xff", b"9" * 5000, b"[" * 100_000])
def test_json_that_cannot_be_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.json").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.json.*restore the file"):
        read_json(tmp_path / "a.json")


def test_what_a_killed_process_had_begun_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / ".a.new").write_text("half of a longer text")
    write_atomic(tmp_path / "a", "whole")
    assert content(tmp_path) == {"a": "whole"}


def test_a_link_in_the_place_of_what_is_begun_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("1")
    (tmp_path / ".a.new").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match=r"\.a\.new"):
        write_atomic(tmp_path / "a", "2")
    assert (tmp_path / "precious").read_text() == "1"


def test_many_that_write_one_file_leave_it_whole(tmp_path: Path) -> None:
    texts = [str(number) * 100_000 for number in range(4)]
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda text: write_atomic(tmp_path / "a", text), texts * 20):
            assert (tmp_path / "a").read_text() in texts
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
