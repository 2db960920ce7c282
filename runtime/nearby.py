"""What lies near a name that nothing has: files of the folder, words of a list."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


def nearby_files(path: Path) -> str:
    """A help line for a file that is not there: near names in its folder, else what the folder holds."""
    folder = path.parent
    if not folder.is_dir():
        return f"the folder `{folder}` is not there either"
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    near = difflib.get_close_matches(path.name, names, n=3, cutoff=0.6)
    if near:
        return "a file with a similar name exists: " + listed(str(folder / name) for name in near)
    if names:
        return f"the folder `{folder}` holds {listed(names[:8])}"
    return f"the folder `{folder}` is empty"


def nearby_words(word: str, known: Iterable[str], what: str) -> str:
    """A help line for a word that means nothing: the near ones, else all there are, up to twelve."""
    choices = sorted(set(known))
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    if near:
        return f"{what} with a similar name exists: {listed(near)}"
    return f"there are {listed(choices[:12])}" + (
        f" and {len(choices) - 12} more" if len(choices) > 12 else ""
    )


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
