"""TCP, TLS and WebSocket, by the URL alone."""

from __future__ import annotations

import pytest
from world import World, raises, take

from inboxd_client import StoppedError

LISTENERS = "".join(
    f"""
[[listener]]
name = "{name}"
listen = "127.0.0.1:0"
transport = "{transport}"
{certificate}"""
    for name, transport, certificate in (
        ("mqtts", "tls", 'certificate = "tls/certificate.pem"\nkey = "tls/key.pem"\n'),
        ("ws", "ws", ""),
        ("wss", "wss", 'certificate = "tls/certificate.pem"\nkey = "tls/key.pem"\n'),
    )
)


@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
async def test_messages_go_over_every_transport(world: World, scheme: str) -> None:
    await world.command("init", "tls")
    await world.start(LISTENERS)
    url = f"{scheme}://localhost:{world.port_of(scheme)}"
    alice = await world.client("alice", url=url, ca_file=str(world.directory / "tls/certificate.pem"))
    await (await alice.send("alice", b"x" * 300_000)).stored()
    assert [len(text) for text in await take(alice, 1)] == [300_000]
    assert await alice.close() == 0


async def test_a_certificate_that_nobody_knows_is_not_trusted(world: World) -> None:
    await world.command("init", "tls")
    await world.start(LISTENERS)
    error = await raises(StoppedError, world.client("alice", url=f"mqtts://localhost:{world.port_of('mqtts')}"))
    assert "certificate" in str(error)
