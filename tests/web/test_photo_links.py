"""One link opens one photo, for a short while."""

import io
from datetime import timedelta

import pytest
from PIL import Image

from syncsvc.flow.record import record
from syncsvc.intake.photos import read_photo
from syncsvc.library.fitting import fit
from syncsvc.model.changes import Departed, FaceReplaced, Told, Upserted
from syncsvc.model.people import Digest, FaceId, Feature, LibraryName, PersonId, Photo
from syncsvc.store.links import LIFETIME, Links
from syncsvc.store.vault import Vault
from syncsvc.wiring import Service, now
from tests.vendors.photos import too_large_for
from tests.web.asking import Client

NORTH_GATE = LibraryName("north-gate")
ALICE, FRONT = PersonId("alice"), FaceId("front")


@pytest.fixture
def photo(service: Service) -> Photo:
    drawn = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(drawn, "JPEG")
    photo = read_photo(drawn.getvalue())
    record(service.house, Told("hr", "hired", Upserted(ALICE, ((FRONT, photo),))))
    return photo


def path(service: Service, digest: Digest) -> str:
    return service.links.url(digest, NORTH_GATE).removeprefix("http://localhost")


def test_a_fresh_link_opens_its_photo(client: Client, service: Service, photo: Photo) -> None:
    answer = client.get(path(service, photo.digest))

    assert (answer.status_code, answer.content) == (200, photo.content)
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_link_ends_with_the_departure_of_whom_it_shows_though_the_photo_is_kept(
    client: Client, service: Service, photo: Photo
) -> None:
    link = path(service, photo.digest)
    keep_in_doubt(service)

    record(service.house, Told("hr", "left", Departed(ALICE)))

    with service.house.store.reading() as tx:
        assert tx.photos.get(photo.digest) is not None
    assert client.get(link).status_code == 404


def test_a_photo_that_is_exchanged_can_still_be_fetched_by_a_library_that_is_at_it(
    client: Client, service: Service, photo: Photo
) -> None:
    link = path(service, photo.digest)
    keep_in_doubt(service)

    drawn = io.BytesIO()
    Image.new("RGB", (64, 64), "navy").save(drawn, "JPEG")
    record(service.house, Told("hr", "swapped", FaceReplaced(ALICE, FRONT, read_photo(drawn.getvalue()))))

    assert client.get(link).status_code == 200


def keep_in_doubt(service: Service) -> None:
    """A library is at Alice's delivery just now."""
    with service.house.store.transaction() as tx:
        for one in tx.deliveries.of_person(ALICE):
            until = now() + timedelta(seconds=45)
            assert tx.deliveries.claim(one.library, [one.id], lease="a/b", now=now(), until=until)


def test_its_size_can_be_asked_first(client: Client, service: Service, photo: Photo) -> None:
    answer = client.head(path(service, photo.digest))

    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(len(photo.content))


def test_a_link_says_nothing_of_the_photo_it_opens(service: Service, photo: Photo) -> None:
    assert photo.digest not in path(service, photo.digest)
    assert path(service, photo.digest) != path(service, photo.digest)


def test_every_other_token_is_nothing_here(client: Client, service: Service, photo: Photo) -> None:
    vault = Vault(service.settings.photo_keys)
    good = path(service, photo.digest)
    expired = Links(vault, "", lambda: now() - LIFETIME - timedelta(seconds=1)).url(photo.digest, NORTH_GATE)
    elsewhere = Links(Vault([b"x" * 32]), "", now).url(photo.digest, NORTH_GATE)
    gone = path(service, Digest("ab" * 32))
    unknown = service.links.url(photo.digest, LibraryName("south-gate")).removeprefix("http://localhost")
    last = "A" if good[-2] != "A" else "B"
    tampered = good[:-2] + last + good[-1]

    answers = [
        client.get(one)
        for one in (
            expired,
            elsewhere,
            gone,
            unknown,
            tampered,
            good[:-4],
            f"/photos/{photo.digest}",
            "/photos/%00",
            good + "A" * 300,
        )
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.json()["detail"] for answer in answers} == {"there is nothing here"}


def test_a_photo_is_served_as_the_library_takes_it_that_the_link_was_made_for(client: Client, service: Service) -> None:
    rule = service.house.shelf(NORTH_GATE).library.capabilities.photo
    photo = too_large_for(rule)
    record(service.house, Told("hr", "hired", Upserted(ALICE, ((FRONT, photo),))))

    answer = client.get(path(service, photo.digest))

    assert answer.content == fit(photo, rule).content
    assert answer.headers["Content-Type"] == "image/jpeg"


def test_a_photo_that_nothing_makes_fit_is_not_there(client: Client, service: Service) -> None:
    photo = Photo(b"no picture", "image/webp", 300, 300)
    record(service.house, Told("hr", "hired", Upserted(ALICE, ((FRONT, photo),))))

    assert client.get(path(service, photo.digest)).status_code == 404


def test_a_feature_is_no_photo(client: Client, service: Service) -> None:
    feature = Feature((0.5,) * 512)
    record(service.house, Told("hr", "hired", Upserted(ALICE, ((FRONT, feature),))))

    assert client.get(path(service, feature.digest)).status_code == 404
