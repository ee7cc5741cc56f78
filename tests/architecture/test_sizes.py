"""Size limits of files and functions, and a docstring for every module (docs/architecture.md)."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
BACKEND = sorted(path for path in (ROOT / "backend").rglob("*.py") if path.stat().st_size)
TESTS = sorted(path for path in (ROOT / "tests").rglob("*.py") if path.stat().st_size)


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def test_median_file_has_at_most_eighty_lines() -> None:
    assert median(map(lines, BACKEND)) <= 80


@pytest.mark.parametrize(("paths", "limit"), [(BACKEND, 250), (TESTS, 300)], ids=["backend", "tests"])
def test_no_file_exceeds_its_limit(paths: list[Path], limit: int) -> None:
    assert {str(path.relative_to(ROOT)): lines(path) for path in paths if lines(path) > limit} == {}


def test_no_function_is_longer_than_fifty_lines() -> None:
    too_long = {
        f"{path.relative_to(ROOT)}:{node.name}": length
        for path in BACKEND
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and (length := (node.end_lineno or 0) - node.lineno + 1) > 50
    }
    assert too_long == {}


def test_every_module_has_a_docstring() -> None:
    missing = [
        str(path.relative_to(ROOT)) for path in BACKEND if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert missing == []


def test_only_empty_init_files() -> None:
    assert [path for path in BACKEND if path.name == "__init__.py"] == []
