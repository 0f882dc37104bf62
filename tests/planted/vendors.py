"""Defects of adapters and of the seam below them."""

from tests.planted.defect import Defect

ALIYUN = "tests/vendors/test_aliyun.py"
FINAUTH = "tests/vendors/test_finauth.py"
HUAWEI = "tests/vendors/test_huawei.py"
SOPHON = "tests/vendors/test_sophon.py"
ANSWERS = "tests/vendors/test_sophon_answers.py"

DEFECTS = (
    Defect(
        "first page only",
        "syncsvc.vendors.sophon",
        "if people and seen < total:",
        "if people and seen < 0:",
        (SOPHON,),
    ),
    Defect(
        "an incomplete listing passes for whole",
        "syncsvc.vendors.sophon",
        "partial=not seen == total == expected",
        "partial=False",
        (SOPHON,),
    ),
    Defect(
        "the window's end passes for the library's",
        "syncsvc.vendors.finauth",
        "return Page(fresh, partial=True)",
        "return Page(fresh)",
        (FINAUTH,),
    ),
    Defect(
        "no removal after an add",
        "syncsvc.model.plan",
        "    if leftover:\n        plan.append(Remove(tuple(leftover)))",
        "    if leftover and not wanted:\n        plan.append(Remove(tuple(leftover)))",
        (FINAUTH,),
    ),
    Defect(
        "removal before the add",
        "syncsvc.model.plan",
        "while max_faces is not None and count >= max_faces and (leftover or old is not None):",
        "while count and (leftover or old is not None):",
        (ALIYUN,),
    ),
    Defect(
        "throttling passes for an outage",
        "syncsvc.vendors.finauth",
        '"CONCURRENCY_LIMIT_EXCEEDED": Fault(ThrottledError,',
        '"CONCURRENCY_LIMIT_EXCEEDED": Fault(UnavailableError,',
        (FINAUTH,),
    ),
    Defect(
        "the vendor's retry-after is not read",
        "syncsvc.library.faults",
        "return float(value)",
        "return None",
        (SOPHON,),
    ),
    Defect(
        "a lost answer passes for an outage",
        "syncsvc.library.http",
        "silence = UncertainError if changes else UnavailableError",
        "silence = UnavailableError",
        (SOPHON,),
    ),
    Defect(
        "garbage passes for success",
        "syncsvc.library.http",
        """raise silence(f"the library's answer cannot be read (HTTP {status})", code="garbage") from error""",
        "return None",
        (SOPHON,),
    ),
    Defect(
        "an unknown code passes for already gone",
        "syncsvc.library.faults",
        'return UnavailableError(f"{words} ({safe})"',
        'return __import__("syncsvc.model.errors").model.errors.GoneError(f"{words} ({safe})"',
        (SOPHON,),
    ),
    Defect(
        "a delete that failed passes for done",
        "syncsvc.vendors.sophon",
        "return {removal.person.id: error.for_another() for removal in removals}",
        "return {removal.person.id: Report(remaining=()) for removal in removals}",
        (SOPHON,),
    ),
    Defect(
        "already gone is an error",
        "syncsvc.vendors.finauth",
        'return "absent" if reason == "FACE_NOT_IN_GROUP" else "kept"',
        'return "kept"',
        (FINAUTH,),
    ),
    Defect(
        "partial success passes for whole",
        "syncsvc.vendors.sophon",
        "if key in deleted:",
        "if key:",
        (SOPHON,),
    ),
    Defect(
        "another person's face ids are sent",
        "syncsvc.library.base",
        "Removal(person, held, faces, whole=",
        "Removal(person, held, bundle[0][1], whole=",
        (FINAUTH,),
    ),
    Defect(
        "a person's whole faces go for one",
        "syncsvc.vendors.aliyun",
        "ids = [face.vendor_face_id for face in removal.faces]",
        "ids = [face.vendor_face_id for face in removal.held]",
        (ALIYUN,),
    ),
    Defect(
        "a face is chosen by its index",
        "syncsvc.vendors.sophon",
        '"face_id": old.vendor_face_id, **self._source(face)}',
        '"register_image_index": 0, **self._source(face)}',
        (SOPHON,),
    ),
    Defect(
        "foreign faces go with the identity",
        "syncsvc.vendors.sophon",
        "if vendor_ids(listed) <= vendor_ids(removal.held):",
        "if listed:",
        (SOPHON,),
    ),
    Defect(
        "the faces that are still listed are ignored",
        "syncsvc.vendors.sophon",
        "return Report(remaining=left, absent=frozenset(gone))",
        "return Report(absent=frozenset(face.vendor_face_id for face in removal.faces))",
        (ANSWERS,),
    ),
    Defect(
        "a foreign face passes for the new one",
        "syncsvc.vendors.sophon",
        "return Report(added=tuple(made), remaining=after)",
        "return Report(remaining=after)",
        (SOPHON,),
    ),
    Defect(
        "face ids pass through a float",
        "syncsvc.vendors.aliyun",
        'text = str(value) if isinstance(value, str | int) else ""',
        "text = str(int(float(value)))",
        (ALIYUN,),
    ),
    Defect(
        "every face of a photo is added",
        "syncsvc.vendors.huawei",
        '"single": True,',
        '"single": False,',
        (HUAWEI,),
    ),
    Defect(
        "a lost add is not taken back",
        "syncsvc.vendors.huawei",
        'self._delete("external_image_id", face_label(person.id, face.id, face.digest))',
        "return",
        (HUAWEI,),
    ),
    Defect(
        "long ids are cut off",
        "syncsvc.model.keys",
        'return "x-" + base64.b32encode(digest).decode().lower()[:30]',
        'return "x-" + re.sub("[^a-z0-9]", "", person.lower())[:30]',
        (SOPHON,),
    ),
    Defect(
        "one refused photo keeps the others out",
        "syncsvc.library.base",
        "refused[step.face.id] = error",
        "raise",
        (SOPHON,),
    ),
    Defect(
        "the old face goes though its successor was refused",
        "syncsvc.library.base",
        "tuple(face for face in step.faces if face.face_id not in refused)",
        "step.faces",
        (FINAUTH,),
    ),
    Defect(
        "what was done before an error is forgotten",
        "syncsvc.library.base",
        "error.held = tuple(face for face in reading.held if face.vendor_face_id not in error.removed)",
        "error.held = None",
        (HUAWEI,),
    ),
)
