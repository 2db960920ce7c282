"""Reports: what they compare, where they are written, and that the rows go on as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from recipes import few_rows, written
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.explain import plan_text
from selrun.compiler.lower import lower
from selrun.errors import DataError
from selrun.runtime.run import Run, execute
from selrun.runtime.settings import Settings
from selrun.runtime.summary import summary

ROWS = [row | {"place": [n % 5, n % 3, 1]} for n, row in enumerate(few_rows(24, 140))]


@pytest.fixture(scope="module", autouse=True)
def here(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("reports")
    written(ROWS, folder / "rows.jsonl")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def run(text: str) -> Run:
    settings = Settings(data="rows.jsonl", store=Path("store"), out=Path("chosen.jsonl"))
    return execute([("report.sel", text)], settings)


def report(found: Run) -> dict[str, Any]:
    written_down = json.loads(Path("chosen.jsonl.manifest.json").read_text("utf-8"))
    assert written_down["steps"] == found.manifest["steps"]
    return next(step["notes"]["report"] for step in written_down["steps"] if step["kind"] == "evaluate")


def test_a_recipe_that_ends_in_a_report_gives_the_rows_and_the_manifest_keeps_the_report():
    found = run("sample 8 | evaluate diversity(3) by place")
    assert found.rows.equals(run("sample 8").rows)
    found = report(run("sample 8 | evaluate diversity(3) by place"))
    assert found["rows"] == {"before": 24, "after": 8}
    assert 1 < found["vendi"]["after"] <= 3


def test_the_summary_shows_the_report_below_its_step():
    text = summary(run("sample 8 | evaluate diversity(3) by place | top 2 by len(response)"))
    lines = [line.split() for line in text.splitlines()]
    assert ["evaluate", "diversity(3)", "by", "place", "8"] in lines
    assert ["rows", "24", "→", "8"] in lines
    assert any(line[:1] == ["vendi"] and line[2] == "→" for line in lines)


@pytest.mark.parametrize(
    ("by", "message"),
    [
        (
            "response",
            "error[E523]: the column `response` does not hold vectors of one length: it holds String",
        ),
        ('where against "rows.jsonl"', 'error[E559]: "rows.jsonl" has no column `where`'),
    ],
)
def test_a_column_without_vectors_cannot_be_compared(by: str, message: str):
    with pytest.raises(DataError) as error:
        run(f"embed using nano as where | evaluate diversity(2) by {by}")
    assert str(error.value).splitlines()[0] == message


def test_a_vector_that_a_step_adds_is_compared_with_the_first_rows_that_have_it():
    recipe = (
        "filter len(response) > 5 | embed using nano as where | sample 6 | evaluate diversity(2) by where"
    )
    found = run(recipe)
    kept = found.manifest["steps"][1]["rows_out"]
    assert report(found)["rows"] == {"before": kept, "after": 6}


def test_rows_may_be_compared_with_another_dataset():
    found = run(
        'sample 6 | evaluate diversity(2) by place against (from "rows.jsonl" | top 12 by len(response))'
    )
    assert report(found)["rows"] == {"before": 12, "after": 6}


def test_both_sets_are_read_in_one_pass_that_a_score_may_share():
    found = run("score knn(2) using nano | top 5 | evaluate diversity(2) using nano")
    assert report(found)["rows"] == {"before": 24, "after": 5}
    assert len(found.manifest["sweeps"]) == 1


def test_united_datasets_are_compared_from_where_they_are_one():
    other = 'let long = from "rows.jsonl" | top 5 by len(response)\nlet some = from "rows.jsonl" | sample 5\n'
    found = run(f"{other}from (long + some) | sample 4 | evaluate diversity(2) by place")
    assert report(found)["rows"]["before"] == found.manifest["steps"][-3]["rows_out"]


def test_explain_shows_the_report_as_a_step_and_the_model_used_last_stays():
    text = "score ifd using gpt2 | evaluate diversity using nano | score perplexity"
    checked = check([("recipe.sel", text)], builtin_facts())
    shown = plan_text(lower(checked.graph), {})
    assert "evaluate diversity using nano" in shown
    assert "perplexity: " in shown.replace("score perplexity", "perplexity")
    assert shown.count("with gpt2") == 2
