
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_store.h"


/*
 * Retained messages: every worker has them all, in the order of their topics,
 * so that a filter is one walk through a range.  A change goes to the others
 * over the bus, as a message of a tenant that nobody can be.
 */

#define NGX_IOT_MQTT_SCAN_STEPS  2000


typedef struct {
    ngx_str_node_t           node;          /* by the tenant's id */
    ngx_rbtree_t             topics;
    ngx_rbtree_node_t        sentinel;
    u_char                   id[NGX_IOT_UUID_TEXT];
} ngx_iot_mqtt_retained_tenant_t;

typedef struct {
    ngx_rbtree_node_t        node;
    ngx_iot_bus_message_t   *msg;
} ngx_iot_mqtt_retained_t;


/* a subscription whose retained messages are on their way */

struct ngx_iot_mqtt_scan_s {
    ngx_queue_t              queue;
    ngx_iot_bus_sub_t       *sub;
    ngx_str_t                last;          /* topic, its data allocated */
    size_t                   prefix;        /* of the filter, literal */
};


static ngx_int_t ngx_iot_mqtt_retained_change(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_iot_mqtt_retained_delete(
    ngx_iot_mqtt_retained_tenant_t *tenant, ngx_iot_mqtt_retained_t *r);
static ngx_iot_mqtt_retained_tenant_t *ngx_iot_mqtt_retained_tenant(
    u_char *id, ngx_uint_t create);
static void ngx_iot_mqtt_retained_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static ngx_iot_mqtt_retained_t *ngx_iot_mqtt_retained_from(
    ngx_iot_mqtt_retained_tenant_t *tenant, ngx_str_t *topic);
static ngx_int_t ngx_iot_mqtt_scan_step(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_scan_t *scan);
static ngx_int_t ngx_iot_mqtt_scan_mark(ngx_iot_mqtt_scan_t *scan,
    ngx_str_t *topic);
static void ngx_iot_mqtt_scan_free(ngx_iot_mqtt_scan_t *scan);
static ngx_uint_t ngx_iot_mqtt_retained_late(ngx_iot_bus_message_t *msg);


static ngx_rbtree_t          ngx_iot_mqtt_tenants;
static ngx_rbtree_node_t     ngx_iot_mqtt_tenants_sentinel;
static ngx_iot_bus_client_t  ngx_iot_mqtt_retain_client;
static ngx_uint_t            ngx_iot_mqtt_retain_open;

static ngx_str_t  ngx_iot_mqtt_retain_topic = ngx_string("retain");


ngx_int_t
ngx_iot_mqtt_retain_init_process(ngx_cycle_t *cycle)
{
    ngx_str_t  group;

    ngx_rbtree_init(&ngx_iot_mqtt_tenants, &ngx_iot_mqtt_tenants_sentinel,
                    ngx_str_rbtree_insert_value);

    if (ngx_iot_bus_client_open(&ngx_iot_mqtt_retain_client,
                                ngx_iot_mqtt_own_tenant,
                                ngx_iot_mqtt_retained_change, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_null(&group);

    if (ngx_iot_bus_subscribe(&ngx_iot_mqtt_retain_client,
                              &ngx_iot_mqtt_retain_topic, &group)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_retain_open = 1;

    return NGX_OK;
}


/* the message travels inside of another one: tenant, topic, payload */

void
ngx_iot_mqtt_retain(ngx_iot_bus_message_t *msg)
{
    u_char                 *p;
    ngx_str_t               payload, props;
    ngx_iot_bus_message_t  *change;

    if (!ngx_iot_mqtt_retain_open) {
        return;
    }

    props = msg->properties;

    if (msg->flags & NGX_IOT_MQTT_STORED) {
        props.data += 8;
        props.len -= 8;
    }

    payload.data = NULL;
    payload.len = NGX_IOT_UUID_TEXT + 3 + msg->topic.len + msg->payload.len;

    change = ngx_iot_bus_message(ngx_iot_mqtt_own_tenant,
                                 &ngx_iot_mqtt_retain_topic, &payload,
                                 &props, &msg->publisher);
    if (change == NULL) {
        return;
    }

    p = ngx_cpymem(change->payload.data, msg->tenant, NGX_IOT_UUID_TEXT);
    *p++ = (u_char) msg->qos;
    *p++ = (u_char) (msg->topic.len >> 8);
    *p++ = (u_char) msg->topic.len;
    p = ngx_cpymem(p, msg->topic.data, msg->topic.len);
    ngx_memcpy(p, msg->payload.data, msg->payload.len);

    /* the change itself must not be dropped on a full ring */

    change->qos = 1;
    change->flags = msg->flags & ~NGX_IOT_MQTT_OWN;
    change->published = msg->published;
    change->expires = msg->expires;

    ngx_iot_mqtt_tell(change);
}


static ngx_int_t
ngx_iot_mqtt_retained_change(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    u_char                 *p;
    size_t                  head;
    ngx_str_t               topic, payload;
    ngx_iot_bus_message_t  *copy;

    head = NGX_IOT_UUID_TEXT + 3;

    if (msg->payload.len < head) {
        return NGX_ERROR;
    }

    p = msg->payload.data + NGX_IOT_UUID_TEXT;

    topic.len = p[1] << 8 | p[2];
    topic.data = p + 3;

    if (msg->payload.len < head + topic.len) {
        return NGX_ERROR;
    }

    payload.data = topic.data + topic.len;
    payload.len = msg->payload.len - head - topic.len;

    copy = ngx_iot_bus_message(msg->payload.data, &topic, &payload,
                               &msg->properties, &msg->publisher);
    if (copy == NULL) {
        return NGX_ERROR;
    }

    copy->qos = msg->payload.data[NGX_IOT_UUID_TEXT];
    copy->flags = msg->flags;
    copy->published = msg->published;
    copy->expires = msg->expires;

    ngx_iot_mqtt_retained_put(copy);

    return NGX_OK;
}


/* takes over the reference; a message without payload takes the old one away */

void
ngx_iot_mqtt_retained_put(ngx_iot_bus_message_t *msg)
{
    ngx_iot_mqtt_retained_t         *r;
    ngx_iot_mqtt_retained_tenant_t  *tenant;

    tenant = ngx_iot_mqtt_retained_tenant(msg->tenant, msg->payload.len != 0);

    if (tenant == NULL) {
        ngx_iot_bus_drop(msg);
        return;
    }

    r = ngx_iot_mqtt_retained_from(tenant, &msg->topic);

    if (r && (r->msg->topic.len != msg->topic.len
              || ngx_memcmp(r->msg->topic.data, msg->topic.data,
                            msg->topic.len)
                 != 0))
    {
        r = NULL;
    }

    if (r && r->msg->published > msg->published) {
        ngx_iot_bus_drop(msg);
        return;
    }

    if (msg->payload.len == 0) {
        if (r) {
            ngx_iot_mqtt_retained_delete(tenant, r);
        }

        ngx_iot_bus_drop(msg);
        return;
    }

    if (r) {
        /* the topic stays the same, and with it the place in the tree */
        ngx_iot_add(mqtt_retained_bytes,
                    msg->payload.len - r->msg->payload.len);

        ngx_iot_bus_drop(r->msg);
        r->msg = msg;
        return;
    }

    r = ngx_calloc(sizeof(ngx_iot_mqtt_retained_t), ngx_cycle->log);

    if (r == NULL) {
        ngx_iot_bus_drop(msg);
        return;
    }

    r->msg = msg;
    ngx_rbtree_insert(&tenant->topics, &r->node);

    ngx_iot_gauge(mqtt_retained, ngx_iot_metrics->mqtt_retained + 1);
    ngx_iot_add(mqtt_retained_bytes, msg->payload.len);
}


static void
ngx_iot_mqtt_retained_delete(ngx_iot_mqtt_retained_tenant_t *tenant,
    ngx_iot_mqtt_retained_t *r)
{
    ngx_iot_add(mqtt_retained_bytes, -r->msg->payload.len);

    ngx_rbtree_delete(&tenant->topics, &r->node);
    ngx_iot_bus_drop(r->msg);
    ngx_free(r);

    ngx_iot_gauge(mqtt_retained, ngx_iot_metrics->mqtt_retained - 1);
}


static ngx_iot_mqtt_retained_tenant_t *
ngx_iot_mqtt_retained_tenant(u_char *id, ngx_uint_t create)
{
    uint32_t                         hash;
    ngx_str_t                        key;
    ngx_iot_mqtt_retained_tenant_t  *tenant;

    key.data = id;
    key.len = NGX_IOT_UUID_TEXT;

    hash = ngx_murmur_hash2(id, NGX_IOT_UUID_TEXT);

    tenant = (ngx_iot_mqtt_retained_tenant_t *)
                 ngx_str_rbtree_lookup(&ngx_iot_mqtt_tenants, &key, hash);

    if (tenant || !create) {
        return tenant;
    }

    tenant = ngx_calloc(sizeof(ngx_iot_mqtt_retained_tenant_t),
                        ngx_cycle->log);
    if (tenant == NULL) {
        return NULL;
    }

    ngx_memcpy(tenant->id, id, NGX_IOT_UUID_TEXT);

    tenant->node.str.data = tenant->id;
    tenant->node.str.len = NGX_IOT_UUID_TEXT;
    tenant->node.node.key = hash;

    ngx_rbtree_init(&tenant->topics, &tenant->sentinel,
                    ngx_iot_mqtt_retained_insert);
    ngx_rbtree_insert(&ngx_iot_mqtt_tenants, &tenant->node.node);

    return tenant;
}


static void
ngx_iot_mqtt_retained_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_str_t           *a, *b;
    ngx_rbtree_node_t  **p;

    a = &((ngx_iot_mqtt_retained_t *) node)->msg->topic;

    for ( ;; ) {
        b = &((ngx_iot_mqtt_retained_t *) temp)->msg->topic;

        p = (ngx_memn2cmp(a->data, b->data, a->len, b->len) < 0)
            ? &temp->left : &temp->right;

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


/* the first topic that is not before this one */

static ngx_iot_mqtt_retained_t *
ngx_iot_mqtt_retained_from(ngx_iot_mqtt_retained_tenant_t *tenant,
    ngx_str_t *topic)
{
    ngx_int_t           rc;
    ngx_str_t          *t;
    ngx_rbtree_node_t  *node, *found;

    found = NULL;
    node = tenant->topics.root;

    while (node != &tenant->sentinel) {
        t = &((ngx_iot_mqtt_retained_t *) node)->msg->topic;

        rc = ngx_memn2cmp(t->data, topic->data, t->len, topic->len);

        if (rc >= 0) {
            found = node;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    return (ngx_iot_mqtt_retained_t *) found;
}


static ngx_uint_t
ngx_iot_mqtt_retained_late(ngx_iot_bus_message_t *msg)
{
    ngx_time_t  *tp;

    if (msg->expires == 0) {
        return 0;
    }

    tp = ngx_timeofday();

    return msg->expires <= (uint64_t) tp->sec * 1000 + tp->msec;
}


void
ngx_iot_mqtt_retained_send(ngx_iot_mqtt_session_t *s, ngx_iot_bus_sub_t *sub)
{
    size_t                i;
    ngx_iot_mqtt_scan_t  *scan;

    ngx_iot_mqtt_scan_stop(s, sub);

    if (ngx_iot_mqtt_retained_tenant(s->tenant, 0) == NULL) {
        return;
    }

    scan = ngx_calloc(sizeof(ngx_iot_mqtt_scan_t), s->connection->log);
    if (scan == NULL) {
        return;
    }

    scan->sub = sub;

    for (i = 0; i < sub->filter.len; i++) {
        if (sub->filter.data[i] == '+' || sub->filter.data[i] == '#') {
            break;
        }
    }

    /* "a/#" matches "a" too */

    if (i < sub->filter.len && sub->filter.data[i] == '#' && i > 0) {
        i--;
    }

    scan->prefix = i;

    ngx_queue_insert_tail(&s->scans, &scan->queue);
    ngx_iot_mqtt_scan_go_on(s);
}


void
ngx_iot_mqtt_scan_go_on(ngx_iot_mqtt_session_t *s)
{
    ngx_int_t             rc;
    ngx_queue_t          *q;
    ngx_iot_mqtt_scan_t  *scan;

    while (!ngx_queue_empty(&s->scans)) {
        q = ngx_queue_head(&s->scans);
        scan = ngx_queue_data(q, ngx_iot_mqtt_scan_t, queue);

        rc = ngx_iot_mqtt_scan_step(s, scan);

        if (rc == NGX_AGAIN) {
            return;
        }

        ngx_queue_remove(q);
        ngx_iot_mqtt_scan_free(scan);
    }
}


static ngx_int_t
ngx_iot_mqtt_scan_step(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_scan_t *scan)
{
    uint32_t                         id;
    ngx_str_t                        from, *topic;
    ngx_uint_t                       i, qos;
    ngx_rbtree_node_t               *node;
    ngx_iot_bus_sub_t               *sub;
    ngx_iot_mqtt_retained_t         *r;
    ngx_iot_mqtt_retained_tenant_t  *tenant;

    sub = scan->sub;

    tenant = ngx_iot_mqtt_retained_tenant(s->tenant, 0);
    if (tenant == NULL) {
        return NGX_DONE;
    }

    if (scan->last.len) {
        r = ngx_iot_mqtt_retained_from(tenant, &scan->last);

    } else {
        from.data = sub->filter.data;
        from.len = scan->prefix;
        r = ngx_iot_mqtt_retained_from(tenant, &from);
    }

    for (i = 0; r; i++) {
        topic = &r->msg->topic;

        if (topic->len < scan->prefix
            || ngx_memcmp(topic->data, sub->filter.data, scan->prefix) != 0)
        {
            return NGX_DONE;
        }

        if (i == NGX_IOT_MQTT_SCAN_STEPS
            || ngx_iot_mqtt_room_left(s) == 0)
        {
            if (ngx_iot_mqtt_scan_mark(scan, topic) != NGX_OK) {
                return NGX_DONE;
            }

            if (i == NGX_IOT_MQTT_SCAN_STEPS) {
                ngx_iot_mqtt_later(s);
            }

            return NGX_AGAIN;
        }

        node = ngx_rbtree_next(&tenant->topics, &r->node);

        if (!ngx_iot_mqtt_retained_late(r->msg)) {

            if (ngx_iot_topic_match(&sub->filter, topic)
                && ngx_iot_mqtt_may_get(s, topic))
            {
                qos = sub->options & NGX_IOT_MQTT_SUB_QOS;
                qos = ngx_min(qos, r->msg->qos);
                id = sub->id;

                (void) ngx_iot_mqtt_send_message(s, r->msg, qos, 1, &id,
                                                 id ? 1 : 0);
            }

        } else {
            ngx_iot_mqtt_retained_delete(tenant, r);
        }

        r = (ngx_iot_mqtt_retained_t *) node;
    }

    return NGX_DONE;
}


/* the topic to go on with, or the next one if it has gone by then */

static ngx_int_t
ngx_iot_mqtt_scan_mark(ngx_iot_mqtt_scan_t *scan, ngx_str_t *topic)
{
    u_char  *p;

    p = ngx_alloc(topic->len, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (scan->last.data) {
        ngx_free(scan->last.data);
    }

    ngx_memcpy(p, topic->data, topic->len);

    scan->last.data = p;
    scan->last.len = topic->len;

    return NGX_OK;
}


static void
ngx_iot_mqtt_scan_free(ngx_iot_mqtt_scan_t *scan)
{
    if (scan->last.data) {
        ngx_free(scan->last.data);
    }

    ngx_free(scan);
}


void
ngx_iot_mqtt_scan_stop(ngx_iot_mqtt_session_t *s, ngx_iot_bus_sub_t *sub)
{
    ngx_queue_t          *q, *next;
    ngx_iot_mqtt_scan_t  *scan;

    for (q = ngx_queue_head(&s->scans);
         q != ngx_queue_sentinel(&s->scans);
         q = next)
    {
        next = ngx_queue_next(q);
        scan = ngx_queue_data(q, ngx_iot_mqtt_scan_t, queue);

        if (sub == NULL || scan->sub == sub) {
            ngx_queue_remove(q);
            ngx_iot_mqtt_scan_free(scan);
        }
    }
}
