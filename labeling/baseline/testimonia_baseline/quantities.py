"""Quantities by rule: bound, numeral or measure noun, head noun; what is a date, an age or a label is left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from testimonia.document import Attributes, attributes_of
from testimonia_baseline.lexicon import Lexicon, Measured
from testimonia_baseline.numerals import Numeral, numeral_at
from testimonia_baseline.words import Word

_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY"}
_PERCENT = "%٪"
_DASHES = "-–—‑"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A quantity in words `[first, end)`, `offset` characters into the first one."""

    first: int
    end: int
    offset: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class _Amount:
    """A number or measure noun before its modifiers and head noun are known.

    `bound` is exact, approx, range or vague, or says how the number is expressed: dual, one (the noun and "one").
    `bare` amounts ("one", "several") count only with a noun.
    """

    first: int
    end: int
    bound: str
    low: float | None
    high: float | None
    offset: int = 0
    digits: bool = False
    bare: bool = False


def quantities(words: Sequence[Word], lexicon: Lexicon) -> list[Quantity]:
    """The quantities of a sentence, from left to right."""
    found = []
    index = 0
    while index < len(words):
        quantity = _quantity_at(words, index, lexicon)
        found += [quantity] if quantity else []
        if quantity:
            index = quantity.end
        else:
            amount = _number(words, index, lexicon)
            index = amount.end if amount else index + 1
    return found


def _quantity_at(words: Sequence[Word], index: int, lexicon: Lexicon) -> Quantity | None:
    forms = [word.form for word in words]
    modifier = lexicon.before.at(words, index)
    between = lexicon.phrases["between"].at(words, index)
    start = modifier or between
    amount = _amount(words, start.end if start else index, forms, lexicon)
    if amount is None or (start and amount.offset) or (between and amount.bound != "range"):
        return None
    if modifier is None and _excluded(words, amount, lexicon):
        return None
    dual = amount.bound == "dual"
    measured, end = (_noun(words, amount, lexicon)) if not dual else (_dual(words[amount.first], lexicon), amount.end)
    if measured is None and amount.bare and not modifier:
        return None
    bound, low, high = "exact" if amount.bound in ("dual", "one") else amount.bound, amount.low, amount.high
    later = lexicon.after.at(words, end)
    said = modifier.value if modifier else later.value if later else ""
    end = later.end if later and not modifier else end
    if said and bound in ("exact", "approx"):
        bound = said
        low, high = (None if said == "upper" else low), (None if said == "lower" else high)
    kind, unit = (measured.kind, measured.unit) if measured else ("other", "")
    if (kind == "personnel" or measured is None) and _killed(words, index, end, lexicon):
        kind = "casualties"
    values = {"kind": kind, "bound": bound, "value_min": low, "value_max": high, "unit": unit or None}
    first = index
    offset = start.offset if start else amount.offset
    return Quantity(first, end, offset, attributes_of(values))


def _amount(words: Sequence[Word], index: int, forms: Sequence[str], lexicon: Lexicon) -> _Amount | None:
    if index >= len(words):
        return None
    vague = lexicon.phrases["vague_measures"].at(words, index)
    if vague:
        return _Amount(index, vague.end, "vague", None, None, vague.offset)
    some = lexicon.phrases["vague_determiners"].at(words, index)
    if some:
        return _Amount(index, some.end, "vague", None, None, some.offset, bare=True)
    number = _number(words, index, lexicon)
    if number:
        return number
    form = forms[index]
    if form in lexicon.rounded:
        following = numeral_at(forms, index + 1, lexicon.numerals) if index + 1 < len(words) else None
        value = float(lexicon.rounded[form])
        return None if following else _Amount(index, index + 1, "approx", value, value)
    if form in lexicon.fractions:
        value = 1 / lexicon.fractions[form]
        return _Amount(index, index + 1, "exact", value, value)
    for offset, reading in words[index].heads:
        if _dual_noun(reading, lexicon):
            return _Amount(index, index + 1, "dual", 2.0, 2.0, offset)
    measured = lexicon.nouns.at(words, index)
    one = lexicon.phrases["one_before"].before(words, index)
    if one and form in lexicon.numerals.ones:
        following_noun = lexicon.nouns.at(words, index + 1)
        if following_noun and following_noun.value.kind == "duration":
            return _Amount(index, index + 1, "exact", 1.0, 1.0)
    if measured and measured.end < len(words) and forms[measured.end] in lexicon.sets["lone"]:
        return _Amount(index, measured.end + 1, "one", 1.0, 1.0, measured.offset)
    return None


def _number(words: Sequence[Word], index: int, lexicon: Lexicon) -> _Amount | None:
    """A numeral or a range of two, with the symbol of a currency before it."""
    forms = [word.form for word in words]
    start = index + (forms[index] in _SYMBOLS)
    offset, first = _numeral(words, start, lexicon) if start < len(words) else (0, None)
    if first is None or (offset and start != index):
        return None
    bare = not first.digits and first.value == 1
    if _opened(words, first, lexicon):
        parted = _parted(words, start, first, lexicon)
        if parted:
            least, most = parted
            return _Amount(index, most.end, "range", least.value, most.value, offset)
    second, end = _second(words, first, lexicon)
    if second and not lexicon.phrases["percent"].at(words, first.end):
        low = first.value
        if first.scale == 1 < second.scale and low * second.scale < second.value:
            low *= second.scale
        if low < second.value:
            return _Amount(index, end, "range", low, second.value, offset, first.digits)
    return _Amount(index, first.end, "exact", first.value, first.value, offset, first.digits, bare)


def _numeral(words: Sequence[Word], index: int, lexicon: Lexicon) -> tuple[int, Numeral | None]:
    forms = [word.form for word in words]
    for offset, reading in words[index].heads:
        forms[index] = reading
        if reading in lexicon.numerals.words or reading in lexicon.numerals.scales or not offset:
            numeral = numeral_at(forms, index, lexicon.numerals)
            if numeral:
                return offset, numeral
    return 0, None


def _second(words: Sequence[Word], first: Numeral, lexicon: Lexicon) -> tuple[Numeral | None, int]:
    if first.end + 1 >= len(words):
        return None, 0
    form = words[first.end].form
    link = lexicon.phrases["range_to"].at(words, first.end)
    after = link.end if link else first.end + 1 if form in _DASHES or form in lexicon.sets["range_and"] else 0
    if not after or after >= len(words):
        return None, 0
    offset, second = _numeral(words, after, lexicon)
    if second and form in lexicon.sets["range_and"] and not _opened(words, first, lexicon):
        return None, 0
    return (second, second.end) if second and not offset else (None, 0)


def _parted(words: Sequence[Word], start: int, whole: Numeral, lexicon: Lexicon) -> tuple[Numeral, Numeral] | None:
    """Two rising numerals behind "between" that a joiner would make one: "two thousand and three thousand"."""
    for cut in range(start + 1, whole.end - 1):
        if words[cut].form in lexicon.sets["range_and"]:
            low, high = _numeral(words[:cut], start, lexicon)[1], _numeral(words, cut + 1, lexicon)[1]
            if low and high and low.end == cut and high.scale == low.scale >= 1000 and low.value < high.value:
                return low, high
    return None


def _opened(words: Sequence[Word], first: Numeral, lexicon: Lexicon) -> bool:
    return any(lexicon.phrases["between"].at(words, i) for i in range(max(0, first.end - 5), first.end))


def _excluded(words: Sequence[Word], amount: _Amount, lexicon: Lexicon) -> bool:
    """Whether a number is a date, year, time, age, label, frequency, or a definite that refers back."""
    if amount.bound in ("vague", "dual", "one"):
        return False
    before = words[amount.first - 1] if amount.first else None
    after = words[amount.end] if amount.end < len(words) else None
    if lexicon.phrases["no_count_before"].before(words, amount.first) or lexicon.phrases["age_before"].before(
        words, amount.first
    ):
        return True
    if lexicon.phrases["no_count_after"].at(words, amount.end):
        return True
    if after and (after.form in lexicon.sets["months"] or after.form in "/:"):
        return True
    if (
        before
        and before.form in "/:"
        and not before.form.isalpha()
        and amount.digits
        and before.end == words[amount.first].start
    ):
        return True
    if before and amount.first > 1 and before.form in _DASHES and before.start == words[amount.first - 2].end:
        return True
    low = amount.low or 0.0
    if before and not amount.digits and low <= 10 and before.form in lexicon.sets["definites"]:
        return True
    year = amount.digits and 1500 <= low <= 2100 and words[amount.end - 1].raw.isdigit()
    if year and len(words[amount.first].raw) == 4:
        noun = lexicon.nouns.at(words, _skip_links(words, amount.end, lexicon))
        return noun is None or bool(before and before.form in lexicon.sets["date_before"])
    capital = before is not None and before.is_capital and before.is_word and before.raw.isascii() and amount.first > 1
    bare = lexicon.nouns.at(words, _skip_links(words, amount.end, lexicon)) is None
    return amount.digits and capital and bare and low < 1000


def _skip_links(words: Sequence[Word], index: int, lexicon: Lexicon) -> int:
    return index + (index < len(words) and words[index].form in lexicon.sets["count_links"])


def _noun(words: Sequence[Word], amount: _Amount, lexicon: Lexicon) -> tuple[Measured | None, int]:
    """What is counted and where the quantity ends."""
    if amount.bound == "one":
        hit = lexicon.nouns.at(words, amount.first)
        return (hit.value if hit else None), amount.end
    symbol = words[amount.first].raw
    if symbol in _SYMBOLS:
        return Measured("money", _SYMBOLS[symbol]), amount.end
    percent = lexicon.phrases["percent"].at(words, amount.end)
    if percent or (amount.end < len(words) and words[amount.end].raw in _PERCENT):
        return Measured("other", "percent"), percent.end if percent else amount.end + 1
    if amount.end < len(words) and words[amount.end].raw in _SYMBOLS:
        return Measured("money", _SYMBOLS[words[amount.end].raw]), amount.end + 1
    linked = _skip_links(words, amount.end, lexicon)
    if linked < len(words) and words[linked].form in lexicon.sets["adjectives"]:
        linked += 1
    if linked >= len(words):
        return None, amount.end
    known = _counted(words, linked, lexicon)
    if known:
        return known
    word = words[linked]
    stop = lexicon.sets["stops"] | lexicon.sets["auxiliaries"] | lexicon.sets["articles"] | lexicon.demonyms
    verb = lexicon.phrases["verbs"].at(words, linked) or lexicon.stances.at(words, linked)
    if not word.is_word or word.is_capital or word.form in stop or verb or word.form in lexicon.sets["range_and"]:
        return None, amount.end
    if amount.bare:
        return None, amount.end
    return Measured("other"), linked + 1


def _counted(words: Sequence[Word], index: int, lexicon: Lexicon) -> tuple[Measured, int] | None:
    hit = lexicon.nouns.at(words, index)
    if hit and not hit.offset:
        return hit.value, hit.end
    form = words[index].form
    if form.startswith("ال"):
        single = lexicon.nouns.single(form[2:])
        return (single, index + 1) if single else None
    return None


def _dual_noun(form: str, lexicon: Lexicon) -> Measured | None:
    """The noun of which an Arabic dual is made, the article aside; duals of states refer back and are none."""
    bare = form.removeprefix("ال")
    if lexicon.nouns.single(bare):
        return None
    for ending in lexicon.duals:
        stem = bare.removesuffix(ending)
        if stem != bare and len(stem) > 1:
            for singular in (stem.removesuffix("ت") + "ة" if stem.endswith("ت") else stem, stem):
                noun = lexicon.nouns.single(singular)
                if noun and not (form != bare and noun.kind in ("states", "other")):
                    return noun
    return None


def _dual(word: Word, lexicon: Lexicon) -> Measured | None:
    return next((noun for _, form in word.heads if (noun := _dual_noun(form, lexicon))), None)


def _killed(words: Sequence[Word], first: int, end: int, lexicon: Lexicon) -> bool:
    around = [*words[max(0, first - 3) : first], *words[end : end + 5]]
    return any(form in lexicon.sets["casualty_words"] for word in around for _, form in word.heads)
