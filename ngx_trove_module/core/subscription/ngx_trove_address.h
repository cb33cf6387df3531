
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_ADDRESS_H_INCLUDED_
#define _NGX_TROVE_ADDRESS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* what an address is, by the registries of special addresses of IANA */
typedef enum {
    NGX_TROVE_ADDRESS_PUBLIC = 0,
    NGX_TROVE_ADDRESS_PRIVATE,       /* not in the public Internet */
    NGX_TROVE_ADDRESS_METADATA,      /* link-local, or a service of a cloud */
    NGX_TROVE_ADDRESS_INVALID        /* nothing that events may be sent to */
} ngx_trove_address_e;


/*
 * Classifies an address of a family, in network byte order.  An IPv4 address
 * that is mapped to IPv6, or translated by NAT64, is what the IPv4 address is.
 * Addresses of 6to4, Teredo and the like, which contain addresses as well, and
 * those that are not unicast, are invalid.
 */
ngx_trove_address_e ngx_trove_address_kind(int family, u_char *address);

/*
 * Copies the address of a socket address to p, which has space for 16 bytes.
 * Returns the family, or 0 if it is none of IPv4 and IPv6.
 */
int ngx_trove_address_of(struct sockaddr *sa, u_char *p);


#endif /* _NGX_TROVE_ADDRESS_H_INCLUDED_ */
