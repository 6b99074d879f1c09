
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_basic.h"
#include "ngx_iot_mqtt_connect.h"
#include "ngx_iot_mqtt_tb.h"


static ngx_int_t ngx_iot_mqtt_identity_certificate(
    ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_by_certificate(
    ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_admit(ngx_iot_mqtt_connecting_t *cn);
static void ngx_iot_mqtt_identity_admitted(ngx_iot_db_call_t *call);
static ngx_uint_t ngx_iot_mqtt_identity_has_token(
    ngx_iot_mqtt_connect_t *connect);
static void ngx_iot_mqtt_identity_device(ngx_iot_device_wait_t *wait,
    ngx_int_t rc, ngx_iot_device_t *device, ngx_iot_error_t *err);
static ngx_int_t ngx_iot_mqtt_identity_next(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_login(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_password(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_unknown(ngx_iot_mqtt_connecting_t *cn);
static ngx_int_t ngx_iot_mqtt_identity_is_device(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_device_t *device);
static ngx_int_t ngx_iot_mqtt_identity_refuse(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_identity_rates(ngx_iot_rates_wait_t *wait,
    ngx_iot_rates_t *rates);
static void ngx_iot_mqtt_identity_user(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err);
static ngx_int_t ngx_iot_mqtt_identity_is_user(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_principal_t *principal);


/*
 * Who is it?  A certificate stands for a device; else the user name of a
 * device is its access token, and the password of a user is that of the REST
 * API, or one of its tokens or keys.
 */

ngx_int_t
ngx_iot_mqtt_identify(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t                rc;
    ngx_iot_error_t          err;
    ngx_iot_device_t        *device;
    ngx_iot_principal_t      principal;
    ngx_iot_mqtt_connect_t  *connect;
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;
    connect = &cn->connect;

    if (s->conf->anonymous.len) {
        ngx_memcpy(s->tenant, s->conf->anonymous.data, NGX_IOT_UUID_TEXT);
        s->role = NGX_IOT_TENANT;

        return NGX_OK;
    }

    rc = ngx_iot_mqtt_tb_provision(s, &connect->user, &connect->client_id);

    if (rc != NGX_DECLINED) {
        cn->expiry = 0;
        s->clean = 1;
        return rc;
    }

    cn->wait.found = ngx_iot_mqtt_identity_device;
    cn->wait.data = cn;

    rc = ngx_iot_mqtt_identity_certificate(cn);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_iot_mqtt_identity_has_token(connect)) {
        rc = ngx_iot_auth_bearer(&connect->password, &principal, &err,
                                 ngx_iot_mqtt_identity_user, cn, &cn->auth,
                                 s->connection->log);

        if (rc == NGX_OK) {
            return ngx_iot_mqtt_identity_is_user(cn, &principal);
        }

        if (rc == NGX_AGAIN) {
            return NGX_AGAIN;
        }

        return ngx_iot_mqtt_identity_refuse(cn, &err);
    }

    rc = ngx_iot_device_by_token(&connect->user, &device, &cn->wait);

    switch (rc) {

    case NGX_OK:
        return ngx_iot_mqtt_identity_is_device(cn, device);

    case NGX_AGAIN:
        return NGX_AGAIN;

    case NGX_DECLINED:
        return ngx_iot_mqtt_identity_login(cn);

    default: /* NGX_BUSY */
        return NGX_IOT_MQTT_UNAVAILABLE;
    }
}


/* a token of the REST API, or one of its keys, in place of a password */

static ngx_uint_t
ngx_iot_mqtt_identity_has_token(ngx_iot_mqtt_connect_t *connect)
{
    if (!connect->has_password) {
        return 0;
    }

    return ngx_iot_auth_is_key(&connect->password)
           || (connect->password.len > 64
               && ngx_strlchr(connect->password.data,
                              connect->password.data + connect->password.len,
                              '.'));
}


/* NGX_DECLINED: the client has shown none */

static ngx_int_t
ngx_iot_mqtt_identity_certificate(ngx_iot_mqtt_connecting_t *cn)
{
    switch (ngx_iot_mqtt_x509_read(cn->session->connection, &cn->x509)) {

    case NGX_OK:
        return ngx_iot_mqtt_identity_by_certificate(cn);

    case NGX_DECLINED:
        return NGX_DECLINED;

    case NGX_ABORT:
        return NGX_IOT_MQTT_NOT_AUTHORIZED;

    default: /* NGX_ERROR */
        return NGX_IOT_MQTT_BUSY;
    }
}


static ngx_int_t
ngx_iot_mqtt_identity_by_certificate(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t          rc;
    ngx_iot_device_t  *device;

    rc = ngx_iot_device_by_certificate(cn->x509->id, &device, &cn->wait);

    switch (rc) {

    case NGX_OK:
        return ngx_iot_mqtt_identity_is_device(cn, device);

    case NGX_AGAIN:
        return NGX_AGAIN;

    default: /* NGX_BUSY */
        return NGX_IOT_MQTT_UNAVAILABLE;
    }
}


/* no device has this certificate: a profile may trust its issuer */

static ngx_int_t
ngx_iot_mqtt_identity_admit(ngx_iot_mqtt_connecting_t *cn)
{
    if (cn->admitted || cn->x509->nissuers == 0) {
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    cn->call = ngx_iot_mqtt_x509_admit(cn->x509,
                                       ngx_iot_mqtt_identity_admitted, cn);

    return cn->call ? NGX_AGAIN : NGX_IOT_MQTT_UNAVAILABLE;
}


static void
ngx_iot_mqtt_identity_admitted(ngx_iot_db_call_t *call)
{
    ngx_int_t                   rc;
    ngx_iot_mqtt_connecting_t  *cn;

    cn = call->data;
    cn->call = NULL;
    cn->admitted = 1;

    if (call->rc != NGX_OK) {
        rc = NGX_IOT_MQTT_UNAVAILABLE;

    } else if (PQgetvalue(call->result, 0, 0)[0] != 't') {
        rc = NGX_IOT_MQTT_NOT_AUTHORIZED;

    } else {
        rc = ngx_iot_mqtt_identity_by_certificate(cn);

        if (rc == NGX_AGAIN) {
            return;
        }
    }

    ngx_iot_mqtt_connect_go(cn, rc);
}


/* no device: a user, whose name is an e-mail address? */

static ngx_int_t
ngx_iot_mqtt_identity_password(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_connection_t        *c;
    ngx_iot_basic_t          basic;
    ngx_iot_error_t          err;
    ngx_iot_principal_t      principal;
    ngx_iot_mqtt_connect_t  *connect;

    connect = &cn->connect;

    if (!connect->has_password
        || ngx_strlchr(connect->user.data,
                       connect->user.data + connect->user.len, '@')
           == NULL)
    {
        return ngx_iot_mqtt_identity_unknown(cn);
    }

    c = cn->session->connection;

    basic.user = connect->user;
    basic.password = connect->password;
    basic.address = c->addr_text;
    ngx_str_set(&basic.agent, "MQTT");
    ngx_iot_limit_network(c, &basic.network);

    switch (ngx_iot_basic_auth(&basic, &principal, &err,
                               ngx_iot_mqtt_identity_user, cn, &cn->basic))
    {
    case NGX_OK:
        return ngx_iot_mqtt_identity_is_user(cn, &principal);

    case NGX_AGAIN:
        return NGX_AGAIN;

    default:
        return ngx_iot_mqtt_identity_refuse(cn, &err);
    }
}


static ngx_int_t
ngx_iot_mqtt_identity_refuse(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_error_t *err)
{
    if (err->status >= 500) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    if (err->status == 429) {
        return NGX_IOT_MQTT_CONNECTION_RATE;
    }

    return (cn->session->parser.version == NGX_IOT_MQTT_V5)
           ? NGX_IOT_MQTT_BAD_PASSWORD : NGX_IOT_MQTT_NOT_AUTHORIZED;
}


/*
 * What a client that is not known may hear: it tells what it has sent, not
 * what of it was wrong.
 */

static ngx_int_t
ngx_iot_mqtt_identity_unknown(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_iot_mqtt_connect_t  *connect;

    connect = &cn->connect;

    if (connect->user.len || connect->password.len) {
        return (cn->session->parser.version == NGX_IOT_MQTT_V5)
               ? NGX_IOT_MQTT_BAD_PASSWORD : NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    return cn->assigned ? NGX_IOT_MQTT_NOT_AUTHORIZED
                        : NGX_IOT_MQTT_BAD_CLIENT_ID;
}


/* not a token: the credentials of a client id, a user name and a password */

static ngx_int_t
ngx_iot_mqtt_identity_login(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_int_t          rc;
    ngx_str_t          id;
    ngx_iot_device_t  *device;

    id = cn->connect.client_id;

    if (cn->assigned) {
        id.len = 0;
    }

    cn->login = 1;
    cn->wait.found = ngx_iot_mqtt_identity_device;
    cn->wait.data = cn;

    rc = ngx_iot_device_by_login(&id, &cn->connect.user, &device, &cn->wait);

    if (rc == NGX_OK) {
        return ngx_iot_mqtt_identity_is_device(cn, device);
    }

    if (rc == NGX_DECLINED) {
        return ngx_iot_mqtt_identity_password(cn);
    }

    return (rc == NGX_AGAIN) ? NGX_AGAIN : NGX_IOT_MQTT_UNAVAILABLE;
}


ngx_int_t
ngx_iot_mqtt_identify_tenant(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (s->tenant[0] == '\0' || s->rates) {
        return NGX_OK;
    }

    cn->rates_wait.found = ngx_iot_mqtt_identity_rates;
    cn->rates_wait.data = cn;

    switch (ngx_iot_rates_find(s->tenant, &s->rates, &cn->rates_wait)) {

    case NGX_OK:
        return s->rates->tags[0] ? NGX_OK : NGX_IOT_MQTT_UNAVAILABLE;

    case NGX_AGAIN:
        return NGX_AGAIN;

    default: /* NGX_ERROR */
        return NGX_IOT_MQTT_BUSY;
    }
}


static void
ngx_iot_mqtt_identity_rates(ngx_iot_rates_wait_t *wait,
    ngx_iot_rates_t *rates)
{
    ngx_iot_mqtt_connecting_t  *cn;

    cn = wait->data;
    cn->session->rates = rates;

    ngx_iot_mqtt_connect_go(cn, rates->tags[0] ? NGX_OK
                                               : NGX_IOT_MQTT_UNAVAILABLE);
}


void
ngx_iot_mqtt_identify_cancel(ngx_iot_mqtt_connecting_t *cn)
{
    ngx_iot_rates_unwait(&cn->rates_wait);

    if (cn->wait.active) {
        ngx_iot_device_unwait(&cn->wait);
    }

    if (cn->auth) {
        ngx_iot_auth_abandon(cn->auth);
    }

    if (cn->basic) {
        ngx_iot_basic_abandon(cn->basic);
    }

    if (cn->call) {
        ngx_iot_db_abandon(cn->call);
    }
}


static void
ngx_iot_mqtt_identity_device(ngx_iot_device_wait_t *wait, ngx_int_t rc,
    ngx_iot_device_t *device, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_connecting_t  *cn;

    cn = wait->data;
    cn->wait.active = 0;

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_identity_is_device(cn, device);

    } else if (rc == NGX_DECLINED) {
        rc = ngx_iot_mqtt_identity_next(cn);

        if (rc == NGX_AGAIN) {
            return;
        }

    } else {
        rc = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_connect_go(cn, rc);
}


/* it was not this; what else may it be? */

static ngx_int_t
ngx_iot_mqtt_identity_next(ngx_iot_mqtt_connecting_t *cn)
{
    if (cn->x509) {
        return ngx_iot_mqtt_identity_admit(cn);
    }

    if (!cn->login) {
        return ngx_iot_mqtt_identity_login(cn);
    }

    return ngx_iot_mqtt_identity_password(cn);
}


static ngx_int_t
ngx_iot_mqtt_identity_is_device(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_device_t *device)
{
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (!ngx_iot_device_may_enter(device, &cn->connect.password)) {
        ngx_iot_device_release(device);

        return (s->parser.version == NGX_IOT_MQTT_V5)
               ? NGX_IOT_MQTT_BAD_PASSWORD : NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    if (device->transport && device->transport->other) {
        ngx_iot_device_release(device);
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    s->device = device;
    s->role = NGX_IOT_DEVICE;
    s->topics = ngx_iot_mqtt_device_topics;

    ngx_memcpy(s->tenant, device->tenant, NGX_IOT_UUID_TEXT);

    s->user.data = device->id;
    s->user.len = NGX_IOT_UUID_TEXT;

    return NGX_OK;
}


static void
ngx_iot_mqtt_identity_user(void *data, ngx_int_t rc,
    ngx_iot_principal_t *principal, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_connecting_t  *cn = data;

    cn->auth = NULL;
    cn->basic = NULL;

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_identity_is_user(cn, principal);

    } else {
        rc = ngx_iot_mqtt_identity_refuse(cn, err);
    }

    ngx_iot_mqtt_connect_go(cn, rc);
}


static ngx_int_t
ngx_iot_mqtt_identity_is_user(ngx_iot_mqtt_connecting_t *cn,
    ngx_iot_principal_t *principal)
{
    u_char                  *p;
    ngx_iot_mqtt_session_t  *s;

    s = cn->session;

    if (!principal->has_tenant
        || (principal->role != NGX_IOT_TENANT
            && principal->role != NGX_IOT_CUSTOMER))
    {
        return NGX_IOT_MQTT_NOT_AUTHORIZED;
    }

    s->role = principal->role;
    ngx_memcpy(s->tenant, principal->tenant, NGX_IOT_UUID_TEXT);

    if (principal->has_user) {
        p = ngx_pnalloc(s->connection->pool, NGX_IOT_UUID_TEXT);
        if (p == NULL) {
            return NGX_IOT_MQTT_BUSY;
        }

        ngx_memcpy(p, principal->user, NGX_IOT_UUID_TEXT);

        s->user.data = p;
        s->user.len = NGX_IOT_UUID_TEXT;
    }

    return NGX_OK;
}
