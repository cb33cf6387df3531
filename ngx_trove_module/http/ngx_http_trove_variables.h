
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_
#define _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_event.h"


/*
 * Adds the event variables; to be called before the configuration is read.
 *
 * NGX_OK
 * NGX_ERROR
 */
ngx_int_t ngx_http_trove_variables_add(ngx_conf_t *cf);

/*
 * Collects the NAMEs of all $trove_data_NAME and $trove_json_data_NAME that the
 * configuration uses; to be called when it has been read.
 *
 * NGX_OK
 * NGX_ERROR  logged: out of memory, or a $trove_json_* that does not exist
 */
ngx_int_t ngx_http_trove_variables_names(ngx_conf_t *cf,
    ngx_trove_event_names_t *names);


#endif /* _NGX_HTTP_TROVE_VARIABLES_H_INCLUDED_ */
