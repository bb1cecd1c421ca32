"""The dataset card: prose by hand, blocks between markers made from the data, and the YAML header for the Hub."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from testimonia import tables
from testimonia.adjudication import PROVENANCES
from testimonia.agreement import Agreement
from testimonia.audit import Audit, estimate_text, summary
from testimonia.claims import MARKS, Claims, claim_rows
from testimonia.document import Annotation, Gold
from testimonia.errors import InputError
from testimonia.language import Language
from testimonia.report import show
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


def header(card_header: Json, version: str, scheme: Scheme, files: Mapping[str, Sequence[Json]]) -> str:
    """The YAML header that the Hub and `load_dataset` read: hand-written keys, configs and features.

    `files`: of each config those of its splits, as the manifest has them.
    """
    configs = [
        {
            "config_name": config,
            **({"default": True} if config == tables.CONFIGS[0] else {}),
            "data_files": [
                {"split": (split := tables.split_of(one["file"])), "path": f"{config}/{split}-*.parquet"}
                for one in some
            ],
        }
        for config, some in files.items()
    ]
    infos = [
        {
            "config_name": config,
            "features": tables.yaml_features(tables.features(config, scheme)),
            "splits": [
                {"name": tables.split_of(one["file"]), "num_bytes": one["bytes"], "num_examples": one["rows"]}
                for one in some
            ],
            "download_size": sum(one["bytes"] for one in some),
            "dataset_size": sum(one["bytes"] for one in some),
        }
        for config, some in files.items()
    ]
    return written_header(card_header | {"version": version, "configs": configs, "dataset_info": infos})


def written_header(values: Json) -> str:
    """A header as it stands at the top of a card."""
    text = yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{text}---\n"


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias, of which a few can stand for more than fits in memory")
        return super().compose_node(parent, index)


def read_yaml(text: str, place: str) -> Any:
    """What stands in YAML without aliases. Raises InputError."""
    try:
        return _Loader(text).get_single_data()
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{place}: is not YAML: {error}; mend it") from None


def split_header(card: str) -> tuple[Json, str]:
    """The YAML header of a card and the text after it. Raises InputError."""
    match = re.match(r"---\n(.*?\n)---\n", card, re.DOTALL)
    values = read_yaml(match[1], "the card's header") if match else None
    if match is None or not isinstance(values, dict):
        raise InputError("the card has no YAML header between --- lines; add one")
    return values, card[match.end() :]


def blocks(
    scheme: Scheme,
    languages: Mapping[str, Language],
    golds: Sequence[Gold],
    annotations: Sequence[Annotation],
    claims: Claims,
    agreements: Mapping[str, Agreement],
    audits: Mapping[str, Audit],
) -> dict[str, str]:
    """Every generated block by name, tables and newlines; agreements by round and audits by name, in their order."""
    return {
        "documents": _documents(golds),
        "spans": _spans(scheme, golds),
        "attributes": _attributes(scheme, golds),
        "relations": _relations(scheme, golds),
        "provenance": _provenance(scheme, golds),
        "annotators": _annotators(annotations),
        "agreement": _agreement(agreements),
        "pairs": _pairs(agreements),
        "audits": _audits(audits),
        "claims": _claims(claims, golds),
        "token-edges": _token_edges(scheme, languages, golds),
        "columns": _columns(scheme),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; bars and line ends in cells are escaped."""
    lines = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, *rows]]
    lines.insert(1, ["---"] * len(head))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _said(text: str) -> str:
    """Words of annotators or of an article's entry, so that they mean nothing to Markdown or HTML; bars see `table`."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", html.escape(text, quote=False))


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
            _said(g.document.rights) or "not known",
        )
        for g in golds
    ]
    head = ["document", "language", "translation", "code points", "spans", "relations", "fold", "rights in the text"]
    return table(head, rows)


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
        rows.append([*map(_said, key), states["submitted"], states["skipped"], states["draft"], spans])
    return table(["round", "annotator", "submitted", "skipped", "drafts", "spans submitted"], rows)


def _agreement(agreements: Mapping[str, Agreement]) -> str:
    rows = []
    for name, agreement in agreements.items():
        figures = agreement.figures
        groups = [("all", figures["overall"]), *figures["by_label"].items()]
        for what, found in groups:
            strict, partial = found["span_f1"]["strict"], found["span_f1"]["partial"]
            rows.append([name, what, show(strict), show(partial), show(found["alpha_u"])])
        for what, found in [("relations", figures["overall"]["relation_f1"])] + [
            (what, found["f1"]) for what, found in figures["by_relation"].items()
        ]:
            rows.append([name, what, show(found), "", ""])
        for what, found in figures["attributes"].items():
            kept = f"{found['agreed']} of {found['compared']} equal, alpha {show(found['alpha'])}"
            rows.append([name, f"`{what}`", kept, "", ""])
    return table(["round", "what", "F1 strict", "F1 partial", "alpha_U"], rows)


def _pairs(agreements: Mapping[str, Agreement]) -> str:
    names = list(dict.fromkeys(name for a in agreements.values() for name in a.figures["by_label"]))
    rows = []
    for round_id, agreement in agreements.items():
        for pair, found in agreement.figures["by_pair"].items():
            for mode in ("strict", "partial"):
                own = [show(found["by_label"][name]["span_f1"][mode]) for name in names]
                rows.append([round_id, pair, mode, show(found["span_f1"][mode]), *own])
    return table(["round", "readers", "F1", "all", *names], rows)


def _audits(audits: Mapping[str, Audit]) -> str:
    rows = []
    for name, audit in audits.items():
        said = summary(audit)
        for who, own in said["by"].items():
            planted = f"{own['recalled']} of {own['planted']}" if own["planted"] is not None else ""
            rows.append([name, who, planted, own["candidates"], own["confirmed"], "", "", ""])
        estimates = [
            estimate_text(said[key]["value"], said[key]["ci95"])
            for key in ("capture_recapture", "by_recall", "residual")
        ]
        rows.append([name, "all", "", said["candidates"], said["confirmed"], *estimates])
    head = ["audit", "by", "planted errors found", "candidates", "confirmed errors"]
    return table([*head, "left by capture-recapture", "left by recall", "left, at least"], rows)


def _claims(claims: Claims, golds: Sequence[Gold]) -> str:
    rows = []
    for claim, row in zip(claims.claims, claim_rows(claims, golds), strict=True):
        marks = Counter(mark.mark for mark in claim.marks)
        counts = [marks[mark] for mark in MARKS]
        rows.append(
            [
                f"`{claim.id}`",
                _said(claim.type),
                _said(claim.gloss),
                ", ".join(row["languages"]),
                len(claim.mentions),
                *counts,
            ]
        )
    return table(["claim", "type", "gloss", "languages", "mentions", *MARKS], rows)


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
    told: set[str] = set()  # fields in lists, which are the same wherever they stand
    for config in tables.CONFIGS:
        for one in tables.fields(config, scheme):
            if one.path not in told:
                rows.append([config, f"`{one.path}`", _feature(one.feature), one.description])
            told |= {one.path} if "[]" in one.path else set()
    return table(["config", "field", "type", "what it says"], rows)


def _feature(feature: tables.Feature) -> str:
    if isinstance(feature, str):
        return feature
    if isinstance(feature, dict):
        return "struct"
    if feature[0] == "class":
        return f"ClassLabel({', '.join(feature[1])})"
    return f"list of {_feature(feature[1])}s" if isinstance(feature[1], dict) else f"list of {_feature(feature[1])}"
