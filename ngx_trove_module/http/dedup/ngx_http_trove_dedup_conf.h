
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_conf.h"


/* The configuration of the dedup module, private to it. */

#define NGX_HTTP_TROVE_DEDUP_SCOPE  16


typedef struct {
    ngx_flag_t                        enable;
    ngx_flag_t                        said;    /* set here or inherited */
    ngx_shm_zone_t                   *shm_zone;
    time_t                            ttl;
    time_t                            lease;
    ngx_http_complex_value_t         *key;     /* NULL: the default */
    ngx_http_trove_place_t            place;   /* of its directive */

    u_char                            scope[NGX_HTTP_TROVE_DEDUP_SCOPE];
    unsigned                          varies:1;    /* a secret does */
} ngx_http_trove_dedup_loc_conf_t;


/* As in ngx_http_module_t. */
void *ngx_http_trove_dedup_create_loc_conf(ngx_conf_t *cf);
char *ngx_http_trove_dedup_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);

/*
 * Sets and checks the scopes of all locations that deduplicate; to be called
 * when all locations have been merged.
 *
 * NGX_OK
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_dedup_scopes(ngx_conf_t *cf);

/* The handler of the directive "trove_dedup". */
char *ngx_http_trove_dedup(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


#endif /* _NGX_HTTP_TROVE_DEDUP_CONF_H_INCLUDED_ */
