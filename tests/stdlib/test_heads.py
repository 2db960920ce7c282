"""What scores of heads ask of a model, and what they make of its numbers."""

from __future__ import annotations

import math

import polars as pl
import pytest
from answers import given
from selrun.compiler.templates import CHAT
from selrun.compiler.values import Model
from selrun.compiler.wants import Logits
from selrun.errors import ModelError
from selrun.stdlib.score.classifier import Classifier
from selrun.stdlib.score.reward import QUESTION, Reward
from selrun.stdlib.score.unieval import Unieval

PLAIN = Model(key="plain", kind="classifier")
CHATTY = Model(key="chatty", kind="classifier", chat=True)


def lists(*rows: list[float] | None) -> pl.Series:
    return pl.Series(rows, dtype=pl.List(pl.Float32))


@pytest.mark.parametrize(
    ("op", "template", "seam"),
    [
        (Reward(using=PLAIN), QUESTION, "own"),
        (Reward(using=CHATTY), CHAT, "closed"),
        (Reward(using=CHATTY, form="pair"), QUESTION, "own"),
        (Reward(using=PLAIN, form="chat"), CHAT, "closed"),
    ],
)
def test_the_form_of_a_reward_follows_the_chat_template_unless_told(op: Reward, template, seam: str):
    assert (op.shown.template, op.shown.seam) == (template, seam)


def test_a_reward_is_the_only_number_or_the_one_named():
    assert Reward(using=PLAIN).requests()["logits"].want == Logits(None, single=True)
    assert Reward(using=PLAIN, label="good").requests()["logits"].want == Logits("good")
    assert Reward(using=PLAIN).reduce(given({"logits": lists([1.5], None, [-2.0])})).to_list() == [
        1.5,
        None,
        -2.0,
    ]


def test_an_expected_label_needs_all_of_them():
    op = Classifier(using=PLAIN, value="expected")
    assert op.requests()["logits"].want == Logits(None)
    found = op.reduce(given({"logits": lists([0.0, 0.0, 0.0], None, [0.0, math.log(3), -1e4])})).to_list()
    assert found == [pytest.approx(1.0), None, pytest.approx(0.75)]


def test_a_probability_is_softmax_of_many_and_logistic_of_one():
    op = Classifier(using=PLAIN, label=0, value="probability")
    assert op.reduce(given({"logits": lists([math.log(4), 0.0], None)})).to_list() == [
        pytest.approx(0.8),
        None,
    ]
    assert op.reduce(given({"logits": lists([math.log(3)], None)})).to_list() == [pytest.approx(0.75), None]
    assert op.reduce(given({"logits": lists(None, None)})).to_list() == [None, None]


def test_a_lone_number_has_no_expected_label():
    with pytest.raises(ModelError) as raised:
        Classifier(using=PLAIN, value="expected").reduce(given({"logits": lists([0.4], None)}))
    assert raised.value.code == "E457"


def test_labels_that_do_not_exclude_each_other_have_probabilities_of_their_own():
    rater = Model(key="toxic", kind="classifier", separate=True)
    op = Classifier(using=rater, label=1, value="probability")
    found = op.reduce(given({"logits": lists([math.log(3), 5.0], None)})).to_list()
    assert found == [pytest.approx(0.75), None]


def test_a_logit_stays_as_it_is():
    found = Classifier(using=PLAIN).reduce(given({"logits": lists([3.25], None)}))
    assert found.to_list() == [3.25, None]


def test_yes_against_no_forgets_all_other_words():
    op = Unieval(using=Model(key="t5", kind="seq2seq"), dimension="coherence")
    found = op.reduce(given({"answer": lists([math.log(0.03), math.log(0.01)], None)})).to_list()
    assert found == [pytest.approx(0.75), None]
