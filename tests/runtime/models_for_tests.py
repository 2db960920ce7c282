"""Small random models, and what plain forward passes of one row say."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from selrun.compiler.facts import Card
from selrun.runtime.models import LoadedModel
from selrun.runtime.nano import nano_tokenizer
from selrun.runtime.tokens import Sequences

VOCABULARY, HIDDEN, LAYERS = 300, 32, 3


def llama() -> Any:
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**shape(), num_key_value_heads=2))


def gpt2() -> Any:
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCABULARY, n_embd=HIDDEN, n_layer=LAYERS, n_head=4, n_positions=256)
    )


def mistral() -> Any:
    """Attention over the last eight tokens only."""
    from transformers import MistralConfig, MistralForCausalLM

    return MistralForCausalLM(MistralConfig(**shape(), num_key_value_heads=2, sliding_window=8))


def gemma2() -> Any:
    """Capped attention scores, which packed rows do not do, and capped logits."""
    from transformers import Gemma2Config, Gemma2ForCausalLM

    config = Gemma2Config(
        **shape(), num_key_value_heads=2, head_dim=8, final_logit_softcapping=0.5, attn_logit_softcapping=1.0,
        sliding_window=8, attn_implementation="eager",
    )  # fmt: skip
    return Gemma2ForCausalLM(config)


def granite() -> Any:
    """Logits divided by a constant."""
    from transformers import GraniteConfig, GraniteForCausalLM

    return GraniteForCausalLM(GraniteConfig(**shape(), num_key_value_heads=2, logits_scaling=4.0))


def phi3() -> Any:
    """LongRoPE: rows of more than 40 tokens are turned otherwise, all of their positions."""
    from transformers import Phi3Config, Phi3ForCausalLM

    scaling = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [8.0] * 4}
    config = Phi3Config(
        **shape(),
        num_key_value_heads=2,
        original_max_position_embeddings=40,
        rope_scaling=scaling,
        pad_token_id=0,
    )
    return Phi3ForCausalLM(config)


def shape() -> dict[str, Any]:
    return {
        "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "intermediate_size": 48,
        "num_hidden_layers": LAYERS, "num_attention_heads": 4, "max_position_embeddings": 256,
    }  # fmt: skip


FAMILIES: dict[str, Callable[[], Any]] = {
    make.__name__: make for make in (llama, gpt2, mistral, gemma2, granite, phi3)
}


def loaded(family: str) -> LoadedModel:
    """The random model of that family, larger in its numbers than a fresh one, so that mistakes show."""
    torch.manual_seed(1)
    network = FAMILIES[family]().eval().requires_grad_(False)
    for parameter in network.parameters():
        if parameter.dim() > 1:
            parameter.mul_(4)
    card = Card(kind="causal", context=256, hidden=HIDDEN, layers=LAYERS, vocabulary=VOCABULARY)
    return LoadedModel(network, nano_tokenizer(), card, "float32", "cpu", family)


def rows(lengths: tuple[int, ...] = (40, 31, 31, 17, 5, 1, 0, 2), *, shared: int = 12) -> Sequences:
    """Random rows that begin alike; of each the second half is response. An empty one has a problem."""
    draws = np.random.Generator(np.random.PCG64(3))
    beginning = draws.integers(0, VOCABULARY, shared)
    ids = [draws.integers(0, VOCABULARY, length).astype(np.int32) for length in lengths]
    for row in ids:
        row[:shared] = beginning[: len(row)]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    response = np.concatenate([np.arange(length) >= (length + 1) // 2 for length in lengths])
    problems = tuple(None if length else "no response" for length in lengths)
    return Sequences(np.concatenate(ids).astype(np.int32), offsets, response, problems)


@dataclass(frozen=True)
class Plain:
    """One row alone through the untouched model."""

    logprobs: torch.Tensor
    """`[tokens - 1]`, of every token but the first."""
    entropies: torch.Tensor
    likeliest: torch.Tensor
    """`[tokens - 1, 2]`, log-probabilities of the two likeliest tokens in the place of each but the first."""
    hidden: tuple[torch.Tensor, ...]
    """`[tokens, size]` by layer."""
    after: torch.Tensor
    """`[vocabulary]`, log-probabilities of the token after the row."""


def plain(network: Any, sequences: Sequences) -> list[Plain | None]:
    """What the untouched model says of every row; `None` for an empty one."""
    network = copy.deepcopy(network)
    found: list[Plain | None] = []
    for start, stop in zip(sequences.offsets[:-1], sequences.offsets[1:], strict=True):
        ids = torch.from_numpy(sequences.ids[start:stop].astype(np.int64))
        found.append(alone(network, ids) if len(ids) else None)
    return found


def alone(network: Any, ids: torch.Tensor) -> Plain:
    with torch.no_grad():
        output = network(ids[None], output_hidden_states=True, use_cache=False)
    logs = torch.log_softmax(output.logits[0], -1)
    spread = -(logs.exp() * logs).sum(-1)
    known = logs[:-1].gather(1, ids[1:, None])[:, 0]
    likeliest = logs[:-1].sort(-1, descending=True).values[:, :2]
    return Plain(known, spread[:-1], likeliest, tuple(states[0] for states in output.hidden_states), logs[-1])
