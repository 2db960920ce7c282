"""The scoring loops of published scripts, one row and one pass at a time, written out from their descriptions.

A row that the scripts skip, that gives NaN, or on which they raise has no score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

Row = dict[str, str]
Prompt = Callable[[Row], str]

INTRO = "Below is an instruction that describes a task"
ASK = "Write a response that appropriately completes the request.\n\n"
CHAT = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the user's questions. USER: {} ASSISTANT:"
)


def alpaca(row: Row) -> str:
    if row["input"] == "":
        return f"{INTRO}. {ASK}### Instruction:\n{row['instruction']}\n\n### Response:"
    return (
        f"{INTRO}, paired with an input that provides further context. {ASK}"
        f"### Instruction:\n{row['instruction']}\n\n### Input:\n{row['input']}\n\n### Response:"
    )


def wizard(row: Row, between: str = "\n") -> str:
    extra = between + row["input"] if row["input"] else ""
    return row["instruction"] + extra + "\n\n### Response:"


def wizard_v1(row: Row) -> str:
    return wizard(row, "\nInput:")


def vicuna(row: Row) -> str:
    extra = "\nInput:\n" + row["input"] if row["input"] else ""
    return CHAT.replace("{}", row["instruction"] + extra)


def bare(row: Row) -> str:
    return row["instruction"] + "\n" + (row["input"] + "\n" if row["input"] else "")


def plain(row: Row) -> str:
    return row["instruction"] + ("\n" + row["input"] if row["input"] else "")


@dataclass(frozen=True)
class Script:
    """One of Cherry's prompts, the header of its lone response, and the slack it adds to that one's window."""

    prompt: Prompt
    header: str = "### Response:"
    slack: int = 4
    counted: Prompt | None = None
    """What is counted as the prompt's length where that is not the prompt."""
    sliced: Prompt | None = None
    """The prompt of the text in which the response is looked for where that is not the one that was run."""


CHERRY = {
    "alpaca": Script(alpaca),
    "wizardlm": Script(wizard),
    "wizardlm_v1": Script(
        wizard_v1,
        counted=lambda row: row["instruction"],
        sliced=lambda row: wizard({**row, "input": ""}),
    ),
    "vicuna": Script(vicuna, "ASSISTANT:", 6),
}


@dataclass(frozen=True)
class Loops:
    """The scripts' loops over a model as transformers loads it."""

    tokenizer: Any
    network: Any

    def cherry(self, row: Row, script: Script, window: int) -> float | None:
        """Mean loss of the response after its prompt over that after the header alone."""
        prompt, response = script.prompt(row), row["output"]
        length = min(self.length((script.counted or script.prompt)(row)), window)
        if length >= window:
            return None
        lone = self.losses(script.header + response, response, window - length + script.slack)
        sought = (script.sliced or script.prompt)(row) + response
        whole = self.losses(prompt + response, response, window, sought)
        if not lone or not whole or length + len(lone) > window:
            return None
        return quotient(mean(whole), mean(lone))

    def superfiltering(self, row: Row, window: int) -> float | None:
        """Perplexity of the response after its prompt over that of the response as a text of its own."""
        prompt, response = bare(row), row["output"]
        if response == "":
            return None
        length = min(self.length(prompt), window)
        try:
            lone = self.labelled_loss(response, window - length + 1, 0)
            whole = self.labelled_loss(prompt + response, window, self.length(prompt))
        except (IndexError, RuntimeError):
            return None
        ratio = math.exp(whole) / math.exp(lone)
        return None if math.isnan(ratio) else ratio

    def reflection(self, row: Row, window: int) -> float | None:
        """Perplexity of the instruction after a request to guess it over that of the instruction as a text."""
        asked = row["instruction"] + row["input"]
        request = (
            "Below is the response to an instruction, please guess the corresponding instruction for the given "
            f"response.\n{row['output']}\nGenerate the instruction for the above response."
        )
        prompt = CHAT.replace("{}", request)
        length = min(self.length(prompt), window)
        if row["output"] == "" or length >= window:
            return None
        whole = self.labelled_loss(prompt + asked, window, self.length(prompt))
        return math.exp(whole - self.labelled_loss(asked, window - length + 1, 0))

    def changes(self, row: Row, window: int) -> list[float]:
        """What the prompt adds to the loss of every token of the response, as T-SHIRT's script takes it."""
        prompt, response = bare(row), row["output"]
        length = self.length(prompt)
        whole = token_losses(self.network, tuple(self.tokenizer.encode(prompt + response)[:window]))[
            length - 1 :
        ]
        lone = token_losses(self.network, tuple(self.tokenizer.encode(response)[: window - length + 1]))
        return [a - b for a, b in zip(whole[len(whole) - len(lone) :], lone, strict=True)]

    def selective(self, rows: list[Row], share: float, window: int) -> list[float]:
        """T-SHIRT's score of every row, without perturbed copies."""
        changes = [np.array(self.changes(row, window)) for row in rows]
        least = np.percentile(np.abs(np.concatenate(changes)), (1 - share) * 100)
        masks = [np.abs(change) > least for change in changes]
        return [
            float(np.exp((change * mask).sum() / max(mask.sum(), 1)))
            for change, mask in zip(changes, masks, strict=True)
        ]

    def weakness(self, row: Row, shot: Row, window: int) -> float:
        """Loss of the response after another row and its prompt over that after its prompt alone, as a difference."""
        prompt = f"User: {plain(row)}\nAssistant: "
        example = f"User: {plain(shot)}\nAssistant: {shot['output']}\n"
        losses = (
            self.labelled_loss(before + row["output"], window, self.length(before))
            for before in (example + prompt, prompt)
        )
        one, zero = losses
        return one - zero

    def length(self, text: str) -> int:
        return len(self.tokenizer.encode(text))

    def losses(self, text: str, target: str, window: int, sought: str | None = None) -> list[float]:
        """The loss of every token at the places that the target has in a text, this one or another."""
        sought = sought or text
        start, end = self.length(sought[: sought.rfind(target)]), min(self.length(sought), window)
        ids = tuple(self.tokenizer.encode(text)[:window])
        return token_losses(self.network, ids)[start - 1 : end - 1] if start < end else []

    def labelled_loss(self, text: str, window: int, start: int) -> float:
        """What the model itself returns as loss where the tokens before `start` have no label."""
        ids = torch.tensor([self.tokenizer.encode(text)[:window]])
        labels = ids.clone()
        labels[:, :start] = -100
        with torch.no_grad():
            return self.network(input_ids=ids, labels=labels).loss.item()


@cache
def token_losses(network: Any, ids: tuple[int, ...]) -> list[float]:
    """Of every token but the first."""
    with torch.no_grad():
        logits = network(input_ids=torch.tensor([ids])).logits[0]
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none").tolist()


def mean(losses: list[float]) -> float:
    return sum(losses) / len(losses)


def quotient(over: float, under: float) -> float | None:
    return over / under if under else None
