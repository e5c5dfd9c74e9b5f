"""The floors of src_c: what a file includes lies beside or below it, nothing goes in a circle, and files stay small."""

import re

import pytest
from places import BENCHMARKS, ROOT, TESTS

SOURCES = ROOT / "src_c"
FILES = {str(path.relative_to(SOURCES)): path for path in sorted(SOURCES.rglob("*.[ch]"))}

# From the ground up. A pattern is a folder or a file of one; the first that matches a file is its floor.
FLOORS = [
    ("abi",),
    ("simd",),
    ("threads",),
    ("run/share.h", "run/kernel_table.h", "run/plan.h"),  # what kernels are told
    ("kernels",),
    ("isa",),
    ("run",),
    ("decode",),
]
MOST_LINES, MOST_COLUMNS = 400, 120
MOST_LINES_OF_A_FUNCTION = 60


def floor(name):
    """The number of a file's floor."""
    for pattern in (name, name.partition("/")[0]):
        for number, patterns in enumerate(FLOORS):
            if pattern in patterns:
                return number
    raise AssertionError(f"src_c/{name} stands on no floor: FLOORS of this test lists them")


def includes(text):
    """What a source includes of this project, as written."""
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, flags=re.MULTILINE)


def functions(text):
    """(first line, lines) of every function: the house's style has their braces in the first column.

    Labels of cases do not count: a switch over all activations is a table, a row for each.
    """
    lines = text.splitlines()
    begin = None
    for number, line in enumerate(lines):
        if line == "{":
            begin = number - 1
            while lines[begin].startswith(" "):
                begin -= 1
        elif line == "}" and begin is not None:
            yield lines[begin], sum(not re.match(r" +(case .*|default):", line) for line in lines[begin : number + 1])
            begin = None


def upwards(graph):
    """(file, included) pairs that lead to a higher floor."""
    return [(name, other) for name, others in graph.items() for other in others if floor(other) > floor(name)]


def circle(graph):
    """Files that include each other in a circle, or None."""
    done, under_way = set(), []

    def visit(name):
        if name in under_way:
            return [*under_way[under_way.index(name) :], name]
        if name in done:
            return None
        under_way.append(name)
        found = next((found for other in graph[name] if (found := visit(other))), None)
        under_way.pop()
        done.add(name)
        return found

    return next((found for name in graph if (found := visit(name))), None)


@pytest.fixture(scope="module")
def graph():
    found = {name: includes(path.read_text(encoding="utf-8")) for name, path in FILES.items()}
    assert len(found) > 60 and sum(map(len, found.values())) > 100, "the sources are not where this test looks"
    return found


def test_includes_are_written_from_src_c(graph):
    assert [(name, other) for name, others in graph.items() for other in others if other not in FILES] == []


def test_every_file_stands_on_a_floor_and_every_floor_has_files():
    assert {floor(name) for name in FILES} == set(range(len(FLOORS)))
    assert [pattern for patterns in FLOORS for pattern in patterns if not (SOURCES / pattern).exists()] == []


def test_no_include_runs_up(graph):
    assert upwards(graph) == []


def test_no_circle(graph):
    assert circle(graph) is None


def test_threads_know_nothing_of_steps():
    """The floor `threads` may include the C ABI; what a step is it does not ask."""
    told = re.compile(r"\bfs_(step|share|extent|kernel\w*|recurrent\w*)\b|\bFS_OP")
    assert [name for name in FILES if name.startswith("threads/") and told.search(FILES[name].read_text())] == []


def test_an_instruction_set_is_words_bodies_and_table(graph):
    for name, found in graph.items():
        if re.fullmatch(r"isa/isa_\w+\.c", name):
            words = f"simd/simd_{name[8:-2]}.h"
            assert found == [words, "kernels/kernels_inl.h", "isa/kernel_list.h"]


def macros(text):
    """(first line, lines) of every macro of several lines."""
    lines, begin = text.splitlines(), None
    for number, line in enumerate(lines):
        if begin is None and re.match(r"\s*#\s*define\b", line):
            begin = number
        if begin is not None and not line.endswith("\\"):
            yield lines[begin], number - begin + 1
            begin = None


def test_files_functions_and_macros_stay_small():
    """Those of the tests and the benchmarks too."""
    beside = [path for folder in (TESTS, BENCHMARKS) for path in sorted(folder.rglob("*.[ch]"))]
    files = FILES | {str(path.relative_to(ROOT)): path for path in beside}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    assert [name for name, text in texts.items() if len(text.splitlines()) > MOST_LINES] == []
    assert [name for name, text in texts.items() if max(map(len, text.splitlines())) > MOST_COLUMNS] == []
    found = [(name, *function) for name, text in texts.items() for function in functions(text)]
    assert len(found) > 300
    found += [(name, *macro) for name, text in texts.items() for macro in macros(text)]
    assert [one for one in found if one[2] > MOST_LINES_OF_A_FUNCTION] == []


def work_factors(text):
    """(operation, whether its text says what was measured) of each extent whose work has a number in it."""
    for head, name, body in re.findall(
        r"((?:/\*(?:(?!\*/).)*\*/\n)?)^FS_EXTENT\((\w+)\)(.*?)(?=\n\n|\Z)", text, re.M | re.S
    ):
        code = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        works = re.findall(r"row_work [*+]?= (.*?);", code, re.S)
        if any(re.search(r"(?<![\w.])(?!0\.0\b)\d+(\.\d+)?(?![\w.])", work) for work in works):
            yield name, "measured" in head + body


def test_work_factors_are_measured():
    found = [pair for name in FILES if name.startswith("run/extents") for pair in work_factors(FILES[name].read_text())]
    assert len(found) > 30
    assert [name for name, is_measured in found if not is_measured] == []


def test_kernels_that_look_for_signals_are_those_whose_rows_say_so():
    """A body asks FS_STOPS itself, or runs one of the walks over timesteps that do."""
    rows = re.findall(
        r"^    OP\(\w+, (\w+), \w+, \w+, (LOOKS|PIECES)\)", FILES["abi/ops.h"].read_text(), flags=re.MULTILINE
    )
    assert len(rows) > 40
    texts = {name: path.read_text() for name, path in FILES.items() if name.startswith("kernels/")}
    walks = {
        "fs_recurrence(": "kernels/recurrent_inl.h",
        "fs_back(": "kernels/recurrent_backward_inl.h",
        "fs_general_back_rows(": "kernels/recurrent_general_backward_inl.h",
    }
    assert all("FS_STOPS(" in texts[name] for name in walks.values())
    for operation, said in rows:
        (body,) = re.findall(rf"^static int fs_{operation}\(const .*?^}}", "\n".join(texts.values()), re.M | re.S) or [
            ""
        ]
        looks = "FS_STOPS(" in body or any(walk in body for walk in walks)
        assert looks == (said == "LOOKS"), operation


# ---- the readers above see what they are to find ---------------------------------------------------------------------


def test_a_circle_and_an_include_that_runs_up_are_found():
    graph = {"abi/a.h": ["threads/b.h"], "threads/b.h": ["threads/c.h"], "threads/c.h": ["abi/a.h"]}
    assert circle(graph) == ["abi/a.h", "threads/b.h", "threads/c.h", "abi/a.h"]
    assert upwards(graph) == [("abi/a.h", "threads/b.h")]
    with pytest.raises(AssertionError, match="no floor"):
        floor("attic/d.h")


def test_work_factors_without_a_measurement_are_found():
    text = """/* measured: 3 */
FS_EXTENT(a) { extent->row_work = (double)a->n * 3; }

FS_EXTENT(b) { extent->row_work = (double)a->n * 3.5; } /* so many */

FS_EXTENT(c)
{
    /* measured 4 */
    extent->row_work = 4;
}

FS_EXTENT(d) { extent->row_work = (double)a->n; }
"""
    assert list(work_factors(text)) == [("a", True), ("b", False), ("c", True)]


def test_the_length_of_a_function_counts_its_head():
    text = "int a;\n\nint f(int x,\n      int y)\n{\n    switch (x) {\n    case 1:\n        return y;\n    }\n}\n"
    assert list(functions(text)) == [("int f(int x,", 7)]
    text = "#define A 1\n#  define B(x) \\\n    x \\\n    + 1\n#if A \\\n    && B\n#endif\n"
    assert list(macros(text)) == [("#define A 1", 1), ("#  define B(x) \\", 3)]
    assert includes('#include "run/plan.h"\n  #  include "b.h"\n#include <math.h>\n') == ["run/plan.h", "b.h"]
