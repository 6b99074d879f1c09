
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_limit.h"
#include "ngx_http_iot_rate.h"


#define NGX_HTTP_IOT_RATE_MAX      4096     /* tenants that are remembered */
#define NGX_HTTP_IOT_RATE_VALID    60       /* seconds */
#define NGX_HTTP_IOT_RATE_FAILED   1


typedef struct {
    ngx_str_node_t     sn;
    ngx_queue_t        queue;
    time_t             expires;
    ngx_iot_limit_t    tenant;
    ngx_iot_limit_t    customer;
    u_char             id[36];
} ngx_http_iot_rate_t;


static ngx_http_iot_rate_t *ngx_http_iot_rate_find(u_char *tenant);
static ngx_http_iot_rate_t *ngx_http_iot_rate_create(u_char *tenant);
static void ngx_http_iot_rate_forget(ngx_http_iot_rate_t *rate);
static ngx_int_t ngx_http_iot_rate_load(ngx_http_iot_call_t *call,
    ngx_http_iot_call_pt next);
static void ngx_http_iot_rate_loaded(ngx_http_iot_call_t *call);
static void ngx_http_iot_rate_column(ngx_http_iot_call_t *call, PGresult *res,
    int column, ngx_iot_limit_t *limit);
static ngx_int_t ngx_http_iot_rate_busy(ngx_http_iot_call_t *call,
    char *message, ngx_uint_t retry_after);
static void ngx_http_iot_rate_notified(ngx_str_t *what, ngx_str_t *id);


static ngx_iot_db_stmt_t  ngx_http_iot_rate_stmt =
    ngx_iot_db_stmt("SELECT * FROM iot.tenant_rest_limits($1::uuid)");

/* of this worker */

static ngx_rbtree_t       ngx_http_iot_rate_tree;
static ngx_rbtree_node_t  ngx_http_iot_rate_sentinel;
static ngx_queue_t        ngx_http_iot_rate_queue;
static ngx_uint_t         ngx_http_iot_rate_n;


ngx_int_t
ngx_http_iot_rate(ngx_http_iot_call_t *call, ngx_http_iot_call_pt next)
{
    ngx_str_t             tenant, customer;
    ngx_uint_t            retry_after;
    ngx_http_iot_rate_t  *rate;

    if (!call->principal.has_tenant || call->unlimited) {
        return NGX_OK;
    }

    rate = ngx_http_iot_rate_find(call->principal.tenant);

    if (rate == NULL) {
        return ngx_http_iot_rate_load(call, next);
    }

    tenant.data = call->principal.tenant;
    tenant.len = sizeof(call->principal.tenant);

    customer.data = call->principal.customer;
    customer.len = sizeof(call->principal.customer);

    if (call->principal.has_customer && rate->customer.n
        && ngx_iot_limit_take(&rate->customer, "rest_customer", &customer, 1,
                              &retry_after)
           != NGX_OK)
    {
        return ngx_http_iot_rate_busy(call,
                           "Too many requests for current customer!",
                           retry_after);
    }

    if (rate->tenant.n
        && ngx_iot_limit_take(&rate->tenant, "rest_tenant", &tenant, 1,
                              &retry_after)
           != NGX_OK)
    {
        if (call->principal.has_customer && rate->customer.n) {
            ngx_iot_limit_give(&rate->customer, "rest_customer", &customer, 1);
        }

        return ngx_http_iot_rate_busy(call,
                           "Too many requests for current tenant!",
                           retry_after);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_rate_busy(ngx_http_iot_call_t *call, char *message,
    ngx_uint_t retry_after)
{
    ngx_iot_error_set(&call->error, NGX_HTTP_TOO_MANY_REQUESTS,
                      "too_many_requests", message);

    call->error.retry_after = retry_after ? retry_after : 1;

    return NGX_BUSY;
}


static ngx_http_iot_rate_t *
ngx_http_iot_rate_find(u_char *tenant)
{
    uint32_t              hash;
    ngx_str_t             name;
    ngx_str_node_t       *sn;
    ngx_http_iot_rate_t  *rate;

    name.data = tenant;
    name.len = 36;

    hash = ngx_crc32_short(tenant, 36);

    sn = ngx_str_rbtree_lookup(&ngx_http_iot_rate_tree, &name, hash);
    if (sn == NULL) {
        return NULL;
    }

    rate = (ngx_http_iot_rate_t *) sn;

    if (rate->expires <= ngx_time()) {
        ngx_http_iot_rate_forget(rate);
        return NULL;
    }

    ngx_queue_remove(&rate->queue);
    ngx_queue_insert_head(&ngx_http_iot_rate_queue, &rate->queue);

    return rate;
}


static ngx_http_iot_rate_t *
ngx_http_iot_rate_create(u_char *tenant)
{
    ngx_queue_t          *q;
    ngx_http_iot_rate_t  *rate;

    /* another call may have been quicker */

    rate = ngx_http_iot_rate_find(tenant);
    if (rate) {
        return rate;
    }

    if (ngx_http_iot_rate_n >= NGX_HTTP_IOT_RATE_MAX) {
        q = ngx_queue_last(&ngx_http_iot_rate_queue);
        ngx_http_iot_rate_forget(ngx_queue_data(q, ngx_http_iot_rate_t,
                                                queue));
    }

    rate = ngx_calloc(sizeof(ngx_http_iot_rate_t), ngx_cycle->log);
    if (rate == NULL) {
        return NULL;
    }

    ngx_memcpy(rate->id, tenant, sizeof(rate->id));

    rate->sn.str.data = rate->id;
    rate->sn.str.len = sizeof(rate->id);
    rate->sn.node.key = ngx_crc32_short(tenant, sizeof(rate->id));

    ngx_rbtree_insert(&ngx_http_iot_rate_tree, &rate->sn.node);
    ngx_queue_insert_head(&ngx_http_iot_rate_queue, &rate->queue);
    ngx_http_iot_rate_n++;

    return rate;
}


static void
ngx_http_iot_rate_forget(ngx_http_iot_rate_t *rate)
{
    ngx_rbtree_delete(&ngx_http_iot_rate_tree, &rate->sn.node);
    ngx_queue_remove(&rate->queue);
    ngx_http_iot_rate_n--;

    ngx_free(rate);
}


static ngx_int_t
ngx_http_iot_rate_load(ngx_http_iot_call_t *call, ngx_http_iot_call_pt next)
{
    ngx_str_t           tenant;
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_call_db_create(call, NGX_IOT_DB_READ,
                                     &ngx_http_iot_rate_stmt);
    if (db == NULL) {
        return NGX_OK;
    }

    tenant.data = call->principal.tenant;
    tenant.len = sizeof(call->principal.tenant);

    if (ngx_iot_db_text(db, &tenant) != NGX_OK) {
        call->db = NULL;
        ngx_destroy_pool(db->pool);
        return NGX_OK;
    }

    call->rated = next;

    (void) ngx_http_iot_call_db_send(call, ngx_http_iot_rate_loaded);

    return NGX_AGAIN;
}


/*
 * When the limits cannot be read, nothing is limited for a moment: the call
 * itself will tell its client what is wrong with the database.
 */

static void
ngx_http_iot_rate_loaded(ngx_http_iot_call_t *call)
{
    PGresult             *res;
    ngx_http_iot_rate_t  *rate;

    rate = ngx_http_iot_rate_create(call->principal.tenant);

    if (rate == NULL) {
        call->unlimited = 1;

    } else {
        res = (call->db->rc == NGX_OK) ? call->db->result : NULL;

        rate->tenant.n = 0;
        rate->customer.n = 0;
        rate->expires = ngx_time() + NGX_HTTP_IOT_RATE_FAILED;

        if (res && PQnfields(res) == 2) {
            rate->expires = ngx_time() + NGX_HTTP_IOT_RATE_VALID;

            if (PQntuples(res) == 1) {
                ngx_http_iot_rate_column(call, res, 0, &rate->tenant);
                ngx_http_iot_rate_column(call, res, 1, &rate->customer);
            }
        }
    }

    call->rated(call);
}


static void
ngx_http_iot_rate_column(ngx_http_iot_call_t *call, PGresult *res, int column,
    ngx_iot_limit_t *limit)
{
    ngx_str_t  text;

    text.data = (u_char *) PQgetvalue(res, 0, column);
    text.len = PQgetlength(res, 0, column);

    if (ngx_iot_limit_parse(limit, &text) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "invalid rate limit \"%V\" of tenant %*s", &text,
                      sizeof(call->principal.tenant), call->principal.tenant);
    }
}


/* rare enough to forget everything: a profile serves many tenants */

static void
ngx_http_iot_rate_notified(ngx_str_t *what, ngx_str_t *id)
{
    ngx_queue_t  *q;

    if ((what->len < 6 || ngx_strncmp(what->data, "tenant", 6) != 0)
        && (what->len != 5 || ngx_strncmp(what->data, "reset", 5) != 0))
    {
        return;
    }

    while (!ngx_queue_empty(&ngx_http_iot_rate_queue)) {
        q = ngx_queue_head(&ngx_http_iot_rate_queue);
        ngx_http_iot_rate_forget(ngx_queue_data(q, ngx_http_iot_rate_t,
                                                queue));
    }
}


ngx_int_t
ngx_http_iot_rate_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_http_iot_rate_tree, &ngx_http_iot_rate_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_http_iot_rate_queue);
    ngx_http_iot_rate_n = 0;

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    return ngx_iot_db_on_notify(ngx_http_iot_rate_notified);
}
