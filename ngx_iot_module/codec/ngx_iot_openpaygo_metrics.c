
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_keycode.h"

#include <sodium.h>


/* the hex of the step before, and the "[]" of absent data after it */

#define NGX_IOT_OPENPAYGO_ROOM  18


typedef struct {
    u_char                   *start;
    u_char                   *pos;
} ngx_iot_openpaygo_text_t;


static ngx_iot_keycode_err_e ngx_iot_openpaygo_text(
    ngx_iot_openpaygo_text_t *t, const ngx_str_t *const *parts, ngx_uint_t n,
    ngx_iot_alloc_t *a);
static void ngx_iot_openpaygo_squeeze(ngx_iot_openpaygo_text_t *t,
    const ngx_str_t *s);
static size_t ngx_iot_openpaygo_hex(ngx_iot_openpaygo_text_t *t,
    const u_char *key, u_char *hex);
static ngx_iot_keycode_err_e ngx_iot_openpaygo_chain(
    const ngx_iot_openpaygo_metrics_t *m, const u_char *key,
    ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text);
static void ngx_iot_openpaygo_link(ngx_iot_openpaygo_text_t *t,
    const u_char *key, const u_char *p, size_t len,
    ngx_iot_keycode_text_t *text);
static ngx_iot_keycode_err_e ngx_iot_openpaygo_entries(
    ngx_iot_openpaygo_text_t *t, const u_char *key, const u_char *p,
    const u_char *last, ngx_iot_keycode_text_t *text);


ngx_iot_keycode_err_e
ngx_iot_openpaygo_sign(const u_char *method, size_t len,
    const ngx_iot_openpaygo_metrics_t *m, const ngx_str_t *key,
    ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text)
{
    u_char                     kind;
    ngx_uint_t                 n;
    const u_char              *k;
    const ngx_str_t           *parts[5];
    ngx_iot_keycode_err_e      err;
    ngx_iot_keycode_text_t     auth;
    ngx_iot_openpaygo_text_t   t;

    if (method == NULL || len != 2 || method[1] != 'a'
        || memchr("stcdr", method[0], 5) == NULL)
    {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    k = ngx_iot_keycode_key(key);
    if (k == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    kind = method[0];

    if (m == NULL || m->serial.len == 0
        || (kind == 't' && m->timestamp.len == 0)
        || (kind == 'c' && m->request_count.len == 0))
    {
        return NGX_IOT_KEYCODE_E_REQUEST;
    }

    auth.data[0] = kind;
    auth.data[1] = 'a';
    auth.len = 2;

    if (kind == 'r') {

        err = ngx_iot_openpaygo_chain(m, k, a, &auth);
        if (err == NGX_IOT_KEYCODE_OK) {
            *text = auth;
        }

        return err;
    }

    n = 0;
    parts[n++] = &m->serial;

    if (kind == 't' || kind == 'd') {
        parts[n++] = &m->timestamp;
    }

    if (kind == 'c' || kind == 'd') {
        parts[n++] = &m->request_count;
    }

    if (kind == 'd') {
        parts[n++] = &m->data;
        parts[n++] = &m->history;
    }

    err = ngx_iot_openpaygo_text(&t, parts, n, a);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    auth.len += ngx_iot_openpaygo_hex(&t, k, auth.data + 2);
    *text = auth;

    return NGX_IOT_KEYCODE_OK;
}


ngx_iot_keycode_err_e
ngx_iot_openpaygo_verify(const ngx_str_t *auth,
    const ngx_iot_openpaygo_metrics_t *m, const ngx_str_t *key,
    ngx_iot_alloc_t *a)
{
    ngx_uint_t               same;
    ngx_iot_keycode_err_e    err;
    ngx_iot_keycode_text_t   text;

    if (auth == NULL || auth->data == NULL || auth->len < 2) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    err = ngx_iot_openpaygo_sign(auth->data, 2, m, key, a, &text);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    same = (auth->len == text.len
            && sodium_memcmp(auth->data, text.data, text.len) == 0);

    sodium_memzero(&text, sizeof(ngx_iot_keycode_text_t));

    return same ? NGX_IOT_KEYCODE_OK : NGX_IOT_KEYCODE_E_MAC;
}


ngx_iot_keycode_err_e
ngx_iot_openpaygo_sign_answer(const ngx_iot_openpaygo_metrics_t *m,
    const ngx_iot_openpaygo_answer_t *answer, const ngx_str_t *key,
    ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text)
{
    const u_char              *k;
    const ngx_str_t           *parts[8];
    ngx_iot_keycode_err_e      err;
    ngx_iot_openpaygo_text_t   t;

    k = ngx_iot_keycode_key(key);
    if (k == NULL) {
        return NGX_IOT_KEYCODE_E_SECRET;
    }

    if (m == NULL || answer == NULL || m->serial.len == 0) {
        return NGX_IOT_KEYCODE_E_REQUEST;
    }

    parts[0] = &m->serial;
    parts[1] = &m->timestamp;
    parts[2] = &m->request_count;
    parts[3] = &answer->active_until;
    parts[4] = &answer->active_left;
    parts[5] = &answer->token_list;
    parts[6] = &answer->settings;
    parts[7] = &answer->extra_data;

    err = ngx_iot_openpaygo_text(&t, parts, 8, a);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    text->data[0] = 'd';
    text->data[1] = 'a';
    text->len = 2 + ngx_iot_openpaygo_hex(&t, k, text->data + 2);

    return NGX_IOT_KEYCODE_OK;
}


/* the serial is no JSON and goes in as it is */

static ngx_iot_keycode_err_e
ngx_iot_openpaygo_text(ngx_iot_openpaygo_text_t *t,
    const ngx_str_t *const *parts, ngx_uint_t n, ngx_iot_alloc_t *a)
{
    size_t      len;
    ngx_uint_t  i;

    len = NGX_IOT_OPENPAYGO_ROOM;

    for (i = 0; i < n; i++) {

        if (parts[i]->len > SIZE_MAX - len
            || (parts[i]->data == NULL && parts[i]->len != 0))
        {
            return NGX_IOT_KEYCODE_E_VALUE;
        }

        len += parts[i]->len;
    }

    t->start = ngx_iot_alloc(a, len);
    if (t->start == NULL) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    t->pos = t->start;

    for (i = 0; i < n; i++) {

        if (i > 0) {
            ngx_iot_openpaygo_squeeze(t, parts[i]);

        } else if (parts[i]->len != 0) {
            t->pos = ngx_cpymem(t->pos, parts[i]->data, parts[i]->len);
        }
    }

    return NGX_IOT_KEYCODE_OK;
}


static void
ngx_iot_openpaygo_squeeze(ngx_iot_openpaygo_text_t *t, const ngx_str_t *s)
{
    u_char      ch;
    size_t      i;
    ngx_uint_t  escaped, quoted;

    quoted = 0;
    escaped = 0;

    for (i = 0; i < s->len; i++) {

        ch = s->data[i];

        if (quoted) {
            if (escaped) {
                escaped = 0;

            } else if (ch == '\\') {
                escaped = 1;

            } else if (ch == '"') {
                quoted = 0;
            }

        } else {
            if (ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n') {
                continue;
            }

            if (ch == '"') {
                quoted = 1;
            }
        }

        *t->pos++ = ch;
    }
}


/* without leading zeros, as the devices print it */

static size_t
ngx_iot_openpaygo_hex(ngx_iot_openpaygo_text_t *t, const u_char *key,
    u_char *hex)
{
    u_char               *p;
    uint64_t              hash;
    ngx_int_t             shift;
    static const u_char   digits[] = "0123456789abcdef";

    hash = ngx_iot_keycode_hash(t->start, t->pos - t->start, key);

    for (shift = 60; shift > 0 && (hash >> shift) == 0; shift -= 4) {
        /* void */
    }

    p = hex;

    for ( /* void */ ; shift >= 0; shift -= 4) {
        *p++ = digits[(hash >> shift) & 15];
    }

    *p = '\0';

    return p - hex;
}


static ngx_iot_keycode_err_e
ngx_iot_openpaygo_chain(const ngx_iot_openpaygo_metrics_t *m,
    const u_char *key, ngx_iot_alloc_t *a, ngx_iot_keycode_text_t *text)
{
    u_char                    *last, *p;
    const ngx_str_t           *parts[5];
    ngx_iot_keycode_err_e      err;
    static const ngx_str_t     empty = ngx_null_string;
    ngx_iot_openpaygo_text_t   history, t;

    parts[0] = &empty;
    parts[1] = &m->history;

    err = ngx_iot_openpaygo_text(&history, parts, 2, a);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    /* as large as the largest of the steps */

    parts[0] = &m->serial;
    parts[1] = &m->timestamp;
    parts[2] = &m->request_count;
    parts[3] = &m->data;
    parts[4] = &m->history;

    err = ngx_iot_openpaygo_text(&t, parts, 5, a);
    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    t.pos = ngx_cpymem(t.start, m->serial.data, m->serial.len);
    text->len = 2 + ngx_iot_openpaygo_hex(&t, key, text->data + 2);

    if (m->timestamp.len) {
        ngx_iot_openpaygo_link(&t, key, m->timestamp.data, m->timestamp.len,
                               text);
    }

    if (m->request_count.len) {
        ngx_iot_openpaygo_link(&t, key, m->request_count.data,
                               m->request_count.len, text);
    }

    if (m->data.len) {
        t.pos = ngx_cpymem(t.start, text->data + 2, text->len - 2);
        ngx_iot_openpaygo_squeeze(&t, &m->data);
        text->len = 2 + ngx_iot_openpaygo_hex(&t, key, text->data + 2);

    } else {
        ngx_iot_openpaygo_link(&t, key, (const u_char *) "[]", 2, text);
    }

    p = history.start;
    last = history.pos;

    if (p == last) {
        return NGX_IOT_KEYCODE_OK;
    }

    if (last - p < 2 || *p != '[' || last[-1] != ']') {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    return ngx_iot_openpaygo_entries(&t, key, p + 1, last - 1, text);
}


static void
ngx_iot_openpaygo_link(ngx_iot_openpaygo_text_t *t, const u_char *key,
    const u_char *p, size_t len, ngx_iot_keycode_text_t *text)
{
    t->pos = ngx_cpymem(t->start, text->data + 2, text->len - 2);
    t->pos = ngx_cpymem(t->pos, p, len);

    text->len = 2 + ngx_iot_openpaygo_hex(t, key, text->data + 2);
}


/* splits at the commas of the outer level, which is all that is needed */

static ngx_iot_keycode_err_e
ngx_iot_openpaygo_entries(ngx_iot_openpaygo_text_t *t, const u_char *key,
    const u_char *p, const u_char *last, ngx_iot_keycode_text_t *text)
{
    ngx_uint_t     depth, escaped, quoted;
    const u_char  *entry;

    depth = 0;
    quoted = 0;
    escaped = 0;

    if (p == last) {
        return NGX_IOT_KEYCODE_OK;
    }

    for (entry = p; p < last; p++) {

        if (quoted) {
            if (escaped) {
                escaped = 0;

            } else if (*p == '\\') {
                escaped = 1;

            } else if (*p == '"') {
                quoted = 0;
            }

            continue;
        }

        switch (*p) {

        case '"':
            quoted = 1;
            break;

        case '[':
        case '{':
            depth++;
            break;

        case ']':
        case '}':
            if (depth == 0) {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            depth--;
            break;

        case ',':
            if (depth != 0) {
                break;
            }

            if (p == entry) {
                return NGX_IOT_KEYCODE_E_FORMAT;
            }

            ngx_iot_openpaygo_link(t, key, entry, p - entry, text);
            entry = p + 1;
            break;

        default:
            break;
        }
    }

    if (depth != 0 || quoted || p == entry) {
        return NGX_IOT_KEYCODE_E_FORMAT;
    }

    ngx_iot_openpaygo_link(t, key, entry, p - entry, text);

    return NGX_IOT_KEYCODE_OK;
}
