
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_signature.h"
#include "tap.h"


#define H64  "0123456789abcdefABCDEF0123456789abcdef0123456789abcdef0123456789"
#define MAC  "v1=" H64

#define SECRET  "trove-whsec-test"
#define BODY    "{\"id\":\"evt-1\",\"type\":\"webhook.test\"}"

/* printf %s.%s TIME BODY | openssl dgst -sha256 -hmac SECRET */
#define SIGNED  "t=1793000000,v1="                                            \
                "afc2a31bff232f49e1ffea6ccbfe7386"                            \
                "d7e0ce679b869340849c83fd272673c9"

/* the same with 200 times "k", longer than a block, over "0." */
#define LONG    "t=0,v1="                                                     \
                "76a82ba859636cc3081c72aa270fd66a"                            \
                "c81a202f8182404e7752795c6e7ba88f"


static void test_parse(void);
static void test_limits(void);
static void test_fresh(void);
static void test_mac(void);
static void test_keys(void);
static void test_pieces(void);
static void test_many(void);
static void test_matched(void);
static ngx_int_t parse(ngx_trove_signature_t *sg, const char *value);
static ngx_int_t verify(ngx_trove_key_t **keys, ngx_uint_t nkeys,
    ngx_trove_signature_t *sg, const char *body);
static ngx_str_t sign(ngx_trove_key_t *key, const char *text,
    const char *body);
static ngx_trove_key_t *key_of(const char *secret);


typedef struct {
    ngx_int_t    rc;
    const char  *value;
} parse_t;


static parse_t  parses[] = {

    { NGX_OK, "t=1793000000," MAC },
    { NGX_OK, MAC ",t=1793000000" },
    { NGX_OK, "t=0," MAC },
    { NGX_OK, "t=7," MAC },
    { NGX_OK, "t=999999999999," MAC },
    { NGX_OK, "t=1," MAC "," MAC },
    { NGX_OK, " \tt=1 \t, \t" MAC "\t " },
    { NGX_OK, ",,t=1,, ,\t," MAC ",," },
    { NGX_OK, "t=1," MAC ",v0=abc,v2=,x,=,==,t,v1,T=2,V1=zz,tt=3,v11=4" },
    { NGX_OK, "t =5,t=1," MAC },
    { NGX_OK, "t=1," MAC ",v1 =zz" },
    { NGX_OK, "t=1," MAC ",scheme=\"a\"" },

    { NGX_DECLINED, "" },
    { NGX_DECLINED, " " },
    { NGX_DECLINED, "\t  \t" },

    { NGX_ERROR, "," },
    { NGX_ERROR, "garbage" },
    { NGX_ERROR, "t=1" },
    { NGX_ERROR, MAC },
    { NGX_ERROR, "t=1," MAC ",t=1" },
    { NGX_ERROR, "t=1,t=2," MAC },
    { NGX_ERROR, "T=1," MAC },
    { NGX_ERROR, "t=1,V1=" H64 },
    { NGX_ERROR, "t=1;" MAC },
    { NGX_ERROR, "t=1 " MAC },
    { NGX_ERROR, "t=," MAC },
    { NGX_ERROR, "t= 1," MAC },
    { NGX_ERROR, "t=1 2," MAC },
    { NGX_ERROR, "t=+1," MAC },
    { NGX_ERROR, "t=-1," MAC },
    { NGX_ERROR, "t=1.5," MAC },
    { NGX_ERROR, "t=1e3," MAC },
    { NGX_ERROR, "t=0x1," MAC },
    { NGX_ERROR, "t=01," MAC },
    { NGX_ERROR, "t=00," MAC },
    { NGX_ERROR, "t=1/," MAC },
    { NGX_ERROR, "t=1:," MAC },
    { NGX_ERROR, "t=1000000000000," MAC },
    { NGX_ERROR, "t=99999999999999999999999," MAC },
    { NGX_ERROR, "t=\xd9\xa1," MAC },
    { NGX_ERROR, "t=1,v1=" },
    { NGX_ERROR, "t=1,v1=00" },
    { NGX_ERROR, "t=1," MAC "0" },
    { NGX_ERROR, "t=1," MAC "00" },
    { NGX_ERROR, "t=1,v1= " H64 },
    { NGX_ERROR, "t=1," MAC ",v1=zz" },
    { NGX_ERROR, "t=1,v1=g123456789abcdefABCDEF0123456789"
                 "abcdef0123456789abcdef0123456789" },
    { NGX_ERROR, "t=1,v1=0@23456789abcdefABCDEF0123456789"
                 "abcdef0123456789abcdef0123456789" },
    { NGX_ERROR, "t=1,v1=0123456789abcdefABCDEF0123456789"
                 "abcdef0123456789abcdef012345678G" },
    { NGX_ERROR, "t=1,v1=0123456789abcdefABCDEF0123456789"
                 "abcdef0123456789abcdef012345678`" },
    { NGX_ERROR, "t=1,v1=\x10" "123456789abcdefABCDEF0123456789"
                 "abcdef0123456789abcdef0123456789" }
};


int
main(void)
{
    test_parse();
    test_limits();
    test_fresh();
    test_mac();
    test_keys();
    test_pieces();
    test_many();
    test_matched();

    return tap_done();
}


static void
test_parse(void)
{
    u_char                 mac[NGX_TROVE_SIGNATURE_MAC_LEN];
    ngx_str_t              value;
    ngx_uint_t             i;
    ngx_trove_signature_t  sg;

    for (i = 0; i < sizeof(parses) / sizeof(parses[0]); i++) {
        tap_is(parse(&sg, parses[i].value), parses[i].rc,
               "parse %" PRIuMAX, (uintmax_t) i)
            || (tap_diag("     value: \"%s\"", parses[i].value), 0);
    }

    parse(&sg, "v0=1, " MAC " ,t=1793000000,"
          "v1=fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0"
          "000102030405060708090A0B0C0D0E0F");

    tap_is(sg.timestamp, 1793000000, "timestamp");
    tap_is_mem(sg.text, sg.text_len, "1793000000", 10, "its digits");
    tap_is(sg.nmacs, 2, "two macs");

    for (i = 0; i < 16; i++) {
        mac[i] = (u_char) (255 - i);
        mac[i + 16] = (u_char) i;
    }

    tap_is_mem(sg.macs[1], 32, mac, 32, "the second, lower and upper case");

    parse(&sg, "t=999999999999," MAC);
    tap_is(sg.timestamp, 999999999999, "12 digits do not overflow");

    value.len = sizeof("t=1," MAC ",x\0,y") - 1;
    value.data = (u_char *) "t=1," MAC ",x\0,y";
    tap_is(ngx_trove_signature_parse(&sg, &value), NGX_OK,
           "a NUL in an unknown part");

    value.data = (u_char *) "t=1\0," MAC;
    value.len = sizeof("t=1\0," MAC) - 1;
    tap_is(ngx_trove_signature_parse(&sg, &value), NGX_ERROR, "a NUL in t");

    value.data = NULL;
    value.len = 0;
    tap_is(ngx_trove_signature_parse(&sg, &value), NGX_DECLINED, "NULL");
}


static void
test_limits(void)
{
    char                   buf[2048];
    size_t                 len;
    ngx_uint_t             i;
    ngx_trove_signature_t  sg;

    len = sprintf(buf, "t=1");

    for (i = 0; i < 8; i++) {
        len += sprintf(buf + len, ",%s", MAC);
    }

    tap_is(parse(&sg, buf), NGX_OK, "8 v1");
    tap_is(sg.nmacs, 8, "8 macs");

    sprintf(buf + len, ",%s", MAC);
    tap_is(parse(&sg, buf), NGX_ERROR, "9 v1");

    for (i = 1024; i <= 1025; i++) {
        len = sprintf(buf, "t=1,%s,x=", MAC);
        memset(buf + len, 'x', i - len);
        buf[i] = '\0';

        tap_is(parse(&sg, buf), i == 1024 ? NGX_OK : NGX_ERROR,
               "%d bytes", (int) i);
    }

    memset(buf, ' ', 2047);
    buf[2047] = '\0';
    tap_is(parse(&sg, buf), NGX_DECLINED, "2047 spaces are no header");

    memset(buf, ',', 1024);
    memcpy(buf, "t=1," MAC, sizeof("t=1," MAC) - 1);
    buf[1024] = '\0';
    tap_is(parse(&sg, buf), NGX_OK, "as many empty parts as there may be");
}


static void
test_fresh(void)
{
    ngx_trove_signature_t  sg;

    sg.timestamp = 1793000000;

    tap_is(ngx_trove_signature_fresh(&sg, 1793000000, 300), NGX_OK, "now");
    tap_is(ngx_trove_signature_fresh(&sg, 1793000300, 300), NGX_OK, "+300");
    tap_is(ngx_trove_signature_fresh(&sg, 1792999700, 300), NGX_OK, "-300");
    tap_is(ngx_trove_signature_fresh(&sg, 1793000301, 300), NGX_DECLINED,
           "+301");
    tap_is(ngx_trove_signature_fresh(&sg, 1792999699, 300), NGX_DECLINED,
           "-301");
    tap_is(ngx_trove_signature_fresh(&sg, 0, 0), NGX_OK, "no limit");
    tap_is(ngx_trove_signature_fresh(&sg, 0, 300), NGX_DECLINED, "1970");

    sg.timestamp = 999999999999;
    tap_is(ngx_trove_signature_fresh(&sg, 1793000000, 300), NGX_DECLINED,
           "the far future");
    tap_is(ngx_trove_signature_fresh(&sg, 0, INT64_MAX), NGX_OK,
           "an absurd tolerance");
}


static void
test_mac(void)
{
    ngx_str_t               value;
    ngx_trove_key_t        *key;
    ngx_trove_signature_t   sg;

    key = key_of(SECRET);

    value = sign(key, "1793000000", BODY);
    tap_is_mem(value.data, value.len, SIGNED, sizeof(SIGNED) - 1, "sign");

    tap_is(ngx_trove_signature_parse(&sg, &value), NGX_OK, "it can be parsed");
    tap_is(verify(&key, 1, &sg, BODY), NGX_OK, "and verified");
    tap_is(verify(&key, 1, &sg, BODY " "), NGX_DECLINED, "another body");
    tap_is(verify(&key, 1, &sg, ""), NGX_DECLINED, "no body");

    sg.text[9] = '1';
    tap_is(verify(&key, 1, &sg, BODY), NGX_DECLINED, "another time");

    sg.text[9] = '0';
    sg.macs[0][31] ^= 1;
    tap_is(verify(&key, 1, &sg, BODY), NGX_DECLINED, "the last bit");

    sg.macs[0][31] ^= 1;
    sg.macs[0][0] ^= 0x80;
    tap_is(verify(&key, 1, &sg, BODY), NGX_DECLINED, "the first bit");

    ngx_trove_key_destroy(key);

    key = key_of("trove-whsec-tesT");
    parse(&sg, SIGNED);
    tap_is(verify(&key, 1, &sg, BODY), NGX_DECLINED, "another secret");
    ngx_trove_key_destroy(key);

    key = key_of("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
                 "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk");
    value = sign(key, "0", "");
    tap_is_mem(value.data, value.len, LONG, sizeof(LONG) - 1, "a long secret");

    value = sign(key, "999999999999", "");
    tap_is(value.len, NGX_TROVE_SIGNATURE_TEXT_MAX, "a long timestamp");
    ngx_trove_key_destroy(key);

    ngx_trove_key_destroy(NULL);
    ngx_trove_mac_destroy(NULL);

    tap_ok(ngx_trove_key_create((u_char *) "", 0) == NULL, "an empty secret");
    tap_ok(ngx_trove_key_create(NULL, 0) == NULL, "no secret");
}


static void
test_keys(void)
{
    ngx_str_t               value;
    ngx_uint_t              i;
    ngx_trove_key_t        *keys[3], *reversed[3];
    ngx_trove_signature_t   sg, sg2;

    for (i = 0; i < 3; i++) {
        keys[i] = key_of(i == 0 ? "one" : i == 1 ? SECRET : "three");
        reversed[2 - i] = keys[i];
    }

    parse(&sg, SIGNED);

    tap_is(verify(keys, 1, &sg, BODY), NGX_DECLINED, "the key is not there");
    tap_is(verify(keys, 2, &sg, BODY), NGX_OK, "it is the last of two");
    tap_is(verify(keys + 1, 2, &sg, BODY), NGX_OK, "the first of two");
    tap_is(verify(reversed, 3, &sg, BODY), NGX_OK, "in the midst");

    value = sign(keys[0], "1793000000", BODY);
    ngx_trove_signature_parse(&sg2, &value);

    for (i = 0; i < 8; i++) {
        memset(sg2.macs, 0, sizeof(sg2.macs));
        memcpy(sg2.macs[i], sg.macs[0], sizeof(sg.macs[0]));

        sg2.nmacs = 8;
        tap_is(verify(keys, 3, &sg2, BODY), NGX_OK, "v1 number %d matches",
               (int) i);

        sg2.nmacs = i;
        tap_is(verify(keys, 3, &sg2, BODY), NGX_DECLINED,
               "v1 number %d is not there", (int) i);
    }

    value = sign(keys[1], "1793000000", BODY);
    tap_is_mem(value.data, value.len, SIGNED, sizeof(SIGNED) - 1,
               "the key is as it was");

    for (i = 0; i < 3; i++) {
        ngx_trove_key_destroy(keys[i]);
    }
}


static void
test_pieces(void)
{
    size_t                  i, n, len;
    ngx_uint_t              bad;
    ngx_trove_mac_t        *mac;
    ngx_trove_key_t        *key;
    ngx_trove_signature_t   sg;

    key = key_of(SECRET);
    len = sizeof(BODY) - 1;
    bad = 0;

    parse(&sg, SIGNED);

    for (n = 0; n <= len; n++) {
        mac = ngx_trove_mac_create(&key, 1, sg.text, sg.text_len);

        ngx_trove_mac_update(mac, (u_char *) BODY, n);
        ngx_trove_mac_update(mac, NULL, 0);
        ngx_trove_mac_update(mac, (u_char *) BODY + n, len - n);

        bad += (ngx_trove_mac_verify(mac, &sg) != NGX_OK);
        ngx_trove_mac_destroy(mac);
    }

    tap_is(bad, 0, "a body split anywhere");

    mac = ngx_trove_mac_create(&key, 1, sg.text, sg.text_len);

    for (i = 0; i < len; i++) {
        ngx_trove_mac_update(mac, (u_char *) BODY + i, 1);
    }

    tap_is(ngx_trove_mac_verify(mac, &sg), NGX_OK, "byte by byte");
    ngx_trove_mac_destroy(mac);
    ngx_trove_key_destroy(key);
}


/* many at once, of the same keys, some of them given up */

static void
test_many(void)
{
    ngx_uint_t              i, bad;
    ngx_trove_key_t        *keys[2];
    ngx_trove_mac_t        *macs[100];
    ngx_trove_signature_t   sg;

    keys[0] = key_of("other");
    keys[1] = key_of(SECRET);
    bad = 0;

    parse(&sg, SIGNED);

    for (i = 0; i < 100; i++) {
        macs[i] = ngx_trove_mac_create(keys, 2, sg.text, sg.text_len);
        ngx_trove_mac_update(macs[i], (u_char *) BODY, i % 5);
    }

    /* half of them are given up, one of three is wrong */

    for (i = 0; i < 100; i++) {

        if (i % 2) {
            ngx_trove_mac_update(macs[i], (u_char *) BODY + i % 5,
                                 sizeof(BODY) - 1 - i % 5 - (i % 3 == 0));

            bad += (ngx_trove_mac_verify(macs[i], &sg)
                    != (i % 3 == 0 ? NGX_DECLINED : NGX_OK));
        }

        ngx_trove_mac_destroy(macs[i]);
    }

    tap_is(bad, 0, "a hundred at once");

    for (i = 0; i < 100; i++) {
        bad += (verify(keys, 2, &sg, BODY) != NGX_OK);
        bad += (verify(keys, 1, &sg, BODY) != NGX_DECLINED);
    }

    tap_is(bad, 0, "and one after another");

    ngx_trove_key_destroy(keys[0]);
    ngx_trove_key_destroy(keys[1]);
}


/* which key it was: of any number of them, and of several MACs the first */

static void
test_matched(void)
{
    char                    secret[32], value[1024], *p;
    ngx_str_t               one;
    ngx_uint_t              i, n, bad;
    ngx_trove_key_t        *keys[16];
    ngx_trove_mac_t        *mac;
    ngx_trove_signature_t   sg;
    static ngx_uint_t       by[] = { 9, 2, 15, 5 };

    for (i = 0; i < 16; i++) {
        (void) sprintf(secret, "trove-whsec-%d", (int) i);
        keys[i] = key_of(secret);
    }

    bad = 0;

    for (n = 1; n <= 16; n++) {
        for (i = 0; i < n; i++) {
            one = sign(keys[i], "1700000000", BODY);
            (void) sprintf(value, "%.*s", (int) one.len, one.data);
            parse(&sg, value);

            mac = ngx_trove_mac_create(keys, n, sg.text, sg.text_len);
            ngx_trove_mac_update(mac, (u_char *) BODY, sizeof(BODY) - 1);

            bad += (ngx_trove_mac_verify(mac, &sg) != NGX_OK
                    || ngx_trove_mac_matched(mac) != i);

            ngx_trove_mac_destroy(mac);
        }
    }

    tap_is(bad, 0, "the key that matched, of up to 16");

    /* signed by the tenth, the third, none and the sixth */

    p = value + sprintf(value, "t=1700000000");

    for (i = 0; i < 4; i++) {
        one = sign(keys[by[i]], "1700000000", BODY);
        p += sprintf(p, ",%.*s", 67, one.data + one.len - 67);
    }

    parse(&sg, value);
    bad = 0;

    for (n = 0; n < 2; n++) {
        mac = ngx_trove_mac_create(keys + 3 * n, 12 - 3 * n, sg.text,
                                   sg.text_len);
        ngx_trove_mac_update(mac, (u_char *) BODY, sizeof(BODY) - 1);

        bad += (ngx_trove_mac_verify(mac, &sg) != NGX_OK
                || ngx_trove_mac_matched(mac) != 2);

        ngx_trove_mac_destroy(mac);
    }

    tap_is(bad, 0, "the first one of several");

    for (i = 0; i < 16; i++) {
        ngx_trove_key_destroy(keys[i]);
    }
}


/* from memory of just that size: reading beyond it is for ASan to see */

static ngx_int_t
parse(ngx_trove_signature_t *sg, const char *value)
{
    ngx_int_t  rc;
    ngx_str_t  copy;

    copy.len = strlen(value);
    copy.data = malloc(copy.len);
    memcpy(copy.data, value, copy.len);

    rc = ngx_trove_signature_parse(sg, &copy);

    free(copy.data);

    return rc;
}


static ngx_int_t
verify(ngx_trove_key_t **keys, ngx_uint_t nkeys, ngx_trove_signature_t *sg,
    const char *body)
{
    ngx_int_t         rc;
    ngx_trove_mac_t  *mac;

    mac = ngx_trove_mac_create(keys, nkeys, sg->text, sg->text_len);
    if (mac == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_trove_mac_update(mac, (u_char *) body, strlen(body));

    if (rc == NGX_OK) {
        rc = ngx_trove_mac_verify(mac, sg);
    }

    ngx_trove_mac_destroy(mac);

    return rc;
}


static ngx_str_t
sign(ngx_trove_key_t *key, const char *text, const char *body)
{
    u_char           *last;
    ngx_str_t         value;
    ngx_trove_mac_t  *mac;
    static u_char     buf[NGX_TROVE_SIGNATURE_TEXT_MAX];

    mac = ngx_trove_mac_create(&key, 1, (u_char *) text, strlen(text));
    ngx_trove_mac_update(mac, (u_char *) body, strlen(body));
    last = ngx_trove_mac_sign(mac, (u_char *) text, strlen(text), buf);
    ngx_trove_mac_destroy(mac);

    value.data = buf;
    value.len = last ? (size_t) (last - buf) : 0;

    return value;
}


static ngx_trove_key_t *
key_of(const char *secret)
{
    size_t            len;
    u_char           *copy;
    ngx_trove_key_t  *key;

    len = strlen(secret);
    copy = malloc(len);
    memcpy(copy, secret, len);

    key = ngx_trove_key_create(copy, len);

    /* the key is not to need it any more */

    memset(copy, 0, len);
    free(copy);

    return key;
}
