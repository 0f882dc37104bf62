"""Alibaba Cloud's custom face library signs the contract, and what is its own."""

from collections.abc import Mapping
from typing import Any

from tests.vendors.contract import LibraryContract


class TestAliyun(LibraryContract):
    vendor = "aliyun"
    adding = ("face/add",)
    replacing = ("face/add", "face/delete")
    removing = ("face/delete",)
    secrets = ("sandbox-secret",)
    lists_labels = False
    listing_is_partial = True

    def options(self) -> Mapping[str, Any]:
        return {
            "access_key_id": "sandbox-key",
            "access_key_secret": "sandbox-secret",
            "region": "cn-shanghai",
            "group_id": "staff",
        }

    def wrong_options(self) -> Mapping[str, Any]:
        return {**self.options(), "access_key_secret": "not-the-secret"}
