
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../device/ngx_iot_device.h"
#include "../../device/ngx_iot_event.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_ws_feed.h"


/*
 * A subscription to the result of a query.  The database gives the whole
 * answer and says which events matter.  Events of entities that are shown are
 * held for a moment and given to the database, which makes an update of them;
 * other events say that the result may have changed, and then the query is
 * made again, not too often, and told when it differs.
 *
 *     asking -> watching -> asking (all, or only the changes) -> ...
 *
 * "db" is set while asking; what happens meanwhile waits.
 */

#define NGX_HTTP_IOT_TB_QUERY_DELAY    100       /* gathers events, ms */
#define NGX_HTTP_IOT_TB_QUERY_PAUSE    1000      /* between equal queries */
#define NGX_HTTP_IOT_TB_QUERY_REST     10        /* times what one took */
#define NGX_HTTP_IOT_TB_QUERY_AGAIN    5000      /* after an error */
#define NGX_HTTP_IOT_TB_QUERY_NARROW   1000      /* entities */
#define NGX_HTTP_IOT_TB_QUERY_EVENTS   1048576   /* bytes of held events */

#define NGX_HTTP_IOT_TB_SHOWN_SERIES      0x01   /* T */
#define NGX_HTTP_IOT_TB_SHOWN_ATTRIBUTES  0x02   /* A */
#define NGX_HTTP_IOT_TB_ANY_SERIES        0x04   /* t */
#define NGX_HTTP_IOT_TB_ANY_ATTRIBUTES    0x08   /* a */
#define NGX_HTTP_IOT_TB_ENTITIES          0x10   /* e */
#define NGX_HTTP_IOT_TB_ALARMS            0x20   /* m */


static ngx_int_t ngx_http_iot_tb_query_init(void);
static ngx_int_t ngx_http_iot_tb_query_subscribe(
    ngx_http_iot_tb_feed_t *feed);
static ngx_iot_bus_sub_t *ngx_http_iot_tb_query_topic(
    ngx_http_iot_tb_feed_t *feed, u_char *entity, ngx_uint_t event);
static ngx_iot_db_call_t *ngx_http_iot_tb_query_call(
    ngx_http_iot_tb_feed_t *feed, ngx_uint_t lane, ngx_iot_db_stmt_t *stmt,
    ngx_iot_db_done_pt done);
static ngx_int_t ngx_http_iot_tb_query_ask(ngx_http_iot_tb_feed_t *feed);
static void ngx_http_iot_tb_query_answered(ngx_iot_db_call_t *db);
static ngx_int_t ngx_http_iot_tb_query_keep(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_db_call_t *db);
static ngx_uint_t ngx_http_iot_tb_query_flags(ngx_str_t *letters);
static void ngx_http_iot_tb_query_narrow(ngx_http_iot_tb_feed_t *feed);
static ngx_int_t ngx_http_iot_tb_query_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static ngx_uint_t ngx_http_iot_tb_query_event(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_bus_message_t *msg);
static ngx_uint_t ngx_http_iot_tb_query_shows(ngx_http_iot_tb_feed_t *feed,
    u_char *id);
static void ngx_http_iot_tb_query_sift(ngx_http_iot_tb_feed_t *feed);
static void ngx_http_iot_tb_query_wake(ngx_http_iot_tb_feed_t *feed);
static void ngx_http_iot_tb_query_timer(ngx_event_t *ev);
static ngx_int_t ngx_http_iot_tb_query_changes(ngx_http_iot_tb_feed_t *feed);
static ngx_int_t ngx_http_iot_tb_query_events(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *text, ngx_pool_t *pool);
static void ngx_http_iot_tb_query_changed(ngx_iot_db_call_t *db);
static void ngx_http_iot_tb_query_drop(ngx_http_iot_tb_feed_t *feed);
static void ngx_http_iot_tb_query_notified(ngx_str_t *what, ngx_str_t *id);


static ngx_iot_db_stmt_t  ngx_http_iot_tb_query_stmt = ngx_iot_db_stmt(
    "SELECT message, ids, flags, digest"
    " FROM tb.ws_query($1::iot.principal, $2, $3::json)");

static ngx_iot_db_stmt_t  ngx_http_iot_tb_changes_stmt = ngx_iot_db_stmt(
    "SELECT tb.ws_changes($1::iot.principal, $2::json, $3::json)");

static ngx_queue_t  ngx_http_iot_tb_queries;
static ngx_uint_t   ngx_http_iot_tb_queries_ready;


static ngx_int_t
ngx_http_iot_tb_query_init(void)
{
    if (ngx_http_iot_tb_queries_ready) {
        return NGX_OK;
    }

    ngx_queue_init(&ngx_http_iot_tb_queries);

    if (ngx_iot_db_on_notify(ngx_http_iot_tb_query_notified) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_iot_tb_queries_ready = 1;

    return NGX_OK;
}


ngx_int_t
ngx_http_iot_tb_query_open(ngx_http_iot_tb_feed_t *feed)
{
    if (ngx_http_iot_tb_query_init() != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_queue_insert_tail(&ngx_http_iot_tb_queries, &feed->watching);

    feed->ident = -1;
    feed->timer.data = feed;
    feed->timer.handler = ngx_http_iot_tb_query_timer;
    feed->timer.log = ngx_cycle->log;
    feed->timer.cancelable = 1;
    feed->pause = NGX_HTTP_IOT_TB_QUERY_PAUSE;

    if (feed->session->principal.has_tenant
        && feed->type < ngx_http_iot_tb_notifications
        && ngx_http_iot_tb_query_subscribe(feed) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_iot_tb_query_ask(feed);
}


void
ngx_http_iot_tb_query_close(ngx_http_iot_tb_feed_t *feed)
{
    if (feed->watching.next) {
        ngx_queue_remove(&feed->watching);
    }

    if (feed->timer.timer_set) {
        ngx_del_timer(&feed->timer);
    }

    if (feed->ids.data) {
        ngx_free(feed->ids.data);
    }
}


/*
 * Before the first answer nobody knows what will matter.  So the feed hears
 * of everything in the tenant, and leaves off what it does not need later.
 */

static ngx_int_t
ngx_http_iot_tb_query_subscribe(ngx_http_iot_tb_feed_t *feed)
{
    ngx_uint_t         i;

    static ngx_uint_t  events[] = {
        NGX_IOT_EVENT_TELEMETRY,
        NGX_IOT_EVENT_ATTRIBUTES,
        NGX_IOT_EVENT_ALARM
    };

    ngx_memcpy(feed->tenant, feed->session->principal.tenant,
               NGX_IOT_UUID_TEXT);

    if (ngx_iot_bus_client_open(&feed->client, feed->tenant,
                                ngx_http_iot_tb_query_deliver, feed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    feed->opened = 1;
    ngx_iot_event_watch(1);

    for (i = 0; i < 3; i++) {
        feed->wide[i] = ngx_http_iot_tb_query_topic(feed, NULL, events[i]);

        if (feed->wide[i] == NULL) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_iot_bus_sub_t *
ngx_http_iot_tb_query_topic(ngx_http_iot_tb_feed_t *feed, u_char *entity,
    ngx_uint_t event)
{
    u_char     *p;
    u_char      buf[NGX_IOT_EVENT_TOPIC];
    ngx_str_t   topic, group;

    p = entity ? ngx_iot_event_topic(buf, entity, event)
               : ngx_iot_event_filter(buf, event);

    topic.data = buf;
    topic.len = p - buf;
    ngx_str_null(&group);

    return ngx_iot_bus_subscribe(&feed->client, &topic, &group);
}


static ngx_iot_db_call_t *
ngx_http_iot_tb_query_call(ngx_http_iot_tb_feed_t *feed, ngx_uint_t lane,
    ngx_iot_db_stmt_t *stmt, ngx_iot_db_done_pt done)
{
    ngx_str_t           text;
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(lane, stmt, ngx_cycle->log);
    if (db == NULL) {
        return NULL;
    }

    db->data = feed;
    db->done = done;

    if (ngx_iot_principal_text(&feed->session->principal,
                               &feed->session->ws->request->connection
                                    ->addr_text,
                               &text, db->pool)
        != NGX_OK)
    {
        ngx_destroy_pool(db->pool);
        return NULL;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    return db;
}


static ngx_int_t
ngx_http_iot_tb_query_ask(ngx_http_iot_tb_feed_t *feed)
{
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_tb_query_call(feed, NGX_IOT_DB_READ,
                                    &ngx_http_iot_tb_query_stmt,
                                    ngx_http_iot_tb_query_answered);
    if (db == NULL) {
        return NGX_ERROR;
    }

    if (ngx_iot_db_text(db, &ngx_http_iot_tb_feed_types[feed->type]) != NGX_OK
        || ngx_iot_db_text(db, &feed->command) != NGX_OK
        || ngx_iot_db_send(db) != NGX_OK)
    {
        ngx_destroy_pool(db->pool);
        return NGX_ERROR;
    }

    feed->db = db;
    feed->dirty = 0;
    feed->asked = ngx_current_msec;

    return NGX_OK;
}


static void
ngx_http_iot_tb_query_answered(ngx_iot_db_call_t *db)
{
    int64_t                  id;
    ngx_int_t                rc;
    ngx_str_t                text;
    ngx_msec_t               took;
    ngx_uint_t               code, type;
    ngx_http_iot_tb_ws_t    *session;
    ngx_http_iot_tb_feed_t  *feed;

    feed = db->data;
    feed->db = NULL;
    session = feed->session;

    took = ngx_current_msec - feed->asked;
    feed->pause = ngx_max(NGX_HTTP_IOT_TB_QUERY_PAUSE,
                          took * NGX_HTTP_IOT_TB_QUERY_REST);

    if (db->rc != NGX_OK) {
        code = ngx_http_iot_tb_feed_code(db);

        /* what is shown already is worth another try */

        if (feed->ready && code == NGX_HTTP_IOT_TB_FAILED) {
            feed->dirty = 1;
            feed->pause = NGX_HTTP_IOT_TB_QUERY_AGAIN;
            ngx_http_iot_tb_query_wake(feed);
            return;
        }

        id = feed->id;
        type = feed->type;

        ngx_http_iot_tb_feed_close(feed);
        ngx_http_iot_tb_feed_error(session, type, id, code,
                                   &db->error.message);
        return;
    }

    rc = ngx_http_iot_tb_query_keep(feed, db);

    if (rc == NGX_ERROR) {
        feed->dirty = 1;
        feed->lost = 1;

    } else if (rc == NGX_OK || feed->lost) {
        text.data = (u_char *) PQgetvalue(db->result, 0, 0);
        text.len = PQgetlength(db->result, 0, 0);

        feed->lost = 0;

        if (!feed->ready) {
            feed->ready = 1;
            ngx_http_iot_ws_send(session->ws, &text);

        } else if (ngx_http_iot_tb_feed_send(feed, &text) == NGX_BUSY) {
            feed->dirty = 1;
            feed->lost = 1;
        }

        /* a socket that fails takes the feed with it */

        if (session->ws->ended) {
            return;
        }
    }

    ngx_http_iot_tb_query_narrow(feed);
    ngx_http_iot_tb_query_sift(feed);
    ngx_http_iot_tb_query_wake(feed);
}


/* NGX_OK: it differs from what was told; NGX_DECLINED: it does not */

static ngx_int_t
ngx_http_iot_tb_query_keep(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_db_call_t *db)
{
    u_char      *p;
    ngx_str_t    ids, flags, digest;
    ngx_uint_t   first;

    ids.data = (u_char *) PQgetvalue(db->result, 0, 1);
    ids.len = PQgetlength(db->result, 0, 1);
    flags.data = (u_char *) PQgetvalue(db->result, 0, 2);
    flags.len = PQgetlength(db->result, 0, 2);
    digest.data = (u_char *) PQgetvalue(db->result, 0, 3);
    digest.len = PQgetlength(db->result, 0, 3);

    feed->flags = ngx_http_iot_tb_query_flags(&flags);
    first = !feed->ready;

    if (!first && digest.len == feed->digest.len
        && ngx_memcmp(digest.data, feed->digest.data, digest.len) == 0)
    {
        return NGX_DECLINED;
    }

    p = ngx_alloc(ids.len + digest.len + 1, ngx_cycle->log);
    if (p == NULL) {
        return NGX_ERROR;
    }

    if (feed->ids.data) {
        ngx_free(feed->ids.data);
    }

    /* both in one piece, of which ids is the beginning */

    feed->ids.data = p;
    feed->ids.len = ids.len;
    feed->digest.len = digest.len;

    p = ngx_cpymem(p, ids.data, ids.len);
    ngx_memcpy(p, digest.data, digest.len);
    feed->digest.data = p;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iot_tb_query_flags(ngx_str_t *letters)
{
    size_t      i;
    ngx_uint_t  flags;

    flags = 0;

    for (i = 0; i < letters->len; i++) {

        switch (letters->data[i]) {

        case 'T':
            flags |= NGX_HTTP_IOT_TB_SHOWN_SERIES;
            break;

        case 'A':
            flags |= NGX_HTTP_IOT_TB_SHOWN_ATTRIBUTES;
            break;

        case 't':
            flags |= NGX_HTTP_IOT_TB_ANY_SERIES;
            break;

        case 'a':
            flags |= NGX_HTTP_IOT_TB_ANY_ATTRIBUTES;
            break;

        case 'e':
            flags |= NGX_HTTP_IOT_TB_ENTITIES;
            break;

        case 'm':
            flags |= NGX_HTTP_IOT_TB_ALARMS;
            break;
        }
    }

    return flags;
}


/*
 * Leaves off what does not matter.  A list that stays as it is, is watched
 * entity by entity, so that a busy tenant does not wake all its watchers.
 */

static void
ngx_http_iot_tb_query_narrow(ngx_http_iot_tb_feed_t *feed)
{
    u_char            *p, *last;
    ngx_uint_t         i, flags;

    static ngx_uint_t  any[] = {
        NGX_HTTP_IOT_TB_ANY_SERIES,
        NGX_HTTP_IOT_TB_ANY_ATTRIBUTES,
        NGX_HTTP_IOT_TB_ALARMS
    };

    static ngx_uint_t  shown[] = {
        NGX_HTTP_IOT_TB_SHOWN_SERIES,
        NGX_HTTP_IOT_TB_SHOWN_ATTRIBUTES,
        0
    };

    if (feed->narrow || !feed->opened || !feed->ready) {
        return;
    }

    flags = feed->flags;

    if (!(flags & NGX_HTTP_IOT_TB_ENTITIES)
        && feed->ids.len
           <= NGX_HTTP_IOT_TB_QUERY_NARROW * NGX_IOT_UUID_TEXT)
    {
        p = feed->ids.data;
        last = p + feed->ids.len;

        for ( /* void */ ; p < last; p += NGX_IOT_UUID_TEXT) {

            if ((flags & NGX_HTTP_IOT_TB_SHOWN_SERIES
                 && ngx_http_iot_tb_query_topic(feed, p,
                                                NGX_IOT_EVENT_TELEMETRY)
                    == NULL)
                || (flags & NGX_HTTP_IOT_TB_SHOWN_ATTRIBUTES
                    && ngx_http_iot_tb_query_topic(feed, p,
                                                   NGX_IOT_EVENT_ATTRIBUTES)
                       == NULL))
            {
                return;
            }
        }

        ngx_memzero(shown, sizeof(shown));
    }

    feed->narrow = 1;

    for (i = 0; i < 3; i++) {
        if (feed->wide[i] && !(flags & (any[i] | shown[i]))) {
            ngx_iot_bus_unsubscribe(feed->wide[i]);
            feed->wide[i] = NULL;
        }
    }
}


static ngx_int_t
ngx_http_iot_tb_query_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_http_iot_tb_feed_t  *feed;

    feed = client->data;

    if (feed->ready && !ngx_http_iot_tb_query_event(feed, msg)) {
        return NGX_OK;
    }

    if (feed->held == NULL) {
        feed->held = ngx_palloc(feed->pool, NGX_HTTP_IOT_TB_FEED_HELD
                                            * sizeof(ngx_iot_bus_message_t *));
    }

    if (feed->held == NULL || feed->nheld == NGX_HTTP_IOT_TB_FEED_HELD) {
        feed->dirty = 1;
        feed->lost = 1;

    } else if (!feed->lost) {
        ngx_iot_bus_keep(msg);
        feed->held[feed->nheld++] = msg;
    }

    ngx_http_iot_tb_query_wake(feed);

    return NGX_OK;
}


/* 1: it belongs to an entity that is shown; others only make a note */

static ngx_uint_t
ngx_http_iot_tb_query_event(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_bus_message_t *msg)
{
    ngx_uint_t  any, shown;

    switch (ngx_iot_event_of(&msg->topic)) {

    case NGX_IOT_EVENT_TELEMETRY:
        any = NGX_HTTP_IOT_TB_ANY_SERIES;
        shown = NGX_HTTP_IOT_TB_SHOWN_SERIES;
        break;

    case NGX_IOT_EVENT_CLIENT:
    case NGX_IOT_EVENT_SHARED:
    case NGX_IOT_EVENT_SERVER:
        any = NGX_HTTP_IOT_TB_ANY_ATTRIBUTES;
        shown = NGX_HTTP_IOT_TB_SHOWN_ATTRIBUTES;
        break;

    case NGX_IOT_EVENT_ALARM:
        any = NGX_HTTP_IOT_TB_ALARMS;
        shown = 0;
        break;

    default:
        return 0;
    }

    if ((feed->flags & any) && !feed->dirty) {
        feed->dirty = 1;
        ngx_http_iot_tb_query_wake(feed);
    }

    return (feed->flags & shown)
           && ngx_http_iot_tb_query_shows(feed, msg->topic.data
                                                + sizeof("$iot/") - 1);
}


static ngx_uint_t
ngx_http_iot_tb_query_shows(ngx_http_iot_tb_feed_t *feed, u_char *id)
{
    ngx_int_t   rc;
    ngx_uint_t  low, high, middle;

    low = 0;
    high = feed->ids.len / NGX_IOT_UUID_TEXT;

    while (low < high) {
        middle = (low + high) / 2;

        rc = ngx_memcmp(id, feed->ids.data + middle * NGX_IOT_UUID_TEXT,
                        NGX_IOT_UUID_TEXT);

        if (rc == 0) {
            return 1;
        }

        if (rc < 0) {
            high = middle;

        } else {
            low = middle + 1;
        }
    }

    return 0;
}


/* what came before it was known what matters */

static void
ngx_http_iot_tb_query_sift(ngx_http_iot_tb_feed_t *feed)
{
    ngx_uint_t  i, n;

    n = 0;

    for (i = 0; i < feed->nheld; i++) {

        if (ngx_http_iot_tb_query_event(feed, feed->held[i])) {
            feed->held[n++] = feed->held[i];

        } else {
            ngx_iot_bus_drop(feed->held[i]);
        }
    }

    feed->nheld = n;
}


static void
ngx_http_iot_tb_query_wake(ngx_http_iot_tb_feed_t *feed)
{
    ngx_msec_t      delay;
    ngx_msec_int_t  since;

    if (!feed->ready || feed->db || !(feed->dirty || feed->nheld)) {
        return;
    }

    delay = NGX_HTTP_IOT_TB_QUERY_DELAY;

    /* updates go first, unless the whole is told anyway */

    if (feed->nheld == 0 || feed->lost) {
        since = ngx_current_msec - feed->asked;

        if (since < (ngx_msec_int_t) feed->pause) {
            delay = ngx_max(delay, feed->pause - since);
        }
    }

    if (feed->timer.timer_set) {

        if ((ngx_msec_int_t) (feed->timer.timer.key - ngx_current_msec)
            <= (ngx_msec_int_t) delay)
        {
            return;
        }

        ngx_del_timer(&feed->timer);
    }

    ngx_add_timer(&feed->timer, delay);
}


static void
ngx_http_iot_tb_query_timer(ngx_event_t *ev)
{
    ngx_int_t                rc;
    ngx_http_iot_tb_feed_t  *feed;

    feed = ev->data;

    if (feed->db || feed->session->ws->closing) {
        return;
    }

    if (feed->nheld && !feed->lost) {
        rc = ngx_http_iot_tb_query_changes(feed);

    } else if ((ngx_msec_int_t) (ngx_current_msec - feed->asked)
               < (ngx_msec_int_t) feed->pause)
    {
        ngx_http_iot_tb_query_wake(feed);
        return;

    } else {
        ngx_http_iot_tb_query_drop(feed);
        rc = ngx_http_iot_tb_query_ask(feed);
    }

    if (rc != NGX_OK) {
        feed->dirty = 1;
        feed->lost = 1;
        feed->pause = NGX_HTTP_IOT_TB_QUERY_AGAIN;
        feed->asked = ngx_current_msec;
        ngx_http_iot_tb_query_wake(feed);
    }
}


static ngx_int_t
ngx_http_iot_tb_query_changes(ngx_http_iot_tb_feed_t *feed)
{
    ngx_int_t           rc;
    ngx_str_t           text;
    ngx_iot_db_call_t  *db;

    db = ngx_http_iot_tb_query_call(feed, NGX_IOT_DB_CALL,
                                    &ngx_http_iot_tb_changes_stmt,
                                    ngx_http_iot_tb_query_changed);
    if (db == NULL) {
        return NGX_ERROR;
    }

    rc = ngx_http_iot_tb_query_events(feed, &text, db->pool);

    ngx_http_iot_tb_query_drop(feed);

    if (rc != NGX_OK || ngx_iot_db_text(db, &feed->command) != NGX_OK) {
        goto failed;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_iot_db_send(db) != NGX_OK) {
        goto failed;
    }

    feed->db = db;

    return NGX_OK;

failed:

    ngx_destroy_pool(db->pool);

    return NGX_ERROR;
}


/* [{"entity":"ID","event":"telemetry","data":...},...] */

static ngx_int_t
ngx_http_iot_tb_query_events(ngx_http_iot_tb_feed_t *feed, ngx_str_t *text,
    ngx_pool_t *pool)
{
    size_t                  size, prefix;
    u_char                 *p;
    ngx_uint_t              i;
    ngx_iot_bus_message_t  *msg;

    size = sizeof("[]");
    prefix = sizeof("$iot/") - 1 + NGX_IOT_UUID_TEXT + 1;

    for (i = 0; i < feed->nheld; i++) {
        msg = feed->held[i];
        size += sizeof("{\"entity\":\"\",\"event\":\"\",\"data\":},")
                + msg->topic.len + msg->payload.len;
    }

    if (size > NGX_HTTP_IOT_TB_QUERY_EVENTS) {
        return NGX_DECLINED;
    }

    text->data = ngx_pnalloc(pool, size);
    if (text->data == NULL) {
        return NGX_ERROR;
    }

    p = text->data;
    *p++ = '[';

    for (i = 0; i < feed->nheld; i++) {
        msg = feed->held[i];

        if (i) {
            *p++ = ',';
        }

        p = ngx_sprintf(p, "{\"entity\":\"%*s\",\"event\":\"%*s\",\"data\":%V}",
                        (size_t) NGX_IOT_UUID_TEXT,
                        msg->topic.data + sizeof("$iot/") - 1,
                        msg->topic.len - prefix, msg->topic.data + prefix,
                        &msg->payload);
    }

    *p++ = ']';
    *p = '\0';

    text->len = p - text->data;

    return NGX_OK;
}


static void
ngx_http_iot_tb_query_changed(ngx_iot_db_call_t *db)
{
    ngx_str_t                text;
    ngx_http_iot_tb_feed_t  *feed;

    feed = db->data;
    feed->db = NULL;

    if (db->rc != NGX_OK) {
        feed->dirty = 1;
        feed->lost = 1;

    } else if (!PQgetisnull(db->result, 0, 0)) {
        text.data = (u_char *) PQgetvalue(db->result, 0, 0);
        text.len = PQgetlength(db->result, 0, 0);

        if (ngx_http_iot_tb_feed_send(feed, &text) == NGX_BUSY) {
            feed->dirty = 1;
            feed->lost = 1;
        }

        if (feed->session->ws->ended) {
            return;
        }
    }

    ngx_http_iot_tb_query_wake(feed);
}


static void
ngx_http_iot_tb_query_drop(ngx_http_iot_tb_feed_t *feed)
{
    ngx_uint_t  i;

    for (i = 0; i < feed->nheld; i++) {
        ngx_iot_bus_drop(feed->held[i]);
    }

    feed->nheld = 0;
}


/* "watch TENANT": something about the entities of the tenant has changed */

static void
ngx_http_iot_tb_query_notified(ngx_str_t *what, ngx_str_t *id)
{
    ngx_uint_t               reset;
    ngx_queue_t             *q;
    ngx_http_iot_tb_feed_t  *feed;

    reset = (what->len == 5 && ngx_strncmp(what->data, "reset", 5) == 0);

    if (!reset && (what->len != 5 || id->len != NGX_IOT_UUID_TEXT
                   || ngx_strncmp(what->data, "watch", 5) != 0))
    {
        return;
    }

    for (q = ngx_queue_head(&ngx_http_iot_tb_queries);
         q != ngx_queue_sentinel(&ngx_http_iot_tb_queries);
         q = ngx_queue_next(q))
    {
        feed = ngx_queue_data(q, ngx_http_iot_tb_feed_t, watching);

        /* the answer on its way may not know of it either */

        if (reset || ((feed->flags & NGX_HTTP_IOT_TB_ENTITIES
                       || !feed->ready)
                      && ngx_memcmp(feed->tenant, id->data, id->len) == 0))
        {
            feed->dirty = 1;
            ngx_http_iot_tb_query_wake(feed);
        }
    }
}
