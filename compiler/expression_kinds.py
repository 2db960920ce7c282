"""What kind of value an expression gives, and which kinds its parts take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..dsl import tree
from ..dsl.diagnostic import nearest
from .expression import COMPARISONS, FUNCTIONS
from .problems import problem, suggestion
from .schema import Kind, Schema

KINDS: Mapping[Kind, str] = {
    "text": "text",
    "number": "number",
    "bool": "condition",
    "list": "list",
    "vector": "vector",
    "label": "label",
    "any": "value",
}
KIND_HELP: Mapping[Kind, str] = {
    "bool": "compare it, such as `ifd < 1` or `len(response) > 10`",
    "number": "use a score or a number, such as `ifd` or `len(response)`",
}


_COMPARISON_HELP: Mapping[Kind, str] = {
    "text": "to compare its length write `len(…)`",
    "list": "to compare its length write `len(…)`",
    "bool": "a condition stands alone, or after `not`",
}


def fits(kind: Kind, wants: Kind) -> bool:
    """Whether a value of one kind may stand where another is wanted."""
    return "any" in (kind, wants) or kind == wants or {kind, wants} <= {"number", "label"}


def kind_of(expression: tree.Expr, schema: Schema) -> Kind:
    """What an expression gives; every column and type in it is checked on the way."""
    match expression:
        case tree.Name():
            return _column_kind(expression, schema)
        case tree.Quantity():
            return "number"
        case tree.Text():
            return "text"
        case tree.Bool():
            return "bool"
        case tree.ListOf():
            _one_kind("a list", expression.items, _kinds(expression.items, schema))
            return "list"
        case tree.Unary():
            wants: Kind = "bool" if expression.operator == "not" else "number"
            return _operand(expression.operand, schema, wants, expression.operator)
        case tree.Binary():
            return _binary_kind(expression, schema)
        case tree.Call():
            return _call_kind(expression, schema)
        case tree.Dataset():
            raise problem("E301", "a dataset stands where a value is wanted", expression.span, "a dataset")
        case _:
            return "any"


def _column_kind(name: tree.Name, schema: Schema) -> Kind:
    column = schema.get(name.text)
    if column:
        return column.kind
    if parts := _subtracted(name.text, schema):
        raise problem(
            "E203",
            f"no column is called `{name.text}`",
            name.span,
            "a name may contain dashes",
            help=f"minus needs blanks around it: `{parts}`",
        )
    near = nearest(name.text, schema.names)
    own = schema.get(near) if near else None
    if schema.open and (own is None or own.span is None):
        return "any"
    raise problem(
        "E203",
        f"no column is called `{name.text}`",
        name.span,
        "unknown column",
        help=suggestion(name.text, schema.names, "a column"),
        also=[(own.span, f"`{near}` is written here")] if own and own.span else (),
    )


def _subtracted(name: str, schema: Schema) -> str | None:
    """The subtraction that a name with dashes may stand for, where its sides are columns."""
    for at, character in enumerate(name):
        left, right = name[:at], name[at + 1 :]
        known = [column for column in (schema.get(left), schema.get(right)) if column]
        if character == "-" and (len(known) == 2 or any(column.span for column in known)):
            return f"{left} - {right}"
    return None


def _kinds(expressions: Sequence[tree.Expr], schema: Schema) -> list[Kind]:
    return [kind_of(expression, schema) for expression in expressions]


def _operand(expression: tree.Expr, schema: Schema, wants: Kind, operator: str) -> Kind:
    return _wanted(expression, kind_of(expression, schema), wants, operator)


def _wanted(expression: tree.Expr, kind: Kind, wants: Kind, operator: str) -> Kind:
    if not fits(kind, wants) or isinstance(expression, tree.Null):
        raise problem(
            "E301",
            f"`{operator}` takes a {KINDS[wants]}, not {_in_words(expression, kind)}",
            expression.span,
            f"this is {_in_words(expression, kind)}",
            help=KIND_HELP.get(wants, ()),
        )
    return wants


def _in_words(expression: tree.Expr, kind: Kind) -> str:
    return "null" if isinstance(expression, tree.Null) else f"a {KINDS[kind]}"


def _one_kind(what: str, values: Sequence[tree.Expr], kinds: Sequence[Kind]) -> Kind:
    """What several values are that stand for one another; null stands for any."""
    first: Kind = "any"
    for value, kind in zip(values, kinds, strict=True):
        if not fits(kind, first):
            raise problem(
                "E301",
                f"{what} cannot hold a {KINDS[first]} and a {KINDS[kind]}",
                value.span,
                f"a {KINDS[first]} stands before it",
                help="write values of one kind",
            )
        first = kind if first == "any" else first
    return first


def _binary_kind(expression: tree.Binary, schema: Schema) -> Kind:
    operator = expression.operator
    if operator in ("and", "or"):
        _operand(expression.left, schema, "bool", operator)
        return _operand(expression.right, schema, "bool", operator)
    if operator in COMPARISONS:
        return _comparison(expression, schema)
    if operator in ("in", "not in"):
        return _membership(expression, schema)
    _operand(expression.left, schema, "number", operator)
    return _operand(expression.right, schema, "number", operator)


def _membership(expression: tree.Binary, schema: Schema) -> Kind:
    if isinstance(expression.right, tree.ListOf):
        return _member_of_list(expression.left, expression.right.items, schema)
    where, left = _kinds((expression.right, expression.left), schema)
    if not fits(where, "list") and where != "text":
        raise problem(
            "E301",
            f"`{expression.operator}` takes a list",
            expression.right.span,
            "not a list",
            help='write `in ["a", "b"]`',
        )
    if where == "text":
        _wanted(expression.left, left, "text", expression.operator)
    return "bool"


def _member_of_list(value: tree.Expr, items: Sequence[tree.Expr], schema: Schema) -> Kind:
    kinds = _kinds(items, schema)
    _one_kind("a list", items, kinds)
    _one_kind("a list", (value, *items), (kind_of(value, schema), *kinds))
    return "bool"


def _comparison(expression: tree.Binary, schema: Schema) -> Kind:
    left, right = kind_of(expression.left, schema), kind_of(expression.right, schema)
    if expression.operator not in ("==", "!=") and _has_null(expression):
        raise problem(
            "E301",
            f"`{expression.operator}` cannot compare with null",
            expression.span,
            "never true",
            help="ask for null with `== null` or `!= null`",
        )
    if not fits(left, right) and not isinstance(expression.right, tree.Null):
        raise problem(
            "E301",
            f"a {KINDS[left]} cannot be compared with a {KINDS[right]}",
            expression.span,
            f"`{expression.operator}` between a {KINDS[left]} and a {KINDS[right]}",
            help=_COMPARISON_HELP.get(left, ()) if right == "number" else (),
        )
    return "bool"


def _has_null(expression: tree.Binary) -> bool:
    return isinstance(expression.left, tree.Null) or isinstance(expression.right, tree.Null)


def _call_kind(call: tree.Call, schema: Schema) -> Kind:
    function, values = FUNCTIONS[call.name.text], [argument.value for argument in call.arguments]
    kinds = _kinds(values, schema)
    for position, (value, kind) in enumerate(zip(values, kinds, strict=True)):
        wants = function.kind_at(position)
        if not fits(kind, wants) or (wants != "any" and isinstance(value, tree.Null)):
            raise problem(
                "E301",
                f"`{call.name.text}` takes a {KINDS[wants]}, not {_in_words(value, kind)}",
                value.span,
                f"this is {_in_words(value, kind)}",
                help=f"`{call.name.text}`: {function.does}",
            )
    match call.name.text, values:
        case "if", [_, *cases]:
            return _one_kind("`if`", cases, kinds[1:])
        case "coalesce", cases:
            return _one_kind("`coalesce`", cases, kinds)
        case "matches", [_, tree.Text() as pattern]:
            _check_pattern(pattern)
    return function.gives


def _check_pattern(pattern: tree.Text) -> None:
    """Refuses a regular expression that cannot be read."""
    import polars as pl

    try:
        pl.select(pl.lit("").str.contains(pattern.value))
    except pl.exceptions.ComputeError as error:
        raise problem(
            "E305",
            f"`{pattern.value}` is no regular expression",
            pattern.span,
            str(error).rpartition("error: ")[2].splitlines()[0],
            help="look-around and back-references are not known; write `\\\\(` for a bracket itself",
        ) from None
