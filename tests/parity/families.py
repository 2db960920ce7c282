"""The claims of all families of methods: every module of this folder that makes some."""

from __future__ import annotations

import importlib
from pathlib import Path

from .claim import CLAIMS

__all__ = ["CLAIMS"]

HERE = Path(__file__).parent
NO_CLAIMS = ("__init__", "authors", "claim", "families", "table")

for path in sorted(HERE.glob("*.py")):
    if path.stem not in NO_CLAIMS and not path.stem.startswith("test_"):
        importlib.import_module(f".{path.stem}", __package__)
