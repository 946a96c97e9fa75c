"""The opponent on the same livekit-server: `python -m benchmarks.livekit.stock FOLDER`.

A worker as livekit-agents' documentation writes it, with one stock `GetDtmfTask` after the other and a model and a
voice that answer at once. FOLDER holds its two prompts, which it says by turns: stock-0.pcm and stock-1.pcm. Where to
serve is in LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET.
"""

from __future__ import annotations

import asyncio
import math
import sys
from functools import partial
from pathlib import Path

from livekit.agents import Agent, AgentServer, AgentSession, JobContext
from livekit.agents.beta.workflows import GetDtmfTask

from benchmarks.instant import OneSentence, Sounds
from benchmarks.livekit.callers import STOCK_AGENT

WARM = 2
PROMPTS = 2


class AsksForEver(Agent):
    """Asks for one key, and then for the next."""

    def __init__(self) -> None:
        super().__init__(instructions="")

    async def on_enter(self) -> None:
        while True:
            await GetDtmfTask(num_digits=1)


async def answer(ctx: JobContext, *, folder: Path) -> None:
    """One call."""
    prompts = [(folder / f"stock-{turn}.pcm").read_bytes() for turn in range(PROMPTS)]
    session: AgentSession[None] = AgentSession(llm=OneSentence(), tts=Sounds(prompts), vad=None)
    await session.start(AsksForEver(), room=ctx.room, record=False)


def no_load(_server: AgentServer) -> float:
    """Never full: a busy machine is what is measured."""
    return 0.0


async def main(folder: Path) -> None:
    server = AgentServer(
        host="127.0.0.1",
        port=0,
        load_fnc=no_load,
        load_threshold=math.inf,
        num_idle_processes=WARM,
        multiprocessing_context="forkserver",
    )
    server.rtc_session(partial(answer, folder=folder), agent_name=STOCK_AGENT)
    server.on("worker_registered", lambda *_: print("ready", flush=True))
    await server.run()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
