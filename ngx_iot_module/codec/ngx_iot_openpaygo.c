
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"


#define NGX_IOT_OPENPAYGO_BASE       1000
#define NGX_IOT_OPENPAYGO_VALUE_MAX  995
#define NGX_IOT_OPENPAYGO_EXT_MAX    999999
#define NGX_IOT_OPENPAYGO_JUMP       64
#define NGX_IOT_OPENPAYGO_SYNC_JUMP  100
#define NGX_IOT_OPENPAYGO_RECENT     16


static uint32_t ngx_iot_openpaygo_token(uint32_t start, uint32_t value,
    uint32_t count, const u_char *key);
static void ngx_iot_openpaygo_find(uint32_t number, uint32_t start,
    const u_char *key, const ngx_iot_openpaygo_device_t *d,
    ngx_iot_openpaygo_token_t *token);
static void ngx_iot_openpaygo_accept(ngx_iot_openpaygo_device_t *d,
    const ngx_iot_openpaygo_token_t *token);
static void ngx_iot_openpaygo_keep(ngx_iot_openpaygo_device_t *d,
    const ngx_iot_openpaygo_device_t *old,
    const ngx_iot_openpaygo_token_t *token, int64_t count);
static ngx_uint_t ngx_iot_openpaygo_sane(
    const ngx_iot_openpaygo_device_t *d);
static ngx_uint_t ngx_iot_openpaygo_used(const ngx_iot_openpaygo_device_t *d,
    int64_t count);
static ngx_iot_keycode_err_e ngx_iot_openpaygo_value(
    const ngx_iot_openpaygo_request_t *r, uint32_t *value);
static ngx_iot_keycode_err_e ngx_iot_openpaygo_parse(const u_char *p,
    size_t len, ngx_uint_t restricted, uint64_t *number,
    ngx_uint_t *extended);


static const char  *ngx_iot_openpaygo_types[] = {
    "INVALID",
    "ADD_TIME",
    "SET_TIME",
    "DISABLE_PAYG",
    "COUNTER_SYNC",
    "ALREADY_USED"
};


ngx_iot_keycode_err_e
ngx_iot_openpaygo_type(const u_char *p, size_t len,
    ngx_iot_openpaygo_type_e *type)
{
    ngx_uint_t  i;

    if (p == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    for (i = NGX_IOT_OPENPAYGO_ADD_TIME;
         i <= NGX_IOT_OPENPAYGO_COUNTER_SYNC;
         i++)
    {
        if (len == strlen(ngx_iot_openpaygo_types[i])
            && ngx_memcmp(p, ngx_iot_openpaygo_types[i], len) == 0)
        {
            *type = i;
            return NGX_IOT_KEYCODE_OK;
        }
    }

    return NGX_IOT_KEYCODE_E_TYPE;
}


const char *
ngx_iot_openpaygo_type_name(ngx_iot_openpaygo_type_e type)
{
    if ((ngx_uint_t) type >= NGX_IOT_OPENPAYGO_TYPES) {
        type = NGX_IOT_OPENPAYGO_INVALID;
    }

    return ngx_iot_openpaygo_types[type];
}


ngx_iot_keycode_err_e
ngx_iot_openpaygo_units(const u_char *p, size_t len, int64_t divider,
    int64_t *units)
{
    size_t         i;
    int64_t        n, rest, scale;
    ngx_uint_t     point, whole, part;

    if (p == NULL || len == 0 || divider < 1 || divider > 255) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    n = 0;
    scale = 1;
    point = 0;
    whole = 0;
    part = 0;

    for (i = 0; i < len; i++) {

        if (p[i] == '.' && !point && whole > 0) {
            point = 1;
            continue;
        }

        if (p[i] < '0' || p[i] > '9') {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        if (point) {
            if (++part > 9) {
                return NGX_IOT_KEYCODE_E_VALUE;
            }

            scale *= 10;

        } else if (++whole > 9) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        /* below 10^18 */

        n = n * 10 + (p[i] - '0');
    }

    if ((point && part == 0) || n / scale > NGX_IOT_OPENPAYGO_EXT_MAX) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    /* now below 10^15, and 10^18 with the divider */

    n *= divider;
    rest = n % scale;
    n /= scale;

    if (rest * 2 > scale || (rest * 2 == scale && (n & 1))) {
        n++;
    }

    if (n > NGX_IOT_OPENPAYGO_EXT_MAX) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    *units = n;

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_openpaygo_make(const ngx_iot_openpaygo_request_t *r,
    const ngx_str_t *key, ngx_iot_keycode_text_t *text, int64_t *new_count)
{
    int64_t                count;
    uint32_t               start, value;
    uint64_t               token;
    ngx_uint_t             odd;
    const u_char          *k;
    ngx_iot_keycode_err_e  err;

    if (r == NULL
        || (ngx_uint_t) r->type < NGX_IOT_OPENPAYGO_ADD_TIME
        || (ngx_uint_t) r->type > NGX_IOT_OPENPAYGO_COUNTER_SYNC)
    {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    k = ngx_iot_keycode_key(key);
    if (k == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (r->count < 0 || r->count > NGX_IOT_OPENPAYGO_COUNT_MAX) {
        return NGX_IOT_KEYCODE_E_COUNT;
    }

    if (r->start < 0 || r->start > NGX_IOT_OPENPAYGO_START_MAX) {
        return NGX_IOT_KEYCODE_E_START;
    }

    err = ngx_iot_openpaygo_value(r, &value);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    start = r->start ? (uint32_t) r->start : ngx_iot_openpaygo_start(k);
    odd = (r->type != NGX_IOT_OPENPAYGO_ADD_TIME);
    count = r->count;

    do {

        /* the next one of the parity that the type has */

        count += (((ngx_uint_t) count & 1) == odd) ? 2 : 1;

        if (count > NGX_IOT_OPENPAYGO_COUNT_MAX) {
            return NGX_IOT_KEYCODE_E_COUNT;
        }

        token = r->extended
                ? ngx_iot_openpaygo_ext_token(start, value, (uint32_t) count,
                                              k)
                : ngx_iot_openpaygo_token(start, value, (uint32_t) count, k);

    } while (r->test_code >= 0 && (uint64_t) r->test_code == token);

    ngx_iot_openpaygo_print(token, r->restricted, r->extended, text);
    *new_count = count;

    return NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_openpaygo_value(const ngx_iot_openpaygo_request_t *r, uint32_t *value)
{
    int64_t  max;

    switch (r->type) {

    case NGX_IOT_OPENPAYGO_DISABLE_PAYG:
        *value = NGX_IOT_OPENPAYGO_DISABLE;
        break;

    case NGX_IOT_OPENPAYGO_COUNTER_SYNC:
        *value = NGX_IOT_OPENPAYGO_SYNC;
        break;

    default:
        max = r->extended ? NGX_IOT_OPENPAYGO_EXT_MAX
                          : NGX_IOT_OPENPAYGO_VALUE_MAX;

        if (r->value < 0 || r->value > max) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        *value = (uint32_t) r->value;

        return NGX_IOT_KEYCODE_OK;
    }

    if (r->value != 0 && r->value != NGX_IOT_OPENPAYGO_NONE) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_openpaygo_read(const u_char *p, size_t len, const ngx_str_t *key,
    int64_t start, ngx_uint_t restricted, ngx_iot_openpaygo_device_t *device,
    ngx_iot_openpaygo_token_t *token)
{
    uint32_t                    first;
    uint64_t                    number;
    ngx_uint_t                  extended;
    const u_char               *k;
    ngx_iot_keycode_err_e       err;
    ngx_iot_openpaygo_token_t   t;

    k = ngx_iot_keycode_key(key);
    if (k == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (!ngx_iot_openpaygo_sane(device)) {
        return NGX_IOT_KEYCODE_E_COUNT;
    }

    if (start < 0 || start > NGX_IOT_OPENPAYGO_START_MAX) {
        return NGX_IOT_KEYCODE_E_START;
    }

    err = ngx_iot_openpaygo_parse(p, len, restricted, &number, &extended);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    ngx_memzero(&t, sizeof(ngx_iot_openpaygo_token_t));

    first = start ? (uint32_t) start : ngx_iot_openpaygo_start(k);

    /* keys 1-4 can say more than the nine or twelve digits that tokens have */

    if (extended) {
        if (number <= UINT64_C(999999999999)) {
            ngx_iot_openpaygo_ext_find(number, first, k, device, &t);
        }

    } else if (number <= 999999999) {
        ngx_iot_openpaygo_find((uint32_t) number, first, k, device, &t);
    }

    t.extended = (extended != 0);

    if (t.type != NGX_IOT_OPENPAYGO_INVALID
        && t.type != NGX_IOT_OPENPAYGO_ALREADY_USED)
    {
        ngx_iot_openpaygo_accept(device, &t);
    }

    *token = t;

    return NGX_IOT_KEYCODE_OK;
}


static ngx_uint_t
ngx_iot_openpaygo_sane(const ngx_iot_openpaygo_device_t *d)
{
    ngx_uint_t  i;

    if (d == NULL || d->count < 0 || d->count > NGX_IOT_OPENPAYGO_COUNT_MAX) {
        return 0;
    }

    if (!d->tracked) {
        return 1;
    }

    if (d->nused > NGX_IOT_OPENPAYGO_USED) {
        return 0;
    }

    for (i = 0; i < d->nused; i++) {
        if (d->used[i] > NGX_IOT_OPENPAYGO_COUNT_MAX) {
            return 0;
        }
    }

    return 1;
}


static void
ngx_iot_openpaygo_find(uint32_t number, uint32_t start, const u_char *key,
    const ngx_iot_openpaygo_device_t *d, ngx_iot_openpaygo_token_t *token)
{
    int64_t     count, last;
    uint32_t    base, code, value;
    ngx_uint_t  sync;

    base = number % NGX_IOT_OPENPAYGO_BASE;
    code = start - start % NGX_IOT_OPENPAYGO_BASE + base;

    value = (base + NGX_IOT_OPENPAYGO_BASE - start % NGX_IOT_OPENPAYGO_BASE)
            % NGX_IOT_OPENPAYGO_BASE;

    sync = (value == NGX_IOT_OPENPAYGO_SYNC);

    last = d->count + (sync ? NGX_IOT_OPENPAYGO_SYNC_JUMP
                            : NGX_IOT_OPENPAYGO_JUMP);
    last = ngx_min(last, NGX_IOT_OPENPAYGO_COUNT_MAX);

    for (count = 0; count <= last; count++) {

        if (code - code % NGX_IOT_OPENPAYGO_BASE + base == number) {

            if (ngx_iot_openpaygo_acceptable(d, count, sync)) {
                token->count = count;
                token->value = value;

                if ((count & 1) == 0) {
                    token->type = NGX_IOT_OPENPAYGO_ADD_TIME;

                } else if (sync) {
                    token->type = NGX_IOT_OPENPAYGO_COUNTER_SYNC;

                } else if (value == NGX_IOT_OPENPAYGO_DISABLE) {
                    token->type = NGX_IOT_OPENPAYGO_DISABLE_PAYG;

                } else {
                    token->type = NGX_IOT_OPENPAYGO_SET_TIME;
                }

                return;
            }

            token->type = NGX_IOT_OPENPAYGO_ALREADY_USED;
        }

        code = ngx_iot_openpaygo_next(code, key);
    }
}


ngx_uint_t
ngx_iot_openpaygo_acceptable(const ngx_iot_openpaygo_device_t *d,
    int64_t count, ngx_uint_t sync)
{
    if (count == 0) {
        return 0;
    }

    if (sync) {
        return count > d->count - NGX_IOT_OPENPAYGO_JUMP;
    }

    if (count > d->count) {
        return 1;
    }

    return d->tracked
           && count > d->count - NGX_IOT_OPENPAYGO_RECENT
           && (count & 1) == 0
           && !ngx_iot_openpaygo_used(d, count);
}


static void
ngx_iot_openpaygo_accept(ngx_iot_openpaygo_device_t *d,
    const ngx_iot_openpaygo_token_t *token)
{
    int64_t                     high, last, n;
    ngx_uint_t                  i;
    ngx_iot_openpaygo_device_t  old;

    old = *d;

    if (token->count > d->count
        || (!token->extended && token->value == NGX_IOT_OPENPAYGO_SYNC))
    {
        d->count = token->count;
    }

    if (!d->tracked) {
        return;
    }

    high = token->count;

    for (i = 0; i < old.nused; i++) {
        high = ngx_max(high, (int64_t) old.used[i]);
    }

    /*
     * A sync may leave the count far below the highest that was used: then
     * both ends are remembered, or old tokens would work again.
     */

    last = ngx_min(high, d->count);

    d->nused = 0;

    for (n = ngx_max(0, last - NGX_IOT_OPENPAYGO_RECENT); n <= last; n++) {
        ngx_iot_openpaygo_keep(d, &old, token, n);
    }

    last = ngx_max(last, high - NGX_IOT_OPENPAYGO_RECENT - 1);

    for (n = last + 1; n <= high; n++) {
        ngx_iot_openpaygo_keep(d, &old, token, n);
    }
}


static void
ngx_iot_openpaygo_keep(ngx_iot_openpaygo_device_t *d,
    const ngx_iot_openpaygo_device_t *old,
    const ngx_iot_openpaygo_token_t *token, int64_t count)
{
    if (token->type != NGX_IOT_OPENPAYGO_ADD_TIME
        || count == token->count
        || ngx_iot_openpaygo_used(old, count))
    {
        d->used[d->nused++] = (uint32_t) count;
    }
}


static ngx_uint_t
ngx_iot_openpaygo_used(const ngx_iot_openpaygo_device_t *d, int64_t count)
{
    ngx_uint_t  i;

    for (i = 0; i < d->nused; i++) {
        if (d->used[i] == count) {
            return 1;
        }
    }

    return 0;
}


static uint32_t
ngx_iot_openpaygo_token(uint32_t start, uint32_t value, uint32_t count,
    const u_char *key)
{
    uint32_t  base, code;

    base = (start + value) % NGX_IOT_OPENPAYGO_BASE;
    code = start - start % NGX_IOT_OPENPAYGO_BASE + base;

    while (count--) {
        code = ngx_iot_openpaygo_next(code, key);
    }

    return code - code % NGX_IOT_OPENPAYGO_BASE + base;
}


uint32_t
ngx_iot_openpaygo_reduce(uint64_t hash)
{
    uint32_t  t;

    t = ((uint32_t) (hash >> 32) ^ (uint32_t) (hash & 0xffffffff)) >> 2;

    return (t > 999999999) ? t - 73741825 : t;
}


uint32_t
ngx_iot_openpaygo_next(uint32_t code, const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    u_char  data[8];

    ngx_iot_keycode_be32(data, code);
    ngx_iot_keycode_be32(data + 4, code);

    return ngx_iot_openpaygo_reduce(ngx_iot_keycode_hash(data, sizeof(data),
                                                         key));
}


uint32_t
ngx_iot_openpaygo_start(const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    return ngx_iot_openpaygo_reduce(
                     ngx_iot_keycode_hash(key, NGX_IOT_KEYCODE_SECRET, key));
}


void
ngx_iot_openpaygo_print(uint64_t token, ngx_uint_t restricted,
    ngx_uint_t extended, ngx_iot_keycode_text_t *text)
{
    size_t      i;
    ngx_uint_t  base, zero;

    if (restricted) {
        text->len = extended ? 20 : 15;
        base = 4;
        zero = '1';

    } else {
        text->len = extended ? 12 : 9;
        base = 10;
        zero = '0';
    }

    for (i = text->len; i > 0; i--) {
        text->data[i - 1] = (u_char) (zero + token % base);
        token /= base;
    }

    text->data[text->len] = '\0';
}


static ngx_iot_keycode_err_e
ngx_iot_openpaygo_parse(const u_char *p, size_t len, ngx_uint_t restricted,
    uint64_t *number, ngx_uint_t *extended)
{
    size_t      i, n;
    uint64_t    sum;
    ngx_uint_t  base, max, zero;

    if (p == NULL) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    base = restricted ? 4 : 10;
    zero = restricted ? '1' : '0';
    max = restricted ? 20 : 12;

    n = 0;
    sum = 0;

    for (i = 0; i < len; i++) {

        if (p[i] == ' ' || p[i] == '\t' || p[i] == '\r' || p[i] == '\n') {
            continue;
        }

        if (p[i] < zero || p[i] >= zero + base || n == max) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        sum = sum * base + (p[i] - zero);
        n++;
    }

    if (n == 0 || (restricted && n != 15 && n != 20)) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    *number = sum;
    *extended = restricted ? (n == 20) : (n > 9);

    return NGX_IOT_KEYCODE_OK;
}
