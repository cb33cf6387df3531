
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The application behind the gateway: reads a request to its end, counts it,
 * and says {"ok":true}.  GET is answered with what was counted: the requests
 * that were not GET, and the bytes of their bodies.  Prints its port.
 *
 *     backend [CPU]
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>


#define BACKEND_HEAD     8192
#define BACKEND_SCRATCH  (256 * 1024)


typedef struct {
    int                 fd;
    size_t              len;              /* of the head so far */
    size_t              rest;             /* of the body */
    char                head[BACKEND_HEAD];
} backend_connection_t;


static void backend_die(const char *what);
static int backend_listen(void);
static void backend_accept(int listener, int epoll);
static void backend_serve(backend_connection_t *c);
static int backend_head(backend_connection_t *c);
static int backend_answer(backend_connection_t *c);


static char                backend_scratch[BACKEND_SCRATCH];
static unsigned long long  backend_requests;
static unsigned long long  backend_bytes;

static const char          backend_ok[] =
    "HTTP/1.1 200 OK\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 11\r\n"
    "\r\n"
    "{\"ok\":true}";


static void
backend_die(const char *what)
{
    fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
    exit(1);
}


static int
backend_listen(void)
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
        backend_die("listen");
    }

    printf("%d\n", ntohs(sin.sin_port));
    fflush(stdout);

    return fd;
}


static void
backend_accept(int listener, int epoll)
{
    int                    fd, one;
    struct epoll_event     event;
    backend_connection_t  *c;

    fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK|SOCK_CLOEXEC);
    if (fd == -1) {
        return;
    }

    one = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    c = malloc(sizeof(backend_connection_t));
    if (c == NULL) {
        backend_die("malloc");
    }

    c->fd = fd;
    c->len = 0;
    c->rest = 0;

    event.events = EPOLLIN;
    event.data.ptr = c;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == -1) {
        backend_die("epoll_ctl");
    }
}


static void
backend_serve(backend_connection_t *c)
{
    int      rc;
    size_t   size;
    ssize_t  n;

    for ( ;; ) {

        if (c->rest) {
            size = c->rest < BACKEND_SCRATCH ? c->rest : BACKEND_SCRATCH;
            n = recv(c->fd, backend_scratch, size, 0);

        } else {
            size = BACKEND_HEAD - 1 - c->len;
            n = recv(c->fd, c->head + c->len, size, 0);
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
            rc = backend_head(c);
        }

        if (rc == -1 || (rc == 1 && backend_answer(c) == -1)) {
            break;
        }

        /* there is no more: the next one waits for our answer */

        if ((size_t) n < size) {
            return;
        }
    }

    close(c->fd);
    free(c);
}


/* 1: the request is complete, 0: more has to come, -1: no request */

static int
backend_head(backend_connection_t *c)
{
    char    *body, *field;
    size_t   length, have;

    body = strstr(c->head, "\r\n\r\n");

    if (body == NULL) {
        return c->len < BACKEND_HEAD - 1 ? 0 : -1;
    }

    body += 4;
    have = c->head + c->len - body;

    field = strcasestr(c->head, "\r\nContent-Length:");
    length = field ? strtoul(field + sizeof("\r\nContent-Length:") - 1, NULL,
                             10)
                   : 0;

    if (have > length) {
        return -1;
    }

    c->rest = length - have;

    if (c->head[0] != 'G') {
        backend_requests++;
        backend_bytes += length;
    }

    return c->rest == 0;
}


/* -1: the connection is to be closed */

static int
backend_answer(backend_connection_t *c)
{
    int          n, len;
    char         body[64], answer[256];
    const char  *p;

    p = backend_ok;
    n = sizeof(backend_ok) - 1;

    if (c->head[0] == 'G') {
        len = sprintf(body, "%llu %llu\n", backend_requests, backend_bytes);

        n = sprintf(answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                    "Content-Length: %d\r\n\r\n%s", len, body);
        p = answer;
    }

    c->len = 0;

    if (send(c->fd, p, n, MSG_NOSIGNAL) != n) {
        return -1;
    }

    return p == backend_ok ? 0 : -1;
}


int
main(int argc, char **argv)
{
    int                 i, n, epoll, listener;
    cpu_set_t           set;
    struct epoll_event  event, events[256];

    if (argc > 1) {
        CPU_ZERO(&set);
        CPU_SET(atoi(argv[1]), &set);

        if (sched_setaffinity(0, sizeof(set), &set) == -1) {
            backend_die("sched_setaffinity");
        }
    }

    /* whoever started it may be killed */

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

    listener = backend_listen();

    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll == -1) {
        backend_die("epoll_create1");
    }

    event.events = EPOLLIN;
    event.data.ptr = NULL;

    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == -1) {
        backend_die("epoll_ctl");
    }

    for ( ;; ) {
        n = epoll_wait(epoll, events, 256, -1);

        for (i = 0; i < n; i++) {

            if (events[i].data.ptr == NULL) {
                backend_accept(listener, epoll);

            } else {
                backend_serve(events[i].data.ptr);
            }
        }
    }
}
