"""The shares of unit, integration and contract tests."""

import ast
from pathlib import Path

TESTS = Path(__file__).parents[1]
FOLDERS = ("unit", "integration", "contract")
MIN_UNIT_SHARE = 0.55
"""May only increase."""


def count_of(folder: str) -> int:
    """Return the number of test functions; a parametrized one counts once."""
    return sum(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        for path in (TESTS / folder).rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    )


def test_unit_tests_have_the_minimum_share() -> None:
    counts = {folder: count_of(folder) for folder in FOLDERS}
    total = sum(counts.values())
    report = ", ".join(f"{folder} {count} ({count / total:.0%})" for folder, count in counts.items())
    print(report)
    assert counts["unit"] / total >= MIN_UNIT_SHARE, report
