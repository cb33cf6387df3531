
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_STATE_H_INCLUDED_
#define _NGX_HTTP_TROVE_STATE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_zone.h"


/*
 * A table of keys that is a file: mapped, and so in the page cache at once,
 * whatever becomes of the processes.
 *
 *   absent --open--> made under another name, allocated in full, linked
 *   a table of this size --open--> locks made anew, claims cleared
 *   a table of another size --open--> copied, the copy put in its place
 *   anything else --open--> set aside as PATH.bad-SECONDS, then as if absent
 *
 * Whoever has the file open has it locked by flock(), which goes on in workers
 * and in the master of a binary upgrade, as they inherit the descriptor: such a
 * master takes part in the table as it is.
 */

typedef struct ngx_http_trove_state_s  ngx_http_trove_state_t;


/*
 * Opens the file at path, or makes it, with a table of size bytes.  Not to be
 * called before it is certain that NGINX starts.  The caller gets a reference.
 *
 * NULL  logged
 */
ngx_http_trove_state_t *ngx_http_trove_state_open(ngx_str_t *path, size_t size,
    ngx_log_t *log);

/*
 * Puts a copy of another size in the place of the file.  The old one stays
 * mapped for those who refer to it.  The caller gets a reference.
 *
 * NULL  logged; the old one goes on
 */
ngx_http_trove_state_t *ngx_http_trove_state_resize(
    ngx_http_trove_state_t *state, size_t size, ngx_log_t *log);

void ngx_http_trove_state_ref(ngx_http_trove_state_t *state);

/* Unmaps and closes the file with the last reference; NULL is allowed. */
void ngx_http_trove_state_unref(ngx_http_trove_state_t *state);

ngx_trove_zone_t *ngx_http_trove_state_table(ngx_http_trove_state_t *state);
ngx_str_t *ngx_http_trove_state_path(ngx_http_trove_state_t *state);

/* Has the system begin to write to the disk what has changed. */
void ngx_http_trove_state_sync(ngx_http_trove_state_t *state);


#endif /* _NGX_HTTP_TROVE_STATE_H_INCLUDED_ */
