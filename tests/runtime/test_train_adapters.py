"""Adapters that were trained elsewhere."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from selrun.errors import ModelError
from selrun.runtime.adapters import adapter_identity
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


def test_pickled_weights_are_refused(adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(ModelError) as raised:
        adapter_identity(adapter)
    assert raised.value.notes == ("`adapter_model.bin` can run code when it is read, so it is not",)
