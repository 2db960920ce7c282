"""Golden scores beside a loop of the authors' kind, with equal scores asserted.

The loop keeps the keys and values of each row, repeats them for a batch of anchors that are padded to 200 tokens,
and takes the softmax over all positions. Seconds are CPU seconds on one thread, medians of the repeats, the two ways
taking turns in one process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from selrun.compiler.values import Data, Model
from selrun.runtime import models
from selrun.runtime.forward.continued import anchors_of, continued
from selrun.runtime.models import LoadedModel
from selrun.runtime.rows import read_rows
from selrun.runtime.tokens import encode
from selrun.stdlib.score.nuggets import AUTHORS_CAP, PROMPT, Nuggets
from torch import Tensor

TINY = Path(__file__).parents[2] / "shared/models/tiny-llama"
Row = dict[str, str]
MARGIN = 2e-3
"""Sums of the two ways differ by less, in nats."""


def main() -> None:
    """Print one line per number of anchors."""
    options = arguments()
    torch.set_num_threads(1)
    model = models.load(options.model, dtype="float32", device="cpu")
    rows, anchors = (read(path) for path in (options.data, options.anchors))
    print(f"{options.rows} rows of {Path(options.data).name} with {model.label}; seconds on one thread")
    print(
        f"{'anchors':>8}{'tokens':>10}{'loop s':>10}{'selrun s':>10}{'ratio':>8}  rows/s  the sums differ by"
    )
    for count in options.counts:
        compare(model, rows[: options.rows], anchors[-count:], options.repeats)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(TINY) if TINY.is_dir() else "nano")
    parser.add_argument("--data", default="examples/tasks.jsonl")
    parser.add_argument("--anchors", default="examples/tasks.jsonl", help="the last rows of this file")
    parser.add_argument("--rows", type=int, default=12)
    parser.add_argument("--counts", type=int, nargs="+", default=[12, 100])
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def read(path: str) -> list[Row]:
    """The rows that have a response."""
    text = Path(path).read_text("utf-8")
    found = json.loads(text) if path.endswith(".json") else [json.loads(line) for line in text.splitlines()]
    fields = ("instruction", "input", "output")
    stripped = ({name: (row.get(name) or "").strip() for name in fields} for row in found)
    return [row for row in stripped if row["output"]]


def compare(model: LoadedModel, rows: Sequence[Row], anchors: Sequence[Row], repeats: int) -> None:
    """Prints both times, and how far the sums are apart that both ways give."""
    loop, ours = Loop(model, anchors), Ours(model, rows, anchors)
    ours.sums()
    slow, quick = [], []
    for _ in range(repeats):
        expected, before = timed(lambda: torch.stack([loop.sums(row) for row in rows]).numpy())
        found, after = timed(ours.sums)
        slow.append(before)
        quick.append(after)
    known = ~np.isnan(found[0])
    apart = float(np.abs(found - expected)[:, known].max())
    assert apart < MARGIN, f"the sums differ by {apart}"
    assert (expected[:, ~known] == 0).all(), "an anchor without a response has a sum"
    before, after = map(statistics.median, (slow, quick))
    print(
        f"{len(anchors):8}{ours.tokens:10,}{before:10.2f}{after:10.2f}{before / after:7.2f}x"
        f"{len(rows) / after:8.2f}  {apart:.1e} nats",
        flush=True,
    )


def timed(way: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    started = time.process_time()
    return way(), time.process_time() - started


class Ours:
    """The sums as selrun computes them, tokens included."""

    def __init__(self, model: LoadedModel, rows: Sequence[Row], anchors: Sequence[Row]):
        self.model, self.tokens = model, 0
        self.rows, self.anchors = frame(rows), frame(anchors)
        op = Nuggets(using=Model(key="m"), against=Data(key="a"), faithful=True)
        self.request = op.requests()["after"]

    def sums(self) -> np.ndarray:
        """`[rows, anchors]`, NaN where an anchor has no response."""
        want, tokenizer, context = self.request.want, self.model.tokenizer, self.model.card.context
        sequences = encode(self.request.view, self.rows, tokenizer, context)
        laid = anchors_of(want, self.anchors, tokenizer, context)  # type: ignore[arg-type]
        block = continued(self.model, sequences, np.arange(len(sequences)), want, laid)  # type: ignore[arg-type]
        self.tokens = block.tokens
        sums = np.array(block.answers[want].to_list(), dtype=np.float64)
        return sums[np.argsort(block.rows)]


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        path.write_text(json.dumps(list(rows)), "utf-8")
        return read_rows(str(path)).frame


@dataclass(frozen=True)
class Padded:
    """Eight anchors of 200 tokens each."""

    ids: Tensor
    said: Tensor
    """`[anchors, tokens]`, 1.0 for tokens of the response."""


class Loop:
    """The authors' form: one row at a time, its cache repeated for every batch of anchors."""

    def __init__(self, model: LoadedModel, anchors: Sequence[Row], batch: int = 8):
        self.tokenizer = model.tokenizer
        self.network = own_network(model)
        self.batches = [
            self.padded(anchors[start : start + batch]) for start in range(0, len(anchors), batch)
        ]

    def encoded(self, text: str, special: bool) -> list[int]:
        return self.tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]

    def padded(self, anchors: Sequence[Row]) -> Padded:
        ids = torch.zeros(len(anchors), AUTHORS_CAP, dtype=torch.long)
        said = torch.zeros(len(anchors), AUTHORS_CAP)
        for line, anchor in enumerate(anchors):
            whole = self.encoded(prompt(anchor) + anchor["output"], False)[:AUTHORS_CAP]
            ids[line, : len(whole)] = torch.tensor(whole)
            said[line, len(self.encoded(prompt(anchor), False)) : len(whole)] = 1
        return Padded(ids, said)

    @torch.no_grad()
    def sums(self, row: Row) -> Tensor:
        """`[anchors]`."""
        from transformers import DynamicCache

        ids = torch.tensor([self.encoded(prompt(row) + row["output"], True)])
        known = self.network(ids, use_cache=True)
        layers = [(layer.keys, layer.values) for layer in known.past_key_values.layers]
        found = []
        for batch in self.batches:
            count = len(batch.ids)
            cache = DynamicCache(
                [(k.expand(count, -1, -1, -1), v.expand(count, -1, -1, -1)) for k, v in layers]
            )
            logits = self.network(batch.ids, past_key_values=cache, use_cache=True).logits[:, :-1]
            logs = logits.log_softmax(-1).gather(-1, batch.ids[:, 1:, None])[..., 0]
            found.append((logs * batch.said[:, 1:]).sum(-1))
        return torch.cat(found)


def own_network(model: LoadedModel) -> Any:
    """The model as transformers loads it, with the padding token that the authors add."""
    from transformers import AutoModelForCausalLM

    path = model.model.config._name_or_path
    network = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32).eval()
    network.resize_token_embeddings(network.config.vocab_size + 1, mean_resizing=False)
    for layer in (network.get_input_embeddings(), network.get_output_embeddings()):
        layer.weight.data[-1] = layer.weight.data[:-1].mean(0)
    return network


def prompt(row: Row) -> str:
    template = PROMPT.with_input if row["input"] else PROMPT.without_input
    parts = template.split("{input}")
    return row["input"].join(part.replace("{instruction}", row["instruction"]) for part in parts)


if __name__ == "__main__":
    main()
