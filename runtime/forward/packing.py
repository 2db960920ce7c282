"""Rows laid one after another under a token budget, with common beginnings laid once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ..tokens import Sequences

SHORTEST_PREFIX = 8
"""Sharing fewer tokens costs more in copies than it saves."""
LONGEST_PREFIX = 512
"""So many leading tokens are looked at; a prefix is laid once a pack, which for 50 tokens and packs of 2,048 costs
a fortieth of the pass, so that keeping its keys over packs gains next to nothing."""
FEWEST_ROWS = 4


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens side by side in a packed row; they also see the `before` tokens of a parent at `parent`."""

    start: int
    length: int
    parent: int = 0
    before: int = 0


@dataclass(frozen=True, slots=True)
class Pack:
    """Rows that go through the model together."""

    rows: np.ndarray
    ids: np.ndarray
    """`[tokens]`, what the model is fed."""
    positions: np.ndarray
    """`[tokens]`, each token's place in its own row."""
    slots: tuple[np.ndarray, ...]
    """Per row, where each of its fed tokens lies in `ids`."""
    segments: tuple[Segment, ...]

    @property
    def tokens(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class Family:
    """Rows that begin with the same `prefix` tokens."""

    rows: np.ndarray
    prefix: int


def packs(
    sequences: Sequences, rows: np.ndarray, fed: np.ndarray, budget: int, *, share: bool = True
) -> Iterator[Pack]:
    """The rows in packs of at most `budget` tokens, long rows first; a longer row stands alone.

    Of row `r` the first `fed[r]` tokens are laid.
    """
    for family in families(sequences, rows, fed, budget) if share else (Family(rows, 0),):
        order = family.rows[np.argsort(-fed[family.rows], kind="stable")]
        for members in _filled(order, fed[order] - family.prefix, budget - family.prefix):
            yield pack(sequences, members, fed, family.prefix if len(members) > 1 else 0)


def _filled(rows: np.ndarray, sizes: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    start, total = 0, 0
    for at, size in enumerate(sizes.tolist()):
        if at > start and total + size > budget:
            yield rows[start:at]
            start, total = at, 0
        total += size
    if start < len(rows):
        yield rows[start:]


def pack(sequences: Sequences, rows: np.ndarray, fed: np.ndarray, prefix: int) -> Pack:
    """The rows one after another, behind the tokens that they share."""
    parent = sequences.ids[sequences.offsets[rows[0]] :][:prefix]
    ids, positions, slots = [parent], [np.arange(prefix)], []
    segments = [Segment(0, prefix)] if prefix else []
    at = prefix
    for row in rows.tolist():
        own = int(fed[row]) - prefix
        begin = int(sequences.offsets[row]) + prefix
        ids.append(sequences.ids[begin : begin + own])
        positions.append(np.arange(prefix, prefix + own))
        slots.append(np.concatenate([np.arange(prefix), np.arange(at, at + own)]))
        segments += [Segment(at, own, 0, prefix)] if own else []
        at += own
    return Pack(
        rows, np.concatenate(ids).astype(np.int64), np.concatenate(positions), tuple(slots), tuple(segments)
    )


def families(sequences: Sequences, rows: np.ndarray, fed: np.ndarray, budget: int) -> list[Family]:
    """The rows by the beginning they share, as it saves most; rows that share none come last."""
    depth = min(LONGEST_PREFIX, int(fed[rows].max(initial=0)))
    # Of equal whole rows the last token must stay each row's own: a segment is never empty.
    heads = np.full((len(rows), depth), -1, dtype=np.int32)
    for line, row in enumerate(rows.tolist()):
        begin, size = int(sequences.offsets[row]), max(min(depth, int(fed[row]) - 1), 0)
        heads[line, :size] = sequences.ids[begin : begin + size]
    mean = float(np.mean(fed[rows])) if len(rows) else 1.0
    _, chosen = _best(heads, np.arange(len(rows)), 0, max(budget / max(mean, 1.0), 1.0))
    found = [Family(rows[lines], prefix) for lines, prefix in chosen]
    alone = [family.rows for family in found if not family.prefix]
    shared = [family for family in found if family.prefix]
    return shared + ([Family(np.sort(np.concatenate(alone)), 0)] if alone else [])


def _best(
    heads: np.ndarray, lines: np.ndarray, depth: int, per_pack: float
) -> tuple[float, list[tuple[np.ndarray, int]]]:
    """The tokens saved on these lines, which agree up to `depth`, and how: one prefix, or a split."""
    common = _common(heads[lines], depth)
    saved = len(lines) * common * (1 - 1 / min(per_pack, len(lines))) if common >= SHORTEST_PREFIX else 0.0
    whole = (saved, [(lines, common if saved else 0)])
    if common >= heads.shape[1] or len(lines) < 2 * FEWEST_ROWS:
        return whole
    split_saved, split = 0.0, []
    for part in _by_value(heads[lines, common], lines):
        if len(part) < FEWEST_ROWS or heads[part[0], common] < 0:
            # Too few to go deeper: they keep what all of these lines share.
            more, those = _flat(part, common, per_pack)
        else:
            more, those = _best(heads, part, common, per_pack)
        split_saved, split = split_saved + more, split + those
    return (split_saved, split) if split_saved > saved * 1.02 else whole


def _flat(lines: np.ndarray, common: int, per_pack: float) -> tuple[float, list[tuple[np.ndarray, int]]]:
    return 0.0, [(lines, 0)]


def _common(heads: np.ndarray, depth: int) -> int:
    """How many leading ids all lines share."""
    differs = (heads != heads[0]).any(axis=0) | (heads[0] < 0)
    at = np.flatnonzero(differs)
    return max(depth, int(at[0]) if len(at) else heads.shape[1])


def _by_value(values: np.ndarray, lines: np.ndarray) -> Sequence[np.ndarray]:
    order = np.argsort(values, kind="stable")
    cuts = np.flatnonzero(np.diff(values[order])) + 1
    return np.split(lines[order], cuts)
