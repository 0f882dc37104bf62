"""The API described: for machines, and on a page that needs nothing from elsewhere."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from tests.web.asking import Client


def test_the_page_has_every_route_and_runs_nothing(client: Client) -> None:
    answer = client.get("/docs")

    described = client.get("/openapi.json").json()
    policy = answer.headers["Content-Security-Policy"]
    style = re.search(r"<style>(.*)</style>", answer.text, re.DOTALL)
    assert style is not None
    assert all(f"<code>{path}</code>" in answer.text for path in described["paths"])
    assert all(f'id="{name}"' in answer.text for name in described["components"]["schemas"])
    assert policy.startswith("default-src 'none'; ")
    assert f"'sha256-{base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()}'" in policy
    assert re.findall(r"<script|https?://|\son\w+=|\sstyle=", answer.text) == []


def test_every_shape_that_is_named_is_described(client: Client) -> None:
    described = client.get("/openapi.json").json()

    named = set(_references(described))
    assert named <= {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert named >= {f"#/components/schemas/{name}" for name in ("Problem", "PersonObject", "FaceObject", "PersonView")}


def test_every_route_of_the_api_says_what_it_needs_and_how_it_may_fail(client: Client) -> None:
    described = client.get("/openapi.json").json()

    for path, verbs in described["paths"].items():
        for verb, operation in verbs.items() if path.startswith("/v1/") else ():
            assert operation["security"] == [{"HTTPBearer": []}], (verb, path)
            assert operation["responses"].keys() >= {"401", "403", "503"}, (verb, path)
            for status, answer in operation["responses"].items():
                kind = "application/json" if status in {"200", "202"} else "application/problem+json"
                also = {"text/html"} if path.endswith("/receipt") else set()  # for people
                assert answer["content"].keys() - also == {kind}, (verb, path, status)


def _references(value: Any) -> list[str]:
    if isinstance(value, dict):
        found = [one for part in value.values() for one in _references(part)]
        return [*found, value["$ref"]] if isinstance(value.get("$ref"), str) else found
    return [one for part in value for one in _references(part)] if isinstance(value, list) else []


def test_every_route_of_the_api_has_its_place_in_the_guide(client: Client) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")

    paths = client.get("/openapi.json").json()["paths"]
    routes = {f"{verb.upper()} {path}" for path in paths if path.startswith("/v1/") for verb in paths[path]}
    assert routes == set(re.findall(r"^### `([A-Z]+ /v1/\S+)`$", guide, re.MULTILINE))
