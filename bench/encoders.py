"""Sentence embeddings beside sentence-transformers' own loop, with the same vectors asserted.

Both ways start from texts and end in vectors; seconds are CPU seconds of one thread, medians of the repeats, the two
ways taking turns in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import polars as pl
import torch
from selrun.compiler.templates import BARE
from selrun.compiler.wants import Embedding, View
from selrun.runtime.forward import sweep
from selrun.runtime.models import LoadedModel, found, load
from selrun.runtime.tokens import Sequences, encode
from sentence_transformers import SentenceTransformer

TASKS = Path(__file__).parents[1] / "examples" / "tasks.jsonl"
COLUMNS = {"prompts": ("instruction", "input"), "whole rows": ("instruction", "input", "output")}
TOLERANCE = 1e-5


def main() -> None:
    """Print one line per kind of text."""
    options = arguments()
    torch.set_num_threads(1)
    ours, theirs = load(options.model), SentenceTransformer(str(found(options.model)), device="cpu")
    print(f"{'':24}{'texts':>8}{'tokens':>9}{'own s':>9}{'selrun s':>10}{'ratio':>8}  greatest difference")
    for name, texts in texts_of(Path(options.data), options.rows).items():
        show(name, texts, ours, theirs, options.repeats)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--data", default=str(TASKS), help="Alpaca rows, as JSON or JSON lines")
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def texts_of(path: Path, rows: int) -> dict[str, list[str]]:
    """The texts of so many rows; a shorter file is read again from its start."""
    content = path.read_text("utf-8")
    table = json.loads(content) if content.startswith("[") else list(map(json.loads, content.splitlines()))
    taken = list(islice(cycle(table), rows))
    return {
        name: ["\n".join(row.get(column) or "" for column in columns).strip() for row in taken]
        for name, columns in COLUMNS.items()
    }


def show(name: str, texts: list[str], ours: LoadedModel, theirs: SentenceTransformer, repeats: int) -> None:
    """Prints both times and how far apart the vectors are."""
    ways = (lambda: own_vectors(theirs, texts), lambda: our_vectors(ours, texts))
    own, new = (way() for way in ways)
    difference = float(np.abs(own - new).max())
    assert difference <= TOLERANCE, f"{name}: vectors differ by {difference}"
    times = [[timed(way) for way in ways] for _ in range(repeats)]
    slow, quick = (statistics.median(column) for column in zip(*times, strict=True))
    tokens = len(sequences_of(ours, texts).ids)
    print(
        f"{name:24}{len(texts):8,}{tokens:9,}{slow:9.2f}{quick:10.2f}{slow / quick:7.2f}x  {difference:.1e}",
        flush=True,
    )


def own_vectors(model: SentenceTransformer, texts: list[str]) -> np.ndarray:
    return np.asarray(model.encode(texts, show_progress_bar=False))


def our_vectors(model: LoadedModel, texts: list[str]) -> np.ndarray:
    """`[texts, d]`, by the sweep that a run makes."""
    found = np.zeros((len(texts), model.card.hidden or 0), dtype=np.float32)
    for block in sweep(model, sequences_of(model, texts), [Embedding()]):
        found[block.rows] = block.answers[Embedding()].to_numpy()
    return found


def sequences_of(model: LoadedModel, texts: list[str]) -> Sequences:
    frame = pl.DataFrame({"@prompt": texts})
    return encode(View(BARE, text=("@prompt",)), frame, model.tokenizer, model.card.context)


def timed(way: Callable[[], np.ndarray]) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


if __name__ == "__main__":
    main()
