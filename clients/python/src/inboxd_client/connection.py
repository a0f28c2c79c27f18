"""Stays connected: one link after the other, with pauses that grow, until it is told to stop or the broker says a final no."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from typing import Any, cast

from . import reasons
from .backoff import Backoff
from .errors import InboxError, StoppedError
from .events import Events, LinkChanged
from .events import Link as LinkState
from .heartbeat import Beat, Heartbeat
from .link import Link, NotOpenedError
from .options import Options
from .packet import Lost, Opened
from .receiving import Receiving
from .sending import Sending

_LOG = logging.getLogger("inboxd_client")
_TAKEN_BACK_MAX = 2


class Connection:
    """The task that drives sending and receiving."""

    def __init__(self, options: Options, events: Events, sending: Sending, receiving: Receiving) -> None:
        self._options = options
        self._events = events
        self._sending = sending
        self._receiving = receiving
        self._backoff = Backoff(options.reconnect_least_s, options.reconnect_most_s)
        self._heartbeat = Heartbeat(options.heartbeat)
        self._link: Link | None = None
        self._taken_over = 0
        self._tried = asyncio.Event()
        self._task = asyncio.create_task(self._run())
        self.state = LinkState.CONNECTING
        self.stopped: InboxError | None = None
        """Why there will be no connection any more."""

    async def tried(self) -> None:
        """Waits for the outcome of the first attempt; raises only what trying again does not mend."""
        await self._tried.wait()
        if self.stopped:
            raise self.stopped

    async def close(self, why: InboxError) -> None:
        """Ends the connection with a goodbye."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._sending.detached()
        self._receiving.detached()
        if self._link:
            await self._link.close()
        self.stopped = self.stopped or why
        self._sending.interrupt(why)
        self._receiving.end(why)
        self._tell(LinkState.CLOSED)

    async def _run(self) -> None:
        try:
            await self._stay_connected()
        except Exception as error:
            _LOG.exception("the connection ended by a mistake in this package")
            self._stop(Lost(f"a mistake in this package: {error!r}"))

    async def _stay_connected(self) -> None:
        while not self.stopped:
            lost = await self._one_link()
            if lost.code == reasons.PACKET_TOO_LARGE:
                self._sending.too_large()
            self._sending.detached()
            is_final = lost.is_final or (lost.code is not None and reasons.connect_is_final(lost.code))
            if is_final and not self._is_taken_back(lost):
                self._stop(lost)
            else:
                pause_s = self._backoff.next_s(random.random)
                self._tell(LinkState.WAITING, lost.why, pause_s)
                self._tried.set()
                await asyncio.sleep(pause_s)

    async def _one_link(self) -> Lost:
        self._tell(LinkState.CONNECTING)
        keep_alive_s = self._heartbeat.keep_alive_s
        link: Link = Link(
            self._options,
            keep_alive_s,
            lambda packet: self._receiving.arrived(link, packet),
            self._sending.answered,
            lambda opened: self._receiving.attached(link, opened),
        )
        self._link = link
        try:
            opened = await link.open()
            return await self._serve(link, opened, keep_alive_s)
        except NotOpenedError as error:
            return error.lost
        finally:
            self._receiving.detached()

    async def _serve(self, link: Link, opened: Opened, keep_alive_s: float) -> Lost:
        since = time.monotonic()
        most_s = keep_alive_s if opened.keep_alive_s is None else opened.keep_alive_s or math.inf
        self._heartbeat.connected(since)
        self._tell(LinkState.CONNECTED)
        self._sending.attached(link, opened)
        self._tried.set()
        while not link.lost.done():
            self._sending.changed.clear()
            now = time.monotonic()
            if self._sending.is_overdue(now):
                link.drop("the broker did not answer a publish in time")
                break
            beat_at = self._beat(link, now, most_s)
            self._sending.pump()
            self._sending.changed.clear()
            wake_at = self._sending.wake_at(now)
            at = beat_at if wake_at is None else min(beat_at, wake_at)
            await _any(link.lost, self._sending.changed, max(0.0, at - now))
        self._heartbeat.lost()
        if time.monotonic() - since >= self._options.stable_s:
            self._backoff.reset()
            self._taken_over = 0
        return link.lost.result()

    def _beat(self, link: Link, now: float, most_s: float) -> float:
        """Asks the link whether it lives, where it was silent for too long; tells when to look again."""
        self._heartbeat.noted(*link.noted)
        beat, at = self._heartbeat.due(now, most_s)
        if beat == Beat.ASK:
            self._heartbeat.asking(now)
            link.ask()
            _, at = self._heartbeat.due(now, most_s)
        elif beat == Beat.DEAD:
            link.drop("the link was silent for too long")
        return at

    def _is_taken_back(self, lost: Lost) -> bool:
        """Whether to take the client ID back: an earlier attempt of this very client may have come late. Another program comes again."""
        if lost.code != reasons.TAKEN_OVER:
            return False
        self._taken_over += 1
        return self._taken_over <= _TAKEN_BACK_MAX

    def _stop(self, lost: Lost) -> None:
        self.stopped = StoppedError(lost.why)
        self._sending.interrupt(self.stopped)
        self._receiving.end(self.stopped)
        self._tell(LinkState.STOPPED, lost.why)
        self._tried.set()

    def _tell(self, state: LinkState, why: str = "", pause_s: float = 0.0) -> None:
        self.state = state
        self._events.tell(LinkChanged(state, why, pause_s))


async def _any(lost: asyncio.Future[Lost], changed: asyncio.Event, timeout_s: float | None) -> None:
    """Waits for one of both, or for so long."""
    waiter: asyncio.Future[Any] = asyncio.ensure_future(changed.wait())
    try:
        await asyncio.wait({cast("asyncio.Future[Any]", lost), waiter}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiter.cancel()
