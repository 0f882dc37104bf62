"""Nobody becomes a vendor without a practice room and a signature under the contract."""

import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest

from syncsvc.library.base import Capabilities, FaceLibrary, LibraryOptions
from syncsvc.library.faults import Fault, FaultTable
from syncsvc.library.loading import library_class, vendor_names
from syncsvc.sandbox.serve import sandbox_class, sandbox_names
from tests.vendors.contract import LibraryContract

HERE = Path(__file__).parent
VENDORS = vendor_names()


def signatures(vendor: str) -> list[type[LibraryContract]]:
    """The contract's subclasses in the vendor's test file."""
    path = HERE / f"test_{vendor}.py"
    if not path.exists():
        pytest.fail(f"write tests/vendors/test_{vendor}.py with a subclass of tests.vendors.contract.LibraryContract")
    module = importlib.import_module(f"tests.vendors.test_{vendor}")
    return [
        kind
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, LibraryContract) and kind is not LibraryContract
    ]


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_signed_the_contract(vendor: str) -> None:
    signed = [kind for kind in signatures(vendor) if kind.vendor == vendor]

    assert signed, (
        f"tests/vendors/test_{vendor}.py needs a class that subclasses LibraryContract with vendor = {vendor!r}"
    )
    for kind in signed:
        skipped = [name for name in dir(LibraryContract) if name.startswith("test_") and not getattr(kind, name)]
        assert not skipped, f"{kind.__name__} strikes out a part of the contract: {skipped}"


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_vendor_has_a_practice_room(vendor: str) -> None:
    assert vendor in sandbox_names(), f"write syncsvc/sandbox/{vendor}.py with a class Sandbox"

    room, library = sandbox_class(vendor), library_class(vendor)

    assert room.name == vendor
    assert set(library.operations) <= set(room.operations), "the two name their operations differently"


def test_no_two_practice_rooms_share_a_port() -> None:
    ports = [sandbox_class(name).default_port for name in sandbox_names()]

    assert len(set(ports)) == len(ports)


@pytest.mark.parametrize("vendor", VENDORS)
def test_capabilities_are_sane(vendor: str) -> None:
    library: type[FaceLibrary[Any]] = library_class(vendor)
    caps = library.capabilities

    assert isinstance(caps, Capabilities)
    assert caps.bundle >= 1
    assert caps.max_faces is None or caps.max_faces >= 1
    assert caps.concurrency is None or caps.concurrency >= 1
    assert caps.photo.max_bytes > 100_000
    assert "image/jpeg" in caps.photo.media_types
    assert all(kind.startswith("image/") for kind in caps.photo.media_types)
    assert set(caps.operation_rates) <= set(library.operations)
    assert all(rate.permits >= 1 and rate.period > 0 for rate in caps.rates)
    assert caps.rates or caps.concurrency, "a vendor without any limit will be overrun; choose a cautious one"
    assert not caps.native_replace or library.swap is not FaceLibrary.swap


@pytest.mark.parametrize("vendor", VENDORS)
def test_options_are_frozen_and_know_their_keys(vendor: str) -> None:
    options = library_class(vendor).Options

    assert issubclass(options, LibraryOptions)
    assert options.model_config.get("frozen")
    assert options.model_config.get("extra") == "forbid"
    assert options.model_config.get("hide_input_in_errors")


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_operation_is_named_once_and_used(vendor: str) -> None:
    library = library_class(vendor)
    source = Path(inspect.getfile(library)).read_text("utf-8")

    assert len(set(library.operations)) == len(library.operations)
    for operation in library.operations:
        uses = source.count(f'"{operation}"') + source.count(f"'{operation}'")
        assert uses >= 2, f"{operation!r} is among the operations and in no call"


@pytest.mark.parametrize("vendor", VENDORS)
def test_every_fault_says_in_words_what_happened(vendor: str) -> None:
    module = importlib.import_module(f"syncsvc.vendors.{vendor}")
    tables = [one for one in vars(module).values() if isinstance(one, FaultTable)]
    faults: dict[str, Fault] = {code: fault for table in tables for code, fault in table._faults.items()}

    assert faults, f"syncsvc/vendors/{vendor}.py has no FaultTable"
    for code, fault in faults.items():
        assert len(fault.words.split()) >= 4, f"{code}: {fault.words!r} does not say what happened"
        assert fault.words[0].islower(), f"{code}: the words stand inside a sentence"
        assert not fault.words.endswith("."), f"{code}: the code follows the words"
