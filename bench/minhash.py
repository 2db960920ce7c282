"""Near copies dropped by MinHash, beside datasketch (or a loop of its kind where it is not installed).

The texts are random words, and some are copies with a few words changed. Both ways take the rows in order, cut
signatures into the same bands and compare with the exact similarity; what either misses or drops wrongly is counted
against a search without signatures. Seconds are CPU seconds of one run each, in one process.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
import polars as pl
from selrun.runtime.answers import KnownAnswers
from selrun.stdlib.select.minhash import Bands, Minhash, banded

Sets = list[set[bytes]]
PRIME = np.uint64((1 << 61) - 1)
SLACK = 0.01
"""How much smaller our share of copies found may be than the other way's; both vary with the hashes."""


def main() -> None:
    """Print one line per way."""
    options = arguments()
    texts = written(options.rows, options.words, options.copies)
    op = Minhash(threshold=options.threshold, shingle=options.shingle, permutations=options.permutations)
    frame = pl.DataFrame({"@id": [str(i) for i in range(len(texts))], "@prompt": "", "@response": texts})
    dropped, seconds = timed(lambda: gone(op.pick(KnownAnswers(frame, 0, lambda _: frame["@id"])).reasons))
    print(f"{len(texts):,} rows of about {options.words} words, threshold {options.threshold}")
    print(f"{'':14}{'CPU s':>10}{'dropped':>10}{'found':>9}")
    if options.alone:
        print(f"{'selrun':14}{seconds:10.2f}{len(dropped):10,}")
        print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
        return
    expected = searched(shingles(texts, options.shingle), options.threshold)
    layout = banded(options.threshold, options.permutations)
    index = (Datasketch if find_spec("datasketch") else Loop)(layout, options.permutations)
    theirs, slow = timed(lambda: one_by_one(shingles(texts, options.shingle), index, options.threshold))
    for way, found, took in (("selrun", dropped, seconds), (index.name, theirs, slow)):
        print(f"{way:14}{took:10.2f}{len(found):10,}{len(found & expected) / len(expected):9.2%}")
    print(f"ratio {slow / seconds:.1f}")
    assert dropped <= expected, "a row is dropped that is no near copy"
    assert len(dropped) >= len(theirs & expected) - SLACK * len(expected), "fewer copies are found"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000)
    parser.add_argument("--words", type=int, default=80)
    parser.add_argument("--copies", type=float, default=0.2, help="which part of the rows are near copies")
    parser.add_argument("--threshold", type=float, default=0.8)
    parser.add_argument("--shingle", type=int, default=5)
    parser.add_argument("--permutations", type=int, default=128)
    parser.add_argument("--alone", action="store_true", help="without the other ways, for large sizes")
    return parser.parse_args()


def written(rows: int, words: int, copies: float) -> list[str]:
    """Texts of random words; some are copies of an earlier one in which up to 4 words are others."""
    draw = np.random.default_rng(0)
    lexicon = np.array([f"w{i}" for i in range(20_000)])
    texts: list[np.ndarray] = []
    for chance in draw.random(rows):
        text = lexicon[
            (len(lexicon) * draw.random(int(draw.integers(words // 2, 2 * words))) ** 3).astype(int)
        ]
        if texts and chance < copies:
            text = texts[int(draw.integers(len(texts)))].copy()
            text[draw.integers(len(text), size=int(draw.integers(5)))] = "other"
        texts.append(text)
    return [" ".join(text) for text in texts]


def timed(way: Callable[[], set[int]]) -> tuple[set[int], float]:
    start = time.process_time()
    return way(), time.process_time() - start


def gone(reasons: pl.Series) -> set[int]:
    return set(reasons.is_not_null().arg_true())


def shingles(texts: list[str], n: int) -> Sets:
    cut = [text.encode().split() for text in texts]
    return [{b" ".join(words[i : i + n]) for i in range(max(len(words) - n + 1, 1))} for words in cut]


def searched(sets: Sets, threshold: float) -> set[int]:
    """The rows to drop, found through the rows that hold each shingle."""
    holding: dict[bytes, list[int]] = defaultdict(list)
    found = set()
    for row, own in enumerate(sets):
        common = Counter(kept for shingle in own for kept in holding[shingle])
        if any(n / (len(own) + len(sets[kept]) - n) >= threshold for kept, n in common.items()):
            found.add(row)
            continue
        for shingle in own:
            holding[shingle].append(row)
    return found


class Datasketch:
    """The package's own index."""

    name = "datasketch"

    def __init__(self, layout: Bands, permutations: int):
        import datasketch

        self.permutations, self.new = permutations, datasketch.MinHash
        self.index: Any = datasketch.MinHashLSH(num_perm=permutations, params=(layout.bands, layout.width))

    def signed(self, own: Iterable[bytes]) -> Any:
        made = self.new(num_perm=self.permutations)
        made.update_batch(own)
        return made

    def query(self, signature: Any) -> Iterable[int]:
        return self.index.query(signature)

    def insert(self, row: int, signature: Any) -> None:
        self.index.insert(row, signature, check_duplication=False)


class Loop:
    """The same without the package: one signature and one look-up in every band for each row."""

    name = "a plain loop"

    def __init__(self, layout: Bands, permutations: int):
        self.layout = layout
        self.a, self.b = np.random.default_rng(1).integers(1, int(PRIME), (2, permutations), dtype=np.uint64)
        self.buckets: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(layout.bands)]

    def signed(self, own: Iterable[bytes]) -> list[bytes]:
        hashes = [int.from_bytes(hashlib.sha1(shingle).digest()[:4], "little") for shingle in own]
        numbers = (np.array(hashes, dtype=np.uint64)[:, None] * self.a + self.b) % PRIME & np.uint64(
            0xFFFFFFFF
        )
        least, width = numbers.min(axis=0), self.layout.width
        return [least[i * width : (i + 1) * width].tobytes() for i in range(self.layout.bands)]

    def query(self, signature: list[bytes]) -> Iterable[int]:
        return {row for bucket, key in zip(self.buckets, signature, strict=True) for row in bucket[key]}

    def insert(self, row: int, signature: list[bytes]) -> None:
        for bucket, key in zip(self.buckets, signature, strict=True):
            bucket[key].append(row)


def one_by_one(sets: Sets, index: Datasketch | Loop, threshold: float) -> set[int]:
    """Each row against those that stay and share a band with it."""
    found = set()
    for row, own in enumerate(sets):
        signature = index.signed(own)
        if any(len(own & sets[r]) / len(own | sets[r]) >= threshold for r in index.query(signature)):
            found.add(row)
        else:
            index.insert(row, signature)
    return found


if __name__ == "__main__":
    main()
