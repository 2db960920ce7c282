"""Encoder-decoders, asked for the first token of their answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import NextToken, Want
from ...errors import ModelError
from ..tokens import Texts
from .answers import vectors
from .engine import Asked, Engine
from .gemm import speed_up
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass
class EncoderDecoder(Engine):
    """A model whose encoder reads the row and whose decoder has said nothing yet."""

    noun: ClassVar[str] = "an encoder-decoder"
    wants: ClassVar = (NextToken,)

    network: Any
    device: str
    start: int
    """The token that begins every answer."""
    products: str

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        """Raises ModelError E456."""
        network: Any = model.model
        start = start_token(network)
        if start is None:
            raise ModelError(
                "E456", f"`{model.label}` does not say which token begins an answer",
                help="add `decoder_start_token_id` to its config.json; T5 has its padding token there",
            )  # fmt: skip
        return cls(network, model.device, start, speed_up(network))

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        """Raises ModelError E440."""
        asked = [want for want in wants if isinstance(want, NextToken)]
        candidates = {want: torch.tensor(first_tokens(want, model), device=self.device) for want in asked}

        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            known = self.first(pack).log_softmax(-1)
            return {want: vectors(known[:, ids].cpu().numpy()) for want, ids in candidates.items()}

        return Asked(sequences.lengths, answer)

    def first(self, pack: Pack) -> Tensor:
        """`[rows, vocabulary]`, the logits of the answer's first token."""
        pad = self.network.config.pad_token_id or 0
        inputs = padded([pack.ids[part] for part in pack.slots], pad, self.device)
        begun = torch.full((len(pack.slots), 1), self.start, device=self.device)
        return self.network(**inputs, decoder_input_ids=begun, use_cache=False).logits[:, 0].float()


def first_tokens(want: NextToken, model: LoadedModel) -> list[int]:
    """The one id of every candidate."""
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
