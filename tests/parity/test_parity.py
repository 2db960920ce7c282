"""Every method gives what its authors' code gave, within its tolerance."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from parity.claim import Absent, Claim, judged
from parity.families import CLAIMS
from parity.table import LINE, cells

Record = Callable[[str, object], None]


@pytest.mark.parametrize("one", CLAIMS, ids=lambda one: one.name)
def test_gives_what_the_authors_code_gave(one: Claim, record_property: Record):
    try:
        verdict = judged(one)
    except Absent as absent:
        record_property(LINE, cells(one, None))
        pytest.skip(str(absent))
    record_property(LINE, cells(one, verdict))
    assert verdict.holds, f"greatest difference {verdict.error}, allowed {one.tolerance or 0}"
