"""The text at the start of `task-service dev`."""

import shlex

from jose import jwt

from backend.config import Settings
from backend.devtools.banner import banner
from tests.support.service import SECRET


def test_banner_has_a_complete_curl_command() -> None:
    text = banner(Settings(better_auth_secret=SECRET, host="::"), 8123)
    assert "http://[::1]:8123/docs" in text
    command = text[text.index("curl") : text.index("Ctrl-C")].replace("\\\n", " ")
    curl, option, header, json_option, body, url = shlex.split(command)
    assert (curl, option, json_option, body) == ("curl", "-H", "--json", '{"title": "Buy milk"}')
    assert url == "http://[::1]:8123/api/developer/tasks"
    token = header.removeprefix("Authorization: Bearer ")
    assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "developer"


def test_banner_names_the_issuer_of_tokens_without_its_password() -> None:
    text = banner(Settings(better_auth_url="https://u:hunter2@a.example"), 8000)
    assert "Tokens come from https://" in text
    assert "a.example." in text
    assert "hunter2" not in text
    assert "curl" not in text
