"""Sophon v2: a box on the local network that keeps people, their faces and photos, and replaces a face in one call.

Sources are the pages of the public interface documentation (5.3 identity-manager and ErrorManager); they ask
for no credentials, so whoever reaches the box may do everything.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any, ClassVar, Literal, TypeVar

import httpx

from syncsvc.library.base import (
    Capabilities,
    FaceLibrary,
    LibraryOptions,
    Page,
    Removal,
    blanket_among,
    is_blanket,
)
from syncsvc.library.faults import Fault, FaultTable, status_fault
from syncsvc.library.fitting import PhotoRule
from syncsvc.model.errors import (
    ErrandError,
    ExistsError,
    GoneError,
    LibraryError,
    MisconfiguredError,
    RejectedError,
    UnavailableError,
    UncertainError,
)
from syncsvc.model.keys import person_key
from syncsvc.model.people import (
    Face,
    Feature,
    Held,
    HeldFace,
    Listed,
    Person,
    PersonId,
    Photo,
    VendorFaceId,
    VendorImageId,
    vendor_ids,
)
from syncsvc.model.report import Report, Seen

T = TypeVar("T")

BUNDLE = 20  # deleteidentities (5-delete-identities) names no maximum; a bundle stays small enough to read
AT_ONCE = 10  # people read before they are deleted: what a slow box has read must not be lost with the lease
PAGE = 100  # getidentities (3-get-identities) names no maximum either; the default is 10

_ASKED_WRONGLY = "the library does not accept how we asked; report this code"
_NO_PICTURE = "the photo cannot be read as a picture; send a JPEG or PNG"
_GROUPS = "the box does not know a group of options.permission_ids; correct them or create the group on the box"
_TROUBLE = "the box has trouble of its own"

# ErrorManager; every page repeats one table, so a code stands here once, whichever call it came from.
FAULTS = FaultTable(
    {
        "ID_NOT_FOUND": Fault(GoneError, "the person or face is not in the library"),
        "ID_REPEAT_ERROR": Fault(ExistsError, "the person is already in the library"),
        "NAME_REPEAT_ERROR": Fault(RejectedError, "the box already has a person of that name"),
        "PERMISSION_ID_NOT_FOUND": Fault(MisconfiguredError, _GROUPS),
        "EMPTY_GROUP_ERROR": Fault(MisconfiguredError, _GROUPS),
        "GROUP_LEN_ERROR": Fault(RejectedError, "the box is full; remove people or ask for a larger group size"),
        "INVALID_ARGUMENTS": Fault(RejectedError, _ASKED_WRONGLY),
        "MISSING_ARGUMENTS": Fault(RejectedError, _ASKED_WRONGLY),
        "INVALID_REQUEST_JSON": Fault(RejectedError, _ASKED_WRONGLY),
        "EMPTY_REQUEST_JSON": Fault(RejectedError, _ASKED_WRONGLY),
        "UNSUPPORT_CONTENT_TYPE": Fault(RejectedError, _ASKED_WRONGLY),
        "IMAGE_DECODE_ERROR": Fault(RejectedError, _NO_PICTURE),
        "IMAGE_NOT_OPENED": Fault(RejectedError, _NO_PICTURE),
        "INVALID_IMAGE_URL": Fault(RejectedError, _NO_PICTURE),
        "IMAGE_SIZE_TOO_LARGE_ERROR": Fault(RejectedError, "the photo is too large for the box; send a smaller one"),
        "NO_FACE_ERROR": Fault(RejectedError, "no face was found in the photo; take one with the face clear and whole"),
        "LOW_QUALITY_ERROR": Fault(RejectedError, "the photo is not good enough; take a new one"),
        "INTERNAL_ERROR": Fault(UnavailableError, _TROUBLE, perhaps_done=True),
        "INTERNET_ERROR": Fault(UnavailableError, _TROUBLE),
        "IMAGE_DOWNLOAD_TIMEOUT": Fault(UnavailableError, _TROUBLE),
        "INSUFFICIENT_SPACE_LEFT": Fault(UnavailableError, "the box has no space left; free some on it"),
    }
)

# What LOW_QUALITY_ERROR's message may name (7-delete-face and 8-update-image, table of codes).
_QUALITY = {
    "headpose": "the head is turned too far",
    "clarity": "it is not sharp",
    "face_size": "the face is too small",
    "partial": "the face is cut off",
    "face_color": "the light is uneven",
    "brightness": "it is too dark",
    "mask": "a mask covers the face",
    "occlusion": "something covers the face",
}


class Options(LibraryOptions):
    """`fiqa_level` is how strictly the box checks photos; the groups and the type are given to people we create."""

    fiqa_level: Literal["no", "low", "normal", "high"] = "high"
    permission_ids: tuple[str, ...] = ()
    user_type: Literal["employee", "visitor", "blacklist", "stranger", "vip"] = "employee"


class Library(FaceLibrary[Options]):
    """The answer of every change lists the faces that the person then has; those lists are the truth."""

    Options: ClassVar[type[LibraryOptions]] = Options
    operations: ClassVar[tuple[str, ...]] = (
        "createidentity",
        "addface",
        "replaceface",
        "deleteface",
        "deleteidentities",
        "getidentity",
        "getidentities",
    )
    capabilities: ClassVar[Capabilities] = Capabilities(
        # Neither formats nor bytes are documented, only that there is a maximum; the bound is ours.
        photo=PhotoRule(frozenset({"image/jpeg", "image/png"}), max_bytes=5 * 1024 * 1024),
        native_replace=True,
        bundle=BUNDLE,
        takes_features=True,
        slips_by="person",
        concurrency=2,  # an embedded device, of which no limit is documented
    )

    @staticmethod
    def credential_id(options: Any) -> str:  # noqa: ARG004
        return ""

    def add(self, person: Person, face: Face, held: Held) -> Report:
        """A person is created with their first face; whether there is one already, the box knows best."""
        if held:
            try:
                return self._add_face(person, face)
            except GoneError:
                return self._create(person, face)
        try:
            return self._create(person, face)
        except ExistsError:
            return self._add_face(person, face)

    def swap(self, person: Person, old: HeldFace, face: Face) -> Report:
        """Reads the person before: a replaced face may stand anywhere in the answer, between faces that are not ours.

        Selects by face_id only: an index is moved by anybody else's change (8-update-image, register_image_index).
        """
        key = person_key(person.id)
        before = self._person(key)
        if old.vendor_face_id not in vendor_ids(before):
            raise GoneError("the face to replace is not in the library", code="ID_NOT_FOUND")
        body = {"identity_id": key, "face_id": old.vendor_face_id, **self._source(face)}
        after = self._change("replaceface", key, body, adds=True)
        made = [one for one in after if one not in before]
        if len(made) != 1:
            raise UncertainError(
                "the library's answer does not show which face is new", code="ambiguous", about_person=True
            )
        return Report(added=tuple(made), remaining=after)

    def remove(self, removal: Removal) -> Report:
        if not removal.whole:
            return self._remove_faces(removal)
        answer = self.remove_many([removal])[removal.person.id]
        if isinstance(answer, ErrandError):
            raise answer
        return answer

    def remove_many(self, removals: Sequence[Removal]) -> Mapping[PersonId, Report | ErrandError]:
        """People who leave go together, and whole; single faces, and people who share theirs, face by face.

        deleteidentities takes everything a person has, so each is read before, and whoever has a face that is
        not ours is not among them. Whoever was read goes before the time for calls is up: else a box so slow
        that the reading outlasts a lease would be read again and again and never lose anybody.
        """
        answers: dict[PersonId, Report | ErrandError] = {}
        leaving: list[Removal] = []
        trouble: ErrandError | None = None
        for removal in removals:
            if trouble is None and leaving and (len(leaving) == AT_ONCE or not self.door.has_time_for(2)):
                told = self._remove_people(leaving)
                answers |= told
                leaving = []
                trouble = blanket_among(told.values())
            if trouble is not None:
                answers[removal.person.id] = trouble.for_another()
                continue
            try:
                report = self._take_out(removal)
            except ErrandError as error:
                answers[removal.person.id] = error
                trouble = error if is_blanket(error) else None
            else:
                if report is None:
                    leaving.append(removal)
                else:
                    answers[removal.person.id] = report
        if leaving:
            answers |= self._remove_people(leaving)
        return answers

    def farewell(self, person: Person) -> None:
        key = person_key(person.id)
        with suppress(GoneError):
            if not self._person(key):
                self._call("deleteidentities", {"identity_ids": [key]}, _deleted, changes=True)

    def look(self, person: Person, held: Held) -> Seen:  # noqa: ARG002
        try:
            return Seen(self._person(person_key(person.id)), complete=True)
        except GoneError:
            return Seen((), complete=True)

    def page(self, cursor: str | None) -> Page:
        """The cursor holds the next page's index, the people seen so far, and the total of the first page.

        Pages are counted off anew at every call, so where the total changed on the way somebody may have
        slipped between two pages, and the listing is suspect.
        """
        index, seen, expected = (int(part) for part in (cursor or "0:0:-1").split(":"))
        people, total = self._people(index, PAGE)
        faces = tuple(one for person in people for one in _faces(person, str(person["identity_id"])))
        seen += len(people)
        expected = total if index == 0 else expected
        if people and seen < total:
            return Page(faces, f"{index + 1}:{seen}:{expected}")
        return Page.last(faces, seen=seen, before=expected, after=total, of="people")

    def ping(self) -> str:
        _, total = self._people(0, 1)
        return f"the box answers and holds {total:,} people"

    # --- the calls --------------------------------------------------------------------------------------------

    def _create(self, person: Person, face: Face) -> Report:
        key = person_key(person.id)
        body = {
            "identity_id": key,
            "user_type": self.options.user_type,
            "permission_ids": list(self.options.permission_ids),
            **self._source(face),
        }

        def read(answer: Mapping[str, Any]) -> Listed:
            _about(answer, key)
            return _listed(answer["face_id"], answer["register_image_id"], key)

        return Report(added=(self._call("createidentity", body, read, changes=True, adds=True),))

    def _add_face(self, person: Person, face: Face) -> Report:
        key = person_key(person.id)
        return Report(remaining=self._change("addface", key, {"identity_id": key, **self._source(face)}, adds=True))

    def _take_out(self, removal: Removal) -> Report | None:
        """Remove what is wanted gone, face by face; None where the whole person may go and has not yet."""
        if not removal.whole:
            return self._remove_faces(removal)
        try:
            listed = self._person(person_key(removal.person.id))
        except GoneError:
            return Report(remaining=())
        if vendor_ids(listed) <= vendor_ids(removal.held):
            return None
        return self._remove_faces(removal)

    def _remove_faces(self, removal: Removal) -> Report:
        """One call for each face (7-delete-face). The last answer tells what is left."""
        key = person_key(removal.person.id)
        left: tuple[Listed, ...] | None = None
        gone: set[VendorFaceId] = set()
        for face_id in (face.vendor_face_id for face in removal.faces):
            try:
                if left is None or face_id in vendor_ids(left):
                    left = self._change("deleteface", key, {"identity_id": key, "face_id": face_id})
            except _NotFoundError as error:
                left = self._left_without(key, face_id, error, left)
            except ErrandError as error:
                error.removed = frozenset(gone)
                raise
            if left is None or face_id not in vendor_ids(left):
                gone.add(face_id)
        return Report(remaining=left, absent=frozenset(gone))

    def _left_without(
        self, key: str, face_id: VendorFaceId, error: "_NotFoundError", left: tuple[Listed, ...] | None
    ) -> tuple[Listed, ...] | None:
        """What the person has where a face was not found: the message is the id, of the person or of the face."""
        if error.missing == key:
            return ()
        if error.missing == face_id:
            return None if left is None else tuple(one for one in left if one.vendor_face_id != face_id)
        try:
            return self._person(key)
        except GoneError:
            return ()

    def _remove_people(self, removals: Sequence[Removal]) -> dict[PersonId, Report | ErrandError]:
        """Partial success is a success (5-delete-identities): whoever is not named as deleted is read again."""
        keys = {removal.person.id: person_key(removal.person.id) for removal in removals}
        answers: dict[PersonId, Report | ErrandError] = {}
        try:
            deleted = self._call("deleteidentities", {"identity_ids": list(keys.values())}, _deleted, changes=True)
        except GoneError:
            deleted = frozenset()
        except ErrandError as error:
            return {removal.person.id: error.for_another() for removal in removals}
        for person_id, key in keys.items():
            if key in deleted:
                answers[person_id] = Report(remaining=())
                continue
            try:
                answers[person_id] = Report(remaining=self._person(key))
            except GoneError:
                answers[person_id] = Report(remaining=())
            except ErrandError as error:
                answers[person_id] = error
        return answers

    def _person(self, key: str) -> tuple[Listed, ...]:
        """The person's faces; GoneError where there is no such person."""
        return self._call("getidentity", {"identity_id": key}, lambda answer: _faces(answer, key), changes=False)

    def _people(self, index: int, limit: int) -> tuple[list[Mapping[str, Any]], int]:
        def read(answer: Mapping[str, Any]) -> tuple[list[Mapping[str, Any]], int]:
            return list(answer["identities"]), int(answer["pagination"]["total_count"])

        return self._call("getidentities", {"page_limit": limit, "page_index": index}, read, changes=False)

    def _change(self, operation: str, key: str, body: Mapping[str, Any], *, adds: bool = False) -> tuple[Listed, ...]:
        """A call that changes one person's faces; what they have after it."""
        return self._call(operation, body, lambda answer: _faces(answer, key), changes=True, adds=adds)

    def _source(self, face: Face) -> dict[str, Any]:
        match face.source:
            case Feature() as feature:
                return {"register_feature": list(feature.values), "fiqa_level": self.options.fiqa_level}
            case Photo() as photo:
                kind = "png" if photo.media_type == "image/png" else "jpg"  # as 8-update-image's example spells it
                image = base64.b64encode(photo.content).decode()
                return {"register_image": f"data:image/{kind};base64,{image}", "fiqa_level": self.options.fiqa_level}
            case None:
                raise RejectedError("the photo is no longer stored; send it again", code="photo_missing")

    def _call(
        self,
        operation: str,
        body: Mapping[str, Any],
        read: Callable[[Mapping[str, Any]], T],
        *,
        changes: bool,
        adds: bool = False,
    ) -> T:
        url = f"{self.door.base_url.rstrip('/')}/sophon/v2/face/{operation}"
        headers = {"Content-Type": "application/json"}  # anything else is UNSUPPORT_CONTENT_TYPE, on every page

        def build() -> httpx.Request:
            return self.door.client.build_request("POST", url, content=json.dumps(body), headers=headers)

        return self.door.call(operation, build, lambda response: read(_answer(response)), changes=changes, adds=adds)


class _NotFoundError(GoneError):
    """ID_NOT_FOUND; `missing` is the id that the box says it did not find."""

    def __init__(self, message: str, missing: str) -> None:
        super().__init__(message, code="ID_NOT_FOUND")
        self.missing = missing


def _answer(response: httpx.Response) -> Mapping[str, Any]:
    """The answer's object. Judged by `error` and not by the status: no page says which status an error has."""
    try:
        answer = response.json()
    except ValueError:
        answer = None
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is not None:
        raise _fault(str(error["code"]), str(error.get("message", "")))
    if response.status_code != HTTPStatus.OK:
        raise status_fault(response)
    if not isinstance(answer, dict):
        raise ValueError("the answer is not an object")  # noqa: TRY004
    return answer


def _fault(code: str, message: str) -> LibraryError:
    error = FAULTS.error(code)
    if code == "ID_NOT_FOUND":
        return _NotFoundError(str(error), message.strip())
    if code == "LOW_QUALITY_ERROR":
        reasons = [words for name, words in _QUALITY.items() if name in message]
        if reasons:
            return RejectedError(f"the photo is not good enough: {', '.join(reasons)} ({code})", code=code)
    return error


def _faces(answer: Mapping[str, Any], key: str) -> tuple[Listed, ...]:
    """The person's faces: the two lists belong together by position."""
    _about(answer, key)
    return tuple(
        _listed(face_id, image_id, key)
        for face_id, image_id in zip(answer["face_ids"], answer["register_image_ids"], strict=True)
    )


def _about(answer: Mapping[str, Any], key: str) -> None:
    told = answer["identity_id"]  # a string by 8-update-image's table, a list of one in its example
    if told not in (key, [key]):
        raise ValueError("the answer is about somebody else")


def _listed(face_id: Any, image_id: Any, key: str) -> Listed:
    if not (isinstance(face_id, str) and face_id and isinstance(image_id, str)):
        raise ValueError("an id is not a string")
    return Listed(VendorFaceId(face_id), VendorImageId(image_id), key)


def _deleted(answer: Mapping[str, Any]) -> frozenset[str]:
    """Who was deleted; V6's older page (4.3, 5_deleteidentity) spells the list with one c."""
    told = answer["success_identity_ids"] if "success_identity_ids" in answer else answer["sucess_identity_ids"]
    return frozenset(str(key) for key in told)
