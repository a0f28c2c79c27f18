"""The outbox: order for each recipient, bounds, refusals."""

from __future__ import annotations

import pytest

from inboxd_client import OutboxFullError
from inboxd_client.message import Message
from inboxd_client.outbox import Answer, Outbox, OutboxLimits

LIMITS = OutboxLimits(messages_max=4, bytes_max=100, answer_timeout_s=30.0, pause_least_s=1.0, pause_most_s=64.0)


def message(name: str, to: str = "bob", size: int = 1) -> Message:
    order = int(name[1:])
    return Message(name, to, to, b"x" * size, order, durable=True)


def sure() -> float:
    return 1.0


def ids(messages: list[Message]) -> list[str]:
    return [one.id for one in messages]


def filled(*messages: Message) -> Outbox:
    outbox = Outbox(LIMITS, messages)
    outbox.connected(10)
    return outbox


def test_one_message_for_each_recipient_is_unanswered_at_a_time() -> None:
    first, second, other = message("m1"), message("m2"), message("m3", "carol")
    outbox = filled(first, second, other)
    assert ids(outbox.due(0.0)) == ["m1", "m3"]
    assert outbox.due(0.0) == []
    assert outbox.answered(first, 0, 0.0, sure) == (Answer.STORED, 0.0)
    assert ids(outbox.due(0.0)) == ["m2"]


def test_what_was_unanswered_goes_out_again_first() -> None:
    outbox = filled(message("m1"), message("m2"))
    assert ids(outbox.due(0.0)) == ["m1"]
    outbox.disconnected()
    assert outbox.due(0.0) == []
    outbox.connected(10)
    assert ids(outbox.due(0.0)) == ["m1"]


def test_messages_of_before_a_restart_go_out_in_their_order() -> None:
    assert ids(filled(message("m2"), message("m1")).due(0.0)) == ["m1"]


@pytest.mark.parametrize("code", [0x83, 0x97])
def test_a_refusal_that_passes_holds_this_recipients_queue_with_growing_pauses(code: int) -> None:
    first, other = message("m1"), message("m2", "carol")
    outbox = filled(first, message("m3"))
    outbox.due(0.0)
    assert outbox.answered(first, code, 0.0, sure) == (Answer.HELD, 1.0)
    outbox.add(other)
    assert ids(outbox.due(0.5)) == ["m2"]
    assert outbox.wake_at(0.5) == 1.0
    assert ids(outbox.due(1.0)) == ["m1"]
    assert outbox.answered(first, code, 1.0, sure) == (Answer.HELD, 2.0)
    assert ids(outbox.due(3.0)) == ["m1"]
    outbox.answered(first, 0, 3.0, sure)
    assert ids(outbox.due(3.0)) == ["m3"]


@pytest.mark.parametrize("code", [0x10, 0x87, 0x90, 0x95, 0x99])
def test_a_final_refusal_lets_the_next_one_go(code: int) -> None:
    first = message("m1")
    outbox = filled(first, message("m2"))
    outbox.due(0.0)
    assert outbox.answered(first, code, 0.0, sure) == (Answer.REFUSED, 0.0)
    assert ids(outbox.due(0.0)) == ["m2"]


def test_a_full_outbox_is_an_error() -> None:
    outbox = filled(*(message(f"m{number}") for number in range(4)))
    with pytest.raises(OutboxFullError):
        outbox.add(message("m4"))
    assert len(outbox) == 4


def test_its_bytes_are_bounded_and_given_back() -> None:
    large = message("m1", size=100)
    outbox = filled(large)
    with pytest.raises(OutboxFullError):
        outbox.add(message("m2"))
    outbox.remove(large)
    outbox.add(message("m2"))


def test_what_is_not_durable_does_not_go_out_and_nothing_passes_it() -> None:
    first = message("m1")
    first.durable = False
    outbox = filled(first, message("m2"))
    assert outbox.due(0.0) == []
    first.durable = True
    assert ids(outbox.due(0.0)) == ["m1"]


def test_the_window_of_the_broker_is_kept() -> None:
    outbox = Outbox(LIMITS, [message("m1"), message("m2", "carol"), message("m3", "dave")])
    outbox.connected(2)
    assert ids(outbox.due(0.0)) == ["m1", "m2"]
    assert outbox.due(0.0) == []


def test_an_answer_that_does_not_come_is_overdue() -> None:
    outbox = filled(message("m1"))
    outbox.due(5.0)
    assert outbox.wake_at(5.0) == 35.0
    assert not outbox.is_overdue(34.9)
    assert outbox.is_overdue(35.0)


def test_the_largest_in_flight_is_who_was_too_large() -> None:
    outbox = filled(message("m1", size=5), message("m2", "carol", size=9), message("m3", size=50))
    outbox.due(0.0)
    largest = outbox.largest_in_flight()
    assert largest and largest.id == "m2"


def test_a_request_about_a_message_waits_behind_it() -> None:
    first, second = message("m1"), message("m2")
    outbox = filled(first, second)
    assert outbox.find("bob", "m1") is first
    request = Message("r3", "bob", "$inbox/recall", b"", 3, behind="bob", about="m1", durable=True)
    outbox.add(request)
    for expected in ("m1", "m2", "r3"):
        assert outbox.is_about("bob", "m1")
        (due,) = outbox.due(0.0)
        assert (due.id, due.may_be_out) == (expected, True)
        outbox.answered(due, 0, 0.0, sure)
    assert not outbox.is_about("bob", "m1")
    assert outbox.find("bob", "m1") is None
