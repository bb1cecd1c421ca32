"""testimonia: who acts, how many, for or against, according to whom."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testimonia.metric import SpanMetric as SpanMetric
    from testimonia.scoring import score as score

__version__ = "0.1.0"

_HOMES = {"score": "testimonia.scoring", "SpanMetric": "testimonia.metric"}


def __getattr__(name: str) -> object:
    """What is public here lives elsewhere and is imported when it is first asked for."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'testimonia' has no attribute {name!r}")
