
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../../codec/ngx_iot_id.h"
#include "../../codec/ngx_iot_json.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_thinger.h"


/*
 * Devices enter by MQTT_BASIC credentials, whose id is a hash that SQL does
 * not compute: it goes in front of the members of the body.
 */


ngx_int_t
ngx_http_iot_thinger_device(ngx_http_iot_call_t *call)
{
    u_char                *p;
    ngx_int_t              rc;
    ngx_str_t              name, text, body;
    ngx_iot_alloc_t        alloc;
    ngx_iot_json_field_t   fields[2];

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = call->pool;

    ngx_str_set(&fields[0].name, "device");
    ngx_str_set(&fields[1].name, "device_id");

    rc = ngx_iot_json_fields(&call->body, &alloc, 64, fields, 2, NULL);

    if (rc == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (rc != NGX_OK) {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request", "invalid body");
    }

    if (call->npath == 2) {
        name = call->path[1];

    } else if (fields[0].token == NGX_IOT_JSON_STRING) {
        name = fields[0].text;

    } else if (fields[1].token == NGX_IOT_JSON_STRING) {
        name = fields[1].text;

    } else {
        return ngx_http_iot_call_fail(call, NGX_HTTP_BAD_REQUEST,
                                      "bad_request",
                                      "the device identifier is missing");
    }

    text.len = name.len + 1 + call->path[0].len;
    text.data = ngx_pnalloc(call->pool, text.len);

    p = ngx_pnalloc(call->pool, call->body.len + NGX_IOT_SHA3_LEN
                                + sizeof("{\"b\":,\"id\":\"\"}"));

    if (p == NULL || text.data == NULL) {
        return NGX_ERROR;
    }

    ngx_sprintf(text.data, "%V|%V", &name, &call->path[0]);

    body.data = p;

    p = ngx_cpymem(p, "{\"id\":\"", sizeof("{\"id\":\"") - 1);

    if (ngx_iot_sha3(p, text.data, text.len) != NGX_OK) {
        return NGX_ERROR;
    }

    p += NGX_IOT_SHA3_LEN;
    p = ngx_cpymem(p, "\",\"b\":", sizeof("\",\"b\":") - 1);
    p = ngx_cpymem(p, call->body.data, call->body.len);
    *p++ = '}';

    body.len = p - body.data;

    return ngx_http_iot_call_sql(call, NULL, &body);
}
