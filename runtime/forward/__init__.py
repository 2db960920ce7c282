"""Forward passes: the answers of a model to wants about many rows of tokens."""

from .blocks import Block, sweep

__all__ = ["Block", "sweep"]
