"""Gives a clone of this repository the name of another service: `make rename NAME=notes`."""

import argparse
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath

import typer

__all__ = ["check_name", "main", "moves", "renamer"]

_ROOT = Path(__file__).parents[1]

_KEPT = ("CHANGELOG.md", "LICENSE", "docs/decisions/")
"""History under the old name, and the copyright notice, which the licence requires every copy to keep."""

_LABEL = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_LABEL_LENGTH = 63


def check_name(name: str) -> None:
    """Reject a name that cannot be a distribution, a command, a chart and a Kubernetes Service.

    Args:
        name: A DNS label (RFC 1123) that starts with a letter, as a Service's name does (RFC 1035).

    Raises:
        ValueError: It is not such a label; the text says what is allowed.
    """
    if not _LABEL.fullmatch(name) or len(name) > _LABEL_LENGTH:
        raise ValueError(
            f"NAME={name}: give a DNS label of at most {_LABEL_LENGTH} characters: lower-case letters and digits,"
            " a letter first, single hyphens between words, such as notes or order-history"
        )


def renamer(old: str, new: str) -> Callable[[str], str]:
    """Return a function that replaces each spelling of a service's name in a text.

    For `order-service` these are the name itself, `OrderService` before another word (the prefix of alerts), and
    `order service` in prose. Names of the domain stay: the class `OrderService`, its module `order_service` and the
    dependency `OrderServiceDep` of its routes.

    Args:
        old: A name of several words.
        new: Any name that `check_name` accepts.

    Raises:
        ValueError: `old` is one word, which the text may contain with another meaning.
    """
    if "-" not in old:
        raise ValueError(f"the name {old} is one word, which other text contains too; rename a new clone")
    patterns = {
        re.escape(old): new,
        rf"{_camel_case(old)}(?=[A-Z])(?!Dep\b)": _camel_case(new),
        _prose(old): _prose(new),
        _prose(old).capitalize(): _prose(new).capitalize(),
    }
    replacements = list(patterns.values())
    any_spelling = re.compile("|".join(f"({pattern})" for pattern in patterns))
    return lambda text: any_spelling.sub(lambda match: replacements[(match.lastindex or 1) - 1], text)


def moves(files: Iterable[str], rename: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield the moves that give files and folders their new names: a folder first, then what is in it.

    Args:
        files: Paths below one folder, with `/` between their parts.
        rename: Returns the new spelling of a part.
    """
    paths = {path for file in files for path in (PurePosixPath(file), *PurePosixPath(file).parents)}
    for path in sorted(paths, key=lambda path: (len(path.parts), path)):
        if path.name != rename(path.name):
            parent = PurePosixPath(rename(str(path.parent)))
            yield str(parent / path.name), str(parent / rename(path.name))


def main(arguments: list[str] | None = None) -> None:
    """Rename every tracked file of this repository and what it contains, but `_KEPT`."""
    parser = argparse.ArgumentParser(prog="make rename NAME=…")
    parser.add_argument("name", help="new name of the service, a DNS label such as notes")
    new = parser.parse_args(arguments).name
    old = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["name"]
    try:
        check_name(new)
        rename = renamer(old, new)
    except ValueError as error:
        parser.error(str(error))
    if _git("status", "--porcelain"):
        parser.error(
            "the working tree has changes; commit or remove them first, so that git can undo the rename"
        )
    if (_ROOT / f".{old}").exists():
        parser.error(f"remove .{old}, the development database of the old name, or rename a new clone")
    files = [file for file in _git("ls-files", "-z").split("\0") if file and not file.startswith(_KEPT)]
    changed = sum(_rewrite(_ROOT / file, rename) for file in files)
    moved = [_git("mv", source, target) for source, target in moves(files, rename)]
    typer.echo(f"Renamed {old} to {new} in {changed} files and moved {len(moved)} files and folders.")


def _camel_case(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _prose(name: str) -> str:
    return name.removesuffix("-service").replace("-", " ") + " service"


def _rewrite(path: Path, rename: Callable[[str], str]) -> bool:
    """Replace the name in a file; return whether it contained the name. A file that is not UTF-8, such as an image, stays."""
    content = path.read_bytes()
    try:
        renamed = rename(content.decode()).encode()
    except UnicodeDecodeError:
        return False
    path.write_bytes(renamed)
    return renamed != content


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout  # noqa: S603 - arguments are paths of this repository


if __name__ == "__main__":
    main()
