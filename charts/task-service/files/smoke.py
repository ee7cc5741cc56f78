"""Calls a running task service as its users do; the first answer that is wrong ends it with status 1."""

import sys
from uuid import uuid4

import httpx

from backend.auth.development_token import make_token
from backend.config import Settings


def expect(answer: httpx.Response, status: int) -> httpx.Response:
    """Print one line, and stop where the status is another."""
    request = f"{answer.request.method} {answer.request.url.path}"
    if answer.status_code != status:
        sys.exit(f"{request}: {answer.status_code} instead of {status}: {answer.text}")
    print(f"{request}: {status}")
    return answer


def main(url: str) -> None:
    """Try what a stranger may, then what a user with a token may.

    Args:
        url: Of the service, without a path.
    """
    user = f"helm-test-{uuid4().hex}"
    tasks = f"/api/{user}/tasks"
    with httpx.Client(base_url=url, timeout=10) as client:
        expect(client.get("/health"), 200)
        expect(client.get(tasks), 401)
        expect(client.get("/metrics"), 404)
        settings = Settings(_env_file=None)
        if settings.better_auth_secret_file is None:
            print("tokens come from the frontend's keys: none can be made here, so this is all")
            return
        client.headers["Authorization"] = f"Bearer {make_token(settings, user, lifetime_seconds=60)}"
        expect(client.get("/api/somebody-else/tasks"), 403)
        task = expect(client.post(tasks, json={"title": "Buy milk"}), 201).json()
        listed = expect(client.get(tasks), 200).json()
        if [one["id"] for one in listed["tasks"]] != [task["id"]]:
            sys.exit(f"the list is not what was created: {listed}")
        expect(client.patch(f"{tasks}/{task['id']}/complete"), 200)
        expect(client.delete(f"{tasks}/{task['id']}"), 204)
        expect(client.get(f"{tasks}/{task['id']}"), 404)


main(sys.argv[1])
