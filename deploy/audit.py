"""Compares the locked dependencies with the published advisories: `python -m deploy.audit`."""

import datetime as dt
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["judge", "main"]

_ROOT = Path(__file__).parents[1]
_EXCEPTIONS = _ROOT / "deploy/audit-exceptions.toml"
_SERVICES = ("osv", "pypi")


def judge(
    dependencies: list[dict[str, Any]], exceptions: dict[str, dict[str, Any]], today: dt.date
) -> tuple[list[str], list[str]]:
    """Return what is wrong, and the names of dependencies that the service knew nothing of.

    Args:
        dependencies: As pip-audit's JSON has them.
        exceptions: By the advisory's id, each with `until` (its last day) and `reason`.
        today: An exception past its last day is wrong by itself, used or not.
    """
    wrong = [
        f"the exception of {advisory} ended on {entry['until']}: decide anew"
        for advisory, entry in exceptions.items()
        if entry["until"] < today
    ]
    unknown = [found["name"] for found in dependencies if "skip_reason" in found]
    for found in dependencies:
        for advisory in found.get("vulns", ()):
            if exceptions.keys().isdisjoint({advisory["id"], *advisory["aliases"]}):
                fixed = ", ".join(advisory["fix_versions"]) or "no version"
                wrong.append(f"{found['name']} {found['version']}: {advisory['id']}, mended in {fixed}")
    return wrong, unknown


def main() -> int:
    """Ask the first service that answers; return 1 where something is wrong, else 0.

    That no service could be asked is said, and is no failure of the code: the audit on a
    schedule, on a machine that reaches one, sets AUDIT_REQUIRED=true, which makes it one.
    """
    exceptions = tomllib.loads(_EXCEPTIONS.read_text())
    today = dt.datetime.now(dt.UTC).date()
    for service in _SERVICES:
        dependencies = _ask(service)
        wrong, unknown = judge(dependencies, exceptions, today)
        # An index without advisories knows of none: that is no answer. Of some only, the rest is wrong.
        if len(unknown) < len(dependencies):
            _say(f"{service} was asked for {len(dependencies)} dependencies")
            return _report([*wrong, *(f"{name}: {service} does not know it" for name in unknown)])
        _say(f"{service} did not answer for {len(unknown) or 'any'} of the dependencies")
    _say("NOT DONE, no advisory service could be asked; only the exceptions' dates were checked")
    return max(_report(wrong), int(os.environ.get("AUDIT_REQUIRED") == "true"))


def _say(line: str) -> None:
    sys.stdout.write(f"audit: {line}\n")


def _report(wrong: list[str]) -> int:
    for line in wrong:
        _say(line)
    return int(bool(wrong))


def _ask(service: str) -> list[dict[str, Any]]:
    """Return pip-audit's findings, none where the service cannot be reached."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--disable-pip"]
    options = ["--require-hashes", "--vulnerability-service", service, "--format", "json"]
    result = subprocess.run(  # noqa: S603 - nothing in it comes from outside
        [*command, *options, "--progress-spinner", "off"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not result.stdout:
        return []
    found: list[dict[str, Any]] = json.loads(result.stdout)["dependencies"]
    return found


if __name__ == "__main__":
    sys.exit(main())
