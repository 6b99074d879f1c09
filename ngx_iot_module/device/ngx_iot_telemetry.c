
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_advt.h"
#include "ngx_iot_event.h"
#include "ngx_iot_key.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_telemetry.h"


#define NGX_IOT_OID_BOOL    16
#define NGX_IOT_OID_INT8    20
#define NGX_IOT_OID_INT2    21
#define NGX_IOT_OID_INT4    23
#define NGX_IOT_OID_TEXT    25
#define NGX_IOT_OID_FLOAT8  701

/* all fixed cells of a row; a text comes on top */
#define NGX_IOT_ROW_SIZE    96

#define NGX_IOT_ARRAY_HEAD  20


static ngx_int_t ngx_iot_save_keys(ngx_iot_save_t *save);
static ngx_int_t ngx_iot_save_register(ngx_iot_save_t *save);
static ngx_int_t ngx_iot_save_collect(ngx_iot_save_t *save);
static ngx_iot_save_name_t *ngx_iot_save_name(ngx_iot_save_t *save,
    ngx_str_t *key);
static void *ngx_iot_save_alloc(void *pool, size_t size);
static ngx_int_t ngx_iot_save_names(ngx_iot_save_t *save,
    ngx_iot_db_call_t *call);
static void ngx_iot_save_registered(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_save_learn(ngx_iot_save_t *save, PGresult *res);
static ngx_int_t ngx_iot_save_batch(ngx_iot_save_t *save);
static u_char *ngx_iot_save_row(u_char *p, ngx_iot_save_t *save,
    ngx_uint_t i);
static u_char *ngx_iot_save_value(u_char *p, ngx_iot_value_t *value);
static void ngx_iot_save_done(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);


static uint32_t  ngx_iot_telemetry_types[] = {
    NGX_IOT_OID_INT4, NGX_IOT_OID_INT4, NGX_IOT_OID_INT8,
    NGX_IOT_OID_BOOL, NGX_IOT_OID_INT8, NGX_IOT_OID_FLOAT8, NGX_IOT_OID_TEXT,
    NGX_IOT_OID_INT8
};

static uint32_t  ngx_iot_attribute_types[] = {
    NGX_IOT_OID_INT4, NGX_IOT_OID_INT2, NGX_IOT_OID_INT4,
    NGX_IOT_OID_BOOL, NGX_IOT_OID_INT8, NGX_IOT_OID_FLOAT8, NGX_IOT_OID_TEXT,
    NGX_IOT_OID_INT8
};


static ngx_iot_batch_kind_t  ngx_iot_telemetry_kind = {
    ngx_string("telemetry"),
    ngx_iot_db_stmt("SELECT iot.ingest_telemetry"
                    "($1, $2, $3, $4, $5, $6, $7, $8)"),
    ngx_iot_db_stmt("COPY iot.telemetry"
                    " (entity, key, ts, b, l, d, s, expires_at)"
                    " FROM STDIN (FORMAT binary)"),
    8,
    ngx_iot_telemetry_types,
    2 + 8 + 8 + 12                         /* entity, key, ts */
};


static ngx_iot_batch_kind_t  ngx_iot_attribute_kind = {
    ngx_string("attribute"),
    ngx_iot_db_stmt("SELECT iot.ingest_attributes"
                    "($1, $2, $3, $4, $5, $6, $7, $8)"),
    { ngx_null_string, 0 },
    8,
    ngx_iot_attribute_types,
    2 + 8 + 6 + 8                          /* entity, scope, key */
};


/*
 * Names become numbers, and the (entity, key) pairs of telemetry are known
 * before their first point is: the list of latest values goes by them.
 */

static ngx_iot_db_stmt_t  ngx_iot_register_stmt = ngx_iot_db_stmt(
    "SELECT k.ids, iot.ingest_keys(array_fill($1::int, "
    "ARRAY[cardinality(k.ids)]), k.ids, $3::bigint[]) "
    "FROM (SELECT iot.key_ids($2::text[]) AS ids OFFSET 0) k");

static ngx_iot_db_stmt_t  ngx_iot_key_ids_stmt = ngx_iot_db_stmt(
    "SELECT iot.key_ids($1::text[])");


static ngx_uint_t  ngx_iot_telemetry_batch;
static ngx_uint_t  ngx_iot_attribute_batch;


ngx_int_t
ngx_iot_telemetry_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_telemetry_batch = ngx_iot_batch_register(&ngx_iot_telemetry_kind);
    ngx_iot_attribute_batch = ngx_iot_batch_register(&ngx_iot_attribute_kind);

    return NGX_OK;
}


ngx_int_t
ngx_iot_save(ngx_iot_save_t *save)
{
    ngx_int_t  rc;

    save->call = NULL;
    save->entry = NULL;

    if (save->npoints == 0) {
        return NGX_OK;
    }

    save->keys = ngx_palloc(save->pool, save->npoints * sizeof(uint32_t));
    if (save->keys == NULL) {
        return NGX_BUSY;
    }

    rc = ngx_iot_save_keys(save);

    if (rc == NGX_DECLINED) {
        return ngx_iot_save_register(save);
    }

    return ngx_iot_save_batch(save);
}


/* NGX_DECLINED: some are not known here, or not registered for the device */

static ngx_int_t
ngx_iot_save_keys(ngx_iot_save_t *save)
{
    uint32_t    key;
    ngx_int_t   rc;
    ngx_uint_t  i;

    rc = NGX_OK;

    for (i = 0; i < save->npoints; i++) {

        if (i && save->points[i].key.len == save->points[i - 1].key.len
            && ngx_memcmp(save->points[i].key.data,
                          save->points[i - 1].key.data,
                          save->points[i].key.len)
               == 0)
        {
            save->keys[i] = save->keys[i - 1];
            continue;
        }

        key = ngx_iot_key_find(&save->points[i].key);

        if (key
            && save->scope == 0
            && !ngx_iot_device_has_key(save->device, key))
        {
            key = 0;
        }

        save->keys[i] = key;

        if (key == 0) {
            rc = NGX_DECLINED;
        }
    }

    return rc;
}


static ngx_int_t
ngx_iot_save_register(ngx_iot_save_t *save)
{
    u_char             *p;
    ngx_int_t           rc;
    ngx_uint_t          i, n;
    ngx_iot_db_call_t  *call;

    if (ngx_iot_save_collect(save) != NGX_OK) {
        return NGX_BUSY;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL,
                             save->scope ? &ngx_iot_key_ids_stmt
                                         : &ngx_iot_register_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_BUSY;
    }

    n = save->nnames;

    if (save->scope == 0) {
        p = ngx_pnalloc(call->pool, 4);
        if (p == NULL) {
            goto failed;
        }

        (void) ngx_iot_put32(p, save->device->nr);
        ngx_iot_db_param(call, p, 4, 1);
    }

    rc = ngx_iot_save_names(save, call);
    if (rc != NGX_OK) {
        goto failed;
    }

    if (save->scope == 0) {
        p = ngx_pnalloc(call->pool, NGX_IOT_ARRAY_HEAD + n * 12);
        if (p == NULL) {
            goto failed;
        }

        ngx_iot_db_param(call, p, NGX_IOT_ARRAY_HEAD + n * 12, 1);

        p = ngx_iot_put32(p, 1);
        p = ngx_iot_put32(p, 0);
        p = ngx_iot_put32(p, NGX_IOT_OID_INT8);
        p = ngx_iot_put32(p, n);
        p = ngx_iot_put32(p, 1);

        for (i = 0; i < n; i++) {
            p = ngx_iot_cell_int8(p, save->names[i].ts);
        }
    }

    call->binary = 1;
    call->data = save;
    call->done = ngx_iot_save_registered;

    if (ngx_iot_db_send(call) != NGX_OK) {
        goto failed;
    }

    save->call = call;

    return NGX_AGAIN;

failed:

    ngx_destroy_pool(call->pool);

    return NGX_BUSY;
}


/*
 * The names that have to be asked for, each once: a device that sends what it
 * has kept for long sends a few keys very often.
 */

static ngx_int_t
ngx_iot_save_collect(ngx_iot_save_t *save)
{
    ngx_uint_t            i, n;
    ngx_iot_save_name_t  *name;

    for (n = 0, i = 0; i < save->npoints; i++) {
        n += (save->keys[i] == 0);
    }

    save->names = ngx_palloc(save->pool, n * sizeof(ngx_iot_save_name_t));
    if (save->names == NULL) {
        return NGX_ERROR;
    }

    save->nnames = 0;
    save->alloc.alloc = ngx_iot_save_alloc;
    save->alloc.data = save->pool;

    ngx_iot_keyset_init(&save->set);

    for (i = 0; i < save->npoints; i++) {

        if (save->keys[i]) {
            continue;
        }

        name = ngx_iot_save_name(save, &save->points[i].key);

        if (name) {
            name->ts = ngx_min(name->ts, save->points[i].ts);
            continue;
        }

        name = &save->names[save->nnames++];

        name->key = save->points[i].key;
        name->ts = save->points[i].ts;
        name->id = 0;

        if (ngx_iot_keyset_add(&save->set, save->names,
                               sizeof(ngx_iot_save_name_t), &save->alloc)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_iot_save_name_t *
ngx_iot_save_name(ngx_iot_save_t *save, ngx_str_t *key)
{
    ngx_uint_t  i;

    i = ngx_iot_keyset_find(&save->set, save->names,
                            sizeof(ngx_iot_save_name_t), key);

    return (i == NGX_IOT_KEYSET_NONE) ? NULL : &save->names[i];
}


static void *
ngx_iot_save_alloc(void *pool, size_t size)
{
    return ngx_palloc(pool, size);
}


static ngx_int_t
ngx_iot_save_names(ngx_iot_save_t *save, ngx_iot_db_call_t *call)
{
    size_t      size;
    u_char     *p;
    ngx_uint_t  i;

    size = NGX_IOT_ARRAY_HEAD;

    for (i = 0; i < save->nnames; i++) {
        size += 4 + save->names[i].key.len;
    }

    p = ngx_pnalloc(call->pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(call, p, size, 1);

    p = ngx_iot_put32(p, 1);
    p = ngx_iot_put32(p, 0);
    p = ngx_iot_put32(p, NGX_IOT_OID_TEXT);
    p = ngx_iot_put32(p, save->nnames);
    p = ngx_iot_put32(p, 1);

    for (i = 0; i < save->nnames; i++) {
        p = ngx_iot_cell_text(p, &save->names[i].key);
    }

    return NGX_OK;
}


static void
ngx_iot_save_registered(ngx_iot_db_call_t *call)
{
    ngx_int_t        rc;
    ngx_iot_save_t  *save;
    ngx_iot_error_t  err;

    save = call->data;
    save->call = NULL;

    if (call->rc != NGX_OK) {
        rc = (call->error.status < 500) ? NGX_DECLINED : NGX_ERROR;
        save->saved(save, rc, &call->error);
        return;
    }

    if (ngx_iot_save_learn(save, call->result) == NGX_OK
        && ngx_iot_save_batch(save) == NGX_AGAIN)
    {
        return;
    }

    ngx_iot_error_set(&err, 503, "unavailable", "Storage is not available");
    save->saved(save, NGX_ERROR, &err);
}


/* the numbers come as one int4[], in the order of the names */

static ngx_int_t
ngx_iot_save_learn(ngx_iot_save_t *save, PGresult *res)
{
    int                   len;
    u_char               *p;
    ngx_uint_t            i;
    ngx_iot_save_name_t  *name;

    if (PQntuples(res) != 1) {
        return NGX_ERROR;
    }

    p = (u_char *) PQgetvalue(res, 0, 0);
    len = PQgetlength(res, 0, 0);

    if (len != (int) (NGX_IOT_ARRAY_HEAD + save->nnames * 8)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "iot.key_ids() returned %d bytes for %ui keys", len,
                      save->nnames);
        return NGX_ERROR;
    }

    p += NGX_IOT_ARRAY_HEAD;

    for (i = 0; i < save->nnames; i++) {
        name = &save->names[i];

        name->id = (uint32_t) p[4] << 24 | p[5] << 16 | p[6] << 8 | p[7];
        p += 8;

        ngx_iot_key_learn(&name->key, name->id);

        if (save->scope == 0
            && ngx_iot_device_add_key(save->device, name->id) != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < save->npoints; i++) {

        if (save->keys[i] == 0) {
            name = ngx_iot_save_name(save, &save->points[i].key);

            /* all that were unknown are among them */
            save->keys[i] = name->id;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_save_batch(ngx_iot_save_t *save)
{
    u_char                 *p;
    size_t                  size;
    ngx_uint_t              i, kind;
    ngx_iot_value_t        *value;
    ngx_iot_batch_entry_t  *entry;

    kind = save->scope ? ngx_iot_attribute_batch : ngx_iot_telemetry_batch;

    entry = ngx_iot_batch_begin(kind, save->npoints);
    if (entry == NULL) {
        return NGX_BUSY;
    }

    for (i = 0; i < save->npoints; i++) {
        value = &save->points[i].value;

        size = NGX_IOT_ROW_SIZE;

        if (value->type == NGX_IOT_TEXT || value->type == NGX_IOT_JSON) {
            size += value->u.s.len;
        }

        p = ngx_iot_batch_row(kind, size);
        if (p == NULL) {
            ngx_iot_batch_cancel(kind, entry);
            return NGX_BUSY;
        }

        ngx_iot_batch_row_end(kind, ngx_iot_save_row(p, save, i));
    }

    save->entry = entry;
    ngx_iot_batch_end(kind, entry, ngx_iot_save_done, save);

    return NGX_AGAIN;
}


static u_char *
ngx_iot_save_row(u_char *p, ngx_iot_save_t *save, ngx_uint_t i)
{
    ngx_iot_point_t  *point;

    point = &save->points[i];

    p = ngx_iot_cell_int4(p, save->device->nr);

    if (save->scope) {
        p = ngx_iot_cell_int2(p, save->scope);
        p = ngx_iot_cell_int4(p, save->keys[i]);
        p = ngx_iot_save_value(p, &point->value);
        return ngx_iot_cell_int8(p, point->ts);
    }

    p = ngx_iot_cell_int4(p, save->keys[i]);
    p = ngx_iot_cell_int8(p, point->ts);
    p = ngx_iot_save_value(p, &point->value);

    return ngx_iot_cell_null(p);
}


/* columns b, l, d, s; JSON is a text with b set */

static u_char *
ngx_iot_save_value(u_char *p, ngx_iot_value_t *value)
{
    switch (value->type) {

    case NGX_IOT_BOOL:
        p = ngx_iot_cell_bool(p, value->u.l != 0);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        return ngx_iot_cell_null(p);

    case NGX_IOT_LONG:
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_int8(p, value->u.l);
        p = ngx_iot_cell_null(p);
        return ngx_iot_cell_null(p);

    case NGX_IOT_DOUBLE:
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_double(p, value->u.d);
        return ngx_iot_cell_null(p);

    case NGX_IOT_JSON:
        p = ngx_iot_cell_bool(p, 1);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        return ngx_iot_cell_text(p, &value->u.s);

    default: /* NGX_IOT_TEXT */
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        return ngx_iot_cell_text(p, &value->u.s);
    }
}


static void
ngx_iot_save_done(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_save_t  *save = data;

    save->entry = NULL;

    if (rc == NGX_OK) {
        ngx_iot_add(points, save->npoints);

        ngx_iot_event_publish_points(save->device->tenant, save->device->id,
                                     save->scope ? NGX_IOT_EVENT_CLIENT
                                                 : NGX_IOT_EVENT_TELEMETRY,
                                     save->points, save->npoints);

        ngx_iot_advt_report(save);

    } else {
        ngx_iot_add(points_refused, save->npoints);
    }

    save->saved(save, rc, err);
}


void
ngx_iot_save_abandon(ngx_iot_save_t *save)
{
    if (save->call) {
        ngx_iot_db_abandon(save->call);
        save->call = NULL;
    }

    if (save->entry) {
        ngx_iot_batch_abandon(save->entry);
        save->entry = NULL;
    }
}
