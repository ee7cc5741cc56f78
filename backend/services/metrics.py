"""The business metrics of tasks."""

from prometheus_client import Counter

from backend.platform.observability.metrics import REGISTRY

__all__ = ["tasks_completed", "tasks_created", "tasks_deleted"]

tasks_created = Counter("tasks_created", "Tasks created.", registry=REGISTRY)
tasks_completed = Counter("tasks_completed", "Tasks completed.", registry=REGISTRY)
tasks_deleted = Counter("tasks_deleted", "Tasks deleted.", registry=REGISTRY)
