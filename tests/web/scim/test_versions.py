"""ETags: nobody overwrites what they have not seen, and nobody reads again what has not changed."""

import pytest

from tests.web.scim.provider import IdentityProvider

RENAME = {"op": "replace", "path": "displayName", "value": "B"}


@pytest.fixture
def user(idp: IdentityProvider) -> str:
    return idp.hire("alice", displayName="A")


def version(idp: IdentityProvider, user: str) -> str:
    return str(idp.get(f"/Users/{user}").headers["ETag"])


def test_a_version_is_a_weak_tag_and_stands_in_meta_as_well(idp: IdentityProvider, user: str) -> None:
    answer = idp.get(f"/Users/{user}")

    assert answer.headers["ETag"].startswith('W/"')
    assert answer.json()["meta"]["version"] == answer.headers["ETag"]


def test_every_change_makes_another_version(idp: IdentityProvider, user: str) -> None:
    before = version(idp, user)

    answer = idp.patch(user, RENAME)

    assert before != answer.headers["ETag"] == version(idp, user)


def test_what_has_not_changed_is_not_sent_again(idp: IdentityProvider, user: str) -> None:
    known = {"If-None-Match": version(idp, user)}

    answer = idp.get(f"/Users/{user}", headers=known)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", known["If-None-Match"])
    idp.patch(user, RENAME)

    assert idp.get(f"/Users/{user}", headers=known).status_code == 200


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_another_version_than_the_one_that_was_seen_is_not_touched(
    idp: IdentityProvider, user: str, method: str
) -> None:
    seen = {"If-Match": version(idp, user)}
    idp.patch(user, RENAME)
    before = idp.get(f"/Users/{user}").text
    said = {"PUT": {"userName": "alice"}, "PATCH": {"Operations": [RENAME]}, "DELETE": None}[method]

    answer = idp.ask(method, f"/Users/{user}", said, headers=seen)

    assert answer.status_code == 412
    assert idp.get(f"/Users/{user}").text == before
    assert not idp.departed()


@pytest.mark.parametrize("form", ["{}", "*", '"x", {}', "{strong}"])
def test_the_version_that_was_seen_is_changed(idp: IdentityProvider, user: str, form: str) -> None:
    seen = version(idp, user)

    answer = idp.patch(user, RENAME, headers={"If-Match": form.format(seen, strong=seen.removeprefix("W/"))})

    assert answer.status_code == 200
