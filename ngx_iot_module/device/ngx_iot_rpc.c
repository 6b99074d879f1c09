
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../codec/ngx_iot_json.h"
#include "ngx_iot_event.h"
#include "ngx_iot_rpc.h"


/*
 * The properties of a message: a byte for its kind, flags of a request, and
 * four bytes of the id.
 */

#define NGX_IOT_RPC_PROPERTIES   6

#define NGX_IOT_RPC_REQUEST      1
#define NGX_IOT_RPC_READY        2
#define NGX_IOT_RPC_IS_SENT      3
#define NGX_IOT_RPC_IS_DELIVERED 4
#define NGX_IOT_RPC_ANSWER       5

#define NGX_IOT_RPC_ONEWAY       0x01
#define NGX_IOT_RPC_STORED       0x02

#define NGX_IOT_RPC_DEPTH        64


/* a device that calls of this worker wait for */

typedef struct {
    ngx_str_node_t         node;           /* by id; must be first */
    u_char                 tenant[NGX_IOT_UUID_TEXT];
    u_char                 device[NGX_IOT_UUID_TEXT];
    ngx_queue_t            calls;
    ngx_iot_bus_client_t   client;
} ngx_iot_rpc_target_t;


/* fronts that wait for one answer; those that close leave a hole */

typedef struct {
    ngx_iot_rpc_front_t  **fronts;
    ngx_uint_t             n;
} ngx_iot_rpc_group_t;


static ngx_iot_rpc_target_t *ngx_iot_rpc_target(u_char *tenant,
    u_char *device);
static void ngx_iot_rpc_leave(ngx_iot_rpc_call_t *call);
static void ngx_iot_rpc_timeout(ngx_event_t *ev);
static ngx_int_t ngx_iot_rpc_up(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_iot_rpc_repeat(ngx_iot_rpc_target_t *target);
static ngx_int_t ngx_iot_rpc_subscribe(ngx_iot_bus_client_t *client,
    u_char *device, ngx_uint_t event);
static ngx_int_t ngx_iot_rpc_publish(u_char *tenant, u_char *device,
    ngx_uint_t event, ngx_uint_t kind, ngx_iot_rpc_request_t *request);
static ngx_int_t ngx_iot_rpc_properties(ngx_iot_bus_message_t *msg,
    ngx_uint_t *kind, ngx_iot_rpc_request_t *request);
static ngx_int_t ngx_iot_rpc_down(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_iot_rpc_give(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request);
static void ngx_iot_rpc_pending(ngx_iot_db_call_t *db);
static ngx_int_t ngx_iot_rpc_group_send(ngx_iot_rpc_group_t *group,
    ngx_iot_db_call_t *db, ngx_uint_t n);
static void ngx_iot_rpc_group_join(ngx_iot_rpc_group_t *group);
static void ngx_iot_rpc_group_pending(ngx_iot_db_call_t *db);
static void ngx_iot_rpc_group_ready(ngx_iot_rpc_group_t *group);
static void ngx_iot_rpc_request(PGresult *res, int row, int column,
    ngx_iot_rpc_request_t *request);
static void ngx_iot_rpc_ready(ngx_iot_rpc_front_t *front);
static ngx_iot_db_call_t *ngx_iot_rpc_db(ngx_iot_db_stmt_t *stmt,
    u_char *tenant, u_char *device);
static ngx_int_t ngx_iot_rpc_db_id(ngx_iot_db_call_t *db, uint32_t id);
static void ngx_iot_rpc_noted(ngx_iot_db_call_t *db);
static void ngx_iot_rpc_stored(ngx_iot_db_call_t *db);


static ngx_iot_db_stmt_t  ngx_iot_rpc_pending_stmt = ngx_iot_db_stmt(
    "SELECT id, oneway, body FROM iot.rpc_pending($1::uuid, $2::uuid)");

static ngx_iot_db_stmt_t  ngx_iot_rpc_group_stmt = ngx_iot_db_stmt(
    "SELECT i, id, oneway, body FROM iot.rpc_pending_all($1::uuid,"
    " $2::uuid[])");

static ngx_iot_db_stmt_t  ngx_iot_rpc_status_stmt = ngx_iot_db_stmt(
    "SELECT iot.rpc_status($1::uuid, $2::uuid, $3::int, $4)");

static ngx_iot_db_stmt_t  ngx_iot_rpc_answer_stmt = ngx_iot_db_stmt(
    "SELECT iot.rpc_answer($1::uuid, $2::uuid, $3::int, $4::json)");

ngx_iot_db_stmt_t  ngx_iot_rpc_limits_stmt = ngx_iot_db_stmt(
    "SELECT iot.session_limits($1::uuid, $2::boolean)");


static ngx_rbtree_t       ngx_iot_rpc_tree;
static ngx_rbtree_node_t  ngx_iot_rpc_sentinel;


ngx_int_t
ngx_iot_rpc_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_rpc_tree, &ngx_iot_rpc_sentinel,
                    ngx_str_rbtree_insert_value);

    return NGX_OK;
}


ngx_int_t
ngx_iot_rpc_call(ngx_iot_rpc_call_t *call)
{
    ngx_iot_rpc_target_t  *target;

    target = ngx_iot_rpc_target(call->tenant, call->device);
    if (target == NULL) {
        return NGX_ERROR;
    }

    call->target = target;
    call->delivered = 0;
    ngx_queue_insert_tail(&target->calls, &call->queue);

    /* not cancelable: a worker that is leaving stays until it is over */

    ngx_memzero(&call->timer, sizeof(ngx_event_t));
    call->ident = -1;
    call->timer.data = call;
    call->timer.log = ngx_cycle->log;
    call->timer.handler = ngx_iot_rpc_timeout;

    ngx_add_timer(&call->timer, call->timeout);

    /* a front in this worker may be done with it before this returns */

    if (ngx_iot_rpc_publish(call->tenant, call->device, NGX_IOT_EVENT_RPC,
                            NGX_IOT_RPC_REQUEST, &call->request)
        == NGX_ERROR)
    {
        ngx_iot_rpc_leave(call);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_iot_rpc_target_t *
ngx_iot_rpc_target(u_char *tenant, u_char *device)
{
    uint32_t               hash;
    ngx_str_t              id;
    ngx_iot_rpc_target_t  *target;

    id.data = device;
    id.len = NGX_IOT_UUID_TEXT;
    hash = ngx_murmur_hash2(id.data, id.len);

    target = (ngx_iot_rpc_target_t *) ngx_str_rbtree_lookup(&ngx_iot_rpc_tree,
                                                            &id, hash);
    if (target) {
        return target;
    }

    target = ngx_calloc(sizeof(ngx_iot_rpc_target_t), ngx_cycle->log);
    if (target == NULL) {
        return NULL;
    }

    ngx_memcpy(target->tenant, tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(target->device, device, NGX_IOT_UUID_TEXT);
    ngx_queue_init(&target->calls);

    if (ngx_iot_bus_client_open(&target->client, target->tenant,
                                ngx_iot_rpc_up, target)
        != NGX_OK)
    {
        ngx_free(target);
        return NULL;
    }

    if (ngx_iot_rpc_subscribe(&target->client, device, NGX_IOT_EVENT_RPC_UP)
        != NGX_OK)
    {
        ngx_iot_bus_client_close(&target->client);
        ngx_free(target);
        return NULL;
    }

    target->node.str.data = target->device;
    target->node.str.len = NGX_IOT_UUID_TEXT;
    target->node.node.key = hash;
    ngx_rbtree_insert(&ngx_iot_rpc_tree, &target->node.node);

    return target;
}


void
ngx_iot_rpc_cancel(ngx_iot_rpc_call_t *call)
{
    if (call->target) {
        ngx_iot_rpc_leave(call);
    }
}


static void
ngx_iot_rpc_leave(ngx_iot_rpc_call_t *call)
{
    ngx_iot_rpc_target_t  *target;

    target = call->target;
    call->target = NULL;

    ngx_queue_remove(&call->queue);

    if (call->timer.timer_set) {
        ngx_del_timer(&call->timer);
    }

    if (ngx_queue_empty(&target->calls)) {
        ngx_rbtree_delete(&ngx_iot_rpc_tree, &target->node.node);
        ngx_iot_bus_client_close(&target->client);
        ngx_free(target);
    }
}


static void
ngx_iot_rpc_timeout(ngx_event_t *ev)
{
    ngx_str_t            none;
    ngx_iot_rpc_call_t  *call;

    call = ev->data;

    ngx_str_null(&none);
    ngx_iot_rpc_leave(call);
    call->done(call, NGX_DECLINED, &none);
}


/* a front says something about a device that somebody here waits for */

static ngx_int_t
ngx_iot_rpc_up(ngx_iot_bus_client_t *client, ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_str_t               answer;
    ngx_uint_t              kind;
    ngx_queue_t            *q;
    ngx_iot_rpc_call_t     *call;
    ngx_iot_rpc_target_t   *target;
    ngx_iot_rpc_request_t   request;

    target = client->data;

    if (ngx_iot_rpc_properties(msg, &kind, &request) != NGX_OK) {
        return NGX_OK;
    }

    if (kind == NGX_IOT_RPC_READY) {
        ngx_iot_rpc_repeat(target);
        return NGX_OK;
    }

    for (q = ngx_queue_head(&target->calls);
         q != ngx_queue_sentinel(&target->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, ngx_iot_rpc_call_t, queue);

        if (call->request.id != request.id) {
            continue;
        }

        if (kind == NGX_IOT_RPC_IS_DELIVERED) {
            call->delivered = 1;

            if (!call->request.oneway) {
                return NGX_OK;
            }

            ngx_str_null(&answer);

        } else if (kind == NGX_IOT_RPC_ANSWER) {
            answer = msg->payload;

        } else {
            return NGX_OK;
        }

        /* this may free the target */

        ngx_iot_rpc_leave(call);
        call->done(call, NGX_OK, &answer);

        return NGX_OK;
    }

    return NGX_OK;
}


static void
ngx_iot_rpc_repeat(ngx_iot_rpc_target_t *target)
{
    ngx_queue_t         *q;
    ngx_iot_rpc_call_t  *call;

    for (q = ngx_queue_head(&target->calls);
         q != ngx_queue_sentinel(&target->calls);
         q = ngx_queue_next(q))
    {
        call = ngx_queue_data(q, ngx_iot_rpc_call_t, queue);

        if (!call->delivered) {
            (void) ngx_iot_rpc_publish(call->tenant, call->device,
                                       NGX_IOT_EVENT_RPC, NGX_IOT_RPC_REQUEST,
                                       &call->request);
        }
    }
}


void
ngx_iot_rpc_announce(u_char *tenant, u_char *device,
    ngx_iot_rpc_request_t *request)
{
    (void) ngx_iot_rpc_publish(tenant, device, NGX_IOT_EVENT_RPC,
                               NGX_IOT_RPC_REQUEST, request);
}


static ngx_int_t
ngx_iot_rpc_subscribe(ngx_iot_bus_client_t *client, u_char *device,
    ngx_uint_t event)
{
    u_char     buf[NGX_IOT_EVENT_TOPIC];
    ngx_str_t  topic, group;

    topic.data = buf;
    topic.len = ngx_iot_event_topic(buf, device, event) - buf;

    ngx_str_null(&group);

    return ngx_iot_bus_subscribe(client, &topic, &group) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_iot_rpc_publish(u_char *tenant, u_char *device, ngx_uint_t event,
    ngx_uint_t kind, ngx_iot_rpc_request_t *request)
{
    u_char     buf[NGX_IOT_RPC_PROPERTIES];
    ngx_str_t  properties;

    buf[0] = (u_char) kind;
    buf[1] = (u_char) ((request->oneway ? NGX_IOT_RPC_ONEWAY : 0)
                       | (request->stored ? NGX_IOT_RPC_STORED : 0));
    buf[2] = (u_char) (request->id >> 24);
    buf[3] = (u_char) (request->id >> 16);
    buf[4] = (u_char) (request->id >> 8);
    buf[5] = (u_char) request->id;

    properties.data = buf;
    properties.len = NGX_IOT_RPC_PROPERTIES;

    return ngx_iot_event_publish(tenant, device, event, &request->body,
                                 &properties);
}


/* clients of the bus other than we might write to the topic */

static ngx_int_t
ngx_iot_rpc_properties(ngx_iot_bus_message_t *msg, ngx_uint_t *kind,
    ngx_iot_rpc_request_t *request)
{
    u_char  *p;

    if (msg->properties.len != NGX_IOT_RPC_PROPERTIES) {
        return NGX_DECLINED;
    }

    p = msg->properties.data;

    *kind = p[0];

    ngx_memzero(request, sizeof(ngx_iot_rpc_request_t));
    request->oneway = (p[1] & NGX_IOT_RPC_ONEWAY) ? 1 : 0;
    request->stored = (p[1] & NGX_IOT_RPC_STORED) ? 1 : 0;
    request->id = ((uint32_t) p[2] << 24) | ((uint32_t) p[3] << 16)
                  | ((uint32_t) p[4] << 8) | p[5];
    request->body = msg->payload;

    return NGX_OK;
}


ngx_int_t
ngx_iot_rpc_open(ngx_iot_rpc_front_t *front)
{
    ngx_iot_db_call_t  *db;

    front->nseen = 0;
    front->closed = NULL;
    front->group = NULL;
    front->db = NULL;

    if (ngx_iot_bus_client_open(&front->client, front->tenant,
                                ngx_iot_rpc_down, front)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    front->open = 1;

    if (ngx_iot_rpc_subscribe(&front->client, front->device,
                              NGX_IOT_EVENT_RPC)
        != NGX_OK)
    {
        goto failed;
    }

    if (front->later) {
        return NGX_OK;
    }

    db = ngx_iot_rpc_db(&ngx_iot_rpc_pending_stmt, front->tenant,
                        front->device);
    if (db == NULL) {
        goto failed;
    }

    db->data = front;
    db->done = ngx_iot_rpc_pending;

    if (ngx_iot_db_send(db) == NGX_OK) {
        front->db = db;
        return NGX_OK;
    }

    /* without the stored ones, as long as the database is away */

    ngx_destroy_pool(db->pool);

    ngx_iot_rpc_ready(front);

    return NGX_OK;

failed:

    ngx_iot_rpc_close(front);

    return NGX_ERROR;
}


void
ngx_iot_rpc_close(ngx_iot_rpc_front_t *front)
{
    ngx_iot_rpc_group_t  *group;

    if (!front->open) {
        return;
    }

    front->open = 0;
    group = front->group;

    if (group) {
        group->fronts[front->place] = NULL;
        front->group = NULL;
    }

    ngx_iot_bus_client_close(&front->client);

    if (front->db) {
        ngx_iot_db_abandon(front->db);
        front->db = NULL;
    }

    if (front->closed) {
        *front->closed = 1;
        front->closed = NULL;
    }
}


static ngx_int_t
ngx_iot_rpc_down(ngx_iot_bus_client_t *client, ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_uint_t              kind;
    ngx_iot_rpc_front_t    *front;
    ngx_iot_rpc_request_t   request;

    front = client->data;

    if (ngx_iot_rpc_properties(msg, &kind, &request) == NGX_OK
        && kind == NGX_IOT_RPC_REQUEST)
    {
        ngx_iot_rpc_give(front, &request);
    }

    return NGX_OK;
}


/* a request that was repeated for another front comes here again */

static void
ngx_iot_rpc_give(ngx_iot_rpc_front_t *front, ngx_iot_rpc_request_t *request)
{
    ngx_uint_t  i;

    for (i = 0; i < front->nseen && i < NGX_IOT_RPC_SEEN; i++) {
        if (front->seen[i] == request->id) {
            return;
        }
    }

    front->seen[front->nseen % NGX_IOT_RPC_SEEN] = request->id;
    front->nseen++;

    front->request(front, request);
}


/* the stored requests of the device; then those of callers may come */

static void
ngx_iot_rpc_pending(ngx_iot_db_call_t *db)
{
    int                     i, n;
    ngx_uint_t              closed;
    ngx_iot_rpc_front_t    *front;
    ngx_iot_rpc_request_t   request;

    front = db->data;
    front->db = NULL;

    closed = 0;
    front->closed = &closed;

    n = (db->rc == NGX_OK) ? PQntuples(db->result) : 0;

    for (i = 0; i < n && !closed; i++) {
        ngx_iot_rpc_request(db->result, i, 0, &request);
        ngx_iot_rpc_give(front, &request);
    }

    if (closed) {
        return;
    }

    front->closed = NULL;

    ngx_iot_rpc_ready(front);
}


/* id, oneway and body begin at that column */

static void
ngx_iot_rpc_request(PGresult *res, int row, int column,
    ngx_iot_rpc_request_t *request)
{
    ngx_memzero(request, sizeof(ngx_iot_rpc_request_t));

    request->id = (uint32_t) ngx_atoi((u_char *) PQgetvalue(res, row, column),
                                      PQgetlength(res, row, column));
    request->oneway = PQgetvalue(res, row, column + 1)[0] == 't';
    request->stored = 1;
    request->body.data = (u_char *) PQgetvalue(res, row, column + 2);
    request->body.len = PQgetlength(res, row, column + 2);
}


/* without memory or database: as if nothing had been stored */

void
ngx_iot_rpc_open_all(ngx_iot_rpc_front_t **fronts, ngx_uint_t n)
{
    ngx_str_t             id;
    ngx_iot_db_call_t    *db;
    ngx_iot_rpc_group_t  *group, bare;

    if (n == 0) {
        return;
    }

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_rpc_group_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        goto failed;
    }

    id.data = fronts[0]->tenant;
    id.len = NGX_IOT_UUID_TEXT;

    group = ngx_pcalloc(db->pool, sizeof(ngx_iot_rpc_group_t));

    if (group && ngx_iot_db_text(db, &id) == NGX_OK) {
        group->fronts = ngx_palloc(db->pool,
                                   n * sizeof(ngx_iot_rpc_front_t *));

        if (group->fronts) {
            ngx_memcpy(group->fronts, fronts,
                       n * sizeof(ngx_iot_rpc_front_t *));
            group->n = n;

            if (ngx_iot_rpc_group_send(group, db, n) == NGX_OK) {
                return;
            }
        }
    }

    ngx_destroy_pool(db->pool);

failed:

    bare.fronts = fronts;
    bare.n = n;

    ngx_iot_rpc_group_join(&bare);
    ngx_iot_rpc_group_ready(&bare);
}


static ngx_int_t
ngx_iot_rpc_group_send(ngx_iot_rpc_group_t *group, ngx_iot_db_call_t *db,
    ngx_uint_t n)
{
    u_char      *p, *start;
    ngx_uint_t   i;

    start = ngx_pnalloc(db->pool, n * (NGX_IOT_UUID_TEXT + 1) + 3);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;
    *p++ = '{';

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, group->fronts[i]->device, NGX_IOT_UUID_TEXT);
    }

    *p++ = '}';
    *p = '\0';

    ngx_iot_db_param(db, start, p - start, 0);

    db->data = group;
    db->done = ngx_iot_rpc_group_pending;

    if (ngx_iot_db_send(db) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_rpc_group_join(group);

    return NGX_OK;
}


static void
ngx_iot_rpc_group_join(ngx_iot_rpc_group_t *group)
{
    ngx_uint_t  i;

    for (i = 0; i < group->n; i++) {
        group->fronts[i]->group = group;
        group->fronts[i]->place = i;
    }
}


static void
ngx_iot_rpc_group_pending(ngx_iot_db_call_t *db)
{
    int                     i, n;
    ngx_int_t               k;
    ngx_iot_rpc_group_t    *group;
    ngx_iot_rpc_request_t   request;

    group = db->data;

    n = (db->rc == NGX_OK) ? PQntuples(db->result) : 0;

    for (i = 0; i < n; i++) {
        k = ngx_atoi((u_char *) PQgetvalue(db->result, i, 0),
                     PQgetlength(db->result, i, 0));

        if (k < 1 || k > (ngx_int_t) group->n || !group->fronts[k - 1]) {
            continue;
        }

        ngx_iot_rpc_request(db->result, i, 1, &request);
        ngx_iot_rpc_give(group->fronts[k - 1], &request);
    }

    ngx_iot_rpc_group_ready(group);
}


static void
ngx_iot_rpc_group_ready(ngx_iot_rpc_group_t *group)
{
    ngx_uint_t            i;
    ngx_iot_rpc_front_t  *front;

    for (i = 0; i < group->n; i++) {
        front = group->fronts[i];

        if (front) {
            ngx_iot_rpc_ready(front);
        }
    }

    /* whoever has closed meanwhile is not here any longer */

    for (i = 0; i < group->n; i++) {
        if (group->fronts[i]) {
            group->fronts[i]->group = NULL;
        }
    }
}


static void
ngx_iot_rpc_ready(ngx_iot_rpc_front_t *front)
{
    ngx_iot_rpc_request_t  none;

    ngx_memzero(&none, sizeof(ngx_iot_rpc_request_t));

    (void) ngx_iot_rpc_publish(front->tenant, front->device,
                               NGX_IOT_EVENT_RPC_UP, NGX_IOT_RPC_READY,
                               &none);
}


ngx_iot_db_call_t *
ngx_iot_rpc_status(u_char *tenant, u_char *device,
    ngx_iot_rpc_request_t *request, ngx_uint_t status,
    ngx_iot_db_done_pt done, void *data)
{
    ngx_str_t               text;
    ngx_iot_db_call_t      *db;
    ngx_iot_rpc_request_t   bare;

    bare = *request;
    ngx_str_null(&bare.body);

    (void) ngx_iot_rpc_publish(tenant, device, NGX_IOT_EVENT_RPC_UP,
                               status == NGX_IOT_RPC_DELIVERED
                                   ? NGX_IOT_RPC_IS_DELIVERED
                                   : NGX_IOT_RPC_IS_SENT,
                               &bare);

    if (!request->stored) {
        return NULL;
    }

    db = ngx_iot_rpc_db(&ngx_iot_rpc_status_stmt, tenant, device);
    if (db == NULL) {
        return NULL;
    }

    if (status == NGX_IOT_RPC_DELIVERED) {
        ngx_str_set(&text, "DELIVERED");

    } else {
        ngx_str_set(&text, "SENT");
    }

    db->data = data;
    db->done = done ? done : ngx_iot_rpc_noted;

    if (ngx_iot_rpc_db_id(db, request->id) != NGX_OK
        || ngx_iot_db_text(db, &text) != NGX_OK
        || ngx_iot_db_send(db) != NGX_OK)
    {
        /* it stays waiting, and is sent again to the next front */
        ngx_destroy_pool(db->pool);
        return NULL;
    }

    return done ? db : NULL;
}


static void
ngx_iot_rpc_noted(ngx_iot_db_call_t *db)
{
    if (db->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the state of a request to a device was not stored: %V",
                      &db->error.message);
    }
}


ngx_int_t
ngx_iot_rpc_answer(ngx_iot_rpc_answer_t *answer)
{
    ngx_str_t              *body;
    ngx_iot_db_call_t      *db;
    ngx_iot_rpc_request_t   request;

    answer->db = NULL;

    ngx_memzero(&request, sizeof(ngx_iot_rpc_request_t));
    request.id = answer->id;
    request.body = answer->body;

    (void) ngx_iot_rpc_publish(answer->tenant, answer->device,
                               NGX_IOT_EVENT_RPC_UP, NGX_IOT_RPC_ANSWER,
                               &request);

    /* what is not JSON cannot be stored: NULL, and the request has failed */

    body = &answer->body;

    if (ngx_iot_json_check(body, NGX_IOT_RPC_DEPTH, NULL, NULL) != NGX_OK) {
        body = NULL;
    }

    db = ngx_iot_rpc_db(&ngx_iot_rpc_answer_stmt, answer->tenant,
                        answer->device);
    if (db == NULL) {
        return NGX_BUSY;
    }

    db->data = answer;
    db->done = answer->done ? ngx_iot_rpc_stored : ngx_iot_rpc_noted;

    if (ngx_iot_rpc_db_id(db, answer->id) != NGX_OK) {
        goto failed;
    }

    if (body == NULL) {
        ngx_iot_db_param(db, NULL, 0, 0);

    } else if (ngx_iot_db_text(db, body) != NGX_OK) {
        goto failed;
    }

    if (ngx_iot_db_send(db) != NGX_OK) {
        goto failed;
    }

    if (answer->done) {
        answer->db = db;
    }

    return NGX_AGAIN;

failed:

    ngx_destroy_pool(db->pool);

    return NGX_BUSY;
}


static void
ngx_iot_rpc_stored(ngx_iot_db_call_t *db)
{
    ngx_iot_rpc_answer_t  *answer;

    answer = db->data;
    answer->db = NULL;

    answer->done(answer, db->rc, &db->error);
}


static ngx_iot_db_call_t *
ngx_iot_rpc_db(ngx_iot_db_stmt_t *stmt, u_char *tenant, u_char *device)
{
    ngx_str_t           id;
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, stmt, ngx_cycle->log);
    if (db == NULL) {
        return NULL;
    }

    id.len = NGX_IOT_UUID_TEXT;
    id.data = tenant;

    if (ngx_iot_db_text(db, &id) != NGX_OK) {
        ngx_destroy_pool(db->pool);
        return NULL;
    }

    id.data = device;

    if (ngx_iot_db_text(db, &id) != NGX_OK) {
        ngx_destroy_pool(db->pool);
        return NULL;
    }

    return db;
}


static ngx_int_t
ngx_iot_rpc_db_id(ngx_iot_db_call_t *db, uint32_t id)
{
    u_char     buf[NGX_INT32_LEN];
    ngx_str_t  text;

    text.data = buf;
    text.len = ngx_sprintf(buf, "%uD", id) - buf;

    return ngx_iot_db_text(db, &text);
}
