"""What a PowerShell text names: types, members, commands, functions. Read by tree-sitter.

Source: about_Type_Accelerators (Windows PowerShell 5.1); the grammar of tree-sitter-powershell.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import tree_sitter
import tree_sitter_powershell

_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))

ACCELERATORS = {
    "array": "System.Array",
    "bool": "System.Boolean",
    "byte": "System.Byte",
    "char": "System.Char",
    "datetime": "System.DateTime",
    "decimal": "System.Decimal",
    "guid": "System.Guid",
    "hashtable": "System.Collections.Hashtable",
    "int": "System.Int32",
    "int16": "System.Int16",
    "long": "System.Int64",
    "object": "System.Object",
    "ordered": "System.Collections.Specialized.OrderedDictionary",
    "sbyte": "System.SByte",
    "string": "System.String",
    "type": "System.Type",
    "uint16": "System.UInt16",
    "uint32": "System.UInt32",
    "uint64": "System.UInt64",
}
"""Short names of .NET types; those of PowerShell's own stand with `OF_POWERSHELL`."""

OF_POWERSHELL = {
    "AllowEmptyCollection",
    "AllowEmptyString",
    "CmdletBinding",
    "Parameter",
    "ScriptBlock",
    "bigint",
    "powershell",
    "pscustomobject",
    "scriptblock",
    "switch",
    "Microsoft.Management.Infrastructure.Serialization.CimSerializer",
    "Microsoft.Management.Infrastructure.Serialization.InstanceSerializationOptions",
    "System.Management.Automation.ErrorCategory",
    "System.Management.Automation.ErrorRecord",
    "System.Management.Automation.Language.NullString",
    "System.Management.Automation.LanguagePrimitives",
    "System.Management.Automation.Runspaces.InitialSessionState",
    "System.Management.Automation.Runspaces.RunspaceFactory",
    "System.Management.Automation.Runspaces.SessionStateFunctionEntry",
    "System.Management.Automation.Runspaces.SessionStateVariableEntry",
}
"""Types and attributes of System.Management.Automation 3.0, the assembly of Windows PowerShell
3.0 to 5.1, `bigint` (System.Numerics, an accelerator since 3.0), and what CimCmdlets stands on
(Microsoft.Management.Infrastructure): the table of .NET Framework does not hold them.
Source: learn.microsoft.com/dotnet/api, "powershellsdk-1.1.0" (5.1)."""


@dataclass(frozen=True, slots=True)
class Use:
    """A static member of a type; `arguments` is None where nothing is called."""

    type: str
    member: str
    arguments: int | None


@dataclass(slots=True)
class Named:
    """What a text names. `commands` has the parameters that each call passes by name."""

    types: set[str] = field(default_factory=set)
    statics: set[Use] = field(default_factory=set)
    members: set[str] = field(default_factory=set)
    keys: set[str] = field(default_factory=set)
    commands: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    functions: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def full_name(name: str) -> str:
    """A type's name in .NET's own spelling: accelerators resolved, `System.` in front, arity."""
    base, bracket, inner = name.removesuffix("[]").partition("[")
    base = base.strip()
    if bracket:
        return f"{full_name(base)}`{inner.count(',') + 1}"
    if base in OF_POWERSHELL:
        return base
    known = ACCELERATORS.get(base, base)
    return known if known.startswith("System.") else f"System.{known}"


def read(text: str) -> Named:
    """Everything that a text names, and what of it is no syntax."""
    named = Named()
    for node in _walk(_PARSER.parse(text.encode("utf-8")).root_node):
        _note(node, named)
    return named


def code(text: str) -> str:
    """The text without its comments and its verbatim strings: what is left is code."""
    data = bytearray(text.encode("utf-8"))
    for node in _walk(_PARSER.parse(bytes(data)).root_node):
        if node.type in ("comment", "verbatim_string_characters"):
            data[node.start_byte : node.end_byte] = b" " * (node.end_byte - node.start_byte)
    return data.decode("utf-8")


def _note(node: tree_sitter.Node, named: Named) -> None:
    if node.is_error or node.is_missing:
        named.faults.append(f"line {node.start_point[0] + 1}: {_text(node)[:80]}")
    elif node.type == "type_spec":
        named.types.add(full_name(_text(node)))
    elif node.type in ("member_access", "invokation_expression"):
        _note_member(node, named)
    elif node.type == "command":
        _note_command(node, named)
    elif node.type == "function_statement":
        named.functions[_text(_child(node, "function_name"))] = _text(node)
    elif node.type == "key_expression":
        named.keys.add(_text(node).strip("'\" "))
    elif node.type == "left_assignment_expression":
        named.keys |= {_text(one) for one in _walk(node) if one.type == "simple_name"}


def _note_member(node: tree_sitter.Node, named: Named) -> None:
    target, *_ = node.named_children
    member = next((one for one in node.named_children if one.type == "member_name"), None)
    if member is None or "$" in _text(member):
        return  # called by a variable: `$x.$step`
    if target.type != "type_literal":
        named.members.add(_text(member))
        return
    arguments = None
    if node.type == "invokation_expression":
        given = [one for one in _walk(_child(node, "argument_list")) if _is_argument(one, node)]
        arguments = len(given)
    if _text(target).endswith("[]]"):
        return  # `[byte[]]::new(8)`: every array type has it since Windows PowerShell 5.0
    type_ = full_name(_text(target).removeprefix("[").removesuffix("]"))
    named.statics.add(Use(type_, _text(member), arguments))


def _is_argument(node: tree_sitter.Node, call: tree_sitter.Node) -> bool:
    if node.type != "argument_expression":
        return False
    owner = node.parent
    while owner is not None and owner.type != "invokation_expression":
        owner = owner.parent
    return owner == call


def _note_command(node: tree_sitter.Node, named: Named) -> None:
    name = next((one for one in node.named_children if one.type == "command_name"), None)
    if name is None:
        return  # `& $do`: what it may be is checked when it runs
    elements = next((one for one in node.named_children if one.type == "command_elements"), None)
    parameters = [
        _text(one).removeprefix("-").removesuffix(":")
        for one in (elements.named_children if elements else ())
        if one.type == "command_parameter"
    ]
    named.commands.append((_text(name), tuple(parameters)))
    if _text(name) == "New-Object" and elements is not None:
        generic = next(one for one in elements.named_children if one.type == "generic_token")
        count = sum(one.type == "argument_expression" for one in _walk(elements))
        inner = sum(
            one.type == "argument_expression" and _nested(one, elements) for one in _walk(elements)
        )
        named.statics.add(Use(full_name(_text(generic)), "new", count - inner))


def _nested(node: tree_sitter.Node, top: tree_sitter.Node) -> bool:
    """Whether the argument belongs to a call inside `top`."""
    owner = node.parent
    while owner is not None and owner != top:
        if owner.type == "invokation_expression":
            return True
        owner = owner.parent
    return False


def _walk(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    yield node
    for child in node.children:
        yield from _walk(child)


def _child(node: tree_sitter.Node, kind: str) -> tree_sitter.Node:
    return next(one for one in node.named_children if one.type == kind)


def _text(node: tree_sitter.Node) -> str:
    return (node.text or b"").decode("utf-8")
