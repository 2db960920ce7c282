"""The operations that exist: the standard library's and those of installed plug-ins.

Both come the same way, through entry points of the group `selrun.ops`, each naming a package whose modules
define operations.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path

from ..errors import SelrunError
from . import op as contract
from .core import Pretrained
from .op import Op

GROUP = "selrun.ops"
OWN = "selrun"
"""The name of the standard library's entry point."""
ABSTRACT = frozenset(v for v in vars(contract).values() if isinstance(v, type) and issubclass(v, Op))


class Catalogue:
    """Operations by verb and noun, and the methods written in the language.

    A module of the standard library is imported when a noun is asked for that its text assigns, as the class of an
    operation does: a check needs few of them.
    """

    def __init__(self, unread: Mapping[str, Path], methods: Mapping[str, str]):
        self.methods = methods
        """Name of a method and the text of the recipe that defines it."""
        self.unread = {name: path.read_text("utf-8") for name, path in unread.items()}
        self.known: dict[tuple[str, str], type[Op]] = {}

    @property
    def ops(self) -> dict[tuple[str, str], type[Op]]:
        """All operations, by verb and noun."""
        self.read()
        return self.known

    def find(self, verb: str, noun: str) -> type[Op] | None:
        self.read(*([f'noun = "{noun}"'] if noun else ['noun = ""', f'verb = "{verb}"']))
        return self.known.get((verb, noun))

    def nouns(self, verb: str) -> list[str]:
        """The nouns that a verb takes."""
        return sorted(noun for v, noun in self.ops if v == verb and noun)

    def verbs(self, noun: str) -> list[str]:
        """The verbs that take a noun of that name."""
        return sorted(v for v, n in self.ops if n == noun)

    def read(self, *words: str) -> None:
        """Imports the modules whose text holds all the words."""
        for name in [name for name, text in self.unread.items() if all(word in text for word in words)]:
            del self.unread[name]
            for found in operations(importlib.import_module(name)):
                if named(found):
                    register(self.known, found, OWN)

    def add(self, found: type[Op], origin: str) -> None:
        """Adds an operation of a plug-in. Raises SelrunError E402 where its name is taken."""
        if named(found):
            self.find(found.verb, found.noun)
            register(self.known, found, origin)


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


def files_of(package: str) -> dict[str, Path]:
    """A package's modules and where they lie, without importing them."""
    folder = Path(importlib.import_module(package).__file__ or "").parent
    found = (path.relative_to(folder).with_suffix("").parts for path in folder.rglob("[!_]*.py"))
    return {
        ".".join((package, *parts)): folder.joinpath(*parts).with_suffix(".py") for parts in sorted(found)
    }


def package_methods(package: str) -> dict[str, str]:
    """The method files of a package's `methods` folder, by name."""
    folders = [Path(folder) for folder in getattr(importlib.import_module(package), "__path__", ())]
    return {f.stem: f.read_text("utf-8") for folder in folders for f in folder.glob("methods/*.sel")}


@cache
def catalogue() -> Catalogue:
    """Everything installed; a plug-in that claims a taken name is refused."""
    points = sorted(entry_points(group=GROUP), key=lambda point: (point.name != OWN, point.name))
    own = [point.value for point in points if point.name == OWN]
    methods: dict[str, str] = {}
    for point in points:
        methods |= package_methods(point.value)
    found = Catalogue({name: path for package in own for name, path in files_of(package).items()}, methods)
    register(found.known, Pretrained, OWN)
    for point in points[len(own) :]:
        for module in modules(point.value):
            for plugged in operations(module):
                found.add(plugged, point.name)
    return found


def named(found: type[Op]) -> bool:
    """Whether a recipe can call an operation; the others are what some have in common."""
    return found not in ABSTRACT and hasattr(found, "verb") and "noun" in vars(found)


def register(ops: dict[tuple[str, str], type[Op]], found: type[Op], origin: str) -> None:
    """Adds an operation under its verb and noun. Raises SelrunError E402 where the name is taken."""
    name = (found.verb, found.noun)
    if name in ops and ops[name] is not found:
        raise SelrunError(
            "E402",
            f"the plug-in `{origin}` brings `{' '.join(name).strip()}`, which exists already",
            help=f"uninstall it, or ask its author to rename the operation; the other is {ops[name].__module__}",
        )
    ops[name] = found
