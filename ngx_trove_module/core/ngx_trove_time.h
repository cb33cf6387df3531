
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_TIME_H_INCLUDED_
#define _NGX_TROVE_TIME_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* nanoseconds in a millisecond, and the last time that can be represented */
#define NGX_TROVE_TIME_MSEC  ((int64_t) 1000000)
#define NGX_TROVE_TIME_MAX   INT64_MAX


/*
 * Parses a time of ISO 8601 with a calendar date, in the extended or the basic
 * format: "2026-04-30", "2026-04-30T12:00Z", "20260430T120000.25+0200".  A
 * blank is allowed in place of "T", and a comma in place of the point.  The
 * fraction of a second may have any length; digits after the ninth are
 * ignored.  A time without a zone is UTC.  A blank in place of "+" before the
 * zone is allowed, because it may have been decoded from a query string.
 *
 * Sets *ns to the nanoseconds since the epoch: to -1 for any time before it,
 * and to NGX_TROVE_TIME_MAX for later ones.  *ns is not changed on error.
 *
 * NGX_OK
 * NGX_ERROR  it is not a time
 */
ngx_int_t ngx_trove_time_parse(ngx_str_t *s, int64_t *ns);


#endif /* _NGX_TROVE_TIME_H_INCLUDED_ */
