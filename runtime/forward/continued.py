"""How likely a set of anchors is after each row: the row is laid once, and every anchor behind it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from ...compiler.wants import Continued, View
from ...errors import ModelError
from ..tokens import Texts, encode
from .answers import lists
from .body import LAST, Body, Slots
from .head import Measure, measured
from .memory import ran_out, token_budget_from_memory
from .packed import bend_of
from .packing import Pack, Segment
from .sweep import Block, halved, numbers_alone

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


TOO_LONG = "the row and the longest anchor do not fit into the model's context together"


@dataclass(frozen=True, slots=True)
class Anchor:
    """What may follow a row, up to the last token of its response."""

    place: int
    """Its position among all anchors."""
    ids: np.ndarray
    said: np.ndarray
    """Which of the ids are response, as positions; at least one."""

    @property
    def fed(self) -> int:
        """How many of its tokens the model reads: all but the last."""
        return len(self.ids) - 1


@dataclass(frozen=True)
class Anchors:
    """The anchors that have a response, long ones first, so that neighbours are about equally long."""

    count: int
    """How many there are, those without a response included."""
    usable: tuple[Anchor, ...]

    @property
    def longest(self) -> int:
        return len(self.usable[0].ids) if self.usable else 0

    @cached_property
    def common(self) -> int:
        """So many tokens all of them begin with; they are laid once, with the row."""
        least = min((anchor.fed for anchor in self.usable), default=0)
        heads = np.array([anchor.ids[:least] for anchor in self.usable]).reshape(len(self.usable), least)
        differs = (heads != heads[:1]).any(axis=0)
        return int(differs.argmax()) if differs.any() else least

    @property
    def tokens(self) -> int:
        """What the model reads of all of them, after each row."""
        return self.common + sum(anchor.fed - self.common for anchor in self.usable)


def anchors_of(want: Continued, frame: pl.DataFrame, tokenizer: Any, context: int | None) -> Anchors:
    """The tokens of the anchors, the start token replaced by what stands between two exchanges.

    Raises ModelError E563 where the longest leaves no room for a row.
    """
    sequences = encode(want.view, frame, tokenizer, context)
    start, between = _edges(want.view, Texts(tokenizer))
    found = [
        _anchor(place, sequences, start, between)
        for place in range(len(sequences))
        if sequences.response[sequences.offsets[place] : sequences.offsets[place + 1]].any()
    ]
    anchors = Anchors(len(sequences), tuple(sorted(found, key=lambda anchor: -anchor.fed)))
    if context is not None and anchors.longest >= context:
        raise ModelError(
            "E563",
            f"an anchor of {anchors.longest:,} tokens leaves no room for a row in a context of {context:,}",
            help=f"cut the anchors: `with max_tokens = {max(context // 2, 1)}`",
        )
    return anchors


def _edges(view: View, texts: Texts) -> tuple[list[int], list[int]]:
    """The start tokens of the view, and what stands in their place after a row."""
    start = {"always": texts.start, "tokenizer": texts.ends[0], "never": []}[view.start]
    between = view.template.between
    return start, texts.continued([between])[0] if between else []


def _anchor(place: int, sequences: Sequences, start: list[int], between: list[int]) -> Anchor:
    part = slice(*sequences.offsets[place : place + 2])
    ids, said = sequences.ids[part], np.flatnonzero(sequences.response[part])
    skip = len(start) if ids[: len(start)].tolist() == start else 0
    kept = np.concatenate([between, ids[skip : said[-1] + 1]]).astype(np.int64)
    return Anchor(place, kept, said - skip + len(between))


def too_long(sequences: Sequences, anchors: Anchors, context: int | None) -> np.ndarray:
    """Whether a row does not fit into the context beside the longest anchor."""
    return sequences.lengths > (context or np.inf) - anchors.longest


def continued(
    model: LoadedModel,
    sequences: Sequences,
    rows: np.ndarray,
    want: Continued,
    anchors: Anchors,
    *,
    token_budget: int | None = None,
) -> Block:
    """The answers for these rows. In float32 a sum differs by less than 1e-5 of itself from that of a row and an
    anchor run alone. Where memory runs out, the token budget is halved. A row of which the model says something that
    is no finite number has no answer, and its reason is in `sequences.late`. Raises ModelError E441.
    """
    started = time.perf_counter()
    found = np.full((len(rows), anchors.count), np.nan, dtype=np.float32)
    run = Run(Body.prepared(model), sequences, rows, anchors, want.padded, found)
    budget = 1 if run.body.alone else token_budget or token_budget_from_memory(model)
    tokens = 0
    while run.left:
        part = run.fitting(budget)
        laid = lay(sequences, rows, part, anchors.common, whole=run.beyond(part[0]))
        if run.answer(part, laid):
            tokens += run.read(laid)
        else:
            budget = halved(budget, run.read(laid), len(part))
    block = Block(rows, {want: sums_of(found, anchors)}, tokens, time.perf_counter() - started)
    return numbers_alone(block, sequences, model.dtype)


def sums_of(found: np.ndarray, anchors: Anchors) -> pl.Series:
    """The sums of each row, null where an anchor has no response."""
    usable = np.isin(np.arange(anchors.count), [anchor.place for anchor in anchors.usable])
    kept = pl.Series(np.tile(usable, len(found)), dtype=pl.Boolean)
    sums = pl.select(pl.when(kept).then(pl.Series(found.reshape(-1)))).to_series()
    return lists(sums, np.full(len(found), anchors.count))


Pair = tuple[int, Anchor]
"""A row, by its place among those asked, and an anchor to be read after it."""


@dataclass
class Run:
    """Rows and anchors under way through a model."""

    body: Body
    sequences: Sequences
    rows: np.ndarray
    anchors: Anchors
    padded: bool
    found: np.ndarray
    """`[rows, anchors]`, filled pack by pack."""
    left: list[Pair] = field(init=False)
    """What is still to be read, the last first."""

    def __post_init__(self) -> None:
        longest_first = np.argsort(-self.sequences.lengths[self.rows], kind="stable")
        pairs = [(row, anchor) for row in longest_first.tolist() for anchor in self.anchors.usable]
        self.left = pairs[::-1]

    @cached_property
    def bend(self) -> float:
        return bend_of(self.body.network.config)

    def length(self, row: int) -> int:
        return int(self.sequences.lengths[self.rows[row]])

    def beyond(self, pair: Pair) -> bool:
        """Whether a row and an anchor are longer than the bend, beyond which a model turns all positions otherwise."""
        return self.length(pair[0]) + len(pair[1].ids) > self.bend

    def fitting(self, budget: int) -> list[Pair]:
        """The next pairs on one side of the bend that fit into the budget.

        A row that does not begin the pack fits whole or not at all.
        """
        taken: list[Pair] = []
        total = 0
        for pair in reversed(self.left):
            total += self.added(pair, taken[-1] if taken else None)
            if taken and (total > budget or self.beyond(pair) != self.beyond(taken[0])):
                return whole(taken, pair[0])
            taken.append(pair)
        return taken

    def added(self, pair: Pair, before: Pair | None) -> int:
        """Tokens that a pair adds to a pack: a row that is laid already is not laid again."""
        row, anchor = pair
        shared = self.body.packed and before is not None and before[0] == row
        own = anchor.fed - self.anchors.common
        return max(own, 1) + (0 if shared else self.length(row) + self.anchors.common)

    def read(self, laid: Pack) -> int:
        """How many tokens the model reads of a pack."""
        return laid.tokens if self.body.packed else sum(map(len, laid.slots))

    def answer(self, part: list[Pair], laid: Pack) -> bool:
        """Reads the pairs and takes them off the list; false where memory ran out."""
        try:
            with torch.inference_mode():
                sums = self.sums(laid, part)
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error):
                raise
            return False
        for (row, anchor), value in zip(part, sums, strict=True):
            self.found[row, anchor.place] = value
        del self.left[-len(part) :]
        return True

    def asked(self, slots: Slots, part: list[Pair]) -> np.ndarray:
        """The slots before each token of each pair's response."""
        before = (self.length(row) + anchor.said - 1 for row, anchor in part)
        return np.concatenate([slot[places] for slot, places in zip(slots, before, strict=True)])

    def sums(self, laid: Pack, part: list[Pair]) -> np.ndarray:
        """The summed log-probability of each pair's response."""
        states, slots = self.body.run(laid, LAST, np.unique(self.asked(laid.slots, part)))
        asked = self.asked(slots, part)
        targets = np.concatenate([anchor.ids[anchor.said] for _, anchor in part])
        hidden = states[-1][torch.from_numpy(asked).to(self.body.device)]
        measure: Measure = "padded" if self.padded else "logprobs"
        goals = torch.from_numpy(targets).to(self.body.device)
        values = measured(self.body.head, hidden, goals, (measure,))[measure]
        ends = np.cumsum([len(anchor.said) for _, anchor in part])
        return np.add.reduceat(values.cpu().double().numpy(), np.concatenate([[0], ends[:-1]]))


def whole(taken: list[Pair], following: int) -> list[Pair]:
    """The pairs without those of a row that goes on in the next pack, unless it is the only one."""
    if taken[0][0] == following:
        return taken
    return [pair for pair in taken if pair[0] != following]


def lay(
    sequences: Sequences, rows: np.ndarray, part: list[Pair], common: int, *, whole: bool = False
) -> Pack:
    """Every row once with what all anchors begin with, and behind it the rest of each, which sees it and itself.

    The last token of an anchor predicts nothing, and is laid where anchors are to be as long as they are.
    """
    ids: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    slots: list[np.ndarray] = []
    segments: list[Segment] = []
    at, parent, laid = 0, Segment(0, 0), -1
    for row, anchor in part:
        if row != laid:
            own = sequences.ids[slice(*sequences.offsets[rows[row] : rows[row] + 2])]
            parent, laid = Segment(at, len(own) + common), row
            ids += [own, anchor.ids[:common]]
            positions.append(np.arange(parent.length))
            segments.append(parent)
            at += parent.length
        rest = anchor.fed - common + whole
        ids.append(anchor.ids[common : common + rest])
        positions.append(np.arange(parent.length, parent.length + rest))
        before = np.arange(parent.start, parent.start + parent.length)
        slots.append(np.concatenate([before, np.arange(at, at + rest)]))
        segments += [Segment(at, rest, parent.start, parent.length)] if rest else []
        at += rest
    return Pack(
        rows, np.concatenate(ids).astype(np.int64), np.concatenate(positions), tuple(slots), tuple(segments)
    )
