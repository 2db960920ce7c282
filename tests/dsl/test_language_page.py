"""The recipes in the language's documentation check clean and keep their meaning when formatted."""

from __future__ import annotations

from pathlib import Path

import pytest
from selrun.compiler.check import check_text
from selrun.dsl.format import format_recipe
from selrun.dsl.pages import examples
from selrun.dsl.words import RESERVED, VERBS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "language.md").read_text("utf-8")
RECIPES = [example.text for example in examples(TEXT) if example.kind == "sel"]


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_recipes_check_clean(recipe: str):
    assert check_text(recipe) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_formatting_is_stable(recipe: str):
    assert format_recipe(format_recipe(recipe)) == format_recipe(recipe)


def test_there_are_recipes():
    assert len(RECIPES) >= 8


def test_reserved_words_are_the_documented_ones():
    documented = (
        "selrun use param let method from using as by against per with and or not in true false null repeat"
    )
    assert frozenset(documented.split()) == RESERVED
    assert "from" in VERBS
