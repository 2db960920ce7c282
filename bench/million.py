"""A whole run over a million rows: reading, choosing, writing and the history of every row; memory."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from table import generate

RECIPES = (
    "top 5% by words(response)",
    "score length(unit = words) | filter length > 20 | sample 10%",
    "dedup exact | top 1000 by len(response)",
)
LIMIT = 4.0
"""GB of memory at most."""


def main() -> None:
    """Print one line per recipe."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    print(f"{rows:,} rows of 500 characters, JSON lines; limit of memory {LIMIT} GB")
    print(f"{'':64}{'CPU s':>8}{'wall s':>8}{'peak GB':>9}{'history MB':>12}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder / "rows.jsonl", rows)
        for recipe in RECIPES:
            cpu, wall, peak = run(recipe, folder)
            history = (folder / "out.jsonl.history.parquet").stat().st_size / 1e6
            print(f"{recipe:64}{cpu:8.2f}{wall:8.2f}{peak:9.2f}{history:12.1f}", flush=True)


def run(recipe: str, folder: Path) -> tuple[float, float, float]:
    """CPU and wall seconds, and the largest memory of a run in a process of its own, in GB."""
    script = "import os, resource, sys; from selrun.runtime.cli import main; code = main(); "
    script += "used = resource.getrusage(resource.RUSAGE_SELF); "
    script += "print(used.ru_utime + used.ru_stime, used.ru_maxrss); sys.exit(code)"
    words = ["-e", recipe, "--data", "rows.jsonl", "--out", "out.jsonl", "--store", "store", "--quiet"]
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=folder, check=True, text=True, stdout=subprocess.PIPE
    )
    wall = time.perf_counter() - start
    cpu, peak = done.stdout.split()[-2:]
    return float(cpu), wall, int(peak) * (1 if sys.platform == "darwin" else 1024) / 1e9


if __name__ == "__main__":
    main()
