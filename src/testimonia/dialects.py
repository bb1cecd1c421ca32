"""The dialects of Label Studio's JSON, as strangers publish them, brought to one form: that of its export JSON.

Everything that is said otherwise is a finding with its count; nothing is repaired by guessing. What cannot be proven
to lie in the text stays as it is, so that whoever reads the regions refuses it by name.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from testimonia.errors import Finding, InputError
from testimonia.label_config import TEXT_OBJECT
from testimonia.tasks import same_text

Json = dict[str, Any]
Turns = list[tuple[int, int]]

TURN_KEY = "text"  # of a turn of a dialogue, unless the label config says otherwise
_ENOUGH = 50  # regions of a task that are looked at to find the key of the texts
_JOIN = "\n"  # between the turns of a dialogue
# What was said otherwise, by the id of its finding.
TOLD = {
    "task-without-id": "tasks without an id; each is known by its number in the files",
    "region-unnamed": "regions without an id; those of the same bounds were put together",
    "offset-float": "offsets with a decimal point; they are whole numbers",
    "offset-global": "regions of HTML; their globalOffsets fit the text",
    "offset-paragraph": "regions in turns of a dialogue; the turns were joined by line feeds",
    "relation-both-ways": "relations that point both ways; each became two",
    "task-unannotated": "tasks without an annotation, some perhaps with predictions; these are not gold",
}
_MIN_OWN = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}


def read_tasks(path: Path) -> tuple[list[Json], list[Finding]]:
    """The tasks in a file, as dicts with `data` and `annotations`, whatever wraps them. Raises InputError.

    Read are a list of tasks, one task, one a line, a list inside an object, `completions` of the years before
    `annotations`, and JSON_MIN.
    """
    found: list[Json] = []
    findings: list[Finding] = []
    for value in _values(path):
        rows = value if isinstance(value, list) else [value]
        if isinstance(value, dict) and not (is_task(value) or _is_flat(value)):
            name, rows = _wrapped(path, value)
            findings.append(Finding(str(path), "file-wrapped", f"the tasks were taken from {name!r}", "warning"))
        found += rows
    if found and all(_is_flat(row) for row in found):
        message = (
            "is JSON_MIN: relations, drafts, what was skipped and what is said of a whole task are not in it or cannot "
            "be told from the data; export as JSON to have them"
        )
        return _unflattened(found), [*findings, Finding(str(path), "file-json-min", message, "warning")]
    for row in found:
        if not is_task(row):
            raise InputError(f"{path}: is no export in Label Studio's format JSON; export it again as JSON")
    old = sum("completions" in row and "annotations" not in row for row in found)
    if old:
        message = f"{old:,} tasks have `completions`, as before Label Studio 1.0; they were read as annotations"
        findings.append(Finding(str(path), "file-completions", message, "warning"))
    return [renewed(row) for row in found], findings


def _values(path: Path) -> list[Any]:
    """The JSON values in a file, one after the other."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        decoder, values, at = json.JSONDecoder(), [], _space(text, 0)
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            values.append(value)
            at = _space(text, at)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: line {error.lineno}: not JSON: {error.msg}; restore the file") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON: {error}; restore the file") from None
    if not values:
        raise InputError(f"{path}: is empty; export it again as JSON")
    return values


def _space(text: str, at: int) -> int:
    match = re.compile(r"[ \t\r\n]*").match(text, at)
    return match.end() if match else at


def is_task(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("data"), dict)


def _is_flat(row: object) -> bool:
    """Whether this is a row of JSON_MIN: the data beside the values of its annotation."""
    if not isinstance(row, dict) or "data" in row:
        return False
    return "annotation_id" in row or any(_flat_values(value) for value in row.values())


def _flat_values(value: object) -> list[Json]:
    items = value if isinstance(value, list) else []
    return [item for item in items if isinstance(item, dict) and "start" in item and "end" in item]


def _wrapped(path: Path, value: Json) -> tuple[str, list[Any]]:
    lists = {
        name: items
        for name, items in value.items()
        if isinstance(items, list) and items and all(is_task(item) or _is_flat(item) for item in items)
    }
    if len(lists) != 1:
        names = f"it has several: {' and '.join(map(repr, lists))}" if lists else "it has none"
        raise InputError(f"{path}: is no export in Label Studio's format JSON; give one list of tasks, {names}")
    return next(iter(lists.items()))


def _unflattened(rows: Iterable[Json]) -> list[Json]:
    """Tasks of JSON_MIN, one for each id; rows of one task are its annotations."""
    tasks: dict[str, Json] = {}
    for number, row in enumerate(rows):
        results = [
            {"from_name": name, "type": kind, "value": value, "to_name": TEXT_OBJECT}
            for name, values in row.items()
            for value in _flat_values(values)
            for kind in _kinds(value)
        ]
        names = {result["from_name"] for result in results} | _MIN_OWN
        key = f"id {row['id']}" if "id" in row else f"row {number}"
        data = {name: value for name, value in row.items() if name not in names}
        task = tasks.setdefault(key, {"data": data, "annotations": []} | ({"id": row["id"]} if "id" in row else {}))
        if "annotator" in row or results:
            task["annotations"].append({"completed_by": row.get("annotator"), "result": results})
    return list(tasks.values())


def _kinds(value: Json) -> list[str]:
    """The types of control that speak in a value of JSON_MIN, which names none."""
    kinds = [key for key in value if key.endswith("labels") or key in ("choices", "number", "rating", "taxonomy")]
    return kinds or (["textarea"] if isinstance(value.get("text"), list) else [])


def renewed(task: Json) -> Json:
    """A task of the years before 1.0 in today's words: completions, and `skipped`."""
    if "annotations" in task or not isinstance(task.get("completions"), list):
        return task
    entries = [
        entry | {"was_cancelled": bool(entry.get("was_cancelled") or entry.get("skipped"))}
        if isinstance(entry, dict)
        else entry
        for entry in task["completions"]
    ]
    return task | {"annotations": entries}


def text_of(value: object, turn_key: str) -> str | None:
    """The text of a task's value: a string, or the turns of a dialogue joined by line feeds; None for anything else."""
    turns = _turns(value, turn_key)
    return value if isinstance(value, str) else None if turns is None else _JOIN.join(turns)


def _joined(value: object, turn_key: str) -> Turns | None:
    """Where each turn of a dialogue begins in the joined text, and ends; None for anything else."""
    turns = _turns(value, turn_key)
    if turns is None:
        return None
    starts = [0, *accumulate(len(turn) + len(_JOIN) for turn in turns)]
    return [(start, start + len(turn)) for start, turn in zip(starts, turns, strict=False)]


def _turns(value: object, turn_key: str) -> list[str] | None:
    items = value if isinstance(value, list) else []
    turns = [item[turn_key] for item in items if isinstance(item, dict) and isinstance(item.get(turn_key), str)]
    return turns if turns and len(turns) == len(items) else None


class Reader:
    """Brings the tasks of a file to one form; counts in `told` what was said otherwise."""

    def __init__(self, key: str, turn_key: str = TURN_KEY, name: str = TEXT_OBJECT) -> None:
        self.key, self.turn_key, self.name = key, turn_key, name
        self.told: Counter[str] = Counter()

    def findings(self, place: str) -> Iterator[Finding]:
        """One finding for each thing that was said otherwise."""
        for name, count in sorted(self.told.items()):
            yield Finding(place, name, f"{count:,} {TOLD[name]}", "warning")

    def fits(self, value: Json, text: str, turns: Turns | None) -> bool:
        """Whether a region's copy of its text stands in the text where the region says."""
        bounds = self._bounds(value, text, turns) or value
        start, end = bounds.get("start"), bounds.get("end")
        return isinstance(start, int) and isinstance(end, int) and same_text(text[start:end], value["text"]) == "equal"

    def plain(self, task: Json, number: int) -> Json:
        """A task with its text under `text`, on which the regions lie as labels, and a doc_id.

        Raises InputError where it is nested too deep.
        """
        data = task["data"]
        doc_id = data.get("doc_id")
        if not isinstance(doc_id, str) or not doc_id:
            known = isinstance(task.get("id"), int | str)
            self.told["task-without-id"] += not known
            doc_id = f"task-{task['id']}" if known else f"nth-{number}"
        source = data.get(self.key)
        text = text_of(source, self.turn_key)
        turns = _joined(source, self.turn_key)
        entries: dict[str, list[Any]] = {
            "annotations": listed(task.get("annotations")),
            "drafts": listed(task.get("drafts")),
        }
        self.told["task-unannotated"] += not entries["annotations"]
        try:
            for kind, given in entries.items():
                entries[kind] = [self._entry(entry, text or "", turns) for entry in given]
        except RecursionError:
            raise InputError(f"task {doc_id!r}: is nested too deep; restore it, or export again") from None
        words = {word: data[word] if isinstance(data.get(word), str) else "" for word in ("language", "title")}
        self.told = +self.told
        return {"data": {"doc_id": doc_id, "text": text, **words}, **entries}

    def _entry(self, entry: Any, text: str, turns: Turns | None) -> Any:
        if not isinstance(entry, dict) or not isinstance(entry.get("result"), list):
            return entry
        results = [self._result(r, text, turns) if isinstance(r, dict) else r for r in entry["result"]]
        return entry | {"result": list(self._turned(self._named(results)))}

    def _result(self, result: Json, text: str, turns: Turns | None) -> Json:
        """A result on our text, of type labels where it labels, with offsets into the text where they are proven."""
        kind, value = str(result.get("type")), result.get("value")
        result = result | {"to_name": TEXT_OBJECT} if result.get("to_name") == self.name else result
        if not isinstance(value, dict):
            return result
        if kind in ("hypertextlabels", "paragraphlabels"):
            result = result | {"type": "labels"}
            value = {key: item for key, item in value.items() if key != kind} | {"labels": value.get(kind)}
        bounds = self._bounds(value, text, turns)
        if bounds is not None:
            value = {key: item for key, item in value.items() if key not in ("startOffset", "endOffset")} | bounds
        return result | {"value": value}

    def _bounds(self, value: Json, text: str, turns: Turns | None) -> Json | None:
        """Start and end in the text where the region says them otherwise and they can be had, else None."""
        start, end = value.get("start"), value.get("end")
        if "startOffset" in value and turns is not None:
            starts = [_in_turn(turns, *place) for place in _places(value)]
            if None not in starts:
                self.told["offset-paragraph"] += 1
                return dict(zip(("start", "end"), starts, strict=True))
        elif "startOffset" in value and isinstance(given := value.get("globalOffsets"), dict):
            start, end, quoted = given.get("start"), given.get("end"), value.get("text")
            whole = isinstance(start, int) and isinstance(end, int) and 0 <= start < end
            if whole and isinstance(quoted, str) and same_text(text[start:end], quoted) == "equal":
                self.told["offset-global"] += 1
                return {"start": start, "end": end}
        elif isinstance(start, float) and start.is_integer() and isinstance(end, float) and end.is_integer():
            self.told["offset-float"] += 1
            return {"start": int(start), "end": int(end)}
        return None

    def _named(self, results: Sequence[Any]) -> list[Any]:
        """Results with an id each. One without gets that of the labelled region with its bounds, if there is one."""
        bare = [r for r in results if isinstance(r, dict) and r.get("type") != "relation" and not _known(r)]
        labelled: dict[tuple[object, object], list[str]] = {}
        made: dict[int, str] = {}
        for result in bare:
            if result.get("type") == "labels" and isinstance(value := result.get("value"), dict):
                text = json.dumps([result.get("from_name"), value], ensure_ascii=False, sort_keys=True)
                made[id(result)] = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
                bounds = repr(value.get("start")), repr(value.get("end"))
                labelled.setdefault(bounds, []).append(made[id(result)])
        self.told["region-unnamed"] += len(set(made.values()))
        for result in bare:
            value = result.get("value")
            if id(result) not in made and isinstance(value, dict):
                ids = set(labelled.get((repr(value.get("start")), repr(value.get("end"))), []))
                if len(ids) == 1:
                    made[id(result)] = next(iter(ids))
        return [r | {"id": made[id(r)]} if id(r) in made else r for r in results]

    def _turned(self, results: Iterable[Any]) -> Iterator[Any]:
        """Results with each relation that points both ways as two."""
        for result in results:
            if isinstance(result, dict) and result.get("type") == "relation" and result.get("direction") == "bi":
                self.told["relation-both-ways"] += 1
                yield result | {"direction": "right"}
                yield result | {"direction": "left"}
            else:
                yield result


def _known(result: Mapping[str, Any]) -> bool:
    return isinstance(result.get("id"), str)


def _places(value: Json) -> Iterator[tuple[object, object]]:
    yield value.get("start"), value.get("startOffset")
    yield value.get("end"), value.get("endOffset")


def _in_turn(turns: Turns, turn: object, offset: object) -> int | None:
    """An offset in a turn as one in the joined turns; None where it lies in none."""
    number = int(turn) if isinstance(turn, str) and turn.isascii() and turn.isdigit() else turn
    if not isinstance(number, int) or not isinstance(offset, int) or not 0 <= number < len(turns):
        return None
    start, end = turns[number]
    return start + offset if 0 <= offset <= end - start else None


def annotated_object(tasks: Iterable[Json]) -> str:
    """The name of the object on which most labelled regions lie."""
    objects = Counter(
        str(result.get("to_name"))
        for task in tasks
        for result in results_of(task)
        if str(result.get("type")) in ("labels", "hypertextlabels", "paragraphlabels")
    )
    return objects.most_common(1)[0][0] if objects else TEXT_OBJECT


def text_key(place: str, tasks: Sequence[Json], turn_key: str) -> tuple[str, list[Finding]]:
    """The key of `data` whose texts most regions fit; where none does `text`, else that of the longest texts.

    Raises InputError where the regions fit several keys alike and none of them is `text`.
    """
    fits: Counter[str] = Counter()
    lengths: Counter[str] = Counter()
    for task in tasks:
        values = [r["value"] for r in results_of(task) if isinstance(r.get("value"), dict) and _copy(r["value"])]
        for key, value in task["data"].items():
            text = text_of(value, turn_key)
            if text is not None and key != "doc_id":
                lengths[key] += len(text)
                reader = Reader(key, turn_key)
                turns = _joined(value, turn_key)
                fits[key] += sum(reader.fits(one, text, turns) for one in values[:_ENOUGH])
    best = max(fits.values(), default=0)
    fitting = [key for key, found in fits.items() if found == best]
    if not best:
        fitting = [max(lengths, key=lambda key: lengths[key])] if lengths and "text" not in lengths else ["text"]
    key = "text" if "text" in fitting else fitting[0]
    rivals = [other for other in fitting if any(task["data"].get(other) != task["data"].get(key) for task in tasks)]
    if rivals and key != "text":
        names = ", ".join(map(repr, fitting))
        raise InputError(f"{place}: the regions fit the texts under {names} alike; say which with --label-config")
    if key == "text":
        return key, []
    others = ", ".join(sorted(set(lengths) - {key})) or "none"
    message = f"the texts were taken from {key!r}; other texts: {others}"
    return key, [Finding(place, "text-key", message, "warning")]


def results_of(task: Json) -> Iterator[Json]:
    """The results of all annotations of a task."""
    for entry in listed(task.get("annotations")):
        for result in listed(entry.get("result") if isinstance(entry, dict) else None):
            if isinstance(result, dict):
                yield result


def _copy(value: Json) -> bool:
    return isinstance(value.get("text"), str) and bool(value["text"])


def listed(value: object) -> list[Any]:
    """A list as it is, nothing as an empty one, anything else as the only item."""
    return value if isinstance(value, list) else [] if value is None else [value]
