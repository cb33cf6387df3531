
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ALLOW_H_INCLUDED_
#define _NGX_TROVE_ALLOW_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_url.h"


/*
 * Where subscribers may be: "https" at the ports 443 and 8443 of public
 * addresses, and what is allowed beyond that by names and addresses.  For an
 * allowed name or address, "http", other ports, and addresses that are not
 * public are allowed, too.  A link-local address, or a metadata service of a
 * cloud, is allowed only by its address; an invalid address never.
 */

typedef struct {
    ngx_str_t                  name;           /* or the suffix: ".example" */
    int                        family;         /* 0: a name */
    u_char                     address[16];
    ngx_uint_t                 bits;
} ngx_trove_allow_t;


/*
 * Parses an element of a list: an address, ADDRESS/BITS, a host name, or "*."
 * and a suffix of names.  The text must exist as long as *allow; it is changed
 * to lower case.
 *
 * NULL, or why it is invalid: a constant string
 */
const char *ngx_trove_allow_parse(ngx_str_t *text, ngx_trove_allow_t *allow);

/*
 * Checks a URL against a list of n elements, as far as this is possible before
 * its host is resolved.
 *
 * NULL, or why it is not allowed: a constant string for the client
 */
const char *ngx_trove_allow_url(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url);

/*
 * Checks an address of the host of a URL that ngx_trove_allow_url() has
 * accepted.
 *
 * Returns 1 if a connection to it is allowed, 0 otherwise.
 */
ngx_uint_t ngx_trove_allow_address(ngx_trove_allow_t *allow, ngx_uint_t n,
    ngx_trove_url_t *url, struct sockaddr *sa);


#endif /* _NGX_TROVE_ALLOW_H_INCLUDED_ */
