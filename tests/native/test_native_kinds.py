"""Numbers of kinds, and the sizes that C and Python share, are written in C alone: Python reads them from there."""

import ast
import re

import pytest
from places import ROOT

from fastseq.native import _native, kinds

# Fields of steps that name a kind, and what sizes are called: Python has no number for either.
KIND_FIELDS = {"kind", "reduction", "cell", "activation", "recurrent_activation"}
SIZES = re.compile(r"block|panel|hyper|kept|traced|kind|cell|reduction|scratch|product_|gates$", re.IGNORECASE)
# What has such a name and is neither: counts of bytes, of timesteps, of lines.
OTHERS = {"_STRUCTURE_KINDS"}


def numbers(node):
    """The numbers in an expression: literals, in tuples, lists and dicts as well, and what range() counts."""
    if isinstance(node, ast.Constant):
        return [node.value] if type(node.value) in (int, float) else []
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return [number for element in node.elts for number in numbers(element)]
    if isinstance(node, ast.Dict):
        return [number for value in node.values for number in numbers(value)]
    if isinstance(node, ast.IfExp):
        return numbers(node.body) + numbers(node.orelse)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
        return [number for argument in node.args for number in numbers(argument)]
    if isinstance(node, ast.BinOp):
        return numbers(node.left) + numbers(node.right)
    return []


def names(node):
    """Names that an assignment gives."""
    return [found.id for found in ast.walk(node) if isinstance(found, ast.Name)]


def written(source):
    """What of a source types a number of a kind, or a size, as text."""
    tree = ast.parse(source)
    found = []
    given = {}  # name -> its numbers, where a module gives it some
    for node in tree.body:
        if isinstance(node, ast.Assign) and numbers(node.value):
            for name in (name for target in node.targets for name in names(target)):
                given[name] = ast.unparse(node)
                if SIZES.search(name) and name not in OTHERS:
                    found.append(ast.unparse(node))
    for node in ast.walk(tree):
        steps = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "step"
        for keyword in node.keywords if steps else ():
            if keyword.arg in KIND_FIELDS:
                of_names = [given[name] for name in names(keyword.value) if name in given]
                if numbers(keyword.value) or of_names:
                    found.append(f"{keyword.arg}={ast.unparse(keyword.value)} {' '.join(of_names)}".strip())
    return found


def test_python_writes_no_number_of_a_kind_and_no_size():
    places = [path for path in sorted((ROOT / "fastseq").rglob("*.py")) if "saving" not in path.parts]
    assert len(places) > 100
    found = [f"{path.relative_to(ROOT)}: {one}" for path in places for one in written(path.read_text(encoding="utf-8"))]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "def f(p):\n    p.step('random', kind=0, count=3)\n",
        "_KEEP = 0\ndef f(p):\n    p.step('random', kind=_KEEP)\n",
        "_NUMBERS = {'lstm': 0, 'gru': 1}\ndef f(p, name):\n    p.step('general', cell=_NUMBERS[name])\n",
        "_A, _B = range(2)\ndef f(p, x):\n    p.step('hits', kind=_A if x else _B)\n",
        "def f(p, x):\n    p.step('hits', kind=1 if x else 0)\n",
        "_BLOCK = 32\n",
        "PANEL = 16\n",
        "_TRACED = {'lstm': (5, 1)}\n",
        "_NORM_BLOCK = 4 * 1024\n",
    ],
)
def test_such_a_number_is_found(source):
    assert written(source)


def test_what_is_read_from_c_is_not_found():
    source = "from fastseq.native.kinds import LOSS_KINDS\n_OF = {1: LOSS_KINDS['huber']}\n"
    assert written(source + "def f(p, n):\n    p.step('loss', kind=_OF[n], rows=3)\n") == []


def test_every_family_and_size_of_c_is_read():
    """By their names in C's lists; what Python has no use for is named here."""
    unused = {"choice"}
    text = (ROOT / "fastseq" / "native" / "kinds.py").read_text(encoding="utf-8")
    assert {name for name in _native.kinds() if f'"{name}"' not in text} == unused
    listed = re.findall(r"#define (FS_\w+|FS_CELL_CONSTANTS)", (ROOT / "src_c" / "abi" / "constants.h").read_text())
    assert "FS_PANEL" in listed
    cells = {f"FS_{cell.upper()}_" for cell in kinds.CELL_KINDS}
    sizes = {name for name in _native.constants() if not name.startswith(tuple(cells))}
    assert {name for name in sizes if name.removeprefix("FS_HYPER_") not in text and name not in text} == set()


def listed(macro, text):
    """The names in a list of kinds, and in the lists that it is made of."""
    (body,) = re.findall(rf"#define {macro}\(X\)((?:.*\\\n)+.*)", text)
    parts = re.findall(r"(FS_\w+)\(X\)", body)
    return [name for part in parts for name in listed(part, text)] or re.findall(r"\bX\(FS_\w+, (\w+)", body)


def test_names_of_kinds_are_those_of_c_in_order():
    """The lists in abi/kinds.h, read as text, are what the library says."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "src_c" / "abi").glob("*kinds.h")))
    families = dict(re.findall(r"F\((\w+), (FS_\w+)\)", text))
    assert set(families) == set(_native.kinds())
    for family, macro in families.items():
        if family == "activation":
            continue
        assert listed(macro, text) == list(_native.kinds()[family])
        assert list(_native.kinds()[family].values()) == list(range(len(_native.kinds()[family])))


def test_casts_have_the_dtypes_of_programs():
    dtypes = {"float32", "int32", "bool"}
    assert set(kinds.CASTS) == {(a, b) for a in dtypes for b in dtypes if a != b}
