"""The house has floors: imports go down them only and never in a circle, and files and functions stay small.

CONTRIBUTING.md says what the rooms are for. What imports inside of functions counts too: it only comes later. What is
imported by a string, importlib.import_module(...), is no statement that stands anywhere; `BY_NAME` has all of it.
"""

import ast
import collections
import re

import pytest
from places import BENCHMARKS, ROOT, SUPPORT, TESTS

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
# Cython's imports, of Python's modules and of its own; names in brackets may stand on several lines.
FROM = re.compile(r"^[ \t]*from[ \t]+([\w.]+)[ \t]+c?import[ \t]+(\([^)]*\)|.*)", re.MULTILINE)
PLAIN = re.compile(r"^[ \t]*c?import[ \t]+(.*)", re.MULTILINE)
# Module -> what it imports by a string, and why. A module of a floor below is imported by a statement, which is seen.
BY_NAME = {
    "fastseq.requirements": "packages of other projects",
    "fastseq.native.built": "the extensions, which it looks at before one is imported",
    "fastseq.tensors.copyable": "saving/copying.py, above, which says its name here",
    "fastseq.tensors.operators": "fastseq.ops, above: an operator is a function of ops",
    "fastseq.configs.lazy_names": "what the tables of a package name, in this package",
    "fastseq.configs.tables": "the tables of the rooms above, which names in files are looked up in",
    "fastseq.program.gradient_rules": "rules of the rooms above, by the names that these registered",
    "fastseq.ops.files": "the functions of its own package, which are a table of names",
    "fastseq.ops.numpy_protocol": "the functions of its own package, which are a table of names",
    "fastseq.activations.on_arrays": "its own package, whose table has what this file makes",
    "fastseq.backend.graphs": "fastseq.models, above: Keras 2's backend.function is a model",
    "fastseq.demo.run": "Keras, where it is there",
}


def sources(folder):
    """The Python and Cython files of a folder, or a file alone."""
    found = (path for pattern in ("*.py", "*.pyx", "*.pxd") for path in folder.rglob(pattern))
    return [folder] if folder.is_file() else sorted(found)


def module_of(path, folder):
    """The dotted name of a module below the folder that holds it."""
    name = ".".join(path.relative_to(folder).with_suffix("").parts)
    return name.removesuffix(".__init__")


def imported_by(path, module):
    """[(module, name)] for each name that a file imports; name is None in `import module`."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return _imported_by_cython(text, package)
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute("." * node.level + (node.module or ""), package)
            found += [(base, alias.name) for alias in node.names]
    return found


def _imported_by_cython(text, package):
    def words(names):
        names = re.sub(r"#.*", "", names).strip(" ()\n").split(",")
        return [name.split(" as ")[0].strip() for name in names if name.strip()]

    found = [(_absolute(base, package), name) for base, names in FROM.findall(text) for name in words(names)]
    return found + [(name, None) for names in PLAIN.findall(text) for name in words(names)]


def _absolute(name, package):
    """The module that `from name import` in a file of the package means."""
    words = name.lstrip(".")
    level = len(name) - len(words)
    above = package.split(".")[: len(package.split(".")) - level + 1] if level else []
    return ".".join([*above, *([words] if words else [])])


def imported_by_a_string(path):
    """What a file imports by importlib.import_module() and its like, each as it is written."""
    if path.suffix != ".py":
        return re.findall(r"(?:import_module|__import__|find_spec)\(([^)]*)", path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    names = ("import_module", "__import__", "find_spec")
    return [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func).endswith(names) and call.args]


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


@pytest.mark.parametrize("folder", [BENCHMARKS, SUPPORT], ids=lambda folder: folder.name)
def test_no_circle_in_the_benchmarks_and_in_what_tests_share(folder):
    graph = graph_of(folder, folder)
    assert len(graph) > 40 and sum(map(len, graph.values())) > 20, "the sources are not where this test looks"
    assert circles(graph) == []


def test_what_is_imported_by_a_string():
    """Such an import may run up, as that of a table or of a user's word, and is told. None runs down."""
    found = {}
    for path in sources(PACKAGE):
        if names := imported_by_a_string(path):
            found[module_of(path, ROOT)] = names
    assert set(found) == set(BY_NAME)
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    down = [(module, name) for module, names in found.items() for name in names
            if (match := re.match(r"'fastseq\.(\w+)", name)) and floor[match[1]] < floor[room(module)]]  # fmt: skip
    assert [pair for pair in down if pair[0] != "fastseq"] == []


def test_every_room_has_a_floor():
    rooms = {room(module) for module in graph_of(PACKAGE, ROOT)}
    assert rooms == {name for floor in FLOORS for name in floor}


def test_contributing_says_what_every_room_owns():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", text[text.index("\n## Where things are") :], re.MULTILINE)
    told = {name.split("/")[0].removesuffix(".py") for row in rows for name in re.findall(r"`([^`]+)`", row)}
    rooms = {room(module) for module in graph_of(PACKAGE, ROOT)} - {"__init__", "__main__"}
    assert rooms - told == set()


def test_no_import_runs_up():
    floor = {name: number for number, names in enumerate(FLOORS) for name in names}
    up = [
        f"{module} -> {other}"
        for module, imported in graph_of(PACKAGE, ROOT).items()
        for other in sorted(imported)
        if room(module) != room(other) and floor[room(other)] >= floor[room(module)]
    ]
    assert up == []


def test_no_two_files_of_tests_have_one_name():
    """pytest imports them by their names alone: a run of both would end before it begins."""
    names = collections.Counter(path.name for path in TESTS.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []


def test_few_files_lie_flat():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_FLAT_FILES
    assert list(PACKAGE.glob("*.p[xy][xd]")) == []


@pytest.mark.parametrize("folder", [PACKAGE, TESTS, BENCHMARKS, ROOT / "setup.py"], ids=lambda folder: folder.name)
def test_files_are_small(folder):
    large = {}
    for path in sources(folder):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > MOST_LINES:
            large[str(path.relative_to(ROOT))] = count
    assert large == {}


@pytest.mark.parametrize("folder", [PACKAGE, TESTS, BENCHMARKS, ROOT / "setup.py"], ids=lambda folder: folder.name)
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
            inside = (f"{match[1]} ", f"{match[1]})")  # the brackets around the arguments may end on their own line
            while end < len(lines) and (not lines[end].strip() or lines[end].startswith(inside)):
                end += 1
            found.append((match[2], len("\n".join(lines[number:end]).rstrip().splitlines())))
    return found


def test_what_is_counted(tmp_path):
    """The tests above see what they are there to see."""
    source = tmp_path / "a.py"
    source.write_text("def f():\n    from p import b\n    from .. import c\n    import q.d\n\n    return b\n")
    assert functions(source) == [("f", 6)]
    assert imported_by(source, "p.r.a") == [("p", "b"), ("p", "c"), ("q.d", None)]
    source.write_text("import importlib\nimportlib.import_module(f'p.{x}')\n__import__('q')\nf('r')\n")
    assert imported_by_a_string(source) == ["f'p.{x}'", "'q'"]


def test_what_is_counted_of_cython(tmp_path):
    source = tmp_path / "b.pyx"
    text = "from fastseq.a cimport (\n    c,  # why\n    d as e)\n\ncdef int f(int x):\n    return x\n\n\nx = 1\n"
    source.write_text(text)
    assert imported_by(source, "b") == [("fastseq.a", "c"), ("fastseq.a", "d")]
    assert functions(source) == [("f", 2)]
    source.write_text("def f(\n    x,\n):\n    from ..a import b\n    import p, q.r as s\n    return x\ncimport t.u\n")
    assert functions(source) == [("f", 6)]
    assert imported_by(source, "p.r.b") == [("p.a", "b"), ("p", None), ("q.r", None), ("t.u", None)]
    source.write_text("def f():\n    return importlib.import_module('p')\n")
    assert imported_by_a_string(source) == ["'p'"]
