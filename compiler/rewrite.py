"""Rewrites a graph by rules, each recorded, each checked after it ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from .graph import Graph
from .rules import drop_unused_marks, narrow_before_adding


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a rule did or refused."""

    rule: str
    step: str
    text: str
    did: bool


@dataclass
class Trace:
    """Which rule did what, and which refused and why."""

    entries: list[Entry] = field(default_factory=list)

    def did(self, rule: str, step: str, text: str) -> None:
        self._note(Entry(rule, step, text, True))

    def refuse(self, rule: str, step: str, reason: str) -> None:
        self._note(Entry(rule, step, reason, False))

    def _note(self, entry: Entry) -> None:
        if entry not in self.entries:
            self.entries.append(entry)


Rule: TypeAlias = Callable[[Graph, Trace], Graph]

RULES: tuple[Rule, ...] = (drop_unused_marks.drop_unused_marks, narrow_before_adding.narrow_before_adding)


def rewrite(graph: Graph, rules: tuple[Rule, ...] = RULES) -> tuple[Graph, Trace]:
    """The graph after all rules, and what they did."""
    trace = Trace()
    for rule in rules:
        after = rule(graph, trace)
        verify(graph, after)
        graph = after
    return graph, trace


def verify(before: Graph, after: Graph) -> None:
    """Stops a rule that broke the graph: a cycle, a column that nobody adds, another result."""
    import networkx as nx

    assert nx.is_directed_acyclic_graph(after.digraph), "the rewritten graph has a cycle"
    for node in after.nodes.values():
        schema = after[node.inputs[0]].schema if node.inputs else None
        if schema is not None and not schema.open:
            missing = [c for c in node.op.reads() if schema.get(c) is None]
            assert not missing, f"`{node.title}` reads {missing}, which nobody adds before it"
    for old, new in zip(before.outputs, after.outputs, strict=True):
        was, now = before[old.key].schema, after[new.key].schema
        assert was is not None
        assert now is not None
        assert set(was.names) == set(now.names), "the rewritten graph ends in other columns"
