
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_TABLE_H_INCLUDED_
#define _NGX_TROVE_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone.h"


/*
 * A table of keys (see ngx_trove_zone.h) as seen by a process: mapped from a
 * file, which may be an unnamed one in memory.  Independent of HTTP.
 *
 * A table can be resized while older processes are using it.  The new table is
 * appended to the file after the old one, since all processes have a
 * descriptor of the file, and the keys are migrated.  So a file contains a
 * chain of tables, of which the last one is in use, until a process opens the
 * file exclusively and combines them into one table.
 */

typedef struct ngx_trove_table_s  ngx_trove_table_t;


/* an error: the name of the failed call, and errno or 0 */
typedef struct {
    const char       *call;
    ngx_err_t         err;
} ngx_trove_table_error_t;


/* contents of a file whose tables were copied */
typedef struct {
    ngx_uint_t        tables;
    ngx_uint_t        left;              /* keys that did not fit */
    uint64_t          damaged;           /* keys that were dropped */
} ngx_trove_table_carried_t;


/* what was lost of a table whose file was truncated */
typedef struct {
    ngx_uint_t        pages;             /* lost pages of 4096 bytes */
    ngx_err_t         err;               /* why it is unusable, or 0 */
} ngx_trove_table_lost_t;


/* called by the process that detects it, and again only if err changes */
typedef void (*ngx_trove_table_lost_pt)(void *data,
    ngx_trove_table_lost_t *lost);


/*
 * Returns the size in bytes of a table in a file: size, rounded to whole pages
 * of 4096 bytes.
 */
size_t ngx_trove_table_bytes(size_t size);

/*
 * Checks that the system has memory for a table of size bytes, without using
 * any.
 *
 * NGX_OK
 * NGX_ERROR  *error is filled in
 */
ngx_int_t ngx_trove_table_possible(size_t size,
    ngx_trove_table_error_t *error);

/*
 * Create an empty table of size bytes: in the empty file fd, or in a file in
 * memory.  All blocks of the file are allocated, so that a disk becoming full
 * later does no harm.  The table owns fd and closes it.  The caller gets the
 * first reference.
 *
 * NULL  *error is filled in; the caller still owns fd
 */
ngx_trove_table_t *ngx_trove_table_create(ngx_fd_t fd, size_t size,
    ngx_trove_table_error_t *error);
ngx_trove_table_t *ngx_trove_table_memory(size_t size,
    ngx_trove_table_error_t *error);

/*
 * Identifies the contents of a file.
 *
 * NGX_OK        a table, of any version, possibly damaged
 * NGX_AGAIN     the file is empty, or contains only zeroes
 * NGX_DECLINED  anything else: the file belongs to another program
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_table_identify(ngx_fd_t fd, ngx_trove_table_error_t *error);

/*
 * Opens a file that is in use by other processes, and does not change it.  fd
 * and references are as above.
 *
 * NULL  *error is filled in; if error->call is NULL, there is no table of this
 *       version, or it is damaged
 */
ngx_trove_table_t *ngx_trove_table_join(ngx_fd_t fd,
    ngx_trove_table_error_t *error);

/*
 * Opens a file that no other process has open.  Clears claims and drops
 * damaged keys; *damaged is set to their number.  fd and references are as
 * above.
 *
 * NULL  *error is filled in; if error->call is NULL, there is no table of this
 *       version, or it is damaged, or the file is not a single table of size
 *       bytes.  The file is not changed
 */
ngx_trove_table_t *ngx_trove_table_take(ngx_fd_t fd, size_t size,
    uint64_t *damaged, ngx_trove_table_error_t *error);

/*
 * Copies all completed keys from the tables of a file to a new table that is
 * not yet in use.  No other process may have the file open.  The file is not
 * changed, and the caller keeps fd.
 *
 * NGX_OK
 * NGX_DECLINED  the file, or the rest of it, has no table of this version, or
 *               a damaged one
 * NGX_ERROR     *error is filled in
 */
ngx_int_t ngx_trove_table_carry(ngx_trove_table_t *table, ngx_fd_t fd,
    ngx_trove_zone_now_t *now, ngx_trove_table_carried_t *carried,
    ngx_trove_table_error_t *error);

/*
 * Resizes a table in use to size bytes, as described above.  *left is set to
 * the number of keys that did not fit.
 *
 * NGX_OK     also if the table has this size already
 * NGX_ERROR  *error is filled in; the table is not changed
 */
ngx_int_t ngx_trove_table_resize(ngx_trove_table_t *table, size_t size,
    ngx_trove_zone_now_t *now, ngx_uint_t *left,
    ngx_trove_table_error_t *error);

/*
 * Sets the handler that is called, in this process and in those it starts from
 * now on, when a part of the table has been lost.  The lost part is recreated
 * empty, and the table remains in use.
 */
void ngx_trove_table_on_lost(ngx_trove_table_t *table,
    ngx_trove_table_lost_pt handler, void *data);

/* Checks that all of the table is there, and recreates lost parts. */
void ngx_trove_table_check(ngx_trove_table_t *table);

/* Adds a reference. */
void ngx_trove_table_ref(ngx_trove_table_t *table);

/*
 * Drops a reference.  The last one closes the file and frees the table.  NULL
 * is allowed.
 */
void ngx_trove_table_unref(ngx_trove_table_t *table);

/*
 * Return the size in bytes of the table in use, and the descriptor of its
 * file, which the table owns.
 */
size_t ngx_trove_table_size(ngx_trove_table_t *table);
ngx_fd_t ngx_trove_table_fd(ngx_trove_table_t *table);

/*
 * These functions work as those of ngx_trove_zone.h, in whatever table of the
 * chain the key is, and never return NGX_AGAIN or NGX_ABORT.  If that table
 * cannot be mapped, they return the same value as when there is no space.
 * ngx_trove_table_acked() returns 1 if the key is acknowledged, 0 otherwise.
 */
void ngx_trove_table_key(ngx_trove_table_t *table, u_char *data, size_t len,
    ngx_trove_zone_key_t *key);
void ngx_trove_table_prefetch(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key);
ngx_trove_zone_claim_e ngx_trove_table_claim(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t lease,
    uint32_t *owner);
ngx_int_t ngx_trove_table_renew(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t lease,
    uint32_t owner);
ngx_int_t ngx_trove_table_complete(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t ttl,
    uint32_t owner);
ngx_int_t ngx_trove_table_release(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, uint32_t owner);
ngx_int_t ngx_trove_table_ack(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now, ngx_uint_t ttl);
ngx_uint_t ngx_trove_table_acked(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);
ngx_int_t ngx_trove_table_forget(ngx_trove_table_t *table,
    ngx_trove_zone_key_t *key, ngx_trove_zone_now_t *now);
void ngx_trove_table_stat(ngx_trove_table_t *table,
    ngx_trove_zone_now_t *now, ngx_trove_zone_stat_t *stat);


#endif /* _NGX_TROVE_TABLE_H_INCLUDED_ */
