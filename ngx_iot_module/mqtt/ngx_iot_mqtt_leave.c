
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_registry.h"
#include "ngx_iot_mqtt_store.h"


/* that could not be closed because the database was away, tried at once */
#define NGX_IOT_MQTT_LEAVE_SLICE  200


/*
 * A session whose connection has ended, while its rows are being written:
 * nobody opens it before that, and so it stays in the registry.  Afterwards,
 * if it could not be closed, it is kept to be closed later; by then it may
 * have been opened again.
 */

struct ngx_iot_mqtt_leaving_s {
    ngx_queue_t               queue;
    uint64_t                  nr;
    uint64_t                  epoch;
    uint64_t                  ref;          /* in the registry */
    uint64_t                  mark;         /* of the will */
    ngx_uint_t                will_left;
    uint32_t                  will_delay;
    uint32_t                  expiry;
    ngx_msec_t                ended;
    ngx_uint_t                pending;
    ngx_str_t                 client_id;
    ngx_iot_slot_id_t         from;         /* who waits for it */
    u_char                    answer[8];
    unsigned                  asked:1;
    unsigned                  failed:1;
    u_char                    tenant[NGX_IOT_UUID_TEXT];
};


static ngx_iot_mqtt_leaving_t *ngx_iot_mqtt_leave_create(
    ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_leave_marks(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_leaving_t *leaving);
static void ngx_iot_mqtt_leave_close(ngx_iot_mqtt_leaving_t *leaving);
static void ngx_iot_mqtt_leave_closed(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_leave_marked(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_leave_let(ngx_iot_mqtt_leaving_t *leaving);
static ngx_iot_mqtt_leaving_t *ngx_iot_mqtt_leave_find(u_char *tenant,
    ngx_str_t *client_id);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_close_stmt = ngx_iot_db_stmt(
    "SELECT iot.mqtt_close($1, $2, $3, $4, $5, $6, $7, $8)");


static ngx_queue_t  ngx_iot_mqtt_leaving_list;
static ngx_queue_t  ngx_iot_mqtt_leaving_again;
static ngx_queue_t  ngx_iot_mqtt_left_open;


ngx_int_t
ngx_iot_mqtt_leave_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_iot_mqtt_leaving_list);
    ngx_queue_init(&ngx_iot_mqtt_leaving_again);
    ngx_queue_init(&ngx_iot_mqtt_left_open);

    return NGX_OK;
}


ngx_uint_t
ngx_iot_mqtt_leaving(u_char *tenant, ngx_str_t *client_id)
{
    return ngx_iot_mqtt_leave_find(tenant, client_id) != NULL;
}


ngx_uint_t
ngx_iot_mqtt_leaving_defer(u_char *tenant, ngx_str_t *client_id,
    ngx_iot_slot_id_t *from, u_char answer[8])
{
    ngx_iot_mqtt_leaving_t  *leaving;

    leaving = ngx_iot_mqtt_leave_find(tenant, client_id);

    if (leaving == NULL || leaving->asked) {
        return 0;
    }

    leaving->asked = 1;
    leaving->from = *from;
    ngx_memcpy(leaving->answer, answer, 8);

    return 1;
}


static ngx_iot_mqtt_leaving_t *
ngx_iot_mqtt_leave_find(u_char *tenant, ngx_str_t *client_id)
{
    ngx_queue_t             *q;
    ngx_iot_mqtt_leaving_t  *leaving;

    for (q = ngx_queue_head(&ngx_iot_mqtt_leaving_list);
         q != ngx_queue_sentinel(&ngx_iot_mqtt_leaving_list);
         q = ngx_queue_next(q))
    {
        leaving = ngx_queue_data(q, ngx_iot_mqtt_leaving_t, queue);

        if (leaving->client_id.len == client_id->len
            && ngx_memcmp(leaving->tenant, tenant, NGX_IOT_UUID_TEXT) == 0
            && ngx_memcmp(leaving->client_id.data, client_id->data,
                          client_id->len)
               == 0)
        {
            return leaving;
        }
    }

    return NULL;
}


static ngx_iot_mqtt_leaving_t *
ngx_iot_mqtt_leave_create(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_leaving_t  *leaving;

    leaving = ngx_calloc(sizeof(ngx_iot_mqtt_leaving_t) + s->client_id.len,
                         ngx_cycle->log);
    if (leaving == NULL) {
        return NULL;
    }

    leaving->nr = s->durable;
    leaving->epoch = s->epoch;
    leaving->ref = s->ref;
    leaving->expiry = s->expiry;
    leaving->mark = s->will_mark;
    leaving->will_left = s->will_left;
    leaving->will_delay = s->will_delay;
    leaving->ended = ngx_current_msec;
    leaving->pending = 1;
    leaving->client_id.data = (u_char *) (leaving + 1);
    leaving->client_id.len = s->client_id.len;

    ngx_memcpy(leaving->client_id.data, s->client_id.data, s->client_id.len);
    ngx_memcpy(leaving->tenant, s->tenant, NGX_IOT_UUID_TEXT);
    ngx_queue_insert_tail(&ngx_iot_mqtt_leaving_list, &leaving->queue);

    s->ref = 0;

    return leaving;
}


void
ngx_iot_mqtt_leave(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_leaving_t  *leaving;

    if (s->fetching) {
        ngx_iot_db_abandon(s->fetching);
        s->fetching = NULL;
    }

    if (s->durable == 0) {
        return;
    }

    leaving = ngx_iot_mqtt_leave_create(s);

    if (leaving == NULL) {
        ngx_iot_mqtt_worker_unsure();
        return;
    }

    ngx_iot_mqtt_leave_marks(s, leaving);
    ngx_iot_mqtt_leave_close(leaving);
}


/* identifiers of what is in flight, so that it can be repeated with them */

static void
ngx_iot_mqtt_leave_marks(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_leaving_t *leaving)
{
    ngx_queue_t         *q;
    ngx_iot_mqtt_out_t  *out;

    for (q = ngx_queue_head(&s->inflight);
         q != ngx_queue_sentinel(&s->inflight) && s->expiry;
         q = ngx_queue_next(q))
    {
        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

        if (out->stored == 0 || out->state != NGX_IOT_MQTT_SENT) {
            continue;
        }

        if (ngx_iot_mqtt_store_mark(s->durable, out->stored, out->packet_id,
                                    NGX_IOT_MQTT_MARK_SENT,
                                    ngx_iot_mqtt_leave_marked, leaving)
            == NGX_OK)
        {
            leaving->pending++;
        }
    }

    /* rows are written in their order: this one says that all others were */

    if (!ngx_queue_empty(&s->marking)
        && ngx_iot_mqtt_store_mark(s->durable, 0, 0, NGX_IOT_MQTT_MARK_DONE,
                                   ngx_iot_mqtt_leave_marked, leaving)
           == NGX_OK)
    {
        leaving->pending++;
    }
}


ngx_iot_mqtt_leaving_t *
ngx_iot_mqtt_leave_early(ngx_iot_mqtt_session_t *s, uint32_t expiry)
{
    ngx_iot_mqtt_leaving_t  *leaving;

    leaving = ngx_iot_mqtt_leave_create(s);

    if (leaving) {
        leaving->expiry = expiry;
        leaving->will_left = NGX_IOT_MQTT_WILL_AWAY;
    }

    return leaving;
}


void
ngx_iot_mqtt_leave_opened(ngx_iot_mqtt_leaving_t *leaving, uint64_t nr,
    uint64_t epoch)
{
    ngx_str_t               none;
    ngx_iot_mqtt_stored_t  *st;

    if (epoch == 0) {
        ngx_iot_mqtt_leave_let(leaving);
        return;
    }

    st = ngx_iot_mqtt_index_find(leaving->tenant, &leaving->client_id);

    if (st && st->nr != nr) {
        ngx_str_null(&none);
        ngx_iot_mqtt_index_tell(NGX_IOT_MQTT_DELETE_SESSION, st->nr, NULL, 0,
                                0, &none, NULL, NULL);
    }

    leaving->nr = nr;
    leaving->epoch = epoch;

    ngx_iot_mqtt_leave_close(leaving);
}


static void
ngx_iot_mqtt_leave_close(ngx_iot_mqtt_leaving_t *leaving)
{
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_close_stmt,
                             ngx_cycle->log);

    if (call) {
        ngx_iot_mqtt_number(call, leaving->nr, 8);
        ngx_iot_mqtt_number(call, leaving->epoch, 8);
        ngx_iot_mqtt_number(call, leaving->expiry, 8);
        ngx_iot_mqtt_number(call, ngx_current_msec - leaving->ended, 8);
        ngx_iot_mqtt_number(call, leaving->mark, 8);
        ngx_iot_mqtt_number(call, leaving->will_left, 4);
        ngx_iot_mqtt_number(call, (uint64_t) leaving->will_delay * 1000, 8);
        ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker(), 8);

        call->binary = 1;
        call->data = leaving;
        call->done = ngx_iot_mqtt_leave_closed;

        if (ngx_iot_db_send(call) == NGX_OK) {
            return;
        }

        ngx_destroy_pool(call->pool);
    }

    leaving->failed = 1;
    ngx_iot_mqtt_leave_let(leaving);
}


static void
ngx_iot_mqtt_leave_closed(ngx_iot_db_call_t *call)
{
    ngx_str_t                none;
    ngx_iot_mqtt_leaving_t  *leaving;

    leaving = call->data;

    if (call->rc != NGX_OK) {
        leaving->failed = 1;

    } else if (PQntuples(call->result) == 1
               && *PQgetvalue(call->result, 0, 0))
    {
        ngx_str_null(&none);
        ngx_iot_mqtt_index_tell(NGX_IOT_MQTT_DELETE_SESSION, leaving->nr,
                                NULL, 0, 0, &none, NULL, NULL);
    }

    ngx_iot_mqtt_leave_let(leaving);
}


static void
ngx_iot_mqtt_leave_marked(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_leave_let(data);
}


static void
ngx_iot_mqtt_leave_let(ngx_iot_mqtt_leaving_t *leaving)
{
    if (--leaving->pending) {
        return;
    }

    if (leaving->asked) {
        (void) ngx_iot_bus_send(&leaving->from, NGX_IOT_BUS_KICKED,
                                leaving->answer, 8);
        leaving->asked = 0;
    }

    if (leaving->ref) {
        ngx_iot_registry_drop(NGX_IOT_REGISTRY_MQTT, leaving->tenant,
                              &leaving->client_id, leaving->ref);
        leaving->ref = 0;
    }

    ngx_queue_remove(&leaving->queue);

    if (leaving->failed) {
        ngx_queue_insert_tail(&ngx_iot_mqtt_left_open, &leaving->queue);
        return;
    }

    ngx_free(leaving);
}


void
ngx_iot_mqtt_leave_again(void)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_iot_mqtt_leaving_t  *leaving;

    for (i = 0; i < NGX_IOT_MQTT_LEAVE_SLICE; i++) {

        if (ngx_queue_empty(&ngx_iot_mqtt_left_open)
            || !ngx_iot_db_ready(NGX_IOT_DB_CALL))
        {
            return;
        }

        q = ngx_queue_head(&ngx_iot_mqtt_left_open);
        leaving = ngx_queue_data(q, ngx_iot_mqtt_leaving_t, queue);

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ngx_iot_mqtt_leaving_again, q);

        leaving->failed = 0;
        leaving->pending = 1;

        ngx_iot_mqtt_leave_close(leaving);
    }
}
