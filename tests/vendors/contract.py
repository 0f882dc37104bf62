"""What every adapter must do, asserted on what the library holds afterwards.

A vendor's test file subclasses `LibraryContract`, names its vendor and says which operations change the library:

    class TestCedar(LibraryContract):
        vendor = "cedar"
        adding = ("face_add",)
        replacing = ("face_add", "face_delete")
        removing = ("face_delete",)

        def options(self): return {"key": "k", "secret": "test-secret"}
"""

from tests.vendors.contract_faces import Deleting, Enrolling, Refusing, Replacing
from tests.vendors.contract_listing import Discretion, Listing, Looking
from tests.vendors.contract_trouble import Endings, HalfWay, Silences


class LibraryContract(
    Enrolling, Replacing, Deleting, Refusing, Silences, Endings, HalfWay, Listing, Looking, Discretion
):
    """All of it; `contract_ground.Ground` says what a vendor's test may set."""
