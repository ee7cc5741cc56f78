"""What people paste from our pages, and a patch that they apply."""

import re
import textwrap
from pathlib import Path

__all__ = ["shell_blocks", "touched_files"]


def shell_blocks(page: Path) -> dict[str, list[str]]:
    """Return a page's blocks of shell by their heading."""
    parts = re.split(r"^## (.+)\n", page.read_text(), flags=re.MULTILINE)[1:]
    return {
        heading: [
            textwrap.dedent(block)
            for block in re.findall(r"^ *```sh\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        ]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


def touched_files(patch: Path) -> list[str]:
    """Return the paths of the files that a patch makes or changes."""
    return re.findall(r"^\+\+\+ b/(.+)$", patch.read_text(), re.MULTILINE)
