
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <arpa/inet.h>

#include "ngx_trove_url.h"
#include "tap.h"


/*
 * All forms of an address in a URL, and each byte at each place of a URL.  The
 * reference is inet_aton(), which takes forms that resolvers take as well.
 */


static ngx_uint_t  wrong;


static const char *
parse(const char *text, size_t len, ngx_trove_url_t *url)
{
    static u_char  *copy;

    ngx_str_t  s;

    /* a block of its own, so that the sanitizer sees its end */

    free(copy);
    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);

    s.data = copy;
    s.len = len;

    return ngx_trove_url_parse(&s, url);
}


static void
complain(const char *what, const char *text)
{
    if (wrong++ < 10) {
        tap_diag("%s: \"%s\"", what, text);
    }
}


/* a host that inet_aton() takes is four decimal numbers, or invalid */

static void
check_form(const char *host)
{
    char             text[128], strict[INET_ADDRSTRLEN + 2];
    ngx_uint_t       valid;
    struct in_addr   in;
    ngx_trove_url_t  url;

    if (!inet_aton(host, &in)) {
        complain("the harness made no address", host);
        return;
    }

    inet_ntop(AF_INET, &in, strict, sizeof(strict));
    valid = (strcmp(host, strict) == 0);

    snprintf(text, sizeof(text), "https://%s/", host);

    if ((parse(text, strlen(text), &url) == NULL) != valid) {
        complain("not as expected", text);
        return;
    }

    if (valid && (url.family != AF_INET || memcmp(url.address, &in, 4) != 0)) {
        complain("another address", text);
    }

    /* with a final dot, a port, and with a user */

    snprintf(text, sizeof(text), "https://%s.:8443/", host);

    if ((parse(text, strlen(text), &url) == NULL) != valid
        || (valid && url.family != AF_INET))
    {
        complain("not as expected", text);
    }

    snprintf(text, sizeof(text), "https://a.example@%s/", host);

    if (parse(text, strlen(text), &url) == NULL) {
        complain("a user", text);
    }
}


/* each part in each base, one to four parts */

static void
test_forms(void)
{
    char         host[96], *p;
    uint32_t     address, part;
    ngx_uint_t   i, n, k, form, rest, total, forms;

    static const uint32_t  addresses[] = {
        0x7f000001, 0x00000000, 0x0a000001, 0xa9fea9fe, 0xc0a80001, 0xac100001,
        0x64646ec8, 0xffffffff, 0x08080808, 0x5db8d822, 0x01020304
    };

    static const char  *formats[] = {
        "%u", "0%o", "0x%x", "0X%X", "000%o", "0x0000%x"
    };

    wrong = 0;
    total = 0;

    for (i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        address = addresses[i];

        for (n = 1; n <= 4; n++) {

            for (forms = 1, k = 0; k < n; k++) {
                forms *= 6;
            }

            for (form = 0; form < forms; form++) {
                rest = form;
                p = host;

                for (k = 0; k < n; k++, rest /= 6) {

                    /* the last part has all that remains */

                    part = (k == n - 1)
                           ? (k ? address & (0xffffffff >> (8 * k)) : address)
                           : (address >> (24 - 8 * k)) & 0xff;

                    p += snprintf(p, host + sizeof(host) - p,
                                  formats[rest % 6], part);

                    if (k < n - 1) {
                        *p++ = '.';
                    }
                }

                *p = '\0';

                check_form(host);
                total++;
            }
        }
    }

    tap_is(wrong, 0, "%d forms of addresses", (int) total);
}


/* numbers that are no address must not become a name either */

static void
test_numbers(void)
{
    char             text[128];
    ngx_uint_t       i;
    ngx_trove_url_t  url;

    static const char  *hosts[] = {
        "0", "00", "0x", "0x0", "0xg0.0", "1.2.3.4.5", "256.1.1.1",
        "1.1.1.256", "1.2.3.99999999999", "4294967296", "99999999999999999999",
        "0x100000000", "08", "09.1.1.1", "1.1.1.08", "1.1.1.1.0x", "a.0",
        "a.b.00", "a.0xdeadbeef", "a.0xDEADBEEF", "xn--a.1", "a_.1", "1.2.3.-4",
        "-1.2.3.4", "+1.2.3.4", "1..2.3", "1.2.3.", "1.2.3..4", ".1.2.3.4",
        "1.2.3.4..", "1,2,3,4", "1.2.3.4 ", "1.2.3.4%20", "1.2.3.4%00",
        "1.2.3.4%2ea", "[1.2.3.4]", "[1.2.3.4", "1.2.3.4]",
        "\xef\xbc\x91.2.3.4",                  /* a digit of full width */
        "127\xe3\x80\x82" "0.0.1",             /* the dots of IDNA */
        "127\xef\xbc\x8e" "0.0.1", "127\xef\xbd\xa1" "0.0.1",
        "\xe2\x91\xa0\xe2\x91\xa1\xe2\x91\xa6.0.0.1",  /* in circles */
        "loc\xc2\xad" "alhost", "\xe2\x84\xaa.example",
        "[::1%25lo]", "[::1%lo]", "[::1%1]", "[:::1]", "[::1::]", "[1::2::3]",
        "[::12345]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]", "[::1.2.3]",
        "[::1.2.3.4.5]", "[::1.2.3.256]", "[::0x1.2.3.4]", "[::01.2.3.4]",
        "[ ::1]", "[::1 ]", "[::1]]", "[[::1]]", "[::1].", "[::g]", "[v1.a]",
        "[a.example]", "[0x1::]", "[::ffff:127.1]", "::1", "[]", "[", "]"
    };

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        snprintf(text, sizeof(text), "https://%s/", hosts[i]);

        tap_ok(parse(text, strlen(text), &url) != NULL, "\"%s\" is invalid",
               text);
    }
}


/* all forms of IPv6 give one text */

static void
test_ipv6(void)
{
    char             text[128];
    u_char           address[16], buf[NGX_TROVE_URL_LEN + 16], *end;
    ngx_uint_t       i;
    ngx_trove_url_t  url;

    static const char  *hosts[][2] = {
        { "::1", "::1" },
        { "0:0:0:0:0:0:0:1", "::1" },
        { "0000:0000:0000:0000:0000:0000:0000:0001", "::1" },
        { "::0:1", "::1" },
        { "0::1", "::1" },
        { "::0.0.0.1", "::1" },
        { "::", "::" },
        { "0::0", "::" },
        { "::FFFF:7F00:1", "::ffff:127.0.0.1" },
        { "::ffff:127.0.0.1", "::ffff:127.0.0.1" },
        { "0:0:0:0:0:FFFF:127.0.0.1", "::ffff:127.0.0.1" },
        { "64:FF9B::10.0.0.1", "64:ff9b::a00:1" },
        { "FE80::A9FE:A9FE", "fe80::a9fe:a9fe" },
        { "2606:4700:0:0:0:0:0:1111", "2606:4700::1111" },
        { "2606:4700::0:1111", "2606:4700::1111" },
        { "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8" },
        { "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304" }
    };

    for (i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        snprintf(text, sizeof(text), "https://[%s]:8443/x", hosts[i][0]);
        inet_pton(AF_INET6, hosts[i][1], address);

        tap_ok(parse(text, strlen(text), &url) == NULL
               && url.family == AF_INET6 && url.port == 8443
               && memcmp(url.address, address, 16) == 0,
               "%s is an address", text);

        tap_is_mem(url.host.data, url.host.len, hosts[i][1],
                   strlen(hosts[i][1]), "its host");

        end = ngx_trove_url_print(&url, buf);
        snprintf(text, sizeof(text), "https://[%s]:8443/x", hosts[i][1]);

        tap_is_mem(buf, end - buf, text, strlen(text), "printed");
    }
}


/* a byte that is inserted into a URL: which ones are accepted, and as what */

static void
test_bytes(void)
{
    int              c;
    char             text[64];
    ngx_uint_t       host, path, port, alnum;
    ngx_trove_url_t  url;

    wrong = 0;

    for (c = 0; c < 256; c++) {
        memset(text, 0, sizeof(text));

        alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
                || (c >= '0' && c <= '9');

        host = alnum || c == '-' || c == '_' || c == '.';
        path = alnum || (c && strchr("-._~!$&'()*+,;=:@/?[]", c));
        port = c >= '1' && c <= '9';

        /* an empty label is not one */

        memcpy(text, "https://ab.example/", 20);
        memmove(text + 10, text + 9, 11);
        text[9] = (char) c;

        /* these end the authority, and the host is another one */

        if (c == '/' || c == '?') {

            if (parse(text, 20, &url) != NULL || url.host.len != 1) {
                complain("the end of the host", text);
            }

        } else if (c == ':') {

            if (parse(text, 20, &url) == NULL) {
                complain("a port", text);
            }

        } else if ((parse(text, 20, &url) == NULL) != host) {
            complain("a byte in the host", text);

        } else if (host && url.host.len != 11) {
            complain("the length of the host", text);
        }

        memcpy(text, "https://a.example/xy?x=y", 24);
        text[19] = (char) c;

        if ((parse(text, 24, &url) == NULL) != path) {
            complain("a byte in the path", text);
        }

        memcpy(text, "https://a.example/xy?x=y", 24);
        text[23] = (char) c;

        if ((parse(text, 24, &url) == NULL) != path) {
            complain("a byte in the query", text);

        } else if (path
                   && (url.path.len != 7 || (u_char) url.path.data[6] != c))
        {
            complain("the query is changed", text);
        }

        memcpy(text, "https://a.example:1/", 20);
        text[18] = (char) c;

        if (c != '/' && c != '?'
            && (parse(text, 20, &url) == NULL) != port)
        {
            complain("a byte as the port", text);
        }

        memcpy(text, "https://a.example:11/", 21);
        text[19] = (char) c;

        if (c != '/' && c != '?'
            && (parse(text, 21, &url) == NULL) != (port || c == '0'))
        {
            complain("a byte in the port", text);
        }

        memcpy(text, " https://a.example/", 19);
        text[0] = (char) c;

        if (parse(text, 19, &url) == NULL) {
            complain("a byte before the scheme", text);
        }
    }

    tap_is(wrong, 0, "each byte at each place");
}


static void
test_ports(void)
{
    int              port, len;
    char             text[64];
    ngx_trove_url_t  url;

    wrong = 0;

    for (port = 0; port < 70000; port++) {
        len = snprintf(text, sizeof(text), "https://a.example:%d", port);

        if (port == 0 || port > 65535) {

            if (parse(text, len, &url) == NULL) {
                complain("a port", text);
            }

            continue;
        }

        if (parse(text, len, &url) != NULL || url.port != port
            || url.other_port != (port != 443))
        {
            complain("a port", text);
        }

        text[3] = 't';
        memmove(text + 4, text + 5, len - 4);
        memcpy(text, "http", 4);

        if (parse(text, len - 1, &url) != NULL || url.port != port
            || url.https || url.other_port != (port != 80))
        {
            complain("a port", text);
        }
    }

    tap_is(wrong, 0, "all ports");
}


static void
test_lengths(void)
{
    char             text[NGX_TROVE_URL_LEN + 64];
    size_t           i, len;
    ngx_trove_url_t  url;

    /* labels of 63 bytes, names of 253 */

    for (i = 62; i <= 64; i++) {
        len = sprintf(text, "https://");
        memset(text + len, 'a', i);
        len += i;
        len += sprintf(text + len, ".example");

        tap_is(parse(text, len, &url) == NULL, i <= 63, "a label of %d bytes",
               (int) i);
    }

    for (i = 252; i <= 255; i++) {
        len = sprintf(text, "https://");
        memset(text + len, 'a', i);

        text[len + 50] = '.';
        text[len + 100] = '.';
        text[len + 150] = '.';
        text[len + 200] = '.';
        len += i;

        tap_is(parse(text, len, &url) == NULL, i <= 253, "a name of %d bytes",
               (int) i);

        text[len++] = '.';

        tap_is(parse(text, len, &url) == NULL, i <= 253,
               "and with a final dot");
    }

    /* it may be cut anywhere */

    wrong = 0;
    len = sprintf(text, "https://[2606:4700::1111]:8443/a?b=%%41");

    for (i = 0; i <= len; i++) {
        (void) parse(text, i, &url);

        if (i < 25 && parse(text, i, &url) == NULL) {
            complain("a part is valid", text);
        }
    }

    tap_is(wrong, 0, "a URL that is cut");
}


int
main(void)
{
    test_forms();
    test_numbers();
    test_ipv6();
    test_bytes();
    test_ports();
    test_lengths();

    return tap_done();
}
