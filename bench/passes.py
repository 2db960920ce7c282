"""Each kind of pass on models of named shapes, beside the device's own matrix rate.

Weights are random: a pass takes the same time whatever they are. The share is of the fastest product of two
square matrices measured in the same process; the operations counted are those of the model's own products for
the tokens that were fed, without the tokens that rows share. With `--out` the table is kept with its command.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from ifd import TINY, framed, rows_of
from selrun.compiler.facts import Card
from selrun.compiler.templates import ALPACA
from selrun.compiler.wants import Hidden, Logprobs, NextToken, View, Want
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import Body
from selrun.runtime.models import LoadedModel, load_tokenizer
from selrun.runtime.tokens import encode

CONTEXT = 2048
ALPACA_SIZE = 52_002
GIVEN, ALONE = View(ALPACA), View(ALPACA, ("response",))
PASSES: Mapping[str, tuple[tuple[View, Want], ...]] = {
    "ifd": ((GIVEN, Logprobs("response")), (ALONE, Logprobs("response"))),
    "embedding": ((View(ALPACA, ("prompt",)), Hidden(-1, "mean", "prompt")),),
    "next token": ((View(ALPACA, ("prompt",)), NextToken(("1", "2", "3", "4", "5"))),),
}
"""Alpaca's template is what the rows share, so every one of these lays it once a pack."""


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
        options.out.write_text("\n".join((f"`{command}`", "", *lines, "")), encoding="utf-8")


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
        for kind, views in PASSES.items():
            found = measured(model, frame, views)
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


def measured(model: LoadedModel, frame: pl.DataFrame, views: tuple[tuple[View, Want], ...]) -> Measured:
    """One pass of every view, after a short one to warm up; tokenising is not counted."""
    shown = [(encode(view, frame, model.tokenizer, model.card.context), want) for view, want in views]
    for sequences, want in shown:
        next(iter(sweep(model, sequences, [want])))
    fresh_peak(model.device)
    started = time.perf_counter()
    tokens = 0
    for sequences, want in shown:
        tokens += sum(block.tokens for block in sweep(model, sequences, [want]))
    if model.device.startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - started
    return Measured(
        frame.height, tokens, seconds, operations(model, shown, tokens), peak_memory(model.device)
    )


def operations(model: LoadedModel, shown: list[Any], tokens: int) -> float:
    """Multiplications and additions of the layers for the tokens fed, and of the head for those asked about."""
    network: Any = model.model
    head = network.get_output_embeddings().weight
    embeddings = network.get_input_embeddings().weight
    inner = sum(weight.numel() for weight in network.parameters() if weight.dim() == 2)
    inner -= embeddings.numel() + (0 if head is embeddings else head.numel())
    asked = sum(answered(sequences, want) for sequences, want in shown)
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
    wait: Callable[[], None] = torch.cuda.synchronize if device.startswith("cuda") else lambda: None
    wait()
    started = time.perf_counter()
    for _ in range(repeats):
        left @ right
    wait()
    return repeats * 2.0 * size**3 / (time.perf_counter() - started)


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
