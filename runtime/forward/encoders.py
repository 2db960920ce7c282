"""Sentence encoders: their own vectors, from packed rows where their attention can be replaced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Embedding, Want
from ...errors import ModelError
from ..models import RESERVED_POSITIONS
from . import attention
from .gemm import speed_up
from .laid_out import lay_out
from .layouts import layout_of, takes_one_call
from .packing import Pack, packs

if TYPE_CHECKING:
    from ..models import LoadedModel

TOLERANCE = {torch.float32: 1e-4}
"""Largest difference between two right vectors of unit length; other dtypes 0.05."""


@dataclass
class Encoder:
    """A sentence encoder that turns packs into vectors."""

    network: Any
    """A SentenceTransformer: a transformer, a pooling, and what may follow."""
    device: str
    packed: bool
    products: str

    def __str__(self) -> str:
        return f"{'packed' if self.packed else 'padded'} rows, {self.products} products"

    def vectors(self, pack: Pack) -> pl.Series:
        """`Array(Float32, d)`, one per row of the pack."""
        found = self.rows(pack).float().cpu().numpy()
        flat = pl.Series("answer", found.reshape(-1))
        return flat.reshape((len(found), found.shape[1]))

    def rows(self, pack: Pack) -> Tensor:
        """`[rows, d]`."""
        return self._packed(pack) if self.packed else self._padded(pack)

    def _packed(self, pack: Pack) -> Tensor:
        states = packed_states(self.network[0].auto_model, pack, self.device).last_hidden_state[0]
        width = max(len(part) for part in pack.slots)
        spread = states.new_zeros(len(pack.slots), width, states.shape[-1])
        for line, part in enumerate(pack.slots):
            spread[line, : len(part)] = states[torch.from_numpy(part).to(self.device)]
        features = {"token_embeddings": spread, "attention_mask": self._mask(pack, width)}
        for module in list(self.network)[1:]:
            features = module(features)
        return features["sentence_embedding"]

    def _padded(self, pack: Pack) -> Tensor:
        width = max(len(part) for part in pack.slots)
        pad = self.network.tokenizer.pad_token_id or 0
        ids = np.full((len(pack.slots), width), pad, dtype=np.int64)
        for line, part in enumerate(pack.slots):
            ids[line, : len(part)] = pack.ids[part]
        features = {
            "input_ids": torch.from_numpy(ids).to(self.device),
            "attention_mask": self._mask(pack, width),
        }
        return self.network(features)["sentence_embedding"]

    def _mask(self, pack: Pack, width: int) -> Tensor:
        lengths = np.array([len(part) for part in pack.slots])
        return torch.from_numpy((np.arange(width) < lengths[:, None]).astype(np.int64)).to(self.device)


def packed_states(body: Any, pack: Pack, device: str, *, layers: bool = False) -> Any:
    """What a transformer gives for packed rows; every layer's states where `layers`."""
    causal = bool(getattr(body.config, "is_decoder", False))
    one_call = takes_one_call(device, body.dtype)
    layout = layout_of(pack.segments, device, causal=causal, one_call=one_call)
    ids = torch.from_numpy(pack.ids)[None].to(device)
    positions = torch.from_numpy(pack.positions + first_position(body.config))[None].to(device)
    with attention.laid_out(layout):
        return body(input_ids=ids, position_ids=positions, output_hidden_states=layers)


def first_position(config: Any) -> int:
    """The place of a row's first token: RoBERTa's kin begin after the padding token's."""
    return int(config.pad_token_id) + 1 if config.model_type in RESERVED_POSITIONS else 0


def prepared_encoder(model: LoadedModel, wants: Sequence[Want]) -> Encoder:
    """The model's encoder, made and checked at its first use. Raises ModelError E442."""
    for want in wants:
        if not isinstance(want, Embedding):
            raise ModelError(
                "E442", f"a sentence encoder does not answer `{type(want).__name__.lower()}`",
                help="use a causal language model",
            )  # fmt: skip
    if not isinstance(model.engine, Encoder):
        with torch.inference_mode():
            model.engine = prepare(model.model, model.device)
    return model.engine


def prepare(network: Any, device: str) -> Encoder:
    """An encoder that gives the model's own vectors: packed where possible, else padded."""
    body = getattr(network[0], "auto_model", None)
    if body is None:
        return Encoder(network, device, packed=False, products=speed_up(network))
    padded = Encoder(network, device, packed=False, products=lay_out(network))
    trial = _trial(int(body.config.vocab_size))
    expected = padded.rows(trial)
    own = body.config._attn_implementation
    packed = Encoder(network, device, packed=True, products=padded.products)
    attention.register()
    try:
        body.set_attn_implementation(attention.NAME)
        found = packed.rows(trial)
    except (attention.UnknownAttention, RuntimeError, TypeError, ValueError, AttributeError, KeyError):
        found = None
    if found is not None and _near(found, expected):
        return packed
    body.set_attn_implementation(own)
    return padded


def _trial(vocabulary: int) -> Pack:
    draws = np.random.Generator(np.random.PCG64(0))
    lengths = np.array([11, 7])
    rows: Any = SimpleNamespace(
        ids=draws.integers(0, vocabulary, lengths.sum(), dtype=np.int64), offsets=np.array([0, 11, 18])
    )
    return next(packs(rows, np.arange(2), lengths, 18, share=False))


def _near(ours: Tensor, theirs: Tensor) -> bool:
    scale = float(theirs.abs().max())
    return bool((ours - theirs).abs().max() <= TOLERANCE.get(theirs.dtype, 0.05) * max(scale, 1e-6) * 10)
