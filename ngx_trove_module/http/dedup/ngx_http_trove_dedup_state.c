
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sys/file.h>

#include "ngx_http_trove_clock.h"
#include "ngx_http_trove_dedup_state.h"
#include "ngx_trove_path.h"


/* the highest descriptor that is searched for */
#define NGX_HTTP_TROVE_STATE_FDS  65536


typedef struct {
    u_char      *path;           /* for messages; of the caller */
    int          dir;            /* its directory */
    const char  *name;           /* names in it */
    char         tmp[NGX_MAX_PATH];
    ngx_fd_t     fd;             /* of the file, locked */
    ngx_fd_t     tmp_fd;         /* likewise */
    ngx_log_t   *log;
} ngx_http_trove_state_t;


static ngx_trove_table_t *ngx_http_trove_state_file(
    ngx_http_trove_state_t *state, size_t size);
static ngx_int_t ngx_http_trove_state_names(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_find(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_inherited(ngx_http_trove_state_t *state,
    ngx_file_info_t *fi);
static ngx_trove_table_t *ngx_http_trove_state_join(
    ngx_http_trove_state_t *state);
static ngx_trove_table_t *ngx_http_trove_state_take(
    ngx_http_trove_state_t *state, size_t size);
static ngx_trove_table_t *ngx_http_trove_state_make(
    ngx_http_trove_state_t *state, size_t size);
static ngx_int_t ngx_http_trove_state_carry(ngx_http_trove_state_t *state,
    ngx_trove_table_t *table);
static ngx_int_t ngx_http_trove_state_set_aside(ngx_http_trove_state_t *state,
    ngx_uint_t tables);
static void ngx_http_trove_state_damaged(ngx_http_trove_state_t *state,
    uint64_t damaged);
static ngx_int_t ngx_http_trove_state_tmp(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_sweep(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_publish(ngx_http_trove_state_t *state);
static ngx_int_t ngx_http_trove_state_lock(ngx_http_trove_state_t *state,
    ngx_fd_t fd, const char *name);
static ngx_int_t ngx_http_trove_state_not_opened(
    ngx_http_trove_state_t *state, const char *suffix, const char *reason);
static ngx_int_t ngx_http_trove_state_failed(ngx_http_trove_state_t *state,
    const char *call, ngx_err_t err);


ngx_trove_table_t *
ngx_http_trove_state_open(ngx_str_t *path, size_t size, ngx_log_t *log)
{
    ngx_trove_table_t       *table;
    ngx_http_trove_state_t   state;

    state.path = path->data;
    state.dir = -1;
    state.fd = NGX_INVALID_FILE;
    state.tmp_fd = NGX_INVALID_FILE;
    state.log = log;

    table = NULL;

    if (ngx_http_trove_state_names(&state) == NGX_OK) {
        table = ngx_http_trove_state_file(&state, size);
    }

    if (state.fd != NGX_INVALID_FILE) {
        (void) ngx_close_file(state.fd);
    }

    if (state.tmp_fd != NGX_INVALID_FILE) {
        (void) unlinkat(state.dir, state.tmp, 0);
        (void) ngx_close_file(state.tmp_fd);
    }

    if (state.dir != -1) {
        (void) close(state.dir);
    }

    return table;
}


/* descriptors that the table owns now are invalid in the state */

static ngx_trove_table_t *
ngx_http_trove_state_file(ngx_http_trove_state_t *state, size_t size)
{
    switch (ngx_http_trove_state_find(state)) {

    case NGX_OK:
        return ngx_http_trove_state_take(state, size);

    case NGX_AGAIN:
        return ngx_http_trove_state_join(state);

    case NGX_DECLINED:
        return ngx_http_trove_state_make(state, size);

    default: /* NGX_ERROR */
        return NULL;
    }
}


static ngx_int_t
ngx_http_trove_state_names(ngx_http_trove_state_t *state)
{
    const char  *reason;

    /* by a descriptor: the directory cannot be replaced later */

    state->dir = ngx_trove_path_dir((char *) state->path, &state->name,
                                    &reason);

    if (state->dir == -1) {
        return ngx_http_trove_state_not_opened(state, "", reason);
    }

    if (ngx_strlen(state->name) > NGX_MAX_PATH - sizeof(".tmp")) {
        ngx_set_errno(NGX_ENAMETOOLONG);
        return ngx_http_trove_state_not_opened(state, "", NULL);
    }

    (void) ngx_sprintf((u_char *) state->tmp, "%s.tmp%Z", state->name);

    return NGX_OK;
}


/*
 * NGX_OK        the file is open, and locked by this process only
 * NGX_AGAIN     it is open, and the lock is inherited
 * NGX_DECLINED  there is no such file
 */

static ngx_int_t
ngx_http_trove_state_find(ngx_http_trove_state_t *state)
{
    nlink_t          names;
    ngx_int_t        rc;
    const char      *reason;
    ngx_file_info_t  fi;

    /*
     * Without close-on-exec, so that the next binary inherits it.  A second
     * name is left if a process was killed before it replaced a file that had
     * been kept.
     */

    names = 1 + ngx_trove_path_names(state->dir, state->name, ".bad-");

    state->fd = ngx_trove_path_open(state->dir, state->name, NGX_FILE_RDWR,
                                    names, &fi, &reason);

    if (state->fd == NGX_INVALID_FILE) {

        if (reason == NULL && ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        return ngx_http_trove_state_not_opened(state, "", reason);
    }

    rc = ngx_http_trove_state_lock(state, state->fd, state->name);

    if (rc != NGX_BUSY) {
        return rc;
    }

    if (ngx_http_trove_state_inherited(state, &fi) == NGX_OK) {
        return NGX_AGAIN;
    }

    ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                  "trove: state file \"%s\" is in use by another nginx, use a "
                  "separate file for each", state->path);

    return NGX_ERROR;
}


/*
 * The file is locked.  If this process has the descriptor, too, it is the
 * master of a binary upgrade, or a reload has moved the file to another zone.
 */

static ngx_int_t
ngx_http_trove_state_inherited(ngx_http_trove_state_t *state,
    ngx_file_info_t *fi)
{
    int              fds;
    ngx_fd_t         fd;
    ngx_file_info_t  info;

    fds = ngx_min(getdtablesize(), NGX_HTTP_TROVE_STATE_FDS);

    for (fd = 3; fd < fds; fd++) {

        if (fd == state->fd
            || ngx_fd_info(fd, &info) == NGX_FILE_ERROR
            || ngx_file_uniq(&info) != ngx_file_uniq(fi)
            || info.st_dev != fi->st_dev)
        {
            continue;
        }

        (void) ngx_close_file(state->fd);

        /* a zone of the running configuration still has it */

        state->fd = ngx_is_init_cycle(ngx_cycle) ? fd : dup(fd);

        return (state->fd == NGX_INVALID_FILE) ? NGX_ERROR : NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_trove_table_t *
ngx_http_trove_state_join(ngx_http_trove_state_t *state)
{
    ngx_trove_table_t        *table;
    ngx_trove_table_error_t   error;

    table = ngx_trove_table_join(state->fd, &error);

    if (table) {
        state->fd = NGX_INVALID_FILE;

    } else if (error.call) {
        (void) ngx_http_trove_state_failed(state, error.call, error.err);

    } else {
        ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                      "trove: state file \"%s\" cannot be used by this "
                      "version, restart nginx instead of upgrading it on the "
                      "fly", state->path);
    }

    return table;
}


static ngx_trove_table_t *
ngx_http_trove_state_take(ngx_http_trove_state_t *state, size_t size)
{
    uint64_t                  damaged;
    ngx_trove_table_t        *table;
    ngx_trove_zone_now_t      now;
    ngx_trove_zone_stat_t     stat;
    ngx_trove_table_error_t   error;

    switch (ngx_trove_table_identify(state->fd, &error)) {

    case NGX_OK:
    case NGX_AGAIN:
        break;

    case NGX_DECLINED:
        ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                      "trove: \"%s\" in \"state=\" is not a state file, "
                      "specify another path or move the file away",
                      state->path);
        return NULL;

    default: /* NGX_ERROR */
        (void) ngx_http_trove_state_failed(state, error.call, error.err);
        return NULL;
    }

    if (ngx_http_trove_state_sweep(state) != NGX_OK) {
        return NULL;
    }

    damaged = 0;

    table = ngx_trove_table_take(state->fd, size, &damaged, &error);

    if (table) {
        state->fd = NGX_INVALID_FILE;

    } else if (error.call) {
        (void) ngx_http_trove_state_failed(state, error.call, error.err);
        return NULL;

    } else {
        table = ngx_http_trove_state_make(state, size);

        if (table == NULL) {
            return NULL;
        }
    }

    ngx_http_trove_clock_zone(&now);
    ngx_trove_table_stat(table, &now, &stat);

    ngx_log_error(NGX_LOG_NOTICE, state->log, 0,
                  "trove: state file \"%s\" has %uL events",
                  state->path, stat.done);

    ngx_http_trove_state_damaged(state, damaged);

    return table;
}


/* the file is complete, with the data of the old one, before it is renamed */

static ngx_trove_table_t *
ngx_http_trove_state_make(ngx_http_trove_state_t *state, size_t size)
{
    ngx_trove_table_t        *table;
    ngx_trove_table_error_t   error;

    if (ngx_http_trove_state_tmp(state) != NGX_OK) {
        return NULL;
    }

    table = ngx_trove_table_create(state->tmp_fd, size, &error);

    if (table == NULL) {
        (void) ngx_http_trove_state_failed(state, error.call, error.err);
        return NULL;
    }

    if (ngx_http_trove_state_carry(state, table) != NGX_OK
        || ngx_http_trove_state_publish(state) != NGX_OK)
    {
        (void) unlinkat(state->dir, state->tmp, 0);
        state->tmp_fd = NGX_INVALID_FILE;

        ngx_trove_table_unref(table);

        return NULL;
    }

    state->tmp_fd = NGX_INVALID_FILE;

    return table;
}


static ngx_int_t
ngx_http_trove_state_carry(ngx_http_trove_state_t *state,
    ngx_trove_table_t *table)
{
    ngx_int_t                  rc;
    ngx_trove_zone_now_t       now;
    ngx_trove_table_error_t    error;
    ngx_trove_table_carried_t  carried;

    if (state->fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    ngx_http_trove_clock_zone(&now);

    rc = ngx_trove_table_carry(table, state->fd, &now, &carried, &error);

    if (rc == NGX_ERROR) {
        return ngx_http_trove_state_failed(state, error.call, error.err);
    }

    if (rc == NGX_DECLINED
        && ngx_http_trove_state_set_aside(state, carried.tables) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (carried.tables) {
        ngx_log_error(NGX_LOG_NOTICE, state->log, 0,
                      "trove: state file \"%s\" was recreated, its events were "
                      "copied, %ui of them did not fit", state->path,
                      carried.left);
    }

    ngx_http_trove_state_damaged(state, carried.damaged);

    return NGX_OK;
}


static void
ngx_http_trove_state_damaged(ngx_http_trove_state_t *state, uint64_t damaged)
{
    if (damaged) {
        ngx_log_error(NGX_LOG_WARN, state->log, 0,
                      "trove: state file \"%s\" was damaged, %uL events were "
                      "dropped", state->path, damaged);
    }
}


/* a file that cannot be read may be needed, and is never deleted */

static ngx_int_t
ngx_http_trove_state_set_aside(ngx_http_trove_state_t *state,
    ngx_uint_t tables)
{
    char                     *name;
    ngx_uint_t                i;
    ngx_file_info_t           fi, info;
    ngx_trove_table_error_t   error;

    if (ngx_trove_table_identify(state->fd, &error) != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, state->log, 0,
                      "trove: state file \"%s\" is empty, the zone starts "
                      "empty", state->path);
        return NGX_OK;
    }

    name = malloc(ngx_strlen(state->name) + sizeof(".bad-.")
                  + 2 * NGX_TIME_T_LEN);
    if (name == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; /* void */ ; i++) {
        (void) ngx_sprintf((u_char *) name, "%s.bad-%T.%ui%Z", state->name,
                           ngx_time(), i);

        /* a second name: the new file replaces the first one */

        if (linkat(state->dir, state->name, state->dir, name, 0) == 0) {
            break;
        }

        if (ngx_errno != NGX_EEXIST || i == 1000) {
            (void) ngx_http_trove_state_failed(state, "link()", ngx_errno);
            free(name);
            return NGX_ERROR;
        }
    }

    if (fstatat(state->dir, name, &fi, AT_SYMLINK_NOFOLLOW) == -1
        || ngx_fd_info(state->fd, &info) == NGX_FILE_ERROR
        || ngx_file_uniq(&info) != ngx_file_uniq(&fi)
        || info.st_dev != fi.st_dev)
    {
        /* not the file that was checked: it has been replaced */

        (void) unlinkat(state->dir, name, 0);
        free(name);

        return ngx_http_trove_state_failed(state, "link()", NGX_EEXIST);
    }

    if (tables) {
        ngx_log_error(NGX_LOG_WARN, state->log, 0,
                      "trove: state file \"%s\" is damaged, it was renamed to "
                      "\"%s\" and its readable events were copied", state->path,
                      name);

    } else {
        ngx_log_error(NGX_LOG_WARN, state->log, 0,
                      "trove: state file \"%s\" is damaged or has another "
                      "version, it was renamed to \"%s\" and the zone starts "
                      "empty", state->path, name);
    }

    free(name);

    return NGX_OK;
}


static ngx_int_t
ngx_http_trove_state_tmp(ngx_http_trove_state_t *state)
{
    ngx_file_info_t  fi;

    if (ngx_http_trove_state_sweep(state) != NGX_OK) {
        return NGX_ERROR;
    }

    state->tmp_fd = openat(state->dir, state->tmp,
                           O_RDWR|O_CREAT|O_EXCL|O_NOFOLLOW, 0600);

    if (state->tmp_fd == NGX_INVALID_FILE) {
        return ngx_http_trove_state_failed(state, "open()", ngx_errno);
    }

    /*
     * If several processes start at the same time with the same file, one of
     * them gets this lock.  Another one may have finished before.
     */

    if (ngx_http_trove_state_lock(state, state->tmp_fd, state->tmp) == NGX_OK) {

        if (state->fd != NGX_INVALID_FILE
            || fstatat(state->dir, state->name, &fi, AT_SYMLINK_NOFOLLOW)
               == -1)
        {
            return NGX_OK;
        }

        (void) unlinkat(state->dir, state->tmp, 0);
    }

    (void) ngx_close_file(state->tmp_fd);
    state->tmp_fd = NGX_INVALID_FILE;

    ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                  "trove: state file \"%s\" is in use by another nginx, use a "
                  "separate file for each", state->path);

    return NGX_ERROR;
}


/* removes the file that a killed process has left */

static ngx_int_t
ngx_http_trove_state_sweep(ngx_http_trove_state_t *state)
{
    ngx_fd_t         fd;
    ngx_int_t        rc;
    const char      *reason;
    ngx_file_info_t  fi;

    fd = ngx_trove_path_open(state->dir, state->tmp, NGX_FILE_RDWR|O_CLOEXEC,
                             1, &fi, &reason);

    if (fd == NGX_INVALID_FILE) {
        return (reason == NULL && ngx_errno == NGX_ENOENT)
               ? NGX_OK
               : ngx_http_trove_state_not_opened(state, ".tmp", reason);
    }

    rc = ngx_http_trove_state_lock(state, fd, state->tmp);

    if (rc == NGX_OK) {
        (void) unlinkat(state->dir, state->tmp, 0);

    } else if (rc == NGX_BUSY) {
        ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                      "trove: state file \"%s\" is in use by another nginx, "
                      "use a separate file for each", state->path);
    }

    (void) ngx_close_file(fd);

    return (rc == NGX_OK) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_trove_state_publish(ngx_http_trove_state_t *state)
{
    ngx_fd_t  dir;

    if (fsync(state->tmp_fd) == -1) {
        return ngx_http_trove_state_failed(state, "fsync()", ngx_errno);
    }

    /* there is no file to replace, or it is locked by this process */

    if (renameat(state->dir, state->tmp, state->dir, state->name) == -1) {
        return ngx_http_trove_state_failed(state, "rename()", ngx_errno);
    }

    /* and the new file has not been replaced */

    if (ngx_http_trove_state_lock(state, state->tmp_fd, state->name)
        != NGX_OK)
    {
        return ngx_http_trove_state_failed(state, "rename()", NGX_EEXIST);
    }

    /* the name should be on the disk too; an error is not fatal */

    dir = openat(state->dir, ".", O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (dir != NGX_INVALID_FILE) {
        (void) fsync(dir);
        (void) ngx_close_file(dir);
    }

    return NGX_OK;
}


/*
 * NGX_OK     fd is the file with this name, and locked
 * NGX_BUSY   another process has locked or replaced it
 * NGX_ERROR  logged
 */

static ngx_int_t
ngx_http_trove_state_lock(ngx_http_trove_state_t *state, ngx_fd_t fd,
    const char *name)
{
    ngx_file_info_t  fi, info;

    if (flock(fd, LOCK_EX|LOCK_NB) == -1) {

        if (ngx_errno == EWOULDBLOCK) {
            return NGX_BUSY;
        }

        return ngx_http_trove_state_failed(state, "flock()", ngx_errno);
    }

    if (ngx_fd_info(fd, &info) == NGX_FILE_ERROR
        || fstatat(state->dir, name, &fi, AT_SYMLINK_NOFOLLOW) == -1
        || ngx_file_uniq(&info) != ngx_file_uniq(&fi)
        || info.st_dev != fi.st_dev)
    {
        return NGX_BUSY;
    }

    return NGX_OK;
}


/* see ngx_trove_path.h */

static ngx_int_t
ngx_http_trove_state_not_opened(ngx_http_trove_state_t *state,
    const char *suffix, const char *reason)
{
    if (reason == NULL) {
        return ngx_http_trove_state_failed(state, "open()", ngx_errno);
    }

    ngx_log_error(NGX_LOG_EMERG, state->log, 0,
                  "trove: state file refused: \"%s%s\" %s",
                  state->path, suffix, reason);

    return NGX_ERROR;
}


static ngx_int_t
ngx_http_trove_state_failed(ngx_http_trove_state_t *state, const char *call,
    ngx_err_t err)
{
    ngx_log_error(NGX_LOG_EMERG, state->log, err,
                  "trove: %s of state file \"%s\" failed", call, state->path);

    return NGX_ERROR;
}
