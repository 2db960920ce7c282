"""Rows side by side, filled up on the right, for models whose attention does not take packed rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor


def padded(rows: Sequence[np.ndarray], fill: int, device: str) -> dict[str, Tensor]:
    """`input_ids` and `attention_mask`, `[rows, longest]`."""
    lengths = np.array([len(row) for row in rows])
    ids = np.full((len(rows), int(lengths.max(initial=0))), fill, dtype=np.int64)
    for line, row in enumerate(rows):
        ids[line, : len(row)] = row
    mask = (np.arange(ids.shape[1]) < lengths[:, None]).astype(np.int64)
    return {
        "input_ids": torch.from_numpy(ids).to(device),
        "attention_mask": torch.from_numpy(mask).to(device),
    }
