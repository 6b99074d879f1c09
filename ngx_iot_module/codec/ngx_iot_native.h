
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_NATIVE_H_INCLUDED_
#define _NGX_IOT_NATIVE_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_pson.h"
#include "ngx_iot_tree.h"


/*
 * The framings of Thinger.io devices: the native protocol and IOTMP.  Both
 * send frames of varint type, varint size and a body of that size, and bodies
 * that are sequences of fields.
 *
 * Return codes are those of ngx_iot_pson.h.  Bodies are whole, so parsing one
 * never returns NGX_AGAIN.  Whatever a message points to is in its body.
 */


/* what the first bytes of a connection tell */

typedef enum {
    NGX_IOT_DETECT_TLS = 1,
    NGX_IOT_DETECT_NATIVE,
    NGX_IOT_DETECT_IOTMP,
    NGX_IOT_DETECT_MQTT,
    NGX_IOT_DETECT_HTTP
} ngx_iot_detect_e;

/*
 * NGX_OK, NGX_AGAIN (undecided so far; never after 16 bytes), NGX_DECLINED
 * (none of these).
 */

ngx_int_t ngx_iot_native_detect(ngx_uint_t *protocol, u_char *pos,
    u_char *end);


#define NGX_IOT_NATIVE_MESSAGE         1
#define NGX_IOT_NATIVE_KEEP_ALIVE      2

#define NGX_IOT_IOTMP_OK               1
#define NGX_IOT_IOTMP_ERROR            2
#define NGX_IOT_IOTMP_CONNECT          3
#define NGX_IOT_IOTMP_DISCONNECT       4
#define NGX_IOT_IOTMP_KEEP_ALIVE       5
#define NGX_IOT_IOTMP_RUN              6
#define NGX_IOT_IOTMP_DESCRIBE         7
#define NGX_IOT_IOTMP_START_STREAM     8
#define NGX_IOT_IOTMP_STOP_STREAM      9
#define NGX_IOT_IOTMP_STREAM_DATA      10

/* a body larger than this should be refused unless configured otherwise */

#define NGX_IOT_NATIVE_MAX_SIZE        (256 * 1024)

typedef struct {
    ngx_uint_t            type;
    size_t                size;         /* of the body */
} ngx_iot_native_frame_t;

/*
 * Reads type and size and moves *pos to the body, which need not be there
 * yet.  "protocol" is NGX_IOT_DETECT_NATIVE or NGX_IOT_DETECT_IOTMP.
 * NGX_DECLINED: no such type, known as soon as it is there; NGX_BUSY: the
 * body is larger than "max" bytes.
 */

ngx_int_t ngx_iot_native_frame(ngx_iot_native_frame_t *frame,
    ngx_uint_t protocol, u_char **pos, u_char *end, size_t max);

/* a frame of two bytes; returns their end */

u_char *ngx_iot_native_keep_alive(u_char *p, ngx_uint_t protocol);


/* the signal flags of native messages */

#define NGX_IOT_NATIVE_RUN             0
#define NGX_IOT_NATIVE_REQUEST_OK      1
#define NGX_IOT_NATIVE_REQUEST_ERROR   2
#define NGX_IOT_NATIVE_START_STREAM    3
#define NGX_IOT_NATIVE_STOP_STREAM     4
#define NGX_IOT_NATIVE_AUTH            5
#define NGX_IOT_NATIVE_STREAM_EVENT    6
#define NGX_IOT_NATIVE_STREAM_SAMPLE   7
#define NGX_IOT_NATIVE_CALL_ENDPOINT   8
#define NGX_IOT_NATIVE_CALL_DEVICE     9
#define NGX_IOT_NATIVE_BUCKET_DATA     10
#define NGX_IOT_NATIVE_GET_PROPERTY    11
#define NGX_IOT_NATIVE_SET_PROPERTY    12

#define NGX_IOT_NATIVE_MAX_PATH        16

/*
 * A message is parsed out of a body and built into a frame by the same
 * structure; zeroed, it is RUN with nothing in it.  The payload is PSON v1
 * as it stands in the message, checked; a builder takes "tree" instead when
 * it is set.  A flag beyond those above is not an error here.
 */

typedef struct {
    ngx_uint_t            signal;
    ngx_uint_t            stream_id;    /* 16 bits; 0: none */
    ngx_str_t             identifier;
    ngx_str_t             path[NGX_IOT_NATIVE_MAX_PATH];
    ngx_uint_t            npath;
    ngx_str_t             payload;      /* data is NULL: none */
    ngx_iot_tree_t       *tree;

    unsigned              has_identifier:1;
    unsigned              has_resource:1;
} ngx_iot_native_message_t;

/* NGX_BUSY: over a limit, or a path longer than NGX_IOT_NATIVE_MAX_PATH */

ngx_int_t ngx_iot_native_parse(ngx_iot_native_message_t *message,
    u_char *pos, u_char *end, ngx_iot_tree_limit_t *limit);

/*
 * Size of the whole frame, 0 when it cannot be encoded (see
 * ngx_iot_pson_size()); write() returns its end and follows size() as in
 * ngx_iot_pson.h.
 */

size_t ngx_iot_native_size(ngx_iot_native_message_t *message);
u_char *ngx_iot_native_write(u_char *p, ngx_iot_native_message_t *message);


/* fields of IOTMP messages; 4 is the resource, or a scope, see below */

#define NGX_IOT_IOTMP_STREAM_ID        1
#define NGX_IOT_IOTMP_PARAMETERS       2
#define NGX_IOT_IOTMP_PAYLOAD          3
#define NGX_IOT_IOTMP_RESOURCE         4
#define NGX_IOT_IOTMP_OLD_RESOURCE     3
#define NGX_IOT_IOTMP_KEEP_ALIVE_TIME  4
#define NGX_IOT_IOTMP_ENCODING         5

#define NGX_IOT_IOTMP_WIRE_NUMBER      0
#define NGX_IOT_IOTMP_WIRE_PSON1       1
#define NGX_IOT_IOTMP_WIRE_PSON2       2

#define NGX_IOT_IOTMP_MAX_FIELDS       5

/*
 * A value is "number", or PSON of the version that the wire says: "pson" as
 * it stands in the message, or "tree" or "text" for a builder (first of tree,
 * pson, text that is set).
 */

typedef struct {
    ngx_uint_t            id;
    ngx_uint_t            wire;
    uint64_t              number;
    ngx_str_t             pson;
    ngx_str_t             text;
    ngx_iot_tree_t       *tree;
} ngx_iot_iotmp_field_t;

typedef struct {
    ngx_uint_t            type;
    ngx_uint_t            stream_id;    /* 32 bits; 0: none */

    /*
     * PSON version of the connection: fixed by the first message that has a
     * field of wire 1 or 2, normally CONNECT; 0 before
     */
    ngx_uint_t            version;

    /* in the order of the wire, each id once */
    ngx_iot_iotmp_field_t fields[NGX_IOT_IOTMP_MAX_FIELDS];
    ngx_uint_t            nfields;
} ngx_iot_iotmp_message_t;

/*
 * "version" is that of the connection, 0 when it is not known yet, and
 * message->version is what to pass next time.
 */

ngx_int_t ngx_iot_iotmp_parse(ngx_iot_iotmp_message_t *message,
    ngx_uint_t type, ngx_uint_t version, u_char *pos, u_char *end,
    ngx_iot_tree_limit_t *limit);

/* NULL when the message has no such field */

ngx_iot_iotmp_field_t *ngx_iot_iotmp_field(ngx_iot_iotmp_message_t *message,
    ngx_uint_t id);

/*
 * The field that holds the resource or the payload of this message: first
 * generation clients keep the resource of DESCRIBE and START_STREAM in
 * field 3.
 */

ngx_iot_iotmp_field_t *ngx_iot_iotmp_resource(
    ngx_iot_iotmp_message_t *message);
ngx_iot_iotmp_field_t *ngx_iot_iotmp_payload(
    ngx_iot_iotmp_message_t *message);

/*
 * The number of a call to the server, and the field that names its target
 * (NULL when there is none): device libraries disagree which of PARAMETERS
 * and RESOURCE is which.  NGX_DECLINED when there is no number.
 */

ngx_int_t ngx_iot_iotmp_call(ngx_iot_iotmp_message_t *message,
    uint64_t *number, ngx_iot_iotmp_field_t **target);

/*
 * A field as a value: NGX_OK, or NGX_DECLINED when it is of another type or
 * missing (NULL).  get_tree() also returns NGX_BUSY and NGX_ERROR as
 * ngx_iot_pson_decode() does.
 */

ngx_int_t ngx_iot_iotmp_get_text(ngx_iot_iotmp_field_t *field,
    ngx_str_t *text);
ngx_int_t ngx_iot_iotmp_get_number(ngx_iot_iotmp_field_t *field,
    uint64_t *number);
ngx_int_t ngx_iot_iotmp_get_tree(ngx_iot_iotmp_field_t *field,
    ngx_iot_tree_t **tree, ngx_iot_tree_limit_t *limit,
    ngx_iot_alloc_t *alloc);

/*
 * Building.  init() adds the stream id unless it is 0.  Everything else goes
 * as PSON of the connection's version, which has to be known, because small
 * clients read bare numbers as 32 bits.  set_*() replace an earlier value and
 * return NGX_OK, or NGX_DECLINED for an id that does not exist.
 */

void ngx_iot_iotmp_init(ngx_iot_iotmp_message_t *message, ngx_uint_t type,
    ngx_uint_t version, ngx_uint_t stream_id);
ngx_int_t ngx_iot_iotmp_set_text(ngx_iot_iotmp_message_t *message,
    ngx_uint_t id, ngx_str_t *text);
ngx_int_t ngx_iot_iotmp_set_tree(ngx_iot_iotmp_message_t *message,
    ngx_uint_t id, ngx_iot_tree_t *tree);
ngx_int_t ngx_iot_iotmp_set_pson(ngx_iot_iotmp_message_t *message,
    ngx_uint_t id, ngx_str_t *pson);
ngx_int_t ngx_iot_iotmp_set_resource(ngx_iot_iotmp_message_t *message,
    ngx_str_t *text);

/* as ngx_iot_native_size() and ngx_iot_native_write() */

size_t ngx_iot_iotmp_size(ngx_iot_iotmp_message_t *message);
u_char *ngx_iot_iotmp_write(u_char *p, ngx_iot_iotmp_message_t *message);


#endif /* _NGX_IOT_NATIVE_H_INCLUDED_ */
