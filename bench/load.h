
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * What the files of the load generator share.  It is one process: the senders
 * and the application behind what is measured take turns in one loop, so that
 * both together need no more than one processor.
 */

#ifndef LOAD_H
#define LOAD_H


#include <stddef.h>
#include <stdint.h>


#define LOAD_KINDS        16              /* of answers */
#define LOAD_CONNECTIONS  2048
#define LOAD_TARGETS      64
#define LOAD_QUARTERS     4


/* what has a socket; the handler gets the events of epoll */

typedef struct load_source_s  load_source_t;

struct load_source_s {
    int                    fd;
    void                 (*handler)(load_source_t *source, uint32_t events);
};


/* a run, as it was asked for */

typedef struct {
    int                    port;
    int                    pid;           /* of what is measured, or 0 */
    int                    wrong;
    int                    get;           /* nothing but GET, without a body */
    size_t                 await;         /* not to send, but to wait for */
    double                 rate;          /* a second; 0: as fast as answered */
    double                 wait;          /* seconds, the longest */
    size_t                 requests;
    size_t                 ids;
    size_t                 first;
    size_t                 connections;
    size_t                 targets;       /* of an event, 0: not noted */
    const char            *uri;
    const char            *secret;
    const char            *file;
} load_run_t;


/* an answer is told from others by its status and the length of its body */

typedef struct {
    unsigned               status;
    size_t                 length;
    size_t                 count;
} load_kind_t;


/* what came of a run; what is not used of "kinds" has a count of 0 */

typedef struct {
    double                 seconds;
    double                 p50;
    double                 p99;
    double                 max;
    load_kind_t            kinds[LOAD_KINDS];

    /* deliveries that have not arrived when a quarter of the events, a half,
       .. are answered */
    long long              backlog[LOAD_QUARTERS];
} load_result_t;


/* the parts of a request, which stay the caller's */

typedef struct {
    const char            *head;
    size_t                 head_len;
    const char            *tail;
    size_t                 tail_len;
} load_request_t;


/*
 * load.c
 *
 * load_die() ends the process with a message and errno's; load_wrong() with
 * one that has "what" in it as it is.  load_watch() adds a source to the loop,
 * or changes the events that it waits for (EPOLLIN and the like); "add" says
 * which.  load_poll() waits for events, no longer than so many seconds where
 * the process has no processor of its own, and calls the handlers; it
 * returns how many there were.  load_time() is in seconds.
 */

void load_die(const char *what);
void load_wrong(const char *what);
void load_watch(load_source_t *source, uint32_t events, int add);
int load_poll(double timeout);
double load_time(void);


/*
 * load_request.c
 *
 * load_request_prepare() makes and signs all requests of a run, in memory that
 * is its own, in place of those of the run before.  load_request() is number n
 * of them.
 */

void load_request_prepare(load_run_t *run);
load_request_t load_request(size_t n);


/*
 * load_arrival.c
 *
 * When events arrive at the targets, /t/0, /t/1, .., of the application.  They
 * are told by X-Trove-Event-Id.  load_arrival_start() begins a run;
 * load_arrival_sent() says when its request n was due; load_arrival() that a
 * request with this head has arrived; load_arrival_missing() how many
 * deliveries have not; load_arrival_print() prints what is known about each
 * target, as JSON.  load_quantiles() sorts, and gives the median, the 99th
 * percentile and the maximum.
 */

void load_arrival_start(load_run_t *run);
void load_arrival_sent(size_t n, double when);
void load_arrival(char *head);
unsigned long long load_arrival_count(void);
unsigned long long load_arrival_missing(void);
void load_arrival_print(void);
void load_quantiles(float *values, size_t n, double *p50, double *p99,
    double *max);


/*
 * load_client.c
 *
 * load_client_open() makes the connections of a run, load_client_run() sends
 * its requests over them and waits for all answers, load_client_close() closes
 * them.
 */

void load_client_open(load_run_t *run);
void load_client_run(load_run_t *run, load_result_t *result);
void load_client_close(void);


/*
 * load_backend.c
 *
 * load_backend_start() returns the port on which the application listens;
 * load_backend_count() how many requests it has got; load_backend_opened() how
 * many connections.  What is sent to /hang is never answered.
 */

int load_backend_start(void);
unsigned long long load_backend_count(void);
unsigned long long load_backend_opened(void);


#endif /* LOAD_H */
