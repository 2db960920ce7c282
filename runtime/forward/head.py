"""Log-probabilities and entropies at chosen positions, without ever holding all logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK_NUMBERS = 1 << 23
"""Logits held at once: 256 rows of a vocabulary of 32,000."""
CHUNK_ROWS = (64, 256)
CUDA_CHUNK_ROWS = (64, 4096)


class Head:
    """Maps last hidden states to the model's own logits, scaled and capped as its configuration says."""

    def __init__(self, network: Any):
        config = network.config.get_text_config()
        self.layer: nn.Module = network.get_output_embeddings()
        self.divisor = getattr(config, "logits_scaling", None)
        self.factor = getattr(config, "logit_scale", None)
        self.cap = getattr(config, "final_logit_softcapping", None)

    def logits(self, hidden: Tensor) -> Tensor:
        """`[rows, vocabulary]` in float32."""
        logits = self.layer(hidden).float()
        if self.divisor:
            logits = logits / self.divisor
        if self.factor:
            logits = logits * self.factor
        return torch.tanh(logits / self.cap) * self.cap if self.cap else logits

    def chunks(self, hidden: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """The logits of a few rows at a time."""
        least, most = CUDA_CHUNK_ROWS if hidden.is_cuda else CHUNK_ROWS
        vocabulary = getattr(self.layer, "out_features", None) or 32_000
        size = max(least, min(most, CHUNK_NUMBERS // vocabulary))
        for start in range(0, len(hidden), size):
            part = slice(start, start + size)
            yield part, self.logits(hidden[part])


def logprobs(
    head: Head, hidden: Tensor, targets: Tensor, *, entropies: bool = False, padded: bool = False
) -> tuple[Tensor, Tensor]:
    """The log-probability of each target after its hidden state, and the entropy there where asked for."""
    found, spread = hidden.new_empty(len(hidden), dtype=torch.float32), hidden.new_zeros(0)
    if entropies:
        spread = torch.empty_like(found)
    for part, logits in head.chunks(hidden):
        logits = with_padding(logits) if padded else logits
        found[part] = -F.cross_entropy(logits, targets[part], reduction="none")
        if entropies:
            spread[part] = entropy(logits)
    return found, spread


def with_padding(logits: Tensor) -> Tensor:
    """The logits and that of a token whose output embedding is the mean of all."""
    return torch.cat([logits, logits.mean(dim=-1, keepdim=True)], dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy of each row's softmax, in nats."""
    logs = torch.log_softmax(logits, dim=-1)
    return -(logs.exp() * logs).sum(-1)


def candidates(head: Head, hidden: Tensor, ids: Tensor) -> Tensor:
    """`[rows, candidates]`, log-probabilities over the whole vocabulary."""
    found = [logits[:, ids] - logits.logsumexp(-1, keepdim=True) for _, logits in head.chunks(hidden)]
    return torch.cat(found) if found else hidden.new_zeros(0, len(ids), dtype=torch.float32)
