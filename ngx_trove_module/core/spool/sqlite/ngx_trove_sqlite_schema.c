
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite_db.h"


/* header of an SQLite file: the format is documented and frozen */
#define NGX_TROVE_SQLITE_HEADER_LEN     100
#define NGX_TROVE_SQLITE_HEADER_MAGIC   "SQLite format 3"
#define NGX_TROVE_SQLITE_HEADER_VERSION  60
#define NGX_TROVE_SQLITE_HEADER_APP     68

/* headers of PATH-journal and PATH-wal: likewise */
#define NGX_TROVE_SQLITE_JOURNAL_LEN    28
#define NGX_TROVE_SQLITE_JOURNAL_MAGIC  "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
#define NGX_TROVE_SQLITE_JOURNAL_ROWS   8
#define NGX_TROVE_SQLITE_JOURNAL_SIZE   16
#define NGX_TROVE_SQLITE_JOURNAL_SECTOR  20
#define NGX_TROVE_SQLITE_JOURNAL_PAGE   24

#define NGX_TROVE_SQLITE_WAL_LEN        32
#define NGX_TROVE_SQLITE_WAL_MAGIC      0x377f0682
#define NGX_TROVE_SQLITE_WAL_PAGE       8
#define NGX_TROVE_SQLITE_WAL_SALT       16
#define NGX_TROVE_SQLITE_WAL_FRAME_SALT  8
#define NGX_TROVE_SQLITE_WAL_FRAME      24


static ngx_int_t ngx_trove_sqlite_header(const char *path, u_char *header,
    int *len, ngx_trove_spool_error_t *error);
static int ngx_trove_sqlite_open_beside(const char *path, const char *suffix);
static void ngx_trove_sqlite_in_journal(const char *path, u_char *header,
    int *len);
static void ngx_trove_sqlite_in_wal(const char *path, u_char *header,
    int *len);
static ngx_uint_t ngx_trove_sqlite_magic(u_char *header);
static uint32_t ngx_trove_sqlite_uint32(u_char *p);
static ngx_int_t ngx_trove_sqlite_newer(ngx_trove_spool_error_t *error,
    uint32_t version);
static ngx_int_t ngx_trove_sqlite_pragma(ngx_trove_sqlite_db_t *db,
    const char *sql, int64_t *value);
static ngx_int_t ngx_trove_sqlite_wal(ngx_trove_sqlite_db_t *db);


/*
 * Migrations from each version to the next.  Documented, with the reasons, in
 * docs/spool-schema.md.
 */

static const char  *ngx_trove_sqlite_migrations[NGX_TROVE_SQLITE_VERSION] = {

    /* 1 */

    "CREATE TABLE spool ("
        "identity INTEGER NOT NULL, "
        "last INTEGER NOT NULL, "
        "events INTEGER NOT NULL, "
        "indexed INTEGER NOT NULL, "
        "stale INTEGER NOT NULL);"

    "INSERT INTO spool VALUES (random(), 0, 0, 0, 0);"

    "CREATE TABLE event ("
        "number INTEGER PRIMARY KEY, "
        "received INTEGER NOT NULL, "
        "id TEXT, "
        "type TEXT, "
        "namespace TEXT, "
        "workspace TEXT, "
        "created_at TEXT, "
        "route TEXT, "
        "host TEXT, "
        "uri TEXT, "
        "content_type TEXT, "
        "key BLOB, "
        "body BLOB NOT NULL);"

    "CREATE TABLE key ("
        "hash INTEGER PRIMARY KEY, "
        "event INTEGER NOT NULL);"

    "CREATE TABLE target ("
        "id INTEGER PRIMARY KEY, "
        "route TEXT NOT NULL, "
        "name TEXT NOT NULL, "
        "paused INTEGER NOT NULL DEFAULT 0, "
        "new INTEGER NOT NULL DEFAULT 0, "
        "retry INTEGER NOT NULL DEFAULT 0, "
        "leased INTEGER NOT NULL DEFAULT 0, "
        "delivered INTEGER NOT NULL DEFAULT 0, "
        "failed INTEGER NOT NULL DEFAULT 0, "
        "cancelled INTEGER NOT NULL DEFAULT 0, "
        "UNIQUE (route, name));"

    "CREATE TABLE delivery ("
        "id INTEGER PRIMARY KEY, "
        "target INTEGER NOT NULL, "
        "state INTEGER NOT NULL, "
        "due INTEGER, "
        "ended INTEGER, "
        "opened INTEGER NOT NULL, "
        "attempts INTEGER NOT NULL, "
        "owner INTEGER, "
        "started INTEGER, "
        "took INTEGER, "
        "status INTEGER);"

    "CREATE INDEX delivery_pending ON delivery (target, state, due) "
        "WHERE due IS NOT NULL;"

    "CREATE INDEX delivery_failed ON delivery (state) WHERE state = 4;"

    "CREATE TABLE attempt ("
        "delivery INTEGER NOT NULL, "
        "n INTEGER NOT NULL, "
        "started INTEGER NOT NULL, "
        "took INTEGER NOT NULL, "
        "status INTEGER, "
        "reason TEXT, "
        "answer BLOB, "
        "PRIMARY KEY (delivery, n)) WITHOUT ROWID;"

    /* for use in a shell */

    "CREATE VIEW events AS SELECT number, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', received / 1000.0, 'unixepoch') "
            "AS received, "
        "id, type, namespace, workspace, created_at, route, "
        "length(body) AS bytes, CAST(body AS TEXT) AS body "
        "FROM event;"

    "CREATE VIEW deliveries AS SELECT delivery.id, "
        "delivery.id >> 16 AS event, event.id AS event_id, event.type, "
        "event.namespace, target.route, target.name AS target, "
        "CASE delivery.state WHEN 0 THEN 'new' WHEN 1 THEN 'retry' "
            "WHEN 2 THEN 'leased' WHEN 3 THEN 'delivered' "
            "WHEN 4 THEN 'failed' ELSE 'cancelled' END AS state, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', due / 1000.0, 'unixepoch') AS due, "
        "strftime('%Y-%m-%dT%H:%M:%fZ', ended / 1000.0, 'unixepoch') "
            "AS ended, "
        "attempts, "
        "CASE WHEN attempts > 0 THEN strftime('%Y-%m-%dT%H:%M:%fZ', "
            "delivery.started / 1000.0, 'unixepoch') END AS last_started, "
        "delivery.took AS last_took, delivery.status AS last_status, "
        "attempt.reason AS last_reason "
        "FROM delivery JOIN target ON target.id = delivery.target "
        "LEFT JOIN event ON event.number = delivery.id >> 16 "
        "LEFT JOIN attempt ON attempt.delivery = delivery.id "
            "AND attempt.n = delivery.attempts;",

    /* 2: a replay starts with the first delay again */

    "ALTER TABLE delivery ADD COLUMN earlier INTEGER;",

    /* 3: events by their ids */

    "CREATE TABLE ident ("
        "hash INTEGER NOT NULL, "
        "event INTEGER NOT NULL, "
        "PRIMARY KEY (hash, event)) WITHOUT ROWID;",

    /* 4: targets are found by the time when their deliveries are due */

    "ALTER TABLE target ADD COLUMN earliest INTEGER;"

    "UPDATE target SET earliest = 0 WHERE EXISTS (SELECT 1 FROM delivery "
        "INDEXED BY delivery_pending "
        "WHERE target = target.id AND due IS NOT NULL);"

    "CREATE INDEX target_due ON target (earliest) "
        "WHERE paused = 0 AND earliest IS NOT NULL;",

    ngx_trove_sqlite_tables_5
};


ngx_int_t
ngx_trove_sqlite_identify(const char *path, ngx_trove_spool_error_t *error)
{
    int          len;
    u_char       header[NGX_TROVE_SQLITE_HEADER_LEN];
    uint32_t     app, version;
    ngx_int_t    rc;
    struct stat  st;

    if (lstat(path, &st) == -1) {

        if (ngx_errno == NGX_ENOENT) {
            return NGX_DECLINED;
        }

        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, ngx_errno,
                                    "stat() failed");
    }

    if (S_ISLNK(st.st_mode)) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                    "the spool file is a symbolic link, "
                                    "specify the file itself");
    }

    if (!S_ISREG(st.st_mode)) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                    "the spool file is not a regular file");
    }

    len = 0;
    ngx_memzero(header, sizeof(header));

    rc = ngx_trove_sqlite_header(path, header, &len, error);

    if (rc != NGX_OK) {
        return rc;
    }

    /*
     * If power was lost while the first page was written, it may be damaged.
     * SQLite restores it from one of these files when it opens the spool.
     */

    if (len != 0 && !ngx_trove_sqlite_magic(header)) {
        ngx_trove_sqlite_in_journal(path, header, &len);
        ngx_trove_sqlite_in_wal(path, header, &len);
    }

    if (len == 0) {
        return NGX_AGAIN;
    }

    if (len != NGX_TROVE_SQLITE_HEADER_LEN || !ngx_trove_sqlite_magic(header)) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                    "the spool file is not a SQLite database, "
                                    "or its first page is damaged");
    }

    app = ngx_trove_sqlite_uint32(header + NGX_TROVE_SQLITE_HEADER_APP);
    version = ngx_trove_sqlite_uint32(header
                                      + NGX_TROVE_SQLITE_HEADER_VERSION);

    if (app != NGX_TROVE_SQLITE_APPLICATION) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                    "the spool file is a database of another "
                                    "program");
    }

    if (version > NGX_TROVE_SQLITE_VERSION) {
        return ngx_trove_sqlite_newer(error, version);
    }

    return NGX_OK;
}


/*
 * Reads with functions of SQLite: closing a separate descriptor would release
 * the locks of all connections of this process to the file.
 */

static ngx_int_t
ngx_trove_sqlite_header(const char *path, u_char *header, int *len,
    ngx_trove_spool_error_t *error)
{
    int              rc, flags;
    char            *name;
    ngx_int_t        result;
    sqlite3_vfs     *vfs;
    sqlite3_file    *file;
    sqlite3_int64    size;

    if (sqlite3_initialize() != SQLITE_OK) {
        return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                    "sqlite3_initialize() failed");
    }

    vfs = sqlite3_vfs_find(NULL);

    file = calloc(1, vfs->szOsFile);
    name = (char *) sqlite3_create_filename(path, "", "", 0, NULL);

    if (file == NULL || name == NULL) {
        result = ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_MEMORY, 0,
                                      "out of memory");
        goto done;
    }

    ngx_set_errno(0);

    rc = vfs->xOpen(vfs, name, file, SQLITE_OPEN_READONLY|SQLITE_OPEN_MAIN_DB,
                    &flags);

    if (rc != SQLITE_OK) {
        result = ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_ACCESS, ngx_errno,
                                      "open() failed");
        goto done;
    }

    *len = NGX_TROVE_SQLITE_HEADER_LEN;
    result = NGX_OK;

    rc = file->pMethods->xFileSize(file, &size);

    if (rc == SQLITE_OK) {
        *len = (int) ngx_min(size, NGX_TROVE_SQLITE_HEADER_LEN);
        rc = file->pMethods->xRead(file, header, *len, 0);
    }

    if (rc != SQLITE_OK) {
        result = ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_IO, ngx_errno,
                                      "read() failed");
    }

    file->pMethods->xClose(file);

done:

    sqlite3_free_filename(name);
    free(file);

    return result;
}


static int
ngx_trove_sqlite_open_beside(const char *path, const char *suffix)
{
    int          fd;
    char        *name;
    ngx_str_t    base;
    struct stat  st;

    base.data = (u_char *) path;
    base.len = ngx_strlen(path);

    name = ngx_trove_sqlite_name(&base, suffix);
    if (name == NULL) {
        return -1;
    }

    fd = open(name, O_RDONLY|O_NOFOLLOW|O_NONBLOCK|O_CLOEXEC);

    free(name);

    if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))) {
        (void) close(fd);
        fd = -1;
    }

    return fd;
}


/*
 * PATH-journal has the previous contents of the pages that an interrupted
 * transaction changed.  *header is set to that of the first page, or *len to 0
 * if the file was empty.
 */

static void
ngx_trove_sqlite_in_journal(const char *path, u_char *header, int *len)
{
    int       fd;
    u_char    head[NGX_TROVE_SQLITE_JOURNAL_LEN], number[4];
    off_t     offset;
    uint32_t  n, rows, page;

    fd = ngx_trove_sqlite_open_beside(path, "-journal");

    if (fd == -1) {
        return;
    }

    if (pread(fd, head, sizeof(head), 0) != sizeof(head)
        || ngx_memcmp(head, NGX_TROVE_SQLITE_JOURNAL_MAGIC,
                      sizeof(NGX_TROVE_SQLITE_JOURNAL_MAGIC) - 1) != 0)
    {
        goto done;
    }

    if (ngx_trove_sqlite_uint32(head + NGX_TROVE_SQLITE_JOURNAL_SIZE) == 0) {
        *len = 0;
        goto done;
    }

    rows = ngx_trove_sqlite_uint32(head + NGX_TROVE_SQLITE_JOURNAL_ROWS);
    page = ngx_trove_sqlite_uint32(head + NGX_TROVE_SQLITE_JOURNAL_PAGE);
    offset = ngx_trove_sqlite_uint32(head + NGX_TROVE_SQLITE_JOURNAL_SECTOR);

    for (n = 0; n < rows; n++) {

        if (pread(fd, number, sizeof(number), offset) != sizeof(number)) {
            break;
        }

        offset += sizeof(number);

        if (ngx_trove_sqlite_uint32(number) == 1) {

            if (pread(fd, header, NGX_TROVE_SQLITE_HEADER_LEN, offset)
                == NGX_TROVE_SQLITE_HEADER_LEN)
            {
                *len = NGX_TROVE_SQLITE_HEADER_LEN;
            }

            break;
        }

        /* the page, and its checksum */

        offset += (off_t) page + 4;
    }

done:

    (void) close(fd);
}


/*
 * PATH-wal has the next contents of the pages that a checkpoint writes.  The
 * earliest version of the first page is used, because later ones may not have
 * been committed.
 */

static void
ngx_trove_sqlite_in_wal(const char *path, u_char *header, int *len)
{
    int       fd;
    u_char    head[NGX_TROVE_SQLITE_WAL_LEN],
              frame[NGX_TROVE_SQLITE_WAL_FRAME + NGX_TROVE_SQLITE_HEADER_LEN];
    off_t     offset;
    uint32_t  page;

    if (*len == 0 || ngx_trove_sqlite_magic(header)) {
        return;
    }

    fd = ngx_trove_sqlite_open_beside(path, "-wal");

    if (fd == -1) {
        return;
    }

    if (pread(fd, head, sizeof(head), 0) != sizeof(head)
        || (ngx_trove_sqlite_uint32(head) & ~1u) != NGX_TROVE_SQLITE_WAL_MAGIC)
    {
        goto done;
    }

    page = ngx_trove_sqlite_uint32(head + NGX_TROVE_SQLITE_WAL_PAGE);
    offset = NGX_TROVE_SQLITE_WAL_LEN;

    while (pread(fd, frame, sizeof(frame), offset) == sizeof(frame)) {

        /* frames with another salt are from before the last restart */

        if (ngx_memcmp(frame + NGX_TROVE_SQLITE_WAL_FRAME_SALT,
                       head + NGX_TROVE_SQLITE_WAL_SALT, 8)
            != 0)
        {
            break;
        }

        if (ngx_trove_sqlite_uint32(frame) == 1) {
            ngx_memcpy(header, frame + NGX_TROVE_SQLITE_WAL_FRAME,
                       NGX_TROVE_SQLITE_HEADER_LEN);
            *len = NGX_TROVE_SQLITE_HEADER_LEN;
            break;
        }

        offset += NGX_TROVE_SQLITE_WAL_FRAME + (off_t) page;
    }

done:

    (void) close(fd);
}


static ngx_uint_t
ngx_trove_sqlite_magic(u_char *header)
{
    return ngx_memcmp(header, NGX_TROVE_SQLITE_HEADER_MAGIC,
                      sizeof(NGX_TROVE_SQLITE_HEADER_MAGIC))
           == 0;
}


static uint32_t
ngx_trove_sqlite_uint32(u_char *p)
{
    return (uint32_t) p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}


static ngx_int_t
ngx_trove_sqlite_newer(ngx_trove_spool_error_t *error, uint32_t version)
{
    return ngx_trove_spool_fail(error, NGX_TROVE_SPOOL_NEWER, 0,
                                "the spool file has version %u, this module "
                                "supports versions up to %u",
                                (unsigned) version, NGX_TROVE_SQLITE_VERSION);
}


/*
 * A new file is created by a transaction with a journal, and is switched to
 * WAL afterwards.  So the header is in the file from the start, for
 * ngx_trove_sqlite_identify(), and not only in PATH-wal.
 */

ngx_int_t
ngx_trove_sqlite_migrate(ngx_trove_sqlite_db_t *db)
{
    char     sql[128];
    int64_t  version, objects;

    version = 0;
    objects = 0;

    if (ngx_trove_sqlite_pragma(db, "PRAGMA user_version", &version)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (version > NGX_TROVE_SQLITE_VERSION) {

        /* the last process may have left the version in PATH-wal only */

        (void) sqlite3_db_config(db->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                                 NULL);

        return ngx_trove_sqlite_newer(db->error, (uint32_t) version);
    }

    if (version == 0) {

        if (ngx_trove_sqlite_pragma(db, "SELECT count(*) FROM sqlite_master",
                                    &objects)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (objects != 0) {
            return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_FOREIGN, 0,
                                        "the spool file is a database of "
                                        "another program");
        }

        snprintf(sql, sizeof(sql), "PRAGMA page_size = %d",
                 NGX_TROVE_SQLITE_PAGE_SIZE);

        if (ngx_trove_sqlite_exec(db, sql) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    while (version < NGX_TROVE_SQLITE_VERSION) {

        /*
         * "auto_vacuum" writes the first page.  So it must be in the
         * transaction that identifies the file, and before anything else
         * creates that page, as BEGIN EXCLUSIVE does.
         */

        if (ngx_trove_sqlite_exec(db, version
                                     ? "BEGIN EXCLUSIVE"
                                     : "BEGIN;"
                                       "PRAGMA auto_vacuum = INCREMENTAL")
            != NGX_OK)
        {
            goto failed;
        }

        snprintf(sql, sizeof(sql), "PRAGMA application_id = %d",
                 NGX_TROVE_SQLITE_APPLICATION);

        if (ngx_trove_sqlite_exec(db, sql) != NGX_OK
            || ngx_trove_sqlite_exec(db, ngx_trove_sqlite_migrations[version])
               != NGX_OK)
        {
            goto failed;
        }

        snprintf(sql, sizeof(sql), "PRAGMA user_version = %d",
                 (int) ++version);

        if (ngx_trove_sqlite_exec(db, sql) != NGX_OK
            || ngx_trove_sqlite_exec(db, "COMMIT") != NGX_OK)
        {
            goto failed;
        }
    }

    return ngx_trove_sqlite_wal(db);

failed:

    (void) sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);

    return NGX_ERROR;
}


static ngx_int_t
ngx_trove_sqlite_pragma(ngx_trove_sqlite_db_t *db, const char *sql,
    int64_t *value)
{
    int            rc;
    sqlite3_stmt  *stmt;

    rc = sqlite3_prepare_v2(db->db, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);

        if (rc == SQLITE_ROW) {
            *value = sqlite3_column_int64(stmt, 0);
            sqlite3_finalize(stmt);
            return NGX_OK;
        }
    }

    sqlite3_finalize(stmt);

    return ngx_trove_sqlite_db_fail(db, rc, "reading the schema version");
}


static ngx_int_t
ngx_trove_sqlite_wal(ngx_trove_sqlite_db_t *db)
{
    int            rc;
    ngx_uint_t     wal;
    sqlite3_stmt  *stmt;

    wal = 0;

    rc = sqlite3_prepare_v2(db->db, "PRAGMA journal_mode = WAL", -1, &stmt,
                            NULL);

    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);

        if (rc == SQLITE_ROW) {
            wal = (ngx_strcmp(sqlite3_column_text(stmt, 0), "wal") == 0);
            rc = SQLITE_OK;
        }
    }

    sqlite3_finalize(stmt);

    if (rc != SQLITE_OK) {
        return ngx_trove_sqlite_db_fail(db, rc, "switching to WAL");
    }

    if (!wal) {
        return ngx_trove_spool_fail(db->error, NGX_TROVE_SPOOL_IO, 0,
                                    "SQLite cannot use WAL, the spool may be "
                                    "on a network file system");
    }

    return NGX_OK;
}
