
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_store.h"


/* rows of a session that are read at once */
#define NGX_IOT_MQTT_FETCH   100


/* a session that is being opened, before its CONNACK */

typedef struct {
    ngx_iot_mqtt_session_t   *session;
    ngx_iot_mqtt_leaving_t   *leaving;     /* the session has gone meanwhile */
    ngx_iot_mqtt_opened_pt    opened;
    ngx_iot_db_call_t        *call;
    uint32_t                  expiry;
    ngx_uint_t                present;
    unsigned                  held:1;      /* the second call */
} ngx_iot_mqtt_opening_t;

/* a subscription on its way into the table, then to all workers */

typedef struct {
    ngx_iot_mqtt_subscribed_pt   done;
    void                        *data;
    uint64_t                     nr;
    ngx_uint_t                   op;
    uint32_t                     options;
    uint32_t                     id;
    ngx_str_t                    filter;
} ngx_iot_mqtt_subscribing_t;


static ngx_int_t ngx_iot_mqtt_durable_params(ngx_iot_mqtt_session_t *s,
    ngx_iot_db_call_t *call, ngx_uint_t clean, uint32_t expiry);
static ngx_int_t ngx_iot_mqtt_durable_will(ngx_iot_mqtt_session_t *s,
    ngx_iot_db_call_t *call, uint32_t expiry);
static void ngx_iot_mqtt_durable_opened(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_durable_early(ngx_iot_mqtt_opening_t *op,
    ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_mqtt_durable_ask_held(ngx_iot_mqtt_opening_t *op);
static void ngx_iot_mqtt_durable_held(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_durable_answer(ngx_iot_mqtt_opening_t *op,
    ngx_int_t rc);
static void ngx_iot_mqtt_durable_fetched(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_mqtt_durable_row(ngx_iot_mqtt_session_t *s,
    PGresult *res, int row);
static u_char *ngx_iot_mqtt_durable_known(ngx_iot_mqtt_session_t *s,
    ngx_pool_t *pool, size_t *len);
static ngx_int_t ngx_iot_mqtt_durable_filter(ngx_iot_mqtt_session_t *s,
    ngx_uint_t op, ngx_str_t *filter, uint32_t options, uint32_t id,
    ngx_iot_mqtt_subscribed_pt done, void *data);
static void ngx_iot_mqtt_durable_written(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_durable_told(void *data);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_open_stmt = ngx_iot_db_stmt(
    "SELECT nr, epoch, present, due FROM iot.mqtt_open($1::uuid, $2, $3,"
    " $4::boolean, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15,"
    " $16)");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_held_stmt = ngx_iot_db_stmt(
    "SELECT packet_id, flags, topic, payload, props, published, expires"
    " FROM iot.mqtt_held($1)");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_queued_stmt = ngx_iot_db_stmt(
    "SELECT id, qos, state, packet_id, ids, flags, topic, payload, props,"
    " published, expires, publisher"
    " FROM iot.mqtt_queued($1, $2::bigint[], $3)");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_subscribe_stmt = ngx_iot_db_stmt(
    "SELECT iot.mqtt_subscribe($1, $2, $3, $4)");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_unsubscribe_stmt = ngx_iot_db_stmt(
    "SELECT iot.mqtt_unsubscribe($1, $2)");


void
ngx_iot_mqtt_number(ngx_iot_db_call_t *call, uint64_t n, size_t len)
{
    u_char  *p;

    p = ngx_pnalloc(call->pool, 8);
    if (p == NULL) {
        ngx_iot_db_param(call, NULL, 0, 1);
        return;
    }

    switch (len) {

    case 8:
        (void) ngx_iot_put64(p, n);
        break;

    case 4:
        (void) ngx_iot_put32(p, n);
        break;

    default: /* 2 */
        (void) ngx_iot_put16(p, n);
    }

    ngx_iot_db_param(call, p, len, 1);
}


ngx_int_t
ngx_iot_mqtt_bytes(ngx_iot_db_call_t *call, ngx_str_t *value)
{
    u_char  *p;

    p = ngx_pnalloc(call->pool, value->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, value->data, value->len);
    ngx_iot_db_param(call, p, value->len, 1);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_durable_open(ngx_iot_mqtt_session_t *s, ngx_uint_t clean,
    uint32_t expiry, ngx_iot_mqtt_opened_pt opened)
{
    ngx_iot_db_call_t       *call;
    ngx_iot_mqtt_stored_t   *st;
    ngx_iot_mqtt_opening_t  *op;

    st = ngx_iot_mqtt_index_find(s->tenant, &s->client_id);

    if (expiry == 0 && st == NULL) {
        return NGX_DECLINED;
    }

    op = ngx_calloc(sizeof(ngx_iot_mqtt_opening_t), s->connection->log);
    if (op == NULL) {
        return NGX_ERROR;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_open_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        ngx_free(op);
        return NGX_ERROR;
    }

    call->binary = 1;
    call->data = op;
    call->done = ngx_iot_mqtt_durable_opened;

    if (ngx_iot_mqtt_durable_params(s, call, clean, expiry) != NGX_OK
        || ngx_iot_db_send(call) != NGX_OK)
    {
        ngx_destroy_pool(call->pool);
        ngx_free(op);

        s->will_mark = 0;

        return NGX_ERROR;
    }

    op->session = s;
    op->opened = opened;
    op->call = call;
    op->expiry = expiry;

    s->opening = op;

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iot_mqtt_durable_params(ngx_iot_mqtt_session_t *s,
    ngx_iot_db_call_t *call, ngx_uint_t clean, uint32_t expiry)
{
    ngx_str_t  text;

    text.data = s->tenant;
    text.len = NGX_IOT_UUID_TEXT;

    if (ngx_iot_db_text(call, &text) != NGX_OK
        || ngx_iot_db_text(call, &s->client_id) != NGX_OK)
    {
        return NGX_ERROR;
    }

    text = s->user;

    if (text.data == NULL) {
        ngx_str_set(&text, "anonymous");
    }

    if (ngx_iot_db_text(call, &text) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_db_param(call, clean ? "t" : "f", 1, 0);
    ngx_iot_mqtt_number(call, expiry, 8);
    ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker(), 8);

    if (ngx_iot_mqtt_durable_will(s, call, expiry) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_number(call, s->conf->max_stored, 4);
    ngx_iot_mqtt_number(call, s->conf->max_stored_bytes, 8);

    return NGX_OK;
}


/* the message stays as it is until the call has been sent */

static ngx_int_t
ngx_iot_mqtt_durable_will(ngx_iot_mqtt_session_t *s, ngx_iot_db_call_t *call,
    uint32_t expiry)
{
    uint64_t                delay, lasts;
    ngx_uint_t              i;
    ngx_iot_mqtt_will_t    *will;
    ngx_iot_bus_message_t  *msg;

    will = s->will;

    if (will && expiry) {
        s->will_mark = ngx_iot_mqtt_will_number();
    }

    if (s->will_mark == 0) {
        ngx_iot_mqtt_number(call, 0, 8);

        for (i = 0; i < 7; i++) {
            ngx_iot_db_param(call, NULL, 0, 1);
        }

        return NGX_OK;
    }

    msg = will->msg;
    delay = (uint64_t) ngx_min(will->delay, expiry) * 1000;
    lasts = will->has_expiry ? will->expiry : (uint64_t) -1;

    ngx_iot_mqtt_number(call, s->will_mark, 8);
    ngx_iot_mqtt_number(call, delay, 8);
    ngx_iot_mqtt_number(call, msg->qos, 2);
    ngx_iot_mqtt_number(call, msg->flags, 4);

    if (ngx_iot_db_text(call, &msg->topic) != NGX_OK
        || ngx_iot_mqtt_bytes(call, &msg->payload) != NGX_OK
        || ngx_iot_mqtt_bytes(call, &msg->properties) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_number(call, lasts, 8);

    return NGX_OK;
}


/*
 * What was asked for cannot be taken back: the session is opened, and closed
 * when that is known.
 */

void
ngx_iot_mqtt_durable_cancel(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_opening_t  *op;

    op = s->opening;

    if (op == NULL) {
        return;
    }

    s->opening = NULL;

    if (op->held) {
        /* the session itself is open, and will be closed as others are */
        ngx_iot_db_abandon(op->call);
        ngx_free(op);
        return;
    }

    op->session = NULL;
    op->leaving = ngx_iot_mqtt_leave_early(s, op->expiry);

    if (op->leaving == NULL) {
        ngx_iot_db_abandon(op->call);
        ngx_iot_mqtt_worker_unsure();
        ngx_free(op);
    }
}


static void
ngx_iot_mqtt_durable_answer(ngx_iot_mqtt_opening_t *op, ngx_int_t rc)
{
    ngx_uint_t               present;
    ngx_iot_mqtt_opened_pt   opened;
    ngx_iot_mqtt_session_t  *s;

    s = op->session;
    opened = op->opened;
    present = op->present;

    s->opening = NULL;
    ngx_free(op);

    opened(s, rc, present);
}


static void
ngx_iot_mqtt_durable_opened(ngx_iot_db_call_t *call)
{
    uint64_t                 nr;
    ngx_str_t                none;
    ngx_iot_mqtt_stored_t   *st;
    ngx_iot_mqtt_opening_t  *op;
    ngx_iot_mqtt_session_t  *s;

    op = call->data;
    op->call = NULL;
    s = op->session;

    if (s == NULL) {
        ngx_iot_mqtt_durable_early(op, call);
        return;
    }

    if (call->rc != NGX_OK || PQntuples(call->result) != 1) {
        /* it may have been opened all the same */
        ngx_iot_mqtt_worker_unsure();
        s->will_mark = 0;

        ngx_iot_mqtt_durable_answer(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    nr = ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 0));
    op->present = (*PQgetvalue(call->result, 0, 2) != 0);

    if (*PQgetvalue(call->result, 0, 3)) {
        ngx_iot_mqtt_will_wake(0);
    }

    ngx_str_null(&none);

    st = ngx_iot_mqtt_index_find(s->tenant, &s->client_id);

    if (st && st->nr != nr) {
        ngx_iot_mqtt_index_tell(NGX_IOT_MQTT_DELETE_SESSION, st->nr, NULL, 0,
                                0, &none, NULL, NULL);
        st = NULL;
    }

    if (nr == 0) {
        ngx_iot_mqtt_durable_answer(op, NGX_OK);
        return;
    }

    s->durable = nr;
    s->epoch = ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 1));
    s->expiry = op->expiry;

    if (st == NULL) {
        ngx_iot_mqtt_index_tell(NGX_IOT_MQTT_ADD_SESSION, nr, s->tenant, 0, 0,
                                &s->client_id, NULL, NULL);
    }

    if (!op->present) {
        s->drained = 1;
        ngx_iot_mqtt_durable_answer(op, NGX_OK);
        return;
    }

    if (ngx_iot_mqtt_durable_ask_held(op) != NGX_OK) {
        ngx_iot_mqtt_durable_answer(op, NGX_IOT_MQTT_UNAVAILABLE);
    }
}


static void
ngx_iot_mqtt_durable_early(ngx_iot_mqtt_opening_t *op,
    ngx_iot_db_call_t *call)
{
    uint64_t  nr, epoch;

    nr = 0;
    epoch = 0;

    if (call->rc == NGX_OK && PQntuples(call->result) == 1) {
        nr = ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 0));
        epoch = ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 1));

        if (*PQgetvalue(call->result, 0, 3)) {
            ngx_iot_mqtt_will_wake(0);
        }

    } else {
        ngx_iot_mqtt_worker_unsure();
    }

    ngx_iot_mqtt_leave_opened(op->leaving, nr, epoch);
    ngx_free(op);
}


static ngx_int_t
ngx_iot_mqtt_durable_ask_held(ngx_iot_mqtt_opening_t *op)
{
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_held_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_number(call, op->session->durable, 8);

    call->binary = 1;
    call->data = op;
    call->done = ngx_iot_mqtt_durable_held;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    op->call = call;
    op->held = 1;

    return NGX_OK;
}


static void
ngx_iot_mqtt_durable_held(ngx_iot_db_call_t *call)
{
    int                      i;
    ngx_iot_mqtt_opening_t  *op;
    ngx_iot_bus_message_t   *msg;
    ngx_iot_mqtt_session_t  *s;

    op = call->data;
    op->call = NULL;
    s = op->session;

    if (call->rc != NGX_OK) {
        ngx_iot_mqtt_durable_answer(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    for (i = 0; i < PQntuples(call->result); i++) {

        msg = ngx_iot_mqtt_store_row(s->tenant, call->result, i, 1,
                                     &s->client_id, 0);

        if (msg == NULL
            || ngx_iot_mqtt_in_restore(s,
                      ngx_iot_mqtt_get32(PQgetvalue(call->result, i, 0)), msg)
               != NGX_OK)
        {
            ngx_iot_mqtt_durable_answer(op, NGX_IOT_MQTT_BUSY);
            return;
        }

        msg->qos = 2;
    }

    ngx_iot_mqtt_durable_answer(op, NGX_OK);
}


ngx_int_t
ngx_iot_mqtt_durable_resume(ngx_iot_mqtt_session_t *s)
{
    ngx_queue_t                *q;
    ngx_iot_bus_sub_t          *sub;
    ngx_iot_topic_share_t       share;
    ngx_iot_mqtt_stored_t      *st;
    ngx_iot_mqtt_stored_sub_t  *stored;

    if (s->durable == 0) {
        return NGX_OK;
    }

    st = ngx_iot_mqtt_index_find(s->tenant, &s->client_id);

    if (st && st->nr == s->durable) {

        for (q = ngx_queue_head(&st->subs);
             q != ngx_queue_sentinel(&st->subs);
             q = ngx_queue_next(q))
        {
            stored = ngx_queue_data(q, ngx_iot_mqtt_stored_sub_t, queue);

            (void) ngx_iot_topic_share(&stored->filter, &share);

            sub = ngx_iot_bus_subscribe(&s->bus, &share.filter, &share.group);
            if (sub == NULL) {
                return NGX_ERROR;
            }

            sub->options = stored->options;
            sub->id = stored->id;
            s->grouped |= (share.group.len != 0);

            if (sub->filter.data[0] == '$') {
                s->sys = 1;
            }

            s->nsubs++;
            ngx_iot_gauge(mqtt_subscriptions,
                          ngx_iot_metrics->mqtt_subscriptions + 1);
        }
    }

    /* identifiers of the former connection may be in use */

    s->wrapped = 1;

    ngx_iot_mqtt_durable_fetch(s);

    return NGX_OK;
}


/* what is in hand or being deleted, as a bigint[] */

static u_char *
ngx_iot_mqtt_durable_known(ngx_iot_mqtt_session_t *s, ngx_pool_t *pool,
    size_t *len)
{
    u_char              *p, *start;
    ngx_uint_t           i, n;
    ngx_queue_t         *q, *lists[3];
    ngx_iot_mqtt_out_t  *out;

    lists[0] = &s->inflight;
    lists[1] = &s->waiting;
    lists[2] = &s->marking;

    for (n = 0, i = 0; i < 3; i++) {
        for (q = ngx_queue_head(lists[i]);
             q != ngx_queue_sentinel(lists[i]);
             q = ngx_queue_next(q))
        {
            out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);
            n += (out->stored != 0);
        }
    }

    start = ngx_pnalloc(pool, 20 + n * 12);
    if (start == NULL) {
        return NULL;
    }

    p = ngx_iot_put32(start, n ? 1 : 0);
    p = ngx_iot_put32(p, 0);
    p = ngx_iot_put32(p, 20);

    if (n) {
        p = ngx_iot_put32(p, n);
        p = ngx_iot_put32(p, 1);
    }

    for (i = 0; i < 3; i++) {
        for (q = ngx_queue_head(lists[i]);
             q != ngx_queue_sentinel(lists[i]);
             q = ngx_queue_next(q))
        {
            out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

            if (out->stored) {
                p = ngx_iot_cell_int8(p, out->stored);
            }
        }
    }

    *len = p - start;

    return start;
}


void
ngx_iot_mqtt_durable_fetch(ngx_iot_mqtt_session_t *s)
{
    u_char             *known;
    size_t              len;
    ngx_iot_db_call_t  *call;

    if (s->durable == 0 || s->drained || s->fetching
        || s->state != NGX_IOT_MQTT_UP)
    {
        return;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_queued_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return;
    }

    known = ngx_iot_mqtt_durable_known(s, call->pool, &len);

    if (known == NULL) {
        ngx_destroy_pool(call->pool);
        return;
    }

    ngx_iot_mqtt_number(call, s->durable, 8);
    ngx_iot_db_param(call, known, len, 1);
    ngx_iot_mqtt_number(call, NGX_IOT_MQTT_FETCH, 4);

    call->binary = 1;
    call->data = s;
    call->done = ngx_iot_mqtt_durable_fetched;

    s->more = 0;

    if (ngx_iot_db_send(call) != NGX_OK) {
        /* what waits is asked for again with the next acknowledgement */
        ngx_destroy_pool(call->pool);
        return;
    }

    s->fetching = call;
}


static void
ngx_iot_mqtt_durable_fetched(ngx_iot_db_call_t *call)
{
    int                      i, n;
    ngx_iot_mqtt_session_t  *s;

    s = call->data;
    s->fetching = NULL;

    if (call->rc != NGX_OK) {
        return;
    }

    n = PQntuples(call->result);

    for (i = 0; i < n; i++) {
        if (ngx_iot_mqtt_durable_row(s, call->result, i) != NGX_OK) {
            return;
        }
    }

    if (n < NGX_IOT_MQTT_FETCH) {

        if (s->more) {
            ngx_iot_mqtt_durable_fetch(s);

        } else {
            s->drained = 1;
        }
    }

    ngx_iot_mqtt_pump(s);
}


static ngx_int_t
ngx_iot_mqtt_durable_row(ngx_iot_mqtt_session_t *s, PGresult *res, int row)
{
    u_char                 *p;
    uint64_t                id;
    uint32_t                ids[64];
    ngx_str_t               publisher;
    ngx_uint_t              i, n, qos, state;
    ngx_iot_bus_message_t  *msg;

    id = ngx_iot_mqtt_get64(PQgetvalue(res, row, 0));
    qos = (u_char) PQgetvalue(res, row, 1)[1];
    state = (u_char) PQgetvalue(res, row, 2)[1];

    p = (u_char *) PQgetvalue(res, row, 4);
    n = ngx_min(PQgetlength(res, row, 4) / 4, 64);

    for (i = 0; i < n; i++) {
        ids[i] = ngx_iot_mqtt_get32(p + i * 4);
    }

    publisher.data = (u_char *) PQgetvalue(res, row, 11);
    publisher.len = PQgetlength(res, row, 11);

    msg = ngx_iot_mqtt_store_row(s->tenant, res, row, 5, &publisher, id);
    if (msg == NULL) {
        return NGX_ERROR;
    }

    msg->qos = qos;

    (void) ngx_iot_mqtt_out_restore(s, msg, qos, state,
                           ngx_iot_mqtt_get32(PQgetvalue(res, row, 3)), ids, n);

    ngx_iot_bus_drop(msg);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_durable_subscribe(ngx_iot_mqtt_session_t *s, ngx_str_t *filter,
    ngx_iot_bus_sub_t *sub, ngx_iot_mqtt_subscribed_pt done, void *data)
{
    return ngx_iot_mqtt_durable_filter(s, NGX_IOT_MQTT_ADD_FILTER,
                                       filter, sub->options, sub->id,
                                       done, data);
}


ngx_int_t
ngx_iot_mqtt_durable_unsubscribe(ngx_iot_mqtt_session_t *s, ngx_str_t *filter,
    ngx_iot_mqtt_subscribed_pt done, void *data)
{
    return ngx_iot_mqtt_durable_filter(s, NGX_IOT_MQTT_DELETE_FILTER, filter,
                                       0, 0, done, data);
}


static ngx_int_t
ngx_iot_mqtt_durable_filter(ngx_iot_mqtt_session_t *s, ngx_uint_t op,
    ngx_str_t *filter, uint32_t options, uint32_t id,
    ngx_iot_mqtt_subscribed_pt done, void *data)
{
    ngx_iot_db_call_t           *call;
    ngx_iot_mqtt_subscribing_t  *sg;

    sg = ngx_calloc(sizeof(ngx_iot_mqtt_subscribing_t) + filter->len,
                    ngx_cycle->log);
    if (sg == NULL) {
        return NGX_ERROR;
    }

    sg->done = done;
    sg->data = data;
    sg->nr = s->durable;
    sg->op = op;
    sg->options = options;
    sg->id = id;
    sg->filter.data = (u_char *) (sg + 1);
    sg->filter.len = filter->len;

    ngx_memcpy(sg->filter.data, filter->data, filter->len);

    call = ngx_iot_db_create(NGX_IOT_DB_CALL,
                             (op == NGX_IOT_MQTT_ADD_FILTER)
                             ? &ngx_iot_mqtt_subscribe_stmt
                             : &ngx_iot_mqtt_unsubscribe_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        ngx_free(sg);
        return NGX_ERROR;
    }

    ngx_iot_mqtt_number(call, s->durable, 8);

    if (ngx_iot_db_text(call, filter) != NGX_OK) {
        goto failed;
    }

    if (op == NGX_IOT_MQTT_ADD_FILTER) {
        ngx_iot_mqtt_number(call, options, 4);
        ngx_iot_mqtt_number(call, id, 8);
    }

    call->data = sg;
    call->done = ngx_iot_mqtt_durable_written;

    if (ngx_iot_db_send(call) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_destroy_pool(call->pool);
    ngx_free(sg);

    return NGX_ERROR;
}


static void
ngx_iot_mqtt_durable_written(ngx_iot_db_call_t *call)
{
    ngx_iot_mqtt_subscribing_t  *sg;

    sg = call->data;

    if (call->rc != NGX_OK) {
        sg->done(sg->data, NGX_ERROR);
        ngx_free(sg);
        return;
    }

    ngx_iot_mqtt_index_tell(sg->op, sg->nr, NULL, sg->options, sg->id,
                            &sg->filter, ngx_iot_mqtt_durable_told, sg);
}


static void
ngx_iot_mqtt_durable_told(void *data)
{
    ngx_iot_mqtt_subscribing_t  *sg = data;

    sg->done(sg->data, NGX_OK);
    ngx_free(sg);
}
