"""Every rule against its fixtures in `rules/`: a title, a recipe, and what it becomes or why it stays."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from selrun.compiler.check import builtin_facts, check
from selrun.compiler.graph import Graph
from selrun.compiler.rewrite import RULES, rewrite

FOLDER = Path(__file__).parent / "rules"
CASE = re.compile(r"=== (.*)\n([\s\S]*?)\n--- (becomes|stays|refuses: .*)\n([\s\S]*?)(?=\n*=== |\n*\Z)")


@dataclass(frozen=True)
class Case:
    rule: str
    title: str
    before: str
    outcome: str
    rest: str


def cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.txt")):
        for found in CASE.finditer(path.read_text("utf-8")):
            yield Case(path.stem.replace("_", " "), *(part.strip() for part in found.groups()))


CASES = list(cases())


def graph_of(text: str) -> Graph:
    found = check([("recipe.sel", text)], builtin_facts())
    assert not found.errors, [(d.code, d.headline) for d in found.errors]
    return found.graph


def results(graph: Graph) -> list[str]:
    return [output.key for output in graph.outputs]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_fixture(case: Case):
    before = graph_of(case.before)
    after, trace = rewrite(before)
    if case.outcome == "becomes":
        assert results(after) == results(graph_of(case.rest))
        assert any(entry.did and entry.rule == case.rule for entry in trace.entries)
        return
    assert results(after) == results(before)
    assert not any(entry.did for entry in trace.entries)
    if case.outcome != "stays":
        reasons = {e.text for e in trace.entries if e.rule == case.rule and e.step == case.rest}
        assert reasons & set(case.outcome.removeprefix("refuses: ").split("|"))


def test_every_fixture_is_read():
    written = sum(path.read_text("utf-8").count("=== ") for path in FOLDER.glob("*.txt"))
    assert len(CASES) == written > 35


def test_every_rule_has_fixtures():
    assert {rule.__name__ for rule in RULES} == {path.stem for path in FOLDER.glob("*.txt")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_a_second_rewrite_changes_nothing(case: Case):
    once, _ = rewrite(graph_of(case.before))
    twice, trace = rewrite(once)
    assert results(once) == results(twice)
    assert not any(entry.did for entry in trace.entries)
