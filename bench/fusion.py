"""Six scorers and a vector on one model: in one recipe, IFD alone, and one by one on the same engine.

Every run has a store of its own and finds the model loaded; the ways take turns. Seconds are CPU seconds of whole
runs, medians of the repeats. The answers of the united sweeps must be those of the single ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import selrun
import torch

ROOT = Path(__file__).parents[1]
TINY = ROOT.parent / "shared/models/tiny-llama"
ALPACA_ROWS = ROOT.parent / "shared/data/alpaca_random_9k.json"
EXAMPLE_ROWS = ROOT / "examples/tasks.jsonl"
SCORERS = ("ifd", "perplexity", "entropy", "normloss", "upd", "hes")
STEPS = (*(f"score {noun} using m" for noun in SCORERS), "embed using m as place")
EXACT = 1e-5
COSTS_AT_MOST, SAVES_AT_LEAST = 1.2, 2.8
"""Of IFD alone; of the steps one by one."""


@dataclass(frozen=True)
class Timed:
    """What some recipes took together, and the columns that they added."""

    seconds: float
    columns: pl.DataFrame
    sweeps: int


def main() -> None:
    """Print one line per way."""
    options = arguments()
    torch.set_num_threads(options.threads)
    rows = rows_of(options.rows)
    ways = {"ifd alone": STEPS[:1], "one recipe": (" | ".join(STEPS),), "one by one": STEPS}
    timed(STEPS, rows[:20], options)
    taken: dict[str, list[Timed]] = {name: [] for name in ways}
    for _ in range(options.repeats):
        for name, recipes in ways.items():
            taken[name].append(timed(recipes, rows, options))
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in taken.items()}
    off = difference(taken["one recipe"][0].columns, taken["one by one"][0].columns)
    print(f"{len(rows):,} rows, {options.model}, {options.threads} threads, median of {options.repeats}")
    print(f"{'':14}{'sweeps':>8}{'CPU s':>9}{'x ifd':>8}{'saves':>8}")
    for name, runs in taken.items():
        once = seconds[name] / seconds["ifd alone"]
        saved = seconds["one by one"] / seconds[name]
        print(f"{name:14}{runs[0].sweeps:>8}{seconds[name]:>9.2f}{once:>8.2f}{saved:>8.2f}")
    print(
        f"wanted of one recipe: at most {COSTS_AT_MOST} x ifd, saves at least {SAVES_AT_LEAST}; off by {off:.0e}"
    )
    assert off <= EXACT


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--model", default=str(TINY) if TINY.exists() else "nano")
    return parser.parse_args()


def rows_of(count: int) -> list[dict[str, str]]:
    if ALPACA_ROWS.exists():
        return json.loads(ALPACA_ROWS.read_text("utf-8"))[:count]
    return [json.loads(line) for line in EXAMPLE_ROWS.read_text("utf-8").splitlines()][:count]


def timed(recipes: Sequence[str], rows: list[dict[str, str]], options: argparse.Namespace) -> Timed:
    """Runs each recipe on a store that knows nothing."""
    seconds, sweeps = 0.0, 0
    found: dict[str, pl.Series] = {}
    for recipe in recipes:
        with tempfile.TemporaryDirectory() as store:
            started = time.process_time()
            run = selrun.run(recipe, rows, models={"m": options.model}, store=store, device="cpu")
            seconds += time.process_time() - started
        sweeps += len(run.manifest["sweeps"])
        found |= {name: run.rows[name] for name in (*SCORERS, "place") if name in run.rows.columns}
    return Timed(seconds, pl.DataFrame(found), sweeps)


def difference(ours: pl.DataFrame, theirs: pl.DataFrame) -> float:
    """The greatest difference of two tables of scores and vectors; raises where one has a value and one has none."""
    assert set(ours.columns) == set(theirs.columns)
    most = 0.0
    for name in ours.columns:
        one, two = ((f[name].explode() if f[name].dtype.is_nested() else f[name]) for f in (ours, theirs))
        assert one.is_null().to_list() == two.is_null().to_list()
        most = max(most, float(((one - two).abs() / two.abs().clip(lower_bound=1)).max() or 0.0))  # type: ignore[arg-type]
    return most


if __name__ == "__main__":
    main()
