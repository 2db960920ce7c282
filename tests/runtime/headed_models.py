"""Small random models with heads, written as `save_pretrained` writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

VOCABULARY = 300
WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
SHAPE = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "max_position_embeddings": 130, "pad_token_id": 0,
}  # fmt: skip
CHAT = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def byte_tokenizer(*, chat: bool = False, types: bool = True, context: int = 10_000) -> Any:
    """One token a byte, in BERT's form of single texts and pairs."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate((*WORDS, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"] if types else ["input_ids", "attention_mask"]
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]",
        model_max_length=context, model_input_names=names,
    )  # fmt: skip
    if chat:
        wrapped.chat_template = CHAT
    return wrapped


def bert(labels: int) -> Any:
    from transformers import BertConfig, BertForSequenceClassification

    return BertForSequenceClassification(BertConfig(**SHAPE, num_labels=labels))


def deberta(labels: int) -> Any:
    from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

    config = DebertaV2Config(
        **SHAPE, num_labels=labels, relative_attention=True, position_biased_input=False, position_buckets=16,
        max_relative_positions=-1, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
        type_vocab_size=0, pooler_hidden_size=32,
    )  # fmt: skip
    return DebertaV2ForSequenceClassification(config)


def llama(labels: int) -> Any:
    from transformers import LlamaConfig, LlamaForSequenceClassification

    return LlamaForSequenceClassification(LlamaConfig(**SHAPE, num_key_value_heads=2, num_labels=labels))


def gpt2(labels: int) -> Any:
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_embd=32,
        n_layer=2,
        n_head=4,
        n_positions=130,
        num_labels=labels,
        pad_token_id=0,
    )
    return GPT2ForSequenceClassification(config)


CLASSIFIERS: dict[str, Callable[[int], Any]] = {make.__name__: make for make in (bert, deberta, llama, gpt2)}


def stirred(network: Any) -> Any:
    """The model with larger numbers than a fresh one, so that mistakes show."""
    draws = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.copy_(torch.randn(parameter.shape, generator=draws) * 0.2)
    return network.eval()


def saved_classifier(folder: Path, family: str, labels: int = 1, *, names: tuple[str, ...] = ()) -> Path:
    """A classifier; a causal body has a chat template."""
    network = stirred(CLASSIFIERS[family](labels))
    if names:
        network.config.id2label = dict(enumerate(names))
        network.config.label2id = {name: at for at, name in enumerate(names)}
    network.save_pretrained(folder)
    byte_tokenizer(chat=family in ("llama", "gpt2"), types=family in ("bert", "deberta")).save_pretrained(
        folder
    )
    return folder


def saved_encoder_decoder(folder: Path) -> Path:
    """A T5 whose tokenizer writes Yes and No as one token each."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, decoder_start_token_id=0,
        pad_token_id=0, eos_token_id=1,
    )  # fmt: skip
    stirred(T5ForConditionalGeneration(config)).save_pretrained(folder)
    words = (
        "<pad>",
        "</s>",
        "<unk>",
        "Yes",
        "No",
        *["question:", "Is", "this", "a", "natural", "response", "in", "the", "dialogue"],
    )
    tokenizer = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=10_000,
    ).save_pretrained(folder)
    return folder


def saved_ranker(folder: Path, *, layers: int = 3) -> Path:
    """An XLM-R with a layer mix of so many numbers and a head, in COMET's names."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    stirred(
        XLMRobertaModel(XLMRobertaConfig(**(SHAPE | {"pad_token_id": 1})), add_pooling_layer=False)
    ).save_pretrained(folder)
    byte_tokenizer(types=False).save_pretrained(folder)
    draws = torch.Generator().manual_seed(3)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=draws) * 0.3

    head = {f"layerwise_attention.scalar_parameters.{at}": drawn(1) for at in range(layers)}
    head |= {"layerwise_attention.gamma": torch.tensor([1.3])}
    for at, (inputs, outputs) in {0: (32, 24), 3: (24, 12), 6: (12, 1)}.items():
        head |= {
            f"estimator.ff.{at}.weight": drawn(outputs, inputs),
            f"estimator.ff.{at}.bias": drawn(outputs),
        }
    save_file(head, folder / "head.safetensors")
    return folder


def saved_clip(folder: Path) -> Path:
    """A CLIP of 16 x 16 points and captions of at most 20 tokens."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    text = {
        "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
        "num_attention_heads": 4, "max_position_embeddings": 20, "bos_token_id": 2, "eos_token_id": 3,
        "pad_token_id": 3, "projection_dim": 16,
    }  # fmt: skip
    vision = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": 16, "patch_size": 8, "projection_dim": 16,
    }  # fmt: skip
    network = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=16))
    stirred(network).save_pretrained(folder)
    byte_tokenizer(types=False).save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size={"height": 16, "width": 16}).save_pretrained(
        folder
    )
    return folder


def without(folder: Path, *fields: str) -> Path:
    """The model with fields of its config.json left out."""
    path = folder / "config.json"
    config = json.loads(path.read_text("utf-8"))
    path.write_text(
        json.dumps({name: value for name, value in config.items() if name not in fields}), "utf-8"
    )
    return folder


STAND_INS = {
    "reward-deberta": "./reward", "fineweb-edu": "./reward", "unieval-dialog": "./answers", "clip": "./clip",
}  # fmt: skip
"""Models of the catalogue and the folders of what stands for them in a test's folder."""


def save_stand_ins(folder: Path) -> None:
    """The models of `STAND_INS`, and the `ranker` that examples name by its folder."""
    saved_classifier(folder / "reward", "bert")
    saved_encoder_decoder(folder / "answers")
    saved_clip(folder / "clip")
    saved_ranker(folder / "ranker")


def ranked(body: Any, head: dict[str, torch.Tensor], inputs: Any) -> float:
    """A ranker's score of one row by definition; the layer mix is the nearest point of the simplex, by bisection."""
    with torch.no_grad():
        layers = body(**inputs, output_hidden_states=True).hidden_states
    logits = torch.cat([head[f"layerwise_attention.scalar_parameters.{at}"] for at in range(len(layers))])
    low, high = float(logits.min()) - 1, float(logits.max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (logits - middle).clamp(min=0).sum() > 1 else (low, middle)
    mixed = sum(weight * layer[0] for weight, layer in zip((logits - low).clamp(min=0), layers, strict=True))
    state = (head["layerwise_attention.gamma"] * mixed).mean(0)
    for at in (0, 3, 6):
        given = state if at == 0 else state.tanh()
        state = head[f"estimator.ff.{at}.weight"] @ given + head[f"estimator.ff.{at}.bias"]
    return float(state)
