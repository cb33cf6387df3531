
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_
#define _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_trove_secret.h"


/* For the files that read secrets from the configuration only. */


#define NGX_HTTP_TROVE_SECRET_LINE    1024      /* bytes of a secret */
#define NGX_HTTP_TROVE_SECRET_FILE    65536     /* bytes of a file */
#define NGX_HTTP_TROVE_SECRET_PREFIX  "trove-whsec-"


typedef enum {
    NGX_HTTP_TROVE_SECRET_FROM_VALUE = 0,
    NGX_HTTP_TROVE_SECRET_FROM_FILE,
    NGX_HTTP_TROVE_SECRET_FROM_ENV
} ngx_http_trove_secret_from_e;


/* the source of a secret, for messages, which must not show the secret */
typedef struct {
    ngx_conf_t                    *cf;
    ngx_http_trove_secrets_t      *secrets;
    ngx_http_trove_secret_from_e   from;
    ngx_str_t                      name;       /* of the file or variable */
    ngx_uint_t                     line;       /* in it, from 1 */
    ngx_uint_t                     first;      /* key of this directive */
    /* gets the contents of the file; NULL: there is a secret in each line */
    ngx_http_trove_secret_text_pt  text;
    void                          *data;

    unsigned                       warned:1;   /* by another directive */
    unsigned                       script:1;   /* a value with variables */
} ngx_http_trove_secret_source_t;


#define ngx_http_trove_secret_blank(ch)                                       \
    ((ch) == ' ' || (ch) == '\t' || (ch) == CR || (ch) == LF)


/* Moves both ends inwards, past blanks and line ends. */
void ngx_http_trove_secret_trim(u_char **start, u_char **end);

/*
 * Sets *where, in the temporary pool, to the name of a secret for messages:
 * line 3 of "/etc/nginx/trove.secret" in "trove_secret".
 *
 * NGX_OK
 * NGX_ERROR  out of memory
 */
ngx_int_t ngx_http_trove_secret_where(ngx_http_trove_secret_source_t *source,
    ngx_str_t *where);

/*
 * The following functions return
 *
 * NGX_CONF_OK
 * NGX_CONF_ERROR  logged, with the directive and the remedy
 */

/* Adds a secret, which is not null-terminated and is not kept. */
char *ngx_http_trove_secret_key(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Checks that another secret may be added. */
char *ngx_http_trove_secret_limit(ngx_http_trove_secret_source_t *source);

/* Adds each line of the file or of the environment variable source->name. */
char *ngx_http_trove_secret_file(ngx_http_trove_secret_source_t *source);
char *ngx_http_trove_secret_env(ngx_http_trove_secret_source_t *source);

/*
 * Checks a line, an environment variable, or a value, without surrounding
 * blanks.  It is an error if it is public or cannot be a secret, and a warning
 * is logged if it is unusual.
 */
char *ngx_http_trove_secret_check(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Checks a value or an environment variable for a missing "file:". */
char *ngx_http_trove_secret_check_path(ngx_http_trove_secret_source_t *source,
    u_char *secret, size_t len);

/* Logs a warning if key n of source->secrets is a repetition. */
char *ngx_http_trove_secret_check_repeated(
    ngx_http_trove_secret_source_t *source, ngx_uint_t n);

/* Logs a warning if the client chooses all of a value. */
char *ngx_http_trove_secret_check_variables(
    ngx_http_trove_secret_source_t *source, ngx_str_t *value);

/* Logs a warning if others may read or write the file source->name. */
char *ngx_http_trove_secret_check_mode(ngx_http_trove_secret_source_t *source,
    ngx_file_info_t *fi);

/* Logs a warning if others may read the configuration file. */
char *ngx_http_trove_secret_check_conf(ngx_http_trove_secret_source_t *source);

/*
 * Sets source->warned if warnings were logged for this source already: a file,
 * an environment variable or a line of the configuration may be read for many
 * locations.
 */
char *ngx_http_trove_secret_check_warned(
    ngx_http_trove_secret_source_t *source);


#endif /* _NGX_HTTP_TROVE_SECRET_CONF_H_INCLUDED_ */
