
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_WS_FRAME_H_INCLUDED_
#define _NGX_IOT_WS_FRAME_H_INCLUDED_


#include "ngx_iot_codec.h"
#include "ngx_iot_utf8.h"


/* RFC 6455 */

#define NGX_IOT_WS_CONTINUATION      0x0
#define NGX_IOT_WS_TEXT              0x1
#define NGX_IOT_WS_BINARY            0x2
#define NGX_IOT_WS_CLOSE             0x8
#define NGX_IOT_WS_PING              0x9
#define NGX_IOT_WS_PONG              0xa

#define NGX_IOT_WS_CLOSE_NORMAL      1000
#define NGX_IOT_WS_CLOSE_GOING_AWAY  1001
#define NGX_IOT_WS_CLOSE_PROTOCOL    1002
#define NGX_IOT_WS_CLOSE_DATA_TYPE   1003
#define NGX_IOT_WS_CLOSE_NO_STATUS   1005
#define NGX_IOT_WS_CLOSE_BAD_DATA    1007
#define NGX_IOT_WS_CLOSE_POLICY      1008
#define NGX_IOT_WS_CLOSE_TOO_BIG     1009
#define NGX_IOT_WS_CLOSE_INTERNAL    1011

#define NGX_IOT_WS_HEADER_MAX        14
#define NGX_IOT_WS_CONTROL_MAX       125
#define NGX_IOT_WS_ACCEPT_LEN        28


/*
 * Reader of one side of a connection.  Zero it, then set the members of the
 * first group; the rest is its own.
 */

typedef struct {
    uint64_t         max_frame;         /* payload bytes, 0 is no limit */
    uint64_t         max_message;       /* of all its fragments, the same */
    unsigned         server:1;          /* frames must come masked */
    unsigned         binary_only:1;
    unsigned         text_only:1;

    unsigned         in_payload:1;
    unsigned         fin:1;
    unsigned         masked:1;
    unsigned         started:1;         /* this message gave data before */
    unsigned         closed:1;          /* a close frame has been read */
    u_char           opcode;            /* of the frame */
    u_char           message;           /* text or binary, 0 is outside */
    u_char           nheader;
    u_char           ncontrol;
    uint64_t         left;              /* of the payload of the frame */
    uint64_t         total;             /* of the message so far */
    ngx_uint_t       phase;             /* of the mask */
    ngx_iot_utf8_t   utf8;
    ngx_uint_t       error;             /* the code to close with */
    const char      *detail;
    u_char           mask[4];
    u_char           header[NGX_IOT_WS_HEADER_MAX];
    u_char           control[NGX_IOT_WS_CONTROL_MAX];
} ngx_iot_ws_reader_t;


/*
 * TEXT, BINARY: the next bytes of a message, as far as they have come,
 * unmasked where they lie; "first" and "last" mark its ends.  Only the last
 * may be empty.
 * PING, PONG: the whole data, kept in the reader until the next call.
 * CLOSE: code (1005 if there was none) and reason.
 */

typedef struct {
    ngx_uint_t       opcode;
    ngx_str_t        data;
    ngx_uint_t       code;
    unsigned         first:1;
    unsigned         last:1;
} ngx_iot_ws_event_t;


/*
 * Takes bytes from *pos until there is an event.  NGX_OK: handle the event
 * and call again.  NGX_AGAIN: all bytes are used.  NGX_DONE: closed, the rest
 * is to be thrown away.  NGX_ERROR: close with rd->error; the text for the
 * log is in rd->detail.
 */

ngx_int_t ngx_iot_ws_read(ngx_iot_ws_reader_t *rd, u_char **pos, u_char *end,
    ngx_iot_ws_event_t *event);

/*
 * Writes a frame header and returns its end: up to 10 bytes, 14 with a mask.
 * A server never masks (mask NULL); a client then puts the payload through
 * ngx_iot_ws_mask() with phase 0.
 */

u_char *ngx_iot_ws_header(u_char *dst, ngx_uint_t opcode, ngx_uint_t fin,
    uint64_t len, const u_char *mask);

/* in place, starting at byte "phase" of the mask; returns the next phase */

ngx_uint_t ngx_iot_ws_mask(u_char *p, size_t len, const u_char *mask,
    ngx_uint_t phase);

/*
 * A whole close frame, unmasked, of at most 2 + NGX_IOT_WS_CONTROL_MAX bytes;
 * the reason is cut between characters if it is too long.  The code 1005 makes
 * an empty one.
 */

u_char *ngx_iot_ws_close(u_char *dst, ngx_uint_t code,
    const ngx_str_t *reason);

/* 1 if an endpoint may put the code into a close frame (section 7.4) */

ngx_uint_t ngx_iot_ws_close_code_valid(ngx_uint_t code);

/*
 * Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2): NGX_OK;
 * NGX_DECLINED if the key is not the base64 of 16 bytes; NGX_ERROR.
 */

ngx_int_t ngx_iot_ws_accept(const ngx_str_t *key,
    u_char accept[NGX_IOT_WS_ACCEPT_LEN]);


#endif /* _NGX_IOT_WS_FRAME_H_INCLUDED_ */
