"""Names and what they stand for: a binding is text to be resolved where it is used, never a value copied early."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ..dsl import tree

if TYPE_CHECKING:
    from .schema import Schema
    from .values import Model


@dataclass(frozen=True)
class Flow:
    """Where a chain stands: the rows so far, their columns, and the model used last."""

    key: str | None
    """The node whose rows are piped on; `None` before anything was read."""
    schema: Schema
    model: Model | None = None

    def using(self, model: Model | None) -> Flow:
        return replace(self, model=model or self.model)


@dataclass(frozen=True)
class Bound:
    """A name's expression or chain, with the scope and the rows it is to be understood in."""

    value: tree.Expr | tree.Chain
    scope: Scope
    flow: Flow | None = None
    type: str | None = None
    span: tree.Span | None = None


@dataclass(frozen=True)
class Defined:
    """A method and the scope it was written in."""

    method: tree.Method
    scope: Scope


@dataclass
class Scope:
    """The names that a place of a recipe can see."""

    parent: Scope | None = None
    values: dict[str, Bound] = field(default_factory=dict)
    methods: dict[str, Defined] = field(default_factory=dict)
    modules: dict[str, Scope] = field(default_factory=dict)
    unread: bool = False
    """Of a used recipe: its text is not known, so it may hold any name."""

    def chain(self) -> Iterator[Scope]:
        """This scope and those around it, nearest first."""
        scope: Scope | None = self
        while scope:
            yield scope
            scope = scope.parent

    def value(self, name: str) -> Bound | None:
        """What a name stands for; `module.name` looks into a used recipe."""
        for scope in self.chain():
            if name in scope.values:
                return scope.values[name]
        module, rest = self._module(name)
        return module.value(rest) if module else None

    def method(self, name: str) -> Defined | None:
        """The method of that name; `module.name` looks into a used recipe."""
        for scope in self.chain():
            if name in scope.methods:
                return scope.methods[name]
        module, rest = self._module(name)
        return module.method(rest) if module else None

    def _module(self, name: str) -> tuple[Scope | None, str]:
        for scope in self.chain():
            for alias, module in scope.modules.items():
                if name.startswith(f"{alias}."):
                    return module, name[len(alias) + 1 :]
        return None, name

    def is_unread(self, name: str) -> bool:
        """Whether a name may come from a used recipe whose text is not known."""
        module, _ = self._module(name)
        return module is not None and module.unread

    def method_names(self) -> list[str]:
        """Every method that can be called from here."""
        own = {name for scope in self.chain() for name in scope.methods}
        used = {f"{a}.{n}" for scope in self.chain() for a, m in scope.modules.items() for n in m.methods}
        return sorted(own | used)

    def value_names(self) -> list[str]:
        """Every `let` and `param` that can be named from here."""
        return sorted({name for scope in self.chain() for name in scope.values})
