
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/evp.h>
#include <yajl/yajl_tree.h>

#include "ngx_trove_event.h"
#include "ngx_trove_signature.h"
#include "tap.h"


/*
 * What the gate does with each case of signature-vectors.json, in the order of
 * its checks and with the clock of the case.  The file is looked for in the
 * directory of argv[1], of $TROVE_DATA, or in t/data.
 */

#define SECRETS_MAX  8


static void run(yajl_val vector);
static const char *verdict(yajl_val vector, yajl_val header, u_char *body,
    size_t len);
static ngx_int_t verify(yajl_val vector, ngx_trove_signature_t *sg,
    u_char *body, size_t len);
static ngx_int_t parse(u_char *body, size_t len);
static void *event_alloc(void *ctx, size_t size);
static u_char *decode(const char *text, size_t *len);
static char *string(yajl_val value);
static yajl_val get(yajl_val object, const char *name, yajl_type type);
static char *load(const char *dir);


int
main(int argc, char **argv)
{
    char        *text, error[1024];
    size_t       i;
    yajl_val     root, vectors;
    const char  *dir;

    dir = getenv("TROVE_DATA");

    if (argc > 1) {
        dir = argv[1];
    }

    text = load(dir ? dir : "t/data");

    if (!tap_ok(text != NULL, "the file is there")) {
        return tap_done();
    }

    root = yajl_tree_parse(text, error, sizeof(error));
    free(text);

    if (!tap_ok(root != NULL, "the file is JSON")) {
        tap_diag("  %s", error);
        return tap_done();
    }

    vectors = get(root, "vectors", yajl_t_array);

    tap_ok(vectors != NULL && YAJL_GET_ARRAY(vectors)->len > 0,
           "it has vectors");

    for (i = 0; vectors && i < YAJL_GET_ARRAY(vectors)->len; i++) {
        run(YAJL_GET_ARRAY(vectors)->values[i]);
    }

    yajl_tree_free(root);

    return tap_done();
}


static void
run(yajl_val vector)
{
    size_t     len;
    u_char    *body;
    yajl_val   name, header, base64, expect;

    name = get(vector, "name", yajl_t_string);
    header = get(vector, "header", yajl_t_any);
    base64 = get(vector, "body_base64", yajl_t_string);
    expect = get(vector, "expect", yajl_t_string);

    if (name == NULL || header == NULL || base64 == NULL || expect == NULL) {
        tap_ok(0, "a vector is complete");
        return;
    }

    len = 0;
    body = decode(string(base64), &len);

    if (tap_ok(body != NULL, "base64 of %s", string(name))) {
        tap_is_str(verdict(vector, header, body, len), string(expect),
                   "%s", string(name));
    }

    free(body);
}


static const char *
verdict(yajl_val vector, yajl_val header, u_char *body, size_t len)
{
    yajl_val                now, tolerance;
    ngx_int_t               rc;
    ngx_str_t               value;
    ngx_trove_signature_t   sg;

    ngx_str_null(&value);

    if (YAJL_IS_STRING(header)) {
        value.data = (u_char *) string(header);
        value.len = strlen(string(header));
    }

    rc = ngx_trove_signature_parse(&sg, &value);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? "missing" : "malformed";
    }

    now = get(vector, "now", yajl_t_number);
    tolerance = get(vector, "tolerance", yajl_t_number);

    if (now == NULL || tolerance == NULL) {
        return "(no clock)";
    }

    if (ngx_trove_signature_fresh(&sg, YAJL_GET_INTEGER(now),
                                  YAJL_GET_INTEGER(tolerance))
        != NGX_OK)
    {
        return "stale";
    }

    rc = verify(vector, &sg, body, len);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? "mismatch" : "(error)";
    }

    switch (parse(body, len)) {

    case NGX_OK:
        return "ok";

    case NGX_DECLINED:
        return "bad_json";

    case NGX_ABORT:
        return "bad_event";

    default:
        return "(error)";
    }
}


static ngx_int_t
verify(yajl_val vector, ngx_trove_signature_t *sg, u_char *body, size_t len)
{
    size_t            i, n;
    yajl_val          secrets, secret;
    ngx_int_t         rc;
    ngx_trove_mac_t  *mac;
    ngx_trove_key_t  *keys[SECRETS_MAX];

    secrets = get(vector, "secrets", yajl_t_array);

    if (secrets == NULL || YAJL_GET_ARRAY(secrets)->len > SECRETS_MAX) {
        return NGX_ERROR;
    }

    n = YAJL_GET_ARRAY(secrets)->len;

    for (i = 0; i < n; i++) {
        secret = YAJL_GET_ARRAY(secrets)->values[i];
        keys[i] = ngx_trove_key_create((u_char *) string(secret),
                                       strlen(string(secret)));
    }

    mac = ngx_trove_mac_create(keys, n, sg->text, sg->text_len);
    rc = ngx_trove_mac_update(mac, body, len);

    if (rc == NGX_OK) {
        rc = ngx_trove_mac_verify(mac, sg);
    }

    ngx_trove_mac_destroy(mac);

    for (i = 0; i < n; i++) {
        ngx_trove_key_destroy(keys[i]);
    }

    return rc;
}


static ngx_int_t
parse(u_char *body, size_t len)
{
    u_char                    *pool[100], **next;
    ngx_int_t                  rc;
    ngx_trove_event_t          event;
    ngx_trove_event_names_t    names;
    ngx_trove_event_parser_t  *parser;

    next = pool;
    ngx_memzero(&names, sizeof(names));

    parser = ngx_trove_event_create(&event, &names, event_alloc, &next);
    (void) ngx_trove_event_feed(parser, body, len);
    rc = ngx_trove_event_finish(parser);
    ngx_trove_event_destroy(parser);

    while (next > pool) {
        free(*--next);
    }

    return rc;
}


static void *
event_alloc(void *ctx, size_t size)
{
    u_char ***next = ctx;

    void  *p;

    p = malloc(size);
    *(*next)++ = p;

    return p;
}


static u_char *
decode(const char *text, size_t *len)
{
    int      n;
    size_t   size;
    u_char  *p;

    size = strlen(text);

    p = malloc(size + 1);

    n = size ? EVP_DecodeBlock(p, (const u_char *) text, size) : 0;

    /* OpenSSL counts what "=" stands for */

    while (n > 0 && size && text[size - 1] == '=') {
        size--;
        n--;
    }

    if (n < 0) {
        free(p);
        return NULL;
    }

    *len = n;

    return p;
}


static char *
string(yajl_val value)
{
    return YAJL_IS_STRING(value) ? value->u.string : "";
}


static yajl_val
get(yajl_val object, const char *name, yajl_type type)
{
    const char  *path[] = { name, NULL };

    return yajl_tree_get(object, path, type);
}


static char *
load(const char *dir)
{
    char    path[4096], *text;
    long    size;
    FILE   *f;

    snprintf(path, sizeof(path), "%s/signature-vectors.json", dir);

    f = fopen(path, "rb");
    if (f == NULL) {
        tap_diag("  cannot open %s", path);
        return NULL;
    }

    fseek(f, 0, SEEK_END);
    size = ftell(f);
    rewind(f);

    text = calloc(1, size + 1);

    if (fread(text, 1, size, f) != (size_t) size) {
        free(text);
        text = NULL;
    }

    fclose(f);

    return text;
}
