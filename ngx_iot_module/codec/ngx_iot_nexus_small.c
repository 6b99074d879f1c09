
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"

#include <sodium.h>


/* 28 bits: id 6, type 2, body 8, check 12 */

#define NGX_IOT_NEXUS_SMALL_KEYS         14
#define NGX_IOT_NEXUS_SMALL_CHECK        0xfff

#define NGX_IOT_NEXUS_SMALL_CODE_ADD     0
#define NGX_IOT_NEXUS_SMALL_CODE_PASS    1
#define NGX_IOT_NEXUS_SMALL_CODE_SET     2
#define NGX_IOT_NEXUS_SMALL_CODE_MAINT   3

#define NGX_IOT_NEXUS_SMALL_BODY_FLAG    253
#define NGX_IOT_NEXUS_SMALL_BODY_ZERO    254
#define NGX_IOT_NEXUS_SMALL_BODY_UNLOCK  255
#define NGX_IOT_NEXUS_SMALL_MAINT        0x80

#define NGX_IOT_NEXUS_SMALL_PASS_BITS    26
#define NGX_IOT_NEXUS_SMALL_EXTENDED     (1 << 25)


/* days from..last travel as first + (day - from) / step */

typedef struct {
    ngx_uint_t                from;
    ngx_uint_t                last;
    ngx_uint_t                first;
    ngx_uint_t                step;
} ngx_iot_nexus_small_range_t;


static ngx_iot_keycode_err_e ngx_iot_nexus_small_body(
    const ngx_iot_nexus_small_t *m, ngx_uint_t *code, ngx_uint_t *body);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_pack(
    const ngx_iot_nexus_small_range_t *r, int64_t days, ngx_uint_t *body);
static int64_t ngx_iot_nexus_small_unpack(
    const ngx_iot_nexus_small_range_t *r, ngx_uint_t body);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_extend(int64_t id,
    ngx_uint_t body, const u_char *key, uint32_t *bits);
static uint32_t ngx_iot_nexus_small_mac(uint32_t id, ngx_uint_t code,
    ngx_uint_t body, const u_char *key);
static uint32_t ngx_iot_nexus_small_mac_extended(uint32_t id,
    ngx_uint_t body, const u_char *key);
static uint32_t ngx_iot_nexus_small_mask(uint32_t check);
static uint32_t ngx_iot_nexus_small_wrap(uint32_t pass);
static void ngx_iot_nexus_small_show(uint32_t bits,
    ngx_iot_nexus_style_e style, ngx_iot_keycode_text_t *text);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_keys(const u_char *p,
    size_t len, uint32_t *bits);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_credit(uint32_t bits,
    const u_char *key, uint32_t center, ngx_iot_nexus_small_t *m);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_service(uint32_t bits,
    const u_char *key, ngx_iot_nexus_small_t *m);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_passed(uint32_t bits,
    const u_char *key, uint32_t center, ngx_iot_nexus_small_t *m);
static ngx_iot_keycode_err_e ngx_iot_nexus_small_set(ngx_uint_t body,
    ngx_iot_nexus_small_t *m);


static const u_char  ngx_iot_nexus_small_zero_key[NGX_IOT_KEYCODE_SECRET];

static const u_char  ngx_iot_nexus_small_test_key[NGX_IOT_KEYCODE_SECRET] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff
};


static const ngx_iot_nexus_small_range_t  ngx_iot_nexus_small_add_days[] = {
    { 1, 180, 0, 1 },
    { 181, 405, 180, 3 },
    { 0, 0, 0, 0 }
};


static const ngx_iot_nexus_small_range_t  ngx_iot_nexus_small_set_days[] = {
    { 1, 90, 0, 1 },
    { 91, 180, 90, 2 },
    { 181, 360, 135, 4 },
    { 361, 720, 180, 8 },
    { 721, 960, 225, 16 },
    { 0, 0, 0, 0 }
};


ngx_iot_keycode_err_e
ngx_iot_nexus_small_make(const ngx_iot_nexus_small_t *m,
    const ngx_str_t *secret, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    uint32_t               bits, check;
    ngx_uint_t             body, code, id;
    const u_char          *key;
    ngx_iot_keycode_err_e  err;

    if (m == NULL || (ngx_uint_t) m->type >= NGX_IOT_NEXUS_SMALL_TYPES) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    if (m->type == NGX_IOT_NEXUS_SMALL_PASSTHROUGH) {

        if (m->value < 0 || m->value >= NGX_IOT_NEXUS_SMALL_EXTENDED) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        bits = ngx_iot_nexus_small_wrap((uint32_t) m->value);
        ngx_iot_nexus_small_show(bits, style, text);

        return NGX_IOT_KEYCODE_OK;
    }

    key = (m->type == NGX_IOT_NEXUS_SMALL_TEST)
          ? ngx_iot_nexus_small_test_key : ngx_iot_keycode_key(secret);

    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    id = 0;

    if (m->type != NGX_IOT_NEXUS_SMALL_TEST
        && m->type != NGX_IOT_NEXUS_SMALL_MAINTENANCE)
    {
        if (m->message_id < 0 || m->message_id > NGX_IOT_NEXUS_ID_MAX) {
            return NGX_IOT_KEYCODE_E_MSG_ID;
        }

        id = (ngx_uint_t) m->message_id;
    }

    err = ngx_iot_nexus_small_body(m, &code, &body);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    if (code == NGX_IOT_NEXUS_SMALL_CODE_PASS) {

        err = ngx_iot_nexus_small_extend(m->message_id, body, key, &bits);
        if (err != NGX_IOT_KEYCODE_OK) {
            return err;
        }

    } else {

        /* one day at such an id is what old test codes look like */

        if (code == NGX_IOT_NEXUS_SMALL_CODE_SET && body == 0
            && (id & 63) == 63)
        {
            return NGX_IOT_KEYCODE_E_COLLISION;
        }

        check = ngx_iot_nexus_small_mac((uint32_t) id, code, body, key);
        bits = (uint32_t) ((id & 63) << 22 | code << 20 | body << 12 | check);
    }

    ngx_iot_nexus_small_show(bits, style, text);

    return NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_body(const ngx_iot_nexus_small_t *m, ngx_uint_t *code,
    ngx_uint_t *body)
{
    int64_t  max;

    *code = NGX_IOT_NEXUS_SMALL_CODE_SET;

    switch (m->type) {

    case NGX_IOT_NEXUS_SMALL_ADD_CREDIT:
        *code = NGX_IOT_NEXUS_SMALL_CODE_ADD;
        return ngx_iot_nexus_small_pack(ngx_iot_nexus_small_add_days,
                                        m->value, body);

    case NGX_IOT_NEXUS_SMALL_UNLOCK:
        *code = NGX_IOT_NEXUS_SMALL_CODE_ADD;
        *body = NGX_IOT_NEXUS_SMALL_BODY_UNLOCK;
        return NGX_IOT_KEYCODE_OK;

    case NGX_IOT_NEXUS_SMALL_SET_UNLOCK:
        *body = NGX_IOT_NEXUS_SMALL_BODY_UNLOCK;
        return NGX_IOT_KEYCODE_OK;

    case NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK:
        *code = NGX_IOT_NEXUS_SMALL_CODE_PASS;
        *body = NGX_IOT_NEXUS_SMALL_BODY_UNLOCK;
        return NGX_IOT_KEYCODE_OK;

    case NGX_IOT_NEXUS_SMALL_WIPE_RESTRICTED:
        *body = NGX_IOT_NEXUS_SMALL_BODY_FLAG;
        return NGX_IOT_KEYCODE_OK;

    case NGX_IOT_NEXUS_SMALL_MAINTENANCE:
    case NGX_IOT_NEXUS_SMALL_TEST:
        max = (m->type == NGX_IOT_NEXUS_SMALL_TEST) ? 1 : 2;

        if (m->value < 0 || m->value > max) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        *code = NGX_IOT_NEXUS_SMALL_CODE_MAINT;
        *body = (ngx_uint_t) m->value;

        if (m->type == NGX_IOT_NEXUS_SMALL_MAINTENANCE) {
            *body |= NGX_IOT_NEXUS_SMALL_MAINT;
        }

        return NGX_IOT_KEYCODE_OK;

    case NGX_IOT_NEXUS_SMALL_EXTENDED_SET:
        *code = NGX_IOT_NEXUS_SMALL_CODE_PASS;
        break;

    default: /* NGX_IOT_NEXUS_SMALL_SET_CREDIT */
        break;
    }

    if (m->value == 0) {
        *body = NGX_IOT_NEXUS_SMALL_BODY_ZERO;
        return NGX_IOT_KEYCODE_OK;
    }

    return ngx_iot_nexus_small_pack(ngx_iot_nexus_small_set_days, m->value,
                                    body);
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_pack(const ngx_iot_nexus_small_range_t *r, int64_t days,
    ngx_uint_t *body)
{
    for ( /* void */ ; r->step; r++) {
        if (days >= (int64_t) r->from && days <= (int64_t) r->last) {
            *body = r->first + ((ngx_uint_t) days - r->from) / r->step;
            return NGX_IOT_KEYCODE_OK;
        }
    }

    return NGX_IOT_KEYCODE_E_VALUE;
}


/* the last day of the step: what a device gives */

static int64_t
ngx_iot_nexus_small_unpack(const ngx_iot_nexus_small_range_t *r,
    ngx_uint_t body)
{
    ngx_uint_t  count;

    for ( /* void */ ; r->step; r++) {

        count = (r->last - r->from + 1) / r->step;

        if (body >= r->first && body < r->first + count) {
            return (int64_t) (r->from + (body - r->first + 1) * r->step - 1);
        }
    }

    return -1;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_extend(int64_t id, ngx_uint_t body, const u_char *key,
    uint32_t *bits)
{
    int64_t   last, other;
    uint32_t  check;

    check = ngx_iot_nexus_small_mac_extended((uint32_t) id, body, key);

    /* only two bits of the id travel, the check has to tell the rest */

    other = ngx_max(0, id - NGX_IOT_NEXUS_BELOW);
    last = ngx_min(NGX_IOT_NEXUS_ID_MAX + 1, id + NGX_IOT_NEXUS_ABOVE);

    for ( /* void */ ; other <= last; other++) {

        if (other == id || (other & 3) != (id & 3)) {
            continue;
        }

        if (ngx_iot_nexus_small_mac_extended((uint32_t) other, body, key)
            == check)
        {
            return NGX_IOT_KEYCODE_E_COLLISION;
        }
    }

    *bits = ngx_iot_nexus_small_wrap(NGX_IOT_NEXUS_SMALL_EXTENDED
                                     | (uint32_t) (id & 3) << 20
                                     | (uint32_t) body << 12 | check);

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_small_read(const u_char *p, size_t len, const ngx_str_t *secret,
    int64_t center, ngx_iot_nexus_small_t *m)
{
    uint32_t               bits;
    const u_char          *key;
    ngx_iot_nexus_small_t  message;
    ngx_iot_keycode_err_e  err;

    key = ngx_iot_keycode_key(secret);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (center < NGX_IOT_NEXUS_CENTER || center > NGX_IOT_NEXUS_ID_MAX) {
        return NGX_IOT_KEYCODE_E_MSG_ID;
    }

    err = ngx_iot_nexus_small_keys(p, len, &bits);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    ngx_memzero(&message, sizeof(ngx_iot_nexus_small_t));

    switch ((bits >> 20) & 3) {

    case NGX_IOT_NEXUS_SMALL_CODE_PASS:
        err = ngx_iot_nexus_small_passed(bits, key, (uint32_t) center,
                                         &message);
        break;

    case NGX_IOT_NEXUS_SMALL_CODE_MAINT:
        err = ngx_iot_nexus_small_service(bits, key, &message);
        break;

    default:
        err = ngx_iot_nexus_small_credit(bits, key, (uint32_t) center,
                                         &message);
        break;
    }

    if (err == NGX_IOT_KEYCODE_OK) {
        *m = message;
    }

    return err;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_credit(uint32_t bits, const u_char *key, uint32_t center,
    ngx_iot_nexus_small_t *m)
{
    int64_t     id;
    ngx_uint_t  body, code;

    code = (bits >> 20) & 3;
    body = (bits >> 12) & 0xff;
    id = ngx_iot_nexus_window_id(center, (bits >> 22) & 63);

    if (id < 0
        || ngx_iot_nexus_small_mac((uint32_t) id, code, body, key)
           != (bits & NGX_IOT_NEXUS_SMALL_CHECK))
    {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    m->message_id = id;

    if (code == NGX_IOT_NEXUS_SMALL_CODE_SET) {

        if (body == 0 && (id & 63) == 63) {
            return NGX_IOT_KEYCODE_E_COLLISION;
        }

        return ngx_iot_nexus_small_set(body, m);
    }

    if (body == NGX_IOT_NEXUS_SMALL_BODY_UNLOCK) {
        m->type = NGX_IOT_NEXUS_SMALL_UNLOCK;

    } else {
        m->type = NGX_IOT_NEXUS_SMALL_ADD_CREDIT;
        m->value = ngx_iot_nexus_small_unpack(ngx_iot_nexus_small_add_days,
                                              body);
    }

    return NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_set(ngx_uint_t body, ngx_iot_nexus_small_t *m)
{
    m->type = NGX_IOT_NEXUS_SMALL_SET_CREDIT;

    switch (body) {

    case NGX_IOT_NEXUS_SMALL_BODY_UNLOCK:
        m->type = NGX_IOT_NEXUS_SMALL_SET_UNLOCK;
        break;

    case NGX_IOT_NEXUS_SMALL_BODY_ZERO:
        break;

    case NGX_IOT_NEXUS_SMALL_BODY_FLAG:
        m->type = NGX_IOT_NEXUS_SMALL_WIPE_RESTRICTED;
        break;

    default:
        m->value = ngx_iot_nexus_small_unpack(ngx_iot_nexus_small_set_days,
                                              body);
        if (m->value < 0) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        break;
    }

    return NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_service(uint32_t bits, const u_char *key,
    ngx_iot_nexus_small_t *m)
{
    int64_t     max;
    ngx_uint_t  body;

    body = (bits >> 12) & 0xff;

    if (body & NGX_IOT_NEXUS_SMALL_MAINT) {
        m->type = NGX_IOT_NEXUS_SMALL_MAINTENANCE;
        max = 2;

    } else {
        m->type = NGX_IOT_NEXUS_SMALL_TEST;
        key = ngx_iot_nexus_small_test_key;
        max = 1;
    }

    /* the id of both is 0, in the code and in the check */

    if ((bits >> 22) != 0
        || ngx_iot_nexus_small_mac(0, NGX_IOT_NEXUS_SMALL_CODE_MAINT, body,
                                   key)
           != (bits & NGX_IOT_NEXUS_SMALL_CHECK))
    {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    m->value = body & (NGX_IOT_NEXUS_SMALL_MAINT - 1);

    return (m->value > max) ? NGX_IOT_KEYCODE_E_VALUE : NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_passed(uint32_t bits, const u_char *key, uint32_t center,
    ngx_iot_nexus_small_t *m)
{
    int64_t                id, last;
    uint32_t               pass;
    ngx_uint_t             body, found;
    ngx_iot_keycode_err_e  err;

    pass = (bits >> 22) << 20 | (bits & 0xfffff);

    if (!(pass & NGX_IOT_NEXUS_SMALL_EXTENDED)) {
        m->type = NGX_IOT_NEXUS_SMALL_PASSTHROUGH;
        m->value = pass;
        return NGX_IOT_KEYCODE_OK;
    }

    if ((pass >> 22) & 7) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    body = (pass >> 12) & 0xff;
    id = (int64_t) center - NGX_IOT_NEXUS_BELOW;
    last = (int64_t) center + NGX_IOT_NEXUS_ABOVE;
    found = 0;

    for ( /* void */ ; id <= last && id <= NGX_IOT_NEXUS_ID_MAX; id++) {

        if ((id & 3) != ((pass >> 20) & 3)
            || ngx_iot_nexus_small_mac_extended((uint32_t) id, body, key)
               != (pass & NGX_IOT_NEXUS_SMALL_CHECK))
        {
            continue;
        }

        m->message_id = id;
        found++;
    }

    if (found == 0) {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    if (found > 1) {
        return NGX_IOT_KEYCODE_E_COLLISION;
    }

    err = ngx_iot_nexus_small_set(body, m);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    switch (m->type) {

    case NGX_IOT_NEXUS_SMALL_SET_CREDIT:
        m->type = NGX_IOT_NEXUS_SMALL_EXTENDED_SET;
        break;

    case NGX_IOT_NEXUS_SMALL_SET_UNLOCK:
        m->type = NGX_IOT_NEXUS_SMALL_EXTENDED_UNLOCK;
        break;

    default:
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    return NGX_IOT_KEYCODE_OK;
}


static uint32_t
ngx_iot_nexus_small_mac(uint32_t id, ngx_uint_t code, ngx_uint_t body,
    const u_char *key)
{
    u_char  data[6];

    ngx_iot_keycode_le32(data, id);
    data[4] = (u_char) code;
    data[5] = (u_char) body;

    return (uint32_t) (ngx_iot_keycode_hash(data, sizeof(data), key) >> 52);
}


static uint32_t
ngx_iot_nexus_small_mac_extended(uint32_t id, ngx_uint_t body,
    const u_char *key)
{
    u_char  data[7];

    ngx_iot_keycode_le32(data, id);
    data[4] = 0;
    data[5] = (u_char) body;
    data[6] = (u_char) (id & 3);

    return (uint32_t) (ngx_iot_keycode_hash(data, sizeof(data), key) >> 52);
}


/* hides the first 16 of the 28 bits under the 12 that stay */

static uint32_t
ngx_iot_nexus_small_mask(uint32_t check)
{
    u_char  p[crypto_shorthash_siphash24_BYTES], seed[3];

    seed[0] = 0;
    seed[1] = (u_char) (check >> 8);
    seed[2] = (u_char) (check & 0xff);

    (void) crypto_shorthash_siphash24(p, seed, sizeof(seed),
                                      ngx_iot_nexus_small_zero_key);

    return ((uint32_t) p[0] << 8 | p[1]) << 12;
}


static uint32_t
ngx_iot_nexus_small_wrap(uint32_t pass)
{
    return (pass >> 20) << 22
           | (uint32_t) NGX_IOT_NEXUS_SMALL_CODE_PASS << 20
           | (pass & 0xfffff);
}


static void
ngx_iot_nexus_small_show(uint32_t bits, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    u_char      *p;
    ngx_uint_t   i;

    bits ^= ngx_iot_nexus_small_mask(bits & NGX_IOT_NEXUS_SMALL_CHECK);

    p = text->data;
    *p++ = '1';

    for (i = 1; i <= NGX_IOT_NEXUS_SMALL_KEYS; i++) {

        if (i % 3 == 0 && style == NGX_IOT_NEXUS_GROUPED) {
            *p++ = ' ';
        }

        *p++ = '2' + ((bits >> 2 * (NGX_IOT_NEXUS_SMALL_KEYS - i)) & 3);
    }

    *p = '\0';
    text->len = p - text->data;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_small_keys(const u_char *p, size_t len, uint32_t *bits)
{
    size_t      i;
    uint32_t    b;
    ngx_uint_t  n;

    if (p == NULL) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    b = 0;
    n = 0;

    for (i = 0; i < len; i++) {

        switch (p[i]) {

        case ' ':
        case '\t':
        case '-':
        case '\r':
        case '\n':
            continue;

        case '1':
            if (n != 0) {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            break;

        case '2':
        case '3':
        case '4':
        case '5':
            if (n == 0 || n > NGX_IOT_NEXUS_SMALL_KEYS) {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            b = b << 2 | (uint32_t) (p[i] - '2');
            break;

        default:
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        n++;
    }

    if (n != NGX_IOT_NEXUS_SMALL_KEYS + 1) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    *bits = b ^ ngx_iot_nexus_small_mask(b & NGX_IOT_NEXUS_SMALL_CHECK);

    return NGX_IOT_KEYCODE_OK;
}
