
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _ZONE_H_INCLUDED_
#define _ZONE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/mman.h>

#include "ngx_trove_zone_layout.h"


/* For unit tests of tables: memory for one, tables, and keys. */


static ngx_inline void *
mapped(size_t size)
{
    void  *addr;

    addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED|MAP_ANONYMOUS, -1,
                0);

    return (addr == MAP_FAILED) ? NULL : addr;
}


static ngx_inline ngx_trove_zone_t *
make(size_t size)
{
    void  *addr;

    addr = mapped(size);

    return addr ? ngx_trove_zone_create(addr, size) : NULL;
}


/* with the same secret in each run: the places of keys depend on it */

static ngx_inline ngx_trove_zone_t *
make_fixed(size_t size)
{
    ngx_trove_zone_t  *zone;

    zone = make(size);

    memset(zone->key, 7, sizeof(zone->key));
    ngx_trove_zone_seal(zone);

    return zone;
}


static ngx_inline void
drop(ngx_trove_zone_t *zone, size_t size)
{
    munmap(zone, size);
}


static ngx_inline ngx_trove_zone_key_t
key_of(ngx_trove_zone_t *zone, uint64_t n)
{
    ngx_trove_zone_key_t  key;

    ngx_trove_zone_key(zone, (u_char *) &n, sizeof(n), &key);

    return key;
}


#endif /* _ZONE_H_INCLUDED_ */
