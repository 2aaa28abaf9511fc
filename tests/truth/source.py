"""Reads from the program's source where errors are made, and with which sentences.

An error is made in a function that answers it and does nothing else. A function with a parameter
called `sentence` leaves the wording to its callers: theirs are read where they call it.

Source: docs/decisions/0007-errors-as-functions.md; Python Language Reference, "ast".
"""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SENTENCE: Final = "sentence"
_ERROR: Final = "Ec2Error"
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unreadable(Exception):
    """A sentence that is not written out where it is used."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node of a module, with the function around it if there is one."""

    module: str
    tree: ast.Module
    function: Function | None
    node: ast.Call

    @property
    def name(self) -> str:
        inside = self.function.name if self.function else "(module)"
        return f"{self.module}:{inside}"


@dataclass(frozen=True, slots=True)
class Maker:
    """A function that answers an error."""

    module: str
    name: str
    parameters: tuple[str, ...]
    makes: bool
    """By itself, not by way of another."""

    @property
    def takes_sentence(self) -> bool:
        return SENTENCE in self.parameters


@functools.cache
def modules() -> Mapping[str, ast.Module]:
    """All modules of the program, by name."""
    found = {}
    for folder in ("ec2gw", "translators", "state"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = ast.parse(path.read_text())
    return found


@functools.cache
def makers() -> tuple[Maker, ...]:
    """The functions of modules that answer an error."""
    found = []
    for module, tree in modules().items():
        for one in tree.body:
            if isinstance(one, ast.FunctionDef) and _answers_error(one):
                names = [arg.arg for arg in (*one.args.args, *one.args.kwonlyargs)]
                makes = any(name_of(call) == _ERROR for call in _calls(one))
                found.append(Maker(module, one.name, tuple(names), makes))
    return tuple(found)


def strays() -> list[str]:
    """Where an error is made that no function of a module answers."""
    found = []
    for place in places():
        if name_of(place.node) == _ERROR:
            inside = place.function
            top = inside is not None and inside in place.tree.body
            if not top or inside is None or not _answers_error(inside):
                found.append(f"{place.name}: {ast.unparse(place.node)}")
    return found


@functools.cache
def places() -> tuple[Place, ...]:
    """Every call of the program."""
    return tuple(
        place for module, tree in modules().items() for place in _within(module, tree, None, tree)
    )


def _within(
    module: str, tree: ast.Module, function: Function | None, node: ast.AST
) -> Iterator[Place]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield Place(module, tree, function, child)
        inner = child if isinstance(child, Function) else function
        yield from _within(module, tree, inner, child)


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (one for one in ast.walk(node) if isinstance(one, ast.Call))


def name_of(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _answers_error(function: Function) -> bool:
    return function.returns is not None and ast.unparse(function.returns).endswith(_ERROR)


# -- the callers of a function that takes a sentence


def callers(maker: Maker) -> Iterator[tuple[Place, dict[str, list[str]]]]:
    """Who calls it, with all texts that each of its arguments may be.

    What is computed stands as a name in braces. Whoever only hands on a sentence of its own
    caller's is left out: that one is found itself.

    :raises Unreadable: for a sentence that is not written out
    """
    for place in places():
        if name_of(place.node) != maker.name or not _means(place, maker):
            continue
        given = dict(zip(maker.parameters, place.node.args, strict=False))
        given |= {one.arg: one.value for one in place.node.keywords if one.arg}
        handed_on = given.get(SENTENCE)
        if isinstance(handed_on, ast.Name) and handed_on.id == SENTENCE and _is_parameter(place):
            continue
        yield place, {name: list(_argument(place, name, node)) for name, node in given.items()}


def _means(place: Place, maker: Maker) -> bool:
    """Whether a call of that name is of this function and not of a namesake."""
    if place.module == maker.module:
        return True
    if isinstance(place.node.func, ast.Attribute):
        return ast.unparse(place.node.func.value).endswith(maker.module.rpartition(".")[2])
    return False


def _is_parameter(place: Place) -> bool:
    return place.function is not None and any(
        arg.arg == SENTENCE for arg in place.function.args.args
    )


def _argument(place: Place, name: str, node: ast.expr) -> Iterator[str]:
    try:
        yield from texts(place, node)
    except Unreadable:
        if name == SENTENCE:
            raise
        yield _placeholder(node)


def texts(place: Place, node: ast.expr) -> list[str]:
    """All texts that an expression may be.

    :raises Unreadable: what is not written out
    """
    match node:
        case ast.Constant(value=str() as text):
            return [text]
        case ast.JoinedStr(values=parts):
            return _joined(texts(place, part) for part in parts)
        case ast.FormattedValue(value=value):
            try:
                return texts(place, value)
            except Unreadable:
                return [_placeholder(value)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([_or_placeholder(place, left), _or_placeholder(place, right)])
        case ast.IfExp(body=body, orelse=orelse):
            return [*texts(place, body), *texts(place, orelse)]
        case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=elt)]):
            return texts(place, elt)
        case ast.Name(id=name):
            if found := [text for value in _assigned(place, name) for text in texts(place, value)]:
                return found
    raise Unreadable(f"{place.name}: {ast.unparse(node)}")


def _joined(parts: Iterator[list[str]] | list[list[str]]) -> list[str]:
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def _or_placeholder(place: Place, node: ast.expr) -> list[str]:
    try:
        return texts(place, node)
    except Unreadable:
        return [_placeholder(node)]


def _assigned(place: Place, name: str) -> Iterator[ast.expr]:
    """What was last assigned to the name in the function before, else in its module."""
    if place.function is not None:
        before = {
            one.lineno: list(_values(one, name))
            for one in ast.walk(place.function)
            if isinstance(one, ast.Assign | ast.AnnAssign) and one.lineno < place.node.lineno
        }
        if said := [line for line, assigned in before.items() if assigned]:
            yield from before[max(said)]
            return
    yield from (value for one in place.tree.body for value in _values(one, name))


def _values(node: ast.AST, name: str) -> Iterator[ast.expr]:
    pairs: list[tuple[ast.expr, ast.expr]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        pairs = [(node.target, node.value)]
    for target, value in pairs:
        if isinstance(target, ast.Name) and target.id == name:
            yield value
        elif isinstance(target, ast.Tuple):
            yield from _unpacked(target, value, name)


def _unpacked(target: ast.Tuple, value: ast.expr, name: str) -> Iterator[ast.expr]:
    sides = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
    for side in sides:
        if isinstance(side, ast.Tuple):
            for one, given in zip(target.elts, side.elts, strict=True):
                if isinstance(one, ast.Name) and one.id == name:
                    yield given


def _placeholder(node: ast.expr) -> str:
    name = ast.unparse(node)
    return f"{{{name}}}" if name.isidentifier() else "{value}"
