
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_MQTT_CONNECT_H_INCLUDED_
#define _NGX_IOT_MQTT_CONNECT_H_INCLUDED_


#include "ngx_iot_mqtt_session.h"
#include "ngx_iot_mqtt_x509.h"


/*
 * A CONNECT on its way: auth, then taking over from whoever has the client
 * id, then CONNACK.  The packet's strings are copied, it may take a while.
 */

struct ngx_iot_mqtt_connecting_s {
    ngx_queue_t              queue;
    ngx_iot_mqtt_session_t  *session;
    ngx_iot_mqtt_connect_t   connect;
    ngx_iot_device_wait_t    wait;
    ngx_iot_rates_wait_t     rates_wait;
    ngx_iot_mqtt_x509_t     *x509;          /* NULL: none was shown */
    ngx_iot_db_call_t       *call;
    void                    *auth;          /* pending */
    void                    *basic;         /* the same */
    uint32_t                 expiry;
    uint32_t                 asked_expiry;
    uint32_t                 alias_maximum;
    ngx_event_t              timer;
    ngx_msec_t               start;
    ngx_uint_t               present;
    unsigned                 assigned:1;
    unsigned                 login:1;
    unsigned                 admitted:1;
    unsigned                 kicking:1;
    unsigned                 opened:1;
    unsigned                 willed:1;
    u_char                   data[1];
};


/* Goes on after something that took its time: rc is NGX_OK or a reason. */
void ngx_iot_mqtt_connect_go(ngx_iot_mqtt_connecting_t *cn, ngx_int_t rc);


/* --- ngx_iot_mqtt_identity.c --- */

/*
 * Who is it?  NGX_OK: the session has a tenant and a role; NGX_AGAIN:
 * ngx_iot_mqtt_connect_go() will be called; else the reason to refuse with.
 */
ngx_int_t ngx_iot_mqtt_identify(ngx_iot_mqtt_connecting_t *cn);

/*
 * What the rules of its tenant are; the same.  Nobody is let in while they
 * were never read.
 */
ngx_int_t ngx_iot_mqtt_identify_tenant(ngx_iot_mqtt_connecting_t *cn);

/* It goes before that is known. */
void ngx_iot_mqtt_identify_cancel(ngx_iot_mqtt_connecting_t *cn);


#endif /* _NGX_IOT_MQTT_CONNECT_H_INCLUDED_ */
