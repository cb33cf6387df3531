
/*
 * Copyright (C) the ngx_trove_module authors
 */


#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "load.h"


#define LOAD_EVENTS   256


static void load_pin(const char *cpu);


static int  load_epoll;
static int  load_spin;


void
load_loop_start(const char *cpu)
{
    if (cpu) {
        load_pin(cpu);
    }

    load_epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load_epoll == -1) {
        load_die("epoll_create1");
    }
}


static void
load_pin(const char *cpu)
{
    cpu_set_t  set;

    CPU_ZERO(&set);
    CPU_SET(atoi(cpu), &set);

    if (sched_setaffinity(0, sizeof(set), &set) == -1) {
        load_die("sched_setaffinity");
    }

    load_spin = 1;
}


void
load_die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}


void
load_wrong(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    exit(1);
}


double
load_time(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec + ts.tv_nsec / 1e9;
}


void
load_watch(load_source_t *source, uint32_t events, int add)
{
    struct epoll_event  event;

    event.events = events;
    event.data.ptr = source;

    if (epoll_ctl(load_epoll, add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, source->fd,
                  &event)
        == -1)
    {
        load_die("epoll_ctl");
    }
}


int
load_poll(double timeout)
{
    int                 i, n;
    load_source_t      *source;
    struct timespec     ts;
    struct epoll_event  events[LOAD_EVENTS];

    if (load_spin) {
        timeout = 0;
    }

    ts.tv_sec = (time_t) timeout;
    ts.tv_nsec = (timeout - ts.tv_sec) * 1e9;

    n = epoll_pwait2(load_epoll, events, LOAD_EVENTS, &ts, NULL);

    if (n == -1 && errno != EINTR) {
        load_die("epoll_pwait2");
    }

    for (i = 0; i < n; i++) {
        source = events[i].data.ptr;
        source->handler(source, events[i].events);
    }

    return n;
}
