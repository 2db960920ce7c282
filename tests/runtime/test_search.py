"""A search over a recipe's parameter runs each number once and finds the least report."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import selrun
from recipes import few_rows
from selrun.errors import DataError

ROWS = few_rows(12, 120)
RECIPE = """
    param keep: count = 3
    let held = top 2 by len(response)
    let chosen = without held | top keep by len(prompt)
    from chosen | evaluate loss using train(nano, on = chosen, learning_rate = 0.01, batch = 2, epochs = 1) against held
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_the_best_of_all_trials_is_found(store: Path):
    found = selrun.search(RECIPE, ROWS, over="keep", between=(2, 8), trials=3, store=store)
    values = [trial.value for trial in found.trials]
    assert len(values) == len(set(values)) >= 2
    assert set(values) <= set(range(2, 9))
    assert found.best == min(found.trials, key=lambda trial: trial.measure)
    alone = selrun.run(RECIPE, ROWS, parameters={"keep": found.best.value}, store=store)
    report = alone.manifest["steps"][-1]["notes"]["report"]
    assert (report["loss"], report["rows"]) == (found.best.measure, 2)


def test_a_recipe_without_such_a_report_is_refused(store: Path):
    recipe = "param keep: count = 3\ntop keep by len(response)"
    with pytest.raises(DataError, match="reports no number called `loss`") as found:
        selrun.search(recipe, ROWS, over="keep", between=(2, 8), trials=2, store=store)
    assert found.value.code == "E581"


def test_an_empty_range_is_refused():
    with pytest.raises(DataError, match="nothing between 8 and 8"):
        selrun.search(RECIPE, ROWS, over="keep", between=(8, 8))


def test_without_flaml_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, store: Path):
    monkeypatch.setitem(sys.modules, "flaml.tune.sample", None)
    with pytest.raises(DataError, match="FLAML") as found:
        selrun.search(RECIPE, ROWS, over="keep", between=(2, 8), store=store)
    assert found.value.code == "E580"
