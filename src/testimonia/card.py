"""The dataset card: prose by hand, blocks between markers made from the data, and the YAML header for the Hub."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from testimonia import tables
from testimonia.adjudication import PROVENANCES
from testimonia.document import Annotation, Gold
from testimonia.errors import InputError
from testimonia.language import Language
from testimonia.scheme import Attribute, Scheme

Json = dict[str, Any]

_BLOCK = re.compile(r"(<!-- begin (?P<name>[a-z-]+) -->\n)(?P<body>.*?)(<!-- end (?P=name) -->)", re.DOTALL)


def render_card(card: str, blocks: Mapping[str, str]) -> str:
    """The card with each block `<!-- begin NAME -->` ... `<!-- end NAME -->` filled. Raises InputError."""
    names = [match["name"] for match in _BLOCK.finditer(card)]
    if sorted(names) != sorted(blocks):
        wanted = ", ".join(sorted(blocks))
        raise InputError(f"DATASET_CARD.md: has the blocks {', '.join(names) or 'none'}; it needs {wanted}, each once")
    return _BLOCK.sub(lambda match: f"{match[1]}{blocks[match['name']]}{match[4]}", card)


def header(card_header: Json, version: str, scheme: Scheme, sizes: Mapping[str, int], bytes_: Mapping[str, int]) -> str:
    """The YAML header that the Hub and `load_dataset` read: hand-written keys, configs and features."""
    configs = [
        {
            "config_name": config,
            **({"default": True} if config == tables.CONFIGS[0] else {}),
            "data_files": [{"split": tables.SPLIT, "path": f"{config}/{tables.SPLIT}-*.parquet"}],
        }
        for config in sizes
    ]
    infos = [
        {
            "config_name": config,
            "features": tables.yaml_features(tables.features(config, scheme)),
            "splits": [{"name": tables.SPLIT, "num_bytes": bytes_[config], "num_examples": sizes[config]}],
            "download_size": bytes_[config],
            "dataset_size": bytes_[config],
        }
        for config in sizes
    ]
    values = card_header | {"version": version, "configs": configs, "dataset_info": infos}
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True


def split_header(card: str) -> tuple[Json, str]:
    """The YAML header of a card and the text after it. Raises InputError."""
    match = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    try:
        values = yaml.safe_load(match[1]) if match else None
    except yaml.YAMLError as error:
        raise InputError(f"the card's header is not YAML: {error}; mend it") from None
    if match is None or not isinstance(values, dict):
        raise InputError("the card has no YAML header between --- lines; add one")
    return values, card[match.end() :]


def blocks(
    scheme: Scheme,
    languages: Mapping[str, Language],
    golds: Sequence[Gold],
    annotations: Sequence[Annotation],
) -> dict[str, str]:
    """Every generated block by name, each a table and a newline."""
    return {
        "documents": _documents(golds),
        "spans": _spans(scheme, golds),
        "attributes": _attributes(scheme, golds),
        "relations": _relations(scheme, golds),
        "provenance": _provenance(scheme, golds),
        "annotators": _annotators(annotations),
        "token-edges": _token_edges(scheme, languages, golds),
        "columns": _columns(scheme),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars and line ends in cells are escaped."""
    lines = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, *rows]]
    lines.insert(1, ["---"] * len(head))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _documents(golds: Sequence[Gold]) -> str:
    rows = [
        (
            g.document.doc_id,
            g.document.language,
            g.document.translation,
            len(g.document.text),
            len(g.spans),
            len(g.relations),
            g.document.fold,
        )
        for g in golds
    ]
    return table(["document", "language", "translation", "code points", "spans", "relations", "fold"], rows)


def _spans(scheme: Scheme, golds: Sequence[Gold]) -> str:
    codes = sorted({g.document.language for g in golds})
    counts = Counter((g.document.language, span.label) for g in golds for span in g.spans)
    rows: list[list[object]] = []
    for label in scheme.labels:
        row = [counts[code, label.name] for code in codes]
        rows.append([label.name, label.description, *row, sum(row)])
    totals = [sum(counts[code, label.name] for label in scheme.labels) for code in codes]
    rows.append(["all", "", *totals, sum(totals)])
    return table(["label", "what it is", *codes, "all"], rows)


def _attributes(scheme: Scheme, golds: Sequence[Gold]) -> str:
    counts = Counter((s.label, name, value) for g in golds for s in g.spans for name, value in s.attributes)
    rows = []
    for label, attribute in scheme.columns.values():
        values = ", ".join(f"{v} {counts[label.name, attribute.name, v]}" for v in attribute.values)
        filled = sum(n for (name, attr, _), n in counts.items() if (name, attr) == (label.name, attribute.name))
        rows.append([f"{label.name}.{attribute.name}", _type(attribute), filled, values or attribute.description])
    return table(["attribute", "type", "filled", "values with their counts"], rows)


def _type(attribute: Attribute) -> str:
    return attribute.type + (", required" if attribute.required else "")


def _relations(scheme: Scheme, golds: Sequence[Gold]) -> str:
    counts = Counter(relation.label for g in golds for relation in g.relations)
    rows = [
        [
            r.name,
            r.description,
            f"{' or '.join(r.heads)} → {' or '.join(r.tails)}",
            f"0..{r.max or 'n'}",
            counts[r.name],
        ]
        for r in scheme.relations
    ]
    return table(["relation", "what it says", "head → tail", "tails", "count"], rows)


def _provenance(scheme: Scheme, golds: Sequence[Gold]) -> str:
    found = Counter(
        (span.label, word) for gold in golds for span, word in zip(gold.spans, gold.provenance, strict=True)
    )
    head = ["label", *PROVENANCES]
    return table(head, [(name, *(found[name, word] for word in PROVENANCES)) for name in scheme.label_names])


def _annotators(annotations: Sequence[Annotation]) -> str:
    keys = sorted({(a.round, a.annotator) for a in annotations})
    rows = []
    for key in keys:
        own = [a for a in annotations if (a.round, a.annotator) == key]
        states = Counter(a.state for a in own)
        spans = sum(len(a.spans) for a in own if a.state == "submitted")
        rows.append([*key, states["submitted"], states["skipped"], states["draft"], spans])
    return table(["round", "annotator", "submitted", "skipped", "drafts", "spans submitted"], rows)


def _token_edges(scheme: Scheme, languages: Mapping[str, Language], golds: Sequence[Gold]) -> str:
    off: Counter[str] = Counter()
    crossing: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for gold in golds:
        language, text = languages[gold.document.language], gold.document.text
        sentences = language.sentences(text)
        tokens = [language.tokens(text, start, end) for start, end in sentences]
        edges = {edge for sentence in tokens for token in sentence for edge in token}
        for span in gold.spans:
            total[span.label] += 1
            off[span.label] += span.start not in edges or span.end not in edges
            crossing[span.label] += not any(start <= span.start and span.end <= end for start, end in sentences)
        for label in scheme.label_names:
            own = [span for span in gold.spans if span.label == label]
            kept = sum(tables.iob2(sentence, own).count(1) for sentence in tokens)
            lost[label] += len(own) - kept
    rows = [[name, total[name], off[name], crossing[name], lost[name]] for name in scheme.label_names]
    return table(["label", "spans", "not on token edges", "crossing a sentence", "not in the tags"], rows)


def _columns(scheme: Scheme) -> str:
    rows: list[list[object]] = []
    for config in tables.CONFIGS:
        for name, feature in tables.features(config, scheme).items():
            rows.append([config, f"`{name}`", _feature(feature)])
    return table(["config", "column", "type"], rows)


def _feature(feature: tables.Feature) -> str:
    if isinstance(feature, str):
        return feature
    if isinstance(feature, dict):
        return "{" + ", ".join(f"{name}: {_feature(inner)}" for name, inner in feature.items()) + "}"
    if feature[0] == "class":
        return f"ClassLabel({', '.join(feature[1])})"
    return f"list of {_feature(feature[1])}"
