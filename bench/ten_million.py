"""Ten million rows of scores: how long choosing and comparing them takes, and how much memory.

Each recipe's one step runs in a process of its own on a frame of numbers, as the executor calls it. Seconds are of
the wall clock; memory is the most that the process held, the frame included. A choice is compared with a plain
one on the same frame.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context

import numpy as np
import polars as pl
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.core import Derive, Filter, Sort
from selrun.compiler.op import Op, Picked, Select
from selrun.runtime.answers import KnownAnswers, evaluated

LIMIT = 4.0
"""GB of memory at most."""
STEPS = (
    "top 5% by quality",
    "bottom 1000 by quality",
    "top 10 by quality per topic",
    "top 5% by z(quality) + rank(ease)",
    "sample 5%",
    "sample 1000 per topic",
    "sample stratified(topic, 5%)",
    "sample weighted(ease, 5%)",
    "derive x = z(quality)",
    "derive x = rank(quality)",
    "derive x = minmax(quality)",
    "filter quality > 1 and z(ease) < 1",
    "sort by quality",
)


def main() -> None:
    """Print one line per step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--steps", nargs="+", default=STEPS)
    options = parser.parse_args()
    print(f"{options.rows:,} rows of two scores and a topic; limit of memory {LIMIT} GB")
    print(f"{'':44}{'s':>8}{'peak GB':>9}{'rows':>14}")
    for step in options.steps:
        with get_context("spawn").Pool(1) as pool:
            seconds, peak, rows = pool.apply(measured, (step, options.rows))
        print(
            f"{step:44}{seconds:8.2f}{peak:9.2f}{rows:14,}{'' if peak < LIMIT else '  TOO MUCH'}", flush=True
        )


def measured(step: str, rows: int) -> tuple[float, float, int]:
    """Seconds, the largest memory of the process in GB, and the rows that are left."""
    rows_before, op = frame(rows), operation(step)
    start = time.perf_counter()
    after = applied(op, rows_before)
    seconds = time.perf_counter() - start
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )
    if plain := PLAIN.get(step):
        assert np.array_equal(plain(rows_before), after["row"].to_numpy()), f"{step}: another choice"
    return seconds, peak, after.height


def frame(rows: int) -> pl.DataFrame:
    """Two scores, one in a thousand of them null, and one of a hundred topics."""
    draw = np.random.default_rng(0)
    quality = np.where(draw.random(rows) < 0.001, np.nan, draw.normal(size=rows))
    columns = {"quality": pl.Series(quality).fill_nan(None), "ease": draw.random(rows)}
    topic = pl.Series(draw.integers(0, 100, size=rows, dtype=np.uint8))
    return pl.DataFrame(columns | {"topic": topic, "row": np.arange(rows, dtype=np.uint32)})


def operation(step: str) -> Op:
    """The operation of a recipe of one step."""
    checked = check([("step.sel", step)], builtin_facts())
    assert not checked.errors, checked.errors
    return checked.graph[checked.graph.outputs[0].key].op


def applied(op: Op, rows: pl.DataFrame) -> pl.DataFrame:
    match op:
        case Select():
            return chosen(op.pick(KnownAnswers(rows, 0, rows.__getitem__)), rows)
        case Derive():
            return rows.with_columns(evaluated(rows, op.value).alias(op.name))
        case Filter():
            return rows.filter(evaluated(rows, op.condition))
        case Sort():
            order = evaluated(rows, op.by).arg_sort(descending=op.descending, nulls_last=True)
            return rows[order]
        case _:
            raise TypeError(f"`{op.verb}` is not measured")


def chosen(picked: Picked, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that go on; every other one has a reason."""
    assert picked.reasons.null_count() == len(picked.order)
    return rows[picked.order]


def best(rows: pl.DataFrame) -> np.ndarray:
    """The best twentieth by quality, sorted as a whole."""
    scores = rows["quality"].fill_null(-np.inf).to_numpy()
    return np.argsort(-scores, kind="stable")[: len(scores) // 20]


def best_of_topics(rows: pl.DataFrame) -> np.ndarray:
    """The ten best of every topic, the best first."""
    scores, topics = rows["quality"].fill_null(-np.inf).to_numpy(), rows["topic"].to_numpy()
    order = np.argsort(-scores, kind="stable")
    taken = np.concatenate([np.flatnonzero(topics[order] == topic)[:10] for topic in range(100)])
    return order[np.sort(taken)]


PLAIN: dict[str, Callable[[pl.DataFrame], np.ndarray]] = {
    "top 5% by quality": best,
    "top 10 by quality per topic": best_of_topics,
}


if __name__ == "__main__":
    main()
