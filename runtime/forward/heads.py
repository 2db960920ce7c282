"""Classification and regression heads: the logits of a row from packed tokens where its body is causal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Logits, Want
from ...errors import ModelError
from .answers import vectors
from .body import inner
from .engine import Asked, Engine
from .gemm import speed_up
from .laid_out import lay_out
from .packed import Way, bend_of, laid, right_way, same, trial_rows, ways
from .packing import Pack
from .padding import padded

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


CHUNK_TOKENS = 4096
"""Tokens of the pieces of long rows that are read at once."""


@dataclass
class Classifier(Engine):
    """A model with a classification or regression head that turns packs into logits."""

    noun: ClassVar[str] = "a classifier"
    wants: ClassVar = (Logits,)

    network: Any
    device: str
    products: str
    way: Way | None = None
    """With one the causal body is run on packed rows, without one the whole model on padded ones."""
    alone: bool = False

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        network: Any = model.model
        may_pack = isinstance(getattr(network, "score", None), torch.nn.Linear)
        classifier = cls(network, model.device, speed_up(network) if may_pack else lay_out(network))
        trial = trial_rows(int(network.config.get_text_config().vocab_size))
        own = [classifier.filled(laid([row]))[0] for row in trial]
        if may_pack:
            both = ways(network, model.device, causal=True)
            classifier.way = right_way(network, both, classifier.along, trial, own)
        classifier.alone = classifier.way is None and not same(list(classifier.filled(laid(trial))), own)
        return classifier

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        """Raises ModelError E457 and E458."""
        asked = [want for want in wants if isinstance(want, Logits)]
        orders = {want: label_order(want, self.network.config) for want in asked}
        types = "token_type_ids" in (model.tokenizer.model_input_names or ())
        reads_types = bool(getattr(self.network.config, "type_vocab_size", 0))
        rows = Labelled(self, sequences, types and reads_types)

        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            found = rows.logits(pack).float().cpu().numpy()
            return {want: vectors(found[:, order]) for want, order in orders.items()}

        share, bend = self.packed and sequences.chunk is None, bend_of(self.network.config)
        return Asked(sequences.lengths, answer, share=share, alone=self.alone, bend=bend)

    @property
    def pad(self) -> int | None:
        """The token that a causal head takes for padding, wherever it stands."""
        return self.network.config.get_text_config().pad_token_id

    def logits(self, pack: Pack, types: Sequence[np.ndarray] | None = None) -> Tensor:
        """`[rows, labels]`; `types` are the token types of each row, where the model reads them."""
        return self.filled(pack, types) if self.way is None else self.along(self.way, pack)

    def along(self, way: Way, pack: Pack) -> Tensor:
        """The same from packed rows."""
        states = way.run(inner(self.network), pack).last_hidden_state[0]
        last = [part[last_kept(pack.ids[part], self.pad)] for part in pack.slots]
        return self.network.score(states[torch.tensor(last, device=self.device)])

    def filled(self, pack: Pack, types: Sequence[np.ndarray] | None = None) -> Tensor:
        """The same from rows filled up on the right."""
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


@dataclass(frozen=True)
class Labelled:
    """Rows as a classifier reads them: in chunks, or with the types of their tokens."""

    classifier: Classifier
    sequences: Sequences
    types: bool
    """Whether the model is told which of two texts a token belongs to."""

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
        most = 1 if self.classifier.alone else most
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


def label_order(want: Logits, config: Any) -> list[int]:
    """The places of all labels, the wanted one first. Raises ModelError E457 and E458."""
    names = [str(config.id2label.get(at, at)) for at in range(int(config.num_labels))]
    if want.single and len(names) != 1:
        raise ModelError(
            "E457", f"the model's head gives {len(names)} numbers, and this score is one of them",
            help=f"say which with `label`: {listed(names)}",
        )  # fmt: skip
    first = [] if want.label is None else [place(want.label, names)]
    return first + [at for at in range(len(names)) if at not in first]


def place(label: int | str, names: Sequence[str]) -> int:
    """Where a label stands, by its name or counted from 0. Raises ModelError E458."""
    named = [at for at, name in enumerate(names) if name == label]
    if not named and str(label).isdecimal() and int(label) < len(names):
        return int(label)
    if len(named) != 1:
        several = f"{len(named)} labels called {label}" if named else f"no label {label}"
        raise ModelError("E458", f"the model's head has {several}", help=f"its labels are {listed(names)}")
    return named[0]


def listed(names: Sequence[str]) -> str:
    """The labels with their places."""
    return ", ".join(f"{at} ({name})" for at, name in enumerate(names))
