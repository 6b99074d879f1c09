
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

/* subscriptions of a client that are looked through one by one */
#define NGX_IOT_BUS_FEW    16


static uint64_t ngx_iot_bus_now(void);


static ngx_iot_topic_cache_t  *ngx_iot_bus_cache;
static ngx_rbtree_t            ngx_iot_bus_tenant_tree;
static ngx_rbtree_node_t       ngx_iot_bus_sentinel;
static ngx_queue_t             ngx_iot_bus_waiting;


ngx_int_t
ngx_iot_bus_init_process(ngx_cycle_t *cycle)
{
    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_ERROR;
    }

    ngx_rbtree_init(&ngx_iot_bus_tenant_tree, &ngx_iot_bus_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_queue_init(&ngx_iot_bus_waiting);
    ngx_iot_bus_route_init();

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
    client->nsubs = 0;
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
    client->nsubs++;

    ngx_iot_count(bus_subscriptions);

    if (sub->sub.group) {
        ngx_iot_count(mqtt_shared);
        ngx_iot_bus_interest(client->tenant, &sub->filter, &sub->group,
                                  sub->sub.group->members);

    } else if (rc == NGX_DONE) {
        ngx_iot_count(bus_interests);
        ngx_iot_bus_interest(client->tenant, &sub->filter, NULL, 1);
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
    sub->client->nsubs--;
    sub->client = NULL;

    ngx_iot_add(bus_subscriptions, -1);

    if (sub->group.len) {
        ngx_iot_add(mqtt_shared, -1);

        group = ngx_iot_topic_group_find(tenant->tree, &sub->filter,
                                         &sub->group);

        ngx_iot_bus_interest(tenant, &sub->filter, &sub->group,
                                  group ? group->members : 0);

    } else if (rc == NGX_DONE) {
        ngx_iot_add(bus_interests, -1);
        ngx_iot_bus_interest(tenant, &sub->filter, NULL, 0);
    }

    ngx_iot_bus_bury(sub);
}


ngx_iot_bus_sub_t *
ngx_iot_bus_find(ngx_iot_bus_client_t *client, ngx_str_t *filter,
    ngx_str_t *group)
{
    size_t                len;
    ngx_int_t             rc;
    ngx_queue_t          *q;
    ngx_iot_bus_sub_t    *sub;
    ngx_iot_topic_sub_t  *found;

    if (client->tenant == NULL) {
        return NULL;
    }

    /* of a client with many, or of a filter with many: the shorter list */

    if (client->nsubs > NGX_IOT_BUS_FEW) {
        rc = ngx_iot_topic_sub_of(client->tenant->tree, filter, group, client,
                                  client->nsubs, &found);

        if (rc == NGX_OK) {
            return (ngx_iot_bus_sub_t *) found;
        }

        if (rc == NGX_DECLINED) {
            return NULL;
        }
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
