"""The first example of the README runs, and says what the README says that it says."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from world import World

README = Path(__file__).parent.parent / "README.md"


async def test_the_examples_run(world: World) -> None:
    await world.start()
    examples = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) == 2
    for number, (program, output) in enumerate(examples):
        program = program.replace("mqtt://127.0.0.1:1883", f"mqtt://127.0.0.1:{world.relay.port}")
        directory = world.directory / str(number)
        directory.mkdir()
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=directory, stdout=asyncio.subprocess.PIPE)
        printed, _ = await process.communicate()
        assert printed.decode() == output
