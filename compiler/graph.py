"""The recipe as a graph of operations: a node is an operation, its inputs, and what it leaves behind."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from .core import Algebra, Derive, Save, Sort, Values
from .op import Adds, Evaluate, Op
from .schema import Schema

if TYPE_CHECKING:
    import networkx as nx

    from ..dsl.tree import Span


def node_key(op: Op, inputs: tuple[str, ...]) -> str:
    """A hash of the operation and of everything it reads from: equal work has equal keys."""
    return hashlib.sha256("\n".join((op.content(), *inputs)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a recipe."""

    op: Op
    inputs: tuple[str, ...] = ()
    """The keys of the datasets piped into it; other references are fields of the operation."""
    schema: Schema | None = None
    """The columns it leaves; `None` of a model."""
    title: str = ""
    """How the recipe writes it."""
    span: Span | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        return node_key(self.op, self.inputs)

    @property
    def needs(self) -> tuple[str, ...]:
        """The keys of all nodes it reads from: datasets first, then models."""
        return (*self.inputs, *(reference.key for reference in self.op.references()))


@dataclass(frozen=True, slots=True)
class Output:
    """A dataset that a recipe ends in."""

    key: str
    recipe: str
    """The name of the recipe's file, or `recipe`."""
    index: int
    """Which of the recipe's chains, counted from 0; the last one is the recipe's result."""
    last: bool = True


@dataclass(frozen=True)
class Graph:
    """Nodes by key in an order where every node comes after what it needs."""

    nodes: Mapping[str, Node]
    outputs: tuple[Output, ...]

    def __getitem__(self, key: str) -> Node:
        return self.nodes[key]

    @cached_property
    def digraph(self) -> nx.DiGraph:
        """The same as a networkx graph; an edge leads from what is needed to what needs it."""
        import networkx as nx

        graph = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from((need, key) for key, node in self.nodes.items() for need in node.needs)
        return graph

    def needed(self) -> Graph:
        """The graph without the nodes that no output comes from, such as those of a method nobody called."""
        reached: set[str] = set()
        waiting = [output.key for output in self.outputs]
        while waiting:
            key = waiting.pop()
            if key not in reached:
                reached.add(key)
                waiting += self.nodes[key].needs
        return Graph({key: node for key, node in self.nodes.items() if key in reached}, self.outputs)

    def consumers(self, key: str) -> list[str]:
        """The keys of the nodes that read from this one."""
        return [other for other, node in self.nodes.items() if key in node.needs]

    def lineage(self, key: str) -> Iterator[str]:
        """The node and the datasets its rows came through, nearest first, down to where they were read."""
        while True:
            yield key
            inputs = self.nodes[key].inputs
            if not inputs:
                return
            key = inputs[0]

    def same_rows(self, key: str) -> str:
        """The first dataset on the way here that holds the same rows, whatever columns and order it has."""
        while (
            isinstance(self.nodes[key].op, Adds | Derive | Sort | Save | Evaluate) and self.nodes[key].inputs
        ):
            key = self.nodes[key].inputs[0]
        return key

    def covers(self, wide: str, narrow: str) -> bool:
        """Whether every row of one dataset came through the other, on whichever way it came."""
        waiting, seen = [narrow], {wide}
        while waiting:
            key = waiting.pop()
            if key in seen:
                continue
            seen.add(key)
            rows_from = self.rows_from(key)
            if not rows_from:
                return False
            waiting += rows_from
        return True

    def rows_from(self, key: str) -> tuple[str, ...]:
        """The datasets that the node's rows are taken from."""
        node = self.nodes[key]
        if isinstance(node.op, Values):
            return ()
        if isinstance(node.op, Algebra) and node.op.operator == "+":
            return (*node.inputs, node.op.other.key)
        return node.inputs

    def origins(self, key: str) -> frozenset[str]:
        """The datasets read from outside whose rows may be among the node's."""
        waiting, seen = [key], set[str]()
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += self.rows_from(at)
        return frozenset(at for at in seen if not self.rows_from(at))

    def replaced(self, changes: Mapping[str, Node]) -> Graph:
        """The graph with some nodes replaced and every key below them renewed; what nobody needs is gone."""
        return Rebuild(self, changes).graph()


class Rebuild:
    """Renews the keys of a graph from its outputs upwards."""

    def __init__(self, old: Graph, changes: Mapping[str, Node]):
        self.old, self.changes = old, changes
        self.renamed: dict[str, str] = {}
        self.nodes: dict[str, Node] = {}

    def graph(self) -> Graph:
        outputs = tuple(replace(output, key=self.visit(output.key)) for output in self.old.outputs)
        return Graph(self.nodes, outputs)

    def visit(self, key: str) -> str:
        """The renewed key of a node, after renewing all that it needs; chains may be thousands of steps long."""
        waiting = [key]
        while waiting:
            node = self.changes.get(waiting[-1]) or self.old.nodes[waiting[-1]]
            before = [need for need in node.needs if need not in self.renamed]
            if before:
                waiting += before
            else:
                self.renew(waiting.pop(), node)
        return self.renamed[key]

    def renew(self, key: str, node: Node) -> None:
        inputs = tuple(self.renamed[need] for need in node.inputs)
        node = replace(node, op=self.repointed(node.op), inputs=inputs)
        self.renamed[key] = node.key
        self.nodes.setdefault(self.renamed[key], node)

    def repointed(self, op: Op) -> Op:
        """The operation with its references led to the renewed keys."""
        keys = {reference.key: self.renamed[reference.key] for reference in op.references()}
        if all(old == new for old, new in keys.items()):
            return op
        return op.model_copy(
            update={name: _repoint(getattr(op, name), keys) for name in type(op).model_fields}
        )


def _repoint(value: object, keys: Mapping[str, str]) -> object:
    from .values import Data, Model

    if isinstance(value, tuple):
        return tuple(_repoint(part, keys) for part in value)
    if isinstance(value, Model | Data):
        return value.model_copy(update={"key": keys[value.key]})
    return value
