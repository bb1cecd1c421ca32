"""The lexicon of the baseline: what `labeling/baseline/<language>.toml` says, and the names of states from CLDR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from testimonia.errors import InputError
from testimonia.scheme import Registry
from testimonia.toml import Table
from testimonia_baseline.numerals import Numerals
from testimonia_baseline.words import Phrases, bare_pieces, folded, pieces

try:
    from babel import Locale, UnknownLocaleError
except ImportError:
    raise InputError("the baseline: the names of states need Babel; pip install 'testimonia[languages]'") from None

ACTOR_KINDS = ("person", "state", "gov_body", "armed_force", "intl_org", "media", "group")
SOURCE_KINDS = ("official", "gov_body", "intelligence", "state_media", "media", "document", "unnamed")
COUNTED_KINDS = ("personnel", "casualties", "military_units", "weapons", "states", "other")
STANCE_TYPES = ("support_commitment", "positive_evaluation", "negative_evaluation", "denial", "concern_doubt")
UNITS = ("second", "minute", "hour", "day", "week", "month", "year", "decade", "century")
BOUNDS = ("lower", "upper", "approx")
_NO_STATES = {"EU", "EZ", "UN", "QO", "XA", "XB", "ZZ"}


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Name:
    """A name of an actor. `place` says whether it also names a place: "" no, a state or a city.

    `source` is the kind of SOURCE that the actor is, where its own kind does not say it.
    """

    kind: str
    entity: str = ""
    place: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Head:
    """The noun that opens an office or a body: a title before a name; with a country, or a department, definite."""

    kind: str
    title: bool = False
    department: bool = False
    office: bool = True


@dataclass(frozen=True, slots=True)
class Attitude:
    """A stance: its type and polarity; `says` where it opens a content clause; `noun` where it is no predicate."""

    type: str
    polarity: str
    says: bool = False
    noun: bool = False


@dataclass(frozen=True, slots=True)
class Measured:
    """What a counted noun says of its quantity: the kind, for durations and money the unit."""

    kind: str
    unit: str = ""


Flags = Phrases[bool]


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Everything that the baseline knows of one language; see the head of the lexicon's file for the parts."""

    language: str
    verb_first: bool
    numerals: Numerals
    fractions: Mapping[str, int]
    rounded: Mapping[str, int]
    duals: tuple[str, ...]
    before: Phrases[str]
    after: Phrases[str]
    phrases: Mapping[str, Flags]
    sets: Mapping[str, frozenset[str]]
    nouns: Phrases[Measured]
    heads: Phrases[Head]
    names: tuple[tuple[str, Name], ...]
    demonyms: frozenset[str]
    infinitive_endings: tuple[str, ...]
    suffixes: tuple[tuple[str, tuple[str, ...]], ...]
    sources: Phrases[str]
    stances: Phrases[Attitude]


_PHRASES = (
    "between",
    "range_to",
    "percent",
    "vague_measures",
    "vague_determiners",
    "no_count_before",
    "no_count_after",
    "age_before",
    "one_before",
    "departments",
    "place_before",
    "cues",
    "verbs",
    "relays",
    "no_stance_after",
    "adverbs",
)
_SETS = (
    "range_and",
    "links",
    "count_links",
    "lone",
    "definites",
    "indefinites",
    "months",
    "date_before",
    "adjectives",
    "casualty_words",
    "given_names",
    "name_particles",
    "no_names",
    "place_direct",
    "place_nouns",
    "articles",
    "conjunctions",
    "clause_openers",
    "stops",
    "auxiliaries",
    "infinitives",
    "infinitive_links",
    "negations",
    "expressing",
    "bound_suffixes",
)


def read_lexicon(path: Path) -> Lexicon:
    """The lexicon in `<language>.toml`. Raises InputError with the file, the key and the remedy."""
    table = Table.read(path)
    language = path.stem
    numbers = table.table("numerals")
    numerals = Numerals(
        words=_integers(numbers, "words", language),
        scales=_integers(numbers, "scales", language),
        ones=_set(numbers, "ones", language),
        joiners=_set(numbers, "joiners", language),
        links=_set(numbers, "links", language),
        units_first=numbers.boolean("units_first", False),
    )
    fractions = _integers(numbers, "fractions", language)
    if 0 in fractions.values():
        raise numbers.error("fractions: a denominator is 0; write 2 for a half")
    rounded = _integers(numbers, "rounded", language)
    duals = numbers.strings("duals")
    numbers.end()
    lexicon = Lexicon(
        language=language,
        verb_first=table.boolean("verb_first", False),
        numerals=numerals,
        fractions=fractions,
        rounded=rounded,
        duals=duals,
        before=_by_key(table.table("bounds_before"), language, BOUNDS),
        after=_by_key(table.table("bounds_after"), language, BOUNDS),
        phrases={key: Phrases((pieces(p, language), True) for p in table.strings(key)) for key in _PHRASES},
        sets={key: _set(table, key, language) for key in _SETS},
        nouns=_nouns(table, language),
        heads=Phrases(entry for t in table.tables("head") for entry in _head(t, language)),
        names=(*_states(table, language), *_organisations(table)),
        demonyms=frozenset(_demonyms(table, language)),
        infinitive_endings=table.strings("infinitive_endings"),
        suffixes=_suffixes(table, "suffix"),
        sources=_by_key(table.table("sources"), language, SOURCE_KINDS),
        stances=Phrases(entry for t in table.tables("stance") for entry in _stance(t, language)),
    )
    table.end()
    return lexicon


def names_of(lexicon: Lexicon, registry: Registry, doc_id: str) -> Phrases[Name]:
    """The names that may be known when `doc_id` is predicted: those of the lexicon, and those of the registry that
    were not seen in this document alone. A lone office ("the president") is no name.
    """
    entries: list[tuple[str, Name]] = []
    places = {name: value for name, value in lexicon.names if value.place}
    for entity in registry.values():
        for by_name in entity.names.values():
            for name, seen in by_name.items():
                office = " " not in name and (name[:1].islower() or pieces(name, lexicon.language) in lexicon.heads)
                if office or set(seen) == {doc_id}:
                    continue
                place = places[name].place if name in places else "state" if entity.kind == "state" else ""
                entries.append((name, Name(entity.kind, entity.id, place)))
    for name, value in lexicon.names:
        entity_of = registry.get(value.entity)
        known = value.kind == "state" or (entity_of is not None and entity_of.kind == value.kind)
        entries.append((name, value if known else Name(value.kind, "", value.place, value.source)))
    return Phrases(
        ((form, value) for name, value in entries for form in _inflected(bare_pieces(name), lexicon)), bare=True
    )


def _inflected(name: tuple[str, ...], lexicon: Lexicon) -> Iterator[tuple[str, ...]]:
    """The name, and its first word with the case endings of the language; the longest ending decides."""
    yield name
    first, *rest = name or ("",)
    for ending, forms in lexicon.suffixes:
        if first.endswith(ending) and len(first) > max(len(ending), 2):
            yield from ((first.removesuffix(ending) + form, *rest) for form in forms)
            return


def _ended(tables: Iterable[Table]) -> Iterator[Table]:
    for table in tables:
        yield table
        table.end()


def _set(table: Table, key: str, language: str) -> frozenset[str]:
    return frozenset(folded(word, language) for word in table.strings(key))


def _integers(table: Table, key: str, language: str) -> dict[str, int]:
    values = table.table(key)
    return {folded(word, language): values.integer(word, 0) for word in values.left()}


def _by_key(table: Table, language: str, keys: Iterable[str]) -> Phrases[str]:
    entries = [(pieces(phrase, language), key) for key in keys for phrase in table.strings(key)]
    table.end()
    return Phrases(entries)


def _nouns(table: Table, language: str) -> Phrases[Measured]:
    groups = table.table("nouns"), table.table("units"), table.table("currencies")
    entries: list[tuple[str, Measured]] = []
    for kind in COUNTED_KINDS:
        entries += [(noun, Measured(kind)) for noun in groups[0].strings(kind)]
    for unit in UNITS:
        entries += [(noun, Measured("duration", unit)) for noun in groups[1].strings(unit)]
    for code in groups[2].left():
        if not (len(code) == 3 and code.isascii() and code.isupper()):
            raise groups[2].error(f"{code!r} is no ISO 4217 code; write one such as EUR")
        entries += [(noun, Measured("money", code)) for noun in groups[2].strings(code)]
    for group in groups:
        group.end()
    return Phrases((pieces(noun, language), measured) for noun, measured in entries)


def _head(table: Table, language: str) -> Iterator[tuple[tuple[str, ...], Head]]:
    head = Head(
        table.string("kind", among=ACTOR_KINDS),
        table.boolean("title", False),
        table.boolean("department", False),
        table.boolean("office", True),
    )
    yield from ((pieces(form, language), head) for form in table.strings("forms"))
    table.end()


def _stance(table: Table, language: str) -> Iterator[tuple[tuple[str, ...], Attitude]]:
    type_ = table.string("type", among=STANCE_TYPES)
    polarity = table.string("polarity", among=("favor", "against", "mixed"))
    says = table.boolean("says", False)
    for noun, key in ((False, "predicates"), (True, "nouns")):
        yield from ((pieces(form, language), Attitude(type_, polarity, says, noun)) for form in table.strings(key))
    table.end()


def _organisations(table: Table) -> Iterator[tuple[str, Name]]:
    for t in table.tables("organisation"):
        kind = t.string("kind", among=ACTOR_KINDS)
        name = Name(kind, t.string("id"), "", t.string("source", "", among=("", *SOURCE_KINDS)))
        yield from ((form, name) for form in t.strings("forms"))
        t.end()


def _states(table: Table, language: str) -> Iterator[tuple[str, Name]]:
    own = table.table("states")
    left_out = set(table.strings("not_states"))
    for code in own.left():
        yield from ((form, Name("state", _state_id(own, code), "state")) for form in own.strings(code))
    capitals = table.table("capitals")
    for code in capitals.left():
        yield from ((form, Name("state", _state_id(capitals, code), "city")) for form in capitals.strings(code))
    try:
        territories = Locale(language).territories
    except (UnknownLocaleError, ValueError):
        raise InputError(f"{table.place}: {language!r} is no language of CLDR; name the file by ISO 639-1") from None
    for code, names in sorted(territories.items()):
        if len(code) == 2 and code.isalpha() and code not in _NO_STATES:
            for name in str(names).rstrip(")").split(" ("):
                if name not in left_out:
                    yield name, Name("state", f"state-{code.lower()}", "state")


def _state_id(table: Table, code: str) -> str:
    if not (len(code) == 2 and code.isascii() and code.isupper()):
        raise table.error(f"{code!r} is no ISO 3166 alpha-2 code; write one such as GR")
    return f"state-{code.lower()}"


def _demonyms(top: Table, language: str) -> Iterator[str]:
    """Demonyms as listed, and those made from the names of CLDR that are one word; Arabic with its article too."""
    table = top.table("demonyms")
    forms = [form for code in table.left() if _state_id(table, code) for form in table.strings(code)]
    endings = _suffixes(top, "demonym_suffix")
    for name in Locale(language).territories.values() if endings else ():
        form = str(name).removeprefix("ال")
        ending, made = next((one for one in endings if form.endswith(one[0])), ("", ()))
        forms += [form.removesuffix(ending) + suffix for suffix in made if " " not in form]
    for form in forms:
        yield folded(form, language)
        if language == "ar":
            yield folded("ال" + form, language)


def _suffixes(table: Table, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((t.string("ending"), t.strings("forms")) for t in _ended(table.tables(key)))
