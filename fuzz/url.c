
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"

#include <arpa/inet.h>

#include "ngx_trove_address.h"
#include "ngx_trove_allow.h"
#include "ngx_trove_url.h"


/*
 * Tests the URLs of subscribers, and the list of those that are allowed.  The
 * input is an element of the list, a line feed, and a URL.
 *
 * A URL that is valid has the same meaning after it has been printed.  Its host
 * is an address if inet_aton() takes it for one.  Without a list, no address
 * but a public one is allowed.  A name allows no metadata service.
 */


static u_char *copy(const u_char *p, size_t len);
static void check_url(ngx_str_t *text, ngx_trove_allow_t *allow, ngx_uint_t n);
static void check_never(ngx_trove_url_t *url, ngx_trove_allow_t *allow,
    ngx_uint_t n);
static void check_host(ngx_trove_url_t *url);


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char             *element, *text;
    ngx_str_t           s;
    ngx_uint_t          n;
    const u_char       *p, *last;
    ngx_trove_allow_t   allow;

    p = data;
    last = data + size;

    while (p < last && *p != '\n') {
        p++;
    }

    s.len = p - data;
    s.data = element = copy(data, s.len);

    n = (ngx_trove_allow_parse(&s, &allow) == NULL);

    if (p < last) {
        p++;
    }

    s.len = last - p;
    s.data = text = copy(p, s.len);

    check_url(&s, NULL, 0);
    check_url(&s, &allow, n);

    free(element);
    free(text);

    return 0;
}


/* a block of its own, so that the sanitizer sees its end */

static u_char *
copy(const u_char *p, size_t len)
{
    u_char  *block;

    block = malloc(len ? len : 1);
    fuzz_check(block != NULL, "harness: out of memory");

    if (len) {
        memcpy(block, p, len);
    }

    return block;
}


static void
check_url(ngx_str_t *text, ngx_trove_allow_t *allow, ngx_uint_t n)
{
    u_char               *p;
    ngx_str_t             printed;
    ngx_trove_url_t       url, again;
    struct sockaddr_in    in;
    struct sockaddr_in6   in6;

    if (ngx_trove_url_parse(text, &url) != NULL) {
        return;
    }

    check_host(&url);

    p = malloc(text->len + 16);
    fuzz_check(p != NULL, "harness: out of memory");

    printed.data = p;
    printed.len = ngx_trove_url_print(&url, p) - p;

    fuzz_check(printed.len <= text->len + 16, "it is too long");

    if (printed.len <= NGX_TROVE_URL_LEN) {
        fuzz_check(ngx_trove_url_parse(&printed, &again) == NULL,
                   "it is invalid when printed");
        fuzz_check(again.host.len == url.host.len
                   && memcmp(again.host.data, url.host.data, url.host.len) == 0
                   && again.port == url.port && again.https == url.https
                   && again.family == url.family
                   && memcmp(again.address, url.address, 16) == 0,
                   "it differs when printed");
    }

    free(p);

    if (ngx_trove_allow_url(allow, n, &url) != NULL) {
        return;
    }

    check_never(&url, allow, n);

    if (n) {
        return;
    }

    fuzz_check(url.https && (url.port == 443 || url.port == 8443),
               "http or a port is allowed");
    fuzz_check(url.family == 0
               || ngx_trove_address_kind(url.family, url.address)
                  == NGX_TROVE_ADDRESS_PUBLIC,
               "an address is allowed");

    memset(&in, 0, sizeof(in));
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(0x7f000001);

    memset(&in6, 0, sizeof(in6));
    in6.sin6_family = AF_INET6;
    in6.sin6_addr = in6addr_loopback;

    fuzz_check(!ngx_trove_allow_address(NULL, 0, &url, (struct sockaddr *) &in)
               && !ngx_trove_allow_address(NULL, 0, &url,
                                           (struct sockaddr *) &in6),
               "loopback is allowed");
}


/* what no name allows, and what nothing allows */

static void
check_never(ngx_trove_url_t *url, ngx_trove_allow_t *allow, ngx_uint_t n)
{
    ngx_uint_t           i;
    ngx_sockaddr_t       sa;
    ngx_trove_address_e  kind;

    static const char  *addresses[] = {
        "169.254.169.254", "169.254.42.42", "100.100.100.200", "0.0.0.0",
        "224.0.0.1", "255.255.255.255", "::", "::169.254.169.254",
        "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "fd00:ec2::254",
        "fe80::a9fe:a9fe", "fec0::1", "ff02::1"
    };

    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        memset(&sa, 0, sizeof(sa));

        if (inet_pton(AF_INET, addresses[i], &sa.sockaddr_in.sin_addr) == 1) {
            sa.sockaddr.sa_family = AF_INET;
            kind = ngx_trove_address_kind(AF_INET,
                                     (u_char *) &sa.sockaddr_in.sin_addr);

        } else {
            (void) inet_pton(AF_INET6, addresses[i],
                             &sa.sockaddr_in6.sin6_addr);
            sa.sockaddr.sa_family = AF_INET6;
            kind = ngx_trove_address_kind(AF_INET6,
                                     (u_char *) &sa.sockaddr_in6.sin6_addr);
        }

        fuzz_check(kind == NGX_TROVE_ADDRESS_METADATA
                   || kind == NGX_TROVE_ADDRESS_INVALID,
                   "%s is not refused", addresses[i]);

        if (kind == NGX_TROVE_ADDRESS_INVALID || n == 0
            || allow->family != sa.sockaddr.sa_family)
        {
            fuzz_check(!ngx_trove_allow_address(allow, n, url, &sa.sockaddr),
                       "%s is allowed", addresses[i]);
        }
    }
}


static void
check_host(ngx_trove_url_t *url)
{
    char            text[NGX_TROVE_HOST_LEN + 1];
    size_t          i;
    struct in_addr  in;

    fuzz_check(url->host.len > 0 && url->host.len <= NGX_TROVE_HOST_LEN,
               "the length of the host");

    memcpy(text, url->host.data, url->host.len);
    text[url->host.len] = '\0';

    fuzz_check(strlen(text) == url->host.len, "a null byte in the host");

    if (url->family == AF_INET6) {
        return;
    }

    for (i = 0; text[i]; i++) {
        fuzz_check((text[i] >= 'a' && text[i] <= 'z')
                   || (text[i] >= '0' && text[i] <= '9')
                   || text[i] == '-' || text[i] == '_' || text[i] == '.',
                   "a byte of the host");
    }

    if (inet_aton(text, &in)) {
        fuzz_check(url->family == AF_INET
                   && memcmp(&in, url->address, 4) == 0,
                   "\"%s\" is an address", text);
    }
}
