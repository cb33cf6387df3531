
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "ngx_trove_signature.h"


/*
 * Tests core/signature.  The input:
 *
 *   1 byte    the number of keys, and their choice
 *   1 byte    the tolerance in seconds
 *   1 byte    the sizes of the parts of the body
 *   a line    the header.  $ is replaced with the valid MAC in hex, % with that
 *             of another key in upper case, and ~ with the valid one except for
 *             one bit: a fuzzer cannot find a valid MAC
 *   the rest  the body
 *
 * The results of the parser and of the MAC must be those of the reference
 * below, which is written from the documentation of the sender, and of
 * OpenSSL's HMAC() over the whole text.
 */

#define KEYS      4
#define MAC       NGX_TROVE_SIGNATURE_MAC_LEN
#define TEXT_MAX  NGX_TROVE_SIGNATURE_TEXT_MAX


typedef struct {
    ngx_uint_t       nt;               /* the number of "t=" */
    const u_char    *t;
    size_t           t_len;
    ngx_uint_t       nmacs;
    const u_char    *macs[NGX_TROVE_SIGNATURE_HEADER_MAX];
    ngx_uint_t       bad;
} reference_t;


typedef struct {
    ngx_uint_t        nkeys;
    ngx_uint_t        index[KEYS];
    ngx_trove_key_t  *keys[KEYS];
} key_set_t;


static ngx_int_t reference(reference_t *ref, const u_char *p, size_t len);
static ngx_uint_t span(const u_char *p, size_t len, const char *set);
static size_t expand(u_char *dst, const u_char *p, size_t len,
    reference_t *ref, const u_char *body, size_t body_len);
static void mac_of(ngx_uint_t key, const u_char *text, size_t text_len,
    const u_char *body, size_t body_len, u_char *md);
static void check_parsed(ngx_trove_signature_t *sg, reference_t *ref);
static void check_fresh(ngx_trove_signature_t *sg, int64_t tolerance);
static ngx_int_t verify(key_set_t *set, ngx_trove_signature_t *sg,
    const u_char *body, size_t len, uint32_t cut);
static void check_sign(key_set_t *set, ngx_trove_signature_t *sg,
    const u_char *body, size_t len);


static const char  *secrets[KEYS] = {
    "trove-whsec-4f2c9d7e1b",          /* of t/data/signature-vectors.json */
    "trove-whsec-other",
    "k",
    "one that is longer than a block of SHA-256, and hashed before it is used"
};

static ngx_trove_key_t  *all[KEYS];


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                 len, body_len;
    u_char                *header, md[MAC];
    uint32_t               cut;
    int64_t                tolerance;
    ngx_int_t              rc, expected;
    ngx_str_t              value;
    key_set_t              set;
    ngx_uint_t             i, n, mode;
    reference_t            ref;
    const u_char          *line, *body;
    fuzz_input_t           in;
    ngx_trove_signature_t  sg;

    static int64_t  tolerances[] = { 300, 0, 1, 172800, NGX_MAX_INT32_VALUE,
                                     1000000000000LL };

    in.p = data;
    in.last = data + size;

    mode = fuzz_number(&in, 1);
    n = sizeof(tolerances) / sizeof(tolerances[0]);
    tolerance = tolerances[fuzz_number(&in, 1) % n];
    cut = fuzz_number(&in, 1);

    set.nkeys = 1 + mode % 3;

    for (i = 0; i < set.nkeys; i++) {
        n = (mode >> (2 + 2 * i)) % KEYS;

        if (all[n] == NULL) {
            all[n] = ngx_trove_key_create((u_char *) secrets[n],
                                          strlen(secrets[n]));
            fuzz_check(all[n] != NULL, "no key");
        }

        set.index[i] = n;
        set.keys[i] = all[n];
    }

    line = in.p;
    body = (in.p < in.last) ? memchr(in.p, '\n', in.last - in.p) : NULL;
    len = (body ? body : in.last) - line;
    body = body ? body + 1 : in.last;
    body_len = in.last - body;

    /* the timestamp is known before the MACs over it */

    (void) reference(&ref, line, len);

    header = malloc(len * 2 * MAC + 1);
    fuzz_check(header != NULL, "no memory for the harness");

    value.len = expand(header, line, len, &ref, body, body_len);
    value.data = fuzz_copy(header, value.len);
    free(header);

    expected = reference(&ref, value.data, value.len);
    rc = ngx_trove_signature_parse(&sg, &value);

    fuzz_check(rc == expected, "parsed: %d, the reference: %d", (int) rc,
               (int) expected);

    if (rc != NGX_OK) {
        free(value.data);
        return 0;
    }

    check_parsed(&sg, &ref);
    check_fresh(&sg, tolerance);

    /* the result does not refer to the header */

    free(value.data);

    expected = NGX_DECLINED;

    for (i = 0; i < set.nkeys; i++) {
        mac_of(set.index[i], sg.text, sg.text_len, body, body_len, md);

        for (n = 0; n < sg.nmacs; n++) {
            if (memcmp(md, sg.macs[n], MAC) == 0) {
                expected = NGX_OK;
            }
        }
    }

    /* again: using a key must not change it */

    for (i = 0; i < 2; i++) {
        rc = verify(&set, &sg, body, body_len, cut);

        fuzz_check(rc == expected, "verified: %d, the reference: %d, run %d",
                   (int) rc, (int) expected, (int) i);
    }

    check_sign(&set, &sg, body, body_len);

    return 0;
}


static ngx_int_t
reference(reference_t *ref, const u_char *p, size_t len)
{
    const u_char  *last, *comma, *end;

    ref->nt = 0;
    ref->nmacs = 0;
    ref->bad = 0;

    if (span(p, len, " \t") == len) {
        return NGX_DECLINED;
    }

    if (len > NGX_TROVE_SIGNATURE_HEADER_MAX) {
        ref->bad = 1;
    }

    last = p + len;

    for ( ;; ) {
        comma = memchr(p, ',', last - p);
        end = comma ? comma : last;

        p += span(p, end - p, " \t");

        while (end > p && span(end - 1, 1, " \t")) {
            end--;
        }

        len = end - p;

        if (len >= 2 && memcmp(p, "t=", 2) == 0) {
            ref->t = p + 2;
            ref->t_len = len - 2;

            ref->bad |= ref->nt++ > 0
                        || ref->t_len < 1
                        || ref->t_len > 12
                        || span(ref->t, ref->t_len, "0123456789") != ref->t_len
                        || (ref->t[0] == '0' && ref->t_len > 1);

        } else if (len >= 3 && memcmp(p, "v1=", 3) == 0) {
            ref->bad |= len - 3 != 2 * MAC
                        || span(p + 3, len - 3, "0123456789abcdefABCDEF")
                           != len - 3;

            if (!ref->bad) {
                ref->macs[ref->nmacs++] = p + 3;
            }
        }

        if (comma == NULL) {
            break;
        }

        p = comma + 1;
    }

    return (ref->bad || ref->nt != 1 || ref->nmacs < 1 || ref->nmacs > 8)
           ? NGX_ERROR : NGX_OK;
}


/* the number of bytes at the start that are in a set */

static ngx_uint_t
span(const u_char *p, size_t len, const char *set)
{
    size_t  n;

    for (n = 0; n < len; n++) {
        if (p[n] == '\0' || strchr(set, p[n]) == NULL) {
            break;
        }
    }

    return n;
}


static size_t
expand(u_char *dst, const u_char *p, size_t len, reference_t *ref,
    const u_char *body, size_t body_len)
{
    u_char         md[MAC], *start;
    size_t         n, i, text_len;
    const u_char  *text;

    start = dst;
    text = ref->nt ? ref->t : p;
    text_len = ref->nt ? ngx_min(ref->t_len, 12) : 0;

    for (n = 0; n < len; n++) {

        if (p[n] != '$' && p[n] != '%' && p[n] != '~') {
            *dst++ = p[n];
            continue;
        }

        mac_of(p[n] == '%', text, text_len, body, body_len, md);

        if (p[n] == '~') {
            md[text_len ? text[text_len - 1] % MAC : 0] ^= 1 << (len % 8);
        }

        for (i = 0; i < MAC; i++) {
            *dst++ = (p[n] == '%' ? "0123456789ABCDEF" : "0123456789abcdef")
                     [md[i] >> 4];
            *dst++ = (p[n] == '%' ? "0123456789ABCDEF" : "0123456789abcdef")
                     [md[i] & 15];
        }
    }

    return dst - start;
}


static void
mac_of(ngx_uint_t key, const u_char *text, size_t text_len,
    const u_char *body, size_t body_len, u_char *md)
{
    u_char        *p;
    unsigned int   n;

    p = malloc(text_len + 1 + body_len);
    fuzz_check(p != NULL, "no memory for the harness");

    ngx_memcpy(p, text, text_len);
    p[text_len] = '.';
    ngx_memcpy(p + text_len + 1, body, body_len);

    n = 0;

    fuzz_check(HMAC(EVP_sha256(), secrets[key], strlen(secrets[key]), p,
                    text_len + 1 + body_len, md, &n) != NULL && n == MAC,
               "HMAC()");

    free(p);
}


static void
check_parsed(ngx_trove_signature_t *sg, reference_t *ref)
{
    char        text[13], byte[3];
    ngx_uint_t  n, i;

    fuzz_check(sg->text_len == ref->t_len
               && memcmp(sg->text, ref->t, ref->t_len) == 0, "the digits");

    ngx_memcpy(text, ref->t, ref->t_len);
    text[ref->t_len] = '\0';

    fuzz_check(sg->timestamp == strtoll(text, NULL, 10), "the timestamp");
    fuzz_check(sg->nmacs == ref->nmacs, "%d MACs", (int) sg->nmacs);

    byte[2] = '\0';

    for (n = 0; n < sg->nmacs; n++) {
        for (i = 0; i < MAC; i++) {
            ngx_memcpy(byte, ref->macs[n] + 2 * i, 2);
            fuzz_check(sg->macs[n][i] == strtoul(byte, NULL, 16),
                       "byte %d of MAC %d", (int) i, (int) n);
        }
    }
}


/* at the limits of the tolerance, and one second to each side */

static void
check_fresh(ngx_trove_signature_t *sg, int64_t tolerance)
{
    int64_t    now, age, side;
    ngx_int_t  rc;

    for (side = -1; side <= 1; side++) {
        for (now = -1; now <= 1; now++) {
            age = side * tolerance + now;

            rc = ngx_trove_signature_fresh(sg, sg->timestamp + age, tolerance);

            fuzz_check((rc == NGX_OK)
                       == (tolerance == 0 || llabs(age) <= tolerance),
                       "age %lld, tolerance %lld: %d", (long long) age,
                       (long long) tolerance, (int) rc);
        }
    }
}


static ngx_int_t
verify(key_set_t *set, ngx_trove_signature_t *sg, const u_char *body,
    size_t len, uint32_t cut)
{
    u_char           *p;
    size_t            n, size;
    ngx_int_t         rc;
    ngx_trove_mac_t  *mac, *other;

    mac = ngx_trove_mac_create(set->keys, set->nkeys, sg->text, sg->text_len);
    fuzz_check(mac != NULL, "no MAC");

    /* a MAC that is not finished, as when the client closes the connection */

    other = ngx_trove_mac_create(set->keys, set->nkeys, sg->text,
                                 sg->text_len);
    fuzz_check(other != NULL, "no MAC");

    for (n = 0; n < len; n += size) {
        size = cut ? fuzz_piece(&cut, len - n) : len - n;
        p = fuzz_copy(body + n, size);

        fuzz_check(ngx_trove_mac_update(mac, p, size) == NGX_OK, "update");

        if (n == 0) {
            fuzz_check(ngx_trove_mac_update(other, p, size) == NGX_OK,
                       "update");
        }

        free(p);
    }

    rc = ngx_trove_mac_verify(mac, sg);

    ngx_trove_mac_destroy(other);
    ngx_trove_mac_destroy(mac);

    return rc;
}


/* the signature is the one that the sender would create, and is valid */

static void
check_sign(key_set_t *set, ngx_trove_signature_t *sg, const u_char *body,
    size_t len)
{
    u_char                 *buf, *end, md[MAC];
    char                    expected[TEXT_MAX + 1], *p;
    ngx_str_t               value;
    ngx_uint_t              i;
    ngx_trove_mac_t        *mac;
    ngx_trove_signature_t   again;

    buf = malloc(TEXT_MAX);
    mac = ngx_trove_mac_create(set->keys, 1, sg->text, sg->text_len);
    fuzz_check(mac != NULL && buf != NULL, "no MAC");

    (void) ngx_trove_mac_update(mac, (u_char *) body, len);
    end = ngx_trove_mac_sign(mac, sg->text, sg->text_len, buf);
    ngx_trove_mac_destroy(mac);

    mac_of(set->index[0], sg->text, sg->text_len, body, len, md);

    p = expected + sprintf(expected, "t=%.*s,v1=", (int) sg->text_len,
                           (char *) sg->text);

    for (i = 0; i < MAC; i++) {
        p += sprintf(p, "%02x", md[i]);
    }

    fuzz_check(end != NULL && end - buf == p - expected
               && memcmp(buf, expected, end - buf) == 0, "another header");

    value.data = buf;
    value.len = end - buf;

    fuzz_check(ngx_trove_signature_parse(&again, &value) == NGX_OK,
               "the signed header is malformed");
    fuzz_check(verify(set, &again, body, len, 0) == NGX_OK,
               "the signed header is not valid");

    free(buf);
}
