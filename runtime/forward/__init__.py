"""Exact forward sweeps: many wants of many rows, answered in as few tokens as possible.

`sweep` cuts rows into packs and hands them to the engine of the model's kind, which `kinds` names; an `Engine` is a
file of its own: `body`, `encoders`, `heads`, `ranks`, `seq2seq`, `images`. `packed` finds out how a transformer can
be run on packed rows, `packing` and `layouts` say how rows lie in them, and `attention` lets each see itself alone.
"""

from .kinds import prepared_engine
from .memory import token_budget_from_memory
from .sweep import Block, sweep

__all__ = ["Block", "prepared_engine", "sweep", "token_budget_from_memory"]
