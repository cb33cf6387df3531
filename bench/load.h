
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * Common declarations of the load generator.  It is one process: the senders,
 * and the application behind the measured server, run in one loop, so that both
 * use only one processor.
 */

#ifndef LOAD_H
#define LOAD_H


#include <stddef.h>
#include <stdint.h>


#define LOAD_KINDS        16              /* of answers */
#define LOAD_CONNECTIONS  2048
#define LOAD_TARGETS      64
#define LOAD_QUARTERS     4


/* a socket; the handler is called with the events of epoll */

typedef struct load_source_s  load_source_t;

struct load_source_s {
    int                    fd;
    void                 (*handler)(load_source_t *source, uint32_t events);
};


/* the options of a run */

typedef struct {
    int                    port;
    int                    pid;           /* of the measured process, or 0 */
    int                    wrong;
    int                    get;           /* only GET, without a body */
    size_t                 await;         /* requests to wait for */
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


/* responses are grouped by their status and the length of the body */

typedef struct {
    unsigned               status;
    size_t                 length;
    size_t                 count;
} load_kind_t;


/* the result of a run; unused elements of "kinds" have a count of 0 */

typedef struct {
    double                 seconds;
    double                 p50;
    double                 p99;
    double                 max;
    load_kind_t            kinds[LOAD_KINDS];

    /* deliveries that have not arrived when a quarter, a half, .. of the
       events are answered */
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
 * load_loop.c
 *
 * load_loop_start() makes the loop; "cpu" is the processor that the process has
 * for itself, or NULL.  load_die() ends the process with a message and the text
 * of errno; load_wrong() with the message only.  load_watch() adds a source to
 * the loop ("add" is 1), or changes its events, EPOLLIN and the like.
 * load_poll() waits for events and calls the handlers; if the process has no
 * processor of its own, it waits at most "timeout" seconds.  It returns the
 * number of events.  load_time() is in seconds.
 */

void load_loop_start(const char *cpu);
void load_die(const char *what);
void load_wrong(const char *what);
void load_watch(load_source_t *source, uint32_t events, int add);
int load_poll(double timeout);
double load_time(void);


/*
 * load_request.c
 *
 * load_request_prepare() creates and signs all requests of a run, and frees
 * those of the previous run.  load_request() returns request number n.
 */

void load_request_prepare(load_run_t *run);
load_request_t load_request(size_t n);


/*
 * load_arrival.c
 *
 * Records when events arrive at the targets of the application, /t/0, /t/1, ..
 * Events are identified by X-Trove-Event-Id.  load_arrival_start() begins a
 * run.  load_arrival_sent() sets the time at which request n was due.
 * load_arrival() records a request with this head.  load_arrival_missing()
 * returns the number of deliveries that have not arrived.  load_arrival_print()
 * prints the figures of each target as JSON.  load_quantiles() sorts the
 * values, and returns the median, the 99th percentile and the maximum.
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
 * load_client_open() opens the connections of a run.  load_client_run() sends
 * its requests, and waits for all responses.  load_client_close() closes the
 * connections.
 */

void load_client_open(load_run_t *run);
void load_client_run(load_run_t *run, load_result_t *result);
void load_client_close(void);


/*
 * load_backend.c
 *
 * load_backend_start() returns the port of the application,
 * load_backend_count() the number of requests that it has received, and
 * load_backend_opened() the number of connections.  Requests to /hang are never
 * answered.
 */

int load_backend_start(void);
unsigned long long load_backend_count(void);
unsigned long long load_backend_opened(void);


#endif /* LOAD_H */
