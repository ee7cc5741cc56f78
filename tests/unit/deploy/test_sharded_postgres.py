"""The router of the tests and of the benchmark has the configuration of docker-compose.yml."""

from pathlib import Path

import pytest
import yaml

from backend.db.schema import SCHEMA
from backend.models.user import USERS
from deploy.shards import sharded_postgres
from deploy.shards.sharded_postgres import Shard, key_ranges

FOLDER = Path(sharded_postgres.__file__).parent


def test_key_ranges_of_the_compose_file_are_those_of_two_shards() -> None:
    assert (FOLDER / "init.sql").read_text().endswith(key_ranges(2))


@pytest.mark.parametrize("shards", [1, 3, 4])
def test_key_ranges_cover_every_hash_value_in_equal_parts(shards: int) -> None:
    lines = key_ranges(shards).splitlines()
    starts = [int(line.split()[5]) for line in reversed(lines)]
    assert starts[0] == 0
    assert [f"shard{number}" in line for number, line in enumerate(reversed(lines), 1)] == [True] * shards
    ends = [*starts[1:], 2**32]
    assert {round((end - start) * shards / 2**32, 6) for start, end in zip(starts, ends, strict=True)} == {1}


def test_every_table_of_the_service_is_distributed_by_its_user() -> None:
    relations = (FOLDER / "init.sql").read_text()
    for table in (USERS, *SCHEMA.tables):
        key = "id" if table is USERS else "user_id"
        assert f"CREATE DISTRIBUTED RELATION {table.name} DISTRIBUTION KEY {key} HASH" in relations


def test_router_of_the_tests_differs_in_addresses_and_passwords_only(tmp_path: Path) -> None:
    shards = [Shard(number, 5000 + number, tmp_path, {}) for number in (1, 2, 3)]
    file = sharded_postgres._write_configuration(tmp_path / "router", shards, [6001, 6002, 6003, 6004])
    written, original = (yaml.safe_load(each.read_text()) for each in (file, FOLDER / "router.yaml"))
    addresses = {"host", "router_port", "router_ro_port", "admin_console_port", "grpc_api_port", "shards"}
    for rules in ("frontend_rules", "backend_rules"):
        for each in (*written[rules], *original[rules]):
            each.pop("auth_rule", None)
    assert {name for name in original if written[name] != original[name]} == addresses
    assert written["shards"]["shard3"] == original["shards"]["shard1"] | {"hosts": ["127.0.0.1:5003"]}
    assert key_ranges(3) in (tmp_path / "router" / "init.sql").read_text()
