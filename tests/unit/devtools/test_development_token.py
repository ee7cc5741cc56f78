"""Development tokens are accepted in development only."""

from typing import Any

import pytest

from backend.config import Settings
from backend.devtools.development_token import make_token
from backend.platform.auth.principal import Principal
from backend.platform.auth.tokens import TokenVerifier
from backend.platform.errors import ConfigurationError, InvalidToken

SECRET = "a shared secret of more than thirty-two characters"
ISSUER: dict[str, Any] = {"better_auth_issuers": "https://a,https://b", "better_auth_audiences": "https://c"}


@pytest.mark.parametrize("options", [{}, ISSUER], ids=["any issuer", "issuers and audiences"])
async def test_development_token_is_accepted(options: dict[str, Any]) -> None:
    settings = Settings(better_auth_secret=SECRET, **options)
    token = make_token(settings, "ada", lifetime_seconds=60)
    assert await TokenVerifier(settings).verify(token) == Principal("ada")


async def test_development_token_expires_after_its_lifetime() -> None:
    settings = Settings(better_auth_secret=SECRET, token_leeway_seconds=0)
    with pytest.raises(InvalidToken):
        await TokenVerifier(settings).verify(make_token(settings, "ada", lifetime_seconds=0))


async def test_each_checkout_has_its_own_secret(tmp_path_factory: pytest.TempPathFactory) -> None:
    one, other = (Settings(data_dir=tmp_path_factory.mktemp("data")) for _ in range(2))
    token = make_token(one, "ada", lifetime_seconds=60)
    assert (await TokenVerifier(one).verify(token)).user_id == "ada"
    with pytest.raises(InvalidToken):
        await TokenVerifier(other).verify(token)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"environment": "production", "better_auth_secret": SECRET, "database_url": "postgresql://h/d"},
            "ENVIRONMENT",
        ),
        ({"better_auth_url": "https://app.example.com"}, "BETTER_AUTH_URL"),
    ],
    ids=["production", "key set"],
)
def test_no_token_is_issued_if_a_frontend_issues_tokens(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        make_token(Settings(**options), "ada", lifetime_seconds=60)
