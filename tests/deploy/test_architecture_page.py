"""The tables of layers in docs/architecture.md agree with the contracts in pyproject.toml."""

import tomllib
from pathlib import Path

from deploy.layer_table import PAGE, with_tables

ROOT = Path(__file__).parents[2]


def test_page_has_the_tables_of_the_contracts() -> None:
    page, pyproject = PAGE.read_text(), (ROOT / "pyproject.toml").read_text()
    assert page == with_tables(page, pyproject), "run `make docs`"
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    layered = [contract for contract in contracts if contract["type"] == "layers"]
    assert len(layered) == 2
    for contract in layered:
        for layer in (name.strip() for names in contract["layers"] for name in names.split("|")):
            assert f"\n| `{layer}` | " in page
