
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_body.h"
#include "ngx_http_trove_headers.h"
#include "ngx_http_trove_secret_near.h"
#include "ngx_http_trove_verify_log.h"


/* limits the work for an attacker's body, and is in memory in any case */
#define NGX_HTTP_TROVE_VERIFY_HINT_BODY     16384

#define NGX_HTTP_TROVE_VERIFY_HINT_VALUE    64     /* bytes of a header field */
#define NGX_HTTP_TROVE_VERIFY_HINT_FIELDS   640
#define NGX_HTTP_TROVE_VERIFY_HINT_SECRETS  512

#define NGX_HTTP_TROVE_VERIFY_HINT_NEAR                                       \
    (NGX_HTTP_TROVE_SECRETS_MAX * NGX_HTTP_TROVE_SECRET_NEAR_MAX)


static void ngx_http_trove_verify_fields(ngx_http_request_t *r,
    ngx_str_t *text);
static u_char *ngx_http_trove_verify_field(ngx_http_request_t *r, u_char *p,
    ngx_str_t *name, const char *before);
static void ngx_http_trove_verify_sources(ngx_http_trove_secrets_t *secrets,
    ngx_http_trove_keys_t *keys, ngx_str_t *text);
static u_char *ngx_http_trove_verify_source(u_char *p, u_char *last,
    ngx_uint_t first, ngx_uint_t n, ngx_str_t *name, const char *where);
static const char *ngx_http_trove_verify_near(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature);
static const char *ngx_http_trove_verify_near_body(ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature, u_char *p, size_t len);
static const char *ngx_http_trove_verify_near_secret(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_trove_signature_t *signature,
    u_char *p, size_t len);
static const char *ngx_http_trove_verify_near_keys(
    ngx_http_trove_secret_near_t *near, ngx_uint_t n,
    ngx_trove_signature_t *signature, u_char *p, size_t len);
static ngx_uint_t ngx_http_trove_verify_signed(ngx_trove_key_t **keys,
    ngx_uint_t n, ngx_trove_signature_t *signature, u_char *p, size_t len);


static ngx_str_t  ngx_http_trove_content_type = ngx_string("content-type");
static ngx_str_t  ngx_http_trove_content_encoding =
    ngx_string("content-encoding");


void
ngx_http_trove_verify_log_mismatch(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature)
{
    u_char       fields_buf[NGX_HTTP_TROVE_VERIFY_HINT_FIELDS];
    u_char       tried_buf[NGX_HTTP_TROVE_VERIFY_HINT_SECRETS];
    ngx_str_t    fields, tried;
    const char  *how;

    fields.data = fields_buf;
    ngx_http_trove_verify_fields(r, &fields);

    tried.data = tried_buf;
    ngx_http_trove_verify_sources(secrets, keys, &tried);

    how = ngx_http_trove_verify_near(r, secrets, keys, signature);

    if (how == NULL) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, mismatch: the signature does not "
                      "match the body with any \"trove_secret\"; received %O "
                      "bytes with %V, secrets tried: %V",
                      ngx_http_trove_body_length(r), &fields, &tried);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: event refused, mismatch: the signature does not "
                  "match the body with any \"trove_secret\"; received %O bytes "
                  "with %V, secrets tried: %V; it would match %s",
                  ngx_http_trove_body_length(r), &fields, &tried, how);
}


void
ngx_http_trove_verify_log_no_event(ngx_http_request_t *r,
    ngx_http_trove_verdict_e verdict, const char *reason)
{
    u_char     buf[NGX_HTTP_TROVE_VERIFY_HINT_FIELDS];
    ngx_str_t  encoding;

    encoding.data = buf;
    encoding.len = ngx_http_trove_verify_field(r, buf,
                                        &ngx_http_trove_content_encoding, "")
                   - buf;

    if (encoding.len == 0) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "trove: event refused, %V: the signature is valid, but "
                      "the event is not: %s",
                      ngx_http_trove_verdict_name(verdict), reason);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "trove: event refused, %V: the signature is valid, but the "
                  "event is not: %s; the body has the Content-Encoding %V",
                  ngx_http_trove_verdict_name(verdict), reason, &encoding);
}


static void
ngx_http_trove_verify_fields(ngx_http_request_t *r, ngx_str_t *text)
{
    u_char  *p;

    p = ngx_http_trove_verify_field(r, text->data,
                                    &ngx_http_trove_content_type,
                                    "Content-Type ");

    if (p == text->data) {
        p = ngx_cpymem(p, "no Content-Type", sizeof("no Content-Type") - 1);
    }

    p = ngx_http_trove_verify_field(r, p, &ngx_http_trove_content_encoding,
                                    " and Content-Encoding ");

    text->len = p - text->data;
}


/*
 * The client chooses the header field: its length is limited, and bytes that
 * are not printable are escaped.  Up to 4 bytes are needed for each byte.
 */

static u_char *
ngx_http_trove_verify_field(ngx_http_request_t *r, u_char *p, ngx_str_t *name,
    const char *before)
{
    u_char      ch;
    size_t      i, len;
    ngx_str_t   value;

    static u_char  hex[] = "0123456789ABCDEF";

    /* any one of several is sufficient */

    (void) ngx_http_trove_headers_find(r, name, &value);

    if (value.len == 0) {
        return p;
    }

    p = ngx_cpymem(p, before, ngx_strlen(before));
    *p++ = '"';

    len = ngx_min(value.len, NGX_HTTP_TROVE_VERIFY_HINT_VALUE);

    for (i = 0; i < len; i++) {
        ch = value.data[i];

        if (ch >= 0x20 && ch < 0x7f && ch != '"' && ch != '\\') {
            *p++ = ch;
            continue;
        }

        *p++ = '\\';
        *p++ = 'x';
        *p++ = hex[ch >> 4];
        *p++ = hex[ch & 0xf];
    }

    if (len < value.len) {
        p = ngx_cpymem(p, "...", 3);
    }

    *p++ = '"';

    return p;
}


static void
ngx_http_trove_verify_sources(ngx_http_trove_secrets_t *secrets,
    ngx_http_trove_keys_t *keys, ngx_str_t *text)
{
    u_char                          *p, *last;
    ngx_uint_t                       i, literal;
    ngx_http_trove_secret_origin_t  *source;

    p = text->data;
    last = p + NGX_HTTP_TROVE_VERIFY_HINT_SECRETS;

    literal = 0;
    source = secrets->origins.elts;

    for (i = 0; i < secrets->origins.nelts; i++) {

        if (source[i].name.len == 0) {
            literal += source[i].n;
            continue;
        }

        p = ngx_http_trove_verify_source(p, last, p == text->data, source[i].n,
                                         &source[i].name, "");
    }

    p = ngx_http_trove_verify_source(p, last, p == text->data, literal, NULL,
                                     "in the configuration");

    p = ngx_http_trove_verify_source(p, last, p == text->data,
                                     keys->nkeys - keys->nshared, NULL,
                                     "from variables");

    text->len = p - text->data;
}


static u_char *
ngx_http_trove_verify_source(u_char *p, u_char *last, ngx_uint_t first,
    ngx_uint_t n, ngx_str_t *name, const char *where)
{
    if (n == 0) {
        return p;
    }

    p = ngx_slprintf(p, last, "%s%ui ", first ? "" : ", ", n);

    if (name) {
        return ngx_slprintf(p, last, "from \"%V\"", name);
    }

    return ngx_slprintf(p, last, "%s", where);
}


/* the change by which the signature would match; NULL if unknown */

static const char *
ngx_http_trove_verify_near(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature)
{
    off_t        len;
    u_char      *body, *last;
    const char  *how;

    len = ngx_http_trove_body_length(r);

    if (len == 0 || len > NGX_HTTP_TROVE_VERIFY_HINT_BODY) {
        return NULL;
    }

    body = ngx_alloc((size_t) len, r->connection->log);
    if (body == NULL) {
        return NULL;
    }

    how = NULL;
    last = ngx_http_trove_body_copy(r, body);

    if (last) {
        how = ngx_http_trove_verify_near_body(keys, signature, body,
                                              last - body);

        if (how == NULL) {
            how = ngx_http_trove_verify_near_secret(r, secrets, signature,
                                                    body, last - body);
        }
    }

    ngx_free(body);

    return how;
}


static const char *
ngx_http_trove_verify_near_body(ngx_http_trove_keys_t *keys,
    ngx_trove_signature_t *signature, u_char *p, size_t len)
{
    if (p[len - 1] != LF) {
        return NULL;
    }

    len--;

    if (len && p[len - 1] == CR) {
        len--;
    }

    return ngx_http_trove_verify_signed(keys->keys, keys->nkeys, signature, p,
                                        len)
           ? "without the trailing line break of the body" : NULL;
}


static const char *
ngx_http_trove_verify_near_secret(ngx_http_request_t *r,
    ngx_http_trove_secrets_t *secrets, ngx_trove_signature_t *signature,
    u_char *p, size_t len)
{
    ngx_str_t                      value;
    ngx_uint_t                     i, n;
    const char                    *how;
    ngx_http_complex_value_t      *cv;
    ngx_http_trove_secret_near_t   near[NGX_HTTP_TROVE_VERIFY_HINT_NEAR];

    how = ngx_http_trove_verify_near_keys(secrets->near.elts,
                                          secrets->near.nelts, signature, p,
                                          len);
    if (how) {
        return how;
    }

    n = 0;
    cv = secrets->values.elts;

    for (i = 0; i < secrets->values.nelts; i++) {
        if (ngx_http_trove_secret_evaluate(r, &cv[i], &value) == NGX_OK
            && value.len)
        {
            n += ngx_http_trove_secret_near(value.data, value.len, &near[n],
                                            r->connection->log);
        }
    }

    how = ngx_http_trove_verify_near_keys(near, n, signature, p, len);

    ngx_http_trove_secret_near_free(near, n);

    return how;
}


static const char *
ngx_http_trove_verify_near_keys(ngx_http_trove_secret_near_t *near,
    ngx_uint_t n, ngx_trove_signature_t *signature, u_char *p, size_t len)
{
    ngx_uint_t   i;
    const char  *how;

    static const char  *names[] = {
        "without \"trove-whsec-\" before the secret",
        "with \"trove-whsec-\" before the secret",
        "without the quotes around the secret",
        "without the blanks around the secret"
    };

    how = NULL;

    for (i = 0; i < n; i++) {
        if (ngx_http_trove_verify_signed(&near[i].key, 1, signature, p, len)) {
            how = names[near[i].how];
        }
    }

    return how;
}


static ngx_uint_t
ngx_http_trove_verify_signed(ngx_trove_key_t **keys, ngx_uint_t n,
    ngx_trove_signature_t *signature, u_char *p, size_t len)
{
    ngx_uint_t        matches;
    ngx_trove_mac_t  *mac;

    mac = ngx_trove_mac_create(keys, n, signature->text, signature->text_len);
    if (mac == NULL) {
        return 0;
    }

    (void) ngx_trove_mac_update(mac, p, len);

    matches = (ngx_trove_mac_verify(mac, signature) == NGX_OK);

    ngx_trove_mac_destroy(mac);

    return matches;
}
