"""From annotations to gold: which annotation of a document counts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from testimonia.corpus import Round
from testimonia.document import Annotation, Document, Gold
from testimonia.errors import Finding


def gold_of(
    documents: Iterable[Document], annotations: Iterable[Annotation], rounds: Sequence[Round]
) -> tuple[list[Gold], list[Finding]]:
    """The gold of each document, in the order of `documents`, and what stands in its way.

    Gold is the document's only submitted adjudication if there is one, else its only submitted annotation.
    Two or more without adjudication, or none at all, give no gold and a finding. Only rounds of the release count.
    """
    kinds: Mapping[str, str] = {r.id: r.kind for r in rounds if r.release}
    submitted: dict[tuple[str, str], list[Annotation]] = {}
    for annotation in annotations:
        if annotation.state == "submitted" and annotation.round in kinds:
            submitted.setdefault((annotation.doc_id, kinds[annotation.round]), []).append(annotation)
    golds, findings = [], []
    for document in documents:
        candidates = submitted.get((document.doc_id, "adjudication")) or submitted.get(
            (document.doc_id, "annotation"), []
        )
        if len(candidates) == 1:
            [one] = candidates
            golds.append(Gold(document, one.spans, one.relations, f"{one.round}/{one.annotator}"))
        elif candidates:
            who = ", ".join(sorted(f"{a.round}/{a.annotator}" for a in candidates))
            what = (
                "annotations and no adjudication"
                if (document.doc_id, "adjudication") not in submitted
                else "adjudications"
            )
            message = f"{len(candidates)} submitted {what} ({who}); one must decide"
            findings.append(Finding(document.doc_id, "gold-undecided", message))
        else:
            message = "no submitted annotation in a round of the release; annotate it, or take it out of sources.toml"
            findings.append(Finding(document.doc_id, "gold-missing", message))
    return golds, findings
