"""Statements by rule: who says something (sources), and who is for or against (stances)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from testimonia_baseline.actors import Mention
from testimonia_baseline.lexicon import Lexicon
from testimonia_baseline.words import Word

_QUOTES = '"“”„«»'
_INSIDE = "-‑'’."
_KIND_OF_SOURCE = {"person": "official", "media": "media"}
LONGEST_STANCE = 6
LONGEST_SOURCE = 12


@dataclass(frozen=True, slots=True)
class Source:
    """A source in words `[first, end)`, `offset` characters into the first one."""

    first: int
    end: int
    offset: int
    kind: str


@dataclass(frozen=True, slots=True)
class Stance:
    """A stance in words `[first, end)`, and the words of its holder and target where they were found."""

    first: int
    end: int
    offset: int
    type: str
    polarity: str
    holder: Source | None = None
    target: Mention | None = None


def candidates(words: Sequence[Word], actors: Sequence[Mention], lexicon: Lexicon) -> list[Source]:
    """All that could be a source in a sentence: actors, and noun phrases that a noun of speaking opens."""
    by_first = {actor.first: actor for actor in actors}
    found: list[Source] = []
    index = 0
    while index < len(words):
        hit = lexicon.sources.at(words, index)
        actor = by_first.get(index)
        end = _phrase_end(words, hit.end, index, by_first, lexicon) if hit else 0
        linked = actor and actor.end < len(words) and words[actor.end].form in lexicon.sets["links"]
        end = actor.end if actor and (actor.personal or not linked) else end
        if hit and (actor is None or end > actor.end):
            found.append(Source(index, end, hit.offset, _intelligence(words, index, end, lexicon) or hit.value))
            index = end
        elif actor:
            kind = actor.name.source or _KIND_OF_SOURCE.get(actor.name.kind, "gov_body")
            kind = (kind == "gov_body" and _intelligence(words, index, actor.end, lexicon)) or kind
            found.append(Source(index, actor.end, actor.offset, kind))
            index = actor.end
        else:
            index += 1
    return found


def _phrase_end(words: Sequence[Word], start: int, first: int, actors: dict[int, Mention], lexicon: Lexicon) -> int:
    end = start
    inner = lexicon.sets["links"] | lexicon.sets["articles"]
    while end < len(words) and end < first + LONGEST_SOURCE:
        word = words[end]
        if end in actors:
            actor = actors[end]
            end = actor.end
            if actor.personal:
                break
            continue
        stopped = word.form in lexicon.sets["stops"] | lexicon.sets["auxiliaries"] | lexicon.sets["clause_openers"]
        mark = not word.raw[0].isalnum() and word.raw not in _INSIDE
        attitude = lexicon.stances.at(words, end)
        spoken = lexicon.phrases["verbs"].at(words, end) or lexicon.phrases["relays"].at(words, end)
        spoken = spoken or lexicon.phrases["cues"].at(words, end)
        if mark or spoken or (attitude and not attitude.value.noun) or (stopped and word.form not in inner):
            break
        end += 1
    while end > start and (words[end - 1].form in inner or not words[end - 1].raw[0].isalnum()):
        end -= 1
    return end


def _intelligence(words: Sequence[Word], first: int, end: int, lexicon: Lexicon) -> str:
    hits = (lexicon.sources.at(words, index) for index in range(first, end))
    return "intelligence" if any(hit and hit.value == "intelligence" for hit in hits) else ""


def sources(words: Sequence[Word], near: Sequence[Source], lexicon: Lexicon) -> list[Source]:
    """The candidates to which a cue or a verb of saying attributes something, in order."""
    found = set()
    for index in range(len(words)):
        cue = lexicon.phrases["cues"].at(words, index)
        verb = lexicon.phrases["verbs"].at(words, index) or lexicon.phrases["relays"].at(words, index)
        if cue:
            found.add(_right(words, cue.end, near, lexicon, 1))
        elif verb:
            found.add(_named(words, _speaker(words, index, verb.end, near, lexicon), near))
    for one in near:
        inside = one.first > 0 and one.end < len(words) and words[one.first - 1].raw + words[one.end].raw == "()"
        if inside and one.kind in ("media", "state_media"):
            found.add(one)
    return sorted((source for source in found if source), key=lambda source: source.first)


def _speaker(words: Sequence[Word], first: int, end: int, near: Sequence[Source], lexicon: Lexicon) -> Source | None:
    """Who is the subject of a verb: before it, or behind it where a quotation or a comma ends before it."""
    start = first
    while start > 0 and words[start - 1].form in lexicon.sets["auxiliaries"]:
        start -= 1
    if any(word.form in lexicon.sets["negations"] for word in words[max(0, start - 1) : first]):
        return None
    inverted = start == 0 or words[start - 1].raw in _QUOTES + "," or lexicon.verb_first
    right = _right(words, end, near, lexicon, 3)
    left = [one for one in near if one.end <= start]
    close = left[-1] if left and start - left[-1].end <= 2 else None
    if inverted and right:
        return right
    if close or right:
        return close or right
    commas = left and words[start - 1].raw == "," and start - left[-1].end <= LONGEST_SOURCE
    return left[-1] if commas else None


def _named(words: Sequence[Word], source: Source | None, near: Sequence[Source]) -> Source | None:
    """The name behind an office and a comma, else the source itself."""
    if source is None or source.kind != "official":
        return source
    behind = (one for one in near if one.first == source.end + 1 and words[source.end].raw == ",")
    return next((one for one in behind if one.kind == "official"), source)


def _right(words: Sequence[Word], start: int, near: Sequence[Source], lexicon: Lexicon, reach: int) -> Source | None:
    skipped = lexicon.sets["articles"] | lexicon.sets["links"] | lexicon.sets["indefinites"]
    while start < len(words) and (words[start].form in skipped and all(one.first != start for one in near)):
        start += 1
    later = [one for one in near if start <= one.first < start + reach]
    between = words[start : later[0].first] if later else []
    clear = all(word.is_word and word.form not in lexicon.sets["clause_openers"] for word in between)
    return later[0] if later and clear else None


def stances(
    words: Sequence[Word],
    near: Sequence[Source],
    spoken: Sequence[Source],
    actors: Sequence[Mention],
    lexicon: Lexicon,
) -> Iterator[tuple[Stance, bool]]:
    """The stances of a sentence, each with whether its holder is a source: it opens a clause or a quotation."""
    index = 0
    while index < len(words):
        hit = lexicon.stances.at(words, index)
        if hit and lexicon.phrases["no_stance_after"].at(words, hit.end):
            hit = None
        if hit is None or any(one.first <= index < one.end for one in near):
            index += 1
            continue
        first, end, offset = index, hit.end, hit.offset
        adverb = lexicon.phrases["adverbs"].at(words, end)
        modified = adverb is not None and adverb.end - first <= LONGEST_STANCE
        end = adverb.end if adverb and modified else end
        negated = False
        if hit.value.noun:
            said = any(word.form in lexicon.sets["expressing"] for word in words[max(0, index - 6) : index])
            quoted = index > 0 and words[index - 1].raw in _QUOTES
            before = lexicon.phrases["adverbs"].before(words, index, 1)
            if not (said or quoted or modified or before):
                index = end
                continue
            first, offset = (index - 1, 0) if before else (index, offset)
        else:
            first, negated = _auxiliaries(words, index, end, lexicon)
            offset = 0 if first < index else offset
        attitude = hit.value
        promised = _promised(words, end, attitude.type, lexicon) if attitude.says and not hit.value.noun else 0
        if promised:
            first, end, offset = promised, promised + 1, 0
        type_, polarity = attitude.type, attitude.polarity
        if negated and polarity == "favor":
            type_, polarity = "negative_evaluation", "against"
        holder = _holder(words, first, end, near, lexicon)
        target = _target(end, holder, actors, spoken)
        opens = any(w.form in lexicon.sets["clause_openers"] or w.raw in _QUOTES for w in words[end : end + 6])
        yield Stance(first, end, offset, type_, polarity, holder, target), bool(attitude.says and opens)
        index = end


def _promised(words: Sequence[Word], end: int, type_: str, lexicon: Lexicon) -> int:
    """The infinitive that a verb of promising governs: the stance is what is promised. 0 where there is none."""
    linked = type_ == "support_commitment" and end + 1 < len(words)
    linked = linked and words[end].form in lexicon.sets["infinitive_links"]
    return end + 1 if linked and words[end + 1].form.endswith(lexicon.infinitive_endings or ("\0",)) else 0


def _auxiliaries(words: Sequence[Word], index: int, end: int, lexicon: Lexicon) -> tuple[int, bool]:
    """Where the predicate begins with its auxiliaries and negation, and whether it is negated."""
    first = index
    helping = lexicon.sets["auxiliaries"] | lexicon.sets["negations"]
    while first > 0 and end - first < LONGEST_STANCE:
        form = words[first - 1].form
        infinitive = form in lexicon.sets["infinitives"] and words[index].form[-1] not in "ts"
        hyphen = form == "-" and first > 1 and words[first - 2].form in lexicon.sets["negations"]
        adverb = lexicon.phrases["adverbs"].before(words, first, 1)
        if infinitive or not (hyphen or adverb or form in helping):
            break
        first -= 1
    return first, any(word.form in lexicon.sets["negations"] for word in words[first:index])


def _holder(words: Sequence[Word], first: int, end: int, near: Sequence[Source], lexicon: Lexicon) -> Source | None:
    before = [one for one in near if one.end <= first]
    after = _right(words, end, near, lexicon, 3) if lexicon.verb_first else None
    return after or (before[-1] if before else None)


def _target(end: int, holder: Source | None, actors: Sequence[Mention], spoken: Sequence[Source]) -> Mention | None:
    """The first actor behind a stance that is neither its holder nor somebody who is cited."""
    cited = {index for one in (holder, *spoken) if one for index in range(one.first, one.end)}
    return next((one for one in actors if end <= one.first < end + 15 and one.first not in cited), None)
