"""A ranker's number for every row, from all layers of its encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Rank, Want
from ...errors import ModelError
from . import attention
from .body import near, trial_rows
from .encoders import packed_states
from .heads import laid
from .laid_out import lay_out
from .packing import Pack
from .padding import padded
from .ranker import Ranker

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass
class Ranking:
    """A ranker that turns packs into numbers."""

    ranker: Ranker
    device: str
    packed: bool
    products: str

    def __str__(self) -> str:
        return f"{'packed' if self.packed else 'padded'} rows, {self.products} products"

    def scores(self, pack: Pack) -> Tensor:
        """`[rows]`."""
        return self.ranker.scores(self._packed(pack) if self.packed else self._padded(pack))

    def _packed(self, pack: Pack) -> Tensor:
        """`[rows, size]`, the mean of the mixed layers over each row's tokens."""
        layers = packed_states(self.ranker.body, pack, self.device, layers=True).hidden_states
        mixed = self.ranker.mixed(layers)[0]
        lengths = torch.tensor([len(part) for part in pack.slots], device=mixed.device)
        return torch.segment_reduce(mixed, "mean", lengths=lengths, axis=0)

    def _padded(self, pack: Pack) -> Tensor:
        pad = self.ranker.config.pad_token_id or 0
        inputs = padded([pack.ids[part] for part in pack.slots], pad, self.device)
        mixed = self.ranker.mixed(self.ranker.body(**inputs, output_hidden_states=True).hidden_states)
        return mean_over(mixed, inputs["attention_mask"])


def mean_over(states: Tensor, mask: Tensor) -> Tensor:
    """`[rows, size]`, the mean of `[rows, tokens, size]` over the tokens that are no padding."""
    kept = mask[:, :, None].to(states.dtype)
    return (states * kept).sum(1) / kept.sum(1)


@dataclass
class AskedRanker:
    """A ranker, asked for its numbers."""

    ranking: Ranking
    fed: np.ndarray
    wants: Sequence[Want]
    share: bool = False

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]:
        found = self.ranking.scores(pack).float().cpu().numpy()
        return dict.fromkeys(self.wants, pl.Series("answer", found, dtype=pl.Float32))


def asked_ranker(model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> AskedRanker:
    """The ranker with its question. Raises ModelError E442."""
    if strange := next((want for want in wants if not isinstance(want, Rank)), None):
        raise ModelError(
            "E442", f"a ranker does not answer `{type(strange).__name__.lower()}`",
            help="use a causal language model",
        )  # fmt: skip
    return AskedRanker(prepared_ranker(model), sequences.lengths, wants)


def prepared_ranker(model: LoadedModel) -> Ranking:
    """The model's ranker, made and checked at its first use."""
    if not isinstance(model.engine, Ranking):
        ranker: Any = model.model
        with torch.inference_mode():
            model.engine = prepare(ranker, model.device)
    return model.engine


def prepare(ranker: Ranker, device: str) -> Ranking:
    """A ranking that gives the model's own numbers: packed where possible, else padded."""
    plain = Ranking(ranker, device, packed=False, products=lay_out(ranker.body))
    body, own = ranker.body, ranker.config._attn_implementation
    trial = laid(trial_rows(int(ranker.config.vocab_size)))
    expected = plain._padded(trial)
    packed = Ranking(ranker, device, packed=True, products=plain.products)
    attention.register()
    try:
        body.set_attn_implementation(attention.NAME)
        if near(packed._packed(trial), expected, expected.dtype):
            return packed
    except (attention.UnknownAttention, RuntimeError, TypeError, ValueError, AttributeError, KeyError):
        pass
    body.set_attn_implementation(own)
    return plain
