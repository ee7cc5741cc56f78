"""The dependency audit: an exception holds for its advisory alone, and ends on its day."""

import datetime as dt
import json
import subprocess
from typing import Any

import pytest

from deploy import audit

TODAY = dt.date(2030, 1, 31)
SAFE: dict[str, Any] = {"name": "safe", "version": "1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}
BAD: dict[str, Any] = {
    "name": "bad",
    "version": "1",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}],
}


def exception(advisory: str, until: dt.date) -> dict[str, dict[str, Any]]:
    return {advisory: {"until": until, "reason": "a test"}}


def test_an_advisory_is_told_with_the_version_that_mends_it() -> None:
    assert audit.find_problems([SAFE, BAD], {}, TODAY) == (["bad 1: PYSEC-1, fixed in 2"], [])


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_an_exception_holds_to_the_end_of_its_last_day(name: str) -> None:
    assert audit.find_problems([BAD], exception(name, TODAY), TODAY) == ([], [])


def test_an_exception_of_another_advisory_does_not_hold() -> None:
    assert audit.find_problems([BAD], exception("CVE-2", TODAY), TODAY)[0] == ["bad 1: PYSEC-1, fixed in 2"]


def test_an_exception_past_its_day_is_wrong_even_without_its_advisory() -> None:
    wrong, _ = audit.find_problems([SAFE], exception("CVE-1", TODAY - dt.timedelta(1)), TODAY)
    assert wrong == ["the exception of CVE-1 expired on 2030-01-30: renew or remove it"]


def test_findings_fail_the_audit_and_so_does_a_dependency_unknown_among_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = json.dumps({"dependencies": [SAFE, BAD, UNKNOWN]})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 1, output, ""))
    assert audit.main() == 1
    told = capsys.readouterr().out
    assert "audit: bad 1: PYSEC-1, fixed in 2" in told
    assert "audit: unknown: osv does not know it" in told


def test_a_dependency_that_the_service_does_not_know_is_not_taken_for_safe() -> None:
    assert audit.find_problems([SAFE, UNKNOWN], {}, TODAY) == ([], ["unknown"])


@pytest.mark.parametrize(
    "output", ["", '{"dependencies": [{"name": "unknown", "skip_reason": "not found"}]}']
)
@pytest.mark.parametrize(("required", "status"), [("true", 1), ("", 0)])
def test_an_audit_that_asked_nobody_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    output: str,
    required: str,
    status: int,
) -> None:
    monkeypatch.setenv("AUDIT_REQUIRED", required)
    # Whether a service can be reached is the machine's matter, so its answer is made here.
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess((), 1, output, ""))
    assert audit.main() == status
    assert capsys.readouterr().out.count("NOT DONE") == 2


REPORT: dict[str, Any] = {
    "vulnerabilities": {
        "bad": {"via": [{"url": "https://example.com/GHSA-1", "range": "<2"}], "fixAvailable": True},
        "worse": {
            "via": [{"url": "https://example.com/GHSA-2", "range": "*"}, "bad"],
            "fixAvailable": {"name": "parent", "version": "3.0.0", "isSemVerMajor": True},
        },
        "worst": {"via": [{"url": "https://example.com/GHSA-3", "range": "*"}], "fixAvailable": False},
        "innocent": {"via": ["bad"], "fixAvailable": True},
    }
}


def test_an_advisory_of_npm_is_told_once_with_the_version_that_fixes_it() -> None:
    assert audit.find_npm_problems(REPORT, {}) == [
        "bad <2: GHSA-1, fixed in a later version",
        "worse *: GHSA-2, fixed in parent 3.0.0",
        "worst *: GHSA-3, fixed in no version",
    ]
    assert audit.find_npm_problems(REPORT, {"GHSA-1", "GHSA-3"}) == ["worse *: GHSA-2, fixed in parent 3.0.0"]


def test_an_audit_without_npm_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("AUDIT_REQUIRED", "true")
    assert audit.main() == 1
    assert "NOT DONE: npm audit of the frontend: npm is not installed" in capsys.readouterr().out
