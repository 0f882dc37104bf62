"""Keeps an id in an address in one piece, whatever it is made of."""

from urllib.parse import quote, unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

_PLAIN = "!$&'()*+,;=:@"  # what may stand in a segment as it is, besides letters and digits (RFC 3986, section 3.3)


class EncodedSegments:
    """Lets the routes of `/v1/` see each segment of a path percent-encoded, in one way.

    A server decodes the path before anybody looks at it, and then the "/" in an id is like any other. Here `a%2Fb`
    stays one segment, and `a/faces/b`, sent as one, is not somebody's face.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw and scope["path"].startswith("/v1/"):
            scope = {**scope, "path": "/".join(_in_one_way(segment) for segment in raw.split(b"/"))}
        await self._app(scope, receive, send)


def _in_one_way(segment: bytes) -> str:
    return quote(unquote_to_bytes(segment), safe=_PLAIN)
