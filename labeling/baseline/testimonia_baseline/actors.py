"""Actors by rule: known names, offices and bodies with their country, titles with names, given names with surnames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testimonia_baseline.lexicon import Head, Lexicon, Name
from testimonia_baseline.words import Phrases, Word


@dataclass(frozen=True, slots=True)
class Mention:
    """An actor in words `[first, end)`, `offset` characters into the first one.

    `personal`: it ends in the name of a person.
    """

    first: int
    end: int
    offset: int
    name: Name
    personal: bool = False


def surnames(words: Sequence[Word], found: Sequence[Mention]) -> list[tuple[tuple[str, ...], Name]]:
    """The last words of full names in a sentence, which may stand for them elsewhere in the document."""
    last = [(words[mention.end - 1], mention.name) for mention in found if mention.personal]
    return [((word.bare,), name) for word, name in last if word.is_word and len(word.bare) > 3]


def actors(words: Sequence[Word], lexicon: Lexicon, names: Phrases[Name]) -> list[Mention]:
    """The actors of a sentence, from left to right; the longest reading at a word wins."""
    found: list[Mention] = []
    placed = -2
    index = 0
    while index < len(words):
        mention = _actor_at(words, index, lexicon, names)
        if mention is None and index > 0 and words[index - 1].raw == ",":
            office = bool(found) and found[-1].name.kind == "person" and found[-1].end == index - 1
            mention = _apposed(words, index, lexicon, names, office)
        if mention is None:
            index += 1
            continue
        if mention.name.place and _is_place(words, mention, lexicon, placed):
            placed = mention.end
        else:
            found.append(mention)
        index = mention.end
    return found


def _actor_at(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name]) -> Mention | None:
    known = _known(words, index, lexicon, names)
    office = _office(words, index, lexicon, names)
    if known and office:
        return office if office.end > known.end else known
    if known or office:
        return known or office
    end = _person(words, index, lexicon, names)
    return Mention(index, end, 0, Name("person"), personal=True) if end else None


def _apposed(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name], office: bool) -> Mention | None:
    """The full name behind an office and a comma, or between two commas."""
    capitals = index + 1 < len(words) and words[index].is_capital and words[index + 1].is_capital
    end = _person(words, index, lexicon, names, titled=True) if capitals else 0
    end = end if office or (end < len(words) and words[end].raw == ",") else 0
    return Mention(index, end, 0, Name("person"), personal=True) if end else None


def _known(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name]) -> Mention | None:
    hit = names.at(words, index)
    if hit is None or not _spelt_as_name(words[index], hit.offset):
        return None
    end = hit.end
    if end + 1 < len(words) and words[end].form in "-‑" and words[end + 1].form in lexicon.sets["bound_suffixes"]:
        end += 2
    return Mention(index, end, hit.offset, hit.value)


def _spelt_as_name(word: Word, offset: int) -> bool:
    return not word.raw[offset:][:1].islower()


def _office(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name]) -> Mention | None:
    """An office or body with its department, demonym and country, and the name right behind it."""
    hit = lexicon.heads.at(words, index)
    if hit is None:
        return None
    head: Head = hit.value
    end, owned, department = hit.end, False, False
    while end < len(words):
        part = lexicon.phrases["departments"].at(words, end)
        if part and not department:
            end, department = part.end, True
        elif words[end].form in lexicon.demonyms:
            end, owned = end + 1, True
        else:
            country = _country(words, end, lexicon, names)
            if country == 0 or (owned and not head.office):
                break
            end, owned = country, True
    if head.title:
        person = names.at(words, end)
        if person and person.value.kind == head.kind and not person.offset and _spelt_as_name(words[end], 0):
            return Mention(index, person.end, hit.offset, person.value, head.kind == "person")
        full = _person(words, end, lexicon, names, titled=True) if end < len(words) else 0
        if full and (head.kind == "person" or words[end].is_capital):
            return Mention(index, full, hit.offset, Name(head.kind), personal=head.kind == "person")
    article = index > 0 and words[index - 1].form in lexicon.sets["indefinites"]
    definite = owned or (department and head.department)
    return Mention(index, end, hit.offset, Name(head.kind)) if head.office and definite and not article else None


def _country(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name]) -> int:
    """Where the country ends that begins at a word, links and articles before it included; 0 where there is none."""
    start = index
    while start < len(words) and start < index + 3 and words[start].form in lexicon.sets["links"]:
        start += 1
    hit = names.at(words, start)
    return hit.end if hit and not hit.offset and hit.value.place == "state" else 0


def _person(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name], titled: bool = False) -> int:
    """Where the person's name ends that begins at a word, 0 where none does: a given name and a surname at least;
    behind a title any name will do."""
    if index >= len(words) or (not titled and words[index].bare not in lexicon.sets["given_names"]):
        return 0
    if words[index].raw[0] >= "\u0600":
        return _arabic_person(words, index, lexicon, names, titled)
    end, parts = index, 0
    while end < len(words) and parts < 5:
        word = words[end]
        inner = end > index and end + 1 < len(words) and words[end + 1].is_capital
        if word.is_capital and word.is_word and not (end > index and _other(words, end, names)):
            parts += 1
        elif not (inner and (word.form in "-‑" or word.form in lexicon.sets["name_particles"])):
            break
        end += 1
    return end if parts > (0 if titled else 1) else 0


def _arabic_person(words: Sequence[Word], index: int, lexicon: Lexicon, names: Phrases[Name], titled: bool) -> int:
    given = words[index].bare in lexicon.sets["given_names"]
    end = index
    while end < len(words) and end < index + (3 if given else 2) and _may_be_name(words, end, lexicon):
        if end > index and _other(words, end, names):
            break
        end += 1
    return end if end > index + (0 if titled and given else 1) else 0


def _other(words: Sequence[Word], index: int, names: Phrases[Name]) -> bool:
    """Whether the known name of a state, body or outlet begins at a word."""
    hit = names.at(words, index)
    return hit is not None and hit.value.kind != "person"


def _may_be_name(words: Sequence[Word], index: int, lexicon: Lexicon) -> bool:
    word = words[index]
    if word.bare in lexicon.sets["given_names"] or word.form in lexicon.sets["name_particles"]:
        return True
    if not word.is_word or len(word.form) < 3 or word.form in lexicon.sets["stops"] | lexicon.sets["no_names"]:
        return False
    known = (lexicon.phrases["verbs"], lexicon.stances, lexicon.nouns, lexicon.heads, lexicon.sources)
    if any(phrases.at(words, index) for phrases in known):
        return False
    return (
        not (word.form.startswith(("ال", "لل", "ي", "ت", "سي", "ست", "سن")) and len(word.form) > 3)
        and word.form[-1] not in "ةا"
    )


def _is_place(words: Sequence[Word], mention: Mention, lexicon: Lexicon, placed: int) -> bool:
    """Whether a state or city is a place here: behind a preposition or noun of place, or beside one that is."""
    first = mention.first
    if mention.offset:
        clitic = words[first].raw[:1]
        return clitic == "ب"
    before = first - 1
    if before >= 0 and words[before].form in lexicon.sets["place_direct"]:
        return True
    if before == placed and words[before].form in lexicon.sets["conjunctions"]:
        return True
    while before >= 0 and first - before <= 3 and words[before].form in lexicon.sets["articles"]:
        before -= 1
    return before >= 0 and (
        words[before].form in lexicon.sets["place_nouns"]
        or lexicon.phrases["place_before"].before(words, before + 1) is not None
    )
