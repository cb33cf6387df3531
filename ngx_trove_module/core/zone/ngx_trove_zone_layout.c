
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <openssl/rand.h>

#if (NGX_LINUX)
#include <linux/futex.h>
#include <sys/syscall.h>
#endif

#include "ngx_trove_zone_layout.h"


/* waiting for a lock, which is usually held for less than a microsecond */
#define NGX_TROVE_ZONE_SPINS   64
#define NGX_TROVE_ZONE_YIELDS  1024
#define NGX_TROVE_ZONE_SLEEP   100                      /* microseconds */


static ngx_uint_t ngx_trove_zone_groups(void *addr, size_t size);
static ngx_int_t ngx_trove_zone_locks(ngx_trove_zone_t *zone);
static void ngx_trove_zone_lock_kind(pthread_mutex_t *mutex);
static uint64_t ngx_trove_zone_check(ngx_trove_zone_t *zone);
static void ngx_trove_zone_recover_group(ngx_trove_zone_group_t *group);


/* offset of a byte of a mutex that is never zero: its kind */
static ngx_uint_t  ngx_trove_zone_kind = sizeof(pthread_mutex_t);


size_t
ngx_trove_zone_size_min(void)
{
    return 2 * NGX_TROVE_ZONE_PAGE;
}


ngx_trove_zone_t *
ngx_trove_zone_create(void *addr, size_t size)
{
    ngx_uint_t         groups;
    ngx_trove_zone_t  *zone;

    groups = ngx_trove_zone_groups(addr, size);
    if (groups == 0) {
        return NULL;
    }

    zone = addr;

    ngx_memzero(zone, (1 + groups) * NGX_TROVE_ZONE_PAGE);

    if (RAND_bytes(zone->key, NGX_TROVE_SIPHASH_KEY_LEN) != 1) {
        return NULL;
    }

    zone->version = NGX_TROVE_ZONE_VERSION;
    zone->page = NGX_TROVE_ZONE_PAGE;
    zone->buckets = NGX_TROVE_ZONE_BUCKETS;
    zone->slots = NGX_TROVE_ZONE_SLOTS;
    zone->mutex = sizeof(pthread_mutex_t);
    zone->groups = groups;

    if (ngx_trove_zone_locks(zone) != NGX_OK) {
        return NULL;
    }

    ngx_trove_zone_seal(zone);

    return zone;
}


ngx_trove_zone_t *
ngx_trove_zone_attach(void *addr, size_t size)
{
    ngx_uint_t         groups;
    ngx_trove_zone_t  *zone;

    groups = ngx_trove_zone_groups(addr, size);
    if (groups == 0) {
        return NULL;
    }

    zone = addr;

    if (zone->magic != NGX_TROVE_ZONE_MAGIC
        || zone->version != NGX_TROVE_ZONE_VERSION
        || zone->page != NGX_TROVE_ZONE_PAGE
        || zone->buckets != NGX_TROVE_ZONE_BUCKETS
        || zone->slots != NGX_TROVE_ZONE_SLOTS
        || zone->mutex != sizeof(pthread_mutex_t)
        || zone->groups != groups
        || zone->check != ngx_trove_zone_check(zone))
    {
        return NULL;
    }

    return zone;
}


size_t
ngx_trove_zone_size(void *addr)
{
    size_t             size;
    ngx_trove_zone_t  *zone;

    zone = addr;
    size = ((size_t) zone->groups + 1) * NGX_TROVE_ZONE_PAGE;

    return ngx_trove_zone_attach(addr, size) ? size : 0;
}


ngx_uint_t
ngx_trove_zone_has_magic(void *addr)
{
    uint64_t  magic;

    ngx_memcpy(&magic, addr, sizeof(uint64_t));

    return magic == NGX_TROVE_ZONE_MAGIC;
}


ngx_int_t
ngx_trove_zone_recover(ngx_trove_zone_t *zone)
{
    ngx_uint_t  n;

    /*
     * A lock that was held at a power failure refers to a thread that will
     * never be reported as dead, because it does not exist.
     */

    if (ngx_trove_zone_locks(zone) != NGX_OK) {
        return NGX_ERROR;
    }

    /* moved keys are still here as well */

    zone->where = 0;
    zone->migrated = 0;
    zone->settled = 0;

    for (n = 0; n < zone->groups; n++) {
        ngx_trove_zone_recover_group(ngx_trove_zone_group(zone, n));
    }

    return NGX_OK;
}


void
ngx_trove_zone_key(ngx_trove_zone_t *zone, u_char *data, size_t len,
    ngx_trove_zone_key_t *key)
{
    uint64_t  hash[2];

    ngx_trove_siphash(zone->key, data, len, hash);

    key->place = hash[0];
    key->tag = hash[1];
}


void
ngx_trove_zone_seal(ngx_trove_zone_t *zone)
{
    zone->magic = NGX_TROVE_ZONE_MAGIC;

    ngx_trove_zone_store(&zone->check, ngx_trove_zone_check(zone));
}


ngx_int_t
ngx_trove_zone_lock(ngx_trove_zone_group_t *group)
{
    ngx_int_t               rc;
    ngx_trove_zone_head_t  *head;

    head = &group->u.head;

    rc = ngx_trove_zone_mutex_lock(&head->mutex, &head->recovered);

    if (ngx_trove_zone_load(&head->moved)) {

        if (rc == NGX_OK) {
            ngx_trove_zone_unlock(group);
        }

        return NGX_AGAIN;
    }

    return rc;
}


ngx_int_t
ngx_trove_zone_mutex_lock(pthread_mutex_t *mutex, uint64_t *recovered)
{
    ngx_uint_t  n;

    /*
     * Not pthread_mutex_lock(): if the page is lost, a thread sleeping in it
     * is never woken, or is aborted by the C library.
     */

    for (n = 0; ngx_trove_zone_lock_there(mutex); n++) {

        switch (pthread_mutex_trylock(mutex)) {

        case 0:
            return NGX_OK;

        case EBUSY:
            break;

        case EOWNERDEAD:

            /* nothing to repair: see ngx_trove_zone_layout.h */

            (void) pthread_mutex_consistent(mutex);
            ngx_trove_zone_count(recovered);

            return NGX_OK;

        default:
            return NGX_DECLINED;
        }

        if (n < NGX_TROVE_ZONE_SPINS) {
            ngx_cpu_pause();

        } else if (n < NGX_TROVE_ZONE_YIELDS) {
            ngx_sched_yield();

        } else {
            (void) usleep(NGX_TROVE_ZONE_SLEEP);
        }
    }

    return NGX_ABORT;
}


ngx_int_t
ngx_trove_zone_lock_attr(pthread_mutexattr_t *attr)
{
    if (pthread_mutexattr_init(attr) != 0) {
        return NGX_ERROR;
    }

    if (pthread_mutexattr_setpshared(attr, PTHREAD_PROCESS_SHARED) != 0
        || pthread_mutexattr_setrobust(attr, PTHREAD_MUTEX_ROBUST) != 0)
    {
        (void) pthread_mutexattr_destroy(attr);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_trove_zone_lock_make(pthread_mutex_t *mutex, pthread_mutexattr_t *attr)
{
    ngx_memzero(mutex, sizeof(pthread_mutex_t));

    if (pthread_mutex_init(mutex, attr) != 0) {
        return NGX_ERROR;
    }

    if (ngx_trove_zone_kind == sizeof(pthread_mutex_t)) {
        ngx_trove_zone_lock_kind(mutex);
    }

    return NGX_OK;
}


ngx_uint_t
ngx_trove_zone_lock_there(pthread_mutex_t *mutex)
{
    /* the table may have been created by another process */

    if (ngx_trove_zone_kind == sizeof(pthread_mutex_t)) {
        ngx_trove_zone_lock_kind(NULL);

        if (ngx_trove_zone_kind == sizeof(pthread_mutex_t)) {
            return 1;
        }
    }

    return __atomic_load_n((u_char *) mutex + ngx_trove_zone_kind,
                           __ATOMIC_RELAXED) != 0;
}


/* finds a byte that is not 0 in a free shared robust mutex */

static void
ngx_trove_zone_lock_kind(pthread_mutex_t *mutex)
{
    u_char              *p;
    ngx_uint_t           i;
    pthread_mutex_t      own;
    pthread_mutexattr_t  attr;

    if (mutex == NULL) {
        ngx_memzero(&own, sizeof(pthread_mutex_t));

        if (ngx_trove_zone_lock_attr(&attr) != NGX_OK) {
            return;
        }

        (void) pthread_mutex_init(&own, &attr);
        (void) pthread_mutexattr_destroy(&attr);

        mutex = &own;
    }

    p = (u_char *) mutex;

    for (i = 0; i < sizeof(pthread_mutex_t); i++) {
        if (p[i] != 0) {
            ngx_trove_zone_kind = i;
            return;
        }
    }
}


ngx_int_t
ngx_trove_zone_mutex_try(pthread_mutex_t *mutex)
{
    switch (pthread_mutex_trylock(mutex)) {

    case 0:
        return NGX_OK;

    case EBUSY:
        return NGX_BUSY;

    case EOWNERDEAD:
        (void) pthread_mutex_consistent(mutex);
        return NGX_OK;

    default:
        return NGX_DECLINED;
    }
}


void
ngx_trove_zone_unlock(ngx_trove_zone_group_t *group)
{
    ngx_trove_zone_mutex_unlock(&group->u.head.mutex);
}


void
ngx_trove_zone_mutex_unlock(pthread_mutex_t *mutex)
{
#if (NGX_LINUX)
    size_t                    len;
    struct robust_list_head  *list;
#endif

    if (ngx_trove_zone_lock_there(mutex) && pthread_mutex_unlock(mutex) == 0) {
        return;
    }

#if (NGX_LINUX)

    /*
     * The page was lost, and may contain another mutex by now.  The C library
     * still has this one in its list of the mutexes held by the thread.  It
     * would write to it at the next lock, when it may not be mapped any more.
     */

    if (syscall(SYS_get_robust_list, 0, &list, &len) == 0) {
        list->list.next = &list->list;
    }

#endif
}


/* returns the number of groups that fit, 0 if there cannot be a table */

static ngx_uint_t
ngx_trove_zone_groups(void *addr, size_t size)
{
    size_t  pages;

    if ((uintptr_t) addr % NGX_TROVE_ZONE_PAGE) {
        return 0;
    }

    pages = size / NGX_TROVE_ZONE_PAGE;

    if (pages < 2 || pages > NGX_MAX_UINT32_VALUE) {
        return 0;
    }

    return pages - 1;
}


static ngx_int_t
ngx_trove_zone_locks(ngx_trove_zone_t *zone)
{
    ngx_int_t                rc;
    ngx_uint_t               n;
    pthread_mutexattr_t      attr;
    ngx_trove_zone_group_t  *group;

    if (ngx_trove_zone_lock_attr(&attr) != NGX_OK) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_trove_zone_lock_make(&zone->migrate, &attr) != NGX_OK) {
        goto done;
    }

    for (n = 0; n < zone->groups; n++) {
        group = ngx_trove_zone_group(zone, n);

        if (ngx_trove_zone_lock_make(&group->u.head.mutex, &attr) != NGX_OK) {
            goto done;
        }
    }

    rc = NGX_OK;

done:

    (void) pthread_mutexattr_destroy(&attr);

    return rc;
}


static uint64_t
ngx_trove_zone_check(ngx_trove_zone_t *zone)
{
    uint64_t  hash[2];

    ngx_trove_siphash(zone->key, (u_char *) zone,
                      offsetof(ngx_trove_zone_t, check), hash);

    return hash[0];
}


static void
ngx_trove_zone_recover_group(ngx_trove_zone_group_t *group)
{
    ngx_uint_t                b, n;
    ngx_trove_zone_bucket_t  *bucket;

    group->u.head.moved = 0;

    for (b = 0; b < NGX_TROVE_ZONE_BUCKETS; b++) {
        bucket = &group->bucket[b];

        for (n = 0; n < NGX_TROVE_ZONE_SLOTS; n++) {

            if (bucket->word[n] == 0 || ngx_trove_zone_slot_intact(bucket, n)) {
                continue;
            }

            if (ngx_trove_zone_word_state(bucket->word[n])
                != NGX_TROVE_ZONE_CLAIMED)
            {
                ngx_trove_zone_count(&group->u.head.damaged);
            }

            ngx_trove_zone_store(&bucket->word[n], 0);
        }
    }
}
