"""`nano`: a small byte-level Llama made from a fixed seed, for demonstrations and tests.

Its weights come from numpy's PCG64 generator, whose stream is the same in every version and on every machine.
It knows nothing until it is warmed up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..compiler.facts import Card

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

NAME = "nano"
IDENTITY = "nano-1"
"""Raised when its weights, its shape or its tokenizer change."""
SEED = 20_231_217
NOTE = "nano is made from a seed and knows nothing until it is warmed up"
HIDDEN, LAYERS, HEADS, INTERMEDIATE, CONTEXT = 96, 3, 4, 256, 2048
BYTES, SPECIAL = 256, ("<s>", "</s>", "<pad>")
CHAT = (
    "{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)

CARD = Card(
    kind="causal",
    context=CONTEXT,
    parameters=LAYERS * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INTERMEDIATE + 2 * HIDDEN)
    + (BYTES + len(SPECIAL) + 1) * HIDDEN,
    hidden=HIDDEN,
    layers=LAYERS,
    vocabulary=BYTES + len(SPECIAL),
    chat=True,
    note=NOTE,
)


def nano_model() -> LlamaForCausalLM:
    """The model, with the same weights every time: normal with deviation 0.05, norms at one."""
    import numpy as np
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=BYTES + len(SPECIAL),
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=BYTES,
        eos_token_id=BYTES + 1,
        pad_token_id=BYTES + 2,
    )
    model = LlamaForCausalLM(config)
    draws = np.random.Generator(np.random.PCG64(SEED))
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            if weight.dim() > 1:
                values = draws.standard_normal(tuple(weight.shape), dtype=np.float32) * 0.05
                weight.copy_(torch.from_numpy(values))
    return model


def nano_tokenizer() -> PreTrainedTokenizerFast:
    """One token for each byte, a start token before every text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {symbol: number for number, symbol in enumerate((*alphabet, *SPECIAL))}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BYTES)]
    )
    start, end, pad = SPECIAL
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=start, eos_token=end, pad_token=pad, model_max_length=CONTEXT
    )
    wrapped.chat_template = CHAT
    return wrapped


def save_nano(folder: Path) -> Path:
    """Writes the model and its tokenizer as any other model's files."""
    nano_model().save_pretrained(folder)
    nano_tokenizer().save_pretrained(folder)
    return folder
