"""Phrases by which an assistant declines, speaks of itself or offers more help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...compiler.op import Answers
from .text import TextScore, part

if TYPE_CHECKING:
    import polars as pl

PHRASES = (
    "as an ai assistant",
    "as an ai language model",
    "as an ai model",
    "as an artificial intelligence",
    "as a language model",
    "as a large language model",
    "as a text-based ai",
    "i am just an ai",
    "i'm just an ai",
    "i'm only an ai",
    "against my programming",
    "against my guidelines",
    "my knowledge cutoff",
    "my knowledge cut-off",
    "my last knowledge update",
    "i do not have access to real-time",
    "i don't have access to real-time",
    "i do not have personal opinions",
    "i don't have personal opinions",
    "i cannot assist",
    "i can't assist",
    "i cannot help with",
    "i can't help with",
    "i cannot fulfill",
    "i can't fulfill",
    "i cannot comply",
    "i can't comply",
    "i cannot provide",
    "i can't provide",
    "i cannot generate",
    "i can't generate",
    "i cannot engage",
    "i can't engage",
    "i won't provide",
    "i'm not able to help",
    "i am not able to help",
    "i'm not able to assist",
    "i am not able to assist",
    "i'm unable to",
    "i am unable to",
    "i must decline",
    "i have to decline",
    "i'm sorry, but i can't",
    "i'm sorry, but i cannot",
    "i'm sorry, i can't",
    "i'm sorry, i cannot",
    "i apologize, but i can",
    "unfortunately, i cannot",
    "unfortunately, i can't",
    "could you please provide more",
    "please provide more context",
    "is there anything else i can",
    "i hope this helps",
    "feel free to ask",
    "als ki-modell",
    "als ki-sprachmodell",
    "en tant que modèle de langage",
    "en tant qu'ia",
    "como modelo de lenguaje",
    "como modelo de linguagem",
    "come modello linguistico",
    "作为一个人工智能",
    "作为一个ai",
)
"""Refusals and boilerplate of assistants, in lower case."""
WIZARDLM = (
    "Do you have any other questions",
    "Is there anything else",
    "As an AI assistant",
    "Can I assist you with anything else",
    "Do you need any",
    "clarify your request",
    "Could you please provide more",
    "me to help you with?",
    "anything specific you",
    "text-based AI language model",
    "it is never okay",
    "as a language model",
    "as an AI language model",
    "As a large language model",
    "As an AI",
    "it is not appropriate",
    "it's not appropriate",
    "I cannot fulfill your request",
    "cannot provide guidance",
    "cannot provide information",
    "unable to offer assistance",
    "cannot engage in discussions",
    "programming prohibits",
    "cannot support or promote",
    "against my programming",
    "not able to provide",
    "cannot provide any information",
    "an AI language model you don't have",
    "As an AI language model, I cannot",
    "As an AI language model, I do not",
    "As an AI language model, I am not able",
    "As an AI language model, I don't have personal",
    "I am an AI language model and do not",
    "However, it is important to use any code or information provided responsibly and within legal and ethical"
    " boundaries.",
    "As an AI language model, I don't have",
    "As an AI language model, I am only able",
    "AI language model and I do not",
    "As an AI language model, I cannot modify",
    "I know as an AI language model you don't have",
    "as an AI language model, you cannot",
    "I'm sorry, but as an AI language model",
    "Unfortunately, I cannot provide",
    "I'm sorry, I cannot",
    "I'm sorry, I cannot generate",
    "AI cannot create or program",
    "I'm afraid I cannot create",
    "you cannot create an",
    "Lo sientocomo modelo de lenguaje AI",
    "Lo siento, como modelo de lenguaje",
    "no puedo proporcionar",
    "pero debido a mi capacidad para generar códigos complejos y completos es limitado",
    "Lo siento, pero no puedo",
    "Lo siento, pero como modelo de lenguaje, no puedo proporcionar",
    "Lo siento, como modelo de lenguaje, no tengo",
    "Lo siento, debe haber habido una confusión",
    "Lo siento, como modelo de lenguaje, no puedo realizar",
    "Lo siento, soy un modelo de lenguaje y no tengo la capacidad de generar",
    "Lamento no poder proporcionarte el código",
    "Desculpe-me, mas a linguagem vulgar e ofensiva",
    "apropriada em nenhum contexto",
    "Como modelo de linguagem",
    "Como um modelo de linguagem, não tenho a capacidade de",
    "I cannot assist",
    "I'm sorry,",
    "I'm an",
    "I am an",
    "I'm an AI",
    "I am an AI",
    "I cannot provide",
    "I can't provide",
    "I won't provide",
    "I cannot",
    "As a machine",
    "I don't have the ability",
    "I am here to assist",
    "my purpose is to ",
    "my knowledge cutoff",
    "my knowledge cut off",
    "September 2021",
    "I apologize, but",
    "It is not possible",
    "It's not possible",
    "It is impossible",
    "It's impossible",
)
"""Source: tianyi-lab/Cherry_LLM, cherry_seletion/filter.py; the fused Spanish phrase is its own."""


class Refusal(TextScore):
    """The number of phrases by which assistants decline, speak of themselves or offer more help.

    `filter refusal == 0` keeps the other rows. Each phrase counts once, in upper or lower case and with straight
    or curly apostrophes.

    `faithful`: the list by which Cherry (arXiv 2308.12032) cleans WizardLM, which also takes beginnings such as
    `I'm an` for refusals, and knows straight apostrophes alone; by default a list of phrases that hardly mean
    anything else.
    """

    noun = "refusal"
    paper = "https://arxiv.org/abs/2308.12032"
    better = "low"
    range = "0 and above; 0: no such phrase"
    missing = "none"
    example = 'load "examples/tasks.jsonl" | score refusal | filter refusal == 0'

    faithful: bool = False
    """Cherry's list for WizardLM."""

    def reduce(self, known: Answers) -> pl.Series:
        import polars as pl

        text = part(known.column, self.of).fill_null("").str.to_lowercase()
        phrases = [phrase.lower() for phrase in (WIZARDLM if self.faithful else PHRASES)]
        if not self.faithful:
            text = text.str.replace_all("’", "'", literal=True)
        return text.str.extract_many(phrases, overlapping=True).list.n_unique().cast(pl.UInt32)
