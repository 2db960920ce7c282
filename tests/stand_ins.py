"""Small random models of the kinds that the methods of the library ask: a reward model, a ranker, UniEval's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "Yes", "No")
SIZE = 16


def tokenizer(folder: Path, *, begins: bool) -> int:
    """Writes a tokenizer of bytes, with a start token or without one, and gives the number of its tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: at for at, token in enumerate((*SPECIAL, *letters))}
    bytewise = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    bytewise.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytewise.decoder = decoders.ByteLevel()
    bytewise.add_tokens(["Yes", "No"])
    start = "<s> " if begins else ""
    bytewise.post_processor = processors.TemplateProcessing(
        single=f"{start}$A </s>",
        pair=f"{start}$A </s> $B </s>",
        special_tokens=[(token, vocabulary[token]) for token in ("<s>", "</s>")],
    )
    names = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>"}
    names |= {"bos_token": "<s>", "cls_token": "<s>"} if begins else {}
    PreTrainedTokenizerFast(tokenizer_object=bytewise, model_max_length=512, **names).save_pretrained(folder)
    return len(vocabulary)


def bert_shape(vocabulary: int) -> dict[str, Any]:
    return {
        "vocab_size": vocabulary, "hidden_size": SIZE, "intermediate_size": 2 * SIZE, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 514, "pad_token_id": 0,
    }  # fmt: skip


def rewarder(folder: Path) -> Path:
    """A BERT with one number on its head."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(**bert_shape(tokenizer(folder, begins=True)), num_labels=1)
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


def ranker(folder: Path) -> Path:
    """An XLM-R under a mix of its layers and a head of three."""
    import torch
    from safetensors.torch import save_file
    from transformers import XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    config = XLMRobertaConfig(**bert_shape(tokenizer(folder, begins=True)))
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    mix = {f"layerwise_attention.scalar_parameters.{layer}": torch.rand(1) for layer in range(3)}
    sizes = {0: (8, SIZE), 3: (4, 8), 6: (1, 4)}
    head = {f"ff.{at}.weight": torch.randn(shape) for at, shape in sizes.items()}
    head |= {f"ff.{at}.bias": torch.randn(shape[0]) for at, shape in sizes.items()}
    save_file({**mix, "layerwise_attention.gamma": torch.ones(1), **head}, folder / "head.safetensors")
    return folder


def unieval(folder: Path) -> Path:
    """A T5 that knows Yes and No."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    config = T5Config(
        vocab_size=tokenizer(folder, begins=False), d_model=SIZE, d_kv=8, d_ff=32, num_layers=2, num_heads=2,
        decoder_start_token_id=0, pad_token_id=0, eos_token_id=2,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder
