"""Models are described, identified and loaded by their files, or refused with the reason."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from selrun.errors import ModelError
from selrun.runtime.models import describe, identity, load, load_tokenizer
from selrun.runtime.nano import CARD, NAME, nano_model, save_nano

WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nano(tmp_path_factory.mktemp("models") / "saved")


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(saved, tmp_path / "model"))


def code_of(target: str | Path, **options: str) -> str:
    with pytest.raises(ModelError) as raised:
        load(str(target), **options)  # type: ignore[arg-type]
    assert raised.value.help
    return raised.value.code


class Kept(dict[str, object]):
    """A memo in memory."""

    def put(self, key: str, value: object) -> None:
        self[key] = value


# What a model is


def test_a_saved_model_is_described_as_it_is(saved: Path) -> None:
    card = describe(str(saved))
    known = (card.kind, card.context, card.parameters, card.hidden, card.layers, card.vocabulary, card.chat)
    assert known == (
        CARD.kind, CARD.context, CARD.parameters, CARD.hidden, CARD.layers, CARD.vocabulary, CARD.chat,
    )  # fmt: skip


def test_describing_does_not_import_torch(saved: Path) -> None:
    program = (
        "import sys; from selrun.runtime.models import describe, identity; "
        f"describe({str(saved)!r}); identity({str(saved)!r}); identity('nano'); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("architecture", "kind"),
    [
        ("GPT2LMHeadModel", "causal"), ("LlamaForSequenceClassification", "classifier"),
        ("BertModel", "encoder"),
    ],
)  # fmt: skip
def test_the_architecture_says_the_kind(folder: Path, architecture: str, kind: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": [architecture]}))
    assert describe(str(folder)).kind == kind


def test_what_generates_conditionally_is_an_encoder_decoder_or_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    told = {**config, "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}
    (folder / "config.json").write_text(json.dumps(told))
    assert describe(str(folder)).kind == "seq2seq"
    told = {**config, "architectures": ["Gemma3ForConditionalGeneration"]}
    (folder / "config.json").write_text(json.dumps(told))
    with pytest.raises(ModelError, match="Gemma3ForConditionalGeneration reads more than text") as raised:
        describe(str(folder))
    assert raised.value.code == "E434"


# What identifies it


def test_identity_is_of_the_files_and_not_of_their_place(saved: Path, folder: Path) -> None:
    assert identity(str(saved)) == identity(str(folder))
    assert str(saved) not in identity(str(saved))


@pytest.mark.parametrize("name", [WEIGHTS, "config.json", "tokenizer.json"])
def test_every_file_that_decides_an_answer_is_part_of_the_identity(folder: Path, name: str) -> None:
    before = identity(str(folder))
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    assert identity(str(folder)) != before


def test_identity_is_remembered_while_the_files_stay_as_they_are(folder: Path) -> None:
    memo = Kept()
    first = identity(str(folder), memo)
    memo.update(dict.fromkeys(memo, "remembered"))
    assert identity(str(folder), memo) == "remembered"
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    assert identity(str(folder), memo) not in (first, "remembered")


def test_nano_has_the_same_weights_every_time() -> None:
    digest = hashlib.sha256()
    for name, weight in sorted(nano_model().state_dict().items()):
        digest.update(name.encode() + weight.numpy().tobytes())
    assert digest.hexdigest()[:16] == "ec1c97c07a33aa28"
    assert identity(NAME) == "nano-1"


# Loading


def test_a_saved_nano_is_the_nano_that_is_made(saved: Path) -> None:
    made, read = load(NAME), load(str(saved))
    ids = torch.arange(30)[None]
    assert torch.equal(made.model(ids).logits, read.model(ids).logits)
    assert made.tokenizer.encode("Straße") == read.tokenizer.encode("Straße")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_dtype_is_the_one_asked_for(saved: Path, dtype: str) -> None:
    model = load(str(saved), dtype=dtype)
    assert {parameter.dtype for parameter in model.model.parameters()} == {getattr(torch, dtype)}
    assert model.dtype == dtype


def test_float32_is_the_default_on_the_cpu_whatever_the_checkpoint_holds(folder: Path) -> None:
    nano_model().bfloat16().save_pretrained(folder)
    assert load(str(folder)).model.dtype == torch.float32


def test_the_tokenizer_loads_by_itself(saved: Path) -> None:
    assert load_tokenizer(str(saved)).encode("a") == load_tokenizer(NAME).encode("a")


def test_a_model_that_is_nowhere_is_refused(tmp_path: Path) -> None:
    assert code_of(tmp_path / "missing") == "E430"
    assert code_of("no-folder-of-this-name") == "E430"


def test_a_hub_model_that_cannot_be_fetched_is_refused(tmp_path: Path) -> None:
    program = "from selrun.runtime.models import load\nload('nobody/nothing-of-this-name')"
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert "error[E432]: `nobody/nothing-of-this-name` is not on this machine" in done.stderr
    assert "--model name=FOLDER" in done.stderr


def test_a_file_is_not_a_model(folder: Path) -> None:
    assert code_of(folder / WEIGHTS) == "E431"


def test_a_folder_without_a_configuration_is_not_a_model(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert code_of(folder) == "E431"
    (folder / "config.json").write_text("{")
    assert code_of(folder) == "E431"


def test_a_model_without_weights_is_refused(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    assert code_of(folder) == "E433"


def test_a_model_of_another_kind_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": []}))
    assert code_of(folder) == "E434"


def test_truncated_weights_do_not_load(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])
    assert code_of(folder) == "E435"


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_weights_that_do_not_fit_the_configuration_do_not_load(folder: Path, damage: str) -> None:
    weights = load_file(folder / WEIGHTS)
    name = next(name for name in sorted(weights) if "q_proj" in name)
    if damage == "missing":
        del weights[name]
    else:
        weights[name] = np.zeros((3, 3), dtype=np.float32)
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    assert code_of(folder) == "E435"


def test_a_model_without_a_tokenizer_does_not_load(folder: Path) -> None:
    for path in folder.glob("tokenizer*"):
        path.unlink()
    assert code_of(folder) == "E436"


def test_a_tokenizer_without_pad_or_start_token_is_no_obstacle(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in config.items() if k not in ("pad_token", "bos_token")}))
    assert load(str(folder)).tokenizer.pad_token is None


# Adapters


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    tuned = get_peft_model(nano_model(), LoraConfig(r=4, target_modules=["q_proj"], init_lora_weights=False))
    tuned.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_an_adapter_is_merged_into_its_base(adapter: Path) -> None:
    from peft import PeftModel

    ids = torch.arange(20)[None]
    merged = load(NAME, adapter=str(adapter)).model
    apart = PeftModel.from_pretrained(nano_model(), str(adapter)).eval()
    torch.testing.assert_close(merged(ids).logits, apart(ids).logits, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(merged(ids).logits, load(NAME).model(ids).logits, atol=1e-3)


def test_an_adapter_that_is_not_one_is_refused(tmp_path: Path) -> None:
    assert code_of(NAME, adapter=str(tmp_path)) == "E437"
