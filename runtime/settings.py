"""What a user says besides the recipe: input, output, models, machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Settings:
    """The settings of one run; each field is a command-line option of the same name."""

    data: Any = None
    """A path, a pattern, a URL, `hub:org/name`, a polars frame or a list of rows."""
    out: str | Path | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)
    """Short names and their targets; they come before `selrun.toml` and the catalogue."""
    store: Path | None = None
    seed: int = 0
    device: str | None = None
    """`cpu`, `cuda`, `cuda:1`, `mps`; the best one there is where not given."""
    dtype: str | None = None
    """float32 on a CPU and bfloat16 on a GPU where not given."""
    engine: Literal["local"] = "local"
    workers: int | None = None
    """Force so many worker processes."""
    locked: bool = False
    """Refuse to run when anything differs from the manifest beside the output."""
    on_bad_row: Literal["stop", "skip"] = "stop"
    rules: bool = True
    allow_write: bool = False
    """Let `save` write outside the working folder."""
    write: bool = True
    """Write results, manifests and histories; off in a notebook that wants rows alone."""

    @property
    def source(self) -> str | None:
        """What `--data` says, as one text."""
        if self.data is None:
            return None
        return str(self.data) if isinstance(self.data, str | Path) else "<data>"
