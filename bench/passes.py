"""Each kind of pass on models of named shapes, beside the device's own matrix rate.

Weights are random: a pass takes the same time whatever they are. The share is of the fastest product of two
square matrices measured in the same process; the operations counted are those of the model's own products for
the tokens that were fed, without the tokens that rows share, and the last layer whole, though behind its attention
only what is asked about goes through it. Two passes read a common beginning once: SelectIT's
five rating prompts over all rows of a pack, and Nuggets' rows before all anchors; of the latter every tenth row is
taken. With `--out` the table is kept with its command and the load of the machine.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from ifd import TINY, framed, rows_of
from selrun.compiler.facts import Card
from selrun.compiler.templates import ALPACA
from selrun.compiler.values import Data, Model
from selrun.compiler.wants import Continued, Hidden, Logprobs, NextToken, View, Want
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import Body
from selrun.runtime.forward.continued import anchors_of, continued, too_long
from selrun.runtime.models import LoadedModel, load_tokenizer
from selrun.runtime.tokens import encode
from selrun.stdlib.score.nuggets import Nuggets
from selrun.stdlib.score.selectit import Selectit

CONTEXT = 2048
ALPACA_SIZE = 52_002
GIVEN, ALONE = View(ALPACA), View(ALPACA, ("response",))
ANCHORS = 12
PASSES: Mapping[str, tuple[tuple[View, Want], ...]] = {
    "ifd": ((GIVEN, Logprobs("response")), (ALONE, Logprobs("response"))),
    "embedding": ((View(ALPACA, ("prompt",)), Hidden(-1, "mean", "prompt")),),
    "next token": ((View(ALPACA, ("prompt",)), NextToken(("1", "2", "3", "4", "5"))),),
    "5 ratings": tuple(
        (request.view, request.want) for request in Selectit(using=(Model(key="m"),)).requests().values()
    ),
}
"""Alpaca's template, or the rating prompt, is what the rows share, so every one of these lays it once a pack."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What decides the speed of a model."""

    family: str
    hidden: int
    layers: int
    heads: int
    inner: int


SHAPES = {
    "llama-2m": Shape("llama", 192, 4, 4, 512),
    "llama-110m": Shape("llama", 768, 12, 12, 2048),
    "llama-7b": Shape("llama", 4096, 32, 32, 11_008),
    "gpt2": Shape("gpt2", 768, 12, 12, 3072),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One kind of pass over the rows."""

    rows: int
    tokens: int
    seconds: float
    operations: float
    peak: float
    """Gigabytes."""


def main() -> None:
    """Print one table, and keep it where asked."""
    options = arguments()
    torch.set_num_threads(options.threads)
    lines = list(table(options))
    print("\n".join(lines))
    if options.out:
        command = " ".join(("python", "bench/passes.py", *sys.argv[1:]))
        load = f"{os.getloadavg()[0]:.1f} processes wanted one of {os.cpu_count()} cores at the end"
        options.out.write_text("\n".join((f"`{command}`", "", *lines, "", load, "")), encoding="utf-8")


def arguments() -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--shapes", nargs="+", choices=SHAPES, default=["llama-7b", "gpt2"] if cuda else ["llama-2m"]
    )
    parser.add_argument("--device", default="cuda" if cuda else "cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="bfloat16" if cuda else "float32")
    parser.add_argument("--rows", type=int, default=8000 if cuda else 100)
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--out", type=Path, help="where to keep the table, such as bench/results/h200.md")
    return parser.parse_args()


def table(options: argparse.Namespace) -> Iterator[str]:
    dtype = getattr(torch, options.dtype)
    best = matrix_rate(options.device, dtype)
    where = f"{machine(options.device)}, torch {torch.__version__}"
    yield f"{where}, {options.dtype}, {best / 1e12:.2f} TFLOP/s in products"
    yield ""
    yield f"| model | pass | rows | tokens/s | share of the peak | seconds for {ALPACA_SIZE:,} rows | peak GB |"
    yield "|---|---|---|---|---|---|---|"
    frame = framed(rows_of(options.rows))
    for name in options.shapes:
        model = random_model(name, options.device, dtype)
        ways = {kind: Swept(model, frame, views) for kind, views in PASSES.items()}
        for kind, way in {**ways, f"{ANCHORS} anchors": Continuing(model, frame)}.items():
            found = measured(way)
            rate, share = found.tokens / found.seconds, found.operations / found.seconds / best
            whole = found.seconds / found.rows * ALPACA_SIZE
            yield (
                f"| {name} | {kind} | {found.rows:,} | {rate:,.0f} | {share:.0%} | {whole:,.0f} | {found.peak:.1f} |"
            )


def machine(device: str) -> str:
    if device.startswith("cuda"):
        return torch.cuda.get_device_name()
    return f"CPU with {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"


def random_model(name: str, device: str, dtype: torch.dtype) -> LoadedModel:
    """A causal model of the shape with random weights, ready to be swept."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    shape = SHAPES[name]
    torch.manual_seed(0)
    common = {"attn_implementation": "sdpa"}
    if shape.family == "gpt2":
        config: Any = GPT2Config(
            n_embd=shape.hidden, n_layer=shape.layers, n_head=shape.heads, n_positions=CONTEXT, **common
        )
    else:
        config = LlamaConfig(
            hidden_size=shape.hidden,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            intermediate_size=shape.inner,
            max_position_embeddings=CONTEXT,
            **common,
        )
    kind = GPT2LMHeadModel if shape.family == "gpt2" else LlamaForCausalLM
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            network = kind(config).requires_grad_(False).eval()
    finally:
        torch.set_default_dtype(torch.float32)
    card = Card(
        kind="causal",
        context=CONTEXT,
        hidden=shape.hidden,
        layers=shape.layers,
        vocabulary=config.vocab_size,
        parameters=sum(weight.numel() for weight in network.parameters()),
    )
    model = LoadedModel(
        network, load_tokenizer("nano"), card, str(dtype).removeprefix("torch."), device, name
    )
    Body.prepared(model)
    return model


def tokenizer() -> Any:
    """A trained one where it lies beside the repository; else one of bytes, to which rows are four times as long."""
    return load_tokenizer(str(TINY) if TINY.is_dir() else "nano")


class Swept:
    """Views of the rows, each in a pass of its own."""

    def __init__(self, model: LoadedModel, frame: pl.DataFrame, views: tuple[tuple[View, Want], ...]):
        self.model, self.rows = model, frame.height
        context = model.card.context
        self.shown = [(encode(view, frame, model.tokenizer, context), want) for view, want in views]
        self.asked = sum(answered(sequences, want) for sequences, want in self.shown)

    def warm_up(self) -> None:
        for sequences, want in self.shown:
            next(iter(sweep(self.model, sequences, [want])))

    def run(self) -> int:
        """How many tokens were fed."""
        return sum(
            block.tokens for sequences, want in self.shown for block in sweep(self.model, sequences, [want])
        )


class Continuing:
    """The last rows as anchors after every tenth of the others."""

    def __init__(self, model: LoadedModel, frame: pl.DataFrame):
        self.model = model
        op = Nuggets(using=Model(key="m"), against=Data(key="a"))
        request, context = op.requests()["after"], model.card.context
        assert isinstance(request.want, Continued)
        self.want = request.want
        self.anchors = anchors_of(self.want, frame[-ANCHORS:], model.tokenizer, context)
        self.sequences = encode(request.view, frame[:-ANCHORS:10], model.tokenizer, context)
        self.fitting = np.flatnonzero(
            (self.sequences.lengths > 0) & ~too_long(self.sequences, self.anchors, context)
        )
        self.rows = len(self.fitting)
        self.asked = self.rows * sum(len(anchor.said) for anchor in self.anchors.usable)

    def warm_up(self) -> None:
        self.after(self.fitting[:1])

    def run(self) -> int:
        """How many tokens were fed."""
        return self.after(self.fitting)

    def after(self, rows: np.ndarray) -> int:
        return continued(self.model, self.sequences, rows, self.want, self.anchors).tokens


def measured(way: Swept | Continuing) -> Measured:
    """One pass of every view, after a short one to warm up; tokenising is not counted."""
    device = way.model.device
    way.warm_up()
    fresh_peak(device)
    wait(device)
    started = time.perf_counter()
    tokens = way.run()
    wait(device)
    seconds = time.perf_counter() - started
    return Measured(way.rows, tokens, seconds, operations(way.model, tokens, way.asked), peak_memory(device))


def operations(model: LoadedModel, tokens: int, asked: int) -> float:
    """Multiplications and additions of the layers for the tokens fed, and of the head for those asked about."""
    network: Any = model.model
    head = network.get_output_embeddings().weight
    embeddings = network.get_input_embeddings().weight
    inner = sum(weight.numel() for weight in network.parameters() if weight.dim() == 2)
    inner -= embeddings.numel() + (0 if head is embeddings else head.numel())
    return 2.0 * inner * tokens + 2.0 * head.numel() * asked


def answered(sequences: Any, want: Want) -> int:
    """The positions at which the head is needed."""
    match want:
        case Logprobs():
            return int(sequences.response.sum())
        case NextToken():
            return len(sequences)
        case _:
            return 0


def matrix_rate(device: str, dtype: torch.dtype) -> float:
    """The operations a second of the fastest of three square products."""
    sizes = (4096, 8192, 16_384) if device.startswith("cuda") else (512, 1024, 2048)
    return max(product_rate(size, device, dtype) for size in sizes)


def product_rate(size: int, device: str, dtype: torch.dtype) -> float:
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    repeats = max(3, int(2e12 / size**3) if device.startswith("cuda") else int(1e10 / size**3))
    left @ right
    wait(device)
    started = time.perf_counter()
    for _ in range(repeats):
        left @ right
    wait(device)
    return repeats * 2.0 * size**3 / (time.perf_counter() - started)


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def fresh_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()


def peak_memory(device: str) -> float:
    """Gigabytes: of the device since `fresh_peak`, or of the whole process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
