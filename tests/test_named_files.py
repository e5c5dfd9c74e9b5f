"""Files that comments, docstrings and documents name are there: who moves a file moves its name."""

import ast
import fnmatch
import io
import re
import tokenize

import pytest
from places import BENCHMARKS, ROOT

ROOMS = ("fastseq", "src_c", "tests", "asv_benchmarks")
ENDINGS = (".py", ".pyx", ".pxd", ".c", ".h")
NAMED = re.compile(r"(?<![\w./<>*{-])((?:\w[\w.]*/)*\w+\.(?:py|pyx|pxd|c|h))(?![\w*>}(])")
# Of other projects.
FOREIGN = re.compile(r"keras/|python/ops/|layers/locally_connected/|pythread\.h$")
# What stands in code marks that is no file of the repository: made by a build, or the endings alone.
MADE = {"build/objects", ".pyx", "src_c/kernels/weights_<form>_inl.h", "weights_bf16_inl.h"}

pytestmark = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="a source distribution holds no benchmarks")


def files():
    """Paths of the sources and documents below the root; not those in folders that tools make, as asv's `.asv`."""
    paths = [path.relative_to(ROOT) for room in ROOMS for path in (ROOT / room).rglob("*")]
    found = {path.as_posix() for path in paths if not any(part.startswith((".", "__")) for part in path.parts[:-1])}
    return found | {path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*"), *(ROOT / ".ci").glob("*")]}


FILES = files()
TAILS = {path.split("/", cut)[-1] for path in FILES for cut in range(path.count("/") + 1)}


def exists(name):
    """Whether a file, or a folder, has this path or ends with it; `<word>` and `*` stand for anything."""
    pattern = re.sub(r"<\w+>", "*", name).rstrip("/")
    return pattern in TAILS or ("*" in pattern and bool(fnmatch.filter(TAILS, pattern)))


def words_of(path):
    """The comments and docstrings of a source, as one text; nothing of one that names no file at all."""
    text = path.read_text(encoding="utf-8")
    if not NAMED.search(text):  # taking all apart: 5 s
        return ""
    if path.suffix in (".c", ".h"):
        return "\n".join(re.findall(r"/\*.*?\*/", text, re.S))
    if path.suffix != ".py":
        return "\n".join(re.findall(r'#.*|""".*?"""', text, re.S if '"""' in text else 0))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found += [ast.get_docstring(node) or "" for node in ast.walk(ast.parse(text)) if isinstance(node, kinds)]
    return "\n".join(found)


def test_sources_name_files_that_are_there():
    sources = [name for name in sorted(FILES) if name.endswith(ENDINGS)]
    named = {source: set(NAMED.findall(words_of(ROOT / source))) for source in sources}
    assert len(sources) > 600 and sum(map(len, named.values())) > 200, "the sources are not where this test looks"
    lost = {source: sorted(name for name in names if not FOREIGN.match(name) and not exists(name))
            for source, names in named.items()}  # fmt: skip
    assert {source: names for source, names in lost.items() if names} == {}


DOCUMENTS = sorted(name for name in FILES if name.endswith(".md") and name != "CHANGELOG.md")  # that tells of the past


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_name_files_that_are_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    words = set(re.findall(r"`([\w./*<>-]+)`", text))
    endings = (*ENDINGS, ".sh", ".md", ".patch", "/")
    named = {word for word in words if word.endswith(endings) or word.startswith("tests/")}
    assert [word for word in sorted(named - MADE) if not exists(word)] == []


def test_what_is_read(tmp_path):
    """The tests above see what they are there to see."""
    source = tmp_path / "a.py"
    source.write_text('"""As gone.py, and x/gone.h."""\ny = "not/told.py"  # but b/gone.c is\n')
    assert NAMED.findall(words_of(source)) == ["b/gone.c", "gone.py", "x/gone.h"]
    source.with_suffix(".c").write_text('#include "not.h"\n/* As gone.py\n   says. */ int x; /* of b/gone.c */\n')
    assert NAMED.findall(words_of(source.with_suffix(".c"))) == ["gone.py", "b/gone.c"]
    source.with_suffix(".pyx").write_text('def f():\n    """As gone.py says."""\n    return 1  # b/gone.c\n')
    assert NAMED.findall(words_of(source.with_suffix(".pyx"))) == ["gone.py", "b/gone.c"]
    assert exists("test_named_files.py") and exists("tests/") and exists("tests/*/test_<name>.py")
    assert not exists("gone.py") and not exists("amed_files.py")
