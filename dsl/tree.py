"""The tree of a recipe as it is written: every node knows its place, and equality looks at meaning alone."""

# ruff: noqa: RUF009

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from typing import Literal, TypeAlias


@dataclass(frozen=True)
class Source:
    """A recipe's name and text."""

    name: str
    text: str

    @cached_property
    def line_starts(self) -> tuple[int, ...]:
        """Offset of the first character of every line."""
        return (0, *(i + 1 for i, character in enumerate(self.text) if character == "\n"))


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a source, in characters."""

    source: Source = field(repr=False)
    start: int
    end: int

    @property
    def line(self) -> int:
        """Line of the first character, counted from 1."""
        return bisect_right(self.source.line_starts, self.start)

    @property
    def column(self) -> int:
        """Column of the first character, counted from 1."""
        return self.start - self.source.line_starts[self.line - 1] + 1

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]


def _span() -> Span:
    return field(compare=False, repr=False, kw_only=True)  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, a share or an amount of money; `10k` and `2M` are multiplied out."""

    value: Decimal
    unit: Literal["", "%", "$"]
    text: str = field(compare=False)
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `block` texts were written between triple quotes."""

    value: str
    block: bool = field(compare=False)
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Bool:
    value: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Null:
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Name:
    """A name; `quoted` ones stood in backticks and are always columns."""

    text: str
    quoted: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call, by position or by name."""

    name: Name | None
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`; also `model "id"`, a noun followed by a text."""

    name: Name
    arguments: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Unary:
    operator: Literal["-", "not"]
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expr
    right: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A chain in parentheses."""

    chain: Chain
    span: Span = _span()


Expr: TypeAlias = Quantity | Text | Bool | Null | Name | ListOf | Call | Unary | Binary | Dataset


def with_parts(expression: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with each of the expressions that it is made of changed; a dataset is made of none."""
    match expression:
        case ListOf():
            return replace(expression, items=tuple(change(item) for item in expression.items))
        case Unary():
            return replace(expression, operand=change(expression.operand))
        case Binary():
            return replace(expression, left=change(expression.left), right=change(expression.right))
        case Call():
            given = (replace(each, value=change(each.value)) for each in expression.arguments)
            return replace(expression, arguments=tuple(given))
        case _:
            return expression


@dataclass(frozen=True, slots=True)
class Assign:
    name: Name
    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Clause:
    """A preposition and what follows it; `with` is followed by assignments, the others by one expression."""

    keyword: Literal["using", "by", "as", "against", "per", "with"]
    values: tuple[Expr | Assign, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Step:
    """A verb, the things it takes, and clauses."""

    verb: Name
    things: tuple[Expr | Assign, ...]
    clauses: tuple[Clause, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class CallStep:
    """The call of a method."""

    call: Call
    clauses: tuple[Clause, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class AlgebraStep:
    """Datasets in parentheses, added, subtracted or intersected."""

    value: Expr
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class RepeatStep:
    """A chain whose steps follow so many times one after another."""

    times: Expr
    body: Chain
    span: Span = _span()


AnyStep: TypeAlias = Step | CallStep | AlgebraStep | RepeatStep


@dataclass(frozen=True, slots=True)
class Chain:
    """Steps, each working on what the one before it leaves."""

    steps: tuple[AnyStep, ...]
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Edition:
    number: int
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Use:
    path: Text
    alias: Name | None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a recipe or of a method."""

    name: Name
    type: Name
    default: Expr | None
    doc: str | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Let:
    name: Name
    value: Expr | Chain
    doc: str | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Method:
    name: Name
    params: tuple[Param, ...]
    body: Chain
    doc: str | None = None
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Repeat:
    times: Expr
    body: tuple[Statement, ...]
    span: Span = _span()


Statement: TypeAlias = Edition | Use | Param | Let | Method | Repeat | Chain


@dataclass(frozen=True, slots=True)
class Comment:
    """A comment with its `#`, and whether it stands on a line of its own."""

    text: str
    own_line: bool
    span: Span = _span()


@dataclass(frozen=True, slots=True)
class Recipe:
    """The statements of a recipe, and its comments for whoever writes it out again."""

    statements: tuple[Statement, ...]
    source: Source = field(compare=False, repr=False)
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
