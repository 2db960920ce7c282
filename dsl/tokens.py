"""The tokens of a recipe: read by the grammar's lexer, then told apart by their place.

A NAME where a step begins is a VERB, and a NAME before a text is a NOUN (`model "id"`); so verbs and nouns
stay free as names of columns.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .words import RESERVED, VERBS

if TYPE_CHECKING:
    from lark import Lark, Token

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = frozenset(OPENERS.values())
STATEMENT_STARTS = frozenset(("SELRUN", "USE", "PARAM", "LET", "METHOD", "REPEAT", "FROM"))
NAMES_FOLLOW = frozenset(("LET", "PARAM", "METHOD", "USE", "SELRUN", "COLON"))
"""Words after which a statement's keyword begins none: it stands where a name belongs."""
ENDS_VALUE = frozenset(
    ("NAME", "QUOTED", "NUMBER", "STRING", "BLOCK", "RPAR", "RSQB", "TRUE", "FALSE", "NULL")
)
BEGINS_THING = frozenset(
    ("NAME", "QUOTED", "NUMBER", "STRING", "BLOCK", "FUNC", "LPAR", "LSQB", "TRUE", "FALSE", "NULL", "USING",
     "BY", "AS", "AGAINST", "PER", "WITH", "VBAR")
)  # fmt: skip


@cache
def grammar() -> Lark:
    """The parser, from its cache where there is one."""
    from lark import Lark

    text = Path(__file__).with_name("recipe.lark").read_text("utf-8")
    options = {"parser": "lalr", "lexer": "basic", "propagate_positions": True, "maybe_placeholders": False}
    try:
        return Lark(text, cache=str(_cache_file(text)), **options)  # type: ignore[arg-type]
    except OSError:
        return Lark(text, **options)  # type: ignore[arg-type]


def _cache_file(text: str) -> Path:
    """Where the built grammar is kept, one file per grammar and interpreter."""
    import hashlib

    import lark

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selrun"
    root.mkdir(parents=True, exist_ok=True)
    mark = hashlib.sha256(f"{text}{lark.__version__}{sys.version}".encode()).hexdigest()[:12]
    return root / f"grammar-{mark}.lark"


@dataclass(frozen=True)
class Lexed:
    """The tokens that the grammar reads, and the comments between them."""

    tokens: tuple[Token, ...]
    comments: tuple[Token, ...]


def lex(text: str) -> Lexed:
    """All tokens of a text; what is no token of the language is a BAD one."""
    tokens: list[Token] = []
    comments: list[Token] = []
    for token in grammar().lex(text, dont_ignore=True):
        if token.type == "COMMENT":
            comments.append(token)
        elif token.type == "FUNC" and token in RESERVED:
            tokens.append(token.update(type=token.upper()))
        elif token.type != "_WS":
            tokens.append(token)
    return Lexed(tuple(placed(tokens)), tuple(comments))


def placed(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens, with VERB and NOUN told apart from NAME."""
    opened: list[str] = []
    for at, token in enumerate(tokens):
        previous = tokens[at - 1] if at else None
        following = tokens[at + 1] if at + 1 < len(tokens) else None
        if token.type == "NAME":
            yield _named(token, previous, following, opened, tokens[at - 2] if at > 1 else None)
        else:
            yield token
        _track(token, previous, opened)


def _track(token: Token, previous: Token | None, opened: list[str]) -> None:
    if token.type in OPENERS:
        opened.append("call" if previous is not None and previous.type == "FUNC" else token.type)
    elif token.type in CLOSERS and opened:
        opened.pop()


def _named(
    token: Token, previous: Token | None, following: Token | None, opened: list[str], before: Token | None
) -> Token:
    if _begins_step(token, previous, following, opened):
        return token.update(type="VERB")
    if following is not None and following.type in ("STRING", "BLOCK") and not _is_alias(previous, before):
        return token.update(type="NOUN")
    return token


def _is_alias(previous: Token | None, before: Token | None) -> bool:
    """`use "a.sel" as b`: what follows `as` is a name, whatever comes next."""
    return previous is not None and previous.type in ("AS", "VERB", "LET", "PARAM", "COLON")


def _begins_step(token: Token, previous: Token | None, following: Token | None, opened: list[str]) -> bool:
    """Whether a name stands where a step begins."""
    inside = opened[-1] if opened else None
    next_type = following.type if following is not None else None
    if previous is None or previous.type in ("VBAR", "RBRACE"):
        return True
    if previous.type == "LBRACE":
        return True
    if previous.type == "EQUAL":
        return inside in (None, "LBRACE") and token in VERBS and next_type in BEGINS_THING
    if previous.type == "LPAR":
        return inside == "LPAR" and _reads_as_step(token, next_type)
    new_statement = inside in (None, "LBRACE") and previous.type in ENDS_VALUE
    return new_statement and token in VERBS and next_type in (*BEGINS_THING, "NOT", "MINUS", None)


def _reads_as_step(token: Token, next_type: str | None) -> bool:
    """Whether `(name …` is a chain: what follows cannot follow a value."""
    if token in VERBS:
        return next_type in BEGINS_THING or next_type == "NOT"
    return next_type in BEGINS_THING - {"VBAR", "STRING", "BLOCK"}


def statements(tokens: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    """The tokens cut where a statement begins, so that a mistake spoils one statement and no other."""
    piece: list[Token] = []
    opened: list[str] = []
    for at, token in enumerate(tokens):
        if _starts(token, opened) and not _continues(token, tokens, at):
            if piece:
                yield tuple(piece)
            piece, opened = [], []
        _track(token, None, opened)
        piece.append(token)
    if piece:
        yield tuple(piece)


def _starts(token: Token, opened: Sequence[str]) -> bool:
    """Whether a statement may begin here; no bracket but a brace can hold a whole one."""
    if not opened:
        return token.type in STATEMENT_STARTS
    return token.type in STATEMENT_STARTS - {"FROM"} and "LBRACE" not in opened


def _continues(token: Token, tokens: Sequence[Token], at: int) -> bool:
    """`let d = from …` and `| from …` go on, and so does `let from`; other keywords begin a statement."""
    before = tokens[at - 1].type if at else None
    return before in NAMES_FOLLOW or (token.type == "FROM" and before in ("EQUAL", "VBAR"))


def unbalanced(tokens: Sequence[Token]) -> tuple[Token, Token | None] | None:
    """The first bracket that is not closed, or closed by another kind: it and what stands in its place."""
    open_ones: list[Token] = []
    for token in tokens:
        if token.type in OPENERS:
            open_ones.append(token)
        elif token.type in CLOSERS:
            if not open_ones or OPENERS[open_ones[-1].type] != token.type:
                return (open_ones[-1] if open_ones else token), token
            open_ones.pop()
    return (open_ones[-1], None) if open_ones else None
