"""Arrivals: repeats, order, gaps, epochs, receipts."""

from __future__ import annotations

import json
import random

from inboxd_client import Dropped, EpochChanged, Gap, State
from inboxd_client.arrivals import Arrivals, Verdict
from inboxd_client.backoff import Backoff
from inboxd_client.packet import Packet
from inboxd_client.receipts import is_receipt, parse


def packet(seq: int, prev: int | None = None, **more: str) -> Packet:
    properties = [("id", f"m{seq}"), ("seq", str(seq)), ("from", "alice")]
    if prev is not None:
        properties.append(("prev", str(prev)))
    return Packet("bob", b"", seq, properties=[*properties, *more.items()])


def attached(dropped: int = 0) -> Arrivals:
    arrivals = Arrivals(100, dropped=dropped)
    arrivals.attached("e1")
    return arrivals


def answer(arrivals: Arrivals, one: Packet) -> None:
    arrivals.remember(arrivals.key(one), arrivals.prepare(0))


def test_a_message_is_new_once() -> None:
    arrivals = attached()
    one = packet(1)
    assert arrivals.take(one)[0] == Verdict.NEW
    arrivals.attached("e1")
    assert arrivals.take(one)[0] == Verdict.AGAIN
    answer(arrivals, one)
    arrivals.attached("e1")
    assert arrivals.take(one)[0] == Verdict.REPEAT


def test_the_same_id_of_another_sender_is_new() -> None:
    arrivals = attached()
    answer(arrivals, packet(1))
    other = Packet("bob", b"", 2, properties=[("id", "m1"), ("seq", "2"), ("from", "carol")])
    assert arrivals.take(other)[0] == Verdict.NEW


def test_what_the_broker_says_about_a_message_is_no_repeat_of_it() -> None:
    arrivals = attached()
    answer(arrivals, packet(1))
    told = [("id", "m1"), ("seq", "2"), ("from", "alice"), ("$inboxd", "edit")]
    assert arrivals.take(Packet("bob", b"", 2, properties=told))[0] == Verdict.NEW
    assert arrivals.take(Packet("bob", b"", 3, properties=told))[0] == Verdict.AGAIN


def test_a_delivery_that_was_lost_on_the_way_is_a_hole() -> None:
    arrivals = attached()
    arrivals.take(packet(1))
    assert arrivals.take(packet(3, prev=2)) == (Verdict.HOLE, Gap(1, 2))
    arrivals.attached("e1")
    assert [arrivals.take(one)[0] for one in (packet(1), packet(2, prev=1), packet(3, prev=2))] == [
        Verdict.AGAIN,
        Verdict.NEW,
        Verdict.NEW,
    ]


def test_a_lost_first_delivery_is_a_hole() -> None:
    assert attached().take(packet(2, prev=1))[0] == Verdict.HOLE


def test_the_same_hole_twice_does_not_end_a_connection_again() -> None:
    arrivals = attached()
    assert arrivals.take(packet(3, prev=2))[0] == Verdict.HOLE
    arrivals.attached("e1")
    assert arrivals.take(packet(3, prev=2))[0] == Verdict.NEW


def test_what_left_the_inbox_unread_is_told_once() -> None:
    arrivals = attached(dropped=2)
    assert arrivals.take(packet(1, dropped="2"))[1] is None
    assert arrivals.take(packet(2, prev=1, dropped="5"))[1] == Dropped(3)
    assert arrivals.take(packet(3, prev=2, dropped="5"))[1] is None


def test_another_epoch_is_told() -> None:
    arrivals = attached()
    assert arrivals.attached("e1") is None
    assert arrivals.attached("e2") == EpochChanged("e1", "e2")


def test_the_oldest_is_forgotten() -> None:
    arrivals = Arrivals(2)
    arrivals.attached("e1")
    for seq in range(1, 4):
        answer(arrivals, packet(seq))
    assert arrivals.to_forget() == [("alice", "m1")]
    arrivals.forget(arrivals.to_forget())
    assert arrivals.take(packet(1))[0] == Verdict.NEW


def test_only_what_the_broker_says_is_a_receipt() -> None:
    said = [("from", "$inboxd"), ("$inboxd", "receipt")]
    assert is_receipt(Packet("a", b"", 1, retain=True, properties=said), True)
    assert not is_receipt(Packet("a", b"", 1, retain=True, properties=said), False)
    assert not is_receipt(Packet("a", b"", 1, retain=False, properties=said), True)
    assert not is_receipt(Packet("a", b"", 1, retain=True, properties=[("from", "mallory"), said[1]]), True)
    assert not is_receipt(Packet("a", b"", 1, retain=True, properties=[said[0], ("$inboxd", "notice")]), True)


def test_receipts_are_read_and_nonsense_is_left_out() -> None:
    told = [
        {"id": "m1", "topic": "bob", "seq": 5, "state": "delivered"},
        {"id": "m2", "topic": "bob", "seq": 6, "state": "dropped", "why": "purged"},
        {"id": "m3", "topic": "bob", "state": "eaten"},
        {"topic": "bob", "state": "read"},
        "nonsense",
    ]
    first, second = parse(json.dumps({"notice": "receipt", "receipts": told}).encode())
    assert (first.id, first.state, first.seq) == ("m1", State.DELIVERED, 5)
    assert (second.id, second.state, second.why) == ("m2", None, "it left the inbox unread: purged")
    assert parse(b"\xff") == parse(b"[]") == parse(b"{}") == []


def test_pauses_grow_to_their_bound_with_full_jitter() -> None:
    backoff = Backoff(1.0, 64.0)
    assert [backoff.next_s(lambda: 1.0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 64, 64]
    backoff.reset()
    assert backoff.next_s(lambda: 0.0) == 0.0
    assert all(0.0 <= backoff.next_s(random.random) <= 64.0 for _ in range(100))
