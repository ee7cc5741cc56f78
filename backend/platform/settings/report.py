"""Renders settings as text: the current values, and a Markdown table of all variables."""

from pydantic.fields import FieldInfo

from backend.platform.settings.base import SettingsGroup
from backend.platform.settings.types import mask_url

__all__ = ["describe_settings", "settings_table"]


def describe_settings(settings: SettingsGroup) -> list[str]:
    """Return `NAME=value` for each setting, with secrets masked."""
    return [f"{name.upper()}={_format_value(value)}" for name, value in settings.model_dump().items()]


def settings_table(group: type[SettingsGroup]) -> list[str]:
    """Return a Markdown table of all variables with default, meaning and range, one string per line."""
    rows = ["| Variable | Default | Meaning |", "| --- | --- | --- |"]
    for name, field in group.model_fields.items():
        value = field.get_default(call_default_factory=True, validated_data={})
        default = f"`{text}`" if (text := _format_value(value)) else ""
        rows.append(f"| `{name.upper()}` | {default} | {field.description}{_format_range(field)} |")
    return rows


def _format_value(value: object) -> str:
    if value is None:
        return ""
    text = ",".join(value) if isinstance(value, (list, tuple)) else str(value)
    # A path may contain bytes that are not UTF-8.
    return mask_url(text).encode(errors="backslashreplace").decode()


def _format_range(field: FieldInfo) -> str:
    """Return the range of a number as a sentence, an empty string for a setting without one."""
    limits = {
        name: getattr(each, name)
        for each in field.metadata
        for name in ("ge", "gt", "le")
        if hasattr(each, name)
    }
    lowest = f"above {limits['gt']}, up" if "gt" in limits else limits.get("ge")
    if lowest is None:
        return ""
    return f" Range: {lowest} to {limits['le']}." if "le" in limits else f" Minimum: {lowest}."
