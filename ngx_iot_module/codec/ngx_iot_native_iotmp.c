
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_native.h"


static ngx_int_t ngx_iot_iotmp_parse_field(ngx_iot_iotmp_message_t *message,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit);
static ngx_int_t ngx_iot_iotmp_parse_value(ngx_iot_iotmp_field_t *field,
    u_char **pos, u_char *end, ngx_iot_tree_limit_t *limit);
static ngx_uint_t ngx_iot_iotmp_old_resource(
    ngx_iot_iotmp_message_t *message);
static ngx_iot_iotmp_field_t *ngx_iot_iotmp_slot(
    ngx_iot_iotmp_message_t *message, ngx_uint_t id);
static ngx_iot_iotmp_field_t *ngx_iot_iotmp_set(
    ngx_iot_iotmp_message_t *message, ngx_uint_t id);
static ngx_int_t ngx_iot_iotmp_scalar(ngx_iot_iotmp_field_t *field,
    ngx_iot_tree_t *value);
static size_t ngx_iot_iotmp_body_size(ngx_iot_iotmp_message_t *message);
static size_t ngx_iot_iotmp_value_size(ngx_iot_iotmp_field_t *field);
static u_char *ngx_iot_iotmp_write_value(u_char *p,
    ngx_iot_iotmp_field_t *field);


ngx_int_t
ngx_iot_iotmp_parse(ngx_iot_iotmp_message_t *message, ngx_uint_t type,
    ngx_uint_t version, u_char *pos, u_char *end,
    ngx_iot_tree_limit_t *limit)
{
    ngx_int_t  rc;

    message->type = type;
    message->stream_id = 0;
    message->version = version;
    message->nfields = 0;

    while (pos < end) {

        rc = ngx_iot_iotmp_parse_field(message, &pos, end, limit);
        if (rc != NGX_OK) {
            return (rc == NGX_AGAIN) ? NGX_DECLINED : rc;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_iotmp_parse_field(ngx_iot_iotmp_message_t *message, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit)
{
    uint32_t                key;
    ngx_int_t               rc;
    ngx_iot_iotmp_field_t   field, *slot;

    rc = ngx_iot_varint32(pos, end, &key);
    if (rc != NGX_OK) {
        return rc;
    }

    ngx_memzero(&field, sizeof(ngx_iot_iotmp_field_t));

    field.id = key >> 3;
    field.wire = key & 7;

    if (field.id == 0) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_iotmp_parse_value(&field, pos, end, limit);
    if (rc != NGX_OK) {
        return rc;
    }

    /* whoever mixes both forms is still understood: each wire says its own */

    if (message->version == 0) {
        message->version = field.wire;
    }

    if (field.id == NGX_IOT_IOTMP_STREAM_ID) {

        if (field.wire != NGX_IOT_IOTMP_WIRE_NUMBER
            || field.number > UINT32_MAX)
        {
            return NGX_DECLINED;
        }

        message->stream_id = field.number;
    }

    if (field.id > NGX_IOT_IOTMP_MAX_FIELDS) {
        return NGX_OK;
    }

    slot = ngx_iot_iotmp_slot(message, field.id);
    *slot = field;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_iotmp_parse_value(ngx_iot_iotmp_field_t *field, u_char **pos,
    u_char *end, ngx_iot_tree_limit_t *limit)
{
    u_char     *start;
    ngx_int_t   rc;

    switch (field->wire) {

    case NGX_IOT_IOTMP_WIRE_NUMBER:
        return ngx_iot_varint64(pos, end, &field->number);

    case NGX_IOT_IOTMP_WIRE_PSON1:
    case NGX_IOT_IOTMP_WIRE_PSON2:

        start = *pos;

        /* the wires are numbered like the versions */

        rc = ngx_iot_pson_skip(field->wire, pos, end, limit);

        field->pson.data = start;
        field->pson.len = *pos - start;

        return rc;

    default:
        return NGX_DECLINED;
    }
}


ngx_iot_iotmp_field_t *
ngx_iot_iotmp_field(ngx_iot_iotmp_message_t *message, ngx_uint_t id)
{
    ngx_uint_t  i;

    for (i = 0; i < message->nfields; i++) {
        if (message->fields[i].id == id) {
            return &message->fields[i];
        }
    }

    return NULL;
}


ngx_iot_iotmp_field_t *
ngx_iot_iotmp_resource(ngx_iot_iotmp_message_t *message)
{
    return ngx_iot_iotmp_field(message, ngx_iot_iotmp_old_resource(message)
                                        ? NGX_IOT_IOTMP_OLD_RESOURCE
                                        : NGX_IOT_IOTMP_RESOURCE);
}


ngx_iot_iotmp_field_t *
ngx_iot_iotmp_payload(ngx_iot_iotmp_message_t *message)
{
    if (ngx_iot_iotmp_old_resource(message)) {
        return NULL;
    }

    return ngx_iot_iotmp_field(message, NGX_IOT_IOTMP_PAYLOAD);
}


static ngx_uint_t
ngx_iot_iotmp_old_resource(ngx_iot_iotmp_message_t *message)
{
    return message->version == NGX_IOT_PSON_V1
           && (message->type == NGX_IOT_IOTMP_DESCRIBE
               || message->type == NGX_IOT_IOTMP_START_STREAM);
}


ngx_int_t
ngx_iot_iotmp_call(ngx_iot_iotmp_message_t *message, uint64_t *number,
    ngx_iot_iotmp_field_t **target)
{
    ngx_iot_iotmp_field_t  *resource, *parameters;

    resource = ngx_iot_iotmp_resource(message);
    parameters = ngx_iot_iotmp_field(message, NGX_IOT_IOTMP_PARAMETERS);

    if (ngx_iot_iotmp_get_number(resource, number) == NGX_OK) {
        *target = parameters;
        return NGX_OK;
    }

    if (ngx_iot_iotmp_get_number(parameters, number) == NGX_OK) {
        *target = resource;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_iot_iotmp_get_text(ngx_iot_iotmp_field_t *field, ngx_str_t *text)
{
    ngx_iot_tree_t  value;

    if (ngx_iot_iotmp_scalar(field, &value) != NGX_OK
        || value.type != NGX_IOT_TREE_TEXT)
    {
        return NGX_DECLINED;
    }

    *text = value.u.s;

    return NGX_OK;
}


ngx_int_t
ngx_iot_iotmp_get_number(ngx_iot_iotmp_field_t *field, uint64_t *number)
{
    ngx_iot_tree_t  value;

    if (ngx_iot_iotmp_scalar(field, &value) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (value.type == NGX_IOT_TREE_UINT
        || (value.type == NGX_IOT_TREE_INT && value.u.i >= 0))
    {
        *number = value.u.n;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_iot_iotmp_scalar(ngx_iot_iotmp_field_t *field, ngx_iot_tree_t *value)
{
    u_char  *pos;

    if (field == NULL) {
        return NGX_DECLINED;
    }

    if (field->wire == NGX_IOT_IOTMP_WIRE_NUMBER) {
        value->type = (field->number > INT64_MAX) ? NGX_IOT_TREE_UINT
                                                  : NGX_IOT_TREE_INT;
        value->u.n = field->number;
        return NGX_OK;
    }

    pos = field->pson.data;

    return ngx_iot_pson_scalar(value, field->wire, &pos,
                               pos + field->pson.len, NULL);
}


ngx_int_t
ngx_iot_iotmp_get_tree(ngx_iot_iotmp_field_t *field, ngx_iot_tree_t **tree,
    ngx_iot_tree_limit_t *limit, ngx_iot_alloc_t *alloc)
{
    u_char  *pos;

    if (field == NULL) {
        return NGX_DECLINED;
    }

    if (field->wire == NGX_IOT_IOTMP_WIRE_NUMBER) {
        *tree = ngx_iot_tree_uint(alloc, field->number);
        return (*tree == NULL) ? NGX_ERROR : NGX_OK;
    }

    pos = field->pson.data;

    return ngx_iot_pson_decode(tree, field->wire, &pos,
                               pos + field->pson.len, limit, alloc);
}


void
ngx_iot_iotmp_init(ngx_iot_iotmp_message_t *message, ngx_uint_t type,
    ngx_uint_t version, ngx_uint_t stream_id)
{
    ngx_iot_iotmp_field_t  *field;

    message->type = type;
    message->stream_id = stream_id;
    message->version = version;
    message->nfields = 0;

    if (stream_id == 0) {
        return;
    }

    field = ngx_iot_iotmp_slot(message, NGX_IOT_IOTMP_STREAM_ID);

    ngx_memzero(field, sizeof(ngx_iot_iotmp_field_t));

    field->id = NGX_IOT_IOTMP_STREAM_ID;
    field->wire = NGX_IOT_IOTMP_WIRE_NUMBER;
    field->number = stream_id;
}


/* the place of this field, or the next free one: there is one for each id */

static ngx_iot_iotmp_field_t *
ngx_iot_iotmp_slot(ngx_iot_iotmp_message_t *message, ngx_uint_t id)
{
    ngx_iot_iotmp_field_t  *field;

    field = ngx_iot_iotmp_field(message, id);

    if (field) {
        return field;
    }

    return &message->fields[message->nfields++];
}


static ngx_iot_iotmp_field_t *
ngx_iot_iotmp_set(ngx_iot_iotmp_message_t *message, ngx_uint_t id)
{
    ngx_iot_iotmp_field_t  *field;

    if (id == 0 || id > NGX_IOT_IOTMP_MAX_FIELDS) {
        return NULL;
    }

    field = ngx_iot_iotmp_slot(message, id);

    ngx_memzero(field, sizeof(ngx_iot_iotmp_field_t));

    field->id = id;
    field->wire = (message->version == NGX_IOT_PSON_V1)
                  ? NGX_IOT_IOTMP_WIRE_PSON1
                  : NGX_IOT_IOTMP_WIRE_PSON2;

    return field;
}


ngx_int_t
ngx_iot_iotmp_set_text(ngx_iot_iotmp_message_t *message, ngx_uint_t id,
    ngx_str_t *text)
{
    ngx_iot_iotmp_field_t  *field;

    field = ngx_iot_iotmp_set(message, id);
    if (field == NULL) {
        return NGX_DECLINED;
    }

    field->text = *text;

    return NGX_OK;
}


ngx_int_t
ngx_iot_iotmp_set_tree(ngx_iot_iotmp_message_t *message, ngx_uint_t id,
    ngx_iot_tree_t *tree)
{
    ngx_iot_iotmp_field_t  *field;

    field = ngx_iot_iotmp_set(message, id);
    if (field == NULL) {
        return NGX_DECLINED;
    }

    field->tree = tree;

    return NGX_OK;
}


ngx_int_t
ngx_iot_iotmp_set_pson(ngx_iot_iotmp_message_t *message, ngx_uint_t id,
    ngx_str_t *pson)
{
    ngx_iot_iotmp_field_t  *field;

    field = ngx_iot_iotmp_set(message, id);
    if (field == NULL) {
        return NGX_DECLINED;
    }

    field->pson = *pson;

    return NGX_OK;
}


ngx_int_t
ngx_iot_iotmp_set_resource(ngx_iot_iotmp_message_t *message, ngx_str_t *text)
{
    return ngx_iot_iotmp_set_text(message,
                                  ngx_iot_iotmp_old_resource(message)
                                  ? NGX_IOT_IOTMP_OLD_RESOURCE
                                  : NGX_IOT_IOTMP_RESOURCE,
                                  text);
}


size_t
ngx_iot_iotmp_size(ngx_iot_iotmp_message_t *message)
{
    size_t  size;

    size = ngx_iot_iotmp_body_size(message);

    if (size > UINT32_MAX) {
        return 0;
    }

    return ngx_iot_varint_size(message->type) + ngx_iot_varint_size(size)
           + size;
}


/* over 32 bits when the message cannot be encoded */

static size_t
ngx_iot_iotmp_body_size(ngx_iot_iotmp_message_t *message)
{
    size_t      size, n;
    ngx_uint_t  i;

    size = 0;

    for (i = 0; i < message->nfields; i++) {

        n = ngx_iot_iotmp_value_size(&message->fields[i]);
        if (n == 0 || n > UINT32_MAX) {
            return SIZE_MAX;
        }

        size += 1 + n;
    }

    return size;
}


static size_t
ngx_iot_iotmp_value_size(ngx_iot_iotmp_field_t *field)
{
    if (field->wire == NGX_IOT_IOTMP_WIRE_NUMBER) {
        return ngx_iot_varint_size(field->number);
    }

    if (field->tree) {
        return ngx_iot_pson_size(field->wire, field->tree);
    }

    if (field->pson.data) {
        return field->pson.len;
    }

    return ngx_iot_pson_text_size(field->wire, field->text.len);
}


u_char *
ngx_iot_iotmp_write(u_char *p, ngx_iot_iotmp_message_t *message)
{
    ngx_uint_t              i;
    ngx_iot_iotmp_field_t  *field;

    p = ngx_iot_varint_write(p, message->type);
    p = ngx_iot_varint_write(p, ngx_iot_iotmp_body_size(message));

    for (i = 0; i < message->nfields; i++) {
        field = &message->fields[i];

        *p++ = (u_char) (field->id << 3 | field->wire);
        p = ngx_iot_iotmp_write_value(p, field);
    }

    return p;
}


static u_char *
ngx_iot_iotmp_write_value(u_char *p, ngx_iot_iotmp_field_t *field)
{
    if (field->wire == NGX_IOT_IOTMP_WIRE_NUMBER) {
        return ngx_iot_varint_write(p, field->number);
    }

    if (field->tree) {
        return ngx_iot_pson_write(p, field->wire, field->tree);
    }

    if (field->pson.data) {
        return ngx_cpymem(p, field->pson.data, field->pson.len);
    }

    return ngx_iot_pson_text_write(p, field->wire, &field->text);
}
