
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_bus_wire.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_topic_name.h"


/* answers of the topic trees that are kept, per worker */
#define NGX_IOT_BUS_CACHE  (16 * 1024 * 1024)


static void ngx_iot_bus_sub_free(ngx_iot_bus_sub_t *sub);
static ngx_int_t ngx_iot_bus_route(ngx_iot_bus_message_t *msg,
    ngx_uint_t force, ngx_uint_t *matched);
static ngx_int_t ngx_iot_bus_pick(ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_blocked(ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_pass(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_shares_of(ngx_uint_t slot,
    ngx_iot_bus_share_t **shares);
static ngx_uint_t ngx_iot_bus_deliver(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_deliver_picked(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub);
static ngx_int_t ngx_iot_bus_deliver_one(ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t *sub);
static void ngx_iot_bus_deliver_shares(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_envelope_t *envelope);
static uint64_t ngx_iot_bus_now(void);


static ngx_iot_topic_cache_t  *ngx_iot_bus_cache;
static ngx_rbtree_t            ngx_iot_bus_tenant_tree;
static ngx_rbtree_node_t       ngx_iot_bus_sentinel;

/* while somebody is called back, nothing that the caller uses may go */

static ngx_uint_t              ngx_iot_bus_delivering;
static ngx_queue_t             ngx_iot_bus_later;     /* messages */
static ngx_queue_t             ngx_iot_bus_dead;      /* subscriptions */
static ngx_queue_t             ngx_iot_bus_waiting;

/* whose turn it is in the groups that match the message of the moment */

static ngx_iot_topic_sub_t   **ngx_iot_bus_picked;
static ngx_uint_t              ngx_iot_bus_npicked;
static ngx_iot_bus_share_t    *ngx_iot_bus_shares;
static ngx_uint_t              ngx_iot_bus_nshares;
static ngx_uint_t              ngx_iot_bus_picks_alloc;


ngx_int_t
ngx_iot_bus_init_process(ngx_cycle_t *cycle)
{
    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&ngx_iot_bus_tenant_tree, &ngx_iot_bus_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&ngx_iot_bus_later);
    ngx_queue_init(&ngx_iot_bus_dead);
    ngx_queue_init(&ngx_iot_bus_waiting);

    ngx_iot_bus_cache = ngx_iot_topic_cache_create(NGX_IOT_BUS_CACHE);

    if (ngx_iot_bus_cache == NULL || ngx_iot_bus_wire_init(cycle) != NGX_OK) {

        /* nobody shall wait for a worker that does not hear */

        ngx_iot_slot_exit_process(cycle);

        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_iot_bus_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_iot_slot_self()->slot != NGX_IOT_SLOTS) {
        ngx_iot_bus_wire_exit();
    }
}


ngx_rbtree_t *
ngx_iot_bus_tenants(void)
{
    return &ngx_iot_bus_tenant_tree;
}


ngx_iot_bus_tenant_t *
ngx_iot_bus_tenant(u_char *id, ngx_uint_t create)
{
    uint32_t               hash;
    ngx_str_t              name;
    ngx_str_node_t        *node;
    ngx_iot_bus_tenant_t  *tenant;

    name.len = NGX_IOT_BUS_TENANT;
    name.data = id;

    hash = ngx_murmur_hash2(id, NGX_IOT_BUS_TENANT);

    node = ngx_str_rbtree_lookup(&ngx_iot_bus_tenant_tree, &name, hash);

    if (node || !create) {
        return (ngx_iot_bus_tenant_t *) node;
    }

    tenant = ngx_alloc(sizeof(ngx_iot_bus_tenant_t), ngx_cycle->log);
    if (tenant == NULL) {
        return NULL;
    }

    tenant->tree = ngx_iot_topic_tree_create(ngx_iot_bus_cache);
    if (tenant->tree == NULL) {
        ngx_free(tenant);
        return NULL;
    }

    ngx_memcpy(tenant->id, id, NGX_IOT_BUS_TENANT);

    tenant->refs = 0;
    tenant->node.node.key = hash;
    tenant->node.str.len = NGX_IOT_BUS_TENANT;
    tenant->node.str.data = tenant->id;

    ngx_rbtree_insert(&ngx_iot_bus_tenant_tree, &tenant->node.node);

    return tenant;
}


/* the caller has taken its reference back, or never had one */

void
ngx_iot_bus_tenant_release(ngx_iot_bus_tenant_t *tenant)
{
    if (tenant->refs || !ngx_iot_topic_tree_empty(tenant->tree)) {
        return;
    }

    ngx_rbtree_delete(&ngx_iot_bus_tenant_tree, &tenant->node.node);
    ngx_iot_topic_tree_destroy(tenant->tree);
    ngx_free(tenant);
}


ngx_int_t
ngx_iot_bus_client_open(ngx_iot_bus_client_t *client, u_char *id,
    ngx_iot_bus_deliver_pt deliver, void *data)
{
    client->tenant = NULL;
    client->deliver = deliver;
    client->data = data;
    ngx_queue_init(&client->subs);

    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_ERROR;
    }

    client->tenant = ngx_iot_bus_tenant(id, 1);
    if (client->tenant == NULL) {
        return NGX_ERROR;
    }

    client->tenant->refs++;

    return NGX_OK;
}


void
ngx_iot_bus_client_close(ngx_iot_bus_client_t *client)
{
    ngx_queue_t           *q;
    ngx_iot_bus_tenant_t  *tenant;

    tenant = client->tenant;

    if (tenant == NULL) {
        return;
    }

    while (!ngx_queue_empty(&client->subs)) {
        q = ngx_queue_head(&client->subs);
        ngx_iot_bus_unsubscribe(ngx_queue_data(q, ngx_iot_bus_sub_t, queue));
    }

    client->tenant = NULL;

    tenant->refs--;
    ngx_iot_bus_tenant_release(tenant);
}


ngx_iot_bus_sub_t *
ngx_iot_bus_subscribe(ngx_iot_bus_client_t *client, ngx_str_t *filter,
    ngx_str_t *group)
{
    u_char             *p;
    size_t              len;
    ngx_int_t           rc;
    ngx_iot_bus_sub_t  *sub;

    len = group ? group->len : 0;

    if (client->tenant == NULL
        || filter->len == 0
        || filter->len > NGX_IOT_TOPIC_MAX
        || len > NGX_IOT_TOPIC_MAX)
    {
        return NULL;
    }

    sub = ngx_alloc(sizeof(ngx_iot_bus_sub_t) + filter->len + len,
                    ngx_cycle->log);
    if (sub == NULL) {
        return NULL;
    }

    ngx_memzero(sub, sizeof(ngx_iot_bus_sub_t));

    p = (u_char *) (sub + 1);

    sub->filter.len = filter->len;
    sub->filter.data = p;
    p = ngx_cpymem(p, filter->data, filter->len);

    sub->group.len = len;
    sub->group.data = p;

    if (len) {
        ngx_memcpy(p, group->data, len);
    }

    sub->client = client;
    sub->sub.owner = client;

    rc = ngx_iot_topic_subscribe(client->tenant->tree, &sub->filter,
                                 &sub->group, &sub->sub);

    if (rc == NGX_ERROR) {
        ngx_free(sub);
        return NULL;
    }

    ngx_queue_insert_tail(&client->subs, &sub->queue);

    ngx_iot_count(bus_subscriptions);

    if (sub->sub.group) {
        ngx_iot_bus_wire_interest(client->tenant, &sub->filter, &sub->group,
                                  sub->sub.group->members);

    } else if (rc == NGX_DONE) {
        ngx_iot_count(bus_interests);
        ngx_iot_bus_wire_interest(client->tenant, &sub->filter, NULL, 1);
    }

    return sub;
}


void
ngx_iot_bus_unsubscribe(ngx_iot_bus_sub_t *sub)
{
    ngx_int_t               rc;
    ngx_iot_bus_tenant_t   *tenant;
    ngx_iot_topic_group_t  *group;

    if (sub->client == NULL) {
        return;
    }

    tenant = sub->client->tenant;

    rc = ngx_iot_topic_unsubscribe(tenant->tree, &sub->sub);

    ngx_queue_remove(&sub->queue);
    sub->client = NULL;

    ngx_iot_add(bus_subscriptions, -1);

    if (sub->group.len) {
        group = ngx_iot_topic_group_find(tenant->tree, &sub->filter,
                                         &sub->group);

        ngx_iot_bus_wire_interest(tenant, &sub->filter, &sub->group,
                                  group ? group->members : 0);

    } else if (rc == NGX_DONE) {
        ngx_iot_add(bus_interests, -1);
        ngx_iot_bus_wire_interest(tenant, &sub->filter, NULL, 0);
    }

    ngx_iot_bus_sub_free(sub);
}


static void
ngx_iot_bus_sub_free(ngx_iot_bus_sub_t *sub)
{
    if (ngx_iot_bus_delivering) {
        ngx_queue_insert_tail(&ngx_iot_bus_dead, &sub->queue);
        return;
    }

    ngx_free(sub);
}


ngx_iot_bus_sub_t *
ngx_iot_bus_find(ngx_iot_bus_client_t *client, ngx_str_t *filter,
    ngx_str_t *group)
{
    size_t              len;
    ngx_queue_t        *q;
    ngx_iot_bus_sub_t  *sub;

    if (client->tenant == NULL) {
        return NULL;
    }

    len = group ? group->len : 0;

    for (q = ngx_queue_head(&client->subs);
         q != ngx_queue_sentinel(&client->subs);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_iot_bus_sub_t, queue);

        if (sub->filter.len == filter->len
            && sub->group.len == len
            && ngx_memcmp(sub->filter.data, filter->data, filter->len) == 0
            && (len == 0 || ngx_memcmp(sub->group.data, group->data, len) == 0))
        {
            return sub;
        }
    }

    return NULL;
}


ngx_uint_t
ngx_iot_bus_announced(void)
{
    return ngx_iot_link_urgent() == 0;
}


ngx_iot_bus_message_t *
ngx_iot_bus_message(u_char *tenant, ngx_str_t *topic, ngx_str_t *payload,
    ngx_str_t *properties, ngx_str_t *publisher)
{
    ngx_iot_bus_envelope_t  *envelope;

    envelope = ngx_iot_bus_envelope(tenant, topic, payload, properties,
                                    publisher, NULL);

    return envelope ? &envelope->msg : NULL;
}


ngx_iot_bus_envelope_t *
ngx_iot_bus_envelope(u_char *tenant, ngx_str_t *topic, ngx_str_t *payload,
    ngx_str_t *properties, ngx_str_t *publisher, ngx_str_t *shares)
{
    u_char                  *p;
    size_t                   size;
    ngx_str_t               *from, *to;
    ngx_uint_t               i;
    ngx_iot_bus_envelope_t  *envelope;

    struct {
        ngx_str_t           *from;
        ngx_str_t           *to;
    } part[5];

    part[0].from = topic;
    part[1].from = shares;
    part[2].from = properties;
    part[3].from = publisher;
    part[4].from = payload;

    size = sizeof(ngx_iot_bus_envelope_t);

    for (i = 0; i < 5; i++) {
        size += part[i].from ? part[i].from->len : 0;
    }

    envelope = ngx_alloc(size, ngx_cycle->log);
    if (envelope == NULL) {
        return NULL;
    }

    ngx_memzero(envelope, sizeof(ngx_iot_bus_envelope_t));

    part[0].to = &envelope->msg.topic;
    part[1].to = &envelope->shares;
    part[2].to = &envelope->msg.properties;
    part[3].to = &envelope->msg.publisher;
    part[4].to = &envelope->msg.payload;

    p = (u_char *) (envelope + 1);

    for (i = 0; i < 5; i++) {
        from = part[i].from;
        to = part[i].to;

        to->len = from ? from->len : 0;
        to->data = p;

        if (to->len && from->data) {
            ngx_memcpy(p, from->data, to->len);
        }

        p += to->len;
    }

    ngx_memcpy(envelope->msg.tenant, tenant, NGX_IOT_BUS_TENANT);

    envelope->msg.refs = 1;
    envelope->msg.published = ngx_iot_bus_now();
    envelope->plain = 1;

    return envelope;
}


void
ngx_iot_bus_drop(ngx_iot_bus_message_t *msg)
{
    if (--msg->refs) {
        return;
    }

    if (msg->front_free) {
        msg->front_free(msg->front);
    }

    ngx_free(msg);
}


ngx_int_t
ngx_iot_bus_publish(ngx_iot_bus_message_t *msg, ngx_uint_t *matched)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_ERROR;
    }

    if (matched == NULL) {
        matched = &n;
    }

    ngx_iot_bus_wire_poll();

    if (ngx_iot_bus_delivering) {
        ngx_iot_bus_keep(msg);
        ngx_queue_insert_tail(&ngx_iot_bus_later, &msg->queue);
        *matched = 1;

        return NGX_OK;
    }

    rc = ngx_iot_bus_route(msg, 0, matched);

    ngx_iot_bus_finish();

    return rc;
}


static ngx_int_t
ngx_iot_bus_route(ngx_iot_bus_message_t *msg, ngx_uint_t force,
    ngx_uint_t *matched)
{
    ngx_uint_t              i;
    ngx_iot_bus_tenant_t   *tenant;
    ngx_iot_topic_match_t  *match;

    *matched = 0;
    ngx_iot_bus_npicked = 0;
    ngx_iot_bus_nshares = 0;

    match = NULL;
    tenant = ngx_iot_bus_tenant(msg->tenant, 0);

    if (tenant) {
        match = ngx_iot_topic_match_name(tenant->tree, &msg->topic);

        if (match == NULL) {
            return NGX_ERROR;
        }

        if (ngx_iot_bus_pick(match) != NGX_OK) {
            ngx_iot_topic_match_release(match);
            return NGX_ERROR;
        }
    }

    if (msg->qos && !force && ngx_iot_bus_blocked(match)) {

        if (match) {
            ngx_iot_topic_match_release(match);
        }

        return NGX_BUSY;
    }

    ngx_iot_count(bus_published);

    ngx_iot_bus_delivering++;
    ngx_iot_bus_hold(msg);

    *matched = ngx_iot_bus_pass(msg, match);

    if (match) {
        tenant->refs++;

        *matched += ngx_iot_bus_deliver(msg, match);

        for (i = 0; i < ngx_iot_bus_npicked; i++) {
            *matched += ngx_iot_bus_deliver_picked(tenant, msg,
                                 (ngx_iot_bus_sub_t *) ngx_iot_bus_picked[i]);
        }

        ngx_iot_topic_match_release(match);

        tenant->refs--;
        ngx_iot_bus_tenant_release(tenant);
    }

    ngx_iot_bus_let_go(msg, NGX_OK);
    ngx_iot_bus_delivering--;

    ngx_iot_bus_wire_busy();

    return NGX_OK;
}


/*
 * Who serves the groups is settled before anybody is called: after that a
 * group may be gone.  A subscription never is, as long as we deliver.
 */

static ngx_int_t
ngx_iot_bus_pick(ngx_iot_topic_match_t *match)
{
    ngx_uint_t             i, slot;
    ngx_iot_bus_share_t   *shares;
    ngx_iot_topic_sub_t   *sub, **picked;

    if (match->ngroups > ngx_iot_bus_picks_alloc) {
        picked = ngx_alloc(match->ngroups * sizeof(ngx_iot_topic_sub_t *),
                           ngx_cycle->log);
        shares = ngx_alloc(match->ngroups * sizeof(ngx_iot_bus_share_t),
                           ngx_cycle->log);

        if (picked == NULL || shares == NULL) {
            ngx_free(picked);
            ngx_free(shares);
            return NGX_ERROR;
        }

        ngx_free(ngx_iot_bus_picked);
        ngx_free(ngx_iot_bus_shares);

        ngx_iot_bus_picked = picked;
        ngx_iot_bus_shares = shares;
        ngx_iot_bus_picks_alloc = match->ngroups;
    }

    for (i = 0; i < match->ngroups; i++) {
        sub = ngx_iot_topic_pick(match->groups[i], &slot);

        if (sub) {
            ngx_iot_bus_picked[ngx_iot_bus_npicked++] = sub;

        } else if (slot < NGX_IOT_SLOTS) {
            ngx_iot_bus_shares[ngx_iot_bus_nshares].slot = slot;
            ngx_iot_bus_shares[ngx_iot_bus_nshares++].group = match->groups[i];
        }
    }

    return NGX_OK;
}


/* 1 if somebody who should get it has no room */

static ngx_uint_t
ngx_iot_bus_blocked(ngx_iot_topic_match_t *match)
{
    uint64_t    slots;
    ngx_uint_t  i;

    slots = ngx_iot_bus_wire_unknown() | (match ? match->marks : 0);

    for (i = 0; slots; i++, slots >>= 1) {
        if ((slots & 1) && ngx_iot_link_full(i)) {
            return 1;
        }
    }

    for (i = 0; i < ngx_iot_bus_nshares; i++) {
        if (ngx_iot_link_full(ngx_iot_bus_shares[i].slot)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_iot_bus_pass(ngx_iot_bus_message_t *msg, ngx_iot_topic_match_t *match)
{
    uint64_t              slots, plain;
    ngx_uint_t            i, n, nshares;
    ngx_iot_bus_share_t  *shares;

    plain = ngx_iot_bus_wire_unknown() | (match ? match->marks : 0);
    slots = plain;

    for (i = 0; i < ngx_iot_bus_nshares; i++) {
        slots |= (uint64_t) 1 << ngx_iot_bus_shares[i].slot;
    }

    for (n = 0, i = 0; slots; i++, slots >>= 1, plain >>= 1) {

        if ((slots & 1) == 0) {
            continue;
        }

        if (msg->qos == 0 && ngx_iot_link_full(i)) {
            ngx_iot_count(bus_dropped);
            continue;
        }

        nshares = ngx_iot_bus_shares_of(i, &shares);

        if (ngx_iot_bus_wire_message(i, msg, plain & 1, shares, nshares)
            != NGX_OK)
        {
            ngx_iot_count(bus_dropped);
            continue;
        }

        n++;
    }

    ngx_iot_add(bus_passed, n);

    return n;
}


/* brings the shares of a slot together at the end, and takes them off */

static ngx_uint_t
ngx_iot_bus_shares_of(ngx_uint_t slot, ngx_iot_bus_share_t **shares)
{
    ngx_uint_t           i, n;
    ngx_iot_bus_share_t  share;

    n = ngx_iot_bus_nshares;

    for (i = 0; i < n; /* void */ ) {
        share = ngx_iot_bus_shares[i];

        if (share.slot != slot) {
            i++;
            continue;
        }

        ngx_iot_bus_shares[i] = ngx_iot_bus_shares[--n];
        ngx_iot_bus_shares[n] = share;
    }

    *shares = ngx_iot_bus_shares + n;
    i = ngx_iot_bus_nshares - n;
    ngx_iot_bus_nshares = n;

    return i;
}


/*
 * Answers are sorted by client.  Those who were called may have unsubscribed
 * themselves or others: then the answer is out of date, and it does no harm
 * to move the rest of a client's subscriptions together in it.
 */

static ngx_uint_t
ngx_iot_bus_deliver(ngx_iot_bus_message_t *msg, ngx_iot_topic_match_t *match)
{
    void                  *owner;
    ngx_uint_t             i, j, k, n;
    ngx_iot_bus_sub_t     *sub;
    ngx_iot_topic_sub_t  **subs;

    subs = match->subs;
    n = 0;

    for (i = 0; i < match->nsubs; i = j) {
        owner = subs[i]->owner;

        for (j = i, k = i;
             j < match->nsubs && subs[j]->owner == owner;
             j++)
        {
            sub = (ngx_iot_bus_sub_t *) subs[j];

            if (sub->client) {
                subs[k++] = subs[j];
            }
        }

        if (k == i) {
            continue;
        }

        sub = (ngx_iot_bus_sub_t *) subs[i];

        (void) sub->client->deliver(sub->client, msg,
                                    (ngx_iot_bus_sub_t **) &subs[i], k - i);

        n++;
    }

    ngx_iot_add(bus_delivered, n);

    return n;
}


static ngx_uint_t
ngx_iot_bus_deliver_picked(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub)
{
    uint32_t                tries;
    ngx_str_t               filter, name;
    ngx_iot_topic_group_t  *group;

    if (ngx_iot_bus_deliver_one(msg, sub) == NGX_OK) {
        return 1;
    }

    /* the memory of the subscription stays while we deliver */

    filter = sub->filter;
    name = sub->group;

    group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

    for (tries = group ? group->members : 0; tries; tries--) {

        group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

        if (group == NULL || group->first == NULL) {
            break;
        }

        sub = (ngx_iot_bus_sub_t *) ngx_iot_topic_pick_member(group);

        if (ngx_iot_bus_deliver_one(msg, sub) == NGX_OK) {
            return 1;
        }
    }

    ngx_iot_count(bus_dropped);

    return 0;
}


static ngx_int_t
ngx_iot_bus_deliver_one(ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub)
{
    if (sub->client == NULL
        || sub->client->deliver(sub->client, msg, &sub, 1) == NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

    ngx_iot_count(bus_delivered);

    return NGX_OK;
}


void
ngx_iot_bus_arrived(ngx_iot_bus_envelope_t *envelope)
{
    ngx_iot_bus_tenant_t   *tenant;
    ngx_iot_bus_message_t  *msg;
    ngx_iot_topic_match_t  *match;

    msg = &envelope->msg;

    ngx_iot_bus_delivering++;
    ngx_iot_bus_hold(msg);

    tenant = ngx_iot_bus_tenant(msg->tenant, 0);

    if (tenant) {
        tenant->refs++;

        if (envelope->plain) {
            match = ngx_iot_topic_match_name(tenant->tree, &msg->topic);

            if (match) {
                (void) ngx_iot_bus_deliver(msg, match);
                ngx_iot_topic_match_release(match);

            } else {
                ngx_iot_count(bus_dropped);
                msg->rc = NGX_ERROR;
            }
        }

        ngx_iot_bus_deliver_shares(tenant, envelope);

        tenant->refs--;
        ngx_iot_bus_tenant_release(tenant);
    }

    ngx_iot_bus_let_go(msg, NGX_OK);
    ngx_iot_bus_delivering--;
}


static void
ngx_iot_bus_deliver_shares(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_envelope_t *envelope)
{
    u_char                 *p, *end;
    ngx_str_t               filter, name;
    ngx_iot_topic_group_t  *group;

    p = envelope->shares.data;
    end = p + envelope->shares.len;

    while (ngx_iot_bus_wire_share(&p, end, &filter, &name) == NGX_OK) {

        group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

        if (group == NULL || group->first == NULL) {
            ngx_iot_count(bus_dropped);
            continue;
        }

        (void) ngx_iot_bus_deliver_picked(tenant, &envelope->msg,
                      (ngx_iot_bus_sub_t *) ngx_iot_topic_pick_member(group));
    }
}


/* messages published while others were delivered go one after another */

void
ngx_iot_bus_finish(void)
{
    ngx_uint_t              matched;
    ngx_queue_t            *q;
    ngx_iot_bus_message_t  *msg;

    if (ngx_iot_bus_delivering) {
        return;
    }

    while (!ngx_queue_empty(&ngx_iot_bus_later)) {
        q = ngx_queue_head(&ngx_iot_bus_later);
        msg = ngx_queue_data(q, ngx_iot_bus_message_t, queue);
        ngx_queue_remove(q);

        if (ngx_iot_bus_route(msg, 1, &matched) != NGX_OK) {
            ngx_iot_count(bus_dropped);

            /* publish() has said that all is well: done() tells otherwise */

            ngx_iot_bus_delivering++;
            ngx_iot_bus_hold(msg);
            ngx_iot_bus_let_go(msg, NGX_ERROR);
            ngx_iot_bus_delivering--;
        }

        ngx_iot_bus_drop(msg);
    }

    while (!ngx_queue_empty(&ngx_iot_bus_dead)) {
        q = ngx_queue_head(&ngx_iot_bus_dead);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_iot_bus_sub_t, queue));
    }
}


void
ngx_iot_bus_hold(ngx_iot_bus_message_t *msg)
{
    ngx_iot_bus_keep(msg);
    msg->holds++;
}


void
ngx_iot_bus_let_go(ngx_iot_bus_message_t *msg, ngx_int_t rc)
{
    void  (*done)(ngx_iot_bus_message_t *msg);

    if (rc != NGX_OK) {
        msg->rc = NGX_ERROR;
    }

    if (--msg->holds == 0 && msg->done) {
        done = msg->done;
        msg->done = NULL;
        done(msg);
    }

    ngx_iot_bus_drop(msg);
}


void
ngx_iot_bus_wait(ngx_iot_bus_wait_t *wait)
{
    if (!wait->active) {
        wait->active = 1;
        ngx_queue_insert_tail(&ngx_iot_bus_waiting, &wait->queue);
    }
}


void
ngx_iot_bus_unwait(ngx_iot_bus_wait_t *wait)
{
    if (wait->active) {
        wait->active = 0;
        ngx_queue_remove(&wait->queue);
    }
}


/* who waits again in ready() is not called again now */

void
ngx_iot_bus_room(void)
{
    ngx_queue_t          *q, queue;
    ngx_iot_bus_wait_t   *wait;

    if (ngx_queue_empty(&ngx_iot_bus_waiting)) {
        return;
    }

    ngx_queue_init(&queue);
    ngx_queue_add(&queue, &ngx_iot_bus_waiting);
    ngx_queue_init(&ngx_iot_bus_waiting);

    while (!ngx_queue_empty(&queue)) {
        q = ngx_queue_head(&queue);
        wait = ngx_queue_data(q, ngx_iot_bus_wait_t, queue);

        ngx_iot_bus_unwait(wait);
        wait->ready(wait->data);
    }
}


static uint64_t
ngx_iot_bus_now(void)
{
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    return (uint64_t) tp->sec * 1000 + tp->msec;
}
