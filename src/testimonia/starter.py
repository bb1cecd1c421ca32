"""A new corpus: its folder with scheme, guidelines, card and languages to be filled in, and articles added to it."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testimonia.corpus import read_corpus
from testimonia.errors import InputError
from testimonia.files import locked, write_atomic
from testimonia.label_config import render_label_config
from testimonia.report import PALETTE, environment
from testimonia.scheme import read_scheme
from testimonia.seeds import TRANSLATIONS, read_text
from testimonia.toml import Table, quoted

_TEMPLATES = {
    "README.md": "README.md",
    "DATASET_CARD.md": "DATASET_CARD.md",
    "seeds/README.md": "seeds.md",
    "seeds/sources.toml": "sources.toml",
    "labeling/README.md": "labeling.md",
    "labeling/scheme.toml": "scheme.toml",
    "labeling/guidelines.md": "guidelines.md",
    "labeling/rounds.toml": "rounds.toml",
}
_DIRECTIONS = {"left-to-right": "ltr", "right-to-left": "rtl"}


@dataclass(frozen=True, slots=True)
class _Label:
    name: str
    color: str
    hotkey: str


@dataclass(frozen=True, slots=True)
class _Language:
    code: str
    name: str
    direction: str


def start_corpus(folder: Path, name: str, purpose: str, languages: Sequence[str], labels: Sequence[str]) -> list[Path]:
    """Writes the files of a new corpus into a folder that is empty or not there; returns them.

    `languages` are ISO 639 codes. Raises InputError.
    """
    _check_empty(folder)
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise InputError(f"name {name!r}: is not lower-case words joined by hyphens; it names the project and dataset")
    for what, given in (("label", labels), ("language", languages)):
        if not given or len(set(given)) < len(given):
            raise InputError(f"{what}s {', '.join(given) or 'none'}: give one at least, and each once")
    colored = [
        _Label(label, PALETTE[row % len(PALETTE)], str(row + 1) if row < 9 else "") for row, label in enumerate(labels)
    ]
    known = [_language(code) for code in languages]
    values: dict[str, object] = {"name": name, "purpose": purpose, "labels": colored, "languages": known}
    templates = environment()
    pages = {path: templates.get_template(f"corpus/{file}").render(values) for path, file in _TEMPLATES.items()}
    language = templates.get_template("corpus/language.toml")
    for one in known:
        pages[f"labeling/languages/{one.code}.toml"] = language.render(language=one)
    with locked(folder):
        _check_empty(folder)
        try:
            for path, page in pages.items():
                write_atomic(folder / path, page)
            scheme = read_scheme(folder / "labeling" / "scheme.toml")
            write_atomic(folder / "labeling" / "label_config.xml", render_label_config(scheme))
        except BaseException:
            for top in (folder / name for name in {Path(path).parts[0] for path in pages}):
                shutil.rmtree(top) if top.is_dir() else top.unlink(missing_ok=True)
            raise
    return [folder / path for path in (*pages, "labeling/label_config.xml")]


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(path.name != ".git" for path in folder.iterdir())):
        raise InputError(f"{folder}: is there and not empty; name another folder")


def _language(code: str) -> _Language:
    try:
        from babel import Locale, UnknownLocaleError
    except ImportError:
        raise InputError("init: the names of languages need Babel; pip install 'testimonia[languages]'") from None
    try:
        locale = Locale.parse(code, sep="-")
    except (UnknownLocaleError, ValueError):
        raise InputError(f"language {code!r}: is no code that CLDR knows; write one such as en, he or zh") from None
    name = locale.get_display_name("en") or code
    return _Language(code, name, _DIRECTIONS[locale.character_order])


def add_document(
    folder: Path, file: Path, doc_id: str, language: str, title: str = "", translation: str = "unknown"
) -> Path:
    """Copies an article into `seeds/` and enters it at the end of `sources.toml`; returns where it lies.

    Its one zone is the body: all but white space at its ends. An article that is there with the same bytes is left
    as it is. Raises InputError for what may not enter the corpus; then nothing is written.
    """
    seeds = folder / "seeds"
    sources = seeds / "sources.toml"
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}; name a text file") from None
    digest = hashlib.sha256(data).hexdigest()
    text = read_text(file, digest)
    target = seeds / f"{doc_id}.txt"
    if translation not in TRANSLATIONS:
        raise InputError(f"translation {translation!r}: is not one of {', '.join(TRANSLATIONS)}")
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", doc_id):
        raise InputError(f"id {doc_id!r}: is not lower-case words joined by hyphens, such as en-1")
    if not (folder / "labeling" / "languages" / f"{language}.toml").is_file():
        raise InputError(f"language {language!r}: has no file under {folder / 'labeling/languages'}; add one")
    with locked(sources):
        entries = {t.string("id"): t.string("sha256") for t in Table.read(sources).tables("document")}
        before = sources.read_text(encoding="utf-8")
        if entries.get(doc_id) == digest:
            return target
        if doc_id in entries:
            raise InputError(f"id {doc_id!r}: belongs to another text; an annotated text never changes, choose an id")
        start, end = len(text) - len(text.lstrip()), len(text.rstrip())
        entry = (
            f"\n[[document]]\nid = {quoted(doc_id)}\nfile = {quoted(target.name)}\nsha256 = {quoted(digest)}\n"
            f"language = {quoted(language)}\ntitle = {quoted(title)}\ntranslation = {quoted(translation)}\n"
            f'zones = [\n  {{ start = {start}, end = {end}, kind = "body" }},\n]\n'
        )
        write_atomic(target, data, within=folder)
        try:
            write_atomic(sources, before + entry, within=folder)
        except BaseException:
            target.unlink()
            raise
    read_corpus(folder)
    return target
