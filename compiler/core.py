"""The operations that the language itself brings: reading, filtering, deriving, ordering, algebra and saving."""

from __future__ import annotations

from typing import ClassVar, Literal

from .op import Op
from .values import Data, Expression


class Load(Op):
    """The rows of a file, a folder, a glob, a URL or a hub dataset."""

    verb: ClassVar[str] = "from"
    source: str
    """Where the rows are; `""` is the recipe's input, `--data`."""
    shape: str | None = None
    """How the rows are written (`alpaca`, `sharegpt`, …); recognised where not given."""
    split: str | None = None
    """Of a hub dataset: which split."""


class Filter(Op):
    """The rows for which the condition is true; null is not true."""

    verb: ClassVar[str] = "filter"
    rowwise: ClassVar[bool] = True
    example: ClassVar[str] = """
        load "examples/tasks.jsonl"
        | filter len(response) >= 20 and not contains(lower(response), "sorry")
    """
    condition: Expression
    """What has to be true of a row."""


class Derive(Op):
    """A column computed from others."""

    verb: ClassVar[str] = "derive"
    example: ClassVar[str] = """
        load "examples/tasks.jsonl"
        | derive ratio = len(response) / (len(prompt) + 1)
        | top 5 by ratio
    """
    name: str
    """The column, before the sign `=`."""
    value: Expression
    """What it holds, behind the sign; of an earlier `derive` or `score` it may be written again."""


class Sort(Op):
    """The rows in ascending order of an expression; equal rows keep their order, nulls come last."""

    verb: ClassVar[str] = "sort"
    example: ClassVar[str] = 'load "examples/tasks.jsonl" | sort by len(prompt) with descending = true'
    by: Expression
    """What is compared."""
    descending: bool = False
    """The greatest first; nulls come last all the same."""


class Algebra(Op):
    """Two datasets as one: `+` each row once, `-` without the second's, `&` the rows of both."""

    verb: ClassVar[str] = "algebra"
    operator: Literal["+", "-", "&"]
    other: Data


class Without(Op):
    """The rows that the other dataset does not hold."""

    verb: ClassVar[str] = "without"
    example: ClassVar[str] = 'load "examples/tasks.jsonl" | without (top 5 by len(response))'
    other: Data
    """Rows are the same whose content is; one equal row removes all of them."""


class Join(Op):
    """The rows that the other dataset holds too."""

    verb: ClassVar[str] = "join"
    example: ClassVar[str] = 'load "examples/tasks.jsonl" | join (top 5 by len(response))'
    other: Data
    """Rows are the same whose content is; one equal row keeps all of them."""


class Values(Op):
    """The different values of a column of lists, each as a row whose prompt it is."""

    verb: ClassVar[str] = "values"
    column: Expression


class Save(Op):
    """Writes the rows at that point and passes them on."""

    verb: ClassVar[str] = "save"
    path: str
    """The file, inside the working folder unless `--allow-write` is given."""
    shape: str | None = None
    """The format to write (`alpaca`, `messages`, …); the input's own where not given."""


class Pretrained(Op):
    """A model as its files give it."""

    verb: ClassVar[str] = "model"
    noun: ClassVar[str] = "model"
    target: str
    """A local folder, a hub id with an optional `@revision`, or a name that selrun makes itself (`nano`)."""
