"""IFD of the same rows by the published kind of loop and by a sweep, beside the machine's own limit.

Every number of one model comes from one process with the ways taking turns; tokenising is included. The limit
is the time that the model's matrix products alone take at the speed this machine reaches now, for the tokens
of the rows. Ratios and efficiencies of CPU seconds, medians of the repeats.
"""

from __future__ import annotations

import argparse
import copy
import json
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import loops
import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from selrun.compiler.facts import Card
from selrun.compiler.templates import ALPACA
from selrun.compiler.wants import Logprobs, View
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import Body
from selrun.runtime.forward.gemm import onednn
from selrun.runtime.models import LoadedModel, load, load_tokenizer
from selrun.runtime.tokens import Sequences, encode
from torch import nn

ROOT = Path(__file__).parents[1]
TINY = ROOT.parent / "shared/models/tiny-llama"
ALPACA_ROWS = ROOT.parent / "shared/data/alpaca_random_9k.json"
EXAMPLE_ROWS = ROOT / "examples/tasks.jsonl"
LIMIT = 1024
GIVEN = View(ALPACA, limit=LIMIT, seam="joint", start="tokenizer")
ALONE = View(ALPACA, ("response",), LIMIT, "joint", "tokenizer", 4)
LOSSES = Logprobs("response")
EXACT = 1e-5
SHAPES = {
    "random-2.4m": (192, 4, 4096, 4),
    "random-30m": (512, 4, 32_000, 8),
    "random-110m": (768, 12, 32_000, 12),
}
"""Hidden size, layers, vocabulary, heads."""


def main() -> None:
    """Print one table."""
    options = arguments()
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}; float32 unless named")
    print(HEADING)
    for name in options.models:
        rows = rows_of(options.rows if name != "random-110m" else max(options.rows // 2, 1))
        for threads in options.threads:
            torch.set_num_threads(threads)
            for line in lines(name, rows, threads, options.repeats, options.bf16):
                print(line, flush=True)


def arguments() -> argparse.Namespace:
    tiny = "tiny-llama" if TINY.is_dir() else "random-2.4m"
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200, help="half of them for random-110m")
    parser.add_argument("--models", nargs="+", default=[tiny, "random-30m", "random-110m"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--bf16", action="store_true", help="also with bfloat16 weights, which is not exact")
    return parser.parse_args()


HEADING = (
    f"{'model':<14}{'threads':>8}{'rows':>6}{'tokens':>8}{'way':>10}{'CPU s':>8}{'wall s':>8}{'tok/s':>8}"
    f"{'ratio':>7}{'limit s':>9}{'effic.':>7}{'GF/s':>6}  agreement"
)


def rows_of(count: int) -> list[loops.Row]:
    if ALPACA_ROWS.exists():
        return json.loads(ALPACA_ROWS.read_text("utf-8"))[:count]
    found = [json.loads(line) for line in EXAMPLE_ROWS.read_text("utf-8").splitlines()]
    return [{"input": "", **row} for row in found][:count]


def framed(rows: list[loops.Row]) -> pl.DataFrame:
    """The rows as a run holds them."""
    turns = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    return pl.DataFrame(
        {
            "@instruction": [row["instruction"] for row in rows],
            "@input": [row.get("input") or None for row in rows],
            "@prompt": ["\n".join(filter(None, (row["instruction"], row.get("input")))) for row in rows],
            "@response": [row["output"] for row in rows],
        }
    ).with_columns(pl.lit(None, pl.String).alias("@system"), pl.lit(None, turns).alias("@history"))


def model_of(name: str) -> LoadedModel:
    if name not in SHAPES:
        return load(str(TINY) if name == "tiny-llama" else name)
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, layers, vocabulary, heads = SHAPES[name]
    torch.manual_seed(0)
    network = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=hidden * 8 // 3 // 64 * 64,
            max_position_embeddings=2 * LIMIT,
            tie_word_embeddings=True,
        )
    ).requires_grad_(False)
    card = Card(kind="causal", context=2 * LIMIT, hidden=hidden, layers=layers, vocabulary=vocabulary)
    tokenizer = load_tokenizer(str(TINY) if TINY.is_dir() else "nano")
    return LoadedModel(network.eval(), tokenizer, card, "float32", "cpu", name)


@dataclass(frozen=True)
class Timed:
    """What one way took, and what it found."""

    cpu: float
    wall: float
    losses: np.ndarray


def timed(way: Callable[[], Any]) -> Timed:
    wall, cpu = time.perf_counter(), time.process_time()
    found = np.asarray(way())
    return Timed(time.process_time() - cpu, time.perf_counter() - wall, found)


def swept(model: LoadedModel, frame: pl.DataFrame) -> np.ndarray:
    """`[rows, 2]` mean losses, NaN where a row has none."""
    found = np.full((frame.height, 2), np.nan)
    for column, view in enumerate((GIVEN, ALONE)):
        for block in sweep(model, encode(view, frame, model.tokenizer, model.card.context), [LOSSES]):
            found[block.rows, column] = -block.answers[LOSSES].list.mean().to_numpy()
    return found


def lines(name: str, rows: list[loops.Row], threads: int, repeats: int, bf16: bool) -> list[str]:
    """One line for each way, the loop first."""
    model, frame = model_of(name), framed(rows)
    plain = copy.deepcopy(model.model)
    Body.prepared(model)
    ways: dict[str, Callable[[], Any]] = {
        "loop": lambda: loops.losses(plain, model.tokenizer, rows, LIMIT),
        "sweep": lambda: swept(model, frame),
    }
    if bf16:
        half = halved(model, plain)
        Body.prepared(half)
        ways["bf16"] = lambda: swept(half, frame)
    taken: dict[str, list[Timed]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, run in ways.items():
            taken[way].append(timed(run))
    shown = [encode(view, frame, model.tokenizer, model.card.context) for view in (GIVEN, ALONE)]
    return [line(name, threads, shown, plain, way, taken) for way in ways]


def halved(model: LoadedModel, plain: nn.Module) -> LoadedModel:
    network = copy.deepcopy(plain).bfloat16()
    return LoadedModel(network, model.tokenizer, model.card, "bfloat16", "cpu", model.label)


def line(
    name: str,
    threads: int,
    shown: list[Sequences],
    plain: nn.Module,
    way: str,
    taken: Mapping[str, list[Timed]],
) -> str:
    cpu, wall = (statistics.median(getattr(run, kind) for run in taken[way]) for kind in ("cpu", "wall"))
    loop = statistics.median(run.cpu for run in taken["loop"])
    tokens = sum(int(part.lengths.sum()) for part in shown)
    limit, products = floor(plain, shown, torch.bfloat16 if way == "bf16" else torch.float32)
    return (
        f"{name:<14}{threads:>8}{len(shown[0]):>6}{tokens:>8}{way:>10}{cpu:>8.2f}{wall:>8.2f}"
        f"{tokens / cpu:>8.0f}{loop / cpu:>7.2f}{limit:>9.2f}{limit / cpu:>7.2f}{products / limit / 1e9:>6.0f}"
        f"  {agreement(way, taken[way][0].losses, taken['loop'][0].losses)}"
    )


def agreement(way: str, ours: np.ndarray, loop: np.ndarray) -> str:
    """How far a way's numbers are from the loop's; raises where an exact way is not exact."""
    fine = np.isfinite(ours).all(1) & np.isfinite(loop).all(1)
    off = float(np.abs(ours[fine] / loop[fine] - 1).max())
    if way != "bf16":
        assert off <= EXACT, f"{way} is off by {off:.1e}"
        return f"{off:.0e} relative"
    ifd, exact = (found[fine, 0] / found[fine, 1] for found in (ours, loop))
    best = max(len(ifd) // 20, 1)
    same = len(set(np.argsort(ifd)[-best:]) & set(np.argsort(exact)[-best:]))
    return f"{off:.0e} relative, Spearman {spearmanr(ifd, exact).statistic:.4f}, top 5 % {same}/{best}"


def floor(network: Any, shown: list[Sequences], dtype: torch.dtype) -> tuple[float, float]:
    """Seconds of the products alone at the best speed measured now, and their number of operations."""
    tokens = sum(int(part.lengths.sum()) for part in shown)
    answered = sum(int(part.response.sum()) for part in shown)
    head = network.get_output_embeddings()
    layers = [module for module in network.modules() if isinstance(module, nn.Linear) and module is not head]
    work = [(2 * tokens, layer) for layer in layers] + [(2 * answered, head)]
    seconds = operations = 0.0
    for count, layer in work:
        outputs, inputs = layer.weight.shape
        operations += count * inputs * outputs
        seconds += count * inputs * outputs / speed(inputs, outputs, dtype, torch.get_num_threads())
    config = network.config
    squares = sum(int((part.lengths**2).sum()) for part in shown)
    attention = 2.0 * config.num_hidden_layers * config.hidden_size * squares
    return seconds + attention * seconds / operations, operations + attention


@cache
def speed(inputs: int, outputs: int, dtype: torch.dtype, threads: int) -> float:
    """The most operations a CPU second that this machine reaches for the shape, over both libraries."""
    rows = torch.randn(2048 if outputs < 16_384 else 256, inputs).to(dtype)
    weight = torch.randn(outputs, inputs).to(dtype)
    products = [F.linear] if dtype == torch.bfloat16 else [F.linear, onednn]
    once = 2 * len(rows) * inputs * outputs
    repeats = max(2, int(1.5e10 / once))
    best = 0.0
    with torch.inference_mode():
        for product in products:
            product(rows, weight, None)
            started = time.process_time()
            for _ in range(repeats):
                product(rows, weight, None)
            best = max(best, repeats * once / (time.process_time() - started))
    return best


if __name__ == "__main__":
    main()
