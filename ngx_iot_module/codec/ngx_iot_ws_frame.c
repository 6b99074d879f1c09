
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_utf8.h"
#include "ngx_iot_ws_frame.h"

#include <openssl/evp.h>
#include <openssl/sha.h>


#define NGX_IOT_WS_FIN       0x80
#define NGX_IOT_WS_RSV       0x70
#define NGX_IOT_WS_OPCODE    0x0f
#define NGX_IOT_WS_MASKED    0x80
#define NGX_IOT_WS_LENGTH    0x7f

#define NGX_IOT_WS_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define NGX_IOT_WS_KEY_LEN   24

#define ngx_iot_ws_is_control(opcode)  ((opcode) & 0x08)


static ngx_int_t ngx_iot_ws_fail(ngx_iot_ws_reader_t *rd, ngx_uint_t code,
    const char *detail);
static ngx_int_t ngx_iot_ws_read_header(ngx_iot_ws_reader_t *rd,
    u_char **pos, u_char *end);
static ngx_int_t ngx_iot_ws_check_start(ngx_iot_ws_reader_t *rd);
static ngx_int_t ngx_iot_ws_check_opcode(ngx_iot_ws_reader_t *rd);
static size_t ngx_iot_ws_header_size(ngx_iot_ws_reader_t *rd);
static ngx_int_t ngx_iot_ws_take_header(ngx_iot_ws_reader_t *rd);
static ngx_int_t ngx_iot_ws_check_length(ngx_iot_ws_reader_t *rd);
static ngx_int_t ngx_iot_ws_read_data(ngx_iot_ws_reader_t *rd, u_char **pos,
    u_char *end, ngx_iot_ws_event_t *event);
static ngx_int_t ngx_iot_ws_read_control(ngx_iot_ws_reader_t *rd,
    u_char **pos, u_char *end, ngx_iot_ws_event_t *event);
static ngx_int_t ngx_iot_ws_take_close(ngx_iot_ws_reader_t *rd,
    ngx_iot_ws_event_t *event);


static ngx_int_t
ngx_iot_ws_fail(ngx_iot_ws_reader_t *rd, ngx_uint_t code, const char *detail)
{
    rd->error = code;
    rd->detail = detail;

    return NGX_ERROR;
}


ngx_int_t
ngx_iot_ws_read(ngx_iot_ws_reader_t *rd, u_char **pos, u_char *end,
    ngx_iot_ws_event_t *event)
{
    ngx_int_t  rc;

    for ( ;; ) {

        if (rd->error) {
            return NGX_ERROR;
        }

        if (rd->closed) {
            *pos = end;
            return NGX_DONE;
        }

        if (!rd->in_payload) {
            rc = ngx_iot_ws_read_header(rd, pos, end);

            if (rc != NGX_OK) {
                return rc;
            }
        }

        if (ngx_iot_ws_is_control(rd->opcode)) {
            return ngx_iot_ws_read_control(rd, pos, end, event);
        }

        rc = ngx_iot_ws_read_data(rd, pos, end, event);

        /* NGX_DECLINED: an empty fragment, of no interest */

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }
}


static ngx_int_t
ngx_iot_ws_read_header(ngx_iot_ws_reader_t *rd, u_char **pos, u_char *end)
{
    ngx_int_t  rc;

    while (*pos < end) {

        rd->header[rd->nheader++] = *(*pos)++;

        if (rd->nheader == 1) {
            rc = ngx_iot_ws_check_opcode(rd);
            if (rc != NGX_OK) {
                return rc;
            }

            continue;
        }

        if (rd->nheader == 2) {
            rc = ngx_iot_ws_check_start(rd);
            if (rc != NGX_OK) {
                return rc;
            }
        }

        if (rd->nheader == ngx_iot_ws_header_size(rd)) {
            return ngx_iot_ws_take_header(rd);
        }
    }

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iot_ws_check_opcode(ngx_iot_ws_reader_t *rd)
{
    u_char  first;

    first = rd->header[0];

    rd->fin = (first & NGX_IOT_WS_FIN) ? 1 : 0;
    rd->opcode = first & NGX_IOT_WS_OPCODE;

    if (first & NGX_IOT_WS_RSV) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               "reserved bit");
    }

    switch (rd->opcode) {

    case NGX_IOT_WS_CONTINUATION:

        if (rd->message == 0) {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                                   "continuation of nothing");
        }

        return NGX_OK;

    case NGX_IOT_WS_TEXT:
    case NGX_IOT_WS_BINARY:

        if (rd->message) {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                                   "message inside a message");
        }

        if ((rd->binary_only && rd->opcode == NGX_IOT_WS_TEXT)
            || (rd->text_only && rd->opcode == NGX_IOT_WS_BINARY))
        {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_DATA_TYPE,
                                   "wrong type of message");
        }

        return NGX_OK;

    case NGX_IOT_WS_CLOSE:
    case NGX_IOT_WS_PING:
    case NGX_IOT_WS_PONG:

        if (!rd->fin) {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                                   "fragmented control frame");
        }

        return NGX_OK;

    default:
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               "unknown opcode");
    }
}


static ngx_int_t
ngx_iot_ws_check_start(ngx_iot_ws_reader_t *rd)
{
    u_char  second;

    second = rd->header[1];

    rd->masked = (second & NGX_IOT_WS_MASKED) ? 1 : 0;

    if (rd->masked != rd->server) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               rd->server ? "frame not masked"
                                          : "masked frame of a server");
    }

    if (ngx_iot_ws_is_control(rd->opcode)
        && (second & NGX_IOT_WS_LENGTH) > NGX_IOT_WS_CONTROL_MAX)
    {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               "control frame too long");
    }

    return NGX_OK;
}


static size_t
ngx_iot_ws_header_size(ngx_iot_ws_reader_t *rd)
{
    size_t  len;
    u_char  length;

    length = rd->header[1] & NGX_IOT_WS_LENGTH;

    len = (length == 126) ? 4 : (length == 127) ? 10 : 2;

    return rd->masked ? len + 4 : len;
}


static ngx_int_t
ngx_iot_ws_take_header(ngx_iot_ws_reader_t *rd)
{
    u_char      *p;
    uint64_t     len;
    ngx_int_t    rc;
    ngx_uint_t   i, n;

    p = &rd->header[2];
    len = rd->header[1] & NGX_IOT_WS_LENGTH;

    if (len >= 126) {
        n = (len == 126) ? 2 : 8;
        len = 0;

        for (i = 0; i < n; i++) {
            len = (len << 8) | *p++;
        }

        if (len >> 63) {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                                   "bad frame length");
        }

        if (len < 126 || (n == 8 && len < 65536)) {
            return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                                   "frame length not in its shortest form");
        }
    }

    rd->left = len;

    rc = ngx_iot_ws_check_length(rd);
    if (rc != NGX_OK) {
        return rc;
    }

    if (rd->masked) {
        ngx_memcpy(rd->mask, p, 4);
    }

    rd->phase = 0;
    rd->nheader = 0;
    rd->ncontrol = 0;
    rd->in_payload = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_ws_check_length(ngx_iot_ws_reader_t *rd)
{
    if (ngx_iot_ws_is_control(rd->opcode)) {
        return NGX_OK;
    }

    if (rd->opcode != NGX_IOT_WS_CONTINUATION) {
        rd->message = rd->opcode;
        rd->started = 0;
        rd->total = 0;

        ngx_memzero(&rd->utf8, sizeof(ngx_iot_utf8_t));
    }

    if (rd->max_frame && rd->left > rd->max_frame) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_TOO_BIG,
                               "frame too long");
    }

    /* neither of the two is over 2^63 - 1, see above */

    if (rd->total + rd->left > INT64_MAX
        || (rd->max_message && rd->total + rd->left > rd->max_message))
    {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_TOO_BIG,
                               "message too long");
    }

    rd->total += rd->left;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_ws_read_data(ngx_iot_ws_reader_t *rd, u_char **pos, u_char *end,
    ngx_iot_ws_event_t *event)
{
    size_t      len;
    ngx_uint_t  last;

    len = end - *pos;

    if (len > rd->left) {
        len = (size_t) rd->left;
    }

    if (len == 0 && rd->left) {
        return NGX_AGAIN;
    }

    event->opcode = rd->message;
    event->data.data = *pos;
    event->data.len = len;
    event->code = 0;

    if (rd->masked) {
        rd->phase = ngx_iot_ws_mask(*pos, len, rd->mask, rd->phase);
    }

    *pos += len;
    rd->left -= len;

    if (rd->message == NGX_IOT_WS_TEXT
        && ngx_iot_utf8_update(&rd->utf8, event->data.data, *pos) != NGX_OK)
    {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_BAD_DATA, "bad UTF-8");
    }

    last = 0;

    if (rd->left == 0) {
        rd->in_payload = 0;
        last = rd->fin;
    }

    if (len == 0 && !last) {
        return NGX_DECLINED;
    }

    if (last && rd->message == NGX_IOT_WS_TEXT && rd->utf8.need) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_BAD_DATA,
                               "text ends inside a character");
    }

    event->first = !rd->started;
    event->last = last;

    rd->started = 1;

    if (last) {
        rd->message = 0;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_ws_read_control(ngx_iot_ws_reader_t *rd, u_char **pos, u_char *end,
    ngx_iot_ws_event_t *event)
{
    size_t   len;
    u_char  *p;

    len = end - *pos;

    if (len > rd->left) {
        len = (size_t) rd->left;
    }

    if (len) {
        p = &rd->control[rd->ncontrol];

        ngx_memcpy(p, *pos, len);

        if (rd->masked) {
            rd->phase = ngx_iot_ws_mask(p, len, rd->mask, rd->phase);
        }

        *pos += len;
        rd->left -= len;
        rd->ncontrol += len;
    }

    if (rd->left) {
        return NGX_AGAIN;
    }

    rd->in_payload = 0;

    event->opcode = rd->opcode;
    event->data.data = rd->control;
    event->data.len = rd->ncontrol;
    event->code = 0;
    event->first = 1;
    event->last = 1;

    if (rd->opcode == NGX_IOT_WS_CLOSE) {
        return ngx_iot_ws_take_close(rd, event);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_ws_take_close(ngx_iot_ws_reader_t *rd, ngx_iot_ws_event_t *event)
{
    event->code = NGX_IOT_WS_CLOSE_NO_STATUS;

    if (event->data.len == 0) {
        rd->closed = 1;
        return NGX_OK;
    }

    if (event->data.len == 1) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               "close code cut short");
    }

    event->code = ((ngx_uint_t) rd->control[0] << 8) | rd->control[1];
    event->data.data += 2;
    event->data.len -= 2;

    if (!ngx_iot_ws_close_code_valid(event->code)) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_PROTOCOL,
                               "bad close code");
    }

    if (ngx_iot_utf8_check(event->data.data, event->data.len) != NGX_OK) {
        return ngx_iot_ws_fail(rd, NGX_IOT_WS_CLOSE_BAD_DATA,
                               "bad UTF-8 in a close reason");
    }

    rd->closed = 1;

    return NGX_OK;
}


u_char *
ngx_iot_ws_header(u_char *dst, ngx_uint_t opcode, ngx_uint_t fin,
    uint64_t len, const u_char *mask)
{
    ngx_int_t   shift;
    ngx_uint_t  masked;

    masked = mask ? NGX_IOT_WS_MASKED : 0;

    *dst++ = (u_char) ((fin ? NGX_IOT_WS_FIN : 0)
                       | (opcode & NGX_IOT_WS_OPCODE));

    if (len < 126) {
        *dst++ = (u_char) (masked | len);

    } else if (len < 65536) {
        *dst++ = (u_char) (masked | 126);
        *dst++ = (u_char) (len >> 8);
        *dst++ = (u_char) len;

    } else {
        *dst++ = (u_char) (masked | 127);

        for (shift = 56; shift >= 0; shift -= 8) {
            *dst++ = (u_char) (len >> shift);
        }
    }

    if (mask) {
        dst = ngx_cpymem(dst, mask, 4);
    }

    return dst;
}


ngx_uint_t
ngx_iot_ws_mask(u_char *p, size_t len, const u_char *mask, ngx_uint_t phase)
{
    u_char      *end, turned[8];
    uint64_t     word, key;
    ngx_uint_t   i;

    if (len == 0) {
        return phase;
    }

    for (i = 0; i < 8; i++) {
        turned[i] = mask[(phase + i) & 3];
    }

    ngx_memcpy(&key, turned, 8);

    end = p + len;

    while (end - p >= 8) {
        ngx_memcpy(&word, p, 8);
        word ^= key;
        ngx_memcpy(p, &word, 8);
        p += 8;
    }

    for (i = 0; p < end; i++) {
        *p++ ^= turned[i];
    }

    return (phase + len) & 3;
}


u_char *
ngx_iot_ws_close(u_char *dst, ngx_uint_t code, const ngx_str_t *reason)
{
    size_t  len;

    if (code == NGX_IOT_WS_CLOSE_NO_STATUS) {
        return ngx_iot_ws_header(dst, NGX_IOT_WS_CLOSE, 1, 0, NULL);
    }

    len = (reason == NULL) ? 0 : reason->len;

    if (len > NGX_IOT_WS_CONTROL_MAX - 2) {
        len = NGX_IOT_WS_CONTROL_MAX - 2;

        while (len && (reason->data[len] & 0xc0) == 0x80) {
            len--;
        }
    }

    dst = ngx_iot_ws_header(dst, NGX_IOT_WS_CLOSE, 1, 2 + len, NULL);

    *dst++ = (u_char) (code >> 8);
    *dst++ = (u_char) code;

    if (len) {
        dst = ngx_cpymem(dst, reason->data, len);
    }

    return dst;
}


ngx_uint_t
ngx_iot_ws_close_code_valid(ngx_uint_t code)
{
    if (code >= 3000 && code <= 4999) {
        return 1;
    }

    switch (code) {

    case 1004:
    case 1005:
    case 1006:
        return 0;

    default:
        return code >= 1000 && code <= 1014;
    }
}


ngx_int_t
ngx_iot_ws_accept(const ngx_str_t *key, u_char accept[NGX_IOT_WS_ACCEPT_LEN])
{
    int      n;
    u_char  *p;
    u_char   digest[SHA_DIGEST_LENGTH];
    u_char   nonce[NGX_IOT_WS_KEY_LEN], again[NGX_IOT_WS_KEY_LEN + 1];
    u_char   text[NGX_IOT_WS_KEY_LEN + sizeof(NGX_IOT_WS_GUID) - 1];
    u_char   encoded[NGX_IOT_WS_ACCEPT_LEN + 1];

    if (key->len != NGX_IOT_WS_KEY_LEN) {
        return NGX_DECLINED;
    }

    n = EVP_DecodeBlock(nonce, key->data, NGX_IOT_WS_KEY_LEN);

    /* the decoder counts the padding in, and forgives more than base64 may */

    if (n != 18) {
        return NGX_DECLINED;
    }

    (void) EVP_EncodeBlock(again, nonce, 16);

    if (ngx_memcmp(again, key->data, NGX_IOT_WS_KEY_LEN) != 0) {
        return NGX_DECLINED;
    }

    p = ngx_cpymem(text, key->data, NGX_IOT_WS_KEY_LEN);
    ngx_memcpy(p, NGX_IOT_WS_GUID, sizeof(NGX_IOT_WS_GUID) - 1);

    if (SHA1(text, sizeof(text), digest) == NULL) {
        return NGX_ERROR;
    }

    (void) EVP_EncodeBlock(encoded, digest, SHA_DIGEST_LENGTH);

    ngx_memcpy(accept, encoded, NGX_IOT_WS_ACCEPT_LEN);

    return NGX_OK;
}
