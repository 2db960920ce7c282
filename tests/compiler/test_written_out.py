"""Steps are shown with the values they run with, so that a plan or a manifest can be read without the recipe."""

from __future__ import annotations

import pytest
from selrun.compiler.check import builtin_facts, check

SHOWN = {
    "a parameter": ("param keep: share = 5%\nscore length | top keep", "top 5%"),
    "a parameter of a method": (
        "method best(k: share = 5%) = score length | top k by length\nbest()",
        "top 5% by length",
    ),
    "what a method is called with": (
        "method best(k: share = 5%) = score length | top k by length\nbest(k = 20)",
        "top 20 by length",
    ),
    "a parameter handed on": (
        "method one(k: count) = top k by len(response)\nmethod two(n: count = 7) = one(n)\ntwo()",
        "top 7 by len(response)",
    ),
    "a number in an expression": (
        "let least = 10\nfilter len(response) > least",
        "filter len(response) > 10",
    ),
    "a model": ("let base = nano\nscore ifd using base", "score ifd using nano"),
    "a model that a method is given": (
        "method m(a: model) = score ifd using a\nm(warmup(nano, 5%))",
        "score ifd using warmup(nano, 5%)",
    ),
    "a model with a name of its own": (
        "let tuned = warmup(nano, 5%)\nscore ifd using tuned",
        "score ifd using tuned",
    ),
    "a dataset": ("let held = sample 20\nwithout held", "without held"),
    "a derived column": ("param scale: number = 2\nderive twice = scale * 3", "derive twice = 2 * 3"),
    "a noun called like a name": ("let length = 5\nscore length as length_2", "score length as length_2"),
    "a long text": (
        f'let long = "{{instruction}} {"x" * 60}"\nembed using nano with template = long',
        "embed using nano with template = long",
    ),
}


@pytest.mark.parametrize(("recipe", "last"), SHOWN.values(), ids=SHOWN)
def test_the_last_step_is_shown_with_its_values(recipe: str, last: str):
    found = check([("recipe.sel", recipe)], builtin_facts())
    assert not found.errors, [(d.code, d.headline) for d in found.errors]
    assert found.graph[found.graph.outputs[-1].key].title == last
