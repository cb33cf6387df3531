
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "event_reference.h"

#include <setjmp.h>
#include <yajl/yajl_parse.h>

#include "ngx_trove_arena.h"
#include "ngx_trove_event.h"


/*
 * Tests core/event.  The input:
 *
 *   1 byte    the members of "data" to keep
 *   2 bytes   the sizes of the parts of the body
 *   1 byte    the number of the allocation that fails, 0: none
 *   the rest  the body
 *
 * The body is parsed as a whole, in parts, and by the reference.  All three
 * must agree on whether it is JSON and an event, and on each string of it.
 * Then it is parsed again while an allocation fails.
 */

#define NAMES  7


/*
 * core/event again, with other names and a malloc() that fails, as in
 * t/unit/event_nomem.c.
 */

static void *nomem_malloc(size_t size);
static void *nomem_realloc(void *p, size_t size);
static void nomem_free(void *p);

void nomem_arena_funcs(ngx_trove_arena_t *arena, yajl_alloc_funcs *funcs);
ngx_trove_event_parser_t *nomem_event_create(ngx_trove_event_t *event,
    ngx_trove_event_names_t *names, ngx_trove_event_alloc_pt alloc,
    void *alloc_ctx);
ngx_int_t nomem_event_feed(ngx_trove_event_parser_t *parser, u_char *data,
    size_t len);
ngx_int_t nomem_event_finish(ngx_trove_event_parser_t *parser);
const char *nomem_event_reason(ngx_trove_event_parser_t *parser);
void nomem_event_destroy(ngx_trove_event_parser_t *parser);

#define ngx_trove_arena_funcs      nomem_arena_funcs
#define ngx_trove_event_create     nomem_event_create
#define ngx_trove_event_feed       nomem_event_feed
#define ngx_trove_event_finish     nomem_event_finish
#define ngx_trove_event_reason     nomem_event_reason
#define ngx_trove_event_destroy    nomem_event_destroy
#define ngx_trove_event_buf_add    nomem_event_buf_add
#define ngx_trove_event_callbacks  nomem_event_callbacks
#define ngx_trove_event_check      nomem_event_check

#define malloc(size)               nomem_malloc(size)
#define realloc(p, size)           nomem_realloc(p, size)
#define free(p)                    nomem_free(p)

#include "ngx_trove_arena.c"
#include "ngx_trove_event.c"
#include "ngx_trove_event_buf.c"
#include "ngx_trove_event_token.c"

#undef ngx_trove_arena_funcs
#undef ngx_trove_event_create
#undef ngx_trove_event_feed
#undef ngx_trove_event_finish
#undef ngx_trove_event_reason
#undef ngx_trove_event_destroy
#undef ngx_trove_event_buf_add
#undef ngx_trove_event_callbacks
#undef ngx_trove_event_check

#undef malloc
#undef realloc
#undef free


static void run(result_t *result, ngx_trove_event_names_t *names,
    const u_char *body, size_t len, uint32_t cut);
static void run_nomem(ngx_trove_event_names_t *names, const u_char *body,
    size_t len, uint32_t cut);
static void compare(result_t *a, result_t *b, ngx_uint_t nnames,
    const char *what);
static void compare_string(ngx_str_t *a, ngx_str_t *b, const char *what,
    const char *of);

static void *nomem_alloc(void *ctx, size_t size);


static ngx_str_t  name_list[NAMES] = {
    ngx_string("path"),
    ngx_string("exit_code"),
    ngx_string("x"),
    ngx_string("id"),
    ngx_string("source"),
    ngx_string("data"),
    ngx_string("a_1")
};

static ngx_uint_t  fail_at, calls, live;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                   len;
    uint32_t                 cut;
    result_t                 whole, pieces, expected;
    ngx_str_t                list[NAMES];
    ngx_uint_t               i, wanted;
    fuzz_input_t             in;
    ngx_trove_event_names_t  names;

    in.p = data;
    in.last = data + size;

    wanted = fuzz_number(&in, 1);
    cut = fuzz_number(&in, 2);
    fail_at = fuzz_number(&in, 1);
    len = in.last - in.p;

    names.names = list;
    names.nnames = 0;

    for (i = 0; i < NAMES; i++) {
        if (wanted & (1 << i)) {
            list[names.nnames++] = name_list[i];
        }
    }

    run(&whole, &names, in.p, len, 0);
    run(&pieces, &names, in.p, len, 1 + cut);
    reference(&expected, &names, in.p, len);

    compare(&whole, &expected, names.nnames, "whole, the reference");
    compare(&pieces, &expected, names.nnames, "in pieces, the reference");

    if (whole.rc != NGX_DECLINED) {
        fuzz_check(strcmp(whole.reason, pieces.reason) == 0,
                   "whole: %s, in pieces: %s", whole.reason, pieces.reason);
    }

    result_free(&whole);
    result_free(&pieces);
    result_free(&expected);

    if (fail_at) {
        run_nomem(&names, in.p, len, cut);
    }

    return 0;
}


static void
run(result_t *result, ngx_trove_event_names_t *names, const u_char *body,
    size_t len, uint32_t cut)
{
    u_char                    *p;
    size_t                     n, size;
    ngx_int_t                  rc;
    const char                *reason;
    ngx_trove_event_t         *event;
    ngx_trove_event_parser_t  *parser;

    result_init(result);
    event = &result->event;

    parser = ngx_trove_event_create(event, names, result_alloc, result);
    fuzz_check(parser != NULL, "no parser");

    rc = NGX_OK;

    for (n = 0; n < len; n += size) {
        size = cut ? fuzz_piece(&cut, len - n) : len - n;

        p = fuzz_copy(body + n, size);
        rc = ngx_trove_event_feed(parser, p, size);
        free(p);

        if (rc != NGX_OK) {
            fuzz_check(rc == NGX_DECLINED, "fed: %d", (int) rc);
            break;
        }
    }

    result->rc = ngx_trove_event_finish(parser);

    fuzz_check(rc == NGX_OK || result->rc == rc, "feed: %d, finish: %d",
               (int) rc, (int) result->rc);

    reason = ngx_trove_event_reason(parser);

    fuzz_check((reason[0] == '\0') == (result->rc == NGX_OK), "%d: \"%s\"",
               (int) result->rc, reason);
    fuzz_check(strlen(reason) < sizeof(result->reason), "a long reason");

    strcpy(result->reason, reason);

    ngx_trove_event_destroy(parser);

    fuzz_check(result->rc == NGX_OK
               || (event->id.data == NULL && event->type.data == NULL
                   && event->namespace.data == NULL && event->data == NULL),
               "%d: the event is not zeroed", (int) result->rc);
}


/* an allocation fails, unless there are fewer; all memory is freed */

static void
run_nomem(ngx_trove_event_names_t *names, const u_char *body, size_t len,
    uint32_t cut)
{
    u_char                    *p;
    size_t                     n, size;
    ngx_int_t                  rc;
    result_t                   result;
    ngx_trove_event_parser_t  *parser;

    calls = 0;
    live = 0;
    result_init(&result);

    parser = nomem_event_create(&result.event, names, nomem_alloc, &result);

    if (parser) {
        rc = NGX_OK;

        for (n = 0; n < len && rc == NGX_OK; n += size) {
            size = cut ? fuzz_piece(&cut, len - n) : len - n;

            p = fuzz_copy(body + n, size);
            rc = nomem_event_feed(parser, p, size);
            free(p);
        }

        rc = nomem_event_finish(parser);

        fuzz_check(rc == NGX_ERROR || calls < fail_at,
                   "allocation %d failed: %d", (int) fail_at, (int) rc);
        fuzz_check(rc != NGX_ERROR || calls >= fail_at,
                   "no allocation failed: %d", (int) rc);
        fuzz_check(rc == NGX_OK || result.event.data == NULL,
                   "the event is not zeroed");

        (void) nomem_event_reason(parser);
        nomem_event_destroy(parser);

    } else {
        fuzz_check(calls >= fail_at, "no parser");
    }

    /* memory kept for the next parser */

    nomem_free(ngx_trove_event_spare);
    ngx_trove_event_spare = NULL;

    fuzz_check(live == 0, "%d blocks are not freed", (int) live);

    result_free(&result);
}


static void
compare(result_t *a, result_t *b, ngx_uint_t nnames, const char *what)
{
    ngx_uint_t          i;
    ngx_trove_event_t  *x, *y;

    fuzz_check(a->rc == b->rc, "%s: %d (%s), %d", what, (int) a->rc,
               a->reason, (int) b->rc);

    if (a->rc != NGX_OK) {
        return;
    }

    x = &a->event;
    y = &b->event;

    compare_string(&x->id, &y->id, what, "id");
    compare_string(&x->type, &y->type, what, "type");
    compare_string(&x->api_version, &y->api_version, what, "api_version");
    compare_string(&x->workspace_id, &y->workspace_id, what, "workspace_id");
    compare_string(&x->namespace, &y->namespace, what, "namespace");
    compare_string(&x->created_at, &y->created_at, what, "created_at");

    for (i = 0; i < nnames; i++) {
        compare_string(&x->data[i], &y->data[i], what, "a member of data");
        fuzz_check((x->data[i].data == NULL) == (y->data[i].data == NULL),
                   "%s: an absent member of data", what);
    }
}


static void
compare_string(ngx_str_t *a, ngx_str_t *b, const char *what, const char *of)
{
    fuzz_check(a->len == b->len
               && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0),
               "%s: %s: \"%.*s\", \"%.*s\"", what, of, (int) a->len, a->data,
               (int) b->len, b->data);
}


static void *
nomem_alloc(void *ctx, size_t size)
{
    return (++calls == fail_at) ? NULL : result_alloc(ctx, size);
}


static void *
nomem_malloc(size_t size)
{
    if (++calls == fail_at) {
        return NULL;
    }

    live++;

    return malloc(size);
}


static void *
nomem_realloc(void *p, size_t size)
{
    if (++calls == fail_at) {
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
