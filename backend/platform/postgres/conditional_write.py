"""Conditional writes: `If-Match` and `If-None-Match` as a condition of UPDATE and DELETE (RFC 9110 §13)."""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, func, or_

from backend.platform.concurrency.precondition import Precondition
from backend.platform.postgres.statement import parameter

__all__ = ["meets_precondition", "precondition_values"]


def meets_precondition(version: ColumnElement[int]) -> ColumnElement[bool]:
    """Return the condition that a row's version meets the precondition in the parameters.

    The statement that writes decides it, so that no concurrent write comes between.
    """
    if_match = parameter("if_match", ARRAY(BigInteger))
    if_none_match = parameter("if_none_match", ARRAY(BigInteger))
    return (
        or_(if_match.is_(None), version == func.any(if_match))
        & or_(if_none_match.is_(None), ~(version == func.any(if_none_match)))  # SPQR cannot parse `<> ALL`
        & ~parameter("if_none_match_any", Boolean)
    )


def precondition_values(precondition: Precondition) -> dict[str, Any]:
    """Return the parameters of `meets_precondition`."""
    return {
        "if_match": precondition.if_match,
        "if_none_match": precondition.if_none_match,
        "if_none_match_any": precondition.if_none_match_any,
    }
