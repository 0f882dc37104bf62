"""A receipt on paper: one HTML page that needs nothing else, runs nothing, and says of every verdict what it means."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from syncsvc.model.receipt_form import Envelope, Kind

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 1.8em }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; vertical-align: top; padding: .4em .6em }
th { border-bottom: 2px solid #222 } td { border-bottom: 1px solid #bbb }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2em 1em } dd { margin: 0 }
code, pre { font-family: ui-monospace, monospace; font-size: .9em; overflow-wrap: anywhere; white-space: pre-wrap }
pre { background: #f4f4f4; padding: .7em } .open { font-weight: bold }
@page { margin: 18mm }
@media print { body { margin: 0; max-width: none; font-size: 11px } tr, pre { break-inside: avoid } }
"""
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; base-uri 'none'; form-action 'none'"

VERDICTS: Mapping[str | None, str] = {
    "verified_absent": "Verified absent: the library was read after the deletion and has none of the faces",
    "vendor_accepted": "Not verified: the vendor accepted the request, and the library has not been read since",
    "unverifiable": "Cannot be verified",
    "unreachable": "Not reached yet; still being tried",
    None: "Nothing is known yet",
}
KINDS: Mapping[str, str] = {
    Kind.VERIFIED: "Every library was read after the deletion, or it is said why one could not be.",
    Kind.CONFIRMED: "Every library that can be read was read a second time, after a delay.",
    Kind.OVERDUE: "The due date has passed, and not every library is settled.",
    Kind.RETIRED: "A library is used no longer.",
}


def receipt_page(envelope: Envelope) -> str:
    """The page of a receipt that was issued here."""
    return "".join(_page(envelope))


def _page(envelope: Envelope) -> Iterator[str]:
    body = envelope.body
    retired = body["kind"] == Kind.RETIRED
    what = f"Retirement of {body['library']}" if retired else f"Erasure of {body['subject']}"
    title = _text(f"Receipt {body['number']}: {what}")
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
    yield f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{STYLE}</style></head>'
    yield f"<body><h1>{title}</h1><p>{_text(KINDS[body['kind']])} All times are in UTC.</p>"
    yield from _retirement(body) if retired else _erasure(body)
    yield from _proof(envelope)
    yield "</body></html>\n"


def _erasure(body: Mapping[str, Any]) -> Iterator[str]:
    libraries = body["libraries"]
    verified = sum(one["verdict"] == "verified_absent" for one in libraries)
    second = body["second_look"]
    yield from _list(
        ("Subject (keyed pseudonym)", body["subject"]),
        ("Erasure", body["erasure"]),
        ("Departure recorded", _time(body["opened_at"])),
        ("Due", _time(body["due_at"])),
        ("All libraries settled", _time(body["verified_at"])),
        ("Second look", _second_look(second)),
        ("This is how it stood at", _time(body["as_of"])),
        ("Libraries verified absent", f"{verified} of {len(libraries)}"),
    )
    yield "<h2>Libraries</h2><table><thead><tr><th>Library</th><th>Verdict</th><th>How and when</th>"
    yield "<th>The vendor's request ids</th></tr></thead><tbody>"
    for one in libraries:
        yield from _library(one)
    yield "</tbody></table>"


def _library(one: Mapping[str, Any]) -> Iterator[str]:
    mark = "" if one["verdict"] == "verified_absent" else ' class="open"'
    verdict = VERDICTS.get(one["verdict"], "Unknown")
    reason = f": {one['reason']}" if one["reason"] else ""
    yield f"<tr><td>{_text(one['name'])}<br>({_text(one['vendor'])})</td><td{mark}>{_text(verdict + reason)}</td><td>"
    told = [
        f"{one['faces']} vendor face ids were ever bound",
        f"accepted by the vendor: {_time(one['accepted_at'])}",
        f"last read: {_time(one['checked_at'])}; read {one['looks']} times",
    ]
    told += [f"how: {one['method']}"] if one["method"] else []
    told += [f"faces had come back {one['came_back']} times, and were removed again"] if one["came_back"] else []
    yield "<br>".join(_text(line) for line in told)
    yield "</td><td>"
    requests = [f"{each['operation']} {each['request_id']} ({_time(each['at'])})" for each in one["requests"]]
    yield "<br>".join(f"<code>{_text(line)}</code>" for line in requests) or "none"
    yield "</td></tr>"


def _retirement(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _list(("Library", body["library"]), ("This is how it stood at", _time(body["as_of"])))
    yield "<h2>What was found</h2>"
    yield from _value(body["retirement"])


def _value(value: Any) -> Iterator[str]:
    match value:
        case Mapping():
            yield "<dl>"
            for key, one in value.items():
                yield f"<dt>{_text(str(key).replace('_', ' '))}</dt><dd>"
                yield from _value(one)
                yield "</dd>"
            yield "</dl>"
        case list():
            yield "<ul>"
            for one in value:
                yield "<li>"
                yield from _value(one)
                yield "</li>"
            yield "</ul>"
        case None:
            yield "none"
        case bool():
            yield "yes" if value else "no"
        case _:
            yield _text(str(value))


def _proof(envelope: Envelope) -> Iterator[str]:
    body = envelope.body
    yield "<h2>Proof</h2>"
    yield from _list(
        ("Number in the chain", body["number"]),
        ("Issued", _time(body["issued_at"])),
        ("Hash (SHA-256)", envelope.hash),
        ("Hash of the receipt before", body["previous"]),
        ("Signature (Ed25519)", envelope.signature),
        ("Signed with the key", envelope.public_key),
        ("Issued by", body["software"]),
        ("Format", body["format"]),
    )
    yield "<h2>How to verify it</h2><p>This page proves nothing by itself: the signed file does. With the file "
    yield "<code>receipt.json</code> and the public key <code>key.pem</code>, obtained from the issuer and not from "
    yield "this page:</p><pre>jq -cSj .receipt receipt.json &gt; body\n"
    yield "jq -r .signature receipt.json | base64 -d &gt; signature\n"
    yield "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in body -sigfile signature\n"
    yield "sha256sum body        # must be the hash above</pre>"
    yield "<p>or <code>syncsvc erasure verify --public-key key.pem receipt.json</code>.</p>"


def _list(*pairs: tuple[str, object]) -> Iterator[str]:
    yield "<dl>"
    for name, value in pairs:
        yield f"<dt>{_text(name)}</dt><dd><code>{_text(str(value))}</code></dd>"
    yield "</dl>"


def _second_look(second: Mapping[str, Any]) -> str:
    if second["done_at"]:
        return f"done {_time(second['done_at'])}"
    return f"due {_time(second['due_at'])}" if second["due_at"] else "not due yet"


def _time(said: str | None) -> str:
    return "never" if said is None else said.replace("T", " ").replace("Z", " UTC")


def _text(words: str) -> str:
    return escape(words)
