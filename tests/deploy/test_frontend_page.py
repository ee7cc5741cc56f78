"""What docs/frontend.md says of settings and keys is what the code has, and README shows the page first."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "frontend.md").read_text()
FRONTEND = ROOT / "frontend"


def rows(heading: str) -> dict[str, str]:
    """Return the second column of a table by its first."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return {row[0]: row[1] for row in re.findall(r"^\| (`[^|]+`) \| ([^|]*?) ?\|", section, re.MULTILINE)}


def test_every_setting_is_documented_with_its_default() -> None:
    source = (FRONTEND / "server" / "settings.ts").read_text()
    read = set(re.findall(r'\b(?:read|required|number|choice)\("([A-Z_]+)"', source))
    documented = [name for names in rows("Settings") for name in re.findall(r"`([A-Z_]+)`", names)]
    assert len(read) > 15
    assert sorted(documented) == sorted(read)
    for name, default in re.findall(r'number\("([A-Z_]+)", (\d+),', source):
        (cell,) = (cell for names, cell in rows("Settings").items() if f"`{name}`" in names)
        assert default in re.findall(r"\d+", cell), name


def test_keys_are_those_of_the_page() -> None:
    source = (FRONTEND / "src" / "pages" / "shortcuts.ts").read_text()
    (sentence,) = re.findall(r"^- Keys: (.*?)\. Single", PAGE, re.MULTILINE)
    shortcuts = re.findall(r'^  \["(\S+)", "', source, re.MULTILINE)
    assert re.findall(r"`(\S+)`", sentence) == shortcuts
    assert len(shortcuts) == 9


def test_settings_of_better_auth_are_those_of_the_code() -> None:
    source = (FRONTEND / "server" / "auth.ts").read_text()
    named = re.findall(r"^\| `([\w.]+)` \|", PAGE.partition("| Better Auth setting")[2], re.MULTILINE)
    assert len(named) >= 8
    for path in named:
        if path != "session.cookieCache":  # off by default
            assert all(re.search(rf"\b{name}\b", source) for name in path.split(".")), path
    assert "cookieCache" not in source


def test_readme_begins_with_a_picture_for_both_themes_and_one_command() -> None:
    first, _, _ = (ROOT / "README.md").read_text().partition("\n## ")
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', first)
    assert pictures == ["docs/images/page-dark.png", "docs/images/page-light.png"]
    assert all((ROOT / path).is_file() for path in pictures)
    assert re.findall(r"```sh\n(.*?)```", first, re.DOTALL) == ["make full\n"]
    assert "\nfull:" in (ROOT / "Makefile").read_text()
