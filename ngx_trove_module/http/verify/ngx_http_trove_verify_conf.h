
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VERIFY_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_VERIFY_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_secret.h"


/* The configuration of the verify module, private to it. */

typedef struct {
    ngx_uint_t                 mode;           /* ..._VERIFY_OFF, ON, LOG */
    ngx_uint_t                 said;           /* set or inherited; or unset */
    ngx_http_trove_place_t     place;          /* of its directive */
    ngx_uint_t                 status;         /* if refused */
    time_t                     tolerance;      /* seconds, 0 = off */
    ngx_http_trove_secrets_t  *secrets;        /* NULL if there are none */
    ngx_http_trove_place_t     secret;         /* of the first one */
    unsigned                   own:1;          /* "trove_verify" is set here */
    unsigned                   warned:1;       /* with another location */
} ngx_http_trove_verify_loc_conf_t;


/* As in ngx_http_module_t. */
void *ngx_http_trove_verify_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_trove_verify_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/*
 * Logs a warning for locations that have secrets, but no "trove_verify"; to be
 * called when all locations have been merged.
 *
 * NGX_OK
 */
ngx_int_t ngx_http_trove_verify_check(ngx_conf_t *cf);

/* The handlers of the directives "trove_verify" and "trove_...". */
char *ngx_http_trove_verify(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
char *ngx_http_trove_verify_secret(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_trove_verify_tolerance(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_trove_verify_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


#endif /* _NGX_HTTP_TROVE_VERIFY_CONF_H_INCLUDED_ */
