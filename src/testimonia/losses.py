"""What would be lost if a pull took what Label Studio has for what is in the export here."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from testimonia.errors import Finding
from testimonia.history import annotator, changed_at, content, entries

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Work:
    """An annotation or a draft. `of`: the number of the annotation that a draft changes, None where it is new."""

    draft: bool
    annotator: str
    identity: str
    number: Any
    of: Any
    cancelled: bool
    content: str
    regions: int
    at: datetime.datetime

    def holds(self, earlier: _Work) -> bool:
        """Whether what an earlier one says is said here, in a state no less final."""
        if self.annotator != earlier.annotator or self.content != earlier.content:
            return False
        return earlier.draft or (not self.draft and self.cancelled == earlier.cancelled)

    def is_same(self, earlier: _Work) -> bool:
        """Whether it is the earlier one, on the same server, as it was then or changed since."""
        alike = self.draft == earlier.draft and self.annotator == earlier.annotator
        return alike and self.identity == earlier.identity


def losses(doc_id: str, before: Json, pulled: Json) -> list[Finding]:
    """A finding for each annotation or draft of an export that is gone from Label Studio, or older there.

    No loss is work whose results are there under any number, work that its annotator went on with, a draft that was
    submitted, and an annotation that its annotator made anew. What became older than it is here was brought back by a
    backup of the database, or its server's clock went backwards.
    """
    old, new = _work(before), _work(pulled)
    free = list(new)
    left = []
    for work in old:
        same = sorted((one for one in new if one.holds(work)), key=work.is_same, reverse=True)
        if not same:
            left.append(work)
        elif not work.draft and (taken := [one for one in same if one in free]):
            free.remove(taken[0])
    findings, unknown = [], []
    for work in left:
        again = [one for one in free if one.is_same(work)]
        if again:
            free.remove(again[0])
            if again[0].at < work.at:
                findings.append(_older(doc_id, work, again[0]))
        else:
            unknown.append(work)
    known = {work.identity for work in old}
    for work in sorted(unknown, key=lambda one: one.at):
        if work.draft:
            later = [one for one in new if _follows(one, work, known)]
        else:
            later = [one for one in free if not one.draft and one.annotator == work.annotator]
        if not later:
            renamed = any(one.content == work.content and one.annotator != work.annotator for one in new)
            findings.append(_lost(doc_id, work, renamed and work.regions > 0))
        elif not work.draft:
            newest = max(later, key=lambda one: one.at)
            free.remove(newest)
            if newest.at < work.at:
                findings.append(_older(doc_id, work, newest))
    return sorted(findings)


def _follows(one: _Work, draft: _Work, known: set[str]) -> bool:
    """Whether an annotation or draft is what became of a draft that is gone: submitted, skipped or begun anew since."""
    if one.annotator != draft.annotator or one.at < draft.at:
        return False
    return one.number == draft.of if draft.of is not None and not one.draft else one.identity not in known


def _work(task: Json) -> list[_Work]:
    found = []
    for kind in ("annotations", "drafts"):
        for entry in entries(task, kind):
            number, result = entry.get("id"), entry.get("result")
            found.append(
                _Work(
                    draft=kind == "drafts",
                    annotator=annotator(entry),
                    identity=f"{kind} {entry.get('unique_id') or number}",
                    number=number,
                    of=entry.get("annotation"),
                    cancelled=bool(entry.get("was_cancelled")),
                    content=content(entry),
                    regions=len(result) if isinstance(result, list) else 0,
                    at=changed_at(entry),
                )
            )
    return found


def _said(work: _Work) -> str:
    return f"{'the draft' if work.draft else 'the annotation'} of {work.at:%Y-%m-%d %H:%M:%S} ({work.regions} results)"


def _lost(doc_id: str, work: _Work, renamed: bool) -> Finding:
    how = "a draft cannot be loaded" if work.draft else "`testimonia put-back` brings it there"
    if renamed:
        how = "another annotator has the same: is pseudonyms.json the one that it was? If so, " + how
    message = f"{_said(work)} is not in Label Studio any more; the export stays as it is; {how}, --replace gives it up"
    return Finding(f"{doc_id} ({work.annotator})", "annotation-lost", message)


def _older(doc_id: str, work: _Work, there: _Work) -> Finding:
    how = "" if work.draft else "`testimonia put-back` brings the newer one there, "
    message = (
        f"{_said(work)} is of {there.at:%Y-%m-%d %H:%M:%S} in Label Studio, whose database or clock went back; the "
        f"export stays as it is; {how}--replace takes the older one"
    )
    return Finding(f"{doc_id} ({work.annotator})", "annotation-older", message)
