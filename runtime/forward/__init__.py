"""Exact forward sweeps: many wants of many rows, answered in as few tokens as possible."""

from .memory import token_budget_from_memory
from .sweep import Block, prepared_engine, sweep

__all__ = ["Block", "prepared_engine", "sweep", "token_budget_from_memory"]
