"""The main job from end to end, on a server of its own and a copy of the corpus."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testimonia import server
from testimonia.corpus import Corpus, read_corpus
from testimonia.document import SPLITS
from testimonia.errors import Finding, FindingsError, InputError, errors_among
from testimonia.files import read_json, write_json
from testimonia.release import CARD, MANIFEST, export_gold, validate_dataset
from testimonia.rounds import read_round
from testimonia.studio import Studio, quiet
from testimonia.transfer import adjudicate, load_seeds, pull_annotations

Say = Callable[[str], None]
SHOWN = 10
MARKER = ".testimonia-demo"


def run_demo(folder: Path, work: Path, say: Say) -> None:
    """Loads, pulls, exports, validates, compares and shows; the corpus itself is only read.

    Raises FindingsError where the rebuilt dataset has errors or is not the committed one.
    """
    committed = read_json(folder / "dataset" / MANIFEST)
    if not isinstance(committed, dict) or not {"content_sha256", "configs"} <= set(committed):
        raise InputError(f"{folder / 'dataset' / MANIFEST}: is no manifest; restore it")
    if work.exists() and not (work / MARKER).is_file() and any(work.iterdir()):
        raise InputError(f"{work}: is not empty and not of an earlier demo; give another folder with --work")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    (work / MARKER).touch()
    for name in ("seeds", "labeling"):
        shutil.copytree(folder / name, work / name)
    shutil.copy2(folder / CARD, work / CARD)
    corpus = read_corpus(work)
    say("starting a Label Studio of its own (the first start takes up to two minutes)")
    with server.running(work / "home") as one, Studio(one.address) as studio:
        for released in corpus.released:
            if released.kind == "adjudication":
                loaded = adjudicate(corpus, studio, released, True, quiet).loaded
            else:
                loaded = load_seeds(corpus, studio, released, True, quiet)
            say(f"{released.id}: loaded {loaded.new} articles with {loaded.annotations} annotations")
            drafts = {doc_id: task.get("drafts") for doc_id, task in read_round(corpus.exports / released.id).items()}
            for path in (corpus.exports / released.id).glob("*.json"):
                path.unlink()
            pulled = pull_annotations(corpus, studio, released, work / "home", quiet)
            for doc_id, task in read_round(corpus.exports / released.id).items():  # drafts cannot be imported
                if drafts.get(doc_id):
                    write_json(corpus.exports / released.id / f"{doc_id}.json", task | {"drafts": drafts[doc_id]})
            say(f"{released.id}: pulled {len(pulled.new)} articles back")
    say("server stopped")
    made = export_gold(corpus)
    findings = validate_dataset(corpus.dataset, corpus)
    if errors_among(findings):
        raise FindingsError(f"{corpus.dataset}: the rebuilt dataset has errors", findings)
    say(f"exported and validated: {made.manifest['counts']}, {len(findings)} warnings")
    same = _differences(committed, made.manifest)
    if same:
        raise FindingsError("the rebuilt dataset is not the committed one", same)
    say(f"same content as the committed dataset: {made.manifest['content_sha256']}")
    _show(corpus, say)


def _differences(committed: dict[str, Any], rebuilt: dict[str, Any]) -> list[Finding]:
    if committed["content_sha256"] == rebuilt["content_sha256"]:
        return []
    old, new = committed["configs"], rebuilt["configs"]
    return [
        Finding(name, "content-differs", f"committed {old.get(name)}, rebuilt {new.get(name)}")
        for name in sorted({*old, *new})
        if (old.get(name) or {}).get("content_sha256") != (new.get(name) or {}).get("content_sha256")
    ]


def _show(corpus: Corpus, say: Say) -> None:
    """Ten spans per language, as `load_dataset` gives them."""
    import datasets

    datasets.disable_progress_bars()
    cache = str(corpus.folder / "cache")
    documents = datasets.load_dataset(str(corpus.dataset), split=_split(corpus), cache_dir=cache)
    names = documents.features["spans"]
    names = (names[0] if isinstance(names, list) else names.feature)["label"].names
    for language in sorted(set(documents["language"])):
        say(f"\n{language}  {'label':9} {'offsets':>11}  text · attributes")
        rows = [(row, span) for row in documents if row["language"] == language for span in row["spans"]]
        step = max(1, len(rows) // SHOWN)
        for row, span in rows[::step][:SHOWN]:
            own = {name: span[name] for name in corpus.scheme.columns if span[name] is not None}
            offsets = f"{span['start']}-{span['end']}"
            attributes = " ".join(f"{name.partition('_')[2]}={value}" for name, value in own.items())
            text = f"\u2068{span['text']}\u2069"  # keeps a right-to-left text from reordering the line
            say(f"{row['doc_id']:>4} {names[span['label']]:9} {offsets:>10}  {text} · {attributes}")


def _split(corpus: Corpus) -> str:
    """All splits together."""
    return "+".join(split for split in SPLITS if split in {document.split for document in corpus.documents})
