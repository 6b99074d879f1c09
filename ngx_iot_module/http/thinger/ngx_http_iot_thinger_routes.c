
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_http_iot_thinger.h"


/*
 * The Thinger.io dialect: who may call what.  A row names the SQL function
 * that does the work, a handler in C, or both: the handler goes first.
 */


#define USER  (NGX_IOT_TENANT|NGX_IOT_CUSTOMER)

#define BODY  NGX_HTTP_IOT_BODY
#define RAW   NGX_HTTP_IOT_RAW_BODY
#define READ  NGX_HTTP_IOT_READ


#define ngx_http_iot_thinger_row(method, pattern, function, handler, flags)   \
    { NGX_HTTP_##method, ngx_string(pattern), USER, function, handler,        \
      flags, { ngx_null_string, 0 } }

#define ngx_http_iot_thinger_sql(method, pattern, function, flags)            \
    ngx_http_iot_thinger_row(method, pattern, "thinger." function, NULL,      \
                             flags)

#define ngx_http_iot_thinger_c(method, pattern, handler, flags)               \
    ngx_http_iot_thinger_row(method, pattern, NULL,                           \
                             ngx_http_iot_thinger_##handler, flags)

#define ngx_http_iot_thinger_both(method, pattern, function, handler, flags)  \
    ngx_http_iot_thinger_row(method, pattern, "thinger." function,            \
                             ngx_http_iot_thinger_##handler, flags)


ngx_http_iot_route_t  ngx_http_iot_thinger_routes[] = {

    /* accounts */

    ngx_http_iot_thinger_sql(GET, "/v1/users/{user}", "account_get", READ),
    ngx_http_iot_thinger_sql(PUT, "/v1/users/{user}", "account_save", BODY),

    /* devices */

    ngx_http_iot_thinger_sql(GET, "/v1/users/{user}/devices", "device_list",
                             READ),
    ngx_http_iot_thinger_both(POST, "/v1/users/{user}/devices",
                              "device_create", device, BODY),
    ngx_http_iot_thinger_sql(GET, "/v1/users/{user}/devices/{device}",
                             "device_get", READ),
    ngx_http_iot_thinger_both(PUT, "/v1/users/{user}/devices/{device}",
                              "device_update", device, BODY),
    ngx_http_iot_thinger_sql(DELETE, "/v1/users/{user}/devices/{device}",
                             "device_delete", 0),

    /* properties of devices */

    ngx_http_iot_thinger_sql(GET,
        "/v3/users/{user}/devices/{device}/properties", "property_list",
        READ),
    ngx_http_iot_thinger_sql(POST,
        "/v3/users/{user}/devices/{device}/properties", "property_create",
        BODY),
    ngx_http_iot_thinger_sql(GET,
        "/v3/users/{user}/devices/{device}/properties/{property}",
        "property_get", READ),
    ngx_http_iot_thinger_sql(PUT,
        "/v3/users/{user}/devices/{device}/properties/{property}",
        "property_put", BODY),
    ngx_http_iot_thinger_sql(DELETE,
        "/v3/users/{user}/devices/{device}/properties/{property}",
        "property_delete", 0),

    /* resources of connected devices */

    ngx_http_iot_thinger_c(GET,
        "/v3/users/{user}/devices/{device}/resources/*", resource, 0),
    ngx_http_iot_thinger_c(POST,
        "/v3/users/{user}/devices/{device}/resources/*", resource, RAW),
    ngx_http_iot_thinger_c(GET, "/v2/users/{user}/devices/{device}/*",
                           resource_v2, 0),
    ngx_http_iot_thinger_c(POST, "/v2/users/{user}/devices/{device}/*",
                           resource_v2, RAW),
    ngx_http_iot_thinger_c(GET, "/v1/users/{user}/devices/{device}/*",
                           resource_v2, 0),
    ngx_http_iot_thinger_c(POST, "/v1/users/{user}/devices/{device}/*",
                           resource_v2, RAW),

    ngx_http_iot_null_route
};
