"""A quick look at a file tells its columns, or nothing, but never a wrong one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
from selrun.compiler.facts import Columns, SchemaOf, Unavailable
from selrun.runtime import peek as peeking
from selrun.runtime.peek import peek

ROWS = [
    {"prompt": "a", "response": "b", "votes": 3, "good": True, "tags": ["x"], "more": {"y": 1}},
    {"prompt": "c", "response": None, "votes": 0.5, "good": None, "tags": [], "more": None, "late": "z"},
]
KINDS = {
    "prompt": "text", "response": "text", "votes": "number", "good": "bool", "tags": "list", "more": "any",
    "late": "text",
}  # fmt: skip


def kinds(path: Path) -> dict[str, str]:
    found = peek(SchemaOf(str(path)))
    assert isinstance(found, Columns)
    return {column.name: column.kind for column in found.columns}


def lines(rows: list[dict]) -> str:
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def test_json_lines_arrays_and_compressed_files_show_all_columns(tmp_path: Path):
    (tmp_path / "a.jsonl").write_text(lines(ROWS))
    (tmp_path / "b.json").write_text(json.dumps(ROWS, indent=2))
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(lines(ROWS).encode()))
    assert [kinds(tmp_path / name) for name in ("a.jsonl", "b.json", "c.jsonl.gz")] == [KINDS] * 3


def test_tables_show_their_header(tmp_path: Path):
    (tmp_path / "a.csv").write_text('prompt,"a, b",response\nx,y,z\n')
    pl.DataFrame({"prompt": ["x"], "votes": [1]}).write_parquet(tmp_path / "b.parquet")
    assert list(kinds(tmp_path / "a.csv")) == ["prompt", "a, b", "response"]
    assert kinds(tmp_path / "b.parquet") == {"prompt": "text", "votes": "number"}


def test_a_long_file_is_believed_only_while_its_rows_are_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(peeking, "HEAD", 400)
    alike, unlike = tmp_path / "alike.jsonl", tmp_path / "unlike.jsonl"
    alike.write_text(lines(ROWS[:1] * 20))
    unlike.write_text(lines(ROWS * 20))
    assert list(kinds(alike)) == list(ROWS[0])
    assert peek(SchemaOf(str(unlike))) is None


@pytest.mark.parametrize("source", ["hub:org/name", "https://host/rows.jsonl", "*.jsonl", "."])
def test_what_takes_longer_stays_unknown(source: str):
    assert peek(SchemaOf(source)) is None


def test_what_cannot_be_read_stays_unknown(tmp_path: Path):
    for name, content in (
        ("a.jsonl", b"{nothing"),
        ("b.jsonl", b""),
        ("c.gz", b"\x1f\x8bxxxx"),
        ("d.x", b"\xff"),
        ("e.jsonl", b'{"a": ' + b"[" * 50_000),
        ("f.gz", gzip.compress(b"x" * 999)[:10] + b"\xff" * 20),
        ("g.zst", b"\x28\xb5\x2f\xfd" + b"\xff" * 20),
        ("h.parquet", b"PAR1 and nothing else"),
    ):
        (tmp_path / name).write_bytes(content)
        assert peek(SchemaOf(str(tmp_path / name))) is None


def test_a_missing_file_names_its_neighbours(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text("")
    found = peek(SchemaOf(str(tmp_path / "row.jsonl")))
    assert isinstance(found, Unavailable)
    assert found.help == (f"a file with a similar name exists: `{tmp_path / 'rows.jsonl'}`",)
