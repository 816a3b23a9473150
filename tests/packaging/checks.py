"""What must hold for the package's text, read from its syntax trees: who imports whom, what breaks a vendored copy.

Each check takes one module and yields what is wrong with it, a sentence each. :func:`problems` runs them all over a
package folder, so that the tests can give it the real one and one that is wrong on purpose.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "winsandbox"


@dataclass(frozen=True)
class Module:
    """One module of the package that is checked: ``name`` is relative to the package, ``_win32.ffi``."""

    name: str
    source: str
    package: Path
    is_package: bool

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @property
    def layer(self) -> str:
        """The sub-package, or for a module at the top its own name."""
        return self.name.partition(".")[0]

    def imports(self) -> Iterator[tuple[ast.stmt, str, int]]:
        """Each imported module with the number of dots before it; ``from . import a`` counts as an import of ``a``."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield node, alias.name, 0
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield node, node.module, node.level
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    yield node, alias.name, node.level

    def own_imports(self) -> Iterator[tuple[ast.stmt, str]]:
        """The package's modules that this one imports, relative to the package."""
        place = self.name.split(".") if self.name else []
        if not self.is_package:
            place = place[:-1]
        for node, name, level in self.imports():
            if level:
                yield node, ".".join([*place[: len(place) - level + 1], name])


def modules(package: Path) -> list[Module]:
    """All modules of the package folder *package*; the package itself has the name ``""``."""
    found = []
    for path in sorted(package.rglob("*.py")):
        parts = list(path.relative_to(package).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        found.append(Module(name, path.read_text("utf-8"), package, is_package))
    return found


Check = Callable[[Module], Iterator[tuple[ast.AST | int, str]]]

_PARTS = ("errors", "environment", "limits", "network", "_paths")
# A plan is decided from a policy and facts; _survey, which asks a Host for them, is not bound to these layers.
_PLANNING = ("_plan", "_verdicts")
_MODEL = (*_PARTS, "policy", "enforcement", "_security", "_host")
# Layer (or the beginning of its name, with a star) -> the only modules of ours that it may import.
LAYERS: dict[str, tuple[str, ...]] = {
    "_security": ("_security",),
    "errors": (),
    "enforcement": (),
    "environment": ("errors",),
    "limits": ("errors", "environment"),
    "_network_*": ("errors", "environment", "_network_*"),
    "network": ("errors", "environment", "limits", "_network_*"),
    "_paths": ("errors", "environment"),
    "policy": _PARTS,
    "_host": ("errors", "_security", "_win32"),  # _win32 where this system's own host is asked for, lazily
    **dict.fromkeys(_PLANNING, (*_MODEL, *_PLANNING, "_survey")),
    "_win32": ("errors", "environment", "_host", "_security", "_win32"),
}
_CTYPES = ("ctypes", "_ctypes")
# Standard modules that reach the operating system, in layers that are pure.
_IMPURE = ("os", "pathlib", "shutil", "subprocess", "socket", "threading", "sqlite3", "tempfile")
_PURE = ("_security", "_survey", *_PLANNING)
# They read the metadata or the files of an installed distribution, which a vendored copy has not.
_INSTALLED = ("importlib.metadata", "importlib.resources", "importlib_metadata", "pkgutil", "pkg_resources")


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    first = name.partition(".")[0]
    return any(first.startswith(p[:-1]) if p.endswith("*") else first == p for p in patterns)


def layers(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """Who may import whom (the layer rules of the design)."""
    for pattern, allowed in LAYERS.items():
        if _matches(module.layer, (pattern,)):
            for node, name in module.own_imports():
                if not _matches(name, allowed):
                    yield node, f"{pattern} may not import {name}"
    for node, name, level in module.imports():
        top = name.partition(".")[0]
        if not level and top in _CTYPES and module.layer != "_win32":
            yield node, "only _win32 imports ctypes"
        if not level and top in _IMPURE and module.layer in _PURE:
            yield node, f"{module.layer} is pure and may not import {name}"


def relative_imports(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """Absolute imports reach the standard library only, and nothing of an installed distribution's metadata."""
    for node, name, level in module.imports():
        if level:
            continue
        # _typeshed exists for type checkers only, which bring it along.
        if name.partition(".")[0] not in {*sys.stdlib_module_names, "_typeshed"}:
            yield node, f"{name} is not of the standard library; modules of ours are imported relatively"
        imported = [f"{name}.{alias.name}" for alias in node.names] if isinstance(node, ast.ImportFrom) else []
        if any(one == banned or one.startswith(f"{banned}.") for one in (name, *imported) for banned in _INSTALLED):
            yield node, f"{name} asks for an installed distribution, which a vendored copy is not"


def _docstrings(module: Module) -> set[int]:
    found = set()
    for node in module.nodes:
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found.add(id(first.value))
    return found


@cache
def _module_names(package: Path) -> re.Pattern[str]:
    own = re.escape(package.name)
    names = {path.stem for path in package.iterdir() if path.is_dir() or path.suffix == ".py"}
    return re.compile(rf"-m\s+{own}\b|\b{own}\.(?:{'|'.join(sorted(map(re.escape, names)))})\b")


def own_name(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """No module name of ours in a string that is used: it would name another copy, or none. Docstrings may."""
    own = re.escape(module.package.name)
    wrong = _module_names(module.package)
    documentation = _docstrings(module)
    loaders = {"import_module", "__import__", "getLogger", "find_spec", "run_module", "get_logger"}
    for node in module.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            if wrong.search(node.value):
                yield node, f"names a module of ours in a string (say __package__): {node.value!r}"
        elif isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0] if node.args else None
            if called in loaders and isinstance(first, ast.Constant) and first.value == module.package.name:
                yield node, f"names the package in a string given to {called}"
        elif isinstance(node, ast.List | ast.Tuple):
            values = [item.value if isinstance(item, ast.Constant) else None for item in node.elts]
            if any(a == "-m" and isinstance(b, str) and re.match(rf"{own}\b", b) for a, b in pairwise(values)):
                yield node, "names the package in a command line"


def rewritable(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """The vendoring tools rewrite lines, not syntax: no line of prose may look like an import of ours."""
    for number, line in enumerate(module.source.splitlines(), 1):
        if re.match(rf"\s*(?:import|from)\s+{re.escape(module.package.name)}\b", line):
            yield number, "a line that begins like an import of the package"


def foreign_attributes(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """Nothing imported is changed: other code in the process relies on it."""
    imported = set()
    for node in module.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
    for node in module.nodes:
        targets: list[ast.expr] = []
        if isinstance(node, ast.Assign | ast.Delete):
            targets = node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets = [node.target]
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("setattr", "delattr"):
            changed = getattr(node.args[0], "id", "") if node.args else ""
            if changed in imported:
                yield node, f"changes {changed}, which is not ours"
        for target in targets:
            for part in target.elts if isinstance(target, ast.Tuple | ast.List) else [target]:
                root: ast.expr = part
                while isinstance(root, ast.Attribute | ast.Subscript):
                    root = root.value
                if root is not part and isinstance(root, ast.Name) and root.id in imported:
                    yield part, f"changes {ast.unparse(part)}, which is not ours"


def survives_optimisation(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """-OO removes asserts and docstrings: no check stands in the one, nothing depends on the other.

    A wrapper may hand on the docstring of what it wraps, as functools.wraps does.
    """

    def documentation(node: ast.AST) -> bool:
        return getattr(node, "attr", getattr(node, "id", "")) == "__doc__"

    handed_on = set()
    for node in module.nodes:
        if isinstance(node, ast.Assign) and documentation(node.targets[0]) and documentation(node.value):
            handed_on |= {id(node.targets[0]), id(node.value)}
    for node in module.nodes:
        if isinstance(node, ast.Assert):
            yield node, "an assert, which -O removes; raise instead"
        elif documentation(node) and id(node) not in handed_on:
            yield node, "__doc__, which is None under -OO"


def platform_tests(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """sys.platform == "win32" is the platform test that mypy follows; the others hide code from it."""
    for node in module.nodes:
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.name", "platform.system"):
            yield node, f'{ast.unparse(node)}: mypy follows only sys.platform == "win32"'


def size(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """More than 500 lines are a decision, and the docstring gives the reason ("This module is long because ...")."""
    lines = len(module.source.splitlines())
    if lines > 500 and not re.search(r"\b(?:long|longer|lines|size)\b", ast.get_docstring(module.tree) or "", re.I):
        yield 1, f"{lines} lines, and the docstring does not say why it is so long"


def finished(module: Module) -> Iterator[tuple[ast.AST | int, str]]:
    """Nothing is left open in the text."""
    for number, line in enumerate(module.source.splitlines(), 1):
        for word in ("TO" + "DO", "FIX" + "ME", "XX" + "X"):
            if re.search(rf"\b{word}\b", line):
                yield number, f"{word} in the text"
    for node in module.nodes:
        if isinstance(node, ast.Raise) and node.exc is not None:
            raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            if ast.unparse(raised) == "NotImplemented" + "Error":
                yield node, f"raises {ast.unparse(raised)}"


CHECKS: tuple[Check, ...] = (
    layers,
    relative_imports,
    own_name,
    rewritable,
    foreign_attributes,
    survives_optimisation,
    platform_tests,
    size,
    finished,
)


def problems(package: Path) -> list[str]:
    """Everything that is wrong with the package folder *package*, as ``file:line: check: sentence``."""
    found = []
    for module in modules(package):
        name = module.name.replace(".", "/")
        path = "/".join(filter(None, [name, "__init__.py"])) if module.is_package else f"{name}.py"
        for check in CHECKS:
            for where, sentence in check(module):
                line = where if isinstance(where, int) else getattr(where, "lineno", 0)
                found.append(f"{path}:{line}: {check.__name__}: {sentence}")
    return found
