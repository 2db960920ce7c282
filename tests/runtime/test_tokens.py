"""What a view shows of a row, token by token; one byte is one token here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from selrun.compiler.templates import BARE, CHAT
from selrun.compiler.wants import Template, View
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.tokens import (
    NO_PROMPT,
    NO_RESPONSE,
    NO_ROOM,
    NOTHING_LEFT,
    Sequences,
    encode,
)

TOKENIZER = nano_tokenizer()
ASK = Template("ask", "Q {instruction} ({input}) A:", "Q {instruction} A:", "A:", between="|")
SYSTEM = pl.String
TURNS = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of instruction, input, response, system and history."""

    def column(name: str) -> list[Any]:
        return [row.get(name) for row in rows]

    prompts = [
        None
        if row.get("instruction") is None
        else "\n".join(filter(None, (row["instruction"], row.get("input"))))
        for row in rows
    ]
    return pl.DataFrame(
        {
            "@instruction": pl.Series(column("instruction"), dtype=pl.String),
            "@input": pl.Series(column("input"), dtype=pl.String),
            "@prompt": pl.Series(prompts, dtype=pl.String),
            "@response": pl.Series(column("response"), dtype=pl.String),
            "@system": pl.Series(column("system"), dtype=SYSTEM),
            "@history": pl.Series(column("history"), dtype=TURNS),
        }
    )


def shown(view: View, *rows: dict[str, Any], context: int | None = None) -> list[str]:
    """Each row as text, its response in brackets; or its problem."""
    sequences = encode(view, frame(*rows), TOKENIZER, context)
    return [problem or text(sequences, row) for row, problem in enumerate(sequences.problems)]


def text(sequences: Sequences, row: int) -> str:
    part = slice(sequences.offsets[row], sequences.offsets[row + 1])
    pieces: list[str] = []
    inside = False
    for token, response in zip(sequences.ids[part].tolist(), sequences.response[part].tolist(), strict=True):
        pieces += ["]" if inside else "["] * (response != inside)
        pieces.append(TOKENIZER.decode([token]))
        inside = response
    return "".join(pieces) + "]" * inside


HILL = {"instruction": "say", "response": "hill"}


def test_prompt_and_response_stand_after_one_start_token() -> None:
    assert shown(View(ASK), HILL) == ["<s>Q say A:[hill]"]


def test_an_input_has_its_own_template_and_an_empty_one_is_none() -> None:
    rows = [{**HILL, "input": value} for value in ("it", "", None, " ")]
    assert shown(View(ASK, ("prompt",)), *rows) == [
        "<s>Q say (it) A:", "<s>Q say A:", "<s>Q say A:", "<s>Q say ( ) A:",
    ]  # fmt: skip


def test_braces_in_rows_stay() -> None:
    row = {"instruction": "{input}", "input": "{instruction}", "response": "{}"}
    assert shown(View(ASK), row) == ["<s>Q {input} ({instruction}) A:[{}]"]


def test_a_lone_response_stands_after_the_header() -> None:
    assert shown(View(ASK, ("response",)), HILL) == ["<s>A:[hill]"]


@pytest.mark.parametrize(("limit", "kept"), [(13, "hill"), (12, "hil"), (10, "h")])
def test_a_lone_response_loses_the_tokens_that_it_loses_beside_its_prompt(limit: int, kept: str) -> None:
    view = View(ASK, limit=limit)
    assert shown(view, HILL) == [f"<s>Q say A:[{kept}]"]
    assert shown(view.showing("response"), HILL) == [f"<s>A:[{kept}]"]


def test_the_context_bounds_every_view() -> None:
    assert shown(View(ASK), HILL, context=11) == ["<s>Q say A:[hi]"]
    assert shown(View(ASK, ("prompt",)), HILL, context=5) == ["<s>Q sa"]


def test_rows_that_cannot_be_shown_say_why() -> None:
    rows = [
        {"instruction": None, "response": "a"},
        {"instruction": "a", "response": None},
        {"instruction": "a", "response": ""},
        {"instruction": "a long one", "response": "a"},
    ]
    assert shown(View(ASK, limit=12), *rows) == [NO_PROMPT, NO_RESPONSE, NO_RESPONSE, NO_ROOM]


def test_rows_that_lose_tokens_are_counted() -> None:
    sequences = encode(View(ASK, limit=12), frame(HILL, {**HILL, "response": "it"}, HILL), TOKENIZER)
    assert sequences.cut == 2


def test_counts_are_null_where_a_row_has_a_problem() -> None:
    sequences = encode(View(ASK), frame(HILL, {"instruction": "a"}), TOKENIZER)
    assert sequences.counts("prompt").to_list() == [9, None]
    assert sequences.counts("response").to_list() == [4, None]
    assert sequences.counts("whole").to_list() == [13, None]


# As the published scripts do


def joint(limit: int, *parts: str, beside: int | None = None) -> View:
    return View(ASK, parts or ("prompt", "response"), limit, "joint", "tokenizer", beside)  # type: ignore[arg-type]


def test_the_scripts_window_cuts_the_joint_text() -> None:
    assert shown(joint(512), HILL) == ["<s>Q say A:[hill]"]
    assert shown(joint(11), HILL) == ["<s>Q say A:[hi]"]


def test_the_scripts_second_window_has_a_constant_slack() -> None:
    assert shown(joint(11, "response", beside=3), HILL) == ["<s>A:[hi]"]
    assert shown(joint(11, "response", beside=4), HILL) == ["<s>A:[hil]"]
    assert shown(joint(11, "response", beside=1), HILL) == [NOTHING_LEFT]


def test_the_scripts_skip_rows_without_a_response_token() -> None:
    assert shown(joint(9), HILL) == [NO_ROOM]
    assert shown(joint(9, "response", beside=4), HILL) == [NO_ROOM]
    assert shown(joint(512), {**HILL, "response": ""}) == [NO_RESPONSE]


def test_the_first_wizardlm_script_counts_the_bare_instruction() -> None:
    view = joint(11, "response", beside=3)
    counted = replace(view, template=replace(ASK, counted="{instruction}"))
    assert shown(view, HILL) == ["<s>A:[hi]"]
    assert shown(counted, HILL) == ["<s>A:[hill]"]


def test_the_first_wizardlm_script_looks_for_the_response_in_the_text_without_the_input() -> None:
    sliced = replace(joint(512), template=replace(ASK, sliced="Q {instruction} A:"))
    assert shown(sliced, HILL) == ["<s>Q say A:[hill]"]
    assert shown(sliced, {**HILL, "input": "it"}) == ["<s>Q say (i[t) A]:hill"]


# Conversations

TALK = {
    **HILL,
    "system": "be brief",
    "history": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}],
}


def test_earlier_turns_belong_to_the_prompt() -> None:
    assert shown(View(ASK), TALK) == ["<s>be brief|Q hi A:yes|Q say A:[hill]"]


def test_every_response_of_a_conversation_may_count() -> None:
    assert shown(View(ASK, turns="whole"), TALK) == ["<s>be brief|Q hi A:[yes]|Q say A:[hill]"]


def test_a_chat_template_is_the_models_own() -> None:
    assert shown(View(CHAT), TALK) == [
        "<s><system>be brief\n<user>hi\n<assistant>yes\n<user>say\n<assistant>[hill]"
    ]
    assert shown(View(CHAT, turns="whole"), TALK) == [
        "<s><system>be brief\n<user>hi\n<assistant>[yes]\n<user>say\n<assistant>[hill]"
    ]


def test_one_row_and_many_rows_are_the_same_tokens() -> None:
    rows = [{"instruction": f"n{number}", "response": "r" * number} for number in range(20)]
    one_by_one = [text for row in rows for text in shown(View(BARE), row)]
    assert shown(View(BARE), *rows) == one_by_one
