"""The Croissant 1.1 description of a dataset, with its RAI (responsible AI) properties.

Sources: MLCommons, Croissant Format Specification 1.1; Croissant RAI Specification 1.0. A list of structs is a
repeated field with sub-fields that are taken from the column by a JSON path: declared otherwise it validates, but
cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from testimonia import tables
from testimonia.scheme import Scheme

Json = dict[str, Any]
CONFORMS = ["http://mlcommons.org/croissant/1.1", "http://mlcommons.org/croissant/RAI/1.0"]
_TYPES = {"string": "sc:Text", "int64": "sc:Integer", "float64": "sc:Float"}
# A paragraph or list item of the card that an RAI property is taken from: <!-- rai:dataBiases --> before it.
_RAI = re.compile(r"<!-- rai:(?P<name>[A-Za-z]+) -->\s*(?P<text>.*?)(?=\n\s*\n|\n *(?:-|\d+\.) |<!--|\Z)", re.DOTALL)
# fmt: off
_NAMES = (
    "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field", "fileObject",
    "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath", "key", "md5",
    "parentField", "path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate", "separator",
    "source", "subField", "transform",
)
# fmt: on
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "description": {"@container": "@language"},
    "name": {"@container": "@language"},
} | {name: f"cr:{name}" for name in _NAMES}


def croissant(scheme: Scheme, manifest: Json, card_header: Json, prose: str, citation: Mapping[str, Any]) -> Json:
    """The description of the release that a manifest lists.

    Args:
        scheme: of the corpus.
        manifest: of the release; its `configs` give files, sizes and sums.
        card_header: hand-written keys of the card: languages, tags, pretty_name.
        prose: the card's text; what follows `<!-- rai:NAME -->` becomes the property `rai:NAME`.
        citation: CITATION.cff as read, for authors, date and licences; may be empty.
    """
    configs = manifest["configs"]
    head: Json = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS,
        "name": manifest["name"],
        "description": _first_paragraph(prose),
        "version": manifest["version"],
        "inLanguage": card_header.get("language", []),
        "keywords": card_header.get("tags", []),
        "isLiveDataset": False,
    }
    head |= dict(_from_citation(citation, str(manifest["name"])))
    named = [
        (config, config if len(files) == 1 else f"{config}-{tables.split_of(file['file'])}", file)
        for config, entry in configs.items()
        for files in [tables.files_of(entry)]
        for file in files
    ]
    files = [
        {
            "@type": "cr:FileObject",
            "@id": f"{name}.parquet",
            "name": f"{name}.parquet",
            "description": tables.ABOUT[config],
            "contentUrl": file["file"],
            "contentSize": f"{file['bytes']} B",
            "encodingFormat": "application/x-parquet",
            "sha256": file["sha256"],
        }
        for config, name, file in named
    ]
    records = [_record_set(config, name, scheme) for config, name, _ in named]
    return head | dict(_rai(prose)) | {"distribution": files, "recordSet": records}


def _record_set(config: str, name: str, scheme: Scheme) -> Json:
    """The rows of a file: of a config, or of a split of one."""
    described = {field.path: field for field in tables.fields(config, scheme)}
    keys = {"documents": "doc_id", "spans": "id", "relations": "id", "claims": "claim_id"}
    keyed = {"key": {"@id": f"{name}/{keys[config]}"}} if config in keys else {}
    fields = [_field(name, path, described) for path in described if "[]" not in path]
    head = {"@type": "cr:RecordSet", "@id": name, "name": name, "description": tables.ABOUT[config]}
    return head | keyed | {"field": fields}


def _field(name: str, path: str, described: Mapping[str, tables.Field]) -> Json:
    field = described[path]
    column, _, inner = path.partition("[].")
    source: Json = {"fileObject": {"@id": f"{name}.parquet"}, "extract": {"column": column}}
    if inner:
        source["transform"] = {"jsonPath": inner}
    feature, found = field.feature, {"@type": "cr:Field", "@id": f"{name}/{path.replace('[].', '/')}"}
    found |= {"name": found["@id"], "description": _description(field)}
    if isinstance(feature, tuple) and feature[0] == "list":
        if isinstance(feature[1], dict):
            subs = [_field(name, f"{path}[].{inner}", described) for inner in feature[1]]
            return found | {"repeated": True, "source": source, "subField": subs}
        return found | {"dataType": _data_type(feature[1]), "repeated": True, "source": source}
    return found | {"dataType": _data_type(feature), "source": source}


def _data_type(feature: tables.Feature) -> str:
    return _TYPES[feature] if isinstance(feature, str) else "sc:Integer"


def _description(field: tables.Field) -> str:
    feature = field.feature
    while isinstance(feature, tuple) and feature[0] == "list":
        feature = feature[1]
    if isinstance(feature, tuple):
        return f"{field.description} ({', '.join(f'{number} {name}' for number, name in enumerate(feature[1]))})"
    return field.description


def _first_paragraph(prose: str) -> str:
    paragraphs = [part.strip() for part in prose.split("\n\n")]
    return _plain(next((part for part in paragraphs if part and not part.startswith(("#", "<!--"))), ""))


def _plain(text: str) -> str:
    """A paragraph of Markdown without emphasis, link targets and line ends."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return " ".join(re.sub(r"\*\*|`|^(?:-|\d+\.) ", "", text).split())


def _rai(prose: str) -> Iterator[tuple[str, str | list[str]]]:
    """RAI properties in the order in which they first stand; of several texts for one, a list."""
    found: dict[str, list[str]] = {}
    for match in _RAI.finditer(prose):
        found.setdefault(f"rai:{match['name']}", []).append(_plain(match["text"]))
    for name, texts in found.items():
        yield name, texts[0] if len(texts) == 1 else texts


def _from_citation(citation: Mapping[str, Any], name: str) -> Iterator[tuple[str, Any]]:
    """Creator, date, licence and how to cite, as far as CITATION.cff gives them."""
    authors = [_author(one) for one in citation.get("authors", [])]
    if authors:
        yield "creator", authors
    date = str(citation.get("date-released", ""))
    if date:
        yield "datePublished", date
    licences = citation.get("license", [])
    if licences:
        listed = [licences] if isinstance(licences, str) else list(licences)
        yield "license", [f"https://spdx.org/licenses/{one}.html" for one in listed]
    if citation.get("title"):
        who = " and ".join(one["name"] for one in authors)
        key = f"{name}-{citation.get('version', '')}".rstrip("-")
        fields = [
            ("title", citation["title"]),
            ("author", who),
            ("year", date[:4]),
            ("version", citation.get("version")),
        ]
        body = ", ".join(f"{field} = {{{value}}}" for field, value in fields if value)
        yield "citeAs", f"@misc{{{key}, {body}}}"


def _author(one: Mapping[str, Any]) -> Json:
    if "name" in one:
        return {"@type": "sc:Organization", "name": one["name"]}
    name = " ".join(str(one[key]) for key in ("given-names", "name-particle", "family-names") if one.get(key))
    return {"@type": "sc:Person", "name": name}
