"""Rows that are too long keep what follows them in the template; one byte is one token here."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pytest
from selrun.compiler.wants import Template, View
from selrun.errors import ModelError
from selrun.runtime.exchanges import each, first, first_problems, gathered
from selrun.runtime.tokens import NO_PROMPT, NO_RESPONSE, NO_ROOM, encode
from selrun.stdlib.score.rating import COMPLEXITY
from test_tokens import HILL, TOKENIZER, frame, shown

RATE = Template("rate", "Q {prompt} R {response} rate: ", "Q {prompt} R {response} rate: ", "")
VIEW = View(RATE, ("prompt",), tail=True)
WHOLE = "<s>Q say R hill rate: "
TALK = {
    "instruction": "and you?",
    "response": "well",
    "system": "be kind",
    "history": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}],
}


def test_a_row_that_fits_has_the_tokens_of_its_whole_text():
    assert shown(replace(VIEW, limit=20), HILL) == [WHOLE]
    kept = encode(replace(VIEW, limit=20), frame(HILL), TOKENIZER)
    assert kept.ids.tolist() == encode(replace(VIEW, tail=False), frame(HILL), TOKENIZER).ids.tolist()
    assert kept.cut == 0


def test_a_row_that_is_too_long_loses_the_end_of_its_own_text():
    assert shown(replace(VIEW, limit=18), HILL) == ["<s>Q say R hi rate: "]
    assert encode(replace(VIEW, limit=18), frame(HILL), TOKENIZER).cut == 1


def test_a_row_of_which_nothing_is_left_in_the_last_slot_fills_the_window():
    assert shown(replace(VIEW, limit=17), HILL) == ["<s>Q say R h rate: "]
    assert shown(replace(VIEW, limit=16), HILL) == [NO_ROOM]


def test_a_reply_after_a_long_question_stays_whole():
    asked = View(replace(RATE, reply="yes"), limit=21, tail=True)
    assert shown(asked, HILL) == ["<s>Q say R hi rate: [yes]"]


def test_the_model_s_context_is_a_window_too():
    assert shown(VIEW, HILL, context=18) == ["<s>Q say R hi rate: "]


def test_a_row_without_a_response_is_not_asked_about():
    assert shown(VIEW, {"instruction": "say"}, {"response": "hill"}) == [NO_RESPONSE, NO_PROMPT]


def test_a_template_that_fills_the_window_alone_is_refused():
    with pytest.raises(ModelError) as raised:
        encode(View(COMPLEXITY, ("prompt",), 64, tail=True), frame(HILL), TOKENIZER)
    assert raised.value.code == "E445"


def test_the_first_two_turns_stand_alone():
    assert shown(replace(VIEW, turns="first"), TALK, HILL) == ["<s>Q hello R hi rate: ", WHOLE]


def test_every_exchange_is_a_row_without_turns_before_it():
    turns = each(frame(TALK, HILL))
    assert turns.row.to_list() == [0, 0, 1]
    assert turns.frame["@prompt"].to_list() == ["hello", "and you?", "say"]
    assert turns.frame["@response"].to_list() == ["hi", "well", "hill"]
    assert turns.frame["@system"].null_count() == turns.frame["@history"].null_count() == 3


def test_an_exchange_that_nobody_answers_has_an_empty_response():
    assert each(frame({**TALK, "response": None})).frame["@response"].to_list() == ["hi", ""]
    assert each(frame({"instruction": "say"}, {})).frame["@response"].to_list() == ["", None]


def test_rows_keep_their_other_columns_and_their_order():
    named = frame(TALK, HILL).with_columns(pl.Series("@key", ["a", "b"]))
    assert first(named)["@key"].to_list() == ["a", "b"]
    assert each(named).frame["@key"].to_list() == ["a", "a", "b"]


def test_the_lists_of_a_row_s_exchanges_stand_one_after_another():
    answers = pl.Series([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], None], dtype=pl.List(pl.Float32))
    row, problems = pl.Series([0, 0, 1, 1], dtype=pl.UInt32), [None, None, None, "no prompt"]
    assert gathered(answers, row, problems, 2).to_list() == [[1.0, 2.0, 3.0, 4.0], None]
    assert first_problems(row, problems, 2) == [None, "no prompt"]
