"""Parses a recipe statement by statement: mistakes are located, and the good statements keep their trees."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from . import tree
from .diagnostic import Diagnostic, Label
from .tokens import CLOSERS, OPENERS, grammar, lex, statements, unbalanced
from .tree import Source, Span
from .words import CLAUSES, RESERVED

if TYPE_CHECKING:
    from lark import Token, Tree
    from lark.exceptions import UnexpectedInput

DEEPEST = 150
"""How deep the parts of a statement may stand in each other."""

WORDS = {
    "VBAR": "`|`", "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`",
    "RBRACE": "`}`", "COMMA": "`,`", "EQUAL": "`=`", "COLON": "`:`", "STRING": "a text", "NUMBER": "a number",
    "VERB": "a step", "NAME": "a name", "FUNC": "a call", "NOUN": "a noun", "$END": "the end",
    "COMPARE": "a comparison",
}  # fmt: skip
SHOWN = (
    "NAME",
    "NUMBER",
    "STRING",
    "EQUAL",
    "COLON",
    "COMMA",
    "RPAR",
    "RSQB",
    "LBRACE",
    "RBRACE",
    "VERB",
    "VBAR",
    "FUNC",
)


class Unread(Exception):
    """Tokens that are no statement."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.headline)
        self.diagnostic = diagnostic


@dataclass(frozen=True)
class Parsed:
    """What could be read of a recipe, and every problem of syntax."""

    recipe: tree.Recipe
    diagnostics: tuple[Diagnostic, ...]
    lost: frozenset[str] = frozenset()
    """Names that statements with a problem would have bound."""


def parse(source: Source) -> Parsed:
    """The tree of a recipe and its problems, in the order of the text; never raises for a bad text."""
    reader = Reader(source)
    found = tuple(reader.statements())
    recipe = tree.Recipe(found, source, reader.comments)
    problems = sorted(reader.problems, key=lambda d: (d.span.start, d.code))
    if not found and not problems:
        whole = Span(source, 0, min(1, len(source.text)))
        problems = [
            _problem(
                "E110",
                "the recipe is empty",
                whole,
                "no statement",
                "write a step, such as `top 5% by len(response)`",
            )
        ]
    return Parsed(recipe, tuple(problems), frozenset(reader.lost))


class Reader:
    """Reads the statements of one source."""

    def __init__(self, source: Source):
        self.source = source
        self.problems: list[Diagnostic] = []
        self.lost: set[str] = set()
        lexed = lex(source.text)
        self.tokens = lexed.tokens
        self.comments = tuple(self.comment(token) for token in lexed.comments)

    def statements(self) -> list[tree.Statement]:
        """Every statement that could be read, with its documentation."""
        found: list[tree.Statement] = []
        for piece in statements(self.tokens):
            for statement in self.piece(piece):
                self.put(statement, found)
        return found

    def put(self, statement: tree.Statement, found: list[tree.Statement]) -> None:
        """Adds a statement; steps that follow a chain without `|` are reported and taken as its rest."""
        last = found[-1] if found else None
        if isinstance(statement, tree.Edition) and last is not None:
            self.late_edition(statement)
        elif isinstance(statement, tree.Chain) and isinstance(last, tree.Chain) and not _begins(statement):
            self.missing_pipe(statement, last)
            span = Span(self.source, last.span.start, statement.span.end)
            found[-1] = tree.Chain((*last.steps, *statement.steps), span=span)
        else:
            found.append(self.documented(statement))

    def late_edition(self, edition: tree.Edition) -> None:
        self.report(
            "E114",
            "the edition stands first",
            edition.span,
            "not the first statement",
            "move it to the first line",
        )

    def missing_pipe(self, chain: tree.Chain, last: tree.Chain) -> None:
        help = "put `|` before it, or begin another chain with `from`"
        if isinstance(chain.steps[0], tree.AlgebraStep) and (name := _called(self.tokens, chain.span.start)):
            help = f"for a call write `{name}(` without a blank"
        self.report(
            "E111", "two steps stand side by side", chain.steps[0].span, "this step follows without `|`", help
        )

    def piece(self, tokens: Sequence[Token]) -> Sequence[tree.Statement]:
        """The statements of one piece; none where it cannot be read."""
        from .build import Build

        build = Build(self.source)
        try:
            parsed = self.parsed(tokens)
        except Unread as problem:
            self.problems.append(problem.diagnostic)
            self.lost |= _bound(tokens)
            return ()
        made = build.transform(parsed)
        self.problems += build.problems
        return made

    def parsed(self, tokens: Sequence[Token]) -> Tree[Token]:
        """Lark's tree of one piece; raises `Unread`."""
        from lark.exceptions import UnexpectedInput

        if problem := self.broken(tokens):
            raise Unread(problem)
        parser = grammar().parse_interactive()
        try:
            for token in tokens:
                parser.feed_token(token)
            parsed: Tree[Token] = parser.feed_eof(tokens[-1])
        except UnexpectedInput as error:
            raise Unread(self.unexpected(error, tokens)) from None
        if _height(parsed) > DEEPEST:
            raise Unread(self.too_deep(tokens))
        return parsed

    def too_deep(self, tokens: Sequence[Token]) -> Diagnostic:
        return _problem(
            "E112",
            "the parts of the statement stand too deep in each other",
            self.span(tokens[0]),
            f"more than {DEEPEST} levels below this",
            "give a part a name with `let`",
        )

    # What is wrong

    def broken(self, tokens: Sequence[Token]) -> Diagnostic | None:
        """What no parser needs to look at: stray characters, open texts, brackets that do not match."""
        for token in tokens:
            if token.type == "BAD":
                return self.stray(token)
        if wrong := unbalanced(tokens):
            return self.bracket(*wrong)
        if _depth(tokens) > DEEPEST:
            return self.too_deep(tokens)
        return None

    def stray(self, token: Token) -> Diagnostic:
        span = self.span(token)
        if token == '"':
            end = self.source.text.find("\n", span.start)
            line = Span(self.source, span.start, end if end >= 0 else len(self.source.text))
            return _problem(
                "E102",
                "a text does not end",
                line,
                "it begins here",
                'close it with `"` on the same line, or write it between `"""`',
            )
        if token == "`":
            return _problem(
                "E102", "a name in backticks does not end", span, "it begins here", "close it with a backtick"
            )
        helps = {
            "'": "texts stand between double quotes",
            "%": "there is no modulo: `%` follows a number and makes a share",
            "!": "write `not`, or `!=`",
            ";": "statements need no terminator: leave it out",
            "$": "money is written `$5`",
        }
        help = helps.get(str(token), "leave it out, or put it in a text between double quotes")
        shown_as = str(token) if token.isprintable() else f"U+{ord(token):04X}"
        return _problem("E109", f"`{shown_as}` does not belong here", span, "stray character", help)

    def bracket(self, opening: Token, closing: Token | None) -> Diagnostic:
        if closing is None:
            wanted = WORDS[OPENERS[opening.type]]
            return _problem(
                "E103", f"`{opening}` is not closed", self.span(opening), "opened here", f"add {wanted}"
            )
        if opening is closing:
            return _problem(
                "E103",
                f"`{closing}` closes nothing",
                self.span(closing),
                "nothing was opened",
                "leave it out",
            )
        wanted = WORDS[OPENERS[opening.type]]
        return _problem(
            "E103",
            f"`{opening}` is closed by `{closing}`",
            self.span(closing),
            f"{wanted} is wanted",
            f"write {wanted}",
            also=(Label(self.span(opening), "opened here", False),),
        )

    def unexpected(self, error: UnexpectedInput, tokens: Sequence[Token]) -> Diagnostic:
        """What was found where something else was wanted."""
        token: Token = error.token  # type: ignore[attr-defined]
        at = next((i for i, t in enumerate(tokens) if t is token), len(tokens))
        accepts = _accepted(tokens[:at])
        before = tokens[at - 1] if at else None
        if token.type == "$END" or at == len(tokens):
            return self.unfinished(tokens[-1], accepts)
        span = self.span(token)
        if (before is not None and before.type == "VBAR") or token.type == "VBAR":
            return _problem(
                "E105",
                "a step is missing",
                span,
                "a step belongs before this",
                "write a verb and what it takes, such as `top 5%`, or leave `|` out",
            )
        if str(token) in RESERVED and accepts & {"NAME", "FUNC"}:
            return self.reserved(token, before)
        if token.type == "EQUAL":
            return _problem(
                "E101", "`=` does not belong here", span, "an assignment", "to compare, write `==`"
            )
        return self.wanted(token, before, accepts)

    def reserved(self, token: Token, before: Token | None) -> Diagnostic:
        binds = before is not None and before.type in (
            "LET",
            "PARAM",
            "METHOD",
            "COMMA",
            "LPAR",
            "COLON",
            "AS",
        )
        help = (
            f"use another name, such as `my_{token}`"
            if binds
            else f"write a column of that name as `` `{token}` ``"
        )
        return _problem(
            "E106", f"`{token}` is a word of the language", self.span(token), "cannot be a name", help
        )

    def unfinished(self, last: Token, accepts: set[str]) -> Diagnostic:
        span = self.span(last)
        if last.type == "VBAR":
            return _problem(
                "E105",
                "a step is missing after `|`",
                span,
                "nothing follows",
                "write a verb and what it takes, such as `top 5%`, or leave `|` out",
            )
        return _problem(
            "E101",
            f"the statement ends after `{_short(last)}`",
            span,
            "something must follow",
            f"add {_wanted(accepts)}",
        )

    def wanted(self, token: Token, before: Token | None, accepts: set[str]) -> Diagnostic:
        also = (Label(self.span(before), "after this", False),) if before is not None else ()
        return _problem(
            "E101",
            f"`{_short(token)}` does not belong here",
            self.span(token),
            "unexpected",
            self.remedy(token, before, accepts),
            also=also,
        )

    def remedy(self, token: Token, before: Token | None, accepts: set[str]) -> str:
        """What to write where a token does not belong."""
        if token == "-":
            return "minus needs blanks around it"
        if name := _called(self.tokens, token.start_pos or 0):
            return f"for a call write `{name}(` without a blank"
        if before == "model" and token.type == "NAME":
            return f'write a short name alone, `{token}`, or an id as a text, `model "org/name"`'
        if before is not None and before.type == "METHOD":
            return f"a method has parentheses: `method {token}() = …`"
        if token.type in ("NAME", "NOUN", "VERB") and "VBAR" in accepts:
            words = ", ".join(f"`{word}`" for word in CLAUSES[:3])
            return f"put `|` before a step, or a word such as {words} before a clause"
        return f"write {_wanted(accepts)} here"

    # Parts

    def span(self, token: Token) -> Span:
        return Span(self.source, token.start_pos or 0, max(token.end_pos or 0, (token.start_pos or 0)))

    def comment(self, token: Token) -> tree.Comment:
        span = self.span(token)
        line = self.source.text[self.source.line_starts[span.line - 1] : span.start]
        return tree.Comment(str(token).rstrip(), not line.strip(), span=span)

    def documented(self, statement: tree.Statement) -> tree.Statement:
        """The statement with the `##` lines directly above it."""
        if not isinstance(statement, tree.Let | tree.Param | tree.Method):
            return statement
        lines: list[str] = []
        line = statement.span.line - 1
        above = {c.span.line: c for c in self.comments if c.own_line and c.text.startswith("##")}
        while line in above:
            lines.insert(0, re.sub(r"^##+ ?", "", above[line].text))
            line -= 1
        return replace(statement, doc="\n".join(lines)) if lines else statement

    def report(self, code: str, headline: str, span: Span, label: str, *help: str) -> None:
        self.problems.append(_problem(code, headline, span, label, *help))


def _problem(
    code: str, headline: str, span: Span, label: str, *help: str, also: tuple[Label, ...] = ()
) -> Diagnostic:
    return Diagnostic(code, "error", headline, (Label(span, label, True), *also), help)


def _begins(chain: tree.Chain) -> bool:
    """Whether the chain says where its rows come from, and so cannot be the rest of another one."""
    first = chain.steps[0]
    return isinstance(first, tree.Step) and first.verb.text in ("from", "load")


def _depth(tokens: Sequence[Token]) -> int:
    depth = deepest = 0
    for token in tokens:
        depth += (token.type in OPENERS) - (token.type in CLOSERS)
        deepest = max(deepest, depth)
    return deepest


def _height(parsed: Tree[Token]) -> int:
    """How many levels a tree of lark's has; without recursion, since it may have thousands."""
    height, level = 0, [parsed]
    while level:
        height += 1
        level = [part for node in level for part in node.children if not isinstance(part, str)]
    return height


def _accepted(tokens: Sequence[Token]) -> set[str]:
    """The kinds of tokens that may follow."""
    parser = grammar().parse_interactive()
    for token in tokens:
        parser.feed_token(token)
    return parser.accepts()


def _bound(tokens: Sequence[Token]) -> set[str]:
    """The name that a statement binds, as far as it can be seen."""
    binds = tokens[0].type in ("LET", "PARAM", "METHOD") and len(tokens) > 1
    return {str(tokens[1])} if binds and tokens[1].type in ("NAME", "FUNC") else set()


def _called(tokens: Sequence[Token], until: int) -> str | None:
    """The name just before a bracket after a blank, where that is what went wrong."""
    before = [t for t in tokens if (t.start_pos or 0) <= until]
    names = [str(a) for a, b in pairwise(before) if a.type == "NAME" and b.type == "LPAR"]
    return names[-1] if names else None


def _short(token: Token) -> str:
    text = str(token).split("\n")[0]
    return text if len(text) <= 30 else text[:29] + "…"


def _wanted(accepts: set[str]) -> str:
    """What could stand there, in words."""
    if {"NAME", "NUMBER", "STRING"} <= accepts:
        return "a value, such as a name, a number or a text"
    names = [WORDS[name] for name in SHOWN if name in accepts]
    words = [f"`{name.lower()}`" for name in sorted(accepts) if name.lower() in CLAUSES]
    listed = (names + words)[:4]
    if not listed:
        return "something else"
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " or " + listed[-1]
