
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_json.h"
#include "ngx_iot_text.h"


typedef enum {
    ngx_iot_json_state_value = 0,
    ngx_iot_json_state_first_item,
    ngx_iot_json_state_first_key,
    ngx_iot_json_state_next,
    ngx_iot_json_state_done,
    ngx_iot_json_state_bad
} ngx_iot_json_state_e;


/* a bit 7 for every byte of the word that is zero; those below it are exact */
#define ngx_iot_json_zero(w)                                                  \
    (((w) - 0x0101010101010101) & ~(w) & 0x8080808080808080)


static ngx_uint_t ngx_iot_json_token(ngx_iot_json_t *json,
    ngx_uint_t unescape);
static ngx_uint_t ngx_iot_json_bad(ngx_iot_json_t *json, const char *error);
static void ngx_iot_json_blank(ngx_iot_json_t *json);
static ngx_uint_t ngx_iot_json_key(ngx_iot_json_t *json, ngx_uint_t unescape);
static ngx_uint_t ngx_iot_json_scalar(ngx_iot_json_t *json,
    ngx_uint_t unescape);
static ngx_uint_t ngx_iot_json_open(ngx_iot_json_t *json, ngx_uint_t object);
static ngx_uint_t ngx_iot_json_close(ngx_iot_json_t *json);
static ngx_uint_t ngx_iot_json_literal(ngx_iot_json_t *json, const char *text,
    size_t len, ngx_uint_t token);
static ngx_uint_t ngx_iot_json_number(ngx_iot_json_t *json);
static ngx_int_t ngx_iot_json_string(ngx_iot_json_t *json,
    ngx_uint_t unescape);
static const char *ngx_iot_json_escaped(u_char **pos, u_char *last);
static ngx_int_t ngx_iot_json_unescape(ngx_iot_json_t *json);
static ngx_int_t ngx_iot_json_hex4(u_char *p, u_char *last);
static u_char *ngx_iot_json_utf8(u_char *dst, uint32_t ch);
static ngx_iot_json_field_t *ngx_iot_json_field(ngx_iot_json_t *json,
    ngx_iot_json_field_t *fields, ngx_uint_t n);


void
ngx_iot_json_init(ngx_iot_json_t *json, ngx_str_t *body,
    ngx_iot_alloc_t *alloc, ngx_uint_t max_depth)
{
    ngx_memzero(json, sizeof(ngx_iot_json_t));

    json->start = body->data;
    json->pos = body->data;
    json->last = body->data + body->len;
    json->alloc = alloc;
    json->max_depth = ngx_min(max_depth, NGX_IOT_JSON_MAX_DEPTH);

    if (body->len >= 3 && ngx_memcmp(body->data, "\xef\xbb\xbf", 3) == 0) {
        json->pos += 3;
    }
}


ngx_uint_t
ngx_iot_json_next(ngx_iot_json_t *json)
{
    return ngx_iot_json_token(json, 1);
}


ngx_int_t
ngx_iot_json_skip(ngx_iot_json_t *json)
{
    u_char      *start;
    ngx_uint_t   depth, token;

    start = json->raw.data;
    json->blanks = 0;

    if (json->state == ngx_iot_json_state_bad) {
        return NGX_ERROR;
    }

    if (json->state != ngx_iot_json_state_first_item
        && json->state != ngx_iot_json_state_first_key)
    {
        return NGX_OK;
    }

    depth = json->depth;

    while (json->depth >= depth) {
        token = ngx_iot_json_token(json, 0);

        if (token == NGX_IOT_JSON_BAD) {
            return NGX_ERROR;
        }
    }

    json->raw.data = start;
    json->raw.len = json->pos - start;

    return NGX_OK;
}


ngx_int_t
ngx_iot_json_check(ngx_str_t *body, ngx_uint_t max_depth, const char **error,
    size_t *offset)
{
    ngx_uint_t      token;
    ngx_iot_json_t  json;

    ngx_iot_json_init(&json, body, NULL, max_depth);

    do {
        token = ngx_iot_json_token(&json, 0);

        if (token == NGX_IOT_JSON_BAD) {

            if (error != NULL) {
                *error = json.error;
            }

            if (offset != NULL) {
                *offset = json.pos - json.start;
            }

            return NGX_DECLINED;
        }

    } while (token != NGX_IOT_JSON_END);

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_json_token(ngx_iot_json_t *json, ngx_uint_t unescape)
{
    u_char  c;

    if (json->state == ngx_iot_json_state_bad) {
        return NGX_IOT_JSON_BAD;
    }

    ngx_iot_json_blank(json);

    if (json->pos == json->last) {

        if (json->state == ngx_iot_json_state_done) {
            return NGX_IOT_JSON_END;
        }

        return ngx_iot_json_bad(json, "unexpected end");
    }

    c = *json->pos;

    switch (json->state) {

    case ngx_iot_json_state_value:
        return ngx_iot_json_scalar(json, unescape);

    case ngx_iot_json_state_first_item:

        if (c == ']') {
            return ngx_iot_json_close(json);
        }

        return ngx_iot_json_scalar(json, unescape);

    case ngx_iot_json_state_first_key:

        if (c == '}') {
            return ngx_iot_json_close(json);
        }

        return ngx_iot_json_key(json, unescape);

    case ngx_iot_json_state_next:

        if (c == ',') {
            json->pos++;
            ngx_iot_json_blank(json);

            if (json->pos == json->last) {
                return ngx_iot_json_bad(json, "unexpected end");
            }

            if (json->objects & 1) {
                return ngx_iot_json_key(json, unescape);
            }

            return ngx_iot_json_scalar(json, unescape);
        }

        if (c == ((json->objects & 1) ? '}' : ']')) {
            return ngx_iot_json_close(json);
        }

        return ngx_iot_json_bad(json, "unexpected character");

    default: /* ngx_iot_json_state_done */
        return ngx_iot_json_bad(json, "something after the value");
    }
}


static ngx_uint_t
ngx_iot_json_bad(ngx_iot_json_t *json, const char *error)
{
    json->error = error;
    json->state = ngx_iot_json_state_bad;

    return NGX_IOT_JSON_BAD;
}


static void
ngx_iot_json_blank(ngx_iot_json_t *json)
{
    u_char  *p;

    p = json->pos;

    while (p < json->last
           && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    {
        p++;
    }

    if (p != json->pos) {
        json->blanks = 1;
        json->pos = p;
    }
}


static ngx_uint_t
ngx_iot_json_key(ngx_iot_json_t *json, ngx_uint_t unescape)
{
    if (*json->pos != '"') {
        return ngx_iot_json_bad(json, "a key must be a string");
    }

    if (ngx_iot_json_string(json, unescape) != NGX_OK) {
        return NGX_IOT_JSON_BAD;
    }

    ngx_iot_json_blank(json);

    if (json->pos == json->last) {
        return ngx_iot_json_bad(json, "unexpected end");
    }

    if (*json->pos != ':') {
        return ngx_iot_json_bad(json, "no colon after a key");
    }

    json->pos++;
    json->state = ngx_iot_json_state_value;

    return NGX_IOT_JSON_KEY;
}


static ngx_uint_t
ngx_iot_json_scalar(ngx_iot_json_t *json, ngx_uint_t unescape)
{
    ngx_uint_t  token;

    switch (*json->pos) {

    case '{':
        return ngx_iot_json_open(json, 1);

    case '[':
        return ngx_iot_json_open(json, 0);

    case '"':
        token = NGX_IOT_JSON_STRING;

        if (ngx_iot_json_string(json, unescape) != NGX_OK) {
            return NGX_IOT_JSON_BAD;
        }

        break;

    case 't':
        token = ngx_iot_json_literal(json, "true", 4, NGX_IOT_JSON_TRUE);
        break;

    case 'f':
        token = ngx_iot_json_literal(json, "false", 5, NGX_IOT_JSON_FALSE);
        break;

    case 'n':
        token = ngx_iot_json_literal(json, "null", 4, NGX_IOT_JSON_NULL);
        break;

    default:
        token = ngx_iot_json_number(json);
    }

    if (token != NGX_IOT_JSON_BAD) {
        json->state = (json->depth == 0) ? ngx_iot_json_state_done
                                         : ngx_iot_json_state_next;
    }

    return token;
}


static ngx_uint_t
ngx_iot_json_open(ngx_iot_json_t *json, ngx_uint_t object)
{
    if (json->depth == json->max_depth) {
        json->deep = 1;
        return ngx_iot_json_bad(json, "nested too deep");
    }

    json->raw.data = json->pos++;
    json->raw.len = 1;

    json->depth++;
    json->objects = json->objects << 1 | object;

    if (object) {
        json->state = ngx_iot_json_state_first_key;
        return NGX_IOT_JSON_OBJECT;
    }

    json->state = ngx_iot_json_state_first_item;

    return NGX_IOT_JSON_ARRAY;
}


static ngx_uint_t
ngx_iot_json_close(ngx_iot_json_t *json)
{
    ngx_uint_t  object;

    json->raw.data = json->pos++;
    json->raw.len = 1;

    object = json->objects & 1;

    json->depth--;
    json->objects >>= 1;

    json->state = (json->depth == 0) ? ngx_iot_json_state_done
                                     : ngx_iot_json_state_next;

    return object ? NGX_IOT_JSON_OBJECT_END : NGX_IOT_JSON_ARRAY_END;
}


static ngx_uint_t
ngx_iot_json_literal(ngx_iot_json_t *json, const char *text, size_t len,
    ngx_uint_t token)
{
    if ((size_t) (json->last - json->pos) < len
        || ngx_memcmp(json->pos, text, len) != 0)
    {
        return ngx_iot_json_bad(json, "unexpected character");
    }

    json->raw.data = json->pos;
    json->raw.len = len;
    json->text = json->raw;
    json->pos += len;

    return token;
}


static ngx_uint_t
ngx_iot_json_number(ngx_iot_json_t *json)
{
    u_char  *digits, *last, *p;

    p = json->pos;
    last = json->last;

    json->fraction = 0;
    json->exponent = 0;

    if (*p == '-') {
        p++;
    }

    digits = p;

    while (p < last && *p >= '0' && *p <= '9') {
        p++;
    }

    if (p == digits) {
        return ngx_iot_json_bad(json, (p == last) ? "unexpected end"
                                                  : "unexpected character");
    }

    if (*digits == '0' && p - digits > 1) {
        return ngx_iot_json_bad(json, "a number begins with zero");
    }

    if (p < last && *p == '.') {
        json->fraction = 1;
        digits = ++p;

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }

        if (p == digits) {
            return ngx_iot_json_bad(json, "bad number");
        }
    }

    if (p < last && (*p == 'e' || *p == 'E')) {
        json->exponent = 1;
        p++;

        if (p < last && (*p == '+' || *p == '-')) {
            p++;
        }

        digits = p;

        while (p < last && *p >= '0' && *p <= '9') {
            p++;
        }

        if (p == digits) {
            return ngx_iot_json_bad(json, "bad number");
        }
    }

    json->raw.data = json->pos;
    json->raw.len = p - json->pos;
    json->text = json->raw;
    json->pos = p;

    return NGX_IOT_JSON_NUMBER;
}


static ngx_int_t
ngx_iot_json_string(ngx_iot_json_t *json, ngx_uint_t unescape)
{
    u_char      *last, *p;
    uint64_t     w;
    ngx_uint_t   n;
    const char  *error;

    p = json->pos + 1;
    last = json->last;

    json->escaped = 0;

    for ( ;; ) {

        while (last - p >= 8) {
            ngx_memcpy(&w, p, 8);

            /* a quote, a backslash, a control character, or not ASCII */

            if (((w & 0x8080808080808080)
                 | ngx_iot_json_zero(w ^ 0x2222222222222222)
                 | ngx_iot_json_zero(w ^ 0x5c5c5c5c5c5c5c5c)
                 | ngx_iot_json_zero(w & 0xe0e0e0e0e0e0e0e0)) != 0)
            {
                break;
            }

            p += 8;
        }

        while (p < last && *p >= ' ' && *p != '"' && *p != '\\' && *p < 0x80) {
            p++;
        }

        if (p == last) {
            error = "unexpected end";
            break;
        }

        if (*p == '"') {
            json->raw.data = json->pos;
            json->raw.len = p + 1 - json->pos;
            json->text.data = json->pos + 1;
            json->text.len = p - json->pos - 1;
            json->pos = p + 1;

            if (json->escaped && unescape) {
                return ngx_iot_json_unescape(json);
            }

            return NGX_OK;
        }

        if (*p == '\\') {
            json->escaped = 1;
            error = ngx_iot_json_escaped(&p, last);

            if (error != NULL) {
                break;
            }

            continue;
        }

        if (*p < ' ') {
            error = "control character in a string";
            break;
        }

        n = ngx_iot_text_char(p, last);

        if (n == 0) {
            error = "invalid UTF-8";
            break;
        }

        p += n;
    }

    json->pos = p;
    (void) ngx_iot_json_bad(json, error);

    return NGX_ERROR;
}


static const char *
ngx_iot_json_escaped(u_char **pos, u_char *last)
{
    u_char     *p;
    ngx_int_t   ch, low;

    p = *pos + 1;

    if (p == last) {
        return "unexpected end";
    }

    switch (*p++) {

    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        *pos = p;
        return NULL;

    case 'u':
        break;

    default:
        return "bad escape";
    }

    ch = ngx_iot_json_hex4(p, last);
    p += 4;

    if (ch < 0) {
        return "bad escape";
    }

    if (ch == 0) {
        return "NUL character in a string";
    }

    if (ch >= 0xd800 && ch <= 0xdfff) {

        if (ch >= 0xdc00 || last - p < 2 || p[0] != '\\' || p[1] != 'u') {
            return "lone surrogate";
        }

        low = ngx_iot_json_hex4(p + 2, last);

        if (low < 0xdc00 || low > 0xdfff) {
            return "lone surrogate";
        }

        p += 6;
    }

    *pos = p;

    return NULL;
}


/* the escapes have been checked, and none of them is shorter than its text */

static ngx_int_t
ngx_iot_json_unescape(ngx_iot_json_t *json)
{
    u_char    *dst, *last, *p;
    uint32_t   ch, low;

    p = json->text.data;
    last = p + json->text.len;

    dst = ngx_iot_alloc(json->alloc, json->text.len);

    if (dst == NULL) {
        json->nomem = 1;
        (void) ngx_iot_json_bad(json, "no memory");
        return NGX_ERROR;
    }

    json->text.data = dst;

    while (p < last) {

        if (*p != '\\') {
            *dst++ = *p++;
            continue;
        }

        p++;

        switch (*p++) {

        case 'b':
            *dst++ = '\b';
            break;

        case 'f':
            *dst++ = '\f';
            break;

        case 'n':
            *dst++ = '\n';
            break;

        case 'r':
            *dst++ = '\r';
            break;

        case 't':
            *dst++ = '\t';
            break;

        case 'u':
            ch = (uint32_t) ngx_iot_json_hex4(p, last);
            p += 4;

            if (ch >= 0xd800 && ch <= 0xdfff) {
                low = (uint32_t) ngx_iot_json_hex4(p + 2, last);
                ch = 0x10000 + ((ch - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }

            dst = ngx_iot_json_utf8(dst, ch);
            break;

        default:
            *dst++ = p[-1];
        }
    }

    json->text.len = dst - json->text.data;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_json_hex4(u_char *p, u_char *last)
{
    u_char      c;
    ngx_int_t   ch;
    ngx_uint_t  i;

    if (last - p < 4) {
        return NGX_ERROR;
    }

    ch = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            ch = ch * 16 + (c - '0');
            continue;
        }

        c |= 0x20;

        if (c < 'a' || c > 'f') {
            return NGX_ERROR;
        }

        ch = ch * 16 + (c - 'a' + 10);
    }

    return ch;
}


static u_char *
ngx_iot_json_utf8(u_char *dst, uint32_t ch)
{
    if (ch < 0x80) {
        *dst++ = (u_char) ch;
        return dst;
    }

    if (ch < 0x800) {
        *dst++ = (u_char) (0xc0 | ch >> 6);

    } else if (ch < 0x10000) {
        *dst++ = (u_char) (0xe0 | ch >> 12);
        *dst++ = (u_char) (0x80 | (ch >> 6 & 0x3f));

    } else {
        *dst++ = (u_char) (0xf0 | ch >> 18);
        *dst++ = (u_char) (0x80 | (ch >> 12 & 0x3f));
        *dst++ = (u_char) (0x80 | (ch >> 6 & 0x3f));
    }

    *dst++ = (u_char) (0x80 | (ch & 0x3f));

    return dst;
}


ngx_int_t
ngx_iot_json_fields(ngx_str_t *body, ngx_iot_alloc_t *alloc,
    ngx_uint_t max_depth, ngx_iot_json_field_t *fields, ngx_uint_t n,
    const char **error)
{
    ngx_uint_t             i, token;
    ngx_iot_json_t         json;
    ngx_iot_json_field_t  *field;

    for (i = 0; i < n; i++) {
        fields[i].token = NGX_IOT_JSON_END;
        fields[i].text.len = 0;
        fields[i].text.data = NULL;
        fields[i].raw = fields[i].text;
    }

    ngx_iot_json_init(&json, body, alloc, max_depth);

    token = ngx_iot_json_next(&json);

    if (token != NGX_IOT_JSON_OBJECT) {

        if (token != NGX_IOT_JSON_BAD) {
            (void) ngx_iot_json_bad(&json, "not an object");
        }

        goto failed;
    }

    while (ngx_iot_json_next(&json) == NGX_IOT_JSON_KEY) {

        field = ngx_iot_json_field(&json, fields, n);

        token = ngx_iot_json_token(&json, field != NULL);

        if (ngx_iot_json_skip(&json) != NGX_OK) {
            goto failed;
        }

        if (field != NULL) {
            field->token = token;
            field->raw = json.raw;
            field->text = (token == NGX_IOT_JSON_OBJECT
                           || token == NGX_IOT_JSON_ARRAY) ? json.raw
                                                           : json.text;
        }
    }

    if (ngx_iot_json_next(&json) == NGX_IOT_JSON_END) {
        return NGX_OK;
    }

failed:

    if (error != NULL) {
        *error = json.error;
    }

    return json.nomem ? NGX_ERROR : NGX_DECLINED;
}


static ngx_iot_json_field_t *
ngx_iot_json_field(ngx_iot_json_t *json, ngx_iot_json_field_t *fields,
    ngx_uint_t n)
{
    ngx_uint_t  i;

    for (i = 0; i < n; i++) {
        if (fields[i].name.len == json->text.len
            && ngx_memcmp(fields[i].name.data, json->text.data,
                          json->text.len)
               == 0)
        {
            return &fields[i];
        }
    }

    return NULL;
}
