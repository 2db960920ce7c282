"""What exists: every operation and method, described from its own definition."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from itertools import pairwise
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_core import PydanticUndefined

from ..compiler import core
from ..compiler.catalogue import Catalogue, catalogue
from ..compiler.explain import want_text
from ..compiler.op import Adds, Op, Request, Score, Select
from ..compiler.values import Count, Data, Expression, Model, Money, Share
from ..compiler.wants import Template, Tokens
from ..dsl import tree
from ..dsl.words import VERBS

NO_VALUE = "no value"
TYPES: Mapping[Any, str] = {
    Share: "share",
    Count: "count",
    Money: "money",
    Model: "model",
    Data: "dataset",
    Expression: "expression",
    Template: "template",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
}
STAND_INS: Mapping[Any, Any] = {
    Share: Share(fraction=Decimal("0.05")),
    Count: Count(rows=10),
    Model: Model(key="m", label="m"),
    Data: Data(key="d", label="against"),
    str: "text",
    int: 10,
    float: 0.5,
    Expression: Expression(tree=None, text="x"),
}
CLAUSES = {"using": "using", "by": "by", "per": "per", "against": "against", "name": "as"}
"""Fields that a clause fills, and the clause."""
OWN_PLACES: Mapping[tuple[type[Op], str], str] = {
    (core.Load, "source"): "argument",
    (core.Load, "shape"): "as",
    (core.Filter, "condition"): "argument",
    (core.Derive, "name"): "argument",
    (core.Derive, "value"): "argument",
    (core.Without, "other"): "argument",
    (core.Join, "other"): "argument",
    (core.Save, "path"): "argument",
    (core.Save, "shape"): "as",
    (core.Pretrained, "target"): "argument",
}
"""Where the language's own steps take what their operations hold."""
SET_BY_THE_COMPILER = ("spread",)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of an operation or method, in the words of the language."""

    name: str
    type: str
    default: str | None
    """As a recipe would write it; `None` where a value must be given."""
    doc: str
    place: str
    """`argument`, `with` or the clause that gives it."""
    otherwise: str = ""
    """What is taken where neither it nor a default is given."""


@dataclass(frozen=True, slots=True)
class Operation:
    """A verb with its noun, and what is to be known of it."""

    verb: str
    noun: str
    title: str
    text: str
    parameters: tuple[Parameter, ...]
    facts: tuple[tuple[str, str], ...]
    """Direction, range, missing values, conversations, passes: what a reader looks for, in this order."""
    example: str

    @property
    def name(self) -> str:
        return f"{self.verb} {self.noun}".strip()


@dataclass(frozen=True, slots=True)
class Method:
    """A method of the library."""

    name: str
    parameters: tuple[Parameter, ...]
    doc: str
    text: str
    """Its definition."""

    @property
    def title(self) -> str:
        return first_sentence(self.doc)


def operations(known: Catalogue | None = None) -> list[Operation]:
    """All operations in the order of the verbs, then of the nouns."""
    found = dict((known or catalogue()).ops)
    found |= {(verb, ""): kind for verb, kind in built_in()}
    order = {verb: number for number, verb in enumerate((*VERBS, "model"))}
    names = sorted(found, key=lambda name: (order.get(name[0], len(order)), name[1]))
    return [operation(verb, noun, found[verb, noun]) for verb, noun in names]


def built_in() -> Iterator[tuple[str, type[Op]]]:
    """The operations of the language itself, by verb."""
    kinds = (core.Load, core.Filter, core.Derive, core.Sort, core.Without, core.Join, core.Save)
    return ((kind.verb, kind) for kind in kinds)


def operation(verb: str, noun: str, kind: type[Op]) -> Operation:
    title, _, text = inspect.cleandoc(kind.__doc__ or "").partition("\n")
    return Operation(
        verb,
        noun,
        title.strip(),
        text.strip(),
        tuple(parameters(kind)),
        tuple(facts(kind)),
        textwrap.dedent(kind.example).strip(),
    )


# Parameters


def parameters(kind: type[Op]) -> Iterator[Parameter]:
    """The parameters that a recipe can give, those without a name first."""
    docs = field_docs(kind)
    fields = {name: f for name, f in kind.model_fields.items() if name not in SET_BY_THE_COMPILER}
    order = sorted(fields, key=lambda n: kind.positional.index(n) if n in kind.positional else 99)
    for name in order:
        info = fields[name]
        place = place_of(kind, name)
        yield Parameter(
            "as" if place == "as" and name == "name" else name,
            " ".join((type_words(info.annotation), *bounds(info.metadata))),
            default_words(kind, name, info.default),
            docs.get(name, ""),
            place,
            taken_otherwise(kind, place),
        )


def taken_otherwise(kind: type[Op], place: str) -> str:
    """What a chain supplies for a clause that is left out."""
    if place == "using":
        return "the model used last in the chain"
    return "the only score in scope" if place == "by" and kind.verb in ("top", "bottom") else ""


def place_of(kind: type[Op], name: str) -> str:
    """Where a recipe writes a parameter."""
    if (kind, name) in OWN_PLACES:
        return OWN_PLACES[kind, name]
    return "argument" if name in kind.positional else CLAUSES.get(name, "with")


def type_words(annotation: Any) -> str:
    """The language's words for a type."""
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        parts = [type_words(part) for part in typing.get_args(annotation) if part is not type(None)]
        return " or ".join(dict.fromkeys(parts))
    if typing.get_origin(annotation) is Literal:
        return " | ".join(str(value) for value in typing.get_args(annotation))
    if typing.get_origin(annotation) is tuple:
        return f"list of {type_words(typing.get_args(annotation)[0])}s"
    return TYPES.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def bounds(metadata: Iterable[Any]) -> Iterator[str]:
    words = {"gt": "above", "ge": "from", "lt": "below", "le": "to"}
    for rule in metadata:
        for name, word in words.items():
            if hasattr(rule, name):
                yield f"{word} {getattr(rule, name):g}"


def default_words(kind: type[Op], name: str, default: Any) -> str | None:
    """The default as a recipe writes it; `None` where there is none."""
    if name == "name" and default == "" and getattr(kind, "noun", ""):
        return kind.noun
    match default:
        case _ if default is PydanticUndefined:
            return None
        case None | "":
            return NO_VALUE
        case bool():
            return str(default).lower()
        case Template():
            return default.name
        case float():
            return f"{default:g}"
        case _:
            return str(default)


def field_docs(kind: type) -> dict[str, str]:
    """The text under each field, the nearest class first."""
    docs: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if issubclass(owner, Op):
            docs |= class_docs(owner.__module__).get(owner.__name__, {})
    return docs


@cache
def class_docs(module: str) -> dict[str, dict[str, str]]:
    """Of each class of a module the texts under its fields."""
    try:
        text = inspect.getsource(sys.modules[module])
    except OSError:
        return {}
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    return {node.name: dict(texts_under(node.body)) for node in classes}


def texts_under(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())


# Facts


def facts(kind: type[Op]) -> Iterator[tuple[str, str]]:
    """What else a reader wants to know, named."""
    if issubclass(kind, Score):
        yield "best", "the highest values" if kind.better == "high" else "the lowest values"
        yield "range", kind.range
        yield "no value", kind.missing
        yield "conversations", kind.conversations
    if wants := list(passes(kind)):
        yield "asks a model for", "; ".join(wants)
    if kind.default_model:
        yield "model without `using`", f"the one used before in the chain, else `{kind.default_model}`"
    if issubclass(kind, Adds | Select):
        yield "depends on", dependence(kind)
    if kind.paper:
        yield "paper", kind.paper


def dependence(kind: type[Op]) -> str:
    """What the result for one row depends on."""
    rows = "that row alone" if kind.rowwise else "all rows at that point"
    return f"{rows}, and on the seed" if kind.random else rows


def passes(kind: type[Op]) -> Iterator[str]:
    """What it asks of a pass over a row with its defaults, in words."""
    for values in calls(kind):
        try:
            wanted = kind(**values).requests().values()
        except (ValidationError, AttributeError, TypeError):
            continue
        yield from dict.fromkeys(want_words(request) for request in wanted)
        return


def calls(kind: type[Op]) -> Iterator[dict[str, Any]]:
    """Values for an operation: those that must be given, then also a column and more than one model."""
    needed = {name: stand_in(f.annotation) for name, f in kind.model_fields.items() if f.is_required()}
    using = kind.model_fields.get("using")
    for count, columns in ((1, False), (1, True), (2, False)):
        models = (STAND_INS[Model],) * count
        several = using is not None and typing.get_origin(using.annotation) is tuple
        given = {"using": models if several else models[0]} if using is not None else {}
        by = {"by": STAND_INS[Expression]} if columns and "by" in kind.model_fields else {}
        yield {**needed, **given, **by}


def stand_in(annotation: Any) -> Any:
    """A value of a type, to look at what an operation would ask."""
    if typing.get_origin(annotation) is Literal:
        return typing.get_args(annotation)[0]
    options = typing.get_args(annotation) or (annotation,)
    return next((STAND_INS[option] for option in options if option in STAND_INS), None)


def want_words(request: Request) -> str:
    """A request as a reader meets it: `log-probabilities of the response, shown prompt and response`."""
    if isinstance(request.want, Tokens):
        return f"{want_text(request.want)} (tokenizer only)"
    after = ", after another row" if request.shots else ""
    whose = f", for the rows of `{request.of.label}`" if request.of else ""
    return f"{want_text(request.want)}, shown {' and '.join(request.view.parts)}{after}{whose}"


# Methods


def methods(known: Catalogue | None = None) -> list[Method]:
    """The methods of the library, by name."""
    texts = (known or catalogue()).methods
    return [method for name in sorted(texts) for method in methods_in(name, texts[name])]


def methods_in(name: str, text: str) -> Iterator[Method]:
    from ..dsl.parse import parse

    for statement in parse(tree.Source(f"{name}.sel", text)).recipe.statements:
        if isinstance(statement, tree.Method):
            given = tuple(method_parameter(parameter) for parameter in statement.params)
            yield Method(statement.name.text, given, (statement.doc or "").strip(), definition(statement))


def method_parameter(parameter: tree.Param) -> Parameter:
    from ..dsl.format import format_expression

    default = format_expression(parameter.default) if parameter.default is not None else None
    return Parameter(parameter.name.text, parameter.type.text, default, parameter.doc or "", "argument")


def definition(method: tree.Method) -> str:
    """The method as it is written, without its header."""
    return method.span.text.strip()


def first_sentence(text: str) -> str:
    """The text up to the first full stop that a capital or nothing follows."""
    flat = " ".join(text.split())
    found = re.match(r".*?(?<!et al)\.(?= [A-Z]|$)", flat)
    return found[0] if found else flat
