
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_slot.h"
#include "ngx_http_iot_module.h"
#include "ngx_http_iot_ws.h"


#define NGX_HTTP_IOT_WS_READ       4096
#define NGX_HTTP_IOT_WS_GOODBYE    2000
#define NGX_HTTP_IOT_WS_UPGRADE    426


struct ngx_http_iot_ws_out_s {
    ngx_http_iot_ws_out_t   *next;
    u_char                  *pos;
    u_char                  *last;
};


static ngx_int_t ngx_http_iot_ws_init(void);
static ngx_int_t ngx_http_iot_ws_header(ngx_http_request_t *r, char *name,
    u_char *value, size_t len);
static ngx_uint_t ngx_http_iot_ws_is(ngx_http_request_t *r, char *name,
    char *value);
static void ngx_http_iot_ws_read(ngx_http_request_t *r);
static void ngx_http_iot_ws_write(ngx_http_request_t *r);
static void ngx_http_iot_ws_input(ngx_http_iot_ws_t *ws, u_char *p,
    u_char *end);
static void ngx_http_iot_ws_text(ngx_http_iot_ws_t *ws,
    ngx_iot_ws_event_t *event);
static void ngx_http_iot_ws_frame(ngx_http_iot_ws_t *ws, ngx_uint_t opcode,
    u_char *data, size_t len);
static void ngx_http_iot_ws_flush(ngx_http_iot_ws_t *ws);
static void ngx_http_iot_ws_end(ngx_http_iot_ws_t *ws);
static void ngx_http_iot_ws_ended(ngx_event_t *ev);
static void ngx_http_iot_ws_timer(ngx_event_t *ev);
static void ngx_http_iot_ws_shutdown(void *data);
static void ngx_http_iot_ws_cleanup(void *data);


static ngx_queue_t  ngx_http_iot_ws_all;
static ngx_uint_t   ngx_http_iot_ws_ready;


static ngx_int_t
ngx_http_iot_ws_init(void)
{
    if (ngx_http_iot_ws_ready) {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_http_iot_ws_all);

    if (ngx_iot_on_shutdown(ngx_http_iot_ws_shutdown, NULL) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iot_ws_ready = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_ws_upgrade(ngx_http_request_t *r, ngx_http_iot_ws_t **found)
{
    u_char              *accept;
    ngx_int_t            rc;
    ngx_table_elt_t     *key;
    ngx_connection_t    *c;
    ngx_http_iot_ws_t   *ws;
    ngx_pool_cleanup_t  *cln;

    c = r->connection;
    key = ngx_http_iot_find_header(r, "sec-websocket-key");

    if (r->http_version != NGX_HTTP_VERSION_11 || key == NULL
        || !ngx_http_iot_ws_is(r, "upgrade", "websocket"))
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!ngx_http_iot_ws_is(r, "sec-websocket-version", "13")) {
        (void) ngx_http_iot_ws_header(r, "Sec-WebSocket-Version",
                                      (u_char *) "13", 2);
        return NGX_HTTP_IOT_WS_UPGRADE;
    }

    accept = ngx_pnalloc(r->pool, NGX_IOT_WS_ACCEPT_LEN);
    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_iot_ws_t));

    if (accept == NULL || cln == NULL || ngx_http_iot_ws_init() != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_iot_ws_accept(&key->value, accept);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_HTTP_BAD_REQUEST
                                    : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_iot_ws_header(r, "Upgrade", (u_char *) "websocket", 9)
        != NGX_OK
        || ngx_http_iot_ws_header(r, "Sec-WebSocket-Accept", accept,
                                  NGX_IOT_WS_ACCEPT_LEN)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ws = cln->data;
    ngx_memzero(ws, sizeof(ngx_http_iot_ws_t));

    ws->request = r;
    ws->last = &ws->out;
    ws->max_queue = NGX_HTTP_IOT_WS_QUEUE;
    ws->heard = ngx_current_msec;
    ws->reader.server = 1;
    ws->reader.text_only = 1;
    ws->reader.max_message = NGX_HTTP_IOT_WS_MESSAGE;

    ws->ident = -1;
    ws->timer.data = ws;
    ws->timer.handler = ngx_http_iot_ws_timer;
    ws->timer.log = c->log;
    ws->timer.cancelable = 1;

    ws->end.data = ws;
    ws->end.handler = ngx_http_iot_ws_ended;
    ws->end.log = c->log;

    ngx_queue_insert_tail(&ngx_http_iot_ws_all, &ws->queue);
    cln->handler = ngx_http_iot_ws_cleanup;

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->keepalive = 0;

    if (ngx_http_iot_answered(r) != NGX_OK
        || ngx_http_send_header(r) == NGX_ERROR
        || ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR)
    {
        ngx_http_iot_ws_end(ws);
    }

    ngx_http_iot_get_ctx(r)->ws = ws;

    r->read_event_handler = ngx_http_iot_ws_read;
    r->write_event_handler = ngx_http_iot_ws_write;

    ngx_add_timer(&ws->timer, NGX_HTTP_IOT_WS_PING);

    /* frames that came with the request are in the buffer of its header */

    ngx_post_event(c->read, &ngx_posted_events);

    *found = ws;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_ws_header(ngx_http_request_t *r, char *name, u_char *value,
    size_t len)
{
    ngx_str_t  text;

    text.data = value;
    text.len = len;

    return ngx_http_iot_add_header(r, name, &text);
}


static ngx_uint_t
ngx_http_iot_ws_is(ngx_http_request_t *r, char *name, char *value)
{
    ngx_table_elt_t  *h;

    h = ngx_http_iot_find_header(r, name);

    return h && h->value.len == ngx_strlen(value)
           && ngx_strncasecmp(h->value.data, (u_char *) value, h->value.len)
              == 0;
}


static void
ngx_http_iot_ws_read(ngx_http_request_t *r)
{
    u_char             *pos;
    u_char              buf[NGX_HTTP_IOT_WS_READ];
    ssize_t             n;
    ngx_buf_t          *b;
    ngx_connection_t   *c;
    ngx_http_iot_ws_t  *ws;

    c = r->connection;
    ws = ngx_http_iot_get_ctx(r)->ws;
    b = r->header_in;

    if (b->last > b->pos) {
        pos = b->pos;
        b->pos = b->last;
        ngx_http_iot_ws_input(ws, pos, b->last);
    }

    while (!ws->ended) {
        n = c->recv(c, buf, NGX_HTTP_IOT_WS_READ);

        if (n == NGX_AGAIN) {
            break;
        }

        if (n == 0 || n == NGX_ERROR) {
            ngx_http_iot_ws_end(ws);
            return;
        }

        ngx_http_iot_ws_input(ws, buf, buf + n);
    }

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        ngx_http_iot_ws_end(ws);
    }
}


static void
ngx_http_iot_ws_write(ngx_http_request_t *r)
{
    ngx_http_iot_ws_flush(ngx_http_iot_get_ctx(r)->ws);
}


static void
ngx_http_iot_ws_input(ngx_http_iot_ws_t *ws, u_char *p, u_char *end)
{
    ngx_int_t            rc;
    ngx_iot_ws_event_t   event;

    ws->heard = ngx_current_msec;

    while (!ws->ended) {
        rc = ngx_iot_ws_read(&ws->reader, &p, end, &event);

        if (rc == NGX_AGAIN) {
            return;
        }

        if (rc == NGX_DONE) {
            ngx_http_iot_ws_end(ws);
            return;
        }

        if (rc != NGX_OK) {
            ngx_http_iot_ws_close(ws, ws->reader.error,
                                  (char *) ws->reader.detail);
            return;
        }

        switch (event.opcode) {

        case NGX_IOT_WS_PING:
            ngx_http_iot_ws_frame(ws, NGX_IOT_WS_PONG, event.data.data,
                                  event.data.len);
            break;

        case NGX_IOT_WS_CLOSE:
            if (ws->closing) {
                ngx_http_iot_ws_end(ws);

            } else {
                ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_NORMAL, "");
            }

            return;

        case NGX_IOT_WS_TEXT:
            if (!ws->closing) {
                ngx_http_iot_ws_text(ws, &event);
            }

            break;

        default: /* NGX_IOT_WS_PONG */
            break;
        }
    }
}


static void
ngx_http_iot_ws_text(ngx_http_iot_ws_t *ws, ngx_iot_ws_event_t *event)
{
    ngx_str_t  text;

    if (event->first) {
        ws->text_len = 0;
    }

    if (ws->text == NULL) {
        ws->text = ngx_alloc(NGX_HTTP_IOT_WS_MESSAGE, ngx_cycle->log);
        if (ws->text == NULL) {
            ngx_http_iot_ws_end(ws);
            return;
        }
    }

    /* the reader has checked the length of the whole message */

    if (event->data.len > NGX_HTTP_IOT_WS_MESSAGE - ws->text_len) {
        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_TOO_BIG, "");
        return;
    }

    ngx_memcpy(ws->text + ws->text_len, event->data.data, event->data.len);
    ws->text_len += event->data.len;

    if (event->last) {
        text.data = ws->text;
        text.len = ws->text_len;
        ws->message(ws, &text);
    }
}


void
ngx_http_iot_ws_send(ngx_http_iot_ws_t *ws, ngx_str_t *text)
{
    if (ws->nout >= ws->max_queue && !ws->closing) {
        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_POLICY,
                              "Max pending updates limit reached!");
        return;
    }

    ngx_http_iot_ws_frame(ws, NGX_IOT_WS_TEXT, text->data, text->len);
}


void
ngx_http_iot_ws_close(ngx_http_iot_ws_t *ws, ngx_uint_t code, char *reason)
{
    u_char     *p;
    u_char      buf[2 + NGX_IOT_WS_CONTROL_MAX];
    ngx_str_t   text;

    if (ws->closing || ws->ended) {
        return;
    }

    text.data = (u_char *) (reason ? reason : "");
    text.len = ngx_strlen(text.data);

    p = ngx_iot_ws_close(buf, code, &text);

    /* its header has two bytes; what frame() writes is the same */

    ngx_http_iot_ws_frame(ws, NGX_IOT_WS_CLOSE, buf + 2, p - buf - 2);

    ws->closing = 1;

    if (!ws->ended) {
        ngx_add_timer(&ws->timer, NGX_HTTP_IOT_WS_GOODBYE);
    }
}


static void
ngx_http_iot_ws_frame(ngx_http_iot_ws_t *ws, ngx_uint_t opcode, u_char *data,
    size_t len)
{
    ngx_http_iot_ws_out_t  *out;

    if (ws->closing || ws->ended) {
        return;
    }

    out = ngx_alloc(sizeof(ngx_http_iot_ws_out_t) + NGX_IOT_WS_HEADER_MAX
                    + len, ngx_cycle->log);
    if (out == NULL) {
        ngx_http_iot_ws_end(ws);
        return;
    }

    out->next = NULL;
    out->pos = (u_char *) out + sizeof(ngx_http_iot_ws_out_t);
    out->last = ngx_iot_ws_header(out->pos, opcode, 1, len, NULL);
    out->last = ngx_cpymem(out->last, data, len);

    *ws->last = out;
    ws->last = &out->next;
    ws->nout++;

    ngx_http_iot_ws_flush(ws);
}


static void
ngx_http_iot_ws_flush(ngx_http_iot_ws_t *ws)
{
    ssize_t                 n;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_iot_ws_out_t  *out;

    r = ws->request;
    c = r->connection;

    if (ws->ended) {
        return;
    }

    /* the head of the answer goes first */

    if (r->out && ngx_http_output_filter(r, NULL) == NGX_ERROR) {
        ngx_http_iot_ws_end(ws);
        return;
    }

    while (ws->out && r->out == NULL) {
        out = ws->out;

        n = c->send(c, out->pos, out->last - out->pos);

        if (n == NGX_ERROR) {
            ngx_http_iot_ws_end(ws);
            return;
        }

        if (n == NGX_AGAIN) {
            break;
        }

        out->pos += n;

        if (out->pos < out->last) {
            continue;
        }

        ws->out = out->next;
        ws->nout--;

        if (ws->out == NULL) {
            ws->last = &ws->out;
        }

        ngx_free(out);
    }

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        ngx_http_iot_ws_end(ws);
    }
}


/* the request is finalized in an event of its own, below nobody's feet */

static void
ngx_http_iot_ws_end(ngx_http_iot_ws_t *ws)
{
    if (ws->ended) {
        return;
    }

    ws->ended = 1;

    if (ws->timer.timer_set) {
        ngx_del_timer(&ws->timer);
    }

    if (ws->closed) {
        ws->closed(ws);
    }

    ngx_post_event(&ws->end, &ngx_posted_events);
}


static void
ngx_http_iot_ws_ended(ngx_event_t *ev)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;
    ngx_http_iot_ws_t   *ws;

    ws = ev->data;
    r = ws->request;
    c = r->connection;

    ngx_http_finalize_request(r, NGX_HTTP_CLOSE);
    ngx_http_run_posted_requests(c);
}


static void
ngx_http_iot_ws_timer(ngx_event_t *ev)
{
    ngx_http_iot_ws_t  *ws;

    ws = ev->data;

    if (ws->closing
        || (ngx_msec_int_t) (ngx_current_msec - ws->heard)
           >= NGX_HTTP_IOT_WS_SILENCE)
    {
        ngx_http_iot_ws_end(ws);
        return;
    }

    ngx_http_iot_ws_frame(ws, NGX_IOT_WS_PING, (u_char *) "", 0);

    if (ws->tick && !ws->ended) {
        ws->tick(ws);
    }

    if (!ws->ended && !ws->closing) {
        ngx_add_timer(&ws->timer, NGX_HTTP_IOT_WS_PING);
    }
}


static void
ngx_http_iot_ws_shutdown(void *data)
{
    ngx_queue_t        *q, *next;
    ngx_http_iot_ws_t  *ws;

    for (q = ngx_queue_head(&ngx_http_iot_ws_all);
         q != ngx_queue_sentinel(&ngx_http_iot_ws_all);
         q = next)
    {
        next = ngx_queue_next(q);
        ws = ngx_queue_data(q, ngx_http_iot_ws_t, queue);

        ngx_http_iot_ws_close(ws, NGX_IOT_WS_CLOSE_GOING_AWAY,
                              "Server is shutting down");
        ngx_http_iot_ws_end(ws);

        /* the worker may leave before its posted events are run */

        if (ws->end.posted) {
            ngx_delete_posted_event(&ws->end);
            ngx_http_iot_ws_ended(&ws->end);
        }
    }
}


static void
ngx_http_iot_ws_cleanup(void *data)
{
    ngx_http_iot_ws_t *ws = data;

    ngx_http_iot_ws_out_t  *out;

    ngx_queue_remove(&ws->queue);

    if (ws->timer.timer_set) {
        ngx_del_timer(&ws->timer);
    }

    if (ws->end.posted) {
        ngx_delete_posted_event(&ws->end);
    }

    if (!ws->ended) {
        ws->ended = 1;

        if (ws->closed) {
            ws->closed(ws);
        }
    }

    while (ws->out) {
        out = ws->out;
        ws->out = out->next;
        ngx_free(out);
    }

    if (ws->text) {
        ngx_free(ws->text);
    }
}
