"""Narrow the rows before adding a column that the narrowing does not read.

A score that a later `filter` or `top` does not look at is needed of the rows that stay only. Legal for row-wise
columns; what is set-level, random, or read by anybody else stays where it is. A column that asks no model is
passed too, so that it does not stand between a filter and a score.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from ..core import Derive, Filter, Join, Without
from ..graph import Graph, Node
from ..op import Adds, Select

if TYPE_CHECKING:
    from ..rewrite import Trace
    from ..wants import View

NAME = "narrow before adding"


def narrow_before_adding(graph: Graph, trace: Trace) -> Graph:
    """The graph with every narrowing step as early as it may stand."""
    while pair := next(_pairs(graph, trace), None):
        adding, narrowing = pair
        trace.did(NAME, adding.title, f"runs after `{narrowing.title}`, on the rows that stay")
        graph = _swapped(graph, adding, narrowing)
    return graph


def _pairs(graph: Graph, trace: Trace) -> Iterator[tuple[Node, Node]]:
    for narrowing in graph.nodes.values():
        if not isinstance(narrowing.op, Filter | Select | Join | Without):
            continue
        adding = graph[narrowing.inputs[0]]
        if not isinstance(adding.op, Adds | Derive) or not _behind_a_model(graph, adding):
            continue
        reason = refusal(graph, adding, narrowing)
        if reason is None:
            yield adding, narrowing
        else:
            trace.refuse(NAME, adding.title, reason)


def _behind_a_model(graph: Graph, adding: Node) -> bool:
    """Whether a model is asked in the run of added columns that ends here; else there is nothing to win."""
    node = adding
    while isinstance(node.op, Adds | Derive):
        if node.op.requests():
            return True
        node = graph[node.inputs[0]]
    return False


def refusal(graph: Graph, adding: Node, narrowing: Node) -> str | None:
    """Why the two may not change places, or `None`."""
    reason = _unlike(graph, adding, narrowing, narrowing.key)
    if reason:
        return reason
    shared = _shared_with(graph, adding, narrowing)
    return f"the same pass runs on all rows for `{shared.title}` anyway" if shared else None


def _unlike(graph: Graph, adding: Node, narrowing: Node, reader: str) -> str | None:
    """Why the result would not be the same; `reader` is the step below `adding`."""
    if not isinstance(adding.op, Adds | Derive):
        return f"`{adding.title}` stands before it"
    if adding.op.name in _reads(narrowing):
        return f"`{narrowing.title}` reads it"
    if not _is_rowwise(adding.op):
        return f"its values depend on the rows that `{narrowing.title}` drops"
    if adding.op.random or narrowing.op.random:
        return f"`{narrowing.title if narrowing.op.random else adding.title}` is random"
    if graph.consumers(adding.key) != [reader]:
        return "another step reads these rows too"
    if any(output.key == adding.key for output in graph.outputs):
        return "a recipe ends here"
    return None


def _is_rowwise(op: Adds | Derive) -> bool:
    return op.value.rowwise if isinstance(op, Derive) else op.rowwise


def _reads(node: Node) -> frozenset[str]:
    marks = {getattr(node.op, field, None) for field in ("spread", "per")}
    return node.op.reads() | {mark for mark in marks if isinstance(mark, str)}


def _shared_with(graph: Graph, adding: Node, narrowing: Node) -> Node | None:
    """The earlier step that stays and whose passes hold all that this one asks, if there is one."""
    wanted = _passes(adding)
    if not wanted:
        return None
    reader, stays = adding.key, False
    for key in graph.lineage(adding.inputs[0]):
        stays = stays or _unlike(graph, graph[key], narrowing, reader) is not None
        if stays and wanted <= _passes(graph[key]) and graph.covers(key, adding.inputs[0]):
            return graph[key]
        reader = key
    return narrowing if wanted <= _passes(narrowing) else None


def _passes(node: Node) -> set[tuple[str, View]]:
    return {(request.model.key, request.view) for request in node.op.requests().values()}


def _swapped(graph: Graph, adding: Node, narrowing: Node) -> Graph:
    """The graph with the two in the other order: the key of the second stands for the new pair."""
    before = graph[adding.inputs[0]].schema
    assert before is not None
    assert narrowing.schema is not None
    early = replace(narrowing, inputs=adding.inputs, schema=replace(before, spread=narrowing.schema.spread))
    late = replace(adding, inputs=(early.key,), schema=narrowing.schema)
    with_early = Graph({**graph.nodes, early.key: early}, graph.outputs)
    return with_early.replaced({narrowing.key: late})
