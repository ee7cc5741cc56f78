"""Path parameters that do not match the paths of other routes."""

import re

from starlette.convertors import StringConvertor, register_url_convertor

__all__ = ["register_segment_except"]


def register_segment_except(convertor: str, *names: str) -> None:
    """Register a convertor for one segment of a path that is none of `names`.

    Without it, a method that `/tasks/batch` does not support would reach `/tasks/{task_id}`, which rejects the
    id (422) instead of the method (405).

    Args:
        convertor: The name in templates, such as `task_id` in `/{task_id:task_id}`.
        names: The last segments of the other paths.
    """

    class SegmentExcept(StringConvertor):
        regex = rf"(?!(?:{'|'.join(map(re.escape, names))})\Z)[^/]+"

    register_url_convertor(convertor, SegmentExcept())
