"""Each task and each user has one URL, whatever characters the id contains."""

from urllib.parse import quote

import pytest

from tests.support.service import RunningService, User, running_service, service_settings

OTHER_SPELLINGS = ["1.0", "01", "+1", "%201", "1_0", "1e0", "1;a=b", "%D9%A1", "%2E%2E", "%ff"]


def tasks_of(user_id: str) -> str:
    return f"/api/{quote(user_id, safe='')}/tasks"


@pytest.mark.parametrize("number", OTHER_SPELLINGS)
async def test_task_id_has_one_spelling(alice: User, number: str) -> None:
    for path, pointer in ((f"/{number}", "/path/task_id"), (f"?limit={number}", "/query/limit")):
        answer = await alice.client.get(alice.tasks + path)
        assert answer.status_code == 422, answer.text
        assert answer.json()["errors"] == [{"pointer": pointer, "detail": "must be a whole number in digits"}]


@pytest.mark.parametrize(
    "user_id", ["a.b", "100%", "%2F", "ü", "日本", "😀", "a b", '"', "?", "#", "a;b", "a:b@c", "tasks"]
)
async def test_user_id_of_any_characters_has_a_url(service: RunningService, user_id: str) -> None:
    path = tasks_of(user_id)
    async with service.user(user_id) as user:
        answer = await user.client.post(path, json={"title": "T"})
        assert answer.status_code == 201, answer.text
        assert answer.headers["location"] == f"{path}/{answer.json()['id']}"
        assert (await user.client.get(answer.headers["location"])).json() == answer.json()
        absent = await user.client.get(f"{path}/9223372036854775807")
        assert absent.json()["instance"] == f"{path}/9223372036854775807"


@pytest.mark.parametrize("user_id", ["a/b", "..", ".", "/", "../alice"])
async def test_user_id_that_cannot_be_in_a_path_is_not_found(service: RunningService, user_id: str) -> None:
    async with service.user(user_id) as user:
        assert (await user.client.get(tasks_of(user_id))).status_code == 404


@pytest.mark.parametrize("by_setting", [True, False], ids=["ROOT_PATH", "uvicorn --root-path"])
async def test_every_url_is_below_the_root_path(database_url: str, *, by_setting: bool) -> None:
    settings = service_settings(database_url, root_path="/svc" if by_setting else "")
    # uvicorn's option is for a proxy that removes the prefix from the path.
    received = "/svc" if by_setting else ""
    async with (
        running_service(settings, root_path="" if by_setting else "/svc") as service,
        service.user("alice") as user,
    ):
        created = await user.client.post(f"{received}/api/alice/tasks", json={"title": "T"})
        assert created.status_code == 201, created.text
        path = f"/api/alice/tasks/{created.json()['id']}"
        assert created.headers["location"] == f"/svc{path}"
        assert (await user.client.get(received + path)).json() == created.json()
        assert "/svc/openapi.json" in (await user.client.get(f"{received}/docs")).text
        del user.client.headers["Authorization"]
        assert (await user.client.get(received + path)).status_code == 401
