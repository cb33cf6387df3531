
/*
 * Copyright (C) the ngx_trove_module authors
 */


#ifndef _NGX_TROVE_SIGNATURE_H_INCLUDED_
#define _NGX_TROVE_SIGNATURE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * The signature room: "X-Trove-Signature: t=<unix seconds>,v1=<hex>", where
 * v1 is HMAC-SHA256 over t, "." and the raw body, keyed with the bytes of the
 * signing secret as issued (TroveFiles webhook documentation; RFC 2104).
 *
 * Knows nothing of HTTP: no request, no pool, no log.  All memory is from
 * malloc() by way of OpenSSL, and is given back by the *_destroy() functions.
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

    /* its digits as sent: the MAC covers them, not the number */
    u_char       text[NGX_TROVE_SIGNATURE_DIGITS_MAX];
    ngx_uint_t   text_len;

    ngx_uint_t   nmacs;              /* 1 .. NGX_TROVE_SIGNATURE_MACS_MAX */
    u_char       macs[NGX_TROVE_SIGNATURE_MACS_MAX]
                     [NGX_TROVE_SIGNATURE_MAC_LEN];
} ngx_trove_signature_t;


/* a secret made ready for use: the keyed template of a MAC */
typedef struct ngx_trove_key_s  ngx_trove_key_t;

/* a verification or signing that is under way */
typedef struct ngx_trove_mac_s  ngx_trove_mac_t;


/*
 * Parses the value of the header into *sg.  Nothing in *sg points into value.
 *
 * NGX_OK        well formed
 * NGX_DECLINED  empty: the same as no header at all
 * NGX_ERROR     malformed; *sg is undefined
 */
ngx_int_t ngx_trove_signature_parse(ngx_trove_signature_t *sg,
    ngx_str_t *value);

/*
 * Tells whether the timestamp is at most tolerance seconds away from now
 * (seconds since the epoch), either way.  A tolerance of 0 switches the check
 * off.
 *
 * NGX_OK        fresh
 * NGX_DECLINED  stale
 */
ngx_int_t ngx_trove_signature_fresh(ngx_trove_signature_t *sg, int64_t now,
    int64_t tolerance);

/*
 * Makes a key of len bytes at secret, which are not referred to afterwards:
 * the caller may wipe them.  It is never changed, and survives fork().
 *
 * NULL  out of memory, len is 0, or OpenSSL refuses (EVP_MAC in FIPS mode)
 */
ngx_trove_key_t *ngx_trove_key_create(u_char *secret, size_t len);

/* Wipes and frees a key; NULL is allowed. */
void ngx_trove_key_destroy(ngx_trove_key_t *key);

/*
 * Starts the MAC over the digits of a timestamp, 12 at most, and the dot with
 * each of nkeys keys (1 or more), which are copied.
 *
 * NULL  out of memory
 */
ngx_trove_mac_t *ngx_trove_mac_create(ngx_trove_key_t **keys, ngx_uint_t nkeys,
    u_char *text, size_t text_len);

/*
 * Adds the next len bytes of the body.
 *
 * NGX_OK
 * NGX_ERROR  OpenSSL failed; ngx_trove_mac_verify() will then fail, too
 */
ngx_int_t ngx_trove_mac_update(ngx_trove_mac_t *mac, u_char *data, size_t len);

/*
 * Ends the MAC and compares each result with each of the header's, in constant
 * time and without an early exit.  To be called once.
 *
 * NGX_OK        one of them matches
 * NGX_DECLINED  none does
 * NGX_ERROR     OpenSSL failed here or in an update
 */
ngx_int_t ngx_trove_mac_verify(ngx_trove_mac_t *mac, ngx_trove_signature_t *sg);

/* The number, from 0, of the first key that matched, after NGX_OK of verify. */
ngx_uint_t ngx_trove_mac_matched(ngx_trove_mac_t *mac);

/*
 * Ends the MAC and writes "t=<digits>,v1=<hex>" to buf, which has room for
 * NGX_TROVE_SIGNATURE_TEXT_MAX bytes, by the first of the keys.  text is what
 * ngx_trove_mac_create() was given.  To be called once, instead of verify.
 *
 * The end of what was written, NULL if OpenSSL failed here or in an update.
 */
u_char *ngx_trove_mac_sign(ngx_trove_mac_t *mac, u_char *text, size_t text_len,
    u_char *buf);

/* Wipes and frees a MAC; NULL is allowed. */
void ngx_trove_mac_destroy(ngx_trove_mac_t *mac);


#endif /* _NGX_TROVE_SIGNATURE_H_INCLUDED_ */
