
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_store.h"


/*
 * A worker says every few seconds that it lives, so that its sessions and
 * wills find somebody when it was killed: whoever notices first, in this node
 * or another, hands them over (iot.mqtt_tick()).  Sessions whose time has
 * passed are looked for at the same time.
 */

#define NGX_IOT_MQTT_TICK    5000
#define NGX_IOT_MQTT_RETRY   500

/* sessions that expire at once */
#define NGX_IOT_MQTT_MOST    500

/* sessions whose rows are asked for again at once */
#define NGX_IOT_MQTT_STUCK   200

/* how long a call may take whose end we did not see */
#define NGX_IOT_MQTT_UNSURE  70000


static void ngx_iot_mqtt_worker_timer(ngx_event_t *ev);
static ngx_int_t ngx_iot_mqtt_worker_tick(void);
static void ngx_iot_mqtt_worker_ticked(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_worker_stuck(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_worker_mine(void);
static void ngx_iot_mqtt_worker_count(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_worker_list(ngx_iot_mqtt_session_t *s);
static u_char *ngx_iot_mqtt_worker_array(u_char *p, ngx_uint_t n);
static void ngx_iot_mqtt_worker_told(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_worker_expire(void);
static void ngx_iot_mqtt_worker_expired(ngx_iot_db_call_t *call);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_tick_stmt = ngx_iot_db_stmt(
    "SELECT nr, due FROM iot.mqtt_tick($1, $2, $3, $4, $5, $6::bigint[])");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_mine_stmt = ngx_iot_db_stmt(
    "SELECT iot.mqtt_mine($1, $2::bigint[], $3::bigint[])");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_expire_stmt = ngx_iot_db_stmt(
    "SELECT nr FROM iot.mqtt_expire($1)");


static uint64_t          ngx_iot_mqtt_worker_nr;
static uint64_t          ngx_iot_mqtt_worker_node;
static ngx_msec_t        ngx_iot_mqtt_worker_doubt;
static ngx_event_t       ngx_iot_mqtt_worker_ev;
static ngx_connection_t  ngx_iot_mqtt_worker_dummy;

/* while the sessions of the worker are being listed */

static ngx_uint_t        ngx_iot_mqtt_worker_n;
static u_char           *ngx_iot_mqtt_worker_nrs;
static u_char           *ngx_iot_mqtt_worker_epochs;


ngx_int_t
ngx_iot_mqtt_worker_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_worker_nr = 0;
    ngx_iot_mqtt_worker_doubt = 0;

    /* the same after a restart, another on another machine */

    ngx_iot_mqtt_worker_node =
        (uint64_t) ngx_murmur_hash2(cycle->hostname.data, cycle->hostname.len)
        << 32
        | ngx_murmur_hash2(cycle->conf_file.data, cycle->conf_file.len);

    ngx_iot_mqtt_worker_dummy.fd = (ngx_socket_t) -1;
    ngx_iot_mqtt_worker_ev.data = &ngx_iot_mqtt_worker_dummy;
    ngx_iot_mqtt_worker_ev.log = cycle->log;
    ngx_iot_mqtt_worker_ev.handler = ngx_iot_mqtt_worker_timer;
    ngx_iot_mqtt_worker_ev.cancelable = 1;

    if (ngx_iot_mqtt_worker_tick() != NGX_OK) {
        ngx_add_timer(&ngx_iot_mqtt_worker_ev, NGX_IOT_MQTT_RETRY);
    }

    return NGX_OK;
}


uint64_t
ngx_iot_mqtt_worker(void)
{
    return ngx_iot_mqtt_worker_nr;
}


void
ngx_iot_mqtt_worker_unsure(void)
{
    ngx_iot_mqtt_worker_doubt = (ngx_current_msec + NGX_IOT_MQTT_UNSURE) | 1;
}


static void
ngx_iot_mqtt_worker_timer(ngx_event_t *ev)
{
    if (ngx_exiting) {
        return;
    }

    if (ngx_iot_mqtt_worker_tick() != NGX_OK) {
        ngx_add_timer(ev, NGX_IOT_MQTT_RETRY);
    }
}


static ngx_int_t
ngx_iot_mqtt_worker_tick(void)
{
    u_char             *p, *generations;
    ngx_uint_t          i;
    ngx_iot_db_call_t  *call;
    ngx_iot_slot_id_t  *self;

    self = ngx_iot_slot_self();

    if (self->slot == NGX_IOT_SLOTS) {
        return NGX_OK;
    }

    (void) ngx_iot_slot_reap();

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_tick_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    generations = ngx_pnalloc(call->pool, 20 + NGX_IOT_SLOTS * 12);
    if (generations == NULL) {
        goto failed;
    }

    p = ngx_iot_mqtt_worker_array(generations, NGX_IOT_SLOTS);

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        p = ngx_iot_cell_int8(p, ngx_iot_slot_generation(i));
    }

    ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker_nr, 8);
    ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker_node, 8);
    ngx_iot_mqtt_number(call, ngx_iot_zone()->boot, 8);
    ngx_iot_mqtt_number(call, self->slot, 4);
    ngx_iot_mqtt_number(call, self->generation, 8);
    ngx_iot_db_param(call, generations, p - generations, 1);

    call->binary = 1;
    call->done = ngx_iot_mqtt_worker_ticked;

    if (ngx_iot_db_send(call) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_destroy_pool(call->pool);

    return NGX_ERROR;
}


/* the head of a bigint[]; without elements it has no dimension */

static u_char *
ngx_iot_mqtt_worker_array(u_char *p, ngx_uint_t n)
{
    p = ngx_iot_put32(p, n ? 1 : 0);
    p = ngx_iot_put32(p, 0);
    p = ngx_iot_put32(p, 20);

    if (n) {
        p = ngx_iot_put32(p, n);
        p = ngx_iot_put32(p, 1);
    }

    return p;
}


static void
ngx_iot_mqtt_worker_ticked(ngx_iot_db_call_t *call)
{
    int64_t   due;
    uint64_t  nr, former;

    if (ngx_exiting) {
        return;
    }

    if (call->rc != NGX_OK || PQntuples(call->result) != 1) {
        ngx_add_timer(&ngx_iot_mqtt_worker_ev, NGX_IOT_MQTT_RETRY);
        return;
    }

    nr = ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 0));
    due = (int64_t) ngx_iot_mqtt_get64(PQgetvalue(call->result, 0, 1));

    former = ngx_iot_mqtt_worker_nr;
    ngx_iot_mqtt_worker_nr = nr;

    ngx_add_timer(&ngx_iot_mqtt_worker_ev,
                  NGX_IOT_MQTT_TICK + ngx_random() % NGX_IOT_MQTT_TICK);

    if (due >= 0) {
        ngx_iot_mqtt_will_wake((ngx_msec_t) ngx_min(due, 3600 * 1000));
    }

    /* the others have taken us for dead, or something was left unsaid */

    if ((former && former != nr)
        || (ngx_iot_mqtt_worker_doubt
            && (ngx_msec_int_t) (ngx_current_msec - ngx_iot_mqtt_worker_doubt)
               >= 0))
    {
        ngx_iot_mqtt_worker_mine();
    }

    /* what could not be read or written when it was time */

    ngx_iot_mqtt_worker_n = NGX_IOT_MQTT_STUCK;
    ngx_iot_mqtt_each(ngx_iot_mqtt_worker_stuck);

    ngx_iot_mqtt_leave_again();
    ngx_iot_mqtt_worker_expire();
}


static void
ngx_iot_mqtt_worker_stuck(ngx_iot_mqtt_session_t *s)
{
    if (s->durable
        && !s->drained
        && s->fetching == NULL
        && ngx_queue_empty(&s->waiting)
        && ngx_iot_mqtt_worker_n)
    {
        ngx_iot_mqtt_worker_n--;
        ngx_iot_mqtt_durable_fetch(s);
    }
}


static void
ngx_iot_mqtt_worker_count(ngx_iot_mqtt_session_t *s)
{
    if (s->durable && !s->detached) {
        ngx_iot_mqtt_worker_n++;
    }
}


static void
ngx_iot_mqtt_worker_list(ngx_iot_mqtt_session_t *s)
{
    if (s->durable && !s->detached) {
        ngx_iot_mqtt_worker_nrs = ngx_iot_cell_int8(ngx_iot_mqtt_worker_nrs,
                                                    s->durable);
        ngx_iot_mqtt_worker_epochs =
            ngx_iot_cell_int8(ngx_iot_mqtt_worker_epochs, s->epoch);
    }
}


static void
ngx_iot_mqtt_worker_mine(void)
{
    u_char             *nrs, *epochs;
    ngx_uint_t          n;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_mine_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        goto unsure;
    }

    ngx_iot_mqtt_worker_n = 0;
    ngx_iot_mqtt_each(ngx_iot_mqtt_worker_count);
    n = ngx_iot_mqtt_worker_n;

    nrs = ngx_palloc(call->pool, 20 + n * 12);
    epochs = ngx_palloc(call->pool, 20 + n * 12);

    if (nrs == NULL || epochs == NULL) {
        goto failed;
    }

    ngx_iot_mqtt_worker_nrs = ngx_iot_mqtt_worker_array(nrs, n);
    ngx_iot_mqtt_worker_epochs = ngx_iot_mqtt_worker_array(epochs, n);
    ngx_iot_mqtt_each(ngx_iot_mqtt_worker_list);

    ngx_iot_mqtt_number(call, ngx_iot_mqtt_worker_nr, 8);
    ngx_iot_db_param(call, nrs, ngx_iot_mqtt_worker_nrs - nrs, 1);
    ngx_iot_db_param(call, epochs, ngx_iot_mqtt_worker_epochs - epochs, 1);

    call->done = ngx_iot_mqtt_worker_told;

    if (ngx_iot_db_send(call) == NGX_OK) {
        ngx_iot_mqtt_worker_doubt = 0;
        return;
    }

failed:

    ngx_destroy_pool(call->pool);

unsure:

    ngx_iot_mqtt_worker_unsure();
}


static void
ngx_iot_mqtt_worker_told(ngx_iot_db_call_t *call)
{
    if (call->rc != NGX_OK) {
        ngx_iot_mqtt_worker_unsure();
    }
}


static void
ngx_iot_mqtt_worker_expire(void)
{
    ngx_iot_db_call_t  *call;

    if (!ngx_iot_db_ready(NGX_IOT_DB_CHORE)) {
        return;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CHORE, &ngx_iot_mqtt_expire_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return;
    }

    ngx_iot_mqtt_number(call, NGX_IOT_MQTT_MOST, 4);

    call->binary = 1;
    call->done = ngx_iot_mqtt_worker_expired;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
    }
}


static void
ngx_iot_mqtt_worker_expired(ngx_iot_db_call_t *call)
{
    int        i;
    ngx_str_t  none;

    if (call->rc != NGX_OK) {
        return;
    }

    ngx_str_null(&none);

    ngx_iot_add(mqtt_expired, PQntuples(call->result));

    for (i = 0; i < PQntuples(call->result); i++) {
        ngx_iot_mqtt_index_tell(NGX_IOT_MQTT_DELETE_SESSION,
                     ngx_iot_mqtt_get64(PQgetvalue(call->result, i, 0)), NULL,
                     0, 0, &none, NULL, NULL);
    }
}
