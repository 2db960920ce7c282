"""An expression with the parameters and short names in it replaced by what they stand for."""

from __future__ import annotations

from dataclasses import replace

from ..dsl import tree
from ..dsl.format import format_expression
from .scope import Bound, Scope

LONGEST = 40
"""Characters; what is longer is shown by its name."""

TAKES_NOUNS = ("score", "judge", "tag", "embed", "generate", "cluster", "diversify", "dedup", "evaluate")
"""Verbs whose bare name is an operation, whatever else is called so."""


def written_out(expression: tree.Expr, scope: Scope) -> tree.Expr:
    """The expression as it reads without looking at its `param`, `let` and method parameters."""
    if isinstance(expression, tree.Name) and not expression.quoted:
        return _stands_for(expression, scope)
    return tree.with_parts(expression, lambda part: written_out(part, scope))


def step_written_out(step: tree.Step, scope: Scope) -> tree.Step:
    """The step with what it takes and its clauses written out."""
    noun = step.verb.text in TAKES_NOUNS
    things = tuple(t if noun and isinstance(t, tree.Name) else _thing(t, scope) for t in step.things)
    return replace(step, things=things, clauses=tuple(_clause(clause, scope) for clause in step.clauses))


def _clause(clause: tree.Clause, scope: Scope) -> tree.Clause:
    return replace(clause, values=tuple(_thing(value, scope) for value in clause.values))


def _thing(thing: tree.Expr | tree.Assign, scope: Scope) -> tree.Expr | tree.Assign:
    if isinstance(thing, tree.Assign):
        return replace(thing, value=written_out(thing.value, scope))
    return written_out(thing, scope)


def _stands_for(name: tree.Name, scope: Scope) -> tree.Expr:
    bound = scope.value(name.text)
    if bound is None or isinstance(bound.value, tree.Chain) or not _tells_more(bound):
        return name
    value = written_out(bound.value, bound.scope)
    return value if len(format_expression(value)) <= LONGEST else name


def _tells_more(bound: Bound) -> bool:
    """Whether the value is to be read in place of its name; a `let` names what it makes on purpose."""
    match bound.value:
        case tree.Binary() | tree.Dataset():
            return False
        case tree.Call() | tree.ListOf():
            return bound.type not in (None, "repeat")
        case _:
            return True
