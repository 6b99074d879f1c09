
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_utf8.h"
#include "ngx_iot_batch.h"
#include "ngx_iot_gateway.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_OID_TEXT            25
#define NGX_IOT_ARRAY_HEAD          20

#define NGX_IOT_GATEWAY_COL_REFUSED 9
#define NGX_IOT_GATEWAY_COL_OVER    10


static void ngx_iot_gateway_done(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_gateway_rows(ngx_iot_gateway_find_t *find,
    PGresult *res);
static ngx_uint_t ngx_iot_gateway_reason(PGresult *res, int row);


static ngx_iot_db_stmt_t  ngx_iot_gateway_stmt = ngx_iot_db_stmt(
    "SELECT device_id, nr, tenant_id, customer_id, profile_id, name, gateway,"
    " cast_strings, enabled, refused, overwrite"
    " FROM iot.gateway_devices($1::uuid, $2::uuid, $3::text[], $4::text[],"
    " $5::boolean)");


ngx_int_t
ngx_iot_gateway_find(ngx_iot_gateway_find_t *find)
{
    ngx_str_t           id;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_gateway_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_BUSY;
    }

    id.len = NGX_IOT_UUID_TEXT;
    id.data = find->gateway->tenant;

    if (ngx_iot_db_text(call, &id) != NGX_OK) {
        goto failed;
    }

    id.data = find->gateway->id;

    if (ngx_iot_db_text(call, &id) != NGX_OK
        || ngx_iot_gateway_texts(call, &find->items[0].name,
                                 sizeof(ngx_iot_gateway_item_t), find->n)
           != NGX_OK
        || ngx_iot_gateway_texts(call, &find->items[0].type,
                                 sizeof(ngx_iot_gateway_item_t), find->n)
           != NGX_OK)
    {
        goto failed;
    }

    ngx_iot_db_param(call, find->make ? "t" : "f", 1, 0);

    find->changes = ngx_iot_zone_changes();

    call->data = find;
    call->done = ngx_iot_gateway_done;

    if (ngx_iot_db_send(call) == NGX_OK) {
        return NGX_AGAIN;
    }

failed:

    ngx_destroy_pool(call->pool);

    return NGX_BUSY;
}


ngx_int_t
ngx_iot_gateway_texts(ngx_iot_db_call_t *call, ngx_str_t *text, size_t size,
    ngx_uint_t n)
{
    size_t       len;
    u_char      *p, *next;
    ngx_uint_t   i;

    len = NGX_IOT_ARRAY_HEAD;
    next = (u_char *) text;

    for (i = 0; i < n; i++) {
        len += 4 + ((ngx_str_t *) next)->len;
        next += size;
    }

    p = ngx_pnalloc(call->pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(call, p, len, 1);

    p = ngx_iot_put32(p, 1);
    p = ngx_iot_put32(p, 0);
    p = ngx_iot_put32(p, NGX_IOT_OID_TEXT);
    p = ngx_iot_put32(p, n);
    p = ngx_iot_put32(p, 1);

    next = (u_char *) text;

    for (i = 0; i < n; i++) {
        text = (ngx_str_t *) next;

        p = ngx_iot_put32(p, text->len);

        if (text->len) {
            p = ngx_cpymem(p, text->data, text->len);
        }

        next += size;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_iot_gateway_name(ngx_str_t *name)
{
    size_t  i, n;

    if (name->len == 0
        || ngx_strlchr(name->data, name->data + name->len, '\0')
        || ngx_iot_utf8_check(name->data, name->len) != NGX_OK)
    {
        return 0;
    }

    for (i = 0, n = 0; i < name->len; i++) {
        n += ((name->data[i] & 0xc0) != 0x80);
    }

    return n <= NGX_IOT_GATEWAY_MAX_NAME;
}


static void
ngx_iot_gateway_done(ngx_iot_db_call_t *call)
{
    ngx_int_t                rc;
    ngx_iot_gateway_find_t  *find;

    find = call->data;

    if (call->rc != NGX_OK) {
        rc = NGX_ERROR;

    } else if (PQntuples(call->result) == 0) {
        rc = NGX_DECLINED;

    } else {
        rc = ngx_iot_gateway_rows(find, call->result);
    }

    find->found(find, rc);
}


/* one for each item, in their order */

static ngx_int_t
ngx_iot_gateway_rows(ngx_iot_gateway_find_t *find, PGresult *res)
{
    ngx_uint_t               i, changed;
    ngx_iot_gateway_item_t  *item;

    if ((ngx_uint_t) PQntuples(res) != find->n) {
        return NGX_ERROR;
    }

    changed = (find->changes != ngx_iot_zone_changes());
    find->overwrite = PQgetvalue(res, 0, NGX_IOT_GATEWAY_COL_OVER)[0] == 't';

    for (i = 0; i < find->n; i++) {
        item = &find->items[i];

        item->refused = ngx_iot_gateway_reason(res, i);

        if (item->refused) {
            continue;
        }

        item->device = ngx_iot_device_behind(find->gateway, res, i);

        if (item->device == NULL) {
            goto failed;
        }

        /* good for what it was asked for */
        item->device->once = changed ? 1 : 0;
    }

    return NGX_OK;

failed:

    while (i--) {
        if (find->items[i].device) {
            ngx_iot_device_release(find->items[i].device);
            find->items[i].device = NULL;
        }
    }

    return NGX_ERROR;
}


static ngx_uint_t
ngx_iot_gateway_reason(PGresult *res, int row)
{
    if (PQgetisnull(res, row, NGX_IOT_GATEWAY_COL_REFUSED)) {
        return NGX_IOT_GATEWAY_FOUND;
    }

    switch (PQgetvalue(res, row, NGX_IOT_GATEWAY_COL_REFUSED)[0]) {

    case 'm':
        return NGX_IOT_GATEWAY_MISSING;

    case 'f':
        return NGX_IOT_GATEWAY_FOREIGN;

    case 'l':
        return NGX_IOT_GATEWAY_LIMIT;

    default:
        return NGX_IOT_GATEWAY_INVALID;
    }
}
