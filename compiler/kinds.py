"""Which kind of model answers which want."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from .op import Op, Request
from .values import Model, ModelKind
from .wants import Embedding, Likeness, Logits, NextToken, Rank, Tokens

IN_WORDS: Mapping[ModelKind, str] = {
    "causal": "a causal language model",
    "encoder": "an encoder without a head",
    "classifier": "a model with a classification head",
    "seq2seq": "an encoder-decoder",
    "ranker": "a ranker: an encoder beside a `head.safetensors`",
    "vision": "a model of images and captions",
    "api": "a model behind an API",
    "unknown": "of unknown kind, for its config.json names no architecture",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A model that cannot answer what is asked of it."""

    model: Model
    needed: ModelKind

    @property
    def headline(self) -> str:
        return f"`{self.model.label}` is {IN_WORDS[self.model.kind]}"

    @property
    def help(self) -> str:
        return f"name {IN_WORDS[self.needed]}"


def answering(request: Request) -> tuple[ModelKind, ...]:
    """The kinds of models that answer a request, the usual one first."""
    match request.want:
        case Logits():
            return ("classifier",)
        case Rank():
            return ("ranker",)
        case Likeness():
            return ("vision",)
        case Embedding():
            return ("encoder",)
        case NextToken() if request.view.seam == "own":
            return ("seq2seq",)
        case Tokens():
            return ("causal", "encoder", "seq2seq", "classifier", "ranker", "vision")
        case _:
            return ("causal",)


def mismatches(op: Op) -> Iterator[Mismatch]:
    """The models of known kind that cannot answer what the operation asks of them."""
    for request in op.requests().values():
        kinds = answering(request)
        if request.model.kind not in ("unknown", "api", *kinds):
            yield Mismatch(request.model, kinds[0])
