
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_db.h"
#include "ngx_iot_rates.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_RATES_UNUSED  4096     /* tenants; more only while held */
#define NGX_IOT_RATES_RETRY   1        /* seconds */


typedef struct {
    ngx_str_t   name;
    size_t      offset;
} ngx_iot_rates_name_t;


static ngx_iot_rates_t *ngx_iot_rates_lookup(u_char *tenant);
static ngx_iot_rates_t *ngx_iot_rates_create(u_char *tenant);
static void ngx_iot_rates_forget(ngx_iot_rates_t *rates);
static ngx_uint_t ngx_iot_rates_current(ngx_iot_rates_t *rates);
static ngx_int_t ngx_iot_rates_load(ngx_iot_rates_t *rates);
static void ngx_iot_rates_loaded(ngx_iot_db_call_t *call);
static void ngx_iot_rates_fill(ngx_iot_rates_t *rates, PGresult *res);
static void ngx_iot_rates_set(ngx_iot_rates_t *rates, ngx_str_t *name,
    ngx_str_t *text);
static void ngx_iot_rates_rules(ngx_iot_rates_t *rates, PGresult *res);
static ngx_uint_t ngx_iot_rates_is_rule(PGresult *res, int row);
static void ngx_iot_rates_notified(ngx_str_t *what, ngx_str_t *id);


#define ngx_iot_rates_transport(name, owner)                                  \
    { ngx_string("transport" name "MsgRateLimit"),                            \
      offsetof(ngx_iot_rates_t, transport[owner][NGX_IOT_RATES_MESSAGES]) },  \
    { ngx_string("transport" name "TelemetryMsgRateLimit"),                   \
      offsetof(ngx_iot_rates_t, transport[owner][NGX_IOT_RATES_TELEMETRY]) }, \
    { ngx_string("transport" name "TelemetryDataPointsRateLimit"),            \
      offsetof(ngx_iot_rates_t, transport[owner][NGX_IOT_RATES_POINTS]) }


/* members of the profile's configuration */

static ngx_iot_rates_name_t  ngx_iot_rates_names[] = {

    ngx_iot_rates_transport("Tenant", NGX_IOT_RATES_TENANT),
    ngx_iot_rates_transport("Device", NGX_IOT_RATES_DEVICE),
    ngx_iot_rates_transport("Gateway", NGX_IOT_RATES_GATEWAY),
    ngx_iot_rates_transport("GatewayDevice", NGX_IOT_RATES_BEHIND),

    { ngx_string("tenantServerRestLimitsConfiguration"),
      offsetof(ngx_iot_rates_t, rest_tenant) },

    { ngx_string("customerServerRestLimitsConfiguration"),
      offsetof(ngx_iot_rates_t, rest_customer) },

    { ngx_null_string, 0 }
};


static ngx_iot_db_stmt_t  ngx_iot_rates_stmt = ngx_iot_db_stmt(
    "SELECT profile_id, name, rate FROM iot.tenant_rates($1::uuid)");

/* of this worker */

static ngx_rbtree_t       ngx_iot_rates_tree;
static ngx_rbtree_node_t  ngx_iot_rates_sentinel;
static ngx_queue_t        ngx_iot_rates_unused;
static ngx_uint_t         ngx_iot_rates_n;
static ngx_uint_t         ngx_iot_rates_epoch;

/* the setting that the rules are, also what their rows are called */
static ngx_str_t          ngx_iot_rates_rules_name =
    ngx_string("mqtt.topic_rules");


ngx_int_t
ngx_iot_rates_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_rates_tree, &ngx_iot_rates_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_rates_unused);
    ngx_iot_rates_n = 0;

    return ngx_iot_db_on_notify(ngx_iot_rates_notified);
}


/* rules of the server are those of every tenant that has none */

static void
ngx_iot_rates_notified(ngx_str_t *what, ngx_str_t *id)
{
    if (what->len == sizeof("settings") - 1
        && ngx_strncmp(what->data, "settings", what->len) == 0
        && id->len == ngx_iot_rates_rules_name.len
        && ngx_strncmp(id->data, ngx_iot_rates_rules_name.data, id->len) == 0)
    {
        ngx_iot_rates_epoch++;
    }
}


ngx_int_t
ngx_iot_rates_find(u_char *tenant, ngx_iot_rates_t **found,
    ngx_iot_rates_wait_t *wait)
{
    ngx_uint_t        current;
    ngx_iot_rates_t  *rates;

    rates = ngx_iot_rates_lookup(tenant);

    if (rates == NULL) {
        rates = ngx_iot_rates_create(tenant);
        if (rates == NULL) {
            return NGX_ERROR;
        }
    }

    current = ngx_iot_rates_current(rates);

    if (rates->expires == 0 && !ngx_iot_db_listening()) {
        /* there may be changes that nobody has told us */
        current = 0;
    }

    if (current || ngx_iot_rates_load(rates) != NGX_OK) {
        ngx_iot_rates_hold(rates);
        *found = rates;

        return NGX_OK;
    }

    wait->active = 1;
    ngx_queue_insert_tail(&rates->waiting, &wait->queue);

    return NGX_AGAIN;
}


static ngx_iot_rates_t *
ngx_iot_rates_lookup(u_char *tenant)
{
    uint32_t   hash;
    ngx_str_t  name;

    name.data = tenant;
    name.len = sizeof(((ngx_iot_rates_t *) 0)->id);

    hash = ngx_murmur_hash2(name.data, name.len);

    return (ngx_iot_rates_t *) ngx_str_rbtree_lookup(&ngx_iot_rates_tree,
                                                     &name, hash);
}


static ngx_iot_rates_t *
ngx_iot_rates_create(u_char *tenant)
{
    ngx_queue_t      *q;
    ngx_iot_rates_t  *rates;

    while (ngx_iot_rates_n >= NGX_IOT_RATES_UNUSED
           && !ngx_queue_empty(&ngx_iot_rates_unused))
    {
        q = ngx_queue_last(&ngx_iot_rates_unused);
        ngx_iot_rates_forget(ngx_queue_data(q, ngx_iot_rates_t, unused));
    }

    rates = ngx_calloc(sizeof(ngx_iot_rates_t), ngx_cycle->log);
    if (rates == NULL) {
        return NULL;
    }

    ngx_memcpy(rates->id, tenant, sizeof(rates->id));

    rates->node.str.data = rates->id;
    rates->node.str.len = sizeof(rates->id);
    rates->node.node.key = ngx_murmur_hash2(rates->id, sizeof(rates->id));

    /* not current from the beginning */
    rates->expires = ngx_time();

    ngx_queue_init(&rates->waiting);
    ngx_rbtree_insert(&ngx_iot_rates_tree, &rates->node.node);
    ngx_queue_insert_head(&ngx_iot_rates_unused, &rates->unused);
    ngx_iot_rates_n++;

    return rates;
}


static void
ngx_iot_rates_forget(ngx_iot_rates_t *rates)
{
    ngx_rbtree_delete(&ngx_iot_rates_tree, &rates->node.node);
    ngx_queue_remove(&rates->unused);
    ngx_iot_rates_n--;

    if (rates->rules) {
        ngx_free(rates->rules);
    }

    ngx_free(rates);
}


void
ngx_iot_rates_hold(ngx_iot_rates_t *rates)
{
    if (rates->refs++ == 0) {
        ngx_queue_remove(&rates->unused);
    }
}


void
ngx_iot_rates_keep(ngx_iot_rates_t *rates)
{
    ngx_iot_rates_hold(rates);
}


void
ngx_iot_rates_release(ngx_iot_rates_t *rates)
{
    if (--rates->refs == 0) {
        ngx_queue_insert_head(&ngx_iot_rates_unused, &rates->unused);
    }
}


void
ngx_iot_rates_unwait(ngx_iot_rates_wait_t *wait)
{
    if (wait->active) {
        wait->active = 0;
        ngx_queue_remove(&wait->queue);
    }
}


static ngx_uint_t
ngx_iot_rates_current(ngx_iot_rates_t *rates)
{
    if (rates->expires) {
        return ngx_time() < rates->expires;
    }

    return rates->rules_epoch == ngx_iot_rates_epoch
           && *rates->tags[0] == rates->seen_tags[0]
           && *rates->tags[1] == rates->seen_tags[1];
}


void
ngx_iot_rates_refresh(ngx_iot_rates_t *rates)
{
    if (!ngx_iot_rates_current(rates)) {
        (void) ngx_iot_rates_load(rates);
    }
}


static ngx_int_t
ngx_iot_rates_load(ngx_iot_rates_t *rates)
{
    ngx_str_t           tenant;
    ngx_iot_db_call_t  *call;

    if (rates->loading) {
        return NGX_OK;
    }

    /* a replica may not have heard yet of what made us ask */

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_rates_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        goto failed;
    }

    tenant.data = rates->id;
    tenant.len = sizeof(rates->id);

    call->data = rates;
    call->done = ngx_iot_rates_loaded;

    if (ngx_iot_db_text(call, &tenant) != NGX_OK
        || ngx_iot_db_send(call) != NGX_OK)
    {
        ngx_destroy_pool(call->pool);
        goto failed;
    }

    rates->changes = ngx_iot_zone_changes();
    rates->loading = 1;

    ngx_iot_rates_hold(rates);

    return NGX_OK;

failed:

    rates->expires = ngx_time() + NGX_IOT_RATES_RETRY;

    return NGX_ERROR;
}


static void
ngx_iot_rates_loaded(ngx_iot_db_call_t *call)
{
    ngx_queue_t           *q;
    ngx_iot_rates_t       *rates;
    ngx_iot_rates_wait_t  *wait;

    rates = call->data;
    rates->loading = 0;

    if (call->rc == NGX_OK) {
        ngx_iot_rates_fill(rates, call->result);
    }

    if (call->rc != NGX_OK || !ngx_iot_db_listening()) {
        rates->expires = ngx_time() + NGX_IOT_RATES_RETRY;

    } else if (rates->changes != ngx_iot_zone_changes()) {
        /* good enough for those who wait, not for the next */
        rates->expires = ngx_time();
    }

    while (!ngx_queue_empty(&rates->waiting)) {
        q = ngx_queue_head(&rates->waiting);
        wait = ngx_queue_data(q, ngx_iot_rates_wait_t, queue);

        ngx_iot_rates_unwait(wait);
        ngx_iot_rates_hold(rates);

        wait->found(wait, rates);
    }

    ngx_iot_rates_release(rates);
}


/* rows of profile, name and rate; without a rate, one with the profile */

static void
ngx_iot_rates_fill(ngx_iot_rates_t *rates, PGresult *res)
{
    int         i;
    ngx_str_t   id, name, text;
    ngx_uint_t  owner, kind;

    ngx_memzero(&rates->rest_tenant, sizeof(ngx_iot_limit_t));
    ngx_memzero(&rates->rest_customer, sizeof(ngx_iot_limit_t));
    ngx_memzero(rates->transport, sizeof(rates->transport));

    rates->limited = 0;
    rates->disabled = 0;
    rates->expires = 0;

    id.data = rates->id;
    id.len = sizeof(rates->id);

    rates->tags[0] = ngx_iot_zone_tag(&id);
    rates->tags[1] = rates->tags[0];

    for (i = 0; i < PQntuples(res); i++) {

        if (i == 0) {
            id.data = (u_char *) PQgetvalue(res, 0, 0);
            id.len = PQgetlength(res, 0, 0);
            rates->tags[1] = ngx_iot_zone_tag(&id);
        }

        if (ngx_iot_rates_is_rule(res, i)) {
            continue;
        }

        name.data = (u_char *) PQgetvalue(res, i, 1);
        name.len = PQgetlength(res, i, 1);
        text.data = (u_char *) PQgetvalue(res, i, 2);
        text.len = PQgetlength(res, i, 2);

        if (name.len == sizeof("disabled") - 1
            && ngx_strncmp(name.data, "disabled", name.len) == 0)
        {
            rates->disabled = 1;
            continue;
        }

        ngx_iot_rates_set(rates, &name, &text);
    }

    rates->seen_tags[0] = *rates->tags[0];
    rates->seen_tags[1] = *rates->tags[1];
    rates->rules_epoch = ngx_iot_rates_epoch;

    ngx_iot_rates_rules(rates, res);

    for (owner = 0; owner < NGX_IOT_RATES_OWNERS; owner++) {
        for (kind = 0; kind < NGX_IOT_RATES_KINDS; kind++) {

            if (rates->transport[owner][kind].n) {
                rates->limited = 1;
            }
        }
    }
}


static void
ngx_iot_rates_set(ngx_iot_rates_t *rates, ngx_str_t *name, ngx_str_t *text)
{
    ngx_iot_limit_t       *limit;
    ngx_iot_rates_name_t  *n;

    for (n = ngx_iot_rates_names; n->name.len; n++) {

        if (n->name.len != name->len
            || ngx_memcmp(n->name.data, name->data, name->len) != 0)
        {
            continue;
        }

        limit = (ngx_iot_limit_t *) ((u_char *) rates + n->offset);

        if (ngx_iot_limit_parse(limit, text) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "invalid %V \"%V\" of tenant %*s", name, text,
                          sizeof(rates->id), rates->id);
        }

        return;
    }
}


/* Without memory the former ones stay, and are tried again. */

static void
ngx_iot_rates_rules(ngx_iot_rates_t *rates, PGresult *res)
{
    int                    i;
    size_t                 size;
    u_char                *p;
    ngx_str_t              line;
    ngx_uint_t             n;
    ngx_iot_topic_rule_t  *rules;

    n = 0;
    size = 0;
    rules = NULL;

    for (i = 0; i < PQntuples(res); i++) {
        if (ngx_iot_rates_is_rule(res, i)) {
            n++;
            size += sizeof(ngx_iot_topic_rule_t) + PQgetlength(res, i, 2);
        }
    }

    if (n) {
        rules = ngx_alloc(size, ngx_cycle->log);

        if (rules == NULL) {
            rates->expires = ngx_time() + NGX_IOT_RATES_RETRY;
            return;
        }
    }

    if (rates->rules) {
        ngx_free(rates->rules);
    }

    rates->rules = rules;
    rates->nrules = 0;

    p = (u_char *) (rules + n);

    for (i = 0; i < PQntuples(res); i++) {

        if (!ngx_iot_rates_is_rule(res, i)) {
            continue;
        }

        line.data = p;
        line.len = PQgetlength(res, i, 2);
        p = ngx_cpymem(p, PQgetvalue(res, i, 2), line.len);

        if (ngx_iot_topic_rule_parse(&line, &rules[rates->nrules]) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "invalid topic rule \"%V\" of tenant %*s", &line,
                          sizeof(rates->id), rates->id);
            continue;
        }

        rates->nrules++;
    }
}


static ngx_uint_t
ngx_iot_rates_is_rule(PGresult *res, int row)
{
    return (size_t) PQgetlength(res, row, 1) == ngx_iot_rates_rules_name.len
           && ngx_memcmp(PQgetvalue(res, row, 1),
                         ngx_iot_rates_rules_name.data,
                         ngx_iot_rates_rules_name.len)
              == 0;
}
