
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_trove_sqlite.h"
#include "ngx_trove_sqlite_db.h"
#include "ngx_trove_sqlite_subscription.h"


static const char *ngx_trove_sqlite_remedy(ngx_trove_spool_error_e kind);


const ngx_trove_spool_engine_t  ngx_trove_sqlite_engine = {
    ngx_string(""),
    ngx_trove_sqlite_check,
    ngx_trove_sqlite_own,
    ngx_trove_sqlite_prepare,
    ngx_trove_sqlite_create,
    ngx_trove_sqlite_open,
    ngx_trove_sqlite_destroy,
    ngx_trove_sqlite_write,
    ngx_trove_sqlite_generation,
    ngx_trove_sqlite_maintain,
    ngx_trove_sqlite_stat,
    ngx_trove_sqlite_events,
    ngx_trove_sqlite_feed,
    ngx_trove_sqlite_follow,
    ngx_trove_sqlite_last,
    ngx_trove_sqlite_seek,
    ngx_trove_sqlite_event,
    ngx_trove_sqlite_deliveries,
    ngx_trove_sqlite_delivery,
    ngx_trove_sqlite_event_deliveries,
    ngx_trove_sqlite_control,
    ngx_trove_sqlite_select,
    ngx_trove_sqlite_pause,
    ngx_trove_sqlite_forget,
    ngx_trove_sqlite_subscribe,
    ngx_trove_sqlite_change,
    ngx_trove_sqlite_unsubscribe,
    ngx_trove_sqlite_subscriptions,
    ngx_trove_sqlite_audit,
    ngx_trove_sqlite_remedy
};


static const char *
ngx_trove_sqlite_remedy(ngx_trove_spool_error_e kind)
{
    switch (kind) {

    case NGX_TROVE_SPOOL_BUSY:
        return "stop the program that keeps the spool locked";

    case NGX_TROVE_SPOOL_FULL:
        return "free disk space, or increase \"max_size\" or decrease "
               "\"retention\" of \"trove_spool\"; new events are refused with "
               "503 meanwhile";

    case NGX_TROVE_SPOOL_READONLY:
    case NGX_TROVE_SPOOL_ACCESS:
        return "give the user of the workers write access to the spool and its "
               "directory";

    case NGX_TROVE_SPOOL_GONE:
        return "restore the file, or reload nginx to start with an empty one";

    case NGX_TROVE_SPOOL_CORRUPT:
        return "move the spool away or restore a backup, and recover events "
               "with \"trove-spool-recover\"";

    case NGX_TROVE_SPOOL_FOREIGN:
    case NGX_TROVE_SPOOL_NEWER:
        return "specify another file in \"trove_spool\"";

    case NGX_TROVE_SPOOL_MEMORY:
        return "free memory";

    default:
        return "check the disk";
    }
}
