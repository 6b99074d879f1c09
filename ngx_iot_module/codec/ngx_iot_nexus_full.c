
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"

#include <sodium.h>


/* types 0, 1 and 2 of the code; UNLOCK is SET_CREDIT with this body */

#define NGX_IOT_NEXUS_CODE_WIPE    2
#define NGX_IOT_NEXUS_CODE_ALLOW   4
#define NGX_IOT_NEXUS_CODE_OQC     5
#define NGX_IOT_NEXUS_CODE_SHOW    6
#define NGX_IOT_NEXUS_CODE_ID      7
#define NGX_IOT_NEXUS_CODE_PASS    8

#define NGX_IOT_NEXUS_UNLOCK_BODY  99999
#define NGX_IOT_NEXUS_DAYS_MAX     4166
#define NGX_IOT_NEXUS_WIPE_MAX     3
#define NGX_IOT_NEXUS_OQC_MAX      99
#define NGX_IOT_NEXUS_APP_MAX      1


static void ngx_iot_nexus_shift(u_char *digits, size_t n, uint32_t check,
    ngx_uint_t back);
static uint32_t ngx_iot_nexus_mac(uint32_t id, ngx_uint_t code, uint32_t body,
    const u_char *key);
static ngx_iot_keycode_err_e ngx_iot_nexus_show(const u_char *digits,
    size_t n, ngx_iot_nexus_style_e style, ngx_iot_keycode_text_t *text);
static ngx_iot_keycode_err_e ngx_iot_nexus_read_activation(u_char *digits,
    const u_char *key, uint32_t center, ngx_iot_nexus_message_t *m);
static ngx_iot_keycode_err_e ngx_iot_nexus_read_factory(const u_char *digits,
    size_t n, ngx_iot_nexus_message_t *m);
static ngx_iot_keycode_err_e ngx_iot_nexus_copy(const u_char *digits,
    size_t n, ngx_iot_nexus_message_t *m);


static const u_char  ngx_iot_nexus_zero_key[NGX_IOT_KEYCODE_SECRET];


static const char  *ngx_iot_nexus_types[] = {
    "add_credit",
    "set_credit",
    "unlock",
    "wipe_state",
    "allow_test",
    "oqc_test",
    "display_payg_id",
    "device_id_confirmation",
    "passthrough"
};


ngx_iot_keycode_err_e
ngx_iot_nexus_type(const u_char *p, size_t len, ngx_iot_nexus_type_e *type)
{
    ngx_uint_t  i;

    if (p == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    for (i = 0; i < NGX_IOT_NEXUS_TYPES; i++) {
        if (len == strlen(ngx_iot_nexus_types[i])
            && ngx_memcmp(p, ngx_iot_nexus_types[i], len) == 0)
        {
            *type = i;
            return NGX_IOT_KEYCODE_OK;
        }
    }

    return NGX_IOT_KEYCODE_E_TYPE;
}


const char *
ngx_iot_nexus_type_name(ngx_iot_nexus_type_e type)
{
    if ((ngx_uint_t) type >= NGX_IOT_NEXUS_TYPES) {
        return "unknown";
    }

    return ngx_iot_nexus_types[type];
}


ngx_iot_keycode_err_e
ngx_iot_nexus_days(ngx_iot_nexus_type_e type, int64_t days, int64_t *hours)
{
    int64_t  min;

    switch (type) {

    case NGX_IOT_NEXUS_ADD_CREDIT:
        min = 1;
        break;

    case NGX_IOT_NEXUS_SET_CREDIT:
        min = 0;
        break;

    default:
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    if (days < min || days > NGX_IOT_NEXUS_DAYS_MAX) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    *hours = days * 24;

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_full_make(const ngx_iot_nexus_message_t *m,
    const ngx_str_t *secret, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    u_char         digits[NGX_IOT_NEXUS_ACTIVATION];
    int64_t        max;
    uint32_t       body, check;
    ngx_uint_t     code;
    const u_char  *key;

    if (m == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    switch (m->type) {

    case NGX_IOT_NEXUS_ADD_CREDIT:
        code = 0;
        max = 99999;
        break;

    case NGX_IOT_NEXUS_SET_CREDIT:
        code = 1;
        max = NGX_IOT_NEXUS_UNLOCK_BODY - 1;
        break;

    case NGX_IOT_NEXUS_UNLOCK:
        code = 1;
        max = 0;
        break;

    case NGX_IOT_NEXUS_WIPE_STATE:
        code = NGX_IOT_NEXUS_CODE_WIPE;
        max = NGX_IOT_NEXUS_WIPE_MAX;
        break;

    default:
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    key = ngx_iot_keycode_key(secret);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (m->message_id < 0 || m->message_id > NGX_IOT_NEXUS_ID_MAX) {
        return NGX_IOT_KEYCODE_E_MSG_ID;
    }

    if (m->type == NGX_IOT_NEXUS_UNLOCK) {
        body = NGX_IOT_NEXUS_UNLOCK_BODY;

    } else {
        if (m->value < 0 || m->value > max) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        body = (uint32_t) m->value;
    }

    check = ngx_iot_nexus_mac((uint32_t) m->message_id, code, body, key);

    digits[0] = (u_char) code;
    ngx_iot_nexus_put(digits + 1, 2, (uint32_t) m->message_id & 63);
    ngx_iot_nexus_put(digits + 3, 5, body);
    ngx_iot_nexus_obscure(digits, 8, check);
    ngx_iot_nexus_put(digits + 8, NGX_IOT_NEXUS_CHECK, check);

    return ngx_iot_nexus_show(digits, sizeof(digits), style, text);
}


ngx_iot_keycode_err_e
ngx_iot_nexus_full_make_factory(const ngx_iot_nexus_message_t *m,
    ngx_iot_nexus_style_e style, ngx_iot_keycode_text_t *text)
{
    u_char    digits[NGX_IOT_NEXUS_DIGITS];
    size_t    i, n;
    uint32_t  body;

    if (m == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    body = 0;

    switch (m->type) {

    case NGX_IOT_NEXUS_ALLOW_TEST:
        digits[0] = NGX_IOT_NEXUS_CODE_ALLOW;
        n = 1;
        break;

    case NGX_IOT_NEXUS_OQC_TEST:
        if (m->value < 1 || m->value > NGX_IOT_NEXUS_OQC_MAX) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        body = (uint32_t) m->value;
        digits[0] = NGX_IOT_NEXUS_CODE_OQC;
        ngx_iot_nexus_put(digits + 1, 5, body);
        n = 6;
        break;

    case NGX_IOT_NEXUS_DISPLAY_PAYG_ID:
        digits[0] = NGX_IOT_NEXUS_CODE_SHOW;
        n = 1;
        break;

    case NGX_IOT_NEXUS_DEVICE_ID:
        if (m->ndigits < 8 || m->ndigits > 10) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        digits[0] = NGX_IOT_NEXUS_CODE_ID;
        n = 1;
        break;

    case NGX_IOT_NEXUS_PASSTHROUGH:
        if (m->value < 0 || m->value > NGX_IOT_NEXUS_APP_MAX) {
            return NGX_IOT_KEYCODE_E_TYPE;
        }

        if (m->ndigits < 1 || m->ndigits > NGX_IOT_NEXUS_DIGITS - 2
            || m->ndigits == NGX_IOT_NEXUS_ACTIVATION - 2)
        {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        digits[0] = NGX_IOT_NEXUS_CODE_PASS;
        digits[1] = (u_char) m->value;
        n = 2;
        break;

    default:
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    if (m->type == NGX_IOT_NEXUS_DEVICE_ID
        || m->type == NGX_IOT_NEXUS_PASSTHROUGH)
    {
        for (i = 0; i < m->ndigits; i++) {
            if (m->digits[i] < '0' || m->digits[i] > '9') {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            digits[n++] = m->digits[i] - '0';
        }

    } else {
        ngx_iot_nexus_put(digits + n, NGX_IOT_NEXUS_CHECK,
                          ngx_iot_nexus_mac(0, digits[0], body,
                                            ngx_iot_nexus_zero_key));
        n += NGX_IOT_NEXUS_CHECK;
    }

    return ngx_iot_nexus_show(digits, n, style, text);
}


ngx_iot_keycode_err_e
ngx_iot_nexus_full_read(const u_char *p, size_t len, const ngx_str_t *secret,
    int64_t center, ngx_iot_nexus_message_t *m)
{
    size_t                   i, n;
    u_char                   digits[NGX_IOT_NEXUS_DIGITS];
    const u_char            *key;
    ngx_iot_keycode_err_e    err;
    ngx_iot_nexus_message_t  message;

    key = ngx_iot_keycode_key(secret);
    if (key == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (center < NGX_IOT_NEXUS_CENTER || center > NGX_IOT_NEXUS_ID_MAX) {
        return NGX_IOT_KEYCODE_E_MSG_ID;
    }

    err = ngx_iot_nexus_digits(p, len, digits, &n);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    for (i = 0; i < n; i++) {
        digits[i] -= '0';
    }

    ngx_memzero(&message, sizeof(ngx_iot_nexus_message_t));

    if (n == NGX_IOT_NEXUS_ACTIVATION) {
        err = ngx_iot_nexus_read_activation(digits, key, (uint32_t) center,
                                            &message);

    } else {
        err = ngx_iot_nexus_read_factory(digits, n, &message);
    }

    if (err == NGX_IOT_KEYCODE_OK) {
        *m = message;
    }

    return err;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_read_activation(u_char *digits, const u_char *key,
    uint32_t center, ngx_iot_nexus_message_t *m)
{
    int64_t   id;
    uint32_t  body, check, field;

    check = ngx_iot_nexus_get(digits + 8, NGX_IOT_NEXUS_CHECK);
    ngx_iot_nexus_reveal(digits, 8, check);

    field = ngx_iot_nexus_get(digits + 1, 2);
    body = ngx_iot_nexus_get(digits + 3, 5);

    if (digits[0] > NGX_IOT_NEXUS_CODE_WIPE || field > 63) {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    id = ngx_iot_nexus_window_id(center, field);

    if (id < 0
        || ngx_iot_nexus_mac((uint32_t) id, digits[0], body, key) != check)
    {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    m->message_id = id;
    m->value = body;

    switch (digits[0]) {

    case 0:
        m->type = NGX_IOT_NEXUS_ADD_CREDIT;
        break;

    case 1:
        m->type = NGX_IOT_NEXUS_SET_CREDIT;

        if (body == NGX_IOT_NEXUS_UNLOCK_BODY) {
            m->type = NGX_IOT_NEXUS_UNLOCK;
            m->value = 0;
        }

        break;

    default:
        if (body > NGX_IOT_NEXUS_WIPE_MAX) {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        m->type = NGX_IOT_NEXUS_WIPE_STATE;
        break;
    }

    return NGX_IOT_KEYCODE_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_read_factory(const u_char *digits, size_t n,
    ngx_iot_nexus_message_t *m)
{
    uint32_t  body;

    body = 0;

    switch (digits[0]) {

    case NGX_IOT_NEXUS_CODE_ALLOW:
    case NGX_IOT_NEXUS_CODE_SHOW:
        if (n != 1 + NGX_IOT_NEXUS_CHECK) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        m->type = (digits[0] == NGX_IOT_NEXUS_CODE_ALLOW)
                  ? NGX_IOT_NEXUS_ALLOW_TEST : NGX_IOT_NEXUS_DISPLAY_PAYG_ID;
        break;

    case NGX_IOT_NEXUS_CODE_OQC:
        if (n != 6 + NGX_IOT_NEXUS_CHECK) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        body = ngx_iot_nexus_get(digits + 1, 5);

        m->type = NGX_IOT_NEXUS_OQC_TEST;
        m->value = body;
        break;

    case NGX_IOT_NEXUS_CODE_ID:
        if (n < 9 || n > 11) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        m->type = NGX_IOT_NEXUS_DEVICE_ID;
        return ngx_iot_nexus_copy(digits + 1, n - 1, m);

    case NGX_IOT_NEXUS_CODE_PASS:
        if (digits[1] > NGX_IOT_NEXUS_APP_MAX) {
            return NGX_IOT_KEYCODE_E_TYPE;
        }

        m->type = NGX_IOT_NEXUS_PASSTHROUGH;
        (void) ngx_iot_nexus_copy(digits + 2, n - 2, m);
        m->value = digits[1];
        return NGX_IOT_KEYCODE_OK;

    default:
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    if (ngx_iot_nexus_mac(0, digits[0], body, ngx_iot_nexus_zero_key)
        != ngx_iot_nexus_get(digits + n - NGX_IOT_NEXUS_CHECK,
                             NGX_IOT_NEXUS_CHECK))
    {
        return NGX_IOT_KEYCODE_E_MAC;
    }

    if (m->type == NGX_IOT_NEXUS_OQC_TEST
        && (body < 1 || body > NGX_IOT_NEXUS_OQC_MAX))
    {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    return NGX_IOT_KEYCODE_OK;
}


/* the value is of use for up to ten digits only, which a device id has */

static ngx_iot_keycode_err_e
ngx_iot_nexus_copy(const u_char *digits, size_t n, ngx_iot_nexus_message_t *m)
{
    size_t  i;

    m->value = 0;

    for (i = 0; i < n; i++) {
        m->digits[i] = digits[i] + '0';

        if (i < 10) {
            m->value = m->value * 10 + digits[i];
        }
    }

    m->ndigits = n;

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_render(const u_char *digits, size_t n, const ngx_str_t *prefix,
    const ngx_str_t *suffix, const ngx_str_t *separator, ngx_uint_t group,
    ngx_iot_keycode_text_t *text)
{
    size_t                  i, k, gaps, room;
    u_char                 *p;
    const ngx_str_t        *part[3];
    ngx_iot_keycode_text_t  t;

    if (digits == NULL || n == 0 || n > NGX_IOT_NEXUS_DIGITS || group == 0) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    part[0] = prefix;
    part[1] = suffix;
    part[2] = separator;

    gaps = (n - 1) / group;
    room = NGX_IOT_KEYCODE_TEXT - 1 - n;

    for (i = 0; i < 3; i++) {
        k = (i == 2) ? gaps : 1;

        if (part[i] == NULL || part[i]->len == 0 || k == 0) {
            part[i] = NULL;
            continue;
        }

        if (part[i]->data == NULL || part[i]->len > room / k) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        room -= part[i]->len * k;
    }

    p = t.data;

    if (part[0]) {
        p = ngx_cpymem(p, part[0]->data, part[0]->len);
    }

    for (i = 0; i < n; i++) {

        if (digits[i] < '0' || digits[i] > '9') {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        if (part[2] && i > 0 && i % group == 0) {
            p = ngx_cpymem(p, part[2]->data, part[2]->len);
        }

        *p++ = digits[i];
    }

    if (part[1]) {
        p = ngx_cpymem(p, part[1]->data, part[1]->len);
    }

    *p = '\0';

    text->len = p - t.data;
    ngx_memcpy(text->data, t.data, text->len + 1);

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_nexus_digits(const u_char *p, size_t len, u_char *digits, size_t *n)
{
    u_char         ch;
    size_t         count;
    ngx_uint_t     closed, opened;
    const u_char  *last;

    if (p == NULL) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    last = p + len;

    while (p < last && (*p == '\r' || *p == '\n' || *p == ' ' || *p == '\t')) {
        p++;
    }

    while (p < last
           && (last[-1] == '\r' || last[-1] == '\n'
               || last[-1] == ' ' || last[-1] == '\t'))
    {
        last--;
    }

    count = 0;
    opened = 0;
    closed = 0;

    for ( /* void */ ; p < last; p++) {

        ch = *p;

        if (ch == ' ' || ch == '\t' || ch == '-') {
            continue;
        }

        if (!opened) {
            if (ch != '*') {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            opened = 1;
            continue;
        }

        if (closed) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        if (ch == '#') {
            closed = 1;
            continue;
        }

        if (ch < '0' || ch > '9' || count == NGX_IOT_NEXUS_DIGITS) {
            return NGX_IOT_KEYCODE_E_FORMAT;
        }

        digits[count++] = ch;
    }

    if (!closed || count < 3) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    *n = count;

    return NGX_IOT_KEYCODE_OK;
}


void
ngx_iot_nexus_obscure(u_char *digits, size_t n, uint32_t check)
{
    ngx_iot_nexus_shift(digits, n, check, 0);
}


void
ngx_iot_nexus_reveal(u_char *digits, size_t n, uint32_t check)
{
    ngx_iot_nexus_shift(digits, n, check, 1);
}


static void
ngx_iot_nexus_shift(u_char *digits, size_t n, uint32_t check, ngx_uint_t back)
{
    size_t  i;
    u_char  p[crypto_shorthash_siphash24_BYTES], seed[5], step;

    seed[0] = 0;
    ngx_iot_keycode_le32(seed + 1, check);

    (void) crypto_shorthash_siphash24(p, seed, sizeof(seed),
                                      ngx_iot_nexus_zero_key);

    for (i = 0; i < n && i < sizeof(p); i++) {
        step = p[i] % 10;
        step = back ? 10 - step : step;
        digits[i] = (u_char) ((digits[i] + step) % 10);
    }
}


uint32_t
ngx_iot_nexus_check(const u_char *data, size_t len,
    const u_char key[NGX_IOT_KEYCODE_SECRET])
{
    return (ngx_iot_keycode_hash(data, len, key) & 0xffffffff) % 1000000;
}


static uint32_t
ngx_iot_nexus_mac(uint32_t id, ngx_uint_t code, uint32_t body,
    const u_char *key)
{
    u_char  data[9];

    ngx_iot_keycode_le32(data, id);
    data[4] = (u_char) code;
    ngx_iot_keycode_le32(data + 5, body);

    return ngx_iot_nexus_check(data, sizeof(data), key);
}


void
ngx_iot_nexus_put(u_char *digits, size_t n, uint32_t number)
{
    while (n > 0) {
        digits[--n] = (u_char) (number % 10);
        number /= 10;
    }
}


uint32_t
ngx_iot_nexus_get(const u_char *digits, size_t n)
{
    size_t    i;
    uint32_t  number;

    number = 0;

    for (i = 0; i < n; i++) {
        number = number * 10 + digits[i];
    }

    return number;
}


static ngx_iot_keycode_err_e
ngx_iot_nexus_show(const u_char *digits, size_t n, ngx_iot_nexus_style_e style,
    ngx_iot_keycode_text_t *text)
{
    size_t            i;
    u_char            chars[NGX_IOT_NEXUS_DIGITS];
    static ngx_str_t  star = ngx_string("*");
    static ngx_str_t  hash = ngx_string("#");
    static ngx_str_t  blank = ngx_string(" ");

    for (i = 0; i < n; i++) {
        chars[i] = digits[i] + '0';
    }

    return ngx_iot_nexus_render(chars, n, &star, &hash,
                                style == NGX_IOT_NEXUS_COMPACT ? NULL : &blank,
                                3, text);
}
