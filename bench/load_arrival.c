
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The times at which events arrive at the targets.  The senders are in the same
 * process, so all times are of the same clock.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"


#define LOAD_PATH   "POST /t/"
#define LOAD_FIELD  "\r\nX-Trove-Event-Id: evt-"


static int load_arrival_compare(const void *one, const void *two);


static load_run_t          *load_run;
static double              *load_sent;
static float               *load_latencies;     /* of a target after another */
static size_t               load_repeated[LOAD_TARGETS];
static unsigned long long   load_arrived;


void
load_arrival_start(load_run_t *run)
{
    static load_run_t  copy;

    copy = *run;
    load_run = &copy;
    load_arrived = 0;
    memset(load_repeated, 0, sizeof(load_repeated));

    free(load_sent);
    free(load_latencies);

    load_sent = NULL;
    load_latencies = NULL;

    if (run->targets) {
        load_sent = calloc(run->requests, sizeof(double));
        load_latencies = calloc(run->requests * run->targets, sizeof(float));

        if (load_sent == NULL || load_latencies == NULL) {
            load_die("malloc");
        }
    }
}


void
load_arrival_sent(size_t n, double when)
{
    if (load_sent) {
        load_sent[n] = when;
    }
}


void
load_arrival(char *head)
{
    char    *id;
    float    took, *latency;
    size_t   n, target;

    if (load_sent == NULL
        || strncmp(head, LOAD_PATH, sizeof(LOAD_PATH) - 1) != 0)
    {
        return;
    }

    target = strtoul(head + sizeof(LOAD_PATH) - 1, NULL, 10);
    id = strstr(head, LOAD_FIELD);

    if (target >= load_run->targets || id == NULL) {
        return;
    }

    n = strtoull(id + sizeof(LOAD_FIELD) - 1, NULL, 16) - load_run->first;

    /* of an earlier run */

    if (n >= load_run->requests || load_sent[n] == 0) {
        return;
    }

    latency = &load_latencies[target * load_run->requests + n];

    if (*latency) {
        load_repeated[target]++;
        return;
    }

    took = load_time() - load_sent[n];
    *latency = took > 0 ? took : 1e-9;
    load_arrived++;
}


unsigned long long
load_arrival_count(void)
{
    return load_arrived;
}


unsigned long long
load_arrival_missing(void)
{
    return load_run->targets * load_run->requests - load_arrived;
}


void
load_arrival_print(void)
{
    double   p50, p99, max;
    float   *latency;
    size_t   i, k, n;

    for (i = 0; i < load_run->targets; i++) {
        latency = load_latencies + i * load_run->requests;
        n = 0;

        for (k = 0; k < load_run->requests; k++) {
            if (latency[k]) {
                latency[n++] = latency[k];
            }
        }

        load_quantiles(latency, n, &p50, &p99, &max);

        printf("%s{\"arrived\":%zu,\"repeated\":%zu,\"p50\":%.6f,"
               "\"p99\":%.6f,\"max\":%.6f}",
               i ? "," : "", n, load_repeated[i], p50, p99, max);
    }

    /* late deliveries belong to no run */

    free(load_sent);
    load_sent = NULL;
}


void
load_quantiles(float *values, size_t n, double *p50, double *p99, double *max)
{
    *p50 = 0;
    *p99 = 0;
    *max = 0;

    if (n == 0) {
        return;
    }

    qsort(values, n, sizeof(float), load_arrival_compare);

    *p50 = values[n / 2];
    *p99 = values[n - 1 - n / 100];
    *max = values[n - 1];
}


static int
load_arrival_compare(const void *one, const void *two)
{
    float  a = *(const float *) one, b = *(const float *) two;

    return (a > b) - (a < b);
}
