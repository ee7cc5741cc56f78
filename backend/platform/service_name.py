"""The service's name, which its distribution, command, problem types and traces share; `make rename` changes it."""

from typing import Final

__all__ = ["SERVICE_NAME"]

SERVICE_NAME: Final = "task-service"
"""A DNS label."""
