"""The sentences of a text, as NLTK's Punkt model of English finds them."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ModelError


def splitter() -> Callable[[str], list[str]]:
    """What splits a text into sentences. Raises ModelError E569 where NLTK or its model is not on this machine."""
    try:
        from nltk import sent_tokenize  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise not_here(
            "the package nltk, which is not installed", '`pip install "selrun[sentences]"`'
        ) from None
    try:
        sent_tokenize("One. Two.")
    except LookupError:
        fact = "NLTK's model punkt_tab, which is not on this machine"
        raise not_here(fact, "`python -m nltk.downloader punkt_tab`") from None
    return sent_tokenize


def not_here(fact: str, command: str) -> ModelError:
    return ModelError(
        "E569", f"sentences are found by {fact}",
        help=(f"install it: {command}", "or leave `faithful` out, which asks about the whole response"),
    )  # fmt: skip
