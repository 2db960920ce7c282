"""Rows that are nearly alike."""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import Field

from ...compiler.op import Answers, Dedup, Picked
from ...compiler.values import Expression
from ..score.text import Part, part
from .grams import PATTERNS, Ragged, Unit, blocks, ends, grams, hashed_words, joined, mixed
from .top import best_first

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

FOUND = 0.98
"""The chance, at least, that two texts exactly as alike as the threshold are compared."""
AT_ONCE = 1 << 17
"""Shingles hashed at once, few enough for the processor's cache; any number gives the same result."""

FEW = 8
"""So many texts are compared exactly without a look at their signatures."""


class Minhash(Dedup):
    """Of rows that are nearly alike only the first; with `by`, only the best.

    Two texts are as alike as their sets of shingles, `shingle` words that follow each other: J = |A ∩ B| / |A ∪
    B| (Broder, 1997). In order, a row goes where J with a row that stays is at least the threshold. MinHash
    signatures in bands find the pairs to compare (Leskovec, Rajaraman and Ullman, section 3.4): a pair at the
    threshold is found in 98 of 100 cases, a closer one more surely. J itself is counted, over hashes of 32
    bits, and not estimated, so no row goes that is less alike. Rows without a word stay.
    """

    noun = "minhash"
    positional = ("threshold",)
    takes = (("by", "number"),)
    paper = "https://doi.org/10.1109/SEQUEN.1997.666900"
    example = 'load "examples/tasks.jsonl" | dedup minhash(0.8)'

    threshold: float = Field(0.8, gt=0, le=1)
    """How alike two rows are of which one goes, from 0 to 1."""
    of: Part = "whole"
    """Which part is compared; `whole` is the prompt and the response."""
    shingle: int = Field(5, ge=1)
    """How many words a shingle holds; a shorter text is one shingle."""
    unit: Unit = "words"
    """What a shingle is made of; `characters` for languages without blanks."""
    permutations: int = Field(128, ge=8, le=4096)
    """How many numbers a signature has; more find alike rows more surely at low thresholds."""
    by: Expression | None = None
    """The number by which the best of alike rows is known; the first where not given."""

    def pick(self, known: Answers) -> Picked:
        import numpy as np
        import polars as pl

        shingles = shingled(part(known.column, self.of), self.shingle, PATTERNS[self.unit])
        layout = self._layout()
        found = near_copies(shingles, signed(shingles, layout), self._order(known), self.threshold)
        gone = np.fromiter(found.copies, dtype=np.int64, count=len(found.copies))
        kept = np.setdiff1d(np.arange(len(shingles)), gone)
        notes = {
            "kept": len(kept),
            "of": len(shingles),
            "bands": layout.bands,
            "numbers per band": layout.width,
            "compared": found.compared,
        }
        return Picked(pl.Series(kept, dtype=pl.UInt32), self._reasons(found, known), notes=notes)

    def _layout(self) -> Bands:
        layout = banded(self.threshold, self.permutations)
        chance = layout.chance(self.threshold)
        if chance < FOUND:
            warnings.warn(
                f"of the pairs that are {self.threshold} alike {chance:.0%} are found: ask for more than "
                f"{self.permutations} permutations",
                stacklevel=3,
            )
        return layout

    def _order(self, known: Answers) -> np.ndarray:
        """Positions of all rows, the best first; those without a number last."""
        import numpy as np

        rows = np.arange(known.rows.height)
        if self.by is None:
            return rows
        scored = best_first(known.evaluate(self.by), self.by.better)
        return np.concatenate([scored, np.setdiff1d(rows, scored)])

    def _reasons(self, found: Copies, known: Answers) -> pl.Series:
        import polars as pl

        told = pl.DataFrame(
            {
                "row": list(found.copies),
                "alike": [round(alike, 4) for _, alike in found.copies.values()],
                "first": [first for first, _ in found.copies.values()],
            },
            schema={"row": pl.UInt32, "alike": pl.Float64, "first": pl.UInt32},
        )
        first = pl.lit(known.column("id")).gather(pl.col("first"))
        why = "which comes first" if self.by is None else f"which is better by `{self.by.text}`"
        reason = pl.format(f"{{}} alike to row {{}}, {why}", "alike", first)
        every = pl.select(pl.int_range(known.rows.height, dtype=pl.UInt32).alias("row"))
        return every.join(told.select("row", reason.alias("reason")), on="row", how="left").sort("row")[
            "reason"
        ]


@dataclass(frozen=True, slots=True)
class Bands:
    """How signatures are cut."""

    bands: int
    width: int
    """Numbers in one band."""

    def chance(self, alike: float) -> float:
        """How probably two texts that are so alike share a band."""
        return 1 - (1 - alike**self.width) ** self.bands


@dataclass(slots=True)
class Copies:
    """Which texts are nearly copies of which one that stays, and how alike the two are."""

    copies: dict[int, tuple[int, float]] = field(default_factory=dict)
    compared: int = 0


def banded(threshold: float, permutations: int) -> Bands:
    """The widest bands in which a pair at the threshold is found surely enough."""
    choices = [Bands(permutations // width, width) for width in range(permutations, 0, -1)]
    return next((each for each in choices if each.chance(threshold) >= FOUND), choices[-1])


def shingled(texts: pl.Series, n: int, pattern: str) -> Ragged:
    """The different shingles of each text, as hashes in rising order: `uint32`.

    Two shingles of one text fall together with a chance of one in 4 · 10⁹.
    """
    return joined([different(shingle_hashes(hashed_words(block, pattern), n)) for block in blocks(texts)])


def shingle_hashes(words: Ragged, n: int) -> Ragged:
    """All shingles of each text; a text of fewer words is one shingle."""
    import numpy as np

    short = (words.sizes > 0) & (words.sizes < n)
    if not short.any():
        return grams(words, n)
    # Zeros behind a short text make it one n-gram long.
    padded = np.where(short, n, words.sizes)
    starts = ends(padded)
    numbers = np.zeros(starts[-1], dtype=np.uint64)
    within = np.arange(len(words.numbers)) - np.repeat(words.starts[:-1], words.sizes)
    numbers[np.repeat(starts[:-1], words.sizes) + within] = words.numbers
    return grams(Ragged(numbers, starts), n)


def different(shingles: Ragged) -> Ragged:
    """Each shingle of a text once."""
    import numpy as np

    text = shingles.texts.astype(np.uint64)
    keys = np.sort(text << np.uint64(32) | mixed(shingles.numbers) >> np.uint64(32))
    keys = keys[np.diff(keys, prepend=~keys[:1]) != 0]
    sizes = np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(shingles))
    return Ragged(keys.astype(np.uint32), ends(sizes))


@dataclass(frozen=True, slots=True)
class Signatures:
    """What is known of each text's signature."""

    keys: np.ndarray
    """`[bands, texts]`: one number for each band; 0 for a text without shingles."""
    sketches: np.ndarray
    """`[texts, numbers]`: the last byte of each number."""


def signed(shingles: Ragged, layout: Bands) -> Signatures:
    """The signatures: for each of many orders of all numbers the first of the text's shingles."""
    import numpy as np

    draw = np.random.Generator(np.random.PCG64(1))
    multipliers = 2 * draw.integers(0, 1 << 31, layout.bands * layout.width, dtype=np.uint32) + 1
    keys = np.zeros((layout.bands, len(shingles)), dtype=np.uint64)
    sketches = np.zeros((len(shingles), len(multipliers)), dtype=np.uint8)
    for texts in pieces(shingles):
        texts = texts[shingles.sizes[texts] > 0]
        if not len(texts):
            continue
        first, last = shingles.starts[texts[0]], shingles.starts[texts[-1] + 1]
        starts = shingles.starts[texts] - first
        least = minima(shingles.numbers[first:last], starts, multipliers)
        keys[:, texts] = folded(least.reshape(layout.bands, layout.width, -1))
        sketches[texts] = least.T
    return Signatures(keys, sketches)


def folded(numbers: np.ndarray) -> np.ndarray:
    """`[bands, texts]`: one number, above 0 but for a chance of 2⁻⁶⁴, for each band's `[bands, width, texts]`."""
    import numpy as np

    keys = np.ones((numbers.shape[0], numbers.shape[2]), dtype=np.uint64)
    for at in range(numbers.shape[1]):
        keys = mixed(keys) + numbers[:, at]
    return mixed(keys)


def minima(numbers: np.ndarray, starts: np.ndarray, multipliers: np.ndarray) -> np.ndarray:
    """`[multipliers, texts]`: the least product of each text's numbers with each multiplier."""
    import numpy as np

    found = np.empty((len(multipliers), len(starts)), dtype=np.uint32)
    products = np.empty_like(numbers)
    for multiplier, least in zip(multipliers, found, strict=True):
        np.minimum.reduceat(np.multiply(numbers, multiplier, out=products), starts, out=least)
    return found


def pieces(shingles: Ragged) -> list[np.ndarray]:
    """Positions of the texts, in pieces of about as many shingles as are hashed at once."""
    import numpy as np

    piece = shingles.starts[:-1] // AT_ONCE
    return np.split(np.arange(len(shingles)), np.flatnonzero(np.diff(piece)) + 1)


def near_copies(shingles: Ragged, signatures: Signatures, order: np.ndarray, threshold: float) -> Copies:
    """The texts, in the given order, that are nearly a copy of one that stays."""
    import numpy as np

    found, floor = Copies(), least_agreement(threshold, signatures.sketches.shape[1])
    staying: list[dict[int, list[int]]] = [defaultdict(list) for _ in signatures.keys]
    shared = in_company(signatures.keys) & (np.diff(shingles.starts) > 0)
    for text in order[shared[:, order].any(axis=0)].tolist():
        own = np.flatnonzero(shared[:, text]).tolist()
        keys = signatures.keys[own, text].tolist()
        buckets = [staying[band][key] for band, key in zip(own, keys, strict=True)]
        rivals = np.array(sorted(set().union(*buckets)), dtype=np.int64)
        if len(rivals) > FEW:
            agree = (signatures.sketches[rivals] == signatures.sketches[text]).mean(axis=1)
            rivals = rivals[agree >= floor]
        found.compared += len(rivals)
        best, alike = most_alike(shingles, text, rivals)
        if alike >= threshold:
            found.copies[text] = best, alike
            continue
        for bucket in buckets:
            bucket.append(text)
    return found


def least_agreement(threshold: float, numbers: int) -> float:
    """Which part of their signatures two texts at the threshold share almost surely, four deviations below the
    mean: with less the exact similarity need not be computed."""
    return threshold - 4 * (threshold * (1 - threshold) / numbers) ** 0.5


def in_company(bands: np.ndarray) -> np.ndarray:
    """`[bands, texts]`: whether another text has the same key in that band."""
    import numpy as np

    shared = np.zeros(bands.shape, dtype=bool)
    for keys, told in zip(bands, shared, strict=True):
        order = np.argsort(keys)
        same = keys[order][1:] == keys[order][:-1]
        told[order[1:][same]] = told[order[:-1][same]] = True
    return shared


def most_alike(shingles: Ragged, text: int, rivals: np.ndarray) -> tuple[int, float]:
    """The rival whose shingles are most alike to the text's, the earlier of equal ones, and how alike."""
    import numpy as np

    if not len(rivals):
        return -1, 0.0
    own, sizes = shingles[text], shingles.starts[rivals + 1] - shingles.starts[rivals]
    theirs = np.concatenate([shingles[rival] for rival in rivals])
    at = np.minimum(np.searchsorted(own, theirs), len(own) - 1)
    common = np.add.reduceat(own[at] == theirs, ends(sizes)[:-1], dtype=np.int64)
    alike = common / (len(own) + sizes - common)
    best = int(alike.argmax())
    return int(rivals[best]), float(alike[best])
