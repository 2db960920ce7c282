"""What a view shows of a row, token by token; one byte is one token here."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from selrun.compiler.templates import BARE, CHAT
from selrun.compiler.wants import Template, View
from selrun.errors import ModelError
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.shown import REWRITTEN
from selrun.runtime.tokens import (
    NO_PROMPT,
    NO_RESPONSE,
    NO_ROOM,
    NO_TEXT,
    NOTHING_LEFT,
    Sequences,
    Texts,
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


@pytest.mark.parametrize(("limit", "context"), [(10, None), (10, 10), (12, 11)])
def test_a_start_token_before_the_lone_response_alone_takes_no_room(limit: int, context: int | None) -> None:
    view = View(ASK, limit=limit, start="never")
    bare = replace(ASK, header="")
    alone = View(bare, ("response",), limit, start="always", beside=1)
    kept = "hi" if limit == 10 else "hil"
    assert shown(view, HILL, context=context) == [f"Q say A:[{kept}]"]
    assert shown(alone, HILL, context=context) == [f"<s>[{kept}]"]


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


# Chat templates that models bring


def chatting(template: str, **tokens: str | None) -> Any:
    """The byte tokenizer with another chat template or without some special tokens."""
    tokenizer = nano_tokenizer()
    tokenizer.chat_template = template
    for name, token in tokens.items():
        setattr(tokenizer, name, token)
    return tokenizer


def said_by(tokenizer: Any, view: View, *rows: dict[str, Any]) -> list[str]:
    sequences = encode(view, frame(*rows), tokenizer)
    return [problem or text(sequences, row) for row, problem in enumerate(sequences.problems)]


TURN = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
NO_SYSTEM = "{% if messages[0].role == 'system' %}{{ raise_exception('no system text') }}{% endif %}" + TURN
CUT_SHORT = TURN.replace("m.content", "(m.content if loop.last else '...')")


def test_a_row_that_a_chat_template_refuses_is_one_row() -> None:
    found = said_by(chatting(NO_SYSTEM), View(CHAT), TALK, HILL)
    assert found == ["the chat template refuses the row: no system text", "<s><user>say<assistant>[hill]"]
    assert said_by(chatting(NO_SYSTEM), View(CHAT, turns="whole"), TALK, HILL) == found


def test_a_chat_template_that_rewrites_earlier_turns_has_no_places_of_responses() -> None:
    whole = View(CHAT, turns="whole")
    assert said_by(chatting(CUT_SHORT), whole, TALK, HILL) == [REWRITTEN, "<s><user>say<assistant>[hill]"]


def test_a_chat_template_may_trim_what_was_said() -> None:
    tokenizer = chatting(TURN.replace("m.content", "m.content | trim"))
    talk = {**HILL, "history": [*TALK["history"][:1], {"role": "assistant", "content": " yes\n"}]}
    assert said_by(tokenizer, View(CHAT, turns="whole"), talk) == [
        "<s><user>hi<assistant>[yes]<user>say<assistant>[hill]"
    ]


@pytest.mark.parametrize("opening", [" ", "\n\n", "<think>\n\n</think>\n\n"])
def test_what_a_chat_template_puts_before_a_response_does_not_hide_it(opening: str) -> None:
    said = "{{ " + repr(opening) + " if m.role == 'assistant' else '' }}{{ m.content }}"
    template = TURN.replace("<assistant>", "").replace(
        "<{{ m.role }}>{{ m.content }}", "[{{ m.role }}]" + said
    )
    tokenizer = chatting(template)
    tokenizer.chat_template += "{% if add_generation_prompt %}[assistant]{% endif %}"
    whole = encode(View(CHAT, turns="whole"), frame(TALK), tokenizer)
    earlier = f"<s>[system]be brief[user]hi[assistant]{opening}yes[user]say[assistant]hill"
    assert tokenizer.decode(whole.ids) == earlier
    assert tokenizer.decode(whole.ids[whole.response]) == f"{opening}yeshill"
    closed = View(CHAT, limit=len(f"[user]say[assistant]{opening}hi"), seam="closed")
    assert said_by(tokenizer, closed, HILL) == [f"[user]say[assistant]{opening}hi"]


def test_a_chat_template_that_fails_in_any_way_refuses_one_row() -> None:
    failing = (
        "{{ 1 // (messages | length - 2) }}" + TURN,
        "{% if messages | length == 2 %}{{ messages[5].content }}{% endif %}" + TURN,
    )
    short = {**HILL, "history": [{"role": "user", "content": "hi"}]}
    for template in failing:
        refused, fine = said_by(chatting(template), View(CHAT), short, TALK)
        assert refused.startswith("the chat template refuses the row: ")
        assert fine.endswith("<assistant>[hill]")


@pytest.mark.parametrize(
    ("template", "fact"),
    [
        ("", "the model's tokenizer has no chat template"),
        ({"rag": TURN, "tool_use": TURN}, "the model's chat templates are for other things: rag, tool_use"),
        ("{% for m in %}", "the model's chat template cannot be read: Expected an expression, got 'end of"),
    ],
)
def test_a_model_without_a_chat_template_that_can_be_used_is_refused(template: Any, fact: str) -> None:
    with pytest.raises(ModelError) as raised:
        said_by(chatting(template), View(CHAT), HILL)
    assert raised.value.code == "E444"
    assert raised.value.headline.startswith(fact)


def test_a_chat_template_writes_the_same_date_every_day() -> None:
    dated = "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    found = said_by(chatting(dated + "{{ date_string }}" + TURN), View(CHAT), HILL)
    assert found == ["<s>26 Jul 2024<user>say<assistant>[hill]"]


def test_a_chat_template_that_writes_the_start_token_gets_no_second_one() -> None:
    tokenizer = chatting("<s>" + TURN)
    assert said_by(tokenizer, View(CHAT), HILL) == ["<s><user>say<assistant>[hill]"]
    assert said_by(tokenizer, View(CHAT, ("response",)), HILL) == ["<s>[hill]"]


def test_no_end_token_is_put_before_a_chat() -> None:
    tokenizer = chatting(TURN, bos_token=None)
    assert said_by(tokenizer, View(CHAT), HILL) == ["<user>say<assistant>[hill]"]
    assert said_by(tokenizer, View(CHAT, ("response",)), HILL) == ["</s>[hill]"]


# Tokenizers of other kinds


def test_the_start_token_is_the_first_of_bos_and_eos_that_there_is() -> None:
    assert said_by(chatting(""), View(ASK), HILL) == ["<s>Q say A:[hill]"]
    assert said_by(chatting("", bos_token=None), View(ASK), HILL) == ["</s>Q say A:[hill]"]
    neither = chatting("", bos_token=None, eos_token=None)
    assert said_by(neither, View(ASK), HILL) == ["Q say A:[hill]"]
    assert said_by(neither, View(BARE, ("prompt",)), {"instruction": ""}) == ["\n"]
    assert said_by(
        neither, View(replace(BARE, without_input="{instruction}"), ("prompt",)), {"instruction": ""}
    ) == [NO_PROMPT]


def pieces(*, bos: bool = True) -> Any:
    """A sentencepiece-like tokenizer, which puts a blank before every text."""
    from tokenizers import Tokenizer, models, normalizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    texts = [
        "the cat sat on the mat",
        "she said: the hill is high",
        "Response: yes, the mat",
        "a:b (c)\n\n",
    ] * 9
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=400, special_tokens=special))
    if bos:
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def test_a_response_does_not_get_the_blank_that_begins_a_text() -> None:
    texts = Texts(pieces())
    assert texts.puts_blank_first
    assert not Texts(TOKENIZER).puts_blank_first
    for response in ("the cat", " the cat", "\n\nthe", "said", ":b", "", "日本", "\n"):
        alone, after = texts.continued([response])[0], texts.encode(["x" + response], special=False)[0]
        assert after[-len(alone) :] == alone or not alone


@pytest.mark.parametrize("response", ["the cat", "cat on the mat", "yes", "日本語", "(c)"])
def test_apart_is_joint_where_no_merge_crosses_the_seam(response: str) -> None:
    row = {"instruction": "she said: the mat", "response": response}
    views = (View(ASK, limit=64), View(ASK, limit=64, seam="joint", start="tokenizer"))
    apart, joint_text = (encode(view, frame(row), pieces()) for view in views)
    assert apart.ids.tolist() == joint_text.ids.tolist()
    assert apart.response.tolist() == joint_text.response.tolist()


def test_later_turns_of_a_conversation_get_no_blank_either() -> None:
    last, whole = (encode(View(ASK, turns=turns), frame(TALK), pieces()) for turns in ("last", "whole"))  # type: ignore[arg-type]
    assert last.ids.tolist() == whole.ids.tolist()


class Slow:
    """A tokenizer that is written in Python, as some still are."""

    chat_template = None
    bos_token = eos_token = bos_token_id = eos_token_id = None

    def __call__(self, texts: list[str], **_: bool) -> dict[str, list[list[int]]]:
        return {"input_ids": [[ord(letter) for letter in text] for text in texts]}


def test_a_tokenizer_without_a_fast_backend_is_as_good() -> None:
    sequences = encode(View(ASK), frame(HILL, HILL), Slow())
    assert "".join(map(chr, sequences.ids)) == "Q say A:hill" * 2


def test_an_encoders_last_token_stays_where_a_text_is_cut() -> None:
    from tokenizers.processors import TemplateProcessing

    for single, expected in (
        ("<s> $A </s>", [256, 83, 257]),
        ("$A </s>", [83, 68, 257]),
        ("<s> $A", [256, 83, 68]),
    ):
        tokenizer = nano_tokenizer()
        tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
            single=single, special_tokens=[("<s>", 256), ("</s>", 257)]
        )
        rows = frame({"instruction": "testing", "response": "x"}, {"response": "x"}, {"instruction": ""})
        sequences = encode(View(BARE, text=("@prompt",), limit=3), rows, tokenizer)
        assert sequences.ids[: sequences.offsets[1]].tolist() == expected
        assert sequences.problems == (None, NO_TEXT, None)
        assert sequences.cut == 1


def test_columns_of_a_text_are_joined_by_a_line_break() -> None:
    view = View(BARE, text=("@prompt", "@response"))
    assert shown(view, {"instruction": "a", "input": "b", "response": "c"}) == ["<s>a\nb\nc"]


def test_columns_of_a_text_that_are_empty_take_no_line() -> None:
    view = View(BARE, text=("@instruction", "@input", "@response"))
    rows = [
        {"instruction": "a", "response": ""},
        {"instruction": "", "response": "c"},
        {"instruction": "a", "input": "", "response": "c"},
        {"instruction": "a", "response": None},
    ]
    assert shown(view, *rows) == ["<s>a", "<s>c", "<s>a\nc", NO_TEXT]


@pytest.mark.parametrize("letter", ["a", " ", "ab ", "\n", "日"])
def test_a_row_of_a_megabyte_takes_no_more_than_its_share(letter: str) -> None:
    rows = frame({"instruction": letter * (1_000_000 // len(letter)), "response": letter * 100_000})
    for tokenizer in (TOKENIZER, pieces()):
        started = time.process_time()
        encode(View(ASK, limit=512), rows, tokenizer)
        encode(View(ASK, ("response",), 512), rows, tokenizer)
        assert time.process_time() - started < 20


# For every row


TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
ROW = st.fixed_dictionaries(
    {"instruction": TEXT, "input": TEXT, "response": TEXT, "system": TEXT | st.none()}
)


@given(st.lists(ROW, min_size=1, max_size=4), st.integers(1, 90))
def test_without_merges_apart_is_joint(rows: list[dict[str, Any]], limit: int) -> None:
    views = (View(ASK, limit=limit), View(ASK, limit=limit, seam="joint", start="tokenizer"))
    apart, joint_text = (encode(view, frame(*rows), TOKENIZER) for view in views)
    assert apart.ids.tolist() == joint_text.ids.tolist()
    assert apart.response.tolist() == joint_text.response.tolist()
    assert [p is None for p in apart.problems] == [p is None for p in joint_text.problems]
    assert apart.cut == joint_text.cut


@given(st.lists(ROW, min_size=1, max_size=4), st.integers(1, 90))
def test_a_response_keeps_the_same_tokens_with_and_without_its_prompt(
    rows: list[dict[str, Any]], limit: int
) -> None:
    both = View(ASK, limit=limit)
    views = (both, both.showing("response"))
    given_, alone = (encode(view, frame(*rows), TOKENIZER) for view in views)
    assert given_.ids[given_.response].tolist() == alone.ids[alone.response].tolist()
    assert given_.problems == alone.problems
    assert given_.cut == alone.cut
