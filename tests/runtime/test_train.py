"""Fine-tuning on chosen rows, with a small random model."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from selrun.compiler.op import TrainSpec
from selrun.compiler.values import Model
from selrun.compiler.wants import Template, View
from selrun.errors import DataError, ModelError
from selrun.runtime import models, tokens
from selrun.runtime.train import TrainFacts, train
from selrun.runtime.train_rows import Example, Shuffled, collated, example, examples_of
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

SHORT = Template("short", "{instruction} {input}:", "{instruction}:", ":")
SPEC = TrainSpec(
    Model(key="m"), View(SHORT, limit=48), epochs=2, learning_rate=5e-3, batch=4, warmup=0.0, rank=4, alpha=8
)


def byte_tokenizer(*, pad: bool, start: bool) -> PreTrainedTokenizerFast:
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: n for n, word in enumerate(["<pad>", "<s>", "</s>", *letters])}
    raw = Tokenizer(BPE(words, []))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    raw.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    named = (
        {"eos_token": "</s>"}
        | ({"pad_token": "<pad>"} if pad else {})
        | ({"bos_token": "<s>"} if start else {})
    )
    return PreTrainedTokenizerFast(tokenizer_object=raw, **named)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, vocab_size=259,
        max_position_embeddings=128, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("llama")
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer(pad=True, start=True).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> str:
    torch.manual_seed(0)
    config = GPT2Config(
        n_embd=32, n_layer=2, n_head=2, vocab_size=259, n_positions=128, bos_token_id=2, eos_token_id=2
    )
    folder = tmp_path_factory.mktemp("gpt2")
    GPT2LMHeadModel(config).save_pretrained(folder)
    byte_tokenizer(pad=False, start=False).save_pretrained(folder)
    return str(folder)


def rows(count: int = 10) -> pl.DataFrame:
    said = [f"say {'ab' * (i % 4)}{i}" for i in range(count)]
    return pl.DataFrame(
        {
            "@row": pl.Series(range(count), dtype=pl.UInt32),
            "@key": [f"{i:032x}" for i in range(count)],
            "@id": [f"{i:08x}" for i in range(count)],
            "@instruction": said,
            "@input": [""] * count,
            "@prompt": said,
            "@response": ["yes indeed"] * count,
            "@system": pl.Series([None] * count, dtype=pl.String),
            "@history": pl.Series(
                [None] * count, dtype=pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
            ),
        }
    )


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def test_the_loss_on_the_trained_rows_falls(llama: str, tmp_path: Path) -> None:
    facts = train(replace(SPEC, epochs=6), llama, rows(), tmp_path / "m")
    assert facts.steps == len(facts.loss) == 18
    assert facts.loss[-1] < facts.loss[0] - 0.5


def test_a_trained_model_loads_like_any_other(llama: str, tmp_path: Path) -> None:
    train(SPEC, llama, rows(), tmp_path / "m")
    loaded = models.load(str(tmp_path / "m"), dtype="float32")
    assert loaded.model.config.use_cache
    assert loaded.tokenizer("say")["input_ids"] == byte_tokenizer(pad=True, start=True)("say")["input_ids"]


def test_only_response_tokens_and_the_end_are_learnt(llama: str) -> None:
    tokenizer = models.load_tokenizer(llama)
    sequences = tokens.encode(SPEC.view, rows(1), tokenizer)
    examples, skipped = examples_of(sequences, end=2, limit=48)
    prompt, response = (tokenizer(t, add_special_tokens=False)["input_ids"] for t in ("say 0:", "yes indeed"))
    assert skipped == {}
    assert examples[0].ids.tolist() == [1, *prompt, *response, 2]
    assert examples[0].labels.tolist() == [-100] * (1 + len(prompt)) + [*response, 2]


def test_a_response_that_is_cut_gets_no_end_token() -> None:
    ids, learnt = np.arange(5, dtype=np.int32), np.array([False, False, True, True, True])
    assert example(ids, learnt, end=9, limit=6).ids.tolist() == [0, 1, 2, 3, 4, 9]
    assert example(ids, learnt, end=9, limit=5).ids.tolist() == [0, 1, 2, 3, 4]


def test_a_response_that_ends_itself_gets_no_second_end_token() -> None:
    ids, learnt = np.array([1, 5, 9], dtype=np.int32), np.array([False, True, True])
    assert example(ids, learnt, end=9, limit=6).ids.tolist() == [1, 5, 9]


def test_rows_are_padded_on_the_right_and_padding_is_not_learnt() -> None:
    long = Example(np.array([1, 5, 6], dtype=np.int32), np.array([False, True, True]))
    short = Example(np.array([1, 7], dtype=np.int32), np.array([False, True]))
    assert {name: part.tolist() for name, part in collated([long, short], pad=0).items()} == {
        "input_ids": [[1, 5, 6], [1, 7, 0]],
        "labels": [[-100, 5, 6], [-100, 7, -100]],
        "attention_mask": [[1, 1, 1], [1, 1, 0]],
    }


def test_the_same_seed_gives_the_same_bits_and_another_one_others(llama: str, tmp_path: Path) -> None:
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        train(replace(SPEC, seed=seed), llama, rows(), tmp_path / name)
    first, second, third = (weights(tmp_path / name) for name in ("first", "second", "third"))
    assert first == second != third


def test_every_epoch_has_another_order_and_steps_put_long_rows_first() -> None:
    order = Shuffled(np.arange(10), batch=4, seed=0)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second
    assert first[:4] == sorted(first[:4], reverse=True)


def test_low_rank_adapters_are_merged_into_weights_that_learnt(llama: str, tmp_path: Path) -> None:
    spec = replace(SPEC, adapter="lora", schedule="linear", dropout=0.1, epochs=6)
    facts = train(spec, llama, rows(), tmp_path / "m")
    before, after = (models.load(f, dtype="float32").model for f in (llama, str(tmp_path / "m")))
    changed = {
        name for name, weight in before.state_dict().items() if not weight.equal(after.state_dict()[name])
    }
    assert facts.loss[-1] < facts.loss[0]
    assert len(changed) == 2 * 4
    assert all(name.split(".")[-2] in ("q_proj", "k_proj", "v_proj", "o_proj") for name in changed)


def test_a_tokenizer_without_pad_and_start_token_works(gpt2: str, tmp_path: Path) -> None:
    facts = train(replace(SPEC, epochs=4), gpt2, rows(), tmp_path / "full")
    lora = train(replace(SPEC, epochs=1, adapter="lora"), gpt2, rows(), tmp_path / "lora")
    assert facts.loss[-1] < facts.loss[0]
    assert lora.steps == 3


def test_the_rate_rises_over_its_share_of_the_steps_but_never_over_all(llama: str, tmp_path: Path) -> None:
    facts = train(replace(SPEC, batch=16, epochs=1, warmup=0.03), llama, rows(), tmp_path / "m")
    assert facts.steps == 1
    assert weights(tmp_path / "m") != weights(Path(llama))


def test_part_of_an_epoch_is_part_of_its_steps(llama: str, tmp_path: Path) -> None:
    assert train(replace(SPEC, epochs=0.5), llama, rows(), tmp_path / "m").steps == 2


def test_what_does_not_fit_is_refused_before_it_starts(llama: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as raised:
        train(SPEC, llama, rows(), tmp_path / "m", free=100_000, name="tiny")
    assert raised.value.code == "E450"
    assert raised.value.headline.startswith("fine-tuning tiny takes about ")
    assert not (tmp_path / "m").exists()


def once(error: BaseException) -> Callable[[int, int, float | None], None]:
    """A listener that raises at the second step of the first attempt."""
    left = [error]

    def progress(done: int, steps: int, loss: float | None) -> None:
        if done == 2 and left:
            raise left.pop()

    return progress


def test_running_out_of_memory_halves_the_rows_at_once_and_trains_the_same(
    llama: str, tmp_path: Path
) -> None:
    plain = train(SPEC, llama, rows(), tmp_path / "plain")
    full = once(torch.OutOfMemoryError("out of memory"))
    halved = train(SPEC, llama, rows(), tmp_path / "halved", progress=full)
    assert (plain.rows_at_once, halved.rows_at_once) == (4, 2)
    assert halved.loss == pytest.approx(plain.loss, rel=1e-3)


def test_an_interrupted_run_goes_on_from_its_checkpoint_to_the_same_bits(llama: str, tmp_path: Path) -> None:
    train(SPEC, llama, rows(), tmp_path / "plain")
    scratch, stopped = tmp_path / "scratch", once(KeyboardInterrupt())
    options = {"scratch": scratch, "save_every": 0.0}
    with pytest.raises(KeyboardInterrupt):
        train(SPEC, llama, rows(), tmp_path / "resumed", progress=stopped, **options)
    facts = train(SPEC, llama, rows(), tmp_path / "resumed", **options)
    assert facts.resumed >= 1
    assert weights(tmp_path / "resumed") == weights(tmp_path / "plain")


def test_a_checkpoint_that_was_cut_off_is_not_continued(llama: str, tmp_path: Path) -> None:
    (tmp_path / "scratch" / "checkpoint-2").mkdir(parents=True)
    facts = train(SPEC, llama, rows(), tmp_path / "m", scratch=tmp_path / "scratch")
    assert (facts.resumed, facts.steps) == (0, 6)


def test_a_loss_that_is_no_number_stops_with_the_step(llama: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"at step \d of 6 while fine-tuning tiny") as raised:
        train(replace(SPEC, learning_rate=1e30), llama, rows(), tmp_path / "m", name="tiny")
    assert raised.value.code == "E451"


def test_rows_without_room_for_a_response_are_counted(llama: str, tmp_path: Path) -> None:
    long = rows().with_columns(pl.Series("@response", ["yes"] * 9 + [""]))
    facts = train(SPEC, llama, long, tmp_path / "m")
    assert facts.rows == 9
    assert sum(facts.skipped.values()) == 1


def test_nothing_to_learn_is_an_error(llama: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as raised:
        train(SPEC, llama, rows(2).with_columns(pl.lit("").alias("@response")), tmp_path / "m")
    assert raised.value.code == "E452"


def test_progress_is_told_at_the_start_and_after_every_step(llama: str, tmp_path: Path) -> None:
    told: list[tuple[int, int, float | None]] = []
    facts = train(SPEC, llama, rows(), tmp_path / "m", progress=lambda *step: told.append(step))
    assert [(done, steps) for done, steps, _ in told] == [(n, 6) for n in range(7)]
    assert [loss for *_, loss in told] == [None, *facts.loss]


def test_training_says_nothing_and_leaves_the_process_as_it_was(
    llama: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(11)
    expected = torch.random.get_rng_state()
    train(SPEC, llama, rows(), tmp_path / "m")
    assert capfd.readouterr() == ("", "")
    assert torch.random.get_rng_state().equal(expected)
    assert not torch.are_deterministic_algorithms_enabled()
    assert os.listdir(tmp_path) == ["m"]


def test_facts_count_rows_and_tokens(llama: str, tmp_path: Path) -> None:
    facts = train(SPEC, llama, rows(3), tmp_path / "m")
    assert isinstance(facts, TrainFacts)
    assert (facts.rows, facts.steps, facts.skipped, facts.resumed) == (3, 2, {}, 0)
    assert facts.tokens > 3 * 2 * 10
    assert all(math.isfinite(loss) for loss in facts.loss)
