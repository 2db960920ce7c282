"""Adapters that were trained elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from selrun.errors import ModelError
from selrun.runtime.adapters import adapter_identity
from selrun.runtime.models import load
from selrun.runtime.nano import nano_model
from transformers import LlamaConfig, LlamaForCausalLM


def llama(width: int) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=width, intermediate_size=48, num_hidden_layers=1, num_attention_heads=2, vocab_size=64
        )
    )


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False, task_type="CAUSAL_LM")
    get_peft_model(llama(32), config).save_pretrained(str(tmp_path / "adapter"))
    return tmp_path / "adapter"


def test_an_adapter_is_identified_by_its_content_not_its_place(adapter: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(adapter, tmp_path / "moved")
    settings = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(
        json.dumps(settings | {"base_model_name_or_path": "elsewhere"})
    )
    assert adapter_identity(moved) == adapter_identity(adapter)
    (moved / "adapter_config.json").write_text(json.dumps(settings | {"lora_alpha": 99}))
    assert adapter_identity(moved) != adapter_identity(adapter)


def test_a_folder_without_an_adapter_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="holds no adapter") as raised:
        adapter_identity(tmp_path)
    assert raised.value.code == "E455"


def test_pickled_weights_are_the_same_adapter(tmp_path: Path) -> None:
    config = LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(nano_model(), config).save_pretrained(str(tmp_path))
    adapter = tmp_path
    expected = load("nano", adapter=str(adapter)).model.state_dict()
    weights = load_file(adapter / "adapter_model.safetensors")
    (adapter / "adapter_model.safetensors").unlink()
    torch.save(weights, adapter / "adapter_model.bin")
    assert len(adapter_identity(adapter)) == 32
    found = load("nano", adapter=str(adapter)).model.state_dict()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    torch.save(
        {name: weight for name, weight in weights.items() if "lora_A" in name}, adapter / "adapter_model.bin"
    )
    assert refused(adapter).headline.endswith("more weights are missing")
    torch.save(weights | {"where": Path("here")}, adapter / "adapter_model.bin")
    assert "its weights call `pathlib." in refused(adapter).headline


def refused(adapter: Path) -> ModelError:
    with pytest.raises(ModelError) as raised:
        load("nano", adapter=str(adapter))
    assert raised.value.code == "E437"
    return raised.value
