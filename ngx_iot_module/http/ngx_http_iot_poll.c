
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_bus.h"
#include "../device/ngx_iot_event.h"
#include "../device/ngx_iot_rpc.h"
#include "ngx_http_iot_device.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_poll.h"


/*
 * Long polls of devices: the next change of a shared attribute, the next
 * request.  A poll waits on the bus; it ends with a message, with its time
 * (408), with its device (403), or with the worker (408, and the device polls
 * again somewhere else).
 */

#define NGX_HTTP_IOT_POLL_TIMEOUT  60000
#define NGX_HTTP_IOT_POLL_MAX      300000


typedef struct {
    void                       *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                   ident;      /* data as a connection's */

    ngx_http_iot_device_ctx_t  *ctx;
    ngx_queue_t                 queue;
    ngx_event_t                 timer;

    ngx_iot_bus_client_t        client;
    ngx_iot_rpc_front_t         front;
    ngx_iot_device_wait_t       wait;

    ngx_iot_db_call_t          *db;
    ngx_str_t                   body;

    unsigned                    opened:1;   /* the client */
    unsigned                    done:1;
} ngx_http_iot_poll_t;


static ngx_int_t ngx_http_iot_poll_init(void);
static ngx_http_iot_poll_t *ngx_http_iot_poll_create(
    ngx_http_iot_device_ctx_t *ctx, ngx_int_t *rc);
static ngx_int_t ngx_http_iot_poll_time(ngx_http_request_t *r,
    ngx_msec_t *time);
static void ngx_http_iot_poll_cleanup(void *data);
static void ngx_http_iot_poll_close(ngx_http_iot_poll_t *poll);
static void ngx_http_iot_poll_finish(ngx_http_iot_poll_t *poll,
    ngx_uint_t status, ngx_str_t *type, ngx_str_t *body);
static void ngx_http_iot_poll_end(ngx_http_iot_poll_t *poll, ngx_int_t rc);
static void ngx_http_iot_poll_timeout(ngx_event_t *ev);
static void ngx_http_iot_poll_shutdown(void *data);
static void ngx_http_iot_poll_notify(ngx_str_t *what, ngx_str_t *id);
static void ngx_http_iot_poll_found(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_poll_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_http_iot_poll_request(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request);
static void ngx_http_iot_poll_marked(ngx_iot_db_call_t *db);
static void ngx_http_iot_poll_send(ngx_http_iot_poll_t *poll);


static ngx_str_t  ngx_http_iot_poll_json = ngx_string("application/json");

static ngx_queue_t  ngx_http_iot_polls;
static ngx_uint_t   ngx_http_iot_polls_ready;


/* with the first poll of a worker */

static ngx_int_t
ngx_http_iot_poll_init(void)
{
    if (ngx_http_iot_polls_ready) {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_http_iot_polls);

    if (ngx_iot_on_shutdown(ngx_http_iot_poll_shutdown, NULL) != NGX_OK
        || ngx_iot_db_on_notify(ngx_http_iot_poll_notify) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_http_iot_polls_ready = 1;

    return NGX_OK;
}


/* GET attributes/updates */

ngx_int_t
ngx_http_iot_poll_attributes(ngx_http_iot_device_ctx_t *ctx)
{
    u_char                buf[NGX_IOT_EVENT_TOPIC];
    ngx_int_t             rc;
    ngx_str_t             topic, group;
    ngx_http_iot_poll_t  *poll;

    poll = ngx_http_iot_poll_create(ctx, &rc);
    if (poll == NULL) {
        return rc;
    }

    topic.data = buf;
    topic.len = ngx_iot_event_topic(buf, ctx->device->id,
                                    NGX_IOT_EVENT_SHARED) - buf;
    ngx_str_null(&group);

    if (ngx_iot_bus_client_open(&poll->client, ctx->device->tenant,
                                ngx_http_iot_poll_deliver, poll)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    poll->opened = 1;

    if (ngx_iot_bus_subscribe(&poll->client, &topic, &group) == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


/* GET rpc */

ngx_int_t
ngx_http_iot_poll_rpc(ngx_http_iot_device_ctx_t *ctx)
{
    ngx_int_t             rc;
    ngx_http_iot_poll_t  *poll;

    poll = ngx_http_iot_poll_create(ctx, &rc);
    if (poll == NULL) {
        return rc;
    }

    ngx_memcpy(poll->front.tenant, ctx->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(poll->front.device, ctx->device->id, NGX_IOT_UUID_TEXT);

    poll->front.request = ngx_http_iot_poll_request;
    poll->front.data = poll;

    if (ngx_iot_rpc_open(&poll->front) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_AGAIN;
}


/* NULL: answer with *rc */

static ngx_http_iot_poll_t *
ngx_http_iot_poll_create(ngx_http_iot_device_ctx_t *ctx, ngx_int_t *rc)
{
    ngx_msec_t            time;
    ngx_http_request_t   *r;
    ngx_pool_cleanup_t   *cln;
    ngx_http_iot_poll_t  *poll;

    static ngx_str_t  bad = ngx_string("Invalid timeout");

    r = ctx->request;

    if (ngx_http_iot_poll_time(r, &time) != NGX_OK) {
        *rc = ngx_http_iot_device_send(ctx, NGX_HTTP_BAD_REQUEST,
                                       &ngx_http_iot_device_text, &bad);
        return NULL;
    }

    if (ngx_exiting) {
        *rc = ngx_http_iot_device_send(ctx, NGX_HTTP_REQUEST_TIME_OUT, NULL,
                                       NULL);
        return NULL;
    }

    *rc = NGX_HTTP_INTERNAL_SERVER_ERROR;

    if (ngx_http_iot_poll_init() != NGX_OK) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_iot_poll_t));
    if (cln == NULL) {
        return NULL;
    }

    poll = cln->data;
    ngx_memzero(poll, sizeof(ngx_http_iot_poll_t));

    poll->ctx = ctx;
    poll->wait.found = ngx_http_iot_poll_found;
    poll->wait.data = poll;

    poll->ident = -1;
    poll->timer.data = poll;
    poll->timer.handler = ngx_http_iot_poll_timeout;
    poll->timer.log = r->connection->log;

    cln->handler = ngx_http_iot_poll_cleanup;

    ngx_queue_insert_tail(&ngx_http_iot_polls, &poll->queue);
    ngx_add_timer(&poll->timer, time);

    return poll;
}


/* "timeout" in milliseconds; none and 0 are the default */

static ngx_int_t
ngx_http_iot_poll_time(ngx_http_request_t *r, ngx_msec_t *time)
{
    size_t      i;
    ngx_str_t   value;
    ngx_uint_t  n;

    n = 0;

    if (ngx_http_arg(r, (u_char *) "timeout", 7, &value) == NGX_OK) {

        for (i = 0; i < value.len; i++) {

            if (value.data[i] < '0' || value.data[i] > '9') {
                return NGX_DECLINED;
            }

            if (n < NGX_HTTP_IOT_POLL_MAX) {
                n = n * 10 + value.data[i] - '0';
            }
        }
    }

    *time = n ? ngx_min(n, NGX_HTTP_IOT_POLL_MAX) : NGX_HTTP_IOT_POLL_TIMEOUT;

    return NGX_OK;
}


static void
ngx_http_iot_poll_cleanup(void *data)
{
    ngx_http_iot_poll_t *poll = data;

    ngx_http_iot_poll_close(poll);

    if (poll->db) {
        ngx_iot_db_abandon(poll->db);
    }
}


static void
ngx_http_iot_poll_close(ngx_http_iot_poll_t *poll)
{
    if (poll->done) {
        return;
    }

    poll->done = 1;

    ngx_queue_remove(&poll->queue);
    ngx_iot_device_unwait(&poll->wait);
    ngx_iot_rpc_close(&poll->front);

    if (poll->opened) {
        ngx_iot_bus_client_close(&poll->client);
    }

    if (poll->timer.timer_set) {
        ngx_del_timer(&poll->timer);
    }
}


static void
ngx_http_iot_poll_finish(ngx_http_iot_poll_t *poll, ngx_uint_t status,
    ngx_str_t *type, ngx_str_t *body)
{
    ngx_http_iot_poll_close(poll);

    ngx_http_iot_poll_end(poll, ngx_http_iot_device_send(poll->ctx, status,
                                                         type, body));
}


static void
ngx_http_iot_poll_end(ngx_http_iot_poll_t *poll, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = poll->ctx->request;
    c = r->connection;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_iot_poll_timeout(ngx_event_t *ev)
{
    ngx_http_iot_poll_finish(ev->data, NGX_HTTP_REQUEST_TIME_OUT, NULL, NULL);
}


static void
ngx_http_iot_poll_shutdown(void *data)
{
    ngx_queue_t          *q;
    ngx_http_iot_poll_t  *poll;

    while (!ngx_queue_empty(&ngx_http_iot_polls)) {
        q = ngx_queue_head(&ngx_http_iot_polls);
        poll = ngx_queue_data(q, ngx_http_iot_poll_t, queue);

        ngx_http_iot_poll_finish(poll, NGX_HTTP_REQUEST_TIME_OUT, NULL, NULL);
    }
}


/*
 * Something about the device has changed: is its token still good?  The
 * answer never comes from within, for what was cached is out of date now.
 */

static void
ngx_http_iot_poll_notify(ngx_str_t *what, ngx_str_t *id)
{
    ngx_int_t             rc;
    ngx_uint_t            all;
    ngx_queue_t          *q;
    ngx_iot_device_t     *device;
    ngx_http_iot_poll_t  *poll;

    all = (what->len == 5 && ngx_strncmp(what->data, "reset", 5) == 0);

    if (!all && (what->len != 6 || id->len != NGX_IOT_UUID_TEXT
                 || (ngx_strncmp(what->data, "device", 6) != 0
                     && ngx_strncmp(what->data, "tenant", 6) != 0)))
    {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_iot_polls);
         q != ngx_queue_sentinel(&ngx_http_iot_polls);
         q = ngx_queue_next(q))
    {
        poll = ngx_queue_data(q, ngx_http_iot_poll_t, queue);

        if (poll->wait.active) {
            continue;
        }

        device = poll->ctx->device;

        if (!all
            && ngx_memcmp(device->id, id->data, NGX_IOT_UUID_TEXT) != 0
            && ngx_memcmp(device->tenant, id->data, NGX_IOT_UUID_TEXT) != 0)
        {
            continue;
        }

        rc = ngx_iot_device_by_token(&poll->ctx->token, &device, &poll->wait);

        if (rc == NGX_OK) {
            ngx_iot_device_release(device);
        }
    }
}


static void
ngx_http_iot_poll_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    static ngx_str_t  deleted = ngx_string("Device was deleted!");

    if (rc == NGX_OK) {
        ngx_iot_device_release(device);
        return;
    }

    if (rc == NGX_DECLINED) {
        ngx_http_iot_poll_finish(wait->data, NGX_HTTP_FORBIDDEN,
                                 &ngx_http_iot_device_text, &deleted);
    }
}


static ngx_int_t
ngx_http_iot_poll_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_str_t             body;
    ngx_http_iot_poll_t  *poll;

    poll = client->data;

    /* the answer may be sent later than the message lives */

    body.len = msg->payload.len;
    body.data = ngx_pnalloc(poll->ctx->request->pool, body.len + 1);

    if (body.data == NULL) {
        ngx_http_iot_poll_close(poll);
        ngx_http_iot_poll_end(poll, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return NGX_OK;
    }

    ngx_memcpy(body.data, msg->payload.data, body.len);

    ngx_http_iot_poll_finish(poll, NGX_HTTP_OK, &ngx_http_iot_poll_json,
                             &body);

    return NGX_OK;
}


/*
 * {"id":5,"method":...,"params":...}.  A stored request is marked before it is
 * sent: the next poll of the device must not find it again.
 */

static void
ngx_http_iot_poll_request(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request)
{
    u_char                 *p;
    u_char                  tenant[NGX_IOT_UUID_TEXT];
    u_char                  device[NGX_IOT_UUID_TEXT];
    ngx_str_t              *body;
    ngx_http_iot_poll_t    *poll;
    ngx_iot_rpc_request_t   copy;

    poll = front->data;
    body = &poll->body;

    if (request->body.len < 2 || request->body.data[0] != '{') {
        return;
    }

    body->data = ngx_pnalloc(poll->ctx->request->pool,
                             sizeof("{\"id\":,") + NGX_INT32_LEN
                             + request->body.len);
    if (body->data == NULL) {
        ngx_http_iot_poll_close(poll);
        ngx_http_iot_poll_end(poll, NGX_HTTP_INTERNAL_SERVER_ERROR);
        return;
    }

    p = ngx_sprintf(body->data, "{\"id\":%uD,", request->id);
    p = ngx_cpymem(p, request->body.data + 1, request->body.len - 1);
    body->len = p - body->data;

    copy = *request;
    ngx_memcpy(tenant, front->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(device, front->device, NGX_IOT_UUID_TEXT);

    ngx_http_iot_poll_close(poll);

    poll->db = ngx_iot_rpc_status(tenant, device, &copy,
                                  NGX_IOT_RPC_DELIVERED,
                                  ngx_http_iot_poll_marked, poll);
    if (poll->db) {
        return;
    }

    ngx_http_iot_poll_send(poll);
}


static void
ngx_http_iot_poll_marked(ngx_iot_db_call_t *db)
{
    ngx_http_iot_poll_t  *poll;

    poll = db->data;
    poll->db = NULL;

    ngx_http_iot_poll_send(poll);
}


static void
ngx_http_iot_poll_send(ngx_http_iot_poll_t *poll)
{
    ngx_http_iot_poll_end(poll,
                          ngx_http_iot_device_send(poll->ctx, NGX_HTTP_OK,
                                                   &ngx_http_iot_poll_json,
                                                   &poll->body));
}
