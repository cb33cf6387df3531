
/*
 * Copyright (C) the ngx_trove_module authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_http_trove_dedup_state.h"
#include "ngx_trove_path.h"


static ngx_int_t ngx_http_trove_state_check_file(ngx_conf_t *cf, int dir,
    const char *name, ngx_str_t *value);


ngx_int_t
ngx_http_trove_state_check(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *value)
{
    int               fd;
    ngx_int_t         rc;
    ngx_str_t         dir;
    const char       *name, *reason;
    ngx_file_info_t   fi;

    fd = ngx_trove_path_dir((char *) path->data, &name, &reason);

    if (fd == -1 && reason != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state=%V\" in \"trove_dedup_zone\" %s",
                           value, reason);
        return NGX_ERROR;
    }

    dir.len = (u_char *) name - path->data;

    dir.data = ngx_pnalloc(cf->temp_pool, dir.len + 1);
    if (dir.data == NULL) {
        rc = NGX_ERROR;
        goto done;
    }

    (void) ngx_cpystrn(dir.data, path->data, dir.len + 1);

    if (ngx_file_info(dir.data, &fi) == NGX_FILE_ERROR || !ngx_is_dir(&fi)) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "directory \"%V\" for \"state=%V\" in "
                           "\"trove_dedup_zone\" does not exist, create it",
                           &dir, value);
        rc = NGX_ERROR;
        goto done;
    }

    rc = NGX_OK;

    /*
     * Users who can write to the directory must not be able to prevent a
     * reload, or a signal by "nginx -s".
     */

    if (fd != -1 && ngx_is_init_cycle(ngx_cycle)
        && ngx_process != NGX_PROCESS_SIGNALLER)
    {
        rc = ngx_http_trove_state_check_file(cf, fd, name, value);
    }

done:

    if (fd != -1) {
        (void) close(fd);
    }

    return rc;
}


/* files that NGINX would not start with; not if they are not readable */

static ngx_int_t
ngx_http_trove_state_check_file(ngx_conf_t *cf, int dir, const char *name,
    ngx_str_t *value)
{
    ngx_fd_t                  fd;
    ngx_int_t                 rc;
    const char               *reason;
    ngx_file_info_t           fi;
    ngx_trove_table_error_t   error;

    fd = ngx_trove_path_open(dir, name, NGX_FILE_RDONLY|O_CLOEXEC,
                             1 + ngx_trove_path_names(dir, name, ".bad-"),
                             &fi, &reason);

    if (fd == NGX_INVALID_FILE && reason != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state=%V\" in \"trove_dedup_zone\" %s",
                           value, reason);
        return NGX_ERROR;
    }

    if (fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    rc = ngx_trove_table_identify(fd, &error);

    (void) ngx_close_file(fd);

    if (rc == NGX_DECLINED) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"state=%V\" in \"trove_dedup_zone\" is not a "
                           "state file, specify another path or move the file "
                           "away", value);
        return NGX_ERROR;
    }

    return NGX_OK;
}
