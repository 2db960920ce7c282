"""Parses a recipe statement by statement: every mistake is located, and the good statements keep their trees."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from . import tree
from .diagnostic import Diagnostic, Label
from .tokens import CLOSERS, OPENERS, grammar, lex, statements, unbalanced
from .tree import Source, Span
from .words import CLAUSES, RESERVED

if TYPE_CHECKING:
    from lark import Token
    from lark.exceptions import UnexpectedInput

DEEPEST = 100
"""How deep brackets may stand in each other."""

WORDS = {
    "VBAR": "`|`", "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`", "LBRACE": "`{`", "RBRACE": "`}`",
    "COMMA": "`,`", "EQUAL": "`=`", "COLON": "`:`", "STRING": "a text", "NUMBER": "a number", "VERB": "a step",
    "NAME": "a name", "FUNC": "a call", "NOUN": "a noun", "$END": "the end", "COMPARE": "a comparison",
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


@dataclass(frozen=True)
class Parsed:
    """What could be read of a recipe, and every problem of syntax."""

    recipe: tree.Recipe
    diagnostics: tuple[Diagnostic, ...]


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
    return Parsed(recipe, tuple(problems))


class Reader:
    """Reads the statements of one source."""

    def __init__(self, source: Source):
        self.source = source
        self.problems: list[Diagnostic] = []
        lexed = lex(source.text)
        self.tokens = lexed.tokens
        self.comments = tuple(self.comment(token) for token in lexed.comments)

    def statements(self) -> Iterator[tree.Statement]:
        """Every statement that could be read, with its documentation."""
        last: tree.Statement | None = None
        for piece in statements(self.tokens):
            for statement in self.piece(piece):
                if (
                    isinstance(last, tree.Chain)
                    and isinstance(statement, tree.Chain)
                    and not _begins(statement)
                ):
                    self.missing_pipe(statement)
                if isinstance(statement, tree.Edition) and last is not None:
                    self.report(
                        "E114",
                        "the edition stands first",
                        statement.span,
                        "not the first statement",
                        "move it to the first line",
                    )
                last = statement
                yield self.documented(statement)

    def missing_pipe(self, chain: tree.Chain) -> None:
        self.report(
            "E111",
            "two steps stand side by side",
            chain.steps[0].span,
            "this step follows without `|`",
            "put `|` before it, or begin another chain with `from`",
        )

    def piece(self, tokens: Sequence[Token]) -> Sequence[tree.Statement]:
        """The statements of one piece; none where it cannot be read."""
        if problem := self.broken(tokens):
            self.problems.append(problem)
            return ()
        from lark.exceptions import UnexpectedInput

        from .build import Build

        parser = grammar().parse_interactive()
        build = Build(self.source)
        try:
            for token in tokens:
                parser.feed_token(token)
            made = build.transform(parser.feed_eof(tokens[-1]))
        except UnexpectedInput as error:
            self.problems.append(self.unexpected(error, tokens))
            return ()
        self.problems += build.problems
        return made

    # What is wrong

    def broken(self, tokens: Sequence[Token]) -> Diagnostic | None:
        """What no parser needs to look at: stray characters, open texts, brackets that do not match."""
        for token in tokens:
            if token.type == "BAD":
                return self.stray(token)
        if wrong := unbalanced(tokens):
            return self.bracket(*wrong)
        if _depth(tokens) > DEEPEST:
            return _problem(
                "E112",
                "brackets stand too deep in each other",
                self.span(tokens[0]),
                f"more than {DEEPEST} levels",
                "split the step with `let`",
            )
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
        shown = {
            "'": "texts stand between double quotes",
            "%": "there is no modulo: `%` follows a number and makes a share",
            "!": "write `not`, or `!=`",
            ";": "statements need no terminator: leave it out",
            "$": "money is written `$5`",
        }
        help = shown.get(str(token), "leave it out, or put it in a text between double quotes")
        return _problem("E109", f"`{token}` does not belong here", span, "stray character", help)

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
        accepts = set(getattr(error, "accepts", None) or getattr(error, "expected", ()))
        at = next((i for i, t in enumerate(tokens) if t is token), len(tokens))
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
        if str(token) in RESERVED and "NAME" in accepts:
            return _problem(
                "E106",
                f"`{token}` is a word of the language",
                span,
                "cannot be a name",
                f"put a column of that name in backticks: `` `{token}` ``",
            )
        if token.type == "EQUAL":
            return _problem(
                "E101", "`=` does not belong here", span, "an assignment", "to compare, write `==`"
            )
        return self.wanted(token, before, accepts)

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
        shown = _short(token)
        help = [f"here can stand {_wanted(accepts)}"]
        if (
            before is not None
            and token.type in ("NAME", "NOUN", "VERB")
            and before.type in ("NAME", "NUMBER", "RPAR")
        ):
            help = [
                f"put `|` before a step, or a word such as {', '.join(f'`{c}`' for c in CLAUSES[:3])} before a clause"
            ]
        if token.type == "LPAR" and before is not None and before.type == "NAME":
            help = [f"for a call write `{before}(` without a blank"]
        if token == "-" and before is not None:
            help = ["minus needs blanks around it"]
        also = (Label(self.span(before), "after this", False),) if before is not None else ()
        return _problem(
            "E101", f"`{shown}` does not belong here", self.span(token), "unexpected", *help, also=also
        )

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
