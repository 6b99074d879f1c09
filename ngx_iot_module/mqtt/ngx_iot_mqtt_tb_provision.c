
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_cbor.h"
#include "../codec/ngx_iot_id.h"
#include "ngx_iot_mqtt_tb.h"


/*
 * A session without a device: it may ask for one, with the key and the secret
 * of a device profile, and nothing else.
 */

#define NGX_IOT_MQTT_TB_PROVISION_TIME  60000
#define NGX_IOT_MQTT_TB_TOKEN_LEN       20
#define NGX_IOT_MQTT_TB_FIELDS          7


typedef struct {
    void                    *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                ident;      /* data as a connection's */

    ngx_iot_mqtt_session_t  *session;
    ngx_iot_mqtt_in_t       *in;
    ngx_iot_db_call_t       *call;
    ngx_event_t              timer;
} ngx_iot_mqtt_tb_provision_t;


static void ngx_iot_mqtt_tb_provision_connected(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_tb_provision_closed(ngx_iot_mqtt_session_t *s);
static ngx_int_t ngx_iot_mqtt_tb_provision_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_pub_t *pub);
static ngx_int_t ngx_iot_mqtt_tb_provision_subscribe(
    ngx_iot_mqtt_session_t *s, ngx_str_t *filter, ngx_uint_t qos);
static ngx_int_t ngx_iot_mqtt_tb_provision_call(ngx_str_t *payload,
    ngx_iot_db_call_t **out);
static ngx_int_t ngx_iot_mqtt_tb_provision_json(ngx_str_t *body,
    ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_mqtt_tb_provision_id(ngx_iot_json_field_t *fields,
    ngx_str_t *id, ngx_pool_t *pool);
static ngx_int_t ngx_iot_mqtt_tb_provision_basic(ngx_str_t *client,
    ngx_str_t *user, ngx_str_t *id, ngx_pool_t *pool);
static ngx_int_t ngx_iot_mqtt_tb_provision_x509(ngx_str_t *pem, ngx_str_t *id,
    ngx_pool_t *pool);
static void ngx_iot_mqtt_tb_provision_done(ngx_iot_db_call_t *call);
static void ngx_iot_mqtt_tb_provision_timeout(ngx_event_t *ev);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_tb_provision_stmt =
    ngx_iot_db_stmt("SELECT iot.provision_device($1::json, $2, $3, $4)");

static ngx_str_t  ngx_iot_mqtt_tb_provision_word = ngx_string("provision");
static ngx_str_t  ngx_iot_mqtt_tb_provision_request =
    ngx_string("/provision/request");
static ngx_str_t  ngx_iot_mqtt_tb_provision_response =
    ngx_string("/provision/response");


static ngx_iot_mqtt_topic_t  ngx_iot_mqtt_tb_provision_list[] = {

    { ngx_string("#"),
      ngx_iot_mqtt_tb_provision_publish,
      ngx_iot_mqtt_tb_provision_subscribe,
      NULL },

    { ngx_null_string, NULL, NULL, NULL }
};


static ngx_iot_mqtt_topics_t  ngx_iot_mqtt_tb_provision_topics = {
    ngx_iot_mqtt_tb_provision_list,
    ngx_iot_mqtt_tb_provision_connected,
    ngx_iot_mqtt_tb_provision_closed,
    NULL,
    NULL
};


ngx_int_t
ngx_iot_mqtt_tb_provision(ngx_iot_mqtt_session_t *s, ngx_str_t *user,
    ngx_str_t *client_id)
{
    u_char     *p, random[NGX_IOT_UUID_SIZE];
    ngx_str_t  *word;

    word = user->len ? user : client_id;

    if (word->len != ngx_iot_mqtt_tb_provision_word.len
        || ngx_memcmp(word->data, ngx_iot_mqtt_tb_provision_word.data,
                      word->len)
           != 0)
    {
        return NGX_DECLINED;
    }

    /* all of them may have the same client id */

    p = ngx_pnalloc(s->connection->pool, NGX_IOT_UUID_LEN);
    if (p == NULL) {
        return NGX_IOT_MQTT_BUSY;
    }

    ngx_iot_uuid_random(random);

    client_id->data = p;
    client_id->len = ngx_iot_uuid_text(p, random) - p;
    s->client_id = *client_id;

    ngx_memset(s->tenant, '0', NGX_IOT_UUID_TEXT);
    s->tenant[8] = s->tenant[13] = s->tenant[18] = s->tenant[23] = '-';

    s->clean = 1;
    s->role = 0;
    s->topics = &ngx_iot_mqtt_tb_provision_topics;

    return NGX_OK;
}


static void
ngx_iot_mqtt_tb_provision_connected(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_tb_provision_t  *pr;

    pr = ngx_pcalloc(s->connection->pool,
                     sizeof(ngx_iot_mqtt_tb_provision_t));
    if (pr == NULL) {
        ngx_iot_mqtt_end(s, NGX_IOT_MQTT_UNSPECIFIED);
        return;
    }

    pr->session = s;
    pr->ident = -1;
    pr->timer.data = pr;
    pr->timer.log = ngx_cycle->log;
    pr->timer.handler = ngx_iot_mqtt_tb_provision_timeout;
    pr->timer.cancelable = 1;

    s->topics_data = pr;
}


static void
ngx_iot_mqtt_tb_provision_closed(ngx_iot_mqtt_session_t *s)
{
    ngx_iot_mqtt_tb_provision_t  *pr;

    pr = s->topics_data;

    if (pr == NULL) {
        return;
    }

    s->topics_data = NULL;

    if (pr->timer.timer_set) {
        ngx_del_timer(&pr->timer);
    }

    if (pr->call) {
        ngx_iot_db_abandon(pr->call);

        if (pr->in) {
            ngx_iot_mqtt_publish_done(pr->in, NGX_IOT_MQTT_UNSPECIFIED);
        }
    }
}


static ngx_int_t
ngx_iot_mqtt_tb_provision_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_mqtt_pub_t *pub)
{
    ngx_int_t                     rc;
    ngx_str_t                    *payload;
    ngx_iot_db_call_t            *call;
    ngx_iot_mqtt_tb_provision_t  *pr;

    pr = s->topics_data;
    payload = &pub->packet->payload;

    if (pr == NULL
        || pub->topic.len != ngx_iot_mqtt_tb_provision_request.len
        || ngx_memcmp(pub->topic.data, ngx_iot_mqtt_tb_provision_request.data,
                      pub->topic.len)
           != 0)
    {
        rc = NGX_IOT_MQTT_BAD_TOPIC;
        goto end;
    }

    if (payload->len > NGX_IOT_MQTT_TB_PAYLOAD) {
        rc = NGX_IOT_MQTT_TOO_LARGE;
        goto end;
    }

    if (pr->call || pr->timer.timer_set) {
        return NGX_IOT_MQTT_QUOTA;
    }

    rc = ngx_iot_mqtt_tb_provision_call(payload, &call);

    if (rc == NGX_DECLINED) {

        if (pub->in && s->parser.version == NGX_IOT_MQTT_V5) {
            return NGX_IOT_MQTT_BAD_PAYLOAD;
        }

        rc = NGX_IOT_MQTT_BAD_PAYLOAD;
        goto end;
    }

    if (rc != NGX_OK) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    call->data = pr;
    call->done = ngx_iot_mqtt_tb_provision_done;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    pr->call = call;
    pr->in = pub->in;

    return NGX_AGAIN;

end:

    if (pub->in && s->parser.version == NGX_IOT_MQTT_V5
        && rc == NGX_IOT_MQTT_BAD_TOPIC)
    {
        (void) ngx_iot_mqtt_ack(s, pub->in->type, pub->in->packet_id, rc);
    }

    ngx_iot_mqtt_end(s, rc);

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_tb_provision_subscribe(ngx_iot_mqtt_session_t *s,
    ngx_str_t *filter, ngx_uint_t qos)
{
    if (filter->len != ngx_iot_mqtt_tb_provision_response.len
        || ngx_memcmp(filter->data, ngx_iot_mqtt_tb_provision_response.data,
                      filter->len)
           != 0)
    {
        return NGX_IOT_MQTT_BAD_FILTER;
    }

    return ngx_min(qos, 1);
}


static ngx_int_t
ngx_iot_mqtt_tb_provision_call(ngx_str_t *payload, ngx_iot_db_call_t **out)
{
    u_char                 token[NGX_IOT_MQTT_TB_TOKEN_LEN];
    u_char                 name[NGX_IOT_MQTT_TB_TOKEN_LEN];
    ngx_int_t              rc;
    ngx_str_t              id, body, value;
    ngx_uint_t             i;
    ngx_iot_alloc_t        alloc;
    ngx_iot_db_call_t     *call;
    ngx_iot_json_field_t   fields[NGX_IOT_MQTT_TB_FIELDS];

    static ngx_str_t  names[] = {
        ngx_string("provisionDeviceKey"),
        ngx_string("provisionDeviceSecret"),
        ngx_string("credentialsType"),
        ngx_string("clientId"),
        ngx_string("username"),
        ngx_string("hash"),
        ngx_string("deviceName")
    };

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_mqtt_tb_provision_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    alloc.alloc = ngx_iot_mqtt_tb_alloc;
    alloc.data = call->pool;

    for (i = 0; i < NGX_IOT_MQTT_TB_FIELDS; i++) {
        fields[i].name = names[i];
    }

    body = *payload;
    rc = ngx_iot_mqtt_tb_provision_json(&body, &alloc);

    if (rc == NGX_OK) {
        rc = ngx_iot_json_fields(&body, &alloc, NGX_IOT_MQTT_TB_DEPTH, fields,
                                 NGX_IOT_MQTT_TB_FIELDS, NULL);
    }

    if (rc == NGX_OK
        && (fields[0].token == NGX_IOT_JSON_END
            || fields[1].token == NGX_IOT_JSON_END))
    {
        rc = NGX_DECLINED;
    }

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_tb_provision_id(fields, &id, call->pool);
    }

    if (rc != NGX_OK) {
        goto failed;
    }

    ngx_iot_token(token, NGX_IOT_MQTT_TB_TOKEN_LEN);
    ngx_iot_token(name, NGX_IOT_MQTT_TB_TOKEN_LEN);

    rc = ngx_iot_db_text(call, &body);

    value.len = NGX_IOT_MQTT_TB_TOKEN_LEN;
    value.data = token;
    rc |= ngx_iot_db_text(call, &value);

    value.data = name;
    rc |= ngx_iot_db_text(call, &value);
    rc |= ngx_iot_db_text(call, id.len ? &id : NULL);

    if (rc == NGX_OK) {
        *out = call;
        return NGX_OK;
    }

    rc = NGX_ERROR;

failed:

    ngx_destroy_pool(call->pool);

    return rc;
}


/* as of a device that is known: CBOR by its first byte */

static ngx_int_t
ngx_iot_mqtt_tb_provision_json(ngx_str_t *body, ngx_iot_alloc_t *alloc)
{
    ngx_int_t         rc;
    ngx_str_t         json;
    ngx_iot_points_t  points;

    if (!ngx_iot_cbor_detect(body)) {
        return NGX_OK;
    }

    ngx_iot_points_init(&points, alloc);

    rc = ngx_iot_cbor_to_json(&points, &json, body);

    if (rc == NGX_OK) {
        *body = json;
        return NGX_OK;
    }

    return (rc == NGX_ERROR) ? NGX_ERROR : NGX_DECLINED;
}


/* by what MQTT_BASIC and X509_CERTIFICATE are found; empty: by nothing */

static ngx_int_t
ngx_iot_mqtt_tb_provision_id(ngx_iot_json_field_t *fields, ngx_str_t *id,
    ngx_pool_t *pool)
{
    ngx_str_t   *type;
    ngx_uint_t   i;

    static ngx_str_t  basic = ngx_string("MQTT_BASIC");
    static ngx_str_t  x509 = ngx_string("X509_CERTIFICATE");

    ngx_str_null(id);

    for (i = 2; i < NGX_IOT_MQTT_TB_FIELDS; i++) {

        if (fields[i].token != NGX_IOT_JSON_STRING) {
            ngx_str_null(&fields[i].text);
        }
    }

    type = &fields[2].text;

    if (type->len == basic.len
        && ngx_memcmp(type->data, basic.data, basic.len) == 0)
    {
        return ngx_iot_mqtt_tb_provision_basic(&fields[3].text,
                                               &fields[4].text, id, pool);
    }

    if (type->len == x509.len && fields[5].text.len
        && ngx_memcmp(type->data, x509.data, x509.len) == 0)
    {
        return ngx_iot_mqtt_tb_provision_x509(&fields[5].text, id, pool);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_mqtt_tb_provision_basic(ngx_str_t *client, ngx_str_t *user,
    ngx_str_t *id, ngx_pool_t *pool)
{
    u_char  *p, *text;

    if (client->len == 0) {
        /* a user name alone is looked up as it is */
        *id = *user;
        return NGX_OK;
    }

    text = ngx_pnalloc(pool, client->len + 1 + user->len);
    id->data = ngx_pnalloc(pool, NGX_IOT_SHA3_LEN);

    if (text == NULL || id->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(text, client->data, client->len);

    if (user->len) {
        *p++ = '|';
        p = ngx_cpymem(p, user->data, user->len);
    }

    id->len = NGX_IOT_SHA3_LEN;

    return ngx_iot_sha3(id->data, text, p - text);
}


/* without header, footer and line breaks */

static ngx_int_t
ngx_iot_mqtt_tb_provision_x509(ngx_str_t *pem, ngx_str_t *id,
    ngx_pool_t *pool)
{
    u_char  *p, *last, *dst, *text;

    text = ngx_pnalloc(pool, pem->len);
    id->data = ngx_pnalloc(pool, NGX_IOT_SHA3_LEN);

    if (text == NULL || id->data == NULL) {
        return NGX_ERROR;
    }

    dst = text;
    last = pem->data + pem->len;

    for (p = pem->data; p < last; ) {

        if (last - p >= 5 && ngx_memcmp(p, "-----", 5) == 0) {
            p = ngx_strlcasestrn(p + 5, last, (u_char *) "-----", 5 - 1);

            if (p == NULL) {
                break;
            }

            p += 5;
            continue;
        }

        if (*p != CR && *p != LF) {
            *dst++ = *p;
        }

        p++;
    }

    id->len = NGX_IOT_SHA3_LEN;

    return ngx_iot_sha3(id->data, text, dst - text);
}


static void
ngx_iot_mqtt_tb_provision_done(ngx_iot_db_call_t *call)
{
    ngx_int_t                     rc;
    ngx_str_t                     body;
    ngx_iot_mqtt_in_t            *in;
    ngx_iot_mqtt_tb_provision_t  *pr;

    pr = call->data;
    in = pr->in;

    pr->call = NULL;
    pr->in = NULL;

    if (call->rc == NGX_OK && PQntuples(call->result) == 1) {
        rc = NGX_OK;

        body.data = (u_char *) PQgetvalue(call->result, 0, 0);
        body.len = PQgetlength(call->result, 0, 0);

        (void) ngx_iot_mqtt_tb_send_to(pr->session,
                                       &ngx_iot_mqtt_tb_provision_response,
                                       &body, 1);

        ngx_add_timer(&pr->timer, NGX_IOT_MQTT_TB_PROVISION_TIME);

    } else {
        rc = (call->rc != NGX_OK && call->error.status < 500)
             ? NGX_IOT_MQTT_BAD_PAYLOAD : NGX_IOT_MQTT_UNAVAILABLE;
    }

    if (in) {
        ngx_iot_mqtt_publish_done(in, rc);
    }
}


static void
ngx_iot_mqtt_tb_provision_timeout(ngx_event_t *ev)
{
    ngx_iot_mqtt_tb_provision_t  *pr;

    pr = ev->data;

    ngx_iot_mqtt_end(pr->session, NGX_IOT_MQTT_ADMINISTRATIVE);
}
