
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_JSON_H_INCLUDED_
#define _NGX_IOT_JSON_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * A strict pull reader for one JSON text (RFC 8259) that is wholly in memory.
 * A leading byte order mark is skipped.  Refused beyond the grammar: invalid
 * UTF-8, lone surrogates, \u0000 (PostgreSQL cannot hold it) and containers
 * deeper than max_depth.
 *
 *     ngx_iot_json_init(&json, &body, &alloc, 32);
 *
 *     for ( ;; ) {
 *         token = ngx_iot_json_next(&json);
 *         ...
 *     }
 *
 * Every token but the last two leaves "raw", its bytes in the text.
 */

typedef enum {
    NGX_IOT_JSON_END = 0,             /* after the whole text */
    NGX_IOT_JSON_BAD,                 /* see error; repeats for ever */
    NGX_IOT_JSON_OBJECT,
    NGX_IOT_JSON_OBJECT_END,
    NGX_IOT_JSON_ARRAY,
    NGX_IOT_JSON_ARRAY_END,
    NGX_IOT_JSON_KEY,                 /* text: without quotes and escapes */
    NGX_IOT_JSON_STRING,              /* the same */
    NGX_IOT_JSON_NUMBER,              /* text: as written */
    NGX_IOT_JSON_TRUE,
    NGX_IOT_JSON_FALSE,
    NGX_IOT_JSON_NULL
} ngx_iot_json_token_e;


#define NGX_IOT_JSON_MAX_DEPTH  64


typedef struct {
    u_char           *start;
    u_char           *pos;
    u_char           *last;

    ngx_str_t         text;           /* in the body, or in alloc if escaped */
    ngx_str_t         raw;

    ngx_iot_alloc_t  *alloc;
    uint64_t          objects;        /* a bit per open container */
    ngx_uint_t        depth;
    ngx_uint_t        max_depth;
    ngx_uint_t        state;

    const char       *error;          /* short text, lower case */

    unsigned          exponent:1;     /* of the last number */
    unsigned          fraction:1;
    unsigned          escaped:1;      /* the last string or key had a "\" */
    unsigned          blanks:1;       /* ngx_iot_json_skip() saw some */
    unsigned          deep:1;         /* BAD because of max_depth */
    unsigned          nomem:1;        /* BAD because alloc returned NULL */
} ngx_iot_json_t;


/* max_depth: 1 .. NGX_IOT_JSON_MAX_DEPTH, the outermost container is 1 */
void ngx_iot_json_init(ngx_iot_json_t *json, ngx_str_t *body,
    ngx_iot_alloc_t *alloc, ngx_uint_t max_depth);

ngx_uint_t ngx_iot_json_next(ngx_iot_json_t *json);

/*
 * Reads to the end of the value whose first token has just been returned by
 * ngx_iot_json_next(): for a container its whole text goes to "raw", and
 * "blanks" tells whether it holds insignificant blanks.  Strings inside are
 * checked but not unescaped.  NGX_OK or NGX_ERROR (the next token is BAD).
 */
ngx_int_t ngx_iot_json_skip(ngx_iot_json_t *json);

/*
 * Is this one JSON text?  NGX_OK, or NGX_DECLINED with a short reason in
 * *error and the offset of the offending byte in *offset (both may be NULL).
 * No memory is used.
 */
ngx_int_t ngx_iot_json_check(ngx_str_t *body, ngx_uint_t max_depth,
    const char **error, size_t *offset);


/*
 * Picks members of the object that body is.  Each field is set from the last
 * member of its name: token is NGX_IOT_JSON_END when there is none, text is
 * the string unescaped or the number as written, raw the text of the value
 * as it stands in the body.  NGX_OK; NGX_DECLINED: not JSON or no object,
 * *error (may be NULL) says why; NGX_ERROR: no memory.
 */

typedef struct {
    ngx_str_t         name;
    ngx_uint_t        token;
    ngx_str_t         text;
    ngx_str_t         raw;
} ngx_iot_json_field_t;


ngx_int_t ngx_iot_json_fields(ngx_str_t *body, ngx_iot_alloc_t *alloc,
    ngx_uint_t max_depth, ngx_iot_json_field_t *fields, ngx_uint_t n,
    const char **error);


/*
 * The bytes of src as the inside of a JSON string; src is UTF-8 already.
 * Returns the end of what was written, ngx_iot_json_escape_size() bytes.
 */
u_char *ngx_iot_json_escape(u_char *dst, u_char *src, size_t len);
size_t ngx_iot_json_escape_size(u_char *src, size_t len);

/*
 * Removes the insignificant blanks of a text known to be JSON.  dst holds at
 * least len bytes and may be src.  Returns the end of what was written.
 */
u_char *ngx_iot_json_compact(u_char *dst, u_char *src, size_t len);


#endif /* _NGX_IOT_JSON_H_INCLUDED_ */
