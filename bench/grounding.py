"""How often and how fast quotes are found, beside langextract's resolver.

Run: .venv/bin/python -m bench.grounding [--seed N] [--held-out] [--langextract] [--show KIND]

`--langextract` runs langextract too, in an environment of its own, `build/tools/langextract`, of exactly the packages
and hashes that `bench/tools/langextract.txt` pins.

Phrases of 2 to 12 words are drawn from the seed articles. A phrase that stands there before is asked for at each of
its places, so that the order of the quotes tells which is meant. Every quote of a document and kind is changed in the
same way; all are given at once, in the order of the text. Right is the very span of the phrase; for the kinds under
`absent` right is nothing. Typos in phrases of fewer than 8 letters are a kind of their own, outside the sum: there
nothing is mostly the best answer. CPU seconds of one process; both sides get the same lists. `--held-out` draws anew,
with single words and longer phrases.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import re
import subprocess
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bench.environments import ENVIRONMENTS, interpreter
from testimonia.alignment import lexicon_of
from testimonia.folding import fold
from testimonia.grounding import ground
from testimonia.language import Language, read_languages

ROOT = Path(__file__).parents[1]
SOURCES = {"000": "ro", "001": "ar", "002": "ar", "003": "fr", "004": "fr"}
INVENTED = {
    "ro": [
        "primarul orașului a inaugurat podul nou peste râu",
        "trei sute de elevi au plantat stejari în parc",
        "prețul grâului a scăzut după ploile din mai",
        "ambasadorul nord-coreean la Viena a demisionat",
        "soldații ucraineni au sărbătorit la Odesa",
    ],
    "ar": [
        "افتتح رئيس البلدية الجسر الجديد فوق النهر",
        "انخفض سعر القمح بعد أمطار الربيع",
        "وقعت كوريا الشمالية اتفاقا تجاريا مع البرازيل",
        "زار الوزير المدرسة القديمة في القرية",
    ],
    "fr": [
        "le maire a inauguré le nouveau pont sur la rivière",
        "trois cents élèves ont planté des chênes dans le parc",
        "le prix du blé a baissé après les pluies de mai",
        "les soldats nord-coréens ont fêté la victoire à Vienne",
    ],
}
LETTERS = {"ro": "aeioutrnslcdpmăîșț", "fr": "esaitnrulodcpmé", "ar": "اليمونترفبسعدقه"}
Change = Callable[[str, random.Random, Language], str | None]


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class Case:
    """Quotes of one text and kind, with the spans that are meant."""

    kind: str
    source: Text
    quotes: list[str]
    spans: list[tuple[int, int] | None]


def replaced(table: dict[str, str]) -> Change:
    """The change of some characters for others; None where there are none."""
    characters = str.maketrans(table)
    return lambda quote, *_: changed if (changed := quote.translate(characters)) != quote else None


def normalized(quote: str, form: str) -> str | None:
    changed = unicodedata.normalize(form, quote)  # type: ignore[arg-type]
    return changed if changed != quote else None


def inserted(characters: str, rate: float, after: str) -> Change:
    """The change that puts one of the characters after some of those that match a pattern."""

    def change(quote: str, rng: random.Random, _language: Language) -> str | None:
        changed = re.sub(after, lambda m: m[0] + (rng.choice(characters) if rng.random() < rate else ""), quote)
        return changed if changed != quote else None

    return change


def bare(quote: str, _rng: random.Random, _language: Language) -> str | None:
    changed = "".join(c for c in unicodedata.normalize("NFD", quote) if unicodedata.category(c) != "Mn")
    return changed if changed != quote else None


def spaced(quote: str, rng: random.Random, _language: Language) -> str:
    return re.sub(r"\s", lambda _: rng.choice(["  ", "\n", "\u00a0", "\r\n", "\t", "\u202f", " \n"]), quote)


def cased(quote: str, rng: random.Random, _language: Language) -> str | None:
    changed = rng.choice([quote.upper(), quote.lower(), quote.title()])
    return changed if changed != quote else None


def quoted(quote: str, rng: random.Random, _language: Language) -> str | None:
    return rng.choice('„“«"') + quote + rng.choice('”»"')


def stopped(quote: str, rng: random.Random, _language: Language) -> str | None:
    return quote + rng.choice(".…,;")


def elided(quote: str, rng: random.Random, _language: Language) -> str | None:
    words = quote.split()
    if len(words) < 5:
        return None
    cut = rng.randrange(2, len(words) - 2)
    return " ".join(words[:cut]) + rng.choice([" ... ", "… ", " [...] ", " […] "]) + " ".join(words[cut + 1 :])


def mistyped(quote: str, rng: random.Random, language: Language) -> str | None:
    """One edit, from 20 characters on two; digits stay."""
    letters = list(quote)
    for _ in range(1 if len(quote) < 20 else 2):
        place = rng.randrange(len(letters))
        if letters[place].isdigit():
            continue
        match rng.choice(["insert", "delete", "change", "swap"]):
            case "insert":
                letters.insert(place, rng.choice(LETTERS[language.code]))
            case "delete":
                del letters[place]
            case "change":
                letters[place] = rng.choice(LETTERS[language.code])
            case _ if place + 1 < len(letters) and not letters[place + 1].isdigit():
                letters[place : place + 2] = letters[place + 1], letters[place]
    changed = "".join(letters)
    return changed if changed.strip() and changed != quote else None


def doubled(quote: str, rng: random.Random, _language: Language) -> str | None:
    """A letter written twice; from 20 characters on, another left out."""
    places = [place for place, letter in enumerate(quote) if letter.isalpha()]
    if len(places) < 2:
        return None
    one, other = sorted(rng.sample(places, 2))
    twice = quote[: one + 1] + quote[one:]
    return twice[: other + 1] + twice[other + 2 :] if len(quote) >= 20 else twice


def free(word: str, language: Language) -> bool:
    """Whether it is a word alone, and no number or negation."""
    return word.isalpha() and not lexicon_of(language).fixed(fold(word).text)


def without_fixed(quote: str, rng: random.Random, language: Language) -> str | None:
    """Without a number or negation."""
    words = quote.split(" ")
    inner = [n for n in range(1, len(words) - 1) if words[n].isalnum() and not free(words[n], language)]
    if not inner:
        return None
    words.pop(rng.choice(inner))
    return " ".join(words)


def without_word(quote: str, rng: random.Random, language: Language) -> str | None:
    words = quote.split(" ")
    inner = [number for number in range(1, len(words) - 1) if free(words[number], language)]
    if not inner:
        return None
    words.pop(rng.choice(inner))
    return " ".join(words)


def other_word(quote: str, rng: random.Random, language: Language) -> str | None:
    words = quote.split(" ")
    inner = [number for number in range(1, len(words) - 1) if free(words[number], language)]
    if len(words) < 5 or not inner:
        return None
    strange = [word for line in INVENTED[language.code] for word in line.split() if free(word, language)]
    words[rng.choice(inner)] = rng.choice(strange)
    return " ".join(words)


def other_number(quote: str, rng: random.Random, _language: Language) -> str | None:
    digits = [place for place, letter in enumerate(quote) if letter.isdigit()]
    if not digits:
        return None
    place = rng.choice(digits)
    return quote[:place] + rng.choice([d for d in "123456789" if d != quote[place]]) + quote[place + 1 :]


def negated(quote: str, rng: random.Random, language: Language) -> str | None:
    words = quote.split(" ")
    if len(words) < 4:
        return None
    words.insert(rng.randrange(1, len(words)), {"ro": "nu", "fr": "pas", "ar": "لم"}[language.code])
    return " ".join(words)


def cedilla(quote: str, _rng: random.Random, language: Language) -> str | None:
    changed = quote.translate(str.maketrans("șțȘȚşţŞŢ", "şţŞŢșțȘȚ"))
    return changed if changed != quote and language.code == "ro" else None


HAMZA = {"أ": "ا", "إ": "ا", "آ": "ا", "ى": "ي", "ة": "ه", "ؤ": "و", "ئ": "ي", "ي": "ی", "ك": "ک"}
STRAIGHT = dict.fromkeys("“”„«»", '"') | {"’": "'", "‘": "'"}
CURLY = {"'": "’", '"': "”", "„": "“", "«": "“", "»": "”"}
WIDE = {chr(code): chr(code + 0xFEE0) for code in range(0x30, 0x7B) if chr(code).isalnum()}
LOSSLESS: dict[str, Change] = {
    "as it is": lambda quote, *_: quote,
    "NFD": lambda quote, *_: normalized(quote, "NFD"),
    "NFKC": lambda quote, *_: normalized(quote, "NFKC"),
    "straight quotes": replaced(STRAIGHT),
    "curly quotes": replaced(CURLY),
    "added quotes": quoted,
    "added stop": stopped,
    "cedilla/comma": cedilla,
    "bare letters": bare,
    "harakat added": inserted("\u064b\u064e\u064f\u0650\u0651\u0652", 0.4, r"[ء-غف-ي]"),
    "tatweel": inserted("ـ", 0.3, r"[بتسشفقكلمنهي](?=[ء-غف-ي])"),
    "hamza": replaced(HAMZA),
    "Arabic digits": replaced(dict(zip("0123456789", "٠١٢٣٤٥٦٧٨٩", strict=True))),
    "white space": spaced,
    "case": cased,
    "dashes": replaced({"-": "\u2011", "–": "-", "—": "-"}),
    "zero width": inserted("\u200b\u200c\u200d\u00ad\ufeff\u2060", 0.2, r"\w"),
    "bidi marks": inserted("\u200e\u200f\u202b\u202c\u2067\u2069", 0.3, r"\b"),
    "full width": replaced(WIDE),
}
LOSSY: dict[str, Change] = {
    "ellipsis": elided,
    "typos": mistyped,
    "doubled": doubled,
    "short typos": mistyped,
    "word left out": without_word,
    "word changed": other_word,
}
BRIEF = {"typos", "doubled", "short typos"}
ABSENT: dict[str, Change] = {"other number": other_number, "without number": without_fixed, "negation": negated}


def texts() -> list[Text]:
    paths = sorted((ROOT / "seeds").glob("*.txt"))
    return [Text(path.read_text(encoding="utf-8"), SOURCES[path.name[:3]]) for path in paths]


def phrases(text: str, rng: random.Random, count: int, longest: int) -> list[tuple[int, int]]:
    """Spans of words without punctuation at their ends; one that repeats an earlier phrase comes with all of these."""
    words = [match.span() for match in re.finditer(r"[^\W_](?:[\w\u064b-\u0652]|[-.,'’](?=\w))*", text)]
    chosen: set[tuple[int, int]] = set()
    for _ in range(count):
        size = rng.randint(1 if longest > 12 else 2, longest)
        first = rng.randrange(len(words) - size)
        start, end = words[first][0], words[first + size - 1][1]
        if text[start:end].count("\n") <= 1:
            key = fold(text[start:end]).text
            same = [
                (words[n][0], words[n + size - 1][1])
                for n in range(len(words) - size)
                if fold(text[words[n][0] : words[n + size - 1][1]]).text == key
            ]
            chosen.update(span for span in same if span <= (start, end))
    return sorted(chosen)


def cases(seed: int, count: int, longest: int, languages: dict[str, Language]) -> list[Case]:
    result = []
    for source in texts():
        rng = random.Random(f"{seed} {source.text[:40]}")
        for kind, change in {**LOSSLESS, **LOSSY, **ABSENT}.items():
            quotes: list[str] = []
            spans: list[tuple[int, int] | None] = []
            drawn = phrases(source.text, rng, count, longest)
            chosen = Counter(fold(source.text[start:end]).text for start, end in drawn)
            for start, end in drawn:
                phrase = source.text[start:end]
                short = len(re.sub(r"\W", "", phrase)) < 8
                if kind in BRIEF and (kind == "short typos") != short:
                    continue
                quote = change(phrase, rng, languages[source.language])
                if quote is None and kind in LOSSLESS and chosen[fold(phrase).text] > 1:
                    quote = phrase
                if quote is not None:
                    there = change is stopped and source.text.startswith(quote, start)
                    quotes.append(quote)
                    spans.append(None if kind in ABSENT else (start, end + there))
            if quotes:
                result.append(Case(kind, source, quotes, spans))
        present = fold(source.text).text
        strange = list(INVENTED[source.language])
        for other in texts():
            if other.text != source.text:
                spans_there = phrases(other.text, rng, count, longest)
                strange += [other.text[start:end] for start, end in spans_there]
        absent = [quote for quote in strange if fold(quote).text not in present]
        result.append(Case("of other texts", source, absent, [None] * len(absent)))
    return result


def ours(workload: Sequence[Case], languages: dict[str, Language]) -> tuple[list[list[object]], list[float]]:
    spans: list[list[object]] = []
    seconds = []
    for case in workload:
        start = time.process_time()
        found = ground(case.source.text, case.quotes, languages[case.source.language])
        seconds.append(time.process_time() - start)
        spans.append([grounding.span for grounding in found])
    return spans, seconds


def theirs(workload: Sequence[Case]) -> tuple[list[list[object]], list[float], str]:
    python = interpreter(ROOT / "bench" / "tools" / "langextract.txt", ENVIRONMENTS / "tools" / "langextract")
    command = [python, Path(__file__).with_name("grounding_langextract.py")]
    data = json.dumps([(case.source.text, case.quotes) for case in workload])
    done = subprocess.run(command, input=data, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return [[s and tuple(s) for s in row] for row in answer["spans"]], answer["seconds"], answer["version"]


def tally(case: Case, spans: Sequence[object]) -> tuple[int, int, int]:
    """How many are right, wrong, and nothing where there is something."""
    right = sum(meant == found for meant, found in zip(case.spans, spans, strict=True))
    none = sum(found is None and meant is not None for meant, found in zip(case.spans, spans, strict=True))
    return right, len(case.spans) - right - none, none


def report(workload: Sequence[Case], spans: Sequence[Sequence[object]], seconds: Sequence[float]) -> None:
    groups = {"lossless": list(LOSSLESS), "lossy": list(LOSSY), "absent": [*ABSENT, "of other texts"]}
    print(f"  {'':16}{'quotes':>8}{'right':>8}{'wrong':>8}{'none':>8}{'ms a quote':>12}")
    for group, kinds in groups.items():
        for kind in [*kinds, group.upper()]:
            rows = [
                n
                for n, case in enumerate(workload)
                if case.kind in (set(kinds) - {"short typos"} if kind == group.upper() else {kind})
            ]
            total = sum(len(workload[n].quotes) for n in rows)
            if not total:
                continue
            counts = [sum(column) for column in zip(*[tally(workload[n], spans[n]) for n in rows], strict=True)]
            time_each = 1000 * sum(seconds[n] for n in rows) / total
            shares = "".join(f"{100 * count / total:>7.1f}%" for count in counts)
            print(f"  {kind:16}{total:>8}{shares}{time_each:>12.3f}")


def show(workload: Sequence[Case], spans: Sequence[Sequence[object]], kind: str) -> None:
    for case, row in zip(workload, spans, strict=True):
        for quote, meant, found in zip(case.quotes, case.spans, row, strict=True):
            if case.kind == kind and meant != found:
                text = case.source.text
                there = [span and text[slice(*span)] for span in (meant, found)]  # type: ignore[misc]
                print(f"  {quote!r}\n    meant {meant} {there[0]!r}\n    found {found} {there[1]!r}")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--langextract", action="store_true")
    parser.add_argument("--show", default="")
    options = parser.parse_args()
    languages = read_languages(ROOT / "labeling" / "languages")
    workload = cases(options.seed + 1000 * options.held_out, options.count, 25 if options.held_out else 12, languages)
    total = sum(len(case.quotes) for case in workload)
    spans, seconds = ours(workload, languages)
    print(f"python {platform.python_version()}, rapidfuzz {version('rapidfuzz')}, {total} quotes, seed {options.seed}")
    report(workload, spans, seconds)
    show(workload, spans, options.show)
    if options.langextract:
        their_spans, their_seconds, their_version = theirs(workload)
        print(f"\nlangextract {their_version}: {sum(their_seconds) / sum(seconds):.0f} times our time")
        report(workload, their_spans, their_seconds)


if __name__ == "__main__":
    main()
