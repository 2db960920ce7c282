"""Whatever stands in a recipe, the answer is a list of located problems, and it comes soon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from selrun.compiler.check import check_text
from selrun.dsl.diagnostic import Diagnostic, render
from selrun.dsl.format import format_recipe
from selrun.dsl.pages import codes
from strategies import mistakes, recipes

ROOT = Path(__file__).resolve().parents[2]
GOOD = [path.read_text("utf-8") for path in sorted(ROOT.glob("*/**/*.sel"))]
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
MANY = settings(
    max_examples=int(os.environ.get("SELRUN_EXAMPLES", "100")),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
THOUSANDS = settings(MANY, max_examples=2_000)


def assert_sound(text: str) -> list[Diagnostic]:
    """Every problem has a page, a fact in lower case, and places inside the text; all renderings work."""
    found = check_text(text)
    for diagnostic in found:
        assert diagnostic.code in codes()
        assert not diagnostic.headline[0].isupper()
        for label in diagnostic.labels:
            assert 0 <= label.span.start <= label.span.end <= len(label.span.source.text)
    for form in ("full", "concise", "json", "github"):
        render(found, form)
    return found


@THOUSANDS
@given(mistakes(recipes().map(format_recipe)))
def test_slips_in_generated_recipes_are_located(text: str):
    assert_sound(text)


@MANY
@given(mistakes(st.sampled_from(GOOD)))
def test_slips_in_real_recipes_are_located(text: str):
    assert_sound(text)


@MANY
@given(st.text(max_size=60))
def test_any_text_gives_located_problems(text: str):
    assert_sound(text)


def chained(first: str, form: str, rounds: int, last: str) -> str:
    return "\n".join([first, *(form.format(i=i, j=i - 1) for i in range(1, rounds)), last])


EXTREMES = {
    "brackets": ("filter " + "(" * 1000 + "a" + ")" * 1000 + " > 1", ["E112"]),
    "lists": ("filter a in " + "[" * 1000 + "]" * 1000, ["E112"]),
    "not": ("filter " + "not " * 1000 + "a", ["E112"]),
    "minus": ("filter " + "- " * 1000 + "a > 1", ["E112"]),
    "terms": ("filter " + " + ".join(["a"] * 5000) + " > 1", ["E112"]),
    "a hundred terms": ("filter " + " + ".join(["a"] * 100) + " > 1", []),
    "steps": ("filter a > 1" + " | filter a > 1" * 3000, []),
    "rounds": ('repeat 1000 { from "a" | sample 50% }', []),
    "rounds of rounds": ("repeat 1000 { repeat 1000 { repeat 1000 { sample 5% } } }", ["E310"]),
    "a huge number": ("sample 1e999999999", ["E104"]),
    "a tiny number": ("sample 1e-999999999", ["E104"]),
    "many digits": ("sample " + "9" * 5000, ["E104"]),
    "a long name": ("filter " + "a" * 100_000 + " > 1", []),
    "a long verb": ("scor" + "e" * 20_000 + " ifd", ["E201"]),
    "a long text": ('filter a == "' + "x" * 200_000 + '"', []),
    "doubling numbers": (chained("let a0 = 1", "let a{i} = a{j} + a{j}", 40, "filter a39 > 1"), ["E309"]),
    "long sums of names": (chained("let a0 = 1", "let a{i} = a{j} + 1", 1000, "filter a999 > 1"), ["E309"]),
    "doubling datasets": (chained('let a0 = load "x"', "let a{i} = (a{j} + a{j})", 40, "from a39"), []),
    "doubling methods": (
        chained("method m0() = sample 5%", "method m{i}() = m{j}() | m{j}()", 40, "m39()"),
        ["E310"],
    ),
    "nested conditions": ("derive x = " + "if(a > 1, 1, " * 30 + "0" + ")" * 30, []),
    "a name that is itself": ("let a = a\nfrom a", ["E205"]),
    "a model that is itself": ("let m = warmup(m, 5%)\nscore ifd using m", ["E204"]),
    "a null character": ("filter \0", ["E109"]),
}


@pytest.mark.parametrize(("text", "expected"), EXTREMES.values(), ids=EXTREMES)
def test_extremes_have_an_answer(text: str, expected: list[str]):
    assert [d.code for d in assert_sound(text)] == expected
