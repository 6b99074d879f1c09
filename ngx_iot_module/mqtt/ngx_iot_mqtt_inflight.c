
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_store.h"


/* subscription identifiers of one message; one client rarely has so many */
#define NGX_IOT_MQTT_IDS  64


static ngx_int_t ngx_iot_mqtt_send_now(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_delivery_t *dl);
static ngx_uint_t ngx_iot_mqtt_alias(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic, ngx_iot_mqtt_delivery_t *dl);
static void ngx_iot_mqtt_alias_keep(ngx_iot_mqtt_session_t *s,
    ngx_str_t *topic);
static ngx_iot_mqtt_out_t *ngx_iot_mqtt_out_create(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    uint32_t *ids, ngx_uint_t nids);
static void ngx_iot_mqtt_out_free(ngx_iot_mqtt_out_t *out);
static ngx_int_t ngx_iot_mqtt_out_send(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_out_t *out);
static ngx_iot_mqtt_out_t *ngx_iot_mqtt_out_find(ngx_iot_mqtt_session_t *s,
    ngx_uint_t packet_id);
static void ngx_iot_mqtt_out_done(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_out_t *out);
static ngx_int_t ngx_iot_mqtt_out_write(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_out_t *out);
static void ngx_iot_mqtt_out_mark(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_out_t *out, ngx_uint_t mark);
static void ngx_iot_mqtt_out_marked(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_out_let_go(ngx_iot_mqtt_out_t *out);
static ngx_int_t ngx_iot_mqtt_send_stored(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, uint64_t id);
static uint16_t ngx_iot_mqtt_next_id(ngx_iot_mqtt_session_t *s);
static ngx_uint_t ngx_iot_mqtt_id_used(ngx_iot_mqtt_session_t *s,
    uint16_t packet_id);
static ngx_uint_t ngx_iot_mqtt_expired(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_delivery_t *dl);
static void ngx_iot_mqtt_withhold(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg);


ngx_int_t
ngx_iot_mqtt_deliver(ngx_iot_bus_client_t *client, ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    uint32_t                 ids[NGX_IOT_MQTT_IDS];
    ngx_int_t                rc;
    ngx_uint_t               i, nids, qos, retain, matched;
    ngx_iot_bus_sub_t       *sub;
    ngx_iot_mqtt_session_t  *s;

    s = client->data;

    if (!ngx_iot_mqtt_may_get(s, &msg->topic)) {
        ngx_iot_mqtt_withhold(s, msg);
        return NGX_OK;
    }

    qos = 0;
    nids = 0;
    retain = 0;
    matched = 0;

    for (i = 0; i < n; i++) {
        sub = subs[i];

        if ((sub->options & NGX_IOT_MQTT_SUB_NO_LOCAL)
            && msg->publisher.len == s->client_id.len
            && ngx_memcmp(msg->publisher.data, s->client_id.data,
                          s->client_id.len)
               == 0)
        {
            continue;
        }

        matched = 1;
        qos = ngx_max(qos, (sub->options & NGX_IOT_MQTT_SUB_QOS));

        if (sub->options & NGX_IOT_MQTT_SUB_AS_PUBLISHED) {
            retain = msg->flags & NGX_IOT_BUS_RETAIN;
        }

        if (sub->id && nids < NGX_IOT_MQTT_IDS) {
            ids[nids++] = sub->id;
        }
    }

    if (!matched) {
        return NGX_OK;
    }

    qos = ngx_min(qos, msg->qos);

    if (subs[0]->group.len == 0 || qos == 0) {
        return ngx_iot_mqtt_send_message(s, msg, qos, retain, ids, nids);
    }

    if (s->durable) {
        return ngx_iot_mqtt_share_deliver(s, msg, qos, retain, subs[0]);
    }

    s->sharing = subs[0];
    rc = ngx_iot_mqtt_send_message(s, msg, qos, retain, ids, nids);
    s->sharing = NULL;

    return rc;
}


/* it is done with as if it had been delivered */

static void
ngx_iot_mqtt_withhold(ngx_iot_mqtt_session_t *s, ngx_iot_bus_message_t *msg)
{
    ngx_iot_count(mqtt_publish_dropped);

    if (s->durable && (msg->flags & NGX_IOT_MQTT_STORED)) {
        (void) ngx_iot_mqtt_store_mark(s->durable, ngx_iot_mqtt_store_id(msg),
                                       0, NGX_IOT_MQTT_MARK_DONE, NULL, NULL);
    }
}


ngx_int_t
ngx_iot_mqtt_send_message(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    uint32_t *ids, ngx_uint_t nids)
{
    ngx_int_t                 rc;
    ngx_iot_mqtt_out_t       *out;
    ngx_iot_mqtt_delivery_t   dl;

    if (s->state != NGX_IOT_MQTT_UP) {
        return NGX_DECLINED;
    }

    if (qos == 0) {

        if (s->out_bytes > s->conf->write_buffer) {
            ngx_iot_count(mqtt_publish_dropped);
            return NGX_DECLINED;
        }

        ngx_memzero(&dl, sizeof(ngx_iot_mqtt_delivery_t));

        dl.retain = retain ? 1 : 0;
        dl.subscription_ids = ids;
        dl.nsubscription_ids = nids;

        rc = ngx_iot_mqtt_send_now(s, msg, &dl);

        if (rc != NGX_OK) {
            ngx_iot_count(mqtt_publish_dropped);
        }

        return rc;
    }

    if (s->durable && (msg->flags & NGX_IOT_MQTT_STORED)) {
        rc = ngx_iot_mqtt_send_stored(s, msg, ngx_iot_mqtt_store_id(msg));

        if (rc != NGX_DECLINED) {
            return rc;
        }
    }

    if (ngx_queue_empty(&s->waiting) && s->ninflight < s->window) {

        out = ngx_iot_mqtt_out_create(s, msg, qos, retain, ids, nids);
        if (out == NULL) {
            return NGX_ERROR;
        }

        return ngx_iot_mqtt_out_send(s, out);
    }

    if ((s->conf->max_queued && s->nqueued >= s->conf->max_queued)
        || (s->conf->max_queued_bytes
            && s->queued_bytes + msg->payload.len > s->conf->max_queued_bytes))
    {
        ngx_iot_count(mqtt_publish_dropped);
        return NGX_DECLINED;
    }

    out = ngx_iot_mqtt_out_create(s, msg, qos, retain, ids, nids);
    if (out == NULL) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&s->waiting, &out->queue);
    s->nqueued++;
    s->queued_bytes += msg->payload.len;

    return NGX_OK;
}


/*
 * NGX_DECLINED: to be sent like any other.  NGX_OK: its row is enough, it is
 * read when those before it were, or was read already.
 */

static ngx_int_t
ngx_iot_mqtt_send_stored(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, uint64_t id)
{
    ngx_uint_t           i;
    ngx_queue_t         *q, *lists[2];
    ngx_iot_mqtt_out_t  *out;

    if (!s->drained) {
        s->more = 1;
        return NGX_OK;
    }

    lists[0] = &s->waiting;
    lists[1] = &s->inflight;

    for (i = 0; s->restored && i < 2; i++) {
        for (q = ngx_queue_head(lists[i]);
             q != ngx_queue_sentinel(lists[i]);
             q = ngx_queue_next(q))
        {
            out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

            if (out->stored == id) {
                return NGX_OK;
            }
        }
    }

    if ((s->conf->max_queued && s->nqueued >= s->conf->max_queued)
        || (s->conf->max_queued_bytes
            && s->queued_bytes + msg->payload.len > s->conf->max_queued_bytes))
    {
        s->drained = 0;
        return NGX_OK;
    }

    return NGX_DECLINED;
}


/* 1: too late; else what remains, rounded up */

static ngx_uint_t
ngx_iot_mqtt_expired(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_delivery_t *dl)
{
    uint64_t     now;
    ngx_time_t  *tp;

    if (msg->expires == 0) {
        return 0;
    }

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    if (msg->expires <= now && msg->expires != msg->published) {
        return 1;
    }

    dl->has_expiry = 1;
    dl->expiry = (msg->expires > now)
                 ? (uint32_t) ((msg->expires - now + 999) / 1000) : 0;

    return 0;
}


static ngx_int_t
ngx_iot_mqtt_send_now(ngx_iot_mqtt_session_t *s, ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_delivery_t *dl)
{
    ngx_int_t   rc;
    ngx_uint_t  fresh;

    if (ngx_iot_mqtt_expired(msg, dl)) {
        return NGX_DONE;
    }

    fresh = 0;

    if (s->alias_maximum) {
        fresh = ngx_iot_mqtt_alias(s, &msg->topic, dl);
    }

    rc = ngx_iot_mqtt_put_publish(s, msg, dl);

    if (fresh) {
        if (rc == NGX_OK) {
            ngx_iot_mqtt_alias_keep(s, &msg->topic);

        } else {
            ngx_free(s->our_aliases[s->nour_aliases].data);
        }
    }

    return rc;
}


/* 1: the alias is new and to be kept when the packet has gone out */

static ngx_uint_t
ngx_iot_mqtt_alias(ngx_iot_mqtt_session_t *s, ngx_str_t *topic,
    ngx_iot_mqtt_delivery_t *dl)
{
    ngx_uint_t  i;

    for (i = 0; i < s->nour_aliases; i++) {

        if (s->our_aliases[i].len == topic->len
            && ngx_memcmp(s->our_aliases[i].data, topic->data, topic->len)
               == 0)
        {
            dl->topic_alias = i + 1;
            dl->known_alias = 1;
            return 0;
        }
    }

    if (s->nour_aliases == s->alias_maximum) {
        return 0;
    }

    if (s->our_aliases == NULL) {
        s->our_aliases = ngx_calloc(s->alias_maximum * sizeof(ngx_str_t),
                                    s->connection->log);
        if (s->our_aliases == NULL) {
            return 0;
        }
    }

    /* the memory now: once the client knows the alias we must know it too */

    s->our_aliases[s->nour_aliases].data = ngx_alloc(topic->len,
                                                     s->connection->log);
    if (s->our_aliases[s->nour_aliases].data == NULL) {
        return 0;
    }

    dl->topic_alias = s->nour_aliases + 1;

    return 1;
}


static void
ngx_iot_mqtt_alias_keep(ngx_iot_mqtt_session_t *s, ngx_str_t *topic)
{
    ngx_str_t  *alias;

    alias = &s->our_aliases[s->nour_aliases++];

    ngx_memcpy(alias->data, topic->data, topic->len);
    alias->len = topic->len;
}


static ngx_iot_mqtt_out_t *
ngx_iot_mqtt_out_create(ngx_iot_mqtt_session_t *s, ngx_iot_bus_message_t *msg,
    ngx_uint_t qos, ngx_uint_t retain, uint32_t *ids, ngx_uint_t nids)
{
    u_char              *p;
    size_t               len;
    ngx_iot_mqtt_out_t  *out;

    len = 0;

    if (s->sharing) {
        len = sizeof(ngx_iot_topic_share_t) + s->sharing->filter.len
              + s->sharing->group.len;
    }

    out = ngx_alloc(sizeof(ngx_iot_mqtt_out_t)
                    + ((nids * sizeof(uint32_t) + 7) & ~7) + len,
                    s->connection->log);
    if (out == NULL) {
        return NULL;
    }

    ngx_memzero(out, sizeof(ngx_iot_mqtt_out_t));

    if (s->sharing) {
        p = (u_char *) (out + 1) + ((nids * sizeof(uint32_t) + 7) & ~7);

        out->share = (ngx_iot_topic_share_t *) p;
        p += sizeof(ngx_iot_topic_share_t);

        out->share->filter.data = p;
        out->share->filter.len = s->sharing->filter.len;
        p = ngx_cpymem(p, s->sharing->filter.data, s->sharing->filter.len);

        out->share->group.data = p;
        out->share->group.len = s->sharing->group.len;
        ngx_memcpy(p, s->sharing->group.data, s->sharing->group.len);
    }

    out->acked = s->acking;
    s->acking = NULL;

    out->msg = msg;
    out->session = s;
    out->qos = (uint8_t) qos;
    out->retain = retain ? 1 : 0;
    out->nids = (uint16_t) nids;
    out->ids = (uint32_t *) (out + 1);

    if (s->durable) {
        out->stored = ngx_iot_mqtt_store_id(msg);
    }

    ngx_memcpy(out->ids, ids, nids * sizeof(uint32_t));
    ngx_iot_bus_keep(msg);

    return out;
}


static void
ngx_iot_mqtt_out_free(ngx_iot_mqtt_out_t *out)
{
    if (out->msg) {
        ngx_iot_bus_drop(out->msg);
    }

    if (out->acked) {
        out->acked->handler(out->acked, 0);
    }

    ngx_free(out);
}


static uint16_t
ngx_iot_mqtt_next_id(ngx_iot_mqtt_session_t *s)
{
    do {
        if (++s->next_id == 0) {
            s->next_id = 1;
            s->wrapped = 1;
        }

    } while (s->wrapped && ngx_iot_mqtt_id_used(s, s->next_id));

    return s->next_id;
}


/*
 * Identifiers are given in order, and the queue keeps that order: what is
 * outside of the oldest and the newest is free, without a look at each.
 */

static ngx_uint_t
ngx_iot_mqtt_id_used(ngx_iot_mqtt_session_t *s, uint16_t packet_id)
{
    ngx_iot_mqtt_out_t  *first, *last;

    if (ngx_queue_empty(&s->inflight)) {
        return 0;
    }

    if (!s->restored) {
        first = ngx_queue_data(ngx_queue_head(&s->inflight),
                               ngx_iot_mqtt_out_t, queue);
        last = ngx_queue_data(ngx_queue_last(&s->inflight),
                              ngx_iot_mqtt_out_t, queue);

        if ((uint16_t) (packet_id - first->packet_id)
            > (uint16_t) (last->packet_id - first->packet_id))
        {
            return 0;
        }
    }

    return ngx_iot_mqtt_out_find(s, packet_id) != NULL;
}


/* takes over the entry, which is in no queue */

static ngx_int_t
ngx_iot_mqtt_out_send(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_out_t *out)
{
    ngx_int_t  rc;

    if (out->packet_id == 0) {
        out->packet_id = ngx_iot_mqtt_next_id(s);
    }

    ngx_queue_insert_tail(&s->inflight, &out->queue);
    s->ninflight++;

    /*
     * QoS 2 is once only: after a restart it is repeated with the identifier
     * that the client knows, so that must be written first.
     */

    if (out->stored && out->qos == 2 && !out->dup) {
        out->state = NGX_IOT_MQTT_STORING;
        ngx_iot_mqtt_out_mark(s, out, NGX_IOT_MQTT_MARK_SENT);
        return NGX_OK;
    }

    rc = ngx_iot_mqtt_out_write(s, out);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    /* too late, too large: as good as delivered */

    if (rc != NGX_DONE) {
        ngx_iot_count(mqtt_publish_dropped);
    }

    ngx_queue_remove(&out->queue);
    s->ninflight--;

    if (out->stored) {
        (void) ngx_iot_mqtt_store_mark(s->durable, out->stored, 0,
                                       NGX_IOT_MQTT_MARK_DONE, NULL, NULL);
    }

    ngx_iot_mqtt_out_free(out);

    return (rc == NGX_DONE) ? NGX_OK : rc;
}


static ngx_int_t
ngx_iot_mqtt_out_write(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_out_t *out)
{
    ngx_iot_mqtt_delivery_t  dl;

    ngx_memzero(&dl, sizeof(ngx_iot_mqtt_delivery_t));

    dl.qos = out->qos;
    dl.retain = out->retain;
    dl.dup = out->dup;
    dl.subscription_ids = out->ids;
    dl.nsubscription_ids = out->nids;

    dl.packet_id = out->packet_id;

    out->state = NGX_IOT_MQTT_SENT;

    return ngx_iot_mqtt_send_now(s, out->msg, &dl);
}


static void
ngx_iot_mqtt_out_mark(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_out_t *out,
    ngx_uint_t mark)
{
    out->busy = 1;

    if (ngx_iot_mqtt_store_mark(s->durable, out->stored, out->packet_id, mark,
                                ngx_iot_mqtt_out_marked, out)
        != NGX_OK)
    {
        out->busy = 0;
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNAVAILABLE);
    }
}


static void
ngx_iot_mqtt_out_marked(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_out_t  *out = data;

    ngx_int_t                sent;
    ngx_iot_mqtt_session_t  *s;

    s = out->session;
    out->busy = 0;

    if (s == NULL) {
        ngx_iot_mqtt_out_free(out);
        return;
    }

    if (out->state == NGX_IOT_MQTT_DONE) {
        ngx_queue_remove(&out->queue);
        ngx_iot_mqtt_out_free(out);
        return;
    }

    if (rc != NGX_OK) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    if (out->state == NGX_IOT_MQTT_RECEIVED) {
        out->state = NGX_IOT_MQTT_RELEASED;

        if (ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBREL, out->packet_id, 0)
            != NGX_OK)
        {
            ngx_iot_mqtt_gone(s);
        }

        return;
    }

    sent = ngx_iot_mqtt_out_write(s, out);

    if (sent != NGX_OK) {
        ngx_iot_mqtt_out_done(s, out);
    }
}


ngx_int_t
ngx_iot_mqtt_out_restore(ngx_iot_mqtt_session_t *s, ngx_iot_bus_message_t *msg,
    ngx_uint_t qos, ngx_uint_t state, ngx_uint_t packet_id, uint32_t *ids,
    ngx_uint_t nids)
{
    ngx_iot_mqtt_out_t  *out;

    /* what has begun goes to its end, or the client would wait for it */

    if (state == 0 && !ngx_iot_mqtt_may_get(s, &msg->topic)) {
        ngx_iot_mqtt_withhold(s, msg);
        return NGX_OK;
    }

    out = ngx_iot_mqtt_out_create(s, msg, qos,
                                  msg->flags & NGX_IOT_BUS_RETAIN, ids, nids);
    if (out == NULL) {
        return NGX_ERROR;
    }

    s->restored = 1;

    if (state && packet_id && ngx_iot_mqtt_out_find(s, packet_id) == NULL) {
        out->packet_id = (uint16_t) packet_id;
        out->dup = 1;
    }

    if (state == NGX_IOT_MQTT_MARK_RELEASED && out->packet_id) {
        ngx_iot_bus_drop(out->msg);
        out->msg = NULL;
        out->state = NGX_IOT_MQTT_RELEASED;

        ngx_queue_insert_tail(&s->inflight, &out->queue);
        s->ninflight++;

        return ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBREL, out->packet_id, 0);
    }

    ngx_queue_insert_tail(&s->waiting, &out->queue);
    s->nqueued++;
    s->queued_bytes += msg->payload.len;

    return NGX_OK;
}


void
ngx_iot_mqtt_pump(ngx_iot_mqtt_session_t *s)
{
    ngx_queue_t         *q;
    ngx_iot_mqtt_out_t  *out;

    while (s->ninflight < s->window
           && !ngx_queue_empty(&s->waiting)
           && s->state == NGX_IOT_MQTT_UP)
    {
        q = ngx_queue_head(&s->waiting);
        ngx_queue_remove(q);

        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

        s->nqueued--;
        s->queued_bytes -= out->msg->payload.len;

        (void) ngx_iot_mqtt_out_send(s, out);
    }

    if (!ngx_queue_empty(&s->scans)) {
        ngx_iot_mqtt_dirty(s);
    }

    if (s->durable && !s->drained && ngx_queue_empty(&s->waiting)) {
        ngx_iot_mqtt_durable_fetch(s);
    }
}


void
ngx_iot_mqtt_more(ngx_iot_mqtt_session_t *s)
{
    if (s->durable == 0 || s->state != NGX_IOT_MQTT_UP) {
        return;
    }

    s->more = 1;

    if (s->drained) {
        s->drained = 0;

        if (ngx_queue_empty(&s->waiting)) {
            ngx_iot_mqtt_durable_fetch(s);
        }
    }
}


/* how many retained messages may be added without filling memory */

ngx_uint_t
ngx_iot_mqtt_room_left(ngx_iot_mqtt_session_t *s)
{
    if (s->state != NGX_IOT_MQTT_UP
        || s->out_bytes > ngx_min(s->conf->write_buffer, 65536)
        || !ngx_queue_empty(&s->waiting))
    {
        return 0;
    }

    return s->window - s->ninflight;
}


static ngx_iot_mqtt_out_t *
ngx_iot_mqtt_out_find(ngx_iot_mqtt_session_t *s, ngx_uint_t packet_id)
{
    ngx_queue_t         *q;
    ngx_iot_mqtt_out_t  *out;

    for (q = ngx_queue_head(&s->inflight);
         q != ngx_queue_sentinel(&s->inflight);
         q = ngx_queue_next(q))
    {
        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

        if (out->packet_id == packet_id) {
            return out;
        }
    }

    return NULL;
}


static void
ngx_iot_mqtt_out_done(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_out_t *out)
{
    ngx_queue_remove(&out->queue);
    s->ninflight--;

    if (out->stored) {
        if (out->msg) {
            ngx_iot_bus_drop(out->msg);
            out->msg = NULL;
        }

        out->state = NGX_IOT_MQTT_DONE;
        ngx_queue_insert_tail(&s->marking, &out->queue);
        ngx_iot_mqtt_out_mark(s, out, NGX_IOT_MQTT_MARK_DONE);

    } else {
        ngx_iot_mqtt_out_free(out);
    }

    ngx_iot_mqtt_pump(s);
}


static void
ngx_iot_mqtt_out_let_go(ngx_iot_mqtt_out_t *out)
{
    out->session = NULL;

    if (!out->busy) {
        ngx_iot_mqtt_out_free(out);
    }
}


void
ngx_iot_mqtt_out_detach(ngx_iot_mqtt_session_t *s)
{
    ngx_queue_t         *q;
    ngx_iot_mqtt_out_t  *out;

    while (!ngx_queue_empty(&s->inflight)) {
        q = ngx_queue_head(&s->inflight);
        ngx_queue_remove(q);

        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

        /* what was begun at QoS 2 is nobody else's (section 4.8.2) */

        if (out->share && out->msg && out->qos == 1) {
            ngx_iot_mqtt_share_again(out->msg, out->share);
        }

        ngx_iot_mqtt_out_let_go(out);
    }

    while (!ngx_queue_empty(&s->marking)) {
        q = ngx_queue_head(&s->marking);
        ngx_queue_remove(q);

        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);
        ngx_iot_mqtt_out_let_go(out);
    }

    while (!ngx_queue_empty(&s->waiting)) {
        q = ngx_queue_head(&s->waiting);
        ngx_queue_remove(q);

        out = ngx_queue_data(q, ngx_iot_mqtt_out_t, queue);

        if (out->share) {
            ngx_iot_mqtt_share_again(out->msg, out->share);
        }

        ngx_iot_mqtt_out_free(out);
    }

    s->ninflight = 0;
    s->nqueued = 0;
    s->queued_bytes = 0;
}


ngx_int_t
ngx_iot_mqtt_on_puback(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_out_t    *out;
    ngx_iot_mqtt_acked_t  *acked;

    out = ngx_iot_mqtt_out_find(s, packet->packet_id);

    if (out == NULL) {
        return NGX_OK;
    }

    if (out->qos != 1) {
        s->parser.detail = "PUBACK of a message of QoS 2";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    acked = out->acked;
    out->acked = NULL;

    ngx_iot_mqtt_out_done(s, out);

    if (acked) {
        acked->handler(acked, packet->reason < 0x80);
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_on_pubrec(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_uint_t           reason;
    ngx_iot_mqtt_out_t  *out;

    out = ngx_iot_mqtt_out_find(s, packet->packet_id);

    if (out && out->qos != 2) {
        s->parser.detail = "PUBREC of a message of QoS 1";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    if (out && packet->reason >= 0x80) {
        ngx_iot_mqtt_out_done(s, out);
        return NGX_OK;
    }

    if (out == NULL) {
        if (packet->reason >= 0x80) {
            return NGX_OK;
        }

        reason = NGX_IOT_MQTT_ID_NOT_FOUND;

    } else {
        reason = 0;

        if (out->busy || out->state == NGX_IOT_MQTT_STORING) {
            return NGX_OK;
        }

        if (out->msg) {
            ngx_iot_bus_drop(out->msg);
            out->msg = NULL;
        }

        if (out->stored && out->state != NGX_IOT_MQTT_RELEASED) {
            out->state = NGX_IOT_MQTT_RECEIVED;
            ngx_iot_mqtt_out_mark(s, out, NGX_IOT_MQTT_MARK_RELEASED);
            return NGX_OK;
        }

        out->state = NGX_IOT_MQTT_RELEASED;
    }

    if (ngx_iot_mqtt_ack(s, NGX_IOT_MQTT_PUBREL, packet->packet_id, reason)
        != NGX_OK)
    {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_on_pubcomp(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_out_t  *out;

    out = ngx_iot_mqtt_out_find(s, packet->packet_id);

    if (out == NULL) {
        return NGX_OK;
    }

    if (out->qos != 2 || out->state != NGX_IOT_MQTT_RELEASED) {
        s->parser.detail = "PUBCOMP out of place";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    ngx_iot_mqtt_out_done(s, out);

    return NGX_OK;
}
