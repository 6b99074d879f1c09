
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_id.h"
#include "../core/ngx_iot_registry.h"
#include "ngx_iot_mqtt_connect.h"
#include "ngx_iot_mqtt_store.h"


/* how long another worker may take to give a session up */
#define NGX_IOT_MQTT_KICK_TIME   5000

/* the database, at the worst */
#define NGX_IOT_MQTT_AUTH_TIME   15000

/* looks whether it may go on, and waits no longer for the store to be read */
#define NGX_IOT_MQTT_AGAIN       5
#define NGX_IOT_MQTT_LOAD_TIME   3000

#define NGX_IOT_MQTT_KICK_LEN    (8 + 8 + NGX_IOT_UUID_TEXT)


static ngx_iot_mqtt_connecting_t *ngx_iot_mqtt_connecting_create(
    ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_packet_t *packet);
static u_char *ngx_iot_mqtt_connect_copy(u_char *p, ngx_str_t *s);
static ngx_int_t ngx_iot_mqtt_connect_check(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_connect_will(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_connect_claim(ngx_iot_mqtt_connecting_t *cn);
static void ngx_iot_mqtt_connect_later(ngx_iot_mqtt_connecting_t *cn);
static void ngx_iot_mqtt_connect_timer(ngx_event_t *ev);
static void ngx_iot_mqtt_connect_opened(ngx_iot_mqtt_session_t *s,
    ngx_int_t rc, ngx_uint_t present);
static ngx_int_t ngx_iot_mqtt_connect_store(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_connect_accept(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_connack(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_connecting_t *cn, ngx_uint_t present,
    ngx_uint_t keep_alive);
static void ngx_iot_mqtt_on_kick(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);
static void ngx_iot_mqtt_on_kicked(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);


static ngx_queue_t       ngx_iot_mqtt_connecting_list;
static uint64_t          ngx_iot_mqtt_refs;
static ngx_connection_t  ngx_iot_mqtt_connect_dummy;


ngx_int_t
ngx_iot_mqtt_connect_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_iot_mqtt_connecting_list);
    ngx_iot_mqtt_connect_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_bus_on_direct(NGX_IOT_BUS_KICK, ngx_iot_mqtt_on_kick);
    ngx_iot_bus_on_direct(NGX_IOT_BUS_KICKED, ngx_iot_mqtt_on_kicked);

    return ngx_iot_mqtt_seat_init_process(cycle);
}


ngx_int_t
ngx_iot_mqtt_on_connect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_int_t                   rc;
    ngx_iot_mqtt_connecting_t  *cn;

    ngx_iot_count(mqtt_connects);

    if (ngx_exiting) {
        return NGX_IOT_MQTT_SHUTTING_DOWN;
    }

    rc = ngx_iot_mqtt_connect_check(s, packet);
    if (rc != NGX_OK) {
        return rc;
    }

    cn = ngx_iot_mqtt_connecting_create(s, packet);
    if (cn == NULL) {
        return NGX_IOT_MQTT_BUSY;
    }

    s->state = NGX_IOT_MQTT_WAITING;
    s->blocked = 1;

    ngx_add_timer(s->connection->read, NGX_IOT_MQTT_AUTH_TIME);

    rc = ngx_iot_mqtt_identify(cn);

    if (rc == NGX_AGAIN) {
        return NGX_OK;
    }

    ngx_iot_mqtt_connect_go(cn, rc);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_connect_check(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_connect_t  *connect;

    connect = &packet->connect;

    if (ngx_iot_mqtt_props_has(&packet->props,
                               NGX_IOT_MQTT_PROP_AUTH_METHOD))
    {
        return NGX_IOT_MQTT_BAD_AUTH_METHOD;
    }

    if (connect->client_id.len == 0
        && (packet->version == NGX_IOT_MQTT_V31
            || (packet->version == NGX_IOT_MQTT_V311 && !connect->clean)))
    {
        return NGX_IOT_MQTT_BAD_CLIENT_ID;
    }

    if (connect->will) {

        if (connect->will_qos > s->conf->max_qos) {
            return NGX_IOT_MQTT_NO_QOS;
        }

        if (connect->will_retain && !s->conf->retain) {
            return NGX_IOT_MQTT_NO_RETAIN;
        }
    }

    return NGX_OK;
}


static u_char *
ngx_iot_mqtt_connect_copy(u_char *p, ngx_str_t *s)
{
    u_char  *end;

    if (s->len == 0) {
        s->data = p;
        return p;
    }

    end = ngx_cpymem(p, s->data, s->len);
    s->data = p;

    return end;
}


static ngx_iot_mqtt_connecting_t *
ngx_iot_mqtt_connecting_create(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    u_char                     *p, random[16];
    size_t                      size;
    ngx_iot_mqtt_connect_t     *connect;
    ngx_iot_mqtt_connecting_t  *cn;

    connect = &packet->connect;

    size = sizeof(ngx_iot_mqtt_connecting_t) + 40 + connect->client_id.len
           + connect->user.len + connect->password.len
           + connect->will_topic.len + connect->will_payload.len
           + connect->will_props.raw.len;

    cn = ngx_alloc(size, s->connection->log);
    if (cn == NULL) {
        return NULL;
    }

    ngx_memzero(cn, sizeof(ngx_iot_mqtt_connecting_t));

    cn->session = s;
    cn->start = ngx_current_msec;
    cn->timer.data = &ngx_iot_mqtt_connect_dummy;
    cn->timer.log = ngx_cycle->log;
    cn->timer.handler = ngx_iot_mqtt_connect_timer;
    cn->connect = *connect;
    connect = &cn->connect;

    p = cn->data;

    if (connect->client_id.len == 0) {
        ngx_iot_uuid_random(random);
        connect->client_id.data = p;
        p = ngx_cpymem(p, "auto-", 5);
        p = ngx_iot_uuid_text(p, random);
        connect->client_id.len = p - connect->client_id.data;
        cn->assigned = 1;

    } else {
        p = ngx_iot_mqtt_connect_copy(p, &connect->client_id);
    }

    p = ngx_iot_mqtt_connect_copy(p, &connect->user);
    p = ngx_iot_mqtt_connect_copy(p, &connect->password);
    p = ngx_iot_mqtt_connect_copy(p, &connect->will_topic);
    p = ngx_iot_mqtt_connect_copy(p, &connect->will_payload);
    (void) ngx_iot_mqtt_connect_copy(p, &connect->will_props.raw);

    s->client_id = connect->client_id;
    s->clean = connect->clean;
    s->bridge = connect->bridge;

    s->window = s->conf->max_inflight;
    cn->expiry = 0;

    if (packet->version == NGX_IOT_MQTT_V5) {
        cn->asked_expiry = packet->props.session_expiry;
        cn->expiry = ngx_min(packet->props.session_expiry,
                             (uint32_t) s->conf->max_session_expiry);
        cn->alias_maximum = packet->props.topic_alias_maximum;
        s->max_packet = packet->props.maximum_packet;
        s->problem_info = packet->props.request_problem;
        s->window = ngx_min(s->window, packet->props.receive_maximum);

    } else if (!connect->clean) {
        cn->expiry = (uint32_t) s->conf->max_session_expiry;
    }

    s->alias_maximum = ngx_min(cn->alias_maximum, s->conf->max_alias_broker);
    s->keep_alive = connect->keep_alive;
    s->connecting = cn;

    ngx_queue_insert_tail(&ngx_iot_mqtt_connecting_list, &cn->queue);

    return cn;
}


void
ngx_iot_mqtt_connect_cancel(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_connecting_t  *cn;

    cn = s->connecting;

    if (cn == NULL) {
        return;
    }

    s->connecting = NULL;

    /* while it has its name */

    ngx_iot_mqtt_durable_cancel(s);
    ngx_iot_mqtt_will_drop(s);
    ngx_iot_mqtt_will_fire(s);
    ngx_iot_mqtt_leave(s);

    s->durable = 0;
    s->will_mark = 0;

    if (!s->in_list) {
        ngx_str_null(&s->client_id);
    }

    ngx_queue_remove(&cn->queue);

    if (cn->timer.timer_set) {
        ngx_del_timer(&cn->timer);
    }

    ngx_iot_mqtt_identify_cancel(cn);

    if (s->ref) {
        ngx_iot_registry_drop(NGX_IOT_REGISTRY_MQTT, s->tenant,
                              &cn->connect.client_id, s->ref);
        s->ref = 0;
    }

    ngx_memzero(cn->connect.password.data, cn->connect.password.len);
    ngx_free(cn);
}


/* goes on after something that took its time: rc is NGX_OK or a reason */

void
ngx_iot_mqtt_connect_go(ngx_iot_mqtt_connecting_t *cn, ngx_int_t rc)
{
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (rc == NGX_OK
        && !ngx_iot_mqtt_index_ready()
        && ngx_current_msec - cn->start < NGX_IOT_MQTT_LOAD_TIME)
    {
        ngx_iot_mqtt_connect_later(cn);
        return;
    }

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_identify_tenant(cn);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    /* after the rules of the tenant are known */

    if (rc == NGX_OK && cn->connect.will && !cn->willed) {
        cn->willed = 1;
        rc = ngx_iot_mqtt_connect_will(cn);
    }

    if (rc == NGX_OK && s->ref == 0) {
        rc = ngx_iot_mqtt_connect_claim(cn);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    if (rc == NGX_OK && !cn->opened) {
        rc = ngx_iot_mqtt_connect_store(cn);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_connect_accept(cn);
    }

    if (rc == NGX_OK) {
        ngx_iot_mqtt_unblock(s);
        return;
    }

    ngx_iot_count(mqtt_refused);

    ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                  "client \"%V\" refused: %V", &s->client_id,
                  ngx_iot_mqtt_reason_name(rc));

    ngx_iot_mqtt_end(s, rc);
}


static ngx_int_t
ngx_iot_mqtt_connect_will(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t                rc;
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (s->topics && s->topics->is_will
        && s->topics->is_will(s, &cn->connect.will_topic))
    {
        return ngx_iot_mqtt_will_set(s, &cn->connect, 1);
    }

    rc = ngx_iot_mqtt_may(s, NGX_IOT_MQTT_PUB, &cn->connect.will_topic);

    if (rc == NGX_OK) {
        return ngx_iot_mqtt_will_set(s, &cn->connect, 0);
    }

    /* a device's on a topic where a publish would be dropped: not kept */

    return s->topics ? NGX_OK : rc;
}


static void
ngx_iot_mqtt_connect_later(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_add_timer(&cn->timer, NGX_IOT_MQTT_AGAIN);
}


static void
ngx_iot_mqtt_connect_timer(ngx_event_t *ev)
{
    ngx_iot_mqtt_connecting_t  *cn;

    cn = (ngx_iot_mqtt_connecting_t *)
             ((u_char *) ev - offsetof(ngx_iot_mqtt_connecting_t, timer));

    ngx_iot_mqtt_connect_go(cn, NGX_OK);
}


/* the session that is stored, when its former rows are all written */

static ngx_int_t
ngx_iot_mqtt_connect_store(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t                rc;
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (ngx_iot_mqtt_leaving(s->tenant, &s->client_id)) {
        ngx_iot_mqtt_connect_later(cn);
        return NGX_AGAIN;
    }

    if (!ngx_iot_mqtt_index_ready() && cn->expiry) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    cn->opened = 1;

    rc = ngx_iot_mqtt_durable_open(s, s->clean, cn->expiry,
                                   ngx_iot_mqtt_connect_opened);

    if (rc == NGX_DECLINED) {
        return NGX_OK;
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_IOT_MQTT_UNAVAILABLE;
}


static void
ngx_iot_mqtt_connect_opened(ngx_iot_mqtt_session_t *s, ngx_int_t rc,
    ngx_uint_t present)
{
    ngx_iot_mqtt_connecting_t  *cn;

    cn = s->connecting;
    cn->present = present;
    s->expiry = cn->expiry;

    ngx_iot_mqtt_connect_go(cn, rc);
}


/* one session of a client id in the whole node: the former one has to go */

static ngx_int_t
ngx_iot_mqtt_connect_claim(ngx_iot_mqtt_connecting_t *cn)
{
    u_char                    *p, buf[NGX_IOT_MQTT_KICK_LEN + 65535];
    ngx_int_t                  rc;
    ngx_iot_mqtt_session_t    *s, *old;
    ngx_iot_registry_entry_t   former;

    s = cn->session;

    old = ngx_iot_mqtt_find(s->tenant, &s->client_id);
    if (old) {
        ngx_iot_mqtt_end(old, NGX_IOT_MQTT_TAKEN_OVER);
    }

    s->ref = ++ngx_iot_mqtt_refs;

    rc = ngx_iot_registry_claim(NGX_IOT_REGISTRY_MQTT, s->tenant,
                                &s->client_id, s->ref, &former);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (rc != NGX_DONE) {
        s->ref = 0;
        return NGX_IOT_MQTT_BUSY;
    }

    p = ngx_cpymem(buf, &former.ref, 8);
    p = ngx_cpymem(p, &s->ref, 8);
    p = ngx_cpymem(p, s->tenant, NGX_IOT_UUID_TEXT);
    p = ngx_cpymem(p, s->client_id.data, s->client_id.len);

    rc = ngx_iot_bus_send(&former.owner, NGX_IOT_BUS_KICK, buf, p - buf);

    if (rc == NGX_DECLINED) {
        /* that worker has gone, and its sessions with it */
        return NGX_OK;
    }

    if (rc != NGX_OK) {
        return NGX_IOT_MQTT_BUSY;
    }

    cn->kicking = 1;
    ngx_add_timer(s->connection->read, NGX_IOT_MQTT_KICK_TIME);

    return NGX_AGAIN;
}


static void
ngx_iot_mqtt_on_kick(ngx_iot_slot_id_t *from, u_char *data, size_t len)
{
    u_char                     *tenant, answer[8];
    uint64_t                    ref;
    ngx_str_t                   id;
    ngx_queue_t                *q;
    ngx_iot_mqtt_session_t     *s;
    ngx_iot_mqtt_connecting_t  *cn;

    if (len < NGX_IOT_MQTT_KICK_LEN) {
        return;
    }

    ngx_memcpy(&ref, data, 8);
    ngx_memcpy(answer, data + 8, 8);

    tenant = data + 16;
    id.data = data + NGX_IOT_MQTT_KICK_LEN;
    id.len = len - NGX_IOT_MQTT_KICK_LEN;

    s = ngx_iot_mqtt_find(tenant, &id);

    if (s && s->ref == ref) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_TAKEN_OVER);

    } else {
        for (q = ngx_queue_head(&ngx_iot_mqtt_connecting_list);
             q != ngx_queue_sentinel(&ngx_iot_mqtt_connecting_list);
             q = ngx_queue_next(q))
        {
            cn = ngx_queue_data(q, ngx_iot_mqtt_connecting_t, queue);

            if (cn->session->ref == ref) {
                ngx_iot_mqtt_end(cn->session, NGX_IOT_MQTT_TAKEN_OVER);
                break;
            }
        }
    }

    if (ngx_iot_mqtt_leaving_defer(tenant, &id, from, answer)) {
        return;
    }

    (void) ngx_iot_bus_send(from, NGX_IOT_BUS_KICKED, answer, 8);
}


static void
ngx_iot_mqtt_on_kicked(ngx_iot_slot_id_t *from, u_char *data, size_t len)
{
    uint64_t                    ref;
    ngx_queue_t                *q;
    ngx_iot_mqtt_connecting_t  *cn;

    if (len != 8) {
        return;
    }

    ngx_memcpy(&ref, data, 8);

    for (q = ngx_queue_head(&ngx_iot_mqtt_connecting_list);
         q != ngx_queue_sentinel(&ngx_iot_mqtt_connecting_list);
         q = ngx_queue_next(q))
    {
        cn = ngx_queue_data(q, ngx_iot_mqtt_connecting_t, queue);

        if (cn->session->ref == ref && cn->kicking) {
            cn->kicking = 0;
            ngx_iot_mqtt_connect_go(cn, NGX_OK);
            return;
        }
    }
}


void
ngx_iot_mqtt_connect_left(ngx_iot_mqtt_session_t *s)
{
    if (s->ref) {
        ngx_iot_registry_drop(NGX_IOT_REGISTRY_MQTT, s->tenant, &s->client_id,
                              s->ref);
        s->ref = 0;
    }
}


static ngx_int_t
ngx_iot_mqtt_connect_accept(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t                rc;
    ngx_uint_t               keep_alive, max;
    ngx_iot_mqtt_session_t  *s, *old;

    s = cn->session;

    if (ngx_iot_bus_client_open(&s->bus, s->tenant, ngx_iot_mqtt_deliver, s)
        != NGX_OK)
    {
        return NGX_IOT_MQTT_BUSY;
    }

    s->bus_open = 1;

    old = ngx_iot_mqtt_find(s->tenant, &s->client_id);
    if (old) {
        ngx_iot_mqtt_end(old, NGX_IOT_MQTT_TAKEN_OVER);
    }

    if (ngx_iot_mqtt_insert(s) != NGX_OK) {
        return NGX_IOT_MQTT_BUSY;
    }

    rc = ngx_iot_mqtt_seat_take(s);

    if (rc != NGX_OK) {
        return rc;
    }

    keep_alive = cn->connect.keep_alive;
    max = s->conf->max_keepalive;

    if (max && (keep_alive == 0 || keep_alive > max)) {
        keep_alive = max;
    }

    s->expiry = cn->expiry;

    if (ngx_iot_mqtt_connack(s, cn, cn->present, keep_alive) != NGX_OK) {
        return NGX_IOT_MQTT_TOO_LARGE;
    }

    s->parser.accepted = 1;
    s->state = NGX_IOT_MQTT_UP;
    s->seen = ngx_current_msec;

    /* one and a half times the interval (MQTT 5.0, section 3.1.2.10) */

    s->keep_alive = (ngx_msec_t) keep_alive * 1500;

    if (s->keep_alive) {
        ngx_add_timer(s->connection->read, s->keep_alive);

    } else if (s->connection->read->timer_set) {
        ngx_del_timer(s->connection->read);
    }

    s->connecting = NULL;
    ngx_queue_remove(&cn->queue);
    ngx_memzero(cn->connect.password.data, cn->connect.password.len);
    ngx_free(cn);

    ngx_iot_mqtt_will_write(s);

    if (ngx_iot_mqtt_durable_resume(s) != NGX_OK) {
        return NGX_IOT_MQTT_BUSY;
    }

    if (s->topics && s->topics->connected) {
        s->topics->connected(s);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_connack(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_connecting_t *cn,
    ngx_uint_t present, ngx_uint_t keep_alive)
{
    ngx_iot_mqtt_conf_t    *conf;
    ngx_iot_mqtt_props_t   *props;
    ngx_iot_mqtt_packet_t   packet;

    ngx_memzero(&packet, sizeof(ngx_iot_mqtt_packet_t));
    ngx_iot_mqtt_props_init(&packet.props);

    conf = s->conf;
    props = &packet.props;

    packet.type = NGX_IOT_MQTT_CONNACK;
    packet.session_present = present;

#define ngx_iot_mqtt_tell(name, id, differs, value)                           \
    if (differs) {                                                            \
        props->name = value;                                                  \
        ngx_iot_mqtt_props_set(props, NGX_IOT_MQTT_PROP_##id);                \
    }

    ngx_iot_mqtt_tell(session_expiry, SESSION_EXPIRY,
                      cn->expiry != cn->asked_expiry, cn->expiry);
    ngx_iot_mqtt_tell(receive_maximum, RECEIVE_MAXIMUM,
                      conf->receive_maximum < 65535, conf->receive_maximum);
    ngx_iot_mqtt_tell(maximum_qos, MAXIMUM_QOS, conf->max_qos < 2,
                      conf->max_qos);
    ngx_iot_mqtt_tell(retain_available, RETAIN_AVAILABLE, !conf->retain, 0);
    ngx_iot_mqtt_tell(maximum_packet, MAXIMUM_PACKET, 1,
                      ngx_min(conf->max_packet, 268435460));
    ngx_iot_mqtt_tell(assigned_client_id, ASSIGNED_CLIENT_ID, cn->assigned,
                      s->client_id);
    ngx_iot_mqtt_tell(topic_alias_maximum, TOPIC_ALIAS_MAXIMUM,
                      conf->max_alias, conf->max_alias);
    ngx_iot_mqtt_tell(wildcard_available, WILDCARD_AVAILABLE,
                      !conf->wildcards, 0);
    ngx_iot_mqtt_tell(sub_id_available, SUB_ID_AVAILABLE,
                      !conf->subscription_ids, 0);
    ngx_iot_mqtt_tell(shared_available, SHARED_AVAILABLE, !conf->shared, 0);
    ngx_iot_mqtt_tell(server_keep_alive, SERVER_KEEP_ALIVE,
                      keep_alive != cn->connect.keep_alive, keep_alive);

#undef ngx_iot_mqtt_tell

    return ngx_iot_mqtt_packet(s, &packet);
}
