
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_store.h"


#define NGX_IOT_MQTT_INDEX_CACHE  (1024 * 1024)
#define NGX_IOT_MQTT_INDEX_RETRY  500

#define NGX_IOT_MQTT_OP_HEAD      (1 + 8 + 4 + 4 + NGX_IOT_UUID_TEXT)


typedef struct {
    ngx_str_node_t           node;      /* by the tenant's id */
    ngx_iot_topic_tree_t    *tree;
    u_char                   id[NGX_IOT_UUID_TEXT];
} ngx_iot_mqtt_index_tenant_t;

/* a change that came while the index was being loaded */

typedef struct {
    ngx_queue_t              queue;
    ngx_iot_bus_message_t   *msg;
} ngx_iot_mqtt_early_t;

typedef struct {
    ngx_iot_bus_wait_t       wait;
    ngx_iot_bus_message_t   *msg;
} ngx_iot_mqtt_tell_t;

typedef struct {
    void                   (*done)(void *data);
    void                    *data;
} ngx_iot_mqtt_told_t;


static ngx_int_t ngx_iot_mqtt_index_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_iot_mqtt_index_apply(ngx_str_t *op);
static void ngx_iot_mqtt_index_load(ngx_event_t *ev);
static void ngx_iot_mqtt_index_loaded(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_index_retained(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_mqtt_index_ask(ngx_iot_db_stmt_t *stmt,
    ngx_iot_db_done_pt done);
static ngx_iot_mqtt_stored_t *ngx_iot_mqtt_index_add(uint64_t nr,
    u_char *tenant, ngx_str_t *client_id);
static void ngx_iot_mqtt_index_delete(ngx_iot_mqtt_stored_t *st);
static void ngx_iot_mqtt_index_filter(ngx_iot_mqtt_stored_t *st,
    ngx_str_t *filter, uint32_t options, uint32_t id);
static void ngx_iot_mqtt_index_unfilter(ngx_iot_mqtt_stored_t *st,
    ngx_str_t *filter);
static ngx_iot_mqtt_index_tenant_t *ngx_iot_mqtt_index_tenant(u_char *id,
    ngx_uint_t create);
static void ngx_iot_mqtt_index_told(ngx_iot_bus_message_t *msg);
static void ngx_iot_mqtt_tell_ready(void *data);


u_char  ngx_iot_mqtt_own_tenant[] = "mqtt................................";

static ngx_str_t  ngx_iot_mqtt_index_topic = ngx_string("index");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_sessions_stmt = ngx_iot_db_stmt(
    "SELECT nr, tenant, client, filter, options, id FROM iot.mqtt_sessions()");

static ngx_iot_db_stmt_t  ngx_iot_mqtt_retained_stmt = ngx_iot_db_stmt(
    "SELECT tenant, flags, topic, payload, props, published, expires, qos,"
    " publisher FROM iot.mqtt_retained_all()");

static ngx_rbtree_t            ngx_iot_mqtt_by_nr;
static ngx_rbtree_node_t       ngx_iot_mqtt_by_nr_sentinel;
static ngx_rbtree_t            ngx_iot_mqtt_by_name;
static ngx_rbtree_node_t       ngx_iot_mqtt_by_name_sentinel;
static ngx_rbtree_t            ngx_iot_mqtt_index_tenants;
static ngx_rbtree_node_t       ngx_iot_mqtt_index_tenants_sentinel;
static ngx_iot_topic_cache_t  *ngx_iot_mqtt_index_cache;
static ngx_iot_bus_client_t    ngx_iot_mqtt_index_client;
static ngx_queue_t             ngx_iot_mqtt_index_early;
static ngx_event_t             ngx_iot_mqtt_index_ev;
static ngx_connection_t        ngx_iot_mqtt_index_dummy;
static ngx_uint_t              ngx_iot_mqtt_index_known;
static ngx_uint_t              ngx_iot_mqtt_retained_known;


ngx_int_t
ngx_iot_mqtt_index_init_process(ngx_cycle_t *cycle)
{
    ngx_str_t  group;

    ngx_rbtree_init(&ngx_iot_mqtt_by_nr, &ngx_iot_mqtt_by_nr_sentinel,
                    ngx_rbtree_insert_value);
    ngx_rbtree_init(&ngx_iot_mqtt_by_name, &ngx_iot_mqtt_by_name_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_rbtree_init(&ngx_iot_mqtt_index_tenants,
                    &ngx_iot_mqtt_index_tenants_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_mqtt_index_early);

    ngx_iot_mqtt_index_known = 0;
    ngx_iot_mqtt_retained_known = 0;

    ngx_iot_mqtt_index_cache =
        ngx_iot_topic_cache_create(NGX_IOT_MQTT_INDEX_CACHE);

    if (ngx_iot_mqtt_index_cache == NULL
        || ngx_iot_bus_client_open(&ngx_iot_mqtt_index_client,
                                   ngx_iot_mqtt_own_tenant,
                                   ngx_iot_mqtt_index_deliver, NULL)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_str_null(&group);

    if (ngx_iot_bus_subscribe(&ngx_iot_mqtt_index_client,
                              &ngx_iot_mqtt_index_topic, &group)
        == NULL)
    {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_index_dummy.fd = (ngx_socket_t) -1;
    ngx_iot_mqtt_index_ev.data = &ngx_iot_mqtt_index_dummy;
    ngx_iot_mqtt_index_ev.log = cycle->log;
    ngx_iot_mqtt_index_ev.handler = ngx_iot_mqtt_index_load;
    ngx_iot_mqtt_index_ev.cancelable = 1;

    ngx_iot_mqtt_index_load(&ngx_iot_mqtt_index_ev);

    return NGX_OK;
}


ngx_uint_t
ngx_iot_mqtt_index_ready(void)
{
    return ngx_iot_mqtt_index_known && ngx_iot_mqtt_retained_known
           && ngx_iot_mqtt_worker();
}


static void
ngx_iot_mqtt_index_load(ngx_event_t *ev)
{
    ngx_int_t  rc;

    rc = NGX_OK;

    if (!ngx_iot_mqtt_index_known) {
        rc = ngx_iot_mqtt_index_ask(&ngx_iot_mqtt_sessions_stmt,
                                    ngx_iot_mqtt_index_loaded);

    } else if (!ngx_iot_mqtt_retained_known) {
        rc = ngx_iot_mqtt_index_ask(&ngx_iot_mqtt_retained_stmt,
                                    ngx_iot_mqtt_index_retained);
    }

    if (rc != NGX_OK) {
        ngx_add_timer(ev, NGX_IOT_MQTT_INDEX_RETRY);
    }
}


static ngx_int_t
ngx_iot_mqtt_index_ask(ngx_iot_db_stmt_t *stmt, ngx_iot_db_done_pt done)
{
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, stmt, ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    call->done = done;
    call->binary = 1;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_iot_mqtt_index_loaded(ngx_iot_db_call_t *call)
{
    int                     i, n;
    uint64_t                nr;
    ngx_str_t               name;
    ngx_queue_t            *q;
    ngx_iot_mqtt_early_t   *early;
    ngx_iot_mqtt_stored_t  *st;

    if (call->rc != NGX_OK) {
        ngx_add_timer(&ngx_iot_mqtt_index_ev, NGX_IOT_MQTT_INDEX_RETRY);
        return;
    }

    st = NULL;
    n = PQntuples(call->result);

    for (i = 0; i < n; i++) {
        nr = ngx_iot_mqtt_get64(PQgetvalue(call->result, i, 0));

        if (st == NULL || st->nr != nr) {
            name.data = (u_char *) PQgetvalue(call->result, i, 2);
            name.len = PQgetlength(call->result, i, 2);

            st = ngx_iot_mqtt_index_add(nr,
                             (u_char *) PQgetvalue(call->result, i, 1), &name);
            if (st == NULL) {
                continue;
            }
        }

        if (PQgetisnull(call->result, i, 3)) {
            continue;
        }

        name.data = (u_char *) PQgetvalue(call->result, i, 3);
        name.len = PQgetlength(call->result, i, 3);

        ngx_iot_mqtt_index_filter(st, &name,
                  ngx_iot_mqtt_get32(PQgetvalue(call->result, i, 4)),
                  (uint32_t) ngx_iot_mqtt_get64(
                                     PQgetvalue(call->result, i, 5)));
    }

    ngx_iot_mqtt_index_known = 1;

    while (!ngx_queue_empty(&ngx_iot_mqtt_index_early)) {
        q = ngx_queue_head(&ngx_iot_mqtt_index_early);
        ngx_queue_remove(q);

        early = ngx_queue_data(q, ngx_iot_mqtt_early_t, queue);
        ngx_iot_mqtt_index_apply(&early->msg->payload);

        ngx_iot_bus_drop(early->msg);
        ngx_free(early);
    }

    ngx_iot_mqtt_index_load(&ngx_iot_mqtt_index_ev);
}


static void
ngx_iot_mqtt_index_retained(ngx_iot_db_call_t *call)
{
    int                     i, n;
    u_char                 *p;
    ngx_str_t               publisher;
    ngx_iot_bus_message_t  *msg;

    if (call->rc != NGX_OK) {
        ngx_add_timer(&ngx_iot_mqtt_index_ev, NGX_IOT_MQTT_INDEX_RETRY);
        return;
    }

    n = PQntuples(call->result);

    for (i = 0; i < n; i++) {
        publisher.data = (u_char *) PQgetvalue(call->result, i, 8);
        publisher.len = PQgetlength(call->result, i, 8);

        msg = ngx_iot_mqtt_store_row((u_char *) PQgetvalue(call->result, i, 0),
                                     call->result, i, 1, &publisher, 0);
        if (msg == NULL) {
            continue;
        }

        p = (u_char *) PQgetvalue(call->result, i, 7);
        msg->qos = p[1];

        ngx_iot_mqtt_retained_put(msg);
    }

    ngx_iot_mqtt_retained_known = 1;
}


static ngx_int_t
ngx_iot_mqtt_index_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_iot_mqtt_early_t  *early;

    if (ngx_iot_mqtt_index_known) {
        ngx_iot_mqtt_index_apply(&msg->payload);
        return NGX_OK;
    }

    early = ngx_alloc(sizeof(ngx_iot_mqtt_early_t), ngx_cycle->log);
    if (early == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_bus_keep(msg);
    early->msg = msg;
    ngx_queue_insert_tail(&ngx_iot_mqtt_index_early, &early->queue);

    return NGX_OK;
}


static void
ngx_iot_mqtt_index_apply(ngx_str_t *op)
{
    u_char                 *p;
    uint32_t                options, id;
    uint64_t                nr;
    ngx_str_t               name;
    ngx_iot_mqtt_stored_t  *st;

    if (op->len < NGX_IOT_MQTT_OP_HEAD) {
        return;
    }

    p = op->data;

    nr = ngx_iot_mqtt_get64(p + 1);
    options = ngx_iot_mqtt_get32(p + 9);
    id = ngx_iot_mqtt_get32(p + 13);

    name.data = p + NGX_IOT_MQTT_OP_HEAD;
    name.len = op->len - NGX_IOT_MQTT_OP_HEAD;

    if (p[0] == NGX_IOT_MQTT_ADD_SESSION) {
        (void) ngx_iot_mqtt_index_add(nr, p + 17, &name);
        return;
    }

    st = ngx_iot_mqtt_index_nr(nr);
    if (st == NULL) {
        return;
    }

    switch (p[0]) {

    case NGX_IOT_MQTT_ADD_FILTER:
        ngx_iot_mqtt_index_filter(st, &name, options, id);
        break;

    case NGX_IOT_MQTT_DELETE_FILTER:
        ngx_iot_mqtt_index_unfilter(st, &name);
        break;

    case NGX_IOT_MQTT_DELETE_SESSION:
        ngx_iot_mqtt_index_delete(st);
        break;
    }
}


static ngx_iot_mqtt_index_tenant_t *
ngx_iot_mqtt_index_tenant(u_char *id, ngx_uint_t create)
{
    uint32_t                      hash;
    ngx_str_t                     key;
    ngx_iot_mqtt_index_tenant_t  *tenant;

    key.data = id;
    key.len = NGX_IOT_UUID_TEXT;

    hash = ngx_murmur_hash2(id, NGX_IOT_UUID_TEXT);

    tenant = (ngx_iot_mqtt_index_tenant_t *)
                 ngx_str_rbtree_lookup(&ngx_iot_mqtt_index_tenants, &key,
                                       hash);

    if (tenant || !create) {
        return tenant;
    }

    tenant = ngx_calloc(sizeof(ngx_iot_mqtt_index_tenant_t), ngx_cycle->log);
    if (tenant == NULL) {
        return NULL;
    }

    tenant->tree = ngx_iot_topic_tree_create(ngx_iot_mqtt_index_cache);
    if (tenant->tree == NULL) {
        ngx_free(tenant);
        return NULL;
    }

    ngx_memcpy(tenant->id, id, NGX_IOT_UUID_TEXT);

    tenant->node.str.data = tenant->id;
    tenant->node.str.len = NGX_IOT_UUID_TEXT;
    tenant->node.node.key = hash;

    ngx_rbtree_insert(&ngx_iot_mqtt_index_tenants, &tenant->node.node);

    return tenant;
}


static ngx_iot_mqtt_stored_t *
ngx_iot_mqtt_index_add(uint64_t nr, u_char *tenant, ngx_str_t *client_id)
{
    u_char                       *p;
    ngx_iot_mqtt_stored_t        *st;
    ngx_iot_mqtt_index_tenant_t  *t;

    st = ngx_iot_mqtt_index_nr(nr);
    if (st) {
        return st;
    }

    st = ngx_iot_mqtt_index_find(tenant, client_id);
    if (st) {
        ngx_iot_mqtt_index_delete(st);
    }

    t = ngx_iot_mqtt_index_tenant(tenant, 1);
    if (t == NULL) {
        return NULL;
    }

    st = ngx_calloc(sizeof(ngx_iot_mqtt_stored_t) + NGX_IOT_UUID_TEXT
                    + client_id->len, ngx_cycle->log);
    if (st == NULL) {
        return NULL;
    }

    p = (u_char *) (st + 1);

    st->name.str.data = p;
    st->name.str.len = NGX_IOT_UUID_TEXT + client_id->len;

    p = ngx_cpymem(p, tenant, NGX_IOT_UUID_TEXT);

    st->client_id.data = p;
    st->client_id.len = client_id->len;
    ngx_memcpy(p, client_id->data, client_id->len);

    st->nr = nr;
    st->node.key = (ngx_rbtree_key_t) nr;
    st->name.node.key = ngx_murmur_hash2(st->name.str.data, st->name.str.len);
    st->tree = t->tree;

    ngx_queue_init(&st->subs);
    ngx_rbtree_insert(&ngx_iot_mqtt_by_nr, &st->node);
    ngx_rbtree_insert(&ngx_iot_mqtt_by_name, &st->name.node);

    ngx_iot_count(mqtt_sessions);

    return st;
}


static void
ngx_iot_mqtt_index_delete(ngx_iot_mqtt_stored_t *st)
{
    ngx_queue_t                *q;
    ngx_iot_mqtt_stored_sub_t  *sub;

    while (!ngx_queue_empty(&st->subs)) {
        q = ngx_queue_head(&st->subs);
        ngx_queue_remove(q);

        sub = ngx_queue_data(q, ngx_iot_mqtt_stored_sub_t, queue);

        if (sub->sub.node) {
            (void) ngx_iot_topic_unsubscribe(st->tree, &sub->sub);
        }

        ngx_free(sub);
    }

    ngx_rbtree_delete(&ngx_iot_mqtt_by_nr, &st->node);
    ngx_rbtree_delete(&ngx_iot_mqtt_by_name, &st->name.node);
    ngx_free(st);

    ngx_iot_add(mqtt_sessions, -1);
}


ngx_iot_mqtt_stored_t *
ngx_iot_mqtt_index_nr(uint64_t nr)
{
    ngx_rbtree_node_t  *node;

    node = ngx_iot_mqtt_by_nr.root;

    while (node != &ngx_iot_mqtt_by_nr_sentinel) {

        if (node->key == nr) {
            return (ngx_iot_mqtt_stored_t *) node;
        }

        node = (nr < node->key) ? node->left : node->right;
    }

    return NULL;
}


ngx_iot_mqtt_stored_t *
ngx_iot_mqtt_index_find(u_char *tenant, ngx_str_t *client_id)
{
    u_char          *p;
    uint32_t         hash;
    ngx_str_t        key;
    ngx_str_node_t  *node;

    static u_char  buf[NGX_IOT_UUID_TEXT + 65535];

    if (ngx_iot_mqtt_by_name.root == &ngx_iot_mqtt_by_name_sentinel) {
        return NULL;
    }

    p = ngx_cpymem(buf, tenant, NGX_IOT_UUID_TEXT);
    p = ngx_cpymem(p, client_id->data, client_id->len);

    key.data = buf;
    key.len = p - buf;

    hash = ngx_murmur_hash2(key.data, key.len);
    node = ngx_str_rbtree_lookup(&ngx_iot_mqtt_by_name, &key, hash);

    if (node == NULL) {
        return NULL;
    }

    return (ngx_iot_mqtt_stored_t *)
               ((u_char *) node - offsetof(ngx_iot_mqtt_stored_t, name));
}


static void
ngx_iot_mqtt_index_unfilter(ngx_iot_mqtt_stored_t *st, ngx_str_t *filter)
{
    ngx_queue_t                *q;
    ngx_iot_mqtt_stored_sub_t  *sub;

    for (q = ngx_queue_head(&st->subs);
         q != ngx_queue_sentinel(&st->subs);
         q = ngx_queue_next(q))
    {
        sub = ngx_queue_data(q, ngx_iot_mqtt_stored_sub_t, queue);

        if (sub->filter.len == filter->len
            && ngx_memcmp(sub->filter.data, filter->data, filter->len) == 0)
        {
            ngx_queue_remove(q);

            if (sub->sub.node) {
                (void) ngx_iot_topic_unsubscribe(st->tree, &sub->sub);
            }

            ngx_free(sub);
            return;
        }
    }
}


static void
ngx_iot_mqtt_index_filter(ngx_iot_mqtt_stored_t *st, ngx_str_t *filter,
    uint32_t options, uint32_t id)
{
    u_char                     *p;
    ngx_int_t                   rc;
    ngx_iot_topic_share_t       share;
    ngx_iot_mqtt_stored_sub_t  *sub;

    if (ngx_iot_topic_share(filter, &share) == NGX_ERROR) {
        return;
    }

    ngx_iot_mqtt_index_unfilter(st, filter);

    sub = ngx_calloc(sizeof(ngx_iot_mqtt_stored_sub_t) + filter->len,
                     ngx_cycle->log);
    if (sub == NULL) {
        return;
    }

    p = (u_char *) (sub + 1);
    ngx_memcpy(p, filter->data, filter->len);

    sub->filter.data = p;
    sub->filter.len = filter->len;
    sub->options = options;
    sub->id = id;
    sub->sub.owner = st;

    (void) ngx_iot_topic_share(&sub->filter, &share);

    rc = ngx_iot_topic_subscribe(st->tree, &share.filter, &share.group,
                                 &sub->sub);

    if (rc != NGX_OK && rc != NGX_DONE) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "no memory for a subscription of session %uL", st->nr);
        ngx_free(sub);
        return;
    }

    ngx_queue_insert_tail(&st->subs, &sub->queue);
}


ngx_iot_topic_match_t *
ngx_iot_mqtt_index_match(u_char *tenant, ngx_str_t *topic)
{
    ngx_iot_mqtt_index_tenant_t  *t;

    if (ngx_iot_mqtt_by_nr.root == &ngx_iot_mqtt_by_nr_sentinel) {
        return NULL;
    }

    t = ngx_iot_mqtt_index_tenant(tenant, 0);

    if (t == NULL || ngx_iot_topic_tree_empty(t->tree)) {
        return NULL;
    }

    return ngx_iot_topic_match_name(t->tree, topic);
}


void
ngx_iot_mqtt_index_tell(ngx_uint_t op, uint64_t nr, u_char *tenant,
    uint32_t options, uint32_t id, ngx_str_t *name, void (*done)(void *data),
    void *data)
{
    u_char                 *p;
    ngx_str_t               payload, none;
    ngx_iot_mqtt_told_t    *told;
    ngx_iot_bus_message_t  *msg;

    ngx_str_null(&none);

    payload.data = NULL;
    payload.len = NGX_IOT_MQTT_OP_HEAD + name->len;

    told = NULL;
    msg = ngx_iot_bus_message(ngx_iot_mqtt_own_tenant,
                              &ngx_iot_mqtt_index_topic, &payload, &none,
                              &none);

    if (done) {
        told = ngx_alloc(sizeof(ngx_iot_mqtt_told_t), ngx_cycle->log);
    }

    if (msg == NULL || (done && told == NULL)) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "no memory to tell of MQTT session %uL", nr);

        if (msg) {
            ngx_iot_bus_drop(msg);
        }

        if (told) {
            ngx_free(told);
        }

        if (done) {
            done(data);
        }

        return;
    }

    p = msg->payload.data;

    *p++ = (u_char) op;
    p = ngx_iot_put64(p, nr);
    p = ngx_iot_put32(p, options);
    p = ngx_iot_put32(p, id);

    ngx_memset(p, '0', NGX_IOT_UUID_TEXT);

    if (tenant) {
        ngx_memcpy(p, tenant, NGX_IOT_UUID_TEXT);
    }

    p += NGX_IOT_UUID_TEXT;
    ngx_memcpy(p, name->data, name->len);

    msg->qos = 1;

    if (done) {
        told->done = done;
        told->data = data;
        msg->done = ngx_iot_mqtt_index_told;
        msg->done_data = told;
    }

    ngx_iot_mqtt_tell(msg);
}


/* a worker that died reads everything again when it is back */

static void
ngx_iot_mqtt_index_told(ngx_iot_bus_message_t *msg)
{
    ngx_iot_mqtt_told_t  *told;

    told = msg->done_data;

    told->done(told->data);
    ngx_free(told);
}


void
ngx_iot_mqtt_tell(ngx_iot_bus_message_t *msg)
{
    ngx_int_t             rc;
    ngx_iot_mqtt_tell_t  *tell;

    rc = ngx_iot_bus_publish(msg, NULL);

    if (rc == NGX_BUSY) {
        tell = ngx_calloc(sizeof(ngx_iot_mqtt_tell_t), ngx_cycle->log);

        if (tell) {
            tell->msg = msg;
            tell->wait.ready = ngx_iot_mqtt_tell_ready;
            tell->wait.data = tell;

            ngx_iot_bus_wait(&tell->wait);
            return;
        }
    }

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, 0,
                      "the other workers could not be told");

        if (msg->done) {
            msg->done(msg);
        }
    }

    ngx_iot_bus_drop(msg);
}


static void
ngx_iot_mqtt_tell_ready(void *data)
{
    ngx_iot_mqtt_tell_t  *tell = data;

    ngx_iot_bus_message_t  *msg;

    msg = tell->msg;
    ngx_free(tell);

    ngx_iot_mqtt_tell(msg);
}
