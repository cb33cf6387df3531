
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_metrics_format.h"
#include "ngx_http_trove_metrics_label.h"


/* a socket in the file system has no port and is ordered last */
#define NGX_HTTP_TROVE_METRICS_NO_PORT  65536


static void ngx_http_trove_metrics_label_server(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_str_t *server);
static ngx_uint_t ngx_http_trove_metrics_label_nameless(
    ngx_http_core_srv_conf_t *cscf);
static ngx_uint_t ngx_http_trove_metrics_label_first(
    ngx_http_conf_addr_t *addr, ngx_http_core_srv_conf_t *cscf);
static ngx_int_t ngx_http_trove_metrics_label_location(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *location);


ngx_int_t
ngx_http_trove_metrics_label(ngx_conf_t *cf, ngx_http_core_srv_conf_t *cscf,
    ngx_http_core_loc_conf_t *clcf, size_t extra, ngx_str_t *labels)
{
    u_char     *p;
    ngx_str_t   server, location;

    ngx_http_trove_metrics_label_server(cf, cscf, &server);

    if (ngx_http_trove_metrics_label_location(cf, clcf, &location) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_pcalloc(cf->pool, sizeof("server=\"\",location=\"\"") - 1
                              + 2 * (server.len + location.len) + extra);
    if (p == NULL) {
        return NGX_ERROR;
    }

    labels->data = p;

    p = ngx_http_trove_metrics_label_add(p, "server", &server, 0);
    p = ngx_http_trove_metrics_label_add(p, "location", &location, 1);

    labels->len = p - labels->data;

    return NGX_OK;
}


/*
 * A number by position in the file would change whenever another server is
 * added before it.  The address is stable.  Only addresses that reach no other
 * nameless server are used.
 */

static void
ngx_http_trove_metrics_label_server(ngx_conf_t *cf,
    ngx_http_core_srv_conf_t *cscf, ngx_str_t *server)
{
    size_t                      len;
    ngx_int_t                   rc;
    ngx_uint_t                  i, n, number, least;
    ngx_http_conf_port_t       *port;
    ngx_http_conf_addr_t       *addr;
    ngx_http_core_main_conf_t  *cmcf;

    *server = cscf->server_name;

    if (!ngx_http_trove_metrics_label_nameless(cscf)) {
        return;
    }

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    if (cmcf->ports == NULL) {
        return;
    }

    least = NGX_HTTP_TROVE_METRICS_NO_PORT + 1;
    port = cmcf->ports->elts;

    for (i = 0; i < cmcf->ports->nelts; i++) {
        addr = port[i].addrs.elts;

        number = port[i].port;

        if (number == 0) {
            number = NGX_HTTP_TROVE_METRICS_NO_PORT;
        }

        if (number > least) {
            continue;
        }

        for (n = 0; n < port[i].addrs.nelts; n++) {

            if (!ngx_http_trove_metrics_label_first(&addr[n], cscf)) {
                continue;
            }

            /* the first address of a port in alphabetical order */

            if (number == least) {
                len = ngx_min(server->len, addr[n].opt.addr_text.len);
                rc = ngx_memcmp(server->data, addr[n].opt.addr_text.data, len);

                if (rc < 0
                    || (rc == 0 && server->len <= addr[n].opt.addr_text.len))
                {
                    continue;
                }
            }

            least = number;
            *server = addr[n].opt.addr_text;
        }
    }
}


/* "_" is commonly used for a server that needs no name */

static ngx_uint_t
ngx_http_trove_metrics_label_nameless(ngx_http_core_srv_conf_t *cscf)
{
    return cscf->server_name.len == 0
           || (cscf->server_name.len == 1 && cscf->server_name.data[0] == '_');
}


/* only one of several nameless servers with the same address gets requests */

static ngx_uint_t
ngx_http_trove_metrics_label_first(ngx_http_conf_addr_t *addr,
    ngx_http_core_srv_conf_t *cscf)
{
    ngx_uint_t                  i;
    ngx_http_core_srv_conf_t  **server;

    if (ngx_http_trove_metrics_label_nameless(addr->default_server)) {
        return addr->default_server == cscf;
    }

    server = addr->servers.elts;

    for (i = 0; i < addr->servers.nelts; i++) {

        if (ngx_http_trove_metrics_label_nameless(server[i])) {
            return server[i] == cscf;
        }
    }

    return 0;
}


/* "/a", "= /a" and "~ /a" are different locations */

static ngx_int_t
ngx_http_trove_metrics_label_location(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf, ngx_str_t *location)
{
    const char  *kind;

    *location = clcf->name;
    kind = NULL;

    if (clcf->exact_match) {
        kind = "= ";
    }

#if (NGX_PCRE)
    if (clcf->regex) {
        kind = "~ ";
    }
#endif

    if (kind == NULL) {
        return NGX_OK;
    }

    location->len = clcf->name.len + 2;
    location->data = ngx_pnalloc(cf->pool, location->len);
    if (location->data == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_cpymem(ngx_cpymem(location->data, kind, 2), clcf->name.data,
                      clcf->name.len);

    return NGX_OK;
}
