"""Located problems, and how they are shown: with the text around them, in one line, as JSON, or to GitHub."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .tree import Source, Span

Severity = Literal["error", "warning"]
Format: TypeAlias = Literal["full", "concise", "json", "github"]
TAB = "    "


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what it is; the primary one is where the problem lies."""

    span: Span
    text: str = ""
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem: a code, one fact, places, and what to do."""

    code: str
    severity: Severity
    headline: str
    labels: tuple[Label, ...]
    help: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def span(self) -> Span:
        """Where the problem lies."""
        return next((label.span for label in self.labels if label.primary), self.labels[0].span)


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The one choice that is a small slip away, if there is one."""
    most = max(1, len(name) // 3)
    alike = {choice for choice in choices if abs(len(name) - len(choice)) <= most}
    slips = [(slip_count(name, choice), abs(len(name) - len(choice)), choice) for choice in alike]
    near = [slip for slip in slips if slip[0] <= most and slip[0] < len(name)]
    return min(near)[2] if near else None


def slip_count(name: str, other: str) -> int:
    """Letters left out, added, changed, or swapped with the next one that turn one name into the other."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(name, 1):
        before, above, row = row, before, [i]
        for j, b in enumerate(other, 1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            swapped = i > 1 and j > 1 and a == other[j - 2] and name[i - 2] == b
            row.append(min(least, above[j - 2] + 1) if swapped else least)
    return row[-1]


def render(diagnostics: Sequence[Diagnostic], format: Format = "full") -> str:
    """The diagnostics as text."""
    match format:
        case "full":
            return "\n\n".join(map(full, diagnostics))
        case "concise":
            return "\n".join(map(concise, diagnostics))
        case "json":
            return json.dumps([as_json(d) for d in diagnostics], indent=2, ensure_ascii=False)
        case "github":
            return "\n".join(map(github, diagnostics))


def concise(diagnostic: Diagnostic) -> str:
    """`file:line:column: error[E203]: headline`."""
    span = diagnostic.span
    return (
        f"{span.source.name}:{span.line}:{span.column}: "
        f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.headline}"
    )


def as_json(diagnostic: Diagnostic) -> dict[str, object]:
    """The diagnostic as JSON values; lines and columns count from 1, ends are exclusive."""
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "headline": diagnostic.headline,
        "labels": [
            {"text": label.text, "primary": label.primary, **place(label.span)} for label in diagnostic.labels
        ],
        "help": list(diagnostic.help),
        "notes": list(diagnostic.notes),
    }


def place(span: Span) -> dict[str, object]:
    """A span as file, line and columns."""
    end = Span(span.source, span.end, span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end.line,
        "end_column": end.column,
    }


def github(diagnostic: Diagnostic) -> str:
    """A workflow command that annotates the line."""
    where = place(diagnostic.span)
    fields = {
        "file": where["file"],
        "line": where["line"],
        "col": where["column"],
        "endLine": where["end_line"],
        "endColumn": where["end_column"],
        "title": diagnostic.code,
    }
    text = "\n".join((diagnostic.headline, *diagnostic.help))
    listed = ",".join(f"{name}={_escaped(str(value), ',:')}" for name, value in fields.items())
    return f"::{diagnostic.severity} {listed}::{_escaped(text)}"


def _escaped(text: str, more: str = "") -> str:
    for character in "%\r\n" + more:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def full(diagnostic: Diagnostic) -> str:
    """The diagnostic with the lines it is about."""
    lines = [f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.headline}"]
    own = diagnostic.span.source
    margin = len(str(max(label.span.line for label in diagnostic.labels)))
    lines += _excerpt(own, [x for x in diagnostic.labels if x.span.source == own], diagnostic.span, margin)
    for label in diagnostic.labels:
        if label.span.source != own:
            lines += _excerpt(label.span.source, [label], label.span, margin)
    lines += [f"{' ' * margin} = note: {note}" for note in diagnostic.notes]
    lines += [f"{' ' * margin} = help: {line}" for line in diagnostic.help]
    return "\n".join(lines)


def _excerpt(source: Source, labels: Sequence[Label], at: Span, margin: int) -> list[str]:
    pad = " " * margin
    lines = [f"{pad} ┌─ {source.name}:{at.line}:{at.column}", f"{pad} │"]
    last = None
    for label in sorted(labels, key=lambda x: (x.span.line, x.primary)):
        line = label.span.line
        if last != line:
            text = _visible(_line(source, line))
            lines.append(f"{line:>{margin}} │ {text}".rstrip())
        lines.append(f"{pad} │ {_marked(source, label)}".rstrip())
        last = line
    return lines


def _marked(source: Source, label: Label) -> str:
    text = _line(source, label.span.line)
    start = label.span.column - 1
    end = min(start + max(label.span.end - label.span.start, 1), max(len(text), start + 1))
    shown = text[start:end].split("\n")[0]
    mark = ("^" if label.primary else "-") * max(_width(_visible(shown)), 1)
    return f"{' ' * _width(_visible(text[:start]))}{mark} {label.text}"


def _line(source: Source, number: int) -> str:
    lines = source.text.split("\n")
    return lines[number - 1].rstrip("\r") if number <= len(lines) else ""


def _visible(text: str) -> str:
    """The text as a terminal may show it: tabs as blanks, control characters as a mark."""
    return "".join(
        TAB if c == "\t" else "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) == "Cc" else c
        for c in text
    )


def _width(text: str) -> int:
    """Columns that a terminal gives the text."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
