"""Every want equals what a plain forward pass of one row says."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from models_for_tests import FAMILIES, LAYERS, VOCABULARY, Plain, loaded, plain, rows
from selrun.compiler.wants import (
    Embedding,
    Entropies,
    Hidden,
    Logprobs,
    NextToken,
    RelativeEntropies,
    Tokens,
    TopTwo,
    Want,
)
from selrun.errors import ModelError
from selrun.runtime.forward import sweep
from selrun.runtime.forward.body import Body
from selrun.runtime.forward.packing import packs
from selrun.runtime.models import LoadedModel, load
from selrun.runtime.tokens import Sequences

SPANS = ("prompt", "response", "whole")
POOLS = ("mean", "last", "first", "position")
NEXT = NextToken(("a", "b", "7"))
WANTS: tuple[Want, ...] = (
    *(Logprobs(span) for span in SPANS),
    *(Entropies(span) for span in SPANS),
    *(RelativeEntropies(span) for span in SPANS),
    *(TopTwo(span) for span in SPANS),
    *(Hidden(-1, pool, span) for pool in POOLS for span in SPANS),
    *(Hidden(layer, "mean", "whole") for layer in (0, 1, LAYERS, -2)),
    NEXT,
)


def answers(
    model: LoadedModel, sequences: Sequences, wants: Sequence[Want], budget: int | None = None
) -> dict[Want, list[Any]]:
    """Every want's answers in the order of the rows; `None` where a row is in no block."""
    found: dict[Want, list[Any]] = {want: [None] * len(sequences) for want in wants}
    seen: list[int] = []
    for block in sweep(model, sequences, wants, token_budget=budget):
        seen += block.rows.tolist()
        for want in wants:
            for row, answer in zip(block.rows.tolist(), block.answers[want].to_list(), strict=True):
                found[want][row] = answer
    assert sorted(seen) == np.flatnonzero(sequences.lengths).tolist()
    return found


def inside(sequences: Sequences, row: int, span: str) -> torch.Tensor:
    """Which tokens of the row belong to the span."""
    response = torch.from_numpy(sequences.response[sequences.offsets[row] : sequences.offsets[row + 1]])
    return {"response": response, "prompt": ~response, "whole": torch.ones_like(response)}[span]


def expected(sequences: Sequences, row: int, want: Want, said: Plain, tokenizer: Any) -> torch.Tensor | None:
    """The answer as its definition reads."""
    match want:
        case Logprobs(span):
            return said.logprobs[inside(sequences, row, span)[1:]]
        case Entropies(span):
            return said.entropies[inside(sequences, row, span)[1:]]
        case RelativeEntropies(span):
            return said.entropies[inside(sequences, row, span)[1:]] / math.log(len(said.after))
        case TopTwo(span):
            return said.likeliest[inside(sequences, row, span)[1:]].flatten()
        case Hidden(layer, pool, span):
            return pooled(said.hidden[layer][inside(sequences, row, span)], pool)
        case NextToken(candidates):
            return said.after[[tokenizer.encode(c, add_special_tokens=False)[0] for c in candidates]]
        case _:
            raise AssertionError(want)


def pooled(states: torch.Tensor, pool: str) -> torch.Tensor | None:
    if not len(states):
        return None
    weights = torch.arange(1, len(states) + 1)[:, None].float()
    return {
        "mean": states.mean(0),
        "last": states[-1],
        "first": states[0],
        "position": (states * weights).sum(0) / weights.sum(),
    }[pool]


def check(sequences: Sequences, found: dict[Want, list[Any]], said: list[Plain | None], model: Any) -> None:
    for want, values in found.items():
        for row, value in enumerate(values):
            if said[row] is None:
                assert value is None
                continue
            right = expected(sequences, row, want, said[row], model.tokenizer)
            assert (value is None) == (right is None), (want, row)
            if right is not None:
                np.testing.assert_allclose(
                    value, right.numpy(), rtol=2e-5, atol=2e-5, err_msg=f"{want} {row}"
                )


@pytest.mark.parametrize("budget", [None, 1, 50])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_want_is_what_the_model_says_of_the_row_alone(family: str, budget: int | None) -> None:
    model, sequences = loaded(family), rows()
    said = plain(model.model, sequences)
    check(sequences, answers(model, sequences, WANTS, budget), said, model)


def test_padded_rows_say_the_same() -> None:
    model, sequences = loaded("llama"), rows()
    said = plain(model.model, sequences)
    Body.prepared(model).way = None
    model.model.set_attn_implementation("sdpa")
    check(sequences, answers(model, sequences, WANTS), said, model)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_packed_unless_the_attention_does_more_than_packed_rows_can(family: str) -> None:
    assert Body.prepared(loaded(family)).packed == (family != "gemma2")


def test_rows_that_begin_alike_run_their_beginning_once() -> None:
    model, sequences = loaded("llama"), rows((40,) * 10, shared=30)
    blocks = list(sweep(model, sequences, [Logprobs("whole")]))
    assert sum(block.tokens for block in blocks) == 30 + 10 * (39 - 30)


def test_two_beginnings_are_two_families() -> None:
    one, two = rows((40,) * 10, shared=30), rows((50,) * 10, shared=20)
    two.ids[:] = VOCABULARY - 1 - two.ids
    both = Sequences(
        np.concatenate([one.ids, two.ids]), np.concatenate([one.offsets, 400 + two.offsets[1:]]),
        np.concatenate([one.response, two.response]), one.problems + two.problems,
    )  # fmt: skip
    laid = list(packs(both, np.arange(20), both.lengths, 1000))
    assert sorted(pack.tokens for pack in laid) == [30 + 10 * 10, 20 + 10 * 30]


def test_tokens_after_the_last_one_needed_are_not_run() -> None:
    model, sequences = loaded("llama"), rows((40,), shared=0)
    tokens = {want: sum(b.tokens for b in sweep(model, sequences, [want])) for want in WANTS}
    assert tokens[Logprobs("response")] == 39
    assert tokens[Logprobs("prompt")] == 19
    assert tokens[Hidden(-1, "mean", "prompt")] == 20
    assert tokens[NEXT] == 40


def test_counting_tokens_runs_nothing() -> None:
    blocks = list(sweep(loaded("llama"), rows((10, 4), shared=0), [Tokens("prompt")]))
    assert [block.answers[Tokens("prompt")].to_list() for block in blocks] == [[5, 2]]
    assert sum(block.tokens for block in blocks) == 0


def test_answers_have_the_types_that_the_wants_promise() -> None:
    block = next(iter(sweep(loaded("llama"), rows(), WANTS)))
    kinds = {type(want): str(block.answers[want].dtype) for want in WANTS}
    assert kinds == {
        Logprobs: "List(Float32)",
        Entropies: "List(Float32)",
        RelativeEntropies: "List(Float32)",
        TopTwo: "List(Float32)",
        Hidden: "Array(Float32, shape=(32,))",
        NextToken: "List(Float32)",
    }


def test_what_a_want_gives_does_not_depend_on_what_is_asked_beside_it() -> None:
    model, sequences = loaded("llama"), rows()
    alone: tuple[Want, ...] = (Logprobs(), Entropies(), RelativeEntropies(), TopTwo())
    together = answers(model, sequences, alone)
    assert [answers(model, sequences, [want])[want] for want in alone] == list(together.values())


def short_of_memory(model: LoadedModel, most: int) -> list[int]:
    """Lets the model fail above so many tokens, as an allocator does; returns the sizes it was asked for."""
    Body.prepared(model)
    asked: list[int] = []

    def refuse(module: Any, positional: Any, named: dict[str, Any]) -> None:
        asked.append(named["input_ids"].numel())
        if asked[-1] > most:
            raise torch.OutOfMemoryError("CUDA out of memory")

    model.model.base_model.register_forward_pre_hook(refuse, with_kwargs=True)
    return asked


def test_running_out_of_memory_halves_the_budget_and_loses_nothing() -> None:
    model, sequences = loaded("llama"), rows((30,) * 40, shared=0)
    said = plain(model.model, sequences)
    asked = short_of_memory(model, 300)
    check(sequences, answers(model, sequences, [Logprobs("whole")], 1100), said, model)
    assert asked[0] > 1000
    assert max(asked[3:]) <= 300


def test_a_row_that_does_not_fit_into_memory_is_an_error() -> None:
    model = loaded("llama")
    short_of_memory(model, 20)
    with pytest.raises(ModelError, match="a row of 29 tokens does not fit into memory") as raised:
        answers(model, rows((30, 10), shared=0), [Logprobs("whole")])
    assert raised.value.code == "E441"


def test_logits_treated_in_an_unknown_way_are_refused() -> None:
    model = loaded("llama")
    forward = model.model.forward

    def louder(*positional: Any, **named: Any) -> Any:
        output = forward(*positional, **named)
        output.logits = output.logits * 3
        return output

    model.model.forward = louder
    with pytest.raises(ModelError) as raised:
        Body.prepared(model)
    assert raised.value.code == "E443"


@pytest.mark.parametrize("want", [Embedding(), Hidden(layer=9)])
def test_what_a_causal_model_cannot_answer_is_refused(want: Want) -> None:
    with pytest.raises(ModelError) as raised:
        answers(loaded("llama"), rows(), [want])
    assert raised.value.code == "E442"


def test_a_candidate_of_two_tokens_is_refused() -> None:
    row = Sequences(np.array([256, 65]), np.array([0, 2]), np.array([False, True]), (None,))
    with pytest.raises(ModelError, match="'10' is 2 tokens of `nano`") as raised:
        list(sweep(load("nano"), row, [NextToken(("1", "10"))]))
    assert raised.value.code == "E440"


def test_bfloat16_stays_near_float32() -> None:
    exact, sequences = loaded("llama"), rows()
    half = loaded("llama")
    half.model, half.dtype = half.model.bfloat16(), "bfloat16"
    want = Logprobs("response")
    for one, two in zip(
        answers(exact, sequences, [want])[want], answers(half, sequences, [want])[want], strict=True
    ):
        assert one is None or np.allclose(one, two, atol=0.5)
    assert half.engine.packed


def test_progress_counts_rows_and_tokens() -> None:
    told: list[tuple[int, int]] = []
    list(
        sweep(
            loaded("llama"),
            rows((20, 10), shared=0),
            [NEXT],
            token_budget=1,
            progress=lambda *n: told.append(n),
        )
    )
    assert told == [(1, 20), (2, 30)]
