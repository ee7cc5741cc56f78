"""Checks the locked dependencies for known vulnerabilities: `python -m deploy.audit`."""

import datetime as dt
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

__all__ = ["find_problems", "main"]

_ROOT = Path(__file__).parents[1]
_EXCEPTIONS = _ROOT / "deploy/audit-exceptions.toml"
_SERVICES = ("osv", "pypi")


def find_problems(
    dependencies: list[dict[str, Any]], exceptions: dict[str, dict[str, Any]], today: dt.date
) -> tuple[list[str], list[str]]:
    """Return the problems, and the names of the dependencies that the advisory service does not know.

    Args:
        dependencies: `dependencies` of pip-audit's JSON output.
        exceptions: Accepted advisories by id, each with `until` (last valid day) and `reason`.
        today: Current date. An expired exception is a problem, even if it is unused.
    """
    problems = [
        f"the exception of {advisory} expired on {entry['until']}: renew or remove it"
        for advisory, entry in exceptions.items()
        if entry["until"] < today
    ]
    unknown = [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]
    for dependency in dependencies:
        for advisory in dependency.get("vulns", ()):
            if exceptions.keys().isdisjoint({advisory["id"], *advisory["aliases"]}):
                fixed = ", ".join(advisory["fix_versions"]) or "no version"
                problems.append(
                    f"{dependency['name']} {dependency['version']}: {advisory['id']}, fixed in {fixed}"
                )
    return problems, unknown


def main() -> int:
    """Query the first reachable advisory service; return 1 if there are problems, else 0.

    An audit without a reachable service is reported and passes. With AUDIT_REQUIRED=true, as in the scheduled
    audit, it fails.
    """
    exceptions = tomllib.loads(_EXCEPTIONS.read_text())
    today = dt.datetime.now(dt.UTC).date()
    for service in _SERVICES:
        dependencies = _query(service)
        problems, unknown = find_problems(dependencies, exceptions, today)
        # A package index without advisories knows no dependency. If it knows some, the others are problems.
        if len(unknown) < len(dependencies):
            _echo(f"{service} checked {len(dependencies)} dependencies")
            return _report([*problems, *(f"{name}: {service} does not know it" for name in unknown)])
        _echo(f"{service} returned no result for {len(unknown) or 'any'} of the dependencies")
    _echo("NOT DONE: no advisory service was reachable; only the dates of the exceptions were checked")
    return max(_report(problems), int(os.environ.get("AUDIT_REQUIRED") == "true"))


def _echo(message: str) -> None:
    sys.stdout.write(f"audit: {message}\n")


def _report(problems: list[str]) -> int:
    for problem in problems:
        _echo(problem)
    return int(bool(problems))


def _query(service: str) -> list[dict[str, Any]]:
    """Return the dependencies in pip-audit's output, an empty list if the service is unreachable."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements.lock", "--disable-pip"]
    options = ["--require-hashes", "--vulnerability-service", service, "--format", "json"]
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [*command, *options, "--progress-spinner", "off"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not result.stdout:
        return []
    dependencies: list[dict[str, Any]] = json.loads(result.stdout)["dependencies"]
    return dependencies


if __name__ == "__main__":
    sys.exit(main())
