#!/usr/bin/env bash
# ray 2.60.0: a program has its own handler of SIGTERM, calls ray.init(num_cpus=1) and is sent SIGTERM, as CI does to cancel it.
# Guess: the program's handler runs, since it was there first.
# Seen: ray.init puts another handler in its place without a word, which ends the process by sys.exit. The program's own never
# runs; put back after ray.init, it does.
# Effect: a test run that writes its reports when it is told to end writes none once one encoder of it has replicas on Ray.
set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet ray==2.60.0
cat > "$folder/check.py" <<'P'
import os
import signal
import sys
import time

import ray


def own(*_):
    print("own handler", flush=True)
    ray.shutdown()
    os._exit(0)


signal.signal(signal.SIGTERM, own)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
print("kept" if signal.getsignal(signal.SIGTERM) is own else "replaced", flush=True)
if sys.argv[1] == "again":
    signal.signal(signal.SIGTERM, own)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
P
export RAY_USAGE_STATS_ENABLED=0
# Into files, as processes of Ray may hold a pipe open for a while.
"$folder/venv/bin/python" "$folder/check.py" left > "$folder/left" 2>/dev/null || true
"$folder/venv/bin/python" "$folder/check.py" again > "$folder/again" 2>/dev/null || true
left=$(cat "$folder/left") again=$(cat "$folder/again")
echo "as it is:" $left "| put back:" $again
[ "$left" = "replaced" ] || { echo "ray.init leaves the handler, or it runs, now: this finding is over"; exit 1; }
[ "$again" = "replaced
own handler" ] || { echo "the handler does not run when it is put back either: this finding is another one"; exit 1; }
