"""The stub says what the native part has: the same names, methods and parameters."""

from __future__ import annotations

import ast
import inspect
import pathlib
import re

import quire
from quire import _quire

STUB = pathlib.Path(quire.__file__).with_name("_quire.pyi")
# What only type checkers need.
ONLY_TYPES = {"FillKind", "Reason", "Tiers", "How", "Tokens", "UnitKey", "SegmentObserver"}
# Words of Python's that have no text of their own.
PLAIN = {"__enter__", "__exit__", "__len__", "__getitem__", "__iter__", "__bool__", "__init__", "__buffer__"}


def stub_classes() -> dict[str, ast.ClassDef]:
    tree = ast.parse(STUB.read_text())
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def members(node: ast.ClassDef) -> set[str]:
    names = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return names | {item.target.id for item in node.body if isinstance(item, ast.AnnAssign)}


def parameters(function: ast.FunctionDef) -> list[str]:
    given = function.args
    return [argument.arg for argument in (*given.args, *given.kwonlyargs) if argument.arg != "self"]


def native_parameters(member: object) -> list[str] | None:
    """By the signature that nanobind writes; None where it takes any keywords."""
    signature = getattr(member, "__nb_signature__", None)
    if signature is None or "**" in signature[0][0]:
        return None
    text = re.sub(r"\[[^\]]*\]", "", signature[0][0])
    names = re.findall(r"[(,]\s*(\w+)(?=\s*[:,)=])", text.split(" ->")[0])
    return [name for name in names if name != "self"]


def test_every_name_is_in_the_stub_and_back() -> None:
    classes = stub_classes()
    native = {name for name, value in vars(_quire).items() if isinstance(value, type) and name[0] != "_"}
    assert native == set(classes) - ONLY_TYPES


def test_every_member_is_in_the_stub_and_back() -> None:
    for name, node in stub_classes().items():
        if name in ONLY_TYPES:
            continue
        native = getattr(_quire, name)
        public = {member for member in vars(native) if not member.startswith("_")}
        assert public == {m for m in members(node) if not m.startswith("_")}, name
        for special in (m for m in members(node) if m.startswith("__")):
            assert hasattr(native, special) or special == "__buffer__", f"{name}.{special}"


def test_every_parameter_is_in_the_stub_in_its_order() -> None:
    checked = 0
    for name, node in stub_classes().items():
        for function in (item for item in node.body if isinstance(item, ast.FunctionDef)):
            member = inspect.getattr_static(getattr(_quire, name, None), function.name, None)
            member = getattr(member, "__func__", member)
            native = native_parameters(member)
            if native is None or function.name.startswith("__") and function.name != "__init__":
                continue
            assert native == parameters(function), f"{name}.{function.name}"
            checked += 1
    assert checked > 50


def test_the_options_of_sessions_are_the_stubs(client: quire.Client, layout: quire.Layout) -> None:
    (function,) = (
        item
        for item in stub_classes()["Client"].body
        if isinstance(item, ast.FunctionDef) and item.name == "open_session"
    )
    defaults = {
        argument.arg: ast.literal_eval(default)
        for argument, default in zip(function.args.kwonlyargs, function.args.kw_defaults)
        if not isinstance(default, ast.BinOp)
    }
    client.open_session(layout, max_tokens=1 << 20, **defaults).close()


def test_quire_has_what_the_native_part_has() -> None:
    for name in stub_classes().keys() - ONLY_TYPES:
        assert getattr(quire, name) is getattr(_quire, name)
        assert name in quire.__all__
    for name in quire.__all__:
        assert hasattr(quire, name)
