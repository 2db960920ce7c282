"""A causal model made ready: its attention replaced, its products chosen, and both checked against itself."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ...errors import ModelError
from . import attention
from .gemm import speed_up
from .head import Head
from .layouts import layout_of, takes_one_call
from .packing import Pack, pack, packs

if TYPE_CHECKING:
    from ..models import LoadedModel

NOT_PACKED = "its attention cannot be replaced, so rows are padded"
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
"""Norm of the difference of two right results, as a share of their own; other dtypes 0.08."""


@dataclass
class Body:
    """A causal model that turns packs into hidden states."""

    network: Any
    head: Head
    device: str
    packed: bool
    products: str
    one_call: bool = False
    """All segments attend in one variable-length call, as CUDA does it."""
    note: str | None = None
    """What the user should know of how this model is run."""

    def __str__(self) -> str:
        return f"{'packed' if self.packed else 'padded'} rows, {self.products} products"

    def run(self, pack: Pack, layers: frozenset[int]) -> tuple[dict[int, Tensor], tuple[Tensor, ...]]:
        """Hidden states `[slots, size]` by layer, -1 the last; and each row's slots in them."""
        if not pack.tokens:
            return self._nothing(pack, layers)
        if self.packed:
            output = self._packed(pack, layers)
            slots = tuple(torch.from_numpy(part).to(self.device) for part in pack.slots)
        else:
            output, slots = self._padded(pack, layers)
        return {layer: self._states(output, layer) for layer in layers}, slots

    def _nothing(self, pack: Pack, layers: frozenset[int]) -> tuple[dict[int, Tensor], tuple[Tensor, ...]]:
        size = int(self.network.config.get_text_config().hidden_size)
        empty = torch.zeros(0, dtype=torch.int64, device=self.device)
        none = torch.zeros(0, size, dtype=self.network.dtype, device=self.device)
        return dict.fromkeys(layers, none), tuple(empty for _ in pack.slots)

    def _packed(self, pack: Pack, layers: frozenset[int]) -> Any:
        layout = layout_of(pack.segments, self.device, one_call=self.one_call)
        ids, positions = (
            torch.from_numpy(part)[None].to(self.device, non_blocking=True)
            for part in (pack.ids, pack.positions)
        )
        with attention.laid_out(layout):
            return self._forward(layers, input_ids=ids, position_ids=positions)

    def _padded(self, pack: Pack, layers: frozenset[int]) -> tuple[Any, tuple[Tensor, ...]]:
        # Causal attention never looks to the right, so padding on the right needs no mask.
        width = max(len(part) for part in pack.slots)
        ids = np.zeros((len(pack.slots), width), dtype=np.int64)
        for line, part in enumerate(pack.slots):
            ids[line, : len(part)] = pack.ids[part]
        output = self._forward(layers, input_ids=torch.from_numpy(ids).to(self.device))
        starts = [line * width for line in range(len(pack.slots))]
        slots = tuple(
            torch.arange(start, start + len(part), device=self.device)
            for start, part in zip(starts, pack.slots, strict=True)
        )
        return output, slots

    def _forward(self, layers: frozenset[int], **inputs: Tensor) -> Any:
        # With a cache, transformers takes reset positions for one long row, without a word.
        return inner(self.network)(**inputs, use_cache=False, output_hidden_states=layers != {-1})

    def _states(self, output: Any, layer: int) -> Tensor:
        states = output.last_hidden_state if layer == -1 else output.hidden_states[layer]
        return states.flatten(0, 1)

    def last_layer(self) -> int:
        """The number of the last layer, which `-1` names as well."""
        return int(self.network.config.get_text_config().num_hidden_layers)


def inner(network: Any) -> Any:
    """The model without its head."""
    # Text halves of multimodal models name a prefix of the whole, and are then their own base.
    return network.base_model if network.base_model is not network else network.model


def prepared(model: LoadedModel) -> Body:
    """The model's body, made and checked at its first use."""
    if not isinstance(model.engine, Body):
        with torch.inference_mode():
            model.engine = prepare(model.model.eval(), model.device)
    return model.engine


def prepare(network: Any, device: str) -> Body:
    """A body that gives the model's own results: packed where possible, else padded."""
    products = speed_up(network)
    head = Head(network)
    trial = trial_rows(int(network.config.get_text_config().vocab_size))
    expected = [_plain(network, ids, device) for ids in trial]
    _check_head(head, expected)
    own = network.config._attn_implementation
    if takes_packed(network):
        one_call = takes_one_call(device, network.dtype)
        for body in (
            Body(network, head, device, packed=True, products=products, one_call=way)
            for way in ((True, False) if one_call else (False,))
        ):
            if _close(_answers(body, trial), expected):
                return body
    network.set_attn_implementation(own)
    return Body(network, head, device, packed=False, products=products, note=NOT_PACKED)


def takes_packed(network: Any) -> bool:
    """Whether the model takes another attention; it has it from here on."""
    attention.register()
    try:
        network.set_attn_implementation(attention.NAME)
    except (ValueError, NotImplementedError, AttributeError, TypeError):
        return False
    return network.config._attn_implementation == attention.NAME


def trial_rows(vocabulary: int) -> list[np.ndarray]:
    """Three rows of which two share their beginning, as packs treat them."""
    draws = np.random.Generator(np.random.PCG64(0))
    first, second, third = (draws.integers(0, vocabulary, size, dtype=np.int64) for size in (12, 9, 7))
    second[:4] = first[:4]
    third[:4] = first[:4]
    return [first, second, third]


def _plain(network: Any, ids: np.ndarray, device: str) -> tuple[Tensor, Tensor]:
    """Hidden states and logits of one row by the model's own means."""
    row = torch.from_numpy(ids)[None].to(device)
    states = inner(network)(input_ids=row, use_cache=False).last_hidden_state[0]
    return states, network(input_ids=row, use_cache=False).logits[0]


def _check_head(head: Head, expected: list[tuple[Tensor, Tensor]]) -> None:
    for states, logits in expected:
        if not near(head.logits(states), logits.float(), states.dtype):
            raise ModelError(
                "E443", "this model treats its logits in a way that is not known here",
                help="use a model of another family; Llama, Qwen, Mistral, Gemma, Phi and GPT-2 are known",
            )  # fmt: skip


def _answers(body: Body, trial: list[np.ndarray]) -> list[tuple[Tensor, Tensor]] | None:
    lengths = np.array([len(row) for row in trial])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    rows: Any = SimpleNamespace(ids=np.concatenate(trial), offsets=offsets)
    shared = pack(rows, np.arange(len(trial)), lengths, 4)
    apart = next(packs(rows, np.arange(len(trial)), lengths, int(lengths.sum()), share=False))
    found = []
    try:
        for each in (shared, apart):
            states, slots = body.run(each, frozenset({-1}))
            by_row = dict(zip(each.rows.tolist(), slots, strict=True))
            found.append([states[-1][by_row[row]] for row in range(len(trial))])
    except (attention.UnknownAttention, RuntimeError, TypeError, NotImplementedError, IndexError):
        return None
    if not all(near(one, two, one.dtype) for one, two in zip(*found, strict=True)):
        return None
    return [(states, states) for states in found[0]]


def _close(answers: list[tuple[Tensor, Tensor]] | None, expected: list[tuple[Tensor, Tensor]]) -> bool:
    if answers is None:
        return False
    return all(
        near(ours, theirs, theirs.dtype) for (ours, _), (theirs, _) in zip(answers, expected, strict=True)
    )


def near(ours: Tensor, theirs: Tensor, dtype: torch.dtype) -> bool:
    """Whether two results are equal but for rounding."""
    difference = (ours.float() - theirs.float()).norm()
    return bool(difference <= TOLERANCE.get(dtype, 0.08) * theirs.float().norm() + 1e-6)
