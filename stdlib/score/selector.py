"""What InstructionGPT-4's selector thinks of each row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ...compiler.op import Answers, Score
from ...compiler.values import Expression
from ...errors import DataError
from ..embed.vectors import points
from .attention import HEADS, loaded, scores, trained

if TYPE_CHECKING:
    import numpy as np
    import polars as pl
    import torch


class Selector(Score):
    """The quality that a small attention network predicts from indicators; high is better.

    Wei et al., 2023 (arXiv 2308.12067): two layers of self-attention with four heads, each added to its
    input and followed by a linear layer, then a linear layer to one number. Its weights are read from a
    file, or learned from `label`, the result of a model fine-tuned on the row's `subset`: the mean
    prediction over a subset is brought near its label.

    With `faithful = true` rows attend to each other as in the authors' script: all rows of the pool when
    scores are given, so that they depend on the pool, and the rows of one place in each subset when it
    learns. By default every row attends to itself alone, and its score is its own.
    """

    noun = "selector"
    positional = ("features",)
    paper = "https://arxiv.org/abs/2308.12067"
    rowwise = False
    range = "about that of the labels"
    missing = "rows where a feature is missing"
    conversations = "those of its features"
    example = """
        load "examples/tasks.jsonl"
        | embed using nano as place
        | embed pca(2) by place as short
        | score length, loss using nano
        | cluster kmeans(4) by place as part
        | derive result = part * 2
        | score selector([short, length / 100, loss], label = result, subset = part) as quality
        | top 20% by quality
    """

    features: tuple[Expression, ...] = Field(min_length=1)
    """The numbers and vectors that it reads, in order; four numbers or a multiple of that in all."""
    weights: str | None = None
    """A safetensors file of weights."""
    label: Expression | None = None
    """How good the row's subset has proved to be; learns from the rows that have one."""
    subset: Expression | None = None
    """Which subset the row belongs to."""
    epochs: int = Field(20, ge=1)
    """How many steps it learns, each on all subsets."""
    learning_rate: float = Field(0.01, gt=0)
    """Adam's."""
    faithful: bool = False
    """Rows attend to each other as in the authors' script."""
    seed: int = 0

    @model_validator(mode="after")
    def _has_weights(self) -> Selector:
        learns = self.label is not None and self.subset is not None
        if learns == (self.weights is not None):
            raise ValueError("needs either `weights`, or both `label` and `subset` to learn from")
        return self

    def reduce(self, known: Answers) -> pl.Series:
        import numpy as np
        import polars as pl
        import torch

        features = self._features(known)
        complete = np.asarray(np.isfinite(features).all(axis=1))
        self._check_features(features, complete)
        rows = torch.from_numpy(features[complete])
        path = Path(self.weights) if self.weights is not None else None
        selector = loaded(path, rows.shape[1]) if path else self._learned(known, features, complete)
        with torch.no_grad():
            predicted = scores(selector, self._side_by_side(rows)).reshape(-1)
        column = torch.full((len(features),), torch.nan)
        column[torch.from_numpy(complete)] = predicted
        return pl.Series(column.numpy()).cast(pl.Float64).fill_nan(None)

    def _side_by_side(self, rows: torch.Tensor) -> torch.Tensor:
        """`[together, apart, features]`."""
        return rows[:, None] if self.faithful else rows[None]

    def _features(self, known: Answers) -> np.ndarray:
        """`[rows, features]`, float32; NaN where one is missing."""
        import numpy as np

        blocks = [_numbers(known.evaluate(each).alias(each.text)) for each in self.features]
        return np.concatenate(blocks, axis=1).astype(np.float32)

    def _check_features(self, features: np.ndarray, complete: np.ndarray) -> None:
        """Raises DataError E572 where the network cannot read a row."""
        if not complete.any():
            raise DataError(
                "E572",
                f"none of the {len(features):,} rows has all {len(self.features)} features of the selector",
                help="look at which of them is null everywhere, or leave it out",
            )
        if features.shape[1] % HEADS:
            raise DataError(
                "E572",
                f"the selector's {HEADS} heads share its features evenly, and there are {features.shape[1]}",
                help=f"leave features out, or add some, so that their number is a multiple of {HEADS}",
            )

    def _learned(self, known: Answers, features: np.ndarray, complete: np.ndarray) -> torch.nn.ModuleDict:
        import torch

        lesson = self._lesson(known, complete)
        rows = torch.from_numpy(features[lesson.rows])
        subsets = len(lesson.labels)
        return trained(
            rows.reshape(subsets, -1, rows.shape[1]) if self.faithful else rows[None],
            torch.from_numpy(lesson.means),
            torch.from_numpy(lesson.labels),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            seed=self.seed,
        )

    def _lesson(self, known: Answers, complete: np.ndarray) -> Lesson:
        import numpy as np
        import polars as pl

        assert self.label is not None
        assert self.subset is not None
        label = known.evaluate(self.label)
        if not label.dtype.is_numeric():
            raise _cannot_learn(f"`{self.label.text}` holds {label.dtype}", "give labels that are numbers")
        label = label.cast(pl.Float64)
        told = pl.DataFrame({"subset": known.evaluate(self.subset), "label": label})
        usable = pl.Series(complete) & told["subset"].is_not_null() & label.is_finite()
        told = told.with_row_index("row").filter(usable.fill_null(False))
        groups = told.group_by("subset", maintain_order=True).agg("row", "label")
        self._check(groups)
        sizes = groups["row"].list.len()
        means = np.repeat(np.eye(len(groups), dtype=np.float32), sizes.to_numpy(), axis=1)
        return Lesson(
            groups["row"].explode().to_numpy(),
            means / sizes.to_numpy().astype(np.float32)[:, None],
            groups["label"].list.first().cast(pl.Float32).to_numpy(writable=True),
        )

    def _check(self, groups: pl.DataFrame) -> None:
        """Raises DataError E573 where the selector cannot learn from these subsets."""
        if len(groups) < 2:
            raise _cannot_learn(f"there are {len(groups)} subsets with a label", "label two subsets or more")
        uneven = groups.filter(groups["label"].list.n_unique() > 1)
        if len(uneven):
            raise _cannot_learn(
                f"the subset {uneven['subset'][0]} has {uneven['label'].list.n_unique()[0]} labels",
                "give all rows of a subset the label that its model got",
            )
        sizes = sorted(groups["row"].list.len().unique().to_list())
        if self.faithful and len(sizes) > 1:
            raise _cannot_learn(
                f"its subsets have {sizes[0]:,} to {sizes[-1]:,} rows, and the authors' are equally large",
                "take equally many rows of each, or leave `faithful` out",
            )


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a selector learns from."""

    rows: np.ndarray
    """Positions of the rows, subset by subset."""
    means: np.ndarray
    """`[subsets, rows]`: what averages the rows of each subset."""
    labels: np.ndarray
    """`[subsets]`"""


def _numbers(feature: pl.Series) -> np.ndarray:
    """`[rows, numbers]`, NaN for rows without."""
    import numpy as np
    import polars as pl

    if feature.dtype == pl.String:
        raise DataError(
            "E572",
            f"the feature `{feature.name}` holds texts, and the selector reads numbers and vectors",
            help="name a column of numbers or vectors, or make one of it with `derive`",
        )
    if not feature.dtype.is_nested():
        return feature.cast(pl.Float64).fill_null(float("nan")).to_numpy()[:, None]
    placed = points(feature)
    if not len(placed):
        return np.full((len(feature), 1), np.nan)
    numbers = np.full((len(feature), placed.vectors.shape[1]), np.nan)
    numbers[placed.rows] = placed.vectors
    return numbers


def _cannot_learn(fact: str, help: str) -> DataError:
    return DataError("E573", f"the selector cannot learn: {fact}", help=help)
