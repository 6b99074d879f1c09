
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"

#include <sodium.h>


#define NGX_IOT_NEXUS_CHANNEL_CODE_ALL     0
#define NGX_IOT_NEXUS_CHANNEL_CODE_UNLINK  2
#define NGX_IOT_NEXUS_CHANNEL_CODE_LINK    9

#define NGX_IOT_NEXUS_CHANNEL_BODY_MAX     7
#define NGX_IOT_NEXUS_CHANNEL_DATA_MAX     11


/* what the check covers, but for the count in the first four bytes */

typedef struct {
    size_t                    len;
    u_char                    data[NGX_IOT_NEXUS_CHANNEL_DATA_MAX];
} ngx_iot_nexus_channel_data_t;


static size_t ngx_iot_nexus_channel_body(const ngx_iot_nexus_channel_t *c,
    u_char *body, ngx_iot_nexus_channel_data_t *d);
static ngx_uint_t ngx_iot_nexus_channel_find(
    ngx_iot_nexus_channel_data_t *d, uint32_t check, const u_char *key,
    const ngx_iot_nexus_window_t *w, int64_t *count);


ngx_iot_keycode_err_e
ngx_iot_nexus_channel_challenge(const ngx_str_t *accessory_key,
    int64_t accessory_count, uint32_t *challenge)
{
    u_char         data[4];
    const u_char  *key;

    key = ngx_iot_keycode_key(accessory_key);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (accessory_count < 0 || accessory_count > UINT32_MAX) {
        return NGX_IOT_KEYCODE_E_COUNT;
    }

    ngx_iot_keycode_le32(data, (uint32_t) accessory_count);
    *challenge = ngx_iot_nexus_check(data, sizeof(data), key);

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_channel_make(const ngx_iot_nexus_channel_t *c,
    const ngx_str_t *controller_key, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    size_t                         i, n;
    uint32_t                       check;
    const u_char                  *key;
    ngx_iot_nexus_message_t        m;
    ngx_iot_nexus_channel_data_t   d;

    if (c == NULL || (ngx_uint_t) c->type >= NGX_IOT_NEXUS_CHANNEL_TYPES) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    key = ngx_iot_keycode_key(controller_key);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (c->count < 0 || c->count > UINT32_MAX) {
        return NGX_IOT_KEYCODE_E_COUNT;
    }

    if (c->type == NGX_IOT_NEXUS_CHANNEL_LINK && c->challenge > 999999) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    ngx_memzero(&m, sizeof(ngx_iot_nexus_message_t));

    n = ngx_iot_nexus_channel_body(c, m.digits, &d);

    ngx_iot_keycode_le32(d.data, (uint32_t) c->count);
    check = ngx_iot_nexus_check(d.data, d.len, key);

    ngx_iot_nexus_obscure(m.digits, n, check);
    ngx_iot_nexus_put(m.digits + n, NGX_IOT_NEXUS_CHECK, check);

    m.type = NGX_IOT_NEXUS_PASSTHROUGH;
    m.value = 1;
    m.ndigits = n + NGX_IOT_NEXUS_CHECK;

    for (i = 0; i < m.ndigits; i++) {
        m.digits[i] += '0';
    }

    return ngx_iot_nexus_full_make_factory(&m, style, text);
}


ngx_iot_keycode_err_e
ngx_iot_nexus_channel_read(const u_char *digits, size_t n,
    const ngx_str_t *controller_key, const ngx_iot_nexus_window_t *w,
    const ngx_iot_nexus_accessory_t *linked, ngx_uint_t nlinked,
    ngx_iot_nexus_channel_t *c)
{
    size_t                         i, len;
    u_char                         body[NGX_IOT_NEXUS_CHANNEL_BODY_MAX];
    u_char                         plain[NGX_IOT_NEXUS_CHANNEL_BODY_MAX
                                         + NGX_IOT_NEXUS_CHECK];
    uint32_t                       check, number;
    ngx_uint_t                     tries;
    const u_char                  *key;
    ngx_iot_nexus_channel_t        cmd;
    ngx_iot_nexus_channel_data_t   d;

    key = ngx_iot_keycode_key(controller_key);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    len = n - NGX_IOT_NEXUS_CHECK;

    if (digits == NULL || n < NGX_IOT_NEXUS_CHECK
        || (len != 2 && len != 3 && len != NGX_IOT_NEXUS_CHANNEL_BODY_MAX))
    {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    for (i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        plain[i] = digits[i] - '0';
    }

    check = ngx_iot_nexus_get(plain + len, NGX_IOT_NEXUS_CHECK);
    ngx_iot_nexus_reveal(plain, len, check);
    number = ngx_iot_nexus_get(plain + 1, len - 1);

    ngx_memzero(&cmd, sizeof(ngx_iot_nexus_channel_t));
    tries = 1;

    if (len == 3 && plain[0] == NGX_IOT_NEXUS_CHANNEL_CODE_ALL && number < 2) {
        cmd.type = (number == 0) ? NGX_IOT_NEXUS_CHANNEL_UNLINK_ALL
                                 : NGX_IOT_NEXUS_CHANNEL_UNLOCK_ALL;

    } else if (len == NGX_IOT_NEXUS_CHANNEL_BODY_MAX
               && plain[0] == NGX_IOT_NEXUS_CHANNEL_CODE_LINK)
    {
        cmd.type = NGX_IOT_NEXUS_CHANNEL_LINK;
        cmd.challenge = number;

    } else if (len == 2 && plain[0] == NGX_IOT_NEXUS_CHANNEL_CODE_UNLINK) {
        cmd.type = NGX_IOT_NEXUS_CHANNEL_UNLINK;
        tries = (linked == NULL) ? 0 : nlinked;

    } else {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    for (i = 0; i < tries; i++) {

        if (cmd.type == NGX_IOT_NEXUS_CHANNEL_UNLINK) {
            cmd.accessory = linked[i];
        }

        (void) ngx_iot_nexus_channel_body(&cmd, body, &d);

        if (ngx_memcmp(body, plain, len) == 0
            && ngx_iot_nexus_channel_find(&d, check, key, w, &cmd.count))
        {
            *c = cmd;
            return NGX_IOT_KEYCODE_OK;
        }
    }

    return NGX_IOT_KEYCODE_E_MAC;
}


static size_t
ngx_iot_nexus_channel_body(const ngx_iot_nexus_channel_t *c, u_char *body,
    ngx_iot_nexus_channel_data_t *d)
{
    uint32_t  action;

    switch (c->type) {

    case NGX_IOT_NEXUS_CHANNEL_LINK:
        body[0] = NGX_IOT_NEXUS_CHANNEL_CODE_LINK;
        ngx_iot_nexus_put(body + 1, 6, c->challenge);
        ngx_iot_keycode_le32(d->data + 5, c->challenge);
        d->data[4] = body[0];
        d->len = 9;
        return 7;

    case NGX_IOT_NEXUS_CHANNEL_UNLINK:
        body[0] = NGX_IOT_NEXUS_CHANNEL_CODE_UNLINK;
        body[1] = (u_char) (c->accessory.id % 10);
        d->data[4] = body[0];
        d->data[5] = (u_char) (c->accessory.authority & 0xff);
        d->data[6] = (u_char) (c->accessory.authority >> 8);
        ngx_iot_keycode_le32(d->data + 7, c->accessory.id);
        d->len = 11;
        return 2;

    default:
        action = (c->type == NGX_IOT_NEXUS_CHANNEL_UNLOCK_ALL);
        body[0] = NGX_IOT_NEXUS_CHANNEL_CODE_ALL;
        ngx_iot_nexus_put(body + 1, 2, action);
        ngx_iot_keycode_le32(d->data + 5, action);
        d->data[4] = body[0];
        d->len = 9;
        return 3;
    }
}


static ngx_uint_t
ngx_iot_nexus_channel_find(ngx_iot_nexus_channel_data_t *d, uint32_t check,
    const u_char *key, const ngx_iot_nexus_window_t *w, int64_t *count)
{
    int64_t             last, n;
    ngx_uint_t          found;
    ngx_iot_nexus_id_e  state;

    if (w == NULL) {
        return 0;
    }

    last = (int64_t) w->center + (int64_t) w->above;
    found = 0;

    for (n = (int64_t) w->center - (int64_t) w->below; n <= last; n++) {

        state = ngx_iot_nexus_window_state(w, n);

        if (state == NGX_IOT_NEXUS_ID_OUTSIDE) {
            continue;
        }

        ngx_iot_keycode_le32(d->data, (uint32_t) n);

        if (ngx_iot_nexus_check(d->data, d->len, key) != check) {
            continue;
        }

        if (state == NGX_IOT_NEXUS_ID_FRESH) {
            *count = n;
            return 1;
        }

        if (!found) {
            *count = n;
            found = 1;
        }
    }

    return found;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_uart_key(const ngx_str_t *secret,
    u_char key[NGX_IOT_KEYCODE_SECRET])
{
    u_char               out[NGX_IOT_KEYCODE_SECRET];
    const u_char        *s;
    static const u_char  zero[NGX_IOT_KEYCODE_SECRET];

    s = ngx_iot_keycode_key(secret);
    if (s == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    (void) crypto_shorthash_siphash24(out, s, 8, zero);
    (void) crypto_shorthash_siphash24(out + 8, s + 8, 8, zero);

    ngx_memcpy(key, out, sizeof(out));
    sodium_memzero(out, sizeof(out));

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_uart_make(const ngx_str_t *secret, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    size_t                   i;
    u_char                   key[NGX_IOT_KEYCODE_SECRET], data;
    ngx_iot_keycode_err_e    err;
    ngx_iot_nexus_message_t  m;

    err = ngx_iot_nexus_uart_key(secret, key);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    ngx_memzero(&m, sizeof(ngx_iot_nexus_message_t));

    m.type = NGX_IOT_NEXUS_PASSTHROUGH;
    m.ndigits = 1 + NGX_IOT_NEXUS_CHECK;

    data = 0;
    ngx_iot_nexus_put(m.digits + 1, NGX_IOT_NEXUS_CHECK,
                      ngx_iot_nexus_check(&data, 1, key));

    sodium_memzero(key, sizeof(key));

    for (i = 0; i < m.ndigits; i++) {
        m.digits[i] += '0';
    }

    return ngx_iot_nexus_full_make_factory(&m, style, text);
}


ngx_iot_keycode_err_e
ngx_iot_nexus_uart_read(const u_char *digits, size_t n,
    const ngx_str_t *secret)
{
    size_t                 i;
    u_char                 key[NGX_IOT_KEYCODE_SECRET];
    u_char                 plain[1 + NGX_IOT_NEXUS_CHECK], data;
    uint32_t               check;
    ngx_iot_keycode_err_e  err;

    err = ngx_iot_nexus_uart_key(secret, key);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    data = 0;
    check = ngx_iot_nexus_check(&data, 1, key);
    sodium_memzero(key, sizeof(key));

    if (digits == NULL || n != sizeof(plain)) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    for (i = 0; i < n; i++) {
        if (digits[i] < '0' || digits[i] > '9') {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        plain[i] = digits[i] - '0';
    }

    if (plain[0] != 0
        || ngx_iot_nexus_get(plain + 1, NGX_IOT_NEXUS_CHECK) != check)
    {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    return NGX_IOT_KEYCODE_OK;
}
