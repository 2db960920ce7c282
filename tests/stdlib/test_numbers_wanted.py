"""What a choice cannot choose by is refused when the recipe is checked."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from selrun import RecipeError, run
from selrun.compiler.check import check
from selrun.compiler.facts import Facts
from selrun.errors import DataError

STEPS = {
    "top 5 by response": "by",
    "bottom 5 by response": "by",
    "sample weighted(response, 5)": "weight",
    "diversify cluster_quota(5) by response per instruction": "by",
    "diversify facility(5) by response using nano": "by",
    "diversify mig(5, tags) by response": "by",
    "diversify repr(0.9) by response using nano": "by",
    "dedup minhash by response": "by",
}


def refusals(steps: str) -> list[tuple[str, str]]:
    found = check([("r.sel", f'load "rows.json" | {steps}')], Facts()).diagnostics
    return [(one.code, one.headline) for one in found]


@pytest.mark.parametrize("step", STEPS)
def test_a_text_is_no_number_to_choose_by(step: str):
    steps = f'tag split(response, " ") as tags | {step}'
    name = step.partition("(")[0].removesuffix(" 5 by response").removesuffix(" by response").split()[-1]
    assert refusals(steps) == [("E301", f"`{STEPS[step]}` of `{name}` takes a number, not a text")]


def test_rows_chosen_before_are_told_by_a_condition():
    told = "`chosen` of `kcenter` takes a condition, not a text"
    assert refusals("diversify kcenter(5, chosen = response) using nano") == [("E301", told)]


def test_a_column_of_vectors_that_nobody_adds_is_refused(tmp_path: Path):
    rows = pl.DataFrame({"instruction": ["a", "b"], "output": ["c", "d"]})
    with pytest.raises(RecipeError, match=r"E203.*`place`"):
        run("diversify rds(1, vectors = place) against (sample 1)", rows, store=tmp_path)


@pytest.mark.parametrize("step", ["top 5 by n", "bottom 5 by n", "sample 5"])
def test_where_no_row_is_left_the_steps_before_are_named(step: str, tmp_path: Path):
    rows = pl.DataFrame({"instruction": ["a"], "output": ["b"], "n": [1.0]})
    with pytest.raises(DataError, match=r"E521.*5 of no rows is no row\n.*steps before leave no row"):
        run(f"filter n > 5 | {step}", rows, store=tmp_path)
