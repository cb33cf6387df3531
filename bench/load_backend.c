
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The application behind the measured server: reads and counts a request, and
 * responds with {"ok":true}, or without a body if the URI ends with "?204".
 * Requests to /hang get no response.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"


#define LOAD_HEAD  8192


typedef struct {
    load_source_t       source;
    size_t              len;              /* of the head so far */
    size_t              rest;             /* of the body */
    int                 hang;
    int                 empty;
    char                head[LOAD_HEAD];
} load_backend_t;


static void load_backend_accept(load_source_t *source, uint32_t events);
static void load_backend_handler(load_source_t *source, uint32_t events);
static int load_backend_head(load_backend_t *c);
static int load_backend_ends(const char *head, const char *text);
static int load_backend_answer(load_backend_t *c);


static load_source_t       load_listener;
static unsigned long long  load_count;
static unsigned long long  load_opened;

static const char          load_ok[] =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 11\r\n"
    "\r\n"
    "{\"ok\":true}";

static const char          load_empty[] =
    "HTTP/1.1 204 No Content\r\n"
    "\r\n";


int
load_backend_start(void)
{
    int                 fd;
    socklen_t           len;
    struct sockaddr_in  sin;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    len = sizeof(sin);

    fd = socket(AF_INET, SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC, 0);

    if (fd == -1
        || bind(fd, (struct sockaddr *) &sin, len) == -1
        || listen(fd, 1024) == -1
        || getsockname(fd, (struct sockaddr *) &sin, &len) == -1)
    {
        load_die("listen");
    }

    load_listener.fd = fd;
    load_listener.handler = load_backend_accept;
    load_watch(&load_listener, EPOLLIN, 1);

    return ntohs(sin.sin_port);
}


unsigned long long
load_backend_count(void)
{
    return load_count;
}


unsigned long long
load_backend_opened(void)
{
    return load_opened;
}


static void
load_backend_accept(load_source_t *source, uint32_t events)
{
    int              fd, one;
    load_backend_t  *c;

    (void) events;

    fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);
    if (fd == -1) {
        return;
    }

    one = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    c = malloc(sizeof(load_backend_t));
    if (c == NULL) {
        load_die("malloc");
    }

    c->source.fd = fd;
    c->source.handler = load_backend_handler;
    c->len = 0;
    c->rest = 0;

    load_opened++;

    load_watch(&c->source, EPOLLIN, 1);
}


static void
load_backend_handler(load_source_t *source, uint32_t events)
{
    int              rc;
    size_t           size;
    ssize_t          n;
    load_backend_t  *c = (load_backend_t *) source;

    (void) events;

    for ( ;; ) {

        if (c->rest) {

            /* the body is discarded without being copied */

            size = c->rest;
            n = recv(c->source.fd, NULL, size, MSG_TRUNC);

        } else {
            size = LOAD_HEAD - 1 - c->len;
            n = recv(c->source.fd, c->head + c->len, size, 0);
        }

        if (n == -1 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            break;
        }

        if (c->rest) {
            c->rest -= n;
            rc = c->rest == 0;

        } else {
            c->len += n;
            c->head[c->len] = '\0';
            rc = load_backend_head(c);
        }

        if (rc == -1 || (rc == 1 && load_backend_answer(c) == -1)) {
            break;
        }

        /* no pipelining: the next request follows the response */

        if ((size_t) n < size) {
            return;
        }
    }

    close(c->source.fd);
    free(c);
}


/* 1: the request is complete, 0: incomplete, -1: invalid */

static int
load_backend_head(load_backend_t *c)
{
    char    *body, *field;
    size_t   length, have;

    body = strstr(c->head, "\r\n\r\n");

    if (body == NULL) {
        return c->len < LOAD_HEAD - 1 ? 0 : -1;
    }

    body += 4;
    have = c->head + c->len - body;

    c->hang = (strncmp(c->head, "POST /hang", 10) == 0);
    c->empty = load_backend_ends(c->head, "?204 ");

    load_arrival(c->head);

    field = strcasestr(c->head, "\r\nContent-Length:");
    length = field ? strtoul(field + sizeof("\r\nContent-Length:") - 1, NULL,
                             10)
                   : 0;

    if (have > length) {
        return -1;
    }

    c->rest = length - have;

    return c->rest == 0;
}


/* whether the text is at the end of the URI, with the space after it */

static int
load_backend_ends(const char *head, const char *text)
{
    char  *line, *found;

    line = strstr(head, "\r\n");
    found = strstr(head, text);

    return found != NULL && found < line;
}


static int
load_backend_answer(load_backend_t *c)
{
    size_t       len;
    ssize_t      n;
    const char  *text;

    load_count++;
    c->len = 0;

    if (c->hang) {
        return 0;
    }

    text = c->empty ? load_empty : load_ok;
    len = c->empty ? sizeof(load_empty) - 1 : sizeof(load_ok) - 1;

    n = send(c->source.fd, text, len, MSG_NOSIGNAL);

    return n == (ssize_t) len ? 0 : -1;
}
