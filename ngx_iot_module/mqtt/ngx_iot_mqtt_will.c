
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_id.h"
#include "ngx_iot_mqtt_store.h"


/*
 * A will (MQTT 5.0, section 3.1.2.5) is in memory while its connection lasts,
 * and in a row, from which another worker publishes it if this one is killed.
 * A session that is stored gets the row before its CONNACK; that of another
 * is written when there is time.  A will that is delayed is in its row only:
 * whoever finds it due takes it, and whoever comes back before cancels it.
 */

#define NGX_IOT_MQTT_WILLS        100
#define NGX_IOT_MQTT_WILL_COLUMNS 11

/* wills that could not be published because the database is away */
#define NGX_IOT_MQTT_WILL_RETRY   2000


typedef struct {
    ngx_event_t              timer;
    ngx_iot_bus_message_t   *msg;
    uint64_t                 mark;
    uint32_t                 expiry;
    unsigned                 has_expiry:1;
} ngx_iot_mqtt_firing_t;


static ngx_int_t ngx_iot_mqtt_will_topic(ngx_iot_mqtt_session_t *s,
    ngx_str_t *name, ngx_str_t *topic);
static void ngx_iot_mqtt_will_publish(ngx_iot_bus_message_t *msg,
    uint64_t mark, uint32_t expiry, ngx_uint_t has_expiry);
static void ngx_iot_mqtt_will_route(ngx_iot_mqtt_firing_t *firing);
static void ngx_iot_mqtt_will_routed(void *data, ngx_uint_t reason);
static void ngx_iot_mqtt_will_retry(ngx_event_t *ev);
static ngx_int_t ngx_iot_mqtt_will_row(uint64_t mark,
    ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_will_written(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_will_timer(ngx_event_t *ev);
static void ngx_iot_mqtt_will_due(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_will_notified(ngx_str_t *what, ngx_str_t *id);
static void ngx_iot_mqtt_will_take(PGresult *res, int row);


static uint32_t  ngx_iot_mqtt_will_types[] = {
    20, 21, 20, 2950, 25, 21, 23, 25, 17, 17, 20
};

static ngx_iot_batch_kind_t  ngx_iot_mqtt_will_kind = {
    ngx_string("mqtt_will"),
    ngx_iot_db_stmt("SELECT iot.mqtt_wills_set($1, $2, $3, $4, $5, $6, $7, $8,"
                    " $9, $10, $11)"),
    { ngx_null_string, 0 },
    NGX_IOT_MQTT_WILL_COLUMNS,
    ngx_iot_mqtt_will_types,
    2 + 12                                 /* mark */
};

static ngx_iot_db_stmt_t  ngx_iot_mqtt_due_stmt = ngx_iot_db_stmt(
    "SELECT mark, tenant, client, qos, flags, topic, payload, props,"
    " published, expires, expiry FROM iot.mqtt_wills_due($1, $2)");


static ngx_uint_t        ngx_iot_mqtt_will_batch;
static uint32_t          ngx_iot_mqtt_will_count;
static ngx_uint_t        ngx_iot_mqtt_will_asking;
static ngx_uint_t        ngx_iot_mqtt_will_again;
static ngx_event_t       ngx_iot_mqtt_will_ev;
static ngx_connection_t  ngx_iot_mqtt_will_dummy;


ngx_int_t
ngx_iot_mqtt_will_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_will_batch = ngx_iot_batch_register(&ngx_iot_mqtt_will_kind);
    ngx_iot_mqtt_will_count = 0;
    ngx_iot_mqtt_will_asking = 0;
    ngx_iot_mqtt_will_again = 0;

    ngx_iot_mqtt_will_dummy.fd = (ngx_socket_t) -1;
    ngx_iot_mqtt_will_ev.data = &ngx_iot_mqtt_will_dummy;
    ngx_iot_mqtt_will_ev.log = cycle->log;
    ngx_iot_mqtt_will_ev.handler = ngx_iot_mqtt_will_timer;
    ngx_iot_mqtt_will_ev.cancelable = 1;

    return ngx_iot_db_on_notify(ngx_iot_mqtt_will_notified);
}


/* NGX_OK or a reason */

ngx_int_t
ngx_iot_mqtt_will_set(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_connect_t *connect, ngx_uint_t dialect)
{
    ngx_str_t               topic;
    ngx_iot_mqtt_will_t    *will;
    ngx_iot_mqtt_props_t   *props;
    ngx_iot_bus_message_t  *msg;

    props = &connect->will_props;
    topic = connect->will_topic;

    if (dialect
        && ngx_iot_mqtt_will_topic(s, &topic, &connect->will_topic) != NGX_OK)
    {
        return NGX_IOT_MQTT_BUSY;
    }

    msg = ngx_iot_mqtt_message(s, &topic, &connect->will_payload, props);

    if (dialect) {
        ngx_free(topic.data);
    }

    if (msg == NULL) {
        return NGX_IOT_MQTT_BUSY;
    }

    msg->qos = (uint32_t) connect->will_qos;
    msg->flags |= NGX_IOT_BUS_WILL;

    if (dialect) {
        msg->flags |= NGX_IOT_MQTT_DIALECT;

    } else if (connect->will_retain) {
        msg->flags |= NGX_IOT_BUS_RETAIN;
    }

    will = ngx_calloc(sizeof(ngx_iot_mqtt_will_t), s->connection->log);
    if (will == NULL) {
        ngx_iot_bus_drop(msg);
        return NGX_IOT_MQTT_BUSY;
    }

    will->msg = msg;

    if (s->parser.version == NGX_IOT_MQTT_V5) {
        will->delay = props->will_delay;
        will->has_expiry = ngx_iot_mqtt_props_has(props,
                                          NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY);
        will->expiry = will->has_expiry ? props->message_expiry : 0;
    }

    s->will = will;

    return NGX_OK;
}


/* who publishes it may know nothing else of the session */

static ngx_int_t
ngx_iot_mqtt_will_topic(ngx_iot_mqtt_session_t *s, ngx_str_t *name,
    ngx_str_t *topic)
{
    u_char  *p;

    name->len = NGX_IOT_UUID_TEXT + 1 + topic->len;
    name->data = ngx_alloc(name->len, s->connection->log);

    if (name->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(name->data, s->device->id, NGX_IOT_UUID_TEXT);
    *p++ = '/';
    ngx_memcpy(p, topic->data, topic->len);

    return NGX_OK;
}


uint64_t
ngx_iot_mqtt_will_number(void)
{
    if (ngx_iot_mqtt_worker() == 0) {
        return 0;
    }

    return ngx_iot_mqtt_worker() << 32 | ++ngx_iot_mqtt_will_count;
}


void
ngx_iot_mqtt_will_write(ngx_iot_mqtt_session_t *s)
{
    uint64_t  mark;

    if (s->will == NULL || s->will_mark) {
        return;
    }

    mark = ngx_iot_mqtt_will_number();

    if (mark && ngx_iot_mqtt_will_row(mark, s) == NGX_OK) {
        s->will_mark = mark;
    }
}


/* a row for the will of this session, or without a session its end */

static ngx_int_t
ngx_iot_mqtt_will_row(uint64_t mark, ngx_iot_mqtt_session_t *s)
{
    size_t                  size;
    u_char                 *p, uuid[NGX_IOT_UUID_SIZE];
    ngx_uint_t              i;
    ngx_iot_bus_message_t  *msg;
    ngx_iot_batch_entry_t  *entry;

    msg = s ? s->will->msg : NULL;

    if (msg && ngx_iot_uuid_parse(uuid, msg->tenant, NGX_IOT_UUID_TEXT)
               != NGX_OK)
    {
        return NGX_ERROR;
    }

    entry = ngx_iot_batch_begin(ngx_iot_mqtt_will_batch, 1);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    size = 160;

    if (msg) {
        size += msg->topic.len + msg->payload.len + msg->properties.len
                + msg->publisher.len;
    }

    p = ngx_iot_batch_row(ngx_iot_mqtt_will_batch, size);
    if (p == NULL) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_will_batch, entry);
        return NGX_ERROR;
    }

    p = ngx_iot_cell_int8(p, mark);
    p = ngx_iot_cell_int2(p, msg ? 1 : 0);

    if (msg) {
        p = ngx_iot_cell_int8(p, ngx_iot_mqtt_worker());
        p = ngx_iot_mqtt_cell_bytes(p, uuid, NGX_IOT_UUID_SIZE);
        p = ngx_iot_cell_text(p, &msg->publisher);
        p = ngx_iot_cell_int2(p, msg->qos);
        p = ngx_iot_cell_int4(p, msg->flags);
        p = ngx_iot_cell_text(p, &msg->topic);
        p = ngx_iot_mqtt_cell_bytes(p, msg->payload.data, msg->payload.len);
        p = ngx_iot_mqtt_cell_bytes(p, msg->properties.data,
                                    msg->properties.len);
        p = ngx_iot_cell_int8(p, s->will->has_expiry
                                 ? (int64_t) s->will->expiry : -1);

    } else {
        for (i = 2; i < NGX_IOT_MQTT_WILL_COLUMNS; i++) {
            p = ngx_iot_cell_null(p);
        }
    }

    ngx_iot_batch_row_end(ngx_iot_mqtt_will_batch, p);
    ngx_iot_batch_end(ngx_iot_mqtt_will_batch, entry,
                      ngx_iot_mqtt_will_written, NULL);

    return NGX_OK;
}


static void
ngx_iot_mqtt_will_written(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the row of a will: %V", &err->message);
    }
}


void
ngx_iot_mqtt_will_drop(ngx_iot_mqtt_session_t *s)
{
    if (s->will == NULL) {
        return;
    }

    ngx_iot_bus_drop(s->will->msg);
    ngx_free(s->will);

    s->will = NULL;
}


/* the connection has ended; before the session is closed */

void
ngx_iot_mqtt_will_fire(ngx_iot_mqtt_session_t *s)
{
    uint32_t              delay;
    ngx_iot_mqtt_will_t  *will;

    will = s->will;

    if (will == NULL) {

        if (s->will_mark == 0) {
            return;
        }

        s->will_left = NGX_IOT_MQTT_WILL_AWAY;

        if (s->durable == 0) {
            (void) ngx_iot_mqtt_will_row(s->will_mark, NULL);
        }

        return;
    }

    s->will = NULL;

    /* the end of the session is the latest time */

    delay = ngx_min(will->delay, s->expiry);

    if (delay && s->durable && s->will_mark) {
        s->will_left = ngx_exiting ? NGX_IOT_MQTT_WILL_PASS
                                   : NGX_IOT_MQTT_WILL_DUE;
        s->will_delay = delay;

        ngx_iot_bus_drop(will->msg);
        ngx_iot_mqtt_will_wake((ngx_msec_t) ngx_min(delay, 3600) * 1000);

    } else {
        s->will_left = NGX_IOT_MQTT_WILL_TAKEN;

        ngx_iot_mqtt_will_publish(will->msg, s->will_mark, will->expiry,
                                  will->has_expiry);
    }

    ngx_free(will);
}


/* takes over the reference */

static void
ngx_iot_mqtt_will_publish(ngx_iot_bus_message_t *msg, uint64_t mark,
    uint32_t expiry, ngx_uint_t has_expiry)
{
    ngx_time_t             *tp;
    ngx_iot_mqtt_firing_t  *firing;

    tp = ngx_timeofday();

    msg->published = (uint64_t) tp->sec * 1000 + tp->msec;
    msg->expires = has_expiry ? msg->published + (uint64_t) expiry * 1000 : 0;

    firing = ngx_calloc(sizeof(ngx_iot_mqtt_firing_t), ngx_cycle->log);
    if (firing == NULL) {
        ngx_iot_mqtt_route(msg, NULL);
        return;
    }

    firing->msg = msg;
    firing->mark = mark;
    firing->timer.data = &ngx_iot_mqtt_will_dummy;
    firing->timer.log = ngx_cycle->log;
    firing->timer.handler = ngx_iot_mqtt_will_retry;

    ngx_iot_mqtt_will_route(firing);
}


static void
ngx_iot_mqtt_will_route(ngx_iot_mqtt_firing_t *firing)
{
    ngx_iot_mqtt_in_t  *in;

    in = ngx_calloc(sizeof(ngx_iot_mqtt_in_t), ngx_cycle->log);

    if (in) {
        in->done = ngx_iot_mqtt_will_routed;
        in->data = firing;
    }

    if (firing->msg->flags & NGX_IOT_MQTT_DIALECT) {

        if (in == NULL || ngx_iot_mqtt_device_topics == NULL) {
            ngx_iot_mqtt_will_routed(firing, NGX_IOT_MQTT_UNAVAILABLE);

            if (in) {
                ngx_free(in);
            }

            return;
        }

        ngx_iot_bus_keep(firing->msg);
        ngx_iot_mqtt_device_topics->will(firing->msg, in);
        return;
    }

    ngx_iot_bus_keep(firing->msg);
    ngx_iot_mqtt_route(firing->msg, in);

    if (in == NULL) {
        ngx_iot_mqtt_will_routed(firing, 0);
    }
}


/*
 * The row goes when the message is where it belongs.  A worker that is told
 * to end does not wait for the database: others find the row.
 */

static void
ngx_iot_mqtt_will_routed(void *data, ngx_uint_t reason)
{
    ngx_iot_mqtt_firing_t  *firing = data;

    /* what a dialect has refused it refuses again */

    if ((firing->msg->flags & NGX_IOT_MQTT_DIALECT)
        && reason != NGX_IOT_MQTT_UNAVAILABLE)
    {
        reason = 0;
    }

    if (reason >= 0x80 && !ngx_exiting) {
        ngx_add_timer(&firing->timer, NGX_IOT_MQTT_WILL_RETRY);
        return;
    }

    if (reason < 0x80 && firing->mark) {
        (void) ngx_iot_mqtt_will_row(firing->mark, NULL);
    }

    ngx_iot_bus_drop(firing->msg);
    ngx_free(firing);
}


static void
ngx_iot_mqtt_will_retry(ngx_event_t *ev)
{
    ngx_iot_mqtt_will_route((ngx_iot_mqtt_firing_t *)
               ((u_char *) ev - offsetof(ngx_iot_mqtt_firing_t, timer)));
}


void
ngx_iot_mqtt_will_wake(ngx_msec_t msec)
{
    ngx_event_t  *ev;

    ev = &ngx_iot_mqtt_will_ev;

    if (ngx_exiting) {
        return;
    }

    if (ev->timer_set
        && (ngx_msec_int_t) (ev->timer.key - ngx_current_msec)
           <= (ngx_msec_int_t) msec)
    {
        return;
    }

    ngx_add_timer(ev, msec);
}


static void
ngx_iot_mqtt_will_timer(ngx_event_t *ev)
{
    ngx_iot_db_call_t  *call;

    if (ngx_exiting || ngx_iot_mqtt_worker() == 0) {
        return;
    }

    if (ngx_iot_mqtt_will_asking) {
        ngx_iot_mqtt_will_again = 1;
        return;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_due_stmt,
                             ngx_cycle->log);
    if (call) {
        ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker(), 8);
        ngx_iot_mqtt_number(call, NGX_IOT_MQTT_WILLS, 4);

        call->binary = 1;
        call->done = ngx_iot_mqtt_will_due;

        if (ngx_iot_db_send(call) == NGX_OK) {
            ngx_iot_mqtt_will_asking = 1;
            return;
        }

        ngx_destroy_pool(call->pool);
    }

    ngx_add_timer(ev, NGX_IOT_MQTT_WILL_RETRY);
}


static void
ngx_iot_mqtt_will_due(ngx_iot_db_call_t *call)
{
    int      i, n;
    int64_t  next;

    ngx_iot_mqtt_will_asking = 0;

    n = (call->rc == NGX_OK) ? PQntuples(call->result) : 0;

    if (n == 0) {
        ngx_iot_mqtt_will_wake(NGX_IOT_MQTT_WILL_RETRY);
        return;
    }

    for (i = 0; i < n - 1; i++) {
        ngx_iot_mqtt_will_take(call->result, i);
    }

    next = (int64_t) ngx_iot_mqtt_get64(PQgetvalue(call->result, n - 1, 10));

    if (ngx_iot_mqtt_will_again) {
        ngx_iot_mqtt_will_again = 0;
        next = 0;
    }

    if (next >= 0) {
        ngx_iot_mqtt_will_wake((ngx_msec_t) ngx_min(next, 3600 * 1000));
    }
}


/* a worker that ends has left one to the others */

static void
ngx_iot_mqtt_will_notified(ngx_str_t *what, ngx_str_t *id)
{
    if (what->len == 9 && ngx_strncmp(what->data, "mqtt-will", 9) == 0) {
        ngx_iot_mqtt_will_wake(0);
    }
}


static void
ngx_iot_mqtt_will_take(PGresult *res, int row)
{
    int64_t                 expiry;
    ngx_str_t               client;
    ngx_iot_bus_message_t  *msg;

    client.data = (u_char *) PQgetvalue(res, row, 2);
    client.len = PQgetlength(res, row, 2);

    msg = ngx_iot_mqtt_store_row((u_char *) PQgetvalue(res, row, 1), res, row,
                                 4, &client, 0);
    if (msg == NULL) {
        return;
    }

    msg->qos = (u_char) PQgetvalue(res, row, 3)[1];
    expiry = (int64_t) ngx_iot_mqtt_get64(PQgetvalue(res, row, 10));

    ngx_iot_mqtt_will_publish(msg,
                              ngx_iot_mqtt_get64(PQgetvalue(res, row, 0)),
                              (uint32_t) expiry, expiry >= 0);
}
