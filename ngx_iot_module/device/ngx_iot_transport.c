
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_topic_name.h"
#include "ngx_iot_transport.h"


ngx_iot_transport_t *
ngx_iot_transport_parse(u_char *text, size_t len)
{
    u_char               *p, *end, *last;
    ngx_str_t            *lines[3];
    ngx_uint_t            i;
    ngx_iot_transport_t  *transport;

    transport = ngx_calloc(sizeof(ngx_iot_transport_t) + len,
                           ngx_cycle->log);
    if (transport == NULL) {
        return NULL;
    }

    p = (u_char *) transport + sizeof(ngx_iot_transport_t);
    ngx_memcpy(p, text, len);
    last = p + len;

    lines[0] = &transport->telemetry;
    lines[1] = &transport->attributes;
    lines[2] = &transport->subscribe;

    for ( /* void */ ; p < last && *p != LF; p++) {

        switch (*p) {

        case 'o':
            transport->other = 1;
            break;

        case 'p':
            transport->proto = 1;
            break;

        case 'a':
            transport->ack_bad = 1;
            break;
        }
    }

    for (i = 0; i < 3 && p < last; i++) {
        end = ngx_strlchr(++p, last, LF);
        if (end == NULL) {
            end = last;
        }

        lines[i]->data = p;
        lines[i]->len = end - p;

        if (ngx_iot_topic_filter_check(lines[i], 0) != NGX_OK) {
            lines[i]->len = 0;
        }

        p = end;
    }

    if (ngx_strlchr(transport->subscribe.data,
                    transport->subscribe.data + transport->subscribe.len, '+')
        || ngx_strlchr(transport->subscribe.data,
                       transport->subscribe.data + transport->subscribe.len,
                       '#'))
    {
        transport->subscribe.len = 0;
    }

    return transport;
}
