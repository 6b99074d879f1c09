
/*
 * Copyright (C) the ngx_iot authors
 */


#include <math.h>
#include "ngx_iot_cbor.h"
#include "ngx_iot_cbor_read.h"
#include "ngx_iot_text.h"


typedef struct {
    ngx_iot_cbor_t         cbor;
    ngx_iot_points_t      *out;
    ngx_iot_value_opts_t  *opts;
    int64_t                now;
} ngx_iot_cbor_ingest_t;


/* what is known of a record before its end: which shape has it? */

typedef struct {
    ngx_iot_cbor_node_t    ts;
    ngx_iot_cbor_node_t    values;
    u_char                *values_pos;
    ngx_uint_t             base;

    unsigned               has_ts:1;
    unsigned               has_values:1;
    unsigned               inside:1;  /* the points are those of values */
} ngx_iot_cbor_record_t;


typedef struct {
    const char            *text;
    ngx_uint_t             bad;
} ngx_iot_cbor_name_t;


static ngx_int_t ngx_iot_cbor_ingest(ngx_iot_points_t *out, ngx_str_t *body,
    int64_t now, ngx_iot_value_opts_t *opts, ngx_uint_t attributes);
static ngx_int_t ngx_iot_cbor_top(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_failed(ngx_iot_points_t *out, ngx_int_t rc,
    ngx_uint_t error);
static ngx_int_t ngx_iot_cbor_record(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_record_member(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_record_t *rec, ngx_str_t *key);
static ngx_int_t ngx_iot_cbor_record_end(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_record_t *rec);
static ngx_int_t ngx_iot_cbor_record_ts(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_node_t *node, int64_t *ts);
static ngx_int_t ngx_iot_cbor_members(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_skip(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_push(ngx_iot_cbor_ingest_t *in, ngx_str_t *key,
    ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_typed(ngx_iot_cbor_ingest_t *in,
    ngx_iot_value_t *value, ngx_iot_cbor_node_t *node);
static ngx_int_t ngx_iot_cbor_convert(ngx_iot_cbor_t *cbor,
    ngx_iot_cbor_node_t *node, u_char *start, ngx_str_t *json);


/* in the order of ngx_iot_cbor_error_e */

static ngx_iot_cbor_name_t  ngx_iot_cbor_names[] = {
    { "E_CBOR_EMPTY", NGX_IOT_BAD_SYNTAX },
    { "E_CBOR_TRUNCATED", NGX_IOT_BAD_SYNTAX },
    { "E_CBOR_TRAILING", NGX_IOT_BAD_SYNTAX },
    { "E_CBOR_MALFORMED", NGX_IOT_BAD_SYNTAX },
    { "E_CBOR_SHAPE", NGX_IOT_BAD_SHAPE },
    { "E_CBOR_KEY", NGX_IOT_BAD_KEY },
    { "E_CBOR_DUPKEY", NGX_IOT_BAD_KEY },
    { "E_CBOR_RANGE", NGX_IOT_BAD_VALUE },
    { "E_CBOR_TAG", NGX_IOT_BAD_VALUE },
    { "E_CBOR_TS", NGX_IOT_BAD_TS },
    { "E_CBOR_DEPTH", NGX_IOT_BAD_LIMIT },
    { "E_CBOR_LIMIT", NGX_IOT_BAD_LIMIT }
};


ngx_int_t
ngx_iot_cbor_telemetry(ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts)
{
    return ngx_iot_cbor_ingest(out, body, now, opts, 0);
}


ngx_int_t
ngx_iot_cbor_attributes(ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts)
{
    return ngx_iot_cbor_ingest(out, body, now, opts, 1);
}


ngx_int_t
ngx_iot_cbor_to_json(ngx_iot_points_t *out, ngx_str_t *json, ngx_str_t *body)
{
    u_char               *start;
    ngx_int_t             rc;
    ngx_iot_cbor_t        cbor;
    ngx_iot_cbor_node_t   node;

    ngx_iot_cbor_begin(&cbor, body, out->alloc);

    rc = ngx_iot_cbor_first(&cbor, &node);

    if (rc == NGX_OK) {
        start = cbor.pos;
        rc = ngx_iot_cbor_convert(&cbor, &node, start, json);
    }

    if (rc == NGX_OK && cbor.pos != cbor.last) {
        rc = ngx_iot_cbor_bad(&cbor, NGX_IOT_CBOR_E_TRAILING);
    }

    return ngx_iot_cbor_failed(out, rc, cbor.error);
}


ngx_uint_t
ngx_iot_cbor_detect(ngx_str_t *body)
{
    u_char  c;

    if (body->len == 0) {
        return 0;
    }

    c = body->data[0];

    if (c >= 0x80 && c <= 0xbf) {
        return (c & 0x1f) <= 0x1b || (c & 0x1f) == 0x1f;
    }

    return body->len >= 3 && ngx_memcmp(body->data, "\xd9\xd9\xf7", 3) == 0;
}


static ngx_int_t
ngx_iot_cbor_ingest(ngx_iot_points_t *out, ngx_str_t *body, int64_t now,
    ngx_iot_value_opts_t *opts, ngx_uint_t attributes)
{
    ngx_int_t              rc;
    ngx_uint_t             n;
    ngx_iot_cbor_node_t    node;
    ngx_iot_cbor_ingest_t  in;

    n = out->n;

    in.out = out;
    in.opts = opts;
    in.now = now;

    ngx_iot_cbor_begin(&in.cbor, body, out->alloc);

    rc = ngx_iot_cbor_first(&in.cbor, &node);

    if (rc == NGX_OK) {

        if (!attributes) {
            rc = ngx_iot_cbor_top(&in, &node);

        } else if (node.item.type == NGX_IOT_CBOR_MAP) {
            rc = ngx_iot_cbor_members(&in, &node);

        } else {
            rc = ngx_iot_cbor_bad(&in.cbor, NGX_IOT_CBOR_E_SHAPE);
        }
    }

    if (rc == NGX_OK && in.cbor.pos != in.cbor.last) {
        rc = ngx_iot_cbor_bad(&in.cbor, NGX_IOT_CBOR_E_TRAILING);
    }

    if (rc != NGX_OK) {
        out->n = n;
    }

    return ngx_iot_cbor_failed(out, rc, in.cbor.error);
}


static ngx_int_t
ngx_iot_cbor_top(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_node_t *node)
{
    ngx_int_t             rc;
    ngx_iot_cbor_node_t   inner;
    ngx_iot_cbor_level_t  level;

    if (node->item.type == NGX_IOT_CBOR_MAP) {
        return ngx_iot_cbor_record(in, node);
    }

    if (node->item.type != NGX_IOT_CBOR_ARRAY) {
        return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_SHAPE);
    }

    rc = ngx_iot_cbor_open(&in->cbor, &level, node);

    if (rc != NGX_OK) {
        return rc;
    }

    for ( ;; ) {

        rc = ngx_iot_cbor_more(&in->cbor, &level);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_cbor_node(&in->cbor, &inner);

        if (rc != NGX_OK) {
            return rc;
        }

        if (inner.item.type != NGX_IOT_CBOR_MAP) {
            return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_SHAPE);
        }

        rc = ngx_iot_cbor_record(in, &inner);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_iot_cbor_failed(ngx_iot_points_t *out, ngx_int_t rc, ngx_uint_t error)
{
    out->bad = 0;
    out->error.len = 0;

    if (rc != NGX_DECLINED) {
        return rc;
    }

    return ngx_iot_points_decline(out, ngx_iot_cbor_names[error].bad,
                                  ngx_iot_cbor_names[error].text, NULL);
}


/* what the shape depends on may come last: as in ngx_iot_json_value.c */

static ngx_int_t
ngx_iot_cbor_record(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_node_t *node)
{
    ngx_int_t              rc;
    ngx_str_t              key;
    ngx_iot_cbor_level_t   level;
    ngx_iot_cbor_record_t  rec;

    ngx_memzero(&rec, sizeof(ngx_iot_cbor_record_t));

    rec.base = in->out->n;

    rc = ngx_iot_cbor_open(&in->cbor, &level, node);

    if (rc != NGX_OK) {
        return rc;
    }

    for ( ;; ) {

        rc = ngx_iot_cbor_key(&in->cbor, &level, &key);

        if (rc == NGX_DONE) {
            return ngx_iot_cbor_record_end(in, &rec);
        }

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_cbor_record_member(in, &rec, &key);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_iot_cbor_record_member(ngx_iot_cbor_ingest_t *in,
    ngx_iot_cbor_record_t *rec, ngx_str_t *key)
{
    ngx_int_t            rc;
    ngx_iot_cbor_node_t  node;

    rc = ngx_iot_cbor_node(&in->cbor, &node);

    if (rc != NGX_OK) {
        return rc;
    }

    if (key->len == 2 && ngx_memcmp(key->data, "ts", 2) == 0) {
        rec->has_ts = 1;
        rec->ts = node;

        /* whether this is a bad value or a bad time is not known yet */

        if (node.range) {
            return NGX_OK;
        }

    } else if (key->len == 6 && ngx_memcmp(key->data, "values", 6) == 0) {
        rec->has_values = 1;
        rec->values = node;
        rec->values_pos = in->cbor.pos;

        if (rec->has_ts && node.item.type == NGX_IOT_CBOR_MAP) {
            rec->inside = 1;
            in->out->n = rec->base;

            return ngx_iot_cbor_members(in, &node);
        }
    }

    if (rec->has_ts && rec->has_values) {
        return ngx_iot_cbor_skip(in, &node);
    }

    return ngx_iot_cbor_push(in, key, &node);
}


static ngx_int_t
ngx_iot_cbor_record_end(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_record_t *rec)
{
    u_char      *pos;
    int64_t      ts;
    ngx_int_t    rc;
    ngx_uint_t   i;

    if (!rec->has_ts || !rec->has_values) {

        if (rec->has_ts && rec->ts.range) {
            return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_RANGE);
        }

        return NGX_OK;
    }

    if (rec->values.item.type != NGX_IOT_CBOR_MAP) {
        return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_SHAPE);
    }

    rc = ngx_iot_cbor_record_ts(in, &rec->ts, &ts);

    if (rc != NGX_OK) {
        return rc;
    }

    if (!rec->inside) {
        in->out->n = rec->base;

        pos = in->cbor.pos;

        in->cbor.pos = rec->values_pos;
        in->cbor.again = 1;
        in->cbor.depth++;

        rc = ngx_iot_cbor_members(in, &rec->values);

        in->cbor.pos = pos;
        in->cbor.again = 0;
        in->cbor.depth--;

        if (rc != NGX_OK) {
            return rc;
        }
    }

    for (i = rec->base; i < in->out->n; i++) {
        in->out->points[i].ts = ts;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_record_ts(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_node_t *node,
    int64_t *ts)
{
    double   d;
    int64_t  max;

    max = in->opts->max_ts ? in->opts->max_ts : NGX_IOT_CBOR_MAX_TS;
    max = ngx_min(max, NGX_IOT_CBOR_MAX_TS);

    if (node->range) {
        goto failed;
    }

    switch (node->item.type) {

    case NGX_IOT_CBOR_UINT:

        *ts = node->l;

        if (node->tag == NGX_IOT_CBOR_TAG_EPOCH) {

            if (*ts > max / 1000) {
                goto failed;
            }

            *ts *= 1000;

        } else if (node->tag != NGX_IOT_CBOR_NO_TAG) {
            goto failed;
        }

        break;

    case NGX_IOT_CBOR_FLOAT:

        d = node->item.d * 1000;

        if (node->tag != NGX_IOT_CBOR_TAG_EPOCH
            || d <= -1 || d > (double) max + 1)
        {
            goto failed;
        }

        *ts = (int64_t) llround(d);
        break;

    case NGX_IOT_CBOR_TEXT:

        if (node->tag != NGX_IOT_CBOR_TAG_DATE
            || ngx_iot_cbor_date(&node->item.s, ts) != NGX_OK)
        {
            goto failed;
        }

        break;

    default:
        goto failed;
    }

    if (*ts >= 0 && *ts <= max) {
        return NGX_OK;
    }

failed:

    return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_TS);
}


static ngx_int_t
ngx_iot_cbor_members(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_node_t *node)
{
    ngx_int_t             rc;
    ngx_str_t             key;
    ngx_iot_cbor_node_t   inner;
    ngx_iot_cbor_level_t  level;

    rc = ngx_iot_cbor_open(&in->cbor, &level, node);

    if (rc != NGX_OK) {
        return rc;
    }

    for ( ;; ) {

        rc = ngx_iot_cbor_key(&in->cbor, &level, &key);

        if (rc == NGX_DONE) {
            return NGX_OK;
        }

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_cbor_node(&in->cbor, &inner);

        if (rc != NGX_OK) {
            return rc;
        }

        rc = ngx_iot_cbor_push(in, &key, &inner);

        if (rc != NGX_OK) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_iot_cbor_skip(ngx_iot_cbor_ingest_t *in, ngx_iot_cbor_node_t *node)
{
    size_t  size;

    size = 0;

    return ngx_iot_cbor_json(&in->cbor, node, NULL, &size);
}


static ngx_int_t
ngx_iot_cbor_push(ngx_iot_cbor_ingest_t *in, ngx_str_t *key,
    ngx_iot_cbor_node_t *node)
{
    ngx_int_t         rc;
    ngx_iot_value_t   value;
    ngx_iot_point_t  *point;

    if (node->item.type == NGX_IOT_CBOR_NULL) {
        return NGX_OK;
    }

    rc = ngx_iot_cbor_typed(in, &value, node);

    if (rc != NGX_OK) {
        return rc;
    }

    point = ngx_iot_points_push(in->out, in->opts, &rc);

    if (point == NULL) {
        return rc;
    }

    point->key = *key;
    point->ts = in->now;
    point->value = value;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_cbor_typed(ngx_iot_cbor_ingest_t *in, ngx_iot_value_t *value,
    ngx_iot_cbor_node_t *node)
{
    ngx_int_t   rc;
    ngx_str_t  *s;

    if (node->range) {
        return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_RANGE);
    }

    s = &value->u.s;
    rc = NGX_OK;

    switch (node->item.type) {

    case NGX_IOT_CBOR_UINT:
    case NGX_IOT_CBOR_NINT:
        value->type = NGX_IOT_LONG;
        value->u.l = node->l;
        return NGX_OK;

    case NGX_IOT_CBOR_FLOAT:
        value->type = NGX_IOT_DOUBLE;
        value->u.d = node->item.d;
        return NGX_OK;

    case NGX_IOT_CBOR_BOOL:
        value->type = NGX_IOT_BOOL;
        value->u.l = (int64_t) node->item.n;
        return NGX_OK;

    case NGX_IOT_CBOR_TEXT:
        value->type = NGX_IOT_TEXT;
        *s = node->item.s;
        break;

    case NGX_IOT_CBOR_BYTES:
        value->type = NGX_IOT_TEXT;
        rc = ngx_iot_cbor_bytes_text(&in->cbor, node, s);
        break;

    default: /* NGX_IOT_CBOR_ARRAY, NGX_IOT_CBOR_MAP */
        value->type = NGX_IOT_JSON;
        rc = ngx_iot_cbor_convert(&in->cbor, node, in->cbor.pos, s);
    }

    if (rc == NGX_OK
        && s->len > in->opts->max_string
        && ngx_iot_text_count(s->data, s->len) > in->opts->max_string)
    {
        return ngx_iot_cbor_bad(&in->cbor, NGX_IOT_CBOR_E_LIMIT);
    }

    return rc;
}


/* the first pass checks and measures, so that the text is allocated once */

static ngx_int_t
ngx_iot_cbor_convert(ngx_iot_cbor_t *cbor, ngx_iot_cbor_node_t *node,
    u_char *start, ngx_str_t *json)
{
    u_char      *p;
    size_t       size;
    ngx_int_t    rc;
    ngx_uint_t   again;

    size = 0;

    rc = ngx_iot_cbor_json(cbor, node, NULL, &size);

    if (rc != NGX_OK) {
        return rc;
    }

    p = ngx_iot_alloc(cbor->alloc, size);

    if (p == NULL) {
        return NGX_ERROR;
    }

    json->data = p;

    again = cbor->again;

    cbor->pos = start;
    cbor->again = 1;

    rc = ngx_iot_cbor_json(cbor, node, &p, NULL);

    cbor->again = again;

    json->len = p - json->data;

    return rc;
}
