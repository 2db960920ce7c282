"""SelectIT and DEITA's scorers, against their definitions and in plain transformers."""

from __future__ import annotations

import math
from functools import cache
from itertools import zip_longest
from typing import Any

import numpy as np
import polars as pl
import pytest
import selrun
import torch
from answers import NANO, given
from pydantic import ValidationError
from selrun.compiler.values import Model
from selrun.errors import ModelError, RecipeError
from selrun.runtime.nano import nano_model
from selrun.stdlib.score.deita import Deita
from selrun.stdlib.score.deita_complexity import DeitaComplexity
from selrun.stdlib.score.deita_quality import DeitaQuality
from selrun.stdlib.score.rating import COMPLEXITY, QUALITY, RATING_TEMPLATES, expected_ratings
from selrun.stdlib.score.selectit import Selectit, sureness

START, OTHER = 256, Model(key="other", label="other", kind="causal")
FIGURE = np.array([[0.05, 0.10, 0.50, 0.25, 0.10]])
ROWS = [
    {"instruction": "Name a city.", "input": "", "output": "Oslo"},
    {"instruction": "Name a river", "input": "in Egypt", "output": "The Nile, of course."},
    {"instruction": "Say {x}.", "input": "", "output": "x"},
]
TALK = {
    "conversations": [
        {"from": "human", "value": "Hello."},
        {"from": "gpt", "value": "Hi."},
        {"from": "human", "value": "Name a city."},
        {"from": "gpt", "value": "Oslo"},
    ]
}


def scores(step: str, rows: list[dict[str, Any]]) -> list[float | None]:
    return selrun.run(f"score {step} as value", rows, device="cpu").rows["value"].to_list()


def logs(*rows: list[float] | None) -> pl.Series:
    shares = [None if row is None else np.log(row).tolist() for row in rows]
    return pl.Series(shares, dtype=pl.List(pl.Float32))


# By hand


def test_the_figure_of_the_paper():
    assert sureness(FIGURE, 5, 4).tolist() == pytest.approx([1.125])


def test_the_authors_script_takes_a_second_softmax():
    known = {f"0 {template.name}": logs(FIGURE[0].tolist()) for template in RATING_TEMPLATES[:5]}
    one = Selectit(using=(NANO,), faithful=True).reduce(given(known, response=["x"]))
    assert one.to_list() == pytest.approx([0.24812], abs=1e-5)


def test_fewer_prompts_are_fewer_digits_in_the_authors_script():
    shares = np.exp(FIGURE[0]) / np.exp(FIGURE[0]).sum()
    known = {f"0 {template.name}": logs(FIGURE[0].tolist()) for template in RATING_TEMPLATES[:3]}
    one = Selectit(using=(NANO,), prompts=3, faithful=True).reduce(given(known, response=["x"]))
    assert one.to_list() == pytest.approx([3 * (shares[2] - shares[:3]).sum() / 2])


def test_the_authors_token_level_divides_by_any_number_of_prompts_less_one():
    level: dict[str, Any] = {"using": (NANO,), "level": "token", "faithful": True}
    of_one = {f"0 {template.name}": logs(FIGURE[0].tolist()) for template in RATING_TEMPLATES}
    five, nine = (
        Selectit(**level, prompts=prompts).reduce(given(of_one, response=["x"])).item() for prompts in (5, 9)
    )
    assert nine == pytest.approx(five / 2)


@pytest.mark.parametrize(
    ("models", "options", "counts"),
    [
        (2, {"weights": (7, 13)}, (0.35, 0.65)),
        (3, {"weights": (7, 13, 70)}, (7 / 90, 13 / 90, 70 / 90)),
        (1, {}, (1.0,)),
        (3, {"faithful": True}, (7 / 20, 13 / 20, 70 / 90)),
        (1, {"faithful": True}, (1.0,)),
    ],
)
def test_models_count_by_their_size(models: int, options: dict[str, Any], counts: tuple[float, ...]):
    named = tuple(Model(key=str(at), label=str(at), kind="causal") for at in range(models))
    assert Selectit(using=named, **options).counts() == pytest.approx(counts)


def test_the_size_of_a_model_is_its_number_of_parameters():
    small, large = (Model(key=str(size), parameters=size) for size in (1, 3))
    assert Selectit(using=(small, large)).counts() == (0.25, 0.75)
    with pytest.raises(ModelError) as raised:
        Selectit(using=(small, OTHER)).counts()
    assert raised.value.code == "E447"


def test_prompts_that_disagree_cost():
    five = [[0.1, 0.1, 0.6, 0.1, 0.1]] * 4 + [[0.6, 0.1, 0.1, 0.1, 0.1]]
    known = {f"0 {template.name}": logs(row) for template, row in zip(RATING_TEMPLATES, five, strict=False)}
    tokens = np.array([3 * 0.5] * 4 + [0.5])
    one = Selectit(using=(NANO,), alpha=0.5).reduce(given(known, response=["x"]))
    assert one.to_list() == pytest.approx([tokens.mean() / (1 + 0.5 * tokens.std())])


@pytest.mark.parametrize("logits", [[0] * 6, [10, 0, 0, 0, 0, 0], [-1.5, 0.25, 3.0, 2.75, -0.5, 0.1]])
def test_the_expected_rating(logits: list[float]):
    powers = [math.exp(logit) for logit in logits]
    expected = sum(k * power for k, power in enumerate(powers, 1)) / sum(powers)
    rated = expected_ratings(pl.Series([logits, None, logits * 2], dtype=pl.List(pl.Float32)), 6)
    assert rated.to_list() == [pytest.approx([expected]), None, pytest.approx([expected] * 2)]


def test_a_last_turn_without_a_response_does_not_count():
    certain = [[60.0 * (k == best) for k in range(6)] for best in (1, 4)]
    digits = pl.Series([certain[0] + certain[1]] * 2 + [certain[0]], dtype=pl.List(pl.Float32))
    known = given({"digits": digits, "complexity": digits, "quality": digits}, response=["x", None, ""])
    assert DeitaComplexity(using=NANO).reduce(known).to_list() == pytest.approx([7, 7, 2])
    assert DeitaQuality(using=NANO).reduce(known).to_list() == pytest.approx([7, 2, None])
    assert DeitaQuality(using=NANO, faithful=True).reduce(known).to_list() == pytest.approx([7, 7, 2])
    assert Deita(using=(NANO, NANO)).reduce(known).to_list() == pytest.approx([29, 4, None])


# On a model


@cache
def network() -> Any:
    return nano_model().eval()


@cache
def after(text: str) -> np.ndarray:
    """The probabilities of the digits 1 to 6 after a text, one byte a token."""
    ids = torch.tensor([[START, *symbols(text)]])
    with torch.no_grad():
        logits = network()(input_ids=ids).logits[0, -1]
    return torch.softmax(logits[symbols("123456")].double(), -1).numpy()


def symbols(text: str) -> list[int]:
    from selrun.runtime.nano import nano_tokenizer

    return nano_tokenizer()(text, add_special_tokens=False)["input_ids"]


def filled(template: str, prompt: str, response: str) -> str:
    return template.replace("{response}", "\0").replace("{prompt}", prompt).replace("\0", response)


def texts() -> list[tuple[str, str]]:
    prompts = ("\n".join(filter(None, (row["instruction"], row["input"]))) for row in ROWS)
    return [(prompt, row["output"]) for prompt, row in zip(prompts, ROWS, strict=True)]


def test_selectit_is_its_definition():
    expected = []
    for prompt, response in texts():
        tokens = []
        for template in RATING_TEMPLATES[:2]:
            shares = after(filled(template.without_input, prompt, response))[:5]
            shares = shares / shares.sum()
            tokens.append((shares.argmax() + 1) * (shares.max() - shares).sum() / 4)
        expected.append(np.mean(tokens) / (1 + 0.2 * np.std(tokens)))
    assert scores("selectit(prompts = 2) using nano", ROWS) == pytest.approx(expected, rel=1e-5)


def test_deita_reads_every_exchange_by_itself():
    def rating(template: str, prompt: str, response: str) -> float:
        return float(after(filled(template, prompt, response)) @ np.arange(1, 7))

    exchanges = [("Hello.", "Hi."), ("Name a city.", "Oslo")]
    hard, good = (
        np.array([rating(template.without_input, *exchange) for exchange in exchanges])
        for template in (COMPLEXITY, QUALITY)
    )
    assert scores("deita_complexity using nano", [TALK]) == pytest.approx([hard.sum()], rel=1e-5)
    assert scores("deita_quality using nano", [TALK]) == pytest.approx([good.sum()], rel=1e-5)
    assert scores("deita using [nano, nano]", [TALK]) == pytest.approx([hard @ good], rel=1e-5)


@pytest.mark.parametrize(
    "speakers", ["gpt human gpt", "human human gpt", "gpt human gpt human", "human gpt human"]
)
def test_the_authors_take_turns_two_by_two_whoever_says_them(speakers: str):
    said = [f"text {place}" for place, _ in enumerate(speakers.split())]
    turns = [{"from": who, "value": text} for who, text in zip(speakers.split(), said, strict=True)]
    both = list(zip_longest(said[::2], said[1::2], fillvalue=""))
    rows, faithful = [{"conversations": turns}, TALK], "using nano with faithful = true"
    good = sum(float(after(filled(QUALITY.without_input, *pair)) @ np.arange(1, 7)) for pair in both)
    assert scores(f"deita_quality {faithful}", rows)[0] == pytest.approx(good, rel=1e-5)
    first = [{"instruction": said[0], "output": said[1]}]
    assert scores(f"selectit {faithful}", rows)[:1] == pytest.approx(scores(f"selectit {faithful}", first))


def test_a_long_row_is_still_asked_for_its_rating():
    long = {"instruction": "Say a.", "output": "a" * 4000}
    cut = {"instruction": "Say a.", "output": "a" * 300}
    values = scores("selectit(prompts = 1) using nano with max_tokens = 400", [long, cut])
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_rows_without_a_response_have_no_rating():
    assert (
        scores("selectit(prompts = 1) using nano", [*ROWS[:1], {"instruction": "Say.", "output": ""}])[1]
        is None
    )


# Refused


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"using": (NANO, NANO)}, "names `nano` twice"),
        ({"using": (NANO, OTHER), "weights": (1.0,)}, "has 1 weights for 2 models"),
        ({"using": (NANO,), "weights": (0.0,)}, "takes weights above 0"),
        ({"using": (NANO,), "prompts": 10}, "less than or equal to 9"),
        ({"using": (NANO,), "prompts": 6, "faithful": True}, "asks 2 to 5 prompts when faithful, not 6"),
        ({"using": (NANO, OTHER) * 2, "faithful": True}, "has weights for 3 models when faithful"),
    ],
)
def test_what_does_not_fit_together_is_refused(fields: dict[str, Any], words: str):
    with pytest.raises(ValidationError, match=words):
        Selectit(**fields)


@pytest.mark.parametrize("step", ["selectit using minilm", "deita_quality using minilm", "deita using nano"])
def test_other_models_are_refused_before_anything_is_read(step: str):
    with pytest.raises(RecipeError):
        scores(step, ROWS)
