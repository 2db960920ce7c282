"""The command line's words: commands, their options, and messages for words that mean nothing."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from .nearby import nearby_words

USAGE = 2
"""The exit code of a command line that cannot be understood."""


class UsageError(Exception):
    """The command line cannot be understood: one fact and what to do."""

    def __init__(self, headline: str, help: str):
        super().__init__(headline)
        self.headline, self.help = headline, help

    def __str__(self) -> str:
        return f"error: {self.headline}\n  = help: {self.help}"


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, what it does, and the options that it takes."""

    name: str
    title: str
    usage: str
    options: Callable[[argparse.ArgumentParser], None]
    text: str = ""


class Parser(argparse.ArgumentParser):
    """A parser whose complaints are `UsageError`s."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(worded(message), f"the options are listed by `{self.prog} --help`")

    @property
    def flags(self) -> list[str]:
        """Every option in its long form."""
        return [name for action in self._actions for name in action.option_strings if name.startswith("--")]


def parse_words(command: Command, words: Sequence[str]) -> argparse.Namespace:
    """The options of a command. Raises `UsageError`, with near names for a flag that does not exist."""
    parser = parser_of(command)
    found, rest = parser.parse_known_intermixed_args(list(words))
    if not rest:
        return found
    flag = rest[0].split("=")[0]
    if not flag.startswith("-"):
        raise UsageError(f"`{flag}` is one word too many", f"write `{command.usage}`")
    help = nearby_words(flag, parser.flags, "a flag")
    raise UsageError(f"`selrun {command.name}` has no flag `{flag}`", help)


def parser_of(command: Command) -> Parser:
    parser = Parser(
        prog=f"selrun {command.name}",
        usage=command.usage,
        description=command.text or command.title,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.options(parser)
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def worded(message: str) -> str:
    """argparse's complaint in the words of selrun's messages."""
    name, _, fact = message.partition(": ")
    if not name.startswith("argument "):
        return message.replace("the following arguments are required", "still wanted")
    flag = name.removeprefix("argument ").replace("/", "`, `")
    fact = fact.replace("expected one argument", "a value is wanted after it")
    return f"`{flag}`: {fact}"


class Pairs(argparse.Action):
    """Collects `name=value` words in a mapping."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        name, equals, value = str(values).partition("=")
        pairs: dict[str, str] = dict(getattr(namespace, self.dest) or {})
        if not (name.strip() and equals and value.strip()):
            raise UsageError(f"`{option_string} {values}` is no name and value", f"write `{self.metavar}`")
        if name.strip() in pairs:
            raise UsageError(f"`{option_string} {name}` is given twice", "leave one out")
        setattr(namespace, self.dest, {**pairs, name.strip(): value.strip()})


def recipe_options(parser: argparse.ArgumentParser) -> None:
    """Which recipes."""
    parser.add_argument(
        "recipes", nargs="*", metavar="RECIPE", help="recipe files; `-` reads the standard input"
    )
    parser.add_argument(
        "-e", dest="inline", action="append", default=[], metavar="TEXT", help="a recipe as text"
    )


def world_options(parser: argparse.ArgumentParser) -> None:
    """What a recipe's names stand for."""
    parser.add_argument("--data", metavar="DATA", help="the recipe's input: file, folder, pattern or URL")
    parser.add_argument(
        "-p",
        dest="parameters",
        action=Pairs,
        default={},
        metavar="name=value",
        help="a `param` of the recipe",
    )
    parser.add_argument(
        "--model",
        dest="models",
        action=Pairs,
        default={},
        metavar="name=target",
        help="what a model name means",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random; 0")


def machine_options(parser: argparse.ArgumentParser) -> None:
    """Where and how the work is done."""
    parser.add_argument("--store", type=Path, metavar="DIR", help="where answers are kept")
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1, mps; the best one there is")
    parser.add_argument("--dtype", metavar="NAME", help="float32, bfloat16, float16; float32 on a CPU")
    parser.add_argument("--engine", choices=("local",), default="local", help="who runs the passes")
    parser.add_argument("--workers", type=positive, metavar="N", help="so many worker processes")
    parser.add_argument(
        "--on-bad-row", choices=("stop", "skip"), default="stop", help="what a line that is no row does; stop"
    )
    parser.add_argument("--no-rules", dest="rules", action="store_false", help="rewrite and share nothing")


def run_options(parser: argparse.ArgumentParser) -> None:
    recipe_options(parser)
    parser.add_argument("--out", metavar="FILE", help="where the result goes; NAME.selected.jsonl")
    world_options(parser)
    machine_options(parser)
    parser.add_argument(
        "--locked", action="store_true", help="refuse to differ from the manifest of the output"
    )
    parser.add_argument("--allow-write", action="store_true", help="let `save` write outside this folder")
    parser.add_argument("--events", type=Path, metavar="FILE", help="append every event as a line of JSON")
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and run nothing")


def check_options(parser: argparse.ArgumentParser) -> None:
    recipe_options(parser)
    world_options(parser)
    parser.add_argument("--format", choices=("full", "concise", "json", "github"), default="full")


def fmt_options(parser: argparse.ArgumentParser) -> None:
    recipe_options(parser)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if something would")
    parser.add_argument("--diff", action="store_true", help="change nothing; show what would")


def explain_options(parser: argparse.ArgumentParser) -> None:
    recipe_options(parser)
    world_options(parser)
    machine_options(parser)
    parser.add_argument("--stage", choices=("recipe", "graph", "rules", "plan"), default="plan")
    parser.add_argument("--why", action="store_true", help="also what was not done, and the reason")
    parser.add_argument("--format", choices=("text", "json", "dot"), default="text")


def ops_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("noun", nargs="*", metavar="NOUN", help="a noun or a verb, such as `ifd`")


def methods_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", nargs="?", metavar="NAME", help="a method, such as `cherry`")


def why_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", nargs="?", metavar="CODE|ROW-ID", help="a code of a message, or a row")
    parser.add_argument(
        "--run", dest="output", type=Path, metavar="FILE", help="the output that the row went for"
    )


def cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", nargs="?", metavar="list|why|verify|prune", default="list")
    recipe_options(parser)
    world_options(parser)
    machine_options(parser)
    parser.add_argument("--older-than", metavar="AGE", help="prune what was not used for so long: 30d, 12h")
    parser.add_argument("--pass", dest="passkey", metavar="KEY", help="prune the pass whose key begins so")
    parser.add_argument("--all", dest="everything", action="store_true", help="prune everything")


def positive(text: str) -> int:
    """A whole number from 1."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        Command("run", "runs recipes; the word `run` may be left out",
                "selrun [run] RECIPE… | -e 'TEXT' [options]", run_options),
        Command("check", "reports every problem of recipes", "selrun check RECIPE… | -e 'TEXT' [options]",
                check_options),
        Command("fmt", "brings recipes into their canonical form", "selrun fmt [--check] [--diff] RECIPE…",
                fmt_options),
        Command("explain", "shows what would run, and why", "selrun explain RECIPE… | -e 'TEXT' [options]",
                explain_options),
        Command("ops", "lists verbs and nouns, or describes one", "selrun ops [NOUN]", ops_options),
        Command("methods", "lists methods, or describes one", "selrun methods [NAME]", methods_options),
        Command("why", "explains a code, or the history of a row", "selrun why CODE | ROW-ID --run FILE",
                why_options),
        Command("cache", "lists, explains, verifies or prunes what is stored",
                "selrun cache list | why RECIPE… | verify | prune [options]", cache_options),
    )
}  # fmt: skip
