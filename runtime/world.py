"""Answers what the compiler asks: texts of used recipes, columns of datasets, what models are."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ..compiler.aliases import builtin_aliases
from ..compiler.check import Checked, check
from ..compiler.facts import Answer, CardOf, Columns, Facts, Question, SchemaOf, TextOf, Unavailable
from ..compiler.schema import Column, Kind
from ..errors import DataError, SelrunError
from .settings import Settings

if TYPE_CHECKING:
    import polars as pl

    from .rows import Rows

ROUNDS = 20
"""How often the compiler may ask again; each round knows more."""


class World:
    """The files and models that recipes talk about; a dataset that was read for its columns is not read twice."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.answers: dict[Question, Answer] = {}
        self.read: dict[tuple[str, str | None, str | None], Rows] = {}

    def compile(self, texts: Sequence[tuple[str, str]], *, data: bool = True, models: bool = True) -> Checked:
        """The checked recipes, with every question answered that may be; datasets or models can be left out."""
        checked = None
        for _ in range(ROUNDS):
            facts = self.facts(texts)
            checked = check(texts, facts, given=self.settings.parameters, seed=self.settings.seed)
            open_ones = [q for q in facts.open if self.may_answer(q, data, models)]
            if not open_ones:
                break
            self.answers |= {question: self.answer(question) for question in open_ones}
        assert checked is not None
        return checked

    def may_answer(self, question: Question, data: bool, models: bool) -> bool:
        return not (isinstance(question, SchemaOf) and not data) and not (
            isinstance(question, CardOf) and not models
        )

    def facts(self, texts: Sequence[tuple[str, str]]) -> Facts:
        builtin, api = builtin_aliases()
        aliases = dict(builtin)
        for folder in (config_folder(), *(Path(name).parent for name, _ in texts)):
            aliases |= configured(folder / "selrun.toml")
        aliases |= self.settings.models
        return Facts(dict(self.answers), aliases, api - set(self.settings.models), self.settings.source)

    def answer(self, question: Question) -> Answer:
        try:
            match question:
                case TextOf(path):
                    return read_text(Path(path))
                case SchemaOf(source, shape, split):
                    return columns_of(self.rows(source, shape, split))
                case CardOf(target):
                    from .models import describe

                    return describe(target)
        except SelrunError as error:
            return Unavailable(error.code, error.headline, (*error.notes, *error.help))

    def rows(self, source: str, shape: str | None, split: str | None) -> Rows:
        """The rows of a source, read once."""
        key = (source, shape, split)
        if key not in self.read:
            self.read[key] = self._read(source, shape, split)
        return self.read[key]

    def _read(self, source: str, shape: str | None, split: str | None) -> Rows:
        from .rows import read_rows

        real: Any = self.settings.data if source == self.settings.source else source
        if isinstance(real, str) and real.startswith("hub:"):
            from .formats.hub import hub_rows

            real = hub_rows(real.removeprefix("hub:"), split or "train")
        return read_rows(real, shape=shape, on_bad_row=self.settings.on_bad_row)


def columns_of(rows: Rows) -> Columns:
    """A dataset's own columns, as a recipe sees them."""
    found = tuple(Column(name, kind_in(rows.frame[name]), "file") for name in rows.layout.columns)
    return Columns(found, rows.frame.height)


def kind_in(values: pl.Series) -> Kind:
    """What a column holds; one without any value may stand for all kinds."""
    from .rows import kind_of

    return "any" if values.null_count() == len(values) else cast("Kind", kind_of(values.dtype))


def read_text(path: Path) -> str:
    """The text of a recipe file. Raises DataError E515."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.sel"))[:8] if path.parent.is_dir() else []
        help = f"recipes beside it: {', '.join(near)}" if near else "name a file that exists"
        raise DataError("E515", f"there is no recipe at `{path}`", help=help) from None
    except (OSError, ValueError) as error:
        raise DataError(
            "E515", f"the recipe `{path}` cannot be read: {error}", help="name a UTF-8 text file"
        ) from None


def config_folder() -> Path:
    """The user's configuration folder for selrun."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "selrun"


def configured(path: Path) -> Mapping[str, str]:
    """The `[models]` of a `selrun.toml`; relative folders are meant from where it lies. Raises DataError E516."""
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text("utf-8")).get("models", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError("E516", f"`{path}` cannot be read: {error}", help="mend or remove the file") from None
    return {name: _from(path.parent, str(target)) for name, target in table.items()}


def _from(folder: Path, target: str) -> str:
    beside = folder / target
    return str(beside) if target.startswith(".") and beside.exists() else target
