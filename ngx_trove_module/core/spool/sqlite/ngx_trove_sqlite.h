
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SQLITE_H_INCLUDED_
#define _NGX_TROVE_SQLITE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_spool_engine.h"


/*
 * The spool in an SQLite file, for processes of one machine.  The URI is the
 * path of the file.
 */
extern const ngx_trove_spool_engine_t  ngx_trove_sqlite_engine;


#endif /* _NGX_TROVE_SQLITE_H_INCLUDED_ */
