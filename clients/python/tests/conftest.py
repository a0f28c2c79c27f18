"""What all scenarios share: a broker, a relay before it, clients, and tests that are coroutines."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from world import World

_LIMIT_S = 180.0
"""For what must happen, on a machine that has other things to do: what fails waits in vain for so long."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs tests that are coroutines, in a world if they ask for one."""
    test: Callable[..., Coroutine[Any, Any, None]] = pyfuncitem.obj
    if not inspect.iscoroutinefunction(test):
        return None
    names = inspect.signature(test).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def whole() -> None:
        world = arguments.get("world")
        try:
            await test(**arguments)
        finally:
            if isinstance(world, World):
                await world.end()

    asyncio.run(asyncio.wait_for(whole(), _LIMIT_S))
    return True


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A broker that is not started yet, and a relay."""
    return World(tmp_path)
