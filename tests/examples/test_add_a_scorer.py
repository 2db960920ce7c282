"""The page on adding a scorer tells the truth: its file and its test work as printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add-a-scorer.md"
NAME = "selrun.stdlib.score.surprise"


@pytest.fixture
def blocks() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def scorer(blocks: list[str], tmp_path: Path) -> Iterator[ModuleType]:
    path = tmp_path / "surprise.py"
    path.write_text(blocks[0], encoding="utf-8")
    spec = spec_from_file_location(NAME, path)
    assert spec is not None
    assert spec.loader is not None
    sys.modules[NAME] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules[NAME]


@pytest.mark.usefixtures("scorer")
def test_the_page_s_own_test_passes(blocks: list[str]):
    scope: dict[str, object] = {"__name__": "page"}
    sys.modules["page"] = ModuleType("page")
    exec(compile(blocks[1], str(PAGE), "exec"), scope)
    tests = [value for name, value in scope.items() if name.startswith("test_") and callable(value)]
    assert len(tests) == 1
    tests[0]()
    del sys.modules["page"]


def test_the_catalogue_would_find_it(scorer: ModuleType):
    from selrun.compiler.catalogue import operations

    assert [f"{op.verb} {op.noun}" for op in operations(scorer)] == ["score surprise"]


def test_the_example_on_the_page_checks_clean(scorer: ModuleType, monkeypatch: pytest.MonkeyPatch):
    from selrun.compiler.catalogue import catalogue
    from selrun.compiler.check import check_text

    monkeypatch.setitem(catalogue().ops, ("score", "surprise"), scorer.Surprise)
    assert check_text(scorer.Surprise.example) == []
    assert check_text("score surprise(0.001) using nano | top 5%") == []


def test_beside_ifd_it_asks_for_nothing_new(scorer: ModuleType):
    from selrun.compiler.values import Model
    from selrun.stdlib.score.ifd import Ifd

    model = Model(key="any")
    assert scorer.Surprise(using=model).requests()["given"] in Ifd(using=model).requests().values()
