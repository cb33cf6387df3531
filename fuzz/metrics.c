
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include "fuzz.h"

#include "ngx_trove_metrics.h"


/*
 * Tests the table of counters.  The input:
 *
 *   1 byte    the number of sets in the table
 *   5 bytes   each: an operation, a name, a worker, a counter, a number to add
 *
 * The sets are compared with a model.
 */

#define NAMES     32
#define SETS_MAX  24
#define COUNTERS  NGX_TROVE_METRICS_COUNTERS
#define REGION    (SETS_MAX * 4096)


typedef struct {
    ngx_uint_t                name;
    ngx_uint_t                index;
    uint64_t                  sums[COUNTERS];
} model_t;


static void create(ngx_uint_t n);
static void copy(ngx_uint_t n);
static model_t *find(ngx_uint_t name, ngx_trove_metrics_set_t **set);
static int compare(const void *one, const void *two);
static void check(void);


static u_char               *regions[2];
static ngx_uint_t            region, nsets, nmodels;
static model_t               models[SETS_MAX];
static ngx_trove_metrics_t  *metrics;


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t                  n;
    model_t                  *model;
    ngx_uint_t                op, name, worker, counter;
    fuzz_input_t              in;
    ngx_trove_metrics_set_t  *set;

    in.p = data;
    in.last = data + size;

    if (regions[0] == NULL) {
        regions[0] = fuzz_region(REGION);
        regions[1] = fuzz_region(REGION);
    }

    nmodels = 0;
    create(fuzz_number(&in, 1));

    while (in.p < in.last) {
        op = fuzz_number(&in, 1);
        name = fuzz_number(&in, 1) % NAMES;
        worker = fuzz_number(&in, 1);
        counter = fuzz_number(&in, 1) % COUNTERS;
        n = fuzz_number(&in, 1);

        if (op == 0) {
            copy(n);
            check();
            continue;
        }

        model = find(name, &set);

        if (model) {
            n <<= op % 64;

            ngx_trove_metrics_add(set, worker, counter, n);
            model->sums[counter] += n;

            fuzz_check(ngx_trove_metrics_sum(set, counter)
                       == model->sums[counter], "the sum has not grown");
        }
    }

    check();

    return 0;
}


/* a table that ends at the end of its memory */

static void
create(ngx_uint_t n)
{
    size_t   size;
    u_char  *addr;

    region = !region;
    nsets = n % (SETS_MAX + 1);

    size = ngx_trove_metrics_size(nsets);
    fuzz_check(size <= REGION, "%d bytes", (int) size);

    addr = regions[region] + REGION - size;

    /* the previous contents must not matter */

    memset(addr, 0xa5, size);

    metrics = ngx_trove_metrics_create(addr, nsets);
    fuzz_check(metrics != NULL, "no table");
}


/* a reload with another number of sets in the configuration */

static void
copy(ngx_uint_t n)
{
    ngx_uint_t            i;
    ngx_trove_metrics_t  *old;

    old = metrics;

    create(n);
    ngx_trove_metrics_copy(metrics, old);

    /* the first of them, as many as fit, each in its own set */

    qsort(models, nmodels, sizeof(model_t), compare);
    nmodels = ngx_min(nmodels, nsets);

    for (i = 0; i < nmodels; i++) {
        models[i].index = nsets;
    }
}


static int
compare(const void *one, const void *two)
{
    const model_t  *m1, *m2;

    m1 = one;
    m2 = two;

    return (m1->index > m2->index) - (m1->index < m2->index);
}


static model_t *
find(ngx_uint_t name, ngx_trove_metrics_set_t **set)
{
    char                      text[NAMES + 1];
    ngx_str_t                 str;
    ngx_uint_t                i, k, index;
    ngx_trove_metrics_set_t  *found;

    /* of any length, also 0 */

    memset(text, 'n', sizeof(text));
    text[0] = 'a' + name % 2;

    str.data = fuzz_copy((u_char *) text, name / 2);
    str.len = name / 2;

    found = ngx_trove_metrics_set(metrics, &str);
    *set = ngx_trove_metrics_set(metrics, &str);

    free(str.data);

    fuzz_check(found == *set, "the same name, another set");

    /* neither of the two shortest has a letter that tells them apart */

    name = ngx_max(name, 1);

    for (i = 0; i < nmodels; i++) {
        if (models[i].name == name) {
            break;
        }
    }

    if (i == nsets) {
        fuzz_check(found == NULL, "more sets than the table can hold");
        return NULL;
    }

    fuzz_check(found != NULL, "no set, although the table is not full");

    index = ngx_trove_metrics_index(metrics, found);

    fuzz_check(index < nsets, "a set outside of the table");
    fuzz_check((u_char *) found > (u_char *) metrics
               && (u_char *) found < (u_char *) metrics
                                     + ngx_trove_metrics_size(nsets),
               "set %d is in the wrong place", (int) index);

    if (i == nmodels) {
        nmodels++;
        ngx_memzero(&models[i], sizeof(model_t));
        models[i].name = name;
        models[i].index = nsets;
    }

    /* a set does not move, and belongs to one name */

    if (models[i].index == nsets) {
        for (k = 0; k < nmodels; k++) {
            fuzz_check(models[k].index != index, "two names, one set");
        }

        models[i].index = index;
    }

    fuzz_check(models[i].index == index, "the set has moved");

    return &models[i];
}


static void
check(void)
{
    model_t                  *model;
    ngx_uint_t                i, c;
    ngx_trove_metrics_set_t  *set;

    for (i = 0; i < nmodels; i++) {
        model = find(models[i].name, &set);

        fuzz_check(model == &models[i], "set %d", (int) i);

        for (c = 0; c < COUNTERS; c++) {
            fuzz_check(ngx_trove_metrics_sum(set, c) == model->sums[c],
                       "counter %d of set %d", (int) c, (int) i);
        }
    }
}
