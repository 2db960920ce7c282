"""What happens around a fine-tune: progress, checkpoints to continue from, and quiet."""

from __future__ import annotations

import contextlib
import math
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as chatter

from ..errors import ModelError

Progress: TypeAlias = Callable[[int, int, float | None], None]
"""Called with the steps done, the steps there are, and the mean loss of the last one."""

WHOLE = "whole"
"""The file that tells that a checkpoint was written to its end."""


def ignore_progress(done: int, steps: int, loss: float | None) -> None:
    """Nothing."""


class Watch(TrainerCallback):
    """Reports every step, stops at the first loss that is no number, and asks for checkpoints in time."""

    def __init__(self, name: str, progress: Progress, save_every: float | None):
        self.losses: list[float] = []
        self.resumed = 0
        self._name, self._progress = name, progress
        self._save_every, self._saved = save_every, time.monotonic()

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.resumed = state.global_step
        self._progress(state.global_step, state.max_steps, None)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if logs is None or "loss" not in logs:
            return
        loss = float(logs["loss"])
        if not (math.isfinite(loss) and math.isfinite(float(logs.get("grad_norm", 0.0)))):
            raise diverged(self._name, state.global_step, state.max_steps, loss)
        self.losses.append(loss)
        self._progress(state.global_step, state.max_steps, loss)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._save_every is not None and time.monotonic() - self._saved >= self._save_every:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Marks the checkpoint as whole, and only then removes the one before it."""
        assert args.output_dir is not None
        written = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        (written / WHOLE).touch()
        self._saved = time.monotonic()
        for other in Path(args.output_dir).glob("checkpoint-*"):
            if other != written:
                shutil.rmtree(other, ignore_errors=True)


def diverged(name: str, step: int, steps: int, loss: float) -> ModelError:
    """The error of a fine-tune whose numbers broke down."""
    what = "the loss became" if not math.isfinite(loss) else "the gradient became infinite or"
    return ModelError(
        "E451",
        f"{what} not a number at step {step} of {steps} while fine-tuning {name}",
        notes=("nothing was kept of this fine-tune",),
        help=("lower the rate, such as `learning_rate = 0.00001`", "check the rows for damaged texts"),
    )


def newest_checkpoint(scratch: Path) -> Path | None:
    """The last checkpoint that was written to its end; others are removed."""
    whole: dict[int, Path] = {}
    for path in scratch.glob("checkpoint-*"):
        if (path / WHOLE).exists():
            whole[int(path.name.split("-")[1])] = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return whole[max(whole)] if whole else None


@contextlib.contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Libraries say nothing, results on a CPU are exact repeats, and afterwards everything is as before."""
    exact, level, bars = torch.are_deterministic_algorithms_enabled(), chatter.get_verbosity(), bars_shown()
    states = random.getstate(), np.random.get_state()
    torch.use_deterministic_algorithms(exact or device.type == "cpu")
    chatter.set_verbosity_error()
    chatter.disable_progress_bar()
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.use_deterministic_algorithms(exact)
        chatter.set_verbosity(level)
        if bars:
            chatter.enable_progress_bar()


def bars_shown() -> bool:
    """Whether transformers shows its progress bars."""
    return chatter.is_progress_bar_enabled()
