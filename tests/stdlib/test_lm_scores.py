"""Scorers that read a causal model's distributions, against their definitions in plain transformers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import selrun
import torch
from answers import NANO, given
from pydantic import ValidationError
from selrun.compiler.templates import ALPACA
from selrun.compiler.values import Model
from selrun.compiler.wants import Logprobs, View
from selrun.errors import DataError
from selrun.runtime.nano import nano_model
from selrun.stdlib.score.ask_llm import ASKED, AskLlm
from selrun.stdlib.score.hes import Hes
from selrun.stdlib.score.ifd import CHATML, Ifd
from selrun.stdlib.score.least_confidence import LeastConfidence
from selrun.stdlib.score.margin import Margin
from selrun.stdlib.score.miwv import Miwv, nearest_others
from selrun.stdlib.score.normloss import Normloss
from selrun.stdlib.score.perplexity import Perplexity
from selrun.stdlib.score.reverse_ifd import GUESS, ReverseIfd
from selrun.stdlib.score.rho import Rho
from selrun.stdlib.score.sifd import Sifd
from selrun.stdlib.score.upd import Upd

ROWS = [
    {"instruction": "Name a city.", "input": "", "output": "Oslo"},
    {"instruction": "Name a river", "input": "in Egypt", "output": "The Nile, of course."},
    {"instruction": "Say {x}.", "input": "", "output": "x"},
    {"instruction": "Count to three.", "input": "", "output": "One, two, three."},
]
EMPTY = {"instruction": "Say nothing.", "input": "", "output": ""}
SEVEN = ("ifd", "perplexity", "entropy", "normloss", "upd", "hes", "margin", "least_confidence", "sifd")
START = 256


def lists(*values: list[float] | None) -> pl.Series:
    return pl.Series(values, dtype=pl.List(pl.Float32))


# By hand


def test_normalised_loss_is_the_loss_in_bits():
    known = given({"given": lists([-math.log(2), -math.log(8)], [], None)})
    assert Normloss(using=NANO).reduce(known).to_list() == pytest.approx([2.0, None, None])


def test_upd_is_surprise_where_the_model_is_sure():
    known = given({"given": lists([0, -100], [0], None), "entropies": lists([0, 0.5], [1.25], None)})
    assert Upd(using=NANO).reduce(known).to_list() == [(0.5 + 0.5) / 2, 0.0, None]


def test_the_high_entropy_sum_takes_the_greatest_entropies_in_bits():
    bits = [1.0, 5.0, 2.0, 4.0, 3.0]
    known = given({"entropies": lists([b * math.log(2) for b in bits], [math.log(2)], [], None)})
    assert Hes(using=NANO).reduce(known).to_list() == pytest.approx([5.0, 1.0, None, None])
    assert Hes(using=NANO, share=0.5).reduce(known).to_list() == pytest.approx([12.0, 1.0, None, None])


def test_the_high_entropy_sum_of_a_row_without_a_prompt_is_that_of_its_response():
    answers = {
        "entropies": lists([math.log(2), math.log(4)]),
        "whole": pl.Series([3], dtype=pl.UInt32),
        "prompt": pl.Series([None], dtype=pl.UInt32),
    }
    assert Hes(using=NANO, faithful=True).reduce(given(answers)).to_list() == pytest.approx([2.0])


def test_least_confidence_and_margin_read_the_two_likeliest_tokens():
    pairs = [math.log(p) for p in (0.5, 0.25, 0.75, 0.125)]
    known = given({"likeliest": lists(pairs, [], None)})
    assert LeastConfidence(using=NANO).reduce(known).to_list() == pytest.approx([0.375, None, None])
    assert Margin(using=NANO).reduce(known).to_list() == pytest.approx([0.4375, None, None])


def test_excess_loss_is_the_models_loss_over_the_references():
    op = Rho(using=NANO, against=Model(key="teacher"))
    known = given({"model": lists([-3, -1], [-1], None), "reference": lists([-1], None, [-1])})
    assert op.reduce(known).to_list() == [1.0, None, None]
    assert {name: request.model.key for name, request in op.requests().items()} == {
        "model": "nano",
        "reference": "teacher",
    }


def test_a_reply_of_several_tokens_counts_with_all_of_them():
    known = given({"yes": lists([-1, -3], [], None)}, response=["Oslo", "x", "y"])
    assert AskLlm(using=NANO).reduce(known).to_list() == [-4.0, None, None]
    assert AskLlm(using=NANO, faithful=True).reduce(known).to_list() == [-2.0, None, None]


def test_selective_ifd_reads_the_tokens_that_the_prompt_changes_most():
    answers = {
        "given": lists([-1, -1, -2], [-3, -1], [-1], [], None),
        "alone": lists([-1, -4, -2], [-3, -6], [-1], [], None),
        "tokens": pl.Series([3, 2, 1, 0, None], dtype=pl.UInt32),
    }
    expected = [math.exp(-3), math.exp(-5), None, None, None]
    assert Sifd(using=NANO, share=0.4).reduce(given(answers)).to_list() == pytest.approx(expected)
    faithful = Sifd(using=NANO, share=0.4, faithful=True).reduce(given(answers)).to_list()
    assert faithful == pytest.approx([*expected[:2], 1.0, None, None])


@pytest.mark.filterwarnings("error")
def test_selective_ifd_of_rows_without_a_token_has_no_value_and_nothing_to_tell():
    answers = {"given": lists(None, []), "alone": lists(None, []), "tokens": pl.Series([None, 0])}
    for faithful in (False, True):
        assert Sifd(using=NANO, faithful=faithful).reduce(given(answers)).to_list() == [None, None]


def test_selective_ifd_leaves_out_a_first_token_that_nothing_predicts():
    answers = {"given": lists([-9, -1, -2]), "alone": lists([-3, -2]), "tokens": pl.Series([3])}
    assert Sifd(using=NANO, share=0.5).reduce(given(answers)).to_list() == pytest.approx([math.exp(-2)])


def test_selective_ifd_has_no_value_where_one_of_its_passes_has_none():
    answers = {
        "given": lists(None, [-1, -4], [-1, -2]),
        "alone": lists([-1, -2], None, [-3, -2]),
        "tokens": pl.Series([2, 2, 2], dtype=pl.UInt32),
    }
    for faithful in (False, True):
        scores = Sifd(using=NANO, faithful=faithful).reduce(given(answers))
        assert scores.to_list() == pytest.approx([None, None, math.exp(-2)])


def test_selective_ifd_of_copies_is_their_mean_or_deviation():
    known = given({"changes": lists([1, 3, -1, -4], [2, 0], [], None)})
    copies = [math.exp(3), math.exp(-4)]
    found = Sifd(using=NANO, share=0.4, copies=2).reduce(known).to_list()
    assert found == pytest.approx([np.mean(copies), None, None, None])
    faithful = Sifd(using=NANO, share=0.5, copies=2, faithful=True).reduce(known).to_list()
    assert faithful == pytest.approx([np.mean(copies), (math.exp(2) + 1) / 2, None, None])
    spread = Sifd(using=NANO, share=0.4, copies=2, take="deviation").reduce(known).to_list()
    assert spread == pytest.approx([np.std(copies), None, None, None])


def test_the_nearest_other_row_is_the_most_similar_and_the_first_of_equals():
    draws = np.random.default_rng(0).normal(size=(700, 5)).astype(np.float32)
    unit = draws / np.linalg.norm(draws, axis=1, keepdims=True)
    unit[[3, 600]] = unit[7]
    similar = unit @ unit.T
    np.fill_diagonal(similar, -2)
    assert nearest_others(unit).tolist() == similar.argmax(1).tolist()
    assert nearest_others(unit)[[3, 7, 600]].tolist() == [7, 3, 3]


# On a model


@cache
def network() -> Any:
    return nano_model().eval()


def ids(text: str) -> list[int]:
    return list(selrun.runtime.models.load_tokenizer("nano").encode(text, add_special_tokens=False))


def distributions(before: str, text: str) -> tuple[torch.Tensor, list[int]]:
    """Log-probabilities of every token in each place of a text that follows another, and its tokens."""
    told = [START, *ids(before)]
    with torch.no_grad():
        logits = network()(torch.tensor([told + ids(text)])).logits[0].double()
    return torch.log_softmax(logits, -1)[len(told) - 1 : -1], ids(text)


def losses(before: str, text: str) -> np.ndarray:
    logs, said = distributions(before, text)
    return -logs[range(len(said)), said].numpy()


def prompt(row: dict[str, str]) -> str:
    template = ALPACA.with_input if row["input"] else ALPACA.without_input
    return template.replace("{input}", row["input"]).replace("{instruction}", row["instruction"])


def by_definition(row: dict[str, str]) -> dict[str, float]:
    """The scores that need no other row, as their formulas read."""
    before, said = prompt(row), row["output"]
    logs, _ = distributions(before, said)
    loss, alone = losses(before, said), losses(ALPACA.header, said)
    spread = -(logs.exp() * logs).sum(-1).numpy()
    best = logs.exp().sort(-1, descending=True).values.numpy()
    bits = spread / math.log(2)
    return {
        "ifd": loss.mean() / alone.mean(),
        "perplexity": math.exp(loss.mean()),
        "entropy": spread.mean(),
        "normloss": loss.mean() / math.log(2),
        "upd": float(np.mean(1 / (1 + np.exp(-loss)) * (1 - spread / math.log(logs.shape[1])))),
        "hes": bits[bits >= np.percentile(bits, 99.5)].sum(),
        "margin": float((best[:, 0] - best[:, 1]).mean()),
        "least_confidence": float((1 - best[:, 0]).mean()),
    }


def scored(step: str, rows: Sequence[dict[str, Any]], store: Any, **settings: Any) -> pl.DataFrame:
    return selrun.run(step, list(rows), store=store, device="cpu", **settings).rows


def test_scores_of_one_model_are_their_definitions_and_those_of_single_sweeps(tmp_path: Any):
    step = " | ".join(f"score {noun} using nano" for noun in SEVEN)
    united = scored(step, ROWS, tmp_path / "united")
    expected = pl.DataFrame([by_definition(row) for row in ROWS])
    for noun in expected.columns:
        assert united[noun].to_list() == pytest.approx(expected[noun].to_list(), rel=2e-5), noun
    single = scored(step, ROWS, tmp_path / "single", rules=False)
    for noun in SEVEN:
        assert united[noun].to_list() == pytest.approx(single[noun].to_list(), rel=1e-5), noun


def test_ask_llm_and_reversed_ifd_show_the_response_before_what_they_ask(tmp_path: Any):
    found = scored("score ask_llm using nano | score reverse_ifd using nano", ROWS, tmp_path)
    row = ROWS[1]
    question = ASKED.with_input
    for name, text in (
        ("instruction", row["instruction"]),
        ("input", row["input"]),
        ("response", row["output"]),
    ):
        question = question.replace(f"{{{name}}}", text)
    assert found["ask_llm"][1] == pytest.approx(-losses(question, "yes").sum(), rel=1e-5)
    asked = "Name a river\nin Egypt"
    guess = losses(GUESS.replace("{response}", row["output"]), asked).mean() - losses("", asked).mean()
    assert found["reverse_ifd"][1] == pytest.approx(math.exp(guess), rel=1e-5)


def test_miwv_shows_the_nearest_row_first(tmp_path: Any):
    rows = [{**row, "place": [float(at % 2), 1.0]} for at, row in enumerate(ROWS)]
    found = scored("score miwv using nano by place", rows, tmp_path)["miwv"].to_list()
    for at, shot in ((0, 2), (1, 3), (2, 0), (3, 1)):
        said, example = ROWS[at]["output"], ROWS[shot]
        shown = {
            "instruction": "\n".join(filter(None, (example["instruction"], example["input"]))),
            "input": "",
        }
        led = prompt(shown) + example["output"] + ALPACA.between + prompt(ROWS[at])
        expected = losses(led, said).mean() - losses(prompt(ROWS[at]), said).mean()
        assert found[at] == pytest.approx(expected, abs=2e-5)


def test_a_copy_with_little_noise_is_the_row_itself(tmp_path: Any):
    steps = "score sifd using nano as one | score sifd using nano with copies = 1, noise = 0.00001 as two"
    found = scored(steps, [*ROWS, EMPTY], tmp_path)
    assert found["two"][:-1].to_list() == pytest.approx(found["one"][:-1].to_list(), rel=1e-3)
    assert found["two"][-1] is None


def test_scorers_of_one_model_read_the_views_of_ifd():
    views = {request.view for request in Ifd(using=NANO).requests().values()}
    assert views == {View(ALPACA), View(ALPACA, ("response",))}
    for op in (Normloss, Upd, Hes, Margin, LeastConfidence, Sifd, Perplexity):
        assert {request.view for request in op(using=NANO).requests().values()} <= views


# Bad input


@pytest.mark.parametrize("noun", SEVEN)
def test_a_row_without_a_response_has_no_value(noun: str, tmp_path: Any):
    found = scored(f"score {noun} using nano", [EMPTY, *ROWS], tmp_path)
    assert found[noun].is_null().to_list()[0]
    assert found[noun].null_count() == 1


@pytest.mark.parametrize("noun", SEVEN)
def test_a_response_of_one_token_has_a_value(noun: str, tmp_path: Any):
    value = scored(f"score {noun} using nano with max_tokens = 200", ROWS, tmp_path)[noun][2]
    assert value is not None
    assert math.isfinite(value)


def test_no_row_is_chosen_where_every_prompt_fills_the_window(tmp_path: Any):
    steps = " | ".join(f"score {noun} using nano with max_tokens = 16" for noun in SEVEN)
    with pytest.raises(DataError) as raised:
        scored(f"{steps} | top 2 by upd", ROWS, tmp_path)
    assert raised.value.code == "E524"
    found = scored(steps, ROWS, tmp_path)
    assert found.select(SEVEN).null_count().row(0) == (len(ROWS),) * len(SEVEN)


def test_ask_llm_has_no_value_without_a_response(tmp_path: Any):
    found = scored("score ask_llm using nano | score reverse_ifd using nano", [EMPTY, *ROWS], tmp_path)
    assert [found[noun].is_null().to_list() for noun in ("ask_llm", "reverse_ifd")] == [
        [True, False, False, False, False]
    ] * 2


def test_the_most_similar_other_row_needs_two_rows(tmp_path: Any):
    with pytest.raises(DataError, match="needs two rows with a vector, and there are 1 of 1") as raised:
        scored("score miwv using nano by place", [{**ROWS[0], "place": [1.0, 0.0]}], tmp_path)
    assert raised.value.code == "E560"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (
            lambda: Perplexity(using=NANO, faithful=True, of="prompt"),
            "reads the whole row without a template",
        ),
        (
            lambda: Normloss(using=NANO, faithful=True, template=ALPACA),
            "reads the whole row without a template",
        ),
        (lambda: Miwv(using=NANO), "needs vectors"),
        (lambda: Hes(using=NANO, share=1), "less than 1"),
        (lambda: Sifd(using=NANO, take="deviation"), "needs two copies or more"),
    ],
)
def test_what_contradicts_itself_is_refused(make: Any, reason: str):
    with pytest.raises(ValidationError, match=reason):
        make()


def test_the_faithful_form_of_oda_cuts_both_passes_to_the_same_tokens(tmp_path: Any):
    row, window = {**ROWS[0], "output": "Oslo, Bergen and Trondheim are cities."}, 84
    step = f"score ifd(oda) using nano with faithful = true, max_tokens = {window}"
    found = scored(step, [row], tmp_path)["ifd"][0]
    before = ids(CHATML.without_input.replace("{instruction}", row["instruction"]))
    kept = ids(row["output"])[: window - len(before)]
    assert 0 < len(kept) < len(ids(row["output"]))
    given, alone = (mean_of_last([*told, *kept], len(kept)) for told in (before, [START]))
    assert found == pytest.approx(math.exp(given - alone), rel=1e-5)


def mean_of_last(tokens: list[int], count: int) -> float:
    """The mean loss of the last tokens of a text."""
    with torch.no_grad():
        logs = torch.log_softmax(network()(torch.tensor([tokens])).logits[0].double(), -1)
    return float(-logs[range(-count - 1, -1), tokens[-count:]].mean())


def test_faithful_forms_read_rows_as_the_published_scripts_do():
    oda = Ifd(using=NANO, variant="oda", faithful=True).requests()
    assert [(r.view.start, r.view.seam) for r in oda.values()] == [("never", "apart"), ("always", "apart")]
    reverse = ReverseIfd(using=NANO, faithful=True).requests()["alone"]
    assert (reverse.view.beside, reverse.view.limit, reverse.want) == (1, 2048, Logprobs("response"))
    assert Hes(using=NANO, faithful=True).requests()["prompt"].view.start == "never"


def test_the_faithful_normalised_loss_keeps_the_line_break_beside_an_empty_part(tmp_path: Any):
    rows = [EMPTY, {"instruction": "", "input": "lost", "output": "Oslo"}]
    found = scored("score normloss using nano with faithful = true", rows, tmp_path)["normloss"].to_list()
    expected = [losses("", text).mean() / math.log(2) for text in ("Say nothing.\n", "\nOslo")]
    assert found == pytest.approx(expected, rel=1e-5)


def test_the_faithful_question_is_asked_of_an_empty_response_too(tmp_path: Any):
    found = scored("score ask_llm using nano with faithful = true", [EMPTY], tmp_path)["ask_llm"][0]
    question = ids(ASKED.without_input.format(instruction=EMPTY["instruction"], response=""))
    assert found == pytest.approx(-mean_of_last([*question, *ids("yes")], 3), rel=1e-5)


def test_a_question_about_a_response_shows_the_last_exchange_alone(tmp_path: Any):
    last = [{"role": "user", "content": "Name a city."}, {"role": "assistant", "content": "Oslo"}]
    earlier = [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Good day."}]
    rows = [{"messages": last}, {"messages": [*earlier, *last]}]
    found = scored(
        "score ask_llm using nano | score reverse_ifd using nano | score ifd using nano", rows, tmp_path
    )
    same = [found[noun].n_unique() == 1 for noun in ("ask_llm", "reverse_ifd", "ifd")]
    assert same == [True, True, False]


def test_a_long_row_is_cut_and_the_question_about_it_stays(tmp_path: Any):
    rows = [{**ROWS[0], "output": "Oslo " * 100}]
    assert scored("score ask_llm using nano with max_tokens = 120", rows, tmp_path)["ask_llm"][0] is not None
