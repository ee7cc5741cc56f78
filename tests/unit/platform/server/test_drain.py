"""The state of a drain: the marker file of all workers, and the stop of this one."""

import asyncio
from pathlib import Path

import pytest

from backend.platform.server.drain import Drain, drain_marker_path, shutdown_flag
from tests.support.virtual_time import in_virtual_time


@in_virtual_time
async def test_drain_follows_the_marker_file(tmp_path: Path) -> None:
    marker = drain_marker_path(tmp_path)
    drain = Drain(marker)
    async with drain.watching():
        await asyncio.sleep(1)
        assert not drain.active
        marker.touch()
        await asyncio.sleep(1)
        assert drain.active
        marker.unlink()
        await asyncio.sleep(1)
        assert not drain.active
    assert [task.get_name() for task in asyncio.all_tasks()].count("drain watch") == 0


def test_worker_that_stops_drains_without_the_marker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drain = Drain(drain_marker_path(tmp_path))
    assert not drain.active
    monkeypatch.setattr(shutdown_flag, "is_set", True)
    assert drain.active
