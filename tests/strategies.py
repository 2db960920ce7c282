"""Strategies that make recipes: trees that the language can write, and texts that went wrong."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st
from selrun.dsl import tree
from selrun.dsl.words import RESERVED, VERBS

NOWHERE = tree.Span(tree.Source("", ""), 0, 0)
NOUNS = ("ifd", "perplexity", "kmeans", "warmup", "repr", "cherry", "length", "hub", "model", "kcenter")
COLUMNS = (
    "prompt",
    "response",
    "topic",
    "ifd",
    "top",
    "score",
    "x1",
    "größe",
    "a-b",
    "qwen2.5-7b",
    "judges.q",
)
QUANTITIES = ("5%", "100", "0.05", "10k", "2M", "1e-4", "$5", "1_000", "99.5%", "0", "150%", "1.0")
ODD = "aZ\"\\\n\t#|{}é界🙂 `'\r\u2028"
OPERATORS = ("or", "and", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "&", "+", "-", "*", "/")

words = st.sampled_from(COLUMNS) | st.from_regex(r"[a-z]([a-z0-9_]|[-.](?=[a-z0-9]))*", fullmatch=True)
plain_names = words.filter(lambda word: word not in RESERVED).map(lambda w: tree.Name(w, False, span=NOWHERE))
quoted_names = st.sampled_from(("my column", "from", "a`b".replace("`", "'"), "x|y", "#")).map(
    lambda word: tree.Name(word, True, span=NOWHERE)
)
names = plain_names | quoted_names
texts = st.builds(
    lambda value, block: tree.Text(value, block, span=NOWHERE), st.text(ODD, max_size=12), st.booleans()
)


def quantity(text: str) -> tree.Quantity:
    from selrun.dsl.build import quantity

    return quantity(text, NOWHERE)


quantities = st.sampled_from(QUANTITIES).map(quantity)
literals = st.sampled_from((True, False)).map(lambda b: tree.Bool(b, span=NOWHERE)) | st.just(
    tree.Null(span=NOWHERE)
)
atoms = names | texts | quantities | literals


def calls(values: st.SearchStrategy[tree.Expr]) -> st.SearchStrategy[tree.Call]:
    arguments = st.builds(
        lambda name, value: tree.Argument(name, value, span=NOWHERE), st.none() | plain_names, values
    )
    callees = st.sampled_from(NOUNS).map(lambda word: tree.Name(word, False, span=NOWHERE))
    return st.builds(
        lambda name, given: tree.Call(name, tuple(given), span=NOWHERE),
        callees,
        st.lists(arguments, max_size=3),
    )


def larger(values: st.SearchStrategy[tree.Expr]) -> st.SearchStrategy[tree.Expr]:
    """Expressions one level above others."""
    return st.one_of(
        st.lists(values, max_size=3).map(lambda items: tree.ListOf(tuple(items), span=NOWHERE)),
        calls(values),
        st.builds(
            lambda operator, value: tree.Unary(operator, value, span=NOWHERE),
            st.sampled_from(("-", "not")),
            values,
        ),
        st.builds(
            lambda operator, left, right: tree.Binary(operator, left, right, span=NOWHERE),
            st.sampled_from(OPERATORS),
            values,
            values,
        ),
        chains(values, begins=("filter", "top", "load", "score"), least=1).map(
            lambda chain: tree.Dataset(chain, span=NOWHERE)
        ),
    )


def begins_thing(value: object) -> bool:
    """Whether a thing may follow the verb of a chain's first step; `score - 3` is a subtraction."""
    while isinstance(value, tree.Binary):
        value = value.left
    return not isinstance(value, tree.Unary)


def assigns(values: st.SearchStrategy[tree.Expr]) -> st.SearchStrategy[tree.Assign]:
    return st.builds(lambda name, value: tree.Assign(name, value, span=NOWHERE), names, values)


def clauses(values: st.SearchStrategy[tree.Expr]) -> st.SearchStrategy[tuple[tree.Clause, ...]]:
    """Up to three clauses, each keyword once."""
    one = st.builds(
        lambda word, value: tree.Clause(word, (value,), span=NOWHERE),
        st.sampled_from(("using", "by", "as", "against", "per")),
        values,
    )
    options = st.lists(assigns(values), min_size=1, max_size=2).map(
        lambda found: tree.Clause("with", tuple(found), span=NOWHERE)
    )
    return st.lists(one | options, max_size=3, unique_by=lambda clause: clause.keyword).map(tuple)


def steps(
    values: st.SearchStrategy[tree.Expr], verbs: tuple[str, ...], *, least: int = 0
) -> st.SearchStrategy[tree.Step]:
    verb = st.sampled_from(verbs).map(lambda word: tree.Name(word, False, span=NOWHERE))
    things = st.lists((values | assigns(values)).filter(begins_thing), min_size=least, max_size=2).map(tuple)
    return st.builds(
        lambda verb, things, found: tree.Step(verb, things, found, span=NOWHERE),
        verb,
        things,
        clauses(values),
    )


def reads(values: st.SearchStrategy[tree.Expr]) -> st.SearchStrategy[tree.Step]:
    """`from …`, which takes one thing."""
    verb = tree.Name("from", False, span=NOWHERE)
    return st.builds(
        lambda value, found: tree.Step(verb, (value,), found, span=NOWHERE), values, clauses(values)
    )


def chains(
    values: st.SearchStrategy[tree.Expr], *, begins: tuple[str, ...], least: int = 0
) -> st.SearchStrategy[tree.Chain]:
    """A first step and up to three more."""
    call_steps = st.builds(
        lambda call, found: tree.CallStep(call, found, span=NOWHERE), calls(values), clauses(values)
    )
    later = steps(values, tuple(verb for verb in VERBS if verb != "from")) | call_steps | reads(values)
    repeated = st.deferred(
        lambda: st.builds(
            lambda times, body: tree.RepeatStep(times, body, span=NOWHERE),
            quantities | plain_names,
            st.lists(steps(values, tuple(VERBS)[2:], least=1) | call_steps, min_size=1, max_size=2).map(
                lambda found: tree.Chain(tuple(found), span=NOWHERE)
            ),
        )
    )
    later = later | repeated
    first = reads(values) | (steps(values, begins, least=least) if begins else st.nothing())
    return st.builds(
        lambda first, rest: tree.Chain((first, *rest), span=NOWHERE), first, st.lists(later, max_size=3)
    )


values = st.deferred(lambda: st.recursive(atoms, larger, max_leaves=6))
whole_chains = chains(values, begins=())


def params() -> st.SearchStrategy[tree.Param]:
    types = st.sampled_from(("share", "count", "model", "text", "data")).map(
        lambda word: tree.Name(word, False, span=NOWHERE)
    )
    return st.builds(
        lambda name, kind, default: tree.Param(name, kind, default, span=NOWHERE),
        plain_names,
        types,
        st.none() | values,
    )


def methods() -> st.SearchStrategy[tree.Method]:
    return st.builds(
        lambda name, given, body: tree.Method(name, tuple(given), body, span=NOWHERE),
        plain_names,
        st.lists(params(), max_size=2),
        chains(values, begins=("score", "filter"), least=1),
    )


def simple_statements() -> st.SearchStrategy[tree.Statement]:
    lets = st.builds(
        lambda name, value: tree.Let(name, value, span=NOWHERE),
        plain_names,
        values | chains(values, begins=("top", "filter", "load"), least=1),
    )
    uses = st.builds(
        lambda path, name: tree.Use(tree.Text(path, False, span=NOWHERE), name, span=NOWHERE),
        st.sampled_from(("judges.sel", "a b.sel")),
        st.none() | plain_names,
    )
    return lets | uses | params() | methods() | whole_chains


def statements() -> st.SearchStrategy[tree.Statement]:
    repeats = st.builds(
        lambda times, body: tree.Repeat(times, tuple(body), span=NOWHERE),
        quantities | plain_names,
        st.lists(simple_statements(), max_size=2),
    )
    return simple_statements() | repeats


def recipes() -> st.SearchStrategy[tree.Recipe]:
    """Recipes that can be written; most of them mean nothing."""
    edition = st.lists(st.just(tree.Edition(1, span=NOWHERE)), max_size=1)
    return st.builds(
        lambda first, rest: tree.Recipe((*first, *rest), tree.Source("", "")),
        edition,
        st.lists(statements(), min_size=1, max_size=4),
    )


@st.composite
def mistakes(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A text with up to four slips of the hand."""
    text = draw(texts)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 12)))
        other = draw(st.integers(0, len(text)))
        piece = text[start:end]
        typed = draw(
            st.sampled_from([*"()[]{}|,=:\"`#%$-&;'\\\n\0é", "from ", "let ", " by ", '"""', "1e999", "not "])
        )
        text = draw(
            st.sampled_from(
                (
                    text[:start] + text[end:],
                    text[:end] + piece + text[end:],
                    text[:start] + typed + text[end:],
                    text[:other] + piece + text[other:],
                    text[:start],
                )
            )
        )
    return text


__all__ = ["Decimal", "mistakes", "recipes", "values", "whole_chains"]
