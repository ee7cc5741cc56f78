"""`task-service config`: the settings in force, or a table of all of them."""

from typing import Annotated

import typer

from backend.config import Settings, load_settings
from backend.db.address import check_addresses
from backend.setting_types import mask_url

__all__ = ["config", "settings_table"]


def config(
    *,
    table: Annotated[
        bool, typer.Option("--table", help="Describe every variable instead, in Markdown.")
    ] = False,
) -> None:
    """Print the settings in force, secrets masked."""
    if table:
        typer.echo("\n".join(settings_table()))
        return
    settings = load_settings()
    check_addresses(settings)
    for name, value in settings.model_dump().items():
        typer.echo(f"{name.upper()}={_shown(value)}")


def settings_table() -> list[str]:
    """Return the lines of docs/configuration.md's table."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = f"`{shown}`" if (shown := _shown(field.default)) else ""
        rows.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return rows


def _shown(value: object) -> str:
    if value is None:
        return ""
    text = ",".join(value) if isinstance(value, (list, tuple)) else str(value)
    # A path may have bytes that are no UTF-8.
    return mask_url(text).encode(errors="backslashreplace").decode()
