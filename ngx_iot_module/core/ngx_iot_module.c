
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <libpq-fe.h>
#include <sodium.h>

#include "ngx_iot_module.h"
#include "ngx_iot_sealer.h"
#include "ngx_iot_service.h"
#include "ngx_iot_slot.h"
#include "ngx_iot_zone.h"


static void *ngx_iot_create_conf(ngx_cycle_t *cycle);
static char *ngx_iot_init_conf(ngx_cycle_t *cycle, void *conf);
static ngx_int_t ngx_iot_init_process(ngx_cycle_t *cycle);
static void ngx_iot_exit_process(ngx_cycle_t *cycle);

static char *ngx_iot_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_iot_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf);
static char *ngx_iot_conninfo_resolve(ngx_conf_t *cf,
    ngx_iot_conninfo_t *conninfo, ngx_uint_t host, ngx_uint_t n);
static char *ngx_iot_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_iot_helper_public_key_file(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
static char *ngx_iot_secret_key_file(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static char *ngx_iot_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static ngx_conf_num_bounds_t  ngx_iot_connections_bounds = {
    ngx_conf_check_num_bounds, 1, 64
};

static ngx_conf_num_bounds_t  ngx_iot_queue_bounds = {
    ngx_conf_check_num_bounds, 1, 1000000
};

static ngx_conf_num_bounds_t  ngx_iot_batch_bounds = {
    ngx_conf_check_num_bounds, 1, 100000
};


static ngx_command_t  ngx_iot_commands[] = {

    { ngx_string("iot"),
      NGX_MAIN_CONF|NGX_DIRECT_CONF|NGX_CONF_BLOCK|NGX_CONF_NOARGS,
      ngx_iot_block,
      0,
      0,
      NULL },

    { ngx_string("database"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_iot_database,
      0,
      offsetof(ngx_iot_conf_t, database),
      NULL },

    { ngx_string("database_read"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_iot_database,
      0,
      offsetof(ngx_iot_conf_t, database_read),
      NULL },

    { ngx_string("database_role"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_str_slot,
      0,
      offsetof(ngx_iot_conf_t, role),
      NULL },

    { ngx_string("database_connections"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, call_connections),
      &ngx_iot_connections_bounds },

    { ngx_string("database_read_connections"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, read_connections),
      &ngx_iot_connections_bounds },

    { ngx_string("database_slow_connections"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, slow_connections),
      &ngx_iot_connections_bounds },

    { ngx_string("database_queue"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, queue),
      &ngx_iot_queue_bounds },

    { ngx_string("database_timeout"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_iot_conf_t, timeout),
      NULL },

    { ngx_string("database_slow_timeout"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_iot_conf_t, slow_timeout),
      NULL },

    { ngx_string("database_queue_timeout"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      0,
      offsetof(ngx_iot_conf_t, queue_timeout),
      NULL },

    { ngx_string("batch_rows"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, batch_rows),
      &ngx_iot_batch_bounds },

    { ngx_string("batch_copy"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, batch_copy),
      &ngx_iot_batch_bounds },

    { ngx_string("batch_queue"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, batch_queue),
      &ngx_iot_queue_bounds },

    { ngx_string("device_cache"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_num_slot,
      0,
      offsetof(ngx_iot_conf_t, device_cache),
      &ngx_iot_queue_bounds },

    { ngx_string("zone"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE2,
      ngx_iot_zone_directive,
      0,
      0,
      NULL },

    { ngx_string("secret_key_file"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_iot_secret_key_file,
      0,
      0,
      NULL },

    { ngx_string("helper_public_key_file"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_iot_helper_public_key_file,
      0,
      0,
      NULL },

    { ngx_string("thread_pool"),
      NGX_IOT_CONF|NGX_DIRECT_CONF|NGX_CONF_TAKE1,
      ngx_iot_thread_pool,
      0,
      0,
      NULL },

      ngx_null_command
};


static ngx_core_module_t  ngx_iot_module_ctx = {
    ngx_string("iot"),
    ngx_iot_create_conf,
    ngx_iot_init_conf
};


ngx_module_t  ngx_iot_module = {
    NGX_MODULE_V1,
    &ngx_iot_module_ctx,                   /* module context */
    ngx_iot_commands,                      /* module directives */
    NGX_CORE_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_iot_slot_init_module,              /* init module */
    ngx_iot_init_process,                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_iot_exit_process,                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


ngx_iot_conf_t *
ngx_iot_conf(void)
{
    return (ngx_iot_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_iot_module);
}


static void *
ngx_iot_create_conf(ngx_cycle_t *cycle)
{
    ngx_iot_conf_t  *icf;

    icf = ngx_pcalloc(cycle->pool, sizeof(ngx_iot_conf_t));
    if (icf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     icf->database = { NULL };
     *     icf->database_read = { NULL };
     *     icf->role = { 0, NULL };
     *     icf->zone = NULL;
     *     icf->secret_key_file = { 0, NULL };
     *     icf->seal_keys = { 0 };
     *     icf->thread_pool = NULL;
     *     icf->enabled = 0;
     */

    icf->call_connections = NGX_CONF_UNSET_UINT;
    icf->read_connections = NGX_CONF_UNSET_UINT;
    icf->slow_connections = NGX_CONF_UNSET_UINT;
    icf->queue = NGX_CONF_UNSET_UINT;
    icf->timeout = NGX_CONF_UNSET_MSEC;
    icf->slow_timeout = NGX_CONF_UNSET_MSEC;
    icf->queue_timeout = NGX_CONF_UNSET_MSEC;
    icf->batch_rows = NGX_CONF_UNSET_UINT;
    icf->batch_copy = NGX_CONF_UNSET_UINT;
    icf->batch_queue = NGX_CONF_UNSET_UINT;
    icf->device_cache = NGX_CONF_UNSET_UINT;

    return icf;
}


static char *
ngx_iot_init_conf(ngx_cycle_t *cycle, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    if (icf->role.data == NULL) {
        ngx_str_set(&icf->role, "iot_app");
    }

    ngx_conf_init_uint_value(icf->call_connections, 2);
    ngx_conf_init_uint_value(icf->read_connections, 1);
    ngx_conf_init_uint_value(icf->slow_connections, 2);
    ngx_conf_init_uint_value(icf->queue, 4096);
    ngx_conf_init_msec_value(icf->timeout, 5000);
    ngx_conf_init_msec_value(icf->slow_timeout, 60000);
    ngx_conf_init_msec_value(icf->queue_timeout, 3000);
    ngx_conf_init_uint_value(icf->batch_rows, 4096);
    ngx_conf_init_uint_value(icf->batch_copy, 16);
    ngx_conf_init_uint_value(icf->batch_queue, 65536);
    ngx_conf_init_uint_value(icf->device_cache, 65536);

    return NGX_CONF_OK;
}


static char *
ngx_iot_block(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    char        *rv;
    ngx_conf_t   save;

    if (icf->enabled) {
        return "is duplicate";
    }

    icf->enabled = 1;

    save = *cf;
    cf->cmd_type = NGX_IOT_CONF;

    rv = ngx_conf_parse(cf, NULL);

    *cf = save;

    if (rv != NGX_CONF_OK) {
        return rv;
    }

    if (icf->database.text.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"database\" in \"iot\": add the connection "
                           "string of a PostgreSQL database");
        return NGX_CONF_ERROR;
    }

    if (icf->zone == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"zone\" in \"iot\": add one, for example "
                           "\"zone iot 16m;\"");
        return NGX_CONF_ERROR;
    }

    if (icf->secret_key_file.len == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "no \"secret_key_file\" in \"iot\": name the file "
                           "that \"iotctl init\" made");
        return NGX_CONF_ERROR;
    }

    if (icf->thread_pool == NULL) {
        icf->thread_pool = ngx_thread_pool_add(cf, NULL);

        if (icf->thread_pool == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    return NGX_CONF_OK;
}


/*
 * libpq resolves host names with blocking calls, so a worker may only connect
 * to a socket directory or an address: names are resolved here, once.
 */

static char *
ngx_iot_database(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    char                *error;
    ngx_str_t           *value;
    ngx_uint_t           i, n, host, hostaddr;
    PQconninfoOption    *options, *o;
    ngx_iot_conninfo_t  *conninfo;

    conninfo = (ngx_iot_conninfo_t *) (p + cmd->offset);

    if (conninfo->text.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "must not be empty";
    }

    options = PQconninfoParse((char *) value[1].data, &error);

    if (options == NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid connection string in \"%V\": %s",
                           &value[0], error ? error : "no memory");
        PQfreemem(error);
        return NGX_CONF_ERROR;
    }

    for (n = 0, o = options; o->keyword; o++) {
        n++;
    }

    /* room for hostaddr, a fallback application name and the end */

    conninfo->keywords = ngx_pcalloc(cf->pool, (n + 3) * sizeof(char *));
    conninfo->values = ngx_pcalloc(cf->pool, (n + 3) * sizeof(char *));

    if (conninfo->keywords == NULL || conninfo->values == NULL) {
        PQconninfoFree(options);
        return NGX_CONF_ERROR;
    }

    host = NGX_CONF_UNSET_UINT;
    hostaddr = 0;

    for (i = 0, o = options; o->keyword; o++) {

        if (o->val == NULL) {
            continue;
        }

        conninfo->keywords[i] = ngx_palloc(cf->pool, strlen(o->keyword) + 1);
        conninfo->values[i] = ngx_palloc(cf->pool, strlen(o->val) + 1);

        if (conninfo->keywords[i] == NULL || conninfo->values[i] == NULL) {
            PQconninfoFree(options);
            return NGX_CONF_ERROR;
        }

        ngx_memcpy(conninfo->keywords[i], o->keyword, strlen(o->keyword) + 1);
        ngx_memcpy(conninfo->values[i], o->val, strlen(o->val) + 1);

        if (ngx_strcmp(o->keyword, "host") == 0) {
            host = i;
        }

        if (ngx_strcmp(o->keyword, "hostaddr") == 0) {
            hostaddr = 1;
        }

        i++;
    }

    PQconninfoFree(options);

    conninfo->keywords[i] = "fallback_application_name";
    conninfo->values[i] = "ngx_iot";
    conninfo->text = value[1];

    if (host == NGX_CONF_UNSET_UINT || hostaddr) {
        return NGX_CONF_OK;
    }

    return ngx_iot_conninfo_resolve(cf, conninfo, host, i + 1);
}


static char *
ngx_iot_conninfo_resolve(ngx_conf_t *cf, ngx_iot_conninfo_t *conninfo,
    ngx_uint_t host, ngx_uint_t n)
{
    char       *p, *text;
    ngx_url_t   u;

    text = conninfo->values[host];

    if (text[0] == '/' || text[0] == '@' || text[0] == '\0'
        || ngx_strchr(text, ':') != NULL)
    {
        /* a directory, or an IPv6 address, which cannot block */
        return NGX_CONF_OK;
    }

    if (ngx_strchr(text, ',') != NULL) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "several hosts by name in \"database\": give "
                           "their addresses in \"hostaddr\"");
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));
    u.url.data = (u_char *) text;
    u.url.len = strlen(text);
    u.host = u.url;
    u.default_port = 5432;

    if (ngx_parse_url(cf->pool, &u) != NGX_OK || u.naddrs == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "host \"%s\" in \"database\" cannot be resolved: "
                           "%s", text, u.err ? u.err : "no address");
        return NGX_CONF_ERROR;
    }

    p = ngx_pcalloc(cf->pool, NGX_SOCKADDR_STRLEN + 1);
    if (p == NULL) {
        return NGX_CONF_ERROR;
    }

    (void) ngx_sock_ntop(u.addrs[0].sockaddr, u.addrs[0].socklen,
                         (u_char *) p, NGX_SOCKADDR_STRLEN, 0);

    conninfo->keywords[n] = "hostaddr";
    conninfo->values[n] = p;

    return NGX_CONF_OK;
}


static char *
ngx_iot_zone_directive(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    ssize_t     size;
    ngx_str_t  *value;

    if (icf->zone) {
        return "is duplicate";
    }

    value = cf->args->elts;

    size = ngx_parse_size(&value[2]);

    if (size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid size \"%V\" in \"zone\": write it as "
                           "\"16m\"", &value[2]);
        return NGX_CONF_ERROR;
    }

    if (size < 1024 * 1024) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "zone \"%V\" is too small: 1m is the least, 16m "
                           "serves some 50,000 devices", &value[1]);
        return NGX_CONF_ERROR;
    }

    return ngx_iot_zone_add(cf, &value[1], size, &icf->zone);
}


static char *
ngx_iot_secret_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    ngx_str_t  *value;

    if (icf->secret_key_file.data) {
        return "is duplicate";
    }

    value = cf->args->elts;
    icf->secret_key_file = value[1];

    if (ngx_iot_key_file(cf, &cmd->name, &icf->secret_key_file,
                         icf->secret_key)
        != NGX_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_iot_seal_worker_key(&icf->seal_keys, icf->secret_key);

    return NGX_CONF_OK;
}


static char *
ngx_iot_helper_public_key_file(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    u_char      key[NGX_IOT_SEAL_KEY_SIZE];
    ngx_str_t  *value;

    if (icf->seal_keys.have_public) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_iot_key_file(cf, &cmd->name, &value[1], key) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_iot_seal_public_key(&icf->seal_keys, key);

    return NGX_CONF_OK;
}


static char *
ngx_iot_thread_pool(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_iot_conf_t *icf = conf;

    ngx_str_t  *value;

    if (icf->thread_pool) {
        return "is duplicate";
    }

    value = cf->args->elts;

    icf->thread_pool = ngx_thread_pool_add(cf, &value[1]);

    return icf->thread_pool ? NGX_CONF_OK : NGX_CONF_ERROR;
}


/*
 * An error here would end the worker for good, without another try: whatever
 * is missing is logged, and the worker answers 503 until it is there.
 */

static ngx_int_t
ngx_iot_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    if (!ngx_iot_conf()->enabled) {
        return NGX_OK;
    }

    if (sodium_init() < 0) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0, "sodium_init() failed");
    }

    for (i = 0; ngx_iot_services[i].name; i++) {

        if (ngx_iot_services[i].init(cycle) != NGX_OK) {
            ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                          "iot service \"%s\" could not start",
                          ngx_iot_services[i].name);
        }
    }

    return NGX_OK;
}


static void
ngx_iot_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t  i;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return;
    }

    if (!ngx_iot_conf()->enabled) {
        return;
    }

    for (i = 0; ngx_iot_services[i].name; i++) {
        /* void */
    }

    while (i--) {
        if (ngx_iot_services[i].exit) {
            ngx_iot_services[i].exit(cycle);
        }
    }
}
