"""Located problems of a recipe, and the texts that several of them share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..dsl.diagnostic import Diagnostic, Label, nearest
from ..dsl.tree import Span


class Problem(Exception):
    """One located problem; the resolver records it and goes on with the next step."""

    def __init__(self, diagnostic: Diagnostic):
        super().__init__(diagnostic.headline)
        self.diagnostic = diagnostic


def problem(
    code: str,
    headline: str,
    span: Span,
    label: str = "",
    *,
    help: str | Sequence[str] = (),
    also: Iterable[tuple[Span, str]] = (),
    notes: Sequence[str] = (),
) -> Problem:
    """A problem at one place; `also` are other places that explain it."""
    severity = "warning" if code.startswith("W") else "error"
    labels = (Label(span, label, True), *(Label(place, text, False) for place, text in also))
    lines = (help,) if isinstance(help, str) else tuple(help)
    return Problem(Diagnostic(code, severity, headline, labels, lines, tuple(notes)))


def choices(names: Iterable[str]) -> str:
    """The names as a list in words."""
    return ", ".join(f"`{name}`" for name in names)


def suggestion(name: str, scope: Iterable[str], what: str) -> tuple[str, ...]:
    """One line that names what is near, or else up to eight of what there is."""
    known = sorted(set(scope))
    near = nearest(name, known)
    if near:
        return (f"{what} with a similar name exists: `{near}`",)
    if not known:
        return ()
    more = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return (f"there {'is' if len(known) == 1 else 'are'} {choices(known[:8])}{more}",)
