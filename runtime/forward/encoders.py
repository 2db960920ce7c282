"""Sentence encoders, run through their own modules."""

from __future__ import annotations

import numpy as np
import polars as pl
import torch

from ..models import LoadedModel
from ..tokens import Sequences
from .padded import pad


def embed(model: LoadedModel, sequences: Sequences, rows: np.ndarray) -> pl.Series:
    """One vector a row, `Array(Float32, d)`, pooled and normalised as the encoder's files say."""
    ids, mask = (torch.from_numpy(a).to(model.device) for a in pad(sequences, rows))
    features = {"input_ids": ids, "attention_mask": mask.long()}
    vectors = model.model(features)["sentence_embedding"]
    return pl.Series("answer", vectors.float().cpu().numpy())
