
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/file.h>

#include "ngx_http_trove_dedup_zone.h"
#include "ngx_http_trove_state.h"


/* descriptors that a master of a binary upgrade may have got from its parent */
#define NGX_HTTP_TROVE_STATE_FDS  1024


struct ngx_http_trove_state_s {
    ngx_uint_t         refs;
    ngx_str_t          path;
    ngx_fd_t           fd;
    void              *addr;
    size_t             size;
    ngx_trove_zone_t  *table;
};


static ngx_http_trove_state_t *ngx_http_trove_state_create(ngx_str_t *path);
static ngx_int_t ngx_http_trove_state_find(ngx_http_trove_state_t *state,
    ngx_file_info_t *fi, ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_take(ngx_http_trove_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_map(ngx_http_trove_state_t *state,
    size_t size, ngx_log_t *log);
static void ngx_http_trove_state_unmap(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_set_aside(ngx_http_trove_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_make(ngx_http_trove_state_t *state,
    size_t size, ngx_trove_zone_t *from, ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_fill(ngx_http_trove_state_t *state,
    u_char *name, size_t size, ngx_trove_zone_t *from, ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_publish(ngx_http_trove_state_t *state,
    u_char *name, ngx_uint_t replace, ngx_log_t *log);
static ngx_int_t ngx_http_trove_state_failed(ngx_http_trove_state_t *state,
    ngx_log_t *log, ngx_err_t err, const char *what);
static size_t ngx_http_trove_state_pages(size_t size);


ngx_http_trove_state_t *
ngx_http_trove_state_open(ngx_str_t *path, size_t size, ngx_log_t *log)
{
    ngx_int_t                rc;
    ngx_file_info_t          fi;
    ngx_http_trove_state_t  *state, *copy;

    state = ngx_http_trove_state_create(path);
    if (state == NULL) {
        return NULL;
    }

    rc = ngx_http_trove_state_find(state, &fi, log);

    if (rc == NGX_OK) {
        rc = ngx_http_trove_state_take(state, log);

    } else if (rc == NGX_AGAIN) {

        /* by descent: the parent goes on with it, and so do we, as it is */

        rc = ngx_http_trove_state_map(state, ngx_file_size(&fi), log);

        if (rc == NGX_DECLINED) {
            ngx_log_error(NGX_LOG_EMERG, log, 0,
                          "trove: state file \"%V\" is not readable by this "
                          "version, restart instead of an upgrade on the fly",
                          path);
            rc = NGX_ERROR;
        }

        if (rc == NGX_OK) {
            return state;
        }
    }

    if (rc == NGX_DECLINED) {
        rc = ngx_http_trove_state_make(state, size, NULL, log);
    }

    if (rc != NGX_OK) {
        ngx_http_trove_state_unref(state);
        return NULL;
    }

    if (state->size == ngx_http_trove_state_pages(size)) {
        return state;
    }

    copy = ngx_http_trove_state_resize(state, size, log);

    if (copy == NULL) {

        /* nothing is lost, but it is not what was asked for */

        return state;
    }

    ngx_http_trove_state_unref(state);

    return copy;
}


ngx_http_trove_state_t *
ngx_http_trove_state_resize(ngx_http_trove_state_t *state, size_t size,
    ngx_log_t *log)
{
    ngx_http_trove_state_t  *copy;

    copy = ngx_http_trove_state_create(&state->path);
    if (copy == NULL) {
        return NULL;
    }

    if (ngx_http_trove_state_make(copy, size, state->table, log) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "trove: state file \"%V\" keeps its size of %uz bytes",
                      &state->path, state->size);

        ngx_http_trove_state_unref(copy);
        return NULL;
    }

    return copy;
}


static ngx_http_trove_state_t *
ngx_http_trove_state_create(ngx_str_t *path)
{
    ngx_http_trove_state_t  *state;

    /* not of a pool: it may outlive the cycle that made it */

    state = malloc(sizeof(ngx_http_trove_state_t) + path->len + 1);
    if (state == NULL) {
        return NULL;
    }

    state->refs = 1;
    state->fd = NGX_INVALID_FILE;
    state->addr = NULL;
    state->size = 0;
    state->table = NULL;

    state->path.len = path->len;
    state->path.data = (u_char *) (state + 1);
    ngx_memcpy(state->path.data, path->data, path->len);
    state->path.data[path->len] = '\0';

    return state;
}


/*
 * NGX_OK        the file is open, and locked by us
 * NGX_AGAIN     we have inherited it: state->fd is a copy of the descriptor
 * NGX_DECLINED  there is no such file
 */

static ngx_int_t
ngx_http_trove_state_find(ngx_http_trove_state_t *state, ngx_file_info_t *fi,
    ngx_log_t *log)
{
    ngx_fd_t         fd;
    ngx_file_info_t  info;

    if (ngx_file_info(state->path.data, fi) == NGX_FILE_ERROR) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        return ngx_http_trove_state_failed(state, log, ngx_errno, "stat()");
    }

    if (!ngx_is_file(fi)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "trove: \"%V\" in \"state=\" is not a regular file, "
                      "name one that is to be made", &state->path);
        return NGX_ERROR;
    }

    for (fd = 3; fd < NGX_HTTP_TROVE_STATE_FDS; fd++) {

        if (ngx_fd_info(fd, &info) != NGX_FILE_ERROR
            && ngx_file_uniq(&info) == ngx_file_uniq(fi)
            && info.st_dev == fi->st_dev)
        {
            state->fd = dup(fd);
            return NGX_AGAIN;
        }
    }

    /* without close-on-exec: the next binary is to inherit it */

    state->fd = ngx_open_file(state->path.data, NGX_FILE_RDWR, NGX_FILE_OPEN,
                              0);

    if (state->fd == NGX_INVALID_FILE) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "open()");
    }

    if (flock(state->fd, LOCK_EX|LOCK_NB) == -1) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      "trove: state file \"%V\" is in use by another nginx, "
                      "give each a file of its own", &state->path);
        return NGX_ERROR;
    }

    /* somebody may have put another in its place meanwhile */

    if (ngx_fd_info(state->fd, &info) == NGX_FILE_ERROR
        || ngx_file_info(state->path.data, fi) == NGX_FILE_ERROR
        || ngx_file_uniq(&info) != ngx_file_uniq(fi))
    {
        ngx_log_error(NGX_LOG_EMERG, log, 0,
                      "trove: state file \"%V\" is in use by another nginx, "
                      "give each a file of its own", &state->path);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* takes over a file that nobody else has open; NGX_DECLINED: set aside */

static ngx_int_t
ngx_http_trove_state_take(ngx_http_trove_state_t *state, ngx_log_t *log)
{
    ngx_int_t              rc;
    ngx_err_t              err;
    ngx_file_info_t        fi;
    ngx_trove_zone_now_t   now;
    ngx_trove_zone_stat_t  stat;

    if (ngx_fd_info(state->fd, &fi) == NGX_FILE_ERROR) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "fstat()");
    }

    rc = ngx_http_trove_state_map(state, ngx_file_size(&fi), log);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc == NGX_DECLINED) {
        return ngx_http_trove_state_set_aside(state, log);
    }

    /* a hole in it would be a SIGBUS on a full disk */

    err = posix_fallocate(state->fd, 0, state->size);

    if (err) {
        return ngx_http_trove_state_failed(state, log, err,
                                           "posix_fallocate()");
    }

    if (ngx_trove_zone_recover(state->table) != NGX_OK) {
        return ngx_http_trove_state_failed(state, log, 0,
                                           "pthread_mutex_init()");
    }

    ngx_http_trove_dedup_zone_now(&now);
    ngx_trove_zone_stat(state->table, &now, &stat);

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "trove: state file \"%V\" has %uL events",
                  &state->path, stat.done);

    if (stat.damaged) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: state file \"%V\" was damaged, %uL events of it "
                      "were dropped since it was made",
                      &state->path, stat.damaged);
    }

    return NGX_OK;
}


/* NGX_DECLINED: it is not a table */

static ngx_int_t
ngx_http_trove_state_map(ngx_http_trove_state_t *state, size_t size,
    ngx_log_t *log)
{
    if (size < ngx_trove_zone_size_min()
        || size != ngx_http_trove_state_pages(size))
    {
        return NGX_DECLINED;
    }

    state->addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, state->fd,
                       0);

    if (state->addr == MAP_FAILED) {
        state->addr = NULL;

        return ngx_http_trove_state_failed(state, log, ngx_errno, "mmap()");
    }

    state->size = size;
    state->table = ngx_trove_zone_attach(state->addr, size);

    if (state->table == NULL) {
        ngx_http_trove_state_unmap(state);
        return NGX_DECLINED;
    }

    return NGX_OK;
}


static void
ngx_http_trove_state_unmap(ngx_http_trove_state_t *state)
{
    if (state->addr) {
        (void) munmap(state->addr, state->size);
    }

    state->addr = NULL;
    state->size = 0;
    state->table = NULL;
}


/* what we cannot read may be dear to somebody: it is never deleted */

static ngx_int_t
ngx_http_trove_state_set_aside(ngx_http_trove_state_t *state, ngx_log_t *log)
{
    u_char           *name;
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_file_info_t   fi;

    name = malloc(state->path.len + sizeof(".bad-.") + 2 * NGX_TIME_T_LEN);
    if (name == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    for (i = 0; i < 100; i++) {
        (void) ngx_sprintf(name, "%V.bad-%T.%ui%Z", &state->path, ngx_time(),
                           i);

        if (ngx_file_info(name, &fi) == NGX_FILE_ERROR) {
            break;
        }
    }

    if (ngx_rename_file(state->path.data, name) == NGX_FILE_ERROR) {
        (void) ngx_http_trove_state_failed(state, log, ngx_errno, "rename()");

    } else {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "trove: \"%V\" is not a state file of this version, or "
                      "it is damaged; it was set aside as \"%s\", and the "
                      "zone starts empty", &state->path, name);
        rc = NGX_DECLINED;
    }

    free(name);

    (void) ngx_close_file(state->fd);
    state->fd = NGX_INVALID_FILE;

    return rc;
}


/*
 * Makes a file that is complete before it gets its name: a copy of from, which
 * it replaces, or an empty one.
 */

static ngx_int_t
ngx_http_trove_state_make(ngx_http_trove_state_t *state, size_t size,
    ngx_trove_zone_t *from, ngx_log_t *log)
{
    u_char     *name;
    ngx_int_t   rc;

    name = malloc(state->path.len + sizeof("..tmp") + NGX_INT64_LEN);
    if (name == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_sprintf(name, "%V.%P.tmp%Z", &state->path, ngx_pid);

    /* of a process that had our number, and died before it was done */

    (void) ngx_delete_file(name);

    rc = ngx_http_trove_state_fill(state, name,
                                   ngx_http_trove_state_pages(size), from,
                                   log);

    if (rc == NGX_OK) {
        rc = ngx_http_trove_state_publish(state, name, from != NULL, log);
    }

    if (rc != NGX_OK) {
        (void) ngx_delete_file(name);
    }

    free(name);

    return rc;
}


static ngx_int_t
ngx_http_trove_state_fill(ngx_http_trove_state_t *state, u_char *name,
    size_t size, ngx_trove_zone_t *from, ngx_log_t *log)
{
    ngx_err_t             err;
    ngx_uint_t            lost;
    ngx_trove_zone_now_t  now;

    state->fd = ngx_open_file(name, NGX_FILE_RDWR, O_CREAT|O_EXCL, 0600);

    if (state->fd == NGX_INVALID_FILE) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "open()");
    }

    if (flock(state->fd, LOCK_EX|LOCK_NB) == -1) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "flock()");
    }

    err = posix_fallocate(state->fd, 0, size);

    if (err) {
        return ngx_http_trove_state_failed(state, log, err,
                                           "posix_fallocate()");
    }

    state->addr = mmap(NULL, size, PROT_READ|PROT_WRITE, MAP_SHARED, state->fd,
                       0);

    if (state->addr == MAP_FAILED) {
        state->addr = NULL;

        return ngx_http_trove_state_failed(state, log, ngx_errno, "mmap()");
    }

    state->size = size;
    state->table = ngx_trove_zone_create(state->addr, size);

    if (state->table == NULL) {
        return ngx_http_trove_state_failed(state, log, 0, "initialization");
    }

    if (from) {
        ngx_http_trove_dedup_zone_now(&now);
        lost = ngx_trove_zone_copy(state->table, from, &now);

        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "trove: state file \"%V\" has another size, its events "
                      "were carried over, but for %ui without room",
                      &state->path, lost);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_state_publish(ngx_http_trove_state_t *state, u_char *name,
    ngx_uint_t replace, ngx_log_t *log)
{
    if (fsync(state->fd) == -1) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "fsync()");
    }

    if (replace) {
        if (ngx_rename_file(name, state->path.data) == NGX_FILE_ERROR) {
            return ngx_http_trove_state_failed(state, log, ngx_errno,
                                               "rename()");
        }

        return NGX_OK;
    }

    /* unlike rename(), link() does not overwrite what another nginx has made */

    if (link((char *) name, (char *) state->path.data) == -1) {
        return ngx_http_trove_state_failed(state, log, ngx_errno, "link()");
    }

    (void) ngx_delete_file(name);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_state_failed(ngx_http_trove_state_t *state, ngx_log_t *log,
    ngx_err_t err, const char *what)
{
    ngx_log_error(NGX_LOG_EMERG, log, err,
                  "trove: %s of state file \"%V\" failed", what, &state->path);

    return NGX_ERROR;
}


static size_t
ngx_http_trove_state_pages(size_t size)
{
    /* pages of the table, which those of the system are a multiple of */

    return size - size % 4096;
}


void
ngx_http_trove_state_ref(ngx_http_trove_state_t *state)
{
    state->refs++;
}


void
ngx_http_trove_state_unref(ngx_http_trove_state_t *state)
{
    if (state == NULL || --state->refs) {
        return;
    }

    ngx_http_trove_state_unmap(state);

    if (state->fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(state->fd);
    }

    free(state);
}


ngx_trove_zone_t *
ngx_http_trove_state_table(ngx_http_trove_state_t *state)
{
    return state->table;
}


ngx_str_t *
ngx_http_trove_state_path(ngx_http_trove_state_t *state)
{
    return &state->path;
}


void
ngx_http_trove_state_sync(ngx_http_trove_state_t *state)
{
#ifdef SYNC_FILE_RANGE_WRITE

    /* only begins to write: the event loop does not wait for the disk */

    (void) sync_file_range(state->fd, 0, 0, SYNC_FILE_RANGE_WRITE);

#endif
}
