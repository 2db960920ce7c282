"""The short names of models that come with selrun."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files


@cache
def builtin_aliases() -> tuple[dict[str, str], frozenset[str]]:
    """Names and targets of models whose weights can be loaded, and the names of models behind an API."""
    package = __name__.rpartition(".compiler.")[0]
    tables = tomllib.loads(files(f"{package}.stdlib").joinpath("models.toml").read_text("utf-8"))
    targets: dict[str, str] = {}
    for table, names in tables.items():
        if table != "api":
            targets |= {name: value for name, value in names.items() if isinstance(value, str)}
    return targets, frozenset(tables.get("api", {}))
