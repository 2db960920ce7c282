"""Datasets of the hub, through the hub's own library."""

from __future__ import annotations

from typing import Any

import polars as pl

from ...errors import DataError


def hub_rows(name: str, split: str = "train") -> pl.DataFrame:
    """One split of a hub dataset, or of a local copy of one; `org/name@revision` names a revision."""
    datasets = library(name)
    target, _, revision = name.partition("@")
    if not target:
        raise not_loaded(name, split, ValueError("it has no name"))
    try:
        found = datasets.load_dataset(target, split=split, revision=revision or None)
    except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
        raise not_loaded(name, split, error) from error
    return found.to_polars()


def library(name: str) -> Any:
    """The `datasets` package, which comes with an extra."""
    try:
        import datasets
        import datasets.exceptions
    except ImportError as error:
        raise DataError(
            "E509",
            f"reading `{name}` from the hub needs the package `datasets`",
            help="install it with `pip install 'selrun[hub]'`, or name a local file with `--data FILE`",
        ) from error
    return datasets


def not_loaded(name: str, split: str, error: Exception) -> DataError:
    reason = str(error).strip().splitlines()
    return DataError(
        "E509",
        f"the split `{split}` of `{name}` cannot be had from the hub",
        notes=reason[:2] or [type(error).__name__],
        help='check the name, the split and the network, or name a local copy: `hub("./folder")`',
    )
