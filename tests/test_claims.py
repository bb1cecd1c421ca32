from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from testimonia.card import table
from testimonia.claims import (
    Claim,
    Claims,
    Mark,
    Mention,
    check_claims,
    read_claims,
)
from testimonia.corpus import Corpus
from testimonia.document import Document, Gold, Span, attributes_of
from testimonia.errors import InputError
from tests.conftest import DATA, ROOT
from tests.test_findings import findings_on_claims

HEADER = 'types = ["losses"]\nspans = ["QUANTITY", "STANCE"]\nsources = ["SOURCE"]\n'


def mention(name: str, bound: str, low: float | None, high: float | None, unit: str = "") -> Mention:
    return Mention(name, name, (f"{name}:0-3:QUANTITY",), (), bound, low, high, unit)


def golds(*mentions: Mention) -> list[Gold]:
    found = []
    for one in mentions:
        values = {"bound": one.bound, "value_min": one.value_min, "value_max": one.value_max, "unit": one.unit or None}
        span = Span(0, 3, "QUANTITY", attributes_of(values))
        found.append(Gold(Document(one.doc_id, "fr", "abc"), (span,)))
    return found


def problems(mark: str, one: Mention, other: Mention) -> list[str]:
    claim = Claim("c", "losses", "", (one, other), (Mark(one.id, other.id, mark),))
    claims = Claims(("losses",), ("QUANTITY",), (), (claim,))
    return [finding.message for finding in check_claims(claims, golds(one, other))]


@pytest.mark.parametrize(
    ("one", "other", "refused"),
    [
        (("exact", 5, 5), ("exact", 5, 5), {"compatible", "conflicting", "partial"}),
        (("exact", 5, 5), ("exact", 6, 6), {"same"}),
        (("exact", 5, 5), ("approx", 5, 5), set()),
        (("lower", 4, None), ("exact", 5, 5), set()),
        (("lower", 4, None), ("upper", None, 3), {"same"}),
        (("range", 1, 2), ("range", 2, 3), set()),
        (("vague", None, None), ("vague", None, None), set()),
        (("vague", None, None), ("exact", 5, 5), set()),
    ],
)
def test_values_and_marks_agree(
    one: tuple[str, float | None, float | None], other: tuple[str, float | None, float | None], refused: set[str]
) -> None:
    marks = ("same", "compatible", "conflicting", "partial")
    assert {mark for mark in marks if problems(mark, mention("a", *one), mention("b", *other))} == refused


def test_values_in_two_units_are_not_compared() -> None:
    [problem] = problems("partial", mention("a", "exact", 2, 2, "decade"), mention("b", "exact", 20, 20, "year"))
    assert problem == "units 'decade' and 'year'; write both in one unit"


def test_a_value_is_that_of_its_span_unless_it_was_converted() -> None:
    one, other = mention("a", "exact", 2, 2, "decade"), mention("b", "exact", 20, 20, "year")
    claim = Claim("c", "losses", "", (replace(one, value_min=20, value_max=20, unit="year"), other), ())
    claim = replace(claim, marks=(Mark("a", "b", "same"),))
    assert check_claims(Claims(("losses",), ("QUANTITY",), (), (claim,)), golds(one, other)) == []
    wrong = replace(claim, mentions=(replace(one, value_min=3, value_max=3), other), marks=claim.marks)
    found = check_claims(Claims(("losses",), ("QUANTITY",), (), (wrong,)), golds(one, other))
    assert "the value is not that of a:0-3:QUANTITY" in [finding.message for finding in found]


def test_a_valid_claim_has_no_findings() -> None:
    case = json.loads((DATA / "invalid" / "claim-mark.json").read_text())
    case["claims"][0]["marks"] = [{"first": "one", "second": "two", "mark": "same"}]
    assert findings_on_claims(case) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[claim]]\nid = "C"\ntype = "losses"\ngloss = ""\n', "is not lower-case words"),
        ('[[claim]]\nid = "c"\ntype = "losses"\n', "claim c: gloss is missing; add it"),
        (
            '[[claim]]\nid = "c"\ntype = "losses"\ngloss = ""\npair = [{ mentions = ["a"], mark = "same" }]\n',
            "name two",
        ),
        ('[[claim]]\nid = "c"\ntype = "losses"\ngloss = ""\nvalue = 3\n', "unknown key 'value'"),
        ('[[claim]]\nmention = [{ id = "a", document = "d", value_min = true }]\n', "value_min = True is not a number"),
        ('[[claim]]\nmention = [{ id = "a", document = "d", value_min = nan }]\n', "is no finite number"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, corpus: Corpus, text: str, message: str) -> None:
    path = tmp_path / "claims.toml"
    path.write_text(HEADER + text)
    with pytest.raises(InputError, match=message):
        read_claims(path, corpus.scheme)


def test_without_a_file_there_are_no_claims(tmp_path: Path, corpus: Corpus) -> None:
    assert read_claims(tmp_path / "claims.toml", corpus.scheme) == Claims()


def test_the_query_in_the_readme_gives_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    readme = (ROOT / "README.md").read_text()
    [query] = re.findall(r"```sql\n(.*?)```", readme, re.DOTALL)
    found = duckdb.sql(query)
    assert found is not None
    rows = [["" if v is None else f"{v:g}" if isinstance(v, float) else v for v in row] for row in found.fetchall()]
    assert len({row[2] for row in rows}) == 3  # languages
    assert any(row[-1] for row in rows)
    assert table(found.columns, rows) in readme
