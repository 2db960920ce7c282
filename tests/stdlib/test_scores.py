from __future__ import annotations

import math

import polars as pl
import pytest
from answers import NANO, given
from pydantic import ValidationError
from selrun.compiler.templates import ALPACA, BARE, VICUNA, WIZARDLM_V1
from selrun.compiler.wants import Logprobs, Tokens, View
from selrun.stdlib.score.entropy import Entropy
from selrun.stdlib.score.ifd import Ifd
from selrun.stdlib.score.length import Length
from selrun.stdlib.score.loss import Loss
from selrun.stdlib.score.perplexity import Perplexity


def lists(*values: list[float] | None) -> pl.Series:
    return pl.Series(values, dtype=pl.List(pl.Float32))


def test_ifd_is_the_loss_given_the_prompt_over_the_loss_alone():
    known = given({"given": lists([-1, -2]), "alone": lists([-2, -3])})
    assert Ifd(using=NANO).reduce(known).to_list() == [0.6]
    ratio = Ifd(using=NANO, variant="superfiltering").reduce(known)[0]
    assert ratio == pytest.approx(math.exp(1.5) / math.exp(2.5))


def test_rows_that_cannot_be_scored_are_null_and_never_nan_or_infinite():
    known = given({"given": lists([], None, [-1], [0]), "alone": lists([], None, [0], [0])})
    assert Ifd(using=NANO).reduce(known).to_list() == [None] * 4
    known = given({"given": lists([], None, [-1e5])})
    assert Perplexity(using=NANO).reduce(known).to_list() == [None] * 3


def test_ifd_reads_the_same_response_tokens_with_and_without_the_prompt():
    assert {k: r.view for k, r in Ifd(using=NANO).requests().items()} == {
        "given": View(ALPACA),
        "alone": View(ALPACA, ("response",)),
    }


def test_superfiltering_uses_the_bare_template():
    assert Ifd(using=NANO, variant="superfiltering").shown == BARE
    assert Ifd(using=NANO, variant="superfiltering", template=VICUNA).shown == VICUNA


@pytest.mark.parametrize(
    ("fields", "limit", "beside"),
    [
        ({}, 512, 4),
        ({"template": VICUNA}, 512, 6),
        ({"variant": "superfiltering"}, 1024, 1),
        ({"max_tokens": 300}, 300, 4),
    ],
)
def test_faithful_ifd_has_the_authors_windows(fields: dict, limit: int, beside: int):
    alone = Ifd(using=NANO, faithful=True, **fields).requests()["alone"].view
    assert (alone.limit, alone.beside, alone.seam, alone.start) == (limit, beside, "joint", "tokenizer")


def test_the_first_wizardlm_scripts_count_the_bare_instruction():
    wanted = Ifd(using=NANO, faithful=True, template=WIZARDLM_V1).requests()
    assert wanted["prompt"].view.template.without_input == "{instruction}"
    assert wanted["alone"].view.template == WIZARDLM_V1


def test_faithful_ifd_skips_rows_whose_parts_exceed_the_window_together():
    answers = {"given": lists([-1], [-1]), "alone": lists([-2], [-2, -2])}
    op = Ifd(using=NANO, faithful=True, max_tokens=10)
    known = given({**answers, "prompt": pl.Series([9, 9], dtype=pl.UInt32)})
    assert op.reduce(known).to_list() == [0.5, None]


def test_the_perplexity_of_the_response_is_free_beside_ifd():
    assert Perplexity(using=NANO).requests()["given"] == Ifd(using=NANO).requests()["given"]


def test_perplexity_loss_and_entropy_are_means_over_tokens():
    known = given({"given": lists([-1, -3]), "entropies": lists([1, 2])})
    assert Loss(using=NANO).reduce(known).to_list() == [2.0]
    assert Perplexity(using=NANO).reduce(known)[0] == pytest.approx(math.exp(2))
    assert Entropy(using=NANO).reduce(known).to_list() == [1.5]


def test_a_prompt_is_read_by_itself():
    wanted = Loss(using=NANO, of="prompt").requests()["given"]
    assert (wanted.view.parts, wanted.want) == (("prompt",), Logprobs("prompt"))


def test_length_counts_characters_words_or_tokens():
    known = given({"tokens": pl.Series([3])}, response=["Grüße an  alle", None])
    assert Length().reduce(known).to_list() == [14, 0]
    assert Length(unit="words").reduce(known).to_list() == [3, 0]
    op = Length(unit="tokens", using=NANO)
    assert (op.reduce(known).to_list(), op.requests()["tokens"].want) == ([3], Tokens("response"))


def test_length_asks_a_model_only_for_tokens():
    assert Length(using=NANO).references() == ()
    assert Length(of="prompt").reads() == {"prompt"}
    with pytest.raises(ValidationError, match="needs a model whose tokenizer counts tokens"):
        Length(unit="tokens")
