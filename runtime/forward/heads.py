"""The head of a language model at chosen positions: logits a few hundred rows at a time, softmax in fp32."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from ..models import LoadedModel

CHUNK = 256


class Head:
    """From hidden states to log-probabilities."""

    def __init__(self, model: LoadedModel):
        self.module = model.model.get_output_embeddings()

    def logits(self, states: torch.Tensor) -> torch.Tensor:
        return self.module(states).float()

    def read(
        self,
        states: torch.Tensor,
        places: np.ndarray,
        following: np.ndarray,
        *,
        logprobs: bool,
        entropies: bool,
        candidates: Sequence[int],
    ) -> dict[str, np.ndarray]:
        """What is asked for at every place, in fp32."""
        at = torch.from_numpy(places).to(states.device)
        labels = torch.from_numpy(following.astype(np.int64)).to(states.device)
        found: dict[str, list[torch.Tensor]] = {"logprobs": [], "entropies": [], "candidates": []}
        for start in range(0, len(places), CHUNK):
            logits = self.logits(states[at[start : start + CHUNK]])  # [C, V]
            if logprobs:
                found["logprobs"].append(
                    -F.cross_entropy(logits, labels[start : start + CHUNK], reduction="none")
                )
            if entropies:
                found["entropies"].append(torch.special.entr(logits.softmax(-1)).sum(-1))
            if candidates:
                found["candidates"].append(logits[:, list(candidates)] - logits.logsumexp(-1, keepdim=True))
        return {name: torch.cat(parts).cpu().numpy() if parts else EMPTY for name, parts in found.items()}


EMPTY = np.zeros((0, 0), dtype=np.float32)
