"""Scores of models with heads against their authors' outputs, and against plain transformers."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import selrun
import torch
from selrun.runtime.forward.ranker import Ranker
from selrun.runtime.forward.ranks import mean_over

from .claim import Compared, beside, claim, golden

sys.path.append(str(Path(__file__).parents[1] / "runtime"))

ROWS = [
    {"instruction": "Name a hill.", "input": "", "output": "Snowdon."},
    {"instruction": "Add them.", "input": "2 and 3", "output": "Five, or 5 in digits."},
    {"instruction": "Why?", "input": "", "output": "Because it is so. " * 5},
]


def scored(recipe: str, model: Path, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """What a recipe says of rows, in a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        return selrun.run(recipe, rows, models={"m": str(model)}, store=Path(folder)).rows


# UniEval


def asked(dimension: str) -> Callable[[], Compared]:
    """One dimension of the dialogue evaluator."""

    def compare() -> Compared:
        theirs = json.loads(golden("unieval_dialogue.json").read_text("utf-8"))["fields"]["scores"]
        rows = json.loads(beside("data/alpaca_random_9k.json").read_text("utf-8"))[: len(theirs)]
        found = scored(f"score unieval({dimension}) using m", beside("models/tiny-t5"), rows)
        return Compared(found["unieval"].to_list(), [row[dimension] for row in theirs])

    compare.__module__, compare.__name__ = __name__, dimension
    return compare


for dimension in ("naturalness", "coherence", "understandability"):
    claim("unieval", source="golden/unieval_dialogue.json", tolerance=1e-6)(asked(dimension))


# CaR's ranker


@claim("iqs", source="golden/car_iqs_head.npz", tolerance=1e-6)
def layer_mix_and_head() -> Compared:
    """On the hidden states of the file; text and encoder are held against plain transformers."""
    known = np.load(golden("car_iqs_head.npz"))
    layers = tuple(torch.from_numpy(known["hidden"]))
    config = SimpleNamespace(num_hidden_layers=len(layers) - 1, hidden_size=layers[0].shape[-1])
    ranker = Ranker.of(SimpleNamespace(config=config), weights(known))
    vectors = mean_over(ranker.mixed(layers), torch.from_numpy(known["mask"]))
    ours = [*vectors.tolist(), ranker.scores(vectors).tolist()]
    return Compared(ours, [*known["sent"].tolist(), known["score"].tolist()])


def weights(known: Any) -> dict[str, torch.Tensor]:
    """The file's weights under the names of a checkpoint."""
    numbers = enumerate(known["layer_logits"])
    found = {
        f"layerwise_attention.scalar_parameters.{at}": torch.tensor([float(value)]) for at, value in numbers
    }
    found["layerwise_attention.gamma"] = torch.from_numpy(known["gamma"]).reshape(1)
    names = [name for name in known.files if name.startswith("ff_ff_")]
    return found | {name.replace("_", "."): torch.from_numpy(known[name]) for name in names}


@claim("iqs", source="plain transformers and COMET's definition, one row at a time", tolerance=1e-5)
def text_encoder_mix_and_head() -> Compared:
    from headed_models import ranked, saved_ranker  # type: ignore[import-not-found]
    from safetensors.torch import load_file
    from transformers import AutoModel, AutoTokenizer

    with tempfile.TemporaryDirectory() as folder:
        model = saved_ranker(Path(folder))
        body, head = AutoModel.from_pretrained(model).eval(), load_file(model / "head.safetensors")
        tokenizer = AutoTokenizer.from_pretrained(model)
        texts = [f"Instruction: {r['instruction']} Input: {r['input']} Response: {r['output']}" for r in ROWS]
        inputs = [tokenizer(text, return_tensors="pt", truncation=True, max_length=128) for text in texts]
        theirs = [ranked(body, head, each) for each in inputs]
        return Compared(scored("score iqs using m as found", model, ROWS)["found"].to_list(), theirs)


# Rewards and classifiers


def logits(model: Path, inputs: Callable[[Any, dict[str, Any]], Any]) -> list[torch.Tensor]:
    """The logits of each row alone, by plain transformers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    network = AutoModelForSequenceClassification.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    with torch.no_grad():
        return [network(**inputs(tokenizer, row)).logits[0].double() for row in ROWS]


def prompt(row: dict[str, Any]) -> str:
    return "\n".join(filter(None, (row["instruction"], row["input"])))


def pair(tokenizer: Any, row: dict[str, Any]) -> Any:
    return tokenizer(prompt(row), row["output"], return_tensors="pt")


def conversation(tokenizer: Any, row: dict[str, Any]) -> Any:
    turns = [{"role": "user", "content": prompt(row)}, {"role": "assistant", "content": row["output"]}]
    return tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True, return_tensors="pt")


def text(tokenizer: Any, row: dict[str, Any]) -> Any:
    return tokenizer(f"{prompt(row)}\n{row['output']}", return_tensors="pt")


def first(row: torch.Tensor) -> float:
    return float(row[0])


def beside_plain(
    recipe: str,
    family: str,
    inputs: Callable[[Any, dict[str, Any]], Any],
    *,
    labels: int = 1,
    read: Callable[[torch.Tensor], float] = first,
) -> Compared:
    """A recipe that ends in `using m`, and what plain transformers makes of its rows."""
    from headed_models import saved_classifier  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        model = saved_classifier(Path(folder), family, labels)
        ours = scored(f"score {recipe} as found", model, ROWS)["found"].to_list()
        return Compared(ours, [read(row) for row in logits(model, inputs)])


@claim("reward", source="plain transformers, one row at a time", tolerance=1e-5)
def a_deberta_reads_pairs() -> Compared:
    return beside_plain("reward using m", "deberta", pair)


@claim("reward", source="plain transformers, one row at a time", tolerance=1e-5)
def a_llama_reads_the_chat_template() -> Compared:
    return beside_plain("reward using m", "llama", conversation)


@claim("classifier", source="plain transformers, one row at a time", tolerance=1e-5)
def a_regression_head_on_bert() -> Compared:
    return beside_plain("classifier using m", "bert", text)


@claim("classifier", source="plain transformers, one row at a time", tolerance=1e-5)
def the_probability_of_a_label() -> Compared:
    """By softmax in double precision, over the labels of a causal model's head."""
    recipe = "classifier(label = 2, value = probability) using m"
    return beside_plain(recipe, "gpt2", text, labels=3, read=lambda row: float(row.softmax(0)[2]))


@claim("classifier", source="plain transformers, one row at a time", tolerance=1e-5)
def the_expected_label() -> Compared:
    """As Meta-rater's models of six classes are read."""
    ranks = torch.arange(6, dtype=torch.float64)
    recipe = "classifier(value = expected) using m"
    return beside_plain(recipe, "bert", text, labels=6, read=lambda row: float(row.softmax(0) @ ranks))
