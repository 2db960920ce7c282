"""How long a check of a recipe takes in a process of its own, beside an empty one and the libraries it rests on."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

RECIPE = "score ifd using warmup(llama2-7b, 5%) | diversify kmeans(100) | top 0.05"
SELRUN = [sys.executable, "-m", "selrun"]
WAYS = {
    "an empty process": [sys.executable, "-c", ""],
    "pydantic and lark imported": [sys.executable, "-c", "import pydantic.main, lark"],
    "selrun check": [*SELRUN, "check", "-e", RECIPE],
    "selrun check, four problems": [*SELRUN, "check", "-e", "score idf | topp 5% | top 150% by nothing"],
    "selrun fmt": [*SELRUN, "fmt", "-e", RECIPE],
    "torch imported": [sys.executable, "-c", "import torch"],
}
LIMIT = 0.3
"""Seconds that a check may take."""


def main() -> None:
    """Print one line per way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    print(f"{repeats} processes each, taking turns; compiled modules and the grammar are on the disk")
    print(f"{'seconds':30}{'CPU least':>12}{'CPU median':>12}{'wall least':>12}{'wall median':>12}")
    with tempfile.TemporaryDirectory() as folder:
        times = measured(repeats, compiled(Path(folder)))
    for name, pairs in times.items():
        cpu, wall = zip(*pairs, strict=True)
        cells = (min(cpu), statistics.median(cpu), min(wall), statistics.median(wall))
        print(f"{name:30}" + "".join(f"{cell:12.3f}" for cell in cells))
    least = min(wall for _, wall in times["selrun check"])
    print(f"limit of a check {LIMIT} s: the least is {least / LIMIT:.2f} of it")


def compiled(folder: Path) -> Mapping[str, str]:
    """An environment in which Python keeps compiled modules, as it does unless told otherwise."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder)}


def measured(repeats: int, environment: Mapping[str, str]) -> dict[str, list[tuple[float, float]]]:
    """CPU and wall seconds of every way; a first round of each is not counted."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
    for turn in range(repeats + 1):
        for name, command in WAYS.items():
            taken = seconds(command, environment)
            if turn:
                times[name].append(taken)
    return times


def seconds(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """CPU and wall seconds of a process."""
    before, start = children(), time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return children() - before, time.perf_counter() - start


def children() -> float:
    """CPU seconds of all processes that have ended here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
