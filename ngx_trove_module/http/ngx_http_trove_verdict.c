
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_verdict.h"


static ngx_str_t  ngx_http_trove_verdict_names[] = {
    ngx_null_string,
    ngx_string("ok"),
    ngx_string("missing"),
    ngx_string("malformed"),
    ngx_string("stale"),
    ngx_string("no_secret"),
    ngx_string("mismatch"),
    ngx_string("bad_json"),
    ngx_string("bad_event"),
    ngx_string("method")
};


ngx_str_t *
ngx_http_trove_verdict_name(ngx_http_trove_verdict_e verdict)
{
    return &ngx_http_trove_verdict_names[verdict];
}
