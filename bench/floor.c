
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Measures the floor: only HMAC-SHA256 by EVP_MAC and the JSON parser over the
 * bytes of an event.  OpenSSL's context is created before.  yajl has no
 * callbacks and does not check UTF-8.
 *
 *     floor FILE MILLISECONDS [CPU]
 *
 * Prints the processor time of each in nanoseconds: the MAC, yajl.
 */

#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <yajl/yajl_parse.h>


#define FLOOR_BODY_MAX  (4 * 1024 * 1024)


typedef void (*floor_work_pt)(unsigned char *body, size_t len);


static double floor_time(void);
static double floor_measure(floor_work_pt work, unsigned char *body,
    size_t len, double seconds);
static void floor_fail(const char *what);
static void floor_mac(unsigned char *body, size_t len);
static void floor_yajl(unsigned char *body, size_t len);


static EVP_MAC_CTX    *floor_ctx;
static unsigned char   floor_body[FLOOR_BODY_MAX];


static double
floor_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


/* nanoseconds of one run */

static double
floor_measure(floor_work_pt work, unsigned char *body, size_t len,
    double seconds)
{
    double  start, spent;
    size_t  i, n;

    /* enough runs to make the clock cheap, and half a millisecond to warm up */

    n = 1 + 200000 / (len + 100);
    work(body, len);

    n *= 10;
    start = floor_time();

    for (i = 0; i < n; i++) {
        work(body, len);
    }

    spent = floor_time() - start;
    n = 1 + n * seconds / (spent > 1e-6 ? spent : 1e-6);

    start = floor_time();

    for (i = 0; i < n; i++) {
        work(body, len);
    }

    return (floor_time() - start) / n * 1e9;
}


static void
floor_fail(const char *what)
{
    fprintf(stderr, "floor: %s failed\n", what);
    exit(1);
}


static void
floor_mac(unsigned char *body, size_t len)
{
    size_t         n;
    unsigned char  md[EVP_MAX_MD_SIZE];

    if (EVP_MAC_init(floor_ctx, NULL, 0, NULL) != 1
        || EVP_MAC_update(floor_ctx, (unsigned char *) "1700000000.", 11) != 1
        || EVP_MAC_update(floor_ctx, body, len) != 1
        || EVP_MAC_final(floor_ctx, md, &n, sizeof(md)) != 1)
    {
        floor_fail("HMAC");
    }
}


static void
floor_yajl(unsigned char *body, size_t len)
{
    yajl_handle            yajl;
    static yajl_callbacks  callbacks;

    yajl = yajl_alloc(&callbacks, NULL, NULL);

    if (yajl == NULL) {
        floor_fail("yajl_alloc()");
    }

    yajl_config(yajl, yajl_dont_validate_strings, 1);

    if (yajl_parse(yajl, body, len) != yajl_status_ok
        || yajl_complete_parse(yajl) != yajl_status_ok)
    {
        floor_fail("yajl");
    }

    yajl_free(yajl);
}


int
main(int argc, char **argv)
{
    FILE        *file;
    double       seconds, mac, yajl;
    size_t       len;
    EVP_MAC     *hmac;
    cpu_set_t    set;
    OSSL_PARAM   params[2];

    if (argc < 3) {
        fprintf(stderr, "usage: floor FILE MILLISECONDS [CPU]\n");
        return 2;
    }

    if (argc > 3) {
        CPU_ZERO(&set);
        CPU_SET(atoi(argv[3]), &set);

        if (sched_setaffinity(0, sizeof(set), &set) == -1) {
            floor_fail("sched_setaffinity()");
        }
    }

    file = fopen(argv[1], "r");
    len = file ? fread(floor_body, 1, sizeof(floor_body), file) : 0;

    if (len == 0) {
        floor_fail("reading the file");
    }

    fclose(file);

    hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    floor_ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

    params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
                                                 (char *) "SHA256", 0);
    params[1] = OSSL_PARAM_construct_end();

    if (floor_ctx == NULL
        || EVP_MAC_init(floor_ctx, (unsigned char *) "trove-whsec-bench", 17,
                        params)
           != 1)
    {
        floor_fail("HMAC");
    }

    seconds = atof(argv[2]) / 1000 / 2;

    mac = floor_measure(floor_mac, floor_body, len, seconds);
    yajl = floor_measure(floor_yajl, floor_body, len, seconds);

    printf("%.1f %.1f\n", mac, yajl);

    return 0;
}
