
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret.h"


/* for the files that read the configuration of secrets only */


#define NGX_HTTP_TROVE_SECRET_LINE    1024      /* bytes of a secret */
#define NGX_HTTP_TROVE_SECRET_FILE    65536     /* bytes of a file */
#define NGX_HTTP_TROVE_SECRET_PREFIX  "trove-whsec-"


typedef enum {
    NGX_HTTP_TROVE_SECRET_FROM_VALUE = 0,
    NGX_HTTP_TROVE_SECRET_FROM_FILE,
    NGX_HTTP_TROVE_SECRET_FROM_ENV
} ngx_http_trove_secret_from_e;


/* where a secret stands: for messages, which must not show the secret */
typedef struct {
    ngx_conf_t                    *cf;
    ngx_http_trove_secrets_t      *secrets;
    ngx_http_trove_secret_from_e   from;
    ngx_str_t                      name;       /* of the file or variable */
    ngx_uint_t                     line;       /* in it, from 1 */
    ngx_uint_t                     first;      /* key of this directive */
    unsigned                       warned:1;   /* by another directive */
    unsigned                       script:1;   /* a value with variables */
} ngx_http_trove_secret_source_t;


#define ngx_http_trove_secret_blank(ch)                                       \
    ((ch) == ' ' || (ch) == '\t' || (ch) == CR || (ch) == LF)


/* Moves both ends inwards, beyond blanks and line ends. */
void ngx_http_trove_secret_trim(u_char **start, u_char **end);

/*
 * Writes to where, in the temporary pool, as what a message names the secret:
 * line 3 of "/etc/nginx/trove.secret" in "trove_secret".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_where(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where);

/*
 * All that follow return
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  after a message that names the directive and the remedy
 */

/* Adds one secret, which is not terminated and stays the caller's. */
char *ngx_http_trove_secret_key(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Whether there is room for one more. */
char *ngx_http_trove_secret_room(ngx_http_trove_secret_source_t *source);

/* Adds each line of the file or of the environment variable source->name. */
char *ngx_http_trove_secret_file(ngx_http_trove_secret_source_t *source);
char *ngx_http_trove_secret_env(ngx_http_trove_secret_source_t *source);

/*
 * Checks a line, a variable of the environment, or a value, without blanks
 * around it: an error where it is public or cannot be meant, a warning where it
 * is unusual.
 */
char *ngx_http_trove_secret_check(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Checks a value or a variable of the environment for a forgotten "file:". */
char *ngx_http_trove_secret_check_path(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Warns where the key of that number is in source->secrets before. */
char *ngx_http_trove_secret_check_repeated(
    ngx_http_trove_secret_source_t *source, ngx_uint_t n);

/* Warns where a value consists of what the client has sent. */
char *ngx_http_trove_secret_check_variables(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);

/* Warns where others may read or write the open file source->name. */
char *ngx_http_trove_secret_check_mode(ngx_http_trove_secret_source_t *source,
    ngx_file_info_t *fi);

/* Warns where others may read the configuration file with the value. */
char *ngx_http_trove_secret_check_conf(ngx_http_trove_secret_source_t *source);

/*
 * Sets source->warned: a file, a variable of the environment and a line of the
 * configuration may be read for many locations, but are warned of once for each
 * directive.
 */
char *ngx_http_trove_secret_check_warned(
    ngx_http_trove_secret_source_t *source);


#endif /* _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_ */
