"""The selections of published implementations, from reference runs beside the repository."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from answers import ENCODER, column, given
from selrun.compiler.values import Count
from selrun.stdlib.select.diverseevol import as_published
from selrun.stdlib.select.farthest import farthest_first
from selrun.stdlib.select.kcenter import Kcenter
from selrun.stdlib.select.repr import Repr
from selrun.stdlib.train.pick import cherry_pick


def fields(shared: Path, name: str) -> dict:
    return json.loads((shared / "golden" / f"{name}.json").read_text())["fields"]


@pytest.fixture
def instructions(shared: Path) -> np.ndarray:
    return np.load(shared / "golden" / "shared" / "minilm_instruction_2000.npz")["emb"]


def test_kcenter_chooses_as_mods_does(shared: Path, instructions: np.ndarray):
    expected = fields(shared, "mods_kcenter")["seed0_k200"]
    op = Kcenter(keep=Count(rows=200), using=ENCODER)
    picked = op.pick(given({"vector": pl.Series(instructions)}, n=range(2000)))
    assert picked.order.to_list() == expected["selected_in_order"]
    assert picked.notes["radius"] == pytest.approx(expected["final_max_min_dist"], rel=1e-6)


def test_kcenter_goes_on_from_chosen_rows_as_mods_does(shared: Path, instructions: np.ndarray):
    expected = fields(shared, "mods_kcenter")["warm_start_20_then_80"]
    order = farthest_first(instructions, expected["already_selected"], 80).order
    assert order == expected["selected_in_order_including_already"]


def test_kcenter_chooses_as_diverseevol_does(shared: Path, instructions: np.ndarray):
    expected = fields(shared, "diverseevol_kcenter")["seed0"]
    seen = set(expected["init_labeled"])
    op = Kcenter(keep=Count(rows=100), using=ENCODER, variant="diverseevol", chosen=column("seen"))
    known = given({"vector": pl.Series(instructions)}, seen=[i in seen for i in range(2000)])
    new = [i for i in op.pick(known).order.to_list() if i not in seen]
    assert new == expected["new_idx_sorted"]


def test_only_the_faithful_kcenter_prefers_near_copies_as_diverseevol_does(shared: Path):
    expected = fields(shared, "diverseevol_kcenter")["duplicate_demo"]
    vectors = np.load(shared / "golden" / "diverseevol_duplicate_demo.npz")["emb"]
    assert sorted(as_published(vectors, range(40), 20).order[40:]) == expected["new_idx_sorted"]
    assert farthest_first(vectors, range(40), 20).order[40:] == expected["corrected_order_nan_as_zero"]


def test_repr_chooses_as_deita_does(shared: Path):
    expected = fields(shared, "deita_filter")
    vectors = np.load(shared / "golden" / "deita_filter_inputs.npz")["embedding"]
    runs = [r for r in expected["runs"] if r["settings"]["batch_size"] == 1]
    assert [chosen(vectors, expected["final_score"], r["settings"]) for r in runs] == [
        r["selected"] for r in runs
    ]


def test_repr_chooses_as_deita_does_on_six_rows(shared: Path):
    tiny = fields(shared, "deita_filter")["tiny"]
    vectors = np.array(tiny["embedding"], dtype=np.float32)
    for run in tiny["runs"]:
        assert chosen(vectors, tiny["score"], run) == run["selected"]


def chosen(vectors: np.ndarray, scores: list[float], settings: dict) -> list[int]:
    size = settings.get("data_size", -1)
    keep = Count(rows=size) if size > 0 else None
    op = Repr(threshold=settings["threshold"], keep=keep, by=column("evol"), using=ENCODER)
    ids = [str(i) for i in range(len(scores))]
    return op.pick(given({"vector": pl.Series(vectors)}, evol=scores, id=ids)).order.to_list()


def test_the_warm_up_rows_are_those_that_cherry_picks(shared: Path):
    golden = json.loads((shared / "golden" / "cherry_pre_tiny-llama.json").read_text())
    vectors = np.load(shared / "golden" / "cherry_pre_tiny-llama_emb.npy")
    for settings, run in golden["cluster_runs"].items():
        clusters, wanted, low, high = map(int, re.findall(r"\d+", settings))
        picked = cherry_pick(
            vectors,
            golden["fields"]["ppl_prompt"],
            clusters=clusters,
            per_cluster=wanted,
            low=low,
            high=high,
            n_init=1,
        )
        assert picked == run["selected"]
