"""Classification and regression heads: the logits of a row from packed tokens where its body is causal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Logits, Want
from ...errors import ModelError
from . import attention
from .answers import vectors
from .body import Body, near, takes_packed, trial_rows
from .gemm import speed_up
from .laid_out import lay_out
from .layouts import takes_one_call
from .packing import Pack, pack, packs
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


CHUNK_TOKENS = 4096
"""Tokens of the pieces of long rows that are read at once."""


@dataclass
class Classifier:
    """A model with a classification or regression head that turns packs into logits."""

    network: Any
    device: str
    products: str
    body: Body | None = None
    """The causal body that is run on packed rows; without one the whole model is run on padded ones."""

    def __str__(self) -> str:
        return f"{'packed' if self.body else 'padded'} rows, {self.products} products"

    @property
    def pad(self) -> int | None:
        """The token that a causal head takes for padding, wherever it stands."""
        return self.network.config.get_text_config().pad_token_id

    def logits(self, pack: Pack, types: Sequence[np.ndarray] | None = None) -> Tensor:
        """`[rows, labels]`; `types` are the token types of each row, where the model reads them."""
        return self._packed(pack) if self.body else self._padded(pack, types)

    def _packed(self, pack: Pack) -> Tensor:
        assert self.body is not None
        states, slots = self.body.run(pack, frozenset({-1}))
        last = [
            slot[last_kept(pack.ids[part], self.pad)] for slot, part in zip(slots, pack.slots, strict=True)
        ]
        return self.network.score(states[-1][torch.stack(last)])

    def _padded(self, pack: Pack, types: Sequence[np.ndarray] | None) -> Tensor:
        rows = [pack.ids[part] for part in pack.slots]
        if self.pad is None:
            return torch.cat([self._together([row], None) for row in rows])
        return self._together(rows, types)

    def _together(self, rows: Sequence[np.ndarray], types: Sequence[np.ndarray] | None) -> Tensor:
        inputs = padded(rows, self.pad or 0, self.device)
        if types is not None:
            inputs["token_type_ids"] = padded(types, 0, self.device)["input_ids"]
        return self.network(**inputs).logits


def last_kept(ids: np.ndarray, pad: int | None) -> int:
    """Where a causal head reads: the last token that is no padding, as transformers takes it."""
    kept = np.flatnonzero(ids != pad) if pad is not None else np.arange(len(ids))
    return int(kept[-1]) if len(kept) else 0


@dataclass
class AskedClassifier:
    """A classifier with the labels that are wanted first."""

    classifier: Classifier
    sequences: Sequences
    wants: Sequence[Logits]
    types: bool
    """Whether the model is told which of two texts a token belongs to."""

    def __post_init__(self) -> None:
        self.fed = self.sequences.lengths
        self.share = self.classifier.body is not None and self.sequences.chunk is None
        self.orders = {want: label_order(want, self.classifier.network.config) for want in self.wants}

    def answer(self, pack: Pack) -> Mapping[Want, pl.Series]:
        found = self.logits(pack).float().cpu().numpy()
        return {want: vectors(found[:, order]) for want, order in self.orders.items()}

    def logits(self, pack: Pack) -> Tensor:
        if self.sequences.chunk is not None:
            return self.over_chunks(pack, self.sequences.chunk)
        return self.classifier.logits(pack, self.types_of(pack) if self.types else None)

    def types_of(self, pack: Pack) -> list[np.ndarray]:
        """0 up to the second text of a pair, 1 from there on."""
        starts = self.sequences.offsets
        marks = [self.sequences.response[starts[row] : starts[row + 1]] for row in pack.rows]
        return [np.maximum.accumulate(mark).astype(np.int64) for mark in marks]

    def piecewise(self, pieces: Sequence[np.ndarray], most: int) -> Tensor:
        """`[pieces, labels]`, at most so many pieces at once: a row may be a book."""
        parts = (laid(pieces[at : at + most]) for at in range(0, len(pieces), most))
        return torch.cat([self.classifier.logits(part).float() for part in parts])

    def over_chunks(self, pack: Pack, size: int) -> Tensor:
        """The mean over the chunks of each row, weighted by their tokens."""
        pieces = [pack.ids[part][at : at + size] for part in pack.slots for at in range(0, len(part), size)]
        owners = [row for row, part in enumerate(pack.slots) for _ in range(0, len(part), size)]
        weights = torch.tensor(
            [len(piece) for piece in pieces], dtype=torch.float32, device=self.classifier.device
        )
        at = torch.tensor(owners, device=weights.device)
        found = self.piecewise(pieces, max(CHUNK_TOKENS // size, 1)) * weights[:, None]
        sums = found.new_zeros(len(pack.slots), found.shape[1]).index_add(0, at, found)
        return sums / weights.new_zeros(len(pack.slots)).index_add(0, at, weights)[:, None]


def laid(rows: Sequence[np.ndarray]) -> Pack:
    """Rows of their own as a pack."""
    lengths = np.array([len(row) for row in rows])
    alone: Any = SimpleNamespace(ids=np.concatenate(rows), offsets=np.concatenate([[0], np.cumsum(lengths)]))
    return pack(alone, np.arange(len(rows)), lengths, 0)


def label_order(want: Logits, config: Any) -> list[int]:
    """The places of all labels, the wanted one first. Raises ModelError E457 and E458."""
    count, names = int(config.num_labels), config.id2label
    shown = ", ".join(f"{at} ({names[at]})" for at in range(count))
    if want.single and count != 1:
        raise ModelError(
            "E457", f"the model's head gives {count} numbers, and this score is one of them",
            help=f"say which with `label`: {shown}",
        )  # fmt: skip
    at = {str(name): number for number, name in names.items()} | {str(n): n for n in range(count)}
    if want.label is not None and str(want.label) not in at:
        raise ModelError(
            "E458", f"the model's head has no label {want.label}", help=f"its labels are {shown}"
        )
    first = [] if want.label is None else [at[str(want.label)]]
    return first + [number for number in range(count) if number not in first]


def asked_classifier(model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> AskedClassifier:
    """The classifier with its question. Raises ModelError E442, E457 and E458."""
    if strange := next((want for want in wants if not isinstance(want, Logits)), None):
        raise ModelError(
            "E442", f"a classifier does not answer `{type(strange).__name__.lower()}`",
            help="use a causal language model",
        )  # fmt: skip
    types = "token_type_ids" in (model.tokenizer.model_input_names or ())
    reads_types = bool(getattr(model.model.config, "type_vocab_size", 0))
    asked = [want for want in wants if isinstance(want, Logits)]
    return AskedClassifier(prepared_classifier(model), sequences, asked, types and reads_types)


def prepared_classifier(model: LoadedModel) -> Classifier:
    """The model's classifier, made and checked at its first use."""
    if not isinstance(model.engine, Classifier):
        with torch.inference_mode():
            model.engine = prepare(model.model, model.device)
    return model.engine


def prepare(network: Any, device: str) -> Classifier:
    """A classifier that gives the model's own logits: packed where its body is causal, else padded."""
    if not isinstance(getattr(network, "score", None), torch.nn.Linear):
        return Classifier(network, device, lay_out(network))
    whole = Classifier(network, device, speed_up(network))
    own = network.config._attn_implementation
    trial = trial_rows(int(network.config.get_text_config().vocab_size))
    expected = torch.cat([whole.logits(laid([row])) for row in trial])
    if takes_packed(network):
        for way in (True, False) if takes_one_call(device, network.dtype) else (False,):
            body = Body(network, cast(Any, None), device, packed=True, products=whole.products, one_call=way)
            packed = Classifier(network, device, whole.products, body)
            if _gives(packed, trial, expected):
                return packed
    network.set_attn_implementation(own)
    return whole


def _gives(classifier: Classifier, trial: Sequence[np.ndarray], expected: Tensor) -> bool:
    """Whether packed rows, with and without a shared beginning, have the expected logits."""
    lengths = np.array([len(row) for row in trial])
    rows: Any = SimpleNamespace(ids=np.concatenate(trial), offsets=np.concatenate([[0], np.cumsum(lengths)]))
    shared = pack(rows, np.arange(len(trial)), lengths, 4)
    apart = next(packs(rows, np.arange(len(trial)), lengths, int(lengths.sum()), share=False))
    try:
        return all(
            near(classifier.logits(each), expected[torch.from_numpy(each.rows)], expected.dtype)
            for each in (shared, apart)
        )
    except (attention.UnknownAttention, RuntimeError, TypeError, NotImplementedError, IndexError):
        return False
