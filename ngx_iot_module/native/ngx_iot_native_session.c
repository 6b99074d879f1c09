
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_module.h"
#include "../device/ngx_iot_activity.h"
#include "ngx_iot_native_session.h"


/* read at once, shared by all connections of the worker */
#define NGX_IOT_NATIVE_READ      65536

/* what may wait for a device that does not read */
#define NGX_IOT_NATIVE_UNSENT    (4 * 1024 * 1024)

/* how long it may read nothing, and how long a refused one may stay */
#define NGX_IOT_NATIVE_SEND      60000
#define NGX_IOT_NATIVE_BYE       1000

/* connections told to leave at once when the worker goes */
#define NGX_IOT_NATIVE_SLICE     200


static void ngx_iot_native_timeout(ngx_iot_native_session_t *s);
static void ngx_iot_native_process(ngx_iot_native_session_t *s, u_char *pos,
    u_char *end);
static ngx_int_t ngx_iot_native_next(ngx_iot_native_session_t *s,
    u_char **pos, u_char *end);
static void ngx_iot_native_dispatch(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev, ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_add(ngx_iot_native_session_t *s, u_char *pos,
    size_t len);
static void ngx_iot_native_login(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev);
static void ngx_iot_native_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err);
static void ngx_iot_native_enter(ngx_iot_native_session_t *s, ngx_int_t rc,
    ngx_iot_device_t *device);
static ngx_uint_t ngx_iot_native_may_enter(ngx_iot_native_session_t *s,
    ngx_iot_device_t *device);
static void ngx_iot_native_refuse(ngx_iot_native_session_t *s);
static void ngx_iot_native_recheck(ngx_iot_native_session_t *s);
static void ngx_iot_native_rechecked(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static void ngx_iot_native_notify(ngx_str_t *what, ngx_str_t *id);
static void ngx_iot_native_linger(ngx_iot_native_session_t *s);
static ngx_int_t ngx_iot_native_flush(ngx_iot_native_session_t *s);
static void ngx_iot_native_detach(ngx_iot_native_session_t *s);
static void ngx_iot_native_destroy(ngx_event_t *ev);
static void ngx_iot_native_shutdown(void *data);
static void ngx_iot_native_shutdown_event(ngx_event_t *ev);


static u_char            *ngx_iot_native_buffer;
static ngx_queue_t        ngx_iot_native_sessions;
static ngx_rbtree_t       ngx_iot_native_tree;
static ngx_rbtree_node_t  ngx_iot_native_sentinel;
static uint64_t           ngx_iot_native_refs;
static ngx_event_t        ngx_iot_native_shutdown_ev;
static ngx_connection_t   ngx_iot_native_dummy;


ngx_int_t
ngx_iot_native_session_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_iot_native_sessions);
    ngx_rbtree_init(&ngx_iot_native_tree, &ngx_iot_native_sentinel,
                    ngx_str_rbtree_insert_value);

    ngx_iot_native_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_native_shutdown_ev.data = &ngx_iot_native_dummy;
    ngx_iot_native_shutdown_ev.log = cycle->log;
    ngx_iot_native_shutdown_ev.handler = ngx_iot_native_shutdown_event;

    ngx_iot_native_buffer = ngx_palloc(cycle->pool, NGX_IOT_NATIVE_READ);

    if (ngx_iot_native_buffer == NULL
        || ngx_iot_db_on_notify(ngx_iot_native_notify) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iot_on_shutdown(ngx_iot_native_shutdown, NULL);
}


ngx_iot_native_session_t *
ngx_iot_native_create(ngx_connection_t *c, ngx_iot_native_conf_t *conf,
    void (*finalize)(ngx_iot_native_session_t *s), void *data)
{
    int                        nodelay;
    ngx_iot_native_session_t  *s;

    if (ngx_iot_native_buffer == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(c->pool, sizeof(ngx_iot_native_session_t));
    if (s == NULL) {
        return NULL;
    }

    s->connection = c;
    s->conf = conf;
    s->finalize = finalize;
    s->data = data;
    s->ref = ++ngx_iot_native_refs;
    s->seen = ngx_current_msec;
    s->out_last = &s->out;
    s->last_id = (ngx_uint_t) ngx_random() & 0x7fff;

    s->close_event.data = c;
    s->close_event.log = c->log;
    s->close_event.handler = ngx_iot_native_destroy;

    ngx_queue_init(&s->calls);
    ngx_queue_init(&s->asked);
    ngx_queue_insert_tail(&ngx_iot_native_sessions, &s->all);

    nodelay = 1;

    if (c->sockaddr->sa_family != AF_UNIX
        && setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY,
                      (const void *) &nodelay, sizeof(int)) == 0)
    {
        c->tcp_nodelay = NGX_TCP_NODELAY_SET;
    }

    c->log->action = "speaking the native protocol";

    ngx_add_timer(c->read, conf->connect_timeout);

    return s;
}


void
ngx_iot_native_input(ngx_iot_native_session_t *s, u_char *pos, u_char *end)
{
    ngx_iot_native_process(s, pos, end);
}


void
ngx_iot_native_readable(ngx_iot_native_session_t *s)
{
    ssize_t            n;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = s->connection;
    rev = c->read;

    if (s->state == NGX_IOT_NATIVE_CLOSED) {
        return;
    }

    if (c->close) {
        /* worker_shutdown_timeout; a graceful leave has its own list */
        if (c->error) {
            ngx_iot_native_close(s);
            return;
        }

        c->close = 0;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_iot_native_timeout(s);
        return;
    }

    if (s->state == NGX_IOT_NATIVE_LINGER) {
        ngx_iot_native_linger(s);
        return;
    }

    if (!s->blocked && rev->ready) {

        n = c->recv(c, ngx_iot_native_buffer, NGX_IOT_NATIVE_READ);

        if (n == 0 || (n < 0 && n != NGX_AGAIN)) {
            ngx_iot_native_close(s);
            return;
        }

        if (n > 0) {
            ngx_iot_native_process(s, ngx_iot_native_buffer,
                                   ngx_iot_native_buffer + n);

            if (s->state == NGX_IOT_NATIVE_CLOSED) {
                return;
            }

            if (rev->ready && !s->blocked) {
                /* the others' turn */
                ngx_post_event(rev, &ngx_posted_next_events);
                return;
            }
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_iot_native_close(s);
    }
}


static void
ngx_iot_native_timeout(ngx_iot_native_session_t *s)
{
    ngx_msec_t         quiet;
    ngx_connection_t  *c;

    c = s->connection;

    if (s->state != NGX_IOT_NATIVE_UP) {
        ngx_iot_native_close(s);
        return;
    }

    quiet = ngx_current_msec - s->seen;

    if (quiet < s->conf->idle_timeout) {
        ngx_add_timer(c->read, s->conf->idle_timeout - quiet);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0,
                  "device \"%V\" has been silent for too long",
                  &s->device->name);

    ngx_iot_native_close(s);
}


/* what is left of the last read comes first */

static void
ngx_iot_native_process(ngx_iot_native_session_t *s, u_char *pos, u_char *end)
{
    ngx_int_t   rc;
    ngx_uint_t  kept;

    kept = 0;

    if (s->in_len) {

        if (ngx_iot_native_add(s, pos, end - pos) != NGX_OK) {
            ngx_iot_native_close(s);
            return;
        }

        kept = 1;
        pos = s->in;
        end = s->in + s->in_len;
    }

    rc = NGX_OK;

    while (pos < end && !s->blocked && s->state < NGX_IOT_NATIVE_LINGER) {

        rc = ngx_iot_native_next(s, &pos, end);

        if (rc != NGX_OK) {
            break;
        }
    }

    if (s->state >= NGX_IOT_NATIVE_LINGER) {
        return;
    }

    if (rc == NGX_DECLINED || rc == NGX_ERROR) {
        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "a device sent what is not its protocol");
        ngx_iot_native_close(s);
        return;
    }

    if (kept) {
        s->in_len = end - pos;
        ngx_memmove(s->in, pos, s->in_len);

        if (s->in_len == 0) {
            ngx_free(s->in);
            s->in = NULL;
            s->in_size = 0;
        }

        return;
    }

    if (ngx_iot_native_add(s, pos, end - pos) != NGX_OK) {
        ngx_iot_native_close(s);
    }
}


/* NGX_OK: *pos is behind a frame; NGX_AGAIN; NGX_DECLINED: not the protocol */

static ngx_int_t
ngx_iot_native_next(ngx_iot_native_session_t *s, u_char **pos, u_char *end)
{
    u_char                  *p;
    ngx_int_t                rc;
    ngx_pool_t              *pool;
    ngx_iot_native_frame_t   frame;
    ngx_iot_native_event_t   ev;

    if (s->protocol == 0) {
        rc = ngx_iot_native_detect(&s->protocol, *pos, end);

        if (rc != NGX_OK) {
            s->protocol = 0;
            return rc;
        }

        if (s->protocol != NGX_IOT_DETECT_NATIVE
            && s->protocol != NGX_IOT_DETECT_IOTMP)
        {
            return NGX_DECLINED;
        }
    }

    p = *pos;

    rc = ngx_iot_native_frame(&frame, s->protocol, &p, end,
                              s->conf->max_message);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    if (rc != NGX_OK) {
        return NGX_DECLINED;
    }

    if ((size_t) (end - p) < frame.size) {
        return NGX_AGAIN;
    }

    *pos = p + frame.size;

    pool = ngx_create_pool(1024, s->connection->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_iot_native_event(s, &frame, p, &ev, pool);

    if (rc == NGX_OK) {
        s->seen = ngx_current_msec;
        ngx_iot_native_dispatch(s, &ev, pool);
    }

    ngx_destroy_pool(pool);

    return rc;
}


static void
ngx_iot_native_dispatch(ngx_iot_native_session_t *s,
    ngx_iot_native_event_t *ev, ngx_pool_t *pool)
{
    if (ev->says == NGX_IOT_NATIVE_PING) {
        ngx_iot_native_say_ping(s);

        if (s->state == NGX_IOT_NATIVE_UP) {
            ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_SEEN);

            if (!ngx_iot_device_current(s->device)) {
                ngx_iot_native_recheck(s);
            }
        }

        return;
    }

    if (s->state == NGX_IOT_NATIVE_NEW) {

        if (ev->says != NGX_IOT_NATIVE_LOGIN) {
            ngx_iot_native_close(s);
            return;
        }

        ngx_iot_native_login(s, ev);
        return;
    }

    switch (ev->says) {

    case NGX_IOT_NATIVE_LOGIN:
        s->login_id = ev->stream_id;
        ngx_iot_native_refuse(s);
        return;

    case NGX_IOT_NATIVE_OK:
    case NGX_IOT_NATIVE_FAILED:
        ngx_iot_native_link_event(s, ev);
        return;

    case NGX_IOT_NATIVE_ASKS:
        ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_SEEN);
        ngx_iot_native_ask(s, ev, pool);
        return;

    case NGX_IOT_NATIVE_BYE:
        ngx_iot_native_close(s);
        return;

    default:
        /* samples of streams that nobody has started any more */
        return;
    }
}


/* it grows with what has really come, not with what a header promises */

static ngx_int_t
ngx_iot_native_add(ngx_iot_native_session_t *s, u_char *pos, size_t len)
{
    size_t   size;
    u_char  *p;

    if (len == 0) {
        return NGX_OK;
    }

    if (s->in_len + len > s->in_size) {
        size = ngx_max(s->in_len + len, s->in_size * 2);

        p = ngx_alloc(size, s->connection->log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (s->in) {
            ngx_memcpy(p, s->in, s->in_len);
            ngx_free(s->in);
        }

        s->in = p;
        s->in_size = size;
    }

    ngx_memcpy(s->in + s->in_len, pos, len);
    s->in_len += len;

    return NGX_OK;
}


/*
 * A device enters by MQTT_BASIC credentials: its own id is the client id, and
 * its account the user name.
 */

static void
ngx_iot_native_login(ngx_iot_native_session_t *s, ngx_iot_native_event_t *ev)
{
    u_char            *p;
    ngx_int_t          rc;
    ngx_iot_device_t  *device;

    s->login_id = ev->stream_id;

    p = ngx_pnalloc(s->connection->pool, ev->device.len + ev->secret.len + 1);
    if (p == NULL) {
        ngx_iot_native_close(s);
        return;
    }

    s->name.data = p;
    s->name.len = ev->device.len;
    p = ngx_cpymem(p, ev->device.data, ev->device.len);

    s->secret.data = p;
    s->secret.len = ev->secret.len;
    ngx_memcpy(p, ev->secret.data, ev->secret.len);

    if (ev->user.len == 0 || ev->device.len == 0) {
        ngx_iot_native_refuse(s);
        return;
    }

    s->state = NGX_IOT_NATIVE_ASKING;
    s->wait.found = ngx_iot_native_found;
    s->wait.data = s;

    device = NULL;

    rc = ngx_iot_device_by_login(&ev->device, &ev->user, &device, &s->wait);

    if (rc == NGX_AGAIN) {
        s->blocked = 1;
        return;
    }

    ngx_iot_native_enter(s, rc, device);
}


static void
ngx_iot_native_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_iot_native_session_t  *s;

    s = wait->data;
    s->blocked = 0;

    ngx_iot_native_enter(s, rc, device);

    if (s->state != NGX_IOT_NATIVE_UP) {
        return;
    }

    if (s->in_len) {
        ngx_iot_native_process(s, NULL, NULL);
    }

    if (s->state == NGX_IOT_NATIVE_UP) {
        ngx_post_event(s->connection->read, &ngx_posted_events);
    }
}


static void
ngx_iot_native_enter(ngx_iot_native_session_t *s, ngx_int_t rc,
    ngx_iot_device_t *device)
{
    ngx_str_t                  id;
    ngx_pool_t                *pool;
    ngx_iot_native_session_t  *former;
    ngx_iot_registry_entry_t   entry;

    if (rc == NGX_OK) {
        s->device = device;
    }

    if (rc == NGX_DECLINED
        || (rc == NGX_OK && !ngx_iot_native_may_enter(s, device)))
    {
        ngx_iot_native_refuse(s);
        return;
    }

    if (rc != NGX_OK) {
        /* not now: it will come again */
        ngx_iot_native_close(s);
        return;
    }

    ngx_memzero(s->secret.data, s->secret.len);

    id.data = device->id;
    id.len = NGX_IOT_UUID_TEXT;

    former = ngx_iot_native_find(device->id);

    if (former) {
        ngx_iot_native_close(former);
    }

    rc = ngx_iot_registry_claim(NGX_IOT_REGISTRY_NATIVE, device->tenant, &id,
                                s->ref, &entry);

    if (rc == NGX_ERROR) {
        ngx_iot_native_close(s);
        return;
    }

    s->node.node.key = ngx_murmur_hash2(id.data, id.len);
    s->node.str = id;
    ngx_rbtree_insert(&ngx_iot_native_tree, &s->node.node);
    s->in_tree = 1;

    if (rc == NGX_DONE) {
        ngx_iot_native_link_kick(&entry, device->id);
    }

    s->state = NGX_IOT_NATIVE_UP;

    ngx_add_timer(s->connection->read, s->conf->idle_timeout);
    ngx_iot_activity(device->nr, NGX_IOT_ACTIVITY_CONNECTED);

    pool = ngx_create_pool(512, s->connection->log);

    if (pool == NULL
        || ngx_iot_native_say_answer(s, 1, s->login_id, NULL, pool) != NGX_OK)
    {
        ngx_iot_native_close(s);
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }
}


/* credentials without a password, or of a user alone, are not for a device */

static ngx_uint_t
ngx_iot_native_may_enter(ngx_iot_native_session_t *s, ngx_iot_device_t *device)
{
    return device->password.data != NULL
           && device->name.len == s->name.len
           && ngx_memcmp(device->name.data, s->name.data, s->name.len) == 0
           && ngx_iot_device_may_enter(device, &s->secret);
}


static void
ngx_iot_native_refuse(ngx_iot_native_session_t *s)
{
    ngx_pool_t  *pool;

    ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                  "device \"%V\" was refused", &s->name);

    pool = ngx_create_pool(512, s->connection->log);

    if (pool == NULL
        || ngx_iot_native_say_refused(s, s->login_id, pool) != NGX_OK)
    {
        ngx_iot_native_close(s);
    }

    if (pool) {
        ngx_destroy_pool(pool);
    }

    if (s->state == NGX_IOT_NATIVE_CLOSED) {
        return;
    }

    ngx_iot_native_detach(s);

    s->state = NGX_IOT_NATIVE_LINGER;

    ngx_add_timer(s->connection->read, NGX_IOT_NATIVE_BYE * 5);
    ngx_post_event(s->connection->read, &ngx_posted_events);
}


/* something about the device has changed */

static void
ngx_iot_native_recheck(ngx_iot_native_session_t *s)
{
    ngx_int_t          rc;
    ngx_iot_device_t  *device;

    if (s->wait.active) {
        return;
    }

    s->wait.found = ngx_iot_native_rechecked;
    s->wait.data = s;

    device = NULL;

    rc = ngx_iot_device_again(s->device, &device, &s->wait);

    if (rc == NGX_OK || rc == NGX_DECLINED) {
        ngx_iot_native_rechecked(&s->wait, rc, device, NULL);
    }
}


static void
ngx_iot_native_rechecked(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_uint_t                 same;
    ngx_iot_native_session_t  *s;

    s = wait->data;

    if (rc == NGX_ERROR) {
        /* at its next keep-alive */
        return;
    }

    if (rc != NGX_OK) {
        ngx_iot_native_close(s);
        return;
    }

    same = device->name.len == s->name.len
           && ngx_memcmp(device->name.data, s->name.data, s->name.len) == 0
           && ngx_memcmp(device->id, s->device->id, NGX_IOT_UUID_TEXT) == 0
           && ngx_memcmp(device->tenant, s->device->tenant,
                         NGX_IOT_UUID_TEXT)
              == 0;

    if (!same) {
        ngx_iot_device_release(device);
        ngx_iot_native_close(s);
        return;
    }

    ngx_iot_device_release(s->device);

    s->device = device;
    s->node.str.data = device->id;
}


static void
ngx_iot_native_notify(ngx_str_t *what, ngx_str_t *id)
{
    ngx_iot_native_session_t  *s;

    if (what->len != sizeof("device") - 1
        || ngx_memcmp(what->data, "device", what->len) != 0
        || id->len != NGX_IOT_UUID_TEXT)
    {
        return;
    }

    s = ngx_iot_native_find(id->data);

    if (s && s->state == NGX_IOT_NATIVE_UP) {
        ngx_iot_native_recheck(s);
    }
}


ngx_iot_native_session_t *
ngx_iot_native_find(u_char *device)
{
    ngx_str_t  id;

    id.data = device;
    id.len = NGX_IOT_UUID_TEXT;

    return (ngx_iot_native_session_t *)
               ngx_str_rbtree_lookup(&ngx_iot_native_tree, &id,
                                     ngx_murmur_hash2(id.data, id.len));
}


/* our last bytes must reach the device: unread data would reset them */

static void
ngx_iot_native_linger(ngx_iot_native_session_t *s)
{
    ssize_t            n;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = s->connection;
    rev = c->read;

    if (s->out == NULL && !s->eof) {
        s->eof = 1;

        if (c->ssl == NULL) {
            (void) ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN);
        }

        ngx_add_timer(rev, NGX_IOT_NATIVE_BYE);
    }

    while (rev->ready) {
        n = c->recv(c, ngx_iot_native_buffer, NGX_IOT_NATIVE_READ);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_iot_native_close(s);
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_iot_native_close(s);
    }
}


void
ngx_iot_native_send(ngx_iot_native_session_t *s, u_char *data, size_t len)
{
    ngx_iot_native_out_t  *out;

    if (s->state >= NGX_IOT_NATIVE_LINGER) {
        return;
    }

    if (s->out_bytes + len > NGX_IOT_NATIVE_UNSENT) {
        ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                      "device \"%V\" does not read", &s->name);
        ngx_iot_native_close(s);
        return;
    }

    out = ngx_alloc(sizeof(ngx_iot_native_out_t) + len, s->connection->log);
    if (out == NULL) {
        ngx_iot_native_close(s);
        return;
    }

    out->next = NULL;
    out->pos = (u_char *) out + sizeof(ngx_iot_native_out_t);
    out->last = ngx_cpymem(out->pos, data, len);

    *s->out_last = out;
    s->out_last = &out->next;
    s->out_bytes += len;

    if (s->out == out && ngx_iot_native_flush(s) == NGX_ERROR) {
        ngx_iot_native_close(s);
    }
}


void
ngx_iot_native_writable(ngx_iot_native_session_t *s)
{
    ngx_event_t  *wev;

    wev = s->connection->write;

    if (s->state == NGX_IOT_NATIVE_CLOSED) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, wev->log, NGX_ETIMEDOUT,
                      "device \"%V\" does not read", &s->name);
        ngx_iot_native_close(s);
        return;
    }

    if (ngx_iot_native_flush(s) == NGX_ERROR) {
        ngx_iot_native_close(s);
        return;
    }

    if (s->state == NGX_IOT_NATIVE_LINGER) {
        ngx_iot_native_linger(s);
    }
}


static ngx_int_t
ngx_iot_native_flush(ngx_iot_native_session_t *s)
{
    ssize_t                n;
    ngx_event_t           *wev;
    ngx_connection_t      *c;
    ngx_iot_native_out_t  *out;

    c = s->connection;
    wev = c->write;

    while (s->out) {
        out = s->out;

        n = c->send(c, out->pos, out->last - out->pos);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n < 0) {
            return NGX_ERROR;
        }

        out->pos += n;
        s->out_bytes -= n;

        if (out->pos < out->last) {
            continue;
        }

        s->out = out->next;

        if (s->out == NULL) {
            s->out_last = &s->out;
        }

        ngx_free(out);
    }

    if (s->out) {
        ngx_add_timer(wev, NGX_IOT_NATIVE_SEND);

    } else if (wev->timer_set) {
        ngx_del_timer(wev);
    }

    return ngx_handle_write_event(wev, 0);
}


void
ngx_iot_native_close(ngx_iot_native_session_t *s)
{
    if (s->state == NGX_IOT_NATIVE_CLOSED) {
        return;
    }

    ngx_iot_native_detach(s);

    s->state = NGX_IOT_NATIVE_CLOSED;

    ngx_post_event(&s->close_event, &ngx_posted_events);
}


/* from now on nothing reaches the device, and whoever waits for it knows */

static void
ngx_iot_native_detach(ngx_iot_native_session_t *s)
{
    ngx_str_t                  id;
    ngx_uint_t                 ours;
    ngx_iot_slot_id_t         *self;
    ngx_iot_registry_entry_t   entry;

    if (s->detached) {
        return;
    }

    s->detached = 1;

    if (s->wait.active) {
        ngx_iot_device_unwait(&s->wait);
    }

    ngx_iot_native_ask_closed(s);

    if (!s->in_tree) {
        return;
    }

    s->in_tree = 0;
    ngx_rbtree_delete(&ngx_iot_native_tree, &s->node.node);

    id.data = s->device->id;
    id.len = NGX_IOT_UUID_TEXT;

    /* who was taken over is connected, elsewhere */

    self = ngx_iot_slot_self();

    ours = ngx_iot_registry_find(NGX_IOT_REGISTRY_NATIVE, s->device->tenant,
                                 &id, &entry)
           == NGX_OK
           && entry.ref == s->ref
           && entry.owner.slot == self->slot
           && entry.owner.generation == self->generation;

    ngx_iot_registry_drop(NGX_IOT_REGISTRY_NATIVE, s->device->tenant, &id,
                          s->ref);
    ngx_iot_native_link_closed(s);

    if (ours) {
        ngx_iot_activity(s->device->nr, NGX_IOT_ACTIVITY_DISCONNECTED);
    }
}


static void
ngx_iot_native_destroy(ngx_event_t *ev)
{
    ngx_connection_t          *c;
    ngx_iot_native_out_t      *out;
    ngx_iot_native_session_t  *s;

    c = ev->data;

    s = (ngx_iot_native_session_t *)
            ((u_char *) ev - offsetof(ngx_iot_native_session_t, close_event));

    if (c->read->posted) {
        ngx_delete_posted_event(c->read);
    }

    ngx_queue_remove(&s->all);

    while (s->out) {
        out = s->out;
        s->out = out->next;
        ngx_free(out);
    }

    if (s->in) {
        ngx_free(s->in);
    }

    if (s->device) {
        ngx_iot_device_release(s->device);
    }

    s->finalize(s);
}


static void
ngx_iot_native_shutdown(void *data)
{
    ngx_iot_native_shutdown_event(&ngx_iot_native_shutdown_ev);
}


/* in slices, so as not to return all at once */

static void
ngx_iot_native_shutdown_event(ngx_event_t *ev)
{
    ngx_uint_t                 n;
    ngx_queue_t               *q;
    ngx_iot_native_session_t  *s;

    n = 0;

    for (q = ngx_queue_head(&ngx_iot_native_sessions);
         q != ngx_queue_sentinel(&ngx_iot_native_sessions);
         q = ngx_queue_next(q))
    {
        s = ngx_queue_data(q, ngx_iot_native_session_t, all);

        if (s->state == NGX_IOT_NATIVE_CLOSED) {
            continue;
        }

        if (++n > NGX_IOT_NATIVE_SLICE) {
            break;
        }

        ngx_iot_native_close(s);
    }

    if (!ngx_queue_empty(&ngx_iot_native_sessions)) {
        ngx_add_timer(ev, 50);
    }
}
