"""The Python API: run, compile or explain recipes given as texts or files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .events import Listener, ignore
from .settings import Settings

if TYPE_CHECKING:
    from ..compiler.plan import Plan
    from .run import Run
    from .survey import Explanation


def run(
    recipe: str | Path | Sequence[str | Path],
    data: Any = None,
    *,
    out: str | Path | None = None,
    models: Mapping[str, str | Path] | None = None,
    parameters: Mapping[str, Any] | None = None,
    listen: Listener = ignore,
    **settings: Any,
) -> Run:
    """Runs recipes (texts or `.sel` files) on a frame, a list of rows or a path.

    Files are written only where `out` says so, or where the recipe itself saves. Other keywords are the fields of
    `Settings`. Raises SelrunError, with RecipeError carrying every located problem.
    """
    from .run import execute

    return execute(texts_of(recipe), settings_of(data, out, models, parameters, settings), listen)


def compile(recipe: str | Path | Sequence[str | Path], data: Any = None, **settings: Any) -> Plan:
    """The plan of recipes, optimised and not run. Raises RecipeError."""
    from .run import planned
    from .world import World

    chosen = settings_of(
        data,
        settings.pop("out", None),
        settings.pop("models", None),
        settings.pop("parameters", None),
        settings,
    )
    return planned(texts_of(recipe), chosen, World(chosen))[1]


def explain(recipe: str | Path | Sequence[str | Path], data: Any = None, **settings: Any) -> Explanation:
    """What recipes will do and what it takes; `stage`, `why`, `format` and `pilot` as on the command line."""
    from .survey import explain as explained

    shown = {name: settings.pop(name) for name in ("stage", "why", "format", "pilot") if name in settings}
    chosen = settings_of(
        data,
        settings.pop("out", None),
        settings.pop("models", None),
        settings.pop("parameters", None),
        settings,
    )
    return explained(texts_of(recipe), chosen, **shown)


def settings_of(
    data: Any,
    out: str | Path | None,
    models: Mapping[str, Any] | None,
    parameters: Mapping[str, Any] | None,
    rest: Mapping[str, Any],
) -> Settings:
    """Python values as the settings of a run."""
    more = dict(rest)
    if more.get("store") is not None:
        more["store"] = Path(more["store"])
    return Settings(
        data=data,
        out=out,
        models={name: str(target) for name, target in (models or {}).items()},
        parameters={name: written(value) for name, value in (parameters or {}).items()},
        write=out is not None,
        **more,
    )


def written(value: Any) -> str:
    """A Python value as the language writes it; a text that is one already stays."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def texts_of(recipe: str | Path | Sequence[str | Path]) -> list[tuple[str, str]]:
    """Recipes as (name, text): a path or a name that ends in `.sel` is read."""
    from .world import read_text

    if not isinstance(recipe, str | Path):
        return [text for one in recipe for text in texts_of(one)]
    if isinstance(recipe, Path) or recipe.strip().endswith(".sel"):
        return [(str(recipe), read_text(Path(recipe)))]
    return [("recipe", recipe)]
