
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_claim.h"
#include "ngx_iot_mqtt_gw.h"


/* what a gateway asks, answers and says for one of its devices */


typedef struct {
    ngx_str_t                 id;         /* as it was written */
    ngx_uint_t                client;
    ngx_array_t               keys;       /* ngx_str_t */
} ngx_iot_mqtt_gw_request_t;


static ngx_int_t ngx_iot_mqtt_gw_bad_shape(ngx_iot_mqtt_gw_call_t *call);
static ngx_int_t ngx_iot_mqtt_gw_keys(ngx_iot_mqtt_gw_call_t *call,
    ngx_array_t *keys, ngx_str_t *list);
static void ngx_iot_mqtt_gw_answer(ngx_iot_db_call_t *dbc);
static void ngx_iot_mqtt_gw_answered(ngx_iot_rpc_answer_t *answer,
    ngx_int_t rc, ngx_iot_error_t *err);
static void ngx_iot_mqtt_gw_claimed(ngx_iot_db_call_t *dbc);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_gw_attributes_stmt = ngx_iot_db_stmt(
    "SELECT iot.gateway_attributes($1::int, $2::boolean, $3::text[])");


static ngx_int_t
ngx_iot_mqtt_gw_bad_shape(ngx_iot_mqtt_gw_call_t *call)
{
    return ngx_iot_points_decline(&call->op->points, NGX_IOT_BAD_SHAPE,
                                  "Can't parse value: ", &call->op->payload);
}


ngx_int_t
ngx_iot_mqtt_gw_check_connect(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_json_field_t   field;

    ngx_str_set(&field.name, "type");

    rc = ngx_iot_json_fields(&call->op->payload, &call->op->alloc,
                             NGX_IOT_MQTT_TB_DEPTH, &field, 1, NULL);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    if (field.token == NGX_IOT_JSON_STRING) {

        if (field.text.len && !ngx_iot_gateway_name(&field.text)) {
            return ngx_iot_mqtt_gw_bad_shape(call);
        }

        call->items[0].type = field.text;
        return NGX_OK;
    }

    if (field.token == NGX_IOT_JSON_END || field.token == NGX_IOT_JSON_NULL) {
        return NGX_OK;
    }

    return ngx_iot_mqtt_gw_bad_shape(call);
}


/* {"id":1,"device":"Dev A","client":true,"key":"a"} or "keys":["a","b"] */

ngx_int_t
ngx_iot_mqtt_gw_check_request(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_str_t                  *key;
    ngx_int_t                   rc;
    ngx_iot_json_field_t        fields[4];
    ngx_iot_mqtt_gw_request_t  *request;

    ngx_str_set(&fields[0].name, "id");
    ngx_str_set(&fields[1].name, "client");
    ngx_str_set(&fields[2].name, "key");
    ngx_str_set(&fields[3].name, "keys");

    rc = ngx_iot_json_fields(&call->op->payload, &call->op->alloc,
                             NGX_IOT_MQTT_TB_DEPTH, fields, 4, NULL);

    request = ngx_pcalloc(call->op->pool, sizeof(ngx_iot_mqtt_gw_request_t));

    if (rc != NGX_OK || request == NULL
        || ngx_array_init(&request->keys, call->op->pool, 4,
                          sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (fields[0].token != NGX_IOT_JSON_NUMBER
        || ngx_iot_mqtt_tb_number(&fields[0].text, NULL) != NGX_OK
        || (fields[1].token != NGX_IOT_JSON_TRUE
            && fields[1].token != NGX_IOT_JSON_FALSE))
    {
        return ngx_iot_mqtt_gw_bad_shape(call);
    }

    request->id = fields[0].text;
    request->client = (fields[1].token == NGX_IOT_JSON_TRUE);
    call->data = request;

    if (fields[2].token == NGX_IOT_JSON_STRING) {
        key = ngx_array_push(&request->keys);
        if (key == NULL) {
            return NGX_ERROR;
        }

        *key = fields[2].text;

        return NGX_OK;
    }

    if (fields[3].token != NGX_IOT_JSON_ARRAY) {
        return ngx_iot_mqtt_gw_bad_shape(call);
    }

    return ngx_iot_mqtt_gw_keys(call, &request->keys, &fields[3].raw);
}


static ngx_int_t
ngx_iot_mqtt_gw_keys(ngx_iot_mqtt_gw_call_t *call, ngx_array_t *keys,
    ngx_str_t *list)
{
    ngx_str_t       *key;
    ngx_uint_t       token;
    ngx_iot_json_t   json;

    ngx_iot_json_init(&json, list, &call->op->alloc, NGX_IOT_MQTT_TB_DEPTH);

    (void) ngx_iot_json_next(&json);

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (token == NGX_IOT_JSON_ARRAY_END) {
            return NGX_OK;
        }

        if (token != NGX_IOT_JSON_STRING
            || keys->nelts == NGX_IOT_MQTT_TB_MAX_KEYS)
        {
            return json.nomem ? NGX_ERROR : ngx_iot_mqtt_gw_bad_shape(call);
        }

        key = ngx_array_push(keys);
        if (key == NULL) {
            return NGX_ERROR;
        }

        *key = json.text;
    }
}


void
ngx_iot_mqtt_gw_request(ngx_iot_mqtt_gw_call_t *call)
{
    u_char                     *p;
    ngx_iot_db_call_t          *dbc;
    ngx_iot_mqtt_gw_item_t     *item;
    ngx_iot_mqtt_gw_request_t  *request;

    item = &call->items[0];
    request = call->data;

    if (item->reason) {
        return;
    }

    item->reason = NGX_IOT_MQTT_UNAVAILABLE;

    dbc = ngx_iot_db_create(NGX_IOT_DB_READ, &ngx_iot_mqtt_gw_attributes_stmt,
                            ngx_cycle->log);
    if (dbc == NULL) {
        return;
    }

    p = ngx_pnalloc(dbc->pool, NGX_INT32_LEN + 1);
    if (p == NULL) {
        goto failed;
    }

    ngx_sprintf(p, "%D%Z", item->device->nr);
    ngx_iot_db_param(dbc, p, 0, 0);
    ngx_iot_db_param(dbc, request->client ? "t" : "f", 1, 0);

    if (ngx_iot_gateway_texts(dbc, request->keys.elts, sizeof(ngx_str_t),
                              request->keys.nelts)
        != NGX_OK)
    {
        goto failed;
    }

    dbc->data = call;
    dbc->done = ngx_iot_mqtt_gw_answer;

    if (ngx_iot_db_send(dbc) == NGX_OK) {
        item->reason = 0;
        call->pending++;
        return;
    }

failed:

    ngx_destroy_pool(dbc->pool);
}


static void
ngx_iot_mqtt_gw_answer(ngx_iot_db_call_t *dbc)
{
    u_char                     *p, *start;
    size_t                      len;
    ngx_str_t                   payload;
    ngx_iot_mqtt_gw_call_t     *call;
    ngx_iot_mqtt_gw_item_t     *item;
    ngx_iot_mqtt_gw_request_t  *request;

    call = dbc->data;
    item = &call->items[0];
    request = call->data;

    if (dbc->rc != NGX_OK || PQntuples(dbc->result) != 1) {
        item->reason = NGX_IOT_MQTT_UNAVAILABLE;
        ngx_iot_mqtt_gw_done(call);
        return;
    }

    if (call->op->session) {
        len = PQgetlength(dbc->result, 0, 0);

        start = ngx_iot_mqtt_gw_object(&item->name, sizeof(",\"id\":,}")
                                                    + request->id.len + len,
                                       &p);
        if (start) {
            p = ngx_sprintf(p, ",\"id\":%V", &request->id);

            if (len) {
                *p++ = ',';
                p = ngx_cpymem(p, PQgetvalue(dbc->result, 0, 0), len);
            }

            *p++ = '}';

            payload.data = start;
            payload.len = p - start;

            (void) ngx_iot_mqtt_tb_send(call->op->session,
                                        NGX_IOT_MQTT_TB_GW_RESPONSE,
                                        NGX_IOT_MQTT_TB_V1, NULL, &payload);
            ngx_free(start);
        }
    }

    ngx_iot_mqtt_gw_done(call);
}


/* {"device":"Dev A","id":1,"data":...}, the answer of the device */

ngx_int_t
ngx_iot_mqtt_gw_check_rpc(ngx_iot_mqtt_gw_call_t *call)
{
    int32_t                n;
    ngx_int_t              rc;
    ngx_iot_json_field_t   fields[2];
    ngx_iot_rpc_answer_t  *answer;

    ngx_str_set(&fields[0].name, "id");
    ngx_str_set(&fields[1].name, "data");

    rc = ngx_iot_json_fields(&call->op->payload, &call->op->alloc,
                             NGX_IOT_MQTT_TB_DEPTH, fields, 2, NULL);

    answer = ngx_pcalloc(call->op->pool, sizeof(ngx_iot_rpc_answer_t));

    if (rc != NGX_OK || answer == NULL) {
        return NGX_ERROR;
    }

    if (fields[0].token != NGX_IOT_JSON_NUMBER
        || ngx_iot_mqtt_tb_number(&fields[0].text, &n) != NGX_OK
        || fields[1].token == NGX_IOT_JSON_END)
    {
        return ngx_iot_mqtt_gw_bad_shape(call);
    }

    if (n >= 0) {
        /* others are not ours */
        call->data = answer;
    }

    answer->id = (uint32_t) n;
    answer->body = fields[1].raw;

    return NGX_OK;
}


void
ngx_iot_mqtt_gw_rpc(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t                rc;
    ngx_iot_rpc_answer_t    *answer;
    ngx_iot_mqtt_gw_item_t  *item;

    item = &call->items[0];
    answer = call->data;

    if (item->reason || answer == NULL) {
        return;
    }

    ngx_memcpy(answer->tenant, item->device->tenant, NGX_IOT_UUID_TEXT);
    ngx_memcpy(answer->device, item->device->id, NGX_IOT_UUID_TEXT);

    answer->done = ngx_iot_mqtt_gw_answered;
    answer->data = call;

    rc = ngx_iot_rpc_answer(answer);

    if (rc == NGX_AGAIN) {
        call->pending++;

    } else if (rc != NGX_OK) {
        item->reason = NGX_IOT_MQTT_UNAVAILABLE;
    }
}


static void
ngx_iot_mqtt_gw_answered(ngx_iot_rpc_answer_t *answer, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_iot_mqtt_gw_call_t  *call;

    call = answer->data;

    if (rc != NGX_OK) {
        call->items[0].reason = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_gw_done(call);
}


/* {"Dev A":{"secretKey":"s","durationMs":n},...} */

ngx_int_t
ngx_iot_mqtt_gw_check_claim(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_int_t         rc;
    ngx_uint_t        i;
    ngx_iot_claim_t  *claims;

    rc = ngx_iot_mqtt_gw_check_objects(call);
    if (rc != NGX_OK) {
        return rc;
    }

    claims = ngx_pcalloc(call->op->pool, call->n * sizeof(ngx_iot_claim_t)
                                         + 1);
    if (claims == NULL) {
        return NGX_ERROR;
    }

    for (i = 0; i < call->n; i++) {
        rc = ngx_iot_claim_parse(&claims[i], &call->items[i].raw,
                                 &call->op->alloc);
        if (rc != NGX_OK) {
            return (rc == NGX_ERROR) ? NGX_ERROR
                                     : ngx_iot_mqtt_gw_bad_shape(call);
        }
    }

    call->data = claims;

    return NGX_OK;
}


void
ngx_iot_mqtt_gw_claim(ngx_iot_mqtt_gw_call_t *call)
{
    ngx_uint_t        i, n;
    ngx_iot_claim_t  *claims;

    claims = call->data;

    for (n = 0, i = 0; i < call->n; i++) {

        if (call->items[i].reason == 0) {
            claims[n] = claims[i];
            claims[n++].device = call->items[i].device->id;
        }
    }

    if (n == 0) {
        return;
    }

    if (ngx_iot_claim_offer(call->op->device->tenant, claims, n,
                            ngx_iot_mqtt_gw_claimed, call)
        == NULL)
    {
        call->items[0].reason = NGX_IOT_MQTT_UNAVAILABLE;
        return;
    }

    call->pending++;
}


static void
ngx_iot_mqtt_gw_claimed(ngx_iot_db_call_t *dbc)
{
    ngx_iot_mqtt_gw_call_t  *call;

    call = dbc->data;

    if (dbc->rc == NGX_OK) {
        ngx_iot_claim_log(dbc, call->op->device->tenant);

    } else {
        call->items[0].reason = NGX_IOT_MQTT_UNAVAILABLE;
    }

    ngx_iot_mqtt_gw_done(call);
}
