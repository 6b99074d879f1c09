
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_gw.h"


/*
 * A device asks for its attributes, and is told when those change that people
 * give it.
 */


static ngx_int_t ngx_iot_mqtt_tb_attribute_ask(ngx_iot_mqtt_tb_op_t *op);
static ngx_int_t ngx_iot_mqtt_tb_attribute_keys(ngx_iot_mqtt_tb_op_t *op,
    ngx_iot_json_field_t *field, ngx_iot_db_call_t *dbc);
static void ngx_iot_mqtt_tb_attribute_answer(ngx_iot_db_call_t *dbc);
static ngx_int_t ngx_iot_mqtt_tb_attribute_changed(
    ngx_iot_bus_client_t *client, ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t **subs, ngx_uint_t n);


static ngx_iot_db_stmt_t  ngx_iot_mqtt_tb_attributes_stmt =
    ngx_iot_db_stmt("SELECT iot.device_attributes($1::int, $2::text[], "
                    "$3::text[])");


ngx_int_t
ngx_iot_mqtt_tb_attribute_request(ngx_iot_mqtt_tb_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_mqtt_tb_op_t  *op;

    op = ngx_iot_mqtt_tb_op(call);

    if (op == NULL) {
        return NGX_IOT_MQTT_UNAVAILABLE;
    }

    rc = ngx_iot_mqtt_tb_json(op);

    if (rc == NGX_OK) {
        rc = ngx_iot_mqtt_tb_attribute_ask(op);
    }

    if (rc == NGX_AGAIN) {
        return NGX_AGAIN;
    }

    rc = (rc == NGX_DECLINED) ? ngx_iot_mqtt_tb_bad(op, &op->points.error)
                              : NGX_IOT_MQTT_UNAVAILABLE;

    ngx_iot_mqtt_tb_op_free(op);

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_tb_attribute_ask(ngx_iot_mqtt_tb_op_t *op)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_uint_t             i;
    const char            *error;
    ngx_iot_db_call_t     *dbc;
    ngx_iot_json_field_t   fields[2];

    ngx_str_set(&fields[0].name, "clientKeys");
    ngx_str_set(&fields[1].name, "sharedKeys");

    rc = ngx_iot_json_fields(&op->payload, &op->alloc, NGX_IOT_MQTT_TB_DEPTH,
                             fields, 2, &error);

    if (rc != NGX_OK) {
        return (rc == NGX_ERROR)
               ? NGX_ERROR
               : ngx_iot_points_decline(&op->points, NGX_IOT_BAD_SHAPE,
                                        "Can't parse value: ", &op->payload);
    }

    dbc = ngx_iot_db_create(NGX_IOT_DB_READ,
                            &ngx_iot_mqtt_tb_attributes_stmt,
                            ngx_cycle->log);
    if (dbc == NULL) {
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    p = ngx_pnalloc(dbc->pool, NGX_INT32_LEN + 1);
    if (p == NULL) {
        goto failed;
    }

    ngx_sprintf(p, "%D%Z", op->device->nr);
    ngx_iot_db_param(dbc, p, 0, 0);

    for (i = 0; i < 2; i++) {
        rc = ngx_iot_mqtt_tb_attribute_keys(op, &fields[i], dbc);
        if (rc != NGX_OK) {
            goto failed;
        }
    }

    dbc->data = op;
    dbc->done = ngx_iot_mqtt_tb_attribute_answer;

    rc = ngx_iot_db_send(dbc);

    if (rc == NGX_OK) {
        return NGX_AGAIN;
    }

failed:

    ngx_destroy_pool(dbc->pool);

    return rc;
}


static ngx_int_t
ngx_iot_mqtt_tb_attribute_keys(ngx_iot_mqtt_tb_op_t *op,
    ngx_iot_json_field_t *field, ngx_iot_db_call_t *dbc)
{
    ngx_str_t     text;
    ngx_array_t  *keys;

    if (field->token == NGX_IOT_JSON_END
        || field->token == NGX_IOT_JSON_NULL)
    {
        return ngx_iot_db_text(dbc, NULL);
    }

    if (field->token != NGX_IOT_JSON_STRING) {
        return ngx_iot_points_decline(&op->points, NGX_IOT_BAD_SHAPE,
                                      "Can't parse value: ", &field->raw);
    }

    keys = ngx_array_create(op->pool, 8, sizeof(ngx_str_t));

    if (keys == NULL
        || ngx_iot_mqtt_tb_keys_add(keys, &field->text) != NGX_OK
        || ngx_iot_mqtt_tb_keys_text(keys, &text, op->pool) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_iot_db_text(dbc, &text);
}


ngx_int_t
ngx_iot_mqtt_tb_keys_add(ngx_array_t *keys, ngx_str_t *list)
{
    u_char     *p, *last, *comma;
    ngx_str_t  *key;

    p = list->data;
    last = p + list->len;

    while (p < last && keys->nelts < NGX_IOT_MQTT_TB_MAX_KEYS) {
        comma = ngx_strlchr(p, last, ',');
        if (comma == NULL) {
            comma = last;
        }

        while (p < comma && *p == ' ') {
            p++;
        }

        if (comma > p) {
            key = ngx_array_push(keys);
            if (key == NULL) {
                return NGX_ERROR;
            }

            key->data = p;
            key->len = comma - p;

            while (key->data[key->len - 1] == ' ') {
                key->len--;
            }
        }

        p = comma + 1;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_tb_keys_text(ngx_array_t *keys, ngx_str_t *array,
    ngx_pool_t *pool)
{
    u_char      *p;
    size_t       size;
    ngx_str_t   *key;
    ngx_uint_t   i, n;

    key = keys->elts;
    size = 2;

    for (i = 0; i < keys->nelts; i++) {
        size += 3 + 2 * key[i].len;
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    array->data = p;
    *p++ = '{';

    for (i = 0; i < keys->nelts; i++) {

        if (i) {
            *p++ = ',';
        }

        *p++ = '"';

        for (n = 0; n < key[i].len; n++) {

            if (key[i].data[n] == '"' || key[i].data[n] == '\\') {
                *p++ = '\\';
            }

            *p++ = key[i].data[n];
        }

        *p++ = '"';
    }

    *p++ = '}';
    array->len = p - array->data;

    return NGX_OK;
}


static void
ngx_iot_mqtt_tb_attribute_answer(ngx_iot_db_call_t *dbc)
{
    ngx_str_t              body;
    ngx_iot_mqtt_tb_op_t  *op;

    op = dbc->data;

    if (dbc->rc != NGX_OK || PQntuples(dbc->result) == 0) {
        ngx_iot_mqtt_tb_op_done(op, NGX_IOT_MQTT_UNAVAILABLE);
        return;
    }

    if (op->session) {
        body.data = (u_char *) PQgetvalue(dbc->result, 0, 0);
        body.len = PQgetlength(dbc->result, 0, 0);

        (void) ngx_iot_mqtt_tb_send(op->session, NGX_IOT_MQTT_TB_RESPONSE,
                                    op->form, &op->id, &body);
    }

    ngx_iot_mqtt_tb_op_done(op, NGX_OK);
}


ngx_int_t
ngx_iot_mqtt_tb_watch(ngx_iot_mqtt_tb_peer_t *peer)
{
    u_char     buf[NGX_IOT_EVENT_TOPIC];
    ngx_str_t  topic, group;

    if (peer->watching) {
        return NGX_OK;
    }

    if (ngx_iot_bus_client_open(&peer->client, peer->device->tenant,
                                ngx_iot_mqtt_tb_attribute_changed, peer)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    topic.data = buf;
    topic.len = ngx_iot_event_topic(buf, peer->device->id,
                                    NGX_IOT_EVENT_SHARED)
                - buf;
    ngx_str_null(&group);

    if (ngx_iot_bus_subscribe(&peer->client, &topic, &group) == NULL) {
        ngx_iot_bus_client_close(&peer->client);
        return NGX_ERROR;
    }

    peer->watching = 1;

    return NGX_OK;
}


void
ngx_iot_mqtt_tb_unwatch(ngx_iot_mqtt_tb_peer_t *peer)
{
    if (peer->watching) {
        peer->watching = 0;
        ngx_iot_bus_client_close(&peer->client);
    }
}


static ngx_int_t
ngx_iot_mqtt_tb_attribute_changed(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_iot_mqtt_tb_t       *tb;
    ngx_iot_mqtt_tb_peer_t  *peer;

    peer = client->data;
    tb = peer->tb;

    if (peer->behind) {
        return ngx_iot_mqtt_gw_send(peer, NGX_IOT_MQTT_TB_GW_ATTRIBUTES, NULL,
                                    &msg->payload);
    }

    return ngx_iot_mqtt_tb_send(tb->session, NGX_IOT_MQTT_TB_ATTRIBUTES,
                                tb->subs[NGX_IOT_MQTT_TB_ATTRIBUTES].form,
                                NULL, &msg->payload);
}
