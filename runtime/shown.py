"""What a template makes of each row's texts: its prompt, its response, and the turns of a conversation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import polars as pl

from ..compiler.wants import Template
from ..errors import ModelError

SLOT = re.compile(r"\{(instruction|input|prompt|response)\}")
REWRITTEN = "the chat template writes a response otherwise than it was said"
OPENING = re.compile(r"\s*(?:<think>\s*</think>\s*)?")
"""What chat templates put before a response of their own accord: a blank, or no thoughts."""
DAY = "26 Jul 2024"
"""The date that Llama 3's chat templates are given, so that a run says the same on every day."""

Parts = list[tuple[str, bool]]
"""Texts of a conversation and whether each is a response."""
Messages = list[dict[str, str]]


class Shown:
    """Rows in a template; null where a row has no such part."""

    def __init__(self, template: Template, frame: pl.DataFrame, tokenizer: Any):
        self.template, self.frame, self.tokenizer = template, frame, tokenizer
        self.refused: dict[int, str] = {}
        """Why the model's chat template does not take a row."""
        if template.chat:
            check_chat(tokenizer.chat_template)

    @cached_property
    def prompts(self) -> list[str | None]:
        """Everything before the response: system text, earlier turns, and the prompt in its template."""
        if self.template.chat:
            return [
                p if p is None else self.chat(row, self.messages(row))
                for row, p in enumerate(self.frame["@prompt"])
            ]
        alone = self.frame["@system"].null_count() + self.frame["@history"].null_count()
        if self.asks or alone == 2 * self.frame.height:
            return self.lasts
        return [p if p is None else self.earlier(row) + p for row, p in enumerate(self.lasts)]

    @property
    def asks(self) -> bool:
        """Whether the prompt asks about the response: then it shows the last exchange and no earlier turn."""
        return "{response}" in self.template.without_input

    @cached_property
    def lasts(self) -> list[str | None]:
        """The last prompt in its template."""
        return self.rendered(self.template.with_input, self.template.without_input)

    @cached_property
    def counted(self) -> list[str | None]:
        """What counts as the prompt's tokens beside a lone response."""
        text = self.template.counted
        return self.prompts if text is None else self.rendered(text, text)

    @cached_property
    def responses(self) -> list[str | None]:
        reply = self.template.reply
        return self.frame["@response"].to_list() if reply is None else self.rendered(reply, reply)

    def rendered(self, with_input: str, without_input: str) -> list[str | None]:
        """The template filled in one go, so that braces in the rows stay as they are."""
        has_input = pl.col("@input").fill_null("") != ""
        chosen = pl.when(has_input).then(filled(with_input)).otherwise(filled(without_input))
        return self.frame.select(chosen.alias("prompt"))["prompt"].to_list()

    def earlier(self, row: int) -> str:
        """The system text and the turns before the last exchange, each in the same template."""
        return "".join(text for text, _ in self.before(row))

    def before(self, row: int) -> Parts:
        system, between = self.frame["@system"][row], (self.template.between, False)
        parts: Parts = [(system, False), between] if system else []
        for user, assistant in exchanges(self.frame["@history"][row]):
            asked = SLOT.sub(lambda slot, user=user: user, self.template.without_input)
            parts += [(asked, False), (assistant, True), between]
        return parts

    def parts(self, row: int) -> Parts | None:
        """A conversation with every response in its place; `None` where the chat template refuses it."""
        if self.template.chat:
            return self.chat_parts(row)
        return [*self.before(row), (self.lasts[row] or "", False), (self.responses[row] or "", True)]

    def chat_parts(self, row: int) -> Parts | None:
        """What a chat template adds between two turns is no response."""
        turns = [*self.messages(row), {"role": "assistant", "content": self.responses[row] or ""}]
        places = [at for at, turn in enumerate(turns) if turn["role"] == "assistant"]
        befores = [self.chat(row, turns[:at]) for at in places]
        parts: Parts = [(befores[0] or "", False)]
        for (at, before), (_, after) in pairwise(zip(places, befores, strict=True)):
            said = said_between(before, turns[at]["content"], after)
            if said is None:
                self.refused.setdefault(row, REWRITTEN)
                return None
            parts += [(said, True), ((after or "")[len((before or "") + said) :], False)]
        return [*parts, (turns[-1]["content"], True)]

    def messages(self, row: int) -> Messages:
        """A conversation up to and with its last prompt, as chat templates take it."""
        prompt, system, history = self.frame.select("@prompt", "@system", "@history").row(row)
        turns = [{"role": "system", "content": system}] if system else []
        turns += [{"role": turn["role"], "content": turn["content"] or ""} for turn in history or ()]
        return [*turns, {"role": "user", "content": prompt}]

    def chat(self, row: int, turns: Messages, *, prompting: bool = True) -> str | None:
        """The turns in the chat template, ready for the next response or closed."""
        from jinja2 import TemplateError, TemplateSyntaxError

        try:
            return self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=prompting, date_string=DAY
            )
        except TemplateSyntaxError as error:
            raise no_chat(f"the model's chat template cannot be read: {error}") from None
        except (TemplateError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
            self.refused[row] = f"the chat template refuses the row: {error}"
            return None


def filled(template: str) -> pl.Expr:
    """The template's text with the row's own texts in the places of its slots."""
    pieces = enumerate(SLOT.split(template))
    return pl.concat_str([slot(piece) if at % 2 else pl.lit(piece) for at, piece in pieces])


def slot(name: str) -> pl.Expr:
    """What stands in a slot; a row without an input is none the worse for it."""
    return pl.col("@input").fill_null("") if name == "input" else pl.col(f"@{name}")


def exchanges(history: Sequence[dict[str, str | None]] | None) -> list[tuple[str, str]]:
    """The user and assistant texts of earlier turns, pairwise; a missing one is empty."""
    pairs: list[tuple[str, str]] = []
    for turn in history if history is not None else ():
        content = turn["content"] or ""
        if turn["role"] != "assistant":
            pairs.append((content, ""))
        elif pairs and not pairs[-1][1]:
            pairs[-1] = (pairs[-1][0], content)
        else:
            pairs.append(("", content))
    return pairs


def said_between(before: str | None, content: str, after: str | None) -> str | None:
    """How a chat template wrote a response out: as it is, trimmed, or behind its opening; `None` if otherwise."""
    if before is None or after is None or not after.startswith(before):
        return None
    rest, trimmed = after[len(before) :], content.strip()
    opening = OPENING.match(rest)
    ways = (content, trimmed, (opening.group() if opening else "") + trimmed)
    return next((said for said in ways if rest.startswith(said)), None)


def check_chat(known: str | dict[str, str] | None) -> None:
    """Raises ModelError E444 where a tokenizer has no template for a plain conversation."""
    if not known:
        raise no_chat("the model's tokenizer has no chat template")
    if isinstance(known, dict) and "default" not in known:
        raise no_chat(f"the model's chat templates are for other things: {', '.join(sorted(known))}")


def no_chat(fact: str) -> ModelError:
    return ModelError("E444", fact, help="name another template, such as `template = alpaca`")
