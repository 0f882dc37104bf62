"""Sophon signs the contract; what is its own follows."""

from collections.abc import Mapping
from typing import Any, ClassVar

from tests.vendors.contract import LibraryContract


class TestSophon(LibraryContract):
    vendor = "sophon"
    adding = ("createidentity", "addface")
    replacing = ("replaceface",)
    removing = ("deleteidentities",)
    retry_after = 3.0  # of the proxy: the box itself has no such code
    gives_request_ids = False
    lists_labels = False


class TestSophonWithTheOtherAnswers(LibraryContract):
    """The same against a box that decided every open question the other way."""

    vendor = "sophon"
    adding = ("createidentity", "addface")
    replacing = ("replaceface",)
    removing = ("deleteidentities",)
    retry_after = 3.0
    gives_request_ids = False
    lists_labels = False
    switches: ClassVar[Mapping[str, Any]] = {
        "refuse_last_face": True,
        "identity_id_as_list": False,
        "replace_keeps_place": False,
        "replace_keeps_face_id": True,
        "errors_with_200": True,
        "old_spelling": True,
        "max_page_limit": 40,
    }
