"""The example recipes check clean, are in canonical form, and run without a download."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from selrun.compiler.check import check_text
from selrun.dsl.format import format_recipe

ROOT = Path(__file__).resolve().parents[2]
SELRUN = Path(sys.executable).with_name("selrun")
RECIPES = sorted(path.name for path in (ROOT / "examples").glob("*.sel"))
THE_LINE = "score ifd using warmup(llama2-7b, 5%) | diversify kmeans(100) | top 0.05\n"


def selrun(*arguments: str | Path, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SELRUN, *arguments], cwd=at, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of all examples, which read the same rows."""
    return tmp_path_factory.mktemp("store")


def test_the_line_stands_to_the_letter():
    assert (ROOT / "examples" / "cherry.sel").read_text(encoding="utf-8") == THE_LINE


@pytest.mark.parametrize("recipe", RECIPES)
def test_examples_check_clean(recipe: str):
    assert check_text((ROOT / "examples" / recipe).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("recipe", RECIPES)
def test_examples_are_in_canonical_form(recipe: str):
    text = (ROOT / "examples" / recipe).read_text(encoding="utf-8")
    assert format_recipe(text) == text


@pytest.mark.parametrize("recipe", [name for name in RECIPES if name != "cherry.sel"])
def test_examples_run_on_the_example_rows(recipe: str, tasks: Path, tmp_path: Path, store: Path):
    out = tmp_path / "chosen.jsonl"
    where = ("--data", tasks, "--store", store, "--out", out)
    done = selrun("run", ROOT / "examples" / recipe, *where, "--quiet", at=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 0 < len(out.read_text(encoding="utf-8").splitlines()) < len(tasks.read_text("utf-8").splitlines())
