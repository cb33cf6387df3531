
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _SPOOL_BENCH_H_INCLUDED_
#define _SPOOL_BENCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite.h"


/*
 * Common code of spool_store.c and spool_subscribe.c.  The functions print an
 * error and exit if something fails.
 */


#define BENCH_BODY     280                       /* bytes of an event */
#define BENCH_TARGETS  3


/* an event with its operation; it must not be freed before it is written */
typedef struct {
    ngx_trove_spool_op_t     op;
    ngx_trove_spool_start_t  starts[BENCH_TARGETS];
    u_char                   key[NGX_TROVE_SPOOL_KEY_LEN];
    u_char                   id[40];
} bench_event_t;


/* the spool, to be set before bench_open() */
extern char                     bench_path[4096];

/* the error of the last call */
extern ngx_trove_spool_error_t  bench_error;

extern ngx_str_t                bench_names[];
extern ngx_str_t                bench_route;


/* Exits with the text of bench_error. */
void bench_die(const char *what);

/* Return the time, and the processor time of the process, in seconds. */
double bench_time(void);
double bench_cpu(void);

/* Returns a random number, which is different in each run. */
uint64_t bench_random(void);

/* Returns the quantile q, 0 to 1, of n samples, which it sorts; 0 of none. */
double bench_quantile(double *samples, ngx_uint_t n, double q);

/* Removes the files of the spool. */
void bench_remove(void);

/* Opens the spool; freed by ngx_trove_spool_destroy(). */
ngx_trove_spool_t *bench_open(void);

/*
 * Fills in an event with deliveries to "targets" targets, the first of which is
 * bench_names[first], and returns its operation.  lease is 1 if its deliveries
 * are started at once.
 */
ngx_trove_spool_op_t *bench_event(bench_event_t *event, ngx_uint_t targets,
    ngx_uint_t first, ngx_uint_t lease);

/* Writes a list of operations in one transaction. */
void bench_write(ngx_trove_spool_t *spool, ngx_trove_spool_op_t *ops);


#endif /* _SPOOL_BENCH_H_INCLUDED_ */
