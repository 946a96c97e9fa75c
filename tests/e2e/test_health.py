"""What a service manager reads of a worker: it is well while livekit-server can reach it, and not before or after."""

from __future__ import annotations

import psutil

from tests.e2e.conftest import Apart


def test_a_worker_is_well_only_while_its_server_can_reach_it(apart: Apart, transactional_db: None) -> None:
    worker = apart.start(WORKER_WARM=1).ready()
    assert worker.health() == 200
    listening = {
        connection.laddr.ip
        for connection in psutil.Process(worker.popen.pid).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    apart.livekit.stop()
    worker.wait_until(lambda: worker.health() == 503)
