
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_VALUE_H_INCLUDED_
#define _NGX_IOT_VALUE_H_INCLUDED_


#include "ngx_iot_codec.h"


typedef enum {
    NGX_IOT_BOOL = 1,
    NGX_IOT_LONG,
    NGX_IOT_DOUBLE,
    NGX_IOT_TEXT,
    NGX_IOT_JSON
} ngx_iot_value_type_e;


typedef struct {
    ngx_uint_t        type;           /* ngx_iot_value_type_e */

    union {
        int64_t       l;              /* BOOL: 0 or 1; LONG */
        double        d;              /* DOUBLE: always finite */
        ngx_str_t     s;              /* TEXT: no NUL; JSON: compact */
    } u;
} ngx_iot_value_t;


typedef struct {
    ngx_str_t         key;            /* must be first, see ngx_iot_keyset.h */
    int64_t           ts;             /* milliseconds since 1970 */
    ngx_iot_value_t   value;
} ngx_iot_point_t;


/* why a payload was declined */

typedef enum {
    NGX_IOT_BAD_SYNTAX = 1,           /* no JSON, no CBOR */
    NGX_IOT_BAD_SHAPE,                /* but not of the shape asked for */
    NGX_IOT_BAD_KEY,                  /* blank, too long */
    NGX_IOT_BAD_VALUE,                /* null where refused, no such type */
    NGX_IOT_BAD_TS,
    NGX_IOT_BAD_LIMIT                 /* too long a string, too deep */
} ngx_iot_bad_e;


#define NGX_IOT_POINTS_ERR_LEN  160


/*
 * Keys and texts point into the body wherever they can, else into alloc: the
 * points are good while both live.
 */

typedef struct {
    ngx_iot_point_t  *points;
    ngx_uint_t        n;
    ngx_uint_t        nalloc;

    ngx_iot_alloc_t  *alloc;

    ngx_uint_t        bad;            /* ngx_iot_bad_e, after NGX_DECLINED */
    ngx_str_t         error;          /* text for a 400, in err */
    u_char            err[NGX_IOT_POINTS_ERR_LEN];
} ngx_iot_points_t;


typedef struct {
    ngx_uint_t        max_depth;      /* containers in containers, JSON only */
    ngx_uint_t        max_points;     /* of one ngx_iot_points_t */
    ngx_uint_t        max_key;        /* characters */
    size_t            max_string;     /* characters of a text or JSON value */
    int64_t           max_ts;         /* 0: what the format allows */

    unsigned          cast_strings:1; /* "12.5" is a number, JSON only */
    unsigned          skip_null:1;    /* else a null is refused, JSON only */
} ngx_iot_value_opts_t;


#define NGX_IOT_JSON_MAX_TS  9999999999999

/* 32, 100000, 255, 10000000, 0; both flags set */
void ngx_iot_value_opts_init(ngx_iot_value_opts_t *opts);

void ngx_iot_points_init(ngx_iot_points_t *out, ngx_iot_alloc_t *alloc);

/*
 * A new point at the end, or NULL with *rc set to NGX_ERROR (no memory) or
 * NGX_BUSY (max_points).
 */
ngx_iot_point_t *ngx_iot_points_push(ngx_iot_points_t *out,
    ngx_iot_value_opts_t *opts, ngx_int_t *rc);

/* sets bad and error: the text, then up to 64 bytes of what it is about */
ngx_int_t ngx_iot_points_decline(ngx_iot_points_t *out, ngx_uint_t bad,
    const char *text, ngx_str_t *about);

/*
 * The telemetry and attribute bodies of the ThingsBoard device API, typed by
 * its rules.  Points are appended to out; telemetry without a time gets now;
 * attributes all get now.  Of equal keys in one object the last wins; the
 * same key and ts may come again from another object of the array, in order.
 *
 *     NGX_OK
 *     NGX_DECLINED  bad payload, out->bad and out->error say why
 *     NGX_BUSY      more than max_points
 *     NGX_ERROR     no memory
 *
 * After any failure out->n is what it was before.
 */
ngx_int_t ngx_iot_json_telemetry(ngx_iot_points_t *out, ngx_str_t *body,
    int64_t now, ngx_iot_value_opts_t *opts);
ngx_int_t ngx_iot_json_attributes(ngx_iot_points_t *out, ngx_str_t *body,
    int64_t now, ngx_iot_value_opts_t *opts);

/*
 * One JSON text as a value: NGX_OK, NGX_DECLINED (bad and error of out are
 * set; a null is declined), NGX_ERROR.
 */
ngx_int_t ngx_iot_json_value(ngx_iot_points_t *out, ngx_iot_value_t *value,
    ngx_str_t *body, ngx_iot_value_opts_t *opts);

/*
 * A value as text ("true", "21", "21.0", the string itself, compact JSON) and
 * as a JSON text (the same, but strings quoted and escaped).  dst holds at
 * least as many bytes as the _size function says; both return the end.
 */
size_t ngx_iot_value_text_size(ngx_iot_value_t *value);
u_char *ngx_iot_value_text(u_char *dst, ngx_iot_value_t *value);

size_t ngx_iot_value_json_size(ngx_iot_value_t *value);
u_char *ngx_iot_value_json(u_char *dst, ngx_iot_value_t *value);

/* 1 when type and bits are equal: what "the attribute has not changed" means */
ngx_uint_t ngx_iot_value_equal(ngx_iot_value_t *a, ngx_iot_value_t *b);


#endif /* _NGX_IOT_VALUE_H_INCLUDED_ */
