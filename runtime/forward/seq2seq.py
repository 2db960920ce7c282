"""Encoder-decoders, asked for the first token of their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import NextToken, Want
from ...errors import ModelError
from ..tokens import Texts
from .answers import vectors
from .gemm import speed_up
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass
class EncoderDecoder:
    """A model whose encoder reads the row and whose decoder has said nothing yet."""

    network: Any
    device: str
    start: int
    """The token that begins every answer."""
    products: str

    def __str__(self) -> str:
        return f"padded rows, {self.products} products"

    def first(self, pack: Pack) -> Tensor:
        """`[rows, vocabulary]`, the logits of the answer's first token."""
        pad = self.network.config.pad_token_id or 0
        inputs = padded([pack.ids[part] for part in pack.slots], pad, self.device)
        begun = torch.full((len(pack.slots), 1), self.start, device=self.device)
        return self.network(**inputs, decoder_input_ids=begun, use_cache=False).logits[:, 0].float()


@dataclass
class AskedEncoderDecoder:
    """An encoder-decoder with the candidates for its first token."""

    model: EncoderDecoder
    fed: np.ndarray
    candidates: Mapping[Want, Tensor]
    share: bool = False

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]:
        logits = self.model.first(pack)
        known = logits - logits.logsumexp(-1, keepdim=True)
        return {want: vectors(known[:, ids].cpu().numpy()) for want, ids in self.candidates.items()}


def asked_encoder_decoder(
    model: LoadedModel, sequences: Sequences, wants: Sequence[Want]
) -> AskedEncoderDecoder:
    """The encoder-decoder with its question. Raises ModelError E440 and E442."""
    ids = {want: torch.tensor(first_tokens(want, model), device=model.device) for want in wants}
    return AskedEncoderDecoder(prepared_encoder_decoder(model), sequences.lengths, ids)


def first_tokens(want: Want, model: LoadedModel) -> list[int]:
    """The one id of every candidate."""
    if not isinstance(want, NextToken):
        raise ModelError(
            "E442", f"an encoder-decoder does not answer `{type(want).__name__.lower()}`",
            help="use a causal language model",
        )  # fmt: skip
    encoded = Texts(model.tokenizer).encode(want.candidates, special=False)
    for text, ids in zip(want.candidates, encoded, strict=True):
        if len(ids) != 1 or ids[0] == model.tokenizer.unk_token_id:
            fact = f"is {len(ids)} tokens of `{model.label}`, not one"
            raise ModelError(
                "E440", f"{text!r} {fact if len(ids) != 1 else f'is no word of `{model.label}`'}",
                help="use a model that was trained to answer in these words",
            )  # fmt: skip
    return [ids[0] for ids in encoded]


def start_token(network: Any) -> int | None:
    """The token that begins an answer, where the model's files name it."""
    known = getattr(network.config, "decoder_start_token_id", None)
    return network.generation_config.decoder_start_token_id if known is None else known


def prepared_encoder_decoder(model: LoadedModel) -> EncoderDecoder:
    """The model made ready at its first use. Raises ModelError E456."""
    if not isinstance(model.engine, EncoderDecoder):
        start = start_token(model.model)
        if start is None:
            raise ModelError(
                "E456", f"`{model.label}` does not say which token begins an answer",
                help="add `decoder_start_token_id` to its config.json; T5 has its padding token there",
            )  # fmt: skip
        model.engine = EncoderDecoder(model.model, model.device, int(start), speed_up(model.model))
    return model.engine
