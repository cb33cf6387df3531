
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _EVENT_REFERENCE_H_INCLUDED_
#define _EVENT_REFERENCE_H_INCLUDED_


#include "json.h"

#include "ngx_trove_event.h"


/*
 * The reference parser of an event: it parses a whole body by the rules in
 * ngx_trove_event.h.
 */

/* the result of parsing a body */
typedef struct {
    ngx_int_t                 rc;
    char                      reason[80];
    ngx_trove_event_t         event;

    ngx_uint_t                nblocks;     /* of memory, freed together */
    ngx_uint_t                size;
    void                    **blocks;
} result_t;


/* the position of the reference in a body */
typedef struct {
    const u_char             *last;
    ngx_uint_t                depth;

    ngx_uint_t                object;
    ngx_uint_t                seen[7];     /* of the keys of the envelope */
    ngx_uint_t                bad;         /* not an event */
    result_t                 *result;
    ngx_trove_event_names_t  *names;
} reference_t;


typedef enum {
    IN_ENVELOPE = 0,
    IN_DATA,
    IN_OTHER
} where_e;


static void reference(result_t *result, ngx_trove_event_names_t *names,
    const u_char *body, size_t len);
static const u_char *blanks(const u_char *p, const u_char *last);
static const u_char *value(reference_t *ref, const u_char *p, where_e where);
static const u_char *members(reference_t *ref, const u_char *p, where_e where);
static const u_char *number(const u_char *p, const u_char *last);
static const u_char *digits(const u_char *p, const u_char *last);
static void envelope(reference_t *ref, ngx_str_t *key, const u_char *p,
    const u_char *end);
static void member(reference_t *ref, ngx_str_t *key, const u_char *p,
    const u_char *end);
static void decoded(result_t *result, ngx_str_t *str, const u_char *p,
    const u_char *end, ngx_uint_t *halves);

static void result_init(result_t *result);
static void *result_alloc(void *ctx, size_t size);
static void result_free(result_t *result);


static void
reference(result_t *result, ngx_trove_event_names_t *names,
    const u_char *body, size_t len)
{
    reference_t         ref;
    const u_char       *p;
    ngx_trove_event_t  *event;

    ngx_memzero(&ref, sizeof(reference_t));

    ref.last = body + len;
    ref.result = result;
    ref.names = names;

    result_init(result);

    event = &result->event;
    ngx_memzero(event, sizeof(ngx_trove_event_t));

    event->data = result_alloc(result, (names->nnames + 1) * sizeof(ngx_str_t));
    ngx_memzero(event->data, (names->nnames + 1) * sizeof(ngx_str_t));

    p = NULL;

    if (json_utf8(body, ref.last)) {
        p = value(&ref, blanks(body, ref.last), IN_ENVELOPE);
    }

    if (p == NULL || blanks(p, ref.last) != ref.last) {
        result->rc = NGX_DECLINED;
        return;
    }

    if (!ref.object || ref.bad || !ref.seen[0] || !ref.seen[1]) {
        result->rc = NGX_ABORT;
        return;
    }

    result->rc = NGX_OK;
}


static const u_char *
blanks(const u_char *p, const u_char *last)
{
    while (p < last && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) {
        p++;
    }

    return p;
}


/* the end of a value, NULL if it is invalid */

static const u_char *
value(reference_t *ref, const u_char *p, where_e where)
{
    ngx_uint_t     i;
    const u_char  *last;

    static const char  *literals[] = { "null", "true", "false" };

    last = ref->last;

    if (p == last) {
        return NULL;
    }

    switch (*p) {

    case '"':
        p = json_string(p + 1, last);
        return p ? p + 1 : NULL;

    case '{':
        if (where == IN_ENVELOPE) {
            ref->object = 1;
        }

        /* fall through */

    case '[':
        if (++ref->depth > NGX_TROVE_EVENT_DEPTH_MAX) {
            return NULL;
        }

        p = members(ref, p, where);
        ref->depth--;

        return p;
    }

    for (i = 0; i < 3; i++) {
        if ((size_t) (last - p) >= strlen(literals[i])
            && memcmp(p, literals[i], strlen(literals[i])) == 0)
        {
            return p + strlen(literals[i]);
        }
    }

    return number(p, last);
}


/* of an object or an array */

static const u_char *
members(reference_t *ref, const u_char *p, where_e where)
{
    u_char         close;
    ngx_str_t      key;
    ngx_uint_t     halves;
    const u_char  *last, *end, *name;
    where_e        inner;

    last = ref->last;
    close = (*p++ == '{') ? '}' : ']';

    p = blanks(p, last);

    if (p < last && *p == close) {
        return p + 1;
    }

    for ( ;; ) {
        inner = IN_OTHER;
        ngx_str_null(&key);

        if (close == '}') {

            if (p == last || *p != '"') {
                return NULL;
            }

            name = p + 1;
            p = json_string(name, last);

            if (p == NULL) {
                return NULL;
            }

            decoded(ref->result, &key, name, p, &halves);
            p = blanks(p + 1, last);

            if (p == last || *p != ':') {
                return NULL;
            }

            p = blanks(p + 1, last);

            if (where == IN_ENVELOPE && key.len == 4 && p < last && *p == '{'
                && memcmp(key.data, "data", 4) == 0)
            {
                inner = IN_DATA;
            }
        }

        end = value(ref, p, inner);

        if (end == NULL) {
            return NULL;
        }

        if (close == '}' && where == IN_ENVELOPE) {
            envelope(ref, &key, p, end);

        } else if (close == '}' && where == IN_DATA) {
            member(ref, &key, p, end);
        }

        p = blanks(end, last);

        if (p == last || (*p != ',' && *p != close)) {
            return NULL;
        }

        if (*p++ == close) {
            return p;
        }

        p = blanks(p, last);
    }
}


static const u_char *
number(const u_char *p, const u_char *last)
{
    p += (*p == '-');

    if (p < last && *p == '0') {
        p++;

    } else {
        p = digits(p, last);
    }

    if (p && p < last && *p == '.') {
        p = digits(p + 1, last);
    }

    if (p && p < last && (*p == 'e' || *p == 'E')) {
        p++;
        p += (p < last && (*p == '+' || *p == '-'));
        p = digits(p, last);
    }

    return p;
}


/* one or more */

static const u_char *
digits(const u_char *p, const u_char *last)
{
    if (p == last || !isdigit(*p)) {
        return NULL;
    }

    while (p < last && isdigit(*p)) {
        p++;
    }

    return p;
}


static void
envelope(reference_t *ref, ngx_str_t *key, const u_char *p, const u_char *end)
{
    size_t              i, n;
    ngx_str_t          *str;
    ngx_uint_t          halves;
    ngx_trove_event_t  *event;

    static const char  *keys[] = { "id", "type", "api_version", "workspace_id",
                                   "namespace", "created_at", "data" };

    event = &ref->result->event;

    for (i = 0; i < 7; i++) {
        if (key->len == strlen(keys[i])
            && memcmp(key->data, keys[i], key->len) == 0)
        {
            break;
        }
    }

    if (i == 7) {
        return;
    }

    ref->bad |= ref->seen[i]++ > 0;

    str = (i == 0) ? &event->id : (i == 1) ? &event->type
                   : (i == 2) ? &event->api_version
                   : (i == 3) ? &event->workspace_id
                   : (i == 4) ? &event->namespace : &event->created_at;

    if (i == 6) {
        return;
    }

    if (*p != '"') {
        ref->bad |= i < 2 || (i == 4 && *p != 'n');
        return;
    }

    decoded(ref->result, str, p + 1, end - 1, &halves);

    if (i < 2) {
        ref->bad |= halves || str->len < 1 || str->len > 255;

        for (n = 0; n < str->len; n++) {
            ref->bad |= str->data[n] < 0x20 || str->data[n] == 0x7f;
            ref->bad |= n > 0 && str->data[n - 1] == 0xc2
                        && str->data[n] < 0xa0;
        }
    }
}


static void
member(reference_t *ref, ngx_str_t *key, const u_char *p, const u_char *end)
{
    ngx_str_t   *str;
    ngx_uint_t   i, halves;

    for (i = 0; i < ref->names->nnames; i++) {

        str = &ref->names->names[i];

        if (key->len != str->len
            || strncasecmp((char *) key->data, (char *) str->data, str->len)
               != 0)
        {
            continue;
        }

        str = &ref->result->event.data[i];

        if (*p == '"') {
            decoded(ref->result, str, p + 1, end - 1, &halves);

        } else {
            str->data = (u_char *) p;
            str->len = end - p;
        }
    }
}


static void
decoded(result_t *result, ngx_str_t *str, const u_char *p, const u_char *end,
    ngx_uint_t *halves)
{
    str->data = result_alloc(result, end - p + 1);
    str->len = json_decode(p, end, str->data, halves);
}


static void
result_init(result_t *result)
{
    result->rc = NGX_ERROR;
    result->reason[0] = '\0';
    result->nblocks = 0;
    result->size = 0;
    result->blocks = NULL;
}


/* a block of exactly this size */

static void *
result_alloc(void *ctx, size_t size)
{
    result_t *result = ctx;

    void  *p;

    if (result->nblocks == result->size) {
        result->size = result->size * 2 + 32;
        result->blocks = realloc(result->blocks,
                                 result->size * sizeof(void *));
        fuzz_check(result->blocks != NULL, "no memory for the harness");
    }

    p = malloc(size);
    fuzz_check(p != NULL, "no memory for the harness");

    result->blocks[result->nblocks++] = p;

    return p;
}


static void
result_free(result_t *result)
{
    while (result->nblocks) {
        free(result->blocks[--result->nblocks]);
    }

    free(result->blocks);
}


#endif /* _EVENT_REFERENCE_H_INCLUDED_ */
