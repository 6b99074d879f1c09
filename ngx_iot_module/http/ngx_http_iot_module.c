
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
static ngx_int_t ngx_http_iot_variable_cookies(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_iot_copy(ngx_pool_t *pool, ngx_str_t *dst,
    u_char *data, size_t len);
static void ngx_http_iot_set_name(ngx_http_request_t *r,
    ngx_http_iot_ctx_t *ctx, ngx_iot_principal_t *principal);

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
    &ngx_http_iot_thinger_dialect,
    NULL
};


static ngx_http_handler_pt  ngx_http_iot_device = ngx_http_iot_device_handler;
static ngx_http_handler_pt  ngx_http_iot_health = ngx_http_iot_health_handler;
static ngx_http_handler_pt  ngx_http_iot_ready = ngx_http_iot_ready_handler;
static ngx_http_handler_pt  ngx_http_iot_page = ngx_http_iot_metrics_handler;
static ngx_http_handler_pt  ngx_http_iot_endpoint =
    ngx_http_iot_gate_endpoint_handler;
static ngx_http_handler_pt  ngx_http_iot_logout =
    ngx_http_iot_gate_logout_handler;


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

    { ngx_string("iot_gate"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_HTTP_LIF_CONF
                        |NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_http_iot_gate,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iot_gate_cookie"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_iot_gate_cookie,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("iot_gate_endpoint"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_endpoint },

    { ngx_string("iot_gate_login_url"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_set_complex_value_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_iot_loc_conf_t, login_url),
      NULL },

    { ngx_string("iot_gate_logout"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS,
      ngx_http_iot_set_handler,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      &ngx_http_iot_logout },

    { ngx_string("iot_gate_realm"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_iot_gate_realm,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

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

    { ngx_string("iot_customer"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, customer), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_role"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, role), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_name"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, name), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_email"), NULL, ngx_http_iot_variable,
      offsetof(ngx_http_iot_ctx_t, email), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("iot_cookies"), NULL, ngx_http_iot_variable_cookies, 0,
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

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

    if (principal->has_customer) {
        (void) ngx_http_iot_copy(r->pool, &ctx->customer, principal->customer,
                                 sizeof(principal->customer));
    }

    switch (principal->role) {

    case NGX_IOT_SYSTEM:
        ngx_str_set(&ctx->role, "SYS_ADMIN");
        break;

    case NGX_IOT_TENANT:
        ngx_str_set(&ctx->role, "TENANT_ADMIN");
        break;

    case NGX_IOT_CUSTOMER:
        ngx_str_set(&ctx->role, "CUSTOMER_USER");
        break;

    case NGX_IOT_DEVICE:
        ngx_str_set(&ctx->role, "DEVICE");
        break;
    }

    ngx_http_iot_set_name(r, ctx, principal);
}


/* a name may hold what would end a header: such bytes, and "%", as %0A */

static void
ngx_http_iot_set_name(ngx_http_request_t *r, ngx_http_iot_ctx_t *ctx,
    ngx_iot_principal_t *principal)
{
    size_t      i;
    u_char     *p, ch;
    ngx_str_t  *name;

    name = &principal->name;

    p = ngx_pnalloc(r->pool, 3 * name->len + 1);
    if (p == NULL) {
        return;
    }

    ctx->name.data = p;

    for (i = 0; i < name->len; i++) {
        ch = name->data[i];

        if (ch < 0x20 || ch == 0x7f || ch == '%') {
            p = ngx_sprintf(p, "%%%02Xi", (ngx_int_t) ch);

        } else {
            *p++ = ch;
        }
    }

    ctx->name.len = p - ctx->name.data;

    if (principal->has_user) {
        ctx->email = ctx->name;
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


/* for the upstream, which has no business with the session of the user */

static ngx_int_t
ngx_http_iot_variable_cookies(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    ngx_str_t                 value, name;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    ngx_str_null(&name);

    if (ilcf->cookie) {
        name = ilcf->cookie->name;
    }

    if (ngx_http_iot_other_cookies(r, &name, &value) != NGX_OK) {
        return NGX_ERROR;
    }

    v->len = value.len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->data = value.data;

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
    ilcf->gate = NGX_CONF_UNSET_PTR;
    ilcf->cookie = NGX_CONF_UNSET_PTR;
    ilcf->login_url = NULL;

    return ilcf;
}


static char *
ngx_http_iot_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_iot_loc_conf_t  *prev = parent;
    ngx_http_iot_loc_conf_t  *conf = child;

    ngx_http_core_loc_conf_t  *clcf;

    ngx_conf_merge_value(conf->cors, prev->cors, 1);
    ngx_conf_merge_ptr_value(conf->gate, prev->gate, NULL);
    ngx_conf_merge_ptr_value(conf->cookie, prev->cookie, NULL);
    ngx_conf_merge_str_value(conf->realm, prev->realm, "");

    if (conf->login_url == NULL) {
        conf->login_url = prev->login_url;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->noname && clcf->handler == NULL && prev->handler) {
        /* "if" and "limit_except" */
        conf->dialect = prev->dialect;
        conf->refuse = prev->refuse;
        conf->handler = prev->handler;
        clcf->handler = prev->handler;
    }

    if (conf->handler == ngx_http_iot_gate_endpoint_handler
        && conf->gate == NULL)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"iot_gate_endpoint\" in \"%V\" needs \"iot_gate\"",
                      &clcf->name);
        return NGX_CONF_ERROR;
    }

    if (conf->handler == ngx_http_iot_gate_logout_handler
        && conf->cookie == NULL)
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"iot_gate_logout\" in \"%V\" needs "
                      "\"iot_gate_cookie\"", &clcf->name);
        return NGX_CONF_ERROR;
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
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    h = ngx_array_push(&cmcf->phases[NGX_HTTP_ACCESS_PHASE].handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    *h = ngx_http_iot_access_handler;

    if (ngx_http_iot_log_init(cf) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_refuse_init(cf);
}
