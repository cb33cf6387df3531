
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_table.h"


/*
 * A table of keys in a named file: changes are in the page cache at once, and
 * are not lost with the processes.
 *
 *   absent                   created as PATH.tmp, in full, then renamed
 *   a table of this size     locks initialized, claims cleared
 *   a table of another size  copied to PATH.tmp, which replaces it
 *   a chain of tables        likewise, as one: see ngx_trove_table.h
 *   an empty file            as if absent
 *   a damaged table          kept as PATH.bad-SECONDS.N, then as if absent
 *   anything else, a link    refused
 *
 * The file with that name is complete at any time, be it the old or the new
 * one.
 *
 * The open file is locked by flock().  Workers and the master of a binary
 * upgrade inherit the descriptor, and with it the lock: such a master uses the
 * table unchanged.
 */


/*
 * Checks the path of a state file, which value in the configuration names,
 * without changing anything.  To be called when the configuration is read.
 *
 * NGX_OK     the file can probably be opened, or created
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_state_check(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *value);

/*
 * Opens or creates the file at path, with a table of size bytes.  Not to be
 * called before NGINX has decided to use the configuration.  The caller owns a
 * reference.
 *
 * NULL  logged
 */
ngx_trove_table_t *ngx_http_trove_state_open(ngx_str_t *path, size_t size,
    ngx_log_t *log);


#endif /* _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_ */
