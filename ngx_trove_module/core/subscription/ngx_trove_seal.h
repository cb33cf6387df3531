
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SEAL_H_INCLUDED_
#define _NGX_TROVE_SEAL_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Sealing of secrets by AES-256-GCM (NIST SP 800-38D), with keys from a file.
 * A sealed secret is:
 *
 *   1 byte    the version, 1
 *   4 bytes   the id of the key: the first bytes of its SHA-256 digest
 *   12 bytes  a random nonce
 *   N bytes   the secret, encrypted
 *   16 bytes  the tag
 *
 * The name of its owner is authenticated as well, so that a sealed secret is
 * not valid for another owner.  A random nonce must not be used for more than
 * 2^32 secrets with a key, which subscriptions do not reach.
 */

#define NGX_TROVE_SEAL_KEYS      64
#define NGX_TROVE_SEAL_KEY_LEN   32
#define NGX_TROVE_SEAL_OVERHEAD  33


typedef struct {
    u_char                     id[4];
    u_char                     key[NGX_TROVE_SEAL_KEY_LEN];
} ngx_trove_seal_key_t;


typedef struct {
    ngx_uint_t                 n;
    ngx_trove_seal_key_t       keys[NGX_TROVE_SEAL_KEYS];
} ngx_trove_seal_keys_t;


/*
 * Parses a key file: one key a line, of 64 hexadecimal digits.  Blank lines,
 * and lines that begin with "#", are ignored.  The first key seals; all of
 * them open.  Sets *line to the number of the line with an error, or to 0.
 *
 * NULL, or the error: a constant string.  The keys are wiped then.
 */
const char *ngx_trove_seal_keys(ngx_trove_seal_keys_t *keys, u_char *p,
    size_t len, ngx_uint_t *line);

/* Wipes the keys. */
void ngx_trove_seal_wipe(ngx_trove_seal_keys_t *keys);

/*
 * Seals a secret for an owner.  sealed has space for the length of the secret
 * and NGX_TROVE_SEAL_OVERHEAD bytes.
 *
 * NGX_OK
 * NGX_ERROR  there is no key, or OpenSSL failed
 */
ngx_int_t ngx_trove_seal(ngx_trove_seal_keys_t *keys, ngx_str_t *owner,
    ngx_str_t *secret, u_char *sealed);

/*
 * Opens a sealed secret of an owner.  secret->data has space for its length;
 * secret->len is set, to 0 on errors.  The caller has to wipe it.
 *
 * NGX_OK
 * NGX_DECLINED  there is no such key
 * NGX_ABORT     it is damaged, or of another owner; secret->data is wiped
 * NGX_ERROR     OpenSSL failed
 */
ngx_int_t ngx_trove_unseal(ngx_trove_seal_keys_t *keys, ngx_str_t *owner,
    ngx_str_t *sealed, ngx_str_t *secret);


#endif /* _NGX_TROVE_SEAL_H_INCLUDED_ */
