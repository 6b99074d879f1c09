
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_SEAL_H_INCLUDED_
#define _NGX_IOT_SEAL_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Secrets at rest, as text that the database keeps and cannot read:
 *
 *     sealed:w:BASE64URL   for the workers: XSalsa20-Poly1305 under a key
 *                          that is derived from the key file, random nonce
 *     sealed:h:BASE64URL   for the helpers: a sealed box (X25519) to their
 *                          public key; who seals cannot open it again
 *
 * Both carry a version in the derivation context, so that another algorithm
 * would be another letter.  libsodium must have been initialized.
 */

#define NGX_IOT_SEAL_KEY_SIZE  32
#define NGX_IOT_SEAL_MAX       65536        /* bytes of plain text */


typedef enum {
    NGX_IOT_SEAL_WORKER = 'w',
    NGX_IOT_SEAL_HELPER = 'h'
} ngx_iot_seal_kind_e;


typedef struct {
    u_char        worker[NGX_IOT_SEAL_KEY_SIZE];
    u_char        public[NGX_IOT_SEAL_KEY_SIZE];
    u_char        secret[NGX_IOT_SEAL_KEY_SIZE];
    unsigned      have_worker:1;
    unsigned      have_public:1;
    unsigned      have_secret:1;
} ngx_iot_seal_keys_t;


/*
 * The workers' key, from the 32 bytes of the key file, which signs tokens
 * also.
 */

void ngx_iot_seal_worker_key(ngx_iot_seal_keys_t *keys,
    const u_char *secret);

/*
 * The pair of the helpers from the secret half; or the public half alone.
 */

ngx_int_t ngx_iot_seal_secret_key(ngx_iot_seal_keys_t *keys,
    const u_char *secret);
void ngx_iot_seal_public_key(ngx_iot_seal_keys_t *keys, const u_char *public);

/*
 * The text of a key file, 32 bytes in base64 and an end of line, to key.
 * NGX_ERROR: it is something else.
 */

ngx_int_t ngx_iot_seal_parse_key(const u_char *p, size_t len,
    u_char key[NGX_IOT_SEAL_KEY_SIZE]);

/*
 * NGX_OK: *out is the sealed text, not zero terminated, from alloc.
 * NGX_DECLINED: there is no key of that kind.  NGX_ERROR: too long, or no
 * memory.
 */

ngx_int_t ngx_iot_seal_make(const ngx_iot_seal_keys_t *keys,
    ngx_iot_seal_kind_e kind, const ngx_str_t *plain, ngx_iot_alloc_t *alloc,
    ngx_str_t *out);

/*
 * NGX_OK: *out is what was sealed, zero terminated (not counted); the caller
 * wipes it.  NGX_DECLINED: it is no sealed text, or there is no key for its
 * kind.  NGX_ERROR: damaged, sealed by another key, or no memory.
 */

ngx_int_t ngx_iot_seal_read(const ngx_iot_seal_keys_t *keys,
    const ngx_str_t *sealed, ngx_iot_alloc_t *alloc, ngx_str_t *out);

/*
 * Does the text begin as a sealed one of that kind?  What comes from outside
 * and does must be refused, or sealed as any other text.
 */

ngx_uint_t ngx_iot_seal_is(const ngx_str_t *text, ngx_iot_seal_kind_e kind);


#endif /* _NGX_IOT_SEAL_H_INCLUDED_ */
