"""The generated documentation: `python -m selrun.runtime.docs` writes operations, methods and messages to `docs/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from ..dsl.pages import codes, page
from ..dsl.words import VERBS
from .method_cost import cost
from .reference import NO_VALUE, Method, Operation, Parameter, methods, operations
from .reference_text import default_text, signature, usage

FOLDER = Path(__file__).resolve().parents[1] / "docs"
NOTICE = "<!-- Written by `make docs` from the code; changes here are lost. -->"
GROUPS = {
    "E1": "Syntax",
    "E2": "Names",
    "E3": "Types and parameters",
    "E4": "Plan and models",
    "E5": "Data",
    "E6": "Run and store",
    "W": "Warnings",
}


def documents() -> dict[str, str]:
    """Every generated document by its place below `docs/`."""
    found = listed()
    return {
        "ops.md": operations_document(found),
        **{place(each): operation_document(each) for each in found},
        "methods.md": methods_document(),
        "errors.md": errors_document(),
    }


def listed() -> list[Operation]:
    """The operations that a recipe can name."""
    return [each for each in operations() if each.verb in (*VERBS, "model")]


def place(operation: Operation) -> str:
    return f"ops/{operation.name.replace(' ', '-')}.md"


def write(folder: Path = FOLDER) -> None:
    """Writes every document; the page of an operation that is gone goes too."""
    texts = documents()
    for old in folder.glob("ops/*.md"):
        if f"ops/{old.name}" not in texts:
            old.unlink()
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def document(title: str, about: str, parts: Iterator[str]) -> str:
    return "\n\n".join((NOTICE, f"# {title}", about, *parts)).rstrip() + "\n"


def operations_document(found: list[Operation]) -> str:
    """A table per verb, which leads to the page of each operation."""
    about = (
        "What a step can do, by verb; `selrun ops NOUN` prints an operation's page. "
        "Methods, which are built of these, are in [methods.md](methods.md)."
    )
    return document("Operations", about, operation_tables(found))


def operation_tables(found: list[Operation]) -> Iterator[str]:
    for verb, group in groupby(found, key=lambda each: each.verb):
        yield f"## {verb}"
        yield sentence(VERBS.get(verb, "makes a model; stands after `using` and in `let`"))
        rows = (f"| [`{each.name}`]({place(each)}) | {escaped(each.title)} |" for each in group)
        yield "\n".join(("| | |", "|---|---|", *rows))


def operation_document(operation: Operation) -> str:
    """The page of one operation."""
    return document(operation.name, operation.title, operation_text(operation))


def operation_text(operation: Operation) -> Iterator[str]:
    if operation.text:
        yield operation.text
    if operation.parameters:
        yield parameter_table(operation.parameters)
    if operation.facts:
        yield "\n".join(f"- *{name}*: {linked(value)}" for name, value in operation.facts)
    if operation.example:
        yield f"```sel\n{operation.example}\n```"


def parameter_table(parameters: tuple[Parameter, ...]) -> str:
    """The parameters as a Markdown table."""
    head = ["| parameter | takes | if not given | |", "|---|---|---|---|"]
    rows = (
        f"| `{usage(p)}` | {escaped(p.type)} | {escaped(absent(p))} | {escaped(p.doc)} |" for p in parameters
    )
    return "\n".join((*head, *rows))


def absent(parameter: Parameter) -> str:
    """What holds where the parameter is left out."""
    if parameter.default == NO_VALUE:
        return "–"
    if parameter.default is not None:
        return f"`{parameter.default}`"
    return default_text(parameter).removesuffix(" if not given")


def methods_document() -> str:
    """A table of the library's methods and a section for each."""
    about = (
        "Published methods and baselines, written in the language; a step calls one by its name: "
        "`| cherry(llama2-7b, keep = 10%)`. `selrun methods NAME` prints the same."
    )
    found = methods()
    return document("Methods", about, iter((methods_table(found), *map(method_section, found))))


def methods_table(found: list[Method]) -> str:
    """What each method needs, and what it costs as `explain` counts it."""
    head = ("| method | needs | model passes over the rows |", "|---|---|---|")
    rows = (f"| [`{m.name}`](#{anchor(m.name)}) | {escaped(needs(m))} | {escaped(cost(m))} |" for m in found)
    return "\n".join((*head, *rows))


def needs(method: Method) -> str:
    """What a call must give, and which model it takes if none is given."""
    given = [f"{p.type} `{p.name}`" for p in method.parameters if p.default is None]
    models = [f"{p.type} `{p.default}`" for p in method.parameters if p.type == "model" and p.default]
    return ", ".join((*given, *models)) or "nothing"


def method_section(method: Method) -> str:
    parts = (f"## {method.name}", f"`{signature(method)}`", linked(method.doc), f"```sel\n{method.text}\n```")
    return "\n\n".join(parts)


def errors_document() -> str:
    """The page of every code, with an index."""
    about = "What each code means and what to do; `selrun why E203` prints one page."
    return document("Messages", about, error_parts())


def error_parts() -> Iterator[str]:
    pages = {code: page(code).strip() for code in codes()}
    for start, title in GROUPS.items():
        mine = {code: text for code, text in pages.items() if code.startswith(start)}
        if mine:
            yield f"## {title}"
            yield "\n".join(f"- [{heading(text)}](#{anchor(heading(text))})" for text in mine.values())
            yield from (lowered(text) for text in mine.values())


def heading(text: str) -> str:
    return text.partition("\n")[0].removeprefix("# ")


def anchor(title: str) -> str:
    """The fragment that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def lowered(text: str) -> str:
    """The page with its heading two levels down."""
    return f"##{text}"


def linked(text: str) -> str:
    """The text with its addresses as links."""
    return re.sub(r"https?://[^\s)]+[^\s).,;]", r"<\g<0>>", text)


def escaped(text: str) -> str:
    """The text as a cell of a table."""
    return text.replace("|", "\\|")


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


if __name__ == "__main__":
    write()
