"""Checks recipes: every problem of a text in one go, without touching the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..dsl import tree
from ..dsl.diagnostic import Diagnostic
from ..dsl.parse import parse
from .facts import Facts
from .graph import Graph
from .resolve import Resolved, Source, resolve


@dataclass(frozen=True)
class Checked:
    """What a check found: the graph of the parts that hold, and all problems in the order of the text."""

    recipes: tuple[tree.Recipe, ...]
    graph: Graph
    diagnostics: tuple[Diagnostic, ...]
    parameters: Mapping[str, str]

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(d for d in self.diagnostics if d.severity == "error")


def check(
    texts: Sequence[tuple[str, str]], facts: Facts, *, given: Mapping[str, str] | None = None, seed: int = 0
) -> Checked:
    """Parses and resolves recipes, given as (name, text); open questions are left in `facts.open`."""
    parsed = [parse(tree.Source(name, text)) for name, text in texts]
    values, problems = parameters(given or {})
    sources = [
        Source(name, p.recipe, values_for(p.recipe, values, len(texts) > 1))
        for (name, _), p in zip(texts, parsed, strict=True)
    ]
    resolved: Resolved = resolve(sources, facts, seed=seed)
    lost = frozenset().union(*(p.lost for p in parsed))
    firsthand = (d for d in resolved.diagnostics if not _named(d) & lost)
    found = [*problems, *(d for p in parsed for d in p.diagnostics), *firsthand]
    ordered = sorted(found, key=lambda d: (d.labels[0].span.source.name, d.labels[0].span.start))
    return Checked(tuple(p.recipe for p in parsed), resolved.graph, tuple(ordered), resolved.parameters)


def _named(diagnostic: Diagnostic) -> set[str]:
    """The name that a diagnostic is about; one lost to another problem is no news."""
    return {diagnostic.span.text, diagnostic.span.text.partition("(")[0]}


def check_text(text: str, facts: Facts | None = None) -> list[Diagnostic]:
    """All problems of one recipe."""
    return list(check([("recipe.sel", text)], facts or builtin_facts()).diagnostics)


def builtin_facts() -> Facts:
    """Facts that hold everywhere: the short model names of the catalogue."""
    from .aliases import builtin_aliases

    aliases, api = builtin_aliases()
    return Facts(aliases=aliases, api=api)


def parameters(given: Mapping[str, str]) -> tuple[dict[str, tree.Expr], list[Diagnostic]]:
    """The values of `-p name=value`, read as the language reads them; a bare word is a text."""
    values: dict[str, tree.Expr] = {}
    problems: list[Diagnostic] = []
    for name, text in given.items():
        parsed = parse(tree.Source(f"-p {name}", f"let {name} = {text}"))
        statement = next(iter(parsed.recipe.statements), None)
        if (
            parsed.diagnostics
            or not isinstance(statement, tree.Let)
            or isinstance(statement.value, tree.Chain)
        ):
            problems.extend(parsed.diagnostics)
            continue
        values[name] = statement.value
    return values, problems


def values_for(recipe: tree.Recipe, values: Mapping[str, tree.Expr], several: bool) -> dict[str, tree.Expr]:
    """Of several recipes each takes the parameters it declares; a single one must declare all."""
    declared = {s.name.text for s in recipe.statements if isinstance(s, tree.Param)}
    return {name: value for name, value in values.items() if not several or name in declared}
