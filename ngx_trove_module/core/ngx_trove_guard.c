
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <pthread.h>
#include <sys/mman.h>

#include "ngx_trove_allocate.h"
#include "ngx_trove_guard.h"


/* more faults than pages of an operation: extending the file does not help */
#define NGX_TROVE_GUARD_FAULTS  64


static ngx_int_t ngx_trove_guard_install(void);
static void ngx_trove_guard_handler(int signo, siginfo_t *info, void *context);
static ngx_int_t ngx_trove_guard_handle(ngx_trove_guard_t *guard);
static void ngx_trove_guard_pass(int signo, siginfo_t *info, void *context);


/* entries are reused, but never freed, since the handler takes no lock */

static ngx_trove_guard_t  *ngx_trove_guards;
static pthread_mutex_t     ngx_trove_guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction    ngx_trove_guard_old;
static ngx_uint_t          ngx_trove_guard_installed;


ngx_trove_guard_t *
ngx_trove_guard_add(void *addr, size_t len, int fd, off_t end,
    ngx_uint_t shared)
{
    ngx_trove_guard_t  *guard;

    (void) pthread_mutex_lock(&ngx_trove_guard_mutex);

    for (guard = ngx_trove_guards; guard; guard = guard->next) {
        if (guard->addr == NULL) {
            break;
        }
    }

    if (ngx_trove_guard_install() != NGX_OK) {
        guard = NULL;
        goto done;
    }

    if (guard == NULL) {
        guard = calloc(1, sizeof(ngx_trove_guard_t));
        if (guard == NULL) {
            goto done;
        }

        guard->next = ngx_trove_guards;
        __atomic_store_n(&ngx_trove_guards, guard, __ATOMIC_RELEASE);
    }

    guard->len = len;
    guard->fd = fd;
    guard->end = end;
    guard->shared = shared;
    guard->faults = 0;
    guard->replaced = 0;

    __atomic_store_n(&guard->addr, addr, __ATOMIC_RELEASE);

done:

    (void) pthread_mutex_unlock(&ngx_trove_guard_mutex);

    return guard;
}


void
ngx_trove_guard_remove(ngx_trove_guard_t *guard)
{
    if (guard) {
        __atomic_store_n(&guard->addr, NULL, __ATOMIC_RELEASE);
    }
}


ngx_err_t
ngx_trove_guard_extend(int fd, off_t end)
{
    ngx_err_t         err;
    struct stat       st;
    struct sigaction  ignore, old;

    if (fstat(fd, &st) == -1) {
        return ngx_errno;
    }

    if (st.st_size >= end) {
        return 0;
    }

    /* exceeding a file size limit would kill the process */

    ngx_memzero(&ignore, sizeof(struct sigaction));
    ignore.sa_handler = SIG_IGN;
    sigemptyset(&ignore.sa_mask);

    (void) sigaction(SIGXFSZ, &ignore, &old);

    err = ngx_trove_allocate(fd, st.st_size, end - st.st_size);

    (void) sigaction(SIGXFSZ, &old, NULL);

    return err;
}


/* called for the first guard of a process; children inherit the handler */

static ngx_int_t
ngx_trove_guard_install(void)
{
    struct sigaction  sa;

    if (ngx_trove_guard_installed) {
        return NGX_OK;
    }

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_sigaction = ngx_trove_guard_handler;
    sa.sa_flags = SA_SIGINFO;
    sigemptyset(&sa.sa_mask);

    if (sigaction(SIGBUS, &sa, &ngx_trove_guard_old) == -1) {
        return NGX_ERROR;
    }

    ngx_trove_guard_installed = 1;

    return NGX_OK;
}


static void
ngx_trove_guard_handler(int signo, siginfo_t *info, void *context)
{
    u_char             *addr, *fault;
    ngx_err_t           err;
    ngx_trove_guard_t  *guard;

    err = ngx_errno;
    fault = info->si_addr;

    /* a signal sent with kill() has no fault address */

    guard = (info->si_code > 0)
            ? __atomic_load_n(&ngx_trove_guards, __ATOMIC_ACQUIRE) : NULL;

    for ( /* void */ ; guard; guard = guard->next) {
        addr = __atomic_load_n(&guard->addr, __ATOMIC_ACQUIRE);

        if (addr && fault >= addr && fault < addr + guard->len) {
            break;
        }
    }

    if (guard == NULL || ngx_trove_guard_handle(guard) != NGX_OK) {
        ngx_trove_guard_pass(signo, info, context);
    }

    ngx_set_errno(err);
}


/* the instruction is restarted and reads zeroes */

static ngx_int_t
ngx_trove_guard_handle(ngx_trove_guard_t *guard)
{
    /* repeated faults: a disk error, or no space for blocks */

    if (guard->shared && !guard->replaced
        && guard->faults < NGX_TROVE_GUARD_FAULTS
        && ngx_trove_guard_extend(guard->fd, guard->end) == 0)
    {
        guard->faults++;
        return NGX_OK;
    }

    if (mmap(guard->addr, guard->len, PROT_READ|PROT_WRITE,
             MAP_PRIVATE|MAP_ANONYMOUS|MAP_FIXED, -1, 0)
        == MAP_FAILED)
    {
        return NGX_ERROR;
    }

    guard->replaced = 1;

    return NGX_OK;
}


/* handles the signal as if this handler were not installed */

static void
ngx_trove_guard_pass(int signo, siginfo_t *info, void *context)
{
    struct sigaction  sa;

    if (ngx_trove_guard_old.sa_flags & SA_SIGINFO) {
        ngx_trove_guard_old.sa_sigaction(signo, info, context);
        return;
    }

    if (ngx_trove_guard_old.sa_handler == SIG_IGN) {

        if (info->si_code <= 0) {
            return;
        }

    } else if (ngx_trove_guard_old.sa_handler != SIG_DFL) {
        ngx_trove_guard_old.sa_handler(signo);
        return;
    }

    ngx_memzero(&sa, sizeof(struct sigaction));
    sa.sa_handler = SIG_DFL;
    sigemptyset(&sa.sa_mask);

    (void) sigaction(signo, &sa, NULL);

    /* a fault recurs by itself, at the instruction that caused it */

    if (info->si_code <= 0) {
        (void) raise(signo);
    }
}
