"""Rows that are too long lose the end of their own text; what follows it in the template stays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..compiler.wants import View
from ..errors import ModelError
from .shown import SLOT, Shown
from .tokens import NO_ROOM, Builder, Ids, Sequences, Texts, prompt_problem, response_problem, starting


def encode(view: View, rows: Shown, texts: Texts, limit: int) -> Sequences:
    """Prompts, and responses after them, whose rows are cut before the text that follows the last slot.

    A row that fits has the tokens of its whole text. Raises ModelError E445.
    """
    start = starting(view, texts, rows)
    room = limit - len(start)
    look_at_the_template(rows, texts, room)
    prompts = texts.encode([p or "" for p in rows.prompts], special=False)
    ends = endings(view, rows, texts)
    shortened, builder = Shortened(rows, texts), Builder()
    for row, (prompt, end) in enumerate(zip(prompts, ends, strict=True)):
        problem = prompt_problem(rows, row) or end_problem(view, rows, row, end)
        over = len(prompt) + len(end) > room
        kept = shortened.prompt(row, room - len(end)) if over and not problem else prompt
        problem = problem or (None if kept else NO_ROOM)
        builder.add(problem, [*start, *kept, *end], len(start) + len(kept), over)
    return builder.done()


def look_at_the_template(rows: Shown, texts: Texts, room: int) -> None:
    """Stops where the template leaves no room for any row. Raises ModelError E445."""
    template = rows.template.without_input
    alone = len(texts.encode([SLOT.sub("", template)], special=False)[0])
    if alone < room:
        return
    raise ModelError(
        "E445",
        f"the template alone is {alone:,} tokens, and the window has room for {max(room, 0):,}",
        help=("read more of each row with `max_tokens`", "or use a shorter template, or a longer context"),
    )


def endings(view: View, rows: Shown, texts: Texts) -> Ids:
    """The responses that follow the prompts, or nothing."""
    if "response" not in view.parts:
        return [[] for _ in rows.prompts]
    return texts.continued([r or "" for r in rows.responses])


def end_problem(view: View, rows: Shown, row: int, end: list[int]) -> str | None:
    return response_problem(rows.responses[row], end, 1) if "response" in view.parts else None


@dataclass(frozen=True)
class Shortened:
    """Prompts that are cut where their own text ends."""

    rows: Shown
    texts: Texts

    def prompt(self, row: int, room: int) -> list[int]:
        """At most so many tokens of the prompt; none where nothing of the last slot's text would be left."""
        whole, last = self.rows.prompts[row] or "", self.rows.lasts[row] or ""
        after, lead = self.tails[row] or "", self.leads[row] or ""
        earlier = whole[: len(whole) - len(last)]
        body, before = self.texts.encode([whole[: len(whole) - len(after)], earlier + lead], special=False)
        tail = self.texts.continued([after])[0] if after else []
        kept = room - len(tail)
        return [*body[:kept], *tail] if kept > len(before) else []

    @cached_property
    def tails(self) -> list[str | None]:
        """What follows the last slot of each row's template."""
        return self.rows.rendered(*(SLOT.split(text)[-1] for text in self.written))

    @cached_property
    def leads(self) -> list[str | None]:
        """What stands before the text in the last slot."""
        return self.rows.rendered(*(before_last_slot(text) for text in self.written))

    @property
    def written(self) -> tuple[str, str]:
        return self.rows.template.with_input, self.rows.template.without_input


def before_last_slot(template: str) -> str:
    """The template up to its last slot; all of it where it has none."""
    places = [slot.start() for slot in SLOT.finditer(template)]
    return template[: places[-1]] if places else template
