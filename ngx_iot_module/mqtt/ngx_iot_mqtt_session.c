
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_store.h"


/* read at once, shared by all connections of the worker */
#define NGX_IOT_MQTT_READ   65536

/* how long a client may take to see our last packet, and then to leave */
#define NGX_IOT_MQTT_BYE    1000

/* connections told to leave at once when the worker goes */
#define NGX_IOT_MQTT_SLICE  200


typedef ngx_int_t (*ngx_iot_mqtt_handler_pt)(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);


static void ngx_iot_mqtt_timeout(ngx_iot_mqtt_session_t *s);
static ssize_t ngx_iot_mqtt_fill(ngx_iot_mqtt_session_t *s, u_char **start,
    u_char **end);
static ngx_int_t ngx_iot_mqtt_process(ngx_iot_mqtt_session_t *s, u_char *pos,
    u_char *end);
static ngx_int_t ngx_iot_mqtt_dispatch(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet);
static ngx_int_t ngx_iot_mqtt_keep(ngx_iot_mqtt_session_t *s, u_char *pos,
    u_char *end, size_t need);
static void ngx_iot_mqtt_linger(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_detach(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_flush_event(ngx_event_t *ev);
static void ngx_iot_mqtt_destroy(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_shutdown(void *data);
static void ngx_iot_mqtt_shutdown_event(ngx_event_t *ev);
static uint32_t ngx_iot_mqtt_key(ngx_str_t *key, u_char *buf, u_char *tenant,
    ngx_str_t *id);


static u_char            *ngx_iot_mqtt_buffer;
static ngx_queue_t        ngx_iot_mqtt_sessions;
static ngx_queue_t        ngx_iot_mqtt_dirty_list;
static ngx_event_t        ngx_iot_mqtt_flush_ev;
static ngx_event_t        ngx_iot_mqtt_shutdown_ev;
static ngx_connection_t   ngx_iot_mqtt_dummy;
static ngx_rbtree_t       ngx_iot_mqtt_tree;
static ngx_rbtree_node_t  ngx_iot_mqtt_sentinel;
static ngx_uint_t         ngx_iot_mqtt_nsessions;


static ngx_iot_mqtt_handler_pt  ngx_iot_mqtt_handlers[] = {
    NULL,
    ngx_iot_mqtt_on_connect,
    NULL,
    ngx_iot_mqtt_on_publish,
    ngx_iot_mqtt_on_puback,
    ngx_iot_mqtt_on_pubrec,
    ngx_iot_mqtt_on_pubrel,
    ngx_iot_mqtt_on_pubcomp,
    ngx_iot_mqtt_on_subscribe,
    NULL,
    ngx_iot_mqtt_on_unsubscribe,
    NULL,
    ngx_iot_mqtt_on_pingreq,
    NULL,
    ngx_iot_mqtt_on_disconnect,
    NULL
};


ngx_int_t
ngx_iot_mqtt_session_init_process(ngx_cycle_t *cycle)
{
    ngx_queue_init(&ngx_iot_mqtt_sessions);
    ngx_queue_init(&ngx_iot_mqtt_dirty_list);
    ngx_rbtree_init(&ngx_iot_mqtt_tree, &ngx_iot_mqtt_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_iot_mqtt_nsessions = 0;

    ngx_iot_mqtt_buffer = ngx_palloc(cycle->pool, NGX_IOT_MQTT_READ);
    if (ngx_iot_mqtt_buffer == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_mqtt_flush_ev.data = &ngx_iot_mqtt_dummy;
    ngx_iot_mqtt_flush_ev.log = cycle->log;
    ngx_iot_mqtt_flush_ev.handler = ngx_iot_mqtt_flush_event;

    ngx_iot_mqtt_shutdown_ev.data = &ngx_iot_mqtt_dummy;
    ngx_iot_mqtt_shutdown_ev.log = cycle->log;
    ngx_iot_mqtt_shutdown_ev.handler = ngx_iot_mqtt_shutdown_event;

    ngx_iot_mqtt_write_init(cycle);

    return ngx_iot_on_shutdown(ngx_iot_mqtt_shutdown, NULL);
}


ngx_iot_mqtt_session_t *
ngx_iot_mqtt_create(ngx_connection_t *c, ngx_iot_mqtt_conf_t *conf,
    const ngx_iot_mqtt_transport_t *transport, void *data)
{
    int                      nodelay;
    ngx_iot_mqtt_session_t  *s;

    if (ngx_iot_mqtt_buffer == NULL) {
        return NULL;
    }

    s = ngx_pcalloc(c->pool, sizeof(ngx_iot_mqtt_session_t));
    if (s == NULL) {
        return NULL;
    }

    s->connection = c;
    s->conf = conf;
    s->transport = transport;
    s->data = data;
    s->max_packet = NGX_IOT_MQTT_VARINT_MAX + NGX_IOT_MQTT_HEADER_MAX;
    s->problem_info = 1;
    s->seen = ngx_current_msec;

    ngx_iot_mqtt_parser(&s->parser, &conf->limits);

    ngx_queue_init(&s->inflight);
    ngx_queue_init(&s->waiting);
    ngx_queue_init(&s->receiving);
    ngx_queue_init(&s->scans);
    ngx_queue_init(&s->marking);
    ngx_queue_insert_tail(&ngx_iot_mqtt_sessions, &s->all);
    ngx_iot_mqtt_nsessions++;

    /* a small window of the client must not wait for delayed ACKs */

    nodelay = 1;

    if (c->sockaddr->sa_family != AF_UNIX
        && setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY,
                      (const void *) &nodelay, sizeof(int)) == 0)
    {
        c->tcp_nodelay = NGX_TCP_NODELAY_SET;
    }

    c->log->action = "speaking MQTT";

    ngx_add_timer(c->read, conf->connect_timeout);

    return s;
}


ngx_uint_t
ngx_iot_mqtt_connections(void)
{
    return ngx_iot_mqtt_nsessions;
}


/* the handler ends no session but its own */

void
ngx_iot_mqtt_each(void (*handler)(ngx_iot_mqtt_session_t *s))
{
    ngx_queue_t  *q, *next;

    for (q = ngx_queue_head(&ngx_iot_mqtt_sessions);
         q != ngx_queue_sentinel(&ngx_iot_mqtt_sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        handler(ngx_queue_data(q, ngx_iot_mqtt_session_t, all));
    }
}


void
ngx_iot_mqtt_readable(ngx_iot_mqtt_session_t *s)
{
    u_char            *start, *end;
    ssize_t            n;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = s->connection;
    rev = c->read;

    if (s->state == NGX_IOT_MQTT_CLOSED) {
        return;
    }

    if (c->close) {
        /* worker_shutdown_timeout; a graceful leave has its own list */
        if (c->error) {
            ngx_iot_mqtt_gone(s);
            return;
        }

        c->close = 0;
    }

    if (rev->timedout) {
        rev->timedout = 0;
        ngx_iot_mqtt_timeout(s);
        return;
    }

    if (s->state == NGX_IOT_MQTT_LINGER) {
        ngx_iot_mqtt_linger(s);
        return;
    }

    if (s->blocked) {
        goto done;
    }

    if (s->resume) {
        s->resume = 0;

        (void) ngx_iot_mqtt_process(s, s->in, s->in + s->in_len);

        if (s->state >= NGX_IOT_MQTT_LINGER || s->blocked) {
            return;
        }
    }

    if (!rev->ready) {
        goto done;
    }

    n = ngx_iot_mqtt_fill(s, &start, &end);

    if (n == NGX_AGAIN) {
        goto done;
    }

    if (n <= 0) {
        ngx_iot_mqtt_gone(s);
        return;
    }

    ngx_iot_add(mqtt_bytes_received, n);

    (void) ngx_iot_mqtt_process(s, start, end);

    if (s->state == NGX_IOT_MQTT_CLOSED) {
        return;
    }

    /* the others' turn */

    if (rev->ready && !s->blocked) {
        ngx_post_event(rev, &ngx_posted_next_events);
        return;
    }

done:

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_iot_mqtt_gone(s);
    }
}


/* what came before goes in front; a large packet is gathered where it stays */

static ssize_t
ngx_iot_mqtt_fill(ngx_iot_mqtt_session_t *s, u_char **start, u_char **end)
{
    ssize_t  n;

    if (s->in_len >= NGX_IOT_MQTT_READ / 2) {

        if (s->in_len == s->in_size
            && ngx_iot_mqtt_keep(s, NULL, NULL, s->in_size * 2) != NGX_OK)
        {
            return NGX_ERROR;
        }

        n = s->transport->recv(s, s->in + s->in_len, s->in_size - s->in_len);

        if (n > 0) {
            s->in_len += n;
            *start = s->in;
            *end = s->in + s->in_len;
        }

        return n;
    }

    n = s->transport->recv(s, ngx_iot_mqtt_buffer + s->in_len,
                           NGX_IOT_MQTT_READ - s->in_len);

    if (n > 0) {
        ngx_memcpy(ngx_iot_mqtt_buffer, s->in, s->in_len);
        *start = ngx_iot_mqtt_buffer;
        *end = ngx_iot_mqtt_buffer + s->in_len + n;
    }

    return n;
}


ngx_int_t
ngx_iot_mqtt_input(ngx_iot_mqtt_session_t *s, u_char *pos, u_char *end)
{
    return ngx_iot_mqtt_process(s, pos, end);
}


static ngx_int_t
ngx_iot_mqtt_process(ngx_iot_mqtt_session_t *s, u_char *pos, u_char *end)
{
    size_t                 need;
    ngx_int_t              rc;
    ngx_iot_mqtt_frame_t   frame;
    ngx_iot_mqtt_packet_t  packet;

    need = 0;

    while (pos < end && !s->blocked) {

        rc = ngx_iot_mqtt_frame(&s->parser, pos, end, &frame);

        if (rc == NGX_AGAIN) {
            need = frame.need;
            break;
        }

        if (rc == NGX_OK) {
            rc = ngx_iot_mqtt_parse(&s->parser, &frame, &packet);
        }

        if (rc == NGX_OK) {
            s->seen = ngx_current_msec;
            ngx_iot_count(mqtt_messages_received);

            rc = ngx_iot_mqtt_dispatch(s, &packet);
        }

        if (s->state >= NGX_IOT_MQTT_LINGER) {
            return NGX_DONE;
        }

        if (rc == NGX_AGAIN) {
            /* the packet stays until there is room for it */
            s->blocked = 1;
            break;
        }

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_INFO, s->connection->log, 0,
                          "client \"%V\": %V%s%s", &s->client_id,
                          ngx_iot_mqtt_reason_name(rc),
                          s->parser.detail ? ": " : "",
                          s->parser.detail ? s->parser.detail : "");

            ngx_iot_mqtt_end(s, s->parser.silent ? 0 : (ngx_uint_t) rc);
            return NGX_DONE;
        }

        pos = frame.end;
    }

    if (ngx_iot_mqtt_keep(s, pos, end, need) != NGX_OK) {
        ngx_iot_mqtt_gone(s);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_dispatch(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_packet_t *packet)
{
    ngx_iot_mqtt_handler_pt  handler;

    handler = ngx_iot_mqtt_handlers[packet->type];

    if (handler == NULL
        || (s->state == NGX_IOT_MQTT_NEW)
           != (packet->type == NGX_IOT_MQTT_CONNECT))
    {
        s->parser.detail = "packet out of place";
        return NGX_IOT_MQTT_PROTOCOL_ERROR;
    }

    return handler(s, packet);
}


/*
 * Keeps the bytes that are left, which may lie in the same buffer; with pos
 * NULL only makes it larger.  It grows with what has really come, not with
 * what the header promises.
 */

static ngx_int_t
ngx_iot_mqtt_keep(ngx_iot_mqtt_session_t *s, u_char *pos, u_char *end,
    size_t need)
{
    size_t   len, size;
    u_char  *p;

    if (pos == NULL) {
        pos = s->in;
        end = s->in + s->in_len;
    }

    len = end - pos;

    if (len == 0) {
        if (s->in) {
            ngx_free(s->in);
            s->in = NULL;
            s->in_size = 0;
        }

        s->in_len = 0;
        return NGX_OK;
    }

    size = len;

    if (need > len) {
        size = ngx_min(need, ngx_max(len * 2, 256));
    }

    if (pos >= s->in && s->in && end <= s->in + s->in_size
        && size <= s->in_size)
    {
        ngx_memmove(s->in, pos, len);
        s->in_len = len;
        return NGX_OK;
    }

    if (size > s->in_size) {
        p = ngx_alloc(size, s->connection->log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(p, pos, len);

        if (s->in) {
            ngx_free(s->in);
        }

        s->in = p;
        s->in_size = size;

    } else {
        ngx_memcpy(s->in, pos, len);
    }

    s->in_len = len;

    return NGX_OK;
}


static void
ngx_iot_mqtt_timeout(ngx_iot_mqtt_session_t *s)
{
    ngx_msec_t         quiet;
    ngx_connection_t  *c;

    c = s->connection;

    switch (s->state) {

    case NGX_IOT_MQTT_UP:
        break;

    case NGX_IOT_MQTT_WAITING:
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNAVAILABLE);
        return;

    default:
        ngx_iot_mqtt_gone(s);
        return;
    }

    if (s->keep_alive == 0) {
        return;
    }

    quiet = ngx_current_msec - s->seen;

    /* while we do not read, silence is not the client's */

    if (s->blocked) {
        quiet = 0;
    }

    if (quiet < s->keep_alive) {
        ngx_add_timer(c->read, s->keep_alive - quiet);
        return;
    }

    ngx_log_error(NGX_LOG_INFO, c->log, 0, "client \"%V\": keep alive timeout",
                  &s->client_id);

    ngx_iot_mqtt_end(s, NGX_IOT_MQTT_KEEP_ALIVE_TIMEOUT);
}


void
ngx_iot_mqtt_writable(ngx_iot_mqtt_session_t *s)
{
    ngx_event_t  *wev;

    wev = s->connection->write;

    if (s->state == NGX_IOT_MQTT_CLOSED) {
        return;
    }

    if (wev->timedout) {
        ngx_log_error(NGX_LOG_INFO, wev->log, NGX_ETIMEDOUT,
                      "client \"%V\" does not read", &s->client_id);
        ngx_iot_mqtt_gone(s);
        return;
    }

    if (s->first || s->state == NGX_IOT_MQTT_LINGER) {
        ngx_iot_mqtt_dirty(s);
    }
}


void
ngx_iot_mqtt_dirty(ngx_iot_mqtt_session_t *s)
{
    if (s->is_dirty) {
        return;
    }

    s->is_dirty = 1;
    ngx_queue_insert_tail(&ngx_iot_mqtt_dirty_list, &s->dirty);

    if (!ngx_iot_mqtt_flush_ev.posted) {
        ngx_post_event(&ngx_iot_mqtt_flush_ev, &ngx_posted_events);
    }
}


void
ngx_iot_mqtt_later(ngx_iot_mqtt_session_t *s)
{
    if (s->is_dirty) {
        return;
    }

    s->is_dirty = 1;
    ngx_queue_insert_tail(&ngx_iot_mqtt_dirty_list, &s->dirty);

    if (!ngx_iot_mqtt_flush_ev.posted) {
        ngx_post_event(&ngx_iot_mqtt_flush_ev, &ngx_posted_next_events);
    }
}


/*
 * The end of the turn: everything that was made for a client goes out in one
 * write, and sessions that have ended are destroyed; nobody has a pointer to
 * them any more.
 */

static void
ngx_iot_mqtt_flush_event(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_queue_t             *q, list;
    ngx_iot_mqtt_session_t  *s;

    ngx_queue_init(&list);

    if (!ngx_queue_empty(&ngx_iot_mqtt_dirty_list)) {
        ngx_queue_add(&list, &ngx_iot_mqtt_dirty_list);
        ngx_queue_init(&ngx_iot_mqtt_dirty_list);
    }

    while (!ngx_queue_empty(&list)) {
        q = ngx_queue_head(&list);
        ngx_queue_remove(q);

        s = ngx_queue_data(q, ngx_iot_mqtt_session_t, dirty);
        s->is_dirty = 0;

        if (s->state == NGX_IOT_MQTT_CLOSED) {
            ngx_iot_mqtt_destroy(s);
            continue;
        }

        rc = ngx_iot_mqtt_flush(s);

        if (rc == NGX_ERROR) {
            ngx_iot_mqtt_gone(s);
            continue;
        }

        if (rc == NGX_OK) {
            if (s->state == NGX_IOT_MQTT_LINGER) {
                ngx_iot_mqtt_linger(s);

            } else if (!ngx_queue_empty(&s->scans)) {
                ngx_iot_mqtt_scan_go_on(s);
            }
        }
    }
}


/*
 * Our last bytes must reach the client: a close with unread data in the
 * socket resets the connection and takes them back (MQTT 5.0, section 4.13).
 */

static void
ngx_iot_mqtt_linger(ngx_iot_mqtt_session_t *s)
{
    ssize_t            n;
    ngx_event_t       *rev;
    ngx_connection_t  *c;

    c = s->connection;
    rev = c->read;

    if (s->first) {
        return;
    }

    if (!s->eof) {
        s->eof = 1;

        if (c->ssl == NULL) {
            (void) ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN);
        }

        ngx_add_timer(rev, NGX_IOT_MQTT_BYE);
    }

    while (rev->ready) {
        n = c->recv(c, ngx_iot_mqtt_buffer, NGX_IOT_MQTT_READ);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n <= 0) {
            ngx_iot_mqtt_gone(s);
            return;
        }
    }

    if (ngx_handle_read_event(rev, 0) != NGX_OK) {
        ngx_iot_mqtt_gone(s);
    }
}


void
ngx_iot_mqtt_end(ngx_iot_mqtt_session_t *s, ngx_uint_t reason)
{
    size_t   n;
    u_char  *p, buf[NGX_IOT_MQTT_REFUSAL_MAX];

    if (s->state >= NGX_IOT_MQTT_LINGER) {
        return;
    }

    n = 0;

    if (reason) {
        n = ngx_iot_mqtt_refusal(&s->parser, reason, buf);
    }

    ngx_iot_mqtt_detach(s);

    if (n && n <= s->max_packet) {
        p = ngx_iot_mqtt_room(s, n);

        if (p) {
            ngx_iot_mqtt_wrote(s, ngx_cpymem(p, buf, n));
        }
    }

    if (s->transport->bye) {
        s->transport->bye(s);
    }

    if (s->first == NULL) {
        ngx_iot_mqtt_gone(s);
        return;
    }

    s->state = NGX_IOT_MQTT_LINGER;

    ngx_add_timer(s->connection->read, NGX_IOT_MQTT_BYE * 5);
    ngx_iot_mqtt_dirty(s);
}


void
ngx_iot_mqtt_gone(ngx_iot_mqtt_session_t *s)
{
    if (s->state == NGX_IOT_MQTT_CLOSED) {
        return;
    }

    ngx_iot_mqtt_detach(s);
    ngx_iot_mqtt_drop_output(s);

    s->state = NGX_IOT_MQTT_CLOSED;

    ngx_iot_mqtt_dirty(s);
}


/* from now on nothing reaches the session, and its will has been seen to */

static void
ngx_iot_mqtt_detach(ngx_iot_mqtt_session_t *s)
{
    if (s->detached) {
        return;
    }

    s->detached = 1;

    ngx_iot_mqtt_connect_cancel(s);

    if (s->topics && s->topics->closed) {
        s->topics->closed(s);
    }

    ngx_iot_mqtt_scan_stop(s, NULL);

    if (s->bus_open) {
        s->bus_open = 0;
        ngx_iot_bus_client_close(&s->bus);

        ngx_iot_gauge(mqtt_subscriptions,
                      ngx_iot_metrics->mqtt_subscriptions - s->nsubs);
    }

    ngx_iot_mqtt_change_detach(s);
    ngx_iot_mqtt_will_fire(s);
    ngx_iot_mqtt_leave(s);
    ngx_iot_mqtt_out_detach(s);
    ngx_iot_mqtt_in_detach(s);

    if (s->in_list) {
        s->in_list = 0;
        ngx_rbtree_delete(&ngx_iot_mqtt_tree, &s->node.node);
        ngx_iot_gauge(mqtt_connections, ngx_iot_metrics->mqtt_connections - 1);
        ngx_iot_add(mqtt_stored, -(ngx_int_t) s->counted);
        ngx_iot_count(mqtt_disconnects);
    }

    ngx_iot_mqtt_connect_left(s);
    ngx_iot_mqtt_seat_leave(s);
}


static void
ngx_iot_mqtt_destroy(ngx_iot_mqtt_session_t *s)
{
    ngx_uint_t  i;

    ngx_queue_remove(&s->all);
    ngx_iot_mqtt_nsessions--;

    if (s->in) {
        ngx_free(s->in);
    }

    if (s->aliases) {
        for (i = 0; i < s->conf->max_alias; i++) {
            if (s->aliases[i].data) {
                ngx_free(s->aliases[i].data);
            }
        }

        ngx_free(s->aliases);
    }

    if (s->our_aliases) {
        for (i = 0; i < s->nour_aliases; i++) {
            ngx_free(s->our_aliases[i].data);
        }

        ngx_free(s->our_aliases);
    }

    if (s->node.str.data) {
        ngx_free(s->node.str.data);
    }

    if (s->device) {
        ngx_iot_device_release(s->device);
    }

    if (s->rates) {
        ngx_iot_rates_release(s->rates);
    }

    s->transport->close(s);
}


void
ngx_iot_mqtt_unblock(ngx_iot_mqtt_session_t *s)
{
    if (s->ending) {
        return;
    }

    if (s->state >= NGX_IOT_MQTT_LINGER) {
        return;
    }

    s->blocked = 0;

    /* what is left of the last read comes first */

    s->resume = (s->in_len != 0);

    ngx_post_event(s->connection->read, &ngx_posted_events);
}


ngx_int_t
ngx_iot_mqtt_on_pingreq(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    u_char  *p;

    p = ngx_iot_mqtt_room(s, 2);
    if (p == NULL) {
        return NGX_IOT_MQTT_UNSPECIFIED;
    }

    *p++ = NGX_IOT_MQTT_PINGRESP << 4;
    *p++ = 0;

    ngx_iot_mqtt_wrote(s, p);
    ngx_iot_count(mqtt_messages_sent);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_on_disconnect(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_packet_t *packet)
{
    if (ngx_iot_mqtt_props_has(&packet->props,
                               NGX_IOT_MQTT_PROP_SESSION_EXPIRY))
    {
        if (s->expiry == 0 && packet->props.session_expiry) {
            s->parser.detail = "session expiry of a session without one";
            return NGX_IOT_MQTT_PROTOCOL_ERROR;
        }

        s->expiry = ngx_min(packet->props.session_expiry,
                            (uint32_t) s->conf->max_session_expiry);
    }

    if (packet->reason == NGX_IOT_MQTT_SUCCESS) {
        ngx_iot_mqtt_will_drop(s);
    }

    ngx_iot_mqtt_end(s, 0);

    return NGX_OK;
}


/* the sessions of this worker by tenant and client id */

static uint32_t
ngx_iot_mqtt_key(ngx_str_t *key, u_char *buf, u_char *tenant, ngx_str_t *id)
{
    key->data = buf;
    key->len = NGX_IOT_UUID_TEXT + id->len;

    ngx_memcpy(ngx_cpymem(buf, tenant, NGX_IOT_UUID_TEXT), id->data, id->len);

    return ngx_murmur_hash2(key->data, key->len);
}


ngx_iot_mqtt_session_t *
ngx_iot_mqtt_find(u_char *tenant, ngx_str_t *id)
{
    uint32_t   hash;
    ngx_str_t  key;

    static u_char  buf[NGX_IOT_UUID_TEXT + 65535];

    hash = ngx_iot_mqtt_key(&key, buf, tenant, id);

    return (ngx_iot_mqtt_session_t *)
               ngx_str_rbtree_lookup(&ngx_iot_mqtt_tree, &key, hash);
}


ngx_int_t
ngx_iot_mqtt_insert(ngx_iot_mqtt_session_t *s)
{
    u_char  *p;

    p = ngx_alloc(NGX_IOT_UUID_TEXT + s->client_id.len, s->connection->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    s->node.node.key = ngx_iot_mqtt_key(&s->node.str, p, s->tenant,
                                        &s->client_id);

    /* one copy of the identifier is enough */

    s->client_id.data = p + NGX_IOT_UUID_TEXT;

    ngx_rbtree_insert(&ngx_iot_mqtt_tree, &s->node.node);
    s->in_list = 1;

    ngx_iot_gauge(mqtt_connections, ngx_iot_metrics->mqtt_connections + 1);

    s->counted = (s->durable != 0);
    ngx_iot_add(mqtt_stored, s->counted);

    return NGX_OK;
}


/* everybody is told to leave, in slices, so as not to return all at once */

static void
ngx_iot_mqtt_shutdown(void *data)
{
    ngx_iot_mqtt_shutdown_event(&ngx_iot_mqtt_shutdown_ev);
}


static void
ngx_iot_mqtt_shutdown_event(ngx_event_t *ev)
{
    ngx_uint_t               n;
    ngx_queue_t             *q, *next;
    ngx_iot_mqtt_session_t  *s;

    n = 0;

    for (q = ngx_queue_head(&ngx_iot_mqtt_sessions);
         q != ngx_queue_sentinel(&ngx_iot_mqtt_sessions);
         q = next)
    {
        next = ngx_queue_next(q);
        s = ngx_queue_data(q, ngx_iot_mqtt_session_t, all);

        if (s->state >= NGX_IOT_MQTT_LINGER) {
            continue;
        }

        if (++n > NGX_IOT_MQTT_SLICE) {
            break;
        }

        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_SHUTTING_DOWN);
    }

    if (ngx_iot_mqtt_nsessions) {
        ngx_add_timer(ev, 50);
    }
}
