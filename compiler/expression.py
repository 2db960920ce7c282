"""Expressions over the columns of a row: what they mean, which types they take, and their polars form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from ..dsl import tree
from .schema import ROW_COLUMNS, Kind

if TYPE_CHECKING:
    import polars as pl

CANONICAL = frozenset(column.name for column in ROW_COLUMNS)


def physical(name: str) -> str:
    """The name that a column has in a frame of rows."""
    return f"@{name}" if name in CANONICAL else name


def column(name: str) -> pl.Expr:
    """The column of exactly that name; polars takes `*` and `^…$` for patterns."""
    import polars as pl
    from polars import selectors

    is_pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return selectors.by_name(name).as_expr() if is_pattern else pl.col(name)


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the expression language."""

    takes: tuple[Kind, ...]
    """The kinds of its arguments; the last one repeats where `most` is larger."""
    gives: Kind
    does: str
    least: int = 1
    most: int = 1
    rowwise: bool = True

    def kind_at(self, position: int) -> Kind:
        return self.takes[min(position, len(self.takes) - 1)]


FUNCTIONS: Mapping[str, Function] = {
    "len": Function(("any",), "number", "characters of a text, or items of a list"),
    "chars": Function(("text",), "number", "characters of a text"),
    "words": Function(("text",), "number", "words of a text, split at white space"),
    "tokens": Function(("text",), "number", "tokens of `prompt` or `response`, by the model used last"),
    "lower": Function(("text",), "text", "the text in lower case"),
    "contains": Function(("any", "text"), "bool", "whether a text holds another, or a list an item", 2, 2),
    "matches": Function(("text", "text"), "bool", "whether a regular expression is found in a text", 2, 2),
    "startswith": Function(("text", "text"), "bool", "whether a text starts with another", 2, 2),
    "count": Function(("any", "text"), "number", "how often a text holds another; items of a list", 1, 2),
    "log": Function(("number",), "number", "natural logarithm"),
    "exp": Function(("number",), "number", "e to that power"),
    "abs": Function(("number",), "number", "without its sign"),
    "min": Function(("number",), "number", "the least of several, row by row", 2, 99),
    "max": Function(("number",), "number", "the greatest of several, row by row", 2, 99),
    "clip": Function(("number",), "number", "held between two bounds", 3, 3),
    "if": Function(("bool", "any"), "any", "one value where a condition is true, else another", 3, 3),
    "coalesce": Function(("any",), "any", "the first value that is not null", 2, 99),
    "z": Function(("number",), "number", "standard score over all rows at that point", rowwise=False),
    "rank": Function(
        ("number",), "number", "rank over all rows, 1 the least; equal values share", rowwise=False
    ),
    "minmax": Function(("number",), "number", "scaled to 0 … 1 over all rows at that point", rowwise=False),
    "mean": Function(("number",), "number", "mean over all rows at that point", rowwise=False),
}

ARITHMETIC = frozenset("+-*/")
COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">="))
LARGEST = 2**63
"""A whole number from here on is a number with a fraction, as in every column."""


def columns(expression: tree.Expr) -> frozenset[str]:
    """The names of columns that an expression reads."""
    match expression:
        case tree.Name():
            return frozenset((expression.text,))
        case tree.Unary():
            return columns(expression.operand)
        case tree.Binary():
            return columns(expression.left) | columns(expression.right)
        case tree.Call():
            return frozenset().union(*(columns(a.value) for a in expression.arguments))
        case tree.ListOf():
            return frozenset().union(*(columns(item) for item in expression.items))
        case _:
            return frozenset()


def operands(expression: tree.Expr) -> frozenset[str]:
    """The columns that an operator or a function computes with; asking for null and passing on are neither."""
    match expression:
        case tree.Binary(operator="==" | "!=", left=left, right=right) if tree.Null in map(
            type, (left, right)
        ):
            return operands(left) | operands(right)
        case tree.Call(name=tree.Name(text="if" | "coalesce")):
            return frozenset().union(*(operands(argument.value) for argument in expression.arguments))
        case tree.Name():
            return frozenset()
        case _:
            return columns(expression)


def is_rowwise(expression: tree.Expr) -> bool:
    """Whether the value for a row depends on that row alone."""
    match expression:
        case tree.Unary():
            return is_rowwise(expression.operand)
        case tree.Binary():
            return is_rowwise(expression.left) and is_rowwise(expression.right)
        case tree.Call():
            own = FUNCTIONS[expression.name.text].rowwise
            return own and all(is_rowwise(a.value) for a in expression.arguments)
        case _:
            return True


def literal(expression: tree.Expr) -> object:
    """The Python value of a literal; money and shares as plain numbers."""
    match expression:
        case tree.Quantity(value=value, unit=unit):
            number = value / 100 if unit == "%" else value
            whole = number == number.to_integral_value() and abs(number) < LARGEST
            return int(number) if whole else float(number)
        case tree.Text(value=value) | tree.Bool(value=value):
            return value
        case tree.ListOf(items=items):
            return [literal(item) for item in items]
        case _:
            return None


def is_literal(expression: tree.Expr) -> bool:
    """Whether the value is written out, so that it is the same for every row."""
    if isinstance(expression, tree.ListOf):
        return all(is_literal(item) for item in expression.items)
    return isinstance(expression, tree.Quantity | tree.Text | tree.Bool | tree.Null)


def to_polars(expression: tree.Expr) -> pl.Expr:
    """The polars expression with the same value for every row; comparisons with null are null."""
    import polars as pl

    match expression:
        case tree.Name():
            return column(physical(expression.text))
        case tree.Unary(operator="not"):
            return ~to_polars(expression.operand)
        case tree.Unary():
            return -to_polars(expression.operand)
        case tree.Binary():
            return _binary(expression)
        case tree.Call():
            arguments = [a.value for a in expression.arguments]
            return _CALLS[expression.name.text](*arguments)
        case tree.ListOf() if not is_literal(expression):
            return pl.concat_list([to_polars(item) for item in expression.items])
        case _:
            return pl.lit(literal(expression))


def _binary(expression: tree.Binary) -> pl.Expr:
    match expression:
        case tree.Binary(operator="in"):
            return _membership(expression.left, expression.right)
        case tree.Binary(operator="not in"):
            return ~_membership(expression.left, expression.right)
        case (
            tree.Binary(operator="==", left=value, right=tree.Null())
            | tree.Binary(operator="==", left=tree.Null(), right=value)
        ):
            return to_polars(value).is_null()
        case (
            tree.Binary(operator="!=", left=value, right=tree.Null())
            | tree.Binary(operator="!=", left=tree.Null(), right=value)
        ):
            return to_polars(value).is_not_null()
        case _:
            return _OPERATORS[expression.operator](to_polars(expression.left), to_polars(expression.right))


def _membership(item: tree.Expr, where: tree.Expr) -> pl.Expr:
    import polars as pl

    if not isinstance(where, tree.ListOf):
        return _contains(where, item)
    value = to_polars(item)
    known = [one for one in where.items if not isinstance(one, tree.Null)]
    return pl.any_horizontal([pl.lit(False), *(value == to_polars(one) for one in known)])


_OPERATORS: Mapping[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: (a / b).fill_nan(None),
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "and": lambda a, b: a & b,
    "or": lambda a, b: a | b,
}


def _length(value: tree.Expr) -> pl.Expr:
    import polars as pl

    def measure(series: pl.Series) -> pl.Series:
        series = series.alias("")
        nested = isinstance(series.dtype, pl.List | pl.Array)
        return (series.list.len() if nested else series.cast(pl.String).str.len_chars()).cast(pl.Float64)

    return to_polars(value).map_batches(measure, return_dtype=pl.Float64)


def _contains(where: tree.Expr, what: tree.Expr) -> pl.Expr:
    import polars as pl

    def find(columns: Sequence[pl.Series]) -> pl.Series:
        whole, part = (column.alias("") for column in columns)  # a name such as `^a$` is a pattern to polars
        if isinstance(whole.dtype, pl.Array):
            whole = whole.arr.to_list()
        if isinstance(whole.dtype, pl.List):
            return whole.list.contains(part.cast(whole.dtype.inner) if part.dtype.is_numeric() else part)
        text, sought = pl.lit(whole.cast(pl.String)), pl.lit(part.cast(pl.String))
        return pl.select(text.str.contains(sought, literal=True)).to_series()

    return pl.map_batches([to_polars(where), to_polars(what)], find, return_dtype=pl.Boolean)


def _count(where: tree.Expr, what: tree.Expr | None = None) -> pl.Expr:
    if what is None:
        return _length(where)
    return _counted(to_polars(where).str.count_matches(to_polars(what), literal=True))


def _counted(count: pl.Expr) -> pl.Expr:
    """A count from which more may be taken than it is."""
    import polars as pl

    return count.cast(pl.Int64)


def _standard(value: tree.Expr) -> pl.Expr:
    import polars as pl

    x = to_polars(value)
    spread = x.std(ddof=0)
    return pl.when(spread > 0).then((x - x.mean()) / spread).when(x.is_not_null()).then(0.0)


def _scaled(value: tree.Expr) -> pl.Expr:
    import polars as pl

    x = to_polars(value)
    width = x.max() - x.min()
    return pl.when(width > 0).then((x - x.min()) / width).when(x.is_not_null()).then(0.0)


def _if(condition: tree.Expr, yes: tree.Expr, no: tree.Expr) -> pl.Expr:
    import polars as pl

    return pl.when(to_polars(condition)).then(to_polars(yes)).otherwise(to_polars(no))


def _horizontal(name: str, values: Sequence[tree.Expr]) -> pl.Expr:
    import polars as pl

    return getattr(pl, name)(*(to_polars(value) for value in values))


_CALLS: Mapping[str, Callable[..., pl.Expr]] = {
    "len": _length,
    "chars": lambda x: _counted(to_polars(x).str.len_chars()),
    "words": lambda x: _counted(to_polars(x).str.count_matches(r"\S+")),
    "lower": lambda x: to_polars(x).str.to_lowercase(),
    "contains": _contains,
    "matches": lambda x, pattern: to_polars(x).str.contains(to_polars(pattern)),
    "startswith": lambda x, start: to_polars(x).str.starts_with(to_polars(start)),
    "count": _count,
    "log": lambda x: to_polars(x).log().fill_nan(None),
    "exp": lambda x: to_polars(x).exp(),
    "abs": lambda x: to_polars(x).abs(),
    "min": lambda *xs: _horizontal("min_horizontal", xs),
    "max": lambda *xs: _horizontal("max_horizontal", xs),
    "clip": lambda x, low, high: to_polars(x).clip(to_polars(low), to_polars(high)),
    "if": _if,
    "coalesce": lambda *xs: _horizontal("coalesce", xs),
    "z": _standard,
    "rank": lambda x: to_polars(x).rank("average"),
    "minmax": _scaled,
    "mean": lambda x: to_polars(x).mean(),
}


def decimal_share(quantity: tree.Quantity) -> Decimal | None:
    """The share that a quantity states: `5%`, or a decimal strictly between 0 and 1."""
    if quantity.unit == "%":
        return quantity.value / 100
    if quantity.unit == "" and 0 < quantity.value < 1:
        return quantity.value
    return None
