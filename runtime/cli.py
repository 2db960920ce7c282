"""The command line: words in, a command run, an exit code out.

0 done, 1 problems in the recipe, 2 problems with data, models or the command line, 3 interrupted,
4 over budget, 70 a mistake of selrun's own.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from ..errors import RecipeError, SelrunError
from .nearby import nearby_words
from .options import COMMANDS, USAGE, UsageError, parse_words

BRIEF = frozenset({"check", "fmt", "ops", "methods"})
INTERRUPTED, BROKEN_PIPE, OWN_MISTAKE = 3, 141, 70


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command line and gives its exit code; every failure is a message on the standard error."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        return command(words)
    except UsageError as error:
        print(error, file=sys.stderr)
        return USAGE
    except SelrunError as error:
        print(error_text(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(interrupted(words), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain again while it closes the stream on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit:
        raise
    except BaseException as mistake:  # a panic of polars is no `Exception`
        print(own_mistake(mistake, "--debug" in words), file=sys.stderr)
        return OWN_MISTAKE


def command(words: list[str]) -> int:
    """The exit code of the command that the first word names; a recipe in its place is run."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        print(version())
        return 0
    name, rest = split(words)
    if name in BRIEF:
        be_brief()
    options = parse_words(COMMANDS[name], rest)
    from . import commands

    if name == "run":
        signal.signal(signal.SIGTERM, interrupt)
    code = getattr(commands, name)(options, words)
    sys.stdout.flush()
    return code


def be_brief() -> None:
    """Leaves out what a process that ends at once has no use for: a third of a check."""
    gc.disable()
    # No plug-in of pydantic's has a say in a recipe; looking for them reads what every package installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")


def split(words: list[str]) -> tuple[str, list[str]]:
    """The command and its words. Raises `UsageError` for a first word that is near a command and no file."""
    first = words[0]
    if first in COMMANDS and not (first == "run" and len(words) == 1):
        return first, words[1:]
    if first == "run":
        raise UsageError("no recipe is named", f"write `{COMMANDS['run'].usage}`")
    if not looks_like_recipe(first):
        raise UsageError(f"no command is called `{first}`", nearby_words(first, COMMANDS, "a command"))
    return "run", words


def looks_like_recipe(word: str) -> bool:
    return word.startswith("-") or any(mark in word for mark in "./\\") or Path(word).exists()


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def interrupted(words: Sequence[str]) -> str:
    """What a stopped run says: nothing is lost."""
    import shlex

    again = shlex.join(["selrun", *words])
    help = f"run the same command again to continue: {again}"
    return f"\ninterrupted; what was computed is stored\n  = help: {help}"


def error_text(error: SelrunError) -> str:
    """The message of an error; of a recipe's problems all of them, and how many there are."""
    if not isinstance(error, RecipeError):
        return str(error)
    from ..dsl.diagnostic import render

    return "\n\n".join((render(error.diagnostics), problem_count(error)))


def problem_count(error: RecipeError) -> str:
    count = sum(d.severity == "error" for d in error.diagnostics)
    return f"{count} problem{'s' * (count != 1)}; nothing was run"


def own_mistake(mistake: BaseException, debug: bool) -> str:
    """One line about a mistake of selrun's own: what and where."""
    frames = traceback.extract_tb(mistake.__traceback__)
    at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown place"
    line = f"error: a mistake in selrun itself: {type(mistake).__name__}: {mistake} ({at})"
    if not debug:
        return f"{line}\n  = help: report it to selrun's authors with what `--debug` adds to this message"
    return "".join(traceback.format_exception(mistake)) + line


def overview() -> str:
    """What `selrun --help` prints."""
    lines = [f"  {command.name:<9}{command.title}" for command in COMMANDS.values()]
    return "\n".join(
        [
            "selrun chooses the rows that a language model is fine-tuned on.",
            "",
            "  selrun RECIPE --data FILE --out FILE",
            "",
            *lines,
            "",
            "`selrun COMMAND --help` lists the options of a command.",
            "exit codes: 0 done, 1 recipe, 2 data, model or command line, 3 interrupted, 4 budget",
        ]
    )


def version() -> str:
    from importlib.metadata import version

    return f"selrun {version('selrun')}"
