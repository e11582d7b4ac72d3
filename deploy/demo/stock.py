# SPDX-License-Identifier: Apache-2.0
"""stock.py PORT: how many of an item there are. Slow when it reserves one."""
import time

from service import serve

ITEMS = {"/items/tea": 12, "/items/cup": 3}


def route(path):
    if path.startswith("/reserve/"):
        time.sleep(0.030)
        return 200, {"reserved": path[9:]}
    time.sleep(0.004)
    return (200, {"left": ITEMS[path]}) if path in ITEMS else (404, {"error": "no such item"})


serve(route)
