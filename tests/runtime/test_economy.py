"""What a run costs: rows are forwarded and models are trained only where the store has no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from recipes import few_rows, written
from selrun.runtime import run as running
from selrun.runtime.run import Run
from selrun.runtime.settings import Settings
from selrun.runtime.sweeping import SweepWorker

FIVE = "score ifd using nano | score perplexity | score entropy | score loss | diversify kmeans(3) | top 20% by ifd"
WARM = "score ifd using warmup(nano, 50%, batch = 8) | top 20% by ifd"


@dataclass(frozen=True)
class Cost:
    """What one run took."""

    sweeps: int
    forwarded: int
    trained: int


@dataclass
class Bench:
    """Runs recipes on rows against one store, and counts what the model is asked."""

    folder: Path
    asked: Counter[tuple[str, str]]
    """How often each row's answer to each question to a model was computed."""

    def run(self, *texts: str, rows: list[dict[str, Any]], **settings: Any) -> Run:
        data = written(rows, self.folder / "rows.jsonl")
        chosen = Settings(data=data, store=self.folder / "store", write=False, **settings)
        return running.execute([(f"recipe_{n}.sel", text) for n, text in enumerate(texts)], chosen)

    def cost(self, *texts: str, rows: list[dict[str, Any]], **settings: Any) -> Cost:
        manifest = self.run(*texts, rows=rows, **settings).manifest
        sweeps = manifest["sweeps"]
        trained = sum(not fit["cached"] for fit in manifest["trained"])
        return Cost(len(sweeps), sum(sweep["rows"] for sweep in sweeps), trained)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    asked: Counter[tuple[str, str]] = Counter()
    written_before = SweepWorker.write

    def counting(self: SweepWorker, frame: pl.DataFrame, ask: Any, answers: Any) -> None:
        question = repr((self.work.source.identity, self.work.dtype, ask.view, ask.want))
        asked.update((key, question) for key in frame["@key"])
        written_before(self, frame, ask, answers)

    monkeypatch.setattr(SweepWorker, "write", counting)
    yield Bench(tmp_path, asked)
    assert all(times == 1 for times in asked.values()), "an answer was computed twice"


ROWS = few_rows(30, 140)
FEW = ROWS[:12]


def test_five_scores_and_clusters_are_two_passes(bench: Bench):
    assert bench.cost(FIVE, rows=FEW) == Cost(2, 24, 0)


def test_a_second_run_asks_nothing(bench: Bench):
    bench.run(FIVE, rows=FEW)
    assert bench.cost(FIVE, rows=FEW) == Cost(2, 0, 0)


def test_another_score_of_the_same_pass_asks_nothing(bench: Bench):
    bench.run("score ifd using nano | top 20%", rows=FEW)
    assert bench.cost("score ifd using nano | score perplexity | top 20% by ifd", rows=FEW).forwarded == 0


def test_a_want_that_was_not_stored_is_asked_alone(bench: Bench):
    bench.run("score ifd using nano | top 20%", rows=FEW)
    assert bench.cost("score ifd using nano | score entropy | top 20% by ifd", rows=FEW).forwarded == 12


def test_appended_rows_are_asked_alone(bench: Bench):
    bench.run(FIVE, rows=FEW)
    assert bench.cost(FIVE, rows=ROWS[:22]) == Cost(2, 20, 0)


def test_shuffled_rows_ask_nothing(bench: Bench):
    bench.run(FIVE, rows=FEW)
    assert bench.cost(FIVE, rows=FEW[::-1]).forwarded == 0


def test_an_edited_row_is_asked_alone(bench: Bench):
    bench.run(FIVE, rows=FEW)
    edited = [*FEW[:5], {**FEW[5], "output": FEW[5]["output"] + " Indeed."}, *FEW[6:]]
    assert bench.cost(FIVE, rows=edited).forwarded == 2


def test_other_columns_are_no_part_of_a_row(bench: Bench):
    bench.run(FIVE, rows=FEW)
    more = [{**row, "reviewed": True, "topic": "other"} for row in FEW]
    assert bench.cost(FIVE, rows=more).forwarded == 0


def test_copies_of_a_row_are_asked_once(bench: Bench):
    assert bench.cost("score perplexity using nano | top 20%", rows=FEW + FEW).forwarded == 12


def test_a_warm_up_is_trained_once(bench: Bench):
    assert bench.cost(WARM, rows=FEW) == Cost(2, 24, 1)
    assert bench.cost(WARM, rows=FEW) == Cost(2, 0, 0)
    assert bench.cost(WARM.replace("ifd", "perplexity"), rows=FEW) == Cost(1, 0, 0)


def test_appended_rows_change_the_sample_of_a_warm_up(bench: Bench):
    bench.run(WARM, rows=FEW)
    assert bench.cost(WARM, rows=ROWS[:14]) == Cost(2, 28, 1)


def test_two_recipes_cost_what_one_does(bench: Bench):
    other = "score perplexity using nano | filter len(response) > 3 | top 50%"
    assert bench.cost(FIVE, other, rows=FEW) == Cost(2, 24, 0)


def test_without_rules_every_request_is_a_pass(bench: Bench):
    assert bench.cost(FIVE, rows=FEW, rules=False).sweeps == 6


def test_filters_go_before_the_model(bench: Bench):
    text = 'score ifd using nano | score length | filter topic == "maths" | top 90% by ifd'
    left = sum(row["topic"] == "maths" for row in ROWS)
    assert bench.cost(text, rows=ROWS).forwarded == 2 * left


def test_another_dtype_is_another_answer(bench: Bench):
    text = "score perplexity using nano | top 20%"
    bench.run(text, rows=FEW)
    assert bench.cost(text, rows=FEW, dtype="bfloat16").forwarded == 12


def test_counting_tokens_runs_no_model(bench: Bench):
    assert (
        bench.run("score length(tokens) using nano | top 20%", rows=FEW).manifest["sweeps"][0]["tokens"] == 0
    )
