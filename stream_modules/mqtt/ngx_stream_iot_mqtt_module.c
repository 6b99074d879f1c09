
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

#include "../../ngx_iot_module/mqtt/ngx_iot_mqtt_session.h"


static void *ngx_stream_iot_mqtt_create_conf(ngx_conf_t *cf);
static char *ngx_stream_iot_mqtt_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_stream_iot_mqtt_postconf(ngx_conf_t *cf);
static char *ngx_stream_iot_mqtt(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_stream_iot_mqtt_handler(ngx_stream_session_t *ss);
static void ngx_stream_iot_mqtt_read(ngx_event_t *rev);
static void ngx_stream_iot_mqtt_write(ngx_event_t *wev);
static ssize_t ngx_stream_iot_mqtt_recv(ngx_iot_mqtt_session_t *s,
    u_char *buf, size_t size);
static void ngx_stream_iot_mqtt_close(ngx_iot_mqtt_session_t *s);


extern ngx_module_t  ngx_stream_iot_mqtt_module;


static ngx_command_t  ngx_stream_iot_mqtt_commands[] = {

    { ngx_string("iot_mqtt"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_stream_iot_mqtt,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    NGX_IOT_MQTT_COMMANDS(NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF,
                          NGX_STREAM_SRV_CONF_OFFSET),

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_iot_mqtt_module_ctx = {
    NULL,                                  /* preconfiguration */
    ngx_stream_iot_mqtt_postconf,          /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_iot_mqtt_create_conf,       /* create server configuration */
    ngx_stream_iot_mqtt_merge_conf         /* merge server configuration */
};


ngx_module_t  ngx_stream_iot_mqtt_module = {
    NGX_MODULE_V1,
    &ngx_stream_iot_mqtt_module_ctx,       /* module context */
    ngx_stream_iot_mqtt_commands,          /* module directives */
    NGX_STREAM_MODULE,                     /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static const ngx_iot_mqtt_transport_t  ngx_stream_iot_mqtt_transport = {
    ngx_stream_iot_mqtt_recv,
    NULL,
    NULL,
    ngx_stream_iot_mqtt_close
};


static void *
ngx_stream_iot_mqtt_create_conf(ngx_conf_t *cf)
{
    return ngx_iot_mqtt_conf_create(cf);
}


static char *
ngx_stream_iot_mqtt_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    return ngx_iot_mqtt_conf_merge(cf, parent, child);
}


static char *
ngx_stream_iot_mqtt(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_mqtt_conf_t *mcf = conf;

    ngx_stream_core_srv_conf_t  *cscf;

    if (mcf->enabled) {
        return "is duplicate";
    }

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (cscf->handler) {
        return "cannot be where another module has the connections";
    }

    cscf->handler = ngx_stream_iot_mqtt_handler;
    mcf->enabled = 1;

    return NGX_CONF_OK;
}


/* whoever reaches an anonymous listener has the whole tree of its tenant */

static ngx_int_t
ngx_stream_iot_mqtt_postconf(ngx_conf_t *cf)
{
    ngx_uint_t                    i;
    ngx_stream_listen_t          *listen;
    ngx_iot_mqtt_conf_t          *mcf;
    ngx_stream_core_main_conf_t  *cmcf;

    cmcf = ngx_stream_conf_get_module_main_conf(cf, ngx_stream_core_module);

    listen = cmcf->listen.elts;

    for (i = 0; i < cmcf->listen.nelts; i++) {

        mcf = listen[i].ctx->srv_conf[ngx_stream_iot_mqtt_module.ctx_index];

        if (mcf->enabled
            && mcf->anonymous.len
            && !ngx_iot_mqtt_conf_local(listen[i].sockaddr))
        {
            ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                               "everybody who can reach %V may read and "
                               "write all topics of tenant \"%V\": "
                               "\"iot_mqtt_anonymous\" belongs on a loopback "
                               "address", &listen[i].addr_text,
                               &mcf->anonymous);
        }
    }

    return NGX_OK;
}


static void
ngx_stream_iot_mqtt_handler(ngx_stream_session_t *ss)
{
    ngx_buf_t               *b;
    ngx_connection_t        *c;
    ngx_iot_mqtt_conf_t     *mcf;
    ngx_iot_mqtt_session_t  *s;

    c = ss->connection;
    mcf = ngx_stream_get_module_srv_conf(ss, ngx_stream_iot_mqtt_module);

    s = ngx_iot_mqtt_create(c, mcf, &ngx_stream_iot_mqtt_transport, ss);
    if (s == NULL) {
        ngx_stream_finalize_session(ss, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_stream_set_ctx(ss, s, ngx_stream_iot_mqtt_module);

    c->read->handler = ngx_stream_iot_mqtt_read;
    c->write->handler = ngx_stream_iot_mqtt_write;

    /* what a module of the preread phase has read */

    b = c->buffer;

    if (b && b->last > b->pos) {
        (void) ngx_iot_mqtt_input(s, b->pos, b->last);
        b->pos = b->last;
    }

    ngx_stream_iot_mqtt_read(c->read);
}


static void
ngx_stream_iot_mqtt_read(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_stream_session_t  *ss;

    c = rev->data;
    ss = c->data;

    ngx_iot_mqtt_readable(ngx_stream_get_module_ctx(ss,
                                                 ngx_stream_iot_mqtt_module));
}


static void
ngx_stream_iot_mqtt_write(ngx_event_t *wev)
{
    ngx_connection_t      *c;
    ngx_stream_session_t  *ss;

    c = wev->data;
    ss = c->data;

    ngx_iot_mqtt_writable(ngx_stream_get_module_ctx(ss,
                                                 ngx_stream_iot_mqtt_module));
}


static ssize_t
ngx_stream_iot_mqtt_recv(ngx_iot_mqtt_session_t *s, u_char *buf, size_t size)
{
    return s->connection->recv(s->connection, buf, size);
}


static void
ngx_stream_iot_mqtt_close(ngx_iot_mqtt_session_t *s)
{
    ngx_stream_finalize_session(s->data, NGX_STREAM_OK);
}
