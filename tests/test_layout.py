"""The shape of the program, read from its source: which module may import which, and how long a file may be."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

STUDY = Path(__file__).resolve().parents[1] / "study"
FILES = sorted(STUDY.rglob("*.py"))
MAX_LINES = 500

# What each part may import of the program. A part without a rule fails: give it one.
BOTTOM = {"errors", "names", "events", "config", "paths", "retry", "terminal", "spreadsheet"}
ARROWS: dict[str, set[str]] = {
    "": set(),
    "errors": set(),
    "paths": {"errors"},
    "retry": {"errors"},
    "terminal": {"errors"},
    "spreadsheet": set(),
    "names": BOTTOM,
    "events": BOTTOM,
    "config": BOTTOM | {"grids"},
    "grids": set(),
    "nets": BOTTOM,
    "data": BOTTOM,
    "train": BOTTOM | {"nets", "data"},
    "tune": BOTTOM,
    "probe": BOTTOM | {"nets", "data", "train"},
    "track": BOTTOM,
    "statistics": {"errors"},
    "verdict": BOTTOM | {"statistics"},
    "report": BOTTOM | {"track", "statistics", "verdict"},
    "inference": BOTTOM | {"nets", "data", "train"},
    "launch": BOTTOM | {"train", "tune", "track", "data", "nets", "probe"},
}
ARROWS["python"] = BOTTOM | {"launch", "report", "track", "verdict"}
ARROWS["cli"] = set(ARROWS)  # the only part that may call everything
# The same within `launch`, between its sub-packages and modules.
LAUNCH: dict[str, set[str]] = {
    "": set(),
    "messages": set(),
    "environment": set(),
    "display": set(),
    "dataset_record": {"display"},
    "plan": {"environment"},
    "worker": {"messages"},
    "executors": {"messages", "environment", "plan", "worker"},
    "scheduler": {"messages", "environment", "display", "plan", "worker", "executors"},
    "estimate": {"messages", "environment", "plan", "worker", "executors", "scheduler"},
}
LAUNCH["proposal"] = {"display", "plan", "executors", "estimate"}
LAUNCH["run_grid"] = set(LAUNCH)
# Packages that only these parts may import, wherever in a file the import stands.
ONLY_IN = {
    "mlflow": {"track"},
    "optuna": {"tune"},
    "typer": {"cli"},
    "ray": {"launch"},
    "cryptography": {"launch"},
}
NO_TORCH = ("statistics", "verdict", "report", "track")


class Import(NamedTuple):
    """An import in a file: the module's dotted name, the line, whether it happens when the file is loaded."""

    module: str
    line: int
    at_load: bool


def module_name(path: Path) -> str:
    parts = path.relative_to(STUDY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in FILES}


def part(module: str) -> str:
    """Return the part of the program that a module belongs to: `nets` for `study.nets.blocks`."""
    name = module.split(".")[1] if "." in module else ""
    return "cli" if name == "__main__" else name


@cache
def imports(path: Path) -> tuple[Import, ...]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(walk(tree, module_name(path), path.name == "__init__.py", True))


def walk(node: ast.AST, module: str, is_package: bool, at_load: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, child.lineno, at_load) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            parents = module.split(".")[: -child.level + is_package or None] if child.level else []
            base = ".".join([*parents, *([child.module] if child.module else [])])
            for alias in child.names:
                # `from study import nets` imports a module, `from study.nets import build_net` a name.
                whole = f"{base}.{alias.name}"
                yield Import(whole if whole in MODULES else base, child.lineno, at_load)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from walk(child, module, is_package, False)
        else:
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, module, is_package, at_load and not inside)


def room(module: str) -> str:
    """Return the sub-package or module of its part that a module is in: `worker` for `study.launch.worker.process`."""
    names = module.split(".")
    return names[2] if len(names) > 2 else ""


def imported(module: str) -> set[str]:
    """Return the modules of the program that a module imports, a package only for what its `__init__` has."""
    return {name for name, _, _ in imports(MODULES[module]) if name in MODULES} - {module}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return the nodes that can be reached from themselves, one sorted list for each circle of imports."""
    reached = {node: reachable(node, graph) for node in graph}
    groups = {tuple(sorted(node for node in reached[start] if start in reached[node])) for start in graph}
    return [list(group) for group in sorted(groups) if group]


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    queue = list(graph[start])
    while queue:
        node = queue.pop()
        if node not in seen:
            seen.add(node)
            queue.extend(graph.get(node, ()))
    return seen


def loaded_with(module: str) -> set[str]:
    """Return all modules of any origin that importing a module of the program imports, as the source has it."""
    seen: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.startswith("study."):
            queue.append(name.rpartition(".")[0])  # a package's __init__ runs before its modules
        if name in MODULES:
            queue.extend(found.module for found in imports(MODULES[name]) if found.at_load)
    return seen


by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(STUDY)))


def test_the_walk_finds_what_it_should():
    code = "import a.b\nfrom . import x\nfrom ..y import z\ndef f():\n    import late\n"
    code += "if TYPE_CHECKING:\n    import typed\n"
    found = list(walk(ast.parse(code), "study.p.q", False, True))
    assert [(one.module, one.at_load) for one in found] == [
        ("a.b", True),
        ("study.p", True),
        ("study.y", True),
        ("late", False),
        ("typed", False),
    ]
    assert next(walk(ast.parse("from . import x"), "study.p", True, True)).module == "study.p"
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}}
    assert circles(graph) == [["b", "c"], ["d"]]
    # The two ways by which torch could come in: a file's own import, and that of a module it imports.
    assert "torch" in loaded_with("study.nets.blocks")
    assert "torch" in loaded_with("study.nets")
    assert "torch" not in loaded_with("study.config.load")


@by_file
def test_arrows_point_one_way(path):
    own = part(module_name(path))
    assert own in ARROWS, f"no rule says what study/{own} may import"
    allowed = ARROWS[own] | {own, ""}
    wrong = [
        f"line {line}: {module}"
        for module, line, _ in imports(path)
        if module.split(".")[0] == "study" and part(module) not in allowed
    ]
    assert not wrong


@pytest.mark.parametrize("module", [module for module in MODULES if part(module) == "launch"])
def test_arrows_within_launch_point_one_way(module):
    own = room(module)
    wrong = [name for name in imported(module) if part(name) == "launch" and room(name) not in LAUNCH[own] | {own, ""}]
    assert not wrong


def test_no_modules_import_each_other_in_a_circle():
    # Imports in functions and for type checkers count: whoever reads one module of a circle has to read all.
    assert circles({module: imported(module) for module in MODULES}) == []


@pytest.mark.parametrize("package", sorted({part(module) for module in MODULES} - {""}))
def test_no_subpackages_import_each_other_in_a_circle(package):
    rooms: dict[str, set[str]] = {}
    for module in MODULES:
        if part(module) == package:
            inside = {room(name) for name in imported(module) if part(name) == package}
            rooms.setdefault(room(module), set()).update(inside - {room(module), ""})
    assert circles(rooms) == []


@by_file
def test_packages_stay_where_they_belong(path):
    own = part(module_name(path))
    wrong = [
        f"line {line}: {module}"
        for module, line, _ in imports(path)
        if own not in ONLY_IN.get(module.split(".")[0], {own})
    ]
    assert not wrong


@pytest.mark.parametrize("module", [module for module in MODULES if part(module) in NO_TORCH])
def test_reading_results_needs_no_torch(module):
    # Neither when loaded, through whatever else is loaded with it, nor later in a function.
    roots = {name.split(".")[0] for name in loaded_with(module)}
    assert not roots & {"torch", "torchvision"}
    assert not {found.module.split(".")[0] for found in imports(MODULES[module])} & {"torch", "torchvision"}


@pytest.mark.parametrize(
    "path", [path for path in FILES if part(module_name(path)) == "cli"], ids=lambda path: path.name
)
def test_the_command_line_loads_nothing_heavy(path):
    # `study --help` must answer at once: heavy imports stand inside the commands.
    roots = {name.split(".")[0] for name in loaded_with(module_name(path))}
    assert not roots & {"torch", "torchvision", "mlflow", "optuna", "ray", "pandas", "matplotlib"}


@by_file
def test_files_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_LINES


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.name == "__init__.py"], ids=lambda path: str(path.relative_to(STUDY))
)
def test_an_init_holds_reexports_only(path):
    docstring, *rest = ast.parse(path.read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    assert isinstance(docstring.value, ast.Constant)
    assert isinstance(docstring.value.value, str)
    names = {"__all__"} | ({"__version__"} if path.parent == STUDY else set())
    for node in rest:
        if isinstance(node, ast.Assign):
            assert {ast.unparse(target) for target in node.targets} <= names
        elif not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            assert isinstance(node, ast.Import | ast.ImportFrom), ast.unparse(node)


@by_file
def test_a_file_opens_with_a_sentence(path):
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert docstring.split("\n\n")[0].rstrip().endswith((".", ":", "`", "?")), docstring.split("\n\n")[0]
