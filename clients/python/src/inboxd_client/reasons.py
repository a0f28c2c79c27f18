"""What the broker's reason codes mean for a client: try again, or give up, and what to tell."""

from __future__ import annotations

SUCCESS = 0x00
NO_SUBSCRIBERS = 0x10
ERROR_LEAST = 0x80
TAKEN_OVER = 0x8E
PACKET_TOO_LARGE = 0x95

_PUBLISH_FINAL = {
    NO_SUBSCRIBERS: "nobody is subscribed there, and this broker keeps no mail for those who are away",
    0x87: "not authorized to publish there",
    0x90: "there can be no such inbox",
    PACKET_TOO_LARGE: "the message is too large for the broker",
    0x99: "the broker cannot accept the request, or the id was used with another payload",
}

_CONNECT_FINAL = {
    0x81: "malformed packet",
    0x82: "protocol error",
    0x84: "the broker does not speak MQTT 5",
    0x85: "the client ID is not valid",
    0x86: "the user name or the password is wrong",
    0x87: "not authorized to connect",
    0x8A: "banned",
    0x8C: "bad authentication method",
    TAKEN_OVER: "another connection uses this client ID now",
    0x9C: "use another server",
    0x9D: "the server moved",
}

_PASSING = {
    0x83: "the broker's store is in trouble",
    0x88: "the server is unavailable",
    0x89: "the server is busy",
    0x8B: "the server is shutting down",
    0x8D: "keep alive timeout",
    0x97: "quota exceeded",
    0x98: "an operator ended the connection",
    0x9F: "too many connections at once",
    0xA0: "the credentials have expired",
}


def publish_is_final(code: int) -> bool:
    """Whether sending the same again would be refused again."""
    return code in _PUBLISH_FINAL


def connect_is_final(code: int) -> bool:
    """Whether connecting again would be refused again, from CONNACK, SUBACK and DISCONNECT."""
    return code in _CONNECT_FINAL


def explain_publish(code: int, reason: str | None) -> str:
    """The broker's own words, or ours, for a refused publish."""
    return _words(reason or _PUBLISH_FINAL.get(code) or _PASSING.get(code), code)


def explain_connect(code: int, reason: str | None) -> str:
    """The broker's own words, or ours, for an end of a connection."""
    return _words(reason or _CONNECT_FINAL.get(code) or _PASSING.get(code), code)


def _words(words: str | None, code: int) -> str:
    return f"{words or 'refused'} (0x{code:02X})"
