
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_mqtt_session.h"


#define NGX_IOT_MQTT_PAGE        4096
#define NGX_IOT_MQTT_PAGES_FREE  1024

/* longer payloads are sent from where they lie */
#define NGX_IOT_MQTT_COPY        1024

/* a client that takes nothing for so long has gone */
#define NGX_IOT_MQTT_STALL       60000


static ngx_iot_mqtt_page_t *ngx_iot_mqtt_page(ngx_iot_mqtt_session_t *s,
    size_t size);
static ngx_iot_mqtt_page_t *ngx_iot_mqtt_page_alloc(size_t size);
static void ngx_iot_mqtt_page_free(ngx_iot_mqtt_page_t *page);
static ngx_int_t ngx_iot_mqtt_page_message(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg);
static ngx_int_t ngx_iot_mqtt_seal(ngx_iot_mqtt_session_t *s);
static u_char *ngx_iot_mqtt_publish_head(u_char *p,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_delivery_t *dl, size_t body,
    ngx_str_t *props);
static size_t ngx_iot_mqtt_publish_props(ngx_iot_mqtt_delivery_t *dl,
    ngx_str_t *props);


static ngx_iot_mqtt_page_t  *ngx_iot_mqtt_pages;
static ngx_uint_t            ngx_iot_mqtt_npages;


#define ngx_iot_mqtt_page_of(link)                                            \
    ((ngx_iot_mqtt_page_t *)                                                  \
     ((u_char *) (link) - offsetof(ngx_iot_mqtt_page_t, cl)))


void
ngx_iot_mqtt_write_init(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_pages = NULL;
    ngx_iot_mqtt_npages = 0;
}


static ngx_iot_mqtt_page_t *
ngx_iot_mqtt_page_alloc(size_t size)
{
    ngx_uint_t            large;
    ngx_iot_mqtt_page_t  *page;

    large = (size > NGX_IOT_MQTT_PAGE - sizeof(ngx_iot_mqtt_page_t));

    if (!large && ngx_iot_mqtt_pages) {
        page = ngx_iot_mqtt_pages;
        ngx_iot_mqtt_pages = page->cl.next ? ngx_iot_mqtt_page_of(page->cl.next)
                                           : NULL;
        ngx_iot_mqtt_npages--;

    } else {
        page = ngx_alloc(large ? sizeof(ngx_iot_mqtt_page_t) + size
                               : NGX_IOT_MQTT_PAGE,
                         ngx_cycle->log);
        if (page == NULL) {
            return NULL;
        }
    }

    ngx_memzero(page, sizeof(ngx_iot_mqtt_page_t));

    page->large = large;
    page->cl.buf = &page->buf;
    page->buf.temporary = 1;
    page->buf.start = (u_char *) page + sizeof(ngx_iot_mqtt_page_t);
    page->buf.pos = page->buf.start;
    page->buf.last = page->buf.start;
    page->buf.end = large ? page->buf.start + size
                          : (u_char *) page + NGX_IOT_MQTT_PAGE;
    page->limit = page->buf.end;

    return page;
}


static void
ngx_iot_mqtt_page_free(ngx_iot_mqtt_page_t *page)
{
    if (page->msg) {
        ngx_iot_bus_drop(page->msg);
    }

    if (page->large || ngx_iot_mqtt_npages >= NGX_IOT_MQTT_PAGES_FREE) {
        ngx_free(page);
        return;
    }

    page->cl.next = ngx_iot_mqtt_pages ? &ngx_iot_mqtt_pages->cl : NULL;
    ngx_iot_mqtt_pages = page;
    ngx_iot_mqtt_npages++;
}


static ngx_iot_mqtt_page_t *
ngx_iot_mqtt_page(ngx_iot_mqtt_session_t *s, size_t size)
{
    ngx_iot_mqtt_page_t  *page;

    page = ngx_iot_mqtt_page_alloc(size);
    if (page == NULL) {
        return NULL;
    }

    if (s->last) {
        s->last->cl.next = &page->cl;

    } else {
        s->first = page;
    }

    s->last = page;

    if (s->unframed == NULL) {
        s->unframed = page;
    }

    return page;
}


u_char *
ngx_iot_mqtt_room(ngx_iot_mqtt_session_t *s, size_t size)
{
    ngx_iot_mqtt_page_t  *page;

    page = s->last;

    if (page == NULL || (size_t) (page->limit - page->buf.last) < size) {
        page = ngx_iot_mqtt_page(s, size);
        if (page == NULL) {
            return NULL;
        }
    }

    return page->buf.last;
}


void
ngx_iot_mqtt_wrote(ngx_iot_mqtt_session_t *s, u_char *end)
{
    ngx_iot_add(mqtt_bytes_sent, end - s->last->buf.last);

    s->out_bytes += end - s->last->buf.last;
    s->last->buf.last = end;

    ngx_iot_mqtt_dirty(s);
}


static ngx_int_t
ngx_iot_mqtt_page_message(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg)
{
    ngx_iot_mqtt_page_t  *page;

    page = ngx_iot_mqtt_page(s, 0);
    if (page == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_bus_keep(msg);

    page->msg = msg;
    page->buf.pos = msg->payload.data;
    page->buf.last = msg->payload.data + msg->payload.len;
    page->limit = page->buf.last;
    s->out_bytes += msg->payload.len;

    ngx_iot_add(mqtt_bytes_sent, msg->payload.len);

    return NGX_OK;
}


/* what has been gathered becomes one frame of the transport */

static ngx_int_t
ngx_iot_mqtt_seal(ngx_iot_mqtt_session_t *s)
{
    size_t                len;
    ngx_chain_t          *cl, **link;
    ngx_iot_mqtt_page_t  *page;

    if (s->unframed == NULL) {
        return NGX_OK;
    }

    if (s->transport->frame == NULL) {
        s->unframed = NULL;
        return NGX_OK;
    }

    len = 0;

    for (cl = &s->unframed->cl; cl; cl = cl->next) {
        len += cl->buf->last - cl->buf->pos;
    }

    if (len == 0) {
        return NGX_OK;
    }

    page = ngx_iot_mqtt_page_alloc(16);
    if (page == NULL) {
        return NGX_ERROR;
    }

    page->buf.last = s->transport->frame(page->buf.pos, len);
    page->limit = page->buf.last;
    page->cl.next = &s->unframed->cl;
    s->out_bytes += page->buf.last - page->buf.pos;

    if (s->first == s->unframed) {
        s->first = page;

    } else {
        for (link = &s->first->cl.next; *link != &s->unframed->cl;
             link = &(*link)->next)
        {
            /* void */
        }

        *link = &page->cl;
    }

    s->last->limit = s->last->buf.last;
    s->unframed = NULL;

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_raw(ngx_iot_mqtt_session_t *s, u_char *data, size_t len)
{
    u_char  *p;

    if (ngx_iot_mqtt_seal(s) != NGX_OK) {
        return NGX_ERROR;
    }

    p = ngx_iot_mqtt_room(s, len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_wrote(s, ngx_cpymem(p, data, len));

    s->last->limit = s->last->buf.last;
    s->unframed = NULL;

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_flush(ngx_iot_mqtt_session_t *s)
{
    ngx_chain_t          *cl, *rest;
    ngx_connection_t     *c;
    ngx_iot_mqtt_page_t  *page;

    c = s->connection;

    if (s->first == NULL) {
        return NGX_OK;
    }

    if (ngx_iot_mqtt_seal(s) != NGX_OK) {
        return NGX_ERROR;
    }

    if (!c->write->ready) {
        return NGX_AGAIN;
    }

    rest = c->send_chain(c, &s->first->cl, 0);

    if (rest == NGX_CHAIN_ERROR) {
        return NGX_ERROR;
    }

    for (cl = &s->first->cl; cl && cl != rest; /* void */) {
        page = ngx_iot_mqtt_page_of(cl);
        cl = cl->next;
        ngx_iot_mqtt_page_free(page);
    }

    if (rest == NULL) {
        s->first = NULL;
        s->last = NULL;
        s->unframed = NULL;
        s->out_bytes = 0;

        if (c->write->timer_set) {
            ngx_del_timer(c->write);
        }

        return NGX_OK;
    }

    s->first = ngx_iot_mqtt_page_of(rest);
    s->out_bytes = 0;

    for (cl = rest; cl; cl = cl->next) {
        s->out_bytes += cl->buf->last - cl->buf->pos;
    }

    ngx_add_timer(c->write, NGX_IOT_MQTT_STALL);

    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    return NGX_AGAIN;
}


void
ngx_iot_mqtt_drop_output(ngx_iot_mqtt_session_t *s)
{
    ngx_chain_t          *cl;
    ngx_iot_mqtt_page_t  *page;

    for (cl = s->first ? &s->first->cl : NULL; cl; /* void */) {
        page = ngx_iot_mqtt_page_of(cl);
        cl = cl->next;
        ngx_iot_mqtt_page_free(page);
    }

    s->first = NULL;
    s->last = NULL;
    s->unframed = NULL;
    s->out_bytes = 0;
}


ngx_int_t
ngx_iot_mqtt_ack(ngx_iot_mqtt_session_t *s, ngx_uint_t type,
    ngx_uint_t packet_id, ngx_uint_t reason)
{
    u_char  *p;

    p = ngx_iot_mqtt_room(s, 8);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_wrote(s, ngx_iot_mqtt_build_ack(p, s->parser.version, type,
                                                 packet_id, reason));

    ngx_iot_count(mqtt_messages_sent);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_packet(ngx_iot_mqtt_session_t *s, ngx_iot_mqtt_packet_t *packet)
{
    size_t   size;
    u_char  *p;

    packet->version = s->parser.version;

    size = ngx_iot_mqtt_fit(packet, s->max_packet, s->problem_info);
    if (size == 0) {
        return NGX_DECLINED;
    }

    p = ngx_iot_mqtt_room(s, size);
    if (p == NULL) {
        return NGX_ERROR;
    }

    ngx_iot_mqtt_wrote(s, ngx_iot_mqtt_build(p, packet));

    ngx_iot_count(mqtt_messages_sent);

    return NGX_OK;
}


/* the properties that depend on the subscriber */

static size_t
ngx_iot_mqtt_publish_props(ngx_iot_mqtt_delivery_t *dl, ngx_str_t *props)
{
    size_t      len;
    ngx_uint_t  i;

    len = props->len;

    if (dl->topic_alias) {
        len += 3;
    }

    if (dl->has_expiry) {
        len += 5;
    }

    for (i = 0; i < dl->nsubscription_ids; i++) {
        len += 1 + ngx_iot_mqtt_varint_size(dl->subscription_ids[i]);
    }

    return len;
}


static u_char *
ngx_iot_mqtt_publish_head(u_char *p, ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_delivery_t *dl, size_t body, ngx_str_t *props)
{
    size_t      len;
    ngx_uint_t  i;

    *p++ = (u_char) (NGX_IOT_MQTT_PUBLISH << 4
                     | (dl->qos && dl->dup) << 3 | dl->qos << 1 | dl->retain);
    p = ngx_iot_mqtt_varint_write(p, body);

    len = dl->known_alias ? 0 : msg->topic.len;

    *p++ = (u_char) (len >> 8);
    *p++ = (u_char) len;
    p = ngx_cpymem(p, msg->topic.data, len);

    if (dl->qos) {
        *p++ = (u_char) (dl->packet_id >> 8);
        *p++ = (u_char) dl->packet_id;
    }

    if (dl->version < NGX_IOT_MQTT_V5) {
        return p;
    }

    p = ngx_iot_mqtt_varint_write(p, ngx_iot_mqtt_publish_props(dl, props));

    if (dl->has_expiry) {
        *p++ = NGX_IOT_MQTT_PROP_MESSAGE_EXPIRY;
        *p++ = (u_char) (dl->expiry >> 24);
        *p++ = (u_char) (dl->expiry >> 16);
        *p++ = (u_char) (dl->expiry >> 8);
        *p++ = (u_char) dl->expiry;
    }

    for (i = 0; i < dl->nsubscription_ids; i++) {
        *p++ = NGX_IOT_MQTT_PROP_SUBSCRIPTION_ID;
        p = ngx_iot_mqtt_varint_write(p, dl->subscription_ids[i]);
    }

    if (dl->topic_alias) {
        *p++ = NGX_IOT_MQTT_PROP_TOPIC_ALIAS;
        *p++ = (u_char) (dl->topic_alias >> 8);
        *p++ = (u_char) dl->topic_alias;
    }

    return ngx_cpymem(p, props->data, props->len);
}


ngx_int_t
ngx_iot_mqtt_put_publish(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_delivery_t *dl)
{
    size_t      len, body, size;
    u_char     *p;
    ngx_str_t   props;

    dl->version = s->parser.version;

    ngx_str_null(&props);

    body = 2 + (dl->known_alias ? 0 : msg->topic.len) + msg->payload.len;
    body += dl->qos ? 2 : 0;

    if (dl->version == NGX_IOT_MQTT_V5) {

        if (msg->flags & NGX_IOT_MQTT_PROPERTIES) {
            props = msg->properties;

            if (msg->flags & NGX_IOT_MQTT_STORED) {
                props.data += 8;
                props.len -= 8;
            }
        }

        len = ngx_iot_mqtt_publish_props(dl, &props);
        body += ngx_iot_mqtt_varint_size(len) + len;
    }

    if (body > NGX_IOT_MQTT_VARINT_MAX) {
        return NGX_DECLINED;
    }

    size = 1 + ngx_iot_mqtt_varint_size(body) + body;

    if (size > s->max_packet) {
        return NGX_DECLINED;
    }

    if (msg->payload.len > NGX_IOT_MQTT_COPY) {
        p = ngx_iot_mqtt_room(s, size - msg->payload.len);
        if (p == NULL) {
            return NGX_ERROR;
        }

        p = ngx_iot_mqtt_publish_head(p, msg, dl, body, &props);
        ngx_iot_mqtt_wrote(s, p);

        if (ngx_iot_mqtt_page_message(s, msg) != NGX_OK) {
            /* half a packet went out: nothing can follow it */
            ngx_iot_mqtt_gone(s);
            return NGX_ERROR;
        }

    } else {
        p = ngx_iot_mqtt_room(s, size);
        if (p == NULL) {
            return NGX_ERROR;
        }

        p = ngx_iot_mqtt_publish_head(p, msg, dl, body, &props);
        p = ngx_cpymem(p, msg->payload.data, msg->payload.len);
        ngx_iot_mqtt_wrote(s, p);
    }

    ngx_iot_count(mqtt_messages_sent);
    ngx_iot_count(mqtt_publish_sent);
    ngx_iot_add(mqtt_publish_bytes_sent, msg->payload.len);

    return NGX_OK;
}
