
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_address.h"


typedef struct {
    u_char                     address[16];
    ngx_uint_t                 bits;
    ngx_trove_address_e        kind;
} ngx_trove_block_t;


static ngx_trove_address_e ngx_trove_address_find(
    const ngx_trove_block_t *block, ngx_uint_t n, u_char *address,
    ngx_trove_address_e kind);
static ngx_uint_t ngx_trove_address_in(const ngx_trove_block_t *block,
    u_char *address);


/*
 * "IANA IPv4 Special-Purpose Address Registry" (RFC 6890), and the metadata
 * services of clouds, which precede the blocks that contain them.  Many of them
 * are link-local, and there is no list of all, so that the whole block is one.
 */

static const ngx_trove_block_t  ngx_trove_blocks_ipv4[] = {
    { { 169, 254, 0, 0 }, 16, NGX_TROVE_ADDRESS_METADATA },
    { { 100, 100, 100, 200 }, 32, NGX_TROVE_ADDRESS_METADATA },
    { { 168, 63, 129, 16 }, 32, NGX_TROVE_ADDRESS_METADATA },
    { { 192, 0, 0, 192 }, 32, NGX_TROVE_ADDRESS_METADATA },
    { { 0, 0, 0, 0 }, 8, NGX_TROVE_ADDRESS_INVALID },
    { { 10, 0, 0, 0 }, 8, NGX_TROVE_ADDRESS_PRIVATE },
    { { 100, 64, 0, 0 }, 10, NGX_TROVE_ADDRESS_PRIVATE },
    { { 127, 0, 0, 0 }, 8, NGX_TROVE_ADDRESS_PRIVATE },
    { { 172, 16, 0, 0 }, 12, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 0, 0, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 0, 2, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 31, 196, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 52, 193, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 88, 99, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 168, 0, 0 }, 16, NGX_TROVE_ADDRESS_PRIVATE },
    { { 192, 175, 48, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 198, 18, 0, 0 }, 15, NGX_TROVE_ADDRESS_PRIVATE },
    { { 198, 51, 100, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 203, 0, 113, 0 }, 24, NGX_TROVE_ADDRESS_PRIVATE },
    { { 224, 0, 0, 0 }, 4, NGX_TROVE_ADDRESS_INVALID },
    { { 240, 0, 0, 0 }, 4, NGX_TROVE_ADDRESS_INVALID }
};


/*
 * "IANA IPv6 Special-Purpose Address Registry"; what is in none of the blocks
 * and not in 2000::/3 is private
 */

static const ngx_trove_block_t  ngx_trove_blocks_ipv6[] = {
    { { 0xfe, 0x80 }, 10, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x00, 0x0e, 0xc2 }, 32, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54 },
      128, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x00, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 169, 254, 169, 254 },
      128, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x00, 0x00, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x00, 0x42 },
      128, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x00, 169, 254, 169, 254 }, 64, NGX_TROVE_ADDRESS_METADATA },
    { { 0xfd, 0x00, 0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0, 0x02, 0 },
      128, NGX_TROVE_ADDRESS_METADATA },

    /* NAT64 of a network; what is behind it depends on its translator */
    { { 0x00, 0x64, 0xff, 0x9b, 0x00, 0x01 }, 48, NGX_TROVE_ADDRESS_METADATA },

    /* IPv4 inside, compatible, translated, Teredo, 6to4; and site-local */
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, 128,
      NGX_TROVE_ADDRESS_PRIVATE },
    { { 0 }, 8, NGX_TROVE_ADDRESS_INVALID },
    { { 0x20, 0x01, 0x00, 0x00 }, 32, NGX_TROVE_ADDRESS_INVALID },
    { { 0x20, 0x02 }, 16, NGX_TROVE_ADDRESS_INVALID },
    { { 0xfe, 0xc0 }, 10, NGX_TROVE_ADDRESS_INVALID },

    { { 0xff }, 8, NGX_TROVE_ADDRESS_INVALID },
    { { 0x20, 0x01, 0x00, 0x00 }, 23, NGX_TROVE_ADDRESS_PRIVATE },
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32, NGX_TROVE_ADDRESS_PRIVATE },
    { { 0x26, 0x20, 0x00, 0x4f, 0x80, 0x00 }, 48, NGX_TROVE_ADDRESS_PRIVATE },
    { { 0x3f, 0xff, 0x00 }, 20, NGX_TROVE_ADDRESS_PRIVATE },
    { { 0x3f, 0xfe }, 16, NGX_TROVE_ADDRESS_PRIVATE },
    { { 0x20 }, 3, NGX_TROVE_ADDRESS_PUBLIC }
};


/* blocks whose last 32 bits are an IPv4 address */

static const ngx_trove_block_t  ngx_trove_blocks_mapped[] = {
    { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff }, 96, 0 },
    { { 0x00, 0x64, 0xff, 0x9b }, 96, 0 }
};


#define ngx_trove_blocks_n(blocks)  (sizeof(blocks) / sizeof((blocks)[0]))


ngx_trove_address_e
ngx_trove_address_kind(int family, u_char *address)
{
    ngx_uint_t  i;

    switch (family) {

    case AF_INET:
        return ngx_trove_address_find(ngx_trove_blocks_ipv4,
                                    ngx_trove_blocks_n(ngx_trove_blocks_ipv4),
                                    address, NGX_TROVE_ADDRESS_PUBLIC);

    case AF_INET6:

        for (i = 0; i < ngx_trove_blocks_n(ngx_trove_blocks_mapped); i++) {

            if (ngx_trove_address_in(&ngx_trove_blocks_mapped[i], address)) {
                return ngx_trove_address_kind(AF_INET, address + 12);
            }
        }

        return ngx_trove_address_find(ngx_trove_blocks_ipv6,
                                    ngx_trove_blocks_n(ngx_trove_blocks_ipv6),
                                    address, NGX_TROVE_ADDRESS_PRIVATE);

    default:
        return NGX_TROVE_ADDRESS_INVALID;
    }
}


static ngx_trove_address_e
ngx_trove_address_find(const ngx_trove_block_t *block, ngx_uint_t n,
    u_char *address, ngx_trove_address_e kind)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {

        if (ngx_trove_address_in(&block[i], address)) {
            return block[i].kind;
        }
    }

    return kind;
}


static ngx_uint_t
ngx_trove_address_in(const ngx_trove_block_t *block, u_char *address)
{
    u_char      mask;
    ngx_uint_t  bytes, bits;

    bytes = block->bits / 8;
    bits = block->bits % 8;

    if (ngx_memcmp(block->address, address, bytes) != 0) {
        return 0;
    }

    mask = (u_char) (0xff00 >> bits);

    return bits == 0 || ((block->address[bytes] ^ address[bytes]) & mask) == 0;
}


int
ngx_trove_address_of(struct sockaddr *sa, u_char *p)
{
    switch (sa->sa_family) {

    case AF_INET:
        ngx_memcpy(p, &((struct sockaddr_in *) sa)->sin_addr, 4);
        return AF_INET;

#if (NGX_HAVE_INET6)

    case AF_INET6:
        ngx_memcpy(p, &((struct sockaddr_in6 *) sa)->sin6_addr, 16);
        return AF_INET6;

#endif

    default:
        return 0;
    }
}
