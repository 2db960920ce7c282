"""Lets the tests of this folder import what they share; they run a model on one thread."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
