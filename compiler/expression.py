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
            return int(number) if number == number.to_integral_value() else float(number)
        case tree.Text(value=value) | tree.Bool(value=value):
            return value
        case tree.ListOf(items=items):
            return [literal(item) for item in items]
        case tree.Unary(operator="-", operand=operand):
            return -literal(operand)  # type: ignore[operator]
        case _:
            return None


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
        case _:
            return pl.lit(literal(expression))


def _binary(expression: tree.Binary) -> pl.Expr:
    operator = expression.operator
    if operator in ("in", "not in"):
        found = _membership(expression.left, expression.right)
        return ~found if operator == "not in" else found
    left = to_polars(expression.left)
    if isinstance(expression.right, tree.Null):
        return left.is_not_null() if operator == "!=" else left.is_null()
    return _OPERATORS[operator](left, to_polars(expression.right))


def _membership(item: tree.Expr, where: tree.Expr) -> pl.Expr:
    import polars as pl

    if isinstance(where, tree.ListOf):
        return to_polars(item).is_in(literal(where))  # type: ignore[arg-type]
    if isinstance(item, tree.Text) and isinstance(where, tree.Name):
        return _contains(where, item)
    return (
        to_polars(where).list.contains(to_polars(item)) if not isinstance(item, tree.Text) else pl.lit(None)
    )


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
        nested = isinstance(series.dtype, pl.List | pl.Array)
        return (series.list.len() if nested else series.cast(pl.String).str.len_chars()).cast(pl.Float64)

    return to_polars(value).map_batches(measure, return_dtype=pl.Float64)


def _contains(where: tree.Expr, what: tree.Expr) -> pl.Expr:
    import polars as pl

    item = literal(what)

    def find(series: pl.Series) -> pl.Series:
        if isinstance(series.dtype, pl.List | pl.Array):
            return series.list.contains(item)  # type: ignore[arg-type]
        return series.cast(pl.String).str.contains(str(item), literal=True)

    return to_polars(where).map_batches(find, return_dtype=pl.Boolean)


def _count(where: tree.Expr, what: tree.Expr | None = None) -> pl.Expr:
    if what is None:
        return _length(where)
    return _counted(to_polars(where).str.count_matches(str(literal(what)), literal=True))


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
    "matches": lambda x, pattern: to_polars(x).str.contains(str(literal(pattern))),
    "startswith": lambda x, start: to_polars(x).str.starts_with(str(literal(start))),
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
