"""Causal language models: packed rows where the model's attention can be replaced, else padded ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import (
    Entropies,
    Hidden,
    Logprobs,
    NextToken,
    RelativeEntropies,
    Tokens,
    TopTwo,
    Want,
)
from ...errors import ModelError
from .answers import Reading, fed_lengths, question
from .engine import Asked, Engine
from .gemm import speed_up
from .head import Head
from .last_layer import Few, only, shorten
from .packed import REFUSALS, Way, bend_of, laid, near, right_way, same, trial_rows, ways
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences

ONE_LAYER = 0.005
"""What rounding does to logits that come from the same states by the same layer, in numbers of 16 bits."""
LAST = frozenset({-1})
"""The last layer alone."""
Slots = Sequence[np.ndarray]
"""Of each row, where its tokens lie among all states."""


@dataclass
class Body(Engine):
    """A causal model that turns packs into hidden states."""

    noun: ClassVar[str] = "a causal language model"
    wants: ClassVar = (Logprobs, Entropies, RelativeEntropies, TopTwo, Hidden, NextToken, Tokens)

    network: Any
    head: Head
    device: str
    products: str
    way: Way | None = None
    alone: bool = False
    short: bool = False
    """Whether the last layer may leave out what is not asked."""

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        """Raises ModelError E443."""
        network: Any = model.model.eval()
        products = speed_up(network)
        body = cls(network, Head(network), model.device, products)
        trial = trial_rows(int(network.config.get_text_config().vocab_size))
        own = [body.own_states(row) for row in trial]
        body.check_causal(trial[0], own[0])
        body.way = right_way(network, ways(network, model.device, causal=True), body.each, trial, own)
        body.alone = body.way is None and not same(body.filled(laid(trial)), own)
        body.short = body.packed and shorten(
            inner(network), body.last_layer(), lambda: body.gives_last(laid(trial), own)
        )
        return body

    def check_causal(self, ids: np.ndarray, own: Tensor) -> None:
        """Raises ModelError E443 where the states of a row depend on what follows."""
        half = len(ids) // 2
        if not near(self.own_states(ids[:half]), own[:half]):
            raise ModelError(
                "E443", "this model looks at the tokens that follow, so its logits predict none of them",
                help="use a causal language model, such as Llama, Qwen, Mistral, Gemma, Phi and GPT-2",
            )  # fmt: skip

    def own_states(self, ids: np.ndarray) -> Tensor:
        """The states of one row by the model's own means. Raises ModelError E443 where the head's logits are others."""
        row = torch.from_numpy(ids)[None].to(self.device)
        states = inner(self.network)(input_ids=row, use_cache=False).last_hidden_state[0]
        logits = self.network(input_ids=row, use_cache=False).logits[0]
        if not logits.isfinite().all():
            raise ModelError(
                "E443", f"this model's logits are not finite in {str(states.dtype).removeprefix('torch.')}",
                help="run it in numbers of a wider range: `--dtype bfloat16` or `--dtype float32`",
            )  # fmt: skip
        if not near(self.head.logits(states), logits.to(states.dtype), ONE_LAYER):
            raise ModelError(
                "E443", "this model treats its logits in a way that is not known here",
                help="use a model of another family; Llama, Qwen, Mistral, Gemma, Phi and GPT-2 are known",
            )  # fmt: skip
        return states

    def each(self, way: Way, pack: Pack) -> list[Tensor]:
        """The last states of each row of a pack."""
        states = way.run(inner(self.network), pack).last_hidden_state[0]
        return [states[torch.from_numpy(part).to(self.device)] for part in pack.slots]

    def filled(self, pack: Pack) -> list[Tensor]:
        """The same of rows filled up on the right."""
        output, slots = self._padded(pack, LAST)
        return [states_of(output, -1)[torch.from_numpy(part).to(self.device)] for part in slots]

    def gives_last(self, pack: Pack, own: Sequence[Tensor]) -> bool:
        """Whether rows have their own last states where nothing else is asked."""
        last = np.array([part[-1] for part in pack.slots])
        try:
            states = states_of(self._packed(pack, LAST, last), -1)
        except REFUSALS:
            return False
        return near(states[torch.from_numpy(last).to(self.device)], torch.stack([row[-1] for row in own]))

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        """Raises ModelError E440 and E442."""
        asked = question(wants, model, self.last_layer())
        layers = frozenset(asked.layers.values())

        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            reading = Reading(sequences, pack, asked, self.head, pack.slots)
            reading.states, reading.slots = self.run(pack, layers, reading.asked if self.short else None)
            return reading.answers()

        fed, bend = fed_lengths(sequences, wants), bend_of(self.network.config)
        return Asked(fed, answer, share=self.packed, alone=self.alone, bend=bend)

    def run(
        self, pack: Pack, layers: frozenset[int], asked: np.ndarray | None = None
    ) -> tuple[dict[int, Tensor], Slots]:
        """Hidden states `[slots, size]` by layer, -1 the last; and each row's slots in them.

        Where slots of the pack are asked, the last states of others may mean nothing.
        """
        if not pack.tokens:
            return self._nothing(pack, layers)
        if self.way is None:
            output, slots = self._padded(pack, layers)
        else:
            output, slots = self._packed(pack, layers, asked if self.short else None), pack.slots
        return {layer: states_of(output, layer) for layer in layers}, slots

    def _nothing(self, pack: Pack, layers: frozenset[int]) -> tuple[dict[int, Tensor], Slots]:
        size = int(self.network.config.get_text_config().hidden_size)
        none = torch.zeros(0, size, dtype=self.network.dtype, device=self.device)
        return dict.fromkeys(layers, none), pack.slots

    def _packed(self, pack: Pack, layers: frozenset[int], asked: np.ndarray | None) -> Any:
        assert self.way is not None
        few = None
        if asked is not None and len(asked) and layers == LAST:
            few = Few(torch.from_numpy(asked).to(self.device), pack.tokens)
        with only(few):
            return self.way.run(inner(self.network), pack, layers=layers != LAST)

    def _padded(self, pack: Pack, layers: frozenset[int]) -> tuple[Any, Slots]:
        # Causal attention never looks to the right, so padding on the right needs no mask.
        ids = padded([pack.ids[part] for part in pack.slots], 0, self.device)["input_ids"]
        output = inner(self.network)(input_ids=ids, use_cache=False, output_hidden_states=layers != LAST)
        starts = range(0, ids.numel(), ids.shape[1])
        return output, [start + np.arange(len(part)) for start, part in zip(starts, pack.slots, strict=True)]

    def last_layer(self) -> int:
        """The number of the last layer, which `-1` names as well."""
        return int(self.network.config.get_text_config().num_hidden_layers)


def states_of(output: Any, layer: int) -> Tensor:
    """`[slots, size]`, the states of a layer."""
    states = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
    return states.flatten(0, 1)


def inner(network: Any) -> Any:
    """The model without its head."""
    # Text halves of multimodal models name a prefix of the whole, and are then their own base.
    return network.base_model if network.base_model is not network else network.model
