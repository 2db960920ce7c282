"""The operations that exist: the standard library's and those of installed plug-ins.

Both come the same way, through entry points of the group `selrun.ops`, each naming a package whose modules
define operations.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import files

from ..errors import SelrunError
from . import op as contract
from .core import Pretrained
from .op import Op

GROUP = "selrun.ops"
ABSTRACT = frozenset(v for v in vars(contract).values() if isinstance(v, type) and issubclass(v, Op))


@dataclass(frozen=True)
class Catalogue:
    """Operations by verb and noun, and the methods written in the language."""

    ops: Mapping[tuple[str, str], type[Op]]
    methods: Mapping[str, str] = field(default_factory=dict)
    """Name of a method and the text of the recipe that defines it."""

    def find(self, verb: str, noun: str) -> type[Op] | None:
        return self.ops.get((verb, noun))

    def nouns(self, verb: str) -> list[str]:
        """The nouns that a verb takes."""
        return sorted(noun for v, noun in self.ops if v == verb and noun)

    def verbs(self, noun: str) -> list[str]:
        """The verbs that take a noun of that name."""
        return sorted(v for v, n in self.ops if n == noun)


def operations(module: object) -> Iterator[type[Op]]:
    """The operations that a module itself defines."""
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, Op) and value.__module__ == module.__name__:  # type: ignore[attr-defined]
            yield value


def modules(package: str) -> Iterator[object]:
    """A package's modules, or the module itself."""
    root = importlib.import_module(package)
    yield root
    if hasattr(root, "__path__"):
        for found in pkgutil.walk_packages(root.__path__, f"{package}."):
            yield importlib.import_module(found.name)


def package_methods(package: str) -> dict[str, str]:
    """The method files of a package's `methods` folder, by name."""
    folder = files(package).joinpath("methods")
    if not folder.is_dir():
        return {}
    return {f.name[:-4]: f.read_text("utf-8") for f in folder.iterdir() if f.name.endswith(".sel")}


@cache
def catalogue() -> Catalogue:
    """Everything installed; a plug-in that claims a taken name is refused."""
    ops: dict[tuple[str, str], type[Op]] = {}
    methods: dict[str, str] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda p: (p.name != "selrun", p.name)):
        for module in modules(point.value):
            for found in operations(module):
                register(ops, found, point.name)
        methods |= package_methods(point.value)
    register(ops, Pretrained, "selrun")
    return Catalogue(ops, methods)


def register(ops: dict[tuple[str, str], type[Op]], found: type[Op], origin: str) -> None:
    """Adds a concrete operation under its verb and noun."""
    if found in ABSTRACT or not hasattr(found, "verb") or "noun" not in vars(found):
        return
    name = (found.verb, found.noun)
    if name in ops and ops[name] is not found:
        raise SelrunError(
            "E402",
            f"the plug-in `{origin}` brings `{' '.join(name).strip()}`, which exists already",
            help=f"uninstall it, or ask its author to rename the operation; the other is {ops[name].__module__}",
        )
    ops[name] = found
