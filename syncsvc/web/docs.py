"""`/openapi.json` and `/docs`: the API described, for machines and for people; no scripts, nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from syncsvc.web.api.faces import FaceObject
from syncsvc.web.api.people import PersonObject
from syncsvc.web.problems import Problem

_ALSO: tuple[type[BaseModel], ...] = (Problem, PersonObject, FaceObject)  # routes name these and do not declare them
_SCHEMAS = "#/components/schemas/"
_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #222 }
h2 { margin-top: 2em } dt { margin-top: .5em } pre { background: #f6f6f6; padding: .5em; overflow: auto }
details { border-top: 1px solid #ddd } details > div { padding: 0 0 1em 1.5em }
summary { cursor: pointer; padding: .4em 0 } summary > b { display: inline-block; min-width: 5em }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

router = APIRouter()


class DescribedApp(FastAPI):
    """An application that also describes the shapes which its routes only name."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schemas = super().openapi()["components"]["schemas"]
            for words in _ALSO:
                schema = words.model_json_schema(ref_template=f"{_SCHEMAS}{{model}}")
                schemas |= schema.pop("$defs", {}) | {words.__name__: schema}
        assert self.openapi_schema is not None
        return self.openapi_schema


@router.get("/docs", include_in_schema=False)
async def page(request: Request) -> HTMLResponse:
    """Every route and every shape on one page."""
    return HTMLResponse("".join(_page(request.app.openapi())), headers=_HEADERS)


def _page(described: Mapping[str, Any]) -> Iterator[str]:
    title, summary = escape(described["info"]["title"]), escape(described["info"].get("summary", ""))
    yield '<!doctype html><html lang="en"><meta charset="utf-8">'
    yield f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style>'
    yield f'<h1>{title}</h1><p>{summary}. For machines: <a href="openapi.json">openapi.json</a>.</p><h2>Routes</h2>'
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            yield from _route(method, path, operation)
    yield "<h2>Shapes</h2>"
    for name, schema in sorted(described["components"]["schemas"].items()):
        shown = escape(json.dumps(schema, indent=1, ensure_ascii=False))
        yield f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary><pre>{shown}</pre></details>'


def _route(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    said = escape(operation.get("description", ""))
    needs = "<p>With a bearer token.</p>" if operation.get("security") else ""
    yield f"<details><summary><b>{method.upper()}</b> <code>{escape(path)}</code></summary>"
    yield f"<div><p>{said}</p>{needs}<dl>"
    for one in operation.get("parameters", ()):
        place = one["in"] if one.get("required") else f"{one['in']}, optional"
        yield f"<dt><code>{escape(one['name'])}</code> ({place})</dt><dd>{escape(one.get('description', ''))}</dd>"
    if "requestBody" in operation:
        yield f"<dt>body</dt><dd>{_content(operation['requestBody'])}</dd>"
    for status, answer in operation["responses"].items():
        yield f"<dt>{status}</dt><dd>{escape(answer['description'])} {_content(answer)}</dd>"
    yield "</dl></div></details>"


def _content(told: Mapping[str, Any]) -> str:
    """Media types, each with its shape's name where it has one."""
    return ", ".join(f"<code>{escape(kind)}</code>{_shape(one)}" for kind, one in told.get("content", {}).items())


def _shape(told: Mapping[str, Any]) -> str:
    schema = told.get("schema", {})
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref") or ""
    name = escape(reference.removeprefix(_SCHEMAS))
    return f': <a href="#{name}">{name}</a>' if name else ""
