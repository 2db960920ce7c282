"""A ranker's number for every row, from all layers of its encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import polars as pl
import torch
from torch import Tensor

from ...compiler.wants import Rank, Want
from .engine import Asked, Engine
from .laid_out import lay_out
from .packed import Way, laid, right_way, same, trial_rows, ways
from .packing import Pack
from .padding import padded
from .ranker import Ranker

if TYPE_CHECKING:
    from ..models import LoadedModel
    from ..tokens import Sequences


@dataclass
class Ranking(Engine):
    """A ranker that turns packs into numbers."""

    noun: ClassVar[str] = "a ranker"
    wants: ClassVar = (Rank,)

    ranker: Ranker
    device: str
    products: str
    way: Way | None = None
    alone: bool = False

    @classmethod
    def of(cls, model: LoadedModel) -> Self:
        ranker: Any = model.model
        ranking = cls(ranker, model.device, lay_out(ranker.body))
        trial = trial_rows(int(ranker.config.vocab_size))
        own = [ranking.filled(laid([row]))[0] for row in trial]
        ranking.way = right_way(
            ranker.body, ways(ranker.body, model.device, causal=False), ranking.along, trial, own
        )
        ranking.alone = ranking.way is None and not same(list(ranking.filled(laid(trial))), own)
        return ranking

    def ask(self, model: LoadedModel, sequences: Sequences, wants: Sequence[Want]) -> Asked:
        def answer(pack: Pack) -> Mapping[Want, pl.Series]:
            means = self.filled(pack) if self.way is None else self.along(self.way, pack)
            found = self.ranker.scores(means).float().cpu().numpy()
            return dict.fromkeys(wants, pl.Series("answer", found, dtype=pl.Float32))

        return Asked(sequences.lengths, answer, alone=self.alone)

    def along(self, way: Way, pack: Pack) -> Tensor:
        """`[rows, size]`, the mean of the mixed layers over each row's tokens."""
        mixed = self.ranker.mixed(way.run(self.ranker.body, pack, layers=True).hidden_states)[0]
        lengths = torch.tensor([len(part) for part in pack.slots], device=mixed.device)
        return torch.segment_reduce(mixed, "mean", lengths=lengths, axis=0)

    def filled(self, pack: Pack) -> Tensor:
        """The same of rows filled up on the right."""
        pad = self.ranker.config.pad_token_id or 0
        inputs = padded([pack.ids[part] for part in pack.slots], pad, self.device)
        mixed = self.ranker.mixed(self.ranker.body(**inputs, output_hidden_states=True).hidden_states)
        return mean_over(mixed, inputs["attention_mask"])


def mean_over(states: Tensor, mask: Tensor) -> Tensor:
    """`[rows, size]`, the mean of `[rows, tokens, size]` over the tokens that are no padding."""
    kept = mask[:, :, None].to(states.dtype)
    return (states * kept).sum(1) / kept.sum(1)
