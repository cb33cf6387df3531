
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_TABLE_H_INCLUDED_
#define _NGX_TROVE_TABLE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone.h"


/*
 * A table of keys (see ngx_trove_zone.h) as a process has it: mapped from a
 * file, which may be one in memory that has no name.  Knows nothing of HTTP.
 *
 * A table may get another size while processes use it that were there before:
 * the new one is put behind the old one in the same file, of which all of them
 * have a descriptor, and the keys are migrated.  So a file has a chain of
 * tables, of which the last one is in use, until somebody has it for himself
 * and makes one table of it.
 */

typedef struct ngx_trove_table_s  ngx_trove_table_t;


/* what went wrong: a system call or the like, and errno, or 0 */
typedef struct {
    const char       *call;
    ngx_err_t         err;
} ngx_trove_table_error_t;


/* what was found in a file whose tables were copied */
typedef struct {
    ngx_uint_t        tables;
    ngx_uint_t        left;              /* keys without room */
    uint64_t          damaged;           /* keys that were dropped */
} ngx_trove_table_carried_t;


/* what was lost of a table in a file that somebody has truncated */
typedef struct {
    ngx_uint_t        pages;             /* that were lost, of 4096 bytes */
    ngx_err_t         err;               /* why it is to no use, or 0 */
} ngx_trove_table_lost_t;


/* called by who finds it, and once more only if the error is another */
typedef void (*ngx_trove_table_lost_pt)(void *data,
    ngx_trove_table_lost_t *lost);


/*
 * The bytes that a table of this size takes: whole pages of 4096.
 */
size_t ngx_trove_table_bytes(size_t size);

/*
 * Whether the system has memory for a table of size bytes.  Uses none.
 *
 * NGX_OK
 * NGX_ERROR  *error says why
 */
ngx_int_t ngx_trove_table_possible(size_t size,
    ngx_trove_table_error_t *error);

/*
 * Makes an empty table of size bytes in the empty file fd, with all its blocks,
 * so that a disk that fills up later does no harm; or in a file in memory.  The
 * table keeps fd, and closes it.  The caller gets the first reference.
 *
 * NULL  *error says why; the caller still has fd
 */
ngx_trove_table_t *ngx_trove_table_create(ngx_fd_t fd, size_t size,
    ngx_trove_table_error_t *error);
ngx_trove_table_t *ngx_trove_table_memory(size_t size,
    ngx_trove_table_error_t *error);

/*
 * Whose a file is.
 *
 * NGX_OK        it has a table, of whatever version, and damaged or not
 * NGX_AGAIN     it is empty, or has nothing but zeroes
 * NGX_DECLINED  it is somebody else's
 * NGX_ERROR     *error says why
 */
ngx_int_t ngx_trove_table_whose(ngx_fd_t fd, ngx_trove_table_error_t *error);

/*
 * Opens a file that others are using, as it is.  The rest as above.
 *
 * NULL  error->call is NULL: it has no table of this version, or a damaged one
 */
ngx_trove_table_t *ngx_trove_table_join(ngx_fd_t fd,
    ngx_trove_table_error_t *error);

/*
 * Opens a file that nobody else has open.  Claims are cleared, what is damaged
 * is dropped: *damaged says how many keys.  The rest as above.
 *
 * NULL  error->call is NULL: it has no table of this version, or a damaged one,
 *       or not just one of size bytes; it was not changed
 */
ngx_trove_table_t *ngx_trove_table_take(ngx_fd_t fd, size_t size,
    uint64_t *damaged, ngx_trove_table_error_t *error);

/*
 * Copies all that is completed in the tables of a file, which nobody else has
 * open, and which is not changed, into a table that is new and not yet in use.
 *
 * NGX_OK
 * NGX_DECLINED  the file, or the rest of it, has no table of this version, or a
 *               damaged one
 * NGX_ERROR     *error says why
 */
ngx_int_t ngx_trove_table_carry(ngx_trove_table_t *table, ngx_fd_t fd,
    ngx_trove_zone_now_t *now, ngx_trove_table_carried_t *carried,
    ngx_trove_table_error_t *error);

/*
 * Gives a table that is in use another size: see above.  *left says how many
 * keys found no room.
 *
 * NGX_OK     also where it has this size
 * NGX_ERROR  *error says why; the table goes on as it was
 */
ngx_int_t ngx_trove_table_resize(ngx_trove_table_t *table, size_t size,
    ngx_trove_zone_now_t *now, ngx_uint_t *left,
    ngx_trove_table_error_t *error);

/*
 * Sets who is told, in this process and in those that it starts from now on, if
 * a part of the table is lost.  It is made anew, empty, and goes on.
 */
void ngx_trove_table_watch(ngx_trove_table_t *table,
    ngx_trove_table_lost_pt handler, void *data);

/* Looks whether all of it is there; what is lost is made anew. */
void ngx_trove_table_check(ngx_trove_table_t *table);

void ngx_trove_table_ref(ngx_trove_table_t *table);

/* With the last reference the file is closed; NULL is allowed. */
void ngx_trove_table_unref(ngx_trove_table_t *table);

/* Of the table in use. */
size_t ngx_trove_table_size(ngx_trove_table_t *table);
ngx_fd_t ngx_trove_table_fd(ngx_trove_table_t *table);

/*
 * As the functions of ngx_trove_zone.h, wherever the key is.  If it is in a
 * table that cannot be mapped, they return what they do where there is no room.
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
