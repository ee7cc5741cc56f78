"""A replicated PostgreSQL in a cluster: a primary, the standby that its commits wait for, and the names that lead to it."""

from tests.support.cluster import Namespace, kubectl, wait_until

__all__ = ["ReplicatedDatabase"]

_COUNT_SYNCHRONOUS = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync' AND state = 'streaming'"
_BASE_BACKUP = "pg_basebackup --pgdata=$PGDATA --host=database-rw --username=tasks --write-recovery-conf --checkpoint=fast &&"


class ReplicatedDatabase:
    """The servers `database-1`, `database-2`, … in the namespace outside; the newest is the standby, if there is one.

    Args:
        namespace: Where the service runs.
    """

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._number = 0
        self.primary = self._start("primary")
        # `host all all all`, which the image writes, does not include replication.
        self._shell(self.primary, "echo host replication all all scram-sha-256 >>$PGDATA/pg_hba.conf")
        self.sql("SELECT pg_reload_conf()")

    def url(self, service: str) -> str:
        """Return the URL by way of a Service: `database-rw` or `database-headless`."""
        return f"postgresql://tasks:tasks@{service}.{self._namespace.outside}:5432/tasks"

    def sql(self, *statements: str, server: str | None = None) -> list[str]:
        """Run SQL on a server, by default the primary, and return the lines."""
        return self._namespace.sql(*statements, server=f"pod/{server or self.primary}")

    def add_standby(self) -> str:
        """Start a standby, let every commit wait for it, and return its name."""
        name = self._start("standby", _BASE_BACKUP)
        self.set_synchronous_standbys("*")
        wait_until(lambda: self.sql(_COUNT_SYNCHRONOUS), 60, what="the standby is synchronous")
        return name

    def set_synchronous_standbys(self, names: str) -> None:
        """Set which standbys the primary's commits wait for; empty for none."""
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")

    def end_primary(self, signal: str) -> None:
        """Send a signal to the primary: KILL is a crash, INT a fast shutdown."""
        self._shell(self.primary, f"kill -{signal} $(head -n 1 $PGDATA/postmaster.pid)")
        self._wait(self.primary, "jsonpath={.status.containerStatuses[0].state.terminated}")

    def promote(self, standby: str) -> float:
        """Make a standby the primary, let the names lead to it, and return the time of its promotion (`time.time`).

        It waits for no standby: its base backup is older than the primary's setting.
        """
        lines = self.sql(
            "SELECT pg_promote()", "SELECT extract(epoch FROM clock_timestamp())", server=standby
        )
        assert lines[0] == "t"
        self._kubectl("label", "pod", standby, "role=primary", "--overwrite")
        self._kubectl("delete", "pod", self.primary, "--wait=false")
        self.primary = standby
        return float(lines[1])

    def _start(self, role: str, preparation: str = "") -> str:
        self._number += 1
        name = f"database-{self._number}"
        self._namespace.apply_outside("replicated.yaml", NAME=name, ROLE=role, PREPARATION=preparation)
        self._wait(name, "condition=Ready")
        return name

    def _wait(self, name: str, state: str) -> None:
        self._kubectl("wait", f"pod/{name}", f"--for={state}", "--timeout=120s")

    def _shell(self, server: str, command: str) -> None:
        self._kubectl("exec", server, "--", "bash", "-c", command)

    def _kubectl(self, *arguments: str) -> None:
        kubectl("-n", self._namespace.outside, *arguments)
