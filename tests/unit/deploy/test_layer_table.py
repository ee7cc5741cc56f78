"""A table of layers says what the import-linter contracts say."""

import pytest

from deploy.layer_table import with_tables

CONTRACTS = """
[[tool.importlinter.contracts]]
type = "layers"
containers = ["app"]
layers = ["web", "rules | jobs", "base"]
ignore_imports = ["app.base -> app.jobs"]

[[tool.importlinter.contracts]]
type = "forbidden"
source_modules = ["app.web"]
forbidden_modules = ["app.jobs", "app.base.sql"]

[[tool.importlinter.contracts]]
type = "forbidden"
source_modules = ["app.rules", "app.jobs", "app.base.mail"]
forbidden_modules = ["flask", "werkzeug"]
"""

PAGE = """# Page
<!-- layers of app -->
| old | table |
<!-- end -->
Text
"""


def test_rows_follow_the_layers() -> None:
    assert with_tables(PAGE, CONTRACTS) == (
        """# Page
<!-- layers of app -->
| layer of `app` | may import | flask, werkzeug |
| --- | --- | --- |
| `web` | `rules`, `base` (not `sql`) | yes |
| `rules` | `base` | no |
| `jobs` | `base` | no |
| `base` |  | in part |

Exceptions: `app.base -> app.jobs`.
<!-- end -->
Text
"""
    )


def test_container_without_a_contract_is_rejected() -> None:
    with pytest.raises(KeyError, match="other"):
        with_tables(PAGE.replace("layers of app", "layers of other"), CONTRACTS)
