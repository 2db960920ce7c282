"""Writing a recipe out and reading it again changes nothing, and loses no comment.

`SELRUN_EXAMPLES=2000 pytest tests/dsl` puts comments into more recipes than the suite does.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from selrun.dsl.format import format_recipe
from selrun.dsl.parse import parse
from selrun.dsl.tokens import lex
from selrun.dsl.tree import Recipe, Source
from strategies import recipes

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
MANY = settings(
    max_examples=int(os.environ.get("SELRUN_EXAMPLES", "100")),
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
THOUSANDS = settings(MANY, max_examples=2_000)


def read(text: str) -> Recipe:
    parsed = parse(Source("recipe.sel", text))
    assert parsed.diagnostics == (), text
    return parsed.recipe


@st.composite
def commented(draw: st.DrawFn) -> str:
    """A recipe with comments between any two of its words."""
    text = format_recipe(draw(recipes()))
    places = sorted({token.start_pos or 0 for token in lex(text).tokens} | {len(text)})
    chosen = sorted(draw(st.lists(st.sampled_from(places), max_size=5, unique=True)))
    pieces = [text[a:b] for a, b in zip([0, *chosen], [*chosen, len(text)], strict=True)]
    forms = st.sampled_from(("# {}\n", "\n# {}\n", "\n\n## {} \n\n", '# {} é"`\r\n', "\t# {}\n"))
    comments = [draw(forms).format(number) for number in range(len(chosen))]
    return "".join(part for pair in zip(pieces, [*comments, ""], strict=True) for part in pair)


@THOUSANDS
@given(recipes())
def test_what_is_written_reads_the_same(recipe: Recipe):
    text = format_recipe(recipe)
    again = read(text)
    assert again == recipe
    assert format_recipe(again) == text


@MANY
@given(commented())
def test_comments_stay_once_and_in_order(text: str):
    recipe = parse(Source("recipe.sel", text)).recipe
    assume(
        not parse(Source("recipe.sel", text)).diagnostics
    )  # a comment between a name and its `(` parts them
    written = format_recipe(recipe)
    again = read(written)
    assert [c.text for c in again.comments] == [c.text for c in recipe.comments]
    assert again == recipe
    assert format_recipe(again) == written


CANONICAL = {
    "comments inside the first step": "# 0\n# 1\nfrom -(top response) | ifd()\n",
    "a step that is a value": "sample 5% | (a + (sample 2))\n",
    "a comment of its own line": '# why\nfrom "a.jsonl" | sample 5%\n',
    "a comment behind": "sample 5%  # a few\n",
    "comments in a chain": 'from "a.jsonl"\n# above\n| filter len(response) > 10  # behind\n| sample 5%\n',
    "between a method and its body": "method few() =\n  # why\n  sample 5%\n",
    "at the end of a repeat": "repeat 2 {\n  sample 5%\n  # so much for that\n}\n",
    "documentation": "## How many.\nparam keep: share = 5%\nsample keep\n",
    "a block text": 'score ifd using gpt2 with template = """\nQ: {instruction}\nA:\n"""\n',
    "blank lines": "let a = 1\n\n# apart\n\nsample a\n",
}


@pytest.mark.parametrize("text", CANONICAL.values(), ids=CANONICAL)
def test_canonical_text_stays(text: str):
    assert format_recipe(text) == text


WRITTEN = {
    "line ends": ("sample 5%\r\n| sort by x\r\n", "sample 5% | sort by x\n"),
    "tabs": ("\tsample\t5%", "sample 5%\n"),
    "a byte order mark": ("\ufeffsample 5%", "sample 5%\n"),
    "needless parentheses": ("filter ((a) > (1)) and (b)", "filter a > 1 and b\n"),
    "parentheses that matter": ("filter not (a and b) or c", "filter not (a and b) or c\n"),
    "quotes and backslashes": ('filter a == "\\"\\\\\\u00e9"', 'filter a == "\\"\\\\é"\n'),
    "numbers as written": ("sample 10k | top 0.05 by x", "sample 10k | top 0.05 by x\n"),
    "a noun and its text": ('let m = model   "a/b"', 'let m = model "a/b"\n'),
    "a comment inside an argument list": ("let m = f(1, # one\n2)", "let m = f(1, 2)  # one\n"),
}


@pytest.mark.parametrize(("text", "written"), WRITTEN.values(), ids=WRITTEN)
def test_writing(text: str, written: str):
    assert format_recipe(text) == written


def test_a_long_chain_gets_a_line_for_each_step():
    chain = " | ".join(["filter len(response) > 10"] * 5)
    assert format_recipe(chain) == "\n| ".join(["filter len(response) > 10"] * 5) + "\n"


@pytest.mark.parametrize("text", ['score (model "x"), prompt\n', 'score ifd as (model "x")\n'])
def test_a_model_by_its_id_stands_in_parentheses_where_a_name_follows(text: str):
    assert format_recipe(read(text)) == text
