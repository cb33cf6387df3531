
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SIGNATURE_H_INCLUDED_
#define _NGX_TROVE_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The signature component: "X-Trove-Signature: t=<unix seconds>,v1=<hex>",
 * where v1 is HMAC-SHA256 over t, "." and the raw body, keyed with the bytes
 * of the signing secret as issued (TroveFiles webhook documentation; RFC
 * 2104).
 *
 * Independent of HTTP: uses no request, pool or log.  All memory is allocated
 * with malloc() or by OpenSSL, and is freed by the *_destroy() functions.
 */

#define NGX_TROVE_SIGNATURE_HEADER_MAX  1024      /* bytes of the value */
#define NGX_TROVE_SIGNATURE_MACS_MAX    8         /* v1 parts of a header */
#define NGX_TROVE_SIGNATURE_MAC_LEN     32        /* SHA-256 */
#define NGX_TROVE_SIGNATURE_DIGITS_MAX  12        /* of a timestamp */

/* "t=" digits ",v1=" 64 hex digits */
#define NGX_TROVE_SIGNATURE_TEXT_MAX                                          \
    (2 + NGX_TROVE_SIGNATURE_DIGITS_MAX + 4 + 2 * NGX_TROVE_SIGNATURE_MAC_LEN)


typedef struct {
    int64_t      timestamp;          /* seconds since the epoch, 0 .. 10^12-1 */

    /* the digits as sent: the MAC covers them, not the number */
    u_char       text[NGX_TROVE_SIGNATURE_DIGITS_MAX];
    ngx_uint_t   text_len;

    ngx_uint_t   nmacs;              /* 1 .. NGX_TROVE_SIGNATURE_MACS_MAX */
    u_char       macs[NGX_TROVE_SIGNATURE_MACS_MAX]
                     [NGX_TROVE_SIGNATURE_MAC_LEN];
} ngx_trove_signature_t;


/* a prepared secret: the keyed template of a MAC */
typedef struct ngx_trove_key_s  ngx_trove_key_t;

/* a verification or signing in progress */
typedef struct ngx_trove_mac_s  ngx_trove_mac_t;


/*
 * Parses the value of the header into *sg. *sg does not refer to value.
 *
 * NGX_OK        well formed
 * NGX_DECLINED  empty, equivalent to a missing header
 * NGX_ERROR     malformed; *sg is undefined
 */
ngx_int_t ngx_trove_signature_parse(ngx_trove_signature_t *sg,
    ngx_str_t *value);

/*
 * Checks whether the timestamp differs from now (seconds since the epoch) by
 * at most tolerance seconds, in either direction.  A tolerance of 0 disables
 * the check.
 *
 * NGX_OK        fresh
 * NGX_DECLINED  stale
 */
ngx_int_t ngx_trove_signature_fresh(ngx_trove_signature_t *sg, int64_t now,
    int64_t tolerance);

/*
 * Creates a key from len bytes at secret, which are not used after the call:
 * the caller may wipe them.  A key is not changed by its use and remains valid
 * after fork().  It is freed by ngx_trove_key_destroy().
 *
 * NULL  out of memory, len is 0, or rejected by OpenSSL (EVP_MAC in FIPS mode)
 */
ngx_trove_key_t *ngx_trove_key_create(u_char *secret, size_t len);

/* Wipes and frees a key.  NULL is allowed. */
void ngx_trove_key_destroy(ngx_trove_key_t *key);

/*
 * Starts a MAC over the text_len digits of a timestamp at text, at most
 * NGX_TROVE_SIGNATURE_DIGITS_MAX, and the dot, with each of nkeys keys (1 or
 * more).  The keys are copied.  The MAC is freed by ngx_trove_mac_destroy().
 *
 * NULL  out of memory
 */
ngx_trove_mac_t *ngx_trove_mac_create(ngx_trove_key_t **keys, ngx_uint_t nkeys,
    u_char *text, size_t text_len);

/*
 * Adds the next len bytes of the body.
 *
 * NGX_OK
 * NGX_ERROR  OpenSSL failed; ngx_trove_mac_verify() will fail as well
 */
ngx_int_t ngx_trove_mac_update(ngx_trove_mac_t *mac, u_char *data, size_t len);

/*
 * Finishes the MAC and compares each result with each MAC of the header, in
 * constant time and without an early exit.  Must be called once.
 *
 * NGX_OK        one of them matches
 * NGX_DECLINED  none matches
 * NGX_ERROR     OpenSSL failed here or in an update
 */
ngx_int_t ngx_trove_mac_verify(ngx_trove_mac_t *mac, ngx_trove_signature_t *sg);

/*
 * Returns the index of the first key that matched, after verify returned
 * NGX_OK.
 */
ngx_uint_t ngx_trove_mac_matched(ngx_trove_mac_t *mac);

/*
 * Finishes the MAC and writes "t=<digits>,v1=<hex>" to buf, computed with the
 * first key.  buf must have space for NGX_TROVE_SIGNATURE_TEXT_MAX bytes.  text
 * and text_len are those passed to ngx_trove_mac_create().  Must be called
 * once, instead of verify.  Returns the end of the output.
 *
 * NULL  OpenSSL failed here or in an update
 */
u_char *ngx_trove_mac_sign(ngx_trove_mac_t *mac, u_char *text, size_t text_len,
    u_char *buf);

/* Wipes and frees a MAC.  NULL is allowed. */
void ngx_trove_mac_destroy(ngx_trove_mac_t *mac);


#endif /* _NGX_TROVE_SIGNATURE_H_INCLUDED_ */
