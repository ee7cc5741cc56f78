"""No sequence of calls of one user sees or changes another's tasks."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.service import RunningService, User

type Action = tuple[str, int, int | None, int, str, bool]

USERS = 3
TITLES = st.sampled_from(["milk", "Milk", "bread 100%", "a_b", "ä"])
# The acting user, the user in the path, and the task: mostly the acting user's, often another's.
ACTIONS = st.tuples(
    st.sampled_from(
        ["create", "create once", "get", "list", "search", "update", "complete", "delete", "walk"]
    ),
    st.integers(0, USERS - 1),
    st.integers(0, USERS - 1) | st.none(),
    st.integers(0, 20),
    TITLES,
    st.booleans(),
)


@dataclass
class Model:
    """What each user should see."""

    tasks: dict[str, dict[int, dict[str, Any]]] = field(default_factory=dict)
    keys: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    def any_task(self, number: int) -> int:
        """Return the number of some task, of whichever user."""
        ids = sorted(task_id for tasks in self.tasks.values() for task_id in tasks)
        return ids[number % len(ids)] if ids else 1


async def act(users: list[User], model: Model, action: Action) -> None:
    what, who, whose, which, title, flag = action
    user = users[who]
    owner = user if whose is None else users[whose]
    own = model.tasks.setdefault(user.id, {})
    task_id = model.any_task(which)
    requests: dict[str, tuple[str, str, dict[str, Any]]] = {
        "create": ("POST", "", {"json": {"title": title}}),
        "create once": (
            "POST",
            "",
            {"json": {"title": title}, "headers": {"Idempotency-Key": title.encode().hex()}},
        ),
        "get": ("GET", f"/{task_id}", {}),
        "list": ("GET", "", {"params": {"limit": 200, "status": "pending" if flag else "all"}}),
        "search": ("GET", "", {"params": {"limit": 200, "search": title}}),
        "update": (
            "PATCH",
            f"/{task_id}",
            {"json": {"title": title}, "headers": {"If-Match": "*"} if flag else {}},
        ),
        "complete": ("PATCH", f"/{task_id}/complete", {}),
        "delete": ("DELETE", f"/{task_id}", {}),
        "walk": ("GET", "", {"params": {"limit": 1, "sort": "title"}}),
    }
    method, path, options = requests[what]
    answer = await user.client.request(method, owner.tasks + path, **options)
    if owner is not user:
        assert answer.status_code == 403
        return
    if path and task_id not in own:
        assert answer.status_code == 404
        return
    apply(model, user.id, action, task_id, answer.json() if answer.content else None)


def apply(model: Model, user_id: str, action: Action, task_id: int, answer: Any) -> None:
    what, _, _, _, title, flag = action
    own = model.tasks[user_id]
    if what in {"create", "create once"}:
        first = model.keys.setdefault((user_id, title), answer) if what == "create once" else answer
        assert answer == first
        if answer["id"] not in own and first is answer:
            assert all(answer["id"] not in tasks for tasks in model.tasks.values())
            own[answer["id"]] = answer
    elif what in {"get", "update", "complete"}:
        expected = dict(own[task_id])
        if what == "update":
            expected["title"] = title
        if what == "complete":
            expected["completed"] = not expected["completed"]
        expected["updated_at"] = answer["updated_at"]
        assert answer == expected
        own[task_id] = answer
    elif what == "delete":
        del own[task_id]
    elif what == "walk":
        assert answer["count"] == min(1, len(own))
        assert all(task == own[task["id"]] for task in answer["tasks"])
    else:
        wanted = [
            task
            for task in own.values()
            if (
                title.lower() in task["title"].lower()
                if what == "search"
                else not (flag and task["completed"])
            )
        ]
        newest_first = sorted(wanted, key=lambda task: (task["created_at"], task["id"]), reverse=True)
        assert answer["tasks"] == newest_first


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(actions=st.lists(ACTIONS, min_size=5, max_size=30))
async def test_no_sequence_of_calls_crosses_users(service: RunningService, actions: list[Any]) -> None:
    model = Model()
    async with service.user() as one, service.user() as two, service.user() as three:
        users = [one, two, three]
        for action in actions:
            await act(users, model, action)
        for user in users:
            listed = (await user.list(limit=200))["tasks"]
            assert {task["id"]: task for task in listed} == model.tasks.get(user.id, {})
