"""Arguments as the recipe writes them, turned into the typed values that operations take."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal, Protocol, get_args, get_origin

from ..dsl import tree
from ..dsl.words import RESERVED
from .expression import FUNCTIONS, columns, decimal_share, is_rowwise
from .expression_kinds import KIND_HELP, KINDS, fits, kind_of
from .problems import choices, problem, suggestion
from .schema import Kind
from .scope import Bound, Flow, Scope
from .templates import TEMPLATES
from .values import Count, Data, Expression, Model, Money, Share
from .wants import Template


class Nodes(Protocol):
    """What turns models and datasets into nodes of the graph; the resolver."""

    def model(self, expression: tree.Expr, scope: Scope, flow: Flow) -> Model: ...
    def dataset(self, expression: tree.Expr, scope: Scope, flow: Flow) -> Data: ...
    def tokens(self, column: str, flow: Flow, span: tree.Span) -> str: ...


class Place(typing.NamedTuple):
    """Where an argument is understood."""

    scope: Scope
    flow: Flow
    nodes: Nodes
    what: str
    """How a message calls the argument, such as `` `k` of `kmeans` ``."""


def convert(expression: tree.Expr, wanted: Any, place: Place) -> Any:
    """The value of an argument for a parameter of type `wanted`.

    Raises `Problem` with codes E301 (wrong type), E302 (a share or count that is none) or a name's own code.
    """
    options = _options(wanted)
    if isinstance(expression, tree.Null) and type(None) in options:
        return None
    options = tuple(o for o in options if o is not type(None))
    if set(options) & {Model, Data, Expression}:
        return _reference(expression, options, place)
    expression, place = _follow(expression, place)
    if Share in options or Count in options:
        return _amount(expression, options, place)
    for option in options:
        value = _plain(expression, option, place)
        if value is not _NO:
            return value
    raise _mismatch(expression, options, place)


_NO = object()
MOST_PARTS = 1_000
"""How many parts an expression may have once names are replaced by what they stand for."""


def _options(wanted: Any) -> tuple[Any, ...]:
    if get_origin(wanted) in (types.UnionType, typing.Union):
        return tuple(o for option in get_args(wanted) for o in _options(option))
    return (wanted,)


def _follow(expression: tree.Expr, place: Place) -> tuple[tree.Expr, Place]:
    """The expression behind a `let` or `param` name."""
    while isinstance(expression, tree.Name) and not expression.quoted:
        bound = place.scope.value(expression.text)
        if bound is None or isinstance(bound.value, tree.Chain):
            break
        expression, place = bound.value, place._replace(scope=bound.scope, flow=bound.flow or place.flow)
    return expression, place


def _reference(expression: tree.Expr, options: tuple[Any, ...], place: Place) -> Any:
    if Model in options:
        return place.nodes.model(expression, place.scope, place.flow)
    if Data in options:
        return place.nodes.dataset(expression, place.scope, place.flow)
    return checked(expression, place)


def _amount(expression: tree.Expr, options: tuple[Any, ...], place: Place) -> Share | Count:
    if not isinstance(expression, tree.Quantity) or expression.unit == "$":
        raise _mismatch(expression, options, place)
    share = decimal_share(expression)
    if share is not None and Share in options:
        return _share(expression, share, place)
    value = expression.value
    if share is None and Count in options and value == value.to_integral_value():
        return _count(expression, place)
    raise _amount_problem(expression, options, place)


def _share(expression: tree.Quantity, share: Decimal, place: Place) -> Share:
    if 0 < share <= 1:
        return Share(fraction=share)
    raise problem(
        "E302",
        f"{place.what} cannot be {expression.text}",
        expression.span,
        "a share lies above 0% and up to 100%",
        help=f"write `{min(max(share, Decimal('0.05')), Decimal(1)) * 100:f}%`".replace(".00%", "%"),
    )


def _count(expression: tree.Quantity, place: Place) -> Count:
    if expression.value >= 1 and expression.text not in ("1.0", "1.00"):
        return Count(rows=int(expression.value))
    if expression.value == 1:
        raise _amount_problem(expression, (Share, Count), place)
    raise problem(
        "E302",
        f"{place.what} cannot be {expression.text}",
        expression.span,
        "no rows",
        help="write `1` or more",
    )


def _amount_problem(expression: tree.Quantity, options: tuple[Any, ...], place: Place) -> Exception:
    value = expression.value
    help = []
    if Share in options:
        help.append(f"for a share write `{(value * 100 if value == 1 else value).normalize():f}%`")
    if Count in options and value >= 1:
        help.append(f"for a count write `{int(value)}`")
    label = "neither a share nor a count" if Count in options else "not a share"
    return problem("E302", f"{place.what} cannot be {expression.text}", expression.span, label, help=help)


def _plain(expression: tree.Expr, option: Any, place: Place) -> Any:
    """The value for one option of the type, or `_NO`."""
    if get_origin(option) is Literal:
        return _choice(expression, get_args(option), place)
    if get_origin(option) is tuple:
        return _several(expression, option, place)
    reader = _PLAIN.get(option)
    return reader(expression) if reader else _special(expression, option, place)


def _choice(expression: tree.Expr, allowed: tuple[Any, ...], place: Place) -> Any:
    value = expression.text if isinstance(expression, tree.Name) else getattr(expression, "value", None)
    if value in allowed:
        return value
    text = str(value) if isinstance(value, str) else tree_text(expression)
    raise problem(
        "E305",
        f"{place.what} cannot be `{text}`",
        expression.span,
        "unknown choice",
        help=f"one of {choices(str(a) for a in allowed)}",
    )


def _several(expression: tree.Expr, option: Any, place: Place) -> Any:
    items = expression.items if isinstance(expression, tree.ListOf) else (expression,)
    return tuple(convert(item, get_args(option)[0], place) for item in items)


def _special(expression: tree.Expr, option: Any, place: Place) -> Any:
    if option is Template:
        return _template(expression, place)
    if option is Money and isinstance(expression, tree.Quantity) and expression.unit == "$":
        return Money(dollars=expression.value)
    return _NO


def _template(expression: tree.Expr, place: Place) -> Template:
    if isinstance(expression, tree.Text) and "{" in expression.value:
        return Template("custom", expression.value, expression.value, "")
    name = expression.text if isinstance(expression, tree.Name) else getattr(expression, "value", "")
    if name in TEMPLATES:
        return TEMPLATES[name]
    raise problem(
        "E209",
        f"no template is called `{name}`",
        expression.span,
        "unknown template",
        help=(
            *suggestion(str(name), TEMPLATES, "a template"),
            'or a text of its own: `template = "Q: {instruction}\\nA:"`',
        ),
    )


def _text(expression: tree.Expr) -> Any:
    if isinstance(expression, tree.Text):
        return expression.value
    return expression.text if isinstance(expression, tree.Name) else _NO


def _whole(expression: tree.Expr) -> Any:
    negative = isinstance(expression, tree.Unary) and expression.operator == "-"
    inner = expression.operand if negative else expression  # type: ignore[union-attr]
    if not isinstance(inner, tree.Quantity) or inner.unit or inner.value != inner.value.to_integral_value():
        return _NO
    return -int(inner.value) if negative else int(inner.value)


def _real(expression: tree.Expr) -> Any:
    if isinstance(expression, tree.Unary) and expression.operator == "-":
        inner = _real(expression.operand)
        return _NO if inner is _NO else -inner
    if not isinstance(expression, tree.Quantity) or expression.unit == "$":
        return _NO
    return float(expression.value / 100 if expression.unit == "%" else expression.value)


def _truth(expression: tree.Expr) -> Any:
    return expression.value if isinstance(expression, tree.Bool) else _NO


_PLAIN: dict[Any, Callable[[tree.Expr], Any]] = {str: _text, int: _whole, float: _real, bool: _truth}

_NAMES: dict[Any, str] = {
    Share: "a share such as `5%`",
    Count: "a count such as `100`",
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "`true` or `false`",
    Money: "money such as `$5`",
    Template: "a template",
    Model: "a model",
    Data: "a dataset",
}


def _mismatch(expression: tree.Expr, options: tuple[Any, ...], place: Place) -> Exception:
    wanted = " or ".join(dict.fromkeys(_NAMES.get(o, str(o)) for o in options))
    return problem(
        "E301",
        f"{place.what} takes {wanted}, not {kind_in_words(expression)}",
        expression.span,
        f"this is {kind_in_words(expression)}",
        help=f"write {wanted}",
    )


def kind_in_words(expression: tree.Expr | tree.Chain) -> str:
    """What an expression is, for a message."""
    match expression:
        case tree.Quantity(unit="%"):
            return "a share"
        case tree.Quantity(unit="$"):
            return "money"
        case tree.Quantity():
            return "a number"
        case tree.Text():
            return "a text"
        case tree.Bool():
            return "a truth value"
        case tree.Name():
            return f"the name `{expression.text}`"
        case tree.ListOf():
            return "a list"
        case tree.Dataset() | tree.Chain():
            return "a dataset"
        case tree.Call():
            return f"`{expression.name.text}(…)`"
        case tree.Null():
            return "null"
        case _:
            return "an expression"


def shown_text(expression: tree.Expr) -> str:
    """The canonical text as a recipe would have it: columns without backticks, token counts as calls."""
    if isinstance(expression, tree.Name) and not expression.text.startswith("@"):
        return expression.text
    text = tree_text(expression)
    for part in ("prompt", "response"):
        text = text.replace(f"`@tokens.{part}`", f"tokens({part})")
    return text


def tree_text(expression: tree.Expr) -> str:
    """The canonical text of an expression."""
    from ..dsl.format import format_expression

    return format_expression(expression)


# Expressions over columns


def checked(expression: tree.Expr, place: Place, wants: Kind = "any") -> Expression:
    """The expression with its names resolved, every column known and every type fitting."""
    expression = substituted(expression, place)
    kind = kind_of(expression, place.flow.schema)
    if not fits(kind, wants):
        raise problem(
            "E301",
            f"{place.what} takes a {KINDS[wants]}, not a {KINDS[kind]}",
            expression.span,
            f"this is a {KINDS[kind]}",
            help=KIND_HELP.get(wants, ()),
        )
    column = place.flow.schema.get(expression.text) if isinstance(expression, tree.Name) else None
    return Expression(
        tree=expression,
        text=shown_text(expression),
        columns=columns(expression),
        rowwise=is_rowwise(expression),
        better=(column.better if column else None) or "high",
    )


def substituted(expression: tree.Expr, place: Place) -> tree.Expr:
    """The expression with `let` and `param` names replaced by what they stand for."""
    match expression:
        case tree.Name(quoted=False):
            return _substituted_name(expression, place)
        case tree.Call():
            return _substituted_call(expression, place)
        case tree.Name(text=text):
            return replace(expression, quoted=not _BARE_NAME.fullmatch(text) or text in RESERVED)
        case _:
            return tree.with_parts(expression, lambda part: substituted(part, place))


_BARE_NAME = re.compile(r"[^\W\d](?:\w|[-.](?=\w))*")
"""A name that needs no backticks; a column's is written without them, so that equal work has equal text."""


def _substituted_name(name: tree.Name, place: Place) -> tree.Expr:
    bound = place.scope.value(name.text)
    if bound is None:
        return name
    if isinstance(bound.value, tree.Chain | tree.Dataset):
        raise _not_a_value(name, bound)
    inside = place._replace(scope=bound.scope)
    value = bound.value
    if isinstance(value, tree.Name) and value.text == name.text and bound.scope.value(name.text) is bound:
        return value
    written = substituted(value, inside)
    if not _is_small(written):
        raise problem(
            "E309",
            f"`{name.text}` stands for more than {MOST_PARTS:,} parts",
            name.span,
            "too long when written out",
            also=[(bound.span, f"`{name.text}` is bound here")] if bound.span else (),
            help="keep a part of it in a column with `derive`",
        )
    return replace(written, span=name.span)


def _is_small(expression: tree.Expr) -> bool:
    """Whether an expression has few enough parts to be looked at again and again."""
    waiting, seen = [expression], 0
    while waiting and seen <= MOST_PARTS:
        seen += 1
        waiting += parts(waiting.pop())
    return not waiting


def parts(expression: tree.Expr) -> tuple[tree.Expr, ...]:
    """What an expression directly consists of."""
    match expression:
        case tree.Unary():
            return (expression.operand,)
        case tree.Binary():
            return (expression.left, expression.right)
        case tree.ListOf():
            return expression.items
        case tree.Call():
            return tuple(argument.value for argument in expression.arguments)
        case _:
            return ()


def _not_a_value(name: tree.Name, bound: Bound) -> Exception:
    return problem(
        "E301",
        f"`{name.text}` is {kind_in_words(bound.value)}, not a value of a row",
        name.span,
        "a column or a number belongs here",
        also=[(bound.span, f"`{name.text}` is bound here")] if bound.span else (),
    )


def _substituted_call(call: tree.Call, place: Place) -> tree.Expr:
    _check_function(call)
    arguments = tuple(replace(a, value=substituted(a.value, place)) for a in call.arguments)
    if call.name.text != "tokens":
        return replace(call, arguments=arguments)
    column = arguments[0].value
    if not isinstance(column, tree.Name) or column.text not in ("prompt", "response"):
        raise problem(
            "E301",
            "`tokens` counts `prompt` or `response`",
            call.span,
            "not one of the two",
            help="write `tokens(response)`",
        )
    return tree.Name(place.nodes.tokens(column.text, place.flow, call.span), True, span=call.span)


def _check_function(call: tree.Call) -> None:
    function = FUNCTIONS.get(call.name.text)
    if function is None:
        raise problem(
            "E206",
            f"no function is called `{call.name.text}`",
            call.name.span,
            "unknown function",
            help=suggestion(call.name.text, FUNCTIONS, "a function"),
        )
    given = len(call.arguments)
    if not function.least <= given <= function.most or any(a.name for a in call.arguments):
        count = f"{function.least}" if function.least == function.most else f"{function.least} or more"
        raise problem(
            "E307",
            f"`{call.name.text}` takes {count} argument{'s' * (count != '1')} without names",
            call.span,
            f"{given} given",
            help=f"`{call.name.text}`: {function.does}",
        )
