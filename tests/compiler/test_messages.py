"""What `check` says about wrong recipes, word for word.

`wrong_recipes.txt` holds recipes with their messages below them. After a change that is meant,
`SELRUN_UPDATE=1 pytest tests/compiler/test_messages.py` writes the messages anew; read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from selrun.compiler.check import check_text
from selrun.dsl.diagnostic import render

FILE = Path(__file__).with_name("wrong_recipes.txt")
BETWEEN, BELOW = "=" * 80, "-" * 80


def entries() -> Iterator[tuple[str, str]]:
    for entry in FILE.read_text("utf-8").split(f"{BETWEEN}\n"):
        text, _, message = entry.partition(f"{BELOW}\n")
        yield text.removesuffix("\n"), message.removesuffix("\n")


def message(text: str) -> str:
    return render(check_text(text)) or "clean"


@pytest.mark.skipif("SELRUN_UPDATE" not in os.environ, reason="only when the messages are to be written anew")
def test_update():
    written = [f"{text}\n{BELOW}\n{message(text)}\n" for text, _ in entries()]
    FILE.write_text(f"{BETWEEN}\n".join(written), "utf-8")


@pytest.mark.parametrize(("text", "expected"), list(entries()))
def test_message(text: str, expected: str):
    assert message(text) == expected


def test_there_are_many():
    assert len(list(entries())) >= 80


def test_no_message_speaks_to_a_person_or_asks():
    said = " ".join(expected for _, expected in entries()).lower().split()
    assert not {"you", "your", "please", "sorry", "oops"} & set(said)


def test_independent_mistakes_are_all_reported_once():
    text = """
        let a = load "a.jsonl"
        from a | scor ifd using gpt2 | top 5%
        let = 3
        let pool = (from a | sample 0)
        from pool | sample 5%
    """
    assert [(d.code, d.span.line) for d in check_text(text)] == [("E201", 3), ("E101", 4), ("E302", 5)]
