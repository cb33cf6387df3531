
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _ZONE_BENCH_H_INCLUDED_
#define _ZONE_BENCH_H_INCLUDED_


#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>


/*
 * Common code of zone.c and zone_floor.c: memory shared by processes, pseudo
 * random numbers that are the same in each run, and a median, which sorts its
 * values.  The functions exit if memory cannot be allocated.
 */


static void *
bench_map(size_t size)
{
    void  *p;

    p = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_ANON|MAP_SHARED, -1, 0);

    if (p == MAP_FAILED) {
        perror("mmap");
        exit(1);
    }

    return p;
}


static uint64_t
bench_random(uint64_t *seed)
{
    uint64_t  x;

    x = (*seed += 0x9e3779b97f4a7c15ULL);
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;

    return x ^ (x >> 31);
}


static int
bench_compare(const void *one, const void *two)
{
    double  a = *(const double *) one, b = *(const double *) two;

    return (a > b) - (a < b);
}


static double
bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof(double), bench_compare);

    return (n & 1) ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}


#endif /* _ZONE_BENCH_H_INCLUDED_ */
