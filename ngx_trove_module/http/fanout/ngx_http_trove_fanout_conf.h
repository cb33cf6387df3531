
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_FANOUT_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_FANOUT_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_spool.h"


/* The configuration of the fan-out, private to its folder. */


#define NGX_HTTP_TROVE_FANOUT_WAIT   0
#define NGX_HTTP_TROVE_FANOUT_SPOOL  1


typedef struct ngx_http_trove_fanout_mode_s  ngx_http_trove_fanout_mode_t;

/* a directive "trove_fanout_mode spool" */
struct ngx_http_trove_fanout_mode_s {
    ngx_http_trove_place_t         place;
    ngx_uint_t                     used;
    ngx_http_trove_fanout_mode_t  *next;
};


typedef struct {
    ngx_http_trove_fanout_mode_t  *modes;
    ngx_array_t                    names; /* ngx_http_trove_health_name_t */
} ngx_http_trove_fanout_main_conf_t;


typedef struct {
    ngx_array_t              *targets;   /* ngx_http_trove_target_t * */
    ngx_http_trove_place_t    place;     /* of the first target */
    ngx_uint_t                mode;      /* ..._FANOUT_WAIT, SPOOL */

    /* directive that sets the mode; NULL in the wait mode */
    ngx_http_trove_fanout_mode_t  *from;

    /* the location in the spool; NULL in the wait mode */
    ngx_http_trove_route_t   *route;
} ngx_http_trove_fanout_loc_conf_t;


/*
 * A phase handler.  It reads and parses the event in a location where it is
 * not verified, so that filters and variables can use it.  It returns the code
 * of a phase handler.
 */
ngx_int_t ngx_http_trove_fanout_event(ngx_http_request_t *r);

/*
 * The content handler of a location with targets.  It returns the code of a
 * content handler; errors are logged.
 */
ngx_int_t ngx_http_trove_fanout_handler(ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_FANOUT_CONF_H_INCLUDED_ */
