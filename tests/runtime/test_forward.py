"""Every want equals what a plain forward pass of one row says."""

from __future__ import annotations

import pytest
from selrun.compiler.wants import NextToken
from selrun.errors import ModelError
from selrun.runtime.forward import sweep
from selrun.runtime.models import load
from selrun.runtime.tokens import Sequences


def test_a_candidate_of_two_tokens_is_refused() -> None:
    import numpy as np

    row = Sequences(np.array([256, 65]), np.array([0, 2]), np.array([False, True]), (None,))
    with pytest.raises(ModelError, match="'10' is 2 tokens of `nano`") as raised:
        list(sweep(load("nano"), row, [NextToken(("1", "10"))]))
    assert raised.value.code == "E440"
