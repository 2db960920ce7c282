"""Rows from JSON arrays and JSON lines, with the place of every row that cannot be read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...errors import DataError
from .content import BOM
from .layout import BadRow
from .sources import Stream, damaged

STRETCH = 20_000
BLANK = re.compile(r"[ \t\r\n]*")
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
KINDS = {list: "an array", str: "a text", int: "a number", float: "a number", bool: "a boolean"}

Stretch = tuple[list[dict[str, Any]], list[BadRow]]


def no_number(_: str) -> None:
    """NaN and Infinity, which are not JSON but are written by some programs, are nulls."""


DECODER = json.JSONDecoder(parse_constant=no_number)


def lines(stream: Stream, name: str) -> Iterator[Stretch]:
    """The objects of a file with one object per line, a stretch at a time."""
    first = 1
    while texts := list(islice(stream, STRETCH)):
        if first == 1:
            texts[0] = texts[0].removeprefix(BOM)
        yield together(texts) or one_by_one(texts, first, name)
        first += len(texts)


def together(texts: list[bytes]) -> Stretch | None:
    """All lines in one call of the parser; nothing where any line is not exactly one object."""
    # A 0 between the lines shows up elsewhere when a line holds more or less than one value.
    joined = b"[" + b",0,".join(texts) + b"]"
    if SURROGATE.search(joined):
        return None
    try:
        values = DECODER.decode(joined.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    rows = values[::2]
    exact = (
        len(rows) == len(texts) and set(map(type, rows)) == {dict} and set(map(type, values[1::2])) <= {int}
    )
    return (rows, []) if exact else None


def one_by_one(texts: list[bytes], first: int, name: str) -> Stretch:
    rows: list[dict[str, Any]] = []
    bad: list[BadRow] = []
    for number, text in enumerate(texts, first):
        if not text.strip():
            continue
        try:
            rows.append(parsed(text))
        except (ValueError, RecursionError) as error:
            bad.append(BadRow(name, number, reason(error)))
    return rows, bad


def parsed(text: bytes) -> dict[str, Any]:
    """The object that a line holds; a ValueError says what is wrong with it."""
    value = DECODER.decode(text.decode("utf-8"))
    checked(value)
    if SURROGATE.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def checked(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{KINDS.get(type(value), 'null')} where an object is wanted")


def reason(error: Exception) -> str:
    """What is wrong, in the parser's words, without the position inside the line."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not UTF-8"
    if isinstance(error, UnicodeEncodeError):
        return "half of a surrogate pair, which is no letter"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def array(stream: Stream, name: str) -> Iterator[Stretch]:
    """The objects of a JSON array, a stretch at a time."""
    text = decoded(stream.read(), name)
    elements = values(text, name)
    while found := list(islice(elements, STRETCH)):
        bad = [
            BadRow(name, line_of(text, at), complaint) for at, value in found if (complaint := fault(value))
        ]
        yield [value for _, value in found if not fault(value)], bad


def decoded(content: bytes, name: str) -> str:
    try:
        return content.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            "E510",
            f"`{name}` is not UTF-8 text",
            notes=[f"byte {error.start + 1}, in line {line}, is not UTF-8"],
            help=f"convert it, for example with `iconv -f latin1 -t utf-8 {name}`",
        ) from error


def fault(value: Any) -> str | None:
    try:
        checked(value)
        if "\\ud" in json.dumps(value):
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError as error:
        return reason(error)
    return None


def values(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """Every element of the array with its place in the text."""
    at = skip(text, skip(text, 0) + 1)
    if text.startswith("]", at):
        return
    while True:
        start = at
        try:
            value, at = DECODER.raw_decode(text, start)
        except (json.JSONDecodeError, RecursionError) as error:
            raise broken(text, start, name, error) from error
        yield start, value
        at = skip(text, at)
        if text.startswith("]", at):
            break
        if not text.startswith(",", at):
            raise broken(text, at, name, json.JSONDecodeError("Expecting ',' or ']'", text, at))
        at = skip(text, at + 1)
    if (end := skip(text, at + 1)) < len(text):
        raise broken(text, end, name, json.JSONDecodeError("Extra data after the array", text, end))


def skip(text: str, at: int) -> int:
    match = BLANK.match(text, at)
    return match.end() if match else at


def line_of(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def broken(text: str, start: int, name: str, error: Exception) -> DataError:
    """The error for an array that cannot be read to its end."""
    place = error.pos if isinstance(error, json.JSONDecodeError) else start
    if not text.rstrip().endswith("]") or not text[place:].strip():
        return damaged(name, f"the JSON array ends inside the row that begins in line {line_of(text, start)}")
    column = place - text.rfind("\n", 0, place)
    return DataError(
        "E504",
        f"line {line_of(text, place)} of `{name}` is not JSON",
        notes=[f"{getattr(error, 'msg', 'nested too deeply')} at column {column}"],
        help="correct the file, or write one object per line, where `--on-bad-row skip` can leave rows out",
    )
