"""What Gunicorn's configuration does in a worker."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_garbage_collector_passes_over_what_was_loaded(tmp_path: Path) -> None:
    program = (
        "import gc; from backend.platform.server import gunicorn_conf; gunicorn_conf.on_starting(None); import backend.main; made = len(gc.get_objects());"
        "gunicorn_conf.when_ready(None); print(made, gc.get_freeze_count(), len(gc.get_objects()))"
    )
    environment = {
        **os.environ,
        "ENVIRONMENT": "development",
        "DATA_DIR": str(tmp_path),
        "RUN_DIR": str(tmp_path),
    }
    result = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    made, frozen, left = map(int, result.stdout.split())
    assert frozen > made / 2
    assert left < made / 50
