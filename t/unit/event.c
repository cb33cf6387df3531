
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_event.h"
#include "tap.h"


#define BIG    (20 * 1024 * 1024)
#define PIECE  65536

#define ENV    "\"id\":\"evt-1\",\"type\":\"t\""
#define DATA(s)  "{" ENV ",\"data\":" s "}"


/* the caller's pool: a list, whose blocks have just the size asked for */

typedef struct block_s  block_t;

struct block_s {
    block_t  *next;
    void     *data;
};

typedef struct {
    block_t  *blocks;
    size_t    size;
} pool_t;


typedef struct {
    ngx_int_t    rc;
    const char  *body;
    const char  *reason;              /* or "data.NAME" whose value follows */
    const char  *value;
} case_t;


static void test_cases(void);
static void test_envelope(void);
static void test_members(void);
static void test_strings(void);
static void test_limits(void);
static void test_depth(void);
static void test_duplicates(void);
static void test_feeds(void);
static void test_big(void);
static void feed_big(ngx_uint_t wanted, size_t piece, const char *name);
static void test_nothing(void);

static ngx_int_t parse(ngx_trove_event_t *event, const char *body, size_t len,
    size_t first, size_t rest);
static ngx_int_t parse_all(ngx_trove_event_t *event, const char *body,
    size_t len);
static ngx_uint_t same(ngx_trove_event_t *a, ngx_trove_event_t *b);
static ngx_str_t *data_of(const char *name);
static void *pool_alloc(void *ctx, size_t size);
static void pool_free(pool_t *pool);


static pool_t             pool;
static ngx_trove_event_t  event;
static char               reason[256];

static ngx_str_t          name_list[] = {
    ngx_string("path"),
    ngx_string("exit_code"),
    ngx_string("source"),
    ngx_string("x")
};

static ngx_trove_event_names_t  names = { name_list, 4 };
static ngx_trove_event_names_t  no_names = { NULL, 0 };


#define IS(field, expected, ...)                                              \
    tap_is_mem(event.field.data, event.field.len, expected,                   \
               sizeof(expected) - 1, __VA_ARGS__)


/* what is JSON, what is an event, and which of the two is told first */

static case_t  cases[] = {

    { NGX_OK, "{" ENV "}", "", NULL },
    { NGX_OK, " \t\r\n{ \n" ENV " \t}\r\n \t", "", NULL },
    { NGX_OK, "{" ENV ",\"data\":null}", "", NULL },
    { NGX_OK, "{" ENV ",\"data\":[]}", "", NULL },
    { NGX_OK, "{" ENV ",\"data\":{}}", "", NULL },
    { NGX_OK, "{" ENV ",\"data\":1}", "", NULL },
    { NGX_OK, "{" ENV ",\"namespace\":null}", "", NULL },
    { NGX_OK, "{" ENV ",\"namespace\":\"\"}", "", NULL },
    { NGX_OK, "{" ENV ",\"created_at\":1,\"workspace_id\":{},"
              "\"api_version\":[1,{}]}", "", NULL },
    { NGX_OK, "{" ENV ",\"x\":1,\"x\":2,\"ID\":3,\"Id\":[],\"\":4,\"\":5}",
      "", NULL },
    { NGX_OK, "{" ENV ",\"a\":[1,-0,0.5,1e5,-1E-2,1e+999,true,false,null,"
              "\"\",{},[],[[]]]}", "", NULL },
    { NGX_OK, "{" ENV ",\"n\":123456789012345678901234567890}", "", NULL },
    { NGX_OK, "{" ENV ",\"s\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0000\\uABcd\"}",
      "", NULL },

    /* next to the control characters */

    { NGX_OK, "{\"id\":\"\xc2\xa0\xc3\x80\xe0\xa0\x80\","
              "\"type\":\"~\xdf\x80\"}", "", NULL },
    { NGX_OK, "{\"id\":\"\\u00a0 \",\"type\":\"\\u00c2\\u00bf\"}", "", NULL },

    { NGX_DECLINED, "", "ends too early", NULL },
    { NGX_DECLINED, " \n", "ends too early", NULL },
    { NGX_DECLINED, "{", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV, "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data\"", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data\":", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data\":tru", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data\":{\"path\":\"a", "ends too early",
      NULL },
    { NGX_DECLINED, "{" ENV ",\"data\":{\"path\":[1", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"data\":{\"path\":1}", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "}x", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "}}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "} {}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "}\n\n1", NULL, NULL },
    { NGX_DECLINED, "{" ENV "}\"", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "} \"a b", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "}\"\\", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "}\"\\u12", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "}\n[", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "}\"\"", "syntax error", NULL },
    { NGX_DECLINED, "[]\"", "ends too early", NULL },
    { NGX_DECLINED, "8\"", "ends too early", NULL },
    { NGX_DECLINED, "\"\"\"", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",}", "syntax error", NULL },
    { NGX_DECLINED, "{," ENV "}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\" 1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",a:1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",'a':1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",1:1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":[1,]}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":[,1]}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":[1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":01}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":1.}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":.5}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":+1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":-}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":1e}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":0x1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":NaN}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":Infinity}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":True}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":truex}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\n\"}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\x1f\"}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\\x41\"}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\\u12g4\"}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\\u12\"}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\\", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\\\"}", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "/* c */}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "}// c", "syntax error", NULL },
    { NGX_DECLINED, "\xef\xbb\xbf{" ENV "}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV ",\v\"a\":1}", "syntax error", NULL },
    { NGX_DECLINED, "{" ENV "}\f", "syntax error", NULL },

    { NGX_DECLINED, "{" ENV ",\"a\":\"\xff\"}", "not UTF-8", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\xc0\xaf\"}", "not UTF-8", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\xed\xa0\x80\"}", "not UTF-8", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\xf4\x90\x80\x80\"}", "not UTF-8",
      NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\xe2\x82\"}", "not UTF-8", NULL },
    { NGX_DECLINED, "{" ENV ",\"a\":\"\xe2\x82", "ends too early", NULL },
    { NGX_DECLINED, "{" ENV "}\x80", "not UTF-8", NULL },

    { NGX_ABORT, "null", "not an object", NULL },
    { NGX_ABORT, "1", "not an object", NULL },
    { NGX_ABORT, "\"{}\"", "not an object", NULL },
    { NGX_ABORT, "[]", "not an object", NULL },
    { NGX_ABORT, "[{" ENV "}]", "not an object", NULL },
    { NGX_ABORT, "{}", "no \"id\"", NULL },
    { NGX_ABORT, "{\"type\":\"t\"}", "no \"id\"", NULL },
    { NGX_ABORT, "{\"id\":\"i\"}", "no \"type\"", NULL },
    { NGX_ABORT, "{\"ID\":\"i\",\"type\":\"t\"}", "no \"id\"", NULL },
    { NGX_ABORT, "{\"data\":{" ENV "}}", "no \"id\"", NULL },
    { NGX_ABORT, "{\"id\":null,\"type\":\"t\"}", "\"id\" is not a string",
      NULL },
    { NGX_ABORT, "{\"id\":7,\"type\":\"t\"}", "\"id\" is not a string", NULL },
    { NGX_ABORT, "{\"id\":[\"i\"],\"type\":\"t\"}", "\"id\" is not a string",
      NULL },
    { NGX_ABORT, "{\"id\":{\"id\":\"i\"},\"type\":\"t\"}",
      "\"id\" is not a string", NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":true}", "\"type\" is not a string",
      NULL },
    { NGX_ABORT, "{\"id\":\"\",\"type\":\"t\"}",
      "\"id\" is empty, too long or has invalid characters", NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":\"\"}",
      "\"type\" is empty, too long or has invalid characters", NULL },
    { NGX_ABORT, "{\"id\":\"a\\nb\",\"type\":\"t\"}",
      "\"id\" is empty, too long or has invalid characters", NULL },
    { NGX_ABORT, "{\"id\":\"a\\u0000\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\\u001f\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\\u007f\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\x7f\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":\"a\\u0085\\r\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"\\u0080\",\"type\":\"t\"}",
      "\"id\" is empty, too long or has invalid characters", NULL },
    { NGX_ABORT, "{\"id\":\"a\xc2\x80\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"\xc2\x9f" "b\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":\"a\xc2\x85\"}",
      "\"type\" is empty, too long or has invalid characters", NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":\"\\u009f\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\\ud800\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\\udc00\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"a\\ud800\\u0041\",\"type\":\"t\"}", NULL, NULL },
    { NGX_ABORT, "{\"id\":\"i\",\"type\":\"\\udfff\\ud800\"}", NULL, NULL },
    { NGX_ABORT, "{" ENV ",\"namespace\":1}",
      "\"namespace\" is neither a string nor null", NULL },
    { NGX_ABORT, "{" ENV ",\"namespace\":false}",
      "\"namespace\" is neither a string nor null", NULL },
    { NGX_ABORT, "{" ENV ",\"namespace\":{}}",
      "\"namespace\" is neither a string nor null", NULL },
    { NGX_ABORT, "{" ENV ",\"namespace\":[null]}",
      "\"namespace\" is neither a string nor null", NULL },

    /* not JSON goes before not an event */

    { NGX_DECLINED, "{\"id\":1", "ends too early", NULL },
    { NGX_DECLINED, "{\"id\":1,\"id\":2,}", "syntax error", NULL },
    { NGX_DECLINED, "[1,2", "ends too early", NULL },

    /* members of "data" */

    { NGX_OK, DATA("{}"), "data.path", NULL },
    { NGX_OK, DATA("[\"path\",{\"path\":1}]"), "data.path", NULL },
    { NGX_OK, DATA("{\"a\":{\"path\":1},\"b\":[{\"path\":2}]}"), "data.path",
      NULL },
    { NGX_OK, "{" ENV ",\"path\":1,\"other\":{\"path\":2}}", "data.path",
      NULL },
    { NGX_OK, DATA("{\"path\":\"\"}"), "data.path", "" },
    { NGX_OK, DATA("{\"path\":\"a/b\"}"), "data.path", "a/b" },
    { NGX_OK, DATA("{\"PaTh\":\"a\"}"), "data.path", "a" },
    { NGX_OK, DATA("{\"\\u0050ath\":\"a\"}"), "data.path", "a" },
    { NGX_OK, DATA("{\"path\":1,\"PATH\":\"2\",\"z\":3}"), "data.path", "2" },
    { NGX_OK, DATA("{\"path\":\"1\",\"path\":null}"), "data.path", "null" },
    { NGX_OK, DATA("{\"path\":{\"path\":1}}"), "data.path", "{\"path\":1}" },
    { NGX_OK, DATA("{\"path\" : { \"a\" : [ 1 , 2 ] } , \"x\":1}"),
      "data.path", "{ \"a\" : [ 1 , 2 ] }" },
    { NGX_OK, DATA("{\"path\"\n:\t[]\r\n}"), "data.path", "[]" },
    { NGX_OK, DATA("{\"path\":[\"]\",\"}\",\"\\\"\"],\"y\":1}"), "data.path",
      "[\"]\",\"}\",\"\\\"\"]" },
    { NGX_OK, DATA("{\"path\":true}"), "data.path", "true" },
    { NGX_OK, DATA("{\"path\" :false }"), "data.path", "false" },
    { NGX_OK, DATA("{\"path\":-1.50E+07}"), "data.path", "-1.50E+07" },
    { NGX_OK, DATA("{\"path\":  0\n,\"a\":1}"), "data.path", "0" },
    { NGX_OK, DATA("{\"path\":12345678901234567890123}"), "data.path",
      "12345678901234567890123" },
    { NGX_OK, DATA("{\"x\":\"a,b}c\\\"d\\\\\",\"path\":\"e\"}"), "data.x",
      "a,b}c\"d\\" },
    { NGX_OK, DATA("{\"path\":\":\"}"), "data.path", ":" },
    { NGX_OK, DATA("{\"path\":\"\xe2\x82\xac\xf0\x9f\x98\x80\"}"),
      "data.path", "\xe2\x82\xac\xf0\x9f\x98\x80" },
    { NGX_OK, DATA("{\"path\":\"\\u20AC\\ud83d\\ude00\\u00e9\\u0041\"}"),
      "data.path", "\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9" "A" },
    { NGX_OK, DATA("{\"path\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u007f\"}"),
      "data.path", "\"\\/\b\f\n\r\t\x7f" },
    { NGX_OK, DATA("{\"path\":\"\\\\u0041\"}"), "data.path", "\\u0041" },

    /* the surrogates' first and last, and halves of them */

    { NGX_OK, DATA("{\"path\":\"\\ud800\\udc00\\uDBFF\\uDFFF\"}"),
      "data.path", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf" },
    { NGX_OK, DATA("{\"path\":\"\\ud7ff\\ue000\\uffff\"}"), "data.path",
      "\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf" },
    { NGX_OK, DATA("{\"path\":\"a\\udcffb\"}"), "data.path",
      "a\xef\xbf\xbd" "b" },
    { NGX_OK, DATA("{\"path\":\"\\ud83dxy\"}"), "data.path",
      "\xef\xbf\xbdxy" },
    { NGX_OK, DATA("{\"path\":\"\\ud83d\\n\"}"), "data.path",
      "\xef\xbf\xbd\n" },
    { NGX_OK, DATA("{\"path\":\"\\ud83d\\u0041\"}"), "data.path",
      "\xef\xbf\xbd" "A" },
    { NGX_OK, DATA("{\"path\":\"\\ud83d\\ud83d\\ude00\"}"), "data.path",
      "\xef\xbf\xbd\xf0\x9f\x98\x80" },
    { NGX_OK, DATA("{\"path\":\"\\ud83d\"}"), "data.path", "\xef\xbf\xbd" },
    { NGX_OK, DATA("{\"path\":\"\\ud83d\\\\\"}"), "data.path",
      "\xef\xbf\xbd\\" },
    { NGX_OK, DATA("{\"path\":\"\\ude00\\ud83d\"}"), "data.path",
      "\xef\xbf\xbd\xef\xbf\xbd" },
    { NGX_OK, "{\"id\":\"\\ud83d\\ude00\",\"type\":\"t\"}", "", NULL }
};


int
main(void)
{
    test_cases();
    test_envelope();
    test_members();
    test_strings();
    test_limits();
    test_depth();
    test_duplicates();
    test_feeds();
    test_big();
    test_nothing();

    pool_free(&pool);

    return tap_done();
}


/* each of them whole, split in two at each byte, and byte by byte */

static void
test_cases(void)
{
    ngx_int_t    rc;
    ngx_str_t   *value;
    ngx_uint_t   i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        rc = parse_all(&event, cases[i].body, strlen(cases[i].body));

        if (!tap_is(rc, cases[i].rc, "case %d", (int) i)) {
            tap_diag("  body: %s", cases[i].body);
            continue;
        }

        if (cases[i].reason == NULL) {
            tap_ok(reason[0] != '\0', "case %d has a reason", (int) i);
            continue;
        }

        if (strncmp(cases[i].reason, "data.", 5) != 0) {
            tap_is_str(reason, cases[i].reason, "case %d: why", (int) i);
            continue;
        }

        value = data_of(cases[i].reason + 5);

        tap_is_mem(value->data, value->len, cases[i].value,
                   cases[i].value ? strlen(cases[i].value) : 0,
                   "case %d: %s", (int) i, cases[i].reason);
    }
}


static void
test_envelope(void)
{
    const char  *body;

    body = "{ \"namespace\": \"customer-\\u0061cme\", \"extra\": [1, {}],"
           "  \"data\": {\"path\": \"a\"}, \"workspace_id\": \"ws-1\","
           "  \"\\u0069d\": \"evt-44cb63\", \"api_version\": \"2026-04-30\","
           "  \"type\": \"file.written\","
           "  \"created_at\": \"2026-11-24T07:00:00Z\" }";

    tap_is(parse_all(&event, body, strlen(body)), NGX_OK, "an event");

    IS(id, "evt-44cb63", "id, whose key is escaped");
    IS(type, "file.written", "type");
    IS(api_version, "2026-04-30", "api_version");
    IS(workspace_id, "ws-1", "workspace_id");
    IS(namespace, "customer-acme", "namespace, which is escaped");
    IS(created_at, "2026-11-24T07:00:00Z", "created_at");
    IS(data[0], "a", "data.path");

    body = "{" ENV ",\"namespace\":null,\"created_at\":7,\"api_version\":{}}";

    tap_is(parse_all(&event, body, strlen(body)), NGX_OK, "a bare one");

    tap_is(event.namespace.len, 0, "namespace is null");
    tap_is(event.created_at.len, 0, "created_at is no string");
    tap_is(event.api_version.len, 0, "api_version is no string");
    tap_is(event.workspace_id.len, 0, "workspace_id is absent");
    tap_ok(event.data[0].data == NULL, "and data, too");

    body = "{\"id\":1}";
    parse(&event, body, strlen(body), strlen(body), 1);

    tap_ok(event.id.data == NULL && event.data == NULL,
           "nothing is left of what is refused");
}


static void
test_members(void)
{
    const char                *body;
    ngx_trove_event_parser_t  *parser;

    body = DATA("{\"source\":\"api\",\"Exit_Code\":0,\"y\":1,\"path\":[1]}");

    tap_is(parse_all(&event, body, strlen(body)), NGX_OK, "members");

    IS(data[0], "[1]", "an array");
    IS(data[1], "0", "a number");
    IS(data[2], "api", "a string");
    tap_ok(event.data[3].data == NULL, "one that is absent");

    parser = ngx_trove_event_create(&event, &no_names, pool_alloc, &pool);
    ngx_trove_event_feed(parser, (u_char *) body, strlen(body));
    tap_is(ngx_trove_event_finish(parser), NGX_OK, "nobody asks for members");
    tap_ok(event.data == NULL, "there are none");
    ngx_trove_event_destroy(parser);
}


static void
test_strings(void)
{
    char  body[] = DATA("{\"path\":\"a\\u0000b\"}");

    tap_is(parse_all(&event, body, sizeof(body) - 1), NGX_OK,
           "a NUL in a member");
    IS(data[0], "a\0b", "is decoded");

    body[sizeof(body) - 6] = '\0';
    tap_is(parse_all(&event, body, sizeof(body) - 1), NGX_DECLINED,
           "a NUL as it is");

    tap_is(parse_all(&event, "{" ENV "}\0", sizeof("{" ENV "}")),
           NGX_DECLINED, "a NUL at the end");
}


static void
test_limits(void)
{
    char        body[8192];
    size_t      n, len;
    ngx_uint_t  i;

    for (i = 0; i < 2; i++) {
        for (n = 255; n <= 256; n++) {

            len = sprintf(body, "{\"%s\":\"x\",\"%s\":\"",
                          i ? "id" : "type", i ? "type" : "id");
            memset(body + len, 'a', n);
            len += n;
            len += sprintf(body + len, "\"}");

            tap_is(parse_all(&event, body, len),
                   n == 255 ? NGX_OK : NGX_ABORT, "%s of %d bytes",
                   i ? "type" : "id", (int) n);
        }
    }

    /* 255 bytes decoded, 765 as sent */

    len = sprintf(body, "{\"type\":\"x\",\"id\":\"");

    for (n = 0; n < 85; n++) {
        len += sprintf(body + len, "\\u20ac");
    }

    len += sprintf(body + len, "\"}");

    tap_is(parse_all(&event, body, len), NGX_OK, "id of 85 escapes");
    tap_is(event.id.len, 255, "255 bytes");

    body[len - 2] = 'b';
    len += sprintf(body + len - 1, "\"}") - 1;
    tap_is(parse_all(&event, body, len), NGX_ABORT, "one more");
}


static void
test_depth(void)
{
    char       body[2048], *p;
    size_t     n, i, k;

    for (n = 127; n <= 128; n++) {
        for (k = 0; k < 2; k++) {

            p = body + sprintf(body, "{" ENV ",\"x\":");

            for (i = 0; i < n; i++) {
                p += sprintf(p, "%s", k ? "{\"a\":" : "[");
            }

            p += sprintf(p, "1");

            for (i = 0; i < n; i++) {
                *p++ = k ? '}' : ']';
            }

            *p++ = '}';

            tap_is(parse_all(&event, body, p - body),
                   n == 127 ? NGX_OK : NGX_DECLINED, "%d %s in the object",
                   (int) n, k ? "objects" : "arrays");

            tap_is_str(reason, n == 127 ? "" : "nested too deeply", "why");
        }
    }

    /* what is closed does not count */

    p = body + sprintf(body, "{" ENV ",\"x\":[0");

    for (i = 0; i < 200; i++) {
        p += sprintf(p, ",[],{}");
    }

    p += sprintf(p, "]}");

    tap_is(parse_all(&event, body, p - body), NGX_OK, "400 beside each other");
}


static void
test_duplicates(void)
{
    char                body[256];
    ngx_uint_t          i;
    static const char  *keys[] = { "id", "type", "api_version",
                                   "workspace_id", "namespace", "created_at",
                                   "data" };

    for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {

        sprintf(body, "{\"%s\":\"a\",\"i%s\":1,\"\\u00%02x%s\":\"a\","
                "\"id\":\"i\",\"type\":\"t\"}",
                keys[i], keys[i], keys[i][0], keys[i] + 1);

        tap_is(parse_all(&event, body, strlen(body)), NGX_ABORT,
               "%s is there twice", keys[i]);
        tap_is_str(reason, "duplicate key", "why");
    }
}


/* a feed is not looked at after the call, an empty one changes nothing */

static void
test_feeds(void)
{
    char                      *copy;
    size_t                     len, n;
    const char                *body;
    ngx_trove_event_parser_t  *parser;

    body = DATA("{\"path\":{\"a\":[1,2,\"\\u20ac\"]},\"x\":\"abcdef\"}");
    len = strlen(body);

    parser = ngx_trove_event_create(&event, &names, pool_alloc, &pool);

    for (n = 0; n < len; n++) {
        copy = malloc(1);
        *copy = body[n];
        ngx_trove_event_feed(parser, (u_char *) copy, 1);
        ngx_trove_event_feed(parser, NULL, 0);
        *copy = 'X';
        free(copy);
    }

    tap_is(ngx_trove_event_finish(parser), NGX_OK, "feeds of 1 and 0");
    ngx_trove_event_destroy(parser);

    IS(data[0], "{\"a\":[1,2,\"\\u20ac\"]}", "an object over many feeds");
    IS(data[3], "abcdef", "a string over many feeds");

    parser = ngx_trove_event_create(&event, &names, pool_alloc, &pool);
    tap_is(ngx_trove_event_feed(parser, (u_char *) "}", 1), NGX_DECLINED,
           "a feed tells that it is no JSON");
    tap_is(ngx_trove_event_feed(parser, (u_char *) "{}", 2), NGX_DECLINED,
           "and so does the next");
    tap_is(ngx_trove_event_finish(parser), NGX_DECLINED, "and the end");
    ngx_trove_event_destroy(parser);

    parser = ngx_trove_event_create(&event, &names, pool_alloc, &pool);
    ngx_trove_event_destroy(parser);

    ngx_trove_event_destroy(NULL);
}


/* yajl alone would need hours for it */

static void
test_big(void)
{
    feed_big(1, 1, "20 MB in one string, byte by byte");
    feed_big(0, PIECE, "20 MB in one string that nobody wants");
    feed_big(1, BIG * 2, "20 MB in one string at once");
}


static void
feed_big(ngx_uint_t wanted, size_t piece, const char *name)
{
    char                      *body;
    size_t                     len, n, size;
    ngx_int_t                  rc;
    ngx_trove_event_parser_t  *parser;

    body = malloc(BIG + 100);

    len = sprintf(body, "{" ENV ",\"data\":{\"%s\":\"\\n",
                  wanted ? "path" : "other");
    memset(body + len, 'a', BIG);
    len += BIG;
    len += sprintf(body + len, "\",\"x\":1}}");

    parser = ngx_trove_event_create(&event, &names, pool_alloc, &pool);
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += size) {
        size = ngx_min(piece, len - n);
        rc = ngx_trove_event_feed(parser, (u_char *) body + n, size);
    }

    tap_is(ngx_trove_event_finish(parser), NGX_OK, "%s", name);
    ngx_trove_event_destroy(parser);

    if (wanted) {
        tap_is(event.data[0].len, BIG + 1, "all of it is there");
        tap_ok(event.data[0].data && event.data[0].data[0] == '\n'
               && event.data[0].data[BIG] == 'a', "decoded");
    }

    IS(data[3], "1", "and what comes after it");

    pool_free(&pool);
    free(body);
}


/* an ordinary event takes from the pool what it is made of, nothing else */

static void
test_nothing(void)
{
    ngx_trove_event_parser_t  *parser;

    pool_free(&pool);

    parser = ngx_trove_event_create(&event, &names, pool_alloc, &pool);
    ngx_trove_event_feed(parser, (u_char *) DATA("{\"path\":\"abc\"}"),
                         sizeof(DATA("{\"path\":\"abc\"}")) - 1);
    ngx_trove_event_finish(parser);
    ngx_trove_event_destroy(parser);

    tap_is(pool.size, 4 * sizeof(ngx_str_t) + 5 + 1 + 3, "the pool");
}


static ngx_int_t
parse_all(ngx_trove_event_t *ev, const char *body, size_t len)
{
    char               whole[sizeof(reason)];
    size_t             n;
    ngx_int_t          rc;
    ngx_trove_event_t  split;

    rc = parse(ev, body, len, len, 1);
    strcpy(whole, reason);

    /* the last one is byte by byte */

    for (n = 0; n <= len; n++) {

        if (parse(&split, body, len, n, n == len ? 1 : len) != rc
            || !same(ev, &split))
        {
            tap_ok(0, "split after %d bytes it is not the same", (int) n);
            tap_diag("  body: %.*s", (int) len, body);
            return NGX_BUSY;
        }
    }

    for (n = 2; n < 8; n++) {

        if (parse(&split, body, len, 0, n) != rc || !same(ev, &split)) {
            tap_ok(0, "in pieces of %d it is not the same", (int) n);
            tap_diag("  body: %.*s", (int) len, body);
            return NGX_BUSY;
        }
    }

    strcpy(reason, whole);

    return rc;
}


/* what is fed is gone after the call: ASan tells if it is still looked at */

static ngx_int_t
parse(ngx_trove_event_t *ev, const char *body, size_t len, size_t first,
    size_t rest)
{
    size_t                     n, size;
    u_char                    *copy;
    ngx_int_t                  rc;
    ngx_trove_event_parser_t  *parser;

    parser = ngx_trove_event_create(ev, &names, pool_alloc, &pool);

    size = first;

    for (n = 0; n < len; n += size, size = rest) {
        size = ngx_min(size, len - n);

        copy = malloc(size);
        memcpy(copy, body + n, size);

        rc = ngx_trove_event_feed(parser, copy, size);

        free(copy);

        if (rc != NGX_OK) {
            break;
        }
    }

    rc = ngx_trove_event_finish(parser);

    snprintf(reason, sizeof(reason), "%s", ngx_trove_event_reason(parser));

    ngx_trove_event_destroy(parser);

    return rc;
}


static ngx_uint_t
same(ngx_trove_event_t *a, ngx_trove_event_t *b)
{
    ngx_str_t   *x, *y;
    ngx_uint_t   i;

    for (i = 0; i < 6 + names.nnames; i++) {

        if (i < 6) {
            x = &a->id + i;
            y = &b->id + i;

        } else if (a->data == NULL || b->data == NULL) {
            return a->data == b->data;

        } else {
            x = &a->data[i - 6];
            y = &b->data[i - 6];
        }

        if ((x->data == NULL) != (y->data == NULL) || x->len != y->len
            || (x->len && memcmp(x->data, y->data, x->len) != 0))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_str_t *
data_of(const char *name)
{
    ngx_uint_t  i;

    for (i = 0; strcmp((char *) names.names[i].data, name) != 0; i++) {
        /* void */
    }

    return &event.data[i];
}


static void *
pool_alloc(void *ctx, size_t size)
{
    pool_t *p = ctx;

    block_t  *block;

    block = malloc(sizeof(block_t));
    block->data = malloc(size);
    block->next = p->blocks;

    p->blocks = block;
    p->size += size;

    return block->data;
}


static void
pool_free(pool_t *p)
{
    block_t  *block;

    while (p->blocks) {
        block = p->blocks;
        p->blocks = block->next;

        free(block->data);
        free(block);
    }

    p->size = 0;
}
