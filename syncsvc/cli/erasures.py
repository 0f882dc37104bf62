"""`erasure`: what became of the departed, the receipts of it, and whether a receipt is what it says it is."""

import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncsvc.cli.desk import desk
from syncsvc.cli.output import Json, console, print_json, say, table
from syncsvc.model.errors import InputError, SettingsError, SyncsvcError
from syncsvc.model.people import LibraryName
from syncsvc.model.receipt_form import Envelope, Kind

if TYPE_CHECKING:
    from syncsvc.flow.erasure_views import ErasureView
    from syncsvc.flow.signing import PublicKey

erasure = typer.Typer(
    help="The departed: what was verified, and signed receipts of it.", no_args_is_help=True, rich_markup_mode=None
)

_LONGEST_KEY_FILE = 10_000  # bytes
_NO_KEY = (
    "service.receipt_key is not set, so nothing is signed; `syncsvc keygen` prints one, and what waits is signed then"
)

Output = Annotated[Path | None, typer.Option("-o", "--output", help="Write here, not to the terminal.")]


@erasure.command("list")
def list_erasures(
    context: typer.Context,
    *,
    state: Annotated[
        str | None, typer.Option(help="Only these: open, verified, confirmed or overdue.", metavar="STATE")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Only this person's: their id, or the pseudonym.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="How many at most, the newest first.")] = 100,
    as_json: Json = False,
) -> None:
    """Who departed, and what is known of it in each library."""
    from syncsvc.flow.erasure_views import erasure_page  # noqa: PLC0415 - the database's library
    from syncsvc.store.erased import STATES  # noqa: PLC0415

    chosen = next((one for one in STATES if one == state), None)
    if state is not None and chosen is None:
        raise typer.BadParameter(f"must be one of {', '.join(STATES)}", param_hint="--state")
    page = erasure_page(desk(context).house, state=chosen, person=person, limit=limit)
    if as_json:
        print_json(page.erasures)
        return
    if not page.erasures:
        say("there is no such erasure")
        return
    titles = ("erasure", "person", "state", "opened", "due", "verified", "libraries", "receipts")
    console().print(table(titles, [_row(one) for one in page.erasures]))
    if page.next:
        say(f"these are the newest {limit:,}; --limit shows more")


@erasure.command()
def receipt(
    context: typer.Context,
    who: Annotated[
        str | None, typer.Argument(help="An erasure's id, or a person's: then their newest.", metavar="ID")
    ] = None,
    *,
    library: Annotated[
        str | None, typer.Option(help="Instead of ID: of this library, which was retired.", metavar="NAME")
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="verified, confirmed or overdue; else the newest.", metavar="KIND")
    ] = None,
    html: Annotated[bool, typer.Option("--html", help="A page to be printed.")] = False,
    output: Output = None,
) -> None:
    """Print a receipt as it was signed; exit 1, and say what is still open where, while there is none."""
    from syncsvc.flow.erasure_views import newest_of, receipt_of, retirement_of  # noqa: PLC0415
    from syncsvc.flow.receipt_page import receipt_page  # noqa: PLC0415

    if (who is None) == (library is None) or (library is not None and kind is not None):
        raise typer.BadParameter("say whose it is: ID, with --kind if wanted, or --library NAME", param_hint="ID")
    house = desk(context).house
    if who is not None:
        found = receipt_of(house, newest_of(house, who), kind)
    else:
        found = retirement_of(house, LibraryName(library or ""))
    told = receipt_page(found).encode() if html else found.line()
    _write([told], output)


@erasure.command()
def export(context: typer.Context, *, output: Output = None) -> None:
    """Write every receipt, one to a line, in the order of the chain; an auditor verifies the whole of it."""
    from syncsvc.flow.receipts import every_receipt  # noqa: PLC0415

    if output is not None and output.is_dir():
        output /= "receipts.jsonl"
    count = _write((one.line() for one in every_receipt(desk(context).house)), output)
    if output is not None:
        say(f"{count:,} {'receipt' if count == 1 else 'receipts'} in {output}")


@erasure.command("public-key")
def public_key(
    context: typer.Context,
    *,
    pem: Annotated[bool, typer.Option("--pem", help="As openssl reads it.")] = False,
    as_json: Json = False,
) -> None:
    """Print the public part of the receipt key: whoever verifies receipts needs it, and may have it."""
    from syncsvc import wiring  # noqa: PLC0415

    signer = wiring.signer(desk(context).settings)
    if signer is None:
        raise SyncsvcError(_NO_KEY)
    if as_json:
        print_json({"public_key": signer.public_key.base64, "pem": signer.public_key.pem})
    else:
        say(signer.public_key.pem.rstrip() if pem else signer.public_key.base64)


@erasure.command()
def verify(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Receipts, or exports of many.", metavar="FILE...")],
    *,
    public_keys: Annotated[
        list[str] | None,
        typer.Option(
            "--public-key", help="Base64, or a file of it or of PEM; several where keys were replaced.", metavar="KEY"
        ),
    ] = None,
    head: Annotated[
        str | None, typer.Option(help="A chain head that was published; it must be among them.", metavar="HASH")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check form, hash and signature of every receipt, and the chain between them; exit 1 where anything is wrong.

    Needs the public key and nothing else: no database, no network, and no configuration where --public-key is given.
    The key that a file names is never believed.
    """
    from syncsvc.flow.receipt_files import check_files  # noqa: PLC0415 - cryptography

    trusted, whence = _trusted(context, public_keys)
    seen: list[Envelope] = []

    def keep_first(one: Envelope) -> None:
        if not seen:
            seen.append(one)

    found = check_files(files, trusted, head=head and head.strip().lower(), watch=keep_first)
    if as_json:
        print_json(found)
        return
    if found.count == 1:
        _show(seen[0])
    which = f"receipt {found.first}" if found.count == 1 else f"receipts {found.first} to {found.last}, no gap"
    say(f"valid: {which}, signed with {' and '.join(found.keys)} ({whence})")
    say(f"head: {found.head}" + (", and the published head is among them" if found.published else ""))
    if found.published is None:
        say("whether later receipts are missing shows --head, with the hash in the log or in /metrics")


def _trusted(context: typer.Context, given: Sequence[str] | None) -> tuple[list["PublicKey"], str]:
    """The keys to believe, and in words where they are from."""
    from syncsvc.flow.signing import Signer, read_public_key  # noqa: PLC0415

    if given:
        return [read_public_key(_key_text(one)) for one in given], "the public key that you gave"
    try:
        settings = desk(context).settings
    except SettingsError as error:
        raise InputError(
            "--public-key is needed: no usable configuration says which key to trust, and the one in the file itself"
            f" proves nothing ({str(error).splitlines()[0]})"
        ) from None
    key = settings.service.receipt_key
    if key is None:
        raise InputError(
            "--public-key is needed: there is no service.receipt_key, and the one in the file proves nothing"
        )
    return [Signer(key.get_secret_value()).public_key], "the public part of service.receipt_key"


def _key_text(given: str) -> str:
    """What was given, or what stands in the file of that name."""
    path = Path(given)
    try:
        if not path.is_file():
            return given
        with path.open("rb") as file:
            return file.read(_LONGEST_KEY_FILE).decode()
    except (OSError, ValueError):  # a name that no file can have, or a file that is no text
        return given


def _write(parts: Iterable[bytes], output: Path | None) -> int:
    """Write them one after the other; a file is there only when it is whole. Returns how many."""
    count = 0
    if output is None:
        for count, part in enumerate(parts, 1):  # noqa: B007
            sys.stdout.write(part.decode())
        sys.stdout.flush()
        return count
    try:
        number, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name[:50]}.")
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror})") from None
    half = Path(name)
    try:
        with os.fdopen(number, "wb") as file:
            for count, part in enumerate(parts, 1):  # noqa: B007
                file.write(part)
        half.chmod(0o644)
        half.replace(output)
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror})") from None
    finally:
        with suppress(FileNotFoundError):
            half.unlink()
    return count


def _row(one: "ErasureView") -> tuple[object, ...]:
    libraries = ", ".join(f"{each.name} {each.verdict or 'not yet'}" for each in one.libraries)
    receipts = ", ".join(f"{each.number} {each.kind}" for each in one.receipts)
    return one.id, one.person, one.state, one.opened_at, one.due_at, one.verified_at, libraries, receipts


def _show(one: Envelope) -> None:
    """What a receipt whose signature is right says; every word in it was written by the key's owner."""
    body = one.body
    if one.kind == Kind.RETIRED:
        say(f"receipt {one.number}: {body['library']} is retired; as of {body['as_of']}")
        return
    times = f"opened {body['opened_at']}, as of {body['as_of']}"
    say(f"receipt {one.number}, {one.kind}: erasure of {body['subject']}, {times}")
    rows = [
        (each["name"], each["verdict"] or "not yet", each["checked_at"], each["method"] or each["reason"])
        for each in body["libraries"]
    ]
    console().print(table(("library", "verdict", "last read", "how, or why not"), rows))
