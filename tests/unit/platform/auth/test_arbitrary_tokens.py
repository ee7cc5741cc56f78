"""InvalidToken is the only error for any text that is sent as a token."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.config import Settings
from backend.platform.auth.principal import Principal
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import InvalidToken
from tests.support.tokens import base64url, claims, hs256

SECRET = "a shared secret of more than thirty-two characters"
VERIFIER = TokenVerifier(Settings(better_auth_secret=SECRET, better_auth_audiences="a"))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("a"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
HEADERS = st.dictionaries(
    st.sampled_from(["alg", "kid", "typ", "crit", "jku", "b64"]), JSON | st.just("HS256")
)
CLAIMS = st.dictionaries(
    st.sampled_from(["sub", "exp", "iat", "nbf", "iss", "aud", "jti", "email", "name", "at_hash"]), JSON
)
SEGMENT = st.binary(max_size=60).map(base64url) | JSON.map(
    lambda value: base64url(json.dumps(value).encode())
)
TEXTS = (
    st.text()
    | st.binary(max_size=100).map(lambda data: data.decode("latin-1"))
    | st.lists(SEGMENT, min_size=2, max_size=4).map(".".join)
)


@given(TEXTS)
@settings(deadline=None)
async def test_arbitrary_text_is_an_invalid_token(token: str) -> None:
    with contextlib.suppress(InvalidToken):
        raise AssertionError(await VERIFIER.verify(token))


@given(HEADERS, CLAIMS)
@settings(deadline=None, max_examples=300)
async def test_signed_token_is_invalid_or_identifies_a_user(header: Any, changes: dict[str, Any]) -> None:
    token = hs256(SECRET, claims(aud="a") | changes, {"alg": "HS256"} | header)
    with contextlib.suppress(InvalidToken):
        principal = await VERIFIER.verify(token)
        assert isinstance(principal, Principal)
        assert principal.user_id == changes.get("sub", "user-1")
