"""A row's history: found by any of its names, told without a gap."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from selrun.errors import DataError
from selrun.runtime.run import execute
from selrun.runtime.settings import Settings
from selrun.runtime.why import matching, open_record, why_text

RECIPE = "score length | filter length > 3 | top 2 by length"
ROWS = [
    {"id": "city", "instruction": "Name a city.", "output": "Oslo"},
    {"id": "river", "instruction": "Name a river.", "output": "The Nile"},
    {"id": "hill", "instruction": "Name a hill.", "output": "Arthur's Seat"},
    {"id": "number", "instruction": "Name a number.", "output": "7"},
]


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output of a small run."""
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    settings = Settings(data="rows.jsonl", out="chosen.jsonl", store=tmp_path / "store")
    execute([("choice.sel", RECIPE)], settings)
    return Path("chosen.jsonl")


def the_id(output: Path, number: int) -> str:
    return open_record(output).rows["@id"][number - 1]


def test_a_kept_row_tells_its_place_and_scores(output: Path):
    assert why_text("hill", output) == (
        f"row 3 of rows.jsonl: `{the_id(output, 3)}`, its own id `hill`\n"
        "  kept: row 1 of 2 in chosen.jsonl\n"
        "\n"
        "  length  13\n"
        "\n"
        "   1  input\n"
        "   2  score length\n"
        "   3  filter length > 3  kept, among 3 of 4\n"
        "   4  top 2 by length    kept, among 2 of 3; rank 1; the last kept has 8"
    )


def test_a_dropped_row_tells_where_and_why(output: Path):
    assert why_text("city", output).splitlines()[1] == (
        "  dropped at step 4, `top 2 by length`: rank 3 of 3; the last kept was 2"
    )


def test_nothing_is_told_after_a_row_is_gone(output: Path):
    text = why_text("number", output)
    assert text.splitlines()[1] == "  dropped at step 3, `filter length > 3`: `length > 3` is not true"
    assert "top 2" not in text


def test_a_row_is_found_by_each_of_its_names(output: Path):
    expected = why_text("river", output)
    for name in (the_id(output, 2), "#2", the_id(output, 2)[:-1]):
        assert why_text(name, output) == expected


def test_the_run_is_found_by_each_of_its_files(output: Path):
    expected = why_text("river", output)
    for ending in (".manifest.json", ".history.parquet"):
        assert why_text("river", Path(f"{output}{ending}")) == expected


def test_why_agrees_with_the_output(output: Path):
    kept = {json.loads(line)["id"] for line in output.read_text().splitlines()}
    assert {row["id"] for row in ROWS if "  kept: " in why_text(row["id"], output)} == kept


def test_an_unknown_id_lists_near_ones(output: Path):
    with pytest.raises(DataError) as raised:
        why_text("rivers", output)
    assert str(raised.value) == (
        "error[E543]: no row of the run has the id `rivers`\n"
        "  = help: ids like it: `river`\n"
        "  = help: or name a row by its number in the input, from `#1` to `#4`"
    )


def test_a_beginning_that_several_ids_share_lists_them():
    rows = pl.DataFrame({"@row": [0, 1], "@id": ["1a0", "1a1"], "own_id": [None, None]})
    assert matching(rows, "1a").height == 2
    assert matching(rows, "1a1").height == 1
    assert matching(rows, "").height == 0


def test_an_ambiguous_id_is_an_error(output: Path):
    record = open_record(output)
    twice = pl.concat([record.rows, record.rows.with_columns(pl.col("@row") + 4)])
    twice.write_parquet(f"{output}.history.parquet")
    with pytest.raises(DataError) as raised:
        why_text("river", output)
    first = record.rows["@id"][1]
    assert str(raised.value) == (
        f"error[E544]: 2 rows are meant by `river`\n  = help: name one: `{first}` (row 2), `{first}` (row 6)"
    )


def test_a_file_without_a_run_lists_the_runs_beside_it(output: Path):
    with pytest.raises(DataError) as raised:
        why_text("river", Path("other.jsonl"))
    assert str(raised.value) == (
        "error[E540]: no run is recorded beside `other.jsonl`\n"
        "  = help: outputs with a manifest: `chosen.jsonl`"
    )
