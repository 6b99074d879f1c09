
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../codec/ngx_iot_ws_frame.h"
#include "../mqtt/ngx_iot_mqtt_session.h"


/*
 * MQTT over WebSocket (MQTT 5.0, section 6): binary frames whose borders mean
 * nothing, subprotocol "mqtt".
 */

typedef struct {
    ngx_http_request_t      *request;
    ngx_iot_mqtt_session_t  *session;
    ngx_iot_ws_reader_t      reader;
    unsigned                 ended:1;       /* nothing more is to be read */
    unsigned                 closed:1;      /* our close frame was written */
} ngx_http_iot_mqtt_ctx_t;


static void *ngx_http_iot_mqtt_create_conf(ngx_conf_t *cf);
static char *ngx_http_iot_mqtt_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_iot_mqtt(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static ngx_int_t ngx_http_iot_mqtt_handler(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_mqtt_upgrade(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *protocol);
static ngx_int_t ngx_http_iot_mqtt_add(ngx_http_request_t *r, char *name,
    u_char *value, size_t len);
static ngx_str_t *ngx_http_iot_mqtt_find(ngx_http_request_t *r, char *name);
static ngx_str_t *ngx_http_iot_mqtt_protocol(ngx_http_request_t *r);
static void ngx_http_iot_mqtt_read(ngx_http_request_t *r);
static void ngx_http_iot_mqtt_write(ngx_http_request_t *r);
static ssize_t ngx_http_iot_mqtt_recv(ngx_iot_mqtt_session_t *s, u_char *buf,
    size_t size);
static ssize_t ngx_http_iot_mqtt_decode(ngx_iot_mqtt_session_t *s,
    u_char *buf, u_char *end);
static u_char *ngx_http_iot_mqtt_frame(u_char *dst, size_t len);
static void ngx_http_iot_mqtt_bye(ngx_iot_mqtt_session_t *s);
static void ngx_http_iot_mqtt_close(ngx_iot_mqtt_session_t *s);


extern ngx_module_t  ngx_http_iot_mqtt_module;


static ngx_command_t  ngx_http_iot_mqtt_commands[] = {

    { ngx_string("iot_mqtt"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_mqtt,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    NGX_IOT_MQTT_COMMANDS(NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF
                          |NGX_HTTP_LOC_CONF,
                          NGX_HTTP_LOC_CONF_OFFSET),

      ngx_null_command
};


static ngx_http_module_t  ngx_http_iot_mqtt_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iot_mqtt_create_conf,         /* create location configuration */
    ngx_http_iot_mqtt_merge_conf           /* merge location configuration */
};


ngx_module_t  ngx_http_iot_mqtt_module = {
    NGX_MODULE_V1,
    &ngx_http_iot_mqtt_module_ctx,         /* module context */
    ngx_http_iot_mqtt_commands,            /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static const ngx_iot_mqtt_transport_t  ngx_http_iot_mqtt_transport = {
    ngx_http_iot_mqtt_recv,
    ngx_http_iot_mqtt_frame,
    ngx_http_iot_mqtt_bye,
    ngx_http_iot_mqtt_close
};


static ngx_str_t  ngx_http_iot_mqtt_protocols[] = {
    ngx_string("mqtt"),
    ngx_string("mqttv3.1"),
    ngx_null_string
};


static void *
ngx_http_iot_mqtt_create_conf(ngx_conf_t *cf)
{
    return ngx_iot_mqtt_conf_create(cf);
}


static char *
ngx_http_iot_mqtt_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    return ngx_iot_mqtt_conf_merge(cf, parent, child);
}


static char *
ngx_http_iot_mqtt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_mqtt_conf_t *mcf = conf;

    ngx_http_core_loc_conf_t  *clcf;

    if (mcf->enabled) {
        return "is duplicate";
    }

    mcf->enabled = 1;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_iot_mqtt_handler;

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iot_mqtt_handler(ngx_http_request_t *r)
{
    ngx_int_t         rc;
    ngx_str_t        *key, *version, *protocol;
    ngx_table_elt_t  *upgrade;

    if (r->method != NGX_HTTP_GET) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    upgrade = r->headers_in.upgrade;

    /* HTTP/2 has no upgrade */

    if (r->http_version != NGX_HTTP_VERSION_11
        || upgrade == NULL
        || upgrade->value.len != sizeof("websocket") - 1
        || ngx_strncasecmp(upgrade->value.data, (u_char *) "websocket",
                           sizeof("websocket") - 1)
           != 0)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    key = ngx_http_iot_mqtt_find(r, "sec-websocket-key");
    version = ngx_http_iot_mqtt_find(r, "sec-websocket-version");
    protocol = ngx_http_iot_mqtt_protocol(r);

    if (key == NULL || protocol == NULL || version == NULL
        || version->len != 2
        || ngx_memcmp(version->data, "13", 2) != 0)
    {
        return NGX_HTTP_BAD_REQUEST;
    }

    return ngx_http_iot_mqtt_upgrade(r, key, protocol);
}


static ngx_str_t *
ngx_http_iot_mqtt_find(ngx_http_request_t *r, char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);
    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == len
            && ngx_strncasecmp(header[i].key.data, (u_char *) name, len) == 0)
        {
            return &header[i].value;
        }
    }
}


/* the first of ours in a list that is separated by commas */

static ngx_str_t *
ngx_http_iot_mqtt_protocol(ngx_http_request_t *r)
{
    u_char     *p, *start, *end, *last;
    ngx_str_t  *list, *name;

    list = ngx_http_iot_mqtt_find(r, "sec-websocket-protocol");
    if (list == NULL) {
        return NULL;
    }

    p = list->data;
    last = list->data + list->len;

    while (p < last) {

        while (p < last && (*p == ' ' || *p == ',' || *p == '\t')) {
            p++;
        }

        start = p;

        while (p < last && *p != ',') {
            p++;
        }

        end = p;

        while (end > start && (end[-1] == ' ' || end[-1] == '\t')) {
            end--;
        }

        for (name = ngx_http_iot_mqtt_protocols; name->len; name++) {
            if ((size_t) (end - start) == name->len
                && ngx_memcmp(start, name->data, name->len) == 0)
            {
                return name;
            }
        }
    }

    return NULL;
}


static ngx_int_t
ngx_http_iot_mqtt_upgrade(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *protocol)
{
    u_char                   *accept;
    ngx_int_t                 rc;
    ngx_connection_t         *c;
    ngx_iot_mqtt_conf_t      *mcf;
    ngx_http_iot_mqtt_ctx_t  *ctx;

    c = r->connection;
    mcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_mqtt_module);

    ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_mqtt_ctx_t));
    accept = ngx_pnalloc(r->pool, NGX_IOT_WS_ACCEPT_LEN);

    if (ctx == NULL || accept == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = ngx_iot_ws_accept(key, accept);

    if (rc != NGX_OK) {
        return (rc == NGX_DECLINED) ? NGX_HTTP_BAD_REQUEST
                                    : NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (ngx_http_iot_mqtt_add(r, "Upgrade", (u_char *) "websocket", 9)
        != NGX_OK
        || ngx_http_iot_mqtt_add(r, "Sec-WebSocket-Accept", accept,
                                 NGX_IOT_WS_ACCEPT_LEN)
           != NGX_OK
        || ngx_http_iot_mqtt_add(r, "Sec-WebSocket-Protocol", protocol->data,
                                 protocol->len)
           != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    ngx_str_set(&r->headers_out.status_line, "101 Switching Protocols");
    r->keepalive = 0;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK) {
        return rc;
    }

    if (ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR) {
        return NGX_ERROR;
    }

    ctx->request = r;
    ctx->reader.server = 1;
    ctx->reader.binary_only = 1;

    ctx->session = ngx_iot_mqtt_create(c, mcf, &ngx_http_iot_mqtt_transport,
                                       ctx);
    if (ctx->session == NULL) {
        return NGX_ERROR;
    }

    ngx_http_set_ctx(r, ctx, ngx_http_iot_mqtt_module);

    r->read_event_handler = ngx_http_iot_mqtt_read;
    r->write_event_handler = ngx_http_iot_mqtt_write;
    r->main->count++;

    /* frames that came with the request are in the header's buffer */

    if (r->header_in->last > r->header_in->pos) {
        c->read->ready = 1;
    }

    ngx_post_event(c->read, &ngx_posted_events);

    return NGX_DONE;
}


static ngx_int_t
ngx_http_iot_mqtt_add(ngx_http_request_t *r, char *name, u_char *value,
    size_t len)
{
    ngx_table_elt_t  *h;

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    ngx_memzero(h, sizeof(ngx_table_elt_t));

    h->hash = 1;
    h->key.data = (u_char *) name;
    h->key.len = ngx_strlen(name);
    h->value.data = value;
    h->value.len = len;

    return NGX_OK;
}


static void
ngx_http_iot_mqtt_read(ngx_http_request_t *r)
{
    ngx_http_iot_mqtt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_mqtt_module);

    ngx_iot_mqtt_readable(ctx->session);
}


static void
ngx_http_iot_mqtt_write(ngx_http_request_t *r)
{
    ngx_http_iot_mqtt_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_mqtt_module);

    ngx_iot_mqtt_writable(ctx->session);
}


static ssize_t
ngx_http_iot_mqtt_recv(ngx_iot_mqtt_session_t *s, u_char *buf, size_t size)
{
    ssize_t                   n;
    ngx_buf_t                *b;
    ngx_connection_t         *c;
    ngx_http_iot_mqtt_ctx_t  *ctx;

    c = s->connection;
    ctx = s->data;
    b = ctx->request->header_in;

    if (ctx->ended) {
        ngx_iot_mqtt_end(s, 0);
        return NGX_AGAIN;
    }

    for ( ;; ) {

        if (b->last > b->pos) {
            n = ngx_min((size_t) (b->last - b->pos), size);
            ngx_memcpy(buf, b->pos, n);
            b->pos += n;

        } else {
            n = c->recv(c, buf, size);

            if (n <= 0) {
                return n;
            }
        }

        n = ngx_http_iot_mqtt_decode(s, buf, buf + n);

        if (n != 0) {
            return n;
        }
    }
}


/* the payloads move together; 0: nothing but headers and control frames */

static ssize_t
ngx_http_iot_mqtt_decode(ngx_iot_mqtt_session_t *s, u_char *buf, u_char *end)
{
    u_char                   *pos, *last, *p;
    u_char                    pong[NGX_IOT_WS_HEADER_MAX
                                   + NGX_IOT_WS_CONTROL_MAX];
    ngx_int_t                 rc;
    ngx_iot_ws_event_t        event;
    ngx_http_iot_mqtt_ctx_t  *ctx;

    ctx = s->data;
    pos = buf;
    last = buf;

    for ( ;; ) {
        rc = ngx_iot_ws_read(&ctx->reader, &pos, end, &event);

        if (rc == NGX_AGAIN) {
            return last - buf;
        }

        if (rc == NGX_OK && event.opcode == NGX_IOT_WS_BINARY) {
            ngx_memmove(last, event.data.data, event.data.len);
            last += event.data.len;
            continue;
        }

        if (rc == NGX_OK && event.opcode == NGX_IOT_WS_PING) {
            p = ngx_iot_ws_header(pong, NGX_IOT_WS_PONG, 1, event.data.len,
                                  NULL);
            p = ngx_cpymem(p, event.data.data, event.data.len);

            if (ngx_iot_mqtt_raw(s, pong, p - pong) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (rc == NGX_OK && event.opcode == NGX_IOT_WS_PONG) {
            continue;
        }

        /* closed, or an error: what came before it counts */

        ctx->ended = 1;

        if (last > buf) {
            s->connection->read->ready = 1;
            return last - buf;
        }

        ngx_iot_mqtt_end(s, 0);
        return NGX_AGAIN;
    }
}


static u_char *
ngx_http_iot_mqtt_frame(u_char *dst, size_t len)
{
    return ngx_iot_ws_header(dst, NGX_IOT_WS_BINARY, 1, len, NULL);
}


static void
ngx_http_iot_mqtt_bye(ngx_iot_mqtt_session_t *s)
{
    u_char                   *p, buf[2 + NGX_IOT_WS_CONTROL_MAX];
    ngx_str_t                 reason;
    ngx_http_iot_mqtt_ctx_t  *ctx;

    ctx = s->data;

    if (ctx->closed) {
        return;
    }

    ctx->closed = 1;
    ngx_str_null(&reason);

    p = ngx_iot_ws_close(buf, ctx->reader.error ? ctx->reader.error
                                                : NGX_IOT_WS_CLOSE_NORMAL,
                         &reason);

    (void) ngx_iot_mqtt_raw(s, buf, p - buf);
}


static void
ngx_http_iot_mqtt_close(ngx_iot_mqtt_session_t *s)
{
    ngx_connection_t         *c;
    ngx_http_request_t       *r;
    ngx_http_iot_mqtt_ctx_t  *ctx;

    ctx = s->data;
    r = ctx->request;
    c = r->connection;

    ngx_http_finalize_request(r, NGX_HTTP_CLOSE);
    ngx_http_run_posted_requests(c);
}
