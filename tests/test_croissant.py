"""What describes the dataset to machines: croissant.json (mlcroissant reads it in `make matrix`), the JSON Schema."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow.parquet as pq
import pytest
import testimonia_baseline as baseline

from testimonia import tables
from testimonia.corpus import Corpus
from testimonia.croissant import croissant
from testimonia.formats import prediction_schema, record_of
from tests.conftest import ROOT

Json = dict[str, Any]
DATASET = ROOT / "dataset"


def made(corpus: Corpus, prose: str, citation: Json) -> Json:
    manifest = json.loads((DATASET / "manifest.json").read_text())
    return croissant(corpus.scheme, manifest, {"language": ["ro"], "tags": ["news"]}, prose, citation)


def test_every_column_is_declared_and_described(corpus: Corpus) -> None:
    found = json.loads((DATASET / "croissant.json").read_text())
    for record_set in found["recordSet"]:
        table = pq.read_table(DATASET / tables.parquet_name(record_set["@id"]))
        columns = [field["source"]["extract"]["column"] for field in record_set["field"]]
        assert columns == table.column_names
        for field in record_set["field"]:
            assert field["description"]
            column = table.schema.field(field["source"]["extract"]["column"]).type
            subs = [sub["source"]["transform"]["jsonPath"] for sub in field.get("subField", [])]
            names = [one.name for one in column.value_type] if str(column).startswith("list<element: struct<") else []
            assert subs == names
    for file in found["distribution"]:
        assert (DATASET / file["contentUrl"]).stat().st_size == int(file["contentSize"].split()[0])


def test_the_card_gives_the_rai_properties(corpus: Corpus) -> None:
    prose = (
        "# A\n\nFirst **words** of [it](x.md).\n\n<!-- rai:dataLimitations -->\nFive articles;\none event.\n\n"
        "- <!-- rai:dataCollection --> **Curation.** Found.\n- Other.\n\n<!-- rai:dataLimitations --> And `more`.\n"
    )
    found = made(corpus, prose, {})
    assert found["description"] == "First words of it."
    assert found["rai:dataLimitations"] == ["Five articles; one event.", "And more."]
    assert found["rai:dataCollection"] == "Curation. Found."
    assert not {"creator", "datePublished", "license", "citeAs"} & set(found)


def test_who_made_it_is_in_the_citation(corpus: Corpus) -> None:
    authors = [{"name": "The group"}, {"family-names": "Diaconu", "given-names": "Ana"}]
    citation = {"title": "T", "authors": authors, "date-released": "2030-01-02", "license": "CC-BY-4.0", "version": "1"}
    found = made(corpus, "Words.", citation)
    assert [one["name"] for one in found["creator"]] == ["The group", "Ana Diaconu"]
    assert found["license"] == ["https://spdx.org/licenses/CC-BY-4.0.html"]
    author = re.escape("author = {The group and Ana Diaconu}")
    assert re.search(author, found["citeAs"])


def test_the_baselines_predictions_fit_the_schema(corpus: Corpus) -> None:
    schema = json.loads((DATASET / "predictions.schema.json").read_text())
    assert schema == prediction_schema(corpus.scheme)
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    for document, found in baseline.predictions(corpus.documents, corpus):
        assert list(validator.iter_errors(record_of(document, baseline.MODEL, *found))) == []


@pytest.mark.parametrize(
    ("span", "path"),
    [
        ({"start": 0, "end": 3, "label": "PER"}, "label"),
        ({"start": -1, "end": 3, "label": "ACTOR"}, "start"),
        ({"start": 0, "end": 3.5, "label": "ACTOR"}, "end"),
        ({"start": 0, "label": "ACTOR"}, "0"),
        ({"start": 0, "end": 3, "label": "ACTOR", "attributes": {"kind": "planet"}}, "kind"),
        ({"start": 0, "end": 3, "label": "QUANTITY", "attributes": {"value_min": "many"}}, "value_min"),
    ],
)
def test_what_the_schema_refuses(corpus: Corpus, span: Json, path: str) -> None:
    validator = jsonschema.Draft202012Validator(prediction_schema(corpus.scheme))
    [error] = validator.iter_errors({"doc_id": "a", "spans": [span]})
    assert str(list(error.absolute_path)[-1]) == path


def test_fields_are_those_of_the_tables(corpus: Corpus) -> None:
    for config in tables.CONFIGS:
        paths = [field.path for field in tables.fields(config, corpus.scheme)]
        assert [path for path in paths if "[]" not in path] == list(tables.features(config, corpus.scheme))
        assert len(set(paths)) == len(paths)


def test_the_committed_description_names_only_files_of_the_release() -> None:
    found = json.loads((DATASET / "croissant.json").read_text())
    assert all((DATASET / file["contentUrl"]).is_file() for file in found["distribution"])
    assert all(Path(file["contentUrl"]).parts[0] in tables.CONFIGS for file in found["distribution"])
