"""The heartbeat: it finds dead links, and how rare it may be."""

from __future__ import annotations

import math

import pytest
from relay import PINGRESP, TO_CLIENT
from world import World, until

from inboxd_client import Link, LinkChanged, Options
from inboxd_client.heartbeat import Beat, Heartbeat, HeartbeatBounds

BOUNDS = HeartbeatBounds(30.0, 10.0, 240.0)


def behind_a_router(forgets_after_s: float) -> Heartbeat:
    """The heartbeat after some hours behind a router that forgets links after so long a silence."""
    now, beat = 0.0, Heartbeat(BOUNDS)
    beat.connected(now)
    for _ in range(1000):
        silent_since = now
        what, now = beat.due(now, math.inf)
        assert (what, beat.due(now, math.inf)[0]) == (Beat.WAIT, Beat.ASK)
        beat.asking(now)
        if now - silent_since < forgets_after_s:
            now += 0.05
            beat.noted(now, now)
            continue
        _, now = beat.due(now, math.inf)
        assert beat.due(now, math.inf)[0] == Beat.DEAD
        beat.lost()
        beat.connected(now)
    return beat


def test_the_interval_grows_to_what_the_link_survives() -> None:
    assert behind_a_router(math.inf).interval_s == BOUNDS.longest_s
    for router_s in (15.0, 35.0, 65.0, 130.0):
        assert BOUNDS.shortest_s <= behind_a_router(router_s).interval_s <= router_s * 1.5


def test_a_half_dead_link_is_found_within_one_and_a_half_intervals() -> None:
    beat = Heartbeat(BOUNDS)
    beat.connected(0.0)
    # What is written meanwhile is no sign of life of the other side.
    beat.noted(20.0, 0.0)
    assert beat.due(29.0, math.inf) == (Beat.WAIT, 30.0)
    assert beat.due(30.0, math.inf)[0] == Beat.ASK
    beat.asking(30.0)
    assert beat.due(44.0, math.inf)[0] == Beat.WAIT
    assert beat.due(45.0, math.inf)[0] == Beat.DEAD


def test_the_broker_may_want_shorter_silences() -> None:
    beat = Heartbeat(BOUNDS)
    beat.connected(0.0)
    assert beat.due(0.0, 5.0) == (Beat.WAIT, 5.0)


async def test_a_link_that_is_dead_without_a_word_is_given_up(world: World) -> None:
    await world.start()
    world.relay.swallow(TO_CLIENT, PINGRESP)
    alice = await world.client("alice", heartbeat_first_s=0.2, heartbeat_shortest_s=0.2)
    await until(lambda: [event.state for event in world.seen("alice", LinkChanged)].count(Link.CONNECTED) == 2)
    (lost,) = [event for event in world.seen("alice", LinkChanged) if event.state == Link.WAITING]
    assert "silent" in lost.why
    assert alice.state == Link.CONNECTED


def test_a_heartbeat_takes_longer_than_no_time() -> None:
    with pytest.raises(ValueError, match="heartbeat"):
        Options("alice", "alice.inbox", heartbeat_shortest_s=0.0)
