
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_
#define _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_table.h"


/*
 * A table of keys in a file that has a name: it is in the page cache at once,
 * whatever becomes of the processes.
 *
 *   absent                   made as PATH.tmp, in full, then renamed
 *   a table of this size     locks made anew, claims cleared
 *   a table of another size  copied to PATH.tmp, which replaces it
 *   a chain of tables        likewise, as one: see ngx_trove_table.h
 *   an empty file            as if absent
 *   a damaged table          kept as PATH.bad-SECONDS.N, then as if absent
 *   anything else, a link    refused
 *
 * At any moment there is a whole file of that name, an old one or a new one.
 *
 * Whoever has the file open has it locked by flock(), which goes on in workers
 * and in the master of a binary upgrade, as they inherit the descriptor: such a
 * master joins in as it is.
 */

/*
 * Looks at the path of a state file, as value in the configuration names it,
 * and changes nothing.  To be called when the configuration is read.
 *
 * NGX_OK     it may be opened, or made, as far as can be seen
 * NGX_ERROR  logged
 */
ngx_int_t ngx_http_trove_state_check(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *value);

/*
 * Opens the file at path, or makes it, with a table of size bytes.  Not to be
 * called before it is certain that NGINX starts, or has the configuration.  The
 * caller gets a reference.
 *
 * NULL  logged
 */
ngx_trove_table_t *ngx_http_trove_state_open(ngx_str_t *path, size_t size,
    ngx_log_t *log);


#endif /* _NGX_HTTP_TROVE_DEDUP_STATE_H_INCLUDED_ */
