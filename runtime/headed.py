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
from . import comet
from .models import (
    RANKER_HEAD,
    LoadedModel,
    checked_weights,
    complete,
    does_not_load,
    first_line,
    found,
    refusals,
    tokenizer_of,
    told_in,
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
    tokenizer = tokenizer_of(told_in(folder, target), target)
    return LoadedModel(ready, tokenizer, card, dtype, device, target)


def classifier(folder: Path, target: str, dtype: Any) -> Any:
    from transformers import AutoModelForSequenceClassification

    # Unlike in an encoder, a pooler that the files lack would be part of every answer.
    return checked_weights(AutoModelForSequenceClassification, folder, target, dtype, unused=())


def encoder_decoder(folder: Path, target: str, dtype: Any) -> Any:
    from transformers import AutoModelForSeq2SeqLM

    return checked_weights(AutoModelForSeq2SeqLM, folder, target, dtype)


def ranker(folder: Path, target: str, dtype: Any) -> Any:
    """The encoder of the folder under the layer mix and the head beside it."""
    from .forward.ranker import MisfitHead, Ranker

    body, head = (comet_parts if comet.is_comet(folder) else parts)(folder, target, dtype)
    try:
        return Ranker.of(body, head)
    except MisfitHead as misfit:
        raise ModelError(
            "E459", f"the head of `{target}` does not fit its encoder: {misfit}",
            help="take both from one checkpoint; `selrun ops iqs` says what it holds",
        ) from None  # fmt: skip


def parts(folder: Path, target: str, dtype: Any) -> tuple[Any, Mapping[str, Any]]:
    """The encoder, and the weights of the head that lie beside it."""
    from safetensors.torch import load_file
    from transformers import AutoModel

    body = checked_weights(AutoModel, folder, target, dtype)
    try:
        return body, load_file(folder / RANKER_HEAD)
    except refusals() as error:
        raise does_not_load(target, f"{RANKER_HEAD}: {first_line(error)}") from None


def comet_parts(folder: Path, target: str, dtype: Any) -> tuple[Any, Mapping[str, Any]]:
    """The encoder and the weights of the head, both from one checkpoint."""
    import torch
    from transformers import AutoConfig, AutoModel

    start = len(comet.ENCODER)
    try:
        held = comet.weights_of(folder, target)
        config = AutoConfig.from_pretrained(told_in(folder, target), local_files_only=True)
        own = {name[start:]: weight for name, weight in held.items() if name.startswith(comet.ENCODER)}
        with torch.device("meta"):
            kind = type(AutoModel.from_config(config))
        body, report = kind.from_pretrained(
            None, config=config, state_dict=own, dtype=dtype, output_loading_info=True
        )
    except refusals() as error:
        raise does_not_load(target, f"{type(error).__name__}: {first_line(error)}") from None
    head = {name: weight for name, weight in held.items() if not name.startswith("encoder.")}
    return complete(body, report, target), head


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
