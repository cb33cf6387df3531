
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_NAMES_H_INCLUDED_
#define _NGX_TROVE_NAMES_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/* Ids, secrets, and the names in a subscription. */

#define NGX_TROVE_WEBHOOK_ID_LEN      (sizeof("wh-") - 1 + 24)
#define NGX_TROVE_WEBHOOK_SECRET_LEN  (sizeof("trove-whsec-") - 1 + 64)

#define NGX_TROVE_NAME_LEN            255
#define NGX_TROVE_DESCRIPTION_LEN     1000


/*
 * Write a new id, "wh-" and 24 hexadecimal digits, or a new secret,
 * "trove-whsec-" and 64 digits, from the random source of the system.  p has
 * space for ..._LEN bytes.
 *
 * NGX_OK
 * NGX_ERROR  there are no random bytes
 */
ngx_int_t ngx_trove_webhook_id(u_char *p);
ngx_int_t ngx_trove_webhook_secret(u_char *p);

/*
 * Check a pattern of types: 1 to 255 bytes, with "*" only at the end; a
 * namespace: 1 to 255 bytes; a description: 0 to 1000 bytes.  All must be
 * valid UTF-8 without control characters.
 *
 * NULL, or why it is invalid: a constant string for the client
 */
const char *ngx_trove_names_pattern(ngx_str_t *text);
const char *ngx_trove_names_namespace(ngx_str_t *text);
const char *ngx_trove_names_description(ngx_str_t *text);


#endif /* _NGX_TROVE_NAMES_H_INCLUDED_ */
