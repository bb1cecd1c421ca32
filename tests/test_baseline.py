"""The baseline on invented news: what it finds, that it leaves names out, that what it gives is always legal."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from testimonia_baseline import lexicon_of, predict, read_lexicon

from testimonia.checks import check_gold
from testimonia.document import Document, Gold, Span, Zone
from testimonia.errors import InputError
from testimonia.language import read_languages
from testimonia.scheme import Entity, Registry, Scheme, read_scheme
from testimonia.toml import Table

LABELING = Path(__file__).parent.parent / "labeling"
LANGUAGES = read_languages(LABELING / "languages")
LEXICA = {path.stem: read_lexicon(path) for path in sorted((LABELING / "baseline").glob("*.toml"))}
HELD_OUT = Path(__file__).parent / "data" / "held_out.toml"
REGISTRY: Registry = {
    "state-gr": Entity("state-gr", "state", {"fr": {"Athènes": ("fr-7",)}}),
    "elena-popescu": Entity(
        "elena-popescu",
        "person",
        {
            "ro": {"Popescu": ("ro-7", "ro-8"), "Elena Popescu": ("ro-7",), "președinta": ("ro-8",)},
            "ar": {"إيلينا بوبيسكو": ("ar-9",)},
            "fr": {"Popesco": ("fr-7",)},
        },
    ),
    "nato": Entity("nato", "intl_org", {"ar": {"حلف شمال الأطلسي": ()}}),
}


def found(language: str, text: str, doc_id: str = "x-1", registry: Registry | None = None) -> list[tuple[str, str]]:
    """Label and words of each span, in order."""
    document = Document(doc_id, language, text)
    spans, _ = predict(document, LANGUAGES[language], LEXICA[language], registry or {})
    return [(span.label, text[span.start : span.end]) for span in spans]


def words(language: str, text: str, label: str) -> list[str]:
    return [piece for name, piece in found(language, text) if name == label]


def spans_of(language: str, text: str, registry: Registry | None = None) -> tuple[Span, ...]:
    return predict(Document("x-1", language, text), LANGUAGES[language], LEXICA[language], registry or {})[0]


ACTORS = [
    ("ro", "Ministrul italian Marco Rossi a plecat.", ["Ministrul italian Marco Rossi"]),
    ("ro", "Armata elenă avansează, spun trupe grecești.", ["Armata elenă"]),
    ("ro", "Președintele Finlandei a vorbit.", ["Președintele Finlandei"]),
    ("ro", "Un acord între Grecia și Italia.", ["Grecia", "Italia"]),
    ("ro", "Au plecat în Grecia și Italia.", []),
    ("ro", "Războiul împotriva Greciei continuă.", ["Greciei"]),
    ("ro", "România ajuta ONU-ului şi Statelor Unite.", ["România", "ONU-ului", "Statelor Unite"]),
    ("ro", "Ministrul apărării, Ana Ionescu, a sosit la Paris.", ["Ministrul apărării", "Ana Ionescu"]),
    ("fr", "L'armée grecque avance avec des soldats grecs.", ["armée grecque"]),
    ("fr", "Le gouvernement grec négocie avec Rome.", ["gouvernement grec", "Rome"]),
    ("fr", "Il vit en Grèce, à Rome et au Mali.", []),
    ("fr", "ETATS-UNIS : la Grèce et l’Italie signent.", ["ETATS-UNIS", "Grèce", "Italie"]),
    ("fr", "Le président de la Finlande a parlé.", ["président de la Finlande"]),
    ("fr", "La ministre italienne Sofia Bianchi est arrivée.", ["ministre italienne Sofia Bianchi"]),
    ("fr", "Un accord entre l'Otan et l'Union européenne.", ["Otan", "Union européenne"]),
    ("ar", "أعلنت وزارة الدفاع اليونانية والجيش الإيطالي ذلك.", ["وزارة الدفاع اليونانية", "الجيش الإيطالي"]),
    ("ar", "اتفاق بين اليونان وإيطاليا.", ["اليونان", "إيطاليا"]),
    ("ar", "سافر إلى اليونان.", []),
    ("ar", "التقى الرئيسَ الفنلندي وللأمم المتحدة دور.", ["الرئيسَ الفنلندي", "للأمم المتحدة"]),
]


@pytest.mark.parametrize(("language", "text", "expected"), ACTORS)
def test_actors(language: str, text: str, expected: list[str]) -> None:
    assert words(language, text, "ACTOR") == expected


def test_a_title_joins_a_name() -> None:
    (span,) = [s for s in spans_of("fr", "Le général Paul Martin est là.") if s.label == "ACTOR"]
    assert dict(span.attributes) == {"kind": "person"}


SOURCES = [
    ("ro", "Potrivit unui raport, bilanțul crește.", [("document", "raport")]),
    ("ro", "Au sosit zece nave, a declarat un purtător de cuvânt.", []),
    ("ro", "Armata elenă a anunțat retragerea.", [("gov_body", "Armata elenă")]),
    ("ro", "„Vom ajuta”, a declarat premierul Ion Radu.", [("official", "premierul Ion Radu")]),
    ("fr", "Selon des responsables grecs, le port est fermé.", [("unnamed", "responsables grecs")]),
    ("fr", "Le port est fermé, rapporte l'agence Reuters.", [("media", "agence Reuters")]),
    ("fr", "Les services de renseignement sud-coréens affirment que oui.", [("intelligence", "")]),
    ("ar", "قال مصدر حكومي إن الميناء مغلق.", [("unnamed", "مصدر حكومي")]),
    ("ar", "الميناء مغلق، وفقا لوكالة رويترز.", [("media", "وكالة رويترز")]),
]


@pytest.mark.parametrize(("language", "text", "expected"), SOURCES)
def test_sources(language: str, text: str, expected: list[tuple[str, str]]) -> None:
    spans = [s for s in spans_of(language, text) if s.label == "SOURCE"]
    actual = [(str(dict(s.attributes)["kind"]), text[s.start : s.end]) for s in spans]
    assert [kind for kind, _ in actual] == [kind for kind, _ in expected]
    assert all(piece in ("", words) for (_, words), (_, piece) in zip(actual, expected, strict=True))


STANCES = [
    ("ro", "Grecia a condamnat ferm atacul.", [("a condamnat ferm", "negative_evaluation", "against")]),
    ("ro", "Grecia nu susține pe deplin planul.", [("nu susține pe deplin", "negative_evaluation", "against")]),
    ("ro", "Grecia neagă că a plecat.", [("neagă", "denial", "against")]),
    ("ro", "Grecia vrea a-l condamna.", [("condamna", "negative_evaluation", "against")]),
    ("fr", "Rome n'a pas confiance en Berlin.", [("n'a pas confiance", "negative_evaluation", "against")]),
    ("fr", "Rome a exprimé son soutien total.", [("soutien total", "support_commitment", "favor")]),
    ("fr", "Rome envoie du soutien logistique.", []),
    ("fr", "Rome a vivement condamné le raid.", [("a vivement condamné", "negative_evaluation", "against")]),
    ("ar", "أدان بشدة الهجوم.", [("أدان بشدة", "negative_evaluation", "against")]),
    ("ar", "ونفت اليونان ذلك.", [("نفت", "denial", "against")]),
]


@pytest.mark.parametrize(("language", "text", "expected"), STANCES)
def test_stances(language: str, text: str, expected: list[tuple[str, str, str]]) -> None:
    spans = [s for s in spans_of(language, text) if s.label == "STANCE"]
    values = [(text[s.start : s.end], dict(s.attributes)["type"], dict(s.attributes)["polarity"]) for s in spans]
    assert values == expected


def test_relations() -> None:
    text = "Le ministre italien Marco Rossi a condamné la Grèce. Selon Rome, 30 navires sont partis, rapporte l'AFP."
    _, relations = predict(Document("x-1", "fr", text), LANGUAGES["fr"], LEXICA["fr"], {})
    drawn = {
        (r.label, text[r.head.start : r.head.end], text[r.tail.start : r.tail.end], r.tail.label) for r in relations
    }
    assert drawn == {
        ("holder", "a condamné", "ministre italien Marco Rossi", "ACTOR"),
        ("target", "a condamné", "Grèce", "ACTOR"),
        ("attributed_to", "30 navires", "Rome", "SOURCE"),
        ("relayed_by", "Rome", "AFP", "SOURCE"),
    }


def test_a_name_seen_only_in_the_document_is_left_out() -> None:
    text = "Voici Zorglub. Voici Zorgluba."
    seen: Registry = {"x": Entity("x", "person", {"fr": {"Zorglub": ("fr-7",), "Zorgluba": ("fr-7", "fr-8")}})}
    assert found("fr", text, "fr-7", seen) == [("ACTOR", "Zorgluba")]
    assert found("fr", text, "fr-8", seen) == [("ACTOR", "Zorglub"), ("ACTOR", "Zorgluba")]
    assert found("fr", text, "fr-7", {}) == []
    known: Registry = {"x": Entity("x", "person", {"en": {"Zorglub": ()}})}
    assert found("fr", text, "fr-7", known) == [("ACTOR", "Zorglub")]


def test_a_lone_office_in_the_registry_is_no_name() -> None:
    assert found("ro", "A venit președinta.", "ro-1", REGISTRY) == []
    assert [piece for _, piece in found("ro", "A venit Popescu.", "ro-1", REGISTRY)] == ["Popescu"]


def test_a_surname_stands_for_the_full_name() -> None:
    text = "Le ministre Marco Zorglub est venu. Zorglub est parti."
    assert words("fr", text, "ACTOR") == ["ministre Marco Zorglub", "Zorglub"]


def test_what_is_promised_is_the_stance() -> None:
    assert words("fr", "Rome a promis de soutenir Paris.", "STANCE") == ["soutenir"]
    assert words("fr", "Rome a promis que Paris gagnera.", "STANCE") == ["a promis"]


def test_office_comma_name() -> None:
    text = "« C'est fini », a déclaré le ministre de la Défense, Zoé Zorglub."
    assert words("fr", text, "ACTOR") == ["ministre de la Défense", "Zoé Zorglub"]
    assert words("fr", text, "SOURCE") == ["Zoé Zorglub"]


def test_entities() -> None:
    spans = spans_of("ar", "اتفاق بين اليونان وحلف شمال الأطلسي.", REGISTRY)
    assert [dict(span.attributes)["entity"] for span in spans] == ["state-gr", "nato"]
    (span,) = spans_of("fr", "L'Otan et sa force.", {})
    assert dict(span.attributes) == {"kind": "intl_org"}


def test_boilerplate_is_skipped() -> None:
    text = "La Grèce signe.\nLa Grèce signe."
    document = Document("x-1", "fr", text, zones=(Zone(0, 15, "boilerplate"),))
    spans, _ = predict(document, LANGUAGES["fr"], LEXICA["fr"], {})
    assert [(span.start, span.end) for span in spans] == [(19, 24)]


def test_a_language_without_lexicon_is_refused() -> None:
    with pytest.raises(InputError, match="no lexicon for 'xx'; it has ar, fr, ro"):
        lexicon_of(Document("x-1", "xx", ""), LEXICA)
    with pytest.raises(InputError, match="it has fr"):
        predict(Document("x-1", "ro", ""), LANGUAGES["ro"], LEXICA["fr"], {})
    with pytest.raises(InputError, match="give the document's own"):
        predict(Document("x-1", "fr", ""), LANGUAGES["ro"], LEXICA["fr"], {})


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fr", "mistake = 1", "unknown key 'mistake'"),
        ("fr", "[nouns]\npersonel = ['x']", "nouns: unknown key 'personel'"),
        ("fr", "[currencies]\neuro = ['x']", "no ISO 4217 code"),
        ("fr", "[capitals]\nGreece = ['x']", "no ISO 3166 alpha-2 code"),
        ("fr", "[numerals.words]\nun = 'x'", "write a whole number"),
        ("fr", "[numerals.fractions]\nun = 0", "a denominator is 0"),
        ("fr", "[[stance]]\ntype = 'love'\npolarity = 'favor'", "type = 'love' is not one of"),
        ("fr", "[[head]]\nkind = 'horse'\nforms = ['x']", "kind = 'horse' is not one of"),
        ("klingon", "", "no language of CLDR"),
    ],
)
def test_a_wrong_lexicon_is_refused(tmp_path: Path, name: str, content: str, message: str) -> None:
    path = tmp_path / f"{name}.toml"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_lexicon(path)


def _vocabulary(language: str) -> list[str]:
    text = (LABELING / "baseline" / f"{language}.toml").read_text(encoding="utf-8")
    return [*sorted(set(text.split('"')[1::2])), "Grecia", "Rossi", "Marco", "12", "1.500", "3,5", "2024", "٣٠", "%"]


NOISE = [
    ",",
    ".",
    "«",
    "»",
    "\n",
    "(",
    ")",
    "-",
    ":",
    "\u200f",
    "’",
    "$",
    "l'",
    "un",
    "o",
    "a",
    "و",
    "ـ",
    "ال",
    "\u064b",
]


@pytest.fixture(scope="session")
def scheme() -> Scheme:
    return read_scheme(LABELING / "scheme.toml")


@pytest.mark.parametrize("language", sorted(LEXICA))
def test_any_text_is_predicted_legally_and_alike(language: str, scheme: Scheme) -> None:
    parts = st.one_of(
        st.sampled_from(_vocabulary(language)),
        st.sampled_from(NOISE),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
    )
    glue = st.sampled_from([" ", " ", " ", ""])

    @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.tuples(parts, glue), max_size=40))
    def check(pieces: list[tuple[str, str]]) -> None:
        document = Document("x-1", language, "".join(part + between for part, between in pieces))
        spans, relations = predict(document, LANGUAGES[language], LEXICA[language], REGISTRY)
        assert predict(document, LANGUAGES[language], LEXICA[language], REGISTRY) == (spans, relations)
        findings = check_gold(Gold(document, spans, relations), scheme, LANGUAGES[language])
        errors = [f for f in findings if f.severity == "error" and f.id not in ("attribute-missing", "entity-unknown")]
        missing = [f for f in findings if f.id == "attribute-missing" and "entity" not in f.message]
        assert not errors
        assert not missing

    check()


def _written(document: Document, span: Span) -> str:
    values = dict(span.attributes)
    kind = [str(values[key]) for key in ("kind", "bound", "type", "polarity") if key in values]
    if span.label == "QUANTITY":
        kind += [f"{values[key]:.12g}" if key in values else "-" for key in ("value_min", "value_max")]
        kind.append(str(values.get("unit", "-")))
    return f"{span.label} {' '.join(kind)} | {document.text[span.start : span.end]}"


def held_out(language: str) -> list[tuple[list[str], list[str]]]:
    """Expected and predicted spans of each held-out paragraph of a language."""
    result = []
    for table in Table.read(HELD_OUT).tables("paragraph"):
        if table.string("language") == language:
            document = Document("x-1", language, table.string("text"))
            spans, _ = predict(document, LANGUAGES[language], LEXICA[language], {})
            result.append((sorted(table.strings("spans")), sorted(_written(document, span) for span in spans)))
    return result


def f1(pairs: list[tuple[list[str], list[str]]]) -> float:
    hits = sum(len(set(expected) & set(actual)) for expected, actual in pairs)
    return 2 * hits / sum(len(expected) + len(actual) for expected, actual in pairs)


# Strict F1 with every attribute but `entity`, as measured. Blind, before their errors were read and mended: ro 0.85,
# fr 0.87, ar 0.93 on the first set (6 paragraphs each), ro 0.78, fr 0.82, ar 0.67 on the second (3 each),
# ro 0.90, fr 0.81, ar 0.68 on the third (2 each).
FLOORS = {"ro": 0.96, "fr": 0.92, "ar": 0.9}


@pytest.mark.parametrize("language", sorted(FLOORS))
def test_held_out_paragraphs(language: str) -> None:
    assert f1(held_out(language)) >= FLOORS[language]
