
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"
#include "json.h"

#include "ngx_http_trove_api_webhook_body.c"


/*
 * Tests the body of a call that changes a subscription, against a slow and
 * simple reference.  The input is a byte, the members that are allowed, and the
 * body.
 */


#define POOL  512                                /* allocations of a call */


typedef struct {
    const u_char                 *last;
    ngx_uint_t                    depth;
    ngx_uint_t                    halves;
    ngx_uint_t                    allowed;
    ngx_uint_t                    invalid;       /* a member, or no object */
    ngx_http_trove_api_fields_t   fields;
    ngx_str_t                     events[NGX_TROVE_SPOOL_PATTERNS];
} reference_t;


static ngx_int_t reference(reference_t *ref, const u_char *body, size_t len);
static const u_char *blanks(reference_t *ref, const u_char *p);
static const u_char *value(reference_t *ref, const u_char *p, ngx_uint_t bit);
static const u_char *elements(reference_t *ref, const u_char *p,
    ngx_uint_t bit);
static const u_char *number(reference_t *ref, const u_char *p, ngx_uint_t bit);
static const u_char *digits(reference_t *ref, const u_char *p);
static const u_char *string(reference_t *ref, const u_char *p, ngx_str_t *str);
static ngx_uint_t member(reference_t *ref, ngx_str_t *key);
static ngx_str_t *text(reference_t *ref, ngx_uint_t bit);
static void same(ngx_str_t *one, ngx_str_t *two);


/* of NGINX: memory that ends where it has to */

static void        *pool[POOL];
static ngx_uint_t   npool;


void *
ngx_palloc(ngx_pool_t *p, size_t size)
{
    fuzz_check(npool < POOL, "too many allocations");

    pool[npool] = malloc(size);
    fuzz_check(pool[npool] != NULL, "harness: out of memory");

    return pool[npool++];
}


void *
ngx_pnalloc(ngx_pool_t *p, size_t size)
{
    return ngx_palloc(p, size);
}


ngx_int_t
ngx_atoi(u_char *line, size_t n)
{
    ngx_int_t  value;

    value = n ? 0 : NGX_ERROR;

    for ( /* void */ ; n; n--, line++) {

        if (!isdigit(*line) || value > 100000000) {
            return NGX_ERROR;
        }

        value = value * 10 + *line - '0';
    }

    return value;
}


ngx_int_t
ngx_hextoi(u_char *line, size_t n)
{
    char  hex[5];

    fuzz_check(n == 4, "%d digits", (int) n);

    memcpy(hex, line, 4);
    hex[4] = '\0';

    return (isxdigit(line[0]) && isxdigit(line[1]) && isxdigit(line[2])
            && isxdigit(line[3])) ? strtol(hex, NULL, 16) : NGX_ERROR;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    u_char                       *body;
    ngx_int_t                     rc, expected;
    ngx_uint_t                    i;
    reference_t                   ref;
    ngx_http_request_t            r;
    ngx_http_trove_api_t          api;
    ngx_http_trove_api_fields_t   fields;

    if (size < 1) {
        return 0;
    }

    ngx_memzero(&r, sizeof(ngx_http_request_t));
    ngx_memzero(&api, sizeof(ngx_http_trove_api_t));
    ngx_memzero(&fields, sizeof(ngx_http_trove_api_fields_t));
    ngx_memzero(&ref, sizeof(reference_t));

    body = fuzz_copy(data + 1, size - 1);

    api.request = &r;
    api.body.data = body;
    api.body.len = size - 1;

    rc = ngx_http_trove_api_webhook_body(&api, &fields, data[0]);

    ref.allowed = data[0];
    expected = reference(&ref, body, size - 1);

    fuzz_check(rc == expected, "%d, not %d: %s", (int) rc, (int) expected,
               api.reject ? api.reject : "");

    if (rc == NGX_OK) {
        fuzz_check(fields.given == ref.fields.given, "%x, not %x",
                   (int) fields.given, (int) ref.fields.given);
        fuzz_check(fields.keep == ref.fields.keep, "%d", (int) fields.keep);
        fuzz_check(fields.enabled == ref.fields.enabled, "enabled");
        fuzz_check(fields.nevents == ref.fields.nevents, "%d events",
                   (int) fields.nevents);
        fuzz_check((fields.events != NULL) == (ref.fields.events != NULL),
                   "events");

        same(&fields.url, &ref.fields.url);
        same(&fields.namespace, &ref.fields.namespace);
        same(&fields.description, &ref.fields.description);

        for (i = 0; i < fields.nevents; i++) {
            same(&fields.events[i], &ref.events[i]);
        }

    } else {
        fuzz_check(api.reject != NULL, "no reason");
    }

    while (npool) {
        free(pool[--npool]);
    }

    free(ref.fields.url.data);
    free(ref.fields.namespace.data);
    free(ref.fields.description.data);

    for (i = 0; i < ref.fields.nevents; i++) {
        free(ref.events[i].data);
    }

    free(body);

    return 0;
}


static void
same(ngx_str_t *one, ngx_str_t *two)
{
    fuzz_check((one->data != NULL) == (two->data != NULL), "absent");
    fuzz_check(one->len == two->len
               && (one->len == 0
                   || memcmp(one->data, two->data, one->len) == 0),
               "%d bytes, not %d", (int) one->len, (int) two->len);
}


static ngx_int_t
reference(reference_t *ref, const u_char *body, size_t len)
{
    const u_char  *p;

    ref->last = body + len;
    p = NULL;

    if (json_utf8(body, ref->last)) {
        p = blanks(ref, body);
        ref->invalid = (p == ref->last || *p != '{');
        p = value(ref, p, 0);
    }

    if (p == NULL || blanks(ref, p) != ref->last || ref->halves) {
        return NGX_HTTP_BAD_REQUEST;
    }

    return ref->invalid ? NGX_HTTP_TROVE_API_INVALID : NGX_OK;
}


static const u_char *
blanks(reference_t *ref, const u_char *p)
{
    while (p < ref->last && *p != '\0' && strchr(" \t\r\n", *p)) {
        p++;
    }

    return p;
}


/* the end of a value of the member bit, or of none; NULL if it is no JSON */

static const u_char *
value(reference_t *ref, const u_char *p, ngx_uint_t bit)
{
    size_t      len;
    ngx_str_t   unused, *str;
    ngx_uint_t  i;

    static const char  *literals[] = { "null", "true", "false" };

    if (p == ref->last) {
        return NULL;
    }

    if (*p == '"') {
        str = text(ref, bit);
        ref->invalid |= (bit && str == NULL);

        p = string(ref, p, str ? str : &unused);

        if (p && str == NULL) {
            free(unused.data);
        }

        return p;
    }

    if (*p == '{' || *p == '[') {
        ref->invalid |= (bit
                         && (bit != NGX_HTTP_TROVE_API_EVENTS || *p == '{'));

        if (++ref->depth > 128) {
            return NULL;
        }

        if (bit == NGX_HTTP_TROVE_API_EVENTS && *p == '[') {
            ref->fields.events = ref->events;
        }

        p = elements(ref, p, bit);
        ref->depth--;

        return p;
    }

    for (i = 0; i < 3; i++) {
        len = strlen(literals[i]);

        if ((size_t) (ref->last - p) < len || memcmp(p, literals[i], len)) {
            continue;
        }

        if (i == 0) {
            ref->invalid |= (bit == NGX_HTTP_TROVE_API_URL
                             || bit == NGX_HTTP_TROVE_API_ENABLED);

        } else if (bit == NGX_HTTP_TROVE_API_ENABLED) {
            ref->fields.enabled = (i == 1);

        } else {
            ref->invalid |= (bit != 0);
        }

        return p + len;
    }

    return number(ref, p, bit);
}


static const u_char *
elements(reference_t *ref, const u_char *p, ngx_uint_t bit)
{
    u_char      close;
    ngx_str_t   key, *str;
    ngx_uint_t  inner;

    close = (*p++ == '{') ? '}' : ']';
    p = blanks(ref, p);

    if (p < ref->last && *p == close) {
        return p + 1;
    }

    for ( ;; ) {
        inner = 0;

        if (close == '}') {

            if (p == ref->last || *p != '"') {
                return NULL;
            }

            p = string(ref, p, &key);

            if (p == NULL) {
                return NULL;
            }

            inner = (ref->depth == 1) ? member(ref, &key) : 0;
            free(key.data);

            p = blanks(ref, p);

            if (p == ref->last || *p++ != ':') {
                return NULL;
            }

            p = blanks(ref, p);
        }

        if (bit == NGX_HTTP_TROVE_API_EVENTS && close == ']') {

            if (p == ref->last) {
                return NULL;
            }

            if (*p == '"' && ref->fields.nevents < NGX_TROVE_SPOOL_PATTERNS) {
                str = &ref->events[ref->fields.nevents];
                p = string(ref, p, str);
                ref->fields.nevents += (p != NULL);

            } else {
                ref->invalid = 1;
                p = value(ref, p, 0);
            }

        } else {
            p = value(ref, p, inner);
        }

        if (p == NULL) {
            return NULL;
        }

        p = blanks(ref, p);

        if (p == ref->last || (*p != ',' && *p != close)) {
            return NULL;
        }

        if (*p++ == close) {
            return p;
        }

        p = blanks(ref, p);
    }
}


static const u_char *
number(reference_t *ref, const u_char *p, ngx_uint_t bit)
{
    long           n;
    const u_char  *start;

    start = p;
    p += (p < ref->last && *p == '-');

    if (p < ref->last && *p == '0') {
        p++;

    } else {
        p = digits(ref, p);
    }

    if (p && p < ref->last && *p == '.') {
        p = digits(ref, p + 1);
    }

    if (p && p < ref->last && (*p == 'e' || *p == 'E')) {
        p++;
        p += (p < ref->last && (*p == '+' || *p == '-'));
        p = digits(ref, p);
    }

    if (p == NULL || bit == 0) {
        return p;
    }

    n = -1;

    if (bit == NGX_HTTP_TROVE_API_KEEP && p - start <= 6) {

        for (n = 0; start < p; start++) {

            if (!isdigit(*start)) {
                n = -1;
                break;
            }

            n = n * 10 + *start - '0';
        }
    }

    if (n < 0 || n > 604800) {
        ref->invalid = 1;

    } else {
        ref->fields.keep = n;
    }

    return p;
}


/* one or more */

static const u_char *
digits(reference_t *ref, const u_char *p)
{
    const u_char  *start;

    for (start = p; p < ref->last && isdigit(*p); p++) { /* void */ }

    return (p == start) ? NULL : p;
}


/* the end of a string, and its contents, to be freed; NULL: it is invalid */

static const u_char *
string(reference_t *ref, const u_char *p, ngx_str_t *str)
{
    ngx_uint_t     halves;
    const u_char  *end;

    end = json_string(p + 1, ref->last);

    if (end == NULL) {
        return NULL;
    }

    str->data = malloc(end - p);
    fuzz_check(str->data != NULL, "harness: out of memory");

    str->len = json_decode(p + 1, end, str->data, &halves);
    ref->halves += halves;

    return end + 1;
}


static ngx_uint_t
member(reference_t *ref, ngx_str_t *key)
{
    ngx_uint_t  i;

    static const char  *names[] = {
        "url", "events", "namespace", "description", "enabled", "keep_seconds"
    };

    for (i = 0; i < 6; i++) {

        if (key->len != strlen(names[i])
            || memcmp(key->data, names[i], key->len) != 0
            || !(ref->allowed & (1 << i)))
        {
            continue;
        }

        if (ref->fields.given & (1 << i)) {
            ref->invalid = 1;
            return 0;
        }

        ref->fields.given |= 1 << i;

        return 1 << i;
    }

    return 0;
}


static ngx_str_t *
text(reference_t *ref, ngx_uint_t bit)
{
    return bit == NGX_HTTP_TROVE_API_URL ? &ref->fields.url
           : bit == NGX_HTTP_TROVE_API_NAMESPACE ? &ref->fields.namespace
           : bit == NGX_HTTP_TROVE_API_DESCRIPTION ? &ref->fields.description
           : NULL;
}
