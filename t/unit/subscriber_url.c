
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_address.h"
#include "ngx_trove_allow.h"
#include "ngx_trove_url.h"
#include "tap.h"


/* URLs of subscribers, their addresses, and which of them are allowed. */


typedef struct {
    const char  *text;
    const char  *printed;                      /* NULL: it is invalid */
} url_t;


typedef struct {
    const char  *address;
    ngx_uint_t   kind;
} address_t;


typedef struct {
    const char  *url;
    const char  *address;                      /* NULL: of the URL */
    const char  *allow;                        /* a list, with blanks */
    ngx_uint_t   allowed;
} allowed_t;


static url_t  urls[] = {
    { "https://example.com", "https://example.com/" },
    { "https://example.com/", "https://example.com/" },
    { "HTTPS://EXAMPLE.com/Path", "https://example.com/Path" },
    { "http://example.com/a?b=c&d", "http://example.com/a?b=c&d" },
    { "https://example.com?x", "https://example.com/?x" },
    { "https://example.com./x", "https://example.com/x" },
    { "https://example.com:443/x", "https://example.com/x" },
    { "http://example.com:80/x", "http://example.com/x" },
    { "https://example.com:8443/x", "https://example.com:8443/x" },
    { "http://example.com:443/x", "http://example.com:443/x" },
    { "https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/" },
    { "https://a_b.example/", "https://a_b.example/" },
    { "https://example.com/%00%0d%0a", "https://example.com/%00%0d%0a" },
    { "https://93.184.216.34/", "https://93.184.216.34/" },
    { "https://93.184.216.34./", "https://93.184.216.34/" },
    { "https://[2606:2800:220:1::1]/", "https://[2606:2800:220:1::1]/" },
    { "https://[2606:2800:0220:0001:0:0:0:1]:8443",
      "https://[2606:2800:220:1::1]:8443/" },
    { "https://[::ffff:127.0.0.1]/", "https://[::ffff:127.0.0.1]/" },
    { "https://1.example/", "https://1.example/" },
    { "https://0x1.example/", "https://0x1.example/" },
    { "https://example.com/a@b:c", "https://example.com/a@b:c" },

    { "", NULL },
    { "example.com", NULL },
    { "//example.com/", NULL },
    { "ftp://example.com/", NULL },
    { "https:/example.com/", NULL },
    { "https:///x", NULL },
    { "https://", NULL },
    { "https://.", NULL },
    { "https://.example.com/", NULL },
    { "https://example..com/", NULL },
    { "https://example.com../", NULL },
    { "https://-a.example/", NULL },
    { "https://a-.example/", NULL },
    { "https://user@example.com/", NULL },
    { "https://user:pw@example.com/", NULL },
    { "https://good.example@127.0.0.1/", NULL },
    { "https://good.example:443@127.0.0.1/", NULL },
    { "https://good.example\\@127.0.0.1/", NULL },
    { "https://good.example\\.evil.example/", NULL },
    { "https://example.com\\", NULL },
    { "https://example.com/\\x", NULL },
    { "https://example.com#@good/", NULL },
    { "https://example.com/x#y", NULL },
    { "https://example.com/?x#", NULL },
    { "https://exa mple.com/", NULL },
    { "https://example.com/a b", NULL },
    { " https://example.com/", NULL },
    { "https://example.com/ ", NULL },
    { "https://example.com/\t", NULL },
    { "https://example.com/\r\nHost: x", NULL },
    { "https://example.com/\x7f", NULL },
    { "https://example.com/\xc3\xa4", NULL },
    { "https://b\xc3\xbc" "cher.example/", NULL },
    { "https://example\xe3\x80\x82" "com/", NULL },
    { "https://ex%61mple.com/", NULL },
    { "https://127.0.0.1%00.example.com/", NULL },
    { "https://example.com/%", NULL },
    { "https://example.com/%4", NULL },
    { "https://example.com/%zz", NULL },
    { "https://example.com:/", NULL },
    { "https://example.com:0/", NULL },
    { "https://example.com:00443/", NULL },
    { "https://example.com:65536/", NULL },
    { "https://example.com:99999999999/", NULL },
    { "https://example.com:-1/", NULL },
    { "https://example.com:+443/", NULL },
    { "https://example.com:443:443/", NULL },
    { "https://example.com:http/", NULL },
    { "https://127.1/", NULL },
    { "https://127.0.1/", NULL },
    { "https://2130706433/", NULL },
    { "https://0x7f000001/", NULL },
    { "https://0x7f.1/", NULL },
    { "https://0X7F.0.0.1/", NULL },
    { "https://127.0.0.0x1/", NULL },
    { "https://0177.0.0.1/", NULL },
    { "https://127.0.0.01/", NULL },
    { "https://127.0.0.256/", NULL },
    { "https://1.2.3.4.5/", NULL },
    { "https://example.1/", NULL },
    { "https://example.0x/", NULL },
    { "https://[::1/", NULL },
    { "https://[::1]x/", NULL },
    { "https://[]/", NULL },
    { "https://[::1]:/", NULL },
    { "https://[fe80::1%25eth0]/", NULL },
    { "https://[fe80::1%eth0]/", NULL },
    { "https://[v1.x]/", NULL },
    { "https://[127.0.0.1]/", NULL },
    { "https://::1/", NULL },
    { "https://example.com]/", NULL }
};


static address_t  addresses[] = {
    { "0.0.0.0", NGX_TROVE_ADDRESS_INVALID },
    { "0.255.255.255", NGX_TROVE_ADDRESS_INVALID },
    { "1.0.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "9.255.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "10.0.0.0", NGX_TROVE_ADDRESS_PRIVATE },
    { "10.255.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "11.0.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "100.63.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "100.64.0.0", NGX_TROVE_ADDRESS_PRIVATE },
    { "100.100.100.200", NGX_TROVE_ADDRESS_METADATA },
    { "100.127.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "100.128.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "126.255.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "127.0.0.1", NGX_TROVE_ADDRESS_PRIVATE },
    { "127.255.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "128.0.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "168.63.129.16", NGX_TROVE_ADDRESS_METADATA },
    { "169.253.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "169.254.0.0", NGX_TROVE_ADDRESS_METADATA },
    { "169.254.169.254", NGX_TROVE_ADDRESS_METADATA },
    { "169.254.170.2", NGX_TROVE_ADDRESS_METADATA },
    { "169.254.255.255", NGX_TROVE_ADDRESS_METADATA },
    { "169.255.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "172.15.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "172.16.0.0", NGX_TROVE_ADDRESS_PRIVATE },
    { "172.31.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "172.32.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "192.0.0.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "192.0.1.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "192.0.2.1", NGX_TROVE_ADDRESS_PRIVATE },
    { "192.88.99.1", NGX_TROVE_ADDRESS_PRIVATE },
    { "192.167.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "192.168.0.0", NGX_TROVE_ADDRESS_PRIVATE },
    { "192.168.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "192.169.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "198.17.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "198.18.0.0", NGX_TROVE_ADDRESS_PRIVATE },
    { "198.19.255.255", NGX_TROVE_ADDRESS_PRIVATE },
    { "198.20.0.0", NGX_TROVE_ADDRESS_PUBLIC },
    { "198.51.100.7", NGX_TROVE_ADDRESS_PRIVATE },
    { "203.0.113.7", NGX_TROVE_ADDRESS_PRIVATE },
    { "223.255.255.255", NGX_TROVE_ADDRESS_PUBLIC },
    { "224.0.0.0", NGX_TROVE_ADDRESS_INVALID },
    { "239.255.255.255", NGX_TROVE_ADDRESS_INVALID },
    { "240.0.0.0", NGX_TROVE_ADDRESS_INVALID },
    { "255.255.255.255", NGX_TROVE_ADDRESS_INVALID },

    { "::", NGX_TROVE_ADDRESS_INVALID },
    { "::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "::2", NGX_TROVE_ADDRESS_INVALID },
    { "::127.0.0.1", NGX_TROVE_ADDRESS_INVALID },
    { "::93.184.216.34", NGX_TROVE_ADDRESS_INVALID },
    { "::ffff:127.0.0.1", NGX_TROVE_ADDRESS_PRIVATE },
    { "::ffff:169.254.169.254", NGX_TROVE_ADDRESS_METADATA },
    { "::ffff:0.0.0.0", NGX_TROVE_ADDRESS_INVALID },
    { "::ffff:93.184.216.34", NGX_TROVE_ADDRESS_PUBLIC },
    { "::ffff:0:7f00:1", NGX_TROVE_ADDRESS_INVALID },
    { "64:ff9b::7f00:1", NGX_TROVE_ADDRESS_PRIVATE },
    { "64:ff9b::a9fe:a9fe", NGX_TROVE_ADDRESS_METADATA },
    { "64:ff9b::5db8:d822", NGX_TROVE_ADDRESS_PUBLIC },
    { "64:ff9b:1::1", NGX_TROVE_ADDRESS_METADATA },
    { "100::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "1fff:ffff::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "2000::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "2001::1", NGX_TROVE_ADDRESS_INVALID },
    { "2001:0:7f00:1::", NGX_TROVE_ADDRESS_INVALID },
    { "2001:1ff:ffff::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "2001:200::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "2001:db7:ffff::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "2001:db8::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "2001:db9::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "2002:7f00:1::1", NGX_TROVE_ADDRESS_INVALID },
    { "2002:5db8:d822::1", NGX_TROVE_ADDRESS_INVALID },
    { "2003::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "2606:4700::1111", NGX_TROVE_ADDRESS_PUBLIC },
    { "3ffe::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "3fff::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "3fff:fff:ffff::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "3fff:1000::1", NGX_TROVE_ADDRESS_PUBLIC },
    { "4000::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "5f00::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "fc00::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "fd00:ec2::254", NGX_TROVE_ADDRESS_METADATA },
    { "fdff::1", NGX_TROVE_ADDRESS_PRIVATE },
    { "fe80::1", NGX_TROVE_ADDRESS_METADATA },
    { "fec0::1", NGX_TROVE_ADDRESS_INVALID },
    { "ff02::1", NGX_TROVE_ADDRESS_INVALID }
};


static allowed_t  allowed[] = {
    { "https://a.example/", "93.184.216.34", "", 1 },
    { "https://a.example/", "2606:4700::1111", "", 1 },
    { "https://a.example:8443/", "93.184.216.34", "", 1 },
    { "https://a.example:8444/", "93.184.216.34", "", 0 },
    { "https://a.example:80/", "93.184.216.34", "", 0 },
    { "http://a.example/", "93.184.216.34", "", 0 },
    { "https://a.example/", "127.0.0.1", "", 0 },
    { "https://a.example/", "::1", "", 0 },
    { "https://a.example/", "::ffff:10.0.0.1", "", 0 },
    { "https://a.example/", "169.254.169.254", "", 0 },
    { "https://a.example/", "0.0.0.0", "", 0 },
    { "https://93.184.216.34/", NULL, "", 1 },
    { "http://93.184.216.34/", NULL, "", 0 },
    { "https://127.0.0.1/", NULL, "", 0 },
    { "https://[::1]/", NULL, "", 0 },
    { "https://[::ffff:127.0.0.1]/", NULL, "", 0 },
    { "https://[fd00:ec2::254]/", NULL, "", 0 },
    { "https://localhost/", "93.184.216.34", "", 0 },
    { "https://a.localhost/", "93.184.216.34", "", 0 },
    { "https://intranet/", "93.184.216.34", "", 0 },
    { "https://db.internal/", "93.184.216.34", "", 0 },
    { "https://internal.example/", "93.184.216.34", "", 1 },

    /* by address */
    { "http://10.20.3.4:8080/", NULL, "10.20.0.0/16", 1 },
    { "http://10.21.3.4:8080/", NULL, "10.20.0.0/16", 0 },
    { "http://a.example:8080/", "10.20.3.4", "10.20.0.0/16", 1 },
    { "http://a.example:8080/", "10.21.3.4", "10.20.0.0/16", 0 },
    { "http://a.example:8080/", "93.184.216.34", "10.20.0.0/16", 0 },
    { "https://a.example/", "93.184.216.34", "10.20.0.0/16", 1 },
    { "https://169.254.169.254/", NULL, "169.254.0.0/16", 1 },
    { "https://0.0.0.0/", NULL, "0.0.0.0/0", 0 },
    { "https://127.0.0.1/", NULL, "0.0.0.0/0", 1 },
    { "https://[::ffff:127.0.0.1]/", NULL, "127.0.0.0/8", 0 },
    { "https://[fd00:1::5]/", NULL, "fd00:1::/32", 1 },
    { "https://[fd00:2::5]/", NULL, "fd00:1::/32", 0 },
    { "https://[::1]/", NULL, "::1", 1 },
    { "https://224.0.0.1/", NULL, "224.0.0.0/4", 0 },

    /* by name */
    { "http://hooks.internal:99/", "10.1.1.1", "hooks.internal", 1 },
    { "http://HOOKS.internal.:99/", "10.1.1.1", "Hooks.Internal", 1 },
    { "http://xhooks.internal/", "10.1.1.1", "hooks.internal", 0 },
    { "http://hooks.internal/", "169.254.169.254", "hooks.internal", 0 },
    { "http://hooks.internal/", "169.254.169.254",
      "hooks.internal 169.254.169.254", 1 },
    { "http://hooks.internal/", "0.0.0.0", "hooks.internal", 0 },
    { "http://a.corp.example/", "10.1.1.1", "*.corp.example", 1 },
    { "http://a.b.corp.example/", "10.1.1.1", "*.corp.example", 1 },
    { "http://corp.example/", "10.1.1.1", "*.corp.example", 0 },
    { "http://xcorp.example/", "10.1.1.1", "*.corp.example", 0 },
    { "http://a.corp.example.evil.example/", "10.1.1.1", "*.corp.example", 0 },
    { "http://localhost:99/", "127.0.0.1", "localhost", 1 },
    { "http://10.1.1.1/", NULL, "*.corp.example", 0 }
};


static const char  *wrong[] = {
    "", "*", "*.", "*.*.example", "a.*.example", ".example", "example.",
    "a..b", "10.20.0.0/33", "10.20.0.1/16", "10.20.0.0/", "10.20.0.0/x",
    "10.20.0.0/016", "10.20.0", "::1/129", "::1/", "fd00::1/16", "host:80",
    "https://host", "a b", "1.2.3.4.5", "10.20.0.0/-1"
};


static ngx_trove_allow_t  list[8];
static char               words[8][64];


static ngx_str_t
str(const char *s)
{
    ngx_str_t  v;

    v.data = (u_char *) s;
    v.len = strlen(s);

    return v;
}


static int
pton(const char *text, u_char *address)
{
    int  family;

    family = strchr(text, ':') ? AF_INET6 : AF_INET;

    if (inet_pton(family, text, address) != 1) {
        tap_ok(0, "%s is an address", text);
    }

    return family;
}


static ngx_uint_t
parse_list(const char *text)
{
    size_t      len;
    ngx_str_t   word;
    ngx_uint_t  n;

    for (n = 0; *text; n++) {
        len = strcspn(text, " ");

        snprintf(words[n], sizeof(words[n]), "%.*s", (int) len, text);
        word = str(words[n]);

        if (ngx_trove_allow_parse(&word, &list[n]) != NULL) {
            tap_ok(0, "%s is valid", words[n]);
        }

        text += len + strspn(text + len, " ");
    }

    return n;
}


static void
test_urls(void)
{
    u_char            buf[NGX_TROVE_URL_LEN + 16], *end;
    char              text[NGX_TROVE_URL_LEN + 2];
    ngx_str_t         s;
    ngx_uint_t        i;
    const char       *error;
    ngx_trove_url_t   url;

    for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        s = str(urls[i].text);
        error = ngx_trove_url_parse(&s, &url);

        if (urls[i].printed == NULL) {
            tap_ok(error != NULL, "\"%s\" is invalid", urls[i].text);
            continue;
        }

        end = error ? buf : ngx_trove_url_print(&url, buf);

        tap_ok(error == NULL
               && (size_t) (end - buf) == strlen(urls[i].printed)
               && memcmp(buf, urls[i].printed, end - buf) == 0,
               "\"%s\" is \"%s\"", urls[i].text, urls[i].printed);
    }

    s.data = (u_char *) "https://127.0.0.1\0.example.com/";
    s.len = 31;
    tap_ok(ngx_trove_url_parse(&s, &url) != NULL, "a null byte");

    memset(text, 'a', sizeof(text));
    memcpy(text, "https://a.example/", 18);

    s.data = (u_char *) text;
    s.len = NGX_TROVE_URL_LEN;
    tap_ok(ngx_trove_url_parse(&s, &url) == NULL, "the longest one");
    s.len++;
    tap_ok(ngx_trove_url_parse(&s, &url) != NULL, "one byte more");
}


static void
test_addresses(void)
{
    int         family;
    u_char      address[16];
    ngx_uint_t  i;

    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        family = pton(addresses[i].address, address);

        tap_is(ngx_trove_address_kind(family, address), addresses[i].kind,
               "%s", addresses[i].address);
    }
}


static void
test_allowed(void)
{
    u_char                address[16];
    ngx_str_t             s;
    ngx_uint_t            i, n, ok;
    ngx_trove_url_t       url;
    struct sockaddr_in    in;
    struct sockaddr_in6   in6;

    for (i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {

        n = parse_list(allowed[i].allow);
        s = str(allowed[i].url);

        ok = ngx_trove_url_parse(&s, &url) == NULL
             && ngx_trove_allow_url(list, n, &url) == NULL;

        if (ok && allowed[i].address) {

            if (pton(allowed[i].address, address) == AF_INET) {
                memset(&in, 0, sizeof(in));
                in.sin_family = AF_INET;
                memcpy(&in.sin_addr, address, 4);
                ok = ngx_trove_allow_address(list, n, &url,
                                             (struct sockaddr *) &in);

            } else {
                memset(&in6, 0, sizeof(in6));
                in6.sin6_family = AF_INET6;
                memcpy(&in6.sin6_addr, address, 16);
                ok = ngx_trove_allow_address(list, n, &url,
                                             (struct sockaddr *) &in6);
            }
        }

        tap_is(ok, allowed[i].allowed, "%s at %s with \"%s\"", allowed[i].url,
               allowed[i].address ? allowed[i].address : "itself",
               allowed[i].allow);
    }

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        snprintf(words[0], sizeof(words[0]), "%s", wrong[i]);
        s = str(words[0]);

        tap_ok(ngx_trove_allow_parse(&s, &list[0]) != NULL,
               "\"%s\" in a list is invalid", wrong[i]);
    }
}


int
main(void)
{
    test_urls();
    test_addresses();
    test_allowed();

    return tap_done();
}
