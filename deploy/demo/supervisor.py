# SPDX-License-Identifier: Apache-2.0
"""supervisor.py COMMAND…: the parent of the demo's programs, so that `--pid` of this process selects them and nothing else.
Each argument is a command line. It says "up" when all are started; ends them when its standard input closes."""
import shlex
import subprocess
import sys

children = []
try:
    for command in sys.argv[1:]:
        children.append(subprocess.Popen(shlex.split(command), stdin=subprocess.DEVNULL))
    print("up", flush=True)
    sys.stdin.read()
finally:
    for c in children:
        c.terminate()
    for c in children:
        try:
            c.wait(5)
        except subprocess.TimeoutExpired:
            c.kill()
            c.wait()
