"""How a connection is opened: hosts in order, time limits, poolers, and the arguments of asyncpg."""

import asyncio
from typing import Any

import asyncpg
import pytest

from backend.platform.postgres.connection import open_connection, session_settings, settings_statement
from backend.platform.postgres.connection_parameters import HostOrder
from backend.platform.postgres.dsn import parse_dsn
from tests.support.virtual_time import in_virtual_time

DEFAULTS = {"statement_timeout": "5000", "lock_timeout": "2000"}


class FakeConnection:
    """Records the statements that a pooler needs; `state` is the response to the question for the state of the session."""

    def __init__(self, *, state: bool = True) -> None:
        self.executed: list[str] = []
        self.state = state
        self.is_terminated = False

    async def fetchval(self, statement: str) -> bool:
        self.executed.append(statement)
        return self.state

    def terminate(self) -> None:
        self.is_terminated = True

    async def execute(self, statement: str) -> None:
        self.executed.append(statement)


class FakeServers:
    """Replaces `asyncpg.connect`: hosts in `errors` fail, those in `silent` never respond."""

    def __init__(self, errors: dict[str, Exception] | None = None, silent: tuple[str, ...] = ()) -> None:
        self.errors = errors or {}
        self.silent = silent
        self.states: dict[str, bool] = {}
        self.connections: list[FakeConnection] = []
        self.calls: list[dict[str, Any]] = []

    async def connect(self, **arguments: Any) -> FakeConnection:
        self.calls.append(arguments)
        if arguments["host"] in self.silent:
            await asyncio.Future()
        error = self.errors.get(arguments["host"]) or self.errors.get(arguments["target_session_attrs"])
        if error is not None:
            raise error
        self.connections.append(FakeConnection(state=self.states.get(arguments["host"], True)))
        return self.connections[-1]

    @property
    def hosts(self) -> list[str]:
        return [call["host"] for call in self.calls]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> FakeServers:
    servers = FakeServers()
    monkeypatch.setattr(asyncpg, "connect", servers.connect)
    return servers


async def connect(url: str, timeout_seconds: float = 6, pooler: Any = "auto") -> Any:
    return await open_connection(
        parse_dsn(url, pooler=pooler), timeout_seconds=timeout_seconds, settings=DEFAULTS
    )


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(),
        asyncpg.CannotConnectNowError(),
        asyncpg.TargetServerAttributeNotMatched(),
        asyncpg.ConnectionDoesNotExistError(),
        asyncpg.AdminShutdownError(),
    ],
)
async def test_next_host_is_tried_after_an_error_of_the_host(servers: FakeServers, error: Exception) -> None:
    servers.errors = {"a": error}
    await connect("postgresql://a,b,c/tasks")
    assert servers.hosts == ["a", "b"]


async def test_error_of_the_last_host_is_raised(servers: FakeServers) -> None:
    servers.errors = {"a": ConnectionRefusedError(), "b": asyncpg.CannotConnectNowError("starting up")}
    with pytest.raises(asyncpg.CannotConnectNowError):
        await connect("postgresql://a,b/tasks")


async def test_host_of_the_last_connection_is_tried_first(servers: FakeServers) -> None:
    servers.errors = {"a": ConnectionRefusedError()}
    parameters, order = parse_dsn("postgresql://a,b,c/tasks"), HostOrder()
    for _ in range(2):
        await open_connection(parameters, timeout_seconds=6, host_order=order)
    assert servers.hosts == ["a", "b", "b"]
    servers.errors["b"] = ConnectionRefusedError()
    await open_connection(parameters, timeout_seconds=6, host_order=order)
    assert servers.hosts[3:] == ["b", "a", "c"]


async def test_server_must_be_writable_unless_the_url_says_otherwise(servers: FakeServers) -> None:
    await connect("postgresql://a/tasks")
    await connect("postgresql://a/tasks?target_session_attrs=any")
    assert [call["target_session_attrs"] for call in servers.calls] == ["read-write", "any"]


async def test_router_of_shards_is_not_asked_whether_it_is_writable(servers: FakeServers) -> None:
    await connect("postgresql://a/tasks", pooler="spqr")
    await connect("postgresql://a/tasks?target_session_attrs=primary", pooler="spqr")
    assert [call["target_session_attrs"] for call in servers.calls] == ["any", "primary"]


@pytest.mark.parametrize("pooler", ["session", "transaction"])
async def test_server_behind_a_pooler_is_asked_for_its_state(servers: FakeServers, pooler: str) -> None:
    """The parameters that PgBouncer reports are those of the server that it connected to first."""
    servers.states = {"a": False}
    connection = await connect("postgresql://a,b/tasks", pooler=pooler)
    assert servers.hosts == ["a", "b"]
    assert [each.is_terminated for each in servers.connections] == [True, False]
    assert {call["target_session_attrs"] for call in servers.calls} == {"any"}
    assert connection.executed[0] == "SELECT current_setting('transaction_read_only') = 'off'"
    connection = await connect("postgresql://a/tasks?target_session_attrs=any", pooler=pooler)
    assert not any("transaction_read_only" in statement for statement in connection.executed)
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched, match="pg_is_in_recovery"):
        await connect("postgresql://a/tasks?target_session_attrs=primary", pooler=pooler)


async def test_rejected_role_is_not_tried_on_other_hosts(servers: FakeServers) -> None:
    servers.errors = {"a": asyncpg.InvalidPasswordError()}
    with pytest.raises(asyncpg.InvalidPasswordError):
        await connect("postgresql://a,b/tasks")
    assert servers.hosts == ["a"]


@in_virtual_time
async def test_silent_hosts_share_the_time_limit() -> None:
    servers = FakeServers(silent=("a", "b"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncpg, "connect", servers.connect)
        await connect("postgresql://a,b,c/tasks?sslmode=disable", timeout_seconds=6)
        assert (servers.hosts, asyncio.get_running_loop().time()) == (["a", "b", "c"], 4)
        # connect_timeout applies to each host.
        await connect("postgresql://a,b,c/tasks?sslmode=disable&connect_timeout=10", timeout_seconds=6)
    assert asyncio.get_running_loop().time() == 24


async def test_prefer_standby_takes_a_primary_if_there_is_no_standby(servers: FakeServers) -> None:
    servers.errors = {"standby": asyncpg.TargetServerAttributeNotMatched()}
    await connect("postgresql://a,b/tasks?target_session_attrs=prefer-standby")
    assert [(call["host"], call["target_session_attrs"]) for call in servers.calls] == [
        ("a", "standby"),
        ("b", "standby"),
        ("a", "any"),
    ]


async def test_hosts_are_shuffled_only_on_request(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.shuffle", lambda hosts: hosts.reverse())
    await connect("postgresql://a,b/tasks?load_balance_hosts=random")
    await connect("postgresql://a,b/tasks")
    assert servers.hosts == ["b", "a"]


@pytest.mark.parametrize(
    ("query", "pooler", "startup", "cache_size"),
    [
        ("", "none", DEFAULTS, 1024),
        ("lock_timeout=7", "none", DEFAULTS | {"lock_timeout": "7"}, 1024),
        # In PostgreSQL, startup parameters override `options`.
        (
            "options=-c%20lock_timeout%3D7",
            "none",
            {"statement_timeout": "5000", "options": "-c lock_timeout=7"},
            1024,
        ),
        ("application_name=web&lock_timeout=7", "session", {"application_name": "web"}, 1024),
        ("application_name=web", "transaction", {"application_name": "web"}, 0),
        ("application_name=web&lock_timeout=7", "spqr", {"application_name": "web"}, 1024),
        ("options=-c%20lock_timeout%3D7%20endpoint%3Dx", "transaction", {"options": "endpoint=x"}, 0),
    ],
)
async def test_startup_parameters_depend_on_the_pooler(
    servers: FakeServers, query: str, pooler: str, startup: dict[str, str], cache_size: int
) -> None:
    await connect(f"postgresql://a/tasks?{query}", pooler=pooler)
    (call,) = servers.calls
    assert (call["server_settings"], call["statement_cache_size"]) == (startup, cache_size)


async def test_session_pooler_gets_the_settings_in_a_statement(servers: FakeServers) -> None:
    connection = await connect("postgresql://a/tasks?lock_timeout=7", pooler="session")
    expected = (
        "SELECT set_config(E'statement_timeout', E'5000', False), set_config(E'lock_timeout', E'7', False);"
    )
    assert connection.executed[1:] == [expected]
    assert servers.calls[0]["server_settings"] == {}


@pytest.mark.parametrize(
    ("url", "tls", "is_direct"),
    [
        ("postgresql://a/tasks?sslmode=disable", False, False),
        ("postgresql:///tasks?host=/run&sslmode=require", False, False),
        ("postgresql://a/tasks?sslmode=prefer", "prefer", False),
        ("postgresql://a/tasks?sslmode=allow", "allow", False),
    ],
)
async def test_tls_arguments_without_required_tls(
    servers: FakeServers, url: str, tls: object, *, is_direct: bool
) -> None:
    await connect(url)
    assert (servers.calls[0]["ssl"], servers.calls[0]["direct_tls"]) == (tls, is_direct)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
async def test_required_tls_is_a_context(servers: FakeServers, negotiation: str) -> None:
    await connect(f"postgresql://a/tasks?sslmode=require&sslnegotiation={negotiation}")
    (call,) = servers.calls
    assert call["ssl"].server_name == "a"
    assert call["direct_tls"] == (negotiation == "direct")
    assert "dsn" not in call  # asyncpg would read the environment for it


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ("", {}),
        ("-c a=1 -cb=2 --c-d=3", {"a": "1", "b": "2", "c_d": "3"}),
        (r"-c a=x\ y", {"a": "x y"}),
        ("-c a=1 -c a=2", {"a": "2"}),
        ("-c", {}),
        ("endpoint=x -c a=1", {"a": "1"}),
    ],
)
def test_options_are_parsed_as_the_server_does(options: str, settings: dict[str, str]) -> None:
    parameters = parse_dsn("postgresql://a/tasks")
    object.__setattr__(parameters, "options", options)
    assert session_settings(parameters, {}) == settings


def test_settings_are_quoted() -> None:
    assert (
        settings_statement({"a": "it's \\"}, is_local=True)
        == "SELECT set_config(E'a', E'it\\'s \\\\', True);"
    )
    assert settings_statement({}, is_local=True) == ""
