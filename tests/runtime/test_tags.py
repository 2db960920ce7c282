"""Tags that a model reads: each once, as a row of its own."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import selrun
from selrun.errors import DataError

ROWS = [
    {"instruction": f"question {n}", "output": f"answer {n}", "tags": tags, "grade": 9 - n}
    for n, tags in enumerate((["math", "hard math"], ["math"], ["poetry"], None, ["poems", "math"]))
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def run(recipe: str, rows: list = ROWS):
    return selrun.run(recipe, pl.DataFrame(rows), store=Path("store"))


def test_a_model_reads_every_tag_once_and_no_row():
    found = run("diversify mig(2, tags) by grade using nano")
    assert [(sweep["rows"], sweep["failed"]) for sweep in found.manifest["sweeps"]] == [(4, 0)]
    titles = [(step["title"], step["rows_in"], step["rows_out"]) for step in found.manifest["steps"]]
    assert titles[1] == ("the values of `tags`", 4, 4)
    assert found.rows.height == 2


def test_rows_and_tags_asked_of_one_model_are_not_mistaken_for_each_other():
    found = run("score knn(1) using nano | diversify mig(2, tags) by grade using nano")
    assert sorted(sweep["rows"] for sweep in found.manifest["sweeps"]) == [4, 5]


@pytest.mark.parametrize(("tags", "code"), [("math", "E556"), ([], "E557")])
def test_a_column_without_tags_is_an_error(tags: object, code: str):
    rows = [row | {"tags": tags} for row in ROWS]
    with pytest.raises(DataError) as error:
        run("diversify mig(2, tags) by grade using nano", rows)
    assert error.value.code == code
