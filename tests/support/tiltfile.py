"""The Tiltfile, evaluated as Tilt does, with Tilt's functions recorded."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import starlark
import yaml

from tests.support.helm import manifests_of

__all__ = ["Evaluated", "evaluate"]

ROOT = Path(__file__).parents[2]


@dataclass
class Evaluated:
    """What the Tiltfile asked Tilt for.

    `calls` has each function's calls, positional arguments under "" and keyword arguments by their names;
    `manifests` is what it hands to the cluster.
    """

    calls: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def resources(self, function: str) -> dict[str, dict[str, Any]]:
        """Return the calls of `k8s_resource` or `local_resource`, by the name that Tilt shows."""
        return {call.get("new_name", call[""][0]): call for call in self.calls.get(function, [])}


def evaluate(
    *,
    context: str = "kind-dev",
    namespace: str = "default",
    announces_registry: bool = False,
    **arguments: Any,
) -> Evaluated:
    """Evaluate it.

    Args:
        context: Of kubectl.
        namespace: Likewise.
        announces_registry: The cluster has KEP-1755's ConfigMap.
        arguments: What stands behind `tilt up --`.

    Raises:
        starlark.StarlarkError: The Tiltfile is wrong, or it refuses; then its sentence is in the text.
    """
    evaluated = Evaluated()

    def recorded(name: str, answer: Any = None) -> Callable[..., Any]:
        def call(*positional: Any, **keyword: Any) -> Any:
            evaluated.calls.setdefault(name, []).append({"": positional, **keyword})
            return answer(*positional, **keyword) if callable(answer) else answer

        return call

    def hand_over(source: str) -> None:
        text = (ROOT / source).read_text() if source.endswith(".yaml") else source
        evaluated.manifests.extend(manifests_of(text))

    def refuse(sentence: str) -> None:
        raise RuntimeError(sentence)

    module = starlark.Module()
    answers: dict[str, Any] = {
        "k8s_context": lambda: context,
        "k8s_namespace": lambda: namespace,
        "local": lambda *_, **__: "configmap/local-registry-hosting" if announces_registry else "",
        "helm": _helm,
        "decode_yaml_stream": manifests_of,
        "encode_yaml_stream": yaml.safe_dump_all,
        "k8s_yaml": hand_over,
        "read_file": lambda path: (ROOT / path).read_text(),
        "listdir": lambda path: [str(each) for each in sorted((ROOT / path).iterdir())],
        "port_forward": lambda *ports: list(ports),
        "link": lambda *parts: list(parts),
        "fail": refuse,
        "config_parse": lambda: arguments,
        "config_define_bool": None,
        "config_define_string": None,
        "allow_k8s_contexts": None,
        "ci_settings": None,
        "docker_build": None,
        "fall_back_on": lambda paths: ["fall_back_on", paths],
        "sync": lambda *paths: ["sync", *paths],
        "run": lambda command, trigger: ["run", command, trigger],
        "k8s_resource": None,
        "local_resource": None,
    }
    for name, answer in answers.items():
        module.add_callable(name, recorded(name, answer))
    module["TRIGGER_MODE_MANUAL"] = "manual"
    # starlark-pyo3 has no structs: `config.parse` is `config_parse` here.
    text = (
        (ROOT / "Tiltfile")
        .read_text()
        .replace("config.define_", "config_define_")
        .replace("config.parse", "config_parse")
    )
    dialect = starlark.Dialect.extended()
    dialect.enable_top_level_stmt = True
    starlark.eval(module, starlark.parse("Tiltfile", text, dialect), starlark.Globals.standard())
    return evaluated


def _helm(chart: str, *, name: str, namespace: str, values: list[str], set: list[str]) -> str:  # noqa: A002 - Tilt's name
    options = [f"--values={ROOT / file}" for file in values] + [f"--set={value}" for value in set]
    result = subprocess.run(
        ["helm", "template", name, str(ROOT / chart), f"--namespace={namespace}", *options],
        capture_output=True,
        text=True,
        check=True,
    )
    # As Tilt does: it drops the tests, and only them.
    return "---\n".join(
        text for text in result.stdout.split("---\n") if "helm.sh/hook: test" not in text.replace('"', "")
    )
