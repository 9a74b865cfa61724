"""A frozen dataclass is its own schema: each setting has a name, a type, a default, a meaning."""

import ast
import inspect
import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from descant.core.errors import UserError

LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Setting:
    """One leaf of a configuration."""

    name: str
    """Dotted name, as in `algorithm.base.clip`."""
    kind: Any
    """Annotation of the field."""
    default: Any
    """Value when nobody says otherwise."""
    meaning: str
    """The sentence written under the field."""


def settings_of(config: Any, prefix: str = "") -> dict[str, Setting]:
    """All leaves of a dataclass and of those nested in it, by dotted name, in source order.

    Raises:
        UserError: a field has a type that cannot be written on a command line.
    """
    return {setting.name: setting for setting in _leaves(config, prefix)}


def build(config: Any, values: Mapping[str, Any], prefix: str = "") -> Any:
    """A copy of `config` with some leaves replaced, checked by `__post_init__` and `validate`.

    Raises:
        UserError: the dataclass does not take the values; the sentence starts with a dotted name.
    """
    changes = {}
    for name in _names(config):
        dotted = _join(prefix, name)
        old = getattr(config, name)
        if is_dataclass(old):
            changes[name] = build(old, values, dotted)
        elif dotted in values:
            changes[name] = values[dotted]
    try:
        built = replace(config, **changes)
        if hasattr(built, "validate"):
            built.validate()
    except (ValueError, UserError) as error:
        said = error.problems if isinstance(error, UserError) else [str(error)]
        raise UserError(*(_dotted(s, prefix, _names(config)) for s in said)) from error
    return built


def find(name: str, known: Iterable[str]) -> list[str]:
    """The known dotted names that `name` may stand for: itself, or those that only add nesting.

    `algorithm.clip` stands for `algorithm.base.clip` where there is no such setting at the top.
    """
    known = list(known)
    if name in known:
        return [name]
    root, _, rest = name.partition(".")
    return [k for k in known if rest and k.startswith(f"{root}.") and k.endswith(f".{rest}")]


def short(name: str, known: Iterable[str]) -> str:
    """The shortest dotted name that stands for `name` and for nothing else."""
    known = list(known)
    parts = name.split(".")
    shorter = (".".join([parts[0], *parts[i:]]) for i in range(len(parts) - 1, 0, -1))
    return next((s for s in shorter if find(s, known) == [name]), name)


def check(kind: Any, value: Any) -> Any:
    """`value` as the type `kind`.

    A whole number may stand for a number, a list for a tuple, and "none" for None.

    Raises:
        ValueError: the value is of another type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _choice(value, ((option, option) for option in arguments))
    if origin in (Union, UnionType):
        return _first(check, arguments, None if _says_none(value, arguments) else value)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(check(part, v) for part, v in zip(_parts(kind, value), value, strict=True))
    if kind is NoneType and value is None:
        return None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    if kind is int and type(value) is int and abs(value) <= LARGEST:
        return value
    if kind is bool and isinstance(value, bool):
        return value
    if kind is str and isinstance(value, str):
        value.encode()  # refuses, as a ValueError, what a UTF-8 file could not hold
        return value
    raise ValueError


def parse(kind: Any, text: str) -> Any:
    """`text`, as typed on a command line, as the type `kind`; commas, or two dots as in 10..100,
    separate a tuple's items.

    Raises:
        ValueError: the text does not read as that type.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _choice(text, ((spell(option), option) for option in arguments))
    if origin in (Union, UnionType):
        return None if _says_none(text, arguments) else _first(parse, arguments, text)
    if origin is tuple:
        inner = text.strip().removeprefix("[").removesuffix("]")
        inner = inner.replace("..", ",")
        items = [item.strip() for item in inner.split(",")] if inner.strip() else []
        return tuple(
            parse(part, item) for part, item in zip(_parts(kind, items), items, strict=True)
        )
    if kind is bool:
        return _choice(text, (("true", True), ("false", False)))
    if kind in (int, float):
        return check(kind, kind(text))
    return check(kind, text)


def expected(kind: Any) -> str:
    """A type in words: "a whole number", "one of 'slots', 'true'".

    Raises:
        TypeError: the type cannot be written on a command line.
    """
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    if kind in words:
        return words[kind]
    if kind is NoneType:
        return "none"
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(show(option) for option in arguments)}"
    if origin in (Union, UnionType):
        return " or ".join(expected(part) for part in arguments)
    if origin is tuple and len(arguments) == 2 and arguments[1] is ...:
        return f"a list, each {expected(arguments[0])}"
    if origin is tuple and arguments:
        return f"{len(arguments)} items ({', '.join(expected(part) for part in arguments)})"
    raise TypeError(kind)


def show(value: Any) -> str:
    """A value as it appears in messages, a text in quotes; long ones are cut."""
    if isinstance(value, dict):
        return "a table"
    text = repr(value) if isinstance(value, str) else spell(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def spell(value: Any) -> str:
    """A value as one would type it on a command line."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ",".join(spell(item) for item in value)
    return str(value)


@cache
def meanings(cls: type) -> dict[str, str]:
    """The sentence under each field of a dataclass, inherited ones too; read from the source."""
    found: dict[str, str] = {}
    for owner in reversed(cls.__mro__):
        if is_dataclass(owner):
            found |= _own_meanings(owner)
    return found


def _own_meanings(cls: type) -> dict[str, str]:
    try:
        source = inspect.getsource(cls)
    except (OSError, TypeError):  # made at run time: there is no source to read
        return {}
    (definition,) = ast.parse(textwrap.dedent(source)).body
    assert isinstance(definition, ast.ClassDef)  # noqa: S101  what getsource of a class returns
    found = {}
    for field, below in zip(definition.body, definition.body[1:], strict=False):
        match field, below:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found


def _leaves(config: Any, prefix: str) -> Iterator[Setting]:
    hints = get_type_hints(type(config))
    for name in _names(config):
        dotted, value = _join(prefix, name), getattr(config, name)
        if is_dataclass(value):
            yield from _leaves(value, dotted)
            continue
        try:
            expected(hints[name])
        except TypeError:
            raise UserError(
                f"{dotted}: a setting cannot be of type {hints[name]}; use int, float, bool, str, "
                "Literal, a tuple of these, `| None`, or a nested dataclass with a default."
            ) from None
        yield Setting(dotted, hints[name], value, meanings(type(config)).get(name, ""))


def _names(config: Any) -> list[str]:
    return [field.name for field in fields(config) if field.init]


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


def _dotted(sentence: str, prefix: str, names: list[str]) -> str:
    first = sentence.partition(":")[0]
    if first in names:
        return _join(prefix, sentence)
    root = prefix.partition(".")[0]
    return sentence if not root or first.split(".")[0] == root else f"{prefix}: {sentence}"


def _choice(value: Any, options: Iterable[tuple[Any, Any]]) -> Any:
    for said, option in options:
        if type(said) is type(value) and said == value:
            return option
    raise ValueError


def _says_none(value: Any, kinds: tuple[Any, ...]) -> bool:
    return NoneType in kinds and value == "none"


def _first(read: Any, kinds: tuple[Any, ...], value: Any) -> Any:
    for kind in kinds:
        try:
            return read(kind, value)
        except ValueError:
            continue
    raise ValueError


def _parts(kind: Any, items: Any) -> tuple[Any, ...]:
    arguments = get_args(kind)
    return (arguments[0],) * len(items) if arguments[1:] == (...,) else arguments


def _number(value: int | float | str) -> float:
    try:
        number = float(value)
    except OverflowError:
        raise ValueError from None
    if math.isnan(number):
        raise ValueError
    return number
