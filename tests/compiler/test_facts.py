"""The compiler asks and is called again; files, parameters, methods and scopes mean what they say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from selrun.compiler.check import Checked, builtin_facts, check
from selrun.compiler.facts import CardOf, Columns, Facts, SchemaOf, TextOf, Unavailable
from selrun.compiler.schema import Column


def facts(files: Mapping[str, str] = {}, columns: Mapping[str, tuple[str, ...]] = {}) -> Facts:
    """What is known of the world: the texts of recipes, and the columns of datasets."""
    answers = {TextOf(name): text for name, text in files.items()}
    schemas = {
        SchemaOf(name): Columns(tuple(Column(column, "text", "file") for column in names), 10)
        for name, names in columns.items()
    }
    return replace(builtin_facts(), answers={**answers, **schemas})


def checked(text: str, known: Facts | None = None, name: str = "recipe.sel", **given: str) -> Checked:
    return check([(name, text)], known or facts(), given=given)


def codes(text: str, known: Facts | None = None, name: str = "recipe.sel", **given: str) -> list[str]:
    return [found.code for found in checked(text, known, name, **given).diagnostics]


def result(text: str, known: Facts | None = None, name: str = "recipe.sel", **given: str) -> str:
    found = checked(text, known, name, **given)
    assert not found.errors, [(d.code, d.headline) for d in found.errors]
    return found.graph.outputs[-1].key


# Questions


def test_what_is_not_known_is_asked_once():
    known = facts()
    text = 'use "parts.sel" as parts\nfrom "a.jsonl" | score ifd using gpt2 | score loss using gpt2 | top 5 by ifd'
    checked(text, known)
    assert list(known.open) == [TextOf("parts.sel"), SchemaOf("a.jsonl"), CardOf("openai-community/gpt2")]


def test_a_known_answer_is_not_asked():
    known = facts(columns={"a.jsonl": ("topic",)})
    checked('from "a.jsonl" | filter topic == "x"', known)
    assert not known.open


def test_an_unseen_file_may_have_any_column_and_a_seen_one_may_not():
    text = 'from "a.jsonl" | filter topic == "x"'
    assert codes(text) == []
    assert codes(text, facts(columns={"a.jsonl": ("language",)})) == ["E203"]
    assert codes(text, facts(columns={"a.jsonl": ("topic",)})) == []


def test_an_answer_may_be_that_there_is_none():
    answers = {SchemaOf("a.jsonl"): Unavailable("E501", "no file is at `a.jsonl`", ("look elsewhere",))}
    (found,) = checked('from "a.jsonl" | top 5 by len(prompt)', Facts(answers)).diagnostics
    assert (found.code, found.help, found.span.text) == ("E501", ("look elsewhere",), '"a.jsonl"')


# Other recipes

PARTS = 'method longest(n: count = 3) = score length as size | top n by size\nlet judge = model "nano"'


def test_a_used_recipe_is_named_by_its_alias():
    used = 'use "parts.sel" as parts\nparts.longest(4)'
    assert result(used, facts({"parts.sel": PARTS})) == result("score length as size | top 4 by size")


def test_without_an_alias_names_come_as_they_are():
    used = 'use "parts.sel"\nlongest(4)'
    assert result(used, facts({"parts.sel": PARTS})) == result("score length as size | top 4 by size")


def test_a_value_of_a_used_recipe():
    used = 'use "parts.sel" as parts\nscore ifd using parts.judge'
    assert result(used, facts({"parts.sel": PARTS})) == result("score ifd using nano")


def test_a_path_is_meant_from_the_recipe_that_names_it():
    files = {"lib/parts.sel": 'use "deep/more.sel" as more', "lib/deep/more.sel": PARTS}
    known = facts(files)
    assert codes('use "lib/parts.sel" as parts\nparts.more.longest(4)', known) == []
    assert not known.open
    assert codes('use "../parts.sel" as p\np.longest(1)', (above := facts()), name="jobs/recipe.sel") == []
    assert [str(question) for question in above.open] == [str(TextOf("jobs/../parts.sel"))]


@pytest.mark.parametrize(
    "files",
    [{"a.sel": 'use "a.sel" as a'}, {"a.sel": 'use "b.sel" as b', "b.sel": 'use "a.sel" as a'}],
    ids=["itself", "each other"],
)
def test_a_cycle_of_use(files: dict[str, str]):
    assert codes('use "a.sel" as a\ntop 5 by len(prompt)', facts(files)) == ["E208"]


def test_a_problem_in_a_used_recipe_is_shown_there():
    found = checked(
        'use "parts.sel" as p\np.bad(1)', facts({"parts.sel": "method bad(n: count) = tpo n by size"})
    )
    assert next((d.code, d.span.source.name) for d in found.diagnostics) == ("E101", "parts.sel")


def test_a_name_that_a_used_recipe_lacks():
    assert codes('use "parts.sel" as parts\nparts.shortest(4)', facts({"parts.sel": PARTS})) == ["E202"]


def test_a_used_recipe_selects_nothing():
    found = checked(
        'use "parts.sel" as parts\ntop 5 by len(prompt)',
        facts({"parts.sel": f"{PARTS}\ntop 3 by len(prompt)"}),
    )
    assert len(found.graph.outputs) == 1


# Parameters

KEEP = "param keep: share = 10%\nscore length | top keep"


@pytest.mark.parametrize(("value", "same"), [("5%", "5%"), ("0.25", "25%"), ("100", "100"), ("2k", "2000")])
def test_a_parameter_takes_what_its_type_takes(value: str, same: str):
    assert result(KEEP, keep=value) == result(f"score length | top {same}")


@pytest.mark.parametrize(
    ("text", "given", "code"),
    [
        (KEEP, {"keep": "150%"}, "E302"),
        (KEEP, {"keep": "true"}, "E301"),
        (KEEP, {"kep": "5%"}, "E212"),
        ("param keep: share\nscore length | top keep", {}, "E303"),
        ("param keep: shares = 5%\nscore length | top keep", {}, "E213"),
    ],
)
def test_a_parameter_that_does_not_fit(text: str, given: dict[str, str], code: str):
    assert code in codes(text, **given)


def test_parameters_are_reported_as_they_were_given():
    assert checked(KEEP, keep="5%").parameters == {"keep": "5%"}
    assert checked(KEEP).parameters == {"keep": "10%"}


def test_a_model_a_column_and_a_text_are_parameters():
    text = 'param m: model = gpt2\nparam by_what: column = prompt\nparam word: text = "x"\n'
    text += "filter contains(prompt, word) | score ifd using m | top 5 by len(by_what)"
    other = 'filter contains(prompt, "y") | score ifd using nano | top 5 by len(response)'
    assert result(text, m="nano", by_what="response", word='"y"') == result(other)


# Methods


def test_defaults_may_be_left_out_or_named():
    method = "method best(m: model, keep: share = 5%, most: number = 1) =\n"
    method += "  score ifd using m | filter ifd < most | top keep\n"
    plain = "score ifd using nano | filter ifd < {} | top {}"
    assert result(f"{method}best(nano)") == result(plain.format(1, "5%"))
    assert result(f"{method}best(nano, most = 2)") == result(plain.format(2, "5%"))
    assert result(f"{method}best(nano, 7%, 3)") == result(plain.format(3, "7%"))
    assert result(f"{method}best(keep = 7%, m = nano)") == result(plain.format(1, "7%"))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("best()", "E303"),
        ("best(nano, 5%, 3)", "E304"),
        ("best(nano, kep = 3)", "E304"),
        ("best(nano, m = gpt2)", "E304"),
    ],
)
def test_arguments_that_do_not_fit(call: str, code: str):
    method = "method best(m: model, keep: share = 5%) = score ifd using m | top keep\n"
    assert codes(method + call) == [code]


def test_models_data_and_columns_are_arguments():
    method = "method unseen(m: model, seen: data, what: column) =\n"
    method += "  without seen | score ifd using m | top 5 by len(what)\n"
    called = 'unseen(warmup(nano, 5%), (from "seen.jsonl"), response)'
    plain = 'without (from "seen.jsonl") | score ifd using warm | top 5 by len(response)'
    assert result(method + called) == result(f"let warm = warmup(nano, 5%)\n{plain}")


def test_a_warm_up_as_an_argument_trains_on_the_rows_at_the_call():
    method = "method best(m: model) = filter len(prompt) > 9 | score ifd using m\n"
    called = f"{method}filter len(response) > 9 | best(warmup(nano, 5%))"
    trained = next(n for n in checked(called).graph.nodes.values() if n.op.noun == "warmup")
    assert checked(called).graph[trained.inputs[0]].title == "filter len(response) > 9"


def test_a_method_does_not_see_the_names_of_its_caller():
    used = 'let least = 9\nuse "parts.sel" as parts\nparts.long()'
    seen = replace(
        facts({"parts.sel": "method long() = filter len(response) > least"}, {"rows.jsonl": ("topic",)}),
        data="rows.jsonl",
    )
    assert set(codes(used, seen)) == {"E203"}


def test_a_parameter_hides_an_outer_name():
    text = "let keep = 9\nmethod few(keep: count) = top keep by len(prompt)\nfew(3)"
    assert result(text) == result("top 3 by len(prompt)")


# Repeat


def test_repeat_rebinds_what_it_reads():
    text = """
        let pool = from "a.jsonl"
        repeat 2 { let pool = from pool | top 50% by len(response) }
        from pool
    """
    assert result(text) == result('from "a.jsonl" | top 50% by len(response) | top 50% by len(response)')


def test_repeat_is_at_least_once():
    text = 'let pool = from "a.jsonl"\nrepeat 0 { let pool = from pool | top 5 by len(prompt) }\nfrom pool'
    assert codes(text) == ["E302"]


def test_only_repeat_rebinds():
    assert codes("let a = 5\nlet a = 6\ntop a by len(prompt)") == ["E210"]


def test_a_repeat_has_a_bound():
    assert codes("repeat 1001 { top 5 by len(prompt) }") == ["E302"]
