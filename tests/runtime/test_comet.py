"""Rankers from the hub, and in the layout of a COMET checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from headed_models import saved_ranker
from safetensors.torch import load_file
from selrun.errors import ModelError
from selrun.runtime import models
from selrun.runtime.run import execute
from selrun.runtime.settings import Settings

ROWS = '{"instruction": "Name a hill.", "output": "Snowdon."}\n{"instruction": "Add 2 and 3.", "output": "Five."}\n'
SETTINGS = """
class_identifier: instruction_metric
encoder_model: XLM-RoBERTa
pretrained_model: {encoder}
layer: mix
layer_transformation: sparsemax
layer_norm: false
pool: avg
activations: Tanh
hidden_sizes: [24, 12]
"""


def as_checkpoint(ranker: Path, folder: Path, encoder: str, **more: object) -> Path:
    """A ranker's weights in one file, as lightning writes it, with settings that name the encoder."""
    body, head = load_file(ranker / "model.safetensors"), load_file(ranker / "head.safetensors")
    (folder / "checkpoints").mkdir(parents=True)
    held = {f"encoder.model.{name}": weight for name, weight in body.items()} | head
    plain = {"epoch": 3, "hyper_parameters": {"layer": "mix", "hidden_sizes": [24, 12]}}
    torch.save({"state_dict": held, **plain, **more}, folder / "checkpoints" / "model.ckpt")
    (folder / "hparams.yaml").write_text(SETTINGS.format(encoder=encoder), "utf-8")
    return folder


def bare(ranker: Path, folder: Path) -> Path:
    """The encoder's configuration and tokenizer alone."""
    left_out = shutil.ignore_patterns("*.safetensors")
    return Path(shutil.copytree(ranker, folder, ignore=left_out))


@pytest.fixture
def ranker(tmp_path: Path) -> Path:
    return saved_ranker(tmp_path / "ranker")


@pytest.fixture
def comet(tmp_path: Path, ranker: Path) -> Path:
    return as_checkpoint(ranker, tmp_path / "comet", str(bare(ranker, tmp_path / "encoder")))


@pytest.fixture
def scored(tmp_path: Path) -> Callable[[str], list[float]]:
    def run(model: str) -> list[float]:
        (tmp_path / "rows.jsonl").write_text(ROWS, "utf-8")
        settings = Settings(
            data=tmp_path / "rows.jsonl", models={"m": model}, store=tmp_path / "s", write=False
        )
        return execute([("r.sel", "score iqs using m")], settings).rows["iqs"].to_list()

    return run


def refused(folder: Path) -> ModelError:
    with pytest.raises(ModelError) as raised:
        models.load(str(folder))
    return raised.value


def test_a_ranker_is_fetched_from_the_hub_with_its_head(hub: Path, ranker: Path, scored: Any) -> None:
    shutil.copytree(ranker, hub / "some" / "ranker")
    assert models.describe("some/ranker").kind == "ranker"
    assert scored("some/ranker") == pytest.approx(scored(str(ranker)), abs=1e-6)


def test_a_checkpoint_is_fetched_with_what_it_names(hub: Path, ranker: Path, scored: Any) -> None:
    bare(ranker, hub / "FacebookAI" / "xlm-roberta-large")
    as_checkpoint(ranker, hub / "some" / "comet", "xlm-roberta-large")
    assert models.describe("some/comet").kind == "ranker"
    assert not (hub.parent / "here" / "some" / "comet" / "checkpoints").exists()
    assert scored("some/comet") == pytest.approx(scored(str(ranker)), abs=1e-6)


def test_a_checkpoint_in_a_folder_is_the_same_ranker(comet: Path, ranker: Path, scored: Any) -> None:
    card = models.describe(str(comet))
    assert (card.kind, card.context, card.layers) == ("ranker", 128, 2)
    assert scored(str(comet)) == pytest.approx(scored(str(ranker)), abs=1e-6)


def test_an_encoder_that_cannot_be_had_is_named(
    tmp_path: Path, ranker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = as_checkpoint(ranker, tmp_path / "comet", "xlm-roberta-large")
    with pytest.raises(ModelError) as raised:
        models.describe(str(folder))
    assert raised.value.code == "E432"
    assert raised.value.headline.startswith("`FacebookAI/xlm-roberta-large` is not on this machine")


@pytest.mark.parametrize(
    "file",
    ["comet/hparams.yaml", "comet/checkpoints/model.ckpt", "encoder/config.json", "encoder/tokenizer.json"],
)
def test_everything_that_decides_a_rank_is_part_of_the_identity(comet: Path, file: str) -> None:
    before = models.identity(str(comet))
    path = comet.parent / file
    path.write_bytes(path.read_bytes().replace(b"a", b"a ", 1) + b"\n")
    assert models.identity(str(comet)) != before


@pytest.mark.parametrize(
    ("written", "other", "fact"),
    [
        (
            "sparsemax",
            "softmax",
            "its `layer_transformation` is `softmax`, and `sparsemax` is what is run here",
        ),
        ("avg", "cls", "its `pool` is `cls`, and `avg` is what is run here"),
        ("layer: mix", "layer: 24", "its `layer` is `24`, and `mix` is what is run here"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused(comet: Path, written: str, other: str, fact: str) -> None:
    path = comet / "hparams.yaml"
    path.write_text(path.read_text().replace(written, other))
    error = refused(comet)
    assert (error.code, error.headline) == ("E459", f"`{comet}` is another network: {fact}")


@pytest.mark.parametrize(
    ("text", "code"),
    [("- 1", "E431"), ("a: [", "E431"), ("layer: mix", "E431"), ("a: !!python/object:os.system {}", "E431")],
)
def test_settings_that_say_nothing_are_refused(comet: Path, text: str, code: str) -> None:
    (comet / "hparams.yaml").write_text(text)
    assert refused(comet).code == code


def test_a_head_that_compares_translations_is_refused(comet: Path) -> None:
    path = comet / "checkpoints" / "model.ckpt"
    held = torch.load(path)
    held["state_dict"]["estimator.ff.0.weight"] = torch.zeros(24, 4 * 32)
    torch.save(held, path)
    error = refused(comet)
    assert error.code == "E459"
    assert error.headline.endswith("it reads 128 numbers, and the encoder gives 32")


def test_a_checkpoint_without_a_weight_is_refused(comet: Path) -> None:
    path = comet / "checkpoints" / "model.ckpt"
    held = torch.load(path)
    held["state_dict"].pop("encoder.model.encoder.layer.0.output.dense.weight")
    torch.save(held, path)
    assert refused(comet).code == "E435"


def test_a_checkpoint_that_calls_something_is_refused(tmp_path: Path, ranker: Path) -> None:
    encoder = bare(ranker, tmp_path / "encoder")
    folder = as_checkpoint(ranker, tmp_path / "comet", str(encoder), callbacks={"where": Path("best.ckpt")})
    error = refused(folder)
    assert error.code == "E433"
    assert "model.ckpt calls `pathlib." in error.headline
    assert error.help[0].startswith("where you trust it, leave only its weights in it: `python -c ")


def test_there_is_one_checkpoint(comet: Path) -> None:
    shutil.copy(comet / "checkpoints" / "model.ckpt", comet / "checkpoints" / "last.ckpt")
    assert refused(comet).headline == f"`{comet}` has 2 checkpoints, and one is read: last.ckpt, model.ckpt"
    shutil.rmtree(comet / "checkpoints")
    assert refused(comet).code == "E433"
