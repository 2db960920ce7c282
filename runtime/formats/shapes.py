"""Which columns of a file are the prompt, the response and the turns before them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ...errors import DataError
from .columns import compact
from .layout import JSON, SHAPES, Fields, Shape

TURNS = ("messages", "conversations", "conversation")
SPEAKERS = {"from": "value", "role": "content"}
RESPONSES = ("output", "response", "completion")
IMAGES = ("images", "image")
"""Columns that name the images of a row, the nearest first."""
ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
HISTORY = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
PARTS = ("@instruction", "@input", "@prompt", "@response", "@system", "@history")

Turn = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Exchange:
    """The last question and answer of a conversation, and what stands before them."""

    system: str | None = None
    history: list[Turn] | None = None
    prompt: str | None = None
    response: str | None = None


def recognise(frame: pl.DataFrame, name: str, wanted: Shape | None = None) -> tuple[Shape, Fields]:
    """The shape of the rows and the columns that carry it."""
    for shape in (wanted,) if wanted else SHAPES[:-1]:
        if (fields := fields_of(frame, shape)) is not None:
            return shape, with_context(fields, frame.columns)
    seen = ", ".join(f"`{column}`" for column in frame.columns if not column.startswith("@"))
    raise DataError(
        "E506",
        f"`{name}` has no columns for {'the shape ' + wanted if wanted else 'a prompt and a response'}",
        notes=[f"its columns are: {seen or 'none'}"],
        help="rename columns to one of: `instruction`, `input`, `output` (alpaca); `conversations` of "
        "`from`/`value` (sharegpt); `messages` of `role`/`content` (messages); `prompt`, `completion` "
        "or `prompt`, `response` (prompt); `text` with `as plain` (plain)",
    )


def fields_of(frame: pl.DataFrame, shape: Shape) -> Fields | None:
    columns = frame.columns
    response = next((name for name in RESPONSES if name in columns), None)
    match shape:
        case "alpaca" if "instruction" in columns and response:
            return Fields("instruction", "input" if "input" in columns else None, response)
        case "prompt" if "prompt" in columns and response:
            return Fields("prompt", response=response)
        case "plain" if "text" in columns:
            return Fields(response="text")
        case "sharegpt":
            return turn_fields(frame, "from")
        case "messages":
            return turn_fields(frame, "role")
    return None


def turn_fields(frame: pl.DataFrame, speaker: str) -> Fields | None:
    for name in TURNS:
        if name in frame.columns and speaker in turn_keys(frame[name]):
            return Fields(turns=name, role=speaker, content=SPEAKERS[speaker])
    return None


def turn_keys(series: pl.Series) -> set[str]:
    """The keys of the first turn that the column holds."""
    for value in native(series.drop_nulls().head(100)):
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return set(value[0])
    return set()


def with_context(fields: Fields, columns: Sequence[str]) -> Fields:
    system = "system" if "system" in columns else None
    history = "history" if "history" in columns and fields.turns is None else None
    return replace(fields, system=system, history=history)


def native(series: pl.Series) -> Iterable[Any]:
    """The values as Python objects; JSON texts are parsed."""
    if series.dtype == JSON:
        return (None if v is None else json.loads(v) for v in series.struct.field("@json"))
    if series.dtype == pl.String:
        return map(parsed_or_text, series)
    return iter(series.to_list())


def parsed_or_text(text: str | None) -> Any:
    if text is None or not text.lstrip().startswith(("[", "{")):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def canonical(frame: pl.DataFrame, fields: Fields) -> pl.DataFrame:
    """The frame with the canonical columns of an exchange."""
    parts = written(frame, fields) if fields.turns is None else spoken(frame, fields)
    return frame.with_columns(*parts, *pictures(frame))


def written(frame: pl.DataFrame, fields: Fields) -> list[pl.Series]:
    """The parts of rows that keep them in columns of their own."""

    def part(name: str | None) -> pl.Series:
        nothing = pl.repeat(None, frame.height, dtype=pl.String, eager=True)
        return nothing if name is None else text_of(frame[name])

    parts = pl.DataFrame(
        {
            "@instruction": part(fields.instruction),
            "@input": part(fields.input),
            "@response": part(fields.response),
            "@system": part(fields.system),
        }
    )
    if fields.instruction is None:
        parts = parts.with_columns(pl.lit("").alias("@instruction"))
    parts = parts.with_columns(prompt(), history_of(frame, fields.history))
    return parts.select(PARTS).get_columns()


def prompt() -> pl.Expr:
    with_input = pl.concat_str(["@instruction", "@input"], separator="\n")
    has_input = pl.col("@input").is_not_null() & (pl.col("@input") != "")
    return pl.when(has_input).then(with_input).otherwise(pl.col("@instruction")).alias("@prompt")


def pictures(frame: pl.DataFrame) -> list[pl.Series]:
    """The paths of every row's images, where a column names them."""
    name = next((name for name in IMAGES if name in frame.columns), None)
    if name is None:
        return []
    return [pl.Series("@images", list(map(paths_in, native(frame[name]))), dtype=pl.List(pl.String))]


def paths_in(value: Any) -> list[str] | None:
    """A path, or several, or objects with a `path`; anything else names no image."""
    several = value if isinstance(value, list) else [value]
    found = [item.get("path") if isinstance(item, dict) else item for item in several]
    return [path for path in found if isinstance(path, str) and path] or None


def text_of(series: pl.Series) -> pl.Series:
    """The column as text; a value that is not text is its own JSON."""
    if series.dtype == pl.String:
        return series
    texts = [v if v is None or isinstance(v, str) else compact(v) for v in native(series)]
    return pl.Series(series.name, texts, dtype=pl.String)


def history_of(frame: pl.DataFrame, name: str | None) -> pl.Series:
    """Earlier turns from a column of (question, answer) pairs or of turns."""
    if name is None:
        return pl.repeat(None, frame.height, dtype=HISTORY, eager=True).alias("@history")
    return pl.Series("@history", [earlier(value) for value in native(frame[name])], dtype=HISTORY)


def earlier(value: Any) -> list[Turn] | None:
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(turn, dict) for turn in value):
        return turns(value, *speaker_keys(value[0]))
    pairs = [pair for pair in value if isinstance(pair, list) and len(pair) == 2]
    said = [(role, text) for pair in pairs for role, text in zip(("user", "assistant"), pair, strict=True)]
    return [{"role": role, "content": plain(text)} for role, text in said] or None


def speaker_keys(turn: dict[str, Any]) -> tuple[str, str]:
    return ("from", "value") if "from" in turn else ("role", "content")


def turns(value: Iterable[Any], role: str, content: str) -> list[Turn]:
    said = [turn for turn in value if isinstance(turn, dict)]
    return [{"role": speaker(turn.get(role)), "content": plain(turn.get(content))} for turn in said]


def speaker(role: Any) -> str:
    return ROLES.get(str(role), str(role))


def plain(content: Any) -> str | None:
    """The text of a turn; of content in parts, the text parts."""
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        texts = [part["text"] for part in content if isinstance(part.get("text"), str)]
        return "\n".join(texts) if texts else compact(content)
    return compact(content)


def spoken(frame: pl.DataFrame, fields: Fields) -> list[pl.Series]:
    """The parts of rows that are conversations."""
    assert fields.turns is not None
    found = [exchange_in(value, fields) for value in native(frame[fields.turns])]
    prompts = pl.Series("@prompt", [e.prompt for e in found], dtype=pl.String)
    system = pl.Series("@system", [e.system for e in found], dtype=pl.String)
    if fields.system is not None:
        system = system.fill_null(text_of(frame[fields.system]))
    return [
        prompts.alias("@instruction"),
        pl.repeat(None, frame.height, dtype=pl.String, eager=True).alias("@input"),
        prompts,
        pl.Series("@response", [e.response for e in found], dtype=pl.String),
        system.alias("@system"),
        pl.Series("@history", [e.history for e in found], dtype=HISTORY),
    ]


def exchange_in(value: Any, fields: Fields) -> Exchange:
    if not isinstance(value, list):
        return Exchange()
    return last_exchange(turns(value, fields.role, fields.content))


def last_exchange(said: list[Turn]) -> Exchange:
    """The conversation with its last answer, the question before it, and all other turns as history."""
    system = said[0]["content"] if said and said[0]["role"] == "system" else None
    rest = said[1:] if said and said[0]["role"] == "system" else said
    answer = last(rest, "assistant", len(rest))
    if (question := last(rest, "user", len(rest))) is not None and (answer is None or question > answer):
        answer = None
    elif answer is not None:
        question = last(rest, "user", answer)
    history = [turn for at, turn in enumerate(rest) if at not in (question, answer)]
    return Exchange(system, history or None, content_at(rest, question), content_at(rest, answer))


def last(said: Sequence[Turn], role: str, before: int) -> int | None:
    return next((at for at in reversed(range(before)) if said[at]["role"] == role), None)


def content_at(said: Sequence[Turn], at: int | None) -> str | None:
    return None if at is None else said[at]["content"]
