
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_URL_H_INCLUDED_
#define _NGX_TROVE_URL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* URLs of subscribers: RFC 3986, as far as a webhook needs it. */

#define NGX_TROVE_URL_LEN   2048
#define NGX_TROVE_HOST_LEN  253


typedef struct {
    /*
     * In lower case, without the brackets of an IPv6 address and the final dot
     * of a name.
     */
    ngx_str_t                  host;
    ngx_str_t                  path;           /* and query; part of the text */
    in_port_t                  port;           /* in host byte order */

    unsigned                   https:1;
    unsigned                   other_port:1;   /* not that of the scheme */

    /* AF_INET or AF_INET6 if the host is an address, 0 if it is a name */
    int                        family;
    u_char                     address[16];    /* in network byte order */

    /* private */
    u_char                     buf[NGX_TROVE_HOST_LEN + 1];
} ngx_trove_url_t;


/*
 * Parses "http://HOST[:PORT][/PATH][?QUERY]" or "https://...".  User
 * information and fragments are rejected.  The host is a DNS name in ASCII, an
 * IPv4 address of four decimal numbers, or an IPv6 address in brackets; all
 * other forms that a resolver or inet_aton() may take for an address are
 * rejected.  Bytes that are not allowed in a URL are rejected.
 *
 * The text must exist as long as *url, which must not be copied.
 *
 * NULL, or why the URL is invalid: a constant string for the client
 */
const char *ngx_trove_url_parse(ngx_str_t *text, ngx_trove_url_t *url);

/*
 * Writes the URL in its normalized form, and returns the end.  p has space for
 * the length of the text and 16 bytes more.
 */
u_char *ngx_trove_url_print(ngx_trove_url_t *url, u_char *p);

/*
 * Returns 1 if the last label of a host, in lower case and not empty, is a
 * decimal or hexadecimal number, which that of a name never is (RFC 3696).
 * Returns 0 otherwise.
 */
ngx_uint_t ngx_trove_url_numeric(u_char *p, u_char *end);


#endif /* _NGX_TROVE_URL_H_INCLUDED_ */
