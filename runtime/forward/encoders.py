"""Sentence encoders: their own vectors, from packed rows where their attention can be replaced."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Embedding, Want
from .engine import Asked, Engine
from .gemm import speed_up
from .laid_out import lay_out
from .packed import Way, bend_of, laid, right_way, same, trial_rows, ways
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass
class Encoder(Engine):
    """A sentence encoder that turns packs into vectors."""

    noun: ClassVar[str] = "a sentence encoder"
    wants: ClassVar = (Embedding,)

    network: Any
    """A SentenceTransformer: a transformer, a pooling, and what may follow."""
    device: str
    products: str
    way: Way | None = None
    alone: bool = False

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        network: Any = model.model
        body = getattr(network[0], "auto_model", None)
        if body is None:
            return cls(network, model.device, speed_up(network))
        encoder = cls(network, model.device, lay_out(network))
        trial = trial_rows(int(body.config.vocab_size))
        own = [encoder.filled(laid([row]))[0] for row in trial]
        both = chain.from_iterable(ways(body, model.device, causal=causal) for causal in (False, True))
        encoder.way = right_way(body, both, encoder.along, trial, own)
        encoder.alone = encoder.way is None and not same(list(encoder.filled(laid(trial))), own)
        return encoder

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            return dict.fromkeys(wants, self.vectors(pack))

        body = getattr(self.network[0], "auto_model", None)
        bend = bend_of(body.config) if body is not None else inf
        share = self.way is not None and self.way.causal
        return Asked(sequences.lengths, answer, share=share, alone=self.alone, bend=bend)

    def vectors(self, pack: Pack) -> pl.Series:
        """`Array(Float32, d)`, one per row of the pack."""
        rows = self.filled(pack) if self.way is None else self.along(self.way, pack)
        found = rows.float().cpu().numpy()
        return pl.Series("answer", found.reshape(-1)).reshape(found.shape)

    def along(self, way: Way, pack: Pack) -> Tensor:
        """`[rows, d]`, of packed rows."""
        states = way.run(self.network[0].auto_model, pack).last_hidden_state[0]
        mask = padded([pack.ids[part] for part in pack.slots], 0, self.device)["attention_mask"]
        spread = states.new_zeros(*mask.shape, states.shape[-1])
        spread[mask.bool()] = states[torch.from_numpy(np.concatenate(pack.slots)).to(self.device)]
        features = {"token_embeddings": spread, "attention_mask": mask}
        for module in list(self.network)[1:]:
            features = module(features)
        return features["sentence_embedding"]

    def filled(self, pack: Pack) -> Tensor:
        """`[rows, d]`, of rows filled up on the right."""
        pad = self.network.tokenizer.pad_token_id or 0
        features = padded([pack.ids[part] for part in pack.slots], pad, self.device)
        return self.network(features)["sentence_embedding"]
