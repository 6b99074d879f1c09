
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_device_rate.h"
#include "ngx_iot_native_session.h"


/*
 * What a device asks of the server.  One SQL function does all of it but to
 * call another device, of which it only says which one that is.
 */


typedef struct {
    ngx_queue_t                queue;
    ngx_pool_t                *pool;
    ngx_iot_native_session_t  *session;   /* NULL: it has gone */
    ngx_uint_t                 stream_id;
    ngx_uint_t                 number;
    ngx_str_t                  path;
    ngx_str_t                  payload;   /* JSON; data NULL: none */
    ngx_iot_native_call_t      call;
    unsigned                   quiet:1;
} ngx_iot_native_op_t;


static ngx_iot_native_op_t *ngx_iot_native_op(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev);
static ngx_int_t ngx_iot_native_op_send(ngx_iot_native_op_t *op,
    ngx_str_t *target);
static void ngx_iot_native_op_done(ngx_iot_db_call_t *dbc);
static void ngx_iot_native_op_call(ngx_iot_native_op_t *op, PGresult *res);
static void ngx_iot_native_op_called(ngx_iot_native_call_t *call,
    ngx_uint_t status, ngx_uint_t kind, ngx_str_t *body);
static void ngx_iot_native_op_answer(ngx_iot_native_op_t *op, ngx_uint_t ok,
    ngx_uint_t kind, ngx_str_t *body);
static void ngx_iot_native_op_free(ngx_iot_native_op_t *op);


static ngx_iot_db_stmt_t  ngx_iot_native_ask_stmt = ngx_iot_db_stmt(
    "SELECT ok, value, device_id"
    " FROM iot.native_ask($1::uuid, $2::uuid, $3::integer, $4, $5::json)");


void
ngx_iot_native_ask(ngx_iot_native_session_t *s, ngx_iot_native_event_t *ev,
    ngx_pool_t *pool)
{
    ngx_iot_native_op_t  *op;

    if (ev->number == 0
        || ev->target.len == 0
        || s->nasked >= NGX_IOT_NATIVE_MAX_ASKED
        || ngx_iot_device_rate(s->device, 1,
                               ev->number == NGX_IOT_NATIVE_ASK_BUCKET, 0)
           != NGX_OK)
    {
        goto failed;
    }

    op = ngx_iot_native_op(s, ev);
    if (op == NULL) {
        goto failed;
    }

    if (ngx_iot_native_op_send(op, &ev->target) == NGX_OK) {
        return;
    }

    ngx_iot_native_op_free(op);

failed:

    if (!ev->quiet) {
        (void) ngx_iot_native_say_answer(s, 0, ev->stream_id, NULL, pool);
    }
}


static ngx_iot_native_op_t *
ngx_iot_native_op(ngx_iot_native_session_t *s, ngx_iot_native_event_t *ev)
{
    u_char               *p;
    ngx_pool_t           *pool;
    ngx_iot_native_op_t  *op;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    op = ngx_pcalloc(pool, sizeof(ngx_iot_native_op_t));
    if (op == NULL) {
        goto failed;
    }

    op->pool = pool;
    op->stream_id = ev->stream_id;
    op->number = ev->number;
    op->quiet = ev->quiet;

    op->path.len = ev->path.len;
    op->path.data = ngx_pnalloc(pool, ev->path.len + 1);

    if (op->path.data == NULL) {
        goto failed;
    }

    ngx_memcpy(op->path.data, ev->path.data ? ev->path.data : (u_char *) "",
               ev->path.len);

    if (ev->payload) {
        p = ngx_pnalloc(pool, ngx_iot_tree_json_size(ev->payload));
        if (p == NULL) {
            goto failed;
        }

        op->payload.data = p;
        op->payload.len = ngx_iot_tree_json_write(p, ev->payload) - p;
    }

    op->session = s;
    ngx_queue_insert_tail(&s->asked, &op->queue);
    s->nasked++;

    return op;

failed:

    ngx_destroy_pool(pool);

    return NULL;
}


static ngx_int_t
ngx_iot_native_op_send(ngx_iot_native_op_t *op, ngx_str_t *target)
{
    u_char              buf[NGX_INT_T_LEN];
    ngx_str_t           value;
    ngx_iot_device_t   *device;
    ngx_iot_db_call_t  *dbc;

    if (ngx_strlchr(target->data, target->data + target->len, '\0')) {
        return NGX_DECLINED;
    }

    dbc = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_native_ask_stmt,
                            ngx_cycle->log);
    if (dbc == NULL) {
        return NGX_ERROR;
    }

    device = op->session->device;

    value.len = NGX_IOT_UUID_TEXT;
    value.data = device->tenant;

    if (ngx_iot_db_text(dbc, &value) != NGX_OK) {
        goto failed;
    }

    value.data = device->id;

    if (ngx_iot_db_text(dbc, &value) != NGX_OK) {
        goto failed;
    }

    value.data = buf;
    value.len = ngx_sprintf(buf, "%ui", op->number) - buf;

    if (ngx_iot_db_text(dbc, &value) != NGX_OK
        || ngx_iot_db_text(dbc, target) != NGX_OK
        || ngx_iot_db_text(dbc, op->payload.data ? &op->payload : NULL)
           != NGX_OK)
    {
        goto failed;
    }

    dbc->data = op;
    dbc->done = ngx_iot_native_op_done;

    if (ngx_iot_db_send(dbc) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_destroy_pool(dbc->pool);

    return NGX_ERROR;
}


static void
ngx_iot_native_op_done(ngx_iot_db_call_t *dbc)
{
    ngx_str_t             value;
    ngx_uint_t            ok;
    PGresult             *res;
    ngx_iot_native_op_t  *op;

    op = dbc->data;
    res = dbc->result;

    if (op->session == NULL) {
        ngx_iot_native_op_free(op);
        return;
    }

    ngx_str_null(&value);

    if (dbc->rc != NGX_OK || PQntuples(res) != 1) {
        ngx_iot_native_op_answer(op, 0, NGX_IOT_NATIVE_BODY_NONE, &value);
        return;
    }

    ok = (*PQgetvalue(res, 0, 0) == 't');

    if (ok && !PQgetisnull(res, 0, 2)) {
        ngx_iot_native_op_call(op, res);
        return;
    }

    if (PQgetisnull(res, 0, 1)) {
        ngx_iot_native_op_answer(op, ok, NGX_IOT_NATIVE_BODY_NONE, &value);
        return;
    }

    value.data = (u_char *) PQgetvalue(res, 0, 1);
    value.len = PQgetlength(res, 0, 1);

    ngx_iot_native_op_answer(op, ok, NGX_IOT_NATIVE_BODY_JSON, &value);
}


static void
ngx_iot_native_op_call(ngx_iot_native_op_t *op, PGresult *res)
{
    ngx_str_t               none;
    ngx_iot_native_call_t  *call;

    call = &op->call;

    if (PQgetlength(res, 0, 2) != NGX_IOT_UUID_TEXT) {
        goto failed;
    }

    ngx_memcpy(call->tenant, op->session->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(call->device, PQgetvalue(res, 0, 2), NGX_IOT_UUID_TEXT);

    call->action = NGX_IOT_NATIVE_CALL_RUN;
    call->path = op->path;
    call->timeout = NGX_IOT_NATIVE_TIMEOUT;
    call->done = ngx_iot_native_op_called;
    call->data = op;

    if (op->payload.data) {
        call->kind = NGX_IOT_NATIVE_BODY_JSON;
        call->body = op->payload;
    }

    if (op->path.len <= NGX_IOT_NATIVE_PATH
        && ngx_iot_native_call(call) == NGX_OK)
    {
        return;
    }

failed:

    ngx_str_null(&none);
    ngx_iot_native_op_answer(op, 0, NGX_IOT_NATIVE_BODY_NONE, &none);
}


static void
ngx_iot_native_op_called(ngx_iot_native_call_t *call, ngx_uint_t status,
    ngx_uint_t kind, ngx_str_t *body)
{
    ngx_iot_native_op_answer(call->data, status == 200, kind, body);
}


static void
ngx_iot_native_op_answer(ngx_iot_native_op_t *op, ngx_uint_t ok,
    ngx_uint_t kind, ngx_str_t *body)
{
    ngx_int_t         rc;
    ngx_iot_tree_t   *tree;
    ngx_iot_alloc_t   alloc;

    if (!op->quiet) {
        alloc.alloc = ngx_iot_native_alloc;
        alloc.data = op->pool;

        tree = NULL;
        rc = NGX_OK;

        if (kind == NGX_IOT_NATIVE_BODY_JSON) {
            rc = ngx_iot_tree_json_read(&tree, body, NULL, &alloc);

        } else if (kind == NGX_IOT_NATIVE_BODY_BYTES) {
            tree = ngx_iot_tree_bytes(&alloc, body);
        }

        if (rc != NGX_OK) {
            ok = 0;
            tree = NULL;
        }

        (void) ngx_iot_native_say_answer(op->session, ok, op->stream_id, tree,
                                         op->pool);
    }

    ngx_iot_native_op_free(op);
}


static void
ngx_iot_native_op_free(ngx_iot_native_op_t *op)
{
    if (op->session) {
        ngx_queue_remove(&op->queue);
        op->session->nasked--;
    }

    ngx_destroy_pool(op->pool);
}


/* what is in the database takes place; nobody is told */

void
ngx_iot_native_ask_closed(ngx_iot_native_session_t *s)
{
    ngx_queue_t          *q;
    ngx_iot_native_op_t  *op;

    while (!ngx_queue_empty(&s->asked)) {
        q = ngx_queue_head(&s->asked);
        ngx_queue_remove(q);
        s->nasked--;

        op = ngx_queue_data(q, ngx_iot_native_op_t, queue);
        op->session = NULL;

        if (op->call.active) {
            ngx_iot_native_cancel(&op->call);
            ngx_iot_native_op_free(op);
        }
    }
}
