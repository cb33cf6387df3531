
/*
 * Copyright (C) the ngx_trove_module authors
 */


/* The senders of the load generator, and the responses that they receive. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "load.h"


#define LOAD_ANSWER    16384              /* bytes, the largest */
#define LOAD_PATIENCE  60                 /* seconds without any answer */


typedef struct load_client_s  load_client_t;

struct load_client_s {
    load_source_t          source;
    load_client_t         *next;          /* idle */
    unsigned               out:1;         /* waits for EPOLLOUT */
    unsigned               close:1;       /* after this response */
    load_request_t         request;
    size_t                 sent;
    double                 start;
    size_t                 len;
    char                   answer[LOAD_ANSWER];
};


static void load_client_connect(load_client_t *c);
static void load_client_handler(load_source_t *source, uint32_t events);
static void load_client_next(load_client_t *c);
static void load_client_write(load_client_t *c);
static void load_client_want(load_client_t *c, unsigned out);
static void load_client_read(load_client_t *c);
static int load_client_complete(load_client_t *c, load_kind_t *kind);
static char *load_client_field(char *head, const char *name);
static void load_client_count(load_kind_t *kind);
static void load_client_due(void);
static double load_client_pause(void);


static load_run_t     *load_run;
static load_client_t  *load_clients;
static float          *load_latencies;
static size_t          load_started;
static size_t          load_answered;
static load_kind_t     load_kinds[LOAD_KINDS];
static load_client_t  *load_idle;
static double          load_began;
static long long       load_backlog[LOAD_QUARTERS];


void
load_client_open(load_run_t *run)
{
    size_t  i;

    load_run = run;

    load_clients = calloc(run->connections, sizeof(load_client_t));
    load_latencies = malloc(run->requests * sizeof(float));

    if (load_clients == NULL || load_latencies == NULL) {
        load_die("malloc");
    }

    for (i = 0; i < run->connections; i++) {
        load_client_connect(&load_clients[i]);
    }
}


void
load_client_run(load_run_t *run, load_result_t *result)
{
    double  last;
    size_t  i, answered;

    load_started = 0;
    load_answered = 0;
    load_idle = NULL;
    memset(load_kinds, 0, sizeof(load_kinds));

    load_began = load_time();

    for (i = 0; i < run->connections; i++) {
        load_client_next(&load_clients[i]);
    }

    last = load_began;
    answered = 0;

    while (load_answered < run->requests) {

        if (run->rate) {
            load_client_due();
        }

        if (load_poll(load_client_pause()) > 0) {
            continue;
        }

        if (load_answered != answered) {
            answered = load_answered;
            last = load_time();

        } else if (load_time() - last > LOAD_PATIENCE) {
            load_wrong("timed out while waiting for responses");
        }
    }

    result->seconds = load_time() - load_began;

    load_quantiles(load_latencies, run->requests, &result->p50, &result->p99,
                   &result->max);

    memcpy(result->kinds, load_kinds, sizeof(load_kinds));
    memcpy(result->backlog, load_backlog, sizeof(load_backlog));
}


void
load_client_close(void)
{
    size_t  i;

    for (i = 0; i < load_run->connections; i++) {
        close(load_clients[i].source.fd);
    }

    free(load_clients);
    free(load_latencies);
}


static void
load_client_connect(load_client_t *c)
{
    int                 fd, one;
    struct sockaddr_in  sin;

    fd = socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, 0);
    if (fd == -1) {
        load_die("socket");
    }

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(load_run->port);
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);

    if (connect(fd, (struct sockaddr *) &sin, sizeof(sin)) == -1) {
        load_die("connect");
    }

    one = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    (void) fcntl(fd, F_SETFL, O_NONBLOCK);

    c->source.fd = fd;
    c->source.handler = load_client_handler;
    c->out = 0;
    c->close = 0;

    load_watch(&c->source, EPOLLIN, 1);
}


static void
load_client_handler(load_source_t *source, uint32_t events)
{
    load_client_t  *c = (load_client_t *) source;

    if (events & EPOLLOUT) {
        load_client_write(c);
    }

    if (events & ~EPOLLOUT) {
        load_client_read(c);
    }
}


/* sends the requests that are due, while connections are free */

static void
load_client_due(void)
{
    double          due;
    load_client_t  *c;

    due = (load_time() - load_began) * load_run->rate;

    while (load_idle && load_started < load_run->requests
           && load_started <= due)
    {
        c = load_idle;
        load_idle = c->next;

        load_client_next(c);
    }
}


/* the time until the next request is due */

static double
load_client_pause(void)
{
    double  pause;

    if (load_run->rate == 0 || load_idle == NULL
        || load_started == load_run->requests)
    {
        return 1;
    }

    pause = load_began + load_started / load_run->rate - load_time();

    return pause < 0 ? 0 : pause > 1 ? 1 : pause;
}


static void
load_client_next(load_client_t *c)
{
    double  now;

    if (load_started == load_run->requests) {
        return;
    }

    now = load_time();
    c->start = now;

    if (load_run->rate) {
        c->start = load_began + load_started / load_run->rate;

        if (c->start > now) {
            c->next = load_idle;
            load_idle = c;
            return;
        }
    }

    if (c->close) {
        close(c->source.fd);
        load_client_connect(c);
    }

    load_arrival_sent(load_started, c->start);

    c->request = load_request(load_started++);
    c->sent = 0;
    c->len = 0;

    load_client_write(c);
}


static void
load_client_write(load_client_t *c)
{
    int              n;
    size_t           tail;
    ssize_t          sent;
    struct iovec     iov[2];
    load_request_t  *request = &c->request;

    while (c->sent < request->head_len + request->tail_len) {
        n = 0;
        tail = 0;

        if (c->sent < request->head_len) {
            iov[n].iov_base = (char *) request->head + c->sent;
            iov[n++].iov_len = request->head_len - c->sent;

        } else {
            tail = c->sent - request->head_len;
        }

        iov[n].iov_base = (char *) request->tail + tail;
        iov[n++].iov_len = request->tail_len - tail;

        sent = writev(c->source.fd, iov, n);

        if (sent == -1) {

            if (errno == EAGAIN) {
                load_client_want(c, 1);
                return;
            }

            load_die("writev");
        }

        c->sent += sent;
    }

    load_client_want(c, 0);
}


static void
load_client_want(load_client_t *c, unsigned out)
{
    if (c->out == out) {
        return;
    }

    c->out = out;

    load_watch(&c->source, out ? EPOLLIN|EPOLLOUT : EPOLLIN, 0);
}


static void
load_client_read(load_client_t *c)
{
    ssize_t      n;
    load_kind_t  kind;

    n = recv(c->source.fd, c->answer + c->len, LOAD_ANSWER - 1 - c->len, 0);

    if (n == -1 && errno == EAGAIN) {
        return;
    }

    if (n <= 0) {
        errno = n ? errno : ECONNRESET;
        load_die("a response is truncated or too long");
    }

    c->len += n;
    c->answer[c->len] = '\0';

    if (!load_client_complete(c, &kind)) {
        return;
    }

    load_client_count(&kind);
    load_latencies[load_answered++] = load_time() - c->start;

    if (load_run->targets
        && load_answered * LOAD_QUARTERS / load_run->requests
           != (load_answered - 1) * LOAD_QUARTERS / load_run->requests)
    {
        load_backlog[load_answered * LOAD_QUARTERS / load_run->requests - 1]
            = (long long) (load_answered * load_run->targets)
              - (long long) load_arrival_count();
    }

    /* answered before the whole request was sent */

    if (c->sent < c->request.head_len + c->request.tail_len) {
        c->close = 1;
    }

    load_client_next(c);
}


static int
load_client_complete(load_client_t *c, load_kind_t *kind)
{
    char    *body, *field;
    size_t   length;

    body = strstr(c->answer, "\r\n\r\n");

    if (body == NULL) {
        return 0;
    }

    body += 4;
    kind->status = strtoul(c->answer + sizeof("HTTP/1.1"), NULL, 10);

    field = load_client_field(c->answer, "\r\nConnection:");
    c->close = (field && strncasecmp(field, "close", 5) == 0);

    field = load_client_field(c->answer, "\r\nContent-Length:");

    if (field) {
        length = strtoul(field, NULL, 10);
        kind->length = length;

        return (size_t) (c->answer + c->len - body) >= length;
    }

    kind->length = 0;

    if (kind->status == 204) {
        return 1;
    }

    if (load_client_field(c->answer, "\r\nTransfer-Encoding:") == NULL) {
        load_wrong("a response without Content-Length");
    }

    kind->length = strtoul(body, NULL, 16);

    return c->len >= 5
           && memcmp(c->answer + c->len - 5, "0\r\n\r\n", 5) == 0;
}


static char *
load_client_field(char *head, const char *name)
{
    char  *value;

    value = strcasestr(head, name);
    if (value == NULL) {
        return NULL;
    }

    value += strlen(name);

    return value + strspn(value, " ");
}


static void
load_client_count(load_kind_t *kind)
{
    int  i;

    for (i = 0; i < LOAD_KINDS; i++) {

        if (load_kinds[i].count == 0) {
            load_kinds[i] = *kind;
            load_kinds[i].count = 1;
            return;
        }

        if (load_kinds[i].status == kind->status
            && load_kinds[i].length == kind->length)
        {
            load_kinds[i].count++;
            return;
        }
    }

    load_wrong("too many kinds of responses");
}
