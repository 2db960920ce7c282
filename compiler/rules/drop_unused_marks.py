"""Drop the marks of `diversify` that no later choice spreads over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..graph import Graph, Node
from ..op import Adds

if TYPE_CHECKING:
    from ..rewrite import Trace

NAME = "drop unused marks"


def drop_unused_marks(graph: Graph, trace: Trace) -> Graph:
    """The graph without hidden columns that nobody reads."""
    while unused := next((n for n in graph.nodes.values() if _is_unused(graph, n)), None):
        trace.did(NAME, unused.title, "dropped: no later `top`, `bottom` or `sample` spreads over it")
        graph = graph.replaced({unused.key: graph[unused.inputs[0]]})
    return graph


def _is_unused(graph: Graph, node: Node) -> bool:
    if not isinstance(node.op, Adds) or not node.op.name.startswith("@"):
        return False
    return not any(node.op.name in _reads(graph[key]) for key in _below(graph, node))


def _reads(node: Node) -> frozenset[str]:
    spread = getattr(node.op, "spread", None)
    return node.op.reads() | ({spread} if spread else set())


def _below(graph: Graph, node: Node) -> set[str]:
    """The steps that see the node's column: those below it, down to the next one that writes it again."""
    assert isinstance(node.op, Adds)
    below, waiting = set(), [node.key]
    while waiting:
        for key in graph.consumers(waiting.pop()):
            if key in below:
                continue
            below.add(key)
            op = graph[key].op
            if not (isinstance(op, Adds) and op.name == node.op.name):
                waiting.append(key)
    return below
