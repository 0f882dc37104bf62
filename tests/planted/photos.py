"""Defects of how photos are read, fetched and fitted."""

from tests.planted.defect import Defect

FETCHING = "tests/intake/test_fetching.py"
FITTING = "tests/library/test_fitting.py"
READING = "tests/intake/test_photos.py"

DEFECTS = (
    Defect(
        "one public address is enough",
        "syncsvc.intake.outbound",
        "all(map(is_public, addresses))",
        "any(map(is_public, addresses))",
        (f"{FETCHING}::test_a_name_that_leads_inside_is_never_asked",),
    ),
    Defect(
        "the name is resolved again to connect",
        "syncsvc.intake.outbound",
        "for address in self._checked(host, port)[:_ADDRESSES]:",
        "for address in self._checked(host, port) and self._resolve(host, port):",
        (f"{FETCHING}::test_the_connection_goes_to_the_very_address_that_was_checked",),
    ),
    Defect(
        "a redirect is followed unchecked",
        "syncsvc.intake.fetching",
        "            self._check(url)\n            answer",
        "            answer",
        (f"{FETCHING}::test_where_a_redirect_leads_is_checked_as_if_it_had_been_told",),
    ),
    Defect(
        "only each read is bounded",
        "syncsvc.intake.outbound",
        "return self._stream.read(max_bytes, _left(self._deadline))",
        "return self._stream.read(max_bytes, 0.3)",
        ("tests/intake/test_fetching_bounds.py::test_whoever_drips_is_left_after_the_time_for_everything",),
    ),
    Defect(
        "a comment between two scans stays",
        "syncsvc.intake.bare",
        "marker = _JPEG_MARKER.search(content, end)",
        'marker = re.compile(b"\\xff\\xd9").search(content, end)',
        (f"{READING}::test_a_segment_that_is_not_the_picture_goes_wherever_it_stands",),
    ),
    Defect(
        "which way up it was held is forgotten",
        "syncsvc.intake.photos",
        "turn = _UPRIGHT.get(_orientation(picture))",
        "turn = None",
        (f"{READING}::test_a_picture_is_stored_the_way_up_that_its_exif_says",),
    ),
    Defect(
        "a scaled photo may be a pixel too long",
        "syncsvc.library.fitting",
        "return max(1, photo.width * rule.max_side // long), max(1, photo.height * rule.max_side // long)",
        "return photo.width * rule.max_side // long + 1, photo.height * rule.max_side // long + 1",
        (f"{FITTING}::test_a_side_that_is_too_long_is_scaled_with_the_other",),
    ),
    Defect(
        "a lost add is searched for by another picture than was sent",
        "syncsvc.library.base",
        "self.retract(person, sent)",
        "self.retract(person, face)",
        ("tests/vendors/test_finauth.py::TestFinAuth::test_a_picture_that_was_sent_smaller_is_found_by_what_was_sent",),
    ),
)
