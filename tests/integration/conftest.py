"""Fixtures of the tests with a primary and its synchronous standby."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.replication import Pair, PairTemplate, pair_template


@pytest.fixture(scope="module")
async def template(anyio_backend: str, postgres_folder: Path) -> AsyncIterator[PairTemplate]:  # noqa: ARG001 - its scope
    folder = postgres_folder / f"pair-{uuid4().hex[:8]}"
    folder.mkdir()
    async with pair_template(folder) as template:
        yield template


@pytest.fixture
async def pair(template: PairTemplate) -> AsyncIterator[Pair]:
    async with template.pair() as pair:
        yield pair
