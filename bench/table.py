"""Loading, hashing, filtering and writing a million rows, beside plain Python."""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

TEXT = "the model reads a prompt and writes an answer that is short or long or right about seven hills"
T = TypeVar("T")
LIMIT = 4.0
"""GB of memory at most."""


def main() -> None:
    """Print one line per file and way."""
    options = arguments()
    if options.measure:
        print(json.dumps(WAYS[options.measure](Path(options.file))))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), options.rows)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measure", choices=list(WAYS))
    parser.add_argument("--file", default="")
    return parser.parse_args()


def compare(folder: Path, rows: int) -> None:
    lines, table = folder / "rows.jsonl", folder / "rows.parquet"
    generate(lines, rows)
    child("convert", lines)
    print(f"{rows:,} rows of 500 characters: jsonl {size(lines)}, parquet {size(table)}; seconds")
    print(f"{'':28}{'load+key':>10}{'filter':>10}{'write':>10}{'all':>10}{'peak GB':>10}")
    plain = show("plain Python, jsonl", child("plain", lines))
    ours = show("selrun, jsonl", child("selrun", lines))
    show("selrun, parquet", child("selrun", table))
    print(f"plain Python / selrun on jsonl: {plain / ours:.2f}x; limit of memory {LIMIT} GB")


def size(path: Path) -> str:
    return f"{path.stat().st_size / 2**20:.0f} MiB"


def show(name: str, result: dict[str, float]) -> float:
    seconds = [result[key] for key in ("load", "filter", "write")]
    cells = [*seconds, sum(seconds), result["peak"]]
    print(f"{name:28}" + "".join(f"{cell:10.2f}" for cell in cells))
    return sum(seconds)


def child(way: str, file: Path) -> dict[str, float]:
    """What one way measures in a process of its own."""
    command = [sys.executable, __file__, "--measure", way, "--file", str(file)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def generate(target: Path, rows: int) -> None:
    draw = random.Random(0)
    stock = " ".join(draw.choices(TEXT.split(), k=200_000))
    with target.open("w") as out:
        for number in range(rows):
            at = draw.randrange(len(stock) - 500)
            row = {
                "instruction": f"{number} {stock[at : at + 90]}",
                "input": "",
                "output": stock[at : at + 400],
            }
            out.write(json.dumps(row) + "\n")


def convert(file: Path) -> dict[str, float]:
    import polars as pl

    pl.read_ndjson(file).write_parquet(file.with_suffix(".parquet"))
    return {}


def with_selrun(file: Path) -> dict[str, float]:
    import polars as pl
    from selrun.runtime.rows import read_rows, write_rows

    rows, load = timed(lambda: read_rows(file))
    kept, select = timed(lambda: rows.frame.filter(pl.col("@response").str.contains("seven")))
    _, write = timed(lambda: write_rows(kept, rows.layout, file.with_name(f"out{file.suffix}"), scores=()))
    return {"load": load, "filter": select, "write": write, "peak": peak()}


def with_plain_python(file: Path) -> dict[str, float]:
    rows, load = timed(lambda: [keyed(line) for line in file.open()])
    kept, select = timed(lambda: [row for _, row in rows if "seven" in row["output"]])
    _, write = timed(lambda: file.with_name("out.jsonl").write_text("\n".join(map(json.dumps, kept))))
    return {"load": load, "filter": select, "write": write, "peak": peak()}


def keyed(line: str) -> tuple[str, dict[str, str]]:
    row = json.loads(line)
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest(), row


def timed(action: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    return action(), time.perf_counter() - start


def peak() -> float:
    return (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    )


WAYS: dict[str, Callable[[Path], dict[str, float]]] = {
    "convert": convert,
    "selrun": with_selrun,
    "plain": with_plain_python,
}

if __name__ == "__main__":
    main()
