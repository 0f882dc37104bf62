"""`python -m tests.queue.bell`: tell of two people and ring for them, as whoever is told something does.

Prints how many messages were sent; what was sent stays in the broker, because nobody listens.
"""

import os
import sys

from syncsvc.flow.record import record
from syncsvc.model.changes import Told, Upserted
from syncsvc.model.people import FaceId, Feature, PersonId
from syncsvc.queue.send import send
from syncsvc.settings import load
from syncsvc.store import schema
from syncsvc.wiring import declare_libraries, open_service
from tests.vendors.photos import draw

NAME = "CANARY Zoë 卓"
PHOTO = draw(77)
FEATURE = Feature(tuple(0.271828 + number for number in range(512)))


def main() -> None:
    service = open_service(load(None, os.environ))
    schema.upgrade(service.house.store)
    declare_libraries(service)
    sent = 0
    for person, source in ((PersonId("zoe"), PHOTO), (PersonId("yan"), FEATURE)):
        told = Told("hr", person, Upserted(person, ((FaceId("left"), source),), name=NAME))
        sent += send(record(service.house, told).rings)
    sys.stdout.write(f"{sent}\n")


if __name__ == "__main__":
    main()
