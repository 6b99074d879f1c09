
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_basic.h"
#include "../core/ngx_iot_metrics.h"
#include "../core/ngx_iot_module.h"
#include "../core/ngx_iot_settings.h"
#include "ngx_http_iot_access.h"
#include "ngx_http_iot_module.h"


/*
 * credential -> principal -> conditions -> permissions -> in
 *
 * Whatever goes wrong on the way, nobody is let in.
 */


typedef struct {
    char    *key;
    size_t   offset;
} ngx_http_iot_gate_header_t;


static ngx_http_iot_gate_t *ngx_http_iot_gate_create(ngx_http_request_t *r,
    ngx_http_iot_gate_conf_t *conf);
static void ngx_http_iot_gate_cleanup(void *data);
static ngx_int_t ngx_http_iot_gate_start(ngx_http_iot_gate_t *gate);
static ngx_int_t ngx_http_iot_gate_bearer(ngx_http_iot_gate_t *gate);
static ngx_int_t ngx_http_iot_gate_basic(ngx_http_iot_gate_t *gate);
static void ngx_http_iot_gate_user(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_gate_device(ngx_http_iot_gate_t *gate);
static void ngx_http_iot_gate_device_found(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_gate_device_enters(ngx_http_iot_gate_t *gate,
    ngx_iot_device_t *device);
static ngx_int_t ngx_http_iot_gate_failed(ngx_http_iot_gate_t *gate,
    ngx_iot_error_t *err);
static ngx_int_t ngx_http_iot_gate_check(ngx_http_iot_gate_t *gate,
    ngx_iot_principal_t *principal);
static ngx_int_t ngx_http_iot_gate_may(ngx_http_iot_gate_t *gate);
static void ngx_http_iot_gate_may_done(ngx_iot_db_call_t *call);
static ngx_int_t ngx_http_iot_gate_keep(ngx_http_iot_gate_t *gate);
static void ngx_http_iot_gate_finish(ngx_http_iot_gate_t *gate,
    ngx_int_t rc);
static ngx_int_t ngx_http_iot_gate_answer(ngx_http_iot_gate_t *gate);
static ngx_int_t ngx_http_iot_gate_challenge(ngx_http_request_t *r);
static ngx_uint_t ngx_http_iot_gate_for_people(ngx_http_request_t *r);
static ngx_int_t ngx_http_iot_gate_redirect(ngx_http_request_t *r,
    ngx_str_t *url);
static ngx_int_t ngx_http_iot_gate_endpoint_send(ngx_http_request_t *r,
    ngx_int_t rc);


static ngx_http_iot_gate_header_t  ngx_http_iot_gate_headers[] = {
    { "X-Iot-Tenant", offsetof(ngx_http_iot_ctx_t, tenant) },
    { "X-Iot-Customer", offsetof(ngx_http_iot_ctx_t, customer) },
    { "X-Iot-User", offsetof(ngx_http_iot_ctx_t, user) },
    { "X-Iot-Device", offsetof(ngx_http_iot_ctx_t, device) },
    { "X-Iot-Role", offsetof(ngx_http_iot_ctx_t, role) },
    { "X-Iot-Name", offsetof(ngx_http_iot_ctx_t, name) },
    { NULL, 0 }
};


static ngx_iot_db_stmt_t  ngx_http_iot_gate_stmt = ngx_iot_db_stmt(
    "SELECT iot.gate_may($1, $2, $3)");


ngx_int_t
ngx_http_iot_access_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_iot_ctx_t       *ctx;
    ngx_http_iot_gate_t      *gate;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ilcf->gate == NULL
        || ilcf->handler == ngx_http_iot_gate_endpoint_handler)
    {
        return NGX_DECLINED;
    }

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    gate = ctx->gate;

    if (gate) {
        return gate->done ? ngx_http_iot_gate_answer(gate) : NGX_AGAIN;
    }

    gate = ngx_http_iot_gate_create(r, ilcf->gate);
    if (gate == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->gate = gate;

    rc = ngx_http_iot_gate_start(gate);

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    gate->rc = rc;
    gate->done = 1;

    return ngx_http_iot_gate_answer(gate);
}


/*
 * The same as an answer, for the auth_request of this or another nginx.  A
 * subrequest has no access phase; what was asked first is the method of the
 * main request, or what the other server says in a header.
 */

ngx_int_t
ngx_http_iot_gate_endpoint_handler(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_http_iot_ctx_t       *ctx;
    ngx_http_iot_gate_t      *gate;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (r == r->main) {
        rc = ngx_http_discard_request_body(r);
        if (rc != NGX_OK) {
            return rc;
        }
    }

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    gate = ngx_http_iot_gate_create(r, ilcf->gate);
    if (gate == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ctx->gate = gate;
    gate->endpoint = 1;

    rc = ngx_http_iot_gate_start(gate);

    if (rc == NGX_AGAIN) {
        r->main->count++;
        return NGX_DONE;
    }

    gate->rc = rc;
    gate->done = 1;

    return ngx_http_iot_gate_endpoint_send(r, ngx_http_iot_gate_answer(gate));
}


static ngx_http_iot_gate_t *
ngx_http_iot_gate_create(ngx_http_request_t *r, ngx_http_iot_gate_conf_t *conf)
{
    ngx_http_cleanup_t   *cln;
    ngx_http_iot_gate_t  *gate;

    gate = ngx_pcalloc(r->pool, sizeof(ngx_http_iot_gate_t));
    if (gate == NULL) {
        return NULL;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_iot_gate_cleanup;
    cln->data = gate;

    gate->request = r;
    gate->conf = conf;

    return gate;
}


static void
ngx_http_iot_gate_cleanup(void *data)
{
    ngx_http_iot_gate_t *gate = data;

    if (gate->bearer) {
        ngx_iot_auth_abandon(gate->bearer);
        gate->bearer = NULL;
    }

    if (gate->basic) {
        ngx_iot_basic_abandon(gate->basic);
        gate->basic = NULL;
    }

    if (gate->db) {
        ngx_iot_db_abandon(gate->db);
        gate->db = NULL;
    }

    ngx_iot_device_unwait(&gate->wait);
}


/* NGX_OK, NGX_AGAIN or an HTTP status */

static ngx_int_t
ngx_http_iot_gate_start(ngx_http_iot_gate_t *gate)
{
    ngx_http_request_t         *r;
    ngx_http_iot_loc_conf_t    *ilcf;
    ngx_http_iot_credential_t  *c;

    r = gate->request;
    c = &gate->credential;

    if (!ngx_iot_conf()->enabled) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ngx_http_iot_credential(r, ilcf->cookie ? &ilcf->cookie->name : NULL,
                                c)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    /*
     * browsers add cookies and the passwords of Basic by themselves, also for
     * the page of somebody else
     */

    if ((c->cookie || c->kind == ngx_http_iot_basic_credential)
        && ngx_http_iot_unsafe(r)
        && !ngx_http_iot_same_origin(r, c->cookie))
    {
        return NGX_HTTP_FORBIDDEN;
    }

    switch (c->kind) {

    case ngx_http_iot_bearer_credential:
    case ngx_http_iot_key_credential:

        if (ngx_iot_auth_is_key(&c->token)
            != (c->kind == ngx_http_iot_key_credential))
        {
            return NGX_HTTP_UNAUTHORIZED;
        }

        return ngx_http_iot_gate_bearer(gate);

    case ngx_http_iot_basic_credential:
        return ngx_http_iot_gate_basic(gate);

    default:
        return NGX_HTTP_UNAUTHORIZED;
    }
}


static ngx_int_t
ngx_http_iot_gate_bearer(ngx_http_iot_gate_t *gate)
{
    ngx_int_t            rc;
    ngx_iot_error_t      err;
    ngx_iot_principal_t  principal;

    ngx_memzero(&err, sizeof(ngx_iot_error_t));

    rc = ngx_iot_auth_bearer(&gate->credential.token, &principal, &err,
                             ngx_http_iot_gate_user, gate, &gate->bearer,
                             gate->request->connection->log);

    switch (rc) {

    case NGX_OK:
        return ngx_http_iot_gate_check(gate, &principal);

    case NGX_AGAIN:
        return NGX_AGAIN;

    default:
        return ngx_http_iot_gate_failed(gate, &err);
    }
}


/* the name of a user is an e-mail address, which no access token is */

static ngx_int_t
ngx_http_iot_gate_basic(ngx_http_iot_gate_t *gate)
{
    ngx_int_t                   rc;
    ngx_iot_basic_t             basic;
    ngx_iot_error_t             err;
    ngx_http_request_t         *r;
    ngx_iot_principal_t         principal;
    ngx_http_iot_credential_t  *c;

    r = gate->request;
    c = &gate->credential;

    ngx_http_iot_network(r, &gate->network);

    if (!(gate->conf->who & NGX_HTTP_IOT_GATE_USER)
        || ((gate->conf->who & NGX_HTTP_IOT_GATE_DEVICE)
            && ngx_strlchr(c->token.data, c->token.data + c->token.len, '@')
               == NULL))
    {
        return ngx_http_iot_gate_device(gate);
    }

    basic.user = c->token;
    basic.password = c->password;
    basic.address = r->connection->addr_text;
    basic.network = gate->network;
    ngx_str_null(&basic.agent);

    if (r->headers_in.user_agent) {
        basic.agent = r->headers_in.user_agent->value;
    }

    while (basic.user.len && basic.user.data[0] == ' ') {
        basic.user.data++;
        basic.user.len--;
    }

    while (basic.user.len && basic.user.data[basic.user.len - 1] == ' ') {
        basic.user.len--;
    }

    ngx_memzero(&err, sizeof(ngx_iot_error_t));

    rc = ngx_iot_basic_auth(&basic, &principal, &err, ngx_http_iot_gate_user,
                            gate, &gate->basic);

    switch (rc) {

    case NGX_OK:
        return ngx_http_iot_gate_check(gate, &principal);

    case NGX_AGAIN:
        return NGX_AGAIN;

    default:
        return ngx_http_iot_gate_failed(gate, &err);
    }
}


static void
ngx_http_iot_gate_user(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err)
{
    ngx_http_iot_gate_t *gate = data;

    gate->bearer = NULL;
    gate->basic = NULL;

    if (rc == NGX_OK) {
        rc = ngx_http_iot_gate_check(gate, principal);

    } else {
        rc = ngx_http_iot_gate_failed(gate, err);
    }

    ngx_http_iot_gate_finish(gate, rc);
}


/* its access token as the name, or name and password of its credentials */

static ngx_int_t
ngx_http_iot_gate_device(ngx_http_iot_gate_t *gate)
{
    ngx_int_t                   rc;
    ngx_str_t                   none;
    ngx_iot_device_t           *device;
    ngx_http_iot_credential_t  *c;

    c = &gate->credential;

    if (ngx_iot_limit_take(&ngx_iot_settings.login_address, "login address",
                           &gate->network, 1, &gate->retry_after)
        != NGX_OK)
    {
        ngx_iot_count(logins_throttled);
        return NGX_HTTP_TOO_MANY_REQUESTS;
    }

    gate->wait.found = ngx_http_iot_gate_device_found;
    gate->wait.data = gate;

    if (c->password.len) {
        ngx_str_null(&none);
        rc = ngx_iot_device_by_login(&none, &c->token, &device, &gate->wait);

    } else {
        rc = ngx_iot_device_by_token(&c->token, &device, &gate->wait);
    }

    switch (rc) {

    case NGX_OK:
        return ngx_http_iot_gate_device_enters(gate, device);

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_DECLINED:
        return NGX_HTTP_UNAUTHORIZED;

    default: /* NGX_BUSY */
        gate->retry_after = 1;
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }
}


static void
ngx_http_iot_gate_device_found(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_http_iot_gate_t *gate = wait->data;

    switch (rc) {

    case NGX_OK:
        rc = ngx_http_iot_gate_device_enters(gate, device);
        break;

    case NGX_DECLINED:
        rc = NGX_HTTP_UNAUTHORIZED;
        break;

    default:
        gate->retry_after = 1;
        rc = NGX_HTTP_SERVICE_UNAVAILABLE;
        break;
    }

    ngx_http_iot_gate_finish(gate, rc);
}


/* the device is held, and let go here */

static ngx_int_t
ngx_http_iot_gate_device_enters(ngx_http_iot_gate_t *gate,
    ngx_iot_device_t *device)
{
    ngx_int_t            rc;
    ngx_iot_principal_t  p;

    if (!ngx_iot_device_may_enter(device, &gate->credential.password)) {
        ngx_iot_device_release(device);
        return NGX_HTTP_UNAUTHORIZED;
    }

    ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address",
                       &gate->network, 1);

    ngx_memzero(&p, sizeof(ngx_iot_principal_t));

    p.role = NGX_IOT_DEVICE;
    p.has_tenant = 1;
    p.has_device = 1;
    p.has_customer = device->has_customer;
    p.name = device->name;

    ngx_memcpy(p.tenant, device->tenant, sizeof(p.tenant));
    ngx_memcpy(p.device, device->id, sizeof(p.device));

    if (device->has_customer) {
        ngx_memcpy(p.customer, device->customer, sizeof(p.customer));
    }

    rc = ngx_http_iot_gate_check(gate, &p);

    ngx_iot_device_release(device);

    return rc;
}


static ngx_int_t
ngx_http_iot_gate_failed(ngx_http_iot_gate_t *gate, ngx_iot_error_t *err)
{
    gate->retry_after = err->retry_after;

    switch (err->status) {

    case NGX_HTTP_UNAUTHORIZED:
    case NGX_HTTP_FORBIDDEN:
    case NGX_HTTP_TOO_MANY_REQUESTS:
        return err->status;

    default:
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }
}


static ngx_int_t
ngx_http_iot_gate_check(ngx_http_iot_gate_t *gate, ngx_iot_principal_t *p)
{
    ngx_str_t                  key;
    ngx_uint_t                 who;
    ngx_http_iot_gate_conf_t  *conf;

    conf = gate->conf;

    gate->principal = *p;

    if (ngx_http_iot_gate_keep(gate) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    p = &gate->principal;

    /* a login that is not complete is none */

    if (!(p->role & (NGX_IOT_ANY_USER|NGX_IOT_DEVICE))) {
        return NGX_HTTP_UNAUTHORIZED;
    }

    ngx_http_iot_set_ctx(gate->request, p);

    if (p->has_device) {
        who = NGX_HTTP_IOT_GATE_DEVICE;

    } else if (gate->credential.kind == ngx_http_iot_key_credential) {
        who = NGX_HTTP_IOT_GATE_USER|NGX_HTTP_IOT_GATE_KEY;

    } else {
        who = NGX_HTTP_IOT_GATE_USER;
    }

    if (!(conf->who & who)) {
        return NGX_HTTP_FORBIDDEN;
    }

    if (p->has_key) {
        key.data = p->key;
        key.len = sizeof(p->key);

        if (ngx_iot_limit_take(&p->plan, "api key", &key, 1,
                               &gate->retry_after)
            != NGX_OK)
        {
            return NGX_HTTP_TOO_MANY_REQUESTS;
        }
    }

    if (p->is_public && !conf->is_public) {
        return NGX_HTTP_FORBIDDEN;
    }

    if (conf->roles && !(conf->roles & p->role)) {
        return NGX_HTTP_FORBIDDEN;
    }

    if (conf->tenant.len
        && (!p->has_tenant
            || ngx_memcmp(p->tenant, conf->tenant.data, sizeof(p->tenant))
               != 0))
    {
        return NGX_HTTP_FORBIDDEN;
    }

    if (conf->customer.len
        && (!p->has_customer
            || ngx_memcmp(p->customer, conf->customer.data,
                          sizeof(p->customer))
               != 0))
    {
        return NGX_HTTP_FORBIDDEN;
    }

    return ngx_http_iot_gate_may(gate);
}


/*
 * Permissions are asked each time: they depend on more than can be watched
 * for a change.
 */

static ngx_int_t
ngx_http_iot_gate_may(ngx_http_iot_gate_t *gate)
{
    ngx_str_t                   text;
    ngx_http_request_t         *r;
    ngx_iot_db_call_t          *call;
    ngx_http_iot_permission_t  *permission;

    r = gate->request;

    if (gate->conf->permissions == NULL
        || gate->permission == gate->conf->permissions->nelts)
    {
        return NGX_OK;
    }

    permission = gate->conf->permissions->elts;
    permission += gate->permission++;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_http_iot_gate_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    call->data = gate;
    call->done = ngx_http_iot_gate_may_done;

    if (ngx_iot_principal_text(&gate->principal, &r->connection->addr_text,
                               &text, call->pool)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_iot_db_param(call, text.data, text.len, 0);

    if (ngx_iot_db_text(call, &permission->entity_type) != NGX_OK
        || ngx_iot_db_text(call, &permission->operation) != NGX_OK
        || ngx_iot_db_send(call) != NGX_OK)
    {
        goto failed;
    }

    gate->db = call;

    return NGX_AGAIN;

failed:

    ngx_destroy_pool(call->pool);
    gate->retry_after = 1;

    return NGX_HTTP_SERVICE_UNAVAILABLE;
}


static void
ngx_http_iot_gate_may_done(ngx_iot_db_call_t *call)
{
    ngx_int_t             rc;
    ngx_http_iot_gate_t  *gate;

    gate = call->data;
    gate->db = NULL;

    if (call->rc != NGX_OK) {
        rc = ngx_http_iot_gate_failed(gate, &call->error);

    } else if (PQntuples(call->result) == 1
               && PQgetvalue(call->result, 0, 0)[0] == 't')
    {
        rc = ngx_http_iot_gate_may(gate);

    } else {
        rc = NGX_HTTP_FORBIDDEN;
    }

    ngx_http_iot_gate_finish(gate, rc);
}


/* the name is in a cache, which may let it go at the next event */

static ngx_int_t
ngx_http_iot_gate_keep(ngx_http_iot_gate_t *gate)
{
    u_char     *p;
    ngx_str_t  *name;

    name = &gate->principal.name;

    p = ngx_pnalloc(gate->request->pool, name->len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(p, name->data, name->len) = '\0';
    name->data = p;

    return NGX_OK;
}


/* from an event */

static void
ngx_http_iot_gate_finish(ngx_http_iot_gate_t *gate, ngx_int_t rc)
{
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (rc == NGX_AGAIN) {
        return;
    }

    r = gate->request;
    c = r->connection;

    gate->rc = rc;
    gate->done = 1;

    if (gate->endpoint) {
        rc = ngx_http_iot_gate_endpoint_send(r,
                                             ngx_http_iot_gate_answer(gate));
        ngx_http_finalize_request(r, rc);

    } else {
        ngx_http_core_run_phases(r);
    }

    ngx_http_run_posted_requests(c);
}


/* headers of a refusal; what the phase returns */

static ngx_int_t
ngx_http_iot_gate_answer(ngx_http_iot_gate_t *gate)
{
    ngx_str_t                 value;
    ngx_http_request_t       *r;
    ngx_http_iot_loc_conf_t  *ilcf;

    r = gate->request;

    if (gate->rc == NGX_OK) {
        return NGX_OK;
    }

    if (gate->retry_after) {
        value.data = ngx_pnalloc(r->pool, NGX_INT_T_LEN);
        if (value.data == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        value.len = ngx_sprintf(value.data, "%ui", gate->retry_after)
                    - value.data;

        if (ngx_http_iot_add_header(r, "Retry-After", &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (gate->rc != NGX_HTTP_UNAUTHORIZED) {
        return gate->rc;
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ilcf->login_url && !gate->endpoint && ngx_http_iot_gate_for_people(r))
    {
        if (ngx_http_complex_value(r, ilcf->login_url, &value) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        if (value.len) {
            return ngx_http_iot_gate_redirect(r, &value);
        }
    }

    return ngx_http_iot_gate_challenge(r);
}


/* a subrequest's challenge is passed on by auth_request */

static ngx_int_t
ngx_http_iot_gate_challenge(ngx_http_request_t *r)
{
    ngx_table_elt_t          *h;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    h = ngx_list_push(&r->headers_out.headers);
    if (h == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    h->hash = 1;
    h->lowcase_key = NULL;
    ngx_str_set(&h->key, "WWW-Authenticate");
    ngx_str_set(&h->value, "Bearer");

    if (ilcf->realm.len) {
        h->value = ilcf->realm;
    }

    r->headers_out.www_authenticate = h;

    return NGX_HTTP_UNAUTHORIZED;
}


/* a person who opens a page, not a script of one */

static ngx_uint_t
ngx_http_iot_gate_for_people(ngx_http_request_t *r)
{
    u_char           *last;
    ngx_table_elt_t  *h;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))
        || r->headers_in.upgrade
        || r->headers_in.authorization)
    {
        return 0;
    }

    h = ngx_http_iot_find_header(r, "accept");
    if (h == NULL) {
        return 0;
    }

    last = h->value.data + h->value.len;

    return ngx_strlcasestrn(h->value.data, last, (u_char *) "text/html",
                            sizeof("text/html") - 2)
           != NULL;
}


static ngx_int_t
ngx_http_iot_gate_redirect(ngx_http_request_t *r, ngx_str_t *url)
{
    size_t            len;
    u_char           *p;
    ngx_str_t         no_store = ngx_string("no-store");
    ngx_table_elt_t  *location;

    len = 2 * ngx_escape_uri(NULL, r->unparsed_uri.data, r->unparsed_uri.len,
                             NGX_ESCAPE_URI_COMPONENT);

    p = ngx_pnalloc(r->pool, url->len + sizeof("?return=") - 1
                             + r->unparsed_uri.len + len);
    if (p == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location = ngx_list_push(&r->headers_out.headers);
    if (location == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    location->hash = 1;
    location->lowcase_key = NULL;
    ngx_str_set(&location->key, "Location");
    location->value.data = p;

    p = ngx_cpymem(p, url->data, url->len);
    *p++ = ngx_strlchr(url->data, url->data + url->len, '?') ? '&' : '?';
    p = ngx_cpymem(p, "return=", sizeof("return=") - 1);
    p = (u_char *) ngx_escape_uri(p, r->unparsed_uri.data,
                                  r->unparsed_uri.len,
                                  NGX_ESCAPE_URI_COMPONENT);

    location->value.len = p - location->value.data;

    ngx_http_clear_location(r);
    r->headers_out.location = location;

    if (ngx_http_iot_add_header(r, "Cache-Control", &no_store) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    return NGX_HTTP_MOVED_TEMPORARILY;
}


static ngx_int_t
ngx_http_iot_gate_endpoint_send(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_str_t                   *value;
    ngx_http_iot_ctx_t          *ctx;
    ngx_http_iot_gate_header_t  *header;

    if (rc != NGX_OK) {
        return rc;
    }

    ctx = ngx_http_iot_get_ctx(r);
    if (ctx == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    for (header = ngx_http_iot_gate_headers; header->key; header++) {
        value = (ngx_str_t *) ((u_char *) ctx + header->offset);

        if (value->len
            && ngx_http_iot_add_header(r, header->key, value) != NGX_OK)
        {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = 0;
    r->header_only = 1;

    return ngx_http_send_header(r);
}
