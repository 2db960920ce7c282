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
    condition: Expression


class Derive(Op):
    """A column computed from others."""

    verb: ClassVar[str] = "derive"
    name: str
    value: Expression


class Sort(Op):
    """The rows in ascending order of an expression; equal rows keep their order, nulls come last."""

    verb: ClassVar[str] = "sort"
    by: Expression
    descending: bool = False


class Algebra(Op):
    """Two datasets as one: `+` each row once, `-` without the second's, `&` the rows of both."""

    verb: ClassVar[str] = "algebra"
    operator: Literal["+", "-", "&"]
    other: Data


class Without(Op):
    """The rows that the other dataset does not hold."""

    verb: ClassVar[str] = "without"
    other: Data


class Join(Op):
    """The rows that the other dataset holds too."""

    verb: ClassVar[str] = "join"
    other: Data


class Values(Op):
    """The different values of a column of lists, each as a row whose prompt it is."""

    verb: ClassVar[str] = "values"
    column: Expression


class Save(Op):
    """Writes the rows at that point and passes them on."""

    verb: ClassVar[str] = "save"
    path: str
    shape: str | None = None
    """The format to write (`alpaca`, `messages`, …); the input's own where not given."""


class Pretrained(Op):
    """A model as its files give it."""

    verb: ClassVar[str] = "model"
    noun: ClassVar[str] = "model"
    target: str
    """A local folder, a hub id with an optional `@revision`, or a name that selrun makes itself (`nano`)."""
