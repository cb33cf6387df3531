
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_dedup_zone.h"


char *
ngx_http_trove_dedup_zone(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    u_char      *p;
    ssize_t      size;
    ngx_str_t   *value, name, path, s;
    ngx_uint_t   i;

    value = cf->args->elts;

    size = 0;
    ngx_str_null(&name);
    ngx_str_null(&path);

    for (i = 1; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone=", 5) == 0 && name.len == 0) {

            name.data = value[i].data + 5;

            p = (u_char *) ngx_strchr(name.data, ':');

            if (p == NULL || p == name.data) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid \"%V\" in \"%V\", expected "
                                   "\"zone=NAME:SIZE\"",
                                   &value[i], &cmd->name);
                return NGX_CONF_ERROR;
            }

            name.len = p - name.data;

            s.data = p + 1;
            s.len = value[i].data + value[i].len - s.data;

            size = ngx_parse_size(&s);

            if (size == NGX_ERROR) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "invalid size \"%V\" in \"%V\", expected a "
                                   "size such as \"zone=%V:10m\"",
                                   &s, &cmd->name, &name);
                return NGX_CONF_ERROR;
            }

            if (size
                < (ssize_t) (NGX_HTTP_TROVE_DEDUP_ZONE_PAGES * ngx_pagesize))
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "size \"%V\" in \"%V\" is too small, it "
                                   "must be at least %uzk; 10m holds 400,000 "
                                   "events",
                                   &s, &cmd->name,
                                   NGX_HTTP_TROVE_DEDUP_ZONE_PAGES
                                   * ngx_pagesize / 1024);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        if (ngx_strncmp(value[i].data, "state=", 6) == 0
            && value[i].len > 6 && path.len == 0)
        {
            path.data = value[i].data + 6;
            path.len = value[i].len - 6;

            /* the zone whose file is that without ".tmp" would delete it */

            if (path.len >= 4
                && ngx_strncmp(path.data + path.len - 4, ".tmp", 4) == 0)
            {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "\"state=%V\" in \"%V\" ends with \".tmp\", "
                                   "which is reserved for temporary files; "
                                   "specify another file", &path, &cmd->name);
                return NGX_CONF_ERROR;
            }

            continue;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "unknown, empty, or duplicate parameter \"%V\" in "
                           "\"%V\", expected \"zone=NAME:SIZE [state=PATH]\"",
                           &value[i], &cmd->name);
        return NGX_CONF_ERROR;
    }

    if (name.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone=NAME:SIZE\" in \"%V\"", &cmd->name);
        return NGX_CONF_ERROR;
    }

    return ngx_http_trove_dedup_zone_declare(cf, &name, size, &path) == NGX_OK
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}
