"""Builds the tree of a recipe from the parser's; it never fails but for a text or number that is none."""

from __future__ import annotations

import json
import re
import textwrap
from decimal import Decimal
from typing import Any

from lark import Token, Transformer, v_args

from . import tree
from .diagnostic import Diagnostic, Label
from .tree import Source, Span

SCALES = {"": 1, "k": 1_000, "K": 1_000, "M": 1_000_000}
PLAIN_NUMBER = re.compile(
    r"(?P<money>\$)?(?P<digits>\d+(?:_\d+)*(?:\.\d+)?(?:[eE][+-]?\d+)?)(?P<scale>[kKM]?)(?P<share>%)?"
)


class Unreadable(Exception):
    """A token that looks like a number or text and is none."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.headline)
        self.diagnostic = diagnostic


def quantity(text: str, span: Span) -> tree.Quantity:
    """`5%`, `10k`, `0.05`, `1e-4`, `$5`; raises `Unreadable` with E104."""
    match = PLAIN_NUMBER.fullmatch(text)
    if match is None or (match["money"] and match["share"]):
        raise _unreadable("E104", f"`{_short(text)}` is not a number", span, "no number", _number_help(text))
    try:
        value = Decimal(match["digits"].replace("_", "")) * SCALES[match["scale"]]
    except ArithmeticError:
        value = Decimal("inf")
    if not value.is_finite() or abs(value.adjusted()) > 30:
        raise _unreadable(
            "E104",
            f"`{_short(text)}` is out of range",
            span,
            "too large or too small",
            "write a number between 1e-30 and 1e30",
        )
    unit = "$" if match["money"] else "%" if match["share"] else ""
    return tree.Quantity(value, unit, text, span=span)


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:29] + "…"


def _number_help(text: str) -> str:
    digits = re.match(r"\$?\d+(?:\.\d+)?", text)
    start = digits.group() if digits else "100"
    return f"write `{start}`, a share such as `5%`, a count such as `10k`, or money such as `$5`"


def text_value(literal: str, span: Span) -> tree.Text:
    """A text with JSON escapes; one between triple quotes is dedented. Raises `Unreadable` with E113."""
    block = literal.startswith('"""')
    inner = literal[3:-3] if block else literal[1:-1]
    if block:
        inner = _dedented(inner)
    try:
        value = json.loads('"' + _json_ready(inner) + '"', strict=False)
    except json.JSONDecodeError:
        raise _unreadable("E113", *_bad_escape(literal, span), "for a backslash write `\\\\`") from None
    if any("\ud800" <= character <= "\udfff" for character in value):
        headline = "the text holds half of a character"
        help = "write both halves, such as `\\ud83d\\ude42`, or the character itself"
        raise _unreadable("E113", headline, span, "a lone surrogate", help)
    return tree.Text(value, block, span=span)


def _bad_escape(literal: str, span: Span) -> tuple[str, Span, str]:
    """Headline, place and label of the first escape that is none."""
    good = r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})'
    bad = next(m for m in re.finditer(rf"{good}|(?P<bad>\\.)", literal, re.DOTALL) if m["bad"])
    start = span.start + bad.start()
    return f"`{bad.group()}` is no escape", Span(span.source, start, start + 2), "unknown escape"


def _dedented(text: str) -> str:
    first, *rest = text.split("\n")
    if first.strip() or not rest:
        return text
    return textwrap.dedent("\n".join(rest)).removesuffix("\n")


def _json_ready(text: str) -> str:
    """The text with the quotes that a block may hold escaped for JSON."""
    return re.sub(r'\\.|"', lambda m: m.group() if m.group() != '"' else '\\"', text, flags=re.DOTALL)


def _unreadable(code: str, headline: str, span: Span, label: str, help: str) -> Unreadable:
    return Unreadable(Diagnostic(code, "error", headline, (Label(span, label, True),), (help,)))


@v_args(meta=True)
class Build(Transformer):
    """From lark's tree to ours."""

    def __init__(self, source: Source):
        super().__init__(visit_tokens=False)
        self.source = source
        self.problems: list[Diagnostic] = []

    # Places

    def at(self, meta: Any) -> Span:
        if getattr(meta, "empty", True):
            return Span(self.source, 0, 0)
        return Span(self.source, meta.start_pos, meta.end_pos)

    def of(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, token.end_pos or 0)

    def named(self, token: Token) -> tree.Name:
        quoted = token.type == "QUOTED"
        return tree.Name(token[1:-1] if quoted else str(token), quoted, span=self.of(token))

    def string(self, token: Token) -> tree.Text:
        return self.read(text_value, token, tree.Text("", False, span=self.of(token)))

    def number(self, token: Token) -> tree.Quantity:
        return self.read(quantity, token, tree.Quantity(Decimal(1), "", str(token), span=self.of(token)))

    def read(self, reader: Any, token: Token, otherwise: Any) -> Any:
        """What the token says; a token that says nothing is reported and stands for `otherwise`."""
        try:
            return reader(str(token), self.of(token))
        except Unreadable as problem:
            self.problems.append(problem.diagnostic)
            return otherwise

    def report(
        self, code: str, headline: str, span: Span, label: str, *help: str, also: tuple[Label, ...] = ()
    ) -> None:
        self.problems.append(Diagnostic(code, "error", headline, (Label(span, label, True), *also), help))

    # Expressions

    def name(self, meta: Any, parts: list[Any]) -> tree.Name:
        return self.named(parts[0])

    def quantity(self, meta: Any, parts: list[Any]) -> tree.Quantity:
        return self.number(parts[0])

    def text(self, meta: Any, parts: list[Any]) -> tree.Text:
        return self.string(parts[0])

    def true(self, meta: Any, parts: list[Any]) -> tree.Bool:
        return tree.Bool(True, span=self.at(meta))

    def false(self, meta: Any, parts: list[Any]) -> tree.Bool:
        return tree.Bool(False, span=self.at(meta))

    def null(self, meta: Any, parts: list[Any]) -> tree.Null:
        return tree.Null(span=self.at(meta))

    def literal(self, meta: Any, parts: list[Any]) -> Any:
        return parts[0]

    def list(self, meta: Any, parts: list[Any]) -> tree.ListOf:
        return tree.ListOf(tuple(p for p in parts if not isinstance(p, Token)), span=self.at(meta))

    def call(self, meta: Any, parts: list[Any]) -> tree.Call:
        arguments = tuple(p for p in parts[1:] if isinstance(p, tree.Argument))
        return tree.Call(self.named(parts[0]), arguments, span=self.at(meta))

    def noun_call(self, meta: Any, parts: list[Any]) -> tree.Call:
        argument = tree.Argument(None, parts[1], span=parts[1].span)
        return tree.Call(self.named(parts[0]), (argument,), span=self.at(meta))

    def named_argument(self, meta: Any, parts: list[Any]) -> tree.Argument:
        return tree.Argument(self.named(parts[0]), parts[-1], span=self.at(meta))

    def plain_argument(self, meta: Any, parts: list[Any]) -> tree.Argument:
        return tree.Argument(None, parts[0], span=self.at(meta))

    def negative(self, meta: Any, parts: list[Any]) -> tree.Unary:
        return tree.Unary("-", parts[-1], span=self.at(meta))

    def negated(self, meta: Any, parts: list[Any]) -> tree.Unary:
        return tree.Unary("not", parts[-1], span=self.at(meta))

    def combined(self, meta: Any, parts: list[Any]) -> tree.Binary:
        return tree.Binary(str(parts[1]), parts[0], parts[2], span=self.at(meta))

    compared = combined

    def binary_or(self, meta: Any, parts: list[Any]) -> tree.Binary:
        return tree.Binary("or", parts[0], parts[-1], span=self.at(meta))

    def binary_and(self, meta: Any, parts: list[Any]) -> tree.Binary:
        return tree.Binary("and", parts[0], parts[-1], span=self.at(meta))

    def member(self, meta: Any, parts: list[Any]) -> tree.Binary:
        return tree.Binary("in", parts[0], parts[-1], span=self.at(meta))

    def not_member(self, meta: Any, parts: list[Any]) -> tree.Binary:
        return tree.Binary("not in", parts[0], parts[-1], span=self.at(meta))

    def grouped(self, meta: Any, parts: list[Any]) -> Any:
        return next(p for p in parts if not isinstance(p, Token))

    def dataset(self, meta: Any, parts: list[Any]) -> tree.Dataset:
        return tree.Dataset(self.grouped(meta, parts), span=self.at(meta))

    # Steps

    def assign(self, meta: Any, parts: list[Any]) -> tree.Assign:
        return tree.Assign(self.named(parts[0]), parts[-1], span=self.at(meta))

    def things(self, meta: Any, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)

    def clause_of(self, keyword: Any, meta: Any, parts: list[Any]) -> tree.Clause:
        values = tuple(p for p in parts if not isinstance(p, Token))
        return tree.Clause(keyword, values, span=self.at(meta))

    def using(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("using", meta, parts)

    def by(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("by", meta, parts)

    def as_(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("as", meta, parts)

    def against(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("against", meta, parts)

    def per(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("per", meta, parts)

    def with_(self, meta: Any, parts: list[Any]) -> tree.Clause:
        return self.clause_of("with", meta, parts)

    def clauses(self, parts: list[Any]) -> tuple[tree.Clause, ...]:
        """The clauses; one that stands twice is reported."""
        found: dict[str, tree.Clause] = {}
        for clause in (p for p in parts if isinstance(p, tree.Clause)):
            first = found.setdefault(clause.keyword, clause)
            if first is not clause:
                self.report(
                    "E107", f"`{clause.keyword}` stands twice in one step", clause.span, "again",
                    "keep one of the two", also=(Label(first.span, "first here", False),),
                )  # fmt: skip
        return tuple(found.values())

    def verb_step(self, meta: Any, parts: list[Any]) -> tree.Step:
        things = next((p for p in parts[1:] if isinstance(p, tuple)), ())
        return tree.Step(self.named(parts[0]), things, self.clauses(parts), span=self.at(meta))

    def from_step(self, meta: Any, parts: list[Any]) -> tree.Step:
        span = self.at(meta)
        verb = tree.Name("from", False, span=Span(self.source, span.start, span.start + len("from")))
        return tree.Step(verb, (parts[0],), self.clauses(parts), span=self.at(meta))

    def call_step(self, meta: Any, parts: list[Any]) -> tree.CallStep:
        return tree.CallStep(parts[0], self.clauses(parts), span=self.at(meta))

    def algebra_step(self, meta: Any, parts: list[Any]) -> tree.AlgebraStep:
        return tree.AlgebraStep(parts[0], span=self.at(meta))

    def repeat_step(self, meta: Any, parts: list[Any]) -> tree.RepeatStep:
        times, body = (part for part in parts if not isinstance(part, Token))
        return tree.RepeatStep(times, body, span=self.at(meta))

    def chain(self, meta: Any, parts: list[Any]) -> tree.Chain:
        return tree.Chain(tuple(p for p in parts if not isinstance(p, Token)), span=self.at(meta))

    spoken = chain

    def piped(self, meta: Any, parts: list[Any]) -> tree.Chain:
        """`pool | top 5%`: a value and the steps that work on it."""
        value, rest = parts[0], parts[-1]
        return tree.Chain((self.first_step(value), *rest.steps), span=self.at(meta))

    def first_step(self, value: Any) -> tree.AnyStep:
        if isinstance(value, tree.Call):
            return tree.CallStep(value, (), span=value.span)
        if isinstance(value, tree.Dataset | tree.Binary):
            return tree.AlgebraStep(value, span=value.span)
        return tree.Step(tree.Name("from", False, span=value.span), (value,), (), span=value.span)

    # Statements

    def edition(self, meta: Any, parts: list[Any]) -> tree.Edition:
        number = self.number(parts[-1])
        if number.value != 1 or number.unit:
            self.report(
                "E108",
                f"there is no edition `{number.text}`",
                number.span,
                "unknown edition",
                "write `selrun 1`",
            )
        return tree.Edition(int(number.value), span=self.at(meta))

    def use(self, meta: Any, parts: list[Any]) -> tree.Use:
        alias = next((self.named(p) for p in parts if isinstance(p, Token) and p.type == "NAME"), None)
        path = next(p for p in parts if isinstance(p, Token) and p.type == "STRING")
        return tree.Use(self.string(path), alias, span=self.at(meta))

    def param(self, meta: Any, parts: list[Any]) -> tree.Param:
        names = [self.named(p) for p in parts if isinstance(p, Token) and p.type == "NAME"]
        default = next((p for p in parts if not isinstance(p, Token)), None)
        return tree.Param(names[0], names[1], default, None, span=self.at(meta))

    method_param = param

    def let(self, meta: Any, parts: list[Any]) -> tree.Let:
        name = next(p for p in parts if isinstance(p, Token) and p.type == "NAME")
        return tree.Let(self.named(name), parts[-1], None, span=self.at(meta))

    def method(self, meta: Any, parts: list[Any]) -> tree.Method:
        name = next(p for p in parts if isinstance(p, Token) and p.type == "FUNC")
        params = tuple(p for p in parts if isinstance(p, tree.Param))
        return tree.Method(self.named(name), params, parts[-1], None, span=self.at(meta))

    def repeat(self, meta: Any, parts: list[Any]) -> tree.Repeat:
        times, *body = (p for p in parts if not isinstance(p, Token))
        return tree.Repeat(times, tuple(body), span=self.at(meta))

    def start(self, meta: Any, parts: list[Any]) -> tuple[Any, ...]:
        return tuple(parts)
