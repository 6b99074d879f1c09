
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_CBOR_H_INCLUDED_
#define _NGX_IOT_CBOR_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_value.h"


/*
 * Telemetry and attributes in CBOR (RFC 8949), read strictly.
 *
 * Telemetry is a map or an array of maps.  A map that has both "ts" and
 * "values" is a record of its own time: ts is an integer (milliseconds), tag 1
 * (seconds) or tag 0 (RFC 3339 text).  Attributes are one map.  A tag 55799
 * may come first.  Integers are LONG, floats DOUBLE (also when integral),
 * texts TEXT and never a number, byte strings base64url TEXT unless tag 22 or
 * 23 asks for base64 or hex, null and undefined are skipped, arrays and maps
 * become JSON.
 *
 * Return values are those of ngx_iot_json_telemetry().  After NGX_DECLINED
 * out->error is one of E_CBOR_EMPTY, E_CBOR_TRUNCATED, E_CBOR_TRAILING,
 * E_CBOR_MALFORMED, E_CBOR_SHAPE, E_CBOR_KEY, E_CBOR_DUPKEY, E_CBOR_RANGE,
 * E_CBOR_TAG, E_CBOR_TS, E_CBOR_DEPTH (more than 16), E_CBOR_LIMIT.  Of the
 * options max_points, max_string and max_ts count.
 */

#define NGX_IOT_CBOR_MAX_DEPTH  16
#define NGX_IOT_CBOR_MAX_KEY    255                /* bytes */
#define NGX_IOT_CBOR_MAX_TS     253402300799999    /* the end of year 9999 */

ngx_int_t ngx_iot_cbor_telemetry(ngx_iot_points_t *out, ngx_str_t *body,
    int64_t now, ngx_iot_value_opts_t *opts);
ngx_int_t ngx_iot_cbor_attributes(ngx_iot_points_t *out, ngx_str_t *body,
    int64_t now, ngx_iot_value_opts_t *opts);

/*
 * Any CBOR item as JSON text by the same rules (null stays null), for the
 * requests that have no CBOR form of their own: RPC, claim, provisioning.
 * *json is in out->alloc.
 */
ngx_int_t ngx_iot_cbor_to_json(ngx_iot_points_t *out, ngx_str_t *json,
    ngx_str_t *body);

/*
 * Does a payload of unknown kind look like CBOR?  True for a first byte of a
 * map or an array, or tag 55799: none of them can begin a JSON text.
 */
ngx_uint_t ngx_iot_cbor_detect(ngx_str_t *body);


#endif /* _NGX_IOT_CBOR_H_INCLUDED_ */
