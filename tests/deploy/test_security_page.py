"""SECURITY.md names tests and files that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_file_that_it_names_exists() -> None:
    named = re.findall(r"`((?:tests|backend|frontend|deploy|docs)/[\w./-]*)`", PAGE)
    assert len(named) >= 15
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_test_that_it_names_exists() -> None:
    functions = {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) >= 20
    assert named - functions == set()


def test_each_threat_to_accounts_has_a_test_for_each_defence() -> None:
    section = PAGE.partition("## Accounts and sessions")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| ([^|]*) ?\| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)[2:]
    threats = [threat.strip() for threat, _, _ in rows if threat.strip()]
    assert [threat.partition(" (")[0] for threat in threats] == [
        "script injection",
        "forged requests of another site",
        "session theft",
        "enumeration of accounts",
        "brute force",
    ]
    assert [defence for _, defence, test in rows if "`" not in test] == []
