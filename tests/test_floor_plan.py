"""The house has floors: imports go down them only and never in a circle, and files and functions stay small.

CONTRIBUTING.md says what the rooms are for. What imports inside of functions counts too: it only comes later.
"""

import ast
import re
from pathlib import Path

import pytest
from places import BENCHMARKS, ROOT, TESTS

PACKAGE = ROOT / "fastseq"
# From the ground; what stands on one floor does not import each other. A room is a folder or a file of fastseq/.
FLOORS = [
    ["errors", "version"],
    ["requirements"],
    ["native"],
    ["tensors"],
    ["configs"],
    ["program"],
    ["gradients"],
    ["ops"],
    ["activations", "constraints", "initializers", "regularizers"],
    ["backend", "losses"],
    ["layers", "metrics", "optimizers"],
    ["data", "saving", "streaming"],
    ["callbacks", "decoding"],
    ["training"],
    ["models"],
    ["__init__"],
    ["demo"],
    ["cli"],
    ["__main__"],
]
MOST_FLAT_FILES = 10
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 60
CIMPORT = re.compile(r"\s*from (fastseq[\w.]*) c?import (.*)")


def sources(folder):
    return sorted(path for pattern in ("*.py", "*.pyx", "*.pxd") for path in folder.rglob(pattern))


def module_of(path, folder):
    """The dotted name of a module below the folder that holds it."""
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported_by(path, module):
    """[(module, name)] for each name that a file imports; name is None in `import module`."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        found = [match.groups() for match in map(CIMPORT.match, text.splitlines()) if match]
        return [(base, name.split(" as ")[0].strip(" ()")) for base, names in found for name in names.split(",")]
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = module if path.stem == "__init__" else module.rpartition(".")[0]
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found += [(base, alias.name) for alias in node.names]
    return found


def graph_of(folder, root):
    """{module: modules of `folder` that it imports}, by names below `root`."""
    files = {}
    for path in sources(folder):
        files.setdefault(module_of(path, root), []).append(path)
    graph = {}
    for module, paths in files.items():
        graph[module] = set()
        for base, name in (pair for path in paths for pair in imported_by(path, module)):
            found = f"{base}.{name}" if f"{base}.{name}" in files else base
            if found in files and found != module:
                graph[module].add(found)
    return graph


def circles(graph):
    """The sets of modules that import each other, by whatever ways (Tarjan 1972)."""
    numbers, lowest, stack, found = {}, {}, [], []

    def visit(module):
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for other in sorted(graph[module]):
            if other not in numbers:
                visit(other)
            if other in stack:
                lowest[module] = min(lowest[module], lowest[other])
        if lowest[module] == numbers[module]:
            start = stack.index(module)
            if len(stack) - start > 1:
                found.append(sorted(stack[start:]))
            del stack[start:]

    for module in graph:
        if module not in numbers:
            visit(module)
    return found


def room(module):
    return module.split(".")[1] if "." in module else "__init__"


def test_a_circle_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"f"}, "f": {"e"}}
    assert circles(graph) == [["a", "b", "c"], ["e", "f"]]


def test_no_circle():
    assert circles(graph_of(PACKAGE, ROOT)) == []


def test_no_circle_in_the_benchmarks():
    assert circles(graph_of(BENCHMARKS, BENCHMARKS)) == []


def test_every_room_has_a_floor():
    rooms = {room(module) for module in graph_of(PACKAGE, ROOT)}
    assert rooms == {name for floor in FLOORS for name in floor}


def test_no_import_runs_up():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    up = [
        f"{module} -> {other}"
        for module, imported in graph_of(PACKAGE, ROOT).items()
        for other in sorted(imported)
        if room(module) != room(other) and floor[room(other)] >= floor[room(module)]
    ]
    assert up == []


def test_few_files_lie_flat():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT_FILES
    assert list(PACKAGE.glob("*.p[xy][xd]")) == []


@pytest.mark.parametrize("folder", [PACKAGE, TESTS, BENCHMARKS], ids=lambda folder: folder.name)
def test_files_are_small(folder):
    large = {}
    for path in sources(folder):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MOST_LINES:
            large[str(path.relative_to(ROOT))] = count
    assert large == {}


@pytest.mark.parametrize("folder", [PACKAGE, TESTS, BENCHMARKS], ids=lambda folder: folder.name)
def test_functions_are_small(folder):
    large = {}
    for path in sources(folder):
        for name, count in functions(path):
            if count > MOST_LINES_OF_A_FUNCTION:
                large[f"{path.relative_to(ROOT)}: {name}"] = count
    assert large == {}


def functions(path):
    """(name, lines) of each function of a file, the ones inside others counted in them."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        return [(n.name, n.end_lineno - n.lineno + 1) for n in ast.walk(ast.parse(text)) if isinstance(n, kinds)]
    found, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        match = re.match(r"( *)(?:def|cdef|cpdef)\b[^=]*?(\w+)\(.*", line)
        if match:
            end = number + 1
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith(f"{match[1]} ")):
                end += 1
            found.append((match[2], len("\n".join(lines[number:end]).rstrip().splitlines())))
    return found


def test_what_is_counted(tmp_path):
    """The tests above see what they are there to see."""
    (tmp_path / "a.py").write_text("def f():\n    from p import b\n\n    return b\n")
    assert functions(Path(tmp_path, "a.py")) == [("f", 4)]
    assert imported_by(tmp_path / "a.py", "p.a") == [("p", "b")]
    text = "from fastseq.a cimport (c, d as e)\n\ncdef int f(int x):\n    return x\n\n\nx = 1\n"
    (tmp_path / "b.pyx").write_text(text)
    assert imported_by(tmp_path / "b.pyx", "b") == [("fastseq.a", "c"), ("fastseq.a", "d")]
    assert functions(tmp_path / "b.pyx") == [("f", 2)]
