
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_query.h"


/*
 * The number of an owner takes exactly four bytes in the file: see
 * ngx_trove_sqlite_row_add().
 */
#define NGX_TROVE_SQLITE_OWNER_MIN  (1 << 24)
#define NGX_TROVE_SQLITE_OWNER_MAX  INT32_MAX

/* page cache of a connection, kilobytes */
#define NGX_TROVE_SQLITE_CACHE     8192

/* size in bytes to which PATH-wal is truncated when it restarts */
#define NGX_TROVE_SQLITE_WAL_KEEP  (32 * 1024 * 1024)


static void ngx_trove_sqlite_db_init(ngx_trove_sqlite_db_t *db);
static void ngx_trove_sqlite_db_close(ngx_trove_sqlite_db_t *db);
static ngx_int_t ngx_trove_sqlite_open_file(ngx_trove_sqlite_t *spool,
    ngx_uint_t make, ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_beside(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_open_first(ngx_trove_sqlite_t *spool,
    ngx_uint_t make, ngx_uint_t first);
static ngx_int_t ngx_trove_sqlite_open_made(ngx_trove_sqlite_t *spool,
    ngx_uint_t make, ngx_trove_spool_error_t *error);
static ngx_int_t ngx_trove_sqlite_open_db(ngx_trove_sqlite_t *spool,
    ngx_trove_sqlite_db_t *db, int flags, ngx_trove_spool_error_t *error);
static int ngx_trove_sqlite_committed(void *data, sqlite3 *handle,
    const char *name, int pages);
static void ngx_trove_sqlite_close_all(ngx_trove_sqlite_t *spool);


ngx_trove_spool_t *
ngx_trove_sqlite_create(ngx_trove_spool_conf_t *conf)
{
    int32_t              random;
    ngx_uint_t           i;
    ngx_trove_spool_t   *base;
    ngx_trove_sqlite_t  *spool;

    if (sqlite3_initialize() != SQLITE_OK) {
        return NULL;
    }

    spool = calloc(1, sizeof(ngx_trove_sqlite_t));
    if (spool == NULL) {
        return NULL;
    }

    base = &spool->base;

    spool->max_size = conf->max_size;
    spool->retention = conf->retention;
    spool->wait = ngx_max(conf->wait, 1);
    spool->fd = -1;
    spool->instance = -1;
    spool->keys = NGX_TROVE_SQLITE_KEYS;
    spool->wal_pages = NGX_TROVE_SQLITE_WAL_PAGES;
    spool->idents = NGX_TROVE_SQLITE_KEYS;

    spool->path = ngx_trove_sqlite_name(&conf->uri, "");
    spool->path_lock = ngx_trove_sqlite_name(&conf->uri, "-lock");
    spool->path_wal = ngx_trove_sqlite_name(&conf->uri, "-wal");
    spool->path_shm = ngx_trove_sqlite_name(&conf->uri, "-shm");

    ngx_trove_sqlite_db_init(&spool->writer);
    ngx_trove_sqlite_db_init(&spool->maintenance);

    (void) pthread_mutex_init(&spool->generation_mutex, NULL);
    (void) pthread_mutex_init(&spool->marking, NULL);

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        ngx_trove_sqlite_db_init(&spool->readers[i]);
    }

    if (spool->path == NULL || spool->path_lock == NULL
        || spool->path_wal == NULL || spool->path_shm == NULL)
    {
        ngx_trove_sqlite_destroy(base);
        return NULL;
    }

    /* the generator of SQLite may have been duplicated by a fork */

    sqlite3_randomness(sizeof(int32_t), &random);

    random = (random ^ ((uint32_t) getpid() * 0x9e3779b1)) & INT32_MAX;

    spool->owner = NGX_TROVE_SQLITE_OWNER_MIN
                   + random % (NGX_TROVE_SQLITE_OWNER_MAX
                               - NGX_TROVE_SQLITE_OWNER_MIN);

    spool->clamped = INT64_MIN / 2;

    return base;
}


static void
ngx_trove_sqlite_db_init(ngx_trove_sqlite_db_t *db)
{
    (void) pthread_mutex_init(&db->mutex, NULL);
}


void
ngx_trove_sqlite_destroy(ngx_trove_spool_t *base)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_uint_t               i;
    ngx_trove_spool_error_t  ignored;

    (void) ngx_trove_sqlite_save(spool, &ignored);

    if (spool->writer.db != NULL && !spool->stale
        && ngx_trove_sqlite_lock_alone(spool))
    {
        /* PATH contains everything when no process uses it */

        ngx_trove_sqlite_guard_end(spool);

        (void) sqlite3_db_config(spool->writer.db,
                                 SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
    }

    ngx_trove_sqlite_close_all(spool);

    if (spool->instance != -1) {
        (void) close(spool->instance);
    }

    (void) pthread_mutex_destroy(&spool->writer.mutex);
    (void) pthread_mutex_destroy(&spool->maintenance.mutex);
    (void) pthread_mutex_destroy(&spool->generation_mutex);
    (void) pthread_mutex_destroy(&spool->marking);

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        (void) pthread_mutex_destroy(&spool->readers[i].mutex);
    }

    free(spool->path);
    free(spool->path_lock);
    free(spool->path_wal);
    free(spool->path_shm);
    free(spool->marks);
    free(spool);
}


static void
ngx_trove_sqlite_close_all(ngx_trove_sqlite_t *spool)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {
        ngx_trove_sqlite_db_close(&spool->readers[i]);
    }

    ngx_trove_sqlite_db_close(&spool->snapshot);
    ngx_trove_sqlite_db_close(&spool->maintenance);
    ngx_trove_sqlite_db_close(&spool->writer);

    ngx_trove_sqlite_key_drop(&spool->work);
    ngx_trove_sqlite_ident_drop(&spool->work);
    ngx_memzero(&spool->work, sizeof(ngx_trove_sqlite_work_t));

    ngx_trove_sqlite_unguard(spool);

    /* after the last connection: PATH-lock tells others that there are any */

    ngx_trove_sqlite_detach(spool);
}


static void
ngx_trove_sqlite_db_close(ngx_trove_sqlite_db_t *db)
{
    ngx_uint_t  i;

    if (db->db != NULL) {

        for (i = 0; i < NGX_TROVE_SQLITE_SQL_MAX; i++) {
            (void) sqlite3_finalize(db->stmts[i]);
            db->stmts[i] = NULL;
        }

        (void) sqlite3_close(db->db);
        db->db = NULL;
    }

    ngx_trove_sqlite_cache_clear(db);

    free(db->taken);

    db->taken = NULL;
    db->ntaken = 0;
    db->ataken = 0;
    db->wal_pages = 0;
}


ngx_int_t
ngx_trove_sqlite_open(ngx_trove_spool_t *base, ngx_trove_spool_error_t *error)
{
    ngx_trove_sqlite_t *spool = (ngx_trove_sqlite_t *) base;

    ngx_int_t  rc;

    ngx_memzero(error, sizeof(ngx_trove_spool_error_t));

    ngx_trove_sqlite_lock_all(spool);

    rc = ngx_trove_sqlite_open_all(spool, 1, error);

    ngx_trove_sqlite_unlock_all(spool, NULL);

    return rc;
}


ngx_int_t
ngx_trove_sqlite_open_all(ngx_trove_sqlite_t *spool, ngx_uint_t make,
    ngx_trove_spool_error_t *error)
{
    ngx_int_t  rc;

    if (spool->stale) {

        rc = ngx_trove_sqlite_save(spool, error);

        if (rc == NGX_ERROR) {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_close_all(spool);
        spool->stale = 0;

        if (rc == NGX_DECLINED) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_GONE, 0,
                                        "the removed \"-wal\" file cannot be "
                                        "saved, recent events may be lost");
        }
    }

    if (spool->shared != NULL) {
        return NGX_OK;
    }

    if (ngx_trove_sqlite_open_file(spool, make, error) != NGX_OK) {
        ngx_trove_sqlite_close_all(spool);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_open_file(ngx_trove_sqlite_t *spool, ngx_uint_t make,
    ngx_trove_spool_error_t *error)
{
    ngx_int_t   rc;
    ngx_uint_t  first, i;

    /* before anything is created or written beside another program's file */

    rc = ngx_trove_sqlite_identify(spool->path, error);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    /*
     * SQLite would open a read-only file for reading only, and give its mode
     * to PATH-wal and PATH-shm permanently.
     */

    if (rc != NGX_DECLINED
        && faccessat(AT_FDCWD, spool->path, W_OK, AT_EACCESS) == -1)
    {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_READONLY, ngx_errno,
                                    "the spool file is not writable");
    }

    if (rc == NGX_DECLINED && !make) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_GONE, 0,
                                    "the spool file has been removed");
    }

    if (ngx_trove_sqlite_beside(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    if (ngx_trove_sqlite_attach(spool, &first, error) != NGX_OK) {
        return NGX_ERROR;
    }

    spool->writer.error = error;

    rc = ngx_trove_sqlite_open_first(spool, make, first);

    spool->writer.error = NULL;

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_trove_sqlite_attached(spool);

    if (ngx_trove_sqlite_open_db(spool, &spool->maintenance,
                                 SQLITE_OPEN_READWRITE, error)
        != NGX_OK
        || ngx_trove_sqlite_open_db(spool, &spool->snapshot,
                                    SQLITE_OPEN_READONLY, error)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < NGX_TROVE_SQLITE_READERS; i++) {

        if (ngx_trove_sqlite_open_db(spool, &spool->readers[i],
                                     SQLITE_OPEN_READONLY, error)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        ngx_trove_sqlite_interruptible(spool, &spool->readers[i]);
    }

    if (ngx_trove_sqlite_guard(spool, error) != NGX_OK) {
        return NGX_ERROR;
    }

    spool->made = 1;
    spool->owned = spool->file;

    return NGX_OK;
}


/* SQLite blocks forever on a FIFO in place of one of its files */

static ngx_int_t
ngx_trove_sqlite_beside(ngx_trove_sqlite_t *spool,
    ngx_trove_spool_error_t *error)
{
    char         *name;
    ngx_uint_t    i;
    ngx_str_t     path;
    struct stat   st;

    static const char  *suffixes[] = { "-wal", "-shm", "-journal", NULL };

    path.data = (u_char *) spool->path;
    path.len = ngx_strlen(spool->path);

    for (i = 0; suffixes[i]; i++) {

        name = ngx_trove_sqlite_name(&path, suffixes[i]);
        if (name == NULL) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                        "out of memory");
        }

        if (lstat(name, &st) == -1) {
            st.st_mode = S_IFREG;
        }

        free(name);

        if (!S_ISREG(st.st_mode)) {
            return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                        "the \"%s\" file of the spool is not a "
                                        "regular file", suffixes[i]);
        }
    }

    return NGX_OK;
}


/* must be called while attaching */

static ngx_int_t
ngx_trove_sqlite_open_first(ngx_trove_sqlite_t *spool, ngx_uint_t make,
    ngx_uint_t first)
{
    ngx_int_t               rc;
    ngx_trove_sqlite_db_t  *db;

    db = &spool->writer;

    if (ngx_trove_sqlite_open_made(spool, make, db->error) != NGX_OK
        || ngx_trove_sqlite_open_db(spool, db, SQLITE_OPEN_READWRITE, db->error)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rc = ngx_trove_sqlite_lock(spool, ngx_trove_sqlite_elapsed()
                                     + spool->wait * 1000);

    if (rc != NGX_OK) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_BUSY, 0,
                                    "the spool has been locked by other nginx "
                                    "processes for %lld ms",
                                    (long long) spool->wait);
    }

    rc = ngx_trove_sqlite_migrate(db);

    ngx_trove_sqlite_unlock(spool);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    /* a transaction without writes, which also reads the file */

    if (ngx_trove_sqlite_begin(spool, db, 1, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    /* the identity does not change if the file is replaced by an older copy */

    if (spool->identity != db->state.identity || spool->moved) {
        spool->identity = db->state.identity;
        spool->moved = 0;
        spool->file++;
    }

    if (ngx_trove_sqlite_commit(spool, db) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!first) {
        return NGX_OK;
    }

    return ngx_trove_sqlite_lease_void(spool, db);
}


/* SQLite would create the file as well, but readable by all users */

static ngx_int_t
ngx_trove_sqlite_open_made(ngx_trove_sqlite_t *spool, ngx_uint_t make,
    ngx_trove_spool_error_t *error)
{
    int        fd;
    ngx_int_t  rc;

    rc = ngx_trove_sqlite_identify(spool->path, error);

    if (rc != NGX_DECLINED) {
        return (rc == NGX_ERROR) ? NGX_ERROR : NGX_OK;
    }

    if (!make) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_GONE, 0,
                                    "the spool file has been removed");
    }

    fd = open(spool->path, O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600);

    if (fd == -1) {
        return ngx_trove_spool_fail(error, ngx_trove_spool_kind(ngx_errno),
                                    ngx_errno, "open() failed");
    }

    (void) close(fd);

    return NGX_OK;
}


static ngx_int_t
ngx_trove_sqlite_open_db(ngx_trove_sqlite_t *spool, ngx_trove_sqlite_db_t *db,
    int flags, ngx_trove_spool_error_t *error)
{
    int        rc, persist;
    char       sql[256];
    ngx_int_t  result;

    db->error = error;

    if (!sqlite3_threadsafe()) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_IO, 0,
                                    "SQLite was built without thread support");
    }

    rc = sqlite3_open_v2(spool->path, &db->db, flags|SQLITE_OPEN_NOMUTEX,
                         NULL);

    if (rc != SQLITE_OK) {
        (void) sqlite3_extended_result_codes(db->db, 1);

        result = ngx_trove_sqlite_db_fail(db, rc, "opening");

        (void) sqlite3_close(db->db);
        db->db = NULL;

        return result;
    }

    (void) sqlite3_extended_result_codes(db->db, 1);
    (void) sqlite3_busy_timeout(db->db, (int) spool->wait);

    /* the next process may not be allowed to create PATH-wal here */

    persist = 1;
    (void) sqlite3_file_control(db->db, "main", SQLITE_FCNTL_PERSIST_WAL,
                                &persist);

    (void) sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);

    /* replaces the automatic checkpoint by the commit at 1000 pages */

    (void) sqlite3_wal_hook(db->db, ngx_trove_sqlite_committed, db);

    snprintf(sql, sizeof(sql),
             "PRAGMA synchronous = FULL;"
             "PRAGMA cache_size = -%d;"
             "PRAGMA temp_store = MEMORY;"
             "PRAGMA secure_delete = FAST;"
             "PRAGMA trusted_schema = OFF;"
             "PRAGMA journal_size_limit = %d;",
             NGX_TROVE_SQLITE_CACHE, NGX_TROVE_SQLITE_WAL_KEEP);

    db->sync = 1;

    result = ngx_trove_sqlite_exec(db, sql);

    db->error = (db == &spool->writer) ? error : NULL;

    return result;
}


static int
ngx_trove_sqlite_committed(void *data, sqlite3 *handle, const char *name,
    int pages)
{
    ngx_trove_sqlite_db_t  *db = data;

    __atomic_store_n(&db->wal_pages, pages, __ATOMIC_RELAXED);

    return SQLITE_OK;
}
