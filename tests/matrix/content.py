"""The hash of a release's rows, as its manifest has it; needs nothing but Python."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def content_sha256(rows: list[Any]) -> str:
    """Hex SHA-256 of rows as canonical JSON lines, sorted."""
    lines = sorted(json.dumps(row, ensure_ascii=False, sort_keys=True, separators=(",", ":")) for row in rows)
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()
