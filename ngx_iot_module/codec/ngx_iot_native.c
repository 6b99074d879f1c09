
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_native.h"


/* fields of native messages */

#define NGX_IOT_NATIVE_STREAM_ID   1
#define NGX_IOT_NATIVE_SIGNAL      2
#define NGX_IOT_NATIVE_IDENTIFIER  3
#define NGX_IOT_NATIVE_RESOURCE    4
#define NGX_IOT_NATIVE_PAYLOAD     6

#define NGX_IOT_NATIVE_VARINT      0
#define NGX_IOT_NATIVE_64          1
#define NGX_IOT_NATIVE_LENGTH      2
#define NGX_IOT_NATIVE_32          5
#define NGX_IOT_NATIVE_PSON        6

#define ngx_iot_native_tag(field, wire)                                       \
    (NGX_IOT_NATIVE_##field << 3 | NGX_IOT_NATIVE_##wire)


/* the only arrays that messages themselves have are paths */

#define NGX_IOT_NATIVE_PATH_TAG    0x72


static ngx_int_t ngx_iot_native_detect_fields(u_char *pos, u_char *end,
    const char *keys);
static ngx_int_t ngx_iot_native_detect_mqtt(u_char *pos, u_char *end);
static ngx_int_t ngx_iot_native_detect_http(u_char *pos, u_char *end);
static ngx_int_t ngx_iot_native_field(ngx_iot_native_message_t *message,
    uint32_t tag, u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit);
static ngx_int_t ngx_iot_native_unknown(uint32_t tag, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit);
static ngx_int_t ngx_iot_native_text(ngx_str_t *text, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit);
static ngx_int_t ngx_iot_native_path(ngx_iot_native_message_t *message,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit);
static size_t ngx_iot_native_body_size(ngx_iot_native_message_t *message);
static size_t ngx_iot_native_path_size(ngx_iot_native_message_t *message);


/* keys a client may start with: all of its fields, in any order */

static const char  ngx_iot_native_keys[] = "\x08\x10\x1e\x26\x36";

static const char  ngx_iot_iotmp_keys[] =
    "\x08\x10\x11\x12\x18\x19\x1a\x20\x21\x22\x28\x29\x2a";

static ngx_str_t  ngx_iot_native_methods[] = {
    ngx_string("GET "),
    ngx_string("POST "),
    ngx_string("PUT "),
    ngx_string("PATCH "),
    ngx_string("DELETE "),
    ngx_string("HEAD "),
    ngx_string("OPTIONS "),
    ngx_null_string
};


ngx_int_t
ngx_iot_native_detect(ngx_uint_t *protocol, u_char *pos, u_char *end)
{
    if (pos == end) {
        return NGX_AGAIN;
    }

    switch (*pos) {

    case 0x16:
        *protocol = NGX_IOT_DETECT_TLS;
        return NGX_OK;

    case NGX_IOT_NATIVE_MESSAGE:
        *protocol = NGX_IOT_DETECT_NATIVE;
        return ngx_iot_native_detect_fields(pos + 1, end,
                                            ngx_iot_native_keys);

    case NGX_IOT_NATIVE_KEEP_ALIVE:
        *protocol = NGX_IOT_DETECT_NATIVE;
        return ngx_iot_native_detect_fields(pos + 1, end, NULL);

    case NGX_IOT_IOTMP_CONNECT:
        *protocol = NGX_IOT_DETECT_IOTMP;
        return ngx_iot_native_detect_fields(pos + 1, end,
                                            ngx_iot_iotmp_keys);

    case NGX_IOT_IOTMP_KEEP_ALIVE:
        *protocol = NGX_IOT_DETECT_IOTMP;
        return ngx_iot_native_detect_fields(pos + 1, end, NULL);

    case 0x10:
        *protocol = NGX_IOT_DETECT_MQTT;
        return ngx_iot_native_detect_mqtt(pos + 1, end);

    default:
        *protocol = NGX_IOT_DETECT_HTTP;
        return ngx_iot_native_detect_http(pos, end);
    }
}


/* a size, and one of the keys or, without keys, nothing */

static ngx_int_t
ngx_iot_native_detect_fields(u_char *pos, u_char *end, const char *keys)
{
    uint32_t    size;
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = ngx_iot_varint32(&pos, end, &size);
    if (rc != NGX_OK) {
        return rc;
    }

    if (keys == NULL) {
        return (size == 0) ? NGX_OK : NGX_DECLINED;
    }

    if (size == 0) {
        return NGX_DECLINED;
    }

    if (pos == end) {
        return NGX_AGAIN;
    }

    for (i = 0; keys[i]; i++) {
        if (*pos == (u_char) keys[i]) {
            return NGX_OK;
        }
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_iot_native_detect_mqtt(u_char *pos, u_char *end)
{
    size_t       i, n;
    const char  *name;

    /* the remaining length, not needed here, takes four bytes at most */

    for (i = 0; /* void */ ; i++) {

        if (i == 4) {
            return NGX_DECLINED;
        }

        if (pos == end) {
            return NGX_AGAIN;
        }

        if (*pos++ < 0x80) {
            break;
        }
    }

    n = sizeof("\0\4MQTT") - 1;
    name = "\0\4MQTT";

    if (end - pos > 1 && pos[1] == 6) {
        n = sizeof("\0\6MQIsdp") - 1;
        name = "\0\6MQIsdp";
    }

    for (i = 0; i < n; i++) {

        if (pos + i == end) {
            return NGX_AGAIN;
        }

        if (pos[i] != (u_char) name[i]) {
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_detect_http(u_char *pos, u_char *end)
{
    size_t      len, n;
    ngx_str_t  *method;

    len = end - pos;

    for (method = ngx_iot_native_methods; method->len; method++) {

        n = ngx_min(len, method->len);

        if (ngx_memcmp(pos, method->data, n) == 0) {
            return (n == method->len) ? NGX_OK : NGX_AGAIN;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_iot_native_frame(ngx_iot_native_frame_t *frame, ngx_uint_t protocol,
    u_char **pos, u_char *end, size_t max)
{
    u_char      *p;
    uint32_t     type, size, last;
    ngx_int_t    rc;

    p = *pos;

    last = (protocol == NGX_IOT_DETECT_NATIVE) ? NGX_IOT_NATIVE_KEEP_ALIVE
                                               : NGX_IOT_IOTMP_STREAM_DATA;

    rc = ngx_iot_varint32(&p, end, &type);
    if (rc != NGX_OK) {
        return rc;
    }

    if (type == 0 || type > last) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_varint32(&p, end, &size);
    if (rc != NGX_OK) {
        return rc;
    }

    if (size > max) {
        return NGX_BUSY;
    }

    frame->type = type;
    frame->size = size;
    *pos = p;

    return NGX_OK;
}


u_char *
ngx_iot_native_keep_alive(u_char *p, ngx_uint_t protocol)
{
    *p++ = (protocol == NGX_IOT_DETECT_NATIVE) ? NGX_IOT_NATIVE_KEEP_ALIVE
                                               : NGX_IOT_IOTMP_KEEP_ALIVE;
    *p++ = 0;

    return p;
}


ngx_int_t
ngx_iot_native_parse(ngx_iot_native_message_t *message, u_char *pos,
    u_char *end, ngx_iot_tree_limit_t *limit)
{
    uint32_t   tag;
    ngx_int_t  rc;

    ngx_memzero(message, sizeof(ngx_iot_native_message_t));

    while (pos < end) {

        rc = ngx_iot_varint32(&pos, end, &tag);

        if (rc == NGX_OK) {
            rc = ngx_iot_native_field(message, tag, &pos, end, limit);
        }

        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_DECLINED : rc;
        }
    }

    return NGX_OK;
}


/* of a field that comes twice the last one counts */

static ngx_int_t
ngx_iot_native_field(ngx_iot_native_message_t *message, uint32_t tag,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit)
{
    u_char     *start;
    uint32_t    n;
    ngx_int_t   rc;

    switch (tag) {

    case ngx_iot_native_tag(STREAM_ID, VARINT):

        rc = ngx_iot_varint32(pos, end, &n);
        if (rc != NGX_OK) {
            return rc;
        }

        message->stream_id = n;

        return (n > UINT16_MAX) ? NGX_DECLINED : NGX_OK;

    case ngx_iot_native_tag(SIGNAL, VARINT):

        rc = ngx_iot_varint32(pos, end, &n);
        if (rc != NGX_OK) {
            return rc;
        }

        message->signal = n;

        return NGX_OK;

    case ngx_iot_native_tag(IDENTIFIER, PSON):
        message->has_identifier = 1;
        return ngx_iot_native_text(&message->identifier, pos, end, limit);

    case ngx_iot_native_tag(RESOURCE, PSON):
        message->has_resource = 1;
        return ngx_iot_native_path(message, pos, end, limit);

    case ngx_iot_native_tag(PAYLOAD, PSON):

        start = *pos;

        rc = ngx_iot_pson_skip(NGX_IOT_PSON_V1, pos, end, limit);
        if (rc != NGX_OK) {
            return rc;
        }

        message->payload.data = start;
        message->payload.len = *pos - start;

        return NGX_OK;

    default:
        return ngx_iot_native_unknown(tag, pos, end, limit);
    }
}


static ngx_int_t
ngx_iot_native_unknown(uint32_t tag, u_char **pos, u_char *end,
    ngx_iot_tree_limit_t *limit)
{
    size_t      size;
    uint32_t    n;
    uint64_t    value;
    ngx_int_t   rc;

    switch (tag >> 3) {

    /* a known field with a foreign wire is broken, not unknown */

    case 0:
    case NGX_IOT_NATIVE_STREAM_ID:
    case NGX_IOT_NATIVE_SIGNAL:
    case NGX_IOT_NATIVE_IDENTIFIER:
    case NGX_IOT_NATIVE_RESOURCE:
    case NGX_IOT_NATIVE_PAYLOAD:
        return NGX_DECLINED;

    default:
        break;
    }

    switch (tag & 7) {

    case NGX_IOT_NATIVE_VARINT:
        return ngx_iot_varint64(pos, end, &value);

    case NGX_IOT_NATIVE_64:
        size = 8;
        break;

    case NGX_IOT_NATIVE_LENGTH:

        rc = ngx_iot_varint32(pos, end, &n);
        if (rc != NGX_OK) {
            return rc;
        }

        size = n;
        break;

    case NGX_IOT_NATIVE_32:
        size = 4;
        break;

    case NGX_IOT_NATIVE_PSON:
        return ngx_iot_pson_skip(NGX_IOT_PSON_V1, pos, end, limit);

    default:
        return NGX_DECLINED;
    }

    if (size > (size_t) (end - *pos)) {
        return NGX_AGAIN;
    }

    *pos += size;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_text(ngx_str_t *text, u_char **pos, u_char *end,
    ngx_iot_tree_limit_t *limit)
{
    ngx_int_t       rc;
    ngx_iot_tree_t  value;

    rc = ngx_iot_pson_scalar(&value, NGX_IOT_PSON_V1, pos, end, limit);
    if (rc != NGX_OK) {
        return rc;
    }

    if (value.type != NGX_IOT_TREE_TEXT) {
        return NGX_DECLINED;
    }

    *text = value.u.s;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_path(ngx_iot_native_message_t *message, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit)
{
    u_char     *last;
    uint32_t    tag, size;
    ngx_int_t   rc;

    message->npath = 0;

    rc = ngx_iot_varint32(pos, end, &tag);
    if (rc != NGX_OK) {
        return rc;
    }

    if (tag != NGX_IOT_NATIVE_PATH_TAG) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_varint32(pos, end, &size);
    if (rc != NGX_OK) {
        return rc;
    }

    if (size > (size_t) (end - *pos)) {
        return NGX_AGAIN;
    }

    last = *pos + size;

    while (*pos < last) {

        if (message->npath == NGX_IOT_NATIVE_MAX_PATH) {
            return NGX_BUSY;
        }

        rc = ngx_iot_native_text(&message->path[message->npath], pos, last,
                                 limit);
        if (rc != NGX_OK) {
            return rc;
        }

        message->npath++;
    }

    return NGX_OK;
}


size_t
ngx_iot_native_size(ngx_iot_native_message_t *message)
{
    size_t  size;

    size = ngx_iot_native_body_size(message);

    if (size > UINT32_MAX) {
        return 0;
    }

    return 1 + ngx_iot_varint_size(size) + size;
}


/* over 32 bits when the message cannot be encoded */

static size_t
ngx_iot_native_body_size(ngx_iot_native_message_t *message)
{
    size_t  size, n;

    size = 0;

    if (message->stream_id) {
        size += 1 + ngx_iot_varint_size(message->stream_id);
    }

    if (message->signal) {
        size += 1 + ngx_iot_varint_size(message->signal);
    }

    if (message->has_identifier) {
        n = ngx_iot_pson_text_size(NGX_IOT_PSON_V1, message->identifier.len);
        if (n == 0) {
            return SIZE_MAX;
        }

        size += 1 + n;
    }

    if (message->has_resource) {
        n = ngx_iot_native_path_size(message);
        if (n > UINT32_MAX) {
            return SIZE_MAX;
        }

        size += 2 + ngx_iot_varint_size(n) + n;
    }

    if (message->tree) {
        n = ngx_iot_pson_size(NGX_IOT_PSON_V1, message->tree);
        if (n == 0) {
            return SIZE_MAX;
        }

        size += 1 + n;

    } else if (message->payload.data) {

        if (message->payload.len > UINT32_MAX) {
            return SIZE_MAX;
        }

        size += 1 + message->payload.len;
    }

    return size;
}


static size_t
ngx_iot_native_path_size(ngx_iot_native_message_t *message)
{
    size_t      size, n;
    ngx_uint_t  i;

    size = 0;

    for (i = 0; i < message->npath; i++) {

        n = ngx_iot_pson_text_size(NGX_IOT_PSON_V1, message->path[i].len);
        if (n == 0) {
            return SIZE_MAX;
        }

        size += n;
    }

    return size;
}


u_char *
ngx_iot_native_write(u_char *p, ngx_iot_native_message_t *message)
{
    ngx_uint_t  i;

    *p++ = NGX_IOT_NATIVE_MESSAGE;
    p = ngx_iot_varint_write(p, ngx_iot_native_body_size(message));

    if (message->stream_id) {
        *p++ = ngx_iot_native_tag(STREAM_ID, VARINT);
        p = ngx_iot_varint_write(p, message->stream_id);
    }

    if (message->signal) {
        *p++ = ngx_iot_native_tag(SIGNAL, VARINT);
        p = ngx_iot_varint_write(p, message->signal);
    }

    if (message->has_identifier) {
        *p++ = ngx_iot_native_tag(IDENTIFIER, PSON);
        p = ngx_iot_pson_text_write(p, NGX_IOT_PSON_V1, &message->identifier);
    }

    if (message->has_resource) {
        *p++ = ngx_iot_native_tag(RESOURCE, PSON);
        *p++ = NGX_IOT_NATIVE_PATH_TAG;
        p = ngx_iot_varint_write(p, ngx_iot_native_path_size(message));

        for (i = 0; i < message->npath; i++) {
            p = ngx_iot_pson_text_write(p, NGX_IOT_PSON_V1,
                                        &message->path[i]);
        }
    }

    if (message->tree) {
        *p++ = ngx_iot_native_tag(PAYLOAD, PSON);
        p = ngx_iot_pson_write(p, NGX_IOT_PSON_V1, message->tree);

    } else if (message->payload.data) {
        *p++ = ngx_iot_native_tag(PAYLOAD, PSON);
        p = ngx_cpymem(p, message->payload.data, message->payload.len);
    }

    return p;
}
