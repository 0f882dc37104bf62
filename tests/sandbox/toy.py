"""The smallest vendor: it adds and removes faces by number, and fails as scripted."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from syncsvc.sandbox import base
from syncsvc.sandbox.base import Answer, Call, Limits, StoredFace


class Toy(base.Sandbox):
    """POST /add makes a face of "somebody"; POST /drop takes all of them away."""

    name = "toy"
    default_port = 1
    operations = ("add", "drop")
    documented_limits = Limits(rates=((5, 1.0),))
    default_switches: ClassVar[Mapping[str, Any]] = MappingProxyType({"polite": True})
    count = 0

    def operation(self, call: Call) -> str:
        return call.path.strip("/")

    def authenticate(self, operation: str, call: Call) -> Answer | None:
        return Answer.json(401, {"error": "who"}, word="who") if call.headers.get("x-key") == "wrong" else None

    def handle(self, operation: str, call: Call) -> Answer:
        if operation == "add":
            face_id, _ = self.new_ids()
            self.world.add(StoredFace(face_id, "somebody", "digest"))
            return Answer.json(200, {"id": face_id})
        todo, left = self.first_half(call, self.world.of("somebody"))
        for face in todo:
            self.world.remove(face.vendor_face_id)
        return Answer.json(200, {"left": len(left) if call.half != "silent" else 0})

    def throttled(self, operation: str) -> Answer:
        return Answer.json(429, {"error": "slow"}, word="slow")

    def unavailable(self, operation: str) -> Answer:
        return Answer.json(500, {"error": "not now"}, word="not_now")

    def unknown_code(self, operation: str) -> Answer:
        return Answer.json(400, {"error": "qwertz"}, word="qwertz")

    def new_ids(self) -> tuple[str, str | None]:
        self.count += 1
        return str(self.count), None
