
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_native_session.h"


/*
 * Two protocols, one session: frames become events here, and what the session
 * has to say becomes frames.
 */


static ngx_int_t ngx_iot_native_event_native(ngx_iot_native_session_t *s,
    u_char *pos, u_char *end, ngx_iot_native_event_t *ev, ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_event_asks(ngx_iot_native_message_t *message,
    ngx_iot_native_event_t *ev, ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_event_iotmp(ngx_iot_native_session_t *s,
    ngx_uint_t type, u_char *pos, u_char *end, ngx_iot_native_event_t *ev,
    ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_event_connect(ngx_iot_iotmp_message_t *message,
    ngx_iot_native_event_t *ev, ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_native_event_call(ngx_iot_iotmp_message_t *message,
    ngx_iot_native_event_t *ev, ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_native_event_tree(ngx_iot_iotmp_field_t *field,
    ngx_iot_tree_t **tree, ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_native_join(ngx_str_t *out, ngx_str_t *parts,
    ngx_uint_t n, ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_split(ngx_iot_native_message_t *message,
    ngx_str_t *path, ngx_uint_t describe);
static ngx_int_t ngx_iot_native_say(ngx_iot_native_session_t *s,
    ngx_iot_native_message_t *message, ngx_pool_t *pool);
static ngx_int_t ngx_iot_native_say_iotmp(ngx_iot_native_session_t *s,
    ngx_iot_iotmp_message_t *message, ngx_pool_t *pool);


void *
ngx_iot_native_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}


ngx_int_t
ngx_iot_native_event(ngx_iot_native_session_t *s,
    ngx_iot_native_frame_t *frame, u_char *pos, ngx_iot_native_event_t *ev,
    ngx_pool_t *pool)
{
    ngx_memzero(ev, sizeof(ngx_iot_native_event_t));

    if (s->protocol == NGX_IOT_DETECT_IOTMP) {
        return ngx_iot_native_event_iotmp(s, frame->type, pos,
                                          pos + frame->size, ev, pool);
    }

    if (frame->type == NGX_IOT_NATIVE_KEEP_ALIVE) {
        ev->says = NGX_IOT_NATIVE_PING;
        return NGX_OK;
    }

    return ngx_iot_native_event_native(s, pos, pos + frame->size, ev, pool);
}


static ngx_int_t
ngx_iot_native_event_native(ngx_iot_native_session_t *s, u_char *pos,
    u_char *end, ngx_iot_native_event_t *ev, ngx_pool_t *pool)
{
    u_char                    *p;
    ngx_int_t                  rc;
    ngx_iot_alloc_t            alloc;
    ngx_iot_native_message_t   message;

    ngx_memzero(&message, sizeof(ngx_iot_native_message_t));

    if (ngx_iot_native_parse(&message, pos, end, NULL) != NGX_OK) {
        return NGX_DECLINED;
    }

    ev->stream_id = message.stream_id;

    if (message.payload.data) {
        alloc.alloc = ngx_iot_native_alloc;
        alloc.data = pool;

        p = message.payload.data;

        rc = ngx_iot_pson_decode(&ev->payload, NGX_IOT_PSON_V1, &p,
                                 p + message.payload.len, NULL, &alloc);

        if (rc != NGX_OK) {
            return rc == NGX_ERROR ? NGX_ERROR : NGX_DECLINED;
        }
    }

    switch (message.signal) {

    case NGX_IOT_NATIVE_AUTH:
        if (message.npath != 3) {
            return NGX_DECLINED;
        }

        ev->says = NGX_IOT_NATIVE_LOGIN;
        ev->user = message.path[0];
        ev->device = message.path[1];
        ev->secret = message.path[2];
        return NGX_OK;

    case NGX_IOT_NATIVE_REQUEST_OK:
        ev->says = NGX_IOT_NATIVE_OK;
        return NGX_OK;

    case NGX_IOT_NATIVE_REQUEST_ERROR:
        ev->says = NGX_IOT_NATIVE_FAILED;
        return NGX_OK;

    case NGX_IOT_NATIVE_STREAM_EVENT:
    case NGX_IOT_NATIVE_STREAM_SAMPLE:
        ev->says = NGX_IOT_NATIVE_SAMPLE;
        return NGX_OK;

    default:
        return ngx_iot_native_event_asks(&message, ev, pool);
    }
}


static ngx_int_t
ngx_iot_native_event_asks(ngx_iot_native_message_t *message,
    ngx_iot_native_event_t *ev, ngx_pool_t *pool)
{
    switch (message->signal) {

    case NGX_IOT_NATIVE_CALL_ENDPOINT:
        ev->number = NGX_IOT_NATIVE_ASK_ENDPOINT;
        break;

    case NGX_IOT_NATIVE_CALL_DEVICE:
        ev->number = NGX_IOT_NATIVE_ASK_DEVICE;
        break;

    case NGX_IOT_NATIVE_BUCKET_DATA:
        ev->number = NGX_IOT_NATIVE_ASK_BUCKET;
        break;

    case NGX_IOT_NATIVE_GET_PROPERTY:
        ev->number = NGX_IOT_NATIVE_ASK_PROPERTY;
        break;

    case NGX_IOT_NATIVE_SET_PROPERTY:
        ev->number = NGX_IOT_NATIVE_ASK_SET_PROPERTY;
        break;

    default:
        /* of a later version, or nothing that a device may say */
        return NGX_OK;
    }

    ev->says = NGX_IOT_NATIVE_ASKS;
    ev->target = message->identifier;

    /* who reads a property waits for it without an id */

    ev->quiet = (ev->stream_id == 0
                 && ev->number != NGX_IOT_NATIVE_ASK_PROPERTY);

    return ngx_iot_native_join(&ev->path, message->path, message->npath, pool);
}


static ngx_int_t
ngx_iot_native_event_iotmp(ngx_iot_native_session_t *s, ngx_uint_t type,
    u_char *pos, u_char *end, ngx_iot_native_event_t *ev, ngx_pool_t *pool)
{
    uint64_t                  number;
    ngx_int_t                 rc;
    ngx_iot_alloc_t           alloc;
    ngx_iot_iotmp_message_t   message;

    if (type == NGX_IOT_IOTMP_KEEP_ALIVE) {
        ev->says = NGX_IOT_NATIVE_PING;
        return NGX_OK;
    }

    if (type == NGX_IOT_IOTMP_DISCONNECT) {
        ev->says = NGX_IOT_NATIVE_BYE;
        return NGX_OK;
    }

    ngx_memzero(&message, sizeof(ngx_iot_iotmp_message_t));

    if (ngx_iot_iotmp_parse(&message, type, s->version, pos, end, NULL)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    s->version = message.version;
    ev->stream_id = message.stream_id;

    alloc.alloc = ngx_iot_native_alloc;
    alloc.data = pool;

    if (type == NGX_IOT_IOTMP_CONNECT) {
        return ngx_iot_native_event_connect(&message, ev, &alloc);
    }

    rc = ngx_iot_native_event_tree(ngx_iot_iotmp_payload(&message),
                                   &ev->payload, &alloc);
    if (rc != NGX_OK) {
        return rc;
    }

    switch (type) {

    case NGX_IOT_IOTMP_OK:
        ev->says = NGX_IOT_NATIVE_OK;
        return NGX_OK;

    case NGX_IOT_IOTMP_ERROR:
        ev->says = NGX_IOT_NATIVE_FAILED;

        if (ngx_iot_iotmp_get_number(
                ngx_iot_iotmp_field(&message, NGX_IOT_IOTMP_PARAMETERS),
                &number) == NGX_OK
            && number >= 400 && number < 600)
        {
            ev->status = (ngx_uint_t) number;
        }

        return NGX_OK;

    case NGX_IOT_IOTMP_STREAM_DATA:
        ev->says = NGX_IOT_NATIVE_SAMPLE;
        return NGX_OK;

    case NGX_IOT_IOTMP_RUN:
        return ngx_iot_native_event_call(&message, ev, &alloc);

    default:
        /* subscriptions are not served: who waits is told so */
        ev->says = NGX_IOT_NATIVE_ASKS;
        ev->quiet = (ev->stream_id == 0);
        return NGX_OK;
    }
}


static ngx_int_t
ngx_iot_native_event_connect(ngx_iot_iotmp_message_t *message,
    ngx_iot_native_event_t *ev, ngx_iot_alloc_t *alloc)
{
    ngx_int_t        rc;
    ngx_iot_tree_t  *list, *user, *device, *secret;

    rc = ngx_iot_native_event_tree(ngx_iot_iotmp_payload(message), &list,
                                   alloc);
    if (rc != NGX_OK) {
        return rc;
    }

    if (list == NULL
        || list->type != NGX_IOT_TREE_ARRAY
        || list->u.list.n != 3)
    {
        return NGX_DECLINED;
    }

    user = list->u.list.first;
    device = user->next;
    secret = device->next;

    if (user->type != NGX_IOT_TREE_TEXT
        || device->type != NGX_IOT_TREE_TEXT
        || secret->type != NGX_IOT_TREE_TEXT)
    {
        return NGX_DECLINED;
    }

    ev->says = NGX_IOT_NATIVE_LOGIN;
    ev->user = user->u.s;
    ev->device = device->u.s;
    ev->secret = secret->u.s;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_event_call(ngx_iot_iotmp_message_t *message,
    ngx_iot_native_event_t *ev, ngx_iot_alloc_t *alloc)
{
    uint64_t                number;
    ngx_int_t               rc;
    ngx_iot_tree_t         *target;
    ngx_iot_iotmp_field_t  *field;

    ev->says = NGX_IOT_NATIVE_ASKS;
    ev->quiet = (ev->stream_id == 0);

    field = NULL;

    if (ngx_iot_iotmp_call(message, &number, &field) != NGX_OK) {
        return NGX_OK;
    }

    rc = ngx_iot_native_event_tree(field, &target, alloc);
    if (rc != NGX_OK) {
        return rc;
    }

    if (target == NULL) {
        return NGX_OK;
    }

    if (target->type == NGX_IOT_TREE_ARRAY
        && target->u.list.n == 2
        && target->u.list.first->type == NGX_IOT_TREE_TEXT
        && target->u.list.last->type == NGX_IOT_TREE_TEXT)
    {
        ev->path = target->u.list.last->u.s;
        target = target->u.list.first;
    }

    if (target->type != NGX_IOT_TREE_TEXT) {
        return NGX_OK;
    }

    ev->target = target->u.s;

    if (number <= NGX_IOT_NATIVE_ASK_BUCKET) {
        ev->number = (ngx_uint_t) number;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_event_tree(ngx_iot_iotmp_field_t *field, ngx_iot_tree_t **tree,
    ngx_iot_alloc_t *alloc)
{
    ngx_int_t  rc;

    *tree = NULL;

    if (field == NULL) {
        return NGX_OK;
    }

    rc = ngx_iot_iotmp_get_tree(field, tree, NULL, alloc);

    if (rc == NGX_OK || rc == NGX_ERROR) {
        return rc;
    }

    return NGX_DECLINED;
}


static ngx_int_t
ngx_iot_native_join(ngx_str_t *out, ngx_str_t *parts, ngx_uint_t n,
    ngx_pool_t *pool)
{
    size_t       len;
    u_char      *p;
    ngx_uint_t   i;

    len = 0;

    for (i = 0; i < n; i++) {
        len += parts[i].len + 1;
    }

    p = ngx_pnalloc(pool, len + 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = '/';
        }

        p = ngx_cpymem(p, parts[i].data, parts[i].len);
    }

    out->len = p - out->data;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_split(ngx_iot_native_message_t *message, ngx_str_t *path,
    ngx_uint_t describe)
{
    u_char     *p, *end, *slash;
    ngx_str_t  *part;

    message->has_resource = 1;

    p = path->data;
    end = p + path->len;

    while (p < end) {

        if (message->npath == NGX_IOT_NATIVE_MAX_PATH) {
            return NGX_DECLINED;
        }

        slash = ngx_strlchr(p, end, '/');

        if (slash == NULL) {
            slash = end;
        }

        part = &message->path[message->npath++];
        part->data = p;
        part->len = slash - p;

        p = slash + 1;
    }

    if (describe) {

        if (message->npath == NGX_IOT_NATIVE_MAX_PATH) {
            return NGX_DECLINED;
        }

        ngx_str_set(&message->path[message->npath], "api");
        message->npath++;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_native_say_answer(ngx_iot_native_session_t *s, ngx_uint_t ok,
    ngx_uint_t stream_id, ngx_iot_tree_t *payload, ngx_pool_t *pool)
{
    ngx_iot_iotmp_message_t   iotmp;
    ngx_iot_native_message_t  native;

    if (s->protocol == NGX_IOT_DETECT_IOTMP) {
        ngx_iot_iotmp_init(&iotmp, ok ? NGX_IOT_IOTMP_OK
                                      : NGX_IOT_IOTMP_ERROR,
                           s->version, stream_id);

        if (payload
            && ngx_iot_iotmp_set_tree(&iotmp, NGX_IOT_IOTMP_PAYLOAD, payload)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }

        return ngx_iot_native_say_iotmp(s, &iotmp, pool);
    }

    ngx_memzero(&native, sizeof(ngx_iot_native_message_t));

    native.signal = ok ? NGX_IOT_NATIVE_REQUEST_OK
                       : NGX_IOT_NATIVE_REQUEST_ERROR;
    native.stream_id = stream_id;
    native.tree = payload;

    return ngx_iot_native_say(s, &native, pool);
}


/* of IOTMP 2 are wrong credentials */

ngx_int_t
ngx_iot_native_say_refused(ngx_iot_native_session_t *s, ngx_uint_t stream_id,
    ngx_pool_t *pool)
{
    ngx_iot_tree_t           *reason;
    ngx_iot_alloc_t           alloc;
    ngx_iot_iotmp_message_t   message;

    if (s->protocol != NGX_IOT_DETECT_IOTMP) {
        return ngx_iot_native_say_answer(s, 0, stream_id, NULL, pool);
    }

    alloc.alloc = ngx_iot_native_alloc;
    alloc.data = pool;

    reason = ngx_iot_tree_int(&alloc, 2);
    if (reason == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_iotmp_init(&message, NGX_IOT_IOTMP_ERROR, s->version, stream_id);

    if (ngx_iot_iotmp_set_tree(&message, NGX_IOT_IOTMP_PARAMETERS, reason)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    return ngx_iot_native_say_iotmp(s, &message, pool);
}


ngx_int_t
ngx_iot_native_say_run(ngx_iot_native_session_t *s, ngx_uint_t describe,
    ngx_uint_t stream_id, ngx_str_t *path, ngx_iot_tree_t *payload,
    ngx_pool_t *pool)
{
    ngx_iot_iotmp_message_t   iotmp;
    ngx_iot_native_message_t  native;

    if (s->protocol == NGX_IOT_DETECT_IOTMP) {
        ngx_iot_iotmp_init(&iotmp, describe ? NGX_IOT_IOTMP_DESCRIBE
                                            : NGX_IOT_IOTMP_RUN,
                           s->version, stream_id);

        if (payload
            && ngx_iot_iotmp_set_tree(&iotmp, NGX_IOT_IOTMP_PAYLOAD, payload)
               != NGX_OK)
        {
            return NGX_DECLINED;
        }

        if (path->len
            && ngx_iot_iotmp_set_resource(&iotmp, path) != NGX_OK)
        {
            return NGX_DECLINED;
        }

        return ngx_iot_native_say_iotmp(s, &iotmp, pool);
    }

    ngx_memzero(&native, sizeof(ngx_iot_native_message_t));

    native.signal = NGX_IOT_NATIVE_RUN;
    native.stream_id = stream_id;
    native.tree = payload;

    if (ngx_iot_native_split(&native, path, describe) != NGX_OK) {
        return NGX_DECLINED;
    }

    return ngx_iot_native_say(s, &native, pool);
}


static ngx_int_t
ngx_iot_native_say(ngx_iot_native_session_t *s,
    ngx_iot_native_message_t *message, ngx_pool_t *pool)
{
    size_t   size;
    u_char  *p;

    size = ngx_iot_native_size(message);

    if (size == 0) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_iot_native_write(p, message);
    ngx_iot_native_send(s, p, size);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_native_say_iotmp(ngx_iot_native_session_t *s,
    ngx_iot_iotmp_message_t *message, ngx_pool_t *pool)
{
    size_t   size;
    u_char  *p;

    size = ngx_iot_iotmp_size(message);

    if (size == 0) {
        return NGX_DECLINED;
    }

    p = ngx_pnalloc(pool, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    (void) ngx_iot_iotmp_write(p, message);
    ngx_iot_native_send(s, p, size);

    return NGX_OK;
}


void
ngx_iot_native_say_ping(ngx_iot_native_session_t *s)
{
    u_char  buf[2];

    ngx_iot_native_send(s, buf,
                        ngx_iot_native_keep_alive(buf, s->protocol) - buf);
}
