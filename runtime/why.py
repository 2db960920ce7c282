"""The history of one row of a run: its scores, its rank, and why it was kept or dropped."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .manifest import history_path, manifest_path, read_manifest
from .nearby import listed

if TYPE_CHECKING:
    import polars as pl

MANIFEST = ".manifest.json"
HISTORY = ".history.parquet"
OWN = ("@row", "@id", "own_id", "kept", "position", "dropped")
"""Columns of a history that are no scores."""
MARK = re.compile(r"step (\d+): (.+)")


@dataclass(frozen=True)
class Record:
    """What the files beside an output know."""

    output: Path
    manifest: Mapping[str, Any]
    rows: pl.DataFrame


def why_text(row: str, output: Path) -> str:
    """The history of a row, which is named by its id or the beginning of it, by its own id in the file, or by
    `#N`, its number in the input counted from 1. Raises DataError E540, E542 to E544."""
    record = open_record(output)
    return "\n".join(lines_of(found(record, row), record))


def open_record(output: Path) -> Record:
    """Manifest and history of an output, which may be named by any of the three files."""
    for ending in (MANIFEST, HISTORY):
        if output.name.endswith(ending):
            output = output.with_name(output.name.removesuffix(ending))
    if not manifest_path(output).exists():
        raise no_run(output)
    return Record(output, read_manifest(manifest_path(output)), read_history(history_path(output)))


def no_run(output: Path) -> DataError:
    """The error for a file that no manifest lies beside."""
    folder = output.parent
    names = sorted(path.name.removesuffix(MANIFEST) for path in folder.glob(f"*{MANIFEST}"))
    help = f"outputs with a manifest: {listed(str(folder / name) for name in names[:8])}"
    if not names:
        help = f"the folder `{folder}` holds no output of selrun; name the file that `--out` named"
    return DataError("E540", f"no run is recorded beside `{output}`", help=help)


def read_history(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except FileNotFoundError:
        help = "run the recipe again; the history is written beside its output"
        raise DataError("E542", f"there is no history at `{path}`", help=help) from None
    except (OSError, pl.exceptions.PolarsError) as error:
        raise DataError(
            "E542", f"the history `{path}` cannot be read: {error}", help="run the recipe again"
        ) from None


# Finding the row


def found(record: Record, row: str) -> Mapping[str, Any]:
    """The one row of that name. Raises DataError E543 for none, E544 for several."""
    matches = matching(record.rows, row)
    if matches.height == 0:
        raise unknown(record.rows, row)
    if matches.height > 1:
        raise ambiguous(matches, row)
    return matches.row(0, named=True)


def matching(rows: pl.DataFrame, row: str) -> pl.DataFrame:
    """The rows of that name: an exact id first, then the file's own, then the beginning of one."""
    import polars as pl

    if re.fullmatch(r"#\d+", row):
        return rows.filter(pl.col("@row") + 1 == int(row[1:]))
    ways = (
        pl.col("@id") == row,
        pl.col("own_id") == row,
        pl.col("@id").str.starts_with(row) if row else pl.lit(False),
    )
    tries = (rows.filter(way) for way in ways)
    return next((each for each in tries if each.height), rows.clear())


def unknown(rows: pl.DataFrame, row: str) -> DataError:
    ids = [*rows["@id"].to_list(), *rows["own_id"].drop_nulls().to_list()]
    near = difflib.get_close_matches(row, ids, n=4, cutoff=0.6)
    help = [f"ids like it: {listed(near)}"] if near else [f"ids look like {listed(ids[:3])}"]
    last = max(rows["@row"].to_list(), default=0) + 1
    return DataError(
        "E543",
        f"no row of the run has the id `{row}`",
        help=[*help, f"or name a row by its number in the input, from `#1` to `#{last}`"],
    )


def ambiguous(matches: pl.DataFrame, row: str) -> DataError:
    shown = [f"`{each['@id']}` (row {each['@row'] + 1})" for each in matches.head(8).iter_rows(named=True)]
    more = f" and {matches.height - 8} more" if matches.height > 8 else ""
    return DataError(
        "E544", f"{matches.height:,} rows are meant by `{row}`", help=f"name one: {', '.join(shown)}{more}"
    )


# Showing it


def lines_of(row: Mapping[str, Any], record: Record) -> Iterator[str]:
    """The row, what became of it, and each step that says something of it."""
    steps = record.manifest["steps"]
    yield title(row, record)
    yield f"  {fate(row, record)}"
    if scores := scores_of(row):
        yield ""
        yield from table(scores)
    yield ""
    yield from step_lines(row, steps)


def title(row: Mapping[str, Any], record: Record) -> str:
    own = f", its own id `{row['own_id']}`" if row["own_id"] is not None else ""
    read = record.manifest["data"]
    source = read[0]["source"] if len(read) == 1 else "its dataset"
    return f"row {row['@row'] + 1:,} of {source}: `{row['@id']}`{own}"


def fate(row: Mapping[str, Any], record: Record) -> str:
    """Kept at which place, or dropped where and why."""
    if row["kept"]:
        return f"kept: row {row['position']:,} of {record.manifest['output']['rows']:,} in {record.output}"
    drops = row["dropped"] or []
    if not drops:
        return f"not in {record.output}"
    last = drops[-1]
    return f"dropped at step {last['step']}, `{last['title']}`: {last['reason']}"


def scores_of(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The columns that the steps added."""
    names = (name for name in row if name not in OWN and not MARK.fullmatch(name))
    return [(name.removeprefix("@"), shown(row[name])) for name in names]


def shown(value: object) -> str:
    """A value as a person reads it."""
    match value:
        case None:
            return "no value"
        case float():
            return f"{value:.6g}"
        case list() | dict():
            return shorten(json.dumps(value, ensure_ascii=False, default=str))
        case _:
            return shorten(str(value))


def shorten(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"


def step_lines(row: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Each step with what it noted of the row; after the last drop nothing more came."""
    drops = {drop["step"]: drop["reason"] for drop in row["dropped"] or []}
    last = max(drops, default=len(steps)) if not row["kept"] else len(steps)
    width = max((len(step["title"]) for step in steps), default=0)
    for step in steps[:last]:
        number = step["number"]
        outcome = f"dropped: {drops[number]}" if number in drops else outcome_of(step)
        facts = "; ".join(part for part in (outcome, *marks_of(row, number), *notes_of(step)) if part)
        yield f"  {number:>2}  {step['title']:<{width}}  {facts}".rstrip()


def outcome_of(step: Mapping[str, Any]) -> str:
    """What the step did with a row that went on."""
    if step["rows_in"] == step["rows_out"]:
        return ""
    return f"kept, among {step['rows_out']:,} of {step['rows_in']:,}"


def marks_of(row: Mapping[str, Any], number: int) -> Iterator[str]:
    for name, value in row.items():
        mark = MARK.fullmatch(name)
        if mark and int(mark[1]) == number and value is not None:
            yield f"{mark[2]}: {value}" if isinstance(value, str) else f"{mark[2]} {shown(value)}"


def notes_of(step: Mapping[str, Any]) -> Iterator[str]:
    if step["notes"].get("threshold") is not None:
        yield f"the last kept has {shown(step['notes']['threshold'])}"


def table(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max(len(name) for name, _ in rows)
    return (f"  {name:<{width}}  {value}" for name, value in rows)
