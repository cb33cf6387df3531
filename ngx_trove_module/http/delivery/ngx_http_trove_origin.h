
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_ORIGIN_H_INCLUDED_
#define _NGX_HTTP_TROVE_ORIGIN_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_trove_spool.h"


/* headers of a delivery: Host, Content-Type, and X-Trove-... */
#define NGX_HTTP_TROVE_ORIGIN_HEADERS  5


typedef struct ngx_http_trove_origin_s  ngx_http_trove_origin_t;

/*
 * The event that fake requests are made from: of a client's request, or of the
 * spool.  The caller owns it and everything that it points to, and must keep
 * it until released(origin) has been called: the last fake request has been
 * freed.  It is called once for each time that the number becomes 0, and never
 * if no fake request has been created.
 */

struct ngx_http_trove_origin_s {
    /* set by the caller; the rest is zeroed */
    ngx_http_request_t         *request;       /* of the client, or NULL */
    ngx_trove_spool_event_t    *event;         /* or of the spool, or NULL */
    ngx_http_core_srv_conf_t   *cscf;          /* of the location that */
    void                      **loc_conf;      /* received the event */
    ngx_http_trove_ctx_t       *ctx;           /* NULL: to be parsed */
    ngx_pool_t                 *pool;
    void                      (*released)(ngx_http_trove_origin_t *origin);
    void                       *data;

    /* private */
    ngx_uint_t                  fakes;         /* not freed */
    ngx_uint_t                  nheaders;      /* 0: not yet made */
    ngx_uint_t                  host;          /* their indices, or */
    ngx_uint_t                  content_type;  /* nheaders if there is none */
    ngx_table_elt_t             headers[NGX_HTTP_TROVE_ORIGIN_HEADERS];
};


/*
 * Sets the headers of r to its own list of the headers of a delivery.  No other
 * header of the client is sent to a target, so a delivery is the same whether
 * or not the client is still connected.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_origin_headers(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r);

/*
 * Gives r a body of its own: the structures are copied, and the bytes, or the
 * temporary file, are shared.
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_origin_body(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r);

/* Returns 1 if a request still has the body of the event, 0 otherwise. */
ngx_uint_t ngx_http_trove_origin_same(ngx_http_trove_origin_t *origin,
    ngx_http_request_t *r);


#endif /* _NGX_HTTP_TROVE_ORIGIN_H_INCLUDED_ */
