"""The same through a real server, which decodes addresses before we see them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import uvicorn

from syncsvc.web import create_app
from syncsvc.wiring import Service
from tests.vendors.photos import draw
from tests.web.api.ground import OPERATOR, at

T = TypeVar("T")


def test_an_id_with_a_slash_stays_one_id(service: Service) -> None:
    people = [("a/faces/b", "c"), ("a", "b"), ("三/odd@id", "x/y")]

    async def hire(client: httpx.AsyncClient) -> list[dict[str, object]]:
        for person, face in people:
            headers = {"Content-Type": "image/jpeg"}
            answer = await client.put(at(person, face), content=draw(1).content, headers=headers)
            assert answer.status_code == 202
        found: list[dict[str, object]] = (await client.get("/v1/people")).json()["people"]
        return found

    found = asyncio.run(_served(service, hire))

    assert {one["id"]: one["faces"] for one in found} == {person: 1 for person, _ in people}


async def _served(service: Service, ask: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
    """What `ask` gets from a server on a free port."""
    server = uvicorn.Server(uvicorn.Config(create_app(service), port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"Authorization": f"Bearer {OPERATOR}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=headers, trust_env=False) as client:
        answer = await ask(client)
    server.should_exit = True
    await serving
    return answer
