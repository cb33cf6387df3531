
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_clock.h"


/* seconds are sufficient: a clock that is updated by the tick is cheaper */

#if defined(CLOCK_MONOTONIC_COARSE)
#define NGX_HTTP_TROVE_CLOCK_COARSE  CLOCK_MONOTONIC_COARSE
#elif defined(CLOCK_MONOTONIC_FAST)
#define NGX_HTTP_TROVE_CLOCK_COARSE  CLOCK_MONOTONIC_FAST
#else
#define NGX_HTTP_TROVE_CLOCK_COARSE  CLOCK_MONOTONIC
#endif


void
ngx_http_trove_clock_zone(ngx_trove_zone_now_t *now)
{
    struct timespec  ts;

    now->wall = ngx_time();

    /* not ngx_current_msec: it is monotonic only on some systems */

    (void) clock_gettime(NGX_HTTP_TROVE_CLOCK_COARSE, &ts);

    now->mono = ts.tv_sec;
}


uint64_t
ngx_http_trove_clock_nsec(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + ts.tv_nsec;
}
