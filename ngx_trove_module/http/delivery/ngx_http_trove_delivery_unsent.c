
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_delivery_unsent.h"


/*
 * ngx_event_connect_peer() returns NGX_ERROR if socket(), bind() or the like
 * fails, or worker_connections are exhausted.  NGINX then ends the request with
 * 500, and, only in this case, has not set the address in the state.  A failed
 * connect() sets it, even if it fails because the local ports are exhausted.
 */

ngx_uint_t
ngx_http_trove_delivery_unsent(ngx_http_request_t *sr, ngx_str_t *target)
{
    ngx_uint_t                  i, n;
    ngx_http_upstream_state_t  *state;

    static time_t  logged;             /* of this process */

    if (sr->upstream == NULL || sr->upstream_states == NULL) {
        return 0;
    }

    state = sr->upstream_states->elts;
    n = sr->upstream_states->nelts;

    if (n == 0 || state[n - 1].peer != NULL || state[n - 1].status != 0
        || state[n - 1].connect_time != (ngx_msec_t) -1)
    {
        return 0;
    }

    /* another server of the upstream may have been asked before */

    for (i = 0; i < n; i++) {
        if (state[i].peer != NULL
            && state[i].connect_time != (ngx_msec_t) -1)
        {
            return 0;
        }
    }

    if (logged != ngx_time()) {
        logged = ngx_time();

        ngx_log_error(NGX_LOG_ERR, sr->connection->log, 0,
                      "trove: no connection to target \"%V\" could be opened, "
                      "this is not an attempt; see the previous message, "
                      "raise worker_connections and worker_rlimit_nofile, or "
                      "correct the address to bind to", target);
    }

    return 1;
}
