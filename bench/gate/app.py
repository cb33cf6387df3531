# Copyright (C) 2026 the ngx_trove_module authors

"""The example of the vendor: the application verifies, and keeps a set of ids.

/plain is the same application without these checks, as behind a gate.
"""

import hashlib
import hmac
import json
import os
import time

from fastapi import FastAPI, HTTPException, Request

TOLERANCE = 300

with open(os.environ["TROVE_SECRET_FILE"], "rb") as file:
    secret = file.read().strip()

app = FastAPI()
seen = set()


def verify(body, header):
    parts = dict(part.strip().split("=", 1) for part in header.split(","))
    t, v1 = parts["t"], parts["v1"]

    if abs(time.time() - int(t)) > TOLERANCE:
        raise ValueError("stale")

    mac = hmac.new(secret, t.encode() + b"." + body, hashlib.sha256)

    if not hmac.compare_digest(mac.hexdigest(), v1):
        raise ValueError("mismatch")

    return json.loads(body)


@app.post("/trove-events")
async def trove_events(request: Request):
    body = await request.body()

    try:
        event = verify(body, request.headers.get("X-Trove-Signature", ""))
    except (KeyError, ValueError):
        raise HTTPException(400, "signature error")

    if event["id"] not in seen:
        seen.add(event["id"])

    return {"ok": True}


@app.post("/plain")
async def plain(request: Request):
    json.loads(await request.body())

    return {"ok": True}
