"""Typed parameters: what `reproduction.yml` declares, and nothing else, reaches a notebook.

The values of the quick profile are those that the notebook's `parameters` cell assigns.

papermill guesses types from text (`2501.08310` becomes a float, `007` becomes 7) and only warns about a misspelt name;
here a value is read as its declared type or refused.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from picks.run.arguments import NAME, RESERVED
from reproductions.common.catalogue import HUB_NAME, OWN, TRAINED, has_autoencoders, model_card, model_names
from reproductions.common.errors import UserError
from reproductions.common.schema import Loaded, load
from reproductions.common.suggest import did_you_mean

PROFILES = ("quick", "full")
AUTOENCODERS = "autoencoders"
PARAMETERS = "parameters"  # the tag of the cell that the quick profile is in
_PLAIN: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str}

Scalar = int | float | bool | str
Value = Scalar | list[int] | list[str]


@dataclass(frozen=True)
class Spec:
    """What a parameter may be: its type, its range or choices, and its value in each profile."""

    name: str
    type: str
    profiles: Mapping[str, Value]
    help: str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[Scalar, ...] = ()

    @property
    def element(self) -> str:
        """The type of one item: `int` of `list[int]`."""
        return self.type.removeprefix("list[").removesuffix("]")

    @property
    def is_list(self) -> bool:
        """Whether the parameter takes several values."""
        return self.type != self.element

    def __str__(self) -> str:
        """In words, for messages: 'an int from 10 to 1000'."""
        kind = {"int": "an int", "float": "a float", "bool": "true or false", "str": "text"}[self.element]
        kind = f"a comma-separated list without repeats, each {kind}" if self.is_list else kind
        if self.choices:
            return f"{kind}: {', '.join(map(str, self.choices))}"
        bounds = {"from": self.minimum, "to": self.maximum}
        return " ".join([kind, *(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)])


@dataclass(frozen=True)
class Schema:
    """What can be varied in a reproduction: parameters, models (default first), and a deadline for each profile.

    needs: what a model must have: autoencoders, or parts that can be read (`reproductions.common.examine`).
    """

    parameters: Mapping[str, Spec]
    models: tuple[str, ...]
    deadline: Mapping[str, float]
    needs: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """What it needs of a model itself."""
        return tuple(need for need in self.needs if need != AUTOENCODERS)


@dataclass(frozen=True)
class Parameter:
    """A resolved value and where it comes from: default, profile or command line."""

    value: Value
    origin: str


def load_schema(path: Path) -> Schema:
    """Read and check what a `reproduction.yml`, and the notebook beside it, say of parameters.

    Raises:
        UserError: with file, line and column, what is wrong and how to mend it.
    """
    file = load(path, "reproduction")
    content, notebook = file.content, path.with_name("notebook.ipynb")
    quick = _quick(file, notebook)
    parameters = {name: _spec(name, fields, quick[name], file) for name, fields in content["parameters"].items()}
    deadline = {profile: float(content["deadline"][profile]) for profile in PROFILES}
    return Schema(parameters, tuple(content["models"]), deadline, tuple(content.get("needs", ())))


def resolve(schema: Schema, profile: str, given: Mapping[str, str], subject: str) -> dict[str, Parameter]:
    """Every parameter's value: the profile's, or what the command line gave, read as its declared type.

    Raises:
        UserError: a name is not declared, or a value is not what its parameter takes.
    """
    for name in given:
        if name not in schema.parameters:
            raise UserError(_unknown(name, schema, subject))
    origin = "default" if profile == "quick" else "profile"
    resolved = {name: Parameter(spec.profiles[profile], origin) for name, spec in schema.parameters.items()}
    typed = {name: Parameter(_read(schema.parameters[name], text), "command line") for name, text in given.items()}
    return resolved | typed


def choose_model(schema: Schema, name: str | None, subject: str, *, brings_autoencoders: bool = False) -> str:
    """The model to run on: the reproduction's first, another of models.yml, any of the hub, or a folder of the user's.

    Raises:
        UserError: it is none of these, or lacks the autoencoders that the reproduction needs.
    """
    if name is None:
        return schema.models[0]
    if TRAINED in schema.models and name not in schema.models:
        raise UserError(f"{subject} trains its own networks, so that there is no model to choose; leave out --model")
    listed = list(dict.fromkeys([*schema.models, *model_names()]))
    needy = AUTOENCODERS in schema.needs and not brings_autoencoders
    offered = [model for model in listed if has_autoencoders(model)] if needy else listed
    if name not in listed and not HUB_NAME.fullmatch(name) and not name.startswith(OWN):
        others = "" if needy else f"; others of the hub as owner/name, one of yours as {OWN}DIR"
        hint = did_you_mean(name, offered)
        raise UserError(f"{subject} does not run on {name[:80]}{hint}\nmodels: {', '.join(offered)}{others}")
    if needy and not has_autoencoders(model_card(name).name):
        raise UserError(
            f"{subject} needs autoencoders, and none of {name[:80]} come with this project\n"
            f"models: {', '.join(offered)}; to others give autoencoders of yours with --sae {OWN}FILE, "
            "or released ones, as RELEASE/ID, with the -p that names autoencoders"
        )
    return name


def assigned(notebook: Path) -> dict[str, Any]:
    """What a notebook's `parameters` cell assigns.

    Raises:
        UserError: there is no such cell, or it does something else.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf8"))["cells"]
        tagged = [cell for cell in cells if PARAMETERS in cell["metadata"].get("tags", [])]
        sources = ["".join(cell["source"]) for cell in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{notebook}: no notebook that can be read: {error}") from None
    if len(sources) != 1:
        raise UserError(f"{notebook}: needs one cell tagged `{PARAMETERS}`, has {len(sources)}")
    try:
        return dict(map(_assignment, ast.parse(sources[0]).body))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{notebook}: its parameters cell may only assign plain values: {error}") from None


def _assignment(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, ast.literal_eval(value)
    raise ValueError(ast.unparse(statement))


def _quick(file: Loaded, notebook: Path) -> dict[str, Any]:
    """The values of the quick profile: of all that is declared, and of nothing else."""
    found, names = assigned(notebook), file.content["parameters"]
    missing = [f"{name} is not assigned" for name in sorted({*names, *RESERVED} - found.keys())]
    surplus = [f"{name} is not declared" for name in sorted(found.keys() - {*names, *RESERVED})]
    if wrong := missing + surplus:
        what = f"the parameters cell of {notebook.name} differs: {'; '.join(wrong)}"
        raise file.error(what, "parameters")
    return {name: found[name] for name in names}


def _spec(name: str, fields: Mapping[str, Any], quick: Any, file: Loaded) -> Spec:
    where = ("parameters", name)
    if not NAME.fullmatch(name) or name in RESERVED:
        raise file.error(f"{name!r} cannot name a parameter", *where)
    limits = {"minimum": fields.get("minimum"), "maximum": fields.get("maximum")}
    spec = Spec(name, fields["type"], {}, fields["help"], **limits, choices=_choices(name, fields, file))
    _check_range(spec, file)
    profiles = {
        "quick": _value(spec, quick, file, "in the notebook's parameters cell, ", *where),
        "full": _value(spec, fields["full"], file, "", *where, "full"),
    }
    return replace(spec, profiles=profiles)


def _choices(name: str, fields: Mapping[str, Any], file: Loaded) -> tuple[Scalar, ...]:
    """All values that there are: as listed, or the names of files beside it; none where every value may be given."""
    pattern = fields.get("choices_from")
    if pattern is None:
        return tuple(fields.get("choices", ()))
    found = sorted(path.stem for path in file.document.path.parent.glob(pattern))
    if not found or "choices" in fields:
        why = "both `choices` and `choices_from` are given" if found else f"there is no file {pattern}"
        raise file.error(f"{name}: {why}", "parameters", name, "choices_from")
    return tuple(found)


def _check_range(spec: Spec, file: Loaded) -> None:
    """Whether its limits and choices can be met at all."""
    where = ("parameters", spec.name)
    numbers = spec.element in {"int", "float"}
    if not numbers and (spec.minimum is not None or spec.maximum is not None):
        raise file.error(f"{spec.name}: {spec.element} has no minimum or maximum", *where)
    if None not in (spec.minimum, spec.maximum) and spec.minimum > spec.maximum:  # type: ignore[operator]
        raise file.error(f"{spec.name}: its minimum lies above its maximum", *where, "minimum")
    if wrong := [choice for choice in spec.choices if type(choice) is not _PLAIN[spec.element]]:
        raise file.error(f"{spec.name}: the choice {wrong[0]!r} is no {spec.element}", *where, "choices")


def _value(spec: Spec, value: Any, file: Loaded, where: str, *path: str) -> Value:
    try:
        return _declared(spec, value)
    except ValueError as error:
        raise file.error(f"{where}{error}", *path) from None


def _declared(spec: Spec, value: Any) -> Value:
    """A value as YAML gave it: exactly of the declared type, except that an int may stand for a float."""
    items = value if spec.is_list else [value]
    expected = _PLAIN[spec.element]
    if spec.element == "float":
        items = [float(item) if type(item) is int else item for item in items]
    if not isinstance(items, list) or any(type(item) is not expected for item in items):
        raise ValueError(f"{spec.name}: {value!r} is not {spec}")
    return _checked(spec, items, value)


def _read(spec: Spec, text: str) -> Value:
    """A value as the command line gave it; a list may be empty where a profile's is."""
    if spec.is_list and not text and [] in spec.profiles.values():
        return []
    parts = [part.strip() for part in text.split(",")] if spec.is_list else [text]
    try:
        return _checked(spec, [_READERS[spec.element](part) for part in parts], text)
    except ValueError:
        wrong = [part for part in parts if spec.choices and part not in map(str, spec.choices)]
        hint = did_you_mean(wrong[0][:80], map(str, spec.choices)) if wrong else ""
        raise UserError(f"{spec.name} must be {spec}, not {text[:80]!r}{hint}") from None


def _checked(spec: Spec, items: list[Any], given: Any) -> Value:
    low = -math.inf if spec.minimum is None else spec.minimum
    high = math.inf if spec.maximum is None else spec.maximum
    numbers = [item for item in items if spec.element in {"int", "float"}]
    outside = any(not low <= number <= high for number in numbers)
    repeated = len(set(items)) < len(items)
    if outside or repeated or (spec.choices and not set(items) <= set(spec.choices)):
        raise ValueError(f"{spec.name}: {given!r} is not {spec}")
    return items if spec.is_list else items[0]


def _int(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise ValueError(text)
    return int(text)


def _float(text: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?", text):
        raise ValueError(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _bool(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _str(text: str) -> str:
    if not text or len(text) > 1000 or not text.isprintable():
        raise ValueError(text)
    return text


_READERS: dict[str, Callable[[str], Scalar]] = {"int": _int, "float": _float, "bool": _bool, "str": _str}


def _unknown(name: str, schema: Schema, subject: str) -> str:
    listed = "".join(f"\n  {spec.name}: {spec} – {spec.help}" for spec in schema.parameters.values())
    return f"{name} is not a parameter of {subject}{did_you_mean(name, schema.parameters)}\nparameters:{listed}"
