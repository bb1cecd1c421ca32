"""Quotes aligned by langextract's resolver, for bench/grounding.py.

Reads texts with their quotes as JSON from standard input, writes spans and CPU seconds to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from importlib.metadata import version

from langextract.core.data import Extraction
from langextract.resolver import Resolver


def main() -> None:
    resolver = Resolver()
    spans: list[list[tuple[int, int] | None]] = []
    seconds = []
    for text, quotes in json.load(sys.stdin):
        extractions = [Extraction(extraction_class="quote", extraction_text=quote) for quote in quotes]
        start = time.process_time()
        aligned = list(resolver.align(extractions, text, token_offset=0))
        seconds.append(time.process_time() - start)
        intervals = [extraction.char_interval for extraction in aligned]
        spans.append([interval and (interval.start_pos, interval.end_pos) for interval in intervals])
    json.dump({"version": version("langextract"), "seconds": seconds, "spans": spans}, sys.stdout)


if __name__ == "__main__":
    main()
