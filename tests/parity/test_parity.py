"""Every method gives what its authors' code gave, within its tolerance."""

from __future__ import annotations

import pytest

from parity.claim import Absent, Claim, Verdict, judged
from parity.families import CLAIMS


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.name)
def test_gives_what_the_authors_code_gave(one: Claim, compared: dict[Claim, Verdict | None]):
    compared[one] = None
    try:
        compared[one] = verdict = judged(one)
    except Absent as absent:
        pytest.skip(str(absent))
    assert verdict.holds, f"greatest difference {verdict.error}, allowed {one.tolerance or 0}"
