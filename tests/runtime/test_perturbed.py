"""Copies of a row with perturbed embeddings, against the model's own reading of such embeddings."""

from __future__ import annotations

import copy
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from models_for_tests import FAMILIES, VOCABULARY, loaded
from selrun.compiler.templates import ALPACA, BARE
from selrun.compiler.wants import Perturbed, View
from selrun.runtime.forward.perturbed import Run, generator, perturbed
from selrun.runtime.models import LoadedModel, load
from selrun.runtime.nano import nano_model
from selrun.runtime.rows import read_rows
from selrun.runtime.tokens import Sequences, encode

GIVEN = View(ALPACA)
WANT = Perturbed(GIVEN.showing("response"), copies=3)
ROWS: list[dict[str, Any]] = [
    {"instruction": "Name a city.", "output": "Oslo"},
    {"instruction": "Count to three.", "output": "One, two, three."},
    {"instruction": "Say x.", "output": "x"},
]


@cache
def model() -> LoadedModel:
    return load("nano")


@cache
def frame() -> pl.DataFrame:
    return read_rows(ROWS).frame


def changes(rows: list[int], given: View = GIVEN, want: Perturbed = WANT, budget: int | None = None) -> Any:
    """The answers for these rows, `[copies, tokens]` each."""
    views = [encode(view, frame(), model().tokenizer) for view in (given, want.alone)]
    keys = [frame()["@key"][row] for row in rows]
    block = perturbed(model(), *views, np.array(rows), keys, want, token_budget=budget)
    return [np.array(each).reshape(want.copies, -1) for each in block.answers[want]]


def losses(network: Any, ids: np.ndarray, said: int, noise: np.ndarray) -> np.ndarray:
    """The losses of the last tokens of a text whose embeddings have noise, as transformers gives them."""
    tokens = torch.from_numpy(ids.astype(np.int64))[None]
    with torch.no_grad():
        embedded = network.get_input_embeddings()(tokens) + torch.from_numpy(noise)
        logs = torch.log_softmax(network(inputs_embeds=embedded).logits[:, -said - 1 : -1].float(), -1)
    return -logs[:, range(said), ids[-said:]].numpy()


def by_definition(network: Any, given: Sequences, alone: Sequences, said: int, key: str) -> np.ndarray:
    """Of one row `[copies, tokens]`, with the same draws for the response in both views."""
    size = network.get_input_embeddings().weight.shape[1]
    shape = (WANT.copies, len(given.ids), size)
    noise = generator(WANT.seed, key).random(shape, dtype=np.float32) * 2 - 1
    noise *= WANT.alpha / sqrt(len(given.ids) * size)
    shared = np.zeros((WANT.copies, len(alone.ids), size), dtype=np.float32)
    shared[:, -said:] = noise[:, -said:]
    return losses(network, given.ids, said, noise) - losses(network, alone.ids, said, shared)


def row_of(ids: np.ndarray, said: int) -> Sequences:
    """One row whose last tokens are response."""
    return Sequences(ids, np.array([0, len(ids)]), np.arange(len(ids)) >= len(ids) - said, (None,))


@pytest.mark.parametrize("row", [0, 2])
def test_a_copy_is_read_with_noise_that_the_response_has_in_both_views(row: int):
    one = frame()[row : row + 1]
    given, alone = (encode(view, one, model().tokenizer) for view in (GIVEN, WANT.alone))
    said = int(given.counts("response")[0])
    expected = by_definition(nano_model().eval(), given, alone, said, one["@key"][0])
    assert changes([row])[0] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_given_perturbed_embeddings(family: str):
    ids = np.random.Generator(np.random.PCG64(4)).integers(0, VOCABULARY, 20).astype(np.int32)
    given, alone = row_of(ids, 8), row_of(ids[-11:], 8)
    ready = loaded(family)
    expected = by_definition(copy.deepcopy(ready.model), given, alone, 8, "row")
    block = perturbed(ready, given, alone, np.array([0]), ["row"], WANT)
    assert np.array(block.answers[WANT][0]).reshape(WANT.copies, -1) == pytest.approx(expected, abs=1e-4)


def test_a_copy_does_not_depend_on_what_is_read_beside_it():
    together = changes([0, 1, 2])
    for row in range(3):
        assert together[row] == pytest.approx(changes([row])[0], abs=1e-5)
        assert together[row] == pytest.approx(changes([row], budget=1)[0], abs=1e-5)


def test_another_seed_draws_other_copies():
    other = changes([1], want=Perturbed(WANT.alone, 3, seed=1))[0]
    assert np.abs(other - changes([1])[0]).min() > 0


def test_a_first_token_that_nothing_predicts_is_left_out():
    bare = View(BARE, seam="joint", start="never")
    alone = View(BARE, ("response",), seam="joint", start="never")
    assert changes([0], bare, Perturbed(alone, 2))[0].shape == (2, len("Oslo") - 1)


def test_copies_that_do_not_fit_into_memory_are_read_half_at_a_time(monkeypatch: pytest.MonkeyPatch):
    whole, losses_of = changes([1])[0], Run.losses

    def short_of_memory(self: Run, shown: Any, predicted: Any, noise: np.ndarray) -> np.ndarray:
        if len(noise) > 1:
            raise MemoryError
        return losses_of(self, shown, predicted, noise)

    monkeypatch.setattr(Run, "losses", short_of_memory)
    assert changes([1])[0] == pytest.approx(whole, abs=1e-5)
