"""A search over one number of a recipe for the least value that its report gives."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import DataError
from . import api

SEED = 20


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of the recipe."""

    value: int
    measure: float


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and every run on the way there."""

    best: Trial
    trials: tuple[Trial, ...]


def search(
    recipe: str | Path,
    data: Any = None,
    *,
    over: str,
    between: tuple[int, int],
    minimise: str = "loss",
    trials: int = 20,
    parameters: Mapping[str, Any] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Found:
    """The value of the parameter `over` for which the recipe's report `minimise` is least.

    BlendSearch (Wang et al., ICLR 2021) as FLAML has it, which begins at the low end and tries numbers on a
    logarithmic scale: the search for a size of Instruction-Mining (arXiv 2307.06290). Every trial is a run of its
    own; all share the store, so that rows are scored once. A value that was tried is not run again. Raises
    DataError E580 without the extra `search`, and E581 where the recipe reports no such number.
    """
    if not 1 <= between[0] < between[1]:
        raise DataError(
            "E581",
            f"there is nothing between {between[0]} and {between[1]} to search",
            help="give two whole numbers from 1, the lower one first",
        )

    @cache
    def measure(value: int) -> float:
        given = {**(parameters or {}), over: value}
        return reported(api.run(recipe, data, parameters=given, seed=seed, **settings).manifest, minimise)

    tried = dict.fromkeys(blend_search(measure, over, between, trials, seed))
    done = tuple(Trial(value, measure(value)) for value in tried)
    return Found(min(done, key=lambda trial: trial.measure), done)


def reported(manifest: Mapping[str, Any], name: str) -> float:
    """The number of that name in the last report of a run."""
    reports = [step.get("notes", {}).get("report", {}) for step in manifest["steps"]]
    found = [report[name] for report in reports if isinstance(report.get(name), int | float)]
    if found and math.isfinite(found[-1]):
        return float(found[-1])
    known = sorted(
        {key for report in reports for key, value in report.items() if isinstance(value, int | float)}
    )
    raise DataError(
        "E581",
        f"the recipe reports no number called `{name}`",
        help=f"minimise one of {', '.join(known)}"
        if known
        else "end it with a report: `| evaluate loss using … against …`",
    )


def blend_search(
    measure: Callable[[int], float], name: str, between: tuple[int, int], trials: int, seed: int
) -> list[int]:
    """The numbers that were measured, in order; each is chosen by what those before gave."""
    low, high = between
    tried: list[int] = []

    def measured(config: Mapping[str, Any]) -> dict[str, float]:
        tried.append(int(config[name]))
        return {"measure": measure(tried[-1])}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quieten_flaml()
        from flaml.tune.sample import lograndint
        from flaml.tune.searcher.blendsearch import BlendSearch
        from flaml.tune.tune import run

        space, start = {name: lograndint(low, high + 1)}, {name: low}
        run(
            measured,
            config=space,
            metric="measure",
            mode="min",
            low_cost_partial_config=start,
            num_samples=trials,
            search_alg=BlendSearch("measure", "min", space, start, seed=SEED + seed),
            verbose=0,
        )
    return tried


def quieten_flaml() -> None:
    """Searching tells nothing of its progress. Raises DataError E580 where FLAML is not installed."""
    try:
        import flaml.tune.sample
        import optuna
    except ImportError as error:
        raise DataError(
            "E580", "searching needs FLAML, which is not installed", help="run `pip install 'selrun[search]'`"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    logging.getLogger(flaml.tune.__name__).setLevel(logging.ERROR)
