"""Every code has a page, and what a page shows is true."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selrun.compiler.catalogue import catalogue, register
from selrun.compiler.check import check_text
from selrun.dsl.pages import codes, examples, page
from selrun.errors import SelrunError

ROOT = Path(__file__).resolve().parents[2]
RAISED = re.compile(r'"([EW]\d{3})"')
EXAMPLES = [
    (code, number, example)
    for code in codes()
    for number, example in enumerate(e for e in examples(page(code)) if e.kind == "sel")
]


def raised() -> Iterator[tuple[str, str]]:
    """Every code in the source, and the file it is in."""
    for folder in ("dsl", "compiler", "stdlib", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for code in RAISED.findall(path.read_text("utf-8")):
                yield code, str(path.relative_to(ROOT))


def test_every_code_that_is_raised_has_a_page():
    assert sorted({f"{code} of {path}" for code, path in raised() if code not in codes()}) == []


def test_every_page_is_about_a_code_that_is_raised():
    assert sorted(set(codes()) - {code for code, _ in raised()}) == []


@pytest.mark.parametrize("code", codes())
def test_a_page_has_a_title_and_something_to_show(code: str):
    text = page(code)
    assert re.match(rf"# {code}: \S", text), text.splitlines()[0]
    assert list(examples(text)), "the page shows nothing"


@pytest.mark.parametrize(("code", "number", "example"), EXAMPLES, ids=[f"{c}-{n}" for c, n, _ in EXAMPLES])
def test_the_recipes_of_a_page_give_what_it_says(code: str, number: int, example):
    found = [diagnostic.code for diagnostic in check_text(example.text)]
    assert (code in found) if example.about == code else (example.about == "ok" and not found), found


def test_a_page_is_found_whatever_the_case():
    assert page("e203") == page("E203")


def test_a_code_without_a_page_is_a_key_error():
    with pytest.raises(KeyError):
        page("E999")


def test_a_plug_in_cannot_take_a_name_that_exists():
    ops = dict(catalogue().ops)
    taken = ops["score", "ifd"]
    claim = type("Claim", (taken,), {"verb": "score", "noun": "ifd", "__module__": "extra"})
    with pytest.raises(SelrunError) as refused:
        register(ops, claim, "extra")
    assert refused.value.code == "E402"
