"""Rows as the tokens of a view: rendered, tokenised in batches, cut to the window, and told what is response.

A row that cannot be shown has no tokens and a problem that says why; nothing is raised for a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from ..compiler.wants import Span, Template, View

NO_PROMPT, NO_RESPONSE, NO_TEXT = "no prompt", "no response", "no text"
NO_ROOM = "the prompt fills the window"
NOTHING_LEFT = "no token of the response is left in the window"

UNBOUNDED = 1 << 30

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

    def encode(self, texts: Sequence[str], *, special: bool) -> Ids:
        """The ids of every text; `special` adds what the tokenizer itself adds, such as BOS."""
        if not texts:
            return []
        if self.backend is not None:
            return [e.ids for e in self.backend.encode_batch_fast(list(texts), add_special_tokens=special)]
        return self.tokenizer(list(texts), add_special_tokens=special)["input_ids"]

    def continued(self, texts: Sequence[str]) -> Ids:
        """The ids of texts that follow another text: without the blank that some tokenizers put first."""
        if not self.puts_blank_first:
            return self.encode(texts, special=False)
        mark = self.encode(["\n"], special=False)[0]
        marked = self.encode(["\n" + text for text in texts], special=False)
        clean = [ids[: len(mark)] == mark for ids in marked]
        plain = self.encode([t for t, c in zip(texts, clean, strict=True) if not c], special=False)
        rest = iter(plain)
        return [ids[len(mark) :] if c else next(rest) for ids, c in zip(marked, clean, strict=True)]

    @cached_property
    def puts_blank_first(self) -> bool:
        """Whether a text's first word is another token than the same word after a line break."""
        alone, after = self.encode(["a", "\na"], special=False)
        mark = self.encode(["\n"], special=False)[0]
        return after[: len(mark)] == mark and after[len(mark) :] != alone

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
    if view.text is not None:
        return encode_plain(view.text, frame, texts, limit)
    if view.turns == "whole" and "response" in view.parts:
        return encode_turns(view, frame, texts, limit)
    rows = Shown(view.template, frame, tokenizer)
    if view.seam == "joint":
        return encode_joint(view, rows, texts, limit)
    return encode_apart(view, rows, texts, limit)


# Texts


class Shown:
    """What a template makes of each row; null where the row has no such part."""

    def __init__(self, template: Template, frame: pl.DataFrame, tokenizer: Any):
        self.template, self.frame, self.tokenizer = template, frame, tokenizer

    @cached_property
    def prompts(self) -> list[str | None]:
        """Everything before the response: system text, earlier turns, and the prompt in its template."""
        if self.template.chat:
            return self.chats
        shown = self.rendered(self.template.with_input, self.template.without_input)
        if self.frame["@system"].null_count() + self.frame["@history"].null_count() == 2 * self.frame.height:
            return shown
        return [p if p is None else self.earlier(i) + p for i, p in enumerate(shown)]

    @cached_property
    def counted(self) -> list[str | None]:
        """What counts as the prompt's tokens beside a lone response."""
        text = self.template.counted
        return self.prompts if text is None else self.rendered(text, text)

    @cached_property
    def responses(self) -> list[str | None]:
        return self.frame["@response"].to_list()

    def rendered(self, with_input: str, without_input: str) -> list[str | None]:
        """The template filled in one go, so that braces in the rows stay as they are."""
        column = self.frame.select(
            pl.when(pl.col("@input").fill_null("") != "")
            .then(filled(with_input))
            .otherwise(filled(without_input))
            .alias("p")
        )["p"]
        return column.to_list()

    def earlier(self, row: int) -> str:
        """The system text and the turns before the last exchange, each in the same template."""
        parts = [self.frame["@system"][row]] if self.frame["@system"][row] else []
        for user, assistant in exchanges(self.frame["@history"][row]):
            parts.append(self.template.without_input.replace("{instruction}", user) + assistant)
        return "".join(part + self.template.between for part in parts)

    @cached_property
    def chats(self) -> list[str | None]:
        columns = self.frame.select("@prompt", "@system", "@history").rows()
        return [p if p is None else self.chat(messages(p, s, h)) for p, s, h in columns]

    def chat(self, turns: list[dict[str, str]]) -> str:
        return self.tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)


def filled(template: str) -> pl.Expr:
    """The template's text with the row's instruction and input in their places."""
    slots = {
        "{instruction}": pl.col("@instruction"),
        "{input}": pl.col("@input"),
        "{prompt}": pl.col("@prompt"),
    }
    parts = [template]
    for slot in slots:
        parts = [piece for part in parts for piece in _split(part, slot)]
    return pl.concat_str([slots.get(part, pl.lit(part)) for part in parts if part])


def _split(text: str, slot: str) -> list[str]:
    if text.startswith("{") and text.endswith("}") and text != slot:
        return [text]
    pieces = text.split(slot)
    return [p for piece in pieces[:-1] for p in (piece, slot)] + [pieces[-1]]


def exchanges(history: Any) -> list[tuple[str, str]]:
    """The user and assistant texts of earlier turns, pairwise; a missing one is empty."""
    pairs: list[tuple[str, str]] = []
    for turn in history if history is not None else ():
        content = turn["content"] or ""
        if turn["role"] != "assistant":
            pairs.append((content, ""))
        elif pairs and not pairs[-1][1]:
            pairs[-1] = (pairs[-1][0], content)
        else:
            pairs.append(("", content))
    return pairs


def messages(prompt: str, system: str | None, history: Any) -> list[dict[str, str]]:
    """A conversation up to and with its last prompt, as chat templates take it."""
    turns = [{"role": "system", "content": system}] if system else []
    turns += [
        {"role": t["role"], "content": t["content"] or ""} for t in (history if history is not None else ())
    ]
    return [*turns, {"role": "user", "content": prompt}]


# Apart: each side tokenised by itself


def encode_apart(view: View, rows: Shown, texts: Texts, limit: int) -> Sequences:
    """Prompt and response tokenised apart; the response is cut to what the window leaves it."""
    needs_prompt = "prompt" in view.parts
    prompts = texts.encode([p or "" for p in rows.prompts], special=False)
    start = starting(view, texts, rows)
    builder = Builder()
    if "response" not in view.parts:
        for text, prompt in zip(rows.prompts, prompts, strict=True):
            builder.prompt(NO_PROMPT if text is None else None, start + prompt, limit)
        return builder.done()
    responses = texts.continued([r or "" for r in rows.responses])
    header = texts.encode([rows.template.header], special=False)[0] if rows.template.header else []
    for text, prompt, said, response in zip(rows.prompts, prompts, rows.responses, responses, strict=True):
        room = limit - len(start) - len(prompt)
        before = start + (prompt if needs_prompt else header)
        problem = pair_problem(text if needs_prompt else "", said, response, room)
        builder.pair(problem, before, response[: max(min(room, limit - len(before)), 0)], len(response))
    return builder.done()


def starting(view: View, texts: Texts, rows: Shown) -> list[int]:
    """The start token, but where a chat template writes its own."""
    if view.start == "tokenizer":
        return texts.encode([""], special=True)[0][:1]
    bos = texts.tokenizer.bos_token
    first = next((p for p in rows.prompts if p is not None), "") if rows.template.chat else ""
    return [] if bos and first.startswith(bos) else texts.start


def pair_problem(prompt: str | None, said: str | None, response: list[int], room: int) -> str | None:
    if prompt is None:
        return NO_PROMPT
    if said is None or not response:
        return NO_RESPONSE
    return NO_ROOM if room <= 0 else None


# Joint: one text, as the published scripts do


def encode_joint(view: View, rows: Shown, texts: Texts, limit: int) -> Sequences:
    """Prompt and response tokenised as one text; the seam lies where the prompt's own tokens would end."""
    special = view.start == "tokenizer"
    builder = Builder()
    prompts = texts.encode([p or "" for p in rows.prompts], special=special)
    if "response" not in view.parts:
        for text, prompt in zip(rows.prompts, prompts, strict=True):
            builder.prompt(NO_PROMPT if text is None else None, prompt, limit)
        return builder.done()
    counted = prompts
    if rows.template.counted is not None:
        counted = texts.encode([p or "" for p in rows.counted], special=special)
    used = [len(ids) for ids in counted]
    if "prompt" in view.parts:
        befores, seams, rooms = rows.prompts, [len(p) for p in prompts], [limit] * len(prompts)
    else:
        header = rows.template.header
        befores = [header] * len(prompts)
        seams = [len(texts.encode([header], special=special)[0])] * len(prompts)
        rooms = [limit - min(q, limit) + (view.beside or 0) for q in used]
    whole = texts.encode(
        [(b or "") + (r or "") for b, r in zip(befores, rows.responses, strict=True)], special=special
    )
    spans = [(seam, UNBOUNDED) for seam in seams]
    if "prompt" in view.parts and rows.template.sliced is not None:
        spans = sliced_spans(rows, rows.template.sliced, texts, limit, special)
    for before, said, ids, (seam, end), room, prompt in zip(
        befores, rows.responses, whole, spans, rooms, used, strict=True
    ):
        problem = joint_problem(before, said, min(len(ids), room, end), seam, prompt >= limit)
        builder.add(problem, ids[: max(room, 0)], seam, len(ids) > room, end)
    return builder.done()


def sliced_spans(
    rows: Shown, template: str, texts: Texts, limit: int, special: bool
) -> list[tuple[int, int]]:
    """Where the response would lie if this were the prompt; Cherry's first scripts look for it there."""
    prompts = [p or "" for p in rows.rendered(template, template)]
    wholes = [p + (r or "") for p, r in zip(prompts, rows.responses, strict=True)]
    before, after = texts.encode(prompts, special=special), texts.encode(wholes, special=special)
    return [(len(b), min(len(a), limit)) for b, a in zip(before, after, strict=True)]


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
    template = view.template
    last_only = Shown(template, frame, texts.tokenizer)
    lasts = [] if template.chat else last_only.rendered(template.with_input, template.without_input)
    builder = Builder()
    start = starting(view, texts, last_only)
    for row, (prompt, response, system, history) in enumerate(
        frame.select("@prompt", "@response", "@system", "@history").rows()
    ):
        if prompt is None or not response:
            builder.add(NO_PROMPT if prompt is None else NO_RESPONSE, [], 0, False)
            continue
        if template.chat:
            parts = chat_parts(messages(prompt, system, history), response, last_only)
        else:
            parts = turn_parts(template, exchanges(history), system, lasts[row], response)
        builder.turns(start, parts, texts, limit)
    return builder.done()


Parts = list[tuple[str, bool]]


def turn_parts(
    template: Template, earlier: list[tuple[str, str]], system: str | None, prompt: str | None, response: str
) -> Parts:
    """Texts of a conversation and whether each is a response."""
    parts: Parts = [(system + template.between, False)] if system else []
    for user, assistant in earlier:
        parts += [
            (template.without_input.replace("{instruction}", user), False),
            (assistant, True),
            (template.between, False),
        ]
    return [*parts, (prompt or "", False), (response, True)]


def chat_parts(turns: list[dict[str, str]], response: str, shown: Shown) -> Parts:
    """Texts of a chat and whether each is a response: what the template adds between two turns is not."""
    parts: Parts = []
    done = ""
    for at, turn in enumerate([*turns, {"role": "assistant", "content": response}]):
        if turn["role"] != "assistant":
            continue
        before = shown.chat([*turns, {"role": "assistant", "content": response}][:at])
        parts += [(before.removeprefix(done), False), (turn["content"], True)]
        done = before + turn["content"]
    return parts


def encode_plain(columns: Sequence[str], frame: pl.DataFrame, texts: Texts, limit: int) -> Sequences:
    """Columns as one text with the tokenizer's own special tokens, cut before the last of them."""
    joined = frame.select(pl.concat_str([pl.col(c) for c in columns], separator="\n").alias("t"))[
        "t"
    ].to_list()
    builder = Builder()
    tail = len(texts.encode([""], special=True)[0]) > 1
    for text, ids in zip(joined, texts.encode([t or "" for t in joined], special=True), strict=True):
        over = len(ids) > limit
        kept = [*ids[: limit - 1], ids[-1]] if over and tail else ids[:limit]
        builder.add(NO_TEXT if text is None else None, kept, len(kept), over)
    return builder.done()


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
        self.add(problem, ids[:limit], min(len(ids), limit), len(ids) > limit)

    def pair(self, problem: str | None, before: list[int], response: list[int], whole: int) -> None:
        problem = problem or (None if response else NOTHING_LEFT)
        self.add(problem, before + response, len(before), len(response) < whole)

    def turns(self, start: list[int], parts: Parts, texts: Texts, limit: int) -> None:
        pieces = [
            texts.continued([text])[0] if said else texts.encode([text], special=False)[0]
            for text, said in parts
        ]
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
