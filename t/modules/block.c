
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * A module for tests: "test_block POOL FILE" in a location.  Each request keeps
 * a thread of the pool busy as long as the file exists, and is answered at
 * once.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>


typedef struct {
    ngx_str_t  pool;
    ngx_str_t  file;
} block_conf_t;


static ngx_int_t block_handler(ngx_http_request_t *r);
static void block_thread(void *data, ngx_log_t *log);
static void block_done(ngx_event_t *ev);
static void *block_create_conf(ngx_conf_t *cf);
static char *block_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);


static ngx_command_t  block_commands[] = {

    { ngx_string("test_block"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      block_set,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  block_ctx = {
    NULL, NULL, NULL, NULL, NULL, NULL, block_create_conf, NULL
};


ngx_module_t  block = {
    NGX_MODULE_V1,
    &block_ctx,                            /* module context */
    block_commands,                        /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_module_t  *ngx_modules[] = { &block, NULL };
char          *ngx_module_names[] = { "block", NULL };
char          *ngx_module_order[] = { NULL };


static ngx_int_t
block_handler(ngx_http_request_t *r)
{
    block_conf_t       *conf;
    ngx_thread_task_t  *task;
    ngx_thread_pool_t  *pool;

    conf = ngx_http_get_module_loc_conf(r, block);

    pool = ngx_thread_pool_get((ngx_cycle_t *) ngx_cycle, &conf->pool);
    task = ngx_thread_task_alloc(ngx_cycle->pool, 0);

    if (pool == NULL || task == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    task->ctx = conf->file.data;
    task->handler = block_thread;
    task->event.handler = block_done;

    if (ngx_thread_task_post(pool, task) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_NO_CONTENT;
}


static void
block_thread(void *data, ngx_log_t *log)
{
    while (access(data, F_OK) == 0) {
        ngx_msleep(1);
    }
}


static void
block_done(ngx_event_t *ev)
{
    /* void */
}


static void *
block_create_conf(ngx_conf_t *cf)
{
    return ngx_pcalloc(cf->pool, sizeof(block_conf_t));
}


static char *
block_set(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    block_conf_t *bcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    value = cf->args->elts;

    bcf->pool = value[1];
    bcf->file = value[2];

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = block_handler;

    return NGX_CONF_OK;
}
