"""Writes the tables of layers in docs/architecture.md from the import-linter contracts: `python -m deploy.layer_table`."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["PAGE", "main", "with_tables"]

_ROOT = Path(__file__).parents[1]

PAGE = _ROOT / "docs" / "architecture.md"
"""The page that contains the tables, each between two comments."""

_TABLE = re.compile(r"(<!-- layers of (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(page: str, pyproject: str) -> str:
    """Return a page with each table of layers replaced by what the contracts say.

    A table stands between `<!-- layers of PACKAGE -->`, where PACKAGE is the container of a layers contract, and
    `<!-- end -->`. A row is a layer, its second column lists the layers that it may import, each further column tells
    whether it may import the external packages of one forbidden contract; `in part` means that some of its modules may.

    Args:
        page: In Markdown.
        pyproject: The text of a pyproject.toml with `[tool.importlinter]`.

    Raises:
        KeyError: No layers contract has such a container.
    """
    contracts: list[dict[str, Any]] = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    forbidden = [contract for contract in contracts if contract["type"] == "forbidden"]
    layers = {each["containers"][0]: each for each in contracts if each["type"] == "layers"}

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}{'\n'.join(_rows(match[2], layers[match[2]], forbidden))}\n{match[3]}"

    return _TABLE.sub(table, page)


def main() -> None:
    """Write the page."""
    PAGE.write_text(with_tables(PAGE.read_text(), (_ROOT / "pyproject.toml").read_text()))


def _rows(package: str, contract: dict[str, Any], forbidden: list[dict[str, Any]]) -> Iterator[str]:
    root = package.partition(".")[0]
    external = [each for each in forbidden if not _is_inside(root, each["forbidden_modules"][0])]
    headings = [", ".join(each["forbidden_modules"]) for each in external]
    yield f"| layer of `{package}` | may import |{''.join(f' {heading} |' for heading in headings)}"
    yield "| --- | --- |" + " --- |" * len(external)
    steps = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    for number, step in enumerate(steps):
        below = [name for names in steps[number + 1 :] for name in names]
        for name in step:
            module = f"{package}.{name}"
            allowed = filter(None, (_allowed(module, package, each, forbidden) for each in below))
            cells = "".join(f" {_permission(module, each)} |" for each in external)
            yield f"| `{name}` | {', '.join(allowed)} |{cells}"
    if exceptions := contract.get("ignore_imports"):
        yield f"\nExceptions: {', '.join(f'`{exception}`' for exception in exceptions)}."


def _allowed(module: str, package: str, layer: str, forbidden: list[dict[str, Any]]) -> str:
    """Return a lower layer with those parts of it that a module may not import; nothing if it may not import any."""
    target = f"{package}.{layer}"
    banned = {
        name
        for contract in forbidden
        if module in contract["source_modules"]
        for name in contract["forbidden_modules"]
    }
    if target in banned:
        return ""
    parts = ", ".join(f"`{name.rpartition('.')[2]}`" for name in sorted(banned) if _is_inside(target, name))
    return f"`{layer}` (not {parts})" if parts else f"`{layer}`"


def _permission(module: str, contract: dict[str, Any]) -> str:
    sources: list[str] = contract["source_modules"]
    if module in sources:
        return "no"
    return "in part" if any(_is_inside(module, source) for source in sources) else "yes"


def _is_inside(package: str, module: str) -> bool:
    return module.startswith(f"{package}.")


if __name__ == "__main__":
    main()
