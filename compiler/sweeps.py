"""Unites what all operations want of a model into as few sweeps as possible.

collect every request; narrow to distinct ones; fuse those of equal model and view on one lineage of rows; fold a
prompt-only pass into the prompt+response pass whose first part it is. What the store holds already is subtracted
row by row when the sweep runs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from .graph import Graph
from .op import Request
from .plan import Ask, Sweep, beside
from .rewrite import Trace
from .wants import Entropies, Hidden, Logprobs, RelativeEntropies, TopTwo, View, Want

FUSE, FOLD = "fuse", "fold prefixes"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, who made it, and the dataset whose rows it is about."""

    node: str
    rows: str
    request: Request

    @property
    def shots(self) -> str | None:
        """Who says which row is shown before each row; requests of one node alone share such a pass."""
        return self.node if self.request.shots else None

    @property
    def beside(self) -> str | None:
        """The dataset whose rows are read after each row; what it is chosen by must be another pass."""
        return beside(self.request.want)


@dataclass
class Group:
    """Requests that one pass can answer."""

    model: str
    view: View
    rows: str
    asked: list[Asked]
    folded: list[Asked] = field(default_factory=list)
    shots: str | None = None

    @property
    def beside(self) -> str | None:
        return self.asked[0].beside

    @property
    def everyone(self) -> Iterator[Asked]:
        yield from self.asked
        yield from self.folded


def collect(graph: Graph) -> Iterator[Asked]:
    """Every request of every node."""
    for key, node in graph.nodes.items():
        if node.inputs:
            for request in node.op.requests().values():
                yield Asked(key, shown_rows(graph, node.inputs[0], request), request)


def shown_rows(graph: Graph, piped: str, request: Request) -> str:
    """The dataset whose rows a request is about; one that is led by shots needs the columns of its point."""
    if request.of is not None:
        return graph.same_rows(request.of.key)
    return piped if request.shots else graph.same_rows(piped)


def plan_sweeps(graph: Graph, trace: Trace, *, fused: bool = True) -> tuple[Sweep, ...]:
    """The sweeps of a graph; unfused, one for each request, as a script for each method would run them."""
    asked = list(collect(graph))
    if not fused:
        alone = (Group(a.request.model.key, a.request.view, a.rows, [a], shots=a.shots) for a in asked)
        return in_waiting(_sweep(graph, group, str(number)) for number, group in enumerate(alone))
    groups = fold(graph, fuse(graph, asked, trace), trace)
    return in_waiting(_sweep(graph, group) for group in groups)


def in_waiting(sweeps: Iterable[Sweep]) -> tuple[Sweep, ...]:
    """The sweeps; one led by shots waits for the others that its node reads."""
    sweeps = tuple(sweeps)
    return tuple(
        replace(sweep, waits=tuple(other.id for other in sweeps if _leads(other, sweep))) for sweep in sweeps
    )


def _leads(other: Sweep, sweep: Sweep) -> bool:
    return sweep.shots is not None and other.shots is None and sweep.shots in other.for_nodes


def fuse(graph: Graph, asked: Iterable[Asked], trace: Trace) -> list[Group]:
    """Groups of equal model and view; each on the widest rows of its lineage."""
    groups: list[Group] = []
    for one in asked:
        wanted = one.request.model.key, one.request.view, one.shots, one.beside
        same = [g for g in groups if (g.model, g.view, g.shots, g.beside) == wanted]
        host = next((g for g in same if graph.covers(g.rows, one.rows)), None)
        if host is None:
            groups.append(_widened(graph, groups, same, one))
            continue
        host.asked.append(one)
    for group in groups:
        _report(graph, group, trace)
    return groups


def _widened(graph: Graph, groups: list[Group], same: list[Group], one: Asked) -> Group:
    """A group on the rows of this request, which takes in those on fewer rows."""
    group = Group(one.request.model.key, one.request.view, one.rows, [one], shots=one.shots)
    for narrower in [g for g in same if graph.covers(one.rows, g.rows)]:
        group.asked += narrower.asked
        groups.remove(narrower)
    return group


def _report(graph: Graph, group: Group, trace: Trace) -> None:
    titles = list(dict.fromkeys(graph[a.node].title for a in group.asked))
    if len(titles) > 1:
        trace.did(FUSE, titles[0], "shares one pass with " + ", ".join(f"`{t}`" for t in titles[1:]))


def fold(graph: Graph, groups: list[Group], trace: Trace) -> list[Group]:
    """Prompt-only groups read from the pass that shows prompt and response, where that is exact."""
    kept: list[Group] = []
    for group in groups:
        host = next((g for g in groups if _can_host(graph, g, group)), None)
        title = graph[group.asked[0].node].title
        if host is None:
            _refuse_fold(graph, groups, group, trace)
            kept.append(group)
            continue
        host.folded += group.asked
        trace.did(
            FOLD, title, f"is read from the first part of the pass for `{graph[host.asked[0].node].title}`"
        )
    return kept


def _can_host(graph: Graph, host: Group, group: Group) -> bool:
    return (
        _is_prefix(host.view, group.view)
        and host.shots == group.shots
        and host.beside is None
        and host.model == group.model
        and graph.covers(host.rows, group.rows)
        and all(prefix_want(a.request.want) is not None for a in group.asked)
    )


def _is_prefix(host: View, view: View) -> bool:
    """Whether the view's tokens are the first tokens of the host's: both tokenised apart, the response after."""
    return (
        view.parts == ("prompt",)
        and host.parts == ("prompt", "response")
        and view.seam == host.seam == "apart"
        and view.turns == host.turns == "last"
        and view.text is None
        and not view.tail
        and replace(view, parts=host.parts) == host
    )


def prefix_want(want: Want) -> Want | None:
    """The same want as it is read from a longer pass: of the prompt's tokens instead of the whole."""
    match want:
        case Logprobs() | Entropies() | RelativeEntropies() | TopTwo() if want.span in ("prompt", "whole"):
            return replace(want, span="prompt")
        case Hidden() if want.span in ("prompt", "whole"):
            return replace(want, span="prompt")
        case _:
            return None


def _refuse_fold(graph: Graph, groups: list[Group], group: Group, trace: Trace) -> None:
    if group.view.parts != ("prompt",):
        return
    title = graph[group.asked[0].node].title
    alike = [g for g in groups if g.view.parts == ("prompt", "response") and g.model == group.model]
    if not alike:
        return
    if not any(_is_prefix(g.view, group.view) for g in alike):
        trace.refuse(FOLD, title, "the longer pass writes its rows another way, so its first tokens differ")
    elif not any(graph.covers(g.rows, group.rows) for g in alike):
        trace.refuse(FOLD, title, "the longer pass sees other rows")
    else:
        trace.refuse(FOLD, title, "what it wants stands at the end of its own pass")


def _sweep(graph: Graph, group: Group, mark: str = "") -> Sweep:
    """The sweep of a group; a mark keeps equal ones apart where nothing is shared."""
    asks = [Ask(a.request.view, a.request.want, a.request.want) for a in group.asked]
    for one in group.folded:
        want = prefix_want(one.request.want)
        assert want is not None
        asks.append(Ask(one.request.view, one.request.want, want))
    for_nodes = tuple(dict.fromkeys(a.node for a in group.everyone))
    distinct = tuple(dict.fromkeys(asks))
    content = group.model, group.view, group.rows, group.shots, distinct, mark
    name = hashlib.sha256(repr(content).encode()).hexdigest()[:10]
    return Sweep(name, group.model, group.view, group.rows, distinct, for_nodes, group.shots)
