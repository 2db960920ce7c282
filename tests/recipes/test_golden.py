"""What becomes of each golden recipe at every stage: its tree, its canonical text, its graph and its plan.

The files beside a recipe hold the answers. After a change that is meant, `SELRUN_UPDATE=1 pytest tests/recipes`
writes them anew; read the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest
from selrun.compiler.check import Checked, builtin_facts, check
from selrun.compiler.lower import lower
from selrun.compiler.plan import Plan, Sweep
from selrun.dsl.format import format_recipe
from selrun.dsl.parse import parse
from selrun.dsl.tree import Comment, Source, Span

FOLDER = Path(__file__).parent
RECIPES = sorted(FOLDER.glob("*.sel"))
PARSED_ONLY = ("longer.sel",)
"""These name operations that this version does not have."""


def outline(node: object, depth: int = 0) -> Iterator[str]:
    """A tree, one node a line; places and plain values left out or kept short."""
    pad = "  " * depth
    if isinstance(node, tuple):
        for item in node:
            yield from outline(item, depth)
    elif is_dataclass(node) and not isinstance(node, Span | Source | Comment):
        parts = [getattr(node, f.name) for f in fields(node)]
        plain = [repr(p) if isinstance(p, str) else str(p) for p in parts if is_plain(p)]
        yield f"{pad}{type(node).__name__} {' '.join(plain)}".rstrip()
        for part in parts:
            yield from outline(part, depth + 1)


def is_plain(part: object) -> bool:
    return part is not None and not isinstance(part, tuple) and not is_dataclass(part)


def tree_of(text: str) -> str:
    parsed = parse(Source("recipe.sel", text))
    assert parsed.diagnostics == ()
    return "\n".join(outline(parsed.recipe.statements)) + "\n"


def checked(text: str) -> Checked:
    found = check([("recipe.sel", text)], builtin_facts())
    assert found.diagnostics == ()
    return found


def graph_and_plan(text: str) -> str:
    graph = checked(text).graph
    plan = lower(graph)
    return f"graph\n{graph_lines(graph)}\n\nplan\n{plan_lines(plan)}\n"


def graph_lines(graph) -> str:
    number = {key: at for at, key in enumerate(graph.nodes)}
    lines = [
        f"{number[key]:>3} {node.title}  ← {', '.join(str(number[n]) for n in node.needs) or 'nothing'}"
        for key, node in graph.nodes.items()
    ]
    results = ", ".join(str(number[output.key]) for output in graph.outputs)
    return "\n".join([*lines, f"results: {results}"])


def plan_lines(plan: Plan) -> str:
    lines = []
    for task in plan.tasks:
        title = plan.graph[task.node].title
        if isinstance(task, Sweep):
            wants = ", ".join(type(ask.want).__name__ for ask in task.asks)
            title = f"{plan.graph[task.model].title} over `{title}` for {wants}"
        lines.append(f"{type(task).__name__:<7} {title}")
    return "\n".join(lines)


STAGES: dict[str, Callable[[str], str]] = {"tree": tree_of, "fmt": format_recipe, "plan": graph_and_plan}
CASES = [(r, s) for r in RECIPES for s in STAGES if not (s == "plan" and r.name in PARSED_ONLY)]


@pytest.mark.parametrize(("recipe", "stage"), CASES, ids=[f"{r.stem}-{s}" for r, s in CASES])
def test_golden(recipe: Path, stage: str):
    answer = recipe.with_suffix(f".{stage}")
    found = STAGES[stage](recipe.read_text("utf-8"))
    if "SELRUN_UPDATE" in os.environ:
        answer.write_text(found, "utf-8")
    assert found == answer.read_text("utf-8")


@pytest.mark.parametrize("recipe", RECIPES, ids=[r.stem for r in RECIPES])
def test_the_canonical_text_means_the_same(recipe: Path):
    assert tree_of(recipe.with_suffix(".fmt").read_text("utf-8")) == tree_of(recipe.read_text("utf-8"))
