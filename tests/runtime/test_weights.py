"""Pickled weights are read as tensors and nothing else; they give what safetensors give."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from headed_models import saved_classifier, saved_ranker
from safetensors.torch import load_file
from selrun.errors import ModelError
from selrun.runtime import models, weights
from selrun.runtime.nano import CARD, nano_model, save_nano

SAFE, PICKLED = "model.safetensors", "pytorch_model.bin"


class Payload:
    """What leaves a trace when it is unpickled by a reader that calls things."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return exec, (f"open({str(self.trace)!r}, 'w').close()",)


def pickled(folder: Path, **options: Any) -> Path:
    """The model's folder with its safetensors written as one pickle."""
    torch.save(load_file(folder / SAFE), folder / PICKLED, **options)
    (folder / SAFE).unlink()
    return folder


def refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as raised:
        models.load(str(folder))
    return raised.value


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return pickled(save_nano(tmp_path / "model"))


def same_as_nano(folder: Path) -> bool:
    read, made = models.load(str(folder)).model.state_dict(), nano_model().state_dict()
    return read.keys() == made.keys() and all(torch.equal(read[name], made[name]) for name in made)


# Reading


def test_pickled_weights_are_the_same_model(folder: Path) -> None:
    assert same_as_nano(folder)
    assert models.describe(str(folder)).parameters == CARD.parameters


def test_pickles_of_the_oldest_form_are_read_without_being_counted(tmp_path: Path) -> None:
    folder = pickled(save_nano(tmp_path), _use_new_zipfile_serialization=False)
    assert same_as_nano(folder)
    assert models.describe(str(folder)).parameters is None


def test_pickled_weights_in_several_files_are_one_model(folder: Path) -> None:
    whole = torch.load(folder / PICKLED, weights_only=True)
    names = sorted(whole)
    shards = {f"pytorch_model-0000{at + 1}-of-00002.bin": names[at::2] for at in range(2)}
    for file, held in shards.items():
        torch.save({name: whole[name].clone() for name in held}, folder / file)
    (folder / PICKLED).unlink()
    places = {name: file for file, held in shards.items() for name in held}
    (folder / f"{PICKLED}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    assert same_as_nano(folder)
    assert models.describe(str(folder)).parameters == CARD.parameters
    (folder / next(iter(shards))).unlink()
    assert refused(folder).code == "E435"


@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_a_classifier_may_be_pickled(tmp_path: Path, family: str) -> None:
    safe = saved_classifier(tmp_path / "safe", family, 2)
    other = pickled(Path(shutil.copytree(safe, tmp_path / "pickled")))
    expected, found = (models.load(str(each)).model.state_dict() for each in (safe, other))
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_rankers_encoder_may_be_pickled_beside_its_head(tmp_path: Path) -> None:
    assert models.load(str(pickled(saved_ranker(tmp_path)))).card.kind == "ranker"


def test_a_sentence_encoder_may_be_pickled_with_its_modules(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    body = saved_ranker(tmp_path / "body")
    words = Transformer(str(body))
    encoder = SentenceTransformer(modules=[words, Pooling(32), Dense(32, 8)], device="cpu")
    encoder.save(str(tmp_path / "encoder"))
    expected = encoder.encode(["a hill"])
    pickled(tmp_path / "encoder")
    before = models.identity(str(tmp_path / "encoder"))
    pickled(tmp_path / "encoder" / "2_Dense")
    assert models.identity(str(tmp_path / "encoder")) != before
    loaded = models.load(str(tmp_path / "encoder"))
    assert loaded.model.encode(["a hill"]) == pytest.approx(expected, abs=1e-6)


def test_safetensors_of_another_form_do_not_hide_pickled_weights(folder: Path) -> None:
    (folder / "consolidated.safetensors").write_bytes(b"other names")
    (folder / "adapter_model.safetensors").write_bytes(b"no model")
    assert same_as_nano(folder)


# What identifies it


def test_pickled_weights_are_part_of_the_identity_unless_safetensors_lie_beside(folder: Path) -> None:
    before = models.identity(str(folder))
    content = bytearray((folder / PICKLED).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / PICKLED).write_bytes(content)
    assert models.identity(str(folder)) != before
    save_nano(folder)
    with_both = models.identity(str(folder))
    (folder / PICKLED).unlink()
    assert models.identity(str(folder)) == with_both


# Refusing


def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(folder: Path, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    torch.save(torch.load(folder / PICKLED, weights_only=True) | {"more": Payload(trace)}, folder / PICKLED)
    assert models.describe(str(folder)).parameters == CARD.parameters
    error = refused(folder)
    assert (error.code, error.headline) == (
        "E433",
        f"the weights of `{folder}` are not read: pytorch_model.bin calls `exec` when it is read",
    )
    assert not trace.exists()


def test_the_command_of_the_refusal_makes_the_weights_readable(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = torch.load(folder / PICKLED, weights_only=True)
    torch.save(held | {"more": Payload(tmp_path / "trace")}, folder / PICKLED)
    told = re.search(r'`python -c "(.*)" (.*)`', refused(folder).help[0])
    assert told is not None
    monkeypatch.setattr(sys, "argv", ["-c", told.group(2)])
    exec(told.group(1), {})
    assert same_as_nano(folder)


@pytest.mark.parametrize(
    "content",
    [b"version https://git-lfs.github.com/spec/v1\n", b"", b"PK\x03\x04 cut short", b"\x80\x02}q\x00"],
)
def test_damaged_pickles_do_not_load(folder: Path, content: bytes) -> None:
    (folder / PICKLED).write_bytes(content)
    assert models.describe(str(folder)).parameters is None
    assert refused(folder).code == "E435"


def test_weights_that_pickles_lack_are_not_made_up(folder: Path) -> None:
    held = torch.load(folder / PICKLED, weights_only=True)
    held.pop("model.layers.0.self_attn.q_proj.weight")
    torch.save(held, folder / PICKLED)
    assert refused(folder).code == "E435"


def test_weights_in_other_files_are_named(tmp_path: Path) -> None:
    folder = save_nano(tmp_path)
    (folder / SAFE).rename(folder / "tf_model.h5")
    error = refused(folder)
    assert (error.code, error.headline) == (
        "E433",
        f"`{folder}` has no weights: neither safetensors nor pytorch_model.bin; tf_model.h5 is not read",
    )


# From the hub


def fetched(hub: Path, name: str) -> set[str]:
    return {path.name for path in (hub.parent / "here" / name).iterdir()}


def test_pickles_are_fetched_only_where_there_are_no_safetensors(hub: Path) -> None:
    save_nano(hub / "some" / "both")
    torch.save(nano_model().state_dict(), hub / "some" / "both" / PICKLED)
    pickled(save_nano(hub / "some" / "old"))
    (hub / "some" / "old" / "training_args.bin").write_bytes(b"no weights")
    models.describe("some/old")
    assert PICKLED not in fetched(hub, "some/old")
    models.load("some/both")
    models.load("some/old")
    assert {SAFE, PICKLED} & fetched(hub, "some/both") == {SAFE}
    assert {PICKLED, "training_args.bin"} & fetched(hub, "some/old") == {PICKLED}
    assert weights.own_weights(models.found("some/old")) == [hub.parent / "here" / "some" / "old" / PICKLED]
