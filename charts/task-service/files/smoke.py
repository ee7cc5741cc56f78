"""Calls the API of a running task service; exits with status 1 at the first unexpected response."""

import os
import sys
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from backend.config import Settings
from backend.devtools.development_token import make_token


def expect(response: httpx.Response, status: int) -> httpx.Response:
    """Print request and status, and exit if the status is unexpected."""
    request = f"{response.request.method} {response.request.url.path}"
    if response.status_code != status:
        sys.exit(f"{request}: {response.status_code} instead of {status}: {response.text}")
    print(f"{request}: {status}")
    return response


def check_key_set() -> None:
    """Fetch the frontend's key set, as the service does."""
    base = urlsplit(os.environ["BETTER_AUTH_URL"])
    path = base.path.rstrip("/") or "/api/auth"
    url = os.environ.get("BETTER_AUTH_JWKS_URL") or f"{base.scheme}://{base.netloc}{path}/jwks"
    if not expect(httpx.get(url, timeout=10), 200).json()["keys"]:
        sys.exit(f"{url}: the key set is empty")


def check_frontend(api: httpx.Client) -> None:
    """Sign a new user up, create a task with the user's token, and delete the account with it."""
    user = {"name": "helm test", "email": f"helm-test-{uuid4().hex}@example.com", "password": uuid4().hex}
    # The session's cookie is only for HTTPS if the public URL has it; inside the cluster it is sent by hand.
    headers = {"Origin": os.environ["BETTER_AUTH_URL"].rstrip("/")}
    with httpx.Client(base_url=os.environ["FRONTEND_URL"], headers=headers, timeout=10) as web:
        expect(web.get("/"), 200)
        signed_up = expect(web.post("/api/auth/sign-up/email", json=user), 200)
        web.headers["Cookie"] = signed_up.headers["Set-Cookie"].partition(";")[0]
        token = expect(web.get("/api/auth/token"), 200).json()["token"]
        api.headers["Authorization"] = f"Bearer {token}"
        tasks = f"/api/{signed_up.json()['user']['id']}/tasks"
        expect(api.post(tasks, json={"title": "Buy milk"}), 201)
        expect(web.post("/api/auth/delete-user", json={"password": user["password"]}), 200)
        if expect(api.get(tasks), 200).json()["tasks"]:
            sys.exit("the deleted account still has a task")


def main(url: str) -> None:
    """Send requests without a token, then with one.

    Args:
        url: Base URL of the service.
    """
    user = f"helm-test-{uuid4().hex}"
    tasks = f"/api/{user}/tasks"
    with httpx.Client(base_url=url, timeout=10) as client:
        expect(client.get("/health"), 200)
        challenge = expect(client.get(tasks), 401).headers.get("WWW-Authenticate")
        if challenge != "Bearer":
            sys.exit(f"WWW-Authenticate: {challenge} instead of Bearer")
        expect(client.get("/metrics"), 404)
        if "BETTER_AUTH_SECRET_FILE" not in os.environ:
            expect(client.get(tasks, headers={"Authorization": "Bearer no.token.here"}), 401)
            check_key_set()
            if "FRONTEND_URL" in os.environ:
                check_frontend(client)
                return
            print("Only the frontend can issue tokens: requests with a token are not tested.")
            return
        settings = Settings(_env_file=None)
        client.headers["Authorization"] = f"Bearer {make_token(settings, user, lifetime_seconds=60)}"
        expect(client.get("/api/somebody-else/tasks"), 403)
        new = {"title": "Buy milk", "due": "2030-01-01", "priority": "high", "tags": ["home"]}
        task = expect(client.post(tasks, json=new), 201).json()
        listed = expect(client.get(tasks, params={"tag": "home", "sort": "due"}), 200).json()
        if [one["id"] for one in listed["tasks"]] != [task["id"]]:
            sys.exit(f"unexpected list: {listed}")
        expect(client.patch(f"{tasks}/{task['id']}/complete"), 200)
        expect(client.get(f"/api/{user}/tags"), 200)
        expect(client.get(f"{tasks}/calendar.ics"), 200)
        batch = [{"operation": "update", "id": task["id"], "task": {"priority": "low"}}]
        expect(client.post(f"{tasks}/batch", json={"operations": batch}), 200)
        expect(client.delete(f"{tasks}/{task['id']}"), 204)
        expect(client.get(f"{tasks}/{task['id']}"), 404)
        expect(client.delete(tasks, params={"status": "completed"}), 200)


main(sys.argv[1])
