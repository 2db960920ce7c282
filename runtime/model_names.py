"""What short model names stand for: the command line, `selrun.toml`, then the catalogue."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from ..compiler.aliases import builtin_aliases
from ..errors import SelrunError

FILE = "selrun.toml"


def model_names(given: Mapping[str, str], recipes: Iterable[str] = ()) -> dict[str, str]:
    """Targets by short name; `--model` comes before a recipe's folder, that before the user's own, then ours."""
    names = dict(builtin_aliases()[0])
    folders = [configuration_folder(), *(Path(name).parent for name in recipes)]
    for folder in dict.fromkeys(folders):
        names |= names_in(folder / FILE)
    return names | dict(given)


def configuration_folder() -> Path:
    """The user's configuration folder of selrun."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "selrun"


def names_in(file: Path) -> dict[str, str]:
    """The names of a `selrun.toml`; a target that begins with a dot is seen from the file's folder."""
    try:
        table = tomllib.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise unreadable(file, str(error)) from None
    models = table.get("models", {})
    if not isinstance(models, dict) or not all(isinstance(target, str) for target in models.values()):
        raise unreadable(file, "`[models]` holds something that is not a text")
    return {name: beside(file, target) for name, target in models.items()}


def beside(file: Path, target: str) -> str:
    return str(file.parent / target) if target.startswith("./") or target.startswith("../") else target


def unreadable(file: Path, reason: str) -> SelrunError:
    return SelrunError(
        "E640",
        f"`{file}` cannot be read: {reason}",
        help='write lines such as `my-model = "org/name"` under `[models]`; a name with a dot in quotes',
    )
