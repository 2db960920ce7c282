"""The fields of an operation, from what a step gives in parentheses and clauses, and what it leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ..dsl import tree
from .convert import checked, convert
from .kinds import IN_WORDS, mismatches
from .op import Op
from .problems import choices, problem, suggestion
from .scope import Flow, Scope
from .values import Model

if TYPE_CHECKING:
    from .resolve import Resolver

CLAUSE_FIELDS: Mapping[str, str] = {
    "using": "using",
    "by": "by",
    "against": "against",
    "per": "per",
    "as": "name",
}
FILLED = frozenset(("spread", "name"))
"""Fields that the compiler fills itself."""

Clauses = Sequence[tree.Clause]


class Fields:
    """Makes operations of what a recipe gives for their fields."""

    def __init__(self, resolver: Resolver):
        self.resolver = resolver

    def build(
        self,
        kind: type[Op],
        arguments: Sequence[tree.Argument],
        clauses: Clauses,
        scope: Scope,
        flow: Flow,
        span: tree.Span,
        given: Mapping[str, Any] | None = None,
    ) -> Op:
        """An operation with every field checked."""
        fields = self.placed(kind, arguments, span) | self.from_clauses(kind, clauses, span)
        what = f"`{kind.noun or kind.verb}`"
        values: dict[str, Any] = dict(given or {})
        for name, expression in fields.items():
            annotation = kind.model_fields[name].annotation
            place = self.resolver.place(scope, flow, f"`{name}` of {what}")
            values[name] = self.value(kind, name, expression, annotation, place)
        self.fill(kind, values, flow, scope, span)
        op = self.validated(kind, values, fields, span)
        if unfit := next(mismatches(op), None):
            raise problem("E434", unfit.headline, span, f"asks {IN_WORDS[unfit.needed]}", help=unfit.help)
        return op

    def value(self, kind: type[Op], name: str, expression: tree.Expr, annotation: Any, place: Any) -> Any:
        if name == "per" and isinstance(expression, tree.Name):
            checked(expression, place)
        if wanted := dict(kind.takes).get(name):
            return checked(expression, place, wanted)
        return convert(expression, annotation, place)

    def placed(
        self, kind: type[Op], arguments: Sequence[tree.Argument], span: tree.Span
    ) -> dict[str, tree.Expr]:
        """The arguments in parentheses, by field."""
        from .resolve import _matched

        open_fields = [n for n in kind.model_fields if n not in FILLED and n not in kind.positional]
        noun = tree.Name(kind.noun or kind.verb, False, span=span)
        call = tree.Call(noun, tuple(arguments), span=span)
        given = _matched(call, [*kind.positional, *open_fields], f"`{kind.noun or kind.verb}`")
        extra = [a for a in arguments if a.name is None][len(kind.positional) :]
        if extra:
            takes, most = choices(kind.positional) or "nothing without a name", len(kind.positional)
            raise problem(
                "E304",
                f"`{kind.noun or kind.verb}` takes {most or 'no'} argument{'s' * (most != 1)} without names",
                extra[0].value.span,
                "one too many",
                help=f"it takes {takes}; give others by name",
            )
        return given

    def from_clauses(self, kind: type[Op], clauses: Clauses, span: tree.Span) -> dict[str, tree.Expr]:
        """The clauses, by field; `with` fills any field by its name."""
        fields: dict[str, tree.Expr] = {}
        what = f"`{kind.noun or kind.verb}`"
        for clause in clauses:
            if clause.keyword == "with":
                fields |= self.options(kind, clause, what)
                continue
            field = CLAUSE_FIELDS[clause.keyword]
            if field not in kind.model_fields:
                raise problem(
                    "E306",
                    f"{what} takes no `{clause.keyword}`",
                    clause.span,
                    "not for this operation",
                    help=_takes(kind),
                )
            fields[field] = clause.values[0]  # type: ignore[assignment]
        return fields

    def options(self, kind: type[Op], clause: tree.Clause, what: str) -> dict[str, tree.Expr]:
        found: dict[str, tree.Expr] = {}
        allowed = [n for n in kind.model_fields if n not in FILLED]
        for assign in clause.values:
            assert isinstance(assign, tree.Assign)
            if assign.name.text not in allowed:
                raise problem(
                    "E304",
                    f"{what} has no parameter `{assign.name.text}`",
                    assign.name.span,
                    "unknown parameter",
                    help=suggestion(assign.name.text, allowed, "a parameter"),
                )
            found[assign.name.text] = assign.value
        return found

    def fill(self, kind: type[Op], values: dict[str, Any], flow: Flow, scope: Scope, span: tree.Span) -> None:
        """The fields that the recipe leaves to the compiler: seed, spread and the model used last."""
        if "seed" in kind.model_fields:
            values.setdefault("seed", self.resolver.seed)
        if "spread" in kind.model_fields:
            values["spread"] = flow.schema.spread
        if "using" not in kind.model_fields or "using" in values:
            return
        if any(values.get(name) is not None for name in kind.vectors_in):
            return
        model = flow.model or self.default_model(kind, scope, flow, span)
        if model is None and kind.model_fields["using"].is_required():
            raise problem(
                "E404",
                f"`{kind.noun or kind.verb}` needs a model",
                span,
                "no model was used before in this chain",
                help="add `using` and a model, such as `using gpt2`",
            )
        if model is not None:
            several = "tuple" in str(kind.model_fields["using"].annotation)
            values["using"] = (model,) if several else model

    def default_model(self, kind: type[Op], scope: Scope, flow: Flow, span: tree.Span) -> Model | None:
        if kind.default_model is None:
            return None
        return self.resolver.named_model(tree.Name(kind.default_model, False, span=span), scope, flow)

    def validated(
        self, kind: type[Op], values: dict[str, Any], fields: Mapping[str, tree.Expr], span: tree.Span
    ) -> Op:
        """The operation; what pydantic refuses is reported at the argument."""
        try:
            return kind(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else ""
            what = f"`{kind.noun or kind.verb}`"
            place = fields[name].span if name in fields else span
            if first["type"] == "missing":
                raise problem(
                    "E303",
                    f"{what} needs `{name}`",
                    place,
                    f"`{name}` is missing",
                    help=f"write `{kind.noun or kind.verb}({name} = …)`",
                ) from None
            raise problem(
                "E305",
                f"`{name}` of {what} {_refusal(first)}" if name else f"{what} {_refusal(first)}",
                place,
                "this value",
                help=_field_help(kind, name),
            ) from None


def _takes(kind: type[Op]) -> str:
    clauses = [k for k, field in CLAUSE_FIELDS.items() if field in kind.model_fields]
    return f"it takes {choices(clauses)}" if clauses else "it takes no clauses but `with`"


def _field_help(kind: type[Op], name: str) -> tuple[str, ...]:
    field = kind.model_fields.get(name)
    text = (field.description or "") if field else ""
    return (text,) if text else ()


_REFUSALS: Mapping[str, str] = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be {le} or less",
    "too_short": "needs {min_length} or more",
    "too_long": "takes {max_length} or fewer",
}


def _refusal(error: Any) -> str:
    """What pydantic refuses, in words."""
    known = _REFUSALS.get(error["type"])
    if known:
        return known.format(**error.get("ctx", {}))
    if error["type"] == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return f"is refused: {error['msg'][:1].lower()}{error['msg'][1:]}"
