"""One sweep: what the store lacks is cut into shards, run, and stored shard by shard."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ..compiler.plan import Ask, Sweep
from ..compiler.wants import (
    Continued,
    Embedding,
    Entropies,
    Hidden,
    Likeness,
    Logits,
    Logprobs,
    NextToken,
    Perturbed,
    Rank,
    RelativeEntropies,
    Tokens,
    TopTwo,
    View,
    Want,
)
from ..errors import ModelError
from .beside import Beside
from .engine import Engine, run_shards
from .events import ModelLoaded
from .passes import PassMeta, canonical, pass_key
from .shards import Shard, ShardDone, cut, share
from .sources import ModelSource, resident
from .store import Store

if TYPE_CHECKING:
    from .forward import Block
    from .models import LoadedModel
    from .tokens import Sequences

VERSION = 2
"""Part of every pass key; raised when the numbers of the forward pass change."""

FIRST_SHARD_TOKENS = 16_384
"""Of a model whose speed is not known yet."""
ENOUGH_ROWS = 64
"""What fewer rows take says little of a model's speed."""
SHARD_SECONDS = 15.0
"""A killed run loses at most about so much work per worker."""
SHARD_TOKENS = (4_096, 4_000_000)
CHARACTERS_PER_TOKEN = 4.0


def meta_of(source: ModelSource, view: View, want: Want, dtype: str) -> PassMeta:
    """What identifies the answers to one want of one view; they do not depend on the plan that asks."""
    return PassMeta(
        model=source.identity,
        tokenizer=source.identity,
        view=canonical(view),
        want=canonical(want),
        dtype="" if isinstance(want, Tokens) else dtype,
        version=VERSION,
        label=source.label,
    )


@dataclass(frozen=True, slots=True)
class SweepWork:
    """What a worker does with a shard: encode, run the model, store the answers to each ask."""

    source: ModelSource
    view: View
    asks: tuple[Ask, ...]
    dtype: str
    store: Store
    beside: Beside = field(default_factory=dict)
    """What is read after each row."""

    def open(self, device: str) -> SweepWorker:
        started = time.perf_counter()
        if all(isinstance(ask.want, Tokens) for ask in self.asks):
            return SweepWorker(self, tokenizer_alone(self.source), None)
        model, fresh = loaded(self.source, self.dtype, device)
        event = None
        if fresh:
            seconds = time.perf_counter() - started
            event = ModelLoaded(self.source.label, seconds, self.dtype, device, engine_of(model, self.store))
        return SweepWorker(self, model, event)


def loaded(source: ModelSource, dtype: str, device: str) -> tuple[LoadedModel, bool]:
    """The model, and whether it was loaded now. Raises ModelError E441 where it does not fit into memory."""
    try:
        return resident(source, dtype, device)
    except (RuntimeError, MemoryError) as error:
        from .forward.memory import ran_out

        if not ran_out(error):
            raise
        raise ModelError(
            "E441", f"`{source.label}` does not fit into the memory of {device} in {dtype}",
            help="name a smaller model, take narrower numbers (`--dtype bfloat16`), or another `--device`",
        ) from None  # fmt: skip


def tokenizer_alone(source: ModelSource) -> LoadedModel:
    """A model without its weights, for counting tokens."""
    from .models import LoadedModel, describe, load_tokenizer

    return LoadedModel(None, load_tokenizer(source.target), describe(source.target), "", "", source.label)


def engine_of(model: LoadedModel, store: Store) -> str:
    """How the model will be run, in words; the matrix products once chosen on a machine stay chosen."""
    from .forward import gemm, prepared_engine

    machine = gemm.machine()
    known = store.memo("products", machine) or {}
    gemm.chosen |= known
    engine = str(prepared_engine(model))
    if gemm.chosen != known:
        store.remember("products", machine, gemm.chosen)
    return engine


@dataclass
class SweepWorker:
    """A loaded model that answers shards of one sweep."""

    work: SweepWork
    model: LoadedModel
    loaded: ModelLoaded | None

    def run(self, shard: Shard) -> ShardDone:
        """Every ask's answers to the shard's rows are in the store when this returns."""
        started = time.perf_counter()
        frame = shard.frame()
        answers = self.answers(frame, self.work.view, {ask: ask.read for ask in self.work.asks})
        tokens = answers.tokens
        for view, asks in self.leftover(answers.problems).items():
            tokens += self.fill(frame, view, asks, answers)
        for ask in self.work.asks:
            self.write(frame, ask, answers)
        failed = sum(problem is not None for problem in answers.problems)
        return ShardDone(shard.number, frame.height, tokens, time.perf_counter() - started, failed)

    def answers(self, frame: pl.DataFrame, view: View, wants: Mapping[Ask, Want]) -> Answered:
        """What the model says of the rows in a view."""
        by_parts = view.turns in ("each", "pairs", "sentences")
        return self.part_by_part(frame, view, wants) if by_parts else self.read(frame, view, wants)

    def part_by_part(self, frame: pl.DataFrame, view: View, wants: Mapping[Ask, Want]) -> Answered:
        """What it says of every exchange or sentence by itself, those of a row together."""
        from .exchanges import each, first_problems, gathered, pairs, sentences

        turns = {"each": each, "pairs": pairs, "sentences": sentences}[view.turns](frame)
        found = self.read(turns.frame, replace(view, turns="last"), wants)
        columns = {
            ask: gathered(column, turns.row, found.of[ask], frame.height)
            for ask, column in found.columns.items()
        }
        of = {ask: first_problems(turns.row, own, frame.height) for ask, own in found.of.items()}
        problems = first_problems(turns.row, found.problems, frame.height)
        return Answered(columns, of, problems, found.tokens)

    def read(self, frame: pl.DataFrame, view: View, wants: Mapping[Ask, Want]) -> Answered:
        from .forward import sweep
        from .tokens import encode

        sequences = encode(view, frame, self.model.tokenizer, self.model.card.context)
        apart = Tokens | Continued | Perturbed
        distinct = [want for want in dict.fromkeys(wants.values()) if not isinstance(want, apart)]
        blocks = list(sweep(self.model, sequences, distinct)) if distinct else []
        found: dict[Want, pl.Series] = {
            want: _in_order(want, [(b.rows, b.answers[want]) for b in blocks], frame.height)
            for want in distinct
        }
        for want in set(wants.values()):
            if isinstance(want, Tokens):
                found[want] = sequences.counts(want.span)
        problems = [sequences.late.get(row, problem) for row, problem in enumerate(sequences.problems)]
        of = dict.fromkeys(wants, problems)
        for ask, want in wants.items():
            if isinstance(want, Continued):
                block, of[ask] = self.continued(sequences, want, problems)
            elif isinstance(want, Perturbed):
                block, of[ask] = self.perturbed(frame, sequences, want, problems)
            else:
                continue
            found[want] = _in_order(want, [(block.rows, block.answers[want])], frame.height)
            blocks.append(block)
        columns = {ask: found[want] for ask, want in wants.items()}
        return Answered(columns, of, problems, sum(b.tokens for b in blocks))

    def continued(
        self, sequences: Sequences, want: Continued, problems: list[str | None]
    ) -> tuple[Block, list[str | None]]:
        """What is read after each row, and why it could not be."""
        import numpy as np

        from .forward.continued import TOO_LONG, anchors_of, continued, too_long

        context = self.model.card.context
        anchors = anchors_of(want, self.work.beside[want.anchors.key], self.model.tokenizer, context)
        over = too_long(sequences, anchors, context)
        own = [problem or (TOO_LONG if long else None) for problem, long in zip(problems, over, strict=True)]
        rows = np.flatnonzero([problem is None for problem in own])
        block = continued(self.model, sequences, rows, want, anchors)
        return block, told(own, block, want, sequences)

    def perturbed(
        self, frame: pl.DataFrame, given: Sequences, want: Perturbed, problems: list[str | None]
    ) -> tuple[Block, list[str | None]]:
        """What the prompt changes in copies of each row, and why it could not be read."""
        import numpy as np

        from .forward.perturbed import perturbed
        from .tokens import encode

        alone = encode(want.alone, frame, self.model.tokenizer, self.model.card.context)
        own = [problem or without for problem, without in zip(problems, alone.problems, strict=True)]
        rows = np.flatnonzero([problem is None for problem in own])
        block = perturbed(self.model, given, alone, rows, frame["@key"][rows].to_list(), want)
        return block, told(own, block, want, given)

    def leftover(self, problems: Sequence[str | None]) -> dict[View, list[Ask]]:
        """Folded asks by their own view, where some rows could not be read from the longer one."""
        views: dict[View, list[Ask]] = {}
        if any(problem is not None for problem in problems):
            for ask in self.work.asks:
                if ask.view != self.work.view:
                    views.setdefault(ask.view, []).append(ask)
        return views

    def fill(self, frame: pl.DataFrame, view: View, asks: list[Ask], answers: Answered) -> int:
        """Answers folded asks on their own view for the rows that the longer view cannot show."""
        at = [i for i, problem in enumerate(answers.problems) if problem is not None]
        part = self.answers(frame[at], view, {ask: ask.want for ask in asks})
        for ask in asks:
            answers.columns[ask] = _patched(answers.columns[ask], at, part.columns[ask])
            own: list[str | None] = [None] * frame.height
            for i, problem in zip(at, part.problems, strict=True):
                own[i] = problem
            answers.of[ask] = own
        return part.tokens

    def write(self, frame: pl.DataFrame, ask: Ask, answers: Answered) -> None:
        meta = meta_of(self.work.source, ask.view, ask.want, self.work.dtype)
        segment = pl.DataFrame(
            {
                "key": frame["@key"],
                "answer": answers.columns[ask],
                "problem": pl.Series(answers.of[ask], dtype=pl.String),
            }
        )
        self.work.store.write(pass_key(meta), segment, meta)


@dataclass
class Answered:
    """Answers of one encoding of a shard, with the rows that have none."""

    columns: dict[Ask, pl.Series]
    of: dict[Ask, list[str | None]]
    problems: list[str | None]
    tokens: int


def told(problems: list[str | None], block: Block, want: Want, sequences: Sequences) -> list[str | None]:
    """The problems, with those of the rows that the model was shown and has no numbers for."""
    without = block.rows[block.answers[want].is_null().to_numpy()].tolist()
    late = {row: sequences.late[row] for row in without}
    return [late.get(row, problem) for row, problem in enumerate(problems)]


def _in_order(want: Want, parts: list[tuple[Any, pl.Series]], rows: int) -> pl.Series:
    """The answers of all blocks in the order of the rows; null where a row is in none."""
    if not parts:
        return pl.Series("answer", [None] * rows, dtype=dtype_of(want))
    import numpy as np

    at = pl.Series("at", np.concatenate([part[0] for part in parts]).astype("uint32"))
    values = pl.concat([part[1].rename("answer") for part in parts])
    joined = pl.DataFrame({"at": pl.arange(rows, dtype=pl.UInt32, eager=True)}).join(
        pl.DataFrame({"at": at, "answer": values}), on="at", how="left", maintain_order="left"
    )
    return joined["answer"]


def _patched(values: pl.Series, at: list[int], new: pl.Series) -> pl.Series:
    rows = pl.DataFrame({"at": pl.Series(at, dtype=pl.UInt32), "new": new})
    frame = (
        pl.DataFrame({"old": values})
        .with_row_index("at")
        .join(rows, on="at", how="left", maintain_order="left")
    )
    if values.dtype.is_nested() and values.null_count() == len(values):
        return frame["new"].rename("answer")
    return frame.select(pl.coalesce("new", "old").alias("answer"))["answer"]


def dtype_of(want: Want) -> pl.DataType:
    """The type of an answer that no row has."""
    match want:
        case Logprobs() | Continued() | Perturbed() | Entropies() | RelativeEntropies() | TopTwo():
            return pl.List(pl.Float32)
        case NextToken() | Hidden() | Embedding() | Logits():
            return pl.List(pl.Float32)
        case Rank() | Likeness():
            return pl.Float32()
        case Tokens():
            return pl.UInt32()
        case _:
            return pl.String()


@dataclass
class SweepRun:
    """A sweep under way: its missing rows by what they miss, and how far it is."""

    task: Sweep
    source: ModelSource
    dtype: str
    store: Store
    engine: Engine
    spool: Path
    progress: Callable[[int, int, float], None]
    beside: Beside = field(default_factory=dict)
    """What is read after each row."""
    speed: float | None = None
    """Tokens a second, where this model ran before on this machine."""
    rows: int = 0
    tokens: int = 0
    seconds: float = 0.0
    failed: int = field(default=0)

    def missing(self, frame: pl.DataFrame) -> Iterator[tuple[tuple[Ask, ...], pl.DataFrame]]:
        """The rows that lack answers, grouped by which ones; rows of equal content count once."""
        distinct = frame.unique("@key", keep="first", maintain_order=True)
        lacks = pl.DataFrame({"@key": distinct["@key"]})
        for number, ask in enumerate(self.task.asks):
            key = pass_key(meta_of(self.source, ask.view, ask.want, self.dtype))
            absent = self.store.missing(key, distinct["@key"])
            lacks = lacks.with_columns(pl.col("@key").is_in(absent.implode()).alias(f"{number}"))
        names = [f"{n}" for n in range(len(self.task.asks))]
        for pattern in lacks.select(names).unique(maintain_order=True).rows():
            if any(pattern):
                chosen = pl.all_horizontal(pl.col(n) == lack for n, lack in zip(names, pattern, strict=True))
                asks = tuple(ask for ask, lack in zip(self.task.asks, pattern, strict=True) if lack)
                yield asks, distinct.filter(lacks.select(chosen.alias("chosen"))["chosen"])

    def run(self, view: View, asks: tuple[Ask, ...], frame: pl.DataFrame) -> None:
        """Runs the model on the rows and stores every answer."""
        weights = lengths(frame, view) + sum(lengths(rows, view).sum() for rows in self.beside.values())
        order = weights.arg_sort(descending=True)
        frame, weights = frame[order].select(pl.col("^@.*$")), weights[order]
        spool = self.spool / f"{self.task.id}.parquet" if self.engine.capacity().processes else None
        work = SweepWork(self.source, view, asks, self.dtype, self.store, self.beside)
        first = self.first_rows(weights)
        self.shards(work, frame[:first], weights[:first], spool)
        self.shards(work, frame[first:], weights[first:], spool)

    def first_rows(self, weights: pl.Series) -> int:
        """How many rows tell the speed of a model that never ran here; none where it is known."""
        if self.speed is not None:
            return 0
        return max(int((weights.cum_sum() <= FIRST_SHARD_TOKENS).sum()), 1)

    def shards(self, work: SweepWork, frame: pl.DataFrame, weights: pl.Series, spool: Path | None) -> None:
        """Runs the rows shard by shard."""
        if frame.is_empty():
            return
        for done in run_shards(self.engine, work, cut(share(frame, spool), weights, self.shard_limit())):
            self.rows += done.rows
            self.tokens += done.tokens
            self.seconds += done.seconds
            self.failed += done.failed
            self.progress(self.rows, self.tokens, self.seconds)
        if self.speed is None and self.tokens:
            self.speed = self.tokens / self.seconds

    def shard_limit(self) -> float:
        """Tokens of one shard: about fifteen seconds of work."""
        if self.speed is None:
            return FIRST_SHARD_TOKENS
        return min(max(self.speed * SHARD_SECONDS, SHARD_TOKENS[0]), SHARD_TOKENS[1])


def lengths(frame: pl.DataFrame, view: View) -> pl.Series:
    """About how many tokens each row has, from its characters."""
    both = len(view.parts) == 2 or "{response}" in view.template.without_input
    shown = ["@prompt", "@response"] if both else [f"@{view.parts[0]}"]
    template = len(view.template.without_input) if "prompt" in view.parts else len(view.template.header)
    total = pl.sum_horizontal(pl.col(c).str.len_bytes().fill_null(0) for c in shown) + template
    return frame.select((total / CHARACTERS_PER_TOKEN + 1).alias("tokens"))["tokens"]


def passes(view: View, asks: tuple[Ask, ...]) -> list[tuple[View, tuple[Ask, ...]]]:
    """The asks by the view that is run: the longer one where anything is wanted of it, else each its own."""
    if any(ask.view == view for ask in asks):
        return [(view, asks)]
    own: dict[View, list[Ask]] = {}
    for ask in asks:
        own.setdefault(ask.view, []).append(replace(ask, read=ask.want))
    return [(shorter, tuple(those)) for shorter, those in own.items()]
