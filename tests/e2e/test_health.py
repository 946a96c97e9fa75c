"""What a service manager reads of a worker: it is well while livekit-server can reach it, and not before or after."""

from __future__ import annotations

import urllib.error
import urllib.request

import psutil

from tests.e2e.conftest import Apart
from tests.e2e.workers import Worker


def health(worker: Worker) -> int:
    """The status of its health page; 0 while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{worker.port}/", timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def test_a_worker_is_well_only_while_its_server_can_reach_it(apart: Apart, transactional_db: None) -> None:
    worker = apart.start(WORKER_WARM=1).ready()
    assert health(worker) == 200
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(worker.popen.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    apart.livekit.stop()
    worker.wait_until(lambda: health(worker) == 503)


def test_a_worker_that_never_reached_its_server_is_not_well(apart: Apart, transactional_db: None) -> None:
    worker = apart.start(WORKER_WARM=1, LIVEKIT_URL="ws://127.0.0.1:9")
    worker.wait_until(lambda: "cannot be used" in worker.written(), seconds=60)
    assert health(worker) == 503
