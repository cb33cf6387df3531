
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_MODULE_H_INCLUDED_
#define _NGX_HTTP_TROVE_MODULE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_trove_event.h"


#define NGX_TROVE_VERSION  "0.2.0"


extern ngx_module_t  ngx_http_trove_module;
extern ngx_module_t  ngx_http_trove_metrics_module;
extern ngx_module_t  ngx_http_trove_sign_module;
extern ngx_module_t  ngx_http_trove_api_module;
extern ngx_module_t  ngx_http_trove_spool_module;
extern ngx_module_t  ngx_http_trove_fanout_module;
extern ngx_module_t  ngx_http_trove_dedup_module;
extern ngx_module_t  ngx_http_trove_verify_module;


/*
 * The members of "data" that the configuration names in $trove_data_NAME and
 * $trove_json_data_NAME: what the parser keeps of a body.
 */
ngx_trove_event_names_t *ngx_http_trove_event_names(ngx_http_request_t *r);

/*
 * The secrets of this configuration that were warned of already, in elements of
 * that size.  NULL: out of memory.
 */
ngx_array_t *ngx_http_trove_secrets_warned(ngx_conf_t *cf, size_t size);


#endif /* _NGX_HTTP_TROVE_MODULE_H_INCLUDED_ */
