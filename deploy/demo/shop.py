# SPDX-License-Identifier: Apache-2.0
"""shop.py PORT STOCK_PORT: asks the stock for each request. It passes no headers on: the links are found from outside."""
import http.client
import sys
import time

from service import serve


def ask(method, path):
    c = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
    try:
        c.request(method, path)
        r = c.getresponse()
        r.read()
        return r.status
    finally:
        c.close()


def checkout():
    for path in ("/items/tea", "/items/cup"):
        ask("GET", path)
    time.sleep(0.008)
    return ask("POST", "/reserve/tea"), {"order": 1}


def route(path):
    path = path.split("?")[0]
    if path == "/checkout":
        return checkout()
    return ask("GET", path), {"page": path}


serve(route)
