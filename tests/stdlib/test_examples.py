from __future__ import annotations

import pytest
from pydantic import ValidationError
from selrun.compiler.catalogue import catalogue
from selrun.compiler.check import check_text
from selrun.compiler.op import Op

OPERATIONS = [
    pytest.param(op, id=f"{verb} {noun}".strip())
    for (verb, noun), op in sorted(catalogue().ops.items())
    if op.__module__.startswith("selrun.stdlib")
]


@pytest.mark.parametrize("op", OPERATIONS)
def test_the_example_of_every_operation_checks_clean(op: type[Op]):
    if not op.example:
        pytest.skip("it needs files of its own")
    assert check_text(op.example) == []


@pytest.mark.parametrize("op", OPERATIONS)
def test_every_operation_says_in_one_line_what_it_gives(op: type[Op]):
    first = (op.__doc__ or "").splitlines()[0]
    assert first
    assert first.rstrip().endswith((".", ")")) or ";" in first


READERS = [op for op in OPERATIONS if "max_tokens" in op.values[0].model_fields]


@pytest.mark.parametrize("op", READERS)
@pytest.mark.parametrize("tokens", [0, -5])
def test_a_window_of_no_token_is_refused(op: type[Op], tokens: int):
    with pytest.raises(ValidationError) as refused:
        op(max_tokens=tokens)
    assert ("max_tokens",) in [error["loc"] for error in refused.value.errors()]


@pytest.mark.parametrize("name", sorted(catalogue().methods))
def test_every_method_checks_clean(name: str):
    text = catalogue().methods[name]
    assert check_text(text) == []
    assert text.startswith("##")
