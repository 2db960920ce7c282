"""The short names of models that come with selrun."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path


@cache
def builtin_aliases() -> tuple[dict[str, str], frozenset[str]]:
    """Names and targets of models whose weights can be loaded, and the names of models behind an API."""
    table = Path(__file__).parent.with_name("stdlib") / "models.toml"
    tables = tomllib.loads(table.read_text("utf-8"))
    targets: dict[str, str] = {}
    for section, names in tables.items():
        if section != "api":
            targets |= {name: value for name, value in names.items() if isinstance(value, str)}
    return targets, frozenset(tables.get("api", {}))
