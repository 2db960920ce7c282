"""The same recipe again, with one more score, and with a few new rows: what the store saves."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
TINY = ROOT.parent / "shared/models/tiny-llama"
ALPACA_ROWS = ROOT.parent / "shared/data/alpaca_random_9k.json"
EXAMPLE_ROWS = ROOT / "examples/tasks.jsonl"
LINE = "score ifd using m | diversify kmeans(20) | top 5% by ifd"
MORE = "score ifd using m | score perplexity | diversify kmeans(20) | top 5% by ifd"
TRAINED = "score ifd using warmup(m, 5%) | diversify kmeans(20) | top 5%"


def main() -> None:
    """Print one line per run."""
    options = arguments()
    rows = rows_of(options.rows + options.new)
    first, all_rows = rows[: -options.new], rows
    print(f"{len(first):,} rows, {options.model}; every run is a process of its own, imports included")
    print(f"{'':42}{'asked':>10}{'forwarded':>10}{'CPU s':>10}{'wall s':>10}{'first / it':>12}")
    with tempfile.TemporaryDirectory() as name:
        place = Place(Path(name), options.model)
        cold = place.show("first run", LINE, first, None)
        place.show("the same again", LINE, first, cold)
        place.show("and `score perplexity`", MORE, first, cold)
        place.show(f"and {options.new} new rows", LINE, all_rows, cold)
        cold = place.show("first run with warmup(m, 5%)", TRAINED, first, None)
        place.show("the same again", TRAINED, first, cold)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000, help="rows of the first run")
    parser.add_argument("--new", type=int, default=100, help="rows added")
    parser.add_argument("--model", default=str(TINY) if TINY.exists() else "nano")
    return parser.parse_args()


def rows_of(count: int) -> list[dict[str, str]]:
    """So many different rows; the example's rows are numbered and repeated where there are no others."""
    if ALPACA_ROWS.exists():
        found = json.loads(ALPACA_ROWS.read_text("utf-8"))
    else:
        found = [json.loads(line) for line in EXAMPLE_ROWS.read_text("utf-8").splitlines()]
    rounds = -(-count // len(found))
    again = [
        {**row, "instruction": f"{row['instruction']} ({n})" if n else row["instruction"]}
        for n in range(rounds)
        for row in found
    ]
    return again[:count]


class Place:
    """A folder with a store in which recipes run one after the other."""

    def __init__(self, folder: Path, model: str):
        self.folder, self.model = folder, model

    def show(self, name: str, recipe: str, rows: list[dict[str, str]], cold: float | None) -> float:
        """Prints what a run took, and gives its CPU seconds."""
        cpu, wall = self.run(recipe, rows)
        sweeps = json.loads((self.folder / "out.json.manifest.json").read_text("utf-8"))["sweeps"]
        forwarded = sum(sweep["rows"] for sweep in sweeps)
        asked = forwarded + sum(sweep["cached"] for sweep in sweeps)
        ratio = f"{cold / cpu:11.1f}x" if cold else ""
        print(f"{name:42}{asked:10,}{forwarded:10,}{cpu:10.2f}{wall:10.2f}{ratio:>12}", flush=True)
        return cpu

    def run(self, recipe: str, rows: list[dict[str, str]]) -> tuple[float, float]:
        """CPU and wall seconds of a run."""
        (self.folder / "rows.json").write_text(json.dumps(rows), "utf-8")
        words = ["--data", "rows.json", "--model", f"m={self.model}", "--out", "out.json", "--store", "store"]
        command = [sys.executable, "-m", "selrun", "-e", recipe, *words, "--quiet"]
        before, start = children(), time.perf_counter()
        subprocess.run(command, cwd=self.folder, check=True)
        return children() - before, time.perf_counter() - start


def children() -> float:
    """CPU seconds of all processes that have ended here."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
