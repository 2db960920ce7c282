"""Checks recipes with what a quick look at the disk can answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..compiler.aliases import builtin_aliases
from ..compiler.check import Checked, check
from ..compiler.facts import Answer, CardOf, Facts, Question, SchemaOf, TextOf, Unavailable
from ..errors import ModelError
from .model_names import model_names
from .nearby import nearby_files
from .peek import peek


def quick_check(
    texts: Sequence[tuple[str, str]],
    *,
    data: str | None = None,
    given: Mapping[str, str] | None = None,
    models: Mapping[str, str] | None = None,
) -> Checked:
    """The problems of recipes and their graph; no model is loaded, no hub asked, no row read but the first."""
    names = model_names(models or {}, [name for name, _ in texts])
    facts = Facts(aliases=names, api=builtin_aliases()[1], data=data)
    asked: set[Question] = set()
    while True:
        checked = check(texts, facts, given=given)
        news = set(facts.open) - asked
        asked |= news
        answers = {question: answer for question in news if (answer := quick_answer(question)) is not None}
        if not answers:
            return checked
        facts = Facts({**facts.answers, **answers}, facts.aliases, facts.api, facts.data)


def quick_answer(question: Question) -> Answer | None:
    match question:
        case TextOf(path):
            return text_at(Path(path))
        case SchemaOf():
            return peek(question)
        case CardOf(target):
            return card_of(target)


def text_at(path: Path) -> str | Unavailable:
    """The text of a recipe that another one uses."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return Unavailable("E220", f"no recipe is at `{path}`", (nearby_files(path),))
    except (OSError, UnicodeDecodeError) as error:
        return Unavailable("E220", f"`{path}` cannot be read: {error}", ("check the file",))


def card_of(target: str) -> Answer | None:
    """What a local folder's files say of a model; a hub is not asked."""
    from .models import describe

    if target.startswith((".", "/", "~")) or Path(target).is_dir() or target == "nano":
        try:
            return describe(target)
        except ModelError as error:
            return Unavailable(error.code, error.headline, error.help)
    return None
