"""Defects of adapters and of the seam below them."""

from tests.planted.defect import Defect

ALIYUN = "tests/vendors/test_aliyun.py::TestAliyun"
FINAUTH = "tests/vendors/test_finauth.py::TestFinAuth"
HUAWEI = "tests/vendors/test_huawei.py::TestHuaweiWithoutPeople"
SOPHON = "tests/vendors/test_sophon.py::TestSophon"
SOPHONS_OWN = "tests/vendors/test_sophon.py::TestSophonsOwn"
ANSWERS = "tests/vendors/test_sophon_answers.py"


DEFECTS = (
    Defect(
        "first page only",
        "syncsvc.vendors.sophon",
        "if people and seen < total:",
        "if people and seen < 0:",
        (f"{SOPHON}::test_a_listing_shows_every_face_exactly_once_over_several_pages",),
    ),
    Defect(
        "an incomplete listing passes for whole",
        "syncsvc.vendors.sophon",
        'return Page.last(faces, seen=seen, before=expected, after=total, of="people")',
        "return Page(faces)",
        (f"{SOPHONS_OWN}::test_people_who_come_and_go_during_a_listing_make_it_suspect",),
    ),
    Defect(
        "the window's end passes for the library's",
        "syncsvc.vendors.finauth",
        "return Page.cut_off(fresh, _BEYOND)",
        "return Page(fresh)",
        (f"{FINAUTH}::test_in_a_library_beyond_the_window_a_look_proves_no_absence",),
    ),
    Defect(
        "no removal after an add",
        "syncsvc.model.plan",
        "    if leftover:\n        plan.append(Remove(tuple(leftover)))",
        "    if leftover and not wanted:\n        plan.append(Remove(tuple(leftover)))",
        (f"{FINAUTH}::test_replacing_changes_exactly_that_face",),
    ),
    Defect(
        "removal before the add",
        "syncsvc.model.plan",
        "while max_faces is not None and count >= max_faces and (leftover or old is not None):",
        "while count and (leftover or old is not None):",
        (f"{ALIYUN}::test_a_person_is_never_absent_while_replaced",),
    ),
    Defect(
        "throttling passes for an outage",
        "syncsvc.vendors.finauth",
        '"CONCURRENCY_LIMIT_EXCEEDED": Fault(ThrottledError,',
        '"CONCURRENCY_LIMIT_EXCEEDED": Fault(UnavailableError,',
        (f"{FINAUTH}::test_slow_down_is_throttling_and_changes_nothing",),
    ),
    Defect(
        "the vendor's retry-after is not read",
        "syncsvc.library.faults",
        "min(LONGEST_WAIT, float(value))",
        "None",
        (f"{SOPHON}::test_slow_down_is_throttling_and_changes_nothing",),
    ),
    Defect(
        "a lost answer passes for an outage",
        "syncsvc.library.http",
        "silence = UncertainError if changes else UnavailableError",
        "silence = UnavailableError",
        (f"{SOPHON}::test_a_lost_answer_while_enrolling_is_doubtful_and_leaves_no_stray",),
    ),
    Defect(
        "garbage passes for success",
        "syncsvc.library.http",
        'raise silence(words, code="garbage", about_person=True) from error',
        "return None",
        (f"{SOPHON}::test_a_lost_answer_while_departing_is_doubtful_and_leaves_nothing",),
    ),
    Defect(
        "an unknown code passes for already gone",
        "syncsvc.library.faults",
        'unknown = UnavailableError(f"{words} ({safe})"',
        'unknown = __import__("syncsvc.model.errors").model.errors.GoneError(f"{words} ({safe})"',
        (f"{SOPHON}::test_a_code_nobody_knows_is_never_success",),
    ),
    Defect(
        "a delete that failed passes for done",
        "syncsvc.vendors.sophon",
        "return {removal.person.id: error.for_another() for removal in removals}",
        "return {removal.person.id: Report(remaining=()) for removal in removals}",
        (f"{SOPHON}::test_a_lost_answer_while_departing_is_doubtful_and_leaves_nothing",),
    ),
    Defect(
        "already gone is an error",
        "syncsvc.vendors.finauth",
        'return "absent" if reason == "FACE_NOT_IN_GROUP" else "kept"',
        'return "kept"',
        (f"{FINAUTH}::test_deleting_again_is_harmless",),
    ),
    Defect(
        "partial success passes for whole",
        "syncsvc.vendors.sophon",
        "if key in deleted:",
        "if key:",
        (f"{SOPHON}::test_a_removal_that_stops_half_way_tells_what_is_left",),
    ),
    Defect(
        "another person's face ids are sent",
        "syncsvc.library.base",
        "            Removal(person, held, faces, whole=",
        "            Removal(person, held, bundle[0][1], whole=",
        (f"{FINAUTH}::test_a_bundle_may_hold_departures_and_single_faces",),
    ),
    Defect(
        "a person's whole faces go for one",
        "syncsvc.vendors.aliyun",
        "ids = [face.vendor_face_id for face in removal.faces]",
        "ids = [face.vendor_face_id for face in removal.held]",
        (f"{ALIYUN}::test_deleting_one_face_keeps_the_others",),
    ),
    Defect(
        "a face is chosen by its index",
        "syncsvc.vendors.sophon",
        '"face_id": old.vendor_face_id, **self._source(face)}',
        '"register_image_index": 0, **self._source(face)}',
        (f"{SOPHON}::test_replacing_changes_exactly_that_face",),
    ),
    Defect(
        "foreign faces go with the identity",
        "syncsvc.vendors.sophon",
        "if vendor_ids(listed) <= vendor_ids(removal.held):",
        "if listed:",
        (f"{SOPHON}::test_a_foreign_face_of_a_departed_person_stays_and_is_reported",),
    ),
    Defect(
        "the faces that are still listed are ignored",
        "syncsvc.vendors.sophon",
        "return Report(remaining=left, absent=frozenset(gone))",
        "return Report(absent=frozenset(face.vendor_face_id for face in removal.faces))",
        (f"{ANSWERS}::test_the_faces_that_an_answer_still_lists_stay_held",),
    ),
    Defect(
        "a foreign face passes for the new one",
        "syncsvc.vendors.sophon",
        "return Report(added=tuple(made), remaining=after)",
        "return Report(remaining=after)",
        (f"{SOPHONS_OWN}::test_a_replacement_is_told_from_a_foreign_face_wherever_it_stands",),
    ),
    Defect(
        "face ids pass through a float",
        "syncsvc.vendors.aliyun",
        'text = str(value) if isinstance(value, str | int) else ""',
        "text = str(int(float(value)))",
        (f"{ALIYUN}::test_vendor_ids_are_the_vendors_to_the_last_digit",),
    ),
    Defect(
        "every face of a photo is added",
        "syncsvc.vendors.huawei",
        '"single": True,',
        '"single": False,',
        (f"{HUAWEI}::test_a_photo_of_several_people_never_makes_several_faces",),
    ),
    Defect(
        "a lost add is not taken back",
        "syncsvc.vendors.huawei",
        'self._delete("external_image_id", face_label(person.id, face.id, face.digest))',
        "return",
        (f"{HUAWEI}::test_a_lost_answer_while_enrolling_is_doubtful_and_leaves_no_stray",),
    ),
    Defect(
        "long ids are cut off",
        "syncsvc.model.keys",
        'return "x-" + base64.b32encode(digest).decode().lower()[:30]',
        'return "x-" + re.sub("[^a-z0-9]", "", person.lower())[:30]',
        (f"{SOPHON}::test_people_with_odd_ids_do_not_meet",),
    ),
    Defect(
        "one refused photo keeps the others out",
        "syncsvc.library.base",
        "refused[step.face.id] = error",
        "raise",
        (f"{SOPHON}::test_a_photo_without_a_face_is_refused_and_keeps_nobody_else_out",),
    ),
    Defect(
        "the old face goes though its successor was refused",
        "syncsvc.library.base",
        "tuple(face for face in step.faces if face.face_id not in refused)",
        "step.faces",
        (f"{FINAUTH}::test_a_photo_without_a_face_is_refused_and_keeps_nobody_else_out",),
    ),
    Defect(
        "what was done before an error is forgotten",
        "syncsvc.library.base",
        "error.held = tuple(face for face in reading.held if face.vendor_face_id not in error.removed)",
        "error.held = None",
        (f"{HUAWEI}::test_wherever_an_errand_breaks_off_nothing_is_lost",),
    ),
)
