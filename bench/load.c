
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The load generator.  Sends signed events over keepalive connections, as fast
 * as they are answered.  It is also the application behind the measured server.
 *
 *     load [CPU]
 *
 * Prints the port of the application.  Then each line of the input is a run,
 * and a JSON object is printed for it:
 *
 *     -p PORT -u URI -s SECRET -n REQUESTS [-d IDS] [-b FIRST]
 *         [-c CONNECTIONS] [-r RATE] [-e TARGETS] [-t SECONDS] [-P PID] [-g]
 *         [-w] FILE
 *     -a REQUESTS -t SECONDS
 *
 * FILE is a body with the id "evt-000000000000".  In request number i the id is
 * FIRST + i % IDS.  By default, IDS is the number of requests.  -w sends wrong
 * signatures.  -g sends only GET requests.  -P is the pid of the measured
 * process: its processor time as accounted by the kernel is reported, too.
 *
 * With -r, request i is due at i / RATE, and its latency is measured from then,
 * even if no connection is free: a slow server does not get fewer requests.
 *
 * -e is the number of targets, /t/0, /t/1, .. of the application, that receive
 * each event.  A run ends when all deliveries have arrived, or if none has
 * arrived for the time of -t.
 *
 * -a sends nothing, and waits until the application has received this number of
 * requests.
 *
 * With a CPU of its own, the process never sleeps.  Waking a process on another
 * processor takes time of the process that wakes it, and this time would depend
 * on the load.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include "load.h"


#define LOAD_WORDS    32                  /* in a line of the input */


typedef struct {
    unsigned long long     run;           /* nanoseconds */
    unsigned long long     wait;
} load_usage_t;


static size_t load_number(const char *text);
static double load_real(const char *text);
static int load_options(char *line, load_run_t *run);
static load_usage_t load_usage(int pid);
static void load_pause(double seconds);
static double load_drain(double patience);
static void load_await(load_run_t *run);
static void load_measure(load_run_t *run);


static size_t
load_number(const char *text)
{
    char    *end;
    size_t   n;

    n = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        load_wrong("not a number");
    }

    return n;
}


static double
load_real(const char *text)
{
    char    *end;
    double   n;

    n = strtod(text, &end);

    if (*text == '\0' || *end != '\0') {
        load_wrong("not a number");
    }

    return n;
}


/* the words of the line are not copied; 0 if the line is invalid */

static int
load_options(char *line, load_run_t *run)
{
    int    c, argc;
    char  *argv[LOAD_WORDS + 1], *word, *rest;

    argc = 0;
    argv[argc++] = (char *) "load";

    for (word = strtok_r(line, " \n", &rest);
         word && argc < LOAD_WORDS;
         word = strtok_r(NULL, " \n", &rest))
    {
        argv[argc++] = word;
    }

    argv[argc] = NULL;

    memset(run, 0, sizeof(load_run_t));
    run->connections = 32;
    run->wait = 10;
    optind = 0;

    while ((c = getopt(argc, argv, "a:b:c:d:e:gn:p:P:r:s:t:u:w")) != -1) {

        switch (c) {

        case 'a':
            run->await = load_number(optarg);
            break;

        case 'b':
            run->first = load_number(optarg);
            break;

        case 'c':
            run->connections = load_number(optarg);
            break;

        case 'd':
            run->ids = load_number(optarg);
            break;

        case 'e':
            run->targets = load_number(optarg);
            break;

        case 'g':
            run->get = 1;
            break;

        case 'n':
            run->requests = load_number(optarg);
            break;

        case 'p':
            run->port = load_number(optarg);
            break;

        case 'P':
            run->pid = load_number(optarg);
            break;

        case 'r':
            run->rate = load_real(optarg);
            break;

        case 's':
            run->secret = optarg;
            break;

        case 't':
            run->wait = load_real(optarg);
            break;

        case 'u':
            run->uri = optarg;
            break;

        case 'w':
            run->wrong = 1;
            break;

        default:
            return 0;
        }
    }

    if (run->await) {
        return optind == argc;
    }

    if (optind != argc - 1 || run->port == 0 || run->uri == NULL
        || run->secret == NULL || run->requests == 0 || run->connections == 0
        || run->connections > LOAD_CONNECTIONS || run->targets > LOAD_TARGETS)
    {
        return 0;
    }

    run->file = argv[optind];

    if (run->ids == 0 || run->ids > run->requests) {
        run->ids = run->requests;
    }

    if (run->connections > run->requests) {
        run->connections = run->requests;
    }

    return 1;
}


/*
 * The times that the kernel has accounted to the threads of the process: on a
 * processor, and runnable while others were running.
 */

static load_usage_t
load_usage(int pid)
{
    DIR                 *dir;
    char                 name[300];
    FILE                *file;
    load_usage_t         usage = { 0, 0 };
    struct dirent       *task;
    unsigned long long   run, wait;

    if (pid == 0) {
        return usage;
    }

    snprintf(name, sizeof(name), "/proc/%d/task", pid);

    dir = opendir(name);
    if (dir == NULL) {
        load_die(name);
    }

    while ((task = readdir(dir)) != NULL) {

        if (task->d_name[0] == '.') {
            continue;
        }

        snprintf(name, sizeof(name), "/proc/%d/task/%s/schedstat", pid,
                 task->d_name);

        file = fopen(name, "r");
        if (file == NULL) {
            load_die(name);
        }

        if (fscanf(file, "%llu %llu", &run, &wait) != 2) {
            load_wrong("schedstat has an unknown format");
        }

        fclose(file);

        usage.run += run;
        usage.wait += wait;
    }

    closedir(dir);

    return usage;
}


/* serves requests that arrive meanwhile */

static void
load_pause(double seconds)
{
    double  end;

    end = load_time() + seconds;

    do {
        (void) load_poll(0.001);
    } while (load_time() < end);
}


/* seconds until the last delivery */

static double
load_drain(double patience)
{
    double              start, last;
    unsigned long long  missing, before;

    start = load_time();
    last = start;
    before = load_arrival_missing();

    for (missing = before; missing; missing = load_arrival_missing()) {

        if (missing != before) {
            before = missing;
            last = load_time();

        } else if (load_time() - last > patience) {
            break;
        }

        (void) load_poll(0.001);
    }

    return last - start;
}


static void
load_await(load_run_t *run)
{
    double              start, now;
    unsigned long long  before;

    before = load_backend_count();
    start = load_time();

    do {
        (void) load_poll(0.01);
        now = load_time();
    } while (load_backend_count() - before < run->await
             && now - start < run->wait);

    printf("{\"seconds\":%.6f,\"passed\":%llu}\n", now - start,
           load_backend_count() - before);
    fflush(stdout);
}


static void
load_measure(load_run_t *run)
{
    int                 i;
    double              drain;
    load_kind_t        *kinds;
    load_usage_t        from, to;
    load_result_t       result;
    unsigned long long  passed, opened;

    load_request_prepare(run);
    load_arrival_start(run);
    load_client_open(run);

    /* the connections are accepted meanwhile */

    load_pause(0.01 + 0.0002 * run->connections);

    passed = load_backend_count();
    opened = load_backend_opened();
    from = load_usage(run->pid);

    load_client_run(run, &result);
    drain = load_drain(run->wait);

    /* the accounting is complete when the process sleeps */

    load_pause(0.005);

    to = load_usage(run->pid);
    passed = load_backend_count() - passed;
    opened = load_backend_opened() - opened;

    load_client_close();

    printf("{\"requests\":%zu,\"seconds\":%.6f,\"p50\":%.6f,\"p99\":%.6f,"
           "\"max\":%.6f,\"run\":%llu,\"wait\":%llu,\"passed\":%llu,"
           "\"opened\":%llu,\"drain\":%.6f,\"backlog\":[",
           run->requests, result.seconds, result.p50, result.p99, result.max,
           to.run - from.run, to.wait - from.wait, passed, opened, drain);

    for (i = 0; i < LOAD_QUARTERS; i++) {
        printf("%s%lld", i ? "," : "", result.backlog[i]);
    }

    printf("],\"targets\":[");
    load_arrival_print();
    printf("],\"answers\":{");

    kinds = result.kinds;

    for (i = 0; i < LOAD_KINDS && kinds[i].count; i++) {
        printf("%s\"%u/%zu\":%zu", i ? "," : "", kinds[i].status,
               kinds[i].length, kinds[i].count);
    }

    printf("}}\n");
    fflush(stdout);
}


int
main(int argc, char **argv)
{
    char        line[4096];
    load_run_t  run;

    /* ends with its parent, which may be killed */

    (void) prctl(PR_SET_PDEATHSIG, SIGKILL);

    load_loop_start(argc > 1 ? argv[1] : NULL);

    printf("%d\n", load_backend_start());
    fflush(stdout);

    while (fgets(line, sizeof(line), stdin)) {

        if (!load_options(line, &run)) {
            load_wrong("invalid arguments, see load.c");
        }

        if (run.await) {
            load_await(&run);

        } else {
            load_measure(&run);
        }
    }

    return 0;
}
