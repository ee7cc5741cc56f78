"""Checks the locked dependencies for known vulnerabilities: `python -m deploy.audit`."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Any

__all__ = ["find_npm_problems", "find_problems", "main"]

_ROOT = Path(__file__).parents[1]
_EXCEPTIONS = _ROOT / "deploy/audit-exceptions.toml"
_SERVICES = ("osv", "pypi")
_VULNERABLE = ("lodash", "4.17.15")
"""A package of npm with known advisories (GHSA-p6mc-m468-83gw and others)."""


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


def find_npm_problems(report: dict[str, Any], exceptions: Collection[str]) -> list[str]:
    """Return the problems that a report of `npm audit --json` (auditReportVersion 2) has.

    Args:
        report: The report. A package without an advisory of its own depends on one that has it.
        exceptions: Ids of accepted advisories, such as GHSA-p6mc-m468-83gw.
    """
    problems = []
    for name, entry in report["vulnerabilities"].items():
        fix = entry["fixAvailable"]
        fixed = (
            f"{fix['name']} {fix['version']}"
            if isinstance(fix, dict)
            else "a later version"
            if fix
            else "no version"
        )
        problems += [
            f"{name} {advisory['range']}: {found}, fixed in {fixed}"
            for advisory in entry["via"]
            if isinstance(advisory, dict) and (found := advisory["url"].rpartition("/")[2]) not in exceptions
        ]
    return problems


def main() -> int:
    """Audit the dependencies of the service and of the frontend; return 1 if there are problems, else 0.

    An audit without a reachable service is reported and passes. With AUDIT_REQUIRED=true, as in the scheduled
    audit, it fails.
    """
    exceptions = tomllib.loads(_EXCEPTIONS.read_text())
    return max(_audit_python(exceptions), _audit_npm(exceptions))


def _audit_python(exceptions: dict[str, dict[str, Any]]) -> int:
    """Query the first reachable advisory service."""
    today = dt.datetime.now(dt.UTC).date()
    for service in _SERVICES:
        dependencies = _query(service)
        problems, unknown = find_problems(dependencies, exceptions, today)
        # A package index without advisories knows no dependency. If it knows some, the others are problems.
        if len(unknown) < len(dependencies):
            _echo(f"{service} checked {len(dependencies)} dependencies")
            return _report([*problems, *(f"{name}: {service} does not know it" for name in unknown)])
        _echo(f"{service} returned no result for {len(unknown) or 'any'} of the dependencies")
    return max(
        _report(problems),
        _not_done("no advisory service was reachable; only the dates of the exceptions were checked"),
    )


def _audit_npm(exceptions: dict[str, dict[str, Any]]) -> int:
    """Query the advisories of npm's registry for frontend/package-lock.json."""
    report = _query_npm(_ROOT / "frontend")
    if "vulnerabilities" not in report:
        return _not_done(f"npm audit of the frontend: {report['message']}")
    if not report["vulnerabilities"] and not _knows_advisories():
        return _not_done("npm audit of the frontend: the registry has no advisories")
    _echo(f"npm checked {report['metadata']['dependencies']['total']} dependencies of the frontend")
    return _report(find_npm_problems(report, exceptions))


def _knows_advisories() -> bool:
    """Return whether the registry reports a vulnerable package: a mirror may respond without any advisory."""
    name, version = _VULNERABLE
    root = {"name": "canary", "version": "1.0.0", "dependencies": {name: version}}
    lock = {"lockfileVersion": 3, "packages": {"": root, f"node_modules/{name}": {"version": version}}}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "package.json").write_text(json.dumps(root))
        (Path(folder) / "package-lock.json").write_text(json.dumps(lock))
        return bool(_query_npm(Path(folder)).get("vulnerabilities"))


def _query_npm(folder: Path) -> dict[str, Any]:
    """Return the report of `npm audit`, or a dictionary with the reason as `message`."""
    npm = shutil.which("npm")
    if npm is None:
        return {"message": "npm is not installed"}
    result = subprocess.run(  # noqa: S603 - fixed arguments
        [npm, "audit", "--package-lock-only", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        report: dict[str, Any] = json.loads(result.stdout)
    except ValueError:
        return {"message": f"npm exited with {result.returncode}: {result.stderr.strip()}"}
    return {"message": report.get("error", {}).get("summary") or "no report", **report}


def _not_done(reason: str) -> int:
    _echo(f"NOT DONE: {reason}")
    return int(os.environ.get("AUDIT_REQUIRED") == "true")


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
