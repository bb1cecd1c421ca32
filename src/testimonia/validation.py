"""Checks of a dataset: each config against its schema, the spans against text, scheme and language, the configs
against each other, the manifest and the card. Nothing here knows where the values came from."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from testimonia import tables
from testimonia.adjudication import PROVENANCES
from testimonia.checks import check_gold
from testimonia.claims import Claims, check_claims, claim_rows, claims_of, mention_rows
from testimonia.document import (
    Annotation,
    Document,
    Gold,
    Relation,
    Span,
    State,
    Zone,
    attributes_of,
    relation_id,
    span_id,
)
from testimonia.errors import Finding
from testimonia.language import Language
from testimonia.scheme import Scheme, column
from testimonia.screening import Screen
from testimonia.seeds import TRANSLATIONS, ZONES

Json = dict[str, Any]
FINDINGS = pa.schema([(name, pa.string()) for name in ("id", "severity", "place", "message")])
_MAY_BE_NULL = ("bound", "value_min", "value_max", "unit")  # of a mention that has no value


def check_schema(config: str, actual: pa.Schema, scheme: Scheme) -> list[Finding]:
    """Whether a Parquet schema is that of the config: columns, types, order, and the features for `datasets`."""
    expected = tables.schema(config, scheme)
    findings = []
    for name, count in Counter(actual.names).items():
        if count > 1:
            findings.append(Finding(f"{config}.{name}", "column-duplicate", f"there are {count} columns of this name"))
    for name in [name for name in expected.names if name not in actual.names]:
        findings.append(Finding(f"{config}.{name}", "column-missing", "the column is not there"))
    for name in [name for name in actual.names if name not in expected.names]:
        findings.append(Finding(f"{config}.{name}", "column-unknown", "the scheme has no such column"))
    if findings:
        return findings
    for field in expected:
        if actual.field(field.name).type != field.type:
            message = f"is {actual.field(field.name).type}, should be {field.type}"
            findings.append(Finding(f"{config}.{field.name}", "column-type", message))
    if actual.names != expected.names:
        findings.append(Finding(config, "column-order", f"columns are {actual.names}, should be {expected.names}"))
    metadata = actual.metadata or {}
    if metadata.get(b"huggingface") != (expected.metadata or {})[b"huggingface"]:
        message = "the `huggingface` key of the Parquet schema does not hold the features of the config"
        findings.append(Finding(config, "schema-features", message))
    return findings


def check_documents(batch: pa.RecordBatch, screen: Screen) -> pa.RecordBatch:
    """The findings (schema FINDINGS) on documents in rows of the config `documents`, in their order.

    Those of which the screen proves that nothing is wrong are not read as objects.
    """
    found: list[Finding] = []
    for row in batch.take(pa.array(np.flatnonzero(screen.suspects(batch)))).to_pylist():
        found += check_row(row, screen.scheme, screen.languages)
    return pa.RecordBatch.from_pylist([finding.as_json() for finding in found], schema=FINDINGS)


def findings_of(batch: pa.RecordBatch) -> list[Finding]:
    """The rows of FINDINGS as objects."""
    return [Finding(row["place"], row["id"], row["message"], row["severity"]) for row in batch.to_pylist()]


def check_row(row: Json, scheme: Scheme, languages: Mapping[str, Language]) -> list[Finding]:
    """Every finding on one document in a row of the config `documents`."""
    gold, findings = gold_of_row(row, scheme)
    return findings + (check_golds([gold], scheme, languages) if gold else [])


def check_ids(doc_ids: pa.ChunkedArray) -> list[Finding]:
    """Ids of documents that stand more than once."""
    counts = doc_ids.drop_null().value_counts()
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).to_pylist()
    message = "the id stands {} times; ids are unique"
    return [Finding(one["values"], "document-duplicate", message.format(one["counts"])) for one in twice]


def gold_of_row(row: Json, scheme: Scheme) -> tuple[Gold | None, list[Finding]]:
    """The document, spans and relations of a row of the config `documents`, and what cannot be read as such."""
    findings: list[Finding] = []
    null = [name for name in ("doc_id", "language", "text", "spans", "relations", "zones") if row[name] is None]
    null += [name for name in ("spans", "relations", "zones") if None in (row[name] or ())]
    null += ["zones" for zone in row["zones"] or () if zone and None in zone.values()][:1]
    if null:
        return None, [Finding(str(row["doc_id"]), "null", f"{', '.join(null)} is null or holds a null")]
    document = Document(
        doc_id=row["doc_id"],
        language=row["language"],
        text=row["text"],
        title=row["title"] or "",
        translation=row["translation"] or "unknown",
        fold=row["fold"] or 0,
        zones=tuple(Zone(zone["start"], zone["end"], zone["kind"]) for zone in row["zones"]),
    )
    for zone in document.zones:
        if not 0 <= zone.start < zone.end <= len(document.text) or zone.kind not in ZONES:
            message = f"[{zone.start}, {zone.end}) {zone.kind} leaves the text or is of no known kind"
            findings.append(Finding(document.doc_id, "zone", message))
    if document.translation not in TRANSLATIONS:
        findings.append(Finding(document.doc_id, "translation-unknown", f"translation is {document.translation!r}"))
    if row["text_sha256"] != document.text_sha256:
        findings.append(Finding(document.doc_id, "text-hash", "text_sha256 is not the hash of the text"))
    spans, found = _spans(document, row["spans"], scheme)
    findings += found
    relations, found = _read_relations(document, row["relations"], spans, scheme)
    findings += found
    words = {str(span["id"]): span["provenance"] for span in row["spans"]}
    for place, word in words.items():
        if word not in PROVENANCES:
            message = f"provenance is {word!r}, not one of {', '.join(PROVENANCES)}"
            findings.append(Finding(place, "provenance-unknown", message))
    provenance = tuple(words[place] for place in spans)
    return Gold(document, tuple(spans.values()), tuple(relations), provenance=provenance), findings


def _spans(document: Document, rows: list[Json], scheme: Scheme) -> tuple[dict[str, Span], list[Finding]]:
    findings: list[Finding] = []
    spans: dict[str, Span] = {}
    for row in rows:
        place = str(row["id"])
        if row["start"] is None or row["end"] is None or row["label"] not in range(len(scheme.labels)):
            findings.append(
                Finding(f"{document.doc_id}: {place}", "span-unreadable", "start, end or label is no number")
            )
            continue
        label = scheme.labels[row["label"]]
        own = {column(label.name, attribute.name): attribute.name for attribute in label.attributes}
        for name in scheme.columns:
            if row[name] is not None and name not in own:
                findings.append(Finding(place, "attribute-of-other-label", f"{name} is set on a {label.name}"))
        values = {attribute: row[name] for name, attribute in own.items()}
        span = Span(row["start"], row["end"], label.name, attributes_of(values))
        if row["text"] != document.text[max(span.start, 0) : max(span.end, 0)]:
            message = (
                f"text is {row['text']!r}, the document has {document.text[max(span.start, 0) : max(span.end, 0)]!r}"
            )
            findings.append(Finding(place, "span-text", message))
        if place != span_id(document.doc_id, span):
            findings.append(Finding(place, "span-id", f"the id should be {span_id(document.doc_id, span)}"))
        if place in spans:
            findings.append(Finding(place, "span-duplicate", "the id stands twice in the document"))
        spans[place] = span
    return spans, findings


def _read_relations(
    document: Document, rows: list[Json], spans: Mapping[str, Span], scheme: Scheme
) -> tuple[list[Relation], list[Finding]]:
    findings, relations = [], []
    for row in rows:
        missing = [end for end in (row["head"], row["tail"]) if end not in spans]
        if missing or row["label"] not in range(len(scheme.relations)):
            message = (
                f"joins {missing[0]!r}, which is no span" if missing else f"label {row['label']!r} is out of range"
            )
            findings.append(Finding(f"{document.doc_id}: {row['id']}", "relation-end", message))
            continue
        relation = Relation(scheme.relation_names[row["label"]], spans[row["head"]], spans[row["tail"]])
        if row["id"] != relation_id(document.doc_id, relation):
            expected = relation_id(document.doc_id, relation)
            findings.append(Finding(str(row["id"]), "relation-id", f"the id should be {expected}"))
        relations.append(relation)
    return relations, findings


def check_golds(golds: list[Gold], scheme: Scheme, languages: Mapping[str, Language]) -> list[Finding]:
    """The checks of every document's spans and relations."""
    findings = []
    for gold in golds:
        language = languages.get(gold.document.language)
        if language is None:
            message = f"language {gold.document.language!r} has no file under labeling/languages/"
            findings.append(Finding(gold.document.doc_id, "language-unknown", message))
            language = Language(gold.document.language)
        findings += check_gold(gold, scheme, language)
    return findings


def check_derived(config: str, first: int, rows: list[Json], expected: list[Json]) -> list[Finding]:
    """Whether rows of a derived config, from the number `first` on, are those that the documents give."""
    return _disagreement(config, "doc_id", rows, expected, first)


def _disagreement(config: str, key: str, rows: list[Json], expected: list[Json], first: int = 0) -> list[Finding]:
    """A finding on the first row that is not as expected."""
    for index, (actual, wanted) in enumerate(zip(rows, expected, strict=False)):
        if actual != wanted:
            names = ", ".join(name for name in wanted if actual.get(name) != wanted[name])
            message = f"{names} differ from what the documents give"
            return [Finding(f"{config} row {first + index} ({wanted[key]})", "config-disagrees", message)]
    if len(rows) != len(expected):
        message = f"has {len(rows)} rows, the documents give {len(expected)}"
        return [Finding(config, "config-disagrees", message)]
    return []


def annotations_of(rows: list[Json], golds: list[Gold], scheme: Scheme) -> tuple[list[Annotation], list[Finding]]:
    """The annotations in rows of the config of that name, and what does not fit the documents."""
    annotations = []
    documents = {gold.document.doc_id: gold.document for gold in golds}
    findings: list[Finding] = []
    for row in rows:
        null = [name for name, value in row.items() if value is None or (isinstance(value, list) and None in value)]
        if null:
            findings.append(
                Finding(f"annotations {row['doc_id']}", "null", f"{', '.join(null)} is null or holds a null")
            )
            continue
        if row["doc_id"] not in documents:
            findings.append(Finding(f"annotations {row['doc_id']}", "config-disagrees", "no such document"))
            continue
        if row["state"] not in get_args(State):
            findings.append(Finding(f"annotations {row['doc_id']}", "state-unknown", f"state is {row['state']!r}"))
        spans, found = _spans(documents[row["doc_id"]], row["spans"], scheme)
        findings += found
        relations, found = _read_relations(documents[row["doc_id"]], row["relations"], spans, scheme)
        findings += found
        who = row["annotator"], row["state"]
        annotations.append(Annotation(row["doc_id"], *who, tuple(spans.values()), tuple(relations), row["round"]))
    return annotations, findings


def check_others(
    annotations: list[Annotation], golds: list[Gold], scheme: Scheme, languages: Mapping[str, Language]
) -> list[Finding]:
    """The checks of annotations that are not themselves the gold: all of them warnings."""
    by_id = {gold.document.doc_id: gold for gold in golds}
    findings = []
    for annotation in annotations:
        gold = by_id.get(annotation.doc_id)
        if gold is None or (set(annotation.spans), set(annotation.relations)) == (set(gold.spans), set(gold.relations)):
            continue
        other = Gold(gold.document, annotation.spans, annotation.relations)
        where = f"{annotation.round}/{annotation.annotator}"
        findings += [
            Finding(f"{where}: {f.place}", f.id, f.message, "warning") for f in check_golds([other], scheme, languages)
        ]
    return findings


def check_claim_tables(
    claim_table: list[Json], mention_table: list[Json], golds: list[Gold], frame: Claims, scheme: Scheme
) -> list[Finding]:
    """The checks of the claims in rows of their two configs; `frame` has the types and labels that are allowed."""
    for config, rows in (("claims", claim_table), ("claim_mentions", mention_table)):
        for row in rows:
            null = [name for name, value in row.items() if value is None and name not in _MAY_BE_NULL]
            null += [name for name, value in row.items() if isinstance(value, list) and None in value]
            if null:
                message = f"{', '.join(null)} is null or holds a null"
                return [Finding(f"{config} {row['claim_id']}", "null", message)]
    claims = claims_of(claim_table, mention_table, frame)
    findings = check_claims(claims, golds)
    if not findings:
        for config, rows, wanted in (
            ("claims", claim_table, claim_rows(claims, golds)),
            ("claim_mentions", mention_table, mention_rows(claims, golds, scheme)),
        ):
            findings += _disagreement(config, "claim_id", rows, wanted)
    return findings


def check_manifest(manifest: Json, there: Mapping[str, Json]) -> list[Finding]:
    """Whether the manifest says of each config what is there: rows, content hash, and of each file its SHA-256."""
    findings = []
    configs = manifest.get("configs")
    configs = configs if isinstance(configs, dict) else {}
    for config in sorted(set(configs) | set(there)):
        said = configs.get(config)
        if not isinstance(said, dict) or config not in there:
            where = "the manifest" if config in there else "the folder"
            findings.append(Finding(f"manifest {config}", "manifest-disagrees", f"{where} does not have the config"))
            continue
        for key, value in there[config].items():
            if said.get(key) != value:
                findings.append(
                    Finding(f"manifest {config}", "manifest-disagrees", f"{key} is {said.get(key)}, found {value}")
                )
    return findings


def check_inputs(manifest: Json, inputs: Mapping[str, str], version: str) -> list[Finding]:
    """Whether a manifest was made from these inputs (SHA-256 by file) and carries this version."""
    said = manifest.get("inputs")
    said = said if isinstance(said, dict) else {}
    findings = [
        Finding(name, "input-changed", "is not what the dataset was made from; run `testimonia export-gold`")
        for name in sorted({*said, *inputs})
        if said.get(name) != inputs.get(name)
    ]
    if manifest.get("version") != version:
        message = f"version is {manifest.get('version')}, rounds.toml says {version}"
        findings.append(Finding("manifest", "manifest-disagrees", message))
    return findings


def check_card(header: Json, manifest: Json, scheme: Scheme) -> list[Finding]:
    """Whether the YAML header of the card agrees with manifest and scheme."""
    findings = []
    if str(header.get("version")) != str(manifest.get("version")):
        message = f"version is {header.get('version')}, the manifest says {manifest.get('version')}"
        findings.append(Finding("card", "card-disagrees", message))
    listed = header.get("dataset_info")
    listed = [info for info in listed if isinstance(info, dict)] if isinstance(listed, list) else []
    infos = {str(info.get("config_name")): info for info in listed}
    configs = manifest.get("configs")
    for config, said in configs.items() if isinstance(configs, dict) else ():
        info = infos.get(config) or {}
        splits = info.get("splits")
        listed = [split for split in splits if isinstance(split, dict)] if isinstance(splits, list) else []
        sizes = {split.get("name"): split.get("num_examples") for split in listed}
        files = [file for file in tables.files_of(said) if isinstance(file, dict)] if isinstance(said, dict) else []
        rows = {tables.split_of(str(file.get("file"))): file.get("rows") for file in files}
        if sizes != rows:
            message = f"num_examples is {sizes}, the manifest says {rows}"
            findings.append(Finding(f"card {config}", "card-disagrees", message))
        if config not in tables.CONFIGS:
            continue
        expected = tables.yaml_features(tables.features(config, scheme))
        if json.dumps(info.get("features"), default=str) != json.dumps(expected):
            findings.append(Finding(f"card {config}", "card-disagrees", "features are not those of the scheme"))
    return findings
