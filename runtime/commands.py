"""The commands: options in, text out, an exit code back."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .nearby import nearby_words
from .options import UsageError
from .settings import Settings
from .texts import recipe_texts

if TYPE_CHECKING:
    from .store import Store

Words = Sequence[str]
CODE = re.compile(r"[EeWw]\d{3}")


def texts_of(options: argparse.Namespace, words: Words) -> list[tuple[str, str]]:
    """The recipes of a command line. Raises `UsageError` where there is none."""
    if not options.recipes and not options.inline:
        raise UsageError(
            "no recipe is named", "name a recipe file, or write one: `-e 'top 5% by len(response)'`"
        )
    return recipe_texts(options.recipes, options.inline, words)


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings that the options give."""
    known = {name: value for name, value in vars(options).items() if name in Settings.__dataclass_fields__}
    return Settings(**known)


def run(options: argparse.Namespace, words: Words) -> int:
    """Runs recipes, or with `--dry-run` shows what would run."""
    texts, settings = texts_of(options, words), settings_of(options)
    if options.dry_run:
        from . import survey

        print(survey.explain(texts, settings))
        return 0
    from .events import JsonLog, to_all
    from .run import execute
    from .terminal import quiet, shown

    with ExitStack() as stack:
        screen = stack.enter_context(quiet() if options.quiet else shown())
        log = [stack.enter_context(JsonLog(options.events))] if options.events else []
        done = execute(texts, settings, to_all((screen, *log)))
        screen.finish(done)
    return 0


def check(options: argparse.Namespace, words: Words) -> int:
    """Prints every problem of recipes."""
    from ..dsl.diagnostic import render
    from .checking import quick_check

    texts = texts_of(options, words)
    checked = quick_check(texts, settings_of(options))
    if checked.diagnostics or options.format == "json":
        print(render(checked.diagnostics, options.format))
    if options.format == "full":
        print(verdict([name for name, _ in texts], checked.diagnostics))
    return 1 if checked.errors else 0


def verdict(names: Sequence[str], diagnostics: Sequence[object]) -> str:
    """The last line of a check."""
    errors = sum(getattr(d, "severity", "") == "error" for d in diagnostics)
    warnings = len(diagnostics) - errors
    shown = ", ".join(names)
    if not diagnostics:
        return f"{shown}: no problems"
    counts = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return f"\n{shown}: {' and '.join(counts)}"


def fmt(options: argparse.Namespace, words: Words) -> int:
    """Formats recipes where they lie; inline ones and the standard input are printed."""
    from ..dsl.diagnostic import render
    from .formatting import formatted, rewrite

    recipes = [formatted(name, text) for name, text in texts_of(options, words)]
    problems = [problem for recipe in recipes for problem in recipe.problems]
    look = options.check or options.diff
    for recipe in recipes:
        if options.diff:
            print(recipe.diff(), end="")
        elif options.check and recipe.changed:
            print(f"{recipe.name} is not in its canonical form")
        elif recipe.name not in options.recipes or recipe.name == "-":
            print(recipe.text, end="")
        elif recipe.changed and not look:
            rewrite(recipe)
            print(f"{recipe.name} formatted")
    if problems:
        print(render(problems))
    return 1 if problems or (look and any(recipe.changed for recipe in recipes)) else 0


def explain(options: argparse.Namespace, words: Words) -> int:
    """Prints what would run."""
    from . import survey

    texts, settings = texts_of(options, words), settings_of(options)
    print(survey.explain(texts, settings, stage=options.stage, why=options.why, format=options.format))
    return 0


def ops(options: argparse.Namespace, words: Words) -> int:
    """Lists what exists, or describes the operations of a name."""
    from .reference_text import described, operations_text

    wanted = " ".join(options.noun)
    print(described(wanted) if wanted else operations_text())
    return 0


def methods(options: argparse.Namespace, words: Words) -> int:
    """Lists the methods, or describes one."""
    from .reference import methods
    from .reference_text import method_text, methods_text

    known = {method.name: method for method in methods()}
    if options.name is None:
        print(methods_text(list(known.values())))
        return 0
    if options.name not in known:
        raise UsageError(
            f"no method is called `{options.name}`", nearby_words(options.name, known, "a method")
        )
    print(method_text(known[options.name]))
    return 0


def why(options: argparse.Namespace, words: Words) -> int:
    """Prints the page of a code, or the history of a row."""
    if options.what is None:
        raise UsageError(
            "neither a code nor a row is named", "write `selrun why E203`, or `selrun why ROW-ID --run FILE`"
        )
    if options.output is None and CODE.fullmatch(options.what):
        print(code_page(options.what).rstrip())
        return 0
    if options.output is None:
        raise UsageError(
            f"`{options.what}` is not a code, and no run is named",
            f"write `selrun why E203`, or `selrun why {options.what} --run FILE` with the output of a run",
        )
    from .why import why_text

    print(why_text(options.what, options.output))
    return 0


def code_page(code: str) -> str:
    """The page of a code. Raises `UsageError` where there is none."""
    from ..dsl.pages import codes, page

    try:
        return page(code)
    except KeyError:
        near = nearby_words(
            code.upper(), [c for c in codes() if c[:2] == code[:2].upper()] or codes(), "a code"
        )
        raise UsageError(f"no message has the code `{code.upper()}`", near) from None


def cache(options: argparse.Namespace, words: Words) -> int:
    """Lists, explains, verifies or prunes what the store holds."""
    known = {"list": cache_list, "why": cache_why, "verify": cache_verify, "prune": cache_prune}
    if options.action not in known:
        raise UsageError(
            f"`selrun cache` cannot `{options.action}`", nearby_words(options.action, known, "an action")
        )
    print(known[options.action](options, words))
    return 0


def store_of(options: argparse.Namespace) -> Store:
    from .store import Store, default_root

    return Store(options.store or default_root())


def cache_list(options: argparse.Namespace, words: Words) -> str:
    from .cache import list_text

    return list_text(store_of(options))


def cache_verify(options: argparse.Namespace, words: Words) -> str:
    from .cache import verify_text

    return verify_text(store_of(options))


def cache_prune(options: argparse.Namespace, words: Words) -> str:
    from .cache import age, prune

    older = age(options.older_than) if options.older_than else None
    return prune(store_of(options), older_than=older, passkey=options.passkey, everything=options.everything)


def cache_why(options: argparse.Namespace, words: Words) -> str:
    from .cache import why_text
    from .wanted import wanted_passes

    wanted, unknown = wanted_passes(texts_of(options, words), settings_of(options))
    return "\n".join(part for part in (why_text(store_of(options), wanted), *unknown) if part)
