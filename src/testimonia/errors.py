"""What goes wrong, and what a check finds.

    TestimoniaError          message: "where: what is wrong; what to do"
    ├── InputError           a file or value that a user gave
    ├── StudioError          Label Studio is absent, too old, refuses, or does not answer
    ├── HubError             the Hugging Face Hub refuses, does not answer, or has what may not be changed
    └── FindingsError        a step that must not go on with errors; carries the findings

A `Finding` is what a check yields: it knows no file, its id is permanent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]
LONGEST = 4000  # code points of a message on a terminal


def plain(text: str) -> str:
    """Text in one line that does nothing to a terminal: what is not printable becomes a dot, far too much is cut."""
    text = text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"
    return "".join(character if character.isprintable() else "·" for character in " ".join(text.split()))


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One result of a check: where it is, what it is, and how bad. `id` is kebab-case and never renamed."""

    place: str
    id: str
    message: str
    severity: Severity = "error"

    def as_json(self) -> dict[str, str]:
        """The record that `--json` prints."""
        return {"id": self.id, "severity": self.severity, "place": self.place, "message": self.message}

    def __str__(self) -> str:
        return plain(f"{self.severity}: {self.place}: {self.message} [{self.id}]")


class TestimoniaError(Exception):
    """Base of every error that is a user's to mend; the command line prints it and exits with 2."""

    __test__ = False


class InputError(TestimoniaError):
    """A file or value given by the user cannot be used."""


class StudioError(TestimoniaError):
    """Label Studio cannot be reached, refuses, or does not hold what it should."""


class HubError(TestimoniaError):
    """The Hugging Face Hub cannot be reached, refuses, or has something that may not be changed."""


class FindingsError(TestimoniaError):
    """Findings of severity error stand in the way; nothing was written."""

    def __init__(self, message: str, findings: Sequence[Finding]) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


def errors_among(findings: Iterable[Finding]) -> list[Finding]:
    """The findings of severity error."""
    return [finding for finding in findings if finding.severity == "error"]
