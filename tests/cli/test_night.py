"""The night and the end, on a running service: what vanished comes back, who left is proven gone, a stranger stays."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncsvc.sandbox.serve import running, sandbox_class
from tests.cli.conftest import KEY
from tests.cli.test_front_door import CONFIGURATION, SECRET, TOKENS, VENDORS
from tests.cli.upping import Up, eventually, running_up
from tests.vendors.photos import draw

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LIBRARIES = ("north-gate", "cloud-ali", "cloud-huawei", "fin")


def said(up: Up, *words: str, code: int = 0) -> Any:
    answer = up.run(*words)
    assert answer.returncode == code, (words, answer.stdout[-800:], answer.stderr[-800:])
    return json.loads(answer.stdout) if "--json" in words else answer.stdout


def test_the_night_mends_and_a_departure_ends_with_a_receipt_that_anybody_can_verify(tmp_path: Path) -> None:
    rooms = {vendor: sandbox_class(vendor)() for vendor in VENDORS}
    with running(*rooms.values()) as urls:
        environ = {
            "PHOTO_KEY": KEY,
            "RECEIPT_KEY": base64.b64encode(bytes(range(32))).decode(),
            "SCIM_TOKEN": TOKENS["scim"],
            "OPS_TOKEN": TOKENS["ops"],
            "HR_SECRET": SECRET,
            "BACK_SECRET": SECRET,
            "PRACTICE": "sandbox-secret",
        }
        addresses = dict(zip(VENDORS, urls, strict=True)) | {"callback": "http://127.0.0.1:9"}
        configuration = CONFIGURATION
        for name, url in addresses.items():
            configuration = configuration.replace(f"{{{name}}}", url)
        configuration = configuration.replace(
            'photo_key = "env:PHOTO_KEY"', 'photo_key = "env:PHOTO_KEY"\nreceipt_key = "env:RECEIPT_KEY"'
        )
        with running_up(tmp_path, configuration, environ) as up:
            _story(up, rooms, tmp_path)


def _story(up: Up, rooms: dict[str, Any], folder: Path) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{up.port}", trust_env=False, timeout=30) as client:
        for number, person in enumerate(("ada-1001", "bob-1002")):
            photo = base64.b64encode(draw(number).content).decode()
            answer = client.put(
                f"/v1/people/{person}/faces/badge",
                json={"photo": {"base64": photo}},
                headers={"Authorization": f"Bearer {TOKENS['ops']}"},
            )
            assert answer.status_code in {200, 201, 202}, answer.text
        eventually(lambda: all(len(room.world.faces) == 2 for room in rooms.values()), "both are everywhere")

        stranger = rooms["sophon"].plant("somebody-else")
        vanished = next(one for one in rooms["huawei"].world.faces.values())
        rooms["huawei"].remove(vanished.vendor_face_id)
        said(up, "reconcile", "run")
        eventually(lambda: len(rooms["huawei"].world.faces) == 2, "what had vanished is back")
        assert stranger.vendor_face_id in rooms["sophon"].world.faces
        odd = said(up, "reconcile", "list", "--json")
        assert "foreign" in json.dumps(odd)

        said(up, "person", "erase", "ada-1001", "--yes")
        eventually(lambda: all(len(_ours(room)) == 1 for room in rooms.values()), "nobody holds who left")
        eventually(lambda: up.run("erasure", "receipt", "ada-1001").returncode == 0, "a receipt")
        file, key = folder / "receipt.json", folder / "public.key"
        said(up, "erasure", "receipt", "ada-1001", "-o", str(file))
        receipt = json.loads(file.read_text())["receipt"]
        assert {one["name"]: one["verdict"] for one in receipt["libraries"]} == dict.fromkeys(
            LIBRARIES, "verified_absent"
        )
        assert "ada-1001" not in json.dumps(receipt)
        key.write_text(said(up, "erasure", "public-key"))
        assert up.run("erasure", "verify", str(file), "--public-key", str(key)).returncode == 0
        file.write_text(file.read_text().replace("verified_absent", "verified_absemt", 1))
        assert up.run("erasure", "verify", str(file), "--public-key", str(key)).returncode == 1
        numbers = client.get("/metrics").text
        assert "syncsvc_erasures_overdue 0" in numbers
        assert "syncsvc_receipts 1" in numbers


def _ours(room: Any) -> list[Any]:
    return [one for one in room.world.faces.values() if not one.planted]
