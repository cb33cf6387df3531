
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_CLOCK_H_INCLUDED_
#define _NGX_HTTP_TROVE_CLOCK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone.h"


/* The time for a zone or a table of keys, in whole seconds. */
void ngx_http_trove_clock_zone(ngx_trove_zone_now_t *now);

/* Nanoseconds of a monotonic clock, to measure a duration. */
uint64_t ngx_http_trove_clock_nsec(void);


#endif /* _NGX_HTTP_TROVE_CLOCK_H_INCLUDED_ */
