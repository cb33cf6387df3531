/*
 * Copyright (C) 2026 the ngx_trove_module authors
 */

/* The gate as users of njs would write it, without deduplication. */

import crypto from 'crypto';

const TOLERANCE = 300;


function refuse(r, verdict) {
    r.error(`event refused: ${verdict}`);
    r.headersOut['Content-Type'] = 'application/json';
    r.return(400, `{"error":"${verdict}"}`);
}


function equal(one, two) {
    if (one.length !== two.length) {
        return false;
    }

    let differ = 0;

    for (let i = 0; i < one.length; i++) {
        differ |= one.charCodeAt(i) ^ two.charCodeAt(i);
    }

    return differ === 0;
}


function check(r) {
    const header = r.headersIn['X-Trove-Signature'];

    if (!header) {
        return refuse(r, 'missing');
    }

    const t = header.match(/(?:^|,) *t=(\d+)/);
    const v1 = header.match(/(?:^|,) *v1=([0-9a-f]{64})/);

    if (!t || !v1) {
        return refuse(r, 'malformed');
    }

    if (Math.abs(Date.now() / 1000 - Number(t[1])) > TOLERANCE) {
        return refuse(r, 'stale');
    }

    const mac = crypto.createHmac('sha256', r.variables.trove_secret)
        .update(`${t[1]}.`)
        .update(r.requestBuffer)
        .digest('hex');

    if (!equal(mac, v1[1])) {
        return refuse(r, 'mismatch');
    }

    let event;

    try {
        event = JSON.parse(r.requestText);
    } catch (e) {
        return refuse(r, 'bad_json');
    }

    if (typeof event.id !== 'string' || typeof event.type !== 'string') {
        return refuse(r, 'bad_event');
    }

    r.internalRedirect('@application');
}


export default { check };
