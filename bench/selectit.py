"""SelectIT's sentence level by the authors' kind of loop and by sweeps, on the same rows with the same values.

The loop reads one row in one rating prompt at a time and takes all logits; the sweeps lay the rating prompt once a
pack and take the last position's logits alone. CPU seconds with one thread, medians of the repeats; tokenising
is included. `shared` is the part of the tokens that was not fed because a prompt was laid once.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass

import loops
import numpy as np
import polars as pl
import torch
from ifd import framed, model_of, rows_of, timed
from selrun.compiler.op import Request
from selrun.compiler.values import Model
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import Body
from selrun.runtime.models import LoadedModel
from selrun.runtime.tokens import encode
from selrun.stdlib.score.rating import RATINGS
from selrun.stdlib.score.selectit import Selectit

EXACT = 1e-5


def main() -> None:
    """Print one table."""
    options = arguments()
    torch.set_num_threads(1)
    rows = rows_of(options.rows)
    print(
        f"{'model':<14}{'rows':>6}{'prompts':>9}{'loop s':>9}{'sweeps s':>10}{'ratio':>7}{'shared':>8}  difference"
    )
    for name in options.models:
        print(line(model_of(name), name, rows, options.prompts, options.repeats), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=40)
    parser.add_argument("--models", nargs="+", default=["tiny-llama"])
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    return parser.parse_args()


def line(model: LoadedModel, name: str, rows: list[loops.Row], prompts: int, repeats: int) -> str:
    plain = model_of(name)
    Body.prepared(model)
    op = Selectit(using=(Model(key=name),), prompts=prompts, faithful=True)
    asked = Asked(model, framed(rows))
    pairs = [
        (timed(lambda: looped(plain, rows, prompts)), timed(lambda: asked.scores(op))) for _ in range(repeats)
    ]
    difference = max(np.abs(loop.losses - swept.losses).max() for loop, swept in pairs)
    assert difference < EXACT, f"the scores differ by {difference}"
    loop, swept = (statistics.median(pair[at].cpu for pair in pairs) for at in (0, 1))
    return (
        f"{name:<14}{len(rows):>6}{prompts:>9}{loop:>9.2f}{swept:>10.2f}{loop / swept:>7.2f}"
        f"{1 - asked.fed / asked.tokens:>8.0%}  {difference:.0e}"
    )


@dataclass
class Asked:
    """Rows asked of a model; as an operation's answers."""

    model: LoadedModel
    frame: pl.DataFrame
    requests: dict[str, Request] | None = None
    fed: int = 0
    tokens: int = 0

    def scores(self, op: Selectit) -> np.ndarray:
        self.requests = op.requests()
        return op.reduce(self).to_numpy()  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> pl.Series:
        assert self.requests is not None
        request = self.requests[name]
        sequences = encode(request.view, self.frame, self.model.tokenizer, self.model.card.context)
        blocks = list(sweep(self.model, sequences, [request.want]))
        self.fed += sum(block.tokens for block in blocks)
        self.tokens += len(sequences.ids)
        order = np.argsort(np.concatenate([block.rows for block in blocks]))
        return pl.concat([block.answers[request.want] for block in blocks])[order]


def looped(model: LoadedModel, rows: list[loops.Row], prompts: int) -> list[float]:
    """Row by row and prompt by prompt."""
    digits = [model.tokenizer.encode(str(k), add_special_tokens=False)[-1] for k in range(1, 6)]
    return [sentence(model, row, prompts, digits) for row in rows]


def sentence(model: LoadedModel, row: loops.Row, prompts: int, digits: list[int]) -> float:
    asked = "\n".join(filter(None, (row["instruction"], row.get("input"))))
    rated = []
    for rating in RATINGS[:prompts]:
        text = f"{rating}\nInstruction:{asked}\nResponse:{row['output']}\nThe answer is: \n"
        ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logits = model.model(input_ids=ids).logits[0, -1]
        rated.append(token(torch.softmax(logits.float(), -1)[digits].double().numpy(), prompts))
    return float(np.mean(rated) / (1 + 0.2 * np.std(rated)))


def token(probabilities: np.ndarray, prompts: int) -> float:
    powers = np.exp(probabilities / probabilities.sum())
    shares = powers / powers.sum()
    best = int(shares.argmax())
    return float((best + 1) * sum(shares[best] - shares[:prompts]) / (prompts - 1))


if __name__ == "__main__":
    main()
