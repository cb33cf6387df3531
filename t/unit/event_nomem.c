
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <setjmp.h>
#include <yajl/yajl_parse.h>

#include "ngx_trove_arena.h"
#include "ngx_trove_event.h"
#include "tap.h"


/*
 * The event room once more, under other names and with a malloc() that fails:
 * for each allocation that there is, a parse in which this one fails.
 */

#define ngx_trove_arena_funcs      nomem_arena_funcs
#define ngx_trove_event_create     nomem_event_create
#define ngx_trove_event_feed       nomem_event_feed
#define ngx_trove_event_finish     nomem_event_finish
#define ngx_trove_event_reason     nomem_event_reason
#define ngx_trove_event_destroy    nomem_event_destroy
#define ngx_trove_event_buf_add    nomem_event_buf_add
#define ngx_trove_event_callbacks  nomem_event_callbacks
#define ngx_trove_event_check      nomem_event_check

#define malloc(size)      nomem_malloc(size)
#define realloc(p, size)  nomem_realloc(p, size)
#define free(p)           nomem_free(p)

static void *nomem_malloc(size_t size);
static void *nomem_realloc(void *p, size_t size);
static void nomem_free(void *p);

ngx_trove_event_parser_t *nomem_event_create(ngx_trove_event_t *event,
    ngx_trove_event_names_t *names, ngx_trove_event_alloc_pt alloc,
    void *alloc_ctx);
ngx_int_t nomem_event_feed(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len);
ngx_int_t nomem_event_finish(ngx_trove_event_parser_t *parser);
const char *nomem_event_reason(ngx_trove_event_parser_t *parser);
void nomem_event_destroy(ngx_trove_event_parser_t *parser);

void nomem_arena_funcs(ngx_trove_arena_t *arena, yajl_alloc_funcs *funcs);

#include "ngx_trove_arena.c"
#include "ngx_trove_event.c"
#include "ngx_trove_event_buf.c"
#include "ngx_trove_event_token.c"

#undef malloc
#undef realloc
#undef free


#define BODY_SIZE  200000
#define POOL_MAX   100


static ngx_int_t run(size_t piece);
static void *pool_alloc(void *ctx, size_t size);
static ngx_uint_t fails(void);


static char        body[BODY_SIZE];
static size_t      body_len;
static void       *pool[POOL_MAX];
static ngx_uint_t  npool, calls, fail_at, live;


int
main(void)
{
    size_t      len, pieces[] = { 1, 100, BODY_SIZE };
    ngx_int_t   rc;
    ngx_uint_t  i, k, n, bad;

    /* more than the arena holds: a key, a string, an object, and a stack */

    len = sprintf(body, "{\"id\":\"evt-1\",\"type\":\"t\",\"\\n");
    memset(body + len, 'k', 9000);
    len += 9000;
    len += sprintf(body + len, "\":");
    memset(body + len, '[', 127);
    len += 127;
    memset(body + len, ']', 127);
    len += 127;
    len += sprintf(body + len, ",\"data\":{\"path\":\"");
    memset(body + len, 'p', 50000);
    len += 50000;
    len += sprintf(body + len, "\",\"x\":{\"a\":\"");
    memset(body + len, 'a', 50000);
    len += 50000;
    len += sprintf(body + len, "\"}}}");

    body_len = len;

    for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {

        fail_at = 0;
        rc = run(pieces[i]);
        n = calls;

        tap_is(rc, NGX_OK, "pieces of %d: enough memory", (int) pieces[i]);
        tap_ok(n > 5, "%d allocations", (int) n);
        tap_is(live, 0, "all is given back");

        bad = 0;

        for (k = 1; k <= n; k++) {
            fail_at = k;
            rc = run(pieces[i]);

            if (rc != NGX_ERROR || live) {
                tap_diag("  allocation %d: %d, %d not given back",
                         (int) k, (int) rc, (int) live);
                bad++;
            }
        }

        tap_is(bad, 0, "each of them fails, and is told");
    }

    return tap_done();
}


static ngx_int_t
run(size_t piece)
{
    size_t                     n, size;
    ngx_int_t                  rc, end;
    ngx_trove_event_t          event;
    ngx_trove_event_names_t    names;
    ngx_trove_event_parser_t  *parser;
    static ngx_str_t           list[] = { ngx_string("path"),
                                          ngx_string("x") };

    calls = 0;
    live = 0;

    names.names = list;
    names.nnames = 2;

    parser = nomem_event_create(&event, &names, pool_alloc, NULL);
    rc = NGX_ERROR;

    if (parser) {

        for (n = 0; n < body_len; n += size) {
            size = ngx_min(piece, body_len - n);

            rc = nomem_event_feed(parser, (u_char *) body + n, size);

            /* it stays so */

            if (rc != NGX_OK) {
                fail_at = 0;
                rc = nomem_event_feed(parser, (u_char *) body + n, size);
                break;
            }
        }

        /* what comes last may fail at the end only */

        end = nomem_event_finish(parser);

        if ((rc != NGX_OK && end != rc) || nomem_event_reason(parser)[0]) {
            end = NGX_BUSY;
        }

        rc = end;

        nomem_event_destroy(parser);
    }

    while (npool) {
        free(pool[--npool]);
    }

    /* what is kept for the next one */

    nomem_free(ngx_trove_event_spare);
    ngx_trove_event_spare = NULL;

    return rc;
}


static void *
pool_alloc(void *ctx, size_t size)
{
    if (fails()) {
        return NULL;
    }

    pool[npool] = malloc(size);

    return pool[npool++];
}


static void *
nomem_malloc(size_t size)
{
    if (fails()) {
        return NULL;
    }

    live++;

    return malloc(size);
}


static void *
nomem_realloc(void *p, size_t size)
{
    if (fails()) {
        return NULL;
    }

    live += (p == NULL);

    return realloc(p, size);
}


static void
nomem_free(void *p)
{
    live -= (p != NULL);

    free(p);
}


static ngx_uint_t
fails(void)
{
    return ++calls == fail_at;
}
