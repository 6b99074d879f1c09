
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_stream.h>

#include "../../ngx_iot_module/native/ngx_iot_native_session.h"


static void *ngx_stream_iot_native_create_conf(ngx_conf_t *cf);
static char *ngx_stream_iot_native_merge_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_stream_iot_native(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_stream_iot_native_handler(ngx_stream_session_t *ss);
static void ngx_stream_iot_native_read(ngx_event_t *rev);
static void ngx_stream_iot_native_write(ngx_event_t *wev);
static void ngx_stream_iot_native_finalize(ngx_iot_native_session_t *s);


extern ngx_module_t  ngx_stream_iot_native_module;


static ngx_command_t  ngx_stream_iot_native_commands[] = {

    { ngx_string("iot_native"),
      NGX_STREAM_SRV_CONF|NGX_CONF_NOARGS,
      ngx_stream_iot_native,
      NGX_STREAM_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iot_native_connect_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_iot_native_conf_t, connect_timeout),
      NULL },

    { ngx_string("iot_native_idle_timeout"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_iot_native_conf_t, idle_timeout),
      NULL },

    { ngx_string("iot_native_max_message_size"),
      NGX_STREAM_MAIN_CONF|NGX_STREAM_SRV_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_STREAM_SRV_CONF_OFFSET,
      offsetof(ngx_iot_native_conf_t, max_message),
      NULL },

      ngx_null_command
};


static ngx_stream_module_t  ngx_stream_iot_native_module_ctx = {
    NULL,                                  /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_stream_iot_native_create_conf,     /* create server configuration */
    ngx_stream_iot_native_merge_conf       /* merge server configuration */
};


ngx_module_t  ngx_stream_iot_native_module = {
    NGX_MODULE_V1,
    &ngx_stream_iot_native_module_ctx,     /* module context */
    ngx_stream_iot_native_commands,        /* module directives */
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


static void *
ngx_stream_iot_native_create_conf(ngx_conf_t *cf)
{
    ngx_iot_native_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_iot_native_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->enabled = 0;
     */

    conf->connect_timeout = NGX_CONF_UNSET_MSEC;
    conf->idle_timeout = NGX_CONF_UNSET_MSEC;
    conf->max_message = NGX_CONF_UNSET_SIZE;

    return conf;
}


static char *
ngx_stream_iot_native_merge_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_iot_native_conf_t *prev = parent;
    ngx_iot_native_conf_t *conf = child;

    ngx_conf_merge_msec_value(conf->connect_timeout, prev->connect_timeout,
                              10000);
    ngx_conf_merge_msec_value(conf->idle_timeout, prev->idle_timeout, 90000);
    ngx_conf_merge_size_value(conf->max_message, prev->max_message,
                              NGX_IOT_NATIVE_MAX_SIZE);

    if (conf->max_message < 512 || conf->max_message > 4 * 1024 * 1024) {
        return "\"iot_native_max_message_size\" must be from 512 to 4m";
    }

    return NGX_CONF_OK;
}


static char *
ngx_stream_iot_native(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_native_conf_t *ncf = conf;

    ngx_stream_core_srv_conf_t  *cscf;

    if (ncf->enabled) {
        return "is duplicate";
    }

    cscf = ngx_stream_conf_get_module_srv_conf(cf, ngx_stream_core_module);

    if (cscf->handler) {
        return "cannot be where another module has the connections";
    }

    cscf->handler = ngx_stream_iot_native_handler;
    ncf->enabled = 1;

    return NGX_CONF_OK;
}


static void
ngx_stream_iot_native_handler(ngx_stream_session_t *ss)
{
    ngx_buf_t                 *b;
    ngx_connection_t          *c;
    ngx_iot_native_session_t  *s;

    c = ss->connection;

    s = ngx_iot_native_create(c,
            ngx_stream_get_module_srv_conf(ss, ngx_stream_iot_native_module),
            ngx_stream_iot_native_finalize, ss);

    if (s == NULL) {
        ngx_stream_finalize_session(ss, NGX_STREAM_INTERNAL_SERVER_ERROR);
        return;
    }

    ngx_stream_set_ctx(ss, s, ngx_stream_iot_native_module);

    c->read->handler = ngx_stream_iot_native_read;
    c->write->handler = ngx_stream_iot_native_write;

    /* what a module of the preread phase has read */

    b = c->buffer;

    if (b && b->last > b->pos) {
        ngx_iot_native_input(s, b->pos, b->last);
        b->pos = b->last;
    }

    ngx_stream_iot_native_read(c->read);
}


static void
ngx_stream_iot_native_read(ngx_event_t *rev)
{
    ngx_connection_t      *c;
    ngx_stream_session_t  *ss;

    c = rev->data;
    ss = c->data;

    ngx_iot_native_readable(ngx_stream_get_module_ctx(ss,
                                               ngx_stream_iot_native_module));
}


static void
ngx_stream_iot_native_write(ngx_event_t *wev)
{
    ngx_connection_t      *c;
    ngx_stream_session_t  *ss;

    c = wev->data;
    ss = c->data;

    ngx_iot_native_writable(ngx_stream_get_module_ctx(ss,
                                               ngx_stream_iot_native_module));
}


static void
ngx_stream_iot_native_finalize(ngx_iot_native_session_t *s)
{
    ngx_stream_finalize_session(s->data, NGX_STREAM_OK);
}
