"""A text where a choice wants a number is refused when the recipe is checked."""

from __future__ import annotations

import pytest
from selrun.compiler.check import check
from selrun.compiler.facts import Facts

STEPS = {
    "top 5 by response": "by",
    "bottom 5 by response": "by",
    "sample weighted(response, 5)": "weight",
    "diversify cluster_quota(5) by response per instruction": "by",
    "diversify facility(5) by response using nano": "by",
    "diversify mig(5, tags) by response": "by",
    "diversify repr(0.9) by response using nano": "by",
    "dedup minhash by response": "by",
}


@pytest.mark.parametrize("step", STEPS)
def test_a_text_is_no_number_to_choose_by(step: str):
    steps = f'load "rows.json" | tag split(response, " ") as tags | {step}'
    found = [(one.code, one.headline) for one in check([("r.sel", steps)], Facts()).diagnostics]
    name = step.partition("(")[0].removesuffix(" 5 by response").removesuffix(" by response").split()[-1]
    assert found == [("E301", f"`{STEPS[step]}` of `{name}` takes a number, not a text")]
