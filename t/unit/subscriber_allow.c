
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_address.h"
#include "ngx_trove_allow.h"
#include "tap.h"


/*
 * Where subscribers may be: all combinations of hosts, schemes, ports,
 * addresses and lists, compared with the rules as they are documented; and the
 * elements of lists.
 */


#define N(a)  (sizeof(a) / sizeof((a)[0]))


typedef struct {
    const char  *text;
    const char  *name;                         /* NULL: not a name */
    const char  *suffix;
    const char  *address;
    int          bits;
} element_t;


static element_t  elements[] = {
    { "hooks.internal", "hooks.internal", NULL, NULL, 0 },
    { "*.Corp.example", NULL, ".corp.example", NULL, 0 },
    { "localhost", "localhost", NULL, NULL, 0 },
    { "app1", "app1", NULL, NULL, 0 },
    { "10.20.0.0/16", NULL, NULL, "10.20.0.0", 16 },
    { "169.254.169.254", NULL, NULL, "169.254.169.254", 32 },
    { "0.0.0.0/0", NULL, NULL, "0.0.0.0", 0 },
    { "fd00::/8", NULL, NULL, "fd00::", 8 },
    { "::/0", NULL, NULL, "::", 0 }
};


static const char  *hosts[] = {
    "a.example", "hooks.internal", "x.hooks.internal", "xhooks.internal",
    "corp.example", "a.corp.example", "A.B.CORP.example.", "xcorp.example",
    "localhost", "x.localhost", "app1", "app2", "box.local"
};


static const char  *local[] = {
    "hooks.internal", "x.hooks.internal", "xhooks.internal", "localhost",
    "x.localhost", "app1", "app2", "box.local"
};


static const char  *addresses[] = {
    "93.184.216.34", "10.20.3.4", "10.21.3.4", "127.0.0.1", "0.0.0.0",
    "169.254.169.254", "169.254.42.42", "100.100.100.200", "224.0.0.1",
    "255.255.255.255", "2606:4700::1111", "::1", "::", "::ffff:10.20.3.4",
    "::ffff:93.184.216.34", "::ffff:169.254.169.254", "::169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b::5db8:d822", "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1", "2001:0:a9fe:a9fe::1", "fd00:ec2::254", "fd12::1",
    "fe80::1", "fec0::1", "ff02::1", "4000::1"
};


static const char  *ports[] = { "", ":443", ":8443", ":80", ":8080" };


static u_char             words[N(elements)][64];
static ngx_trove_allow_t  parsed[N(elements)];
static int                families[N(elements)];
static u_char             starts[N(elements)][16];
static ngx_trove_allow_t  list[N(elements)];
static ngx_uint_t         listed[N(elements)];
static ngx_uint_t         nlist;
static ngx_uint_t         wrong;


static int
pton(const char *text, u_char *address)
{
    int  family;

    family = strchr(text, ':') ? AF_INET6 : AF_INET;
    inet_pton(family, text, address);

    return family;
}


static void
parse_elements(void)
{
    ngx_str_t   s;
    ngx_uint_t  i;

    for (i = 0; i < N(elements); i++) {
        s.len = strlen(elements[i].text);
        s.data = words[i];
        memcpy(s.data, elements[i].text, s.len);

        tap_ok(ngx_trove_allow_parse(&s, &parsed[i]) == NULL,
               "\"%s\" is valid", elements[i].text);

        if (elements[i].address) {
            families[i] = pton(elements[i].address, starts[i]);
        }
    }
}


static void
make_list(ngx_uint_t set)
{
    ngx_uint_t  i;

    nlist = 0;

    for (i = 0; i < N(elements); i++) {

        if (set & (1 << i)) {
            list[nlist] = parsed[i];
            listed[nlist++] = i;
        }
    }
}


/* the rules, one after the other */

static int
by_name(ngx_trove_url_t *url)
{
    char         host[NGX_TROVE_HOST_LEN + 1];
    size_t       len;
    element_t   *e;
    ngx_uint_t   i;

    if (url->family) {
        return 0;
    }

    memcpy(host, url->host.data, url->host.len);
    host[url->host.len] = '\0';

    for (i = 0; i < nlist; i++) {
        e = &elements[listed[i]];

        if (e->name && strcmp(e->name, host) == 0) {
            return 1;
        }

        len = e->suffix ? strlen(e->suffix) : 0;

        if (len && strlen(host) > len
            && strcmp(host + strlen(host) - len, e->suffix) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
by_address(int family, u_char *address)
{
    int          k, bit;
    u_char      *start;
    element_t   *e;
    ngx_uint_t   i;

    for (i = 0; i < nlist; i++) {
        e = &elements[listed[i]];

        if (families[listed[i]] != family) {
            continue;
        }

        start = starts[listed[i]];

        for (k = 0; k < e->bits; k++) {
            bit = 0x80 >> (k % 8);

            if ((start[k / 8] & bit) != (address[k / 8] & bit)) {
                break;
            }
        }

        if (k == e->bits) {
            return 1;
        }
    }

    return 0;
}


static int
is_local(ngx_trove_url_t *url)
{
    ngx_uint_t  i;

    for (i = 0; i < N(local); i++) {

        if (strlen(local[i]) == url->host.len
            && memcmp(local[i], url->host.data, url->host.len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


static int
plain(ngx_trove_url_t *url)
{
    return url->https && (url->port == 443 || url->port == 8443);
}


static int
rules(ngx_trove_url_t *url, int family, u_char *address)
{
    ngx_trove_address_e  kind;

    kind = ngx_trove_address_kind(family, address);

    if (url->family == 0 && is_local(url) && !by_name(url)) {
        return 0;
    }

    switch (kind) {

    case NGX_TROVE_ADDRESS_INVALID:
        return 0;

    case NGX_TROVE_ADDRESS_METADATA:
        return by_address(family, address);

    case NGX_TROVE_ADDRESS_PRIVATE:
        return by_address(family, address) || by_name(url);

    default:
        return by_address(family, address) || by_name(url) || plain(url);
    }
}


static int
decision(ngx_trove_url_t *url, int family, u_char *address)
{
    ngx_sockaddr_t  sa;

    if (ngx_trove_allow_url(list, nlist, url) != NULL) {
        return 0;
    }

    memset(&sa, 0, sizeof(sa));
    sa.sockaddr.sa_family = family;

    if (family == AF_INET) {
        memcpy(&sa.sockaddr_in.sin_addr, address, 4);

    } else {
        memcpy(&sa.sockaddr_in6.sin6_addr, address, 16);
    }

    return ngx_trove_allow_address(list, nlist, url, &sa.sockaddr);
}


static void
check(const char *host, const char *scheme, const char *port,
    const char *address)
{
    int              family, got;
    char             text[128];
    u_char           bytes[16];
    ngx_str_t        s;
    ngx_uint_t       set;
    ngx_trove_url_t  url;

    s.len = snprintf(text, sizeof(text), "%s%s%s/", scheme, host, port);
    s.data = (u_char *) text;

    if (ngx_trove_url_parse(&s, &url) != NULL) {
        tap_ok(0, "\"%s\" is valid", text);
        return;
    }

    family = pton(address, bytes);

    for (set = 0; set < 1 << N(elements); set++) {
        make_list(set);

        got = decision(&url, family, bytes);

        if (got != rules(&url, family, bytes) && wrong++ < 10) {
            tap_diag("%s at %s with list 0x%x is %d", text, address,
                     (int) set, got);
        }

        /* a literal is decided at once */

        if (url.family
            && (ngx_trove_allow_url(list, nlist, &url) == NULL) != got
            && wrong++ < 10)
        {
            tap_diag("%s with list 0x%x is decided later", text, (int) set);
        }
    }
}


static void
test_rules(void)
{
    char        host[64];
    ngx_uint_t  h, p, a, https;

    static const char  *schemes[] = { "http://", "https://" };

    for (h = 0; h < N(hosts); h++) {
        wrong = 0;

        for (https = 0; https < 2; https++) {
            for (p = 0; p < N(ports); p++) {
                for (a = 0; a < N(addresses); a++) {
                    check(hosts[h], schemes[https], ports[p], addresses[a]);
                }
            }
        }

        tap_is(wrong, 0, "%s", hosts[h]);
    }

    for (a = 0; a < N(addresses); a++) {
        wrong = 0;

        snprintf(host, sizeof(host),
                 strchr(addresses[a], ':') ? "[%s]" : "%s", addresses[a]);

        for (https = 0; https < 2; https++) {
            for (p = 0; p < N(ports); p++) {
                check(host, schemes[https], ports[p], addresses[a]);
            }
        }

        tap_is(wrong, 0, "%s", host);
    }
}


static const char *
parse(const char *text, ngx_trove_allow_t *allow)
{
    static u_char  *copy;

    ngx_str_t  s;

    free(copy);

    s.len = strlen(text);
    s.data = copy = malloc(s.len ? s.len : 1);
    memcpy(copy, text, s.len);

    return ngx_trove_allow_parse(&s, allow);
}


static void
test_elements(void)
{
    ngx_uint_t         i;
    ngx_trove_allow_t  allow;

    static const char  *valid[] = {
        "a", "A.Example", "a-b.example", "_a.example", "xn--bcher-kva.example",
        "app1", "db-2", "hooks.region1", "*.region1", "*.a", "*.A.b", "1.a",
        "1a", "0xg", "a0x1", "10.a", "1.2.3.4", "1.2.3.4/32", "0.0.0.0/0",
        "10.0.0.0/8", "::", "::/0", "::1", "FD00::/8", "::ffff:1.2.3.4",
        "64:ff9b::/96", "2001:db8::/32"
    };

    static const char  *invalid[] = {
        "", ".", "*", "*.", "*a", "*.*", "*.*.a", "a.*", "a*", "a.*.b", "..",
        ".a", "a.", "a..b", "*..a", "*.a.", "a b", "a,b", "a;b", "a@b", "a%b",
        "a\\b", "a\tb", "\xc3\xa4.example", "http://a", "a:1", "a/8", "/8",
        "*.a/8", "1", "1.2", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04",
        "0x1.2.3.4", "0x7f000001", "0x7f.1", "2130706433", "256.1.1.1",
        "1.2.3.4.", "*.1", "*.2.3.4", "a.1", "a.0x1", "0x", "1.2.3.4/",
        "1.2.3.4/33", "1.2.3.4/032", "1.2.3.4/-1", "1.2.3.4/+8",
        "1.2.3.4/8 ", "1.2.3.4/a",
        "1.2.3.4/32/32", "1.2.3.4/99999999999", "10.0.0.1/8", "10.1.0.0/8",
        "1.2.3.4:80", "[::1]", "[::1]:80", "::1/129", "::1/0", "::1/127",
        "fd00::1/8", "fd00::/008", "fe80::1%eth0", "::g", ":::", "1:2",
        "::1.2.3", "10.0.0.0/255.0.0.0"
    };

    for (i = 0; i < N(valid); i++) {
        tap_ok(parse(valid[i], &allow) == NULL, "\"%s\" is valid", valid[i]);
    }

    for (i = 0; i < N(invalid); i++) {
        tap_ok(parse(invalid[i], &allow) != NULL, "\"%s\" is invalid",
               invalid[i]);
    }
}


/* each number of bits, and each bit that is beyond them */

static void
test_bits(int family)
{
    int                max, bits, bit;
    char               text[INET6_ADDRSTRLEN + 8];
    u_char             address[16];
    ngx_trove_allow_t  allow;

    max = (family == AF_INET) ? 32 : 128;
    wrong = 0;

    for (bits = 0; bits <= max; bits++) {

        for (bit = -1; bit < max; bit++) {
            memset(address, 0, sizeof(address));

            if (bit >= 0) {
                address[bit / 8] = 0x80 >> (bit % 8);
            }

            inet_ntop(family, address, text, INET6_ADDRSTRLEN);
            sprintf(text + strlen(text), "/%d", bits);

            if ((parse(text, &allow) == NULL) != (bit < bits)
                || (bit < bits && (allow.bits != (ngx_uint_t) bits
                                   || allow.family != family)))
            {
                if (wrong++ < 10) {
                    tap_diag("%s", text);
                }
            }
        }
    }

    tap_is(wrong, 0, "all numbers of bits");
}


int
main(void)
{
    parse_elements();
    test_rules();
    test_elements();
    test_bits(AF_INET);
    test_bits(AF_INET6);

    return tap_done();
}
