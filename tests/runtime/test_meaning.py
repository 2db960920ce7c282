"""Rules change what a run costs and never what it gives: the same rows, the same scores, with them and without."""

from __future__ import annotations

from pathlib import Path

import pytest
from headed_models import STAND_INS, save_stand_ins
from method_calls import CALLS
from recipes import ROOT, Maker, few_rows, written
from selrun.compiler.catalogue import catalogue
from selrun.errors import SelrunError
from selrun.runtime.run import Run, execute
from selrun.runtime.settings import Settings
from selrun.runtime.store import Store

NANO = dict.fromkeys(("llama2-7b", "gpt2", "gpt2-large", "minilm", "ranker"), "nano")
RECIPES = sorted((*(ROOT / "examples").glob("*.sel"), *(ROOT / "tests" / "recipes").glob("*.sel")))
OPERATIONS = {f"{verb} {noun}": op.example for (verb, noun), op in catalogue().ops.items() if op.example}
NOT_RUN = ("longer.sel", "compare.sel")
"""Recipes that need what is not there: a judge, files of their own, more rows."""
GENERATED = {f"generated {seed}": Maker(seed).recipe() for seed in range(50)}
NOT_INSTALLED = "E545"
"""What an example ends in whose package is an extra."""
TOO_FEW = ("E520", "E521", "E522", "E524")
"""What a recipe may end in that leaves too few rows for a later step."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few rows under the names that examples use.

    Each side has a store of its own; trained models are found by all that determines them, so both may read them.
    """
    folder = tmp_path_factory.mktemp("meaning")
    save_stand_ins(folder)
    (folder / "examples").mkdir()
    rows = [{**row, "my column": len(row["output"])} for row in few_rows()]
    for name in ("examples/tasks.jsonl", "rows.jsonl", "other.jsonl", "a.jsonl"):
        written(rows[: 16 if name == "other.jsonl" else None], folder / name)
    for side in ("with", "without"):
        Store(folder / side)
    (folder / "with" / "artefacts").mkdir(exist_ok=True)
    (folder / "without" / "artefacts").symlink_to(folder / "with" / "artefacts")
    return folder


def outcome(text: str, place: Path, rules: bool, name: str = "recipe.sel") -> Run | str:
    store = place / ("with" if rules else "without")
    settings = Settings(
        data=place / "examples" / "tasks.jsonl",
        models=NANO | STAND_INS,
        store=store,
        rules=rules,
        write=False,
    )
    try:
        return execute([(name, text)], settings)
    except SelrunError as error:
        return f"{error.code}: {error.headline}"


def assert_same(
    text: str, place: Path, monkeypatch: pytest.MonkeyPatch, name: str = "recipe.sel"
) -> Run | str:
    monkeypatch.chdir(place)
    one, other = (outcome(text, place, rules, name) for rules in (True, False))
    if isinstance(one, str) or isinstance(other, str):
        assert one == other
        return one
    assert one.ids.to_list() == other.ids.to_list()
    assert one.rows.columns == other.rows.columns
    for name in one.rows.columns:
        assert_column(one.rows[name].to_list(), other.rows[name].to_list(), name)
    return one


def assert_column(one: list[object], other: list[object], name: str) -> None:
    for left, right in zip(one, other, strict=True):
        if isinstance(left, float) or (isinstance(left, list) and not any(isinstance(v, str) for v in left)):
            assert left == pytest.approx(right, rel=1e-5, abs=1e-5), name
        else:
            assert left == right, name


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_recipes_of_the_repository(path: Path, place: Path, monkeypatch: pytest.MonkeyPatch):
    text = (
        path.read_text("utf-8")
        .replace("(100)", "(4)")
        .replace("top 100)", "top 9)")
        .replace("10% per", "40% per")
    )
    found = assert_same(text, place, monkeypatch, str(path))
    assert isinstance(found, Run) or path.name in NOT_RUN


@pytest.mark.parametrize("text", OPERATIONS.values(), ids=OPERATIONS)
def test_examples_of_operations(text: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    found = assert_same(text, place, monkeypatch)
    assert isinstance(found, Run) or found.startswith(NOT_INSTALLED)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_methods(name: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    found = assert_same(CALLS[name], place, monkeypatch)
    assert isinstance(found, Run) or (name == "cherry" and "1,000" in found)


@pytest.mark.parametrize("text", GENERATED.values(), ids=GENERATED)
def test_generated_recipes(text: str, place: Path, monkeypatch: pytest.MonkeyPatch):
    found = assert_same(text, place, monkeypatch)
    assert isinstance(found, Run) or found.startswith(TOO_FEW)
