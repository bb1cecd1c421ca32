from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from testimonia.corpus import Corpus
from testimonia.errors import InputError
from testimonia.label_config import PROPOSED, render_label_config
from testimonia.release import check_label_config
from testimonia.scheme import read_scheme


def test_the_committed_label_config_is_made_from_the_scheme(corpus: Corpus) -> None:
    assert check_label_config(corpus) == []


def test_every_label_attribute_relation_and_entity_is_in_the_label_config(corpus: Corpus) -> None:
    tree = ET.fromstring(render_label_config(corpus.scheme))
    assert [e.get("value") for e in tree.iter("Label")] == corpus.scheme.label_names
    assert [e.get("value") for e in tree.iter("Relation")] == corpus.scheme.relation_names
    controls = {e.get("name"): e for e in tree.iter() if e.get("perRegion")}
    assert [name for name in controls if not str(name).endswith(PROPOSED)] == list(corpus.scheme.columns)
    for name, (_, attribute) in corpus.scheme.columns.items():
        if attribute.type == "choice":
            assert [e.get("value") for e in controls[name]] == list(attribute.values)
        if attribute.type == "entity":
            assert [e.get("alias") for e in controls[name]] == list(corpus.scheme.registries[attribute.registry])
    keys = [e.get("hotkey") for e in tree.iter() if e.get("hotkey")]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('hotkey = "2"', 'hotkey = "1"', "hotkey '1' stands 2 times"),
        ('color = "#0072B2"', 'color = "blue"', "color = 'blue' is not #RRGGBB"),
        ('name = "unit"', 'name = "bound"', "attribute 'bound' stands 2 times"),
        ('heads = ["STANCE"]', 'heads = ["STANZA"]', "heads holds 'STANZA'"),
        ('unless = "holder"', 'unless = "owner"', "unless = 'owner' is no relation"),
        ('type = "number"', 'type = "float"', "type = 'float' is not one of"),
        ('registry = "actors.toml"', 'registry = "none.toml"', "none.toml: does not exist"),
        ("max_tokens = 6", "maxtokens = 6", "unknown key 'maxtokens'"),
        ("max_tokens = 6", 'max_tokens = "6"', "is not a whole number"),
        ('pattern = "second', 'pattern = "(second', "is no regular expression"),
        ('forbid = ["value_max"]', 'forbid = ["value"]', "forbid holds 'value'"),
    ],
)
def test_a_scheme_with_a_mistake_names_it(copy: Path, old: str, new: str, message: str) -> None:
    path = copy / "labeling" / "scheme.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        read_scheme(path)


def test_a_registry_with_a_mistake_names_it(copy: Path) -> None:
    path = copy / "labeling" / "actors.toml"
    path.write_text(path.read_text() + '\n[[entity]]\nid = "state-ru"\nkind = "state"\n')
    with pytest.raises(InputError, match="entity state-ru: stands twice"):
        read_scheme(copy / "labeling" / "scheme.toml")


def test_an_id_proposed_for_an_entity_is_no_other_entity(copy: Path) -> None:
    path = copy / "labeling" / "actors.toml"
    path.write_text(path.read_text() + '\n[[entity]]\nid = "rossiya"\nkind = "state"\nproposed = ["state-ru"]\n')
    with pytest.raises(InputError, match="'state-ru' stands 2 times among ids and proposed ids"):
        read_scheme(copy / "labeling" / "scheme.toml")


def test_names_in_the_registry_occur_where_they_were_seen(corpus: Corpus) -> None:
    texts = {document.doc_id: document for document in corpus.documents}
    for entity in corpus.scheme.registries["actors.toml"].values():
        for language, names in entity.names.items():
            for name, seen in names.items():
                for doc_id in seen:
                    assert name in texts[doc_id].text
                    assert texts[doc_id].language == language
