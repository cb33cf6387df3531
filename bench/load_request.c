
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The requests of the load generator.  They are created and signed before the
 * first one is sent.  They share the part of the body after the id, so that
 * many large requests fit into memory.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "load.h"


#define LOAD_ID       "evt-000000000000"
#define LOAD_ID_LEN   (sizeof(LOAD_ID) - 1)
#define LOAD_ID_HEX   (LOAD_ID_LEN - 4)
#define LOAD_MAC_HEX  64


static void load_request_get(load_run_t *run);
static void load_request_read(const char *name);
static void load_request_key(const char *secret);
static void load_request_sign(load_run_t *run, char *hex, const char *t,
    const char *head, size_t head_len);
static void load_request_mac(const void *data, size_t len);


static char         *load_body;
static size_t        load_body_len;
static size_t        load_body_head;      /* up to the end of the id */

static char         *load_heads;          /* all of the same length */
static size_t        load_head_len;
static size_t        load_ids;

static EVP_MAC_CTX  *load_mac;


void
load_request_prepare(load_run_t *run)
{
    int      n;
    char    *id, *p;
    char     t[16], hex[LOAD_MAC_HEX + 1], head[4096];
    size_t   i;

    if (run->get) {
        load_request_get(run);
        return;
    }

    load_request_read(run->file);
    load_request_key(run->secret);

    id = strstr(load_body, LOAD_ID);
    if (id == NULL) {
        load_wrong("the body does not contain \"" LOAD_ID "\"");
    }

    load_body_head = id + LOAD_ID_LEN - load_body;

    snprintf(t, sizeof(t), "%lld", (long long) time(NULL));
    memset(hex, '0', LOAD_MAC_HEX);
    hex[LOAD_MAC_HEX] = '\0';

    n = snprintf(head, sizeof(head),
                 "POST %s HTTP/1.1\r\n"
                 "Host: 127.0.0.1:%d\r\n"
                 "User-Agent: trove-webhooks/1\r\n"
                 "Content-Type: application/json\r\n"
                 "Content-Length: %zu\r\n"
                 "X-Trove-Event: exec.completed\r\n"
                 "X-Trove-Event-Id: %s\r\n"
                 "X-Trove-Signature: t=%s,v1=%s\r\n"
                 "\r\n",
                 run->uri, run->port, load_body_len, LOAD_ID, t, hex);

    if (n < 0 || (size_t) n >= sizeof(head)) {
        load_wrong("the URI is too long");
    }

    free(load_heads);

    load_ids = run->ids;
    load_head_len = n + load_body_head;
    load_heads = malloc(load_ids * load_head_len);

    if (load_heads == NULL) {
        load_die("malloc");
    }

    for (i = 0; i < load_ids; i++) {
        p = load_heads + i * load_head_len;

        memcpy(p, head, n);
        memcpy(p + n, load_body, load_body_head);

        snprintf(hex, sizeof(hex), "%012zx", run->first + i);
        memcpy(strstr(p, LOAD_ID) + 4, hex, LOAD_ID_HEX);
        memcpy(p + load_head_len - LOAD_ID_HEX, hex, LOAD_ID_HEX);

        load_request_sign(run, hex, t, p + n, load_body_head);
        memcpy(p + n - 4 - LOAD_MAC_HEX, hex, LOAD_MAC_HEX);
    }
}


load_request_t
load_request(size_t n)
{
    load_request_t  request;

    request.head = load_heads + n % load_ids * load_head_len;
    request.head_len = load_head_len;
    request.tail = load_body + load_body_head;
    request.tail_len = load_body_len - load_body_head;

    return request;
}


static void
load_request_get(load_run_t *run)
{
    int   n;
    char  head[4096];

    n = snprintf(head, sizeof(head), "GET %s HTTP/1.1\r\n"
                                     "Host: 127.0.0.1:%d\r\n"
                                     "\r\n",
                 run->uri, run->port);

    if (n < 0 || (size_t) n >= sizeof(head)) {
        load_wrong("the URI is too long");
    }

    free(load_heads);

    load_ids = 1;
    load_head_len = n;
    load_heads = malloc(n);

    if (load_heads == NULL) {
        load_die("malloc");
    }

    memcpy(load_heads, head, n);

    load_body_len = 0;
    load_body_head = 0;
}


static void
load_request_read(const char *name)
{
    int    fd;
    off_t  size;

    fd = open(name, O_RDONLY);
    if (fd == -1) {
        load_die(name);
    }

    size = lseek(fd, 0, SEEK_END);

    free(load_body);
    load_body = malloc(size + 1);

    if (load_body == NULL) {
        load_die("malloc");
    }

    if (pread(fd, load_body, size, 0) != size) {
        load_die(name);
    }

    close(fd);

    load_body[size] = '\0';
    load_body_len = size;
}


static void
load_request_key(const char *secret)
{
    EVP_MAC     *hmac;
    OSSL_PARAM   params[2];

    if (load_mac == NULL) {
        hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
        load_mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    }

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (load_mac == NULL
        || EVP_MAC_init(load_mac, (const unsigned char *) secret,
                        strlen(secret), params)
           != 1)
    {
        load_wrong("HMAC failed");
    }
}


static void
load_request_sign(load_run_t *run, char *hex, const char *t, const char *head,
    size_t head_len)
{
    int            i;
    size_t         len;
    unsigned char  md[EVP_MAX_MD_SIZE];

    if (EVP_MAC_init(load_mac, NULL, 0, NULL) != 1) {
        load_wrong("HMAC failed");
    }

    load_request_mac(t, strlen(t));
    load_request_mac(".", 1);
    load_request_mac(head, head_len);
    load_request_mac(load_body + load_body_head,
                     load_body_len - load_body_head);

    if (EVP_MAC_final(load_mac, md, &len, sizeof(md)) != 1) {
        load_wrong("HMAC failed");
    }

    /* the worst case: only the last bit differs */

    if (run->wrong) {
        md[31] ^= 1;
    }

    for (i = 0; i < LOAD_MAC_HEX / 2; i++) {
        sprintf(hex + 2 * i, "%02x", md[i]);
    }
}


static void
load_request_mac(const void *data, size_t len)
{
    if (EVP_MAC_update(load_mac, data, len) != 1) {
        load_wrong("HMAC failed");
    }
}
