
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_registry.h"
#include "ngx_iot_mqtt_store.h"


/*
 * Shared subscriptions (MQTT 5.0, section 4.8.2) of stored sessions.  A
 * message goes to a member that is connected, as the bus picks it; if that
 * one's session is stored, its worker writes the row, and the publisher waits
 * for that.  With nobody connected the worker of the publisher writes it for
 * one of those who are not.
 */

/* a message for one member, while its row is being written */

typedef struct {
    ngx_iot_bus_message_t   *msg;       /* held, or NULL */
    ngx_iot_bus_message_t   *copy;      /* with the number of the row */
    uint64_t                 nr;
    ngx_uint_t               qos;
    ngx_uint_t               retain;
    uint32_t                 id;
} ngx_iot_mqtt_sharing_t;


static ngx_iot_mqtt_sharing_t *ngx_iot_mqtt_sharing_create(
    ngx_iot_bus_message_t *msg, uint64_t nr, ngx_uint_t qos);
static void ngx_iot_mqtt_sharing_free(ngx_iot_mqtt_sharing_t *sharing);
static void ngx_iot_mqtt_share_stored(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);
static ngx_iot_mqtt_session_t *ngx_iot_mqtt_share_session(uint64_t nr);
static void ngx_iot_mqtt_share_keep(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_share_t *share);
static void ngx_iot_mqtt_share_told(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);
static void ngx_iot_mqtt_share_notified(ngx_str_t *what, ngx_str_t *id);
static void ngx_iot_mqtt_share_reset(ngx_iot_mqtt_session_t *s);


ngx_int_t
ngx_iot_mqtt_share_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_bus_on_direct(NGX_IOT_BUS_STORED, ngx_iot_mqtt_share_told);

    return ngx_iot_db_on_notify(ngx_iot_mqtt_share_notified);
}


ngx_str_t
ngx_iot_mqtt_share_text(ngx_str_t *filter, ngx_str_t *group)
{
    u_char     *p;
    ngx_str_t   text;

    text.len = sizeof("$share/") - 1 + group->len + 1 + filter->len;
    text.data = ngx_alloc(text.len, ngx_cycle->log);

    if (text.data) {
        p = ngx_cpymem(text.data, "$share/", sizeof("$share/") - 1);
        p = ngx_cpymem(p, group->data, group->len);
        *p++ = '/';
        ngx_memcpy(p, filter->data, filter->len);
    }

    return text;
}


/* a group of the index: has it a member that stores, and none that is there? */

ngx_uint_t
ngx_iot_mqtt_share_alone(u_char *tenant, ngx_iot_topic_group_t *group)
{
    ngx_iot_topic_sub_t        *sub;
    ngx_iot_topic_share_t       share;
    ngx_iot_mqtt_stored_sub_t  *stored;

    sub = group->first;

    if (sub == NULL) {
        return 0;
    }

    for ( ;; ) {
        stored = (ngx_iot_mqtt_stored_sub_t *) sub;

        if (stored->options & NGX_IOT_MQTT_SUB_QOS) {
            break;
        }

        sub = sub->next;

        if (sub == NULL || sub == group->first) {
            return 0;
        }
    }

    (void) ngx_iot_topic_share(&stored->filter, &share);

    return ngx_iot_bus_members(tenant, &share.filter, &share.group) == 0;
}


ngx_uint_t
ngx_iot_mqtt_share_offline(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match)
{
    ngx_uint_t  i, n;

    for (i = 0, n = 0; i < match->ngroups; i++) {
        n += ngx_iot_mqtt_share_alone(msg->tenant, match->groups[i]);
    }

    return n;
}


ngx_int_t
ngx_iot_mqtt_share_check(ngx_iot_bus_message_t *msg, ngx_uint_t alone)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_iot_topic_match_t      *match;
    ngx_iot_topic_share_t       share;
    ngx_iot_mqtt_stored_sub_t  *sub;

    match = ngx_iot_mqtt_index_match(msg->tenant, &msg->topic);

    if (match == NULL) {
        return NGX_DECLINED;
    }

    rc = NGX_DECLINED;

    for (i = 0; i < match->ngroups; i++) {
        sub = (ngx_iot_mqtt_stored_sub_t *) match->groups[i]->first;

        if (sub == NULL) {
            continue;
        }

        (void) ngx_iot_topic_share(&sub->filter, &share);

        if (ngx_iot_bus_members(msg->tenant, &share.filter, &share.group)) {
            rc = NGX_OK;
        }
    }

    if (ngx_iot_mqtt_share_offline(msg, match) > alone) {
        rc = NGX_AGAIN;
    }

    ngx_iot_topic_match_release(match);

    return rc;
}


static ngx_iot_mqtt_sharing_t *
ngx_iot_mqtt_sharing_create(ngx_iot_bus_message_t *msg, uint64_t nr,
    ngx_uint_t qos)
{
    ngx_iot_mqtt_sharing_t  *sharing;

    sharing = ngx_calloc(sizeof(ngx_iot_mqtt_sharing_t), ngx_cycle->log);
    if (sharing == NULL) {
        return NULL;
    }

    sharing->nr = nr;
    sharing->qos = qos;
    sharing->copy = ngx_iot_mqtt_store_number(msg);

    if (sharing->copy == NULL) {
        ngx_free(sharing);
        return NULL;
    }

    return sharing;
}


static void
ngx_iot_mqtt_sharing_free(ngx_iot_mqtt_sharing_t *sharing)
{
    ngx_iot_bus_drop(sharing->copy);
    ngx_free(sharing);
}


ngx_int_t
ngx_iot_mqtt_share_deliver(ngx_iot_mqtt_session_t *s,
    ngx_iot_bus_message_t *msg, ngx_uint_t qos, ngx_uint_t retain,
    ngx_iot_bus_sub_t *sub)
{
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_iot_mqtt_stored_t   *st;
    ngx_iot_mqtt_sharing_t  *sharing;

    st = ngx_iot_mqtt_index_nr(s->durable);

    if (st == NULL || s->state != NGX_IOT_MQTT_UP) {
        return NGX_DECLINED;
    }

    sharing = ngx_iot_mqtt_sharing_create(msg, s->durable, qos);
    if (sharing == NULL) {
        return NGX_DECLINED;
    }

    sharing->retain = retain;
    sharing->id = sub->id;

    text = ngx_iot_mqtt_share_text(&sub->filter, &sub->group);

    if (text.data == NULL) {
        ngx_iot_mqtt_sharing_free(sharing);
        return NGX_DECLINED;
    }

    rc = ngx_iot_mqtt_store_one(st, sharing->copy, qos, retain, sub->id, &text,
                                ngx_iot_mqtt_share_stored, sharing);

    ngx_free(text.data);

    if (rc != NGX_OK) {
        ngx_iot_mqtt_sharing_free(sharing);
        return NGX_DECLINED;
    }

    ngx_iot_bus_hold(msg);
    sharing->msg = msg;

    return NGX_OK;
}


/* if the session has gone meanwhile, the row waits for it */

static void
ngx_iot_mqtt_share_stored(void *data, ngx_int_t rc, ngx_iot_error_t *err)
{
    ngx_iot_mqtt_sharing_t *sharing = data;

    ngx_iot_mqtt_session_t  *s;

    if (rc != NGX_OK) {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the MQTT store: %V", &err->message);

    } else {
        s = ngx_iot_mqtt_share_session(sharing->nr);

        if (s) {
            (void) ngx_iot_mqtt_send_message(s, sharing->copy, sharing->qos,
                                             sharing->retain, &sharing->id,
                                             sharing->id ? 1 : 0);

        } else {
            ngx_iot_mqtt_share_wake(sharing->nr);
        }
    }

    if (sharing->msg) {
        ngx_iot_bus_let_go(sharing->msg, rc == NGX_OK ? NGX_OK : NGX_ERROR);
    }

    ngx_iot_mqtt_sharing_free(sharing);
}


static ngx_iot_mqtt_session_t *
ngx_iot_mqtt_share_session(uint64_t nr)
{
    ngx_iot_mqtt_stored_t   *st;
    ngx_iot_mqtt_session_t  *s;

    st = ngx_iot_mqtt_index_nr(nr);

    if (st == NULL) {
        return NULL;
    }

    s = ngx_iot_mqtt_find(st->name.str.data, &st->client_id);

    return (s && s->durable == nr && s->state == NGX_IOT_MQTT_UP) ? s : NULL;
}


void
ngx_iot_mqtt_share_again(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_share_t *share)
{
    if (ngx_iot_bus_publish_share(msg, &share->filter, &share->group)
        != NGX_OK)
    {
        ngx_iot_mqtt_share_keep(msg, share);
    }
}


/* nobody is there: for a member that is stored, if there is one */

static void
ngx_iot_mqtt_share_keep(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_share_t *share)
{
    ngx_uint_t                  i, qos;
    ngx_iot_topic_match_t      *match;
    ngx_iot_topic_share_t       found;
    ngx_iot_mqtt_sharing_t     *sharing;
    ngx_iot_mqtt_stored_sub_t  *sub;

    match = ngx_iot_mqtt_index_match(msg->tenant, &msg->topic);

    for (i = 0; match && i < match->ngroups; i++) {

        if (!ngx_iot_mqtt_share_alone(msg->tenant, match->groups[i])) {
            continue;
        }

        do {
            sub = (ngx_iot_mqtt_stored_sub_t *)
                      ngx_iot_topic_pick_member(match->groups[i]);
        } while ((sub->options & NGX_IOT_MQTT_SUB_QOS) == 0);

        (void) ngx_iot_topic_share(&sub->filter, &found);

        if (found.filter.len != share->filter.len
            || found.group.len != share->group.len
            || ngx_memcmp(found.filter.data, share->filter.data,
                          found.filter.len) != 0
            || ngx_memcmp(found.group.data, share->group.data,
                          found.group.len) != 0)
        {
            continue;
        }

        qos = sub->options & NGX_IOT_MQTT_SUB_QOS;
        qos = ngx_min(qos, msg->qos);

        sharing = ngx_iot_mqtt_sharing_create(msg,
                      ((ngx_iot_mqtt_stored_t *) sub->sub.owner)->nr, qos);

        if (sharing
            && ngx_iot_mqtt_store_one(sub->sub.owner, sharing->copy, qos, 0,
                                      sub->id, &sub->filter,
                                      ngx_iot_mqtt_share_stored, sharing)
               == NGX_OK)
        {
            ngx_iot_topic_match_release(match);
            return;
        }

        if (sharing) {
            ngx_iot_mqtt_sharing_free(sharing);
        }
    }

    if (match) {
        ngx_iot_topic_match_release(match);
    }

    ngx_iot_count(mqtt_publish_dropped);
}


void
ngx_iot_mqtt_share_wake(uint64_t nr)
{
    ngx_iot_mqtt_stored_t     *st;
    ngx_iot_mqtt_session_t    *s;
    ngx_iot_registry_entry_t   entry;

    s = ngx_iot_mqtt_share_session(nr);

    if (s) {
        ngx_iot_mqtt_more(s);
        return;
    }

    st = ngx_iot_mqtt_index_nr(nr);

    if (st
        && ngx_iot_registry_find(NGX_IOT_REGISTRY_MQTT, st->name.str.data,
                                 &st->client_id, &entry)
           == NGX_OK)
    {
        (void) ngx_iot_bus_send(&entry.owner, NGX_IOT_BUS_STORED,
                                (u_char *) &nr, sizeof(uint64_t));
    }
}


static void
ngx_iot_mqtt_share_told(ngx_iot_slot_id_t *from, u_char *data, size_t len)
{
    uint64_t                 nr;
    ngx_iot_mqtt_session_t  *s;

    if (len != sizeof(uint64_t)) {
        return;
    }

    ngx_memcpy(&nr, data, sizeof(uint64_t));

    s = ngx_iot_mqtt_share_session(nr);

    if (s) {
        ngx_iot_mqtt_more(s);
    }
}


/* rows of a session that has ended have become another one's */

static void
ngx_iot_mqtt_share_notified(ngx_str_t *what, ngx_str_t *id)
{
    off_t                    nr;
    ngx_iot_mqtt_session_t  *s;

    if (what->len == 5 && ngx_strncmp(what->data, "reset", 5) == 0) {
        ngx_iot_mqtt_each(ngx_iot_mqtt_share_reset);
        return;
    }

    if (what->len != 9 || ngx_strncmp(what->data, "mqtt-more", 9) != 0) {
        return;
    }

    nr = ngx_atoof(id->data, id->len);
    s = (nr > 0) ? ngx_iot_mqtt_share_session((uint64_t) nr) : NULL;

    if (s) {
        ngx_iot_mqtt_more(s);
    }
}


/* they are read when the worker next looks */

static void
ngx_iot_mqtt_share_reset(ngx_iot_mqtt_session_t *s)
{
    if (s->grouped) {
        s->drained = 0;
        s->more = 1;
    }
}
