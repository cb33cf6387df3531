
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_API_WEBHOOK_H_INCLUDED_
#define _NGX_HTTP_TROVE_API_WEBHOOK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_api.h"
#include "ngx_trove_names.h"
#include "ngx_trove_spool_subscription.h"


/* Calls for subscriptions, which the vendor calls webhooks. */


/* the members of the body of a call; a bit each */
#define NGX_HTTP_TROVE_API_URL          0x0001
#define NGX_HTTP_TROVE_API_EVENTS       0x0002
#define NGX_HTTP_TROVE_API_NAMESPACE    0x0004
#define NGX_HTTP_TROVE_API_DESCRIPTION  0x0008
#define NGX_HTTP_TROVE_API_ENABLED      0x0010
#define NGX_HTTP_TROVE_API_KEEP         0x0020


/* how long a replaced secret may be used, seconds: by default, and at most */
#define NGX_HTTP_TROVE_API_KEEP_DEFAULT  86400
#define NGX_HTTP_TROVE_API_KEEP_MAX      604800


/* a body; strings are decoded, and belong to the request */
typedef struct {
    ngx_uint_t                       given;      /* members, also if null */
    ngx_str_t                        url;        /* null: data is NULL */
    ngx_str_t                       *events;     /* null: absent */
    ngx_uint_t                       nevents;
    ngx_str_t                        namespace;
    ngx_str_t                        description;
    ngx_int_t                        keep;       /* seconds */
    unsigned                         enabled:1;
} ngx_http_trove_api_fields_t;


/* all of it belongs to the request, and is wiped with it */
struct ngx_http_trove_api_webhook_s {
    ngx_trove_spool_scope_t          scope;
    ngx_str_t                        id;
    ngx_http_trove_api_fields_t      fields;

    ngx_trove_spool_actor_t          actor;
    ngx_trove_spool_subscription_t   created;
    ngx_trove_spool_change_t         change;
    ngx_uint_t                       changes;    /* there is one */
    const char                      *done;       /* for the log */

    ngx_str_t                        secret;     /* in the buffers below */
    ngx_str_t                        sealed;

    u_char                           id_buf[NGX_TROVE_WEBHOOK_ID_LEN];
    u_char                           secret_buf[NGX_TROVE_WEBHOOK_SECRET_LEN];
    u_char                           sealed_buf[NGX_TROVE_SPOOL_SEALED_LEN];
    u_char                           detail[NGX_TROVE_SPOOL_DETAIL_LEN];

    ngx_http_trove_json_t            json;       /* the response */
};


/*
 * Parses a body, a JSON object.  Members that are not allowed are ignored, as
 * are unknown ones.  Values have been checked for their types, but not more.
 *
 * NGX_OK
 * NGX_HTTP_...  400 if it is not JSON, 422 if a member has a wrong type or is
 *               there twice, with the reason in api->reject; or 500
 */
ngx_int_t ngx_http_trove_api_webhook_body(ngx_http_trove_api_t *api,
    ngx_http_trove_api_fields_t *fields, ngx_uint_t allowed);

/*
 * Sends a synthetic event to the subscription that work has found, and responds
 * with the result.  Returns the code to finalize the request with.
 */
ngx_int_t ngx_http_trove_api_webhook_test(ngx_http_trove_api_t *api);


#endif /* _NGX_HTTP_TROVE_API_WEBHOOK_H_INCLUDED_ */
