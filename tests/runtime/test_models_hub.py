"""Models from the hub's cache, from a package, in several files, and as sentence encoders; devices and dtypes."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import selrun
import torch
from safetensors.torch import load_file, save_file
from selrun.compiler.templates import BARE
from selrun.compiler.wants import Embedding, View
from selrun.errors import ModelError
from selrun.runtime import models, tokens
from selrun.runtime.devices import device_of, dtype_of
from selrun.runtime.forward import sweep
from selrun.runtime.nano import nano_model, save_nano
from selrun.runtime.rows import read_rows

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def code_of(target: str | Path, **options: str) -> str:
    with pytest.raises(ModelError) as raised:
        models.load(str(target), **options)  # type: ignore[arg-type]
    return raised.value.code


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own, with the hub switched off."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "hub"


@pytest.fixture
def snapshot(cache: Path) -> Path:
    """A model in the cache, as a download leaves it."""
    model = cache / "models--some--tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(COMMIT)
    return save_nano(model / "snapshots" / COMMIT)


@pytest.mark.usefixtures("snapshot")
def test_a_cached_model_needs_no_network() -> None:
    assert models.describe("some/tiny").kind == "causal"
    assert models.identity("some/tiny") == f"some/tiny@{COMMIT}"
    assert models.load("some/tiny").model.dtype == torch.float32


def test_a_cached_revision_is_named_by_its_commit(snapshot: Path) -> None:
    assert models.identity(f"some/tiny@{COMMIT}") == f"some/tiny@{COMMIT}"
    assert models.identity(str(snapshot)) == f"some/tiny@{COMMIT}"


@pytest.mark.usefixtures("cache")
def test_a_model_that_is_not_cached_says_how_to_get_it() -> None:
    with pytest.raises(ModelError) as raised:
        models.describe("some/other@main")
    assert raised.value.code == "E432"
    assert "HF_HUB_OFFLINE" in raised.value.headline
    assert raised.value.help[:2] == (
        "with network: `hf download some/other`, after `hf auth login` where the model asks for it",
        "without: copy its folder here and name it, `--model name=FOLDER`",
    )


def test_a_cached_model_without_its_weights_is_not_run(snapshot: Path) -> None:
    (snapshot / "model.safetensors").unlink()
    assert models.describe("some/tiny").parameters is None
    assert code_of("some/tiny") == "E433"


# Files


def test_weights_in_several_files_are_one_model(tmp_path: Path) -> None:
    nano_model().save_pretrained(tmp_path, max_shard_size="100KB")
    models.load_tokenizer("nano").save_pretrained(tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert models.describe(str(tmp_path)).parameters == sum(p.numel() for p in nano_model().parameters())
    read, made = models.load(str(tmp_path)).model.state_dict(), nano_model().state_dict()
    assert all(torch.equal(read[name], made[name]) for name in made)
    next(iter(sorted(tmp_path.glob("*.safetensors")))).unlink()
    assert code_of(tmp_path) == "E435"


def test_a_chat_template_is_part_of_the_identity(tmp_path: Path) -> None:
    folder = save_nano(tmp_path)
    before = models.identity(str(folder))
    (folder / "chat_template.jinja").write_text("{{ messages[0].content }}")
    assert models.identity(str(folder)) != before


@pytest.mark.parametrize("text", ["[]", "{", '"x"'])
def test_a_configuration_that_holds_no_object_is_no_model(tmp_path: Path, text: str) -> None:
    (save_nano(tmp_path) / "config.json").write_text(text)
    assert code_of(tmp_path) == "E431"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"architectures": None}, "E434"),
        ({"model_type": "unheard-of"}, "E435"),
        ({"num_attention_heads": "four"}, "E435"),
        ({"num_hidden_layers": 4}, "E435"),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "E435"),
        ({"auto_map": {"AutoModelForCausalLM": "its.Own"}, "model_type": "its-own"}, "E435"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(tmp_path: Path, change: dict, code: str) -> None:
    path = save_nano(tmp_path) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert code_of(tmp_path) == code


@pytest.mark.parametrize("text", ["{", '{"model": 3}'])
def test_a_damaged_tokenizer_is_refused(tmp_path: Path, text: str) -> None:
    (save_nano(tmp_path) / "tokenizer.json").write_text(text)
    assert code_of(tmp_path) == "E436"


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="what reads the file is installed")
def test_a_tokenizer_in_sentencepieces_form_says_what_reads_it(tmp_path: Path) -> None:
    folder = save_nano(tmp_path)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer"}')
    (folder / "tokenizer.model").write_bytes(b"pieces")
    with pytest.raises(ModelError) as raised:
        models.load_tokenizer(str(folder))
    assert raised.value.headline.endswith(
        "tokenizer.model is read by the package sentencepiece, which is not installed"
    )
    assert raised.value.help == ('install it: `pip install "selrun[sentencepiece]"`',)


def test_positions_that_a_model_keeps_for_itself_are_no_context() -> None:
    config = {"max_position_embeddings": 514, "pad_token_id": 1}
    assert models.context_of({**config, "model_type": "xlm-roberta"}) == 512
    assert models.context_of({**config, "model_type": "bert"}) == 514
    assert models.context_of({"model_type": "mpt", "max_seq_len": 2048}) == 2048
    assert models.context_of({}) is None


# Sentence encoders


@pytest.fixture(scope="module")
def carried() -> Path:
    folder = models.carried_minilm()
    if folder is None:
        pytest.skip("the package that carries MiniLM is not installed")
    return folder


@pytest.mark.usefixtures("cache", "carried")
def test_minilm_comes_from_its_package_where_the_hub_is_away() -> None:
    model = models.load(models.MINILM)
    assert (model.card.kind, model.card.context, model.card.hidden) == ("encoder", 256, 384)
    assert models.identity(models.MINILM).startswith("weights-")
    texts = ["A cat sat on the mat.", "A kitten lay on the rug.", "Interest rates rose."]
    expected = model.model.encode(texts)
    frame = read_rows([{"instruction": text, "output": "x"} for text in texts]).frame
    sequences = tokens.encode(View(BARE, text=("@prompt",)), frame, model.tokenizer, model.card.context)
    blocks = list(sweep(model, sequences, [Embedding()]))
    order = np.concatenate([block.rows for block in blocks])
    found = pl.concat([block.answers[Embedding()] for block in blocks]).to_numpy()[np.argsort(order)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert found[0] @ found[1] > found[0] @ found[2] + 0.2


def test_an_encoder_with_weights_that_are_not_there_is_refused(carried: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(carried, tmp_path / "encoder"))
    weights = load_file(folder / "model.safetensors")
    del weights["encoder.layer.0.attention.self.query.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert code_of(folder) == "E435"


# Adapters


def test_an_adapter_that_lacks_weights_of_its_model_is_refused(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(nano_model(), LoraConfig(r=2, target_modules=["q_proj"]))
    tuned.save_pretrained(tmp_path)
    path = tmp_path / "adapter_model.safetensors"
    weights = load_file(path)
    save_file({name: weight for name, weight in weights.items() if "layers.2." not in name}, path)
    assert code_of("nano", adapter=str(tmp_path)) == "E437"


def test_an_adapter_on_an_adapter_is_refused(tmp_path: Path, tmp_store: Path) -> None:
    from peft import LoraConfig, get_peft_model

    tuned = get_peft_model(nano_model(), LoraConfig(r=2, target_modules=["q_proj"]))
    tuned.save_pretrained(tmp_path / "one")
    with pytest.raises(ModelError) as raised:
        selrun.run(
            f'score loss using adapter(adapter(nano, "{tmp_path}/one"), "{tmp_path}/one")',
            [{"instruction": "Name a city.", "output": "Oslo."}], store=tmp_store, device="cpu",
        )  # fmt: skip
    assert raised.value.code == "E438"


# Devices, dtypes and remarks


def test_a_device_or_dtype_that_is_not_there_is_refused() -> None:
    for ask in (lambda: device_of("abacus"), lambda: dtype_of("float8", "cpu")):
        with pytest.raises(ModelError) as raised:
            ask()
        assert raised.value.code == "E439"
    assert device_of("cpu") == "cpu"
    assert (dtype_of(None, "cpu"), dtype_of(None, "cuda:1")) == ("float32", "bfloat16")


@pytest.mark.parametrize("wanted", ["cuda:2", "cuda:", "cuda:one", "mps:0", "CUDA"])
def test_a_device_beyond_the_last_is_refused(wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [device_of(name) for name in ("cuda", "cuda:1")] == ["cuda", "cuda:1"]
    with pytest.raises(ModelError) as raised:
        device_of(wanted)
    assert raised.value.help == ("leave `--device` out, or take one of: cpu, cuda, cuda:0, cuda:1",)


def test_a_run_with_nano_says_what_it_is(tmp_store: Path) -> None:
    said: list[object] = []
    rows = [{"instruction": "Name a city.", "output": "Oslo."}]
    selrun.run("score loss using nano", rows, store=tmp_store, device="cpu", listen=said.append)
    assert any(getattr(event, "code", None) == "W430" for event in said)
