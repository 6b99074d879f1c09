
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../codec/ngx_iot_id.h"
#include "ngx_iot_mqtt_store.h"


#define NGX_IOT_MQTT_OID_BYTEA  17
#define NGX_IOT_MQTT_OID_INT8   20
#define NGX_IOT_MQTT_OID_INT2   21
#define NGX_IOT_MQTT_OID_INT4   23
#define NGX_IOT_MQTT_OID_TEXT   25
#define NGX_IOT_MQTT_OID_UUID   2950

/* fixed cells of any row */
#define NGX_IOT_MQTT_ROW        160

/* subscription identifiers of one session that a row remembers */
#define NGX_IOT_MQTT_ROW_IDS    64


/* a message on its way into the store */

typedef struct {
    ngx_iot_bus_message_t   *msg;
    ngx_iot_mqtt_in_t       *in;
    ngx_iot_mqtt_stored_pt   stored;
    ngx_uint_t               nwake;
    uint64_t                 wake[1];   /* members of groups, offline */
} ngx_iot_mqtt_storing_t;

/* what one session gets of it */

typedef struct {
    ngx_iot_mqtt_stored_t   *session;
    ngx_uint_t               qos;
    ngx_uint_t               flags;
    ngx_uint_t               nids;
    uint64_t                 id;        /* of the row */
    ngx_str_t                group;     /* the filter of a group, or none */
    u_char                   ids[NGX_IOT_MQTT_ROW_IDS * 4];
} ngx_iot_mqtt_share_t;


static void ngx_iot_mqtt_store_dropped(off_t n);
static ngx_uint_t ngx_iot_mqtt_store_share(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match, ngx_uint_t *i, ngx_iot_mqtt_share_t *share);
static void ngx_iot_mqtt_store_member(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_stored_sub_t *sub, ngx_iot_mqtt_share_t *share);
static ngx_int_t ngx_iot_mqtt_store_rows(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match, ngx_iot_mqtt_storing_t *storing);
static uint64_t ngx_iot_mqtt_store_next(void);
static ngx_int_t ngx_iot_mqtt_store_put(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_share_t *share);
static void ngx_iot_mqtt_store_committed(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static void ngx_iot_mqtt_store_ignore(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);


static uint32_t  ngx_iot_mqtt_queue_types[] = {
    NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT2,
    NGX_IOT_MQTT_OID_INT4, NGX_IOT_MQTT_OID_BYTEA, NGX_IOT_MQTT_OID_TEXT,
    NGX_IOT_MQTT_OID_BYTEA, NGX_IOT_MQTT_OID_BYTEA, NGX_IOT_MQTT_OID_TEXT,
    NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_TEXT
};

static uint32_t  ngx_iot_mqtt_mark_types[] = {
    NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT4,
    NGX_IOT_MQTT_OID_INT2
};

static uint32_t  ngx_iot_mqtt_held_types[] = {
    NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT4, NGX_IOT_MQTT_OID_INT2,
    NGX_IOT_MQTT_OID_INT4, NGX_IOT_MQTT_OID_TEXT, NGX_IOT_MQTT_OID_BYTEA,
    NGX_IOT_MQTT_OID_BYTEA, NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT8
};

static uint32_t  ngx_iot_mqtt_retain_types[] = {
    NGX_IOT_MQTT_OID_UUID, NGX_IOT_MQTT_OID_TEXT, NGX_IOT_MQTT_OID_INT2,
    NGX_IOT_MQTT_OID_INT4, NGX_IOT_MQTT_OID_BYTEA, NGX_IOT_MQTT_OID_BYTEA,
    NGX_IOT_MQTT_OID_TEXT, NGX_IOT_MQTT_OID_INT8, NGX_IOT_MQTT_OID_INT8
};


static ngx_iot_batch_kind_t  ngx_iot_mqtt_queue_kind = {
    ngx_string("mqtt_queue"),
    ngx_iot_db_stmt("SELECT iot.mqtt_store($1, $2, $3, $4, $5, $6, $7, $8,"
                    " $9, $10, $11, $12)"),
    { ngx_null_string, 0 },
    12,
    ngx_iot_mqtt_queue_types,
    2 + 12 + 12                            /* session, id */
};

static ngx_iot_batch_kind_t  ngx_iot_mqtt_mark_kind = {
    ngx_string("mqtt_mark"),
    ngx_iot_db_stmt("SELECT iot.mqtt_mark($1, $2, $3, $4)"),
    { ngx_null_string, 0 },
    4,
    ngx_iot_mqtt_mark_types,
    2 + 12 + 12                            /* session, id */
};

static ngx_iot_batch_kind_t  ngx_iot_mqtt_held_kind = {
    ngx_string("mqtt_held"),
    ngx_iot_db_stmt("SELECT iot.mqtt_receive($1, $2, $3, $4, $5, $6, $7, $8,"
                    " $9)"),
    { ngx_null_string, 0 },
    9,
    ngx_iot_mqtt_held_types,
    2 + 12 + 8                             /* session, packet id */
};

/* the key would have no fixed length: a row of its own for each change */

static ngx_iot_batch_kind_t  ngx_iot_mqtt_retain_kind = {
    ngx_string("mqtt_retain"),
    ngx_iot_db_stmt("SELECT iot.mqtt_retain($1, $2, $3, $4, $5, $6, $7, $8,"
                    " $9)"),
    { ngx_null_string, 0 },
    9,
    ngx_iot_mqtt_retain_types,
    0
};


static ngx_uint_t  ngx_iot_mqtt_queue_batch;
static ngx_uint_t  ngx_iot_mqtt_mark_batch;
static ngx_uint_t  ngx_iot_mqtt_held_batch;
static ngx_uint_t  ngx_iot_mqtt_retain_batch;
static uint64_t    ngx_iot_mqtt_last_id;


ngx_int_t
ngx_iot_mqtt_store_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_mqtt_queue_batch = ngx_iot_batch_register(&ngx_iot_mqtt_queue_kind);
    ngx_iot_batch_on_answer(ngx_iot_mqtt_queue_batch,
                            ngx_iot_mqtt_store_dropped);

    ngx_iot_mqtt_mark_batch = ngx_iot_batch_register(&ngx_iot_mqtt_mark_kind);
    ngx_iot_mqtt_held_batch = ngx_iot_batch_register(&ngx_iot_mqtt_held_kind);
    ngx_iot_mqtt_retain_batch =
        ngx_iot_batch_register(&ngx_iot_mqtt_retain_kind);

    return NGX_OK;
}


/* messages for sessions that have their share already */

static void
ngx_iot_mqtt_store_dropped(off_t n)
{
    ngx_iot_add(mqtt_publish_dropped, n);
}


u_char *
ngx_iot_mqtt_cell_bytes(u_char *p, u_char *data, size_t len)
{
    p = ngx_iot_put32(p, len);

    return ngx_cpymem(p, data, len);
}


static void
ngx_iot_mqtt_store_ignore(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the MQTT store: %V", &err->message);
    }
}


/* all subscriptions of the next session: 1, or 0 when there is none left */

static ngx_uint_t
ngx_iot_mqtt_store_share(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match, ngx_uint_t *i, ngx_iot_mqtt_share_t *share)
{
    ngx_uint_t                  qos;
    ngx_iot_mqtt_stored_t      *st;
    ngx_iot_mqtt_stored_sub_t  *sub;

    while (*i < match->nsubs) {
        st = match->subs[*i]->owner;

        share->session = st;
        share->qos = 0;
        share->flags = msg->flags & ~NGX_IOT_BUS_RETAIN;
        share->nids = 0;
        share->group.len = 0;

        for ( /* void */ ; *i < match->nsubs && match->subs[*i]->owner == st;
              (*i)++)
        {
            sub = (ngx_iot_mqtt_stored_sub_t *) match->subs[*i];

            if ((sub->options & NGX_IOT_MQTT_SUB_NO_LOCAL)
                && msg->publisher.len == st->client_id.len
                && ngx_memcmp(msg->publisher.data, st->client_id.data,
                              st->client_id.len)
                   == 0)
            {
                continue;
            }

            qos = sub->options & NGX_IOT_MQTT_SUB_QOS;
            share->qos = ngx_max(share->qos, qos);

            if (sub->options & NGX_IOT_MQTT_SUB_AS_PUBLISHED) {
                share->flags |= msg->flags & NGX_IOT_BUS_RETAIN;
            }

            if (sub->id && share->nids < NGX_IOT_MQTT_ROW_IDS) {
                (void) ngx_iot_put32(&share->ids[share->nids * 4], sub->id);
                share->nids++;
            }
        }

        share->qos = ngx_min(share->qos, msg->qos);

        if (share->qos) {
            return 1;
        }
    }

    return 0;
}


/* the same of a member of a group */

static void
ngx_iot_mqtt_store_member(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_stored_sub_t *sub, ngx_iot_mqtt_share_t *share)
{
    share->session = sub->sub.owner;
    share->qos = sub->options & NGX_IOT_MQTT_SUB_QOS;
    share->qos = ngx_min(share->qos, msg->qos);
    share->flags = msg->flags;
    share->nids = 0;
    share->id = ngx_iot_mqtt_store_next();
    share->group = sub->filter;

    if (!(sub->options & NGX_IOT_MQTT_SUB_AS_PUBLISHED)) {
        share->flags &= ~NGX_IOT_BUS_RETAIN;
    }

    if (sub->id) {
        (void) ngx_iot_put32(share->ids, sub->id);
        share->nids = 1;
    }
}


ngx_int_t
ngx_iot_mqtt_store_message(ngx_iot_bus_message_t *msg, ngx_iot_mqtt_in_t *in,
    ngx_iot_mqtt_stored_pt stored)
{
    ngx_uint_t               i, n, alone;
    ngx_iot_mqtt_share_t     share;
    ngx_iot_topic_match_t   *match;
    ngx_iot_batch_entry_t   *entry;
    ngx_iot_bus_message_t   *copy;
    ngx_iot_mqtt_storing_t  *storing;

    match = ngx_iot_mqtt_index_match(msg->tenant, &msg->topic);
    if (match == NULL) {
        return NGX_DECLINED;
    }

    for (i = 0, n = 0; ngx_iot_mqtt_store_share(msg, match, &i, &share); n++) {
        /* void */
    }

    alone = ngx_iot_mqtt_share_offline(msg, match);

    if (n + alone == 0) {
        ngx_iot_topic_match_release(match);
        return NGX_DECLINED;
    }

    copy = ngx_iot_mqtt_store_number(msg);
    storing = ngx_alloc(sizeof(ngx_iot_mqtt_storing_t)
                        + alone * sizeof(uint64_t), ngx_cycle->log);
    entry = ngx_iot_batch_begin(ngx_iot_mqtt_queue_batch, n + alone);

    if (copy == NULL || storing == NULL || entry == NULL) {
        goto failed;
    }

    if (n == 0) {
        /* nobody has a row of that number */
        ngx_iot_bus_drop(copy);
        ngx_iot_bus_keep(msg);
        copy = msg;
    }

    if (in) {
        in->alone = (uint16_t) alone;
    }

    if (alone) {
        copy->flags |= NGX_IOT_MQTT_OFFLINE;
    }

    storing->msg = copy;
    storing->in = in;
    storing->stored = stored;
    storing->nwake = 0;

    if (ngx_iot_mqtt_store_rows(copy, match, storing) != NGX_OK) {
        goto failed;
    }

    ngx_iot_topic_match_release(match);

    ngx_iot_batch_end(ngx_iot_mqtt_queue_batch, entry,
                      ngx_iot_mqtt_store_committed, storing);

    return NGX_AGAIN;

failed:

    ngx_iot_topic_match_release(match);

    if (entry) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_queue_batch, entry);
    }

    if (storing) {
        ngx_free(storing);
    }

    if (copy) {
        ngx_iot_bus_drop(copy);
    }

    return NGX_ERROR;
}


static ngx_int_t
ngx_iot_mqtt_store_rows(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match, ngx_iot_mqtt_storing_t *storing)
{
    ngx_uint_t                  i;
    ngx_iot_mqtt_share_t        share;
    ngx_iot_mqtt_stored_sub_t  *sub;

    share.id = ngx_iot_mqtt_store_id(msg);

    for (i = 0; ngx_iot_mqtt_store_share(msg, match, &i, &share); /* void */) {

        if (ngx_iot_mqtt_store_put(msg, &share) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    for (i = 0; i < match->ngroups; i++) {

        if (!ngx_iot_mqtt_share_alone(msg->tenant, match->groups[i])) {
            continue;
        }

        do {
            sub = (ngx_iot_mqtt_stored_sub_t *)
                      ngx_iot_topic_pick_member(match->groups[i]);
        } while ((sub->options & NGX_IOT_MQTT_SUB_QOS) == 0);

        ngx_iot_mqtt_store_member(msg, sub, &share);

        if (ngx_iot_mqtt_store_put(msg, &share) != NGX_OK) {
            return NGX_ERROR;
        }

        storing->wake[storing->nwake++] = share.session->nr;
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_store_one(ngx_iot_mqtt_stored_t *st, ngx_iot_bus_message_t *msg,
    ngx_uint_t qos, ngx_uint_t retain, uint32_t id, ngx_str_t *filter,
    ngx_iot_mqtt_marked_pt done, void *data)
{
    ngx_iot_mqtt_share_t    share;
    ngx_iot_batch_entry_t  *entry;

    entry = ngx_iot_batch_begin(ngx_iot_mqtt_queue_batch, 1);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    share.session = st;
    share.qos = qos;
    share.flags = msg->flags & ~NGX_IOT_BUS_RETAIN;
    share.flags |= retain ? NGX_IOT_BUS_RETAIN : 0;
    share.id = ngx_iot_mqtt_store_id(msg);
    share.group = *filter;
    share.nids = 0;

    if (id) {
        (void) ngx_iot_put32(share.ids, id);
        share.nids = 1;
    }

    if (ngx_iot_mqtt_store_put(msg, &share) != NGX_OK) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_queue_batch, entry);
        return NGX_ERROR;
    }

    ngx_iot_batch_end(ngx_iot_mqtt_queue_batch, entry, done, data);

    return NGX_OK;
}


/* the time, the worker, and a count: grows for each worker's messages */

static uint64_t
ngx_iot_mqtt_store_next(void)
{
    uint64_t     id;
    ngx_time_t  *tp;

    tp = ngx_timeofday();

    id = ((uint64_t) tp->sec * 1000 + tp->msec) << 20
         | (uint64_t) (ngx_iot_slot_self()->slot & 63) << 14;

    if (id <= ngx_iot_mqtt_last_id) {
        id = ngx_iot_mqtt_last_id + 1;
    }

    ngx_iot_mqtt_last_id = id;

    return id;
}


ngx_iot_bus_message_t *
ngx_iot_mqtt_store_number(ngx_iot_bus_message_t *msg)
{
    u_char                 *p;
    ngx_str_t               props, stored;
    ngx_iot_bus_message_t  *copy;

    props = msg->properties;

    if (msg->flags & NGX_IOT_MQTT_STORED) {
        props.data += 8;
        props.len -= 8;
    }

    stored.len = 8 + props.len;
    stored.data = ngx_alloc(stored.len, ngx_cycle->log);
    if (stored.data == NULL) {
        return NULL;
    }

    p = ngx_iot_put64(stored.data, ngx_iot_mqtt_store_next());
    ngx_memcpy(p, props.data, props.len);

    copy = ngx_iot_bus_message(msg->tenant, &msg->topic, &msg->payload,
                               &stored, &msg->publisher);

    ngx_free(stored.data);

    if (copy == NULL) {
        return NULL;
    }

    copy->qos = msg->qos;
    copy->flags = msg->flags | NGX_IOT_MQTT_STORED;
    copy->published = msg->published;
    copy->expires = msg->expires;

    return copy;
}


uint64_t
ngx_iot_mqtt_store_id(ngx_iot_bus_message_t *msg)
{
    if (!(msg->flags & NGX_IOT_MQTT_STORED) || msg->properties.len < 8) {
        return 0;
    }

    return ngx_iot_mqtt_get64(msg->properties.data);
}


static ngx_int_t
ngx_iot_mqtt_store_put(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_share_t *share)
{
    u_char     *p;
    ngx_str_t   props;

    props = msg->properties;

    if (msg->flags & NGX_IOT_MQTT_STORED) {
        props.data += 8;
        props.len -= 8;
    }

    p = ngx_iot_batch_row(ngx_iot_mqtt_queue_batch,
                          NGX_IOT_MQTT_ROW + share->nids * 4 + msg->topic.len
                          + msg->payload.len + props.len
                          + msg->publisher.len + share->group.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_iot_cell_int8(p, share->session->nr);
    p = ngx_iot_cell_int8(p, share->id);
    p = ngx_iot_cell_int2(p, share->qos);
    p = ngx_iot_cell_int4(p, share->flags & ~NGX_IOT_MQTT_OWN);
    p = ngx_iot_mqtt_cell_bytes(p, share->ids, share->nids * 4);
    p = ngx_iot_cell_text(p, &msg->topic);
    p = ngx_iot_mqtt_cell_bytes(p, msg->payload.data, msg->payload.len);
    p = ngx_iot_mqtt_cell_bytes(p, props.data, props.len);
    p = ngx_iot_cell_text(p, &msg->publisher);
    p = ngx_iot_cell_int8(p, msg->published);
    p = ngx_iot_cell_int8(p, msg->expires);

    if (share->group.len) {
        p = ngx_iot_cell_text(p, &share->group);

    } else {
        p = ngx_iot_cell_null(p);
    }

    ngx_iot_batch_row_end(ngx_iot_mqtt_queue_batch, p);

    return NGX_OK;
}


static void
ngx_iot_mqtt_store_committed(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_storing_t  *storing = data;

    ngx_uint_t  i;

    if (rc != NGX_OK) {
        ngx_iot_mqtt_store_ignore(NULL, rc, err);
    }

    for (i = 0; rc == NGX_OK && i < storing->nwake; i++) {
        ngx_iot_mqtt_share_wake(storing->wake[i]);
    }

    storing->stored(storing->msg, storing->in,
                    rc == NGX_OK ? NGX_OK : NGX_ERROR);

    ngx_free(storing);
}


ngx_int_t
ngx_iot_mqtt_store_mark(uint64_t session, uint64_t id, ngx_uint_t packet_id,
    ngx_uint_t state, ngx_iot_mqtt_marked_pt done, void *data)
{
    u_char                 *p;
    ngx_iot_batch_entry_t  *entry;

    entry = ngx_iot_batch_begin(ngx_iot_mqtt_mark_batch, 1);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    p = ngx_iot_batch_row(ngx_iot_mqtt_mark_batch, NGX_IOT_MQTT_ROW);
    if (p == NULL) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_mark_batch, entry);
        return NGX_ERROR;
    }

    p = ngx_iot_cell_int8(p, session);
    p = ngx_iot_cell_int8(p, id);
    p = ngx_iot_cell_int4(p, packet_id);
    p = ngx_iot_cell_int2(p, state);

    ngx_iot_batch_row_end(ngx_iot_mqtt_mark_batch, p);
    ngx_iot_batch_end(ngx_iot_mqtt_mark_batch, entry,
                      done ? done : ngx_iot_mqtt_store_ignore, data);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_store_held(uint64_t session, ngx_uint_t packet_id,
    ngx_iot_bus_message_t *msg, ngx_iot_mqtt_marked_pt done, void *data)
{
    u_char                 *p;
    size_t                  size;
    ngx_iot_batch_entry_t  *entry;

    entry = ngx_iot_batch_begin(ngx_iot_mqtt_held_batch, 1);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    size = NGX_IOT_MQTT_ROW;

    if (msg) {
        size += msg->topic.len + msg->payload.len + msg->properties.len;
    }

    p = ngx_iot_batch_row(ngx_iot_mqtt_held_batch, size);
    if (p == NULL) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_held_batch, entry);
        return NGX_ERROR;
    }

    p = ngx_iot_cell_int8(p, session);
    p = ngx_iot_cell_int4(p, packet_id);
    p = ngx_iot_cell_int2(p, msg ? 1 : 0);

    if (msg) {
        p = ngx_iot_cell_int4(p, msg->flags);
        p = ngx_iot_cell_text(p, &msg->topic);
        p = ngx_iot_mqtt_cell_bytes(p, msg->payload.data, msg->payload.len);
        p = ngx_iot_mqtt_cell_bytes(p, msg->properties.data,
                                    msg->properties.len);
        p = ngx_iot_cell_int8(p, msg->published);
        p = ngx_iot_cell_int8(p, msg->expires);

    } else {
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
        p = ngx_iot_cell_null(p);
    }

    ngx_iot_batch_row_end(ngx_iot_mqtt_held_batch, p);
    ngx_iot_batch_end(ngx_iot_mqtt_held_batch, entry,
                      done ? done : ngx_iot_mqtt_store_ignore, data);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_store_retained(ngx_iot_bus_message_t *msg,
    ngx_iot_mqtt_marked_pt done, void *data)
{
    u_char                 *p, uuid[NGX_IOT_UUID_SIZE];
    ngx_iot_batch_entry_t  *entry;

    if (ngx_iot_uuid_parse(uuid, msg->tenant, NGX_IOT_UUID_TEXT) != NGX_OK) {
        return NGX_ERROR;
    }

    entry = ngx_iot_batch_begin(ngx_iot_mqtt_retain_batch, 1);
    if (entry == NULL) {
        return NGX_ERROR;
    }

    p = ngx_iot_batch_row(ngx_iot_mqtt_retain_batch,
                          NGX_IOT_MQTT_ROW + msg->topic.len
                          + msg->payload.len + msg->properties.len
                          + msg->publisher.len);
    if (p == NULL) {
        ngx_iot_batch_cancel(ngx_iot_mqtt_retain_batch, entry);
        return NGX_ERROR;
    }

    p = ngx_iot_mqtt_cell_bytes(p, uuid, NGX_IOT_UUID_SIZE);
    p = ngx_iot_cell_text(p, &msg->topic);
    p = ngx_iot_cell_int2(p, msg->qos);
    p = ngx_iot_cell_int4(p, msg->flags & ~NGX_IOT_MQTT_OWN);

    if (msg->payload.len) {
        p = ngx_iot_mqtt_cell_bytes(p, msg->payload.data, msg->payload.len);

    } else {
        p = ngx_iot_cell_null(p);
    }

    p = ngx_iot_mqtt_cell_bytes(p, msg->properties.data, msg->properties.len);
    p = ngx_iot_cell_text(p, &msg->publisher);
    p = ngx_iot_cell_int8(p, msg->published);
    p = ngx_iot_cell_int8(p, msg->expires);

    ngx_iot_batch_row_end(ngx_iot_mqtt_retain_batch, p);
    ngx_iot_batch_end(ngx_iot_mqtt_retain_batch, entry,
                      done ? done : ngx_iot_mqtt_store_ignore, data);

    return NGX_OK;
}


/* columns from there on: flags, topic, payload, props, published, expires */

ngx_iot_bus_message_t *
ngx_iot_mqtt_store_row(u_char *tenant, PGresult *res, int row, int column,
    ngx_str_t *publisher, uint64_t id)
{
    u_char                 *p;
    ngx_str_t               topic, payload, stored, props;
    ngx_iot_bus_message_t  *msg;

    topic.data = (u_char *) PQgetvalue(res, row, column + 1);
    topic.len = PQgetlength(res, row, column + 1);
    payload.data = (u_char *) PQgetvalue(res, row, column + 2);
    payload.len = PQgetlength(res, row, column + 2);
    stored.data = (u_char *) PQgetvalue(res, row, column + 3);
    stored.len = PQgetlength(res, row, column + 3);

    props = stored;

    if (id) {
        props.len = 8 + stored.len;
        props.data = ngx_alloc(props.len, ngx_cycle->log);
        if (props.data == NULL) {
            return NULL;
        }

        p = ngx_iot_put64(props.data, id);
        ngx_memcpy(p, stored.data, stored.len);
    }

    msg = ngx_iot_bus_message(tenant, &topic, &payload, &props, publisher);

    if (id) {
        ngx_free(props.data);
    }

    if (msg == NULL) {
        return NULL;
    }

    msg->flags = ngx_iot_mqtt_get32(PQgetvalue(res, row, column));
    msg->published = ngx_iot_mqtt_get64(PQgetvalue(res, row, column + 4));
    msg->expires = ngx_iot_mqtt_get64(PQgetvalue(res, row, column + 5));

    if (id) {
        msg->flags |= NGX_IOT_MQTT_STORED;
    }

    return msg;
}
