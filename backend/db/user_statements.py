"""The statements on users and on their idempotency keys."""

from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Interval,
    LargeBinary,
    Text,
    bindparam,
    delete,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from backend.models.user import USERS
from backend.platform.postgres.idempotency_key import IDEMPOTENCY_KEYS
from backend.platform.postgres.statement import Statement

__all__ = ["DELETE_EXPIRED_KEYS", "FIND_KEY", "INSERT_USER", "LOCK_KEY", "STORE_KEY"]

_user_id = bindparam("user_id", type_=Text, required=True)
_key = bindparam("key", type_=Text, required=True)
_is_expired = IDEMPOTENCY_KEYS.c.created_at <= func.now() - literal(timedelta(hours=24), Interval)

INSERT_USER = Statement(
    "insert user",
    insert(USERS)
    .values(id=_user_id, name="", email=bindparam("email", type_=Text, required=True))
    .on_conflict_do_nothing(),
)

LOCK_KEY = Statement(
    "lock idempotency key",
    # Ends with the transaction, so it works through PgBouncer and needs no unlocking.
    select(
        func.pg_try_advisory_xact_lock(
            func.hashtextextended(_user_id + literal(" ", Text) + _key, literal(0, BigInteger))
        )
    ),
)

FIND_KEY = Statement(
    "select idempotency key",
    select(IDEMPOTENCY_KEYS.c.fingerprint, IDEMPOTENCY_KEYS.c.answer).where(
        IDEMPOTENCY_KEYS.c.user_id == _user_id, IDEMPOTENCY_KEYS.c.key == _key, ~_is_expired
    ),
)

STORE_KEY = Statement(
    "insert idempotency key",
    insert(IDEMPOTENCY_KEYS).values(
        user_id=_user_id,
        key=_key,
        fingerprint=bindparam("fingerprint", type_=LargeBinary, required=True),
        answer=bindparam("answer", type_=LargeBinary, required=True),
    ),
)

DELETE_EXPIRED_KEYS = Statement(
    "delete idempotency keys",
    delete(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.user_id == _user_id, _is_expired),
)
