"""A repeated step is the same as its chain written out."""

from __future__ import annotations

import pytest
from selrun.compiler.check import builtin_facts, check, check_text
from selrun.compiler.graph import Graph

ROUND = "derive x = len(prompt) | top 50% by x"


def graph(text: str) -> Graph:
    found = check([("recipe.sel", text)], builtin_facts())
    assert found.diagnostics == ()
    return found.graph


@pytest.mark.parametrize(
    "repeated",
    [
        f"sample 90% | repeat 3 {{ {ROUND} }} | sort by x",
        f"method m(n: count) = sample 90% | repeat n {{ {ROUND} }} | sort by x\nm(3)",
        f"sample 90% | repeat 1 {{ {ROUND} | repeat 2 {{ {ROUND} }} }} | sort by x",
        f"let rest = sample 90% | repeat 3 {{ {ROUND} }}\nfrom rest | sort by x",
    ],
)
def test_it_is_unrolled(repeated: str):
    written = f"sample 90% | {ROUND} | {ROUND} | {ROUND} | sort by x"
    assert list(graph(repeated).nodes) == list(graph(written).nodes)


def test_diverseevol_is_its_rounds_one_after_another():
    start = "(sample 20 | derive taken = true) + (filter true)"
    rounds = " | ".join(["diverseevol_round(nano, 10)"] * 3)
    written = graph(f"{start} | {rounds} | filter taken")
    assert list(graph("diverseevol(nano, 20, 10, rounds = 3)").nodes) == list(written.nodes)


WRONG = {
    "sample 5% | repeat 0 { sample 2 }": "E302",
    "sample 5% | repeat 1001 { sample 2 }": "E302",
    'sample 5% | repeat 2 { from "x.jsonl" }': "E308",
    "sample 5% | repeat 2 { }": "E101",
    "sample 5% | repeat 2 { let a = 3 }": "E106",
    "sample 5% | repeat 1000 { sample 3 | repeat 1000 { sample 2 } }": "E310",
    "method m() = sample 5% | repeat 2 { m() }": "E207",
}


@pytest.mark.parametrize(("text", "code"), WRONG.items(), ids=WRONG)
def test_what_cannot_be_repeated_is_said_once(text: str, code: str):
    assert [found.code for found in check_text(text)] == [code]
