"""A process that holds a call while its database is away. `python -m tests.agent_worker.cut_off_process <clinic id>`

Prints the call's id once all that it reported is in the spool, and then waits to be killed. Started by test_records.py.
"""

from __future__ import annotations

import asyncio
import sys

import django

django.setup()

# From here on there are models, which these modules name.
from agent_worker.records import writer  # noqa: E402
from tests.agent_worker.reports import a_call  # noqa: E402

LONGER_THAN_ANY_TEST = 300


async def hold_a_call(clinic: int) -> None:
    records = a_call(clinic)
    for record in records:
        writer().put(record)
    await writer().drain()
    print(records[0].call, flush=True)
    await asyncio.sleep(LONGER_THAN_ANY_TEST)


if __name__ == "__main__":
    asyncio.run(hold_a_call(int(sys.argv[1])))
