
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_value.h"
#include "ngx_iot_json.h"
#include "ngx_iot_keyset.h"
#include "ngx_iot_number.h"
#include "ngx_iot_text.h"


/*
 * Fifteen bytes of "1e999999999" must not become a gigabyte: so many zeros,
 * at most, may an exponent add to a number that is kept as text.
 */
#define NGX_IOT_JSON_ZEROS      1024

#define NGX_IOT_JSON_MAX_SCALE  16


typedef struct {
    ngx_iot_json_t         json;
    ngx_iot_points_t      *out;
    ngx_iot_value_opts_t  *opts;
    int64_t                now;

    ngx_iot_keyset_t       keys;      /* of the points since base */
    ngx_uint_t             base;

    unsigned               holes:1;   /* some of them have been unset */
} ngx_iot_json_ingest_t;


/* what is known of a record before its end: which shape has it? */

typedef struct {
    ngx_str_t              ts;
    ngx_uint_t             ts_token;
    ngx_str_t              values;
    ngx_uint_t             values_token;
    ngx_int_t              rc;        /* an error only if it has no time */

    unsigned               inside:1;  /* the points are those of values */
} ngx_iot_json_record_t;


static void ngx_iot_json_ingest_init(ngx_iot_json_ingest_t *in,
    ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts);
static ngx_int_t ngx_iot_json_ingest_done(ngx_iot_json_ingest_t *in,
    ngx_int_t rc, ngx_uint_t n);
static ngx_int_t ngx_iot_json_top(ngx_iot_json_ingest_t *in);
static ngx_int_t ngx_iot_json_record(ngx_iot_json_ingest_t *in);
static ngx_int_t ngx_iot_json_record_member(ngx_iot_json_ingest_t *in,
    ngx_iot_json_record_t *rec, ngx_str_t *key, ngx_uint_t token);
static ngx_int_t ngx_iot_json_record_end(ngx_iot_json_ingest_t *in,
    ngx_iot_json_record_t *rec);
static ngx_int_t ngx_iot_json_record_ts(ngx_iot_json_ingest_t *in,
    ngx_iot_json_record_t *rec, int64_t *ts);
static ngx_int_t ngx_iot_json_members(ngx_iot_json_ingest_t *in);
static void ngx_iot_json_begin(ngx_iot_json_ingest_t *in, ngx_uint_t base);
static void ngx_iot_json_compress(ngx_iot_json_ingest_t *in);
static ngx_int_t ngx_iot_json_member(ngx_iot_json_ingest_t *in,
    ngx_str_t *key, ngx_uint_t token);
static ngx_int_t ngx_iot_json_typed(ngx_iot_json_ingest_t *in,
    ngx_iot_value_t *value, ngx_uint_t token);
static ngx_int_t ngx_iot_json_typed_number(ngx_iot_json_ingest_t *in,
    ngx_iot_value_t *value, ngx_uint_t string);
static ngx_int_t ngx_iot_json_typed_plain(ngx_iot_json_ingest_t *in,
    ngx_iot_value_t *value, ngx_iot_decimal_t *dec);
static ngx_int_t ngx_iot_json_typed_container(ngx_iot_json_ingest_t *in,
    ngx_iot_value_t *value);
static ngx_uint_t ngx_iot_json_castable(ngx_str_t *text);
static ngx_uint_t ngx_iot_json_blank_key(ngx_str_t *key);
static ngx_uint_t ngx_iot_json_longer(ngx_str_t *text, size_t max);
static ngx_int_t ngx_iot_json_shape(ngx_iot_json_ingest_t *in);
static ngx_int_t ngx_iot_json_syntax(ngx_iot_json_ingest_t *in);


ngx_int_t
ngx_iot_json_telemetry(ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts)
{
    ngx_int_t              rc;
    ngx_uint_t             n;
    ngx_iot_json_ingest_t  in;

    n = out->n;

    ngx_iot_json_ingest_init(&in, out, body, now, opts);

    rc = ngx_iot_json_top(&in);

    return ngx_iot_json_ingest_done(&in, rc, n);
}


ngx_int_t
ngx_iot_json_attributes(ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts)
{
    ngx_int_t              rc;
    ngx_uint_t             n;
    ngx_iot_json_ingest_t  in;

    n = out->n;

    ngx_iot_json_ingest_init(&in, out, body, now, opts);

    switch (ngx_iot_json_next(&in.json)) {

    case NGX_IOT_JSON_OBJECT:
        ngx_iot_json_begin(&in, n);
        rc = ngx_iot_json_members(&in);
        break;

    case NGX_IOT_JSON_BAD:
        rc = ngx_iot_json_syntax(&in);
        break;

    default:
        rc = ngx_iot_json_shape(&in);
    }

    return ngx_iot_json_ingest_done(&in, rc, n);
}


ngx_int_t
ngx_iot_json_value(ngx_iot_points_t *out, ngx_iot_value_t *value,
    ngx_str_t *body, ngx_iot_value_opts_t *opts)
{
    ngx_int_t              rc;
    ngx_uint_t             token;
    ngx_iot_json_ingest_t  in;

    ngx_iot_json_ingest_init(&in, out, body, 0, opts);

    token = ngx_iot_json_next(&in.json);

    if (token == NGX_IOT_JSON_BAD) {
        return ngx_iot_json_syntax(&in);
    }

    if (token == NGX_IOT_JSON_NULL) {
        return ngx_iot_json_shape(&in);
    }

    rc = ngx_iot_json_typed(&in, value, token);

    return ngx_iot_json_ingest_done(&in, rc, out->n);
}


static void
ngx_iot_json_ingest_init(ngx_iot_json_ingest_t *in, ngx_iot_points_t *out,
    ngx_str_t *body, int64_t now, ngx_iot_value_opts_t *opts)
{
    ngx_iot_json_init(&in->json, body, out->alloc, opts->max_depth);

    in->out = out;
    in->opts = opts;
    in->now = now;

    out->bad = 0;
    out->error.len = 0;
}


static ngx_int_t
ngx_iot_json_ingest_done(ngx_iot_json_ingest_t *in, ngx_int_t rc, ngx_uint_t n)
{
    if (rc == NGX_OK && ngx_iot_json_next(&in->json) != NGX_IOT_JSON_END) {
        rc = ngx_iot_json_syntax(in);
    }

    if (rc != NGX_OK) {
        in->out->n = n;
    }

    /* what was wrong with a member that did not matter in the end */

    if (rc != NGX_DECLINED) {
        in->out->bad = 0;
        in->out->error.len = 0;
    }

    return rc;
}


static ngx_int_t
ngx_iot_json_top(ngx_iot_json_ingest_t *in)
{
    ngx_int_t   rc;
    ngx_uint_t  token;

    token = ngx_iot_json_next(&in->json);

    if (token == NGX_IOT_JSON_OBJECT) {
        return ngx_iot_json_record(in);
    }

    if (token == NGX_IOT_JSON_BAD) {
        return ngx_iot_json_syntax(in);
    }

    if (token != NGX_IOT_JSON_ARRAY) {
        return ngx_iot_json_shape(in);
    }

    for ( ;; ) {

        token = ngx_iot_json_next(&in->json);

        switch (token) {

        case NGX_IOT_JSON_OBJECT:
            rc = ngx_iot_json_record(in);

            if (rc != NGX_OK) {
                return rc;
            }

            break;

        case NGX_IOT_JSON_ARRAY_END:
            return NGX_OK;

        case NGX_IOT_JSON_BAD:
            return ngx_iot_json_syntax(in);

        default:
            return ngx_iot_json_shape(in);
        }
    }
}


/*
 * An object with both "ts" and "values" has its own time; any other one is
 * values itself.  Which it is shows only at its end, yet one pass must do:
 * members are read as values until the second of the two comes.
 */

static ngx_int_t
ngx_iot_json_record(ngx_iot_json_ingest_t *in)
{
    ngx_int_t              rc;
    ngx_str_t              key;
    ngx_uint_t             token;
    ngx_iot_json_record_t  rec;

    ngx_memzero(&rec, sizeof(ngx_iot_json_record_t));

    ngx_iot_json_begin(in, in->out->n);

    for ( ;; ) {

        token = ngx_iot_json_next(&in->json);

        if (token == NGX_IOT_JSON_OBJECT_END) {
            return ngx_iot_json_record_end(in, &rec);
        }

        if (token == NGX_IOT_JSON_BAD) {
            return ngx_iot_json_syntax(in);
        }

        key = in->json.text;

        token = ngx_iot_json_next(&in->json);

        if (token == NGX_IOT_JSON_BAD) {
            return ngx_iot_json_syntax(in);
        }

        rc = ngx_iot_json_record_member(in, &rec, &key, token);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_iot_json_record_member(ngx_iot_json_ingest_t *in,
    ngx_iot_json_record_t *rec, ngx_str_t *key, ngx_uint_t token)
{
    u_char      *start;
    ngx_int_t    rc;
    ngx_uint_t   values;

    values = 0;
    start = in->json.raw.data;

    if (key->len == 2 && key->data[0] == 't' && key->data[1] == 's') {
        rec->ts_token = token;
        rec->ts = in->json.text;

    } else if (key->len == 6 && ngx_memcmp(key->data, "values", 6) == 0) {
        rec->values_token = token;
        values = 1;

        if (rec->ts_token != 0 && token == NGX_IOT_JSON_OBJECT) {
            rec->inside = 1;
            in->out->n = in->base;
            ngx_iot_json_begin(in, in->base);

            return ngx_iot_json_members(in);
        }

        rec->inside = 0;
    }

    if (rec->ts_token != 0 && rec->values_token != 0) {

        if (ngx_iot_json_skip(&in->json) != NGX_OK) {
            return ngx_iot_json_syntax(in);
        }

        rc = NGX_OK;

    } else {
        rc = ngx_iot_json_member(in, key, token);
    }

    if (values) {
        rec->values.data = start;
        rec->values.len = in->json.pos - start;
    }

    if (rc == NGX_DECLINED && in->json.error == NULL) {

        /* the text can be read on: it matters only without ts and values */

        rec->rc = NGX_DECLINED;
        rc = NGX_OK;
    }

    return rc;
}


static ngx_int_t
ngx_iot_json_record_end(ngx_iot_json_ingest_t *in, ngx_iot_json_record_t *rec)
{
    int64_t         ts;
    ngx_int_t       rc;
    ngx_uint_t      i;
    ngx_iot_json_t  json;

    if (rec->ts_token == 0 || rec->values_token == 0) {

        if (rec->rc == NGX_OK) {
            ngx_iot_json_compress(in);
        }

        return rec->rc;
    }

    if (rec->values_token != NGX_IOT_JSON_OBJECT) {
        return ngx_iot_points_decline(in->out, NGX_IOT_BAD_SHAPE,
                                      "Can't parse value: ", &rec->values);
    }

    rc = ngx_iot_json_record_ts(in, rec, &ts);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!rec->inside) {
        in->out->n = in->base;
        ngx_iot_json_begin(in, in->base);

        json = in->json;

        /* this has been read before and found well, it is an object */

        in->json.pos = rec->values.data;
        in->json.last = rec->values.data + rec->values.len;
        in->json.state = 0;

        (void) ngx_iot_json_next(&in->json);

        rc = ngx_iot_json_members(in);

        in->json = json;

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (i = in->base; i < in->out->n; i++) {
        in->out->points[i].ts = ts;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_json_record_ts(ngx_iot_json_ingest_t *in, ngx_iot_json_record_t *rec,
    int64_t *ts)
{
    int64_t            max;
    ngx_iot_decimal_t  dec;

    max = in->opts->max_ts ? in->opts->max_ts : NGX_IOT_JSON_MAX_TS;

    if ((rec->ts_token == NGX_IOT_JSON_NUMBER
         || rec->ts_token == NGX_IOT_JSON_STRING)
        && ngx_iot_decimal_parse(&dec, rec->ts.data, rec->ts.len) == NGX_OK
        && ngx_iot_decimal_long(&dec, ts) == NGX_OK
        && *ts >= 0 && *ts <= max)
    {
        return NGX_OK;
    }

    return ngx_iot_points_decline(in->out, NGX_IOT_BAD_TS, "Invalid ts: ",
                                  &rec->ts);
}


static ngx_int_t
ngx_iot_json_members(ngx_iot_json_ingest_t *in)
{
    ngx_int_t   rc;
    ngx_str_t   key;
    ngx_uint_t  token;

    for ( ;; ) {

        token = ngx_iot_json_next(&in->json);

        if (token == NGX_IOT_JSON_OBJECT_END) {
            ngx_iot_json_compress(in);
            return NGX_OK;
        }

        if (token == NGX_IOT_JSON_BAD) {
            return ngx_iot_json_syntax(in);
        }

        key = in->json.text;

        token = ngx_iot_json_next(&in->json);

        if (token == NGX_IOT_JSON_BAD) {
            return ngx_iot_json_syntax(in);
        }

        rc = ngx_iot_json_member(in, &key, token);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static void
ngx_iot_json_begin(ngx_iot_json_ingest_t *in, ngx_uint_t base)
{
    ngx_iot_keyset_init(&in->keys);

    in->base = base;
    in->holes = 0;
}


static void
ngx_iot_json_compress(ngx_iot_json_ingest_t *in)
{
    ngx_uint_t        i, n;
    ngx_iot_point_t  *points;

    if (!in->holes) {
        return;
    }

    points = in->out->points;
    n = in->base;

    for (i = in->base; i < in->out->n; i++) {
        if (points[i].value.type != 0) {
            points[n++] = points[i];
        }
    }

    in->out->n = n;
}


static ngx_int_t
ngx_iot_json_member(ngx_iot_json_ingest_t *in, ngx_str_t *key,
    ngx_uint_t token)
{
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_iot_value_t    value;
    ngx_iot_point_t   *point;
    ngx_iot_points_t  *out;

    out = in->out;

    /* the value is read first: after a bad key the text can be read on */

    rc = ngx_iot_json_typed(in, &value, token);

    if (rc != NGX_OK) {
        return rc;
    }

    if (ngx_iot_json_blank_key(key)) {
        return ngx_iot_points_decline(out, NGX_IOT_BAD_KEY,
                                      "Key cannot be blank", NULL);
    }

    if (ngx_iot_json_longer(key, in->opts->max_key)) {
        return ngx_iot_points_decline(out, NGX_IOT_BAD_KEY,
                                      "Key is too long: ", key);
    }

    i = NGX_IOT_KEYSET_NONE;

    if (in->keys.n != 0) {
        i = ngx_iot_keyset_find(&in->keys, &out->points[in->base],
                                sizeof(ngx_iot_point_t), key);
    }

    if (i != NGX_IOT_KEYSET_NONE) {
        out->points[in->base + i].value = value;
        in->holes |= (value.type == 0);
        return NGX_OK;
    }

    if (value.type == 0) {
        return NGX_OK;
    }

    point = ngx_iot_points_push(out, in->opts, &rc);

    if (point == NULL) {
        return rc;
    }

    point->key = *key;
    point->ts = in->now;
    point->value = value;

    return ngx_iot_keyset_add(&in->keys, &out->points[in->base],
                              sizeof(ngx_iot_point_t), out->alloc);
}


/* a null that may be skipped is a value of type 0 */

static ngx_int_t
ngx_iot_json_typed(ngx_iot_json_ingest_t *in, ngx_iot_value_t *value,
    ngx_uint_t token)
{
    ngx_str_t  *text;

    text = &in->json.text;

    switch (token) {

    case NGX_IOT_JSON_TRUE:
    case NGX_IOT_JSON_FALSE:
        value->type = NGX_IOT_BOOL;
        value->u.l = (token == NGX_IOT_JSON_TRUE);
        return NGX_OK;

    case NGX_IOT_JSON_NULL:

        if (!in->opts->skip_null) {
            return ngx_iot_points_decline(in->out, NGX_IOT_BAD_VALUE,
                                          "Can't parse value: ", text);
        }

        value->type = 0;
        return NGX_OK;

    case NGX_IOT_JSON_NUMBER:
        return ngx_iot_json_typed_number(in, value, 0);

    case NGX_IOT_JSON_STRING:

        if (ngx_iot_json_longer(text, in->opts->max_string)) {
            return ngx_iot_points_decline(in->out, NGX_IOT_BAD_LIMIT,
                                          "String value is too long: ", text);
        }

        if (in->opts->cast_strings && ngx_iot_json_castable(text)) {
            return ngx_iot_json_typed_number(in, value, 1);
        }

        value->type = NGX_IOT_TEXT;
        value->u.s = *text;
        return NGX_OK;

    default: /* NGX_IOT_JSON_OBJECT, NGX_IOT_JSON_ARRAY */
        return ngx_iot_json_typed_container(in, value);
    }
}


static ngx_int_t
ngx_iot_json_typed_number(ngx_iot_json_ingest_t *in, ngx_iot_value_t *value,
    ngx_uint_t string)
{
    ngx_str_t          *text;
    ngx_iot_decimal_t   dec;

    text = &in->json.text;

    if (ngx_iot_decimal_parse(&dec, text->data, text->len) != NGX_OK) {
        return ngx_iot_points_decline(in->out, NGX_IOT_BAD_VALUE,
                                      "Can't parse value: ", text);
    }

    if (ngx_iot_decimal_integral(&dec) && !dec.simple) {

        if (ngx_iot_decimal_long(&dec, &value->u.l) == NGX_OK) {
            value->type = NGX_IOT_LONG;
            return NGX_OK;
        }

    } else if (dec.scale <= NGX_IOT_JSON_MAX_SCALE
               && ngx_iot_decimal_double(&dec, &value->u.d) == NGX_OK)
    {
        value->type = NGX_IOT_DOUBLE;
        return NGX_OK;
    }

    /* a string that no number can hold stays what it was, zeros and all */

    if (string) {
        value->type = NGX_IOT_TEXT;
        value->u.s = *text;
        return NGX_OK;
    }

    if (!in->opts->cast_strings) {
        return ngx_iot_points_decline(in->out, NGX_IOT_BAD_VALUE,
                                      "Number is out of range: ", text);
    }

    return ngx_iot_json_typed_plain(in, value, &dec);
}


static ngx_int_t
ngx_iot_json_typed_plain(ngx_iot_json_ingest_t *in, ngx_iot_value_t *value,
    ngx_iot_decimal_t *dec)
{
    u_char     *p;
    size_t      size;
    ngx_str_t  *text;

    text = &in->json.text;

    value->type = NGX_IOT_TEXT;

    if (!dec->exponent && !(dec->negative && dec->ndigits == 0)) {
        value->u.s = *text;

    } else {
        size = ngx_iot_decimal_plain_size(dec);

        if (size > text->len + NGX_IOT_JSON_ZEROS) {
            return ngx_iot_points_decline(in->out, NGX_IOT_BAD_LIMIT,
                                          "Number is out of range: ", text);
        }

        p = ngx_iot_alloc(in->out->alloc, size);

        if (p == NULL) {
            return NGX_ERROR;
        }

        value->u.s.data = p;
        value->u.s.len = ngx_iot_decimal_plain(p, dec) - p;
    }

    if (value->u.s.len > in->opts->max_string) {
        return ngx_iot_points_decline(in->out, NGX_IOT_BAD_LIMIT,
                                      "Number is too long: ", text);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_json_typed_container(ngx_iot_json_ingest_t *in, ngx_iot_value_t *value)
{
    u_char     *p;
    ngx_str_t  *raw;

    if (ngx_iot_json_skip(&in->json) != NGX_OK) {
        return ngx_iot_json_syntax(in);
    }

    raw = &in->json.raw;

    value->type = NGX_IOT_JSON;
    value->u.s = *raw;

    if (in->json.blanks) {
        p = ngx_iot_alloc(in->out->alloc, raw->len);

        if (p == NULL) {
            return NGX_ERROR;
        }

        value->u.s.data = p;
        value->u.s.len = ngx_iot_json_compact(p, raw->data, raw->len) - p;
    }

    if (ngx_iot_json_longer(&value->u.s, in->opts->max_string)) {
        return ngx_iot_points_decline(in->out, NGX_IOT_BAD_LIMIT,
                                      "JSON value is too long: ", raw);
    }

    return NGX_OK;
}


/* digits, with at most one point between two of them, and a minus before */

static ngx_uint_t
ngx_iot_json_castable(ngx_str_t *text)
{
    u_char      *last, *p;
    ngx_uint_t   point;

    p = text->data;
    last = p + text->len;

    if (p < last && *p == '-') {
        p++;
    }

    if (p == last || *p == '.' || last[-1] == '.') {
        return 0;
    }

    point = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p >= '0' && *p <= '9') {
            continue;
        }

        if (*p != '.' || point) {
            return 0;
        }

        point = 1;
    }

    return 1;
}


static ngx_uint_t
ngx_iot_json_blank_key(ngx_str_t *key)
{
    size_t  i;

    for (i = 0; i < key->len; i++) {
        if (key->data[i] > ' ') {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_iot_json_longer(ngx_str_t *text, size_t max)
{
    return text->len > max && ngx_iot_text_count(text->data, text->len) > max;
}


/* the value whose first token has been read is not what belongs here */

static ngx_int_t
ngx_iot_json_shape(ngx_iot_json_ingest_t *in)
{
    if (ngx_iot_json_skip(&in->json) != NGX_OK) {
        return ngx_iot_json_syntax(in);
    }

    return ngx_iot_points_decline(in->out, NGX_IOT_BAD_SHAPE,
                                  "Can't parse value: ", &in->json.raw);
}


static ngx_int_t
ngx_iot_json_syntax(ngx_iot_json_ingest_t *in)
{
    u_char       buf[NGX_IOT_POINTS_ERR_LEN], *last, *p;
    ngx_str_t    about;
    const char  *error;

    if (in->json.nomem) {
        return NGX_ERROR;
    }

    p = buf;
    last = buf + NGX_IOT_POINTS_ERR_LEN - sizeof(" at ") - NGX_IOT_LONG_LEN;

    for (error = in->json.error; *error != '\0' && p < last; error++) {
        *p++ = (u_char) *error;
    }

    p = ngx_cpymem(p, " at ", 4);
    p = ngx_iot_long_text(p, in->json.pos - in->json.start);

    about.data = buf;
    about.len = p - buf;

    return ngx_iot_points_decline(in->out,
                                  in->json.deep ? NGX_IOT_BAD_LIMIT
                                                : NGX_IOT_BAD_SYNTAX,
                                  "Invalid JSON: ", &about);
}
