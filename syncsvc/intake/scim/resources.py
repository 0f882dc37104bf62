"""SCIM resources <-> what we keep of them, and the change that a new state of one tells."""

from collections.abc import Iterable
from typing import Any

from scim2_models import Context, Meta, Path, default_comparison_key

from syncsvc.intake.lines import person_id
from syncsvc.intake.scim import faces
from syncsvc.intake.scim.models import POLICY, User
from syncsvc.model.changes import Change, Departed, Upserted
from syncsvc.model.errors import InputError
from syncsvc.model.people import FaceId, PersonId, Source
from syncsvc.store.scim_users import Kept, ScimUser

_LARGEST = 64 * 1024  # bytes of a resource as it is kept, without its pictures

_USER_NAME = Path[User]("userName").resolve()


def read_creation(said: dict[str, Any]) -> User:
    """A POST's resource. Raises ValidationError, or InputError for ids that cannot be kept."""
    filled = _with_active(said, otherwise=True)
    user = User.model_validate(filled, scim_ctx=Context.RESOURCE_CREATION_REQUEST, scim_policy=POLICY)
    return _checked(user)


def read_replacement(said: dict[str, Any], before: User) -> User:
    """What a PUT makes of `before`: what it leaves out is cleared, except `active` and the photos.

    Raises ValidationError, or InputError for ids that cannot be kept.
    """
    filled = _with_active(said, otherwise=bool(before.active))
    user = User.model_validate(filled, scim_ctx=Context.RESOURCE_REPLACEMENT_REQUEST, scim_policy=POLICY)
    user.replace(before)
    return _checked(user)


def person_of(user: User) -> PersonId:
    """Who a new resource is about: by externalId where one is given, else by userName."""
    return PersonId(str(user.external_id or user.user_name))


def load(stored: ScimUser, base: str) -> User:
    """The resource as it is now: our own database says whether the person is there, and which faces they have.

    `base` is the URL of the SCIM endpoints.
    """
    user = User(user_name=stored.user_name, external_id=stored.external_id)
    if stored.resource is not None:
        user = User.model_validate_json(stored.resource, scim_policy=POLICY)
    user.id = stored.id
    user.active = not stored.departed
    user.meta = Meta(
        resource_type="User",
        created=stored.created_at,
        last_modified=stored.changed_at,
        location=f"{base}/Users/{stored.id}",
        version=version_of(stored),
    )
    faces.show(user, [face.id for face in stored.faces])
    return user


def version_of(stored: ScimUser) -> str:
    """The ETag. The person's revision is part of it: `active` and the faces may change without any SCIM request."""
    return f'W/"{stored.version}.{stored.revision}"'


def user_name_key(user_name: str) -> str:
    """The form in which user names are compared: regardless of case."""
    return default_comparison_key(_USER_NAME, user_name)


def keep(user: User) -> Kept:
    """What is written of the resource. Raises InputError for one that is too large."""
    _checked(user)
    told = {"user_name", "external_id", "display_name", "name", "photos"}
    resource = user.model_dump_json(scim_ctx=Context.DEFAULT, include=told).encode()
    if len(resource) > _LARGEST:
        raise InputError(f"the user takes {len(resource):,} bytes without pictures; at most {_LARGEST:,} are kept")
    return Kept(user_name_key(str(user.user_name)), user.external_id, resource)


def change_between(
    person: PersonId, before: User | None, after: User, wanted: Iterable[tuple[FaceId, Source]] | None
) -> Change | None:
    """What the new state tells of the person; None where it tells nothing new. `wanted` None: the same faces."""
    was_there = before is not None and bool(before.active)
    if not after.active:
        return Departed(person) if was_there or before is None else None
    if was_there and wanted is None and before is not None and name_of(before) == name_of(after):
        return None
    return Upserted(person, None if wanted is None else tuple(wanted), name_of(after))


def name_of(user: User) -> str | None:
    """The name by which operators see the person."""
    if user.display_name:
        return user.display_name
    if user.name is None:
        return None
    return user.name.formatted or " ".join(one for one in (user.name.given_name, user.name.family_name) if one) or None


def _checked(user: User) -> User:
    for field, told in (("userName", user.user_name), ("externalId", user.external_id)):
        if told is not None:
            try:
                person_id(told)
            except InputError as error:
                raise InputError(str(error).replace("the person's id", field), field=field) from None
    return user


def _with_active(said: dict[str, Any], *, otherwise: bool) -> dict[str, Any]:
    """`active` is required of a resource, but we know what is meant where a request leaves it out."""
    told = {key: value for key, value in said.items() if key.lower() != "active" or value is not None}
    return told if any(key.lower() == "active" for key in told) else {**told, "active": otherwise}
