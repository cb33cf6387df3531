
/*
 * Copyright (C) the ngx_trove_module authors
 */


/*
 * The same as t/unit/hmac.c, of HMAC as it is where OpenSSL is to do all of it,
 * under other names.
 */

#undef NGX_TROVE_EVP_MAC
#define NGX_TROVE_EVP_MAC         1

#define ngx_trove_hmac_key_set    evp_hmac_key_set
#define ngx_trove_hmac_key_wipe   evp_hmac_key_wipe
#define ngx_trove_hmac_start      evp_hmac_start
#define ngx_trove_hmac_update     evp_hmac_update
#define ngx_trove_hmac_final      evp_hmac_final
#define ngx_trove_hmac_wipe       evp_hmac_wipe

#include "ngx_trove_hmac.c"
#include "hmac.c"
