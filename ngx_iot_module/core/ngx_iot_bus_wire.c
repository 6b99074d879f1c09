
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_bus_wire.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_topic_name.h"


#define NGX_IOT_BUS_TICK    1000          /* ms */

/* what is taken from the rings before it has been delivered */
#define NGX_IOT_BUS_INBOX   (8 * 1024 * 1024)
#define NGX_IOT_BUS_POLL    (64 * 1024 * 1024)

/* deliveries in one turn of the event loop */
#define NGX_IOT_BUS_TURN    1024


typedef struct {
    uint64_t                published;
    uint64_t                expires;
    uint64_t                confirm;
    uint32_t                qos;
    uint32_t                flags;
    uint32_t                plain;
    uint32_t                topic;
    uint32_t                shares;
    uint32_t                properties;
    uint32_t                publisher;
    uint32_t                payload;
    u_char                  tenant[NGX_IOT_BUS_TENANT];
} ngx_iot_bus_head_t;


typedef struct {
    uint64_t                confirm;
    int64_t                 rc;
} ngx_iot_bus_confirmed_t;


typedef struct {
    uint32_t                group;
    uint32_t                filter;
} ngx_iot_bus_wire_share_t;


static void ngx_iot_bus_wire_parcel(ngx_iot_parcel_t *parcel);
static void ngx_iot_bus_wire_changed(ngx_uint_t slot);
static void ngx_iot_bus_wire_message_in(ngx_iot_parcel_t *parcel);
static void ngx_iot_bus_wire_direct_in(ngx_iot_parcel_t *parcel);
static void ngx_iot_bus_wire_confirm_in(ngx_iot_parcel_t *parcel);
static void ngx_iot_bus_wire_confirmed(ngx_iot_bus_message_t *msg);
static void ngx_iot_bus_wire_confirm(ngx_iot_slot_id_t *to, uint64_t confirm,
    ngx_int_t rc);
static ngx_iot_bus_confirm_t *ngx_iot_bus_wire_expect(ngx_uint_t slot,
    ngx_iot_bus_message_t *msg);
static void ngx_iot_bus_wire_unexpect(ngx_iot_bus_confirm_t *confirm);
static void ngx_iot_bus_wire_settle(ngx_iot_bus_confirm_t *confirm,
    ngx_int_t rc);
static ngx_int_t ngx_iot_bus_wire_shares(ngx_iot_bus_share_t *shares,
    ngx_uint_t n);
static ngx_int_t ngx_iot_bus_wire_direct(ngx_iot_slot_id_t *from,
    ngx_uint_t type, u_char *data, size_t len);
static void ngx_iot_bus_wire_put(ngx_iot_bus_item_t *item);
static void ngx_iot_bus_wire_bell(void);
static void ngx_iot_bus_wire_event(ngx_event_t *ev);
static void ngx_iot_bus_wire_timer(ngx_event_t *ev);
static void ngx_iot_bus_wire_run(void);
static void ngx_iot_bus_wire_run_item(ngx_iot_bus_item_t *item);


static ngx_iot_link_handlers_t  ngx_iot_bus_wire_handlers = {
    ngx_iot_bus_wire_parcel,
    ngx_iot_bus_wire_changed,
    ngx_iot_bus_room
};

static ngx_iot_bus_direct_pt    ngx_iot_bus_direct[NGX_IOT_BUS_TYPES];

static uint64_t                 ngx_iot_bus_last_confirm;
static ngx_rbtree_t             ngx_iot_bus_confirms;
static ngx_rbtree_node_t        ngx_iot_bus_confirms_sentinel;
static ngx_queue_t              ngx_iot_bus_confirms_of[NGX_IOT_SLOTS];
static ngx_queue_t              ngx_iot_bus_inbox;
static size_t                   ngx_iot_bus_inbox_bytes;
static ngx_iot_bus_buf_t        ngx_iot_bus_buf;
static ngx_connection_t         ngx_iot_bus_dummy;
static ngx_event_t              ngx_iot_bus_event;
static ngx_event_t              ngx_iot_bus_tick;


ngx_int_t
ngx_iot_bus_wire_init(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    ngx_rbtree_init(&ngx_iot_bus_confirms, &ngx_iot_bus_confirms_sentinel,
                    ngx_rbtree_insert_value);

    for (i = 0; i < NGX_IOT_SLOTS; i++) {
        ngx_queue_init(&ngx_iot_bus_confirms_of[i]);
    }

    ngx_queue_init(&ngx_iot_bus_inbox);

    ngx_iot_bus_inbox_bytes = 0;

    if (ngx_iot_link_init(cycle, &ngx_iot_bus_wire_handlers) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_gauge(bus_subscriptions, 0);
    ngx_iot_gauge(bus_interests, 0);
    ngx_iot_gauge(bus_queue, 0);

    ngx_iot_bus_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_bus_event.data = &ngx_iot_bus_dummy;
    ngx_iot_bus_event.log = cycle->log;
    ngx_iot_bus_event.handler = ngx_iot_bus_wire_event;

    ngx_iot_bus_tick.data = &ngx_iot_bus_dummy;
    ngx_iot_bus_tick.log = cycle->log;
    ngx_iot_bus_tick.handler = ngx_iot_bus_wire_timer;
    ngx_iot_bus_tick.cancelable = 1;

    if (!ngx_iot_bus_tick.timer_set) {
        ngx_add_timer(&ngx_iot_bus_tick, NGX_IOT_BUS_TICK);
    }

    ngx_iot_slot_on_bell(ngx_iot_bus_wire_bell);

    /* tells the others that we are here, and asks what they want */

    ngx_iot_link_refresh();

    if (!ngx_iot_bus_event.posted) {
        ngx_post_event(&ngx_iot_bus_event, &ngx_posted_next_events);
    }

    return NGX_OK;
}


void
ngx_iot_bus_wire_exit(void)
{
    ngx_iot_link_exit();
}


void
ngx_iot_bus_wire_poll(void)
{
    ngx_iot_link_refresh();

    if (ngx_iot_link_news()) {
        ngx_iot_link_receive(NGX_IOT_BUS_POLL);
    }
}


static void
ngx_iot_bus_wire_changed(ngx_uint_t slot)
{
    ngx_queue_t            *q;
    ngx_iot_bus_confirm_t  *confirm;

    ngx_iot_bus_interest_forget(slot);

    while (!ngx_queue_empty(&ngx_iot_bus_confirms_of[slot])) {
        q = ngx_queue_head(&ngx_iot_bus_confirms_of[slot]);
        confirm = ngx_queue_data(q, ngx_iot_bus_confirm_t, queue);

        ngx_iot_bus_wire_settle(confirm, NGX_ERROR);
    }

    if (ngx_iot_link_peer(slot)) {
        ngx_iot_bus_interest_tell(slot);
    }
}


ngx_int_t
ngx_iot_bus_wire_message(ngx_uint_t slot, ngx_iot_bus_message_t *msg,
    ngx_uint_t plain, ngx_iot_bus_share_t *shares, ngx_uint_t nshares)
{
    ngx_int_t               rc;
    ngx_str_t               parts[6];
    ngx_iot_bus_head_t      head;
    ngx_iot_bus_confirm_t  *confirm;

    confirm = NULL;

    if (ngx_iot_bus_wire_shares(shares, nshares) != NGX_OK) {
        goto failed;
    }

    if (ngx_iot_bus_wants(msg)) {
        confirm = ngx_iot_bus_wire_expect(slot, msg);

        if (confirm == NULL) {
            goto failed;
        }
    }

    ngx_memzero(&head, sizeof(ngx_iot_bus_head_t));

    head.published = msg->published;
    head.expires = msg->expires;
    head.confirm = confirm ? confirm->node.key : 0;
    head.qos = msg->qos;
    head.flags = msg->flags;
    head.plain = (uint32_t) plain;
    head.topic = (uint32_t) msg->topic.len;
    head.shares = (uint32_t) ngx_iot_bus_buf.len;
    head.properties = (uint32_t) msg->properties.len;
    head.publisher = (uint32_t) msg->publisher.len;
    head.payload = (uint32_t) msg->payload.len;
    ngx_memcpy(head.tenant, msg->tenant, NGX_IOT_BUS_TENANT);

    parts[0].len = sizeof(ngx_iot_bus_head_t);
    parts[0].data = (u_char *) &head;
    parts[1] = msg->topic;
    parts[2].len = ngx_iot_bus_buf.len;
    parts[2].data = ngx_iot_bus_buf.data;
    parts[3] = msg->properties;
    parts[4] = msg->publisher;
    parts[5] = msg->payload;

    rc = ngx_iot_link_send(slot, NGX_IOT_BUS_PARCEL_MESSAGE, parts, 6, 0);

    if (rc == NGX_OK) {
        return NGX_OK;
    }

    if (confirm) {
        ngx_iot_bus_wire_unexpect(confirm);
        ngx_iot_bus_let_go(msg, NGX_OK);
        ngx_free(confirm);
    }

    if (rc == NGX_DECLINED) {
        return NGX_ERROR;
    }

failed:

    msg->rc = NGX_ERROR;

    return NGX_ERROR;
}


static ngx_int_t
ngx_iot_bus_wire_shares(ngx_iot_bus_share_t *shares, ngx_uint_t n)
{
    u_char                    *p;
    size_t                     start;
    ngx_str_t                  filter, *name;
    ngx_uint_t                 i;
    ngx_iot_bus_wire_share_t   share;

    ngx_iot_bus_buf.len = 0;

    for (i = 0; i < n; i++) {
        name = &shares[i].group->name;
        start = ngx_iot_bus_buf.len;

        p = ngx_iot_bus_reserve(&ngx_iot_bus_buf,
                                sizeof(ngx_iot_bus_wire_share_t)
                                + name->len + NGX_IOT_TOPIC_MAX);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_iot_topic_filter(shares[i].group->node,
                             p + sizeof(ngx_iot_bus_wire_share_t) + name->len,
                             &filter);

        share.group = (uint32_t) name->len;
        share.filter = (uint32_t) filter.len;

        p = ngx_cpymem(p, &share, sizeof(ngx_iot_bus_wire_share_t));
        ngx_memcpy(p, name->data, name->len);

        ngx_iot_bus_buf.len = start + sizeof(ngx_iot_bus_wire_share_t)
                              + name->len + filter.len;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_bus_wire_share(u_char **pos, u_char *end, ngx_str_t *filter,
    ngx_str_t *group)
{
    u_char                    *p;
    ngx_iot_bus_wire_share_t   share;

    p = *pos;

    if (p == end) {
        return NGX_DONE;
    }

    if ((size_t) (end - p) < sizeof(ngx_iot_bus_wire_share_t)) {
        return NGX_ERROR;
    }

    ngx_memcpy(&share, p, sizeof(ngx_iot_bus_wire_share_t));
    p += sizeof(ngx_iot_bus_wire_share_t);

    if ((uint64_t) share.group + share.filter > (uint64_t) (end - p)) {
        return NGX_ERROR;
    }

    group->len = share.group;
    group->data = p;
    filter->len = share.filter;
    filter->data = p + share.group;

    *pos = p + share.group + share.filter;

    return NGX_OK;
}


u_char *
ngx_iot_bus_reserve(ngx_iot_bus_buf_t *buf, size_t len)
{
    u_char  *p;
    size_t   alloc;

    if (buf->alloc - buf->len < len) {
        alloc = ngx_max(2 * buf->alloc, buf->len + len);

        p = ngx_alloc(alloc, ngx_cycle->log);
        if (p == NULL) {
            return NULL;
        }

        if (buf->len) {
            ngx_memcpy(p, buf->data, buf->len);
        }

        ngx_free(buf->data);

        buf->data = p;
        buf->alloc = alloc;
    }

    p = buf->data + buf->len;
    buf->len += len;

    return p;
}


static void
ngx_iot_bus_wire_parcel(ngx_iot_parcel_t *parcel)
{
    switch (parcel->type) {

    case NGX_IOT_BUS_PARCEL_MESSAGE:
        ngx_iot_bus_wire_message_in(parcel);
        return;

    case NGX_IOT_BUS_PARCEL_DIRECT:
        ngx_iot_bus_wire_direct_in(parcel);
        return;

    case NGX_IOT_BUS_PARCEL_CONFIRM:
        ngx_iot_bus_wire_confirm_in(parcel);
        return;
    }

    /* what a worker that has gone wanted matters no more */

    if (parcel->from.generation != ngx_iot_link_peer(parcel->from.slot)) {
        return;
    }

    switch (parcel->type) {

    case NGX_IOT_BUS_PARCEL_INTEREST:
        ngx_iot_bus_interest_in(parcel);
        return;

    case NGX_IOT_BUS_PARCEL_SYNCED:
        ngx_iot_bus_interest_synced(parcel->from.slot);
        return;
    }
}


static void
ngx_iot_bus_wire_message_in(ngx_iot_parcel_t *parcel)
{
    u_char                  *p;
    uint64_t                 left;
    ngx_str_t                topic, shares, properties, publisher, payload;
    ngx_iot_bus_head_t       head;
    ngx_iot_bus_item_t      *item;
    ngx_iot_bus_envelope_t  *envelope;

    if (parcel->len < sizeof(ngx_iot_bus_head_t)) {
        return;
    }

    ngx_memcpy(&head, parcel->data, sizeof(ngx_iot_bus_head_t));

    p = parcel->data + sizeof(ngx_iot_bus_head_t);
    left = parcel->len - sizeof(ngx_iot_bus_head_t);

    if ((uint64_t) head.topic + head.shares + head.properties
        + head.publisher + head.payload != left)
    {
        return;
    }

    topic.len = head.topic;
    topic.data = p;
    shares.len = head.shares;
    shares.data = topic.data + topic.len;
    properties.len = head.properties;
    properties.data = shares.data + shares.len;
    publisher.len = head.publisher;
    publisher.data = properties.data + properties.len;
    payload.len = head.payload;
    payload.data = publisher.data + publisher.len;

    envelope = ngx_iot_bus_envelope(head.tenant, &topic, &payload, &properties,
                                    &publisher, &shares);
    item = ngx_alloc(sizeof(ngx_iot_bus_item_t), ngx_cycle->log);

    if (envelope == NULL || item == NULL) {
        ngx_iot_count(bus_dropped);
        ngx_free(envelope);
        ngx_free(item);
        ngx_iot_bus_wire_confirm(&parcel->from, head.confirm, NGX_ERROR);
        return;
    }

    envelope->msg.published = head.published;
    envelope->msg.expires = head.expires;
    envelope->msg.qos = head.qos;
    envelope->msg.flags = head.flags;
    envelope->from = parcel->from;
    envelope->confirm = head.confirm;
    envelope->remote = 1;
    envelope->plain = head.plain ? 1 : 0;

    if (head.confirm) {
        envelope->msg.done = ngx_iot_bus_wire_confirmed;
    }

    ngx_memzero(item, sizeof(ngx_iot_bus_item_t));
    item->msg = &envelope->msg;
    item->len = parcel->len;

    ngx_iot_bus_wire_put(item);
}


static void
ngx_iot_bus_wire_confirmed(ngx_iot_bus_message_t *msg)
{
    ngx_iot_bus_envelope_t  *envelope;

    envelope = (ngx_iot_bus_envelope_t *) msg;

    ngx_iot_bus_wire_confirm(&envelope->from, envelope->confirm, msg->rc);
}


static void
ngx_iot_bus_wire_confirm(ngx_iot_slot_id_t *to, uint64_t confirm, ngx_int_t rc)
{
    ngx_str_t                part;
    ngx_iot_bus_confirmed_t  confirmed;

    if (confirm == 0 || ngx_iot_link_peer(to->slot) != to->generation) {
        return;
    }

    confirmed.confirm = confirm;
    confirmed.rc = rc;

    part.len = sizeof(ngx_iot_bus_confirmed_t);
    part.data = (u_char *) &confirmed;

    if (ngx_iot_link_send(to->slot, NGX_IOT_BUS_PARCEL_CONFIRM, &part, 1, 0)
        == NGX_ERROR)
    {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "could not confirm a message to worker slot %uD",
                      to->slot);
    }
}


static void
ngx_iot_bus_wire_confirm_in(ngx_iot_parcel_t *parcel)
{
    ngx_rbtree_node_t        *node;
    ngx_iot_bus_confirm_t    *confirm;
    ngx_iot_bus_confirmed_t   confirmed;

    if (parcel->len != sizeof(ngx_iot_bus_confirmed_t)) {
        return;
    }

    ngx_memcpy(&confirmed, parcel->data, sizeof(ngx_iot_bus_confirmed_t));

    node = ngx_iot_bus_confirms.root;

    while (node != ngx_iot_bus_confirms.sentinel
           && node->key != confirmed.confirm)
    {
        node = (confirmed.confirm < node->key) ? node->left : node->right;
    }

    if (node == ngx_iot_bus_confirms.sentinel) {
        return;
    }

    confirm = (ngx_iot_bus_confirm_t *) node;

    if (confirm->generation == parcel->from.generation) {
        ngx_iot_bus_wire_settle(confirm, confirmed.rc);
    }
}


/* the message is held until the worker of the slot confirms or has gone */

static ngx_iot_bus_confirm_t *
ngx_iot_bus_wire_expect(ngx_uint_t slot, ngx_iot_bus_message_t *msg)
{
    ngx_iot_bus_confirm_t  *confirm;

    confirm = ngx_alloc(sizeof(ngx_iot_bus_confirm_t), ngx_cycle->log);
    if (confirm == NULL) {
        return NULL;
    }

    ngx_memzero(confirm, sizeof(ngx_iot_bus_confirm_t));

    confirm->node.key = (ngx_rbtree_key_t) ++ngx_iot_bus_last_confirm;
    confirm->generation = ngx_iot_link_peer(slot);
    confirm->msg = msg;

    ngx_rbtree_insert(&ngx_iot_bus_confirms, &confirm->node);
    ngx_queue_insert_tail(&ngx_iot_bus_confirms_of[slot], &confirm->queue);

    ngx_iot_bus_hold(msg);

    return confirm;
}


static void
ngx_iot_bus_wire_unexpect(ngx_iot_bus_confirm_t *confirm)
{
    ngx_rbtree_delete(&ngx_iot_bus_confirms, &confirm->node);
    ngx_queue_remove(&confirm->queue);
}


/* whoever waits for it must not be called in the middle of something else */

static void
ngx_iot_bus_wire_settle(ngx_iot_bus_confirm_t *confirm, ngx_int_t rc)
{
    ngx_iot_bus_wire_unexpect(confirm);

    confirm->item.confirm = confirm;
    confirm->item.msg = confirm->msg;
    confirm->item.rc = rc;

    ngx_iot_bus_wire_put(&confirm->item);
}


void
ngx_iot_bus_on_direct(ngx_uint_t type, ngx_iot_bus_direct_pt handler)
{
    ngx_iot_bus_direct[type] = handler;
}


ngx_int_t
ngx_iot_bus_send(ngx_iot_slot_id_t *to, ngx_uint_t type, u_char *data,
    size_t len)
{
    uint32_t            word;
    ngx_int_t           rc;
    ngx_str_t           parts[2];
    ngx_iot_slot_id_t  *self;

    if (len > NGX_IOT_BUS_DIRECT || type >= NGX_IOT_BUS_TYPES) {
        return NGX_ERROR;
    }

    self = ngx_iot_slot_self();

    if (!ngx_iot_slot_alive(to) || self->slot == NGX_IOT_SLOTS) {
        return NGX_DECLINED;
    }

    if (to->slot == self->slot) {
        return ngx_iot_bus_wire_direct(self, type, data, len);
    }

    ngx_iot_link_refresh();

    if (ngx_iot_link_peer(to->slot) != to->generation) {
        return NGX_DECLINED;
    }

    if (ngx_iot_link_full(to->slot)) {
        return NGX_BUSY;
    }

    word = (uint32_t) type;

    parts[0].len = sizeof(uint32_t);
    parts[0].data = (u_char *) &word;
    parts[1].len = len;
    parts[1].data = data;

    rc = ngx_iot_link_send(to->slot, NGX_IOT_BUS_PARCEL_DIRECT, parts, 2, 0);

    ngx_iot_bus_wire_busy();

    return rc;
}


static void
ngx_iot_bus_wire_direct_in(ngx_iot_parcel_t *parcel)
{
    uint32_t  word;

    if (parcel->len < sizeof(uint32_t)) {
        return;
    }

    ngx_memcpy(&word, parcel->data, sizeof(uint32_t));

    if (word >= NGX_IOT_BUS_TYPES) {
        return;
    }

    if (ngx_iot_bus_wire_direct(&parcel->from, word,
                                parcel->data + sizeof(uint32_t),
                                parcel->len - sizeof(uint32_t))
        != NGX_OK)
    {
        ngx_iot_count(bus_dropped);
    }
}


static ngx_int_t
ngx_iot_bus_wire_direct(ngx_iot_slot_id_t *from, ngx_uint_t type,
    u_char *data, size_t len)
{
    ngx_iot_bus_item_t  *item;

    item = ngx_alloc(sizeof(ngx_iot_bus_item_t) + len, ngx_cycle->log);
    if (item == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(item, sizeof(ngx_iot_bus_item_t));

    item->from = *from;
    item->type = type;
    item->len = len;

    if (len) {
        ngx_memcpy(item + 1, data, len);
    }

    ngx_iot_bus_wire_put(item);

    return NGX_OK;
}


static void
ngx_iot_bus_wire_put(ngx_iot_bus_item_t *item)
{
    ngx_queue_insert_tail(&ngx_iot_bus_inbox, &item->queue);
    ngx_iot_bus_inbox_bytes += item->len;

    if (!ngx_iot_bus_event.posted) {
        ngx_post_event(&ngx_iot_bus_event, &ngx_posted_events);
    }
}


static void
ngx_iot_bus_wire_bell(void)
{
    ngx_iot_bus_wire_event(&ngx_iot_bus_event);
}


static void
ngx_iot_bus_wire_event(ngx_event_t *ev)
{
    /* after the exit of the bus a bell may still be heard */

    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return;
    }

    ngx_iot_link_refresh();

    if (ngx_iot_bus_inbox_bytes < NGX_IOT_BUS_INBOX) {
        ngx_iot_link_receive(NGX_IOT_BUS_INBOX);
    }

    ngx_iot_bus_wire_run();
    ngx_iot_bus_finish();

    ngx_iot_link_flush();

    if (ngx_iot_bus_event.posted) {
        ngx_delete_posted_event(&ngx_iot_bus_event);
    }

    if (!ngx_queue_empty(&ngx_iot_bus_inbox)
        || ngx_iot_link_sleep() != NGX_OK)
    {
        ngx_post_event(&ngx_iot_bus_event, &ngx_posted_next_events);
    }

    ngx_iot_bus_wire_busy();
}


static void
ngx_iot_bus_wire_run(void)
{
    ngx_uint_t           n;
    ngx_queue_t         *q;
    ngx_iot_bus_item_t  *item;

    for (n = 0; n < NGX_IOT_BUS_TURN; n++) {

        if (ngx_queue_empty(&ngx_iot_bus_inbox)) {
            return;
        }

        q = ngx_queue_head(&ngx_iot_bus_inbox);
        item = ngx_queue_data(q, ngx_iot_bus_item_t, queue);

        ngx_queue_remove(q);
        ngx_iot_bus_inbox_bytes -= item->len;

        ngx_iot_bus_wire_run_item(item);
    }
}


static void
ngx_iot_bus_wire_run_item(ngx_iot_bus_item_t *item)
{
    ngx_int_t               rc;
    ngx_iot_bus_message_t  *msg;

    msg = item->msg;

    if (item->confirm) {
        rc = item->rc;
        ngx_free(item->confirm);
        ngx_iot_bus_let_go(msg, rc);
        return;
    }

    if (msg) {
        ngx_free(item);
        ngx_iot_bus_arrived((ngx_iot_bus_envelope_t *) msg);
        ngx_iot_bus_drop(msg);
        ngx_iot_bus_finish();
        return;
    }

    if (ngx_iot_bus_direct[item->type]) {
        ngx_iot_bus_direct[item->type](&item->from, (u_char *) (item + 1),
                                       item->len);
    }

    ngx_free(item);
}


/* a backstop: who rang may have been killed before the bell sounded */

static void
ngx_iot_bus_wire_timer(ngx_event_t *ev)
{
    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return;
    }

    ngx_iot_link_check();

    ngx_iot_bus_wire_event(&ngx_iot_bus_event);

    ngx_add_timer(ev, NGX_IOT_BUS_TICK);
}


/* a worker in peace leaves when no timer is left that is not cancelable */

void
ngx_iot_bus_wire_busy(void)
{
    ngx_iot_bus_tick.cancelable = ngx_iot_link_queued() == 0
                                  && ngx_queue_empty(&ngx_iot_bus_inbox)
                                  && ngx_iot_bus_confirms.root
                                     == ngx_iot_bus_confirms.sentinel;

    ngx_iot_gauge(bus_queue, ngx_iot_link_queued());
}
