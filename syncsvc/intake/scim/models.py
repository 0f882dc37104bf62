"""The SCIM resource that we keep, and how much we forgive the identity providers that send it."""

from typing import Annotated, Any

import scim2_models as scim
from pydantic import GetCoreSchemaHandler, PrivateAttr
from pydantic_core import CoreSchema, core_schema
from scim2_models import External, Mutability, Reference, Required, Resource, Returned, ScimPolicy, Uniqueness

from syncsvc.model.people import FaceId

# Attributes that we do not keep are ignored wherever they stand. Entra ID names what to remove in a remove's value,
# and expects a path's filter that matches nothing to make the entry that it describes: "Tutorial: Develop a SCIM
# endpoint", Microsoft Learn, and the notes of scim2-models beside these settings.
POLICY = ScimPolicy(
    unknown=ScimPolicy.Unknown.ignore,
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)


class Picture(Reference[External]):
    """Where a photo is. Whether it leads anywhere is found out by whoever fetches it: an error here would quote it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source_type: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class Photo(scim.Photo):
    """A face. Its picture is never sent back, so a stored one stands here as a name of ours."""

    value: Annotated[Picture | None, Mutability.write_only, Returned.never] = None
    """A data: URI or an https URL of the picture."""

    _face: FaceId | None = PrivateAttr(default=None)

    @property
    def face(self) -> FaceId | None:
        """Which of the person's faces this entry was loaded as; it stays so whatever a PATCH writes into the entry."""
        return self._face

    @property
    def stored(self) -> bool:
        """Whether the picture is still the one that we have."""
        return self._face is not None and self.value == _name(self._face)

    def keep_as(self, face: FaceId) -> None:
        self._face = face
        self.value = Picture(_name(face))


class User(Resource[Any]):
    """A person whose faces are kept equal in every face library."""

    __schema__ = scim.URN("urn:ietf:params:scim:schemas:core:2.0:User")

    user_name: Annotated[str | None, Uniqueness.server, Required.true] = None
    """The name by which the identity provider knows the person; their id here where no externalId came first."""

    name: scim.Name | None = None
    """The components of the person's name."""

    display_name: str | None = None
    """The name by which operators see the person. It is sent to no library."""

    active: Annotated[bool | None, Required.true] = None
    """Whether the person is there. False is a departure: their faces leave every library."""

    photos: Annotated[list[Photo] | None, Mutability.write_only, Returned.never] = None
    """The person's faces, one photo each. They are taken and never given back."""


def _name(face: FaceId) -> str:
    return f"urn:syncsvc:face:{face}"
