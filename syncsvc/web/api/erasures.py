"""`/v1/erasures`: what became of the departed, library by library, and the signed receipts of it."""

import re
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter
from starlette.datastructures import Headers

from syncsvc.flow.erasure_views import ErasureView, erasure_page, erasure_view, receipt_of
from syncsvc.flow.receipt_page import POLICY, receipt_page
from syncsvc.intake.dialects.words import Instant
from syncsvc.model.errors import NotFoundError
from syncsvc.model.receipt_form import Kind
from syncsvc.store.erased import Place, State
from syncsvc.web.api.parameters import Asked, AskedPage, Word, decoded, next_page, place_of
from syncsvc.web.callers import READS
from syncsvc.web.desk import TheService
from syncsvc.web.problems import problems

router = APIRouter(tags=["erasures"])

_ID = re.compile(r"[0-9a-f]{32}")
_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Vary": "Accept"}
_PAGE_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class _Mark(BaseModel):
    opened_at: Instant
    id: str = Field(pattern=r"^[0-9a-f]{32}$")


_MARK = TypeAdapter(_Mark)


class ErasuresPage(BaseModel):
    """`next` is the address of the next page; null on the last one."""

    items: list[ErasureView]
    next: str | None


class ReceiptEnvelope(BaseModel):
    """A signed receipt; docs/erasure.md says what is in it. The signature is of `receipt` in canonical form.

    Canonical: UTF-8, sorted keys, no white space between the parts, nothing escaped that need not be. The answer's
    own bytes are in that form: keep them as they are.
    """

    hash: str = Field(description="SHA-256 of the canonical receipt, in hexadecimal.")
    public_key: str = Field(description="Base64 of the 32 bytes; trust the one you were given, not this one.")
    receipt: dict[str, Any]
    signature: str = Field(description="Ed25519 of the canonical receipt, in base64.")


class AskedErasures(AskedPage):
    state: State | None = Field(
        default=None, description="open, verified, confirmed (after the second look), or overdue: open past its date."
    )
    person: Word | None = Field(default=None, description="Only those of this person: their id, or the pseudonym.")


class AskedReceipt(Asked):
    kind: Kind | None = Field(default=None, description="verified, confirmed or overdue; else the newest.")


def _id(segment: Annotated[str, Path(alias="id", description="The erasure's id, from the list.")]) -> str:
    erasure = decoded("id", segment, str)
    if not _ID.fullmatch(erasure):
        raise NotFoundError("no erasure has such an id; GET /v1/erasures lists them all")
    return erasure


TheErasure = Annotated[str, Depends(_id)]


@router.get("/erasures", dependencies=[READS], responses=problems(401, 403, 422, 503))
def list_erasures(service: TheService, request: Request, asked: Annotated[AskedErasures, Query()]) -> ErasuresPage:
    """Every departure, the newest first, and what is known of it in each library.

    A verdict `vendor_accepted` is the vendor's word; only `verified_absent` says that we looked.
    """
    mark = place_of(_MARK, asked.cursor)
    page = erasure_page(
        service.house,
        state=asked.state,
        person=asked.person,
        after=None if mark is None else Place(mark.opened_at, mark.id),
        limit=asked.limit,
    )
    place = None if page.next is None else _Mark.model_validate(page.next, from_attributes=True)
    return ErasuresPage(items=list(page.erasures), next=next_page(request, _MARK, place))


@router.get("/erasures/{id}", dependencies=[READS], responses=problems(401, 403, 404, 422, 503))
def get_erasure(service: TheService, erasure: TheErasure) -> ErasureView:
    """One erasure, and which receipts there are of it."""
    return erasure_view(service.house, erasure)


@router.get(
    "/erasures/{id}/receipt",
    dependencies=[READS],
    response_model=ReceiptEnvelope,
    responses={
        HTTPStatus.OK: {
            "description": "The signed receipt; a page for people where `Accept` prefers text/html.",
            "content": {"text/html": {"schema": {"type": "string"}}},
        }
    }
    | problems(401, 403, 404, 422, 503),
)
def get_receipt(
    service: TheService, request: Request, erasure: TheErasure, asked: Annotated[AskedReceipt, Query()]
) -> Response:
    """The newest receipt of an erasure, as it was signed; 404 with what is still open while there is none."""
    receipt = receipt_of(service.house, erasure, asked.kind)
    if _prefers_html(request.headers):
        return Response(receipt_page(receipt), media_type="text/html", headers=_HEADERS | _PAGE_HEADERS)
    return Response(receipt.line(), media_type="application/json", headers=_HEADERS)


def _prefers_html(headers: Headers) -> bool:
    """Whether text/html is named, and named no lower than JSON."""
    wishes: dict[str, float] = {}
    for part in headers.get("Accept", "").split(","):
        kind, *parameters = (one.strip().lower() for one in part.split(";"))
        wishes[kind] = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1.0)
    html = wishes.get("text/html", 0.0)
    return html > 0 and html >= wishes.get("application/json", 0.0)


def _weight(said: str) -> float:
    try:
        return float(said)
    except ValueError:
        return 0.0
