"""Which text of a row a vector is of."""

from __future__ import annotations

import polars as pl
import pytest
from answers import ENCODER, NANO
from selrun.compiler.op import Request
from selrun.compiler.templates import ALPACA, BARE
from selrun.compiler.wants import Embedding, Hidden, Template, View
from selrun.errors import DataError
from selrun.stdlib.embed.vector import Vector
from selrun.stdlib.embed.vectors import points

OWN = Template("own", "Q: {instruction} A: {response}", "Q: {instruction} A: {response}", "")


def test_an_encoder_reads_the_plain_text_unless_a_template_is_given():
    plain = Vector(using=ENCODER, of="whole").requests()
    assert plain == {"vector": Request(ENCODER, View(BARE, text=("@prompt", "@response")), Embedding())}
    written = Vector(using=ENCODER, template=OWN).requests()
    assert written == {"vector": Request(ENCODER, View(OWN, ("prompt",), seam="own"), Embedding())}


@pytest.mark.parametrize(("given", "shown"), [(None, ALPACA), (OWN, OWN)])
def test_a_language_model_reads_alpaca_unless_a_template_is_given(given: Template | None, shown: Template):
    wanted = {"vector": Request(NANO, View(shown, ("prompt",)), Hidden(-1, "mean", "prompt"))}
    assert Vector(using=NANO, template=given).requests() == wanted


def test_a_column_of_nulls_is_said_to_hold_no_value():
    with pytest.raises(DataError, match="`place` does not hold vectors of one length: it holds no value"):
        points(pl.Series("place", [None, None], dtype=pl.String))
