
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_address.h"
#include "tap.h"


/*
 * Addresses at and beside the edges of all blocks, and random ones, compared
 * with a model: the longest block of the registries that has the address.
 */


#define ADDRESSES  200000

#define PUBLIC     NGX_TROVE_ADDRESS_PUBLIC
#define PRIVATE    NGX_TROVE_ADDRESS_PRIVATE
#define METADATA   NGX_TROVE_ADDRESS_METADATA
#define INVALID    NGX_TROVE_ADDRESS_INVALID
#define EMBEDDED   100                         /* that of the last 4 bytes */


typedef struct {
    const char  *address;
    int          bits;
    int          kind;
} block_t;


static block_t  blocks_ipv4[] = {
    { "0.0.0.0", 0, PUBLIC },
    { "0.0.0.0", 8, INVALID },
    { "10.0.0.0", 8, PRIVATE },
    { "100.64.0.0", 10, PRIVATE },
    { "100.100.100.200", 32, METADATA },       /* Alibaba */
    { "127.0.0.0", 8, PRIVATE },
    { "168.63.129.16", 32, METADATA },         /* Azure */
    { "169.254.0.0", 16, METADATA },
    { "172.16.0.0", 12, PRIVATE },
    { "192.0.0.0", 24, PRIVATE },
    { "192.0.0.192", 32, METADATA },           /* Oracle, formerly */
    { "192.0.2.0", 24, PRIVATE },
    { "192.31.196.0", 24, PRIVATE },
    { "192.52.193.0", 24, PRIVATE },
    { "192.88.99.0", 24, PRIVATE },
    { "192.168.0.0", 16, PRIVATE },
    { "192.175.48.0", 24, PRIVATE },
    { "198.18.0.0", 15, PRIVATE },
    { "198.51.100.0", 24, PRIVATE },
    { "203.0.113.0", 24, PRIVATE },
    { "224.0.0.0", 4, INVALID },
    { "240.0.0.0", 4, INVALID },
    { "255.255.255.255", 32, INVALID }
};


static block_t  blocks_ipv6[] = {
    { "::", 0, PRIVATE },
    { "::", 8, INVALID },
    { "::", 128, INVALID },
    { "::1", 128, PRIVATE },
    { "::", 96, INVALID },                     /* IPv4-compatible */
    { "::ffff:0:0", 96, EMBEDDED },            /* mapped */
    { "::ffff:0:0:0", 96, INVALID },           /* translated */
    { "64:ff9b::", 96, EMBEDDED },             /* NAT64 */
    { "64:ff9b:1::", 48, METADATA },           /* of a network */
    { "100::", 64, PRIVATE },
    { "100:0:0:1::", 64, PRIVATE },
    { "2000::", 3, PUBLIC },
    { "2001::", 23, PRIVATE },
    { "2001::", 32, INVALID },                 /* Teredo */
    { "2001:1::1", 128, PRIVATE },
    { "2001:2::", 48, PRIVATE },
    { "2001:3::", 32, PRIVATE },
    { "2001:4:112::", 48, PRIVATE },
    { "2001:10::", 28, PRIVATE },
    { "2001:20::", 28, PRIVATE },
    { "2001:30::", 28, PRIVATE },
    { "2001:db8::", 32, PRIVATE },
    { "2002::", 16, INVALID },                 /* 6to4 */
    { "2620:4f:8000::", 48, PRIVATE },
    { "3ffe::", 16, PRIVATE },
    { "3fff::", 20, PRIVATE },
    { "5f00::", 16, PRIVATE },
    { "fc00::", 7, PRIVATE },
    { "fd00:42::42", 128, METADATA },          /* Scaleway */
    { "fd00:c1::a9fe:a9fe", 128, METADATA },   /* Oracle */
    { "fd00:100::100:200", 128, METADATA },    /* Alibaba */
    { "fd00:ec2::", 32, METADATA },            /* Amazon */
    { "fd00:a9fe:a9fe::", 64, METADATA },      /* Akamai */
    { "fd20:ce::254", 128, METADATA },         /* Google */
    { "fe80::", 10, METADATA },
    { "fec0::", 10, INVALID },
    { "ff00::", 8, INVALID }
};


#define N(a)  (sizeof(a) / sizeof((a)[0]))


static unsigned    seed;
static ngx_uint_t  wrong;


static int
has(block_t *block, int family, u_char *address)
{
    int     i, bit;
    u_char  start[16];

    inet_pton(family, block->address, start);

    for (i = 0; i < block->bits; i++) {
        bit = 0x80 >> (i % 8);

        if ((start[i / 8] & bit) != (address[i / 8] & bit)) {
            return 0;
        }
    }

    return 1;
}


static int
model(int family, u_char *address)
{
    block_t     *blocks, *best;
    ngx_uint_t   i, n;

    blocks = (family == AF_INET) ? blocks_ipv4 : blocks_ipv6;
    n = (family == AF_INET) ? N(blocks_ipv4) : N(blocks_ipv6);
    best = NULL;

    for (i = 0; i < n; i++) {

        if (has(&blocks[i], family, address)
            && (best == NULL || blocks[i].bits > best->bits))
        {
            best = &blocks[i];
        }
    }

    return (best->kind == EMBEDDED) ? model(AF_INET, address + 12)
                                    : best->kind;
}


static void
check(int family, u_char *address)
{
    int   got, expected;
    char  text[INET6_ADDRSTRLEN];

    got = ngx_trove_address_kind(family, address);
    expected = model(family, address);

    if (got != expected && wrong++ < 10) {
        inet_ntop(family, address, text, sizeof(text));
        tap_diag("%s is %d instead of %d", text, got, expected);
    }
}


/* an IPv4 address in all forms */

static void
check_ipv4(u_char *address)
{
    u_char      ipv6[16];
    ngx_uint_t  i;

    static const char  *prefixes[] = {
        "::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::",
        "64:ff9b:0:0:0:1::", "64:ff9c::", "2001:4860::", "fd00::", "fe80::"
    };

    check(AF_INET, address);

    for (i = 0; i < N(prefixes); i++) {
        inet_pton(AF_INET6, prefixes[i], ipv6);
        memcpy(ipv6 + 12, address, 4);
        check(AF_INET6, ipv6);
    }

    /* 6to4, Teredo */

    memset(ipv6, 0, sizeof(ipv6));
    ipv6[0] = 0x20;
    ipv6[1] = 0x02;
    memcpy(ipv6 + 2, address, 4);
    check(AF_INET6, ipv6);

    memset(ipv6, 0, sizeof(ipv6));
    ipv6[0] = 0x20;
    ipv6[1] = 0x01;
    memcpy(ipv6 + 4, address, 4);

    for (i = 0; i < 4; i++) {
        ipv6[12 + i] = (u_char) ~address[i];
    }

    check(AF_INET6, ipv6);
}


static void
check_any(int family, u_char *address)
{
    if (family == AF_INET) {
        check_ipv4(address);
        return;
    }

    check(AF_INET6, address);
}


static void
step(u_char *address, int len, int up)
{
    while (len--) {
        address[len] += up ? 1 : -1;

        if (address[len] != (up ? 0 : 0xff)) {
            break;
        }
    }
}


static void
test_edges(int family, block_t *blocks, ngx_uint_t n)
{
    int         i, len;
    u_char      address[16];
    ngx_uint_t  k, before;

    len = (family == AF_INET) ? 4 : 16;

    for (k = 0; k < n; k++) {
        before = wrong;

        /* the first one, the one before, and the second one */

        inet_pton(family, blocks[k].address, address);
        check_any(family, address);
        step(address, len, 0);
        check_any(family, address);
        step(address, len, 1);
        step(address, len, 1);
        check_any(family, address);

        /* the last one, the one after, and the last one but one */

        inet_pton(family, blocks[k].address, address);

        for (i = blocks[k].bits; i < 8 * len; i++) {
            address[i / 8] |= 0x80 >> (i % 8);
        }

        check_any(family, address);
        step(address, len, 1);
        check_any(family, address);
        step(address, len, 0);
        step(address, len, 0);
        check_any(family, address);

        /* each bit of the prefix is compared, and none after it */

        for (i = 0; i < 8 * len; i++) {
            inet_pton(family, blocks[k].address, address);
            address[i / 8] ^= 0x80 >> (i % 8);
            check_any(family, address);
        }

        tap_is(wrong, before, "%s/%d", blocks[k].address, blocks[k].bits);
    }
}


static void
test_random(void)
{
    int         family, len, bits;
    u_char      address[16];
    block_t    *block;
    ngx_uint_t  i, k;

    wrong = 0;

    for (i = 0; i < ADDRESSES; i++) {
        family = (rand_r(&seed) % 2) ? AF_INET : AF_INET6;
        len = (family == AF_INET) ? 4 : 16;
        block = (family == AF_INET)
                ? &blocks_ipv4[rand_r(&seed) % N(blocks_ipv4)]
                : &blocks_ipv6[rand_r(&seed) % N(blocks_ipv6)];

        /* near a block, or anywhere */

        inet_pton(family, block->address, address);
        bits = (rand_r(&seed) % 4) ? block->bits : 0;

        for (k = bits / 8; k < (ngx_uint_t) len; k++) {
            address[k] ^= rand_r(&seed) & 0xff
                          & ((k == (ngx_uint_t) bits / 8)
                             ? 0xff >> (bits % 8) : 0xff);
        }

        check_any(family, address);
    }

    tap_is(wrong, 0, "%d random addresses", ADDRESSES);
}


static void
test_sockaddr(void)
{
    u_char               address[16];
    struct sockaddr_in   in;
    struct sockaddr_in6  in6;
    struct sockaddr_un   un;

    memset(&in, 0, sizeof(in));
    in.sin_family = AF_INET;
    in.sin_port = htons(443);
    inet_pton(AF_INET, "1.2.3.4", &in.sin_addr);

    tap_is(ngx_trove_address_of((struct sockaddr *) &in, address), AF_INET,
           "IPv4");
    tap_is_mem(address, 4, &in.sin_addr, 4, "its address");

    memset(&in6, 0, sizeof(in6));
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(443);
    in6.sin6_scope_id = 2;
    inet_pton(AF_INET6, "2001:db8:1:2:3:4:5:6", &in6.sin6_addr);

    tap_is(ngx_trove_address_of((struct sockaddr *) &in6, address), AF_INET6,
           "IPv6");
    tap_is_mem(address, 16, &in6.sin6_addr, 16, "its address");

    memset(&un, 0, sizeof(un));
    un.sun_family = AF_UNIX;

    tap_is(ngx_trove_address_of((struct sockaddr *) &un, address), 0,
           "a path is no address");

    un.sun_family = AF_UNSPEC;

    tap_is(ngx_trove_address_of((struct sockaddr *) &un, address), 0,
           "nor is nothing");

    tap_is(ngx_trove_address_kind(0, address), INVALID, "no family");
    tap_is(ngx_trove_address_kind(AF_UNIX, address), INVALID, "another one");
}


int
main(void)
{
    seed = getenv("TROVE_SEED") ? strtoul(getenv("TROVE_SEED"), NULL, 10)
                                : (unsigned) time(NULL) ^ getpid();

    tap_diag("TROVE_SEED=%u", seed);

    test_edges(AF_INET, blocks_ipv4, N(blocks_ipv4));
    test_edges(AF_INET6, blocks_ipv6, N(blocks_ipv6));
    test_random();
    test_sockaddr();

    return tap_done();
}
