
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_native_session.h"


/*
 * A call goes from the worker that was asked to the worker that has the
 * device, and the answer back; both may be the same.  The caller's time is
 * the shorter one, so that a late answer meets an id that is not in use.
 */

#define NGX_IOT_NATIVE_LATE    (NGX_IOT_NATIVE_TIMEOUT + 5000)

#define NGX_IOT_NATIVE_KICKED  1
#define NGX_IOT_NATIVE_CALLED  2
#define NGX_IOT_NATIVE_ANSWERS 3


typedef struct {
    uint32_t            what;
    uint32_t            action;
    uint32_t            status;
    uint32_t            kind;
    uint64_t            ref;            /* of the session */
    uint64_t            call;
    uint32_t            path;           /* lengths of what follows */
    uint32_t            body;
    u_char              device[NGX_IOT_UUID_TEXT];
} ngx_iot_native_letter_t;


/* one that the device has to answer */

typedef struct {
    ngx_queue_t                queue;
    ngx_event_t                timer;
    ngx_iot_native_session_t  *session;
    ngx_iot_slot_id_t          from;
    uint64_t                   call;
    ngx_uint_t                 stream_id;
    ngx_uint_t                 action;
    unsigned                   described:1;
    ngx_str_t                  path;
} ngx_iot_native_pending_t;


static void ngx_iot_native_called_off(ngx_event_t *ev);
static ngx_int_t ngx_iot_native_post(ngx_iot_slot_id_t *to,
    ngx_iot_native_letter_t *letter, ngx_str_t *path, ngx_str_t *body);
static void ngx_iot_native_letter(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);
static void ngx_iot_native_answered(ngx_iot_native_letter_t *letter,
    ngx_str_t *body);
static void ngx_iot_native_called(ngx_iot_slot_id_t *from,
    ngx_iot_native_letter_t *letter, ngx_str_t *path, ngx_str_t *body);
static ngx_uint_t ngx_iot_native_pass(ngx_iot_slot_id_t *from,
    ngx_iot_native_letter_t *letter, ngx_str_t *path, ngx_str_t *body,
    ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_payload(ngx_iot_tree_t **tree,
    ngx_uint_t kind, ngx_str_t *body, ngx_iot_alloc_t *alloc);
static ngx_uint_t ngx_iot_native_new_id(ngx_iot_native_session_t *s);
static void ngx_iot_native_reply(ngx_iot_slot_id_t *to, uint64_t call,
    ngx_uint_t status, ngx_uint_t kind, ngx_str_t *body);
static ngx_int_t ngx_iot_native_reply_tree(ngx_iot_native_pending_t *pending,
    ngx_uint_t status, ngx_iot_tree_t *tree, ngx_pool_t *pool);
static ngx_iot_tree_t *ngx_iot_native_state(ngx_iot_tree_t *tree);
static void ngx_iot_native_pending_timeout(ngx_event_t *ev);
static void ngx_iot_native_pending_free(ngx_iot_native_pending_t *pending);


static ngx_rbtree_t       ngx_iot_native_calls;
static ngx_rbtree_node_t  ngx_iot_native_calls_sentinel;
static uint64_t           ngx_iot_native_last_call;
static ngx_connection_t   ngx_iot_native_link_dummy;


ngx_int_t
ngx_iot_native_link_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_native_calls, &ngx_iot_native_calls_sentinel,
                    ngx_rbtree_insert_value);

    ngx_iot_native_link_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_bus_on_direct(NGX_IOT_BUS_NATIVE, ngx_iot_native_letter);

    return NGX_OK;
}


ngx_int_t
ngx_iot_native_call(ngx_iot_native_call_t *call)
{
    ngx_int_t                  rc;
    ngx_str_t                  id;
    ngx_iot_native_letter_t    letter;
    ngx_iot_registry_entry_t   entry;

    id.data = call->device;
    id.len = NGX_IOT_UUID_TEXT;

    if (ngx_iot_registry_find(NGX_IOT_REGISTRY_NATIVE, call->tenant, &id,
                              &entry)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    ngx_memzero(&letter, sizeof(ngx_iot_native_letter_t));

    letter.what = NGX_IOT_NATIVE_CALLED;
    letter.action = (uint32_t) call->action;
    letter.kind = (uint32_t) call->kind;
    letter.ref = entry.ref;
    letter.call = ++ngx_iot_native_last_call;
    ngx_memcpy(letter.device, call->device, NGX_IOT_UUID_TEXT);

    rc = ngx_iot_native_post(&entry.owner, &letter, &call->path, &call->body);

    if (rc != NGX_OK) {
        return rc;
    }

    call->node.key = (ngx_rbtree_key_t) letter.call;
    ngx_rbtree_insert(&ngx_iot_native_calls, &call->node);

    ngx_memzero(&call->timer, sizeof(ngx_event_t));

    call->timer.data = &ngx_iot_native_link_dummy;
    call->timer.log = ngx_cycle->log;
    call->timer.handler = ngx_iot_native_called_off;

    ngx_add_timer(&call->timer, call->timeout);

    call->active = 1;

    return NGX_OK;
}


void
ngx_iot_native_cancel(ngx_iot_native_call_t *call)
{
    if (!call->active) {
        return;
    }

    call->active = 0;

    ngx_rbtree_delete(&ngx_iot_native_calls, &call->node);
    ngx_del_timer(&call->timer);
}


static void
ngx_iot_native_called_off(ngx_event_t *ev)
{
    ngx_str_t               none;
    ngx_iot_native_call_t  *call;

    call = (ngx_iot_native_call_t *)
               ((u_char *) ev - offsetof(ngx_iot_native_call_t, timer));

    call->active = 0;
    ngx_rbtree_delete(&ngx_iot_native_calls, &call->node);

    ngx_str_null(&none);

    call->done(call, 504, NGX_IOT_NATIVE_BODY_NONE, &none);
}


static ngx_int_t
ngx_iot_native_post(ngx_iot_slot_id_t *to, ngx_iot_native_letter_t *letter,
    ngx_str_t *path, ngx_str_t *body)
{
    size_t      len;
    u_char     *p, *data;
    ngx_int_t   rc;

    letter->path = (uint32_t) path->len;
    letter->body = (uint32_t) body->len;

    len = sizeof(ngx_iot_native_letter_t) + path->len + body->len;

    data = ngx_alloc(len, ngx_cycle->log);
    if (data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(data, letter, sizeof(ngx_iot_native_letter_t));
    p = ngx_cpymem(p, path->data, path->len);
    ngx_memcpy(p, body->data, body->len);

    rc = ngx_iot_bus_send(to, NGX_IOT_BUS_NATIVE, data, len);

    ngx_explicit_memzero(data, len);
    ngx_free(data);

    return rc;
}


static void
ngx_iot_native_letter(ngx_iot_slot_id_t *from, u_char *data, size_t len)
{
    ngx_str_t                  path, body;
    ngx_iot_native_session_t  *s;
    ngx_iot_native_letter_t    letter;

    if (len < sizeof(ngx_iot_native_letter_t)) {
        return;
    }

    ngx_memcpy(&letter, data, sizeof(ngx_iot_native_letter_t));

    if (len != sizeof(ngx_iot_native_letter_t) + letter.path + letter.body) {
        return;
    }

    path.data = data + sizeof(ngx_iot_native_letter_t);
    path.len = letter.path;
    body.data = path.data + path.len;
    body.len = letter.body;

    switch (letter.what) {

    case NGX_IOT_NATIVE_KICKED:
        s = ngx_iot_native_find(letter.device);

        if (s && s->ref == letter.ref) {
            ngx_iot_native_close(s);
        }

        return;

    case NGX_IOT_NATIVE_CALLED:
        ngx_iot_native_called(from, &letter, &path, &body);
        return;

    case NGX_IOT_NATIVE_ANSWERS:
        ngx_iot_native_answered(&letter, &body);
        return;
    }
}


static void
ngx_iot_native_answered(ngx_iot_native_letter_t *letter, ngx_str_t *body)
{
    ngx_rbtree_key_t        key;
    ngx_rbtree_node_t      *node;
    ngx_iot_native_call_t  *call;

    key = (ngx_rbtree_key_t) letter->call;
    node = ngx_iot_native_calls.root;

    while (node != &ngx_iot_native_calls_sentinel && node->key != key) {
        node = key < node->key ? node->left : node->right;
    }

    if (node == &ngx_iot_native_calls_sentinel) {
        return;
    }

    call = (ngx_iot_native_call_t *) node;

    ngx_iot_native_cancel(call);

    call->done(call, letter->status, letter->kind, body);
}


void
ngx_iot_native_link_kick(ngx_iot_registry_entry_t *former, u_char *device)
{
    ngx_str_t                 none;
    ngx_iot_native_letter_t   letter;

    ngx_memzero(&letter, sizeof(ngx_iot_native_letter_t));

    letter.what = NGX_IOT_NATIVE_KICKED;
    letter.ref = former->ref;
    ngx_memcpy(letter.device, device, NGX_IOT_UUID_TEXT);

    ngx_str_null(&none);

    /* one that is not told goes at its next silence */

    (void) ngx_iot_native_post(&former->owner, &letter, &none, &none);
}


static void
ngx_iot_native_called(ngx_iot_slot_id_t *from,
    ngx_iot_native_letter_t *letter, ngx_str_t *path, ngx_str_t *body)
{
    ngx_str_t    none;
    ngx_pool_t  *pool;
    ngx_uint_t   status;

    pool = ngx_create_pool(1024, ngx_cycle->log);

    if (pool) {
        status = ngx_iot_native_pass(from, letter, path, body, pool);
        ngx_destroy_pool(pool);

    } else {
        status = 503;
    }

    if (status) {
        ngx_str_null(&none);
        ngx_iot_native_reply(from, letter->call, status,
                             NGX_IOT_NATIVE_BODY_NONE, &none);
    }
}


/* 0, or why it does not reach the device */

static ngx_uint_t
ngx_iot_native_pass(ngx_iot_slot_id_t *from, ngx_iot_native_letter_t *letter,
    ngx_str_t *path, ngx_str_t *body, ngx_pool_t *pool)
{
    ngx_int_t                  rc;
    ngx_iot_tree_t            *payload;
    ngx_iot_alloc_t            alloc;
    ngx_iot_native_pending_t  *pending;
    ngx_iot_native_session_t  *s;

    s = ngx_iot_native_find(letter->device);

    if (s == NULL || s->ref != letter->ref || s->state != NGX_IOT_NATIVE_UP) {
        return 404;
    }

    if (s->ncalls >= NGX_IOT_NATIVE_MAX_CALLS) {
        return 503;
    }

    alloc.alloc = ngx_iot_native_alloc;
    alloc.data = pool;

    rc = ngx_iot_native_payload(&payload, letter->kind, body, &alloc);

    if (rc != NGX_OK) {
        return rc == NGX_DECLINED ? 400 : 503;
    }

    pending = ngx_calloc(sizeof(ngx_iot_native_pending_t) + path->len,
                         ngx_cycle->log);
    if (pending == NULL) {
        return 503;
    }

    pending->session = s;
    pending->from = *from;
    pending->call = letter->call;
    pending->action = letter->action;
    pending->described = (letter->action == NGX_IOT_NATIVE_CALL_DESCRIBE);
    pending->stream_id = ngx_iot_native_new_id(s);

    pending->path.data = (u_char *) pending
                         + sizeof(ngx_iot_native_pending_t);
    pending->path.len = path->len;
    ngx_memcpy(pending->path.data, path->data, path->len);

    pending->timer.data = &ngx_iot_native_link_dummy;
    pending->timer.log = ngx_cycle->log;
    pending->timer.handler = ngx_iot_native_pending_timeout;
    pending->timer.cancelable = 1;

    ngx_add_timer(&pending->timer, NGX_IOT_NATIVE_LATE);

    ngx_queue_insert_tail(&s->calls, &pending->queue);
    s->ncalls++;

    rc = ngx_iot_native_say_run(s, pending->described, pending->stream_id,
                                path, payload, pool);

    /* with the connection the call may have ended */

    if (s->state != NGX_IOT_NATIVE_UP) {
        return 0;
    }

    if (rc != NGX_OK) {
        ngx_iot_native_pending_free(pending);
        return rc == NGX_DECLINED ? 400 : 503;
    }

    return 0;
}


static ngx_int_t
ngx_iot_native_payload(ngx_iot_tree_t **tree, ngx_uint_t kind,
    ngx_str_t *body, ngx_iot_alloc_t *alloc)
{
    ngx_int_t  rc;

    *tree = NULL;

    switch (kind) {

    case NGX_IOT_NATIVE_BODY_JSON:
        rc = ngx_iot_tree_json_read(tree, body, NULL, alloc);

        return rc == NGX_OK || rc == NGX_ERROR ? rc : NGX_DECLINED;

    case NGX_IOT_NATIVE_BODY_BYTES:
        *tree = ngx_iot_tree_bytes(alloc, body);

        return *tree ? NGX_OK : NGX_ERROR;

    default:
        return NGX_OK;
    }
}


/* 16 bits, not 0, not in use by either side of this connection */

static ngx_uint_t
ngx_iot_native_new_id(ngx_iot_native_session_t *s)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_iot_native_pending_t  *pending;

    n = s->last_id;

again:

    n = n == 0xffff ? 1 : n + 1;

    for (q = ngx_queue_head(&s->calls);
         q != ngx_queue_sentinel(&s->calls);
         q = ngx_queue_next(q))
    {
        pending = ngx_queue_data(q, ngx_iot_native_pending_t, queue);

        if (pending->stream_id == n) {
            goto again;
        }
    }

    s->last_id = n;

    return n;
}


static void
ngx_iot_native_reply(ngx_iot_slot_id_t *to, uint64_t call, ngx_uint_t status,
    ngx_uint_t kind, ngx_str_t *body)
{
    ngx_str_t                 none;
    ngx_iot_native_letter_t   letter;

    ngx_memzero(&letter, sizeof(ngx_iot_native_letter_t));

    letter.what = NGX_IOT_NATIVE_ANSWERS;
    letter.call = call;
    letter.status = (uint32_t) status;
    letter.kind = (uint32_t) kind;

    ngx_str_null(&none);

    /* who does not hear of it has a timer */

    (void) ngx_iot_native_post(to, &letter, &none, body);
}


void
ngx_iot_native_link_event(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev)
{
    ngx_int_t                  rc;
    ngx_str_t                  none;
    ngx_uint_t                 status;
    ngx_pool_t                *pool;
    ngx_queue_t               *q;
    ngx_iot_tree_t            *tree;
    ngx_iot_native_pending_t  *pending;

    for (q = ngx_queue_head(&s->calls);
         q != ngx_queue_sentinel(&s->calls);
         q = ngx_queue_next(q))
    {
        pending = ngx_queue_data(q, ngx_iot_native_pending_t, queue);

        if (pending->stream_id == ev->stream_id) {
            goto found;
        }
    }

    return;

found:

    ngx_str_null(&none);
    status = 200;

    if (ev->says == NGX_IOT_NATIVE_FAILED) {
        status = ev->status ? ev->status : 404;
    }

    pool = ngx_create_pool(1024, ngx_cycle->log);

    if (pool == NULL) {
        ngx_iot_native_pending_free(pending);
        return;
    }

    tree = ev->payload;
    rc = NGX_OK;

    if (ev->says == NGX_IOT_NATIVE_OK
        && tree == NULL
        && pending->action == NGX_IOT_NATIVE_CALL_READ
        && !pending->described)
    {
        /* an input says nothing when it runs: its description has its state */

        pending->described = 1;
        pending->stream_id = ngx_iot_native_new_id(s);

        rc = ngx_iot_native_say_run(s, 1, pending->stream_id, &pending->path,
                                    NULL, pool);

        if (rc == NGX_OK || s->state != NGX_IOT_NATIVE_UP) {
            ngx_destroy_pool(pool);
            return;
        }

    } else {
        if (ev->says == NGX_IOT_NATIVE_OK
            && pending->described
            && pending->action == NGX_IOT_NATIVE_CALL_READ)
        {
            tree = ngx_iot_native_state(tree);
        }

        if (tree) {
            rc = ngx_iot_native_reply_tree(pending, status, tree, pool);

        } else {
            ngx_iot_native_reply(&pending->from, pending->call, status,
                                 NGX_IOT_NATIVE_BODY_NONE, &none);
        }
    }

    if (rc != NGX_OK) {
        ngx_iot_native_reply(&pending->from, pending->call, 503,
                             NGX_IOT_NATIVE_BODY_NONE, &none);
    }

    ngx_destroy_pool(pool);
    ngx_iot_native_pending_free(pending);
}


static ngx_int_t
ngx_iot_native_reply_tree(ngx_iot_native_pending_t *pending,
    ngx_uint_t status, ngx_iot_tree_t *tree, ngx_pool_t *pool)
{
    ngx_str_t  json;

    if (tree->type == NGX_IOT_TREE_BYTES) {
        ngx_iot_native_reply(&pending->from, pending->call, status,
                             NGX_IOT_NATIVE_BODY_BYTES, &tree->u.s);
        return NGX_OK;
    }

    json.data = ngx_pnalloc(pool, ngx_iot_tree_json_size(tree));
    if (json.data == NULL) {
        return NGX_ERROR;
    }

    json.len = ngx_iot_tree_json_write(json.data, tree) - json.data;

    ngx_iot_native_reply(&pending->from, pending->call, status,
                         NGX_IOT_NATIVE_BODY_JSON, &json);

    return NGX_OK;
}


/* {"in":STATE,"out":...} */

static ngx_iot_tree_t *
ngx_iot_native_state(ngx_iot_tree_t *tree)
{
    ngx_iot_tree_t  *state;

    static ngx_str_t  in = ngx_string("in");
    static ngx_str_t  out = ngx_string("out");

    if (tree == NULL) {
        return NULL;
    }

    state = ngx_iot_tree_get(tree, &in);

    return state ? state : ngx_iot_tree_get(tree, &out);
}


void
ngx_iot_native_link_closed(ngx_iot_native_session_t *s)
{
    ngx_str_t                  none;
    ngx_queue_t               *q;
    ngx_iot_native_pending_t  *pending;

    ngx_str_null(&none);

    while (!ngx_queue_empty(&s->calls)) {
        q = ngx_queue_head(&s->calls);
        pending = ngx_queue_data(q, ngx_iot_native_pending_t, queue);

        ngx_iot_native_reply(&pending->from, pending->call, 404,
                             NGX_IOT_NATIVE_BODY_NONE, &none);
        ngx_iot_native_pending_free(pending);
    }
}


static void
ngx_iot_native_pending_timeout(ngx_event_t *ev)
{
    ngx_iot_native_pending_t  *pending;

    pending = (ngx_iot_native_pending_t *)
                  ((u_char *) ev - offsetof(ngx_iot_native_pending_t, timer));

    ngx_iot_native_pending_free(pending);
}


static void
ngx_iot_native_pending_free(ngx_iot_native_pending_t *pending)
{
    if (pending->timer.timer_set) {
        ngx_del_timer(&pending->timer);
    }

    ngx_queue_remove(&pending->queue);
    pending->session->ncalls--;

    ngx_free(pending);
}
