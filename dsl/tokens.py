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
NAMING = ("AS", "VERB", "LET", "PARAM", "COLON")
"""What a name may follow that is no noun, whatever comes next."""
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

    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selrun" / "grammar"
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


def placed(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with VERB and NOUN told apart from NAME."""
    found = list(tokens)
    opened: list[str] = []
    for at, token in enumerate(found):
        if token.type == "NAME":
            found[at] = _named(Place(found, at, opened))
        _track(token, found[at - 1] if at else None, opened)
    return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a token stands: among which others, and in which open brackets."""

    tokens: Sequence[Token]
    at: int
    opened: Sequence[str]

    @property
    def token(self) -> Token:
        return self.tokens[self.at]

    @property
    def previous(self) -> str | None:
        return self.tokens[self.at - 1].type if self.at else None

    @property
    def inside(self) -> str | None:
        return self.opened[-1] if self.opened else None

    def following(self, by: int = 1) -> str | None:
        return self.tokens[self.at + by].type if 0 <= self.at + by < len(self.tokens) else None

    @property
    def binds_chain(self) -> bool:
        """Behind `let name =` and `method name(…) =`; other assignments take values."""
        return self.following(-3) == "LET" or self.following(-2) == "RPAR"

    @property
    def condition_follows(self) -> bool:
        """`filter not …`; but `topic not in …` compares a column."""
        return self.following() == "NOT" and self.following(2) != "IN"


def _track(token: Token, previous: Token | None, opened: list[str]) -> None:
    if token.type in OPENERS:
        opened.append("call" if previous is not None and previous.type == "FUNC" else token.type)
    elif token.type in CLOSERS and opened:
        opened.pop()


def _named(place: Place) -> Token:
    if _begins_step(place):
        return place.token.update(type="VERB")
    if place.following() in ("STRING", "BLOCK") and place.previous not in NAMING:
        return place.token.update(type="NOUN")
    return place.token


def _begins_step(place: Place) -> bool:
    """Whether a name stands where a step begins."""
    verb, following = place.token in VERBS, place.following()
    match place.previous:
        case None | "VBAR" | "RBRACE" | "LBRACE":
            return True
        case "EQUAL":
            begins = following in BEGINS_THING or place.condition_follows
            return place.binds_chain and verb and begins
        case "LPAR":
            return place.inside == "LPAR" and _reads_as_step(place)
        case "VERB":
            return place.token == "load" and following in ("STRING", "BLOCK")
        case previous:
            begins = following in (*BEGINS_THING, "MINUS", None) or place.condition_follows
            return place.inside in (None, "LBRACE") and previous in ENDS_VALUE and verb and begins


def _reads_as_step(place: Place) -> bool:
    """Whether `(name …` is a chain: what follows cannot follow a value."""
    if place.token in VERBS:
        return place.following() in BEGINS_THING or place.condition_follows
    return place.following() in BEGINS_THING - {"VBAR", "STRING", "BLOCK"}


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
    """`let d = from …`, `| from …` and `| repeat …` go on, and so does `let from`; others begin a statement."""
    before = tokens[at - 1].type if at else None
    piped = before == "VBAR" and token.type in ("FROM", "REPEAT")
    return before in NAMES_FOLLOW or piped or (token.type == "FROM" and before == "EQUAL")


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
