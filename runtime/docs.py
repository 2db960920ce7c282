"""The generated documentation: `python -m selrun.runtime.docs` writes operations, methods and messages to `docs/`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..dsl.pages import codes, page
from ..dsl.words import VERBS
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
    """Every generated document by its file name."""
    return {"ops.md": operations_document(), "methods.md": methods_document(), "errors.md": errors_document()}


def write(folder: Path = FOLDER) -> None:
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")


def document(title: str, about: str, parts: Iterator[str]) -> str:
    return "\n\n".join((NOTICE, f"# {title}", about, *parts)).rstrip() + "\n"


def operations_document() -> str:
    """A section per operation, under its verb."""
    found = [each for each in operations() if each.verb in (*VERBS, "model")]
    about = (
        "What a step can do, by verb; `selrun ops NOUN` prints the same. "
        "Methods, which are built of these, are in [methods.md](methods.md)."
    )
    return document("Operations", about, operation_parts(found))


def operation_parts(found: list[Operation]) -> Iterator[str]:
    verb = ""
    for each in found:
        if each.verb != verb:
            verb = each.verb
            yield f"## {verb}"
            yield f"{sentence(VERBS.get(verb, 'makes a model; stands after `using` and in `let`'))}"
        if each.noun:
            yield f"### {each.name}"
        yield from operation_text(each)


def operation_text(operation: Operation) -> Iterator[str]:
    yield operation.title
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
    """A section per method of the library."""
    about = (
        "Published methods and baselines, written in the language; a step calls one by its name: "
        "`| cherry(llama2-7b, keep = 10%)`. `selrun methods NAME` prints the same."
    )
    return document("Methods", about, (method_section(method) for method in methods()))


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
