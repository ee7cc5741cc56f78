"""The statements on users and on their idempotency keys."""

from datetime import timedelta

from sqlalchemy import (
    BigInteger,
    Interval,
    LargeBinary,
    Text,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from backend.db.statement import Statement
from backend.models.idempotency_key import IDEMPOTENCY_KEYS
from backend.models.user import USERS

__all__ = ["FIND_KEY", "FORGET_EXPIRED_KEYS", "LOCK_KEY", "REGISTER", "STORE_KEY"]

_user_id = bindparam("user_id", type_=Text, required=True)
_key = bindparam("key", type_=Text, required=True)
_is_expired = IDEMPOTENCY_KEYS.c.created_at <= func.now() - literal(timedelta(hours=24), Interval)

_email = bindparam("email", type_=Text, required=True)
_taken = exists().where(USERS.c.email == _email)

REGISTER = Statement(
    "insert user",
    insert(USERS)
    .from_select(
        ["id", "name", "email", "emailVerified"],
        select(
            _user_id,
            bindparam("name", type_=Text, required=True),
            # `email` is unique: one that another row has must not keep this user out.
            case((_taken, bindparam("placeholder_email", type_=Text, required=True)), else_=_email),
            false(),
        ),
    )
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

FORGET_EXPIRED_KEYS = Statement(
    "delete idempotency keys",
    delete(IDEMPOTENCY_KEYS).where(IDEMPOTENCY_KEYS.c.user_id == _user_id, _is_expired),
)
