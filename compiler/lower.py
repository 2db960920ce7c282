"""Lowers a graph to a plan: tasks in an order that loads each model as few times as possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from . import core
from .graph import Graph, Node
from .op import Select, Train
from .plan import Fit, Pick, Plan, Reduce, Scan, Sweep, Task, Write
from .rewrite import RULES, rewrite
from .sweeps import plan_sweeps


def lower(graph: Graph, *, rules: bool = True) -> Plan:
    """The plan of a graph; without rules every request is a sweep of its own and steps stay in place."""
    graph, trace = rewrite(graph, RULES if rules else ())
    sweeps = plan_sweeps(graph, trace, fused=rules)
    tasks = [*sweeps, *(task for key in graph.nodes if (task := node_task(graph, key, sweeps)))]
    return Plan(graph, tuple(residency(tasks, graph)), trace, served(graph))


def node_task(graph: Graph, key: str, sweeps: Iterable[Sweep]) -> Task | None:
    """The task that runs one node; a pretrained model needs none."""
    node = graph[key]
    needs = (*node.needs, *(sweep.id for sweep in sweeps if key in sweep.for_nodes))
    if isinstance(node.op, core.Load):
        return Scan(key)
    if isinstance(node.op, Train):
        return Fit(key, needs, key)
    if isinstance(node.op, core.Save):
        return Write(key, needs)
    if isinstance(node.op, Select):
        return Pick(key, needs)
    if node.schema is None:
        return None
    return Reduce(key, needs)


def residency(tasks: Iterable[Task], graph: Graph) -> Iterator[Task]:
    """Tasks in an order that loads each model as few times as possible."""
    waiting = list(tasks)
    done = {key for key, node in graph.nodes.items() if _is_given(node)}
    loaded: str | None = None
    while waiting:
        ready = [task for task in waiting if all(need in done for need in task.needs)]
        assert ready, "every task waits for another one"
        task = min(ready, key=lambda t: _preference(t, loaded))
        loaded = task.model or loaded
        done.add(task.id if isinstance(task, Sweep) else task.node)
        waiting.remove(task)
        yield task


def _preference(task: Task, loaded: str | None) -> int:
    """First what needs no model, then what needs the loaded one, then training, then another model."""
    if task.model is None:
        return 0
    if task.model == loaded:
        return 1
    return 2 if isinstance(task, Fit) else 3


def _is_given(node: Node) -> bool:
    return node.schema is None and not isinstance(node.op, Train)


def served(graph: Graph) -> dict[str, tuple[str, ...]]:
    """The recipes that each node serves."""
    import networkx as nx

    names: dict[str, dict[str, None]] = {}
    for output in graph.outputs:
        for key in (output.key, *nx.ancestors(graph.digraph, output.key)):
            names.setdefault(key, {})[output.recipe] = None
    return {key: tuple(recipes) for key, recipes in names.items()}
