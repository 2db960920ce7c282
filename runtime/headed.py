"""Loading models that are no causal language models: classifiers, encoder-decoders, rankers, image encoders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..compiler.facts import Card
from ..compiler.kinds import IN_WORDS
from ..compiler.values import ModelKind
from ..errors import ModelError
from .models import (
    RANKER_HEAD,
    LoadedModel,
    checked_weights,
    does_not_load,
    first_line,
    found,
    refusals,
    tokenizer_of,
)


def load_headed(target: str, card: Card, dtype: str, device: str) -> LoadedModel:
    """The model in memory, evaluated and without gradients. Raises ModelError E431 to E436 and E459."""
    import torch

    make = MAKERS.get(card.kind)
    if make is None:
        raise ModelError(
            "E434", f"`{target}` is no model that can be run here: it is {IN_WORDS[card.kind]}",
            help="name a causal language model, such as `gpt2`, or a sentence encoder, such as `minilm`",
        )  # fmt: skip
    folder = found(target)
    network = make(folder, target, getattr(torch, dtype)).eval().requires_grad_(False)
    ready = network.to(device=device, dtype=getattr(torch, dtype))
    if card.kind == "vision":
        card = replace(card, context=network.config.text_config.max_position_embeddings)
    return LoadedModel(ready, tokenizer_of(folder, target), card, dtype, device, target)


def classifier(folder: Path, target: str, dtype: Any) -> Any:
    from transformers import AutoModelForSequenceClassification

    # Unlike in an encoder, a pooler that the files lack would be part of every answer.
    return checked_weights(AutoModelForSequenceClassification, folder, target, dtype, unused=())


def encoder_decoder(folder: Path, target: str, dtype: Any) -> Any:
    from transformers import AutoModelForSeq2SeqLM

    return checked_weights(AutoModelForSeq2SeqLM, folder, target, dtype)


def ranker(folder: Path, target: str, dtype: Any) -> Any:
    """The encoder of the folder under the layer mix and the head beside it."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    from .forward.ranker import MisfitHead, Ranker

    body = checked_weights(AutoModel, folder, target, dtype)
    try:
        return Ranker.of(body, load_file(folder / RANKER_HEAD))
    except refusals() as error:
        raise does_not_load(target, f"{RANKER_HEAD}: {first_line(error)}") from None
    except MisfitHead as misfit:
        raise ModelError(
            "E459", f"{RANKER_HEAD} of `{target}` does not fit its encoder: {misfit}",
            help="take both from one checkpoint; `selrun ops iqs` says what the file holds",
        ) from None  # fmt: skip


def images_and_captions(folder: Path, target: str, dtype: Any) -> Any:
    from transformers import CLIPModel

    from .forward.images import Eyes

    network = checked_weights(CLIPModel, folder, target, dtype)
    return Eyes(network, str(folder))


MAKERS: Mapping[ModelKind, Callable[[Path, str, Any], Any]] = {
    "classifier": classifier,
    "seq2seq": encoder_decoder,
    "ranker": ranker,
    "vision": images_and_captions,
}
