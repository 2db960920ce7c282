"""Telling what a file holds from its first bytes."""

from __future__ import annotations

import csv
import json
from pathlib import PurePath

from ...errors import DataError
from .layout import Container

BOM = b"\xef\xbb\xbf"
MAGIC = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"ARROW1": "an Arrow file",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ": "an xz archive",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
COLUMN_NAMES = {
    "instruction",
    "output",
    "prompt",
    "response",
    "completion",
    "conversations",
    "messages",
    "text",
}
SEPARATORS = ",\t;"


def container(head: bytes, name: str) -> Container:
    """What the file is, from its first bytes; its ending only breaks ties."""
    if head.startswith(b"PAR1"):
        return "parquet"
    start = head.removeprefix(BOM).lstrip()
    if not start:
        raise DataError("E507", f"`{name}` is empty", help="name a file that holds at least one row")
    if start.startswith(b"["):
        return "json"
    if start.startswith(b"{"):
        return json_lines(start, name)
    if looks_like_csv(start, name):
        return "csv"
    raise unrecognised(start, name)


def json_lines(start: bytes, name: str) -> Container:
    lines = [line for line in start.splitlines() if line.strip()]
    if len(lines) > 1 and not is_json(lines[0]) and not lines[1].lstrip().startswith(b"{"):
        raise DataError(
            "E503",
            f"`{name}` is one JSON object, not rows",
            notes=[f"it begins with {excerpt(start)}"],
            help="write the rows as a JSON array `[{…}, {…}]`, or one object per line",
        )
    return "jsonl"


def is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def looks_like_csv(start: bytes, name: str) -> bool:
    if b"\0" in start.splitlines()[0]:
        return False
    names = header(start)
    endings = {suffix.lower() for suffix in PurePath(name).suffixes}
    return bool(COLUMN_NAMES & set(names)) or (len(names) > 1 and bool(endings & {".csv", ".tsv"}))


def header(start: bytes) -> list[str]:
    """The cells of the first line, split at its separator."""
    line = start.splitlines()[0].decode("utf-8", "replace")
    return next(csv.reader([line], delimiter=separator(line)), [])


def separator(line: str) -> str:
    return max(SEPARATORS, key=line.count)


def unrecognised(start: bytes, name: str) -> DataError:
    return DataError(
        "E503",
        f"`{name}` holds no rows that can be read",
        notes=[f"it is {described(start)}"],
        help="name a file that is JSON, JSONL, CSV or Parquet, plain or compressed with gzip or zstd",
    )


def described(start: bytes) -> str:
    for magic, what in MAGIC.items():
        if start.startswith(magic):
            return what
    if b"\0" in start:
        return f"binary data that begins with {start[:8].hex(' ')}"
    if start[:1] == b"<":
        return f"markup that begins with {excerpt(start)}"
    return f"text that begins with {excerpt(start)}"


def excerpt(start: bytes) -> str:
    line = start.splitlines()[0].decode("utf-8", "replace")
    return f"`{line[:40]}…`" if len(line) > 40 else f"`{line}`"
