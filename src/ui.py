"""Start the MLflow UI on 127.0.0.1 for the store that the stages write to."""

import os
import sys

from transfer_learning import stage, store
from transfer_learning.errors import UserError


def main() -> None:
    port = os.environ.get("PORT", "5000")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise UserError(f"PORT = {port!r}: allowed is a number from 1 to 65535")
    with store.opened(store.Store):
        pass  # there from now on, readable and of this version of MLflow
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # halves memory and start-up time
    print(f"MLflow UI of {store.uri()}: http://127.0.0.1:{port} in about 15 s; Ctrl-C stops it", flush=True)
    options = ["--backend-store-uri", store.uri(), "--host", "127.0.0.1", "--port", port, "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "ui", *options])


if __name__ == "__main__":
    stage.run("ui", main)
