
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_ctx.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_variables.h"
#include "ngx_trove_utf8.h"


static ngx_int_t ngx_http_trove_variables_preconf(ngx_conf_t *cf);
static ngx_int_t ngx_http_trove_variables_names(ngx_conf_t *cf);
static ngx_str_t *ngx_http_trove_variables_event(ngx_http_request_t *r,
    u_char *name, size_t len);
static void ngx_http_trove_variables_early(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx);
static ngx_str_t *ngx_http_trove_variables_field(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *name, size_t len);
static ngx_str_t *ngx_http_trove_variables_data(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *name, size_t len);
static ngx_int_t ngx_http_trove_variables_raw(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *value);
static ngx_int_t ngx_http_trove_variable_event(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_variable_json(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_variable_verify(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_variable_timestamp(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_trove_variable_secret(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


typedef struct {
    ngx_str_t  name;
    size_t     offset;                         /* in ngx_trove_event_t */
} ngx_http_trove_field_t;


static ngx_http_trove_field_t  ngx_http_trove_fields[] = {
    { ngx_string("event_id"), offsetof(ngx_trove_event_t, id) },
    { ngx_string("event_type"), offsetof(ngx_trove_event_t, type) },
    { ngx_string("namespace"), offsetof(ngx_trove_event_t, namespace) },
    { ngx_string("workspace_id"), offsetof(ngx_trove_event_t, workspace_id) },
    { ngx_string("api_version"), offsetof(ngx_trove_event_t, api_version) },
    { ngx_string("created_at"), offsetof(ngx_trove_event_t, created_at) },
    { ngx_null_string, 0 }
};


/*
 * They must not be cached: values that are read before the verdict are empty,
 * and deliveries share the cache.
 */

static ngx_http_variable_t  ngx_http_trove_variables[] = {

    { ngx_string("trove_event_id"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_event_type"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_namespace"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_workspace_id"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_api_version"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_created_at"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_timestamp"), NULL, ngx_http_trove_variable_timestamp,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_secret_number"), NULL, ngx_http_trove_variable_secret,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_verify"), NULL, ngx_http_trove_variable_verify,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("trove_data_"), NULL, ngx_http_trove_variable_event,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

    { ngx_string("trove_json_"), NULL, ngx_http_trove_variable_json,
      0, NGX_HTTP_VAR_NOCACHEABLE|NGX_HTTP_VAR_PREFIX, 0 },

      ngx_http_null_variable
};


static ngx_http_module_t  ngx_http_trove_variables_module_ctx = {
    ngx_http_trove_variables_preconf,      /* preconfiguration */
    ngx_http_trove_variables_names,        /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_trove_variables_module = {
    NGX_MODULE_V1,
    &ngx_http_trove_variables_module_ctx,  /* module context */
    NULL,                                  /* module directives */
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


static ngx_int_t
ngx_http_trove_variables_preconf(ngx_conf_t *cf)
{
    return ngx_http_trove_variables_add(cf, ngx_http_trove_variables);
}


/*
 * Collects the NAMEs of all $trove_data_NAME and $trove_json_data_NAME that the
 * configuration uses.
 */

static ngx_int_t
ngx_http_trove_variables_names(ngx_conf_t *cf)
{
    ngx_str_t                  *name, part;
    ngx_uint_t                  i, n;
    ngx_http_variable_t        *v;
    ngx_http_trove_field_t     *f;
    ngx_trove_event_names_t    *names;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    names = ngx_http_trove_conf_event_names(cf);

    v = cmcf->variables.elts;

    names->nnames = 0;
    names->names = ngx_palloc(cf->pool,
                              (cmcf->variables.nelts + 1) * sizeof(ngx_str_t));
    if (names->names == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < cmcf->variables.nelts; i++) {
        part = v[i].name;

        if (part.len >= sizeof("trove_json_") - 1
            && ngx_strncmp(part.data, "trove_json_", sizeof("trove_json_") - 1)
               == 0)
        {
            part.data += sizeof("trove_json_") - 1;
            part.len -= sizeof("trove_json_") - 1;

            for (f = ngx_http_trove_fields; f->name.len; f++) {
                if (f->name.len == part.len
                    && ngx_strncmp(f->name.data, part.data, part.len) == 0)
                {
                    break;
                }
            }

            if (f->name.len) {
                continue;
            }

            if (part.len <= sizeof("data_") - 1
                || ngx_strncmp(part.data, "data_", sizeof("data_") - 1) != 0)
            {
                ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                              "unknown \"%V\" variable, \"trove_json_\" must "
                              "be followed by the name of an event variable",
                              &v[i].name);
                return NGX_ERROR;
            }

            part.data += sizeof("data_") - 1;
            part.len -= sizeof("data_") - 1;

        } else if (part.len > sizeof("trove_data_") - 1
                   && ngx_strncmp(part.data, "trove_data_",
                                  sizeof("trove_data_") - 1)
                      == 0)
        {
            part.data += sizeof("trove_data_") - 1;
            part.len -= sizeof("trove_data_") - 1;

        } else {
            continue;
        }

        name = names->names;

        for (n = 0; n < names->nnames; n++) {
            if (name[n].len == part.len
                && ngx_strncmp(name[n].data, part.data, part.len) == 0)
            {
                break;
            }
        }

        /* names of variables are in lower case */

        if (n == names->nnames) {
            name[names->nnames++] = part;
        }
    }

    return NGX_OK;
}


/* the value of an event variable, by its name without "trove_"; or NULL */

static ngx_str_t *
ngx_http_trove_variables_event(ngx_http_request_t *r, u_char *name, size_t len)
{
    ngx_str_t             *value;
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || !ctx->trusted) {
        ngx_http_trove_variables_early(r, ctx);

        if (ctx == NULL && r->main->headers_out.status == 0) {
            ctx = ngx_http_trove_ctx_make(r);
        }

        if (ctx) {
            ctx->absent = 1;
            ctx->early = 1;
        }

        return NULL;
    }

    if (len > sizeof("data_") - 1
        && ngx_strncmp(name, "data_", sizeof("data_") - 1) == 0)
    {
        name += sizeof("data_") - 1;
        len -= sizeof("data_") - 1;

        value = ngx_http_trove_variables_data(r, ctx, name, len);

    } else {
        value = ngx_http_trove_variables_field(r, ctx, name, len);
    }

    if (value == &ctx->event.id) {
        ctx->identified = 1;
    }

    if (value == NULL || value->len == 0) {
        ctx->absent = 1;
    }

    return (value && value->data) ? value : NULL;
}


/*
 * A "map" or "set" that is evaluated before the verdict, or before the event is
 * parsed if it is not verified, gets empty values.  This is a mistake in the
 * configuration: the result is cached, and the event may not match a target.
 * Once there is a response, no event will follow.
 */

static void
ngx_http_trove_variables_early(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx)
{
    ngx_http_request_t         *main;
    ngx_http_trove_loc_conf_t  *tlcf;

    main = r->main;

    if ((ctx && ctx->verdict != NGX_HTTP_TROVE_VERDICT_NONE)
        || main->headers_out.status || main->err_status || main->header_sent
        || main->connection->error)
    {
        return;
    }

    tlcf = ngx_http_get_module_loc_conf(main, ngx_http_trove_module);

    if (tlcf->verify == NGX_HTTP_TROVE_VERIFY_OFF
        && ((ctx && ctx->parsed != NGX_AGAIN)
            || (tlcf->targets == NULL && !tlcf->dedup)))
    {
        return;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: an event variable was read before the event was "
                  "parsed, it is empty and may stay cached; add \"volatile\" "
                  "to its \"map\"");
}


static ngx_str_t *
ngx_http_trove_variables_field(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *name, size_t len)
{
    ngx_http_trove_field_t  *f;

    for (f = ngx_http_trove_fields; f->name.len; f++) {
        if (f->name.len == len && ngx_strncmp(f->name.data, name, len) == 0) {
            return (ngx_str_t *) ((u_char *) &ctx->event + f->offset);
        }
    }

    return NULL;
}


static ngx_str_t *
ngx_http_trove_variables_data(ngx_http_request_t *r,
    ngx_http_trove_ctx_t *ctx, u_char *name, size_t len)
{
    ngx_uint_t                i;
    ngx_trove_event_names_t  *names;

    names = ngx_http_trove_event_names(r);

    for (i = 0; i < names->nnames; i++) {
        if (names->names[i].len == len
            && ngx_strncasecmp(names->names[i].data, name, len) == 0)
        {
            return &ctx->event.data[i];
        }
    }

    return NULL;
}


/*
 * Agents choose paths and commands: a CR LF must not add a header or a log
 * line, and U+009B must not be a command for a terminal.  The bytes of control
 * characters are escaped as %XX.
 */

static ngx_int_t
ngx_http_trove_variables_raw(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, ngx_str_t *value)
{
    u_char      *p, *buf, *src, *last;
    size_t       n;
    ngx_uint_t   control;

    static u_char  hex[] = "0123456789ABCDEF";

    if (value == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    last = value->data + value->len;

    for (n = 0, src = value->data; src < last; src++) {
        n += ngx_trove_utf8_control(src, last);
    }

    if (n == 0) {
        return ngx_http_trove_variable_set(v, value->data, value->len);
    }

    buf = ngx_pnalloc(r->pool, value->len + 2 * n);
    if (buf == NULL) {
        return NGX_ERROR;
    }

    p = buf;

    for (src = value->data, control = 0; src < last; src++) {

        if (control == 0) {
            control = ngx_trove_utf8_control(src, last);
        }

        if (control == 0) {
            *p++ = *src;
            continue;
        }

        *p++ = '%';
        *p++ = hex[*src >> 4];
        *p++ = hex[*src & 0xf];

        control--;
    }

    return ngx_http_trove_variable_set(v, buf, p - buf);
}


static ngx_int_t
ngx_http_trove_variable_event(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    return ngx_http_trove_variables_raw(r, v,
               ngx_http_trove_variables_event(r,
                   name->data + sizeof("trove_") - 1,
                   name->len - (sizeof("trove_") - 1)));
}


static ngx_int_t
ngx_http_trove_variable_json(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t *name = (ngx_str_t *) data;

    u_char     *p;
    size_t      escape;
    ngx_str_t  *value;

    value = ngx_http_trove_variables_event(r,
                name->data + sizeof("trove_json_") - 1,
                name->len - (sizeof("trove_json_") - 1));

    if (value == NULL) {
        return ngx_http_trove_variable_none(v);
    }

    escape = ngx_escape_json(NULL, value->data, value->len);

    if (escape == 0) {
        return ngx_http_trove_variable_set(v, value->data, value->len);
    }

    p = ngx_pnalloc(r->pool, value->len + escape);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_escape_json(p, value->data, value->len);

    return ngx_http_trove_variable_set(v, p, value->len + escape);
}


static ngx_int_t
ngx_http_trove_variable_verify(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t             *name;
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || ctx->verdict == NGX_HTTP_TROVE_VERDICT_NONE) {

        if (ctx) {
            ctx->absent = 1;
        }

        return ngx_http_trove_variable_none(v);
    }

    name = ngx_http_trove_verdict_name(ctx->verdict);

    return ngx_http_trove_variable_set(v, name->data, name->len);
}


static ngx_int_t
ngx_http_trove_variable_timestamp(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK) {

        if (ctx) {
            ctx->absent = 1;
        }

        return ngx_http_trove_variable_none(v);
    }

    return ngx_http_trove_variable_number(r, v, ctx->timestamp);
}


static ngx_int_t
ngx_http_trove_variable_secret(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_http_trove_ctx_t  *ctx;

    ctx = ngx_http_trove_ctx_find(r);

    if (ctx == NULL || ctx->verdict != NGX_HTTP_TROVE_VERDICT_OK) {

        if (ctx) {
            ctx->absent = 1;
        }

        return ngx_http_trove_variable_none(v);
    }

    return ngx_http_trove_variable_number(r, v, ctx->secret);
}
