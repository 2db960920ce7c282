"""Narrow the rows before adding a column that the narrowing does not read.

A score that a later `filter` or `top` does not look at is needed of the rows that stay only. Legal for row-wise
columns; what is set-level, random, or read by anybody else stays where it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..core import Filter, Join, Without
from ..graph import Graph, Node
from ..op import Adds, Select

if TYPE_CHECKING:
    from ..rewrite import Trace

NAME = "narrow before adding"


def narrow_before_adding(graph: Graph, trace: Trace) -> Graph:
    """The graph with every narrowing step as early as it may stand."""
    while pair := next(_pairs(graph, trace), None):
        adding, narrowing = pair
        trace.did(NAME, adding.title, f"runs after `{narrowing.title}`, on the rows that stay")
        graph = _swapped(graph, adding, narrowing)
    return graph


def _pairs(graph: Graph, trace: Trace):
    for narrowing in graph.nodes.values():
        if not isinstance(narrowing.op, Filter | Select | Join | Without):
            continue
        adding = graph[narrowing.inputs[0]]
        if not isinstance(adding.op, Adds) or not adding.op.requests():
            continue
        reason = refusal(graph, adding, narrowing)
        if reason is None:
            yield adding, narrowing
        else:
            trace.refuse(NAME, adding.title, reason)


def refusal(graph: Graph, adding: Node, narrowing: Node) -> str | None:
    """Why the two may not change places, or `None`."""
    assert isinstance(adding.op, Adds)
    if adding.op.name in _reads(narrowing):
        return f"`{narrowing.title}` reads it"
    if not adding.op.rowwise:
        return f"its values depend on the rows that `{narrowing.title}` drops"
    if adding.op.random or narrowing.op.random:
        return f"`{narrowing.title if narrowing.op.random else adding.title}` is random"
    if graph.consumers(adding.key) != [narrowing.key]:
        return "another step reads these rows too"
    if any(output.key == adding.key for output in graph.outputs):
        return "a recipe ends here"
    shared = _shared_with(graph, adding, narrowing)
    return f"the same pass runs on all rows for `{shared.title}` anyway" if shared else None


def _reads(node: Node) -> frozenset[str]:
    marks = {getattr(node.op, field, None) for field in ("spread", "per")}
    return node.op.reads() | {mark for mark in marks if isinstance(mark, str)}


def _shared_with(graph: Graph, adding: Node, narrowing: Node) -> Node | None:
    """The earlier step whose passes hold all that this one asks, if there is one."""
    wanted = {(r.model.key, r.view) for r in adding.op.requests().values()}
    for key in graph.lineage(adding.inputs[0]):
        asked = {(r.model.key, r.view) for r in graph[key].op.requests().values()}
        if wanted <= asked and graph.covers(key, adding.inputs[0]):
            return graph[key]
    asked = {(r.model.key, r.view) for r in narrowing.op.requests().values()}
    return narrowing if wanted <= asked else None


def _swapped(graph: Graph, adding: Node, narrowing: Node) -> Graph:
    """The graph with the two in the other order: the key of the second stands for the new pair."""
    before = graph[adding.inputs[0]].schema
    assert before is not None and narrowing.schema is not None
    early = replace(narrowing, inputs=adding.inputs, schema=replace(before, spread=narrowing.schema.spread))
    late = replace(adding, inputs=(early.key,), schema=narrowing.schema)
    with_early = Graph({**graph.nodes, early.key: early}, graph.outputs)
    return with_early.replaced({narrowing.key: late})
