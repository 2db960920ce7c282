"""Rows side by side, padded on the right: works with every model that transformers knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..models import LoadedModel
from ..tokens import Sequences

LAST = -1


@dataclass(frozen=True)
class Padded:
    """A model that reads a block as a padded batch."""

    model: LoadedModel

    def states(
        self, sequences: Sequences, rows: np.ndarray, layers: Sequence[int]
    ) -> dict[int, torch.Tensor]:
        """Hidden states by layer, `[tokens, d]`, row after row; layer -1 is always among them."""
        ids, mask = (torch.from_numpy(a).to(self.model.device) for a in pad(sequences, rows))
        inner = self.model.model.base_model
        deep = any(layer != LAST for layer in layers)
        output = inner(input_ids=ids, attention_mask=mask, use_cache=False, output_hidden_states=deep)
        found = {LAST: output.last_hidden_state[mask]}
        found |= {layer: output.hidden_states[layer][mask] for layer in layers if layer != LAST}
        return found


def pad(sequences: Sequences, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids `[rows, longest]` int64 and which of them are tokens, bool."""
    lengths = sequences.lengths[rows]
    mask = np.arange(lengths.max())[None, :] < lengths[:, None]
    ids = np.zeros(mask.shape, dtype=np.int64)
    ids[mask] = sequences.ids[tokens_of(sequences, rows)]
    return ids, mask


def tokens_of(sequences: Sequences, rows: np.ndarray) -> np.ndarray:
    """Where the tokens of the rows lie in the sequences, row after row."""
    return spread(sequences.offsets[rows], sequences.lengths[rows])


def spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The whole numbers of every range, range after range."""
    ends = np.cumsum(lengths)
    return np.arange(ends[-1] if len(ends) else 0) + np.repeat(starts - (ends - lengths), lengths)
