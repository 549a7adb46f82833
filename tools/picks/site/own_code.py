"""How a method is used on a model of one's own: what its package says of itself, as a page shows it."""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

DOCUMENTED = re.compile(
    r"(?P<title>.+)\n\n(?P<about>(?:\S.*\n)+)\n(?P<lines>(?:    .*\n|\n(?=    ))+)(?:\n(?P<after>[\s\S]+))?"
)
SOURCE = re.compile(r" \([^()]*\)\.?$")  # of a title: authors and year, or where the paper is
ELSEWHERE = {"TransformerBridge": "from transformer_lens.model_bridge import TransformerBridge"}


@dataclass(frozen=True)
class OwnCode:
    """A package's docstring in its parts: a title, a sentence that leads to some lines, the lines, and what follows."""

    package: str
    title: str
    about: str
    lines: str
    after: str
    exported: tuple[str, ...]

    @property
    def imports(self) -> str:
        """What the lines need, from the package and from TransformerLens."""
        used = {node.id for node in ast.walk(ast.parse(self.lines)) if isinstance(node, ast.Name)}
        own = f"from {self.package} import {', '.join(name for name in self.exported if name in used)}"
        return "\n".join([*(line for name, line in ELSEWHERE.items() if name in used), own])

    @property
    def program(self) -> str:
        """Imports and lines, to be copied."""
        return f"{self.imports}\n\n{self.lines}"


def own_code(folder: Path) -> OwnCode | None:
    """What the package in a folder shows; None where it shows no lines."""
    module = folder / "__init__.py"
    tree = ast.parse(module.read_text(encoding="utf8")) if module.exists() else ast.Module([], [])
    found = DOCUMENTED.match(f"{ast.get_docstring(tree) or ''}\n")
    if not found:
        return None
    return OwnCode(
        package=f"reproductions.{folder.name}",
        title=SOURCE.sub("", found["title"]).removesuffix("."),
        about=" ".join(found["about"].split()),
        lines=textwrap.dedent(found["lines"]).strip(),
        after=" ".join((found["after"] or "").split()),
        exported=_exported(tree),
    )


def _exported(tree: ast.Module) -> tuple[str, ...]:
    """The names in __all__."""
    return next(
        (
            tuple(ast.literal_eval(node.value))
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        ),
        (),
    )
