
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <time.h>

#include "ngx_trove_time.h"
#include "tap.h"


/* Times in the forms that the body of an event may have. */


#define SEC  ((int64_t) 1000000000)

/* 2026-04-30T12:00:00Z */
#define NOON  ((int64_t) 1777550400)


static void forms(void);
static void invalid(void);
static void days(void);
static void truncated(void);
static int64_t parse(const char *text);


int
main(void)
{
    forms();
    invalid();
    days();
    truncated();

    return tap_done();
}


static void
forms(void)
{
    ngx_uint_t  i;

    static struct {
        const char  *text;
        int64_t      ns;
    } cases[] = {
        { "2026-04-30T12:00:00Z", NOON * SEC },
        { "2026-04-30t12:00:00z", NOON * SEC },
        { "2026-04-30 12:00:00Z", NOON * SEC },
        { "2026-04-30T12:00:00", NOON * SEC },
        { "2026-04-30T12:00Z", NOON * SEC },
        { "2026-04-30T12:00", NOON * SEC },
        { "20260430T120000Z", NOON * SEC },
        { "20260430T1200Z", NOON * SEC },
        { "20260430T120000.5", NOON * SEC + SEC / 2 },
        { "20260430T120000+0200", (NOON - 7200) * SEC },
        { "2026-04-30T12:00:00+00:00", NOON * SEC },
        { "2026-04-30T14:00:00+02:00", NOON * SEC },
        { "2026-04-30T14:00:00 02:00", NOON * SEC },
        { "2026-04-30T14:00:00+0200", NOON * SEC },
        { "2026-04-30T14:00:00+02", NOON * SEC },
        { "2026-04-30T06:30:00-05:30", NOON * SEC },
        { "2026-05-01T01:00:00+13:00", NOON * SEC },
        { "2026-04-30T12:00:00.1Z", NOON * SEC + 100000000 },
        { "2026-04-30T12:00:00,1Z", NOON * SEC + 100000000 },
        { "2026-04-30T12:00:00.000001Z", NOON * SEC + 1000 },
        { "2026-04-30T12:00:00.123456789Z", NOON * SEC + 123456789 },
        { "2026-04-30T12:00:00.123456789999999999999999999999Z",
          NOON * SEC + 123456789 },
        { "2026-04-30T14:00:00.000000001+02:00", NOON * SEC + 1 },
        { "2026-04-30", (NOON - 43200) * SEC },
        { "20260430", (NOON - 43200) * SEC },
        { "2016-12-31T23:59:60Z", (int64_t) 1483228800 * SEC },
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.000000001Z", 1 },
        { "1970-01-01T00:00:00+00:01", -1 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "0000-01-01T00:00:00Z", -1 },
        { "2262-04-11T23:47:15Z", 9223372035 * SEC },
        { "2262-04-11T23:47:16Z", NGX_TROVE_TIME_MAX },
        { "9999-12-31T23:59:59.999999999-23:59", NGX_TROVE_TIME_MAX },
        { NULL, 0 }
    };

    for (i = 0; cases[i].text; i++) {
        tap_is(parse(cases[i].text), cases[i].ns, cases[i].text);
    }
}


static void
invalid(void)
{
    ngx_uint_t  i;

    static const char  *cases[] = {
        "", " ", "Z", "yesterday", "1777550400", "2026", "2026-04", "202604",
        "2026-4-30", "2026-0430", "202604-30", "2026-00-10", "2026-13-01",
        "2026-04-00", "2026-04-31", "2026-02-29", "1900-02-29", "2100-02-29",
        "+2026-04-30", "-026-04-30", "2026-04-30Z", "2026-04-30T",
        "2026-04-30T12", "2026-04-30T12:", "2026-04-30T12:0",
        "2026-04-30T12:00:", "2026-04-30T12:0000", "20260430T12:00:0",
        "2026-04-30T24:00:00Z", "2026-04-30T12:60:00Z", "2026-04-30T12:00:61Z",
        "2026-04-30T12:00:00.", "2026-04-30T12:00:00.Z",
        "2026-04-30T12:00:00.-1", "2026-04-30T12:00.5Z",
        "2026-04-30T12:00:00+", "2026-04-30T12:00:00+2",
        "2026-04-30T12:00:00+24:00", "2026-04-30T12:00:00+02:60",
        "2026-04-30T12:00:00+02:0", "2026-04-30T12:00:00+02:000",
        "2026-04-30T12:00:00ZZ", "2026-04-30T12:00:00Z ",
        " 2026-04-30T12:00:00Z", "2026-04-30T12:00:00 UTC",
        "2026/04/30", "2026-W18-4", "2026-120", "30 Apr 2026",
        NULL
    };

    for (i = 0; cases[i]; i++) {
        tap_is(parse(cases[i]), -2, "not: \"%s\"", cases[i]);
    }
}


/* each day of 300 years, as the C library has it */

static void
days(void)
{
    char        text[32];
    time_t      t;
    struct tm   tm;
    ngx_uint_t  bad;

    bad = 0;

    for (t = 0; t < (time_t) 9223372035; t += 86400) {

        (void) gmtime_r(&t, &tm);
        (void) strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);

        bad += (parse(text) != (int64_t) t * SEC);
    }

    tap_is(bad, 0, "each day");

    tap_is(parse("2000-02-29"), (int64_t) 951782400 * SEC, "a leap day");
}


/* nothing behind the end is read: see the sanitizers */

static void
truncated(void)
{
    u_char     *p;
    size_t      len;
    int64_t     ns;
    ngx_str_t   s;
    ngx_uint_t  n;

    static const char  text[] = "2026-04-30T14:00:00.123456789+02:00";

    n = 0;

    for (len = 0; len < sizeof(text); len++) {

        p = malloc(len ? len : 1);
        if (p == NULL) {
            tap_ok(0, "malloc");
            return;
        }

        memcpy(p, text, len);

        s.len = len;
        s.data = p;
        n += (ngx_trove_time_parse(&s, &ns) == NGX_OK);

        free(p);
    }

    /* the date; minutes; seconds; 9 fractions; the hours and all of the zone */

    tap_is(n, 14, "its beginnings that are times");
}


static int64_t
parse(const char *text)
{
    int64_t    ns;
    ngx_str_t  s;

    ns = -2;
    s.data = (u_char *) text;
    s.len = strlen(text);

    return ngx_trove_time_parse(&s, &ns) == NGX_OK ? ns : -2;
}
