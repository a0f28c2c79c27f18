"""One connection to the broker, over paho-mqtt: the only file that names it.

A connection has a paho client of its own, which is thrown away with it: paho neither reconnects nor sends
anything again, because the outbox does. paho's thread reads and writes; everything that it says comes into the event loop in its order.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
from collections.abc import Callable
from typing import Any, TypeVar, cast

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from . import reasons
from .message import Message
from .options import Options
from .packet import Answered, Lost, Opened, Packet

_PUBACK = 0x40
_GOODBYE_S = 2.0
_TEN_HOURS_S = 36_000
T = TypeVar("T")


class NotOpenedError(Exception):
    """The connection was not made."""

    def __init__(self, lost: Lost) -> None:
        super().__init__(lost.why)
        self.lost = lost


class Link:
    """A connection from CONNECT to its end. ``lost`` is done when it has ended."""

    def __init__(
        self,
        options: Options,
        keep_alive_s: float,
        on_packet: Callable[[Packet], None],
        on_answer: Callable[[Answered], None],
        on_opened: Callable[[Opened], None],
    ) -> None:
        """``on_opened`` is called before the first packet can come."""
        self._options = options
        self._keep_alive_s = math.ceil(keep_alive_s)
        self._loop = asyncio.get_running_loop()
        self._on_packet = on_packet
        self._on_answer = on_answer
        self._on_opened = on_opened
        self._opened: asyncio.Future[Opened] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[Lost] = self._loop.create_future()
        self._client = self._make()

    async def open(self) -> Opened:
        """Connects and subscribes to the own inbox; raises ``NotOpenedError``."""
        try:
            return await asyncio.wait_for(self._open(), self._options.connect_timeout_s)
        except ssl.SSLCertVerificationError as error:
            lost = Lost(f"the broker's certificate is not trusted: {error.verify_message}", is_final=True)
            self.drop(lost.why)
            raise NotOpenedError(lost) from error
        except (OSError, asyncio.TimeoutError) as error:
            lost = Lost(str(error) or "the broker did not answer in time")
            self.drop(lost.why)
            raise NotOpenedError(lost) from error

    def publish(self, message: Message, properties: list[tuple[str, str]], expiry: int | None, reply: str | None) -> int:
        """Sends a message, and tells its packet identifier."""
        told = _properties(PacketTypes.PUBLISH)
        if properties:
            told.UserProperty = properties
        if message.content_type:
            told.ContentType = message.content_type
        if expiry is not None:
            told.MessageExpiryInterval = expiry
        if reply:
            told.ResponseTopic = reply
        return self._client.publish(message.topic, message.payload, qos=1, properties=told).mid

    def answer(self, packet_id: int, code: int) -> None:
        """Sends PUBACK. paho's own ``ack`` cannot say no, so the packet is made here."""
        identifier = packet_id.to_bytes(2, "big")
        packet = bytes([_PUBACK, 2]) + identifier if code == 0 else bytes([_PUBACK, 3]) + identifier + bytes([code])
        self._client._packet_queue(_PUBACK, packet, packet_id, 0)

    def ask(self) -> None:
        """Sends PINGREQ. paho's own would come by its clock, which knows one interval for good."""
        self._client._send_pingreq()

    @property
    def noted(self) -> tuple[float, float]:
        """When something was last written, and when a packet last came, by ``time.monotonic``."""
        return self._client._last_msg_out, self._client._last_msg_in

    def drop(self, why: str) -> None:
        """Cuts the connection without a goodbye."""
        self._tell_lost(Lost(why))
        plug = self._client.socket()
        if plug is not None:
            with contextlib.suppress(OSError, ValueError):
                socket.socket.shutdown(cast("socket.socket", plug), socket.SHUT_RDWR)

    async def close(self) -> None:
        """Says goodbye, and waits for the thread; a link that takes nothing more is cut."""
        self._client.disconnect()
        stopped = self._loop.run_in_executor(None, self._client.loop_stop)
        await asyncio.wait({stopped}, timeout=_GOODBYE_S)
        self.drop("closed")
        await stopped

    async def _open(self) -> Opened:
        address, options = self._options.address, self._options
        properties = _properties(PacketTypes.CONNECT)
        properties.ReceiveMaximum = options.window

        def connect() -> None:
            self._client.connect(address.hostname, address.port, self._keep_alive_s, clean_start=True, properties=properties)

        await self._loop.run_in_executor(None, connect)
        self._client.loop_start()
        opened = await self._until(self._opened)
        self._client.subscribe(options.inbox_of(options.client_id), options=SubscribeOptions(qos=1))
        await self._until(self._subscribed)
        return opened

    def _make(self) -> Client:
        options, address = self._options, self._options.address
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            transport="websockets" if address.is_websocket else "tcp",
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.connect_timeout = options.connect_timeout_s
        client.max_inflight_messages_set(0)
        if address.is_websocket:
            client.ws_set_options(path=address.path)
        if address.is_tls:
            client.tls_set(ca_certs=options.ca_file)
        if options.username is not None:
            client.username_pw_set(options.username, options.password)
        client.on_connect = lambda _c, _u, _f, code, properties: self._soon(self._connected, code.value, properties)
        client.on_subscribe = lambda _c, _u, _m, codes, _p: self._soon(self._granted, codes[0].value)
        client.on_message = lambda _c, _u, message: self._soon(self._hand_on, self._on_packet, _packet(message))
        client.on_publish = lambda _c, _u, mid, code, properties: self._soon(
            self._hand_on,
            self._on_answer,
            Answered(mid, code.value, getattr(properties, "ReasonString", None), _users(properties)),
        )
        client.on_disconnect = lambda _c, _u, flags, code, properties: self._soon(
            self._disconnected, code.value if flags.is_disconnect_packet_from_server else None, str(code), properties
        )
        return client

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        # The loop may have ended before paho's thread has.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(call, *arguments)

    def _hand_on(self, call: Callable[[Any], None], what: Any) -> None:
        """What comes behind the end of the connection would be taken for the next one's."""
        if not self.lost.done():
            call(what)

    def _connected(self, code: int, properties: Properties | None) -> None:
        if code >= reasons.ERROR_LEAST:
            self._tell_lost(Lost(reasons.explain_connect(code, getattr(properties, "ReasonString", None)), code))
        elif not self._opened.done():
            epoch = next((value for name, value in _users(properties) if name == "epoch"), None)
            opened = Opened(epoch, getattr(properties, "ReceiveMaximum", 65_535), getattr(properties, "ServerKeepAlive", None))
            # From here on the heartbeat is ours. With 0, paho would find no time for the answers to our questions.
            self._client._keepalive = _TEN_HOURS_S
            self._on_opened(opened)
            self._opened.set_result(opened)

    def _granted(self, code: int) -> None:
        if code >= reasons.ERROR_LEAST:
            self._tell_lost(Lost(f"the own inbox cannot be read: {reasons.explain_connect(code, None)}", code))
        elif not self._subscribed.done():
            self._subscribed.set_result(None)

    def _disconnected(self, code: int | None, words: str, properties: Properties | None) -> None:
        if code is None:
            self._tell_lost(Lost(f"the connection was lost: {words}"))
        else:
            self._tell_lost(Lost(reasons.explain_connect(code, getattr(properties, "ReasonString", None)), code))

    def _tell_lost(self, lost: Lost) -> None:
        if not self.lost.done():
            self.lost.set_result(lost)

    async def _until(self, future: asyncio.Future[T]) -> T:
        """What ``future`` brings, unless the connection ends before."""
        both: set[asyncio.Future[Any]] = {future, self.lost}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not future.done():
            raise NotOpenedError(self.lost.result())
        return future.result()


def _properties(of: int) -> Properties:
    return Properties(of)  # type: ignore[no-untyped-call]


def _users(properties: Properties | None) -> list[tuple[str, str]]:
    return list(getattr(properties, "UserProperty", ()))


def _packet(message: MQTTMessage) -> Packet:
    properties = message.properties
    return Packet(
        topic=message.topic,
        payload=bytes(message.payload),
        packet_id=message.mid,
        qos=message.qos,
        retain=bool(message.retain),
        properties=_users(properties),
        content_type=getattr(properties, "ContentType", None),
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation_data=getattr(properties, "CorrelationData", None),
    )
