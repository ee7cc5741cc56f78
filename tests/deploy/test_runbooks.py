"""Each alert has its runbook, and what runbooks and the on-call page name is there."""

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.render_rules import rules
from tests.support.helm import require_helm
from tests.support.prometheus import promtool, require_prometheus

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "runbooks"
RUNBOOKS = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
PAGES = [*RUNBOOKS, FOLDER / "README.md", ROOT / "docs" / "on-call.md"]
SELECTOR = 'namespace="tasks", job="demo"'
# Of the monitoring around the service: Prometheus itself and the kubelet.
FOREIGN = {"up", "scrape_duration_seconds", "container_memory_working_set_bytes"}


def anchors(page: Path) -> set[str]:
    """Return what a link may name behind `#`, as GitHub makes it of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def queries(page: Path) -> list[str]:
    blocks = re.findall(r"^ *```promql\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    text = "\n".join(blocks).replace("$NAMESPACE", "tasks").replace("$RELEASE", "demo")
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    require_helm()
    found = rules({"selector": SELECTOR})
    alerts = {rule["alert"] for group in found["groups"] for rule in group["rules"] if "alert" in rule}
    assert {path.stem for path in RUNBOOKS} == alerts
    listed = re.findall(r"^\| \[(\w+)\]", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(alerts)


def test_the_list_says_of_each_alert_whether_it_wakes_somebody() -> None:
    require_helm()
    listed = dict(
        re.findall(r"^\| \[(\w+)\]\S+ \| (yes|no) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    )
    for group in rules({"selector": SELECTOR})["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                assert (
                    listed[rule["alert"]] == {"critical": "yes", "warning": "no"}[rule["labels"]["severity"]]
                )


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_has_its_name_and_the_four_headings(page: Path) -> None:
    headings = re.findall(r"^#+ .+$", page.read_text(), re.MULTILINE)
    assert headings == [f"# {page.stem}", "## Meaning", "## Impact", "## Diagnosis", "## Mitigation"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", page.read_text()):
        file = (page.parent / target).resolve() if target else page
        assert file.is_file(), target
        assert not anchor or anchor in anchors(file), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_shell_has_no_other_variables_than_the_two_and_its_own(page: Path) -> None:
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE):
        own = set(re.findall(r"\b(\w+)=\$\(|while read -r (\w+)", block))
        known = {"NAMESPACE", "RELEASE"} | {name for pair in own for name in pair}
        assert set(re.findall(r"\$\{?(\w+)", block)) <= known
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_queries_are_right_and_name_only_metrics_that_exist(tmp_path: Path) -> None:
    require_helm()
    require_prometheus()
    texts = [query for page in PAGES for query in queries(page)]
    assert len(texts) >= 15
    group = {
        "name": "pages",
        "rules": [{"record": f"query:{n}", "expr": text} for n, text in enumerate(texts)],
    }
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [group]}))
    promtool("check", "rules", "rules.yaml", folder=tmp_path)
    recorded = {
        rule["record"]
        for each in rules({"selector": SELECTOR})["groups"]
        for rule in each["rules"]
        if "record" in rule
    }
    source = "".join(path.read_text() for path in (ROOT / "backend").rglob("*.py"))
    for text in texts:
        for name in re.findall(r"([a-z][\w:]*)\{", text):
            stem = re.sub(r"_(total|bucket|count|sum)$", "", name)
            assert name in recorded | FOREIGN or f'"{name}"' in source or f'"{stem}"' in source, name


def test_connectivity_of_every_host_of_a_url_is_checked(tmp_path: Path) -> None:
    page = (FOLDER / "TaskServiceDatabaseUnavailable.md").read_text()
    (program,) = re.findall(r'python -c "\n(.*?)"\n', page, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        (tmp_path / "url").write_text(f"postgresql://u:p%40@127.0.0.1:9,127.0.0.1:{port}/tasks\n")
        program = program.replace("/etc/task-service/database-url", str(tmp_path / "url"))
        result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    one, refused, other, answers = result.stdout.splitlines()
    assert (one, other) == ("u 127.0.0.1 9 tasks", f"u 127.0.0.1 {port} tasks")
    assert "refused" in refused
    assert answers == f"('127.0.0.1', {port}) answers"
