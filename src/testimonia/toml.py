"""TOML files read into checked values: every error names the file, the key and the remedy."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Collection
from pathlib import Path
from types import UnionType
from typing import Any

from testimonia.errors import InputError

LONGEST_NAME = 200  # bytes, so that there is room for what is added


class Table:
    """A TOML table that is read key by key and at the end must have been read whole."""

    def __init__(self, values: dict[str, Any], place: str) -> None:
        self._values = values
        self.place = place

    @classmethod
    def read(cls, path: Path) -> Table:
        """The top table of a file. Raises InputError where it is missing or not TOML."""
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is no plain file; put one there")
        try:
            return cls(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except FileNotFoundError:
            raise InputError(f"{path}: does not exist; is this the folder of a corpus?") from None
        except (OSError, ValueError, RecursionError) as error:  # a number may be too long, tables nested too deep
            raise InputError(f"{path}: cannot be read as TOML: {error}; mend the file") from None

    def error(self, what: str) -> InputError:
        return InputError(f"{self.place}: {what}")

    def _take(self, key: str, kind: type | UnionType, name: str) -> Any:
        value = self._values.pop(key, None)
        if value is not None and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
            raise self.error(f"{key} = {value!r} is not {name}; write {name}")
        return value

    def string(self, key: str, default: str | None = None, among: Collection[str] = ()) -> str:
        value = self._take(key, str, "a string")
        if value is None:
            if default is None:
                raise self.error(f"{key} is missing; add it")
            return default
        if among and value not in among:
            raise self.error(f"{key} = {value!r} is not one of {', '.join(sorted(among))}; choose one of them")
        return str(value)

    def peek(self, key: str) -> str:
        """A string that will be read again."""
        value = self.string(key)
        self._values[key] = value
        return value

    def integer(self, key: str, default: int) -> int:
        value = self._take(key, int, "a whole number")
        return default if value is None else int(value)

    def boolean(self, key: str, default: bool) -> bool:
        value = self._take(key, bool, "true or false")
        return default if value is None else bool(value)

    def number(self, key: str) -> float | None:
        """A number, or None where the key is missing."""
        value = self._take(key, int | float, "a number")
        if value is not None and not -sys.float_info.max <= value <= sys.float_info.max:
            raise self.error(f"{key} = {value} is no finite number; write one")
        return None if value is None else float(value)

    def strings(self, key: str, among: Collection[str] | None = None) -> tuple[str, ...]:
        value = self._take(key, list, "a list of strings") or []
        for item in value:
            if not isinstance(item, str):
                raise self.error(f"{key} holds {item!r}; write strings only")
            if among is not None and item not in among:
                raise self.error(f"{key} holds {item!r}, which is not one of {', '.join(sorted(among))}")
        if len(set(value)) < len(value):
            raise self.error(f"{key} holds a value twice; keep one")
        return tuple(value)

    def table(self, key: str) -> Table:
        return Table(dict(self._take(key, dict, "a table") or {}), f"{self.place}: {key}")

    def tables(self, key: str) -> list[Table]:
        """The tables of an array of tables; each is named by its `name` or `id` in messages."""
        result = []
        for index, values in enumerate(self._take(key, list, "an array of tables") or []):
            if not isinstance(values, dict):
                raise self.error(f"{key} holds {values!r}; write [[{key}]] tables")
            name = values.get("name") or values.get("id") or index + 1
            result.append(Table(dict(values), f"{self.place}: {key} {name}"))
        return result

    def left(self) -> list[str]:
        """The keys not read yet."""
        return list(self._values)

    def end(self) -> None:
        """Raises InputError where keys are left that nobody reads."""
        if self._values:
            raise self.error(f"unknown key {next(iter(self._values))!r}; is it misspelt?")


def is_file_name(name: str) -> bool:
    """Whether a file may bear this name, and it leads into no other folder."""
    return Path(name).name == name != ".." and "\0" not in name and len(name.encode()) <= LONGEST_NAME


def quoted(text: str) -> str:
    """A string as TOML writes it: a basic string, in one line. Raises InputError for what is no UTF-8."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{text!r}: is not UTF-8; write it anew")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
