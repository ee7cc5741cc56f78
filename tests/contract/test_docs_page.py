"""The page under /docs needs no other host, so it works in a closed network."""

import re
from urllib.parse import urljoin, urlsplit

import httpx

from tests.support.service import RunningService


async def test_docs_page_loads_all_resources_from_the_service(service: RunningService) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        links = re.findall(r"""(?:src|href|url)\s*[=:]\s*["']([^"']+)["']""", page.text)
        assert len(links) >= 4
        assert {urlsplit(urljoin(service.url, link)).netloc for link in links} == {
            urlsplit(service.url).netloc
        }
        for link in links:
            part = await client.get(link)
            assert (part.status_code, bool(part.content)) == (200, True), link


async def test_document_needs_no_token(service: RunningService) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        assert (await client.get("/openapi.json")).json() == service.app.openapi()
