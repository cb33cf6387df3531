
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_compat.h"
#include "ngx_http_trove_module.h"
#include "ngx_http_trove_secret_near.h"
#include "ngx_http_trove_verify_conf.h"


#define NGX_HTTP_TROVE_TOLERANCE_MAX  (366 * 86400)

/* a warning is logged for fewer seconds without a unit */
#define NGX_HTTP_TROVE_TOLERANCE_BARE  60


static ngx_uint_t ngx_http_trove_verify_serves(ngx_conf_t *cf);
static ngx_http_trove_secrets_t *ngx_http_trove_verify_unused(
    ngx_http_trove_loc_conf_t *tlcf);


void *
ngx_http_trove_verify_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_trove_verify_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_trove_verify_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->mode = 0;
     *     conf->secrets = NULL;
     *     conf->place = { NULL, 0 };
     *     conf->secret = { NULL, 0 };
     *     conf->own = 0;
     *     conf->warned = 0;
     */

    conf->said = NGX_CONF_UNSET_UINT;
    conf->status = NGX_CONF_UNSET_UINT;
    conf->tolerance = NGX_CONF_UNSET;

    return conf;
}


char *
ngx_http_trove_verify_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_trove_verify_loc_conf_t  *prev = parent;
    ngx_http_trove_verify_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t   *clcf;
    ngx_http_trove_loc_conf_t  *tlcf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    tlcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_trove_module);

    if (tlcf->outer) {

        /* an "if" or "limit_except" block is a part of its location */

        conf->own = prev->own;
    }

    /*
     * Nested locations inherit the setting, and not the mode: an exemption
     * is for one location only.
     */

    if (conf->said == NGX_CONF_UNSET_UINT) {
        conf->said = prev->said;
        conf->place = prev->place;
    }

    conf->mode = conf->said;

    if (conf->said == NGX_CONF_UNSET_UINT || (!conf->own && tlcf->endpoint)) {

        /* requests for metrics or to the API are not signed */

        conf->mode = NGX_HTTP_TROVE_VERIFY_OFF;
    }

    ngx_conf_merge_uint_value(conf->status, prev->status,
                              NGX_HTTP_BAD_REQUEST);
    ngx_conf_merge_sec_value(conf->tolerance, prev->tolerance, 300);

    if (conf->secrets == NULL) {
        conf->secrets = prev->secrets;
        conf->secret = prev->secret;
    }

    if (conf->mode != NGX_HTTP_TROVE_VERIFY_OFF && conf->secrets == NULL
        && ngx_http_trove_verify_serves(cf))
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"trove_verify\" in location \"%V\" requires a secret, "
                      "add \"trove_secret file:PATH\" in %s:%ui", &clcf->name,
                      conf->place.file, conf->place.line);
        return NGX_CONF_ERROR;
    }

    tlcf->verify = conf->mode;
    tlcf->tolerance = conf->tolerance;

    if (conf->mode != NGX_HTTP_TROVE_VERIFY_OFF && conf->secrets) {
        tlcf->nsecrets = conf->secrets->keys.nelts
                         + conf->secrets->values.nelts;
        tlcf->varies = conf->secrets->values.nelts != 0;
    }

    return NGX_CONF_OK;
}


/*
 * Locations inherit the settings of a server, and may complete them.  The
 * server itself handles requests only if it has no locations.  An "if" is not a
 * location of the server.
 */

static ngx_uint_t
ngx_http_trove_verify_serves(ngx_conf_t *cf)
{
    ngx_queue_t                *q;
    ngx_http_core_loc_conf_t   *clcf, *loc;
    ngx_http_location_queue_t  *lq;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->name.len) {
        return 1;
    }

    if (clcf->noname) {
        return 0;
    }

    if (clcf->locations == NULL) {
        return 1;
    }

    for (q = ngx_queue_head(clcf->locations);
         q != ngx_queue_sentinel(clcf->locations);
         q = ngx_queue_next(q))
    {
        lq = (ngx_http_location_queue_t *) q;
        loc = ngx_http_trove_location_conf(lq->exact ? lq->exact
                                                     : lq->inclusive);

        if (!loc->noname) {
            return 0;
        }
    }

    return 1;
}


/* one line for each "trove_secret", even if many locations inherit it */

ngx_int_t
ngx_http_trove_verify_check(ngx_conf_t *cf)
{
    u_char                             others[NGX_INT_T_LEN + 32];
    ngx_uint_t                         i, n, more;
    ngx_array_t                       *locs;
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_trove_secrets_t          *secrets;
    ngx_http_trove_loc_conf_t        **loc;
    ngx_http_trove_verify_loc_conf_t  *vlcf, *other;

    locs = ngx_http_trove_locs(cf);
    loc = locs->elts;

    for (i = 0; i < locs->nelts; i++) {
        secrets = ngx_http_trove_verify_unused(loc[i]);

        if (secrets == NULL) {
            continue;
        }

        more = 0;

        for (n = i + 1; n < locs->nelts; n++) {

            if (ngx_http_trove_verify_unused(loc[n]) == secrets) {
                other = loc[n]->loc_conf[
                                     ngx_http_trove_verify_module.ctx_index];
                other->warned = 1;
                more++;
            }
        }

        others[0] = '\0';

        if (more) {
            (void) ngx_sprintf(others, " and in %ui more%Z", more);
        }

        clcf = loc[i]->loc_conf[ngx_http_core_module.ctx_index];
        vlcf = loc[i]->loc_conf[ngx_http_trove_verify_module.ctx_index];

        ngx_log_error(NGX_LOG_WARN, cf->log, 0,
                      "\"trove_secret\" without \"trove_verify\" in location "
                      "\"%V\" of server \"%V\"%s: forged events are accepted; "
                      "add \"trove_verify on\", or \"trove_verify off\" where "
                      "verification is not needed in %s:%ui",
                      &clcf->name, &loc[i]->cscf->server_name, others,
                      vlcf->secret.file, vlcf->secret.line);
    }

    return NGX_OK;
}


/*
 * The secrets of a location that receives requests of clients, and that
 * inherits or sets no "trove_verify"; else NULL.  An "internal" or named
 * location, such as a target of a fan-out, receives requests of other locations
 * only.
 */

static ngx_http_trove_secrets_t *
ngx_http_trove_verify_unused(ngx_http_trove_loc_conf_t *tlcf)
{
    ngx_http_core_loc_conf_t          *clcf;
    ngx_http_trove_verify_loc_conf_t  *vlcf;

    clcf = tlcf->loc_conf[ngx_http_core_module.ctx_index];
    vlcf = tlcf->loc_conf[ngx_http_trove_verify_module.ctx_index];

    if (vlcf->said != NGX_CONF_UNSET_UINT || vlcf->warned
        || clcf->name.len == 0 || clcf->named || clcf->internal
        || tlcf->outer || tlcf->endpoint)
    {
        return NULL;
    }

    if (clcf->handler == NULL && !tlcf->dedup) {
        return NULL;
    }

    return vlcf->secrets;
}


char *
ngx_http_trove_verify(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_verify_loc_conf_t *vlcf = conf;

    ngx_str_t  *value;

    if (vlcf->own) {
        return "is duplicate";
    }

    vlcf->own = 1;

    value = cf->args->elts;

    if (ngx_strcasecmp(value[1].data, (u_char *) "on") == 0) {
        vlcf->said = NGX_HTTP_TROVE_VERIFY_ON;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "off") == 0) {
        vlcf->said = NGX_HTTP_TROVE_VERIFY_OFF;

    } else if (ngx_strcasecmp(value[1].data, (u_char *) "log") == 0) {
        vlcf->said = NGX_HTTP_TROVE_VERIFY_LOG;

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid value \"%V\" in \"%V\", "
                           "it must be \"on\", \"off\", or \"log\"",
                           &value[1], &value[0]);
        return NGX_CONF_ERROR;
    }

    ngx_http_trove_conf_place(cf, &vlcf->place);

    return NGX_CONF_OK;
}


char *
ngx_http_trove_verify_secret(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_verify_loc_conf_t *vlcf = conf;

    char        *rv;
    ngx_str_t   *value;
    ngx_uint_t   n;

    value = cf->args->elts;

    if (vlcf->secrets == NULL) {
        ngx_http_trove_conf_place(cf, &vlcf->secret);
    }

    n = vlcf->secrets ? vlcf->secrets->keys.nelts : 0;

    rv = ngx_http_trove_secret_add(cf, &vlcf->secrets, &value[1],
                                   NGX_HTTP_TROVE_SECRET_VERIFY);

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (ngx_http_trove_secret_origin_add(vlcf->secrets, &value[1],
                                         vlcf->secrets->keys.nelts - n)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_trove_verify_tolerance(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_verify_loc_conf_t *vlcf = conf;

    time_t      sec;
    ngx_str_t  *value;

    if (vlcf->tolerance != NGX_CONF_UNSET) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        vlcf->tolerance = 0;
        return NGX_CONF_OK;
    }

    sec = ngx_parse_time(&value[1], 1);

    if (sec == (time_t) NGX_ERROR || sec < 1
        || sec > NGX_HTTP_TROVE_TOLERANCE_MAX)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\" in \"%V\", "
                           "it must be from 1s to 366d, or \"off\"",
                           &value[1], &value[0]);
        return NGX_CONF_ERROR;
    }

    ngx_http_trove_conf_bare(cf, &value[1], 0, NGX_HTTP_TROVE_TOLERANCE_BARE);

    vlcf->tolerance = sec;

    return NGX_CONF_OK;
}


char *
ngx_http_trove_verify_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_trove_verify_loc_conf_t *vlcf = conf;

    ngx_int_t   status;
    ngx_str_t  *value;

    if (vlcf->status != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    status = ngx_atoi(value[1].data, value[1].len);

    /* NGINX uses the others internally */

    if (status < NGX_HTTP_BAD_REQUEST || status > 599
        || status == NGX_HTTP_REQUEST_TIME_OUT
        || status == NGX_HTTP_CLOSE
        || (status >= NGX_HTTP_REQUEST_HEADER_TOO_LARGE
            && status <= NGX_HTTP_CLIENT_CLOSED_REQUEST))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid status \"%V\" in \"%V\", it must be from "
                           "400 to 599, except 408, 444, and 494 to 499",
                           &value[1], &value[0]);
        return NGX_CONF_ERROR;
    }

    vlcf->status = status;

    return NGX_CONF_OK;
}
