
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"

#include <sodium.h>


typedef struct {
    const char               *id;
    const char               *text;
} ngx_iot_keycode_error_t;


typedef struct {
    const char               *name;
    ngx_iot_nexus_type_e      type;
} ngx_iot_keycode_command_t;


static ngx_uint_t ngx_iot_keycode_find(const ngx_iot_keycode_command_t *cmd,
    const ngx_str_t *name, ngx_iot_nexus_type_e *type);
static ngx_iot_keycode_err_e ngx_iot_keycode_days(const ngx_str_t *text,
    int64_t *days);
static ngx_uint_t ngx_iot_keycode_is(const ngx_str_t *s, const char *name);


static const ngx_iot_keycode_error_t  ngx_iot_keycode_errors[] = {

    { "OK", "no error" },
    { "E_SECRET", "the secret is missing or is not 32 hex digits" },
    { "E_TYPE", "unknown or unsupported type" },
    { "E_MSG_ID", "the message id is missing or is not within 0..65534" },
    { "E_COUNT", "the count is out of range" },
    { "E_START", "the starting code is not within 0..999999999" },
    { "E_VALUE", "the amount is missing or out of range" },
    { "E_COLLISION", "the code would be ambiguous, take the next id" },
    { "E_FORMAT", "this has not the shape of a code" },
    { "E_MAC", "the code does not verify" },
    { "E_REQUEST", "the request does not name exactly one known command" }
};


static const ngx_iot_keycode_command_t  ngx_iot_keycode_commands[] = {
    { "pay_g_tkn", NGX_IOT_NEXUS_ADD_CREDIT },
    { "set_tkn", NGX_IOT_NEXUS_SET_CREDIT },
    { "unlock_tkn", NGX_IOT_NEXUS_UNLOCK },
    { NULL, NGX_IOT_NEXUS_TYPES }
};


static const ngx_iot_keycode_command_t  ngx_iot_keycode_methods[] = {
    { "Add Credit", NGX_IOT_NEXUS_ADD_CREDIT },
    { "Set Credit", NGX_IOT_NEXUS_SET_CREDIT },
    { "Unlock PAYG", NGX_IOT_NEXUS_UNLOCK },
    { NULL, NGX_IOT_NEXUS_TYPES }
};


#define ngx_iot_keycode_nelts(a)  (sizeof(a) / sizeof(a[0]))


const char *
ngx_iot_keycode_error(ngx_iot_keycode_err_e err)
{
    if ((ngx_uint_t) err >= ngx_iot_keycode_nelts(ngx_iot_keycode_errors)) {
        err = NGX_IOT_KEYCODE_E_REQUEST;
    }

    return ngx_iot_keycode_errors[err].id;
}


const char *
ngx_iot_keycode_error_text(ngx_iot_keycode_err_e err)
{
    if ((ngx_uint_t) err >= ngx_iot_keycode_nelts(ngx_iot_keycode_errors)) {
        err = NGX_IOT_KEYCODE_E_REQUEST;
    }

    return ngx_iot_keycode_errors[err].text;
}


ngx_iot_keycode_err_e
ngx_iot_keycode_secret(const u_char *hex, size_t len,
    u_char secret[NGX_IOT_KEYCODE_SECRET])
{
    size_t  n;
    u_char  raw[NGX_IOT_KEYCODE_SECRET];

    if (hex == NULL || len != 2 * NGX_IOT_KEYCODE_SECRET) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (sodium_hex2bin(raw, sizeof(raw), (const char *) hex, len, NULL, &n,
                       NULL)
        != 0
        || n != sizeof(raw))
    {
        sodium_memzero(raw, sizeof(raw));
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    ngx_memcpy(secret, raw, sizeof(raw));
    sodium_memzero(raw, sizeof(raw));

    return NGX_IOT_KEYCODE_OK;
}


const u_char *
ngx_iot_keycode_key(const ngx_str_t *secret)
{
    if (secret == NULL || secret->len != NGX_IOT_KEYCODE_SECRET) {
        return NULL;
    }

    return secret->data;
}


uint64_t
ngx_iot_keycode_hash(const u_char *data, size_t len,
    const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    u_char      out[crypto_shorthash_siphash24_BYTES];
    uint64_t    hash;
    ngx_uint_t  i;

    (void) crypto_shorthash_siphash24(out, data, len, key);

    hash = 0;

    for (i = sizeof(out); i > 0; i--) {
        hash = (hash << 8) | out[i - 1];
    }

    return hash;
}


void
ngx_iot_keycode_le32(u_char *p, uint32_t n)
{
    p[0] = (u_char) (n & 0xff);
    p[1] = (u_char) ((n >> 8) & 0xff);
    p[2] = (u_char) ((n >> 16) & 0xff);
    p[3] = (u_char) (n >> 24);
}


void
ngx_iot_keycode_be32(u_char *p, uint32_t n)
{
    p[0] = (u_char) (n >> 24);
    p[1] = (u_char) ((n >> 16) & 0xff);
    p[2] = (u_char) ((n >> 8) & 0xff);
    p[3] = (u_char) (n & 0xff);
}


ngx_iot_keycode_err_e
ngx_iot_keycode_request(const ngx_iot_keycode_member_t *members, ngx_uint_t n,
    ngx_iot_nexus_message_t *m)
{
    int64_t                          days, hours;
    ngx_uint_t                       found, i, methods;
    ngx_iot_nexus_type_e             type;
    ngx_iot_keycode_err_e            err;
    const ngx_iot_keycode_member_t  *amount, *credit;

    type = NGX_IOT_NEXUS_TYPES;
    amount = NULL;
    credit = NULL;
    found = 0;
    methods = 0;

    if (members == NULL) {
        return NGX_IOT_KEYCODE_E_REQUEST;
    }

    for (i = 0; i < n; i++) {

        if (ngx_iot_keycode_is(&members[i].name, "credit")) {
            credit = &members[i];
            continue;
        }

        if (ngx_iot_keycode_is(&members[i].name, "method")) {
            methods++;

            if (members[i].kind != NGX_IOT_KEYCODE_MEMBER_STRING) {
                return NGX_IOT_KEYCODE_E_REQUEST;
            }

            found += ngx_iot_keycode_find(ngx_iot_keycode_methods,
                                          &members[i].text, &type);
            continue;
        }

        if (ngx_iot_keycode_find(ngx_iot_keycode_commands, &members[i].name,
                                 &type))
        {
            amount = &members[i];
            found++;
        }
    }

    if (found != 1 || (methods != 0 && amount != NULL)) {
        return NGX_IOT_KEYCODE_E_REQUEST;
    }

    if (methods != 0) {
        amount = credit;
    }

    hours = 0;

    if (type != NGX_IOT_NEXUS_UNLOCK) {

        if (amount == NULL || amount->kind == NGX_IOT_KEYCODE_MEMBER_OTHER) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        err = ngx_iot_keycode_days(&amount->text, &days);
        if (err != NGX_IOT_KEYCODE_OK) {
            return err;
        }

        err = ngx_iot_nexus_days(type, days, &hours);
        if (err != NGX_IOT_KEYCODE_OK) {
            return err;
        }
    }

    ngx_memzero(m, sizeof(ngx_iot_nexus_message_t));

    m->type = type;
    m->value = hours;

    return NGX_IOT_KEYCODE_OK;
}


static ngx_uint_t
ngx_iot_keycode_find(const ngx_iot_keycode_command_t *cmd,
    const ngx_str_t *name, ngx_iot_nexus_type_e *type)
{
    for ( /* void */ ; cmd->name; cmd++) {
        if (ngx_iot_keycode_is(name, cmd->name)) {
            *type = cmd->type;
            return 1;
        }
    }

    return 0;
}


static ngx_iot_keycode_err_e
ngx_iot_keycode_days(const ngx_str_t *text, int64_t *days)
{
    size_t   i;
    int64_t  n;

    if (text->data == NULL || text->len == 0) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    n = 0;

    for (i = 0; i < text->len; i++) {

        if (text->data[i] < '0' || text->data[i] > '9') {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        n = n * 10 + (text->data[i] - '0');

        if (n > 99999) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }
    }

    *days = n;

    return NGX_IOT_KEYCODE_OK;
}


static ngx_uint_t
ngx_iot_keycode_is(const ngx_str_t *s, const char *name)
{
    return s->data != NULL
           && s->len == strlen(name)
           && ngx_memcmp(s->data, name, s->len) == 0;
}
