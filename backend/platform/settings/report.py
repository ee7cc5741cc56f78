"""Describes settings: the values in force, and a table of all of them."""

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.types import mask_url

__all__ = ["describe_settings", "settings_table"]


def describe_settings(settings: SettingsGroup) -> list[str]:
    """Return a line `NAME=value` for each setting, secrets masked."""
    return [f"{name.upper()}={_shown(value)}" for name, value in settings.model_dump().items()]


def settings_table(group: type[SettingsGroup]) -> list[str]:
    """Return the lines of a Markdown table of every variable, with default and description."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for name, field in group.model_fields.items():
        default = f"`{shown}`" if (shown := _shown(field.default)) else ""
        rows.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return rows


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = ",".join(value) if isinstance(value, (list, tuple)) else str(value)
    # A path may have bytes that are not UTF-8.
    return mask_url(text).encode(errors="backslashreplace").decode()
