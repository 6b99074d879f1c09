
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_seal.h"

#include <sodium.h>


#define NGX_IOT_SEAL_PREFIX  9              /* sealed:w: */

#define NGX_IOT_SEAL_BASE64  sodium_base64_VARIANT_URLSAFE_NO_PADDING

#define NGX_IOT_SEAL_WORKER_EXTRA                                             \
    (crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES)


static size_t ngx_iot_seal_extra(ngx_iot_seal_kind_e kind);
static ngx_int_t ngx_iot_seal_open_box(const ngx_iot_seal_keys_t *keys,
    ngx_iot_seal_kind_e kind, const u_char *box, size_t len, u_char *plain);


void
ngx_iot_seal_worker_key(ngx_iot_seal_keys_t *keys, const u_char *secret)
{
    static const char  context[] = "ngx_iot seal for workers, version 1";

    (void) crypto_generichash(keys->worker, sizeof(keys->worker),
                              (const u_char *) context, sizeof(context) - 1,
                              secret, NGX_IOT_SEAL_KEY_SIZE);
    keys->have_worker = 1;
}


ngx_int_t
ngx_iot_seal_secret_key(ngx_iot_seal_keys_t *keys, const u_char *secret)
{
    if (crypto_scalarmult_base(keys->public, secret) != 0) {
        return NGX_ERROR;
    }

    ngx_memcpy(keys->secret, secret, NGX_IOT_SEAL_KEY_SIZE);
    keys->have_public = 1;
    keys->have_secret = 1;

    return NGX_OK;
}


void
ngx_iot_seal_public_key(ngx_iot_seal_keys_t *keys, const u_char *public)
{
    ngx_memcpy(keys->public, public, NGX_IOT_SEAL_KEY_SIZE);
    keys->have_public = 1;
}


ngx_int_t
ngx_iot_seal_parse_key(const u_char *p, size_t len,
    u_char key[NGX_IOT_SEAL_KEY_SIZE])
{
    size_t  n;

    while (len && (p[len - 1] == '\n' || p[len - 1] == '\r'
                   || p[len - 1] == ' '))
    {
        len--;
    }

    if (sodium_base642bin(key, NGX_IOT_SEAL_KEY_SIZE, (const char *) p, len,
                          NULL, &n, NULL, sodium_base64_VARIANT_ORIGINAL)
        != 0
        || n != NGX_IOT_SEAL_KEY_SIZE)
    {
        sodium_memzero(key, NGX_IOT_SEAL_KEY_SIZE);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_iot_seal_is(const ngx_str_t *text, ngx_iot_seal_kind_e kind)
{
    return text->len >= NGX_IOT_SEAL_PREFIX
           && ngx_memcmp(text->data, "sealed:", 7) == 0
           && text->data[7] == (u_char) kind
           && text->data[8] == ':';
}


ngx_int_t
ngx_iot_seal_make(const ngx_iot_seal_keys_t *keys, ngx_iot_seal_kind_e kind,
    const ngx_str_t *plain, ngx_iot_alloc_t *alloc, ngx_str_t *out)
{
    int      rc;
    u_char  *box, *cipher, *text;
    size_t   len, size;

    if ((kind == NGX_IOT_SEAL_WORKER && !keys->have_worker)
        || (kind == NGX_IOT_SEAL_HELPER && !keys->have_public))
    {
        return NGX_DECLINED;
    }

    if (plain->len > NGX_IOT_SEAL_MAX) {
        return NGX_ERROR;
    }

    len = ngx_iot_seal_extra(kind) + plain->len;
    size = sodium_base64_ENCODED_LEN(len, NGX_IOT_SEAL_BASE64);

    box = ngx_iot_alloc(alloc, len);
    text = ngx_iot_alloc(alloc, NGX_IOT_SEAL_PREFIX + size);

    if (box == NULL || text == NULL) {
        return NGX_ERROR;
    }

    if (kind == NGX_IOT_SEAL_WORKER) {
        cipher = box + crypto_secretbox_NONCEBYTES;

        randombytes_buf(box, crypto_secretbox_NONCEBYTES);
        rc = crypto_secretbox_easy(cipher, plain->data, plain->len, box,
                                   keys->worker);

    } else {
        rc = crypto_box_seal(box, plain->data, plain->len, keys->public);
    }

    if (rc != 0) {
        return NGX_ERROR;
    }

    ngx_memcpy(text, "sealed:w:", NGX_IOT_SEAL_PREFIX);
    text[7] = (u_char) kind;

    sodium_bin2base64((char *) text + NGX_IOT_SEAL_PREFIX, size, box, len,
                      NGX_IOT_SEAL_BASE64);

    out->data = text;
    out->len = NGX_IOT_SEAL_PREFIX + size - 1;

    return NGX_OK;
}


ngx_int_t
ngx_iot_seal_read(const ngx_iot_seal_keys_t *keys, const ngx_str_t *sealed,
    ngx_iot_alloc_t *alloc, ngx_str_t *out)
{
    u_char               *box, *plain;
    size_t                len, size, text;
    ngx_iot_seal_kind_e   kind;

    if (ngx_iot_seal_is(sealed, NGX_IOT_SEAL_WORKER)) {
        kind = NGX_IOT_SEAL_WORKER;

    } else if (ngx_iot_seal_is(sealed, NGX_IOT_SEAL_HELPER)) {
        kind = NGX_IOT_SEAL_HELPER;

    } else {
        return NGX_DECLINED;
    }

    if ((kind == NGX_IOT_SEAL_WORKER && !keys->have_worker)
        || (kind == NGX_IOT_SEAL_HELPER && !keys->have_secret))
    {
        return NGX_DECLINED;
    }

    text = sealed->len - NGX_IOT_SEAL_PREFIX;

    if (text > 2 * NGX_IOT_SEAL_MAX) {
        return NGX_ERROR;
    }

    size = text / 4 * 3 + 3;
    box = ngx_iot_alloc(alloc, size);

    if (box == NULL) {
        return NGX_ERROR;
    }

    if (sodium_base642bin(box, size,
                          (char *) sealed->data + NGX_IOT_SEAL_PREFIX, text,
                          NULL, &len, NULL, NGX_IOT_SEAL_BASE64)
        != 0
        || len < ngx_iot_seal_extra(kind))
    {
        return NGX_ERROR;
    }

    size = len - ngx_iot_seal_extra(kind);
    plain = ngx_iot_alloc(alloc, size + 1);

    if (plain == NULL) {
        return NGX_ERROR;
    }

    if (ngx_iot_seal_open_box(keys, kind, box, len, plain) != NGX_OK) {
        return NGX_ERROR;
    }

    plain[size] = '\0';

    out->data = plain;
    out->len = size;

    return NGX_OK;
}


static size_t
ngx_iot_seal_extra(ngx_iot_seal_kind_e kind)
{
    return (kind == NGX_IOT_SEAL_WORKER) ? NGX_IOT_SEAL_WORKER_EXTRA
                                         : crypto_box_SEALBYTES;
}


static ngx_int_t
ngx_iot_seal_open_box(const ngx_iot_seal_keys_t *keys,
    ngx_iot_seal_kind_e kind, const u_char *box, size_t len, u_char *plain)
{
    int  rc;

    if (kind == NGX_IOT_SEAL_WORKER) {
        rc = crypto_secretbox_open_easy(plain,
                                        box + crypto_secretbox_NONCEBYTES,
                                        len - crypto_secretbox_NONCEBYTES,
                                        box, keys->worker);

    } else {
        rc = crypto_box_seal_open(plain, box, len, keys->public, keys->secret);
    }

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}
