"""Checking a recipe imports nothing heavy, so that it answers at once."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from selrun.compiler.check import check_text
found = check_text("score ifd using warmup(llama2-7b, 5%) | diversify kmeans(100) | top 0.05")
heavy = {"torch", "polars", "numpy", "networkx", "transformers", "sklearn", "pyarrow", "scipy", "openai"}
print([d.code for d in found], sorted(heavy & set(sys.modules)))
"""


def test_a_check_imports_nothing_heavy():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == "[] []\n"
