
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_delivery.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_secret.h"
#include "ngx_http_trove_sign.h"
#include "ngx_http_trove_variables.h"


typedef struct {
    ngx_http_trove_secrets_t  *secrets;        /* NULL: nothing is signed */
} ngx_http_trove_sign_loc_conf_t;


static ngx_int_t ngx_http_trove_sign_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_trove_sign_make(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *signature);
static ngx_int_t ngx_http_trove_sign_now(ngx_http_request_t *r,
    ngx_http_trove_keys_t *keys, ngx_str_t *signature);
static ngx_int_t ngx_http_trove_sign_feed(void *data, u_char *p, size_t len);
static ngx_int_t ngx_http_trove_sign_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);

static ngx_int_t ngx_http_trove_sign_add_variables(ngx_conf_t *cf);
static void *ngx_http_trove_sign_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_trove_sign_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_trove_sign(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_trove_sign_init(ngx_conf_t *cf);


static ngx_command_t  ngx_http_trove_sign_commands[] = {

    { ngx_string("trove_sign"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_trove_sign,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_trove_sign_module_ctx = {
    ngx_http_trove_sign_add_variables,     /* preconfiguration */
    ngx_http_trove_sign_init,              /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_trove_sign_create_loc_conf,   /* create location configuration */
    ngx_http_trove_sign_merge_loc_conf     /* merge location configuration */
};


ngx_module_t  ngx_http_trove_sign_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_sign_module_ctx,       /* module context */
    ngx_http_trove_sign_commands,          /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_http_variable_t  ngx_http_trove_sign_variables[] = {

    { ngx_string("trove_signature"), NULL, ngx_http_trove_sign_variable,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


/* the signing secrets are known only here, in the location of the target */

static ngx_int_t
ngx_http_trove_sign_handler(ngx_http_request_t *r)
{
    ngx_str_t                        signature;
    ngx_http_trove_ctx_t            *ctx;
    ngx_http_trove_delivery_t       *d;
    ngx_http_trove_sign_loc_conf_t  *slcf;

    static ngx_http_trove_header_t  name = {
        ngx_string("X-Trove-Signature"), ngx_string("x-trove-signature"), 0
    };

    if (r == r->main) {
        return NGX_DECLINED;
    }

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_sign_module);

    if (slcf->secrets == NULL) {
        return NGX_DECLINED;
    }

    d = ngx_http_trove_delivery_find(r);

    /* a subscription has its own secret */

    if (d == NULL || d->subscriber) {
        return NGX_DECLINED;
    }

    ctx = ngx_http_trove_ctx_find(r);

    if (!ctx->trusted) {

        /*
         * "trove_verify log" has accepted an event without a valid signature
         */

        return NGX_DECLINED;
    }

    switch (ngx_http_trove_sign_make(r, slcf->secrets, &signature)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:

        /* without a signature, the target would reject it every time */

        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event not sent to \"%V\": \"trove_sign\" is "
                      "empty for this request", &r->uri);

        return NGX_HTTP_INTERNAL_SERVER_ERROR;

    default:
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_trove_headers_set(r, &name, &signature) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_DECLINED;
}


/*
 * NGX_OK
 * NGX_DECLINED  no secret
 * NGX_ERROR     logged
 */

static ngx_int_t
ngx_http_trove_sign_make(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_str_t *signature)
{
    ngx_int_t                   rc;
    ngx_str_t                  *made;
    ngx_uint_t                  cached;
    ngx_http_trove_ctx_t       *ctx;
    ngx_http_trove_keys_t       keys;
    ngx_http_trove_delivery_t  *d;

    ctx = ngx_http_trove_ctx_find(r);
    d = ngx_http_trove_delivery_find(r);

    /* a signature is of the event; a script may have changed the body */

    cached = d && ngx_http_trove_delivery_unchanged(d, r);

    if (cached) {
        made = ngx_http_trove_delivery_signature(d, secrets);

        /* targets with the same secret share one signature */

        if (made == NULL && ctx->signer == secrets
            && ctx->signed_at == ngx_time())
        {
            made = &ctx->signature;
        }

        if (made) {
            *signature = *made;
            return NGX_OK;
        }
    }

    signature->data = ngx_pnalloc(cached ? ctx->pool : r->pool,
                                  NGX_TROVE_SIGNATURE_TEXT_MAX);
    if (signature->data == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_trove_secret_keys(r, secrets, &keys);

    if (rc == NGX_OK) {
        rc = keys.nkeys ? ngx_http_trove_sign_now(r, &keys, signature)
                        : NGX_DECLINED;
    }

    ngx_http_trove_secret_free(&keys);

    if (rc != NGX_OK || !cached) {
        return rc;
    }

    ngx_http_trove_delivery_signed(d, secrets, signature);

    if (secrets->values.nelts == 0) {
        ctx->signer = secrets;
        ctx->signed_at = ngx_time();
        ctx->signature = *signature;
    }

    return NGX_OK;
}


/* signature->data has space for any */

static ngx_int_t
ngx_http_trove_sign_now(ngx_http_request_t *r, ngx_http_trove_keys_t *keys,
    ngx_str_t *signature)
{
    u_char  text[NGX_TIME_T_LEN];
    size_t  len;

    len = ngx_sprintf(text, "%T", ngx_time()) - text;

    /* only the first secret is used: a file may already hold the next one */

    return ngx_http_trove_sign_body(r, keys->keys, text, len, signature);
}


ngx_int_t
ngx_http_trove_sign_body(ngx_http_request_t *r, ngx_trove_key_t **key,
    u_char *text, size_t len, ngx_str_t *signature)
{
    u_char           *p;
    ngx_trove_mac_t  *mac;

    mac = ngx_trove_mac_create(key, 1, text, len);
    if (mac == NULL) {
        return NGX_ERROR;
    }

    p = NULL;

    if (ngx_http_trove_body_walk(r, ngx_http_trove_sign_feed, mac) == NGX_OK) {
        p = ngx_trove_mac_sign(mac, text, len, signature->data);
    }

    ngx_trove_mac_destroy(mac);

    if (p == NULL) {
        ngx_log_error(NGX_LOG_ALERT, r->connection->log, 0,
                      "trove: the event cannot be signed, HMAC-SHA256 of its "
                      "body failed");
        return NGX_ERROR;
    }

    signature->len = p - signature->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_sign_feed(void *data, u_char *p, size_t len)
{
    return ngx_trove_mac_update(data, p, len);
}


static ngx_int_t
ngx_http_trove_sign_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                        signature;
    ngx_http_trove_ctx_t            *ctx;
    ngx_http_trove_sign_loc_conf_t  *slcf;

    slcf = ngx_http_get_module_loc_conf(r, ngx_http_trove_sign_module);
    ctx = ngx_http_trove_ctx_find(r);

    /* only trusted events are signed */

    if (slcf->secrets == NULL || ctx == NULL || !ctx->trusted) {
        return ngx_http_trove_variable_none(v);
    }

    switch (ngx_http_trove_sign_make(r, slcf->secrets, &signature)) {

    case NGX_OK:
        break;

    case NGX_DECLINED:
        return ngx_http_trove_variable_none(v);

    default:
        return NGX_ERROR;
    }

    return ngx_http_trove_variable_set(v, signature.data, signature.len);
}


ngx_uint_t
ngx_http_trove_sign_enabled(void **loc_conf)
{
    ngx_http_trove_sign_loc_conf_t  *slcf;

    slcf = loc_conf[ngx_http_trove_sign_module.ctx_index];

    return slcf->secrets != NULL;
}


static ngx_int_t
ngx_http_trove_sign_add_variables(ngx_conf_t *cf)
{
    return ngx_http_trove_variables_add(cf, ngx_http_trove_sign_variables);
}


static void *
ngx_http_trove_sign_create_loc_conf(ngx_conf_t *cf)
{
    /*
     * set by ngx_pcalloc():
     *
     *     conf->secrets = NULL;
     */

    return ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_sign_loc_conf_t));
}


static char *
ngx_http_trove_sign_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_sign_loc_conf_t *prev = parent;
    ngx_http_trove_sign_loc_conf_t *conf = child;

    if (conf->secrets == NULL) {
        conf->secrets = prev->secrets;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_trove_sign(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_sign_loc_conf_t *slcf = conf;

    ngx_str_t  *value;

    if (slcf->secrets) {
        return "is duplicate";
    }

    value = cf->args->elts;

    return ngx_http_trove_secret_add(cf, &slcf->secrets, &value[1],
                                     NGX_HTTP_TROVE_SECRET_SIGN);
}


static ngx_int_t
ngx_http_trove_sign_init(ngx_conf_t *cf)
{
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_PRECONTENT_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_trove_sign_handler;

    return NGX_OK;
}
