"""What the distributions at chosen positions say, without ever holding all logits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn

CHUNK_NUMBERS = 1 << 23
"""Logits held at once: 256 rows of a vocabulary of 32,000."""
CUDA_CHUNK_NUMBERS = 1 << 27
"""There a product must outlast the launch of its kernel: 4,096 rows of that vocabulary, half a gigabyte."""
CHUNK_ROWS = (64, 256)
CUDA_CHUNK_ROWS = (64, 4096)
CACHED_NUMBERS = 1 << 17
"""Log-probabilities held at once on the CPU: 512 KB."""
CACHED_ROWS = 8

SOFTCAPS = ("final_logit_softcapping", "logits_soft_cap")
"""What configurations call the number that logits stay below."""

Measure = Literal["logprobs", "padded", "entropies", "likeliest"]
"""`padded`: log-probabilities where the softmax has a padding token besides; `likeliest`: of the two likeliest
tokens."""
SHAPES: dict[Measure, tuple[int, ...]] = {"logprobs": (), "padded": (), "entropies": (), "likeliest": (2,)}


class Head:
    """Maps last hidden states to the model's own logits, scaled and capped as its configuration says."""

    def __init__(self, network: Any):
        config = network.config.get_text_config()
        layer: Any = network.get_output_embeddings()
        self.layer: nn.Module = layer
        self.vocabulary = len(layer.weight)
        self.divisor = getattr(config, "logits_scaling", None)
        self.factor = getattr(config, "logit_scale", None)
        self.cap = next((cap for name in SOFTCAPS if (cap := getattr(config, name, None))), None)

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
        numbers = CUDA_CHUNK_NUMBERS if hidden.is_cuda else CHUNK_NUMBERS
        size = max(least, min(most, numbers // self.vocabulary))
        for start in range(0, len(hidden), size):
            part = slice(start, start + size)
            yield part, self.logits(hidden[part])


def measured(
    head: Head, hidden: Tensor, targets: Tensor, measures: Collection[Measure]
) -> dict[Measure, Tensor]:
    """Every measure after each hidden state, float32: `[rows]`, of the likeliest tokens `[rows, 2]`.

    All come from one softmax, so that what a measure gives does not depend on what else is asked.
    """
    found: dict[Measure, Tensor] = {
        measure: hidden.new_empty((len(hidden), *SHAPES[measure]), dtype=torch.float32)
        for measure in measures
    }
    for part, logits in head.chunks(hidden):
        for piece, logs in softmaxes(logits):
            here = slice(part.start + piece.start, part.start + piece.start + len(logs))
            for measure in measures:
                found[measure][here] = read(measure, logs, targets[here])
    return found


def softmaxes(logits: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Log-probabilities of all tokens, of so few rows at a time that they stay in the cache."""
    size = len(logits) if logits.is_cuda else max(CACHED_ROWS, CACHED_NUMBERS // logits.shape[-1])
    # New memory for each piece costs as much as the softmax itself.
    room = torch.empty_like(logits[:size])
    for start in range(0, len(logits), max(size, 1)):
        piece = logits[start : start + size]
        yield slice(start, start + size), torch.log_softmax(piece, dim=-1, out=room[: len(piece)])


def read(measure: Measure, logs: Tensor, targets: Tensor) -> Tensor:
    """One measure of `[rows, vocabulary]` log-probabilities."""
    match measure:
        case "logprobs":
            return logs.gather(1, targets[:, None])[:, 0]
        case "padded":
            # The padding token's logit is the mean of all; beside it every probability shrinks alike.
            return logs.gather(1, targets[:, None])[:, 0] - torch.log1p(logs.mean(dim=-1).exp())
        case "likeliest":
            return logs.topk(2, dim=-1).values
        case "entropies":
            return -logs.exp().mul_(logs).sum(-1)


def candidates(head: Head, hidden: Tensor, ids: Tensor) -> Tensor:
    """`[rows, candidates]`, log-probabilities over the whole vocabulary."""
    found = [logits[:, ids] - logits.logsumexp(-1, keepdim=True) for _, logits in head.chunks(hidden)]
    return torch.cat(found) if found else hidden.new_zeros(0, len(ids), dtype=torch.float32)
