
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../core/ngx_iot_db.h"
#include "../core/ngx_iot_jwt.h"
#include "../core/ngx_iot_settings.h"
#include "ngx_http_iot_access.h"
#include "ngx_http_iot_module.h"


/*
 * The session of a browser.  Its cookie holds a token like that of a login
 * which lives as long as the session may; scripts cannot read it.
 */


typedef struct {
    ngx_http_request_t      *request;
    ngx_iot_db_call_t       *db;
} ngx_http_iot_logout_t;


static void ngx_http_iot_logout_cleanup(void *data);
static ngx_int_t ngx_http_iot_logout_send(ngx_http_request_t *r,
    ngx_iot_jwt_t *jwt);
static void ngx_http_iot_logout_done(ngx_iot_db_call_t *call);
static ngx_int_t ngx_http_iot_logout_answer(ngx_http_request_t *r);


static ngx_iot_db_stmt_t  ngx_http_iot_logout_stmt = ngx_iot_db_stmt(
    "SELECT iot.logout($1, $2, $3)");


ngx_uint_t
ngx_http_iot_cookie_wanted(ngx_http_request_t *r)
{
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    /* nobody is logged in by the page of somebody else */

    return ilcf->cookie && ngx_http_iot_same_origin(r, 0);
}


ngx_int_t
ngx_http_iot_cookie_set(ngx_http_request_t *r, ngx_str_t *token)
{
    u_char                      *p;
    int64_t                      age;
    ngx_str_t                    value;
    ngx_http_iot_loc_conf_t     *ilcf;
    ngx_http_iot_cookie_conf_t  *cookie;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);
    cookie = ilcf->cookie;

    if (cookie == NULL) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, cookie->name.len + sizeof("=; Max-Age=") - 1
                             + (token ? token->len : 0) + NGX_INT64_LEN
                             + cookie->attributes.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    age = token ? ngx_iot_settings.refresh : 0;

    value.data = p;

    p = ngx_cpymem(p, cookie->name.data, cookie->name.len);
    *p++ = '=';

    if (token) {
        p = ngx_cpymem(p, token->data, token->len);
    }

    p = ngx_sprintf(p, "; Max-Age=%L", age);
    p = ngx_cpymem(p, cookie->attributes.data, cookie->attributes.len);

    value.len = p - value.data;

    return ngx_http_iot_add_header(r, "Set-Cookie", &value);
}


/*
 * POST ends the session and takes the cookie away.  It answers 204, or 303
 * where people are to go next.
 */

ngx_int_t
ngx_http_iot_gate_logout_handler(ngx_http_request_t *r)
{
    ngx_int_t                   rc;
    ngx_str_t                   allow = ngx_string("POST");
    ngx_iot_jwt_t               jwt;
    ngx_http_iot_loc_conf_t    *ilcf;
    ngx_http_iot_credential_t   credential;

    if (r->method != NGX_HTTP_POST) {

        if (ngx_http_iot_add_header(r, "Allow", &allow) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ngx_http_iot_credential(r, &ilcf->cookie->name, &credential)
        != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (credential.cookie && !ngx_http_iot_same_origin(r, 1)) {
        return NGX_HTTP_FORBIDDEN;
    }

    if (!ngx_iot_settings.loaded) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    if (credential.kind != ngx_http_iot_bearer_credential
        || ngx_iot_jwt_verify(&credential.token, &jwt) != NGX_OK)
    {
        /* there is no session to end, but perhaps an old cookie */
        return ngx_http_iot_logout_answer(r);
    }

    return ngx_http_iot_logout_send(r, &jwt);
}


static ngx_int_t
ngx_http_iot_logout_send(ngx_http_request_t *r, ngx_iot_jwt_t *jwt)
{
    ngx_str_t               session, user;
    ngx_iot_db_call_t      *call;
    ngx_http_cleanup_t     *cln;
    ngx_http_iot_logout_t  *logout;

    cln = ngx_http_cleanup_add(r, sizeof(ngx_http_iot_logout_t));
    if (cln == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    logout = cln->data;
    logout->request = r;
    logout->db = NULL;
    cln->handler = ngx_http_iot_logout_cleanup;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_http_iot_logout_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    session.data = jwt->session;
    session.len = NGX_IOT_UUID_LEN;
    user.data = jwt->user;
    user.len = NGX_IOT_UUID_LEN;

    call->data = logout;
    call->done = ngx_http_iot_logout_done;

    if (ngx_iot_db_text(call, &session) != NGX_OK
        || ngx_iot_db_text(call, jwt->is_public ? NULL : &user) != NGX_OK
        || ngx_iot_db_text(call, &r->connection->addr_text) != NGX_OK
        || ngx_iot_db_send(call) != NGX_OK)
    {
        ngx_destroy_pool(call->pool);
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    logout->db = call;
    r->main->count++;

    return NGX_DONE;
}


static void
ngx_http_iot_logout_cleanup(void *data)
{
    ngx_http_iot_logout_t *logout = data;

    if (logout->db) {
        ngx_iot_db_abandon(logout->db);
        logout->db = NULL;
    }
}


static void
ngx_http_iot_logout_done(ngx_iot_db_call_t *call)
{
    ngx_int_t               rc;
    ngx_connection_t       *c;
    ngx_http_request_t     *r;
    ngx_http_iot_logout_t  *logout;

    logout = call->data;
    logout->db = NULL;

    r = logout->request;
    c = r->connection;

    rc = (call->rc == NGX_OK) ? ngx_http_iot_logout_answer(r)
                              : NGX_HTTP_SERVICE_UNAVAILABLE;

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


static ngx_int_t
ngx_http_iot_logout_answer(ngx_http_request_t *r)
{
    ngx_int_t                 rc;
    ngx_str_t                 url;
    ngx_http_iot_loc_conf_t  *ilcf;

    ilcf = ngx_http_get_module_loc_conf(r, ngx_http_iot_module);

    if (ngx_http_iot_cookie_set(r, NULL) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_null(&url);

    if (ilcf->login_url
        && ngx_http_complex_value(r, ilcf->login_url, &url) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_NO_CONTENT;

    if (url.len) {
        r->headers_out.status = NGX_HTTP_SEE_OTHER;

        if (ngx_http_iot_add_header(r, "Location", &url) != NGX_OK) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        r->headers_out.content_length_n = 0;
    }

    r->header_only = 1;

    rc = ngx_http_send_header(r);

    return (rc == NGX_ERROR || rc > NGX_OK) ? rc : NGX_OK;
}
