"""The plan: which tasks run, in which order, and what each one costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .graph import Graph
from .rewrite import Trace
from .wants import Continued, View, Want


@dataclass(frozen=True, slots=True)
class Ask:
    """One want of one view, and where its answer is read.

    An answer that is folded is read from the host's longer view as `read`; rows for which that cannot be done
    (the longer view has a problem there) are run on the view itself.
    """

    view: View
    want: Want
    read: Want


def beside(want: Want) -> str | None:
    """The key of the dataset whose rows a want has read after each row."""
    return want.anchors.key if isinstance(want, Continued) else None


@dataclass(frozen=True, slots=True)
class Scan:
    """Read a dataset."""

    node: str
    needs: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Sweep:
    """One pass of one model over one view of the rows of one dataset, for everybody who wants something of it."""

    id: str
    model: str
    """The key of the model's node."""
    view: View
    rows: str
    """The key of the dataset whose rows are swept."""
    asks: tuple[Ask, ...]
    for_nodes: tuple[str, ...]
    """The keys of the nodes that read an answer."""
    shots: str | None = None
    """The key of the node whose operation names the row to show before each row."""
    waits: tuple[str, ...] = ()
    """The sweeps whose answers decide which rows are shown."""

    @property
    def node(self) -> str:
        return self.rows

    @property
    def needs(self) -> tuple[str, ...]:
        return (self.rows, self.model, *self.waits, *self.beside)

    @property
    def beside(self) -> tuple[str, ...]:
        """The keys of the datasets whose rows are read after each row."""
        return tuple(dict.fromkeys(key for ask in self.asks if (key := beside(ask.want))))

    @property
    def forwards(self) -> bool:
        """Whether the model itself runs; counting tokens needs its tokenizer only."""
        from .wants import Tokens

        return any(not isinstance(ask.want, Tokens) for ask in self.asks)


@dataclass(frozen=True, slots=True)
class Reduce:
    """Compute a column, or another set of the rows, from what is known."""

    node: str
    needs: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Pick:
    """Choose rows."""

    node: str
    needs: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """Train a model, or take it from the store."""

    node: str
    needs: tuple[str, ...] = ()
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Write:
    """Write a dataset."""

    node: str
    needs: tuple[str, ...] = ()
    model: str | None = None


Task: TypeAlias = Scan | Sweep | Reduce | Pick | Fit | Write


@dataclass(frozen=True)
class Plan:
    """Tasks in the order they run, over the graph they come from."""

    graph: Graph
    tasks: tuple[Task, ...]
    trace: Trace
    shared: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Which recipes a node serves, where there are several."""

    @property
    def sweeps(self) -> Iterator[Sweep]:
        return (task for task in self.tasks if isinstance(task, Sweep))
