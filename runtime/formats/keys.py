"""Names for rows that depend on nothing but their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl
import polars_hash
import pyarrow as pa

KEYED = ("@system", "@instruction", "@input", "@response")
SHORT = 10
LENGTHS = (SHORT, 12, 16, 20, 24, 32)


def with_keys(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with `@row`, `@key` and `@id`."""
    keyed = frame.with_columns(
        pl.int_range(pl.len(), dtype=pl.UInt32).alias("@row"), keys(frame).alias("@key")
    )
    return keyed.with_columns(ids(keyed["@key"]))


def keys(frame: pl.DataFrame) -> pl.Series:
    """The xxh3-128 of each row's canonical content as 32 hexadecimal digits."""
    parts = [sized(pl.col(name)) for name in KEYED] + [sized(turns(frame)), sized(images(frame))]
    return hexadecimal(hashed(frame.select(pl.concat_str(parts).alias("content"))["content"]))


def sized(text: pl.Expr) -> pl.Expr:
    """The text after its length in bytes; a null differs from every text."""
    return pl.when(text.is_null()).then(pl.lit("-")).otherwise(pl.format("{}:{}", text.str.len_bytes(), text))


def turns(frame: pl.DataFrame) -> pl.Expr:
    if frame["@history"].null_count() == frame.height:
        return pl.lit(None, dtype=pl.String)
    turn = pl.element().struct
    said = pl.concat_str([sized(turn.field("role")), sized(turn.field("content"))])
    return pl.col("@history").list.eval(said).list.join("")


def images(frame: pl.DataFrame) -> pl.Expr:
    name = next((name for name in ("images", "image") if name in frame.columns), None)
    if name is None:
        return pl.lit(None, dtype=pl.String)
    return pl.when(pl.col(name).is_not_null()).then(as_text(frame, name))


def as_text(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A column of any type as text that differs where the values differ."""
    match frame.schema[name]:
        case pl.String:
            return pl.col(name)
        case pl.Binary():
            return pl.col(name).bin.encode("hex")
        case pl.List() | pl.Struct() | pl.Array() as nested if holds_bytes(nested):
            return pl.col(name).map_batches(written, return_dtype=pl.String)
        case pl.List() | pl.Struct() | pl.Array() | pl.Duration():
            return pl.struct(name).struct.json_encode()
        case _:
            return pl.col(name).cast(pl.String)


def holds_bytes(dtype: pl.DataType) -> bool:
    """Whether a nested type has bytes somewhere, as pictures have; polars cannot write those as JSON."""
    match dtype:
        case pl.Struct(fields=fields):
            return any(holds_bytes(instance(field.dtype)) for field in fields)
        case pl.List() | pl.Array():
            return holds_bytes(instance(dtype.inner))
        case _:
            return dtype == pl.Binary


def instance(dtype: Any) -> pl.DataType:
    """The type itself, where its class stands for it."""
    return dtype() if isinstance(dtype, type) else dtype


def written(values: pl.Series) -> pl.Series:
    """Every value as Python writes it."""
    return pl.Series([None if value is None else repr(value) for value in values.to_list()], dtype=pl.String)


def hashed(texts: pl.Series) -> pl.DataFrame:
    """The two halves of the xxh3-128 of each text."""
    number = polars_hash.col("text").nchash.xxh3_128().alias("number")
    halves = [(pl.col("number") // 2**64).cast(pl.UInt64).alias("high")]
    halves += [(pl.col("number") % 2**64).cast(pl.UInt64).alias("low")]
    return texts.alias("text").to_frame().select(number).select(halves)


def hexadecimal(halves: pl.DataFrame) -> pl.Series:
    if halves.is_empty():
        return pl.Series("@key", [], dtype=pl.String)
    digits = np.stack([halves["high"].to_numpy(), halves["low"].to_numpy()], axis=1).astype(">u8")
    text = digits.tobytes().hex().encode()
    offsets = pa.py_buffer(np.arange(0, len(text) + 1, 32, dtype=np.int64))
    arrow = pa.LargeStringArray.from_buffers(halves.height, offsets, pa.py_buffer(text))
    series = pl.from_arrow(arrow)
    assert isinstance(series, pl.Series)
    return series


def ids(keys: pl.Series) -> pl.Series:
    """Short names: as many digits of the key as tell it from the others, exact copies numbered."""
    named = keys.alias("key").to_frame().with_columns(pl.col("key").str.head(SHORT).alias("id"))
    for length in LENGTHS[1:]:
        clashes = named.unique("key").filter(pl.col("id").is_duplicated())["id"]
        if clashes.is_empty():
            break
        longer = pl.when(pl.col("id").is_in(clashes.implode())).then(pl.col("key").str.head(length))
        named = named.with_columns(longer.otherwise(pl.col("id")).alias("id"))
    return numbered(named)


def numbered(named: pl.DataFrame) -> pl.Series:
    if not named["key"].is_duplicated().any():
        return named["id"].alias("@id")
    copy = pl.int_range(1, pl.len() + 1).over("key")
    name = pl.when(copy > 1).then(pl.format("{}-{}", "id", copy)).otherwise(pl.col("id"))
    return named.select(name.alias("@id"))["@id"]


def fingerprint(frame: pl.DataFrame, covered: Iterable[str]) -> str:
    """One name for all rows in order; the columns in `covered` are known through `@key` already."""
    state = hashlib.blake2b(digest_size=16)
    left_out = set(covered) | {
        "@row",
        "@id",
        "@instruction",
        "@input",
        "@prompt",
        "@response",
        "@system",
        "@history",
        "@images",
    }
    for name in frame.columns:
        if name in left_out or name in ("@keys", "@ints"):
            continue
        state.update(f"{len(name)}:{name}:{frame.schema[name]}".encode())
        state.update(column_digest(frame, name))
    return state.hexdigest()


def column_digest(frame: pl.DataFrame, name: str) -> bytes:
    # Alone and renamed: polars takes a name such as `*` for a pattern of names.
    column = frame[name].alias("value").to_frame()
    halves = hashed(column.select(sized(as_text(column, "value")).alias("text"))["text"])
    return halves.to_numpy().tobytes()
