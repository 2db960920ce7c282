"""The contract of an operation: a frozen value that says what it wants and computes from what is known.

An operation loads no model, sees no path and never executes itself. The compiler reads its traits and requests;
the runtime gives it answers.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict

from .schema import Kind
from .values import Data, Expression, Model
from .wants import View, Want

if TYPE_CHECKING:
    import polars as pl

    from .values import Value

Better = Literal["high", "low"]


@dataclass(frozen=True, slots=True)
class Request:
    """One want of one pass of one model over one view of each row."""

    model: Model
    view: View
    want: Want
    of: Data | None = None
    """The dataset whose rows are shown; those piped in where not given."""
    shots: bool = False
    """Before each row stands, as an earlier exchange, the row that `Op.shots` names."""


class Answers(Protocol):
    """What an operation is given: the rows at that point and one series per request, row by row."""

    rows: pl.DataFrame
    """The rows at that point, in order: the file's columns, the canonical `@…` columns and the steps' columns."""
    seed: int

    def __getitem__(self, request: str) -> pl.Series:
        """The answers to the request of that name, one a row of its dataset; null where the row has a problem."""
        ...

    def dataset(self, data: Data) -> pl.DataFrame:
        """The rows of a dataset that is a field of the operation, such as `against`."""
        ...

    def column(self, name: str) -> pl.Series:
        """The column that a recipe calls so (`prompt`, `response`, `ifd`, …)."""
        ...

    def evaluate(self, expression: Expression) -> pl.Series:
        """The expression's value for every row."""
        ...


@dataclass(frozen=True, slots=True)
class Picked:
    """Which rows go on, in which order, and why the others went."""

    order: pl.Series
    """Positions of the rows that go on, in the order of the result: `UInt32`."""
    reasons: pl.Series
    """For every row why it went, or null: `String`."""
    marks: Mapping[str, pl.Series] = field(default_factory=dict)
    """What `why` shows of each row besides, such as its rank."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """What the manifest keeps of the step, such as the threshold; JSON values."""


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """What determines a fine-tuned model besides its base and its rows."""

    base: Model
    view: View
    epochs: float
    learning_rate: float
    batch: int
    """Rows per optimiser step, over all devices."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = 0.03
    """The share of the steps over which the learning rate rises."""
    weight_decay: float = 0.0
    adapter: Literal["none", "lora"] = "none"
    rank: int = 128
    alpha: int = 512
    dropout: float = 0.0
    seed: int = 0


class Op(BaseModel):
    """An operation of the language."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, defer_build=True)

    verb: ClassVar[str]
    noun: ClassVar[str] = ""
    version: ClassVar[int] = 1
    """Raised when the numbers change; part of every key."""
    positional: ClassVar[tuple[str, ...]] = ()
    """The fields that arguments without a name fill, in order; all fields can be given by name."""
    rowwise: ClassVar[bool] = False
    """The result for a row depends on that row alone."""
    random: ClassVar[bool] = False
    takes: ClassVar[tuple[tuple[str, Kind], ...]] = ()
    """What the expressions in fields have to be, where not anything will do."""
    paper: ClassVar[str] = ""
    example: ClassVar[str] = ""
    """One complete recipe that uses it; a test runs it."""
    values_of: ClassVar[str] = ""
    """The field with a column of lists whose different values, a row each, fill a field `against` that the
    recipe leaves open."""
    vectors_in: ClassVar[tuple[str, ...]] = ()
    """The fields with a column of vectors, any one of which stands for the model of `using`."""
    default_model: ClassVar[str | None] = None
    """The model of the catalogue taken when there is no `using` and none was used before in the chain."""

    def requests(self) -> Mapping[str, Request]:
        """What it needs of model passes, by a name of its own."""
        return {}

    def shots(self, known: Answers) -> pl.Series:
        """For each row the position of the row shown before it: `UInt32`, null where none is."""
        raise NotImplementedError(f"{type(self).__name__} shows no row before another")

    def reads(self) -> frozenset[str]:
        """The columns it reads."""
        return frozenset().union(*(e.columns for e in self.expressions()))

    def expressions(self) -> Iterator[Expression]:
        """The expressions among its fields."""
        return (v for v in self._values() if isinstance(v, Expression))

    def references(self) -> tuple[Model | Data, ...]:
        """The models and datasets among its fields."""
        return tuple(v for v in self._values() if isinstance(v, Model | Data))

    def content(self) -> str:
        """A hash of what it does: class, version and fields; labels and names of things left out."""
        fields = {name: _nameless(value) for name, value in self.model_dump(mode="json").items()}
        text = json.dumps([self.verb, self.noun, self.version, fields], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _values(self) -> Iterator[Value | Any]:
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, tuple):
                yield from value
            else:
                yield value


def _nameless(value: Any) -> Any:
    """A template without its name: its texts are what it is."""
    if isinstance(value, dict) and "with_input" in value:
        return {key: text for key, text in value.items() if key != "name"}
    return value


class Adds(Op):
    """An operation that adds one column and keeps every row."""

    kind: ClassVar[Kind] = "number"
    name: str = ""
    """The column it writes; the noun, or what `as` says."""

    def reduce(self, known: Answers) -> pl.Series:
        """The column, one value a row; null where there is none."""
        raise NotImplementedError(f"{type(self).__name__} does not compute its column")


class Score(Adds):
    """A number for every row that can be scored."""

    verb: ClassVar[str] = "score"
    rowwise: ClassVar[bool] = True
    better: ClassVar[Better] = "high"
    range: ClassVar[str] = ""
    """Which values occur, such as `above 0; above 1: the prompt does not help`."""
    missing: ClassVar[str] = ""
    """Which rows have no value."""
    conversations: ClassVar[str] = "last: the last response after everything before it"
    """How rows of several turns are treated."""


class Embed(Adds):
    """A vector for every row."""

    verb: ClassVar[str] = "embed"
    kind: ClassVar[Kind] = "vector"
    rowwise: ClassVar[bool] = True


class Cluster(Adds):
    """A label for every row; rows of one cluster are alike."""

    verb: ClassVar[str] = "cluster"
    kind: ClassVar[Kind] = "label"


class Select(Op):
    """An operation that chooses rows."""

    def pick(self, known: Answers) -> Picked:
        """Which rows go on, in which order, and why the others went."""
        raise NotImplementedError(f"{type(self).__name__} does not pick rows")


class Cover(Select):
    """A choice of rows that covers the dataset; a coverer of `diversify`."""

    verb: ClassVar[str] = "diversify"


class Dedup(Select):
    """A choice that drops exact or near duplicates."""

    verb: ClassVar[str] = "dedup"


class Evaluate(Op):
    """A report about the rows at that point, or about models; the rows go on unchanged.

    A field `against` that the recipe leaves open is filled with the rows that the chain began with.
    """

    verb: ClassVar[str] = "evaluate"

    def report(self, known: Answers) -> Mapping[str, Any]:
        """What there is to say, as JSON values by name; `{"before": …, "after": …}` where two are compared."""
        raise NotImplementedError(f"{type(self).__name__} does not report")


class Train(Op):
    """A model made by fine-tuning another one on some of the rows piped in."""

    verb: ClassVar[str] = "model"

    def choose(self, known: Answers) -> pl.Series:
        """Positions of the rows to train on, in order: `UInt32`."""
        raise NotImplementedError(f"{type(self).__name__} does not choose its rows")

    def spec(self) -> TrainSpec:
        """How to train."""
        raise NotImplementedError(f"{type(self).__name__} does not say how to train")
