"""The published prompt templates, as data.

Sources: Alpaca from tatsu-lab/stanford_alpaca; WizardLM and Vicuna as tianyi-lab/Cherry_LLM's scripts use them
(v2 forms, and WizardLM's v1); bare from tianyi-lab/Superfiltering.
"""

from __future__ import annotations

from .wants import Template

ALPACA = Template(
    name="alpaca",
    with_input=(
        "Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Input:\n{input}\n\n### Response:"
    ),
    without_input=(
        "Below is an instruction that describes a task. "
        "Write a response that appropriately completes the request.\n\n"
        "### Instruction:\n{instruction}\n\n### Response:"
    ),
    header="### Response:",
)

WIZARDLM = Template(
    name="wizardlm",
    with_input="{instruction}\n{input}\n\n### Response:",
    without_input="{instruction}\n\n### Response:",
    header="### Response:",
)

WIZARDLM_V1 = Template(
    name="wizardlm_v1",
    with_input="{instruction}\nInput:{input}\n\n### Response:",
    without_input="{instruction}\n\n### Response:",
    header="### Response:",
    counted="{instruction}",
    sliced="{instruction}\n\n### Response:",
)

VICUNA = Template(
    name="vicuna",
    with_input=(
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. "
        "USER: {instruction}\nInput:\n{input} ASSISTANT:"
    ),
    without_input=(
        "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the user's questions. USER: {instruction} ASSISTANT:"
    ),
    header="ASSISTANT:",
    between="</s>",
)

BARE = Template(
    name="bare",
    with_input="{instruction}\n{input}\n",
    without_input="{instruction}\n",
    header="",
    between="\n",
)

CHAT = Template(name="chat", with_input="", without_input="", header="", between="", chat=True)

TEMPLATES: dict[str, Template] = {t.name: t for t in (ALPACA, WIZARDLM, WIZARDLM_V1, VICUNA, BARE, CHAT)}
