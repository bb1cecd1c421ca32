"""Which split an article belongs to, so that none that repeats another lies in another split, and none ever moves.

Articles are near duplicates where their sets of shingles (five words in a row, without case and marks) are alike to a
degree (Jaccard index; Broder 1997). Candidates come from MinHash with locality-sensitive hashing (`datasketch`), and
each is counted out. An article takes the split of the first one before it that it repeats; else a hash of its id tells,
so that what is added at the end moves nothing. A translation shares no words: it is not found.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import regex

from testimonia.document import SPLITS
from testimonia.errors import Finding
from testimonia.toml import Table

_WORD = regex.compile(r"[\p{L}\p{N}]+")
_SHINGLE = 5
_PERMUTATIONS = 128
_LENIENT = 0.8  # candidates are asked for at so much of the similarity, for MinHash may tell too little


@dataclass(frozen=True, slots=True)
class Policy:
    """The share of each split, the similarity from which two articles belong together, and a salt of the hash."""

    shares: Mapping[str, float] = field(default_factory=lambda: {"test": 1.0})
    similarity: float = 0.3
    salt: str = ""


def read_policy(table: Table) -> Policy:
    """The table `splits` of sources.toml: `train`, `validation`, `test`, `similarity`, `salt`. Raises InputError.

    Without shares everything is in `test`.
    """
    shares = {name: share for name in SPLITS if (share := table.number(name)) is not None}
    similarity = table.number("similarity")
    policy = Policy(
        shares or Policy().shares, Policy().similarity if similarity is None else similarity, table.string("salt", "")
    )
    if any(share < 0 for share in policy.shares.values()) or abs(sum(policy.shares.values()) - 1) > 1e-9:
        raise table.error(f"the shares {policy.shares} do not add up to 1; give each split its part")
    if not 0 < policy.similarity <= 1:
        raise table.error(f"similarity = {policy.similarity} is not above 0 and at most 1")
    table.end()
    return policy


def assigned(articles: Sequence[tuple[str, str]], policy: Policy) -> list[str]:
    """The split of each article, given in order as id and text."""
    found: list[str] = []
    repeated = repeats([text for _, text in articles], policy.similarity) if len(policy.shares) > 1 else {}
    for number, (doc_id, _) in enumerate(articles):
        before = repeated.get(number)
        found.append(found[min(before)] if before else _drawn(doc_id, policy))
    return found


def _drawn(doc_id: str, policy: Policy) -> str:
    digest = hashlib.sha256(f"{policy.salt}\0{doc_id}".encode()).digest()
    left = int.from_bytes(digest[:8], "big") / 2**64
    shares = [(name, share) for name, share in policy.shares.items() if share]
    for name, share in shares:
        left -= share
        if left < 0:
            return name
    return shares[-1][0]


def repeats(texts: Iterable[str], similarity: float) -> dict[int, list[int]]:
    """For each text that repeats texts before it, by number, the numbers of these."""
    from datasketch import MinHash, MinHashLSH

    index = MinHashLSH(threshold=_LENIENT * similarity, num_perm=_PERMUTATIONS)
    known: list[frozenset[bytes]] = []
    found: dict[int, list[int]] = {}
    for number, text in enumerate(texts):
        own = _shingles(text)
        known.append(own)
        if not own:
            continue
        sketch = MinHash(num_perm=_PERMUTATIONS, seed=1)
        sketch.update_batch(own)
        near = sorted(int(name) for name in index.query(sketch))
        if alike := [one for one in near if len(own & known[one]) >= similarity * len(own | known[one])]:
            found[number] = alike
        index.insert(str(number), sketch)
    return found


def _shingles(text: str) -> frozenset[bytes]:
    """Hashes of every five words in a row, of eight bytes; of all words where there are fewer."""
    words = _WORD.findall(text.casefold())
    count = max(1, len(words) - _SHINGLE + 1) if words else 0
    pieces = (" ".join(words[at : at + _SHINGLE]) for at in range(count))
    return frozenset(hashlib.blake2b(piece.encode(), digest_size=8).digest() for piece in pieces)


def check_splits(articles: Sequence[tuple[str, str, str]], similarity: float = Policy().similarity) -> list[Finding]:
    """A finding for each article, given as id, split and text, that repeats one of another split."""
    if len({split for _, split, _ in articles}) < 2:
        return []
    findings = []
    for number, before in repeats((text for _, _, text in articles), similarity).items():
        doc_id, split, _ = articles[number]
        others = Counter({articles[one][1]: articles[one][0] for one in reversed(before)})
        for other in sorted(set(others) - {split}):
            message = f"is in {split} and repeats {others[other]}, which is in {other}; leave one of the two out"
            findings.append(Finding(doc_id, "split-leak", message))
    return findings
