
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../codec/ngx_iot_utf8.h"
#include "ngx_iot_mqtt_x509.h"


static ngx_int_t ngx_iot_mqtt_x509_leaf(ngx_connection_t *c, X509 *cert,
    ngx_iot_mqtt_x509_t **found);
static ngx_int_t ngx_iot_mqtt_x509_value(X509 *cert, ngx_pool_t *pool,
    ngx_str_t *value);
static void ngx_iot_mqtt_x509_name(X509 *cert, ngx_pool_t *pool,
    ngx_str_t *name);
static ngx_int_t ngx_iot_mqtt_x509_chain(ngx_connection_t *c, X509 *cert,
    ngx_iot_mqtt_x509_t *x509);
static ngx_uint_t ngx_iot_mqtt_x509_current(X509 *cert);
static ngx_uint_t ngx_iot_mqtt_x509_signed(X509 *cert, X509 *issuer);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_x509_stmt = ngx_iot_db_stmt(
    "SELECT iot.device_by_chain($1::text[], $2, $3, $4)");


ngx_int_t
ngx_iot_mqtt_x509_read(ngx_connection_t *c, ngx_iot_mqtt_x509_t **x509)
{
    X509       *cert;
    ngx_int_t   rc;

    if (c->ssl == NULL) {
        return NGX_DECLINED;
    }

    cert = SSL_get_peer_certificate(c->ssl->connection);
    if (cert == NULL) {
        return NGX_DECLINED;
    }

    rc = ngx_iot_mqtt_x509_leaf(c, cert, x509);

    X509_free(cert);
    ERR_clear_error();

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_x509_leaf(ngx_connection_t *c, X509 *cert,
    ngx_iot_mqtt_x509_t **found)
{
    ngx_iot_mqtt_x509_t  *x509;

    if (!ngx_iot_mqtt_x509_current(cert)) {
        return NGX_ABORT;
    }

    x509 = ngx_pcalloc(c->pool, sizeof(ngx_iot_mqtt_x509_t));
    if (x509 == NULL) {
        return NGX_ERROR;
    }

    if (ngx_iot_mqtt_x509_value(cert, c->pool, &x509->value) != NGX_OK
        || ngx_iot_sha3(x509->id, x509->value.data, x509->value.len) != NGX_OK)
    {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_x509_name(cert, c->pool, &x509->name);

    *found = x509;

    return ngx_iot_mqtt_x509_chain(c, cert, x509);
}


/* as credentials keep it: PEM without its marks and line ends */

static ngx_int_t
ngx_iot_mqtt_x509_value(X509 *cert, ngx_pool_t *pool, ngx_str_t *value)
{
    int         n;
    u_char     *der;
    ngx_str_t   raw;

    der = NULL;

    n = i2d_X509(cert, &der);
    if (n <= 0) {
        return NGX_ERROR;
    }

    raw.data = der;
    raw.len = n;

    value->data = ngx_pnalloc(pool, ngx_base64_encoded_length(raw.len));

    if (value->data) {
        ngx_encode_base64(value, &raw);
    }

    OPENSSL_free(der);

    return value->data ? NGX_OK : NGX_ERROR;
}


/* stays empty if it is no text that the database takes */

static void
ngx_iot_mqtt_x509_name(X509 *cert, ngx_pool_t *pool, ngx_str_t *name)
{
    int         n, pos;
    u_char     *text;
    X509_NAME  *subject;

    subject = X509_get_subject_name(cert);
    pos = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

    if (pos < 0) {
        return;
    }

    text = NULL;

    n = ASN1_STRING_to_UTF8(&text,
              X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, pos)));
    if (n <= 0) {
        return;
    }

    if (ngx_iot_utf8_check(text, n) == NGX_OK
        && ngx_strlchr(text, text + n, '\0') == NULL)
    {
        name->data = ngx_pnalloc(pool, n);

        if (name->data) {
            ngx_memcpy(name->data, text, n);
            name->len = n;
        }
    }

    OPENSSL_free(text);
}


/* A chain is worth as much as its signatures: each is checked here. */

static ngx_int_t
ngx_iot_mqtt_x509_chain(ngx_connection_t *c, X509 *cert,
    ngx_iot_mqtt_x509_t *x509)
{
    int              i;
    X509            *issuer;
    ngx_str_t        value;
    STACK_OF(X509)  *chain;

    chain = SSL_get_peer_cert_chain(c->ssl->connection);

    for (i = 0; i < sk_X509_num(chain); i++) {
        issuer = sk_X509_value(chain, i);

        if (x509->nissuers == NGX_IOT_MQTT_X509_ISSUERS
            || !ngx_iot_mqtt_x509_current(issuer)
            || !ngx_iot_mqtt_x509_signed(cert, issuer))
        {
            break;
        }

        if (ngx_iot_mqtt_x509_value(issuer, c->pool, &value) != NGX_OK
            || ngx_iot_sha3(x509->issuers[x509->nissuers], value.data,
                            value.len)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        x509->nissuers++;
        cert = issuer;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_mqtt_x509_current(X509 *cert)
{
    return X509_cmp_current_time(X509_get0_notBefore(cert)) < 0
           && X509_cmp_current_time(X509_get0_notAfter(cert)) > 0;
}


static ngx_uint_t
ngx_iot_mqtt_x509_signed(X509 *cert, X509 *issuer)
{
    EVP_PKEY  *key;

    key = X509_get0_pubkey(issuer);

    return key
           && X509_check_ca(issuer)
           && X509_check_issued(issuer, cert) == X509_V_OK
           && X509_verify(cert, key) == 1;
}


ngx_iot_db_call_t *
ngx_iot_mqtt_x509_admit(ngx_iot_mqtt_x509_t *x509, ngx_iot_db_done_pt done,
    void *data)
{
    u_char             *p;
    u_char              buf[NGX_IOT_MQTT_X509_ISSUERS
                            * (NGX_IOT_SHA3_LEN + 1) + 2];
    ngx_str_t           issuers, id;
    ngx_uint_t          i;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_x509_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NULL;
    }

    p = buf;
    *p++ = '{';

    for (i = 0; i < x509->nissuers; i++) {

        if (i) {
            *p++ = ',';
        }

        p = ngx_cpymem(p, x509->issuers[i], NGX_IOT_SHA3_LEN);
    }

    *p++ = '}';

    issuers.data = buf;
    issuers.len = p - buf;

    id.data = x509->id;
    id.len = NGX_IOT_SHA3_LEN;

    call->done = done;
    call->data = data;

    if (ngx_iot_db_text(call, &issuers) != NGX_OK
        || ngx_iot_db_text(call, &x509->name) != NGX_OK
        || ngx_iot_db_text(call, &id) != NGX_OK
        || ngx_iot_db_text(call, &x509->value) != NGX_OK
        || ngx_iot_db_send(call) != NGX_OK)
    {
        ngx_destroy_pool(call->pool);
        return NULL;
    }

    return call;
}
