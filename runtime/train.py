"""Fine-tuning a causal language model on chosen rows, into a folder that loads like any other model."""

from __future__ import annotations

import functools
import gc
import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, GenerationConfig, Trainer, TrainingArguments
from transformers.trainer_callback import PrinterCallback

from ..errors import DataError, ModelError
from . import models, nano
from .tokens import encode
from .train_lora import merged, with_lora
from .train_memory import Seats, free_memory, halved, out_of_memory, seats_for
from .train_rows import UNLEARNT, Examples, Shuffled, collated, examples_of
from .train_watch import Progress, Watch, ignore_progress, newest_checkpoint, undisturbed

if TYPE_CHECKING:
    import polars as pl

    from ..compiler.facts import Card
    from ..compiler.op import TrainSpec

SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
SAVE_EVERY = 600.0
"""Seconds between two checkpoints: what an interrupted fine-tune loses at most."""


@dataclass(frozen=True, slots=True)
class TrainFacts:
    """What a fine-tune did."""

    rows: int
    """Rows trained on; those of `skipped` are not among them."""
    skipped: Mapping[str, int]
    """Why chosen rows could not be trained on, and how many."""
    steps: int
    tokens: int
    """Tokens of the rows, each epoch counted."""
    seconds: float
    loss: tuple[float, ...]
    """Mean loss of a learnt token at each step of this run."""
    rows_at_once: int
    sparing: bool
    """Layers were computed again in the backward pass, because keeping them did not fit."""
    resumed: int
    """Steps that an interrupted run had done before."""


@dataclass(frozen=True, slots=True)
class Job:
    """A fine-tune with everything settled but the weights."""

    spec: TrainSpec
    examples: Examples
    pad: int
    device: torch.device
    dtype: torch.dtype
    name: str
    progress: Progress
    scratch: Path | None
    save_every: float

    @property
    def steps(self) -> int:
        """How many optimiser steps there are."""
        return math.ceil(math.ceil(len(self.examples) / self.spec.batch) * self.spec.epochs)

    @property
    def rising(self) -> int:
        """The steps over which the rate rises from 0; never all of them, or nothing would be learnt."""
        return min(math.ceil(self.spec.warmup * self.steps), self.steps - 1)


def train(
    spec: TrainSpec,
    base_target: str,
    frame: pl.DataFrame,
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype = torch.float32,
    progress: Progress = ignore_progress,
    name: str = "",
    base_adapter: str | None = None,
    scratch: Path | None = None,
    save_every: float = SAVE_EVERY,
    free: int | None = None,
) -> TrainFacts:
    """What was done; the fine-tuned model lies in the folder, adapters merged, in the type computed with.

    The loss is the mean over the response tokens of a step, with the end token after each response that was
    not cut. On a CPU the same rows, base and spec give the same bits. With `scratch`, an interrupted run goes
    on from its last checkpoint there; the caller removes the folder in the end.

    Raises ModelError E450 (does not fit into memory, or `free` bytes) and E451 (diverges), DataError E452.
    """
    started, place, computed = time.monotonic(), torch.device(device), as_dtype(dtype)
    with undisturbed(place):
        base = Base.of(base_target, base_adapter, torch.float32 if spec.adapter == "none" else computed)
        examples, skipped = _read(spec, frame, base)
        pad = base.tokenizer.pad_token_id or 0
        job = Job(spec, examples, pad, place, computed, name or base_target, progress, scratch, save_every)
        facts = _tune(job, _seats(job, base, free), base, folder)
    return replace(facts, skipped=skipped, seconds=time.monotonic() - started)


def as_dtype(dtype: str | torch.dtype) -> torch.dtype:
    """The torch type of that name."""
    return getattr(torch, dtype) if isinstance(dtype, str) else dtype


@dataclass(frozen=True, slots=True)
class Base:
    """The model to start from, known by its files; every attempt loads its weights anew."""

    target: str
    adapter: str | None
    dtype: torch.dtype
    tokenizer: Any
    config: Any
    card: Card

    @classmethod
    def of(cls, target: str, adapter: str | None, dtype: torch.dtype) -> Base:
        """The base without its weights."""
        tokenizer = models.load_tokenizer(target)
        return cls(target, adapter, dtype, tokenizer, config_of(target), models.describe(target))

    def load(self) -> Any:
        """The model on the CPU, every weight to be trained."""
        name = str(self.dtype).removeprefix("torch.")
        model = models.load(self.target, dtype=name, device="cpu", adapter=self.adapter).model
        return model.requires_grad_(True)


def config_of(target: str) -> Any:
    """The configuration of a model, without its weights."""
    if target == nano.NAME:
        return nano.nano_model().config
    return AutoConfig.from_pretrained(models.found(target, weights=False), local_files_only=True)


def _read(spec: TrainSpec, frame: pl.DataFrame, base: Base) -> tuple[Examples, dict[str, int]]:
    """The rows as token ids, and how many have none to learn, by reason."""
    limit = min((bound for bound in (spec.view.limit, base.card.context) if bound), default=None)
    sequences = encode(spec.view, frame, base.tokenizer, base.card.context)
    examples, skipped = examples_of(sequences, base.tokenizer.eos_token_id, limit)
    if len(examples):
        return examples, skipped
    raise DataError(
        "E452",
        f"none of {frame.height:,} rows can be trained on",
        notes=tuple(f"{count:,} rows: {reason}" for reason, count in skipped.items()),
        help="allow longer rows with `max_tokens`, or train on rows with a prompt and a response",
    )


def _seats(job: Job, base: Base, free: int | None) -> Seats:
    there = free_memory(job.device) if free is None else free
    return seats_for(
        base.config,
        name=job.name,
        spec=job.spec,
        longest=job.examples.longest,
        device=job.device,
        dtype=job.dtype,
        free=there,
    )


def _tune(job: Job, seats: Seats, base: Base, folder: Path) -> TrainFacts:
    """Trains, with half the rows at once whenever memory runs out."""
    while True:
        try:
            with tempfile.TemporaryDirectory(prefix="selrun-train-") as drafts:
                return _run(job, seats, base, folder, job.scratch or Path(drafts))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            seats = _halved(job, seats, error)
        # Outside the `except`, whose traceback holds the tensors that filled the memory.
        gc.collect()
        if job.device.type == "cuda":
            torch.cuda.empty_cache()


def _halved(job: Job, seats: Seats, error: BaseException) -> Seats:
    if smaller := halved(seats, job.spec.batch):
        return smaller
    raise ModelError(
        "E450",
        f"memory ran out while fine-tuning {job.name}, with a single row of at most "
        f"{job.examples.longest:,} tokens at once",
        help=("cut the rows shorter: `max_tokens`", "free some memory, or take a smaller model"),
    ) from error


def _run(job: Job, seats: Seats, base: Base, folder: Path, drafts: Path) -> TrainFacts:
    model, checkpoint = base.load(), newest_checkpoint(drafts)
    cached = model.config.use_cache
    model = model if job.spec.adapter == "none" else with_lora(model, job.spec)
    watch = Watch(job.name, job.progress, job.save_every if job.scratch else None)
    trainer = Tuner(job, model, _arguments(job, seats, drafts), watch)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    model.config.use_cache = cached
    save(merged(model), base.tokenizer, job.dtype, folder)
    return TrainFacts(
        rows=len(job.examples),
        skipped={},
        steps=trainer.state.global_step,
        tokens=int(job.examples.tokens * job.spec.epochs),
        seconds=0.0,
        loss=tuple(watch.losses),
        rows_at_once=seats.rows,
        sparing=seats.sparing,
        resumed=watch.resumed,
    )


class Tuner(Trainer):
    """transformers' Trainer with our order of the rows and our loss, saying nothing."""

    def __init__(self, job: Job, model: Any, arguments: TrainingArguments, watch: Watch):
        self._order = Shuffled(job.examples.lengths, job.spec.batch, job.spec.seed)
        super().__init__(
            model,
            arguments,
            data_collator=functools.partial(collated, pad=job.pad),
            train_dataset=job.examples,
            compute_loss_func=response_loss,
            callbacks=[watch],
        )
        self.remove_callback(PrinterCallback)

    def _get_train_sampler(self, train_dataset: Any = None) -> Shuffled:
        return self._order


def response_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int) -> torch.Tensor:
    """The summed loss of the learnt tokens over how many the whole step has.

    So a step is the same however many passes it is split into.
    """
    targets = labels[:, 1:]
    learnt = targets != UNLEARNT
    logits = outputs.logits[:, :-1][learnt].float()  # [learnt tokens, V]
    total = torch.nn.functional.cross_entropy(logits, targets[learnt], reduction="sum")
    return total / num_items_in_batch


def _arguments(job: Job, seats: Seats, drafts: Path) -> TrainingArguments:
    spec = job.spec
    arguments = TrainingArguments(
        output_dir=str(drafts),
        num_train_epochs=spec.epochs,
        per_device_train_batch_size=seats.rows,
        gradient_accumulation_steps=spec.batch // seats.rows,
        gradient_checkpointing=seats.sparing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        learning_rate=spec.learning_rate,
        lr_scheduler_type=SCHEDULES[spec.schedule],
        warmup_steps=job.rising,
        weight_decay=spec.weight_decay,
        seed=spec.seed,
        bf16=job.dtype == torch.bfloat16,
        fp16=job.dtype == torch.float16,
        use_cpu=job.device.type == "cpu",
        dataloader_pin_memory=job.device.type == "cuda",
        remove_unused_columns=False,
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    # Of several GPUs the Trainer takes the first alone: split over all of them a step would be another one.
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def save(model: Any, tokenizer: Any, dtype: torch.dtype, folder: Path) -> None:
    """The folder holds the model as safetensors of that type, and its tokenizer."""
    # A base's sampling settings can be ones that transformers refuses to write, and nothing here samples.
    model.generation_config = GenerationConfig.from_model_config(model.config)
    folder.mkdir(parents=True, exist_ok=True)
    model.to(device="cpu", dtype=dtype).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
