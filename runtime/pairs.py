"""Rows as a tokenizer itself writes a text, a pair of texts, or a conversation that is over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import polars as pl

from ..compiler.wants import View
from ..errors import ModelError
from .formats.shapes import HISTORY
from .shown import REWRITTEN, Shown, said_between
from .tokens import NO_PROMPT, NO_RESPONSE, NO_ROOM, UNBOUNDED, Builder, Ids, Sequences, Texts

BETWEEN_TURNS = "\n"


def encode(view: View, frame: pl.DataFrame, texts: Texts, context: int | None) -> Sequences:
    """The tokens of every row, where `view.seam` is `own` or `closed`."""
    limit = min(view.limit or UNBOUNDED, context or UNBOUNDED)
    if view.seam == "closed":
        return encode_closed(view, frame, texts, limit)
    sequences = encode_own(view, frame, texts, UNBOUNDED if view.chunk else limit)
    chunk = view.chunk and min(view.chunk, context or view.chunk)
    return replace(sequences, chunk=chunk, images=_images(view, frame))


def encode_own(view: View, frame: pl.DataFrame, texts: Texts, limit: int) -> Sequences:
    """One text, or a pair of texts, with the tokenizer's own special tokens.

    What is too long loses the end of the text, or of the second one, and no special token.
    """
    rows = Shown(view.template, led(frame), texts.tokenizer)
    said = rows.responses
    empty = [_reads_response(view) and not (response or "").strip() for response in said]
    problems = [
        NO_RESPONSE if nothing else NO_PROMPT if prompt is None else None
        for prompt, nothing in zip(rows.lasts, empty, strict=True)
    ]
    prompts = [prompt or "" for prompt in rows.lasts]
    if "response" in view.parts:
        return _pairs(prompts, [response or "" for response in said], problems, texts, limit)
    return _singles(prompts, problems, texts, limit)


def _reads_response(view: View) -> bool:
    shown = view.template.with_input + view.template.without_input
    return "response" in view.parts or "{response}" in shown


def led(frame: pl.DataFrame) -> pl.DataFrame:
    """The rows with all earlier turns before the instruction, each on a line of its own."""
    if frame["@system"].null_count() + frame["@history"].null_count() == 2 * frame.height:
        return frame
    earlier = pl.Series("earlier", list(map(_earlier, frame["@system"], frame["@history"])))
    return frame.with_columns(
        *(pl.concat_str(pl.lit(earlier), pl.col(name)).alias(name) for name in ("@instruction", "@prompt")),
        pl.lit(None, dtype=pl.String).alias("@system"),
        pl.lit(None, dtype=HISTORY).alias("@history"),
    )


def _earlier(system: str | None, history: Sequence[dict[str, str | None]] | None) -> str:
    turns = [system, *(turn["content"] for turn in (history if history is not None else ()))]
    return "".join(turn + BETWEEN_TURNS for turn in turns if turn)


def _singles(prompts: list[str], problems: list[str | None], texts: Texts, limit: int) -> Sequences:
    closing = texts.ends[1]
    builder = Builder()
    for ids, problem in zip(texts.encode(prompts, special=True), problems, strict=True):
        over = len(ids) > limit
        kept = [*ids[: max(limit - len(closing), 0)], *closing] if over else ids
        builder.add(problem or (None if kept else NO_PROMPT), kept, len(kept), over)
    return builder.done()


def _pairs(
    prompts: list[str], responses: list[str], problems: list[str | None], texts: Texts, limit: int
) -> Sequences:
    builder = Builder()
    encodings = _both(texts, list(zip(prompts, responses, strict=True)))
    for encoding, problem in zip(encodings, problems, strict=True):
        of = encoding.sequence_ids
        first, last = (of.index(1), len(of) - of[::-1].index(1)) if 1 in of else (len(of), len(of))
        end = last - max(len(of) - limit, 0)
        if problem is None and end <= first:
            problem = NO_ROOM
        builder.add(problem, encoding.ids[:end] + encoding.ids[last:], first, end < last, max(end, first))
    return builder.done()


def _both(texts: Texts, pairs: list[tuple[str, str]]) -> list[Any]:
    """Every pair as the tokenizer writes it. Raises ModelError E436."""
    if texts.backend is None:
        raise ModelError(
            "E436", "the model's tokenizer cannot write pairs of texts: it has no tokenizer.json",
            help="save it again with a recent transformers, which writes tokenizer.json",
        )  # fmt: skip
    return texts.backend.encode_batch(pairs, add_special_tokens=True)


def encode_closed(view: View, frame: pl.DataFrame, texts: Texts, limit: int) -> Sequences:
    """The conversation as the chat template writes it with its last response, which is cut where it is too long."""
    rows = Shown(view.template, frame, texts.tokenizer)
    builder = Builder()
    written = [_written(rows, row) for row in range(frame.height)]
    for row, ids in enumerate(texts.encode([text or "" for text in written], special=False)):
        problem = NO_PROMPT if frame["@prompt"][row] is None else rows.refused.get(row)
        if problem is None and not (rows.responses[row] or "").strip():
            problem = NO_RESPONSE
        over = len(ids) > limit and problem is None
        if over:
            problem, ids = _cut(rows, row, written[row] or "", texts, limit)
        builder.add(problem, ids, len(ids), over)
    return builder.done()


def _written(rows: Shown, row: int) -> str | None:
    if rows.frame["@prompt"][row] is None or not rows.responses[row]:
        return None
    return rows.chat(row, [*rows.messages(row), _answer(rows, row)], prompting=False)


def _answer(rows: Shown, row: int) -> dict[str, str]:
    return {"role": "assistant", "content": rows.responses[row] or ""}


def _cut(rows: Shown, row: int, whole: str, texts: Texts, limit: int) -> tuple[str | None, list[int]]:
    """The tokens of a conversation whose last response has lost its end, or why there are none."""
    before = rows.chat(row, rows.messages(row))
    said = said_between(before, rows.responses[row] or "", whole)
    if before is None or said is None:
        return rows.refused.get(row, REWRITTEN), []
    head = texts.encode([before], special=False)[0]
    pieces: Ids = texts.continued([said, whole[len(before) + len(said) :]])
    room = limit - len(head) - len(pieces[1])
    if room <= 0:
        return NO_ROOM, []
    return None, [*head, *pieces[0][:room], *pieces[1]]


def _images(view: View, frame: pl.DataFrame) -> tuple[tuple[str, ...], ...] | None:
    """The paths of every row's images."""
    if view.images is None:
        return None
    from pathlib import Path

    if "@images" not in frame.columns:
        return ((),) * frame.height
    paths = frame["@images"].to_list()
    return tuple(tuple(str(Path(view.images) / path) for path in row or ()) for row in paths)
