"""Every method of the library names its paper and its cost, and runs on a few rows with small stand-ins."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import selrun
import torch
from headed_models import saved_classifier, saved_encoder_decoder, saved_ranker
from method_calls import CALLS
from selrun.compiler.catalogue import catalogue
from selrun.compiler.plan import Fit
from selrun.stdlib.score.attention import network

ROOT = Path(__file__).resolve().parents[2]
METHODS = catalogue().methods
BASELINES = ("perplexity_high", "perplexity_low", "perplexity_middle", "random")
"""What everybody does, so that no paper is to be named."""
ROUNDS = 10


def header(name: str) -> str:
    """The text above a method, in one line."""
    lines = METHODS[name].splitlines()
    return " ".join(line.removeprefix("##").strip() for line in lines if line.startswith("##"))


def short_rows(count: int = 40) -> list[dict[str, str]]:
    rows = map(json.loads, (ROOT / "examples" / "tasks.jsonl").read_text("utf-8").splitlines())
    short = [row for row in rows if len(row["instruction"] + row["input"] + row["output"]) < 90]
    return [{key: row[key] for key in ("instruction", "input", "output")} for row in short[:count]]


@dataclass(frozen=True)
class Place:
    """Where methods run: a store, and small models by the names that recipes call them."""

    store: Path
    models: dict[str, str]

    def chosen(self, recipe: str, rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
        """The rows that a recipe leaves of these."""
        return selrun.run(recipe, pl.DataFrame(rows), models=self.models, store=self.store).rows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("models")
    made = {
        "rewarder": saved_classifier(folder / "rewarder", "bert"),
        "ranker": saved_ranker(folder / "ranker"),
        "unieval": saved_encoder_decoder(folder / "unieval"),
    }
    models = {**dict.fromkeys(("gpt2", "minilm"), "nano"), **{name: str(path) for name, path in made.items()}}
    return Place(tmp_path_factory.mktemp("store"), models)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_header_names_the_paper_and_what_the_method_needs(name: str):
    assert "Needs" in header(name)
    assert "arXiv" in header(name) or name in BASELINES


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_header_fits_the_page(name: str):
    assert [line for line in METHODS[name].splitlines() if line.startswith("##") and len(line) > 120] == []


def test_every_method_is_run_by_the_suite():
    assert sorted({*CALLS, *HERE}) == sorted(METHODS)


# Methods of several models


def test_diverseevol_trains_ten_times_on_ever_more_rows():
    plan = selrun.compile('load "examples/tasks.jsonl" | diverseevol(nano)', models={"nano": "nano"})
    assert sum(isinstance(task, Fit) for task in plan.tasks) == ROUNDS


def test_a_round_of_diverseevol_adds_rows_to_those_before(place: Place):
    rows = short_rows(12)
    start = "(sample 3 | derive taken = true) + (filter true)"
    found = place.chosen(f"filter true | {start} | diverseevol_round(nano, 2, 1) | filter taken", rows)
    first = place.chosen("sample 3", rows)
    assert found.height == 5
    assert set(first["output"]) <= set(found["output"])


@pytest.mark.parametrize("faithful", ["true", "false"])
def test_superfiltering_d_covers_the_hardest_rows(place: Place, faithful: str):
    score = f"score ifd(superfiltering, faithful = {faithful}) using nano | top 50% by if(ifd < 1, ifd, null)"
    hard = place.chosen(score, short_rows())
    call = f"superfiltering_d(nano, nano, hard = 50%, keep = 30%, faithful = {faithful})"
    found = place.chosen(call, short_rows())
    assert found.height == int(0.3 * hard.height)
    assert set(found["output"]) <= set(hard["output"])


@pytest.mark.parametrize("keep", [0.1, 0.4, 0.9])
def test_superfiltering_keeps_a_part_of_all_rows_and_none_that_the_prompt_hinders(place: Place, keep: float):
    rows = short_rows()
    every = place.chosen("score ifd(superfiltering) using gpt2", rows)
    left = every.filter(pl.col("ifd") < 1).sort("ifd", descending=True, maintain_order=True)
    found = place.chosen(f"superfiltering(keep = {keep})", rows)
    assert 0 < left.height < every.height
    assert found["output"].to_list() == left["output"].head(int(keep * every.height)).to_list()


def test_tshirt_keeps_those_of_the_best_rows_whose_copies_vary_least(place: Place):
    rows = short_rows(20)
    found = place.chosen("tshirt(nano, good = 40%, steady = 50%, copies = 2)", rows)
    steps = "score ifd(superfiltering) using nano | score sifd(copies = 2) using nano"
    spread = "score sifd(copies = 2, take = deviation) using nano as spread"
    scored = place.chosen(f"{steps} | {spread}", rows).filter(pl.col("ifd") < 1)
    best = scored.drop_nulls("sifd").sort("sifd", descending=True)[:8]
    expected = best.sort("spread")[: best.height // 2]
    assert 0 < expected.height < best.height
    assert found["instruction"].to_list() == expected["instruction"].to_list()


def test_cherry_keeps_a_part_of_the_rows_that_the_prompt_helps(place: Place):
    rows = short_rows()
    every = place.chosen("score ifd using warmup(nano, 20, pick = cherry)", rows)
    left = every.filter(pl.col("ifd") <= 1).sort("ifd", descending=True, maintain_order=True)
    found = place.chosen("cherry(nano, keep = 30%, experience = 20)", rows)
    assert found["output"].to_list() == left["output"].head(int(0.3 * left.height)).to_list()


@pytest.mark.parametrize("call", ["cherry(nano", "diverseevol_round(nano"])
def test_a_method_that_trains_may_train_low_rank_matrices(place: Place, call: str):
    plan = selrun.compile(f'derive taken = true | {call}, adapter = "lora")', data="examples/tasks.jsonl")
    trained = [plan.graph[task.node].op for task in plan.tasks if isinstance(task, Fit)]
    assert [op.adapter for op in trained] == ["lora"]


FAITHFUL = (
    "cherry(nano, experience = 20, keep = 50%",
    "deita(nano, nano, nano",
    "nuggets(nano, (sample 3), over = 0",
)
FAITHFUL += ("selectit(nano", "rds_plus(nano, (sample 3)", "superfiltering(keep = 50%")


@pytest.mark.parametrize("call", FAITHFUL)
def test_a_method_hands_faithful_on(place: Place, call: str):
    plan = selrun.compile(f"{call}, faithful = true)", data="examples/tasks.jsonl", models=place.models)
    ops = [node.op for node in plan.graph.nodes.values()]
    assert {op.faithful for op in ops if hasattr(op, "faithful")} == {True}


def test_of_equal_scores_faithful_selectit_takes_the_later_rows(place: Place):
    plan = selrun.compile("selectit(nano, faithful = true)", data="examples/tasks.jsonl", models=place.models)
    assert [node.op.later_first for node in plan.graph.nodes.values() if node.op.verb == "top"] == [True]


def test_a_coreset_holds_the_middles_of_its_clusters_and_what_is_far_from_them(place: Place):
    rows = short_rows()
    found = place.chosen("coreset(nano, keep = 20%, centres = 3)", rows)
    assert found.height == 3 + len(rows) // 5
    assert found["coreset_centre"].sum() == 3


def test_car_adds_the_best_of_every_cluster_to_the_best_of_all(place: Place):
    rows = short_rows()
    found = place.chosen("car(ranker, nano, best = 6, clusters = 4)", rows)
    every = place.chosen("score iqs using ranker | top 100% by iqs", rows)
    assert found["output"].to_list()[:6] == every["output"].to_list()[:6]
    assert found["car_cluster"].n_unique() == 4
    assert 6 <= found.height <= 6 + 4


def test_instruction_mining_takes_the_rows_that_promise_the_least_loss(place: Place):
    found = place.chosen("instruction_mining(rewarder, unieval, keep = 20%)", short_rows())
    expected = (
        0.0274
        - 0.0078 * found["reward"]
        + 0.4421 * found["understandability"]
        - 0.3212 * found["naturalness"]
        - 0.1520 * found["coherence"]
    )
    assert found["log_loss"].to_list() == pytest.approx(expected.to_list(), abs=1e-6)
    every = place.chosen("instruction_mining(rewarder, unieval, keep = 100%)", short_rows())["log_loss"]
    assert found["log_loss"].to_list() == every.sort()[: len(found)].to_list()


def test_instruction_mining_s_first_rule_takes_short_and_strange_rows(place: Place):
    found = place.chosen("instruction_mining_v1(rewarder, nano, nano, keep = 5)", short_rows())
    expected = 1.0694 - 0.1498 * found["reward"] + 8.257e-5 * found["tokens_out"] - 0.9350 * found["knn_6"]
    assert found["log_loss"].to_list() == pytest.approx(expected.to_list(), abs=1e-6)
    assert found["log_loss"].is_sorted()
    assert found.height == 5


def test_mods_covers_the_rows_above_a_reward(place: Place):
    rewards = place.chosen("score reward using rewarder | sort by reward", short_rows())["reward"]
    middle = float(rewards[len(rewards) // 2])
    found = place.chosen(f"mods(rewarder, nano, keep = 4, quality = {middle})", short_rows())
    assert found.height == 4
    assert (found["reward"] > middle).all()


def pictures(count: int = 24) -> list[dict[str, Any]]:
    """Rows with the columns that InstructionGPT-4 reads."""
    draw = np.random.default_rng(0)
    seen = {"image": draw.normal(size=(count, 8)), "caption": draw.normal(size=(count, 8))}
    return [
        {
            "instruction": "Describe the image.",
            "output": f"A picture of {at} things.",
            "image": seen["image"][at].tolist(),
            "caption": seen["caption"][at].tolist(),
            "clip": float(draw.normal(30, 4)),
            "grade": float(draw.integers(60, 100)),
            "part": at % 3,
            "accuracy": 30.0 + at % 3,
        }
        for at in range(count)
    ]


COLUMNS = "image = image, caption = caption, clip = clip, grade = grade, rewarder = rewarder"
SCENES = "keep = 6, clusters = 3"


@pytest.mark.parametrize("faithful", ["true", "false"])
def test_instruction_gpt4_chooses_pictures_of_every_scene(place: Place, tmp_path: Path, faithful: str):
    from safetensors.torch import save_file

    weights = tmp_path / "selector.safetensors"
    torch.manual_seed(0)
    save_file(network(16).state_dict(), weights)
    call = f'instruction_gpt4({COLUMNS}, weights = "{weights}", {SCENES}, faithful = {faithful})'
    found = place.chosen(call, pictures())
    assert found.height == 6 or faithful == "true"
    assert found["scene"].n_unique() == 3


def test_instruction_gpt4_learns_from_labelled_parts(place: Place):
    call = f"instruction_gpt4_trained({COLUMNS}, subset = part, label = accuracy, {SCENES})"
    found = place.chosen(call, pictures())
    assert found.height == 6
    assert found["worth"].is_not_null().all()


HERE = {
    "car",
    "diverseevol",
    "diverseevol_round",
    "instruction_gpt4",
    "instruction_gpt4_trained",
    "instruction_mining",
    "instruction_mining_v1",
    "mods",
    "superfiltering_d",
}
"""Those that a test of this file runs, and that need more than a call of `CALLS`."""
