
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "ngx_http_iot_module.h"
#include "ngx_http_iot_rate.h"


static ngx_int_t ngx_http_iot_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iot_copy(ngx_pool_t *pool, ngx_str_t *dst,
    u_char *data, size_t len);

static ngx_int_t ngx_http_iot_add_variables(ngx_conf_t *cf);
static ngx_int_t ngx_http_iot_init(ngx_conf_t *cf);
static void *ngx_http_iot_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_iot_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_iot_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_iot_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_http_iot_set_handler(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_iot_dialect_t  *ngx_http_iot_dialects[] = {
    &ngx_http_iot_tb_dialect,
    NULL
};


static ngx_http_handler_pt  ngx_http_iot_device = ngx_http_iot_device_handler;
static ngx_http_handler_pt  ngx_http_iot_health = ngx_http_iot_health_handler;
static ngx_http_handler_pt  ngx_http_iot_ready = ngx_http_iot_ready_handler;
static ngx_http_handler_pt  ngx_http_iot_page = ngx_http_iot_metrics_handler;


static ngx_command_t  ngx_http_iot_commands[] = {

    { ngx_string("iot_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_iot_api,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iot_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_iot_loc_conf_t, cors),
      NULL },

    { ngx_string("iot_device_api"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_device },

    { ngx_string("iot_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_health },

    { ngx_string("iot_ready"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_ready },

    { ngx_string("iot_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_page },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_iot_module_ctx = {
    ngx_http_iot_add_variables,            /* preconfiguration */
    ngx_http_iot_init,                     /* postconfiguration */

    ngx_http_iot_create_main_conf,         /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_iot_create_loc_conf,          /* create location configuration */
    ngx_http_iot_merge_loc_conf            /* merge location configuration */
};


ngx_module_t  ngx_http_iot_module = {
    NGX_MODULE_V1,
    &ngx_http_iot_module_ctx,              /* module context */
    ngx_http_iot_commands,                 /* module directives */
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


static ngx_http_variable_t  ngx_http_iot_vars[] = {

    { ngx_string("iot_tenant"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, tenant), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_device"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, device), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_user"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, user), NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_http_iot_ctx_t *
ngx_http_iot_get_ctx(ngx_http_request_t *r)
{
    ngx_http_iot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);

    if (ctx == NULL) {
        ctx = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_ctx_t));
        if (ctx == NULL) {
            return NULL;
        }

        ngx_http_set_ctx(r, ctx, ngx_http_iot_module);
    }

    return ctx;
}


void
ngx_http_iot_set_ctx(ngx_http_request_t *r, ngx_iot_principal_t *principal)
{
    ngx_http_iot_ctx_t  *ctx;

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return;
    }

    if (principal->has_tenant) {
        (void) ngx_http_iot_copy(r->pool, &ctx->tenant, principal->tenant,
                                 sizeof(principal->tenant));
    }

    if (principal->has_device) {
        (void) ngx_http_iot_copy(r->pool, &ctx->device, principal->device,
                                 sizeof(principal->device));
    }

    if (principal->has_user) {
        (void) ngx_http_iot_copy(r->pool, &ctx->user, principal->user,
                                 sizeof(principal->user));
    }
}


ngx_int_t
ngx_http_iot_answered(ngx_http_request_t *r)
{
    ngx_http_iot_ctx_t  *ctx;

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_ERROR;
    }

    ctx->answered = 1;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_copy(ngx_pool_t *pool, ngx_str_t *dst, u_char *data, size_t len)
{
    u_char  *p;

    p = ngx_pnalloc(pool, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p, data, len);

    dst->data = p;
    dst->len = len;

    return NGX_OK;
}


ngx_http_iot_router_t *
ngx_http_iot_get_router(ngx_http_request_t *r, ngx_iot_dialect_t *dialect)
{
    ngx_uint_t                 i;
    ngx_http_iot_main_conf_t  *imcf;

    imcf = ngx_http_get_module_main_conf(r, ngx_http_iot_module);

    for (i = 0; ngx_http_iot_dialects[i]; i++) {
        if (ngx_http_iot_dialects[i] == dialect) {
            return imcf->routers[i];
        }
    }

    return NULL;
}


void *
ngx_http_iot_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


ngx_table_elt_t *
ngx_http_iot_find_header(ngx_http_request_t *r, char *name)
{
    size_t            len;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *header;

    len = ngx_strlen(name);

    part = &r->headers_in.headers.part;
    header = part->elts;

    for (i = 0; /* void */ ; i++) {

        if (i >= part->nelts) {
            if (part->next == NULL) {
                return NULL;
            }

            part = part->next;
            header = part->elts;
            i = 0;
        }

        if (header[i].key.len == len
            && ngx_strncmp(header[i].lowcase_key, name, len) == 0)
        {
            return &header[i];
        }
    }
}


static ngx_int_t
ngx_http_iot_variable(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t           *value;
    ngx_http_iot_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_iot_module);

    if (ctx == NULL) {
        v->not_found = 1;
        return NGX_OK;
    }

    value = (ngx_str_t *) ((char *) ctx + data);

    if (value->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->len = value->len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->data = value->data;

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_iot_vars; v->name.len; v++) {
        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


static void *
ngx_http_iot_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_iot_main_conf_t  *imcf;

    imcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iot_main_conf_t));
    if (imcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     imcf->routers = { NULL };
     *     imcf->device_locations = NULL;
     */

    return imcf;
}


static void *
ngx_http_iot_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_iot_loc_conf_t));
    if (ilcf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     ilcf->dialect = NULL;
     *     ilcf->handler = NULL;
     *     ilcf->refuse = NULL;
     */

    ilcf->cors = NGX_CONF_UNSET;

    return ilcf;
}


static char *
ngx_http_iot_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_iot_loc_conf_t  *prev = parent;
    ngx_http_iot_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_value(conf->cors, prev->cors, 1);

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->handler) {
        /* "if" and "limit_except" */
        conf->dialect = prev->dialect;
        conf->refuse = prev->refuse;
        conf->handler = prev->handler;
        clcf->handler = prev->handler;
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_iot_api(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iot_loc_conf_t *ilcf = conf;

    ngx_str_t                 *value;
    ngx_uint_t                 i;
    ngx_iot_dialect_t         *dialect;
    ngx_http_core_loc_conf_t  *clcf;
    ngx_http_iot_main_conf_t  *imcf;

    if (ilcf->handler) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; ngx_http_iot_dialects[i]; i++) {
        dialect = ngx_http_iot_dialects[i];

        if (dialect->name.len == value[1].len
            && ngx_strncmp(dialect->name.data, value[1].data, value[1].len)
               == 0)
        {
            goto found;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown API \"%V\"", &value[1]);

    return NGX_CONF_ERROR;

found:

    imcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_iot_module);

    if (imcf->routers[i] == NULL) {
        imcf->routers[i] = ngx_http_iot_router_create(cf, dialect->routes);

        if (imcf->routers[i] == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    ilcf->dialect = dialect;
    ilcf->refuse = ngx_http_iot_api_refuse;
    ilcf->handler = ngx_http_iot_call_start;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ngx_http_iot_call_start;

    return NGX_CONF_OK;
}


static char *
ngx_http_iot_set_handler(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_iot_loc_conf_t *ilcf = conf;

    ngx_http_handler_pt       *handler;
    ngx_http_core_loc_conf_t  *clcf;

    if (ilcf->handler) {
        return "is duplicate";
    }

    handler = cmd->post;
    ilcf->handler = *handler;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);
    clcf->handler = ilcf->handler;

    if (ilcf->handler == ngx_http_iot_device_handler) {
        ilcf->refuse = ngx_http_iot_device_refuse;

        if (ngx_http_iot_log_add_location(cf, &clcf->name) != NGX_OK) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_iot_init(ngx_conf_t *cf)
{
    if (ngx_http_iot_log_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_refuse_init(cf);
}
