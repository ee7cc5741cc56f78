"""The schema of the release: its revisions, its tables, and the documented privileges."""

import re
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from backend.db.schema import SCHEMA
from backend.platform.postgres.migration import migration_config
from backend.platform.postgres.schema import ApplicationSchema, SchemaState

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()


def test_revisions_match_those_of_alembic() -> None:
    scripts = ScriptDirectory.from_config(migration_config(SCHEMA))
    assert scripts.get_heads() == [SCHEMA.head_revision]
    known = {script.revision for script in scripts.walk_revisions()}
    assert {SCHEMA.state(each) for each in known - {SCHEMA.head_revision}} == {SchemaState.BEHIND}


def test_page_lists_the_privileges_of_the_service() -> None:
    section = PAGE.partition("## Roles of the database")[2].partition("\n## ")[0]
    listed = re.findall(r"^GRANT (.*) ON (\w+) TO service_role;", section, re.MULTILINE)
    assert {table: tuple(rights.split(", ")) for rights, table in listed} == SCHEMA.grants


def schema_of(folder: Path, *scripts: str) -> ApplicationSchema:
    (folder / "versions").mkdir()
    for number, script in enumerate(scripts):
        (folder / "versions" / f"{number}.py").write_text(script)
    return ApplicationSchema(folder, (), {})


def test_head_is_the_revision_that_no_other_one_follows(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        'revision: str = "c"\ndown_revision: str | tuple[str, ...] | None = ("b", "b2")\n',
        'revision = "a"\ndown_revision = None\nbranch_labels = None\n',
        'revision = "b"\ndown_revision = "a"\n',
        'down_revision = "a"\nrevision = "b2"\n',
    )
    assert schema.head_revision == "c"
    assert [each for each in ("a", "b", "b2", "c", "d") if schema.has_revision(each)] == ["a", "b", "b2", "c"]


def test_two_heads_are_an_error(tmp_path: Path) -> None:
    scripts = [f'revision = "{name}"\ndown_revision = None\n' for name in "ab"]
    with pytest.raises(ValueError, match="too many values"):
        _ = schema_of(tmp_path, *scripts).head_revision


@pytest.mark.parametrize(
    ("revision", "state"),
    [
        (None, SchemaState.BEHIND),
        (SCHEMA.head_revision, SchemaState.CURRENT),
        ("of-a-later-release", SchemaState.AHEAD),
    ],
)
def test_unknown_revision_is_that_of_a_later_release(revision: str | None, state: SchemaState) -> None:
    assert SCHEMA.state(revision) is state


def test_tables_of_later_migrations_are_not_expected_yet(tmp_path: Path) -> None:
    schema = schema_of(
        tmp_path,
        'revision = "a"\ndown_revision = None\ndef upgrade():\n    op.create_table("tasks")\n',
        'revision = "b"\ndown_revision = "a"\ndef upgrade():\n    op.add_column("tasks", c)\n',
        'revision = "c"\ndown_revision = "b"\ndef upgrade():\n    if True:\n        op.create_table("notes", c)\n',
        'revision = "d"\ndown_revision = "c"\ndef upgrade():\n    op.drop_table("old")\n'
        'def downgrade():\n    op.create_table("old")\n',
    )
    created = {each: schema.tables_created_after(each) for each in ("a", "b", "c", "d", "unknown")}
    assert created == {"a": {"notes"}, "b": {"notes"}, "c": set(), "d": set(), "unknown": set()}
