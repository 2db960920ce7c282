"""Writing rows in the form they were read in, or in another."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import IO, Any, cast

import polars as pl
import zstandard

from ...errors import DataError, StoreError
from .columns import compact
from .layout import JSON, Compression, Container, Fields, Layout, Shape

CONTAINERS: dict[str, Container] = {
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
COMPRESSIONS: dict[str, Compression] = {".gz": "gz", ".zst": "zst"}
STRETCH = 20_000
ROLE_NAMES = {"user": "human", "assistant": "gpt"}


def layout_for(layout: Layout, target: str | Path) -> Layout:
    """The layout that the target's ending asks for; what it leaves open stays as it was."""
    endings = [suffix.lower() for suffix in PurePath(str(target)).suffixes][-2:]
    packed = COMPRESSIONS.get(endings[-1]) if endings else None
    kinds = [CONTAINERS[suffix] for suffix in endings if suffix in CONTAINERS]
    if not kinds:
        return replace(layout, compression=packed or layout.compression)
    between = "\t" if ".tsv" in endings else ("," if layout.container != "csv" else layout.separator)
    return replace(layout, container=kinds[-1], compression=packed, separator=between)


def columns_of(frame: pl.DataFrame, layout: Layout, scores: Sequence[str]) -> pl.DataFrame:
    """The columns that go into the file: the file's own, then the scores, with the marks of each row."""
    own = [name for name in layout.columns if name in frame.columns]
    doubled = sorted(set(scores) & set(layout.columns))
    if doubled:
        raise DataError(
            "E513",
            f"the column `{doubled[0]}` exists already in the file",
            help=f"give the score another name: `as new_{doubled[0]}`",
        )
    marks = [name for name in ("@keys", "@ints") if name in frame.columns]
    return pl.DataFrame({name: frame[name] for name in (*own, *scores, *marks)})


def reshaped(frame: pl.DataFrame, layout: Layout, shape: Shape) -> tuple[pl.DataFrame, Layout]:
    """The rows in another shape; columns that carry no part of the exchange stay."""
    parts = exchanges(frame, shape)
    others = [name for name in layout.columns if name not in layout.fields.named]
    doubled = sorted(set(others) & set(parts.columns))
    if doubled:
        raise DataError(
            "E513",
            f"the column `{doubled[0]}` exists already in the file",
            help=f"rename the file's column `{doubled[0]}`, or keep the shape `{layout.shape}`",
        )
    order = (*parts.columns, *others)
    fresh = frame.drop(layout.fields.named, strict=False).with_columns(parts.get_columns())
    return with_forms(fresh, layout, parts.columns, order), replace(
        layout, shape=shape, columns=order, fields=Fields()
    )


def with_forms(frame: pl.DataFrame, layout: Layout, new: Sequence[str], order: Sequence[str]) -> pl.DataFrame:
    """The marks of missing keys for the new columns."""
    if "@keys" not in frame.columns or frame["@keys"].null_count() == frame.height:
        return frame
    gone = set(layout.fields.named)
    forms = [None if f is None else [*new, *(n for n in f if n not in gone)] for f in frame["@keys"]]
    return frame.with_columns(pl.Series("@keys", forms, dtype=pl.List(pl.String)))


def exchanges(frame: pl.DataFrame, shape: Shape) -> pl.DataFrame:
    match shape:
        case "alpaca":
            return flat(frame, {"@instruction": "instruction", "@input": "input", "@response": "output"})
        case "prompt":
            return flat(frame, {"@prompt": "prompt", "@response": "completion"})
        case "plain":
            return frame.select(pl.col("@response").alias("text"))
        case "messages":
            return conversations(frame, "messages", "role", "content")
        case "sharegpt":
            return conversations(frame, "conversations", "from", "value")


def flat(frame: pl.DataFrame, names: dict[str, str]) -> pl.DataFrame:
    """Columns of their own; system text and earlier turns only where some row has them."""
    rare = {"@system": "system", "@history": "history"}
    used = names | {mark: name for mark, name in rare.items() if frame[mark].null_count() < frame.height}
    parts = frame.select(pl.col(mark).alias(name) for mark, name in used.items())
    return parts.with_columns(pl.col("input").fill_null("")) if "input" in parts.columns else parts


def conversations(frame: pl.DataFrame, name: str, role: str, content: str) -> pl.DataFrame:
    parts = frame.select("@system", "@history", "@prompt", "@response").iter_rows()
    rows = [conversation(*row, role=role, content=content) for row in parts]
    turn = pl.Struct({role: pl.String, content: pl.String})
    return pl.DataFrame({name: pl.Series(rows, dtype=pl.List(turn))})


def conversation(
    system: str | None,
    history: list[dict[str, str]] | None,
    prompt: str | None,
    response: str | None,
    *,
    role: str,
    content: str,
) -> list[dict[str, str]]:
    """One row as turns, oldest first."""
    said = [("system", system)] + [(turn["role"], turn["content"]) for turn in history or ()]
    said += [("user", prompt), ("assistant", response)]
    name = ROLE_NAMES if role == "from" else {}
    return [{role: name.get(who, who), content: text} for who, text in said if text is not None]


def texts(frame: pl.DataFrame, layout: Layout, scores: Sequence[str]) -> Iterator[str]:
    """Every row as the JSON text of one object."""
    indent = layout.indent if layout.container == "json" else None
    for row in objects(frame, scores):
        yield json.dumps(row, ensure_ascii=layout.ascii, indent=indent, allow_nan=False)


def objects(frame: pl.DataFrame, scores: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every row as it was read, with its scores."""
    wrapped = {name for name, dtype in frame.schema.items() if dtype == JSON}
    floats = {name for name, dtype in frame.schema.items() if dtype.is_float()}
    plain = {name for name, dtype in frame.schema.items() if is_plain(dtype)}
    for row in frame.iter_rows(named=True):
        keys, whole = row.pop("@keys", None), row.pop("@ints", None) or ()
        for name in wrapped:
            row[name] = None if row[name] is None else json.loads(row[name]["@json"])
        for name in floats:
            row[name] = number(row[name], name in whole)
        for name in row.keys() - plain - wrapped - floats:
            row[name] = jsonable(row[name])
        yield row if keys is None else {name: row[name] for name in (*keys, *scores)}


def is_plain(dtype: pl.DataType) -> bool:
    return dtype.is_integer() or dtype in (
        pl.String,
        pl.Boolean,
        pl.Null,
        pl.List(pl.String),
        pl.List(pl.Int64),
    )


def number(value: float | None, whole: bool) -> float | int | None:
    if value is None or not math.isfinite(value):
        return None
    return int(value) if whole else value


def jsonable(value: Any) -> Any:
    """The value in the types that JSON has."""
    match value:
        case float():
            return number(value, False)
        case dict():
            return {name: jsonable(inner) for name, inner in value.items()}
        case list():
            return [jsonable(inner) for inner in value]
        case None | str() | int():
            return value
        case bytes():
            return value.decode("latin-1")
        case _:
            return str(value)


def write_json(frame: pl.DataFrame, layout: Layout, scores: Sequence[str], out: IO[bytes]) -> None:
    """A JSON array that looks as the input did."""
    pad = margin(layout)
    between = b", " if pad is None else b",\n"
    before = b"[" if pad is None else b"[\n"
    for text in texts(frame, layout, scores):
        out.write(before + (text if pad is None else pad + text.replace("\n", "\n" + pad)).encode())
        before = between
    empty = b"[" if before != between else b""
    out.write(empty + (b"]" if pad is None else b"\n]"))


def margin(layout: Layout) -> str | None:
    """What stands before each row on a line of its own."""
    return " " * layout.indent if isinstance(layout.indent, int) else layout.indent or layout.margin


def write_jsonl(frame: pl.DataFrame, layout: Layout, scores: Sequence[str], out: IO[bytes]) -> None:
    """One object per line."""
    if not layout.ascii and is_regular(frame):
        finite = pl.when(pl.selectors.float().is_finite()).then(pl.selectors.float())
        frame.drop("@keys", "@ints", strict=False).with_columns(finite).write_ndjson(cast(IO[bytes], out))
        return
    for text in texts(frame, layout, scores):
        out.write(text.encode() + b"\n")


def is_regular(frame: pl.DataFrame) -> bool:
    """Whether the typed columns say everything about every row."""
    marks = [name for name in ("@keys", "@ints") if name in frame.columns]
    unmarked = all(frame[name].null_count() == frame.height for name in marks)
    own = [dtype for name, dtype in frame.schema.items() if name not in marks]
    return unmarked and all(is_plain(dtype) or dtype.is_float() for dtype in own)


def write_csv(frame: pl.DataFrame, layout: Layout, out: IO[bytes]) -> None:
    """One line per row; nested values are JSON texts."""
    flat = frame.drop("@keys", "@ints", strict=False).select(
        cells(column) for column in frame.iter_columns() if not column.name.startswith("@")
    )
    flat.write_csv(cast(IO[bytes], out), separator=layout.separator)


def cells(column: pl.Series) -> pl.Series:
    if column.dtype == JSON:
        return column.struct.field("@json").alias(column.name)
    if column.dtype.is_float():
        return column.fill_nan(None)
    if column.dtype.is_nested():
        values = [None if v is None else compact(jsonable(v)) for v in column.to_list()]
        return pl.Series(column.name, values, dtype=pl.String)
    return column


def write_parquet(frame: pl.DataFrame, out: IO[bytes]) -> None:
    """Typed columns; a column of JSON texts gets a type where one holds all its values exactly."""
    own = {column.name: typed(column) for column in frame.iter_columns() if not column.name.startswith("@")}
    pl.DataFrame(own).write_parquet(cast(IO[bytes], out))


def typed(column: pl.Series) -> pl.Series:
    if column.dtype != JSON:
        return column
    texts = column.struct.field("@json")
    values = [None if text is None else json.loads(text) for text in texts]
    try:
        found = pl.Series(column.name, values, strict=True)
    except (TypeError, OverflowError, pl.exceptions.PolarsError):
        return texts.alias(column.name)
    return found if found.to_list() == values else texts.alias(column.name)


def write(frame: pl.DataFrame, layout: Layout, scores: Sequence[str], out: IO[bytes]) -> None:
    match layout.container:
        case "json":
            write_json(frame, layout, scores, out)
        case "jsonl":
            write_jsonl(frame, layout, scores, out)
        case "csv":
            write_csv(frame, layout, out)
        case "parquet":
            write_parquet(frame, out)


@contextlib.contextmanager
def packed(out: IO[bytes], compression: Compression | None) -> Iterator[IO[bytes]]:
    """Where to write so that `out` receives compressed bytes."""
    match compression:
        case None:
            with io.BufferedWriter(cast(io.RawIOBase, out), 1 << 20) as writer:
                yield cast(IO[bytes], writer)
        case "gz":
            with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=6) as writer:
                yield cast(IO[bytes], writer)
        case "zst":
            with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as writer:
                yield cast(IO[bytes], writer)


def save(frame: pl.DataFrame, layout: Layout, scores: Sequence[str], target: str | Path) -> None:
    """Write the file whole or not at all."""
    compression = None if layout.container == "parquet" else layout.compression
    try:
        with placed(target) as out, packed(out, compression) as writer:
            write(frame, layout, scores, writer)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise unwritable(target, error) from error


def unwritable(target: str | Path, error: Exception) -> StoreError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return StoreError(
        "E601",
        f"cannot write `{target}`",
        notes=[reason.lower(), "no part of the file was left behind"],
        help="free space or name another file with `--out FILE`; scores that were computed stay in the store",
    )


@contextlib.contextmanager
def placed(target: str | Path) -> Iterator[IO[bytes]]:
    """A file under a temporary name that takes the target's name when it is complete."""
    if "://" in str(target):
        with placed_remotely(str(target)) as out:
            yield out
        return
    path = Path(target).expanduser()
    path.parent.mkdir(parents=True, exist_ok=True)
    number, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(number, "wb", buffering=0) as out:
            yield cast(IO[bytes], out)
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def umask() -> int:
    """The process's mask of permissions for new files."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def placed_remotely(url: str) -> Iterator[IO[bytes]]:
    import fsspec

    system, path = fsspec.url_to_fs(url)
    temporary = f"{path}.part"
    try:
        with system.open(temporary, "wb") as out:
            yield cast(IO[bytes], out)
        system.mv(temporary, path)
    except BaseException:
        if system.exists(temporary):
            system.rm(temporary)
        raise
