
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_X509_H_INCLUDED_
#define _NGX_IOT_MQTT_X509_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_id.h"
#include "../core/ngx_iot_db.h"


#define NGX_IOT_MQTT_X509_ISSUERS  4


/*
 * What a client has shown of itself in the TLS handshake.  That it has the
 * private key is proven by then; who trusts it is decided by the credentials
 * of a device, or by the profile that names one of its issuers.
 */

typedef struct {
    u_char      id[NGX_IOT_SHA3_LEN];   /* SHA3-256 of value, in hexadecimal */
    ngx_str_t   value;                  /* DER in base64, on one line */
    ngx_str_t   name;                   /* the common name of the subject */
    u_char      issuers[NGX_IOT_MQTT_X509_ISSUERS][NGX_IOT_SHA3_LEN];
    ngx_uint_t  nissuers;               /* each has signed the one before */
} ngx_iot_mqtt_x509_t;


/*
 * NGX_OK: *x509 is in the pool of the connection; NGX_DECLINED: there is no
 * TLS, or no certificate; NGX_ABORT: it is not valid today; NGX_ERROR.
 */
ngx_int_t ngx_iot_mqtt_x509_read(ngx_connection_t *c,
    ngx_iot_mqtt_x509_t **x509);

/*
 * Ask the database to let the profile of an issuer take the device in.
 * The result of the call is one row with one boolean: try once more.
 */
ngx_iot_db_call_t *ngx_iot_mqtt_x509_admit(ngx_iot_mqtt_x509_t *x509,
    ngx_iot_db_done_pt done, void *data);


#endif /* _NGX_IOT_MQTT_X509_H_INCLUDED_ */
