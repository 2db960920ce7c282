"""An expression whose parts do not fit each other is refused when the recipe is checked."""

from __future__ import annotations

import pytest
from selrun.compiler.check import check_text


def problem(expression: str) -> tuple[str, str] | None:
    found = check_text(f"score length | derive x = {expression}")
    return (found[0].code, found[0].headline) if found else None


WRONG = {
    "length + null": "`+` takes a number, not null",
    "not null": "`not` takes a condition, not null",
    "length < null": "`<` cannot compare with null",
    "lower(null)": "`lower` takes a text, not null",
    'if(length > 1, "a", 2)': "`if` cannot hold a text and a number",
    "coalesce(prompt, length)": "`coalesce` cannot hold a text and a number",
    '[1, "a"]': "a list cannot hold a number and a text",
    'length in [1, "a"]': "a list cannot hold a number and a text",
    "prompt in [1]": "a list cannot hold a text and a number",
    "5 in prompt": "`in` takes a text, not a number",
}


@pytest.mark.parametrize(("expression", "headline"), WRONG.items(), ids=WRONG)
def test_parts_of_different_kinds_are_refused(expression: str, headline: str):
    assert problem(expression) == ("E301", headline)


RIGHT = (
    "length == null", "null != length", "if(length > 1, null, 2)", "coalesce(null, length, 1)",
    'prompt in ["a", null]', "prompt in response", "length in []", 'matches(prompt, response)',
)  # fmt: skip


@pytest.mark.parametrize("expression", RIGHT)
def test_null_stands_beside_every_kind(expression: str):
    assert problem(expression) is None


@pytest.mark.parametrize("pattern", ["(", "a(?=b)", "[z-a]", "*"])
def test_a_regular_expression_is_read_when_the_recipe_is_checked(pattern: str):
    assert problem(f'matches(prompt, "{pattern}")') == ("E305", f"`{pattern}` is no regular expression")
