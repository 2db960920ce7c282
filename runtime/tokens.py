"""Rows as the tokens of a view: rendered, tokenised in batches, cut to the window, and told what is response.

A row that cannot be shown has no tokens and a problem that says why; nothing is raised for a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from ..compiler.wants import Span, View
from .exchanges import first
from .shown import Parts, Shown

NO_PROMPT, NO_RESPONSE, NO_TEXT = "no prompt", "no response", "no text"
NO_ROOM = "the prompt fills the window"
NOTHING_LEFT = "no token of the response is left in the window"

UNBOUNDED = 1 << 30
MARKS = ("\n", ":", "a")
"""Texts before a text, of which one is not merged with what follows it."""

Ids = list[list[int]]


@dataclass(frozen=True)
class Sequences:
    """Token ids of many rows, one after another."""

    ids: np.ndarray
    """`[tokens]`, int32."""
    offsets: np.ndarray
    """`[rows + 1]`, int64: where each row begins and the last one ends."""
    response: np.ndarray
    """`[tokens]`, bool: whether a token belongs to the response."""
    problems: tuple[str | None, ...]
    """Why a row has no tokens."""
    cut: int = 0
    """How many rows lost tokens to the window."""
    chunk: int | None = None
    """Rows are read in pieces of so many tokens."""
    images: tuple[tuple[str, ...], ...] | None = None
    """The paths of every row's images, for models that look at them."""
    late: dict[int, str] = field(default_factory=dict)
    """Why a row has no answer, where that shows only when the model is about to read it."""

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> np.ndarray:
        """`[rows]`, int64."""
        return np.diff(self.offsets)

    def counts(self, span: Span) -> pl.Series:
        """How many tokens the span has in each row; null where the row has a problem."""
        total = np.concatenate([[0], np.cumsum(self.response)])
        responses = total[self.offsets[1:]] - total[self.offsets[:-1]]
        counted = {"response": responses, "prompt": self.lengths - responses, "whole": self.lengths}[span]
        fine = np.array([problem is None for problem in self.problems], dtype=bool)
        return pl.select(
            pl.when(pl.Series(fine)).then(pl.Series(counted.astype(np.uint32))).alias("tokens")
        ).to_series()


class Texts:
    """A tokenizer used on many texts at once, without padding, cutting or surprises."""

    def __init__(self, tokenizer: Any):
        self.tokenizer = tokenizer
        self.backend = getattr(tokenizer, "backend_tokenizer", None)
        if self.backend is not None:
            self.backend.no_truncation()
            self.backend.no_padding()
            self.batch = getattr(self.backend, "encode_batch_fast", self.backend.encode_batch)

    def encode(self, texts: Sequence[str], *, special: bool) -> Ids:
        """The ids of every text; `special` adds what the tokenizer itself adds, such as BOS."""
        if not texts:
            return []
        if self.backend is not None:
            return [e.ids for e in self.batch(list(texts), add_special_tokens=special)]
        return self.tokenizer(list(texts), add_special_tokens=special, verbose=False)["input_ids"]

    def continued(self, texts: Sequence[str]) -> Ids:
        """The ids of texts that follow another text: without the blank that some tokenizers put first."""
        if not self.puts_blank_first:
            return self.encode(texts, special=False)
        found = self.after(MARKS[0], texts)
        for mark in MARKS[1:]:
            merged = [at for at, ids in enumerate(found) if ids is None]
            for at, ids in zip(merged, self.after(mark, [texts[at] for at in merged]), strict=True):
                found[at] = ids
        return [
            self.encode([text], special=False)[0] if ids is None else ids
            for text, ids in zip(texts, found, strict=True)
        ]

    def after(self, mark: str, texts: Sequence[str]) -> list[list[int] | None]:
        """The ids of texts after a mark, without the mark's; `None` where a merge crosses the two."""
        own = self.encode([mark], special=False)[0]
        marked = self.encode([mark + text for text in texts], special=False)
        return [ids[len(own) :] if ids[: len(own)] == own else None for ids in marked]

    @cached_property
    def puts_blank_first(self) -> bool:
        """Whether a text's first word is another token than the same word after a line break."""
        after = self.after(MARKS[0], ["a"])[0]
        return after is not None and after != self.encode(["a"], special=False)[0]

    @cached_property
    def ends(self) -> tuple[list[int], list[int]]:
        """What the tokenizer itself puts before and after a text."""
        plain, whole = self.encode(["a"], special=False)[0], self.encode(["a"], special=True)[0]
        places = range(len(whole) - len(plain) + 1)
        at = next((at for at in places if whole[at : at + len(plain)] == plain), len(whole))
        return whole[:at], whole[at + len(plain) :]

    @cached_property
    def start(self) -> list[int]:
        """The one token that begins a text: BOS, or else EOS, or none."""
        for token in (self.tokenizer.bos_token_id, self.tokenizer.eos_token_id):
            if token is not None:
                return [int(token)]
        return []


def encode(view: View, frame: pl.DataFrame, tokenizer: Any, context: int | None = None) -> Sequences:
    """The tokens that a model reads of every row, at most `context` of them; see `View` for the rules."""
    texts = Texts(tokenizer)
    limit = min(view.limit or UNBOUNDED, context or UNBOUNDED)
    frame = stripped(frame) if view.stripped else frame
    if view.turns == "first":
        frame = first(frame)
    if view.text is not None:
        return encode_plain(view.text, frame, texts, limit)
    if view.seam in ("own", "closed"):
        from . import pairs

        return pairs.encode(view, frame, texts, context)
    if view.turns == "whole" and "response" in view.parts:
        return encode_turns(view, frame, texts, limit)
    rows = Shown(view.template, frame, tokenizer)
    if view.seam == "joint":
        return encode_joint(view, rows, texts, limit)
    if view.tail and "prompt" in view.parts and not view.template.chat:
        from . import tails

        return tails.encode(view, rows, texts, limit)
    return encode_apart(view, rows, texts, limit)


def stripped(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows without the blanks at both ends of their texts."""
    return frame.with_columns(
        pl.col("@instruction", "@input", "@prompt", "@response", "@system").str.strip_chars()
    )


# Apart: each side tokenised by itself


def encode_apart(view: View, rows: Shown, texts: Texts, limit: int) -> Sequences:
    """Prompt and response tokenised apart; the response is cut to what the window leaves it."""
    prompts = texts.encode([p or "" for p in rows.prompts], special=False)
    start = starting(view, texts, rows)
    builder = Builder()
    if "response" not in view.parts:
        for row, prompt in enumerate(prompts):
            builder.prompt(prompt_problem(rows, row), start + prompt, limit)
        return builder.done()
    responses = texts.continued([r or "" for r in rows.responses])
    beside = "prompt" in view.parts
    lone = lone_start(view, texts, rows)
    for row, (prompt, said, response) in enumerate(zip(prompts, rows.responses, responses, strict=True)):
        before = start + prompt if beside else lone
        taken = len(start) if beside or view.beside is None else len(lone) - view.beside
        room = limit - taken - len(prompt)
        problem = prompt_problem(rows, row) if beside else None
        problem = problem or response_problem(said, response, room)
        builder.pair(problem, before, response[: max(min(room, limit - len(before)), 0)], len(response))
    return builder.done()


def starting(view: View, texts: Texts, rows: Shown) -> list[int]:
    """The start token before a prompt; a chat template that knows one writes it itself."""
    if view.start != "always" or not rows.template.chat:
        return starting_text(view, texts)
    own = texts.tokenizer.bos_token
    first = next((p for p in rows.prompts if p is not None), "")
    return [] if own is None or first.startswith(own) else texts.start


def starting_text(view: View, texts: Texts) -> list[int]:
    """What stands before any text that is no chat."""
    match view.start:
        case "always":
            return texts.start
        case "tokenizer":
            return texts.ends[0]
        case "never":
            return []


def lone_start(view: View, texts: Texts, rows: Shown) -> list[int]:
    """What stands before a response without its prompt: the start token and the template's header."""
    start = starting_text(view, texts)
    header = rows.template.header
    return start + (texts.encode([header], special=False)[0] if header else [])


def prompt_problem(rows: Shown, row: int) -> str | None:
    if rows.prompts[row] is not None:
        return None
    unanswered = rows.asks and rows.frame["@prompt"][row] is not None
    return rows.refused.get(row, NO_RESPONSE if unanswered else NO_PROMPT)


def response_problem(said: str | None, response: list[int], room: int) -> str | None:
    if said is None or not response:
        return NO_RESPONSE
    return NO_ROOM if room <= 0 else None


# Joint: one text, as the published scripts do


def encode_joint(view: View, rows: Shown, texts: Texts, limit: int) -> Sequences:
    """Prompt and response tokenised as one text; the seam lies where the prompt's own tokens would end."""
    joint = Joint(view, rows, texts, limit)
    return joint.pairs() if "response" in view.parts else joint.prompts()


class Place(NamedTuple):
    """Where a response is in the tokens of its text, and how many of them there is room for."""

    seam: int
    room: int
    end: int = UNBOUNDED


@dataclass(frozen=True)
class Joint:
    """Rows as the published scripts tokenise and cut them."""

    view: View
    rows: Shown
    texts: Texts
    limit: int

    def encode(self, texts: Iterable[str | None]) -> Ids:
        return self.texts.encode([text or "" for text in texts], special=self.view.start == "tokenizer")

    @cached_property
    def lengths(self) -> list[int]:
        """Of the prompts, in tokens."""
        return [len(ids) for ids in self.encode(self.rows.prompts)]

    def counted(self) -> list[int]:
        """How many tokens the scripts take each prompt for."""
        if self.rows.template.counted is None:
            return self.lengths
        return [len(ids) for ids in self.encode(self.rows.counted)]

    def prompts(self) -> Sequences:
        builder = Builder()
        for row, prompt in enumerate(self.encode(self.rows.prompts)):
            builder.prompt(prompt_problem(self.rows, row), prompt, self.limit)
        return builder.done()

    def pairs(self) -> Sequences:
        counted = self.counted()
        if "prompt" in self.view.parts:
            befores, places = self.rows.prompts, self.after_prompts()
        else:
            befores, places = [self.rows.template.header] * len(counted), self.after_header(counted)
        saids = self.rows.responses
        wholes = self.encode(
            (before or "") + (said or "") for before, said in zip(befores, saids, strict=True)
        )
        builder = Builder()
        for before, said, ids, place, used in zip(befores, saids, wholes, places, counted, strict=True):
            kept = min(len(ids), place.room, place.end)
            problem = joint_problem(before, said, kept, place.seam, used >= self.limit)
            builder.add(problem, ids[: max(place.room, 0)], place.seam, len(ids) > place.room, place.end)
        return builder.done()

    def after_prompts(self) -> list[Place]:
        sliced = self.rows.template.sliced
        if sliced is None:
            return [Place(length, self.limit) for length in self.lengths]
        return self.sliced(self.rows.rendered(sliced, sliced))

    def sliced(self, prompts: list[str | None]) -> list[Place]:
        """Where the response would lie after these prompts; Cherry's first scripts look for it there."""
        wholes = [(p or "") + (r or "") for p, r in zip(prompts, self.rows.responses, strict=True)]
        lengths = zip(self.encode(prompts), self.encode(wholes), strict=True)
        return [Place(len(b), self.limit, min(len(w), self.limit)) for b, w in lengths]

    def after_header(self, counted: list[int]) -> list[Place]:
        seam = len(self.encode([self.rows.template.header])[0])
        slack = self.view.beside or 0
        return [Place(seam, self.limit - min(used, self.limit) + slack) for used in counted]


def joint_problem(before: str | None, said: str | None, kept: int, seam: int, full: bool) -> str | None:
    if before is None:
        return NO_PROMPT
    if not said:
        return NO_RESPONSE
    if full:
        return NO_ROOM
    return NOTHING_LEFT if kept <= seam else None


# Conversations with every response in its place, and plain texts


def encode_turns(view: View, frame: pl.DataFrame, texts: Texts, limit: int) -> Sequences:
    """Every response of a conversation, each after all that came before it; the end is cut to the window."""
    rows = Shown(view.template, frame, texts.tokenizer)
    start = starting(view, texts, rows)
    builder = Builder()
    for row, response in enumerate(rows.responses):
        problem = prompt_problem(rows, row) or (None if response else NO_RESPONSE)
        parts = None if problem else rows.parts(row)
        if parts is None:
            builder.add(problem or rows.refused[row], [], 0, False)
        else:
            builder.turns(start, parts, texts, limit)
    return builder.done()


def encode_plain(columns: Sequence[str], frame: pl.DataFrame, texts: Texts, limit: int) -> Sequences:
    """Columns as one text with the tokenizer's own special tokens, cut before the last of them."""
    joined = frame.select(one_text(columns).alias("t"))["t"].to_list()
    builder = Builder()
    closing = texts.ends[1]
    for text, ids in zip(joined, texts.encode([t or "" for t in joined], special=True), strict=True):
        over = len(ids) > limit
        kept = [*ids[: max(limit - len(closing), 0)], *closing] if over else ids
        builder.add(None if text is not None and kept else NO_TEXT, kept, len(kept), over)
    return builder.done()


def one_text(columns: Sequence[str]) -> pl.Expr:
    """The texts that are not empty, line by line; null where one but the input is null."""
    there = [pl.col(name).fill_null("") if name == "@input" else pl.col(name) for name in columns]
    lines = [pl.when(text != "").then(text) for text in there]
    known = pl.all_horizontal([text.is_not_null() for text in there])
    return pl.when(known).then(pl.concat_str(lines, separator="\n", ignore_nulls=True))


class Builder:
    """Collects rows of tokens."""

    def __init__(self) -> None:
        self.ids: list[np.ndarray] = []
        self.masks: list[np.ndarray] = []
        self.problems: list[str | None] = []
        self.cut = 0

    def add(self, problem: str | None, ids: list[int], seam: int, cut: bool, end: int = UNBOUNDED) -> None:
        """A row whose tokens from `seam` to before `end` are response."""
        kept = [] if problem else ids
        self.ids.append(np.asarray(kept, dtype=np.int32))
        places = np.arange(len(kept))
        self.masks.append((places >= seam) & (places < end))
        self.problems.append(problem)
        self.cut += bool(cut and not problem)

    def prompt(self, problem: str | None, ids: list[int], limit: int) -> None:
        problem = problem or (None if ids else NO_PROMPT)
        self.add(problem, ids[:limit], min(len(ids), limit), len(ids) > limit)

    def pair(self, problem: str | None, before: list[int], response: list[int], whole: int) -> None:
        problem = problem or (None if response else NOTHING_LEFT)
        self.add(problem, before + response, len(before), len(response) < whole)

    def turns(self, start: list[int], parts: Parts, texts: Texts, limit: int) -> None:
        first, *others = (text for text, _ in parts)
        pieces = [*texts.encode([first], special=False), *texts.continued(others)]
        ids = [*start, *(token for piece in pieces for token in piece)][:limit]
        said = [(s, len(piece)) for (_, s), piece in zip(parts, pieces, strict=True)]
        mask = np.concatenate([np.zeros(len(start), bool), *(np.full(n, s) for s, n in said)])[:limit]
        problem = None if mask.any() else NO_ROOM
        self.ids.append(np.asarray([] if problem else ids, dtype=np.int32))
        self.masks.append(mask[:0] if problem else mask)
        self.problems.append(problem)
        self.cut += len(start) + sum(map(len, pieces)) > limit

    def done(self) -> Sequences:
        lengths = [len(ids) for ids in self.ids]
        flat = np.concatenate(self.ids) if self.ids else np.zeros(0, np.int32)
        mask = np.concatenate(self.masks) if self.masks else np.zeros(0, bool)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        return Sequences(flat, offsets, mask, tuple(self.problems), self.cut)
