
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../codec/ngx_iot_json.h"
#include "../../core/ngx_iot_db.h"
#include "../../device/ngx_iot_device.h"
#include "../../device/ngx_iot_event.h"
#include "../ngx_http_iot_module.h"
#include "ngx_http_iot_tb_ws_feed.h"


/*
 * A subscription: first the current state, from the database, then what
 * changes, from the bus.  The bus comes first in time, so that no change falls
 * between the two; what it brings waits until the state was sent.
 */

#define NGX_HTTP_IOT_TB_FEEDS  1000

static ngx_int_t ngx_http_iot_tb_feed_id(ngx_iot_json_field_t *field,
    int64_t *id);
static ngx_uint_t ngx_http_iot_tb_feed_type(ngx_str_t *name);
static ngx_http_iot_tb_feed_t *ngx_http_iot_tb_feed_find(
    ngx_http_iot_tb_ws_t *session, int64_t id);
static ngx_int_t ngx_http_iot_tb_feed_start(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_json_field_t *f, ngx_str_t *command);
static ngx_int_t ngx_http_iot_tb_feed_command(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *command, ngx_str_t *query);
static ngx_int_t ngx_http_iot_tb_feed_open(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *entity, ngx_str_t *scope);
static ngx_int_t ngx_http_iot_tb_feed_query(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *entity_type, ngx_str_t *entity, ngx_str_t *command);
static void ngx_http_iot_tb_feed_state(ngx_iot_db_call_t *db);
static ngx_int_t ngx_http_iot_tb_feed_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n);
static void ngx_http_iot_tb_feed_update(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_bus_message_t *msg);
static void ngx_http_iot_tb_feed_series(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *payload, ngx_pool_t *pool);
static void ngx_http_iot_tb_feed_values(ngx_http_iot_tb_feed_t *feed,
    uint64_t ts, ngx_str_t *values, ngx_pool_t *pool);
static size_t ngx_http_iot_tb_feed_walk(ngx_http_iot_tb_feed_t *feed,
    uint64_t ts, ngx_str_t *values, ngx_uint_t latest, u_char *dst,
    ngx_pool_t *pool);
static u_char *ngx_http_iot_tb_feed_member(u_char *dst, ngx_str_t *key,
    ngx_str_t *value, ngx_uint_t string, uint64_t ts, ngx_uint_t latest);
static ngx_uint_t ngx_http_iot_tb_feed_wants(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *key);


ngx_str_t  ngx_http_iot_tb_feed_types[] = {
    ngx_string("ATTRIBUTES"),
    ngx_string("TIMESERIES"),
    ngx_string("TIMESERIES_HISTORY"),
    ngx_string("ENTITY_DATA"),
    ngx_string("ENTITY_COUNT"),
    ngx_string("ALARM_DATA"),
    ngx_string("ALARM_COUNT"),
    ngx_string("ALARM_STATUS"),
    ngx_string("NOTIFICATIONS"),
    ngx_string("NOTIFICATIONS_COUNT")
};

static ngx_iot_db_stmt_t  ngx_http_iot_tb_feed_stmt = ngx_iot_db_stmt(
    "SELECT tb.ws_state($1::iot.principal, $2, $3, $4, $5::json)");


void
ngx_http_iot_tb_ws_command(ngx_http_iot_tb_ws_t *session, ngx_str_t *command,
    ngx_str_t *type, ngx_pool_t *pool)
{
    int64_t                  id;
    ngx_int_t                rc;
    ngx_str_t                query;
    ngx_pool_t              *own;
    ngx_uint_t               counted, kind, stop;
    ngx_iot_alloc_t          alloc;
    ngx_iot_json_field_t     f[8];
    ngx_http_iot_tb_feed_t  *feed;

    static ngx_str_t  negative = ngx_string("Cmd id is negative value!");
    static ngx_str_t  unknown = ngx_string("Unknown command type!");
    static ngx_str_t  many = ngx_string("Max subscriptions limit reached!");
    static ngx_str_t  failed = ngx_string("Internal server error");

    if (session->ws->ended || session->ws->closing) {
        return;
    }

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_memzero(f, sizeof(f));

    ngx_str_set(&f[0].name, "cmdId");
    ngx_str_set(&f[1].name, "type");
    ngx_str_set(&f[2].name, "unsubscribe");
    ngx_str_set(&f[3].name, "entityType");
    ngx_str_set(&f[4].name, "entityId");
    ngx_str_set(&f[5].name, "keys");
    ngx_str_set(&f[6].name, "scope");
    ngx_str_set(&f[7].name, "query");

    if (ngx_iot_json_fields(command, &alloc, NGX_IOT_JSON_MAX_DEPTH, f, 8,
                            NULL)
        != NGX_OK)
    {
        return;
    }

    if (type->len == 0) {
        type = &f[1].text;
    }

    kind = ngx_http_iot_tb_feed_type(type);

    if (ngx_http_iot_tb_feed_id(&f[0], &id) != NGX_OK) {
        ngx_http_iot_tb_feed_error(session, kind, id, NGX_HTTP_IOT_TB_BAD,
                                   &negative);
        return;
    }

    stop = (f[2].token == NGX_IOT_JSON_TRUE);

    if (type->len > 12
        && ngx_strncmp(type->data + type->len - 12, "_UNSUBSCRIBE", 12) == 0)
    {
        stop = 1;
    }

    query = f[7].raw;
    feed = ngx_http_iot_tb_feed_find(session, id);

    if (feed) {

        /* a command without a query changes what is shown of the same one */

        if (f[7].token != NGX_IOT_JSON_OBJECT && !stop && feed->type == kind
            && feed->query.len)
        {
            query.data = ngx_pstrdup(pool, &feed->query);
            query.len = query.data ? feed->query.len : 0;
        }

        ngx_http_iot_tb_feed_close(feed);
    }

    if (stop || (type->len > 5 && ngx_strncmp(type->data, "MARK_", 5) == 0)) {
        return;
    }

    if (kind == ngx_http_iot_tb_unknown) {
        ngx_http_iot_tb_feed_error(session, kind, id, NGX_HTTP_IOT_TB_BAD,
                                   &unknown);
        return;
    }

    if (session->nfeeds >= NGX_HTTP_IOT_TB_FEEDS) {
        ngx_http_iot_tb_feed_error(session, kind, id, NGX_HTTP_IOT_TB_BAD,
                                   &many);
        return;
    }

    if (ngx_http_iot_tb_ws_take_feed(session, &counted) != NGX_OK) {
        return;
    }

    own = ngx_create_pool(1024, ngx_cycle->log);
    feed = own ? ngx_pcalloc(own, sizeof(ngx_http_iot_tb_feed_t)) : NULL;

    if (feed == NULL) {

        if (own) {
            ngx_destroy_pool(own);
        }

        ngx_http_iot_tb_ws_give_feed(session, counted);
        ngx_http_iot_tb_feed_error(session, kind, id, NGX_HTTP_IOT_TB_FAILED,
                                   &failed);
        return;
    }

    feed->pool = own;
    feed->session = session;
    feed->id = id;
    feed->type = kind;
    feed->counted = counted;

    ngx_queue_insert_tail(&session->feeds, &feed->queue);
    session->nfeeds++;

    if (kind >= ngx_http_iot_tb_entity_data) {
        rc = ngx_http_iot_tb_feed_command(feed, command, &query);

        if (rc == NGX_OK) {
            rc = ngx_http_iot_tb_query_open(feed);
        }

    } else {
        rc = ngx_http_iot_tb_feed_start(feed, f, command);
    }

    if (rc != NGX_OK) {
        ngx_http_iot_tb_feed_close(feed);
        ngx_http_iot_tb_feed_error(session, kind, id, NGX_HTTP_IOT_TB_FAILED,
                                   &failed);
    }
}


static ngx_int_t
ngx_http_iot_tb_feed_start(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_json_field_t *f, ngx_str_t *command)
{
    if (f[5].text.len && f[5].token == NGX_IOT_JSON_STRING) {
        feed->keys.data = ngx_pnalloc(feed->pool, f[5].text.len + 2);
        if (feed->keys.data == NULL) {
            return NGX_ERROR;
        }

        feed->keys.len = ngx_sprintf(feed->keys.data, ",%V,", &f[5].text)
                         - feed->keys.data;
    }

    ngx_strlow(f[4].text.data, f[4].text.data, f[4].text.len);

    if (ngx_http_iot_tb_feed_open(feed, &f[4].text, &f[6].text) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_iot_tb_feed_query(feed, &f[3].text, &f[4].text, command);
}


/* the command, whose last member of that name is the query */

static ngx_int_t
ngx_http_iot_tb_feed_command(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *command, ngx_str_t *query)
{
    u_char  *p;

    static ngx_str_t  none = ngx_string("null");

    if (query->len == 0) {
        query = &none;
    }

    p = ngx_pnalloc(feed->pool, command->len + sizeof(",\"query\":")
                                + query->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    /* without its last brace: an object with a cmdId is not empty */

    feed->command.data = p;

    p = ngx_cpymem(p, command->data, command->len - 1);
    p = ngx_cpymem(p, ",\"query\":", sizeof(",\"query\":") - 1);

    feed->query.data = p;
    feed->query.len = (query == &none) ? 0 : query->len;

    p = ngx_cpymem(p, query->data, query->len);
    *p++ = '}';

    feed->command.len = p - feed->command.data;

    return NGX_OK;
}


/* NGX_DECLINED: none, or negative */

static ngx_int_t
ngx_http_iot_tb_feed_id(ngx_iot_json_field_t *field, int64_t *id)
{
    ngx_int_t  n;

    *id = 0;

    if (field->text.len == 0 || field->text.len > 10) {
        return NGX_DECLINED;
    }

    if (field->text.data[0] == '-') {
        n = ngx_atoi(field->text.data + 1, field->text.len - 1);
        *id = (n == NGX_ERROR) ? 0 : -(int64_t) n;
        return NGX_DECLINED;
    }

    n = ngx_atoi(field->text.data, field->text.len);

    if (n == NGX_ERROR || n > NGX_MAX_INT32_VALUE) {
        return NGX_DECLINED;
    }

    *id = n;

    return NGX_OK;
}


static ngx_uint_t
ngx_http_iot_tb_feed_type(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_http_iot_tb_unknown; i++) {
        if (name->len == ngx_http_iot_tb_feed_types[i].len
            && ngx_strncmp(name->data, ngx_http_iot_tb_feed_types[i].data,
                           name->len)
               == 0)
        {
            return i;
        }
    }

    return ngx_http_iot_tb_unknown;
}


static ngx_http_iot_tb_feed_t *
ngx_http_iot_tb_feed_find(ngx_http_iot_tb_ws_t *session, int64_t id)
{
    ngx_queue_t             *q;
    ngx_http_iot_tb_feed_t  *feed;

    for (q = ngx_queue_head(&session->feeds);
         q != ngx_queue_sentinel(&session->feeds);
         q = ngx_queue_next(q))
    {
        feed = ngx_queue_data(q, ngx_http_iot_tb_feed_t, queue);

        if (feed->id == id) {
            return feed;
        }
    }

    return NULL;
}


void
ngx_http_iot_tb_feed_close(ngx_http_iot_tb_feed_t *feed)
{
    ngx_uint_t  i;

    ngx_queue_remove(&feed->queue);
    feed->session->nfeeds--;

    ngx_http_iot_tb_ws_give_feed(feed->session, feed->counted);
    ngx_http_iot_tb_query_close(feed);

    if (feed->opened) {
        ngx_iot_bus_client_close(&feed->client);
        ngx_iot_event_watch(-1);
    }

    if (feed->db) {
        ngx_iot_db_abandon(feed->db);
    }

    for (i = 0; i < feed->nheld; i++) {
        ngx_iot_bus_drop(feed->held[i]);
    }

    ngx_destroy_pool(feed->pool);
}


void
ngx_http_iot_tb_ws_feeds_close(ngx_http_iot_tb_ws_t *session)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&session->feeds)) {
        q = ngx_queue_head(&session->feeds);
        ngx_http_iot_tb_feed_close(ngx_queue_data(q, ngx_http_iot_tb_feed_t,
                                                  queue));
    }
}


/* whether the caller may see the entity is told with its state */

static ngx_int_t
ngx_http_iot_tb_feed_open(ngx_http_iot_tb_feed_t *feed, ngx_str_t *entity,
    ngx_str_t *scope)
{
    u_char       buf[NGX_IOT_EVENT_TOPIC];
    ngx_str_t    topic, group;
    ngx_uint_t   event;

    if (feed->type == ngx_http_iot_tb_history
        || !feed->session->principal.has_tenant
        || entity->len != NGX_IOT_UUID_TEXT
        || ngx_strlchr(entity->data, entity->data + entity->len, '/')
        || ngx_strlchr(entity->data, entity->data + entity->len, '#')
        || ngx_strlchr(entity->data, entity->data + entity->len, '+'))
    {
        return NGX_OK;
    }

    if (feed->type == ngx_http_iot_tb_timeseries) {
        event = NGX_IOT_EVENT_TELEMETRY;

    } else if (scope->len == 12
               && ngx_strncmp(scope->data, "CLIENT_SCOPE", 12) == 0)
    {
        event = NGX_IOT_EVENT_CLIENT;

    } else if (scope->len == 12
               && ngx_strncmp(scope->data, "SHARED_SCOPE", 12) == 0)
    {
        event = NGX_IOT_EVENT_SHARED;

    } else if (scope->len == 12
               && ngx_strncmp(scope->data, "SERVER_SCOPE", 12) == 0)
    {
        event = NGX_IOT_EVENT_SERVER;

    } else {
        event = NGX_IOT_EVENT_ATTRIBUTES;
    }

    ngx_memcpy(feed->tenant, feed->session->principal.tenant,
               NGX_IOT_UUID_TEXT);

    if (ngx_iot_bus_client_open(&feed->client, feed->tenant,
                                ngx_http_iot_tb_feed_deliver, feed)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    feed->opened = 1;
    ngx_iot_event_watch(1);

    topic.data = buf;
    topic.len = ngx_iot_event_topic(buf, entity->data, event) - buf;
    ngx_str_null(&group);

    return ngx_iot_bus_subscribe(&feed->client, &topic, &group) ? NGX_OK
                                                                : NGX_ERROR;
}


static ngx_int_t
ngx_http_iot_tb_feed_query(ngx_http_iot_tb_feed_t *feed,
    ngx_str_t *entity_type, ngx_str_t *entity, ngx_str_t *command)
{
    ngx_str_t           text;
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_http_iot_tb_feed_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        return NGX_ERROR;
    }

    db->data = feed;
    db->done = ngx_http_iot_tb_feed_state;

    if (ngx_iot_principal_text(&feed->session->principal,
                               &feed->session->ws->request->connection
                                    ->addr_text,
                               &text, db->pool)
        != NGX_OK)
    {
        goto failed;
    }

    ngx_iot_db_param(db, text.data, text.len, 0);

    if (ngx_iot_db_text(db, &ngx_http_iot_tb_feed_types[feed->type]) != NGX_OK
        || ngx_iot_db_text(db, entity_type) != NGX_OK
        || ngx_iot_db_text(db, entity) != NGX_OK
        || ngx_iot_db_text(db, command) != NGX_OK
        || ngx_iot_db_send(db) != NGX_OK)
    {
        goto failed;
    }

    feed->db = db;

    return NGX_OK;

failed:

    ngx_destroy_pool(db->pool);

    return NGX_ERROR;
}


static void
ngx_http_iot_tb_feed_state(ngx_iot_db_call_t *db)
{
    int64_t                  id;
    ngx_str_t                text;
    ngx_uint_t               i, type;
    ngx_http_iot_tb_ws_t    *session;
    ngx_http_iot_tb_feed_t  *feed;

    feed = db->data;
    feed->db = NULL;

    session = feed->session;
    id = feed->id;

    if (db->rc != NGX_OK) {
        type = feed->type;

        ngx_http_iot_tb_feed_close(feed);
        ngx_http_iot_tb_feed_error(session, type, id,
                                   ngx_http_iot_tb_feed_code(db),
                                   &db->error.message);
        return;
    }

    text.data = (u_char *) PQgetvalue(db->result, 0, 0);
    text.len = PQgetlength(db->result, 0, 0);

    /* a socket that fails takes the feed with it */

    feed->ready = 1;

    ngx_http_iot_ws_send(session->ws, &text);

    if (session->ws->ended) {
        return;
    }

    if (feed->type == ngx_http_iot_tb_history) {
        ngx_http_iot_tb_feed_close(feed);
        return;
    }

    for (i = 0; !session->ws->ended && i < feed->nheld; i++) {
        ngx_http_iot_tb_feed_update(feed, feed->held[i]);
    }

    if (session->ws->ended) {
        return;
    }

    for (i = 0; i < feed->nheld; i++) {
        ngx_iot_bus_drop(feed->held[i]);
    }

    feed->nheld = 0;
}


ngx_uint_t
ngx_http_iot_tb_feed_code(ngx_iot_db_call_t *db)
{
    if (db->error.status == NGX_HTTP_UNAUTHORIZED
        || db->error.status == NGX_HTTP_FORBIDDEN)
    {
        return NGX_HTTP_IOT_TB_DENIED;
    }

    return (db->error.status < 500) ? NGX_HTTP_IOT_TB_BAD
                                    : NGX_HTTP_IOT_TB_FAILED;
}


void
ngx_http_iot_tb_feed_error(ngx_http_iot_tb_ws_t *session, ngx_uint_t type,
    int64_t id, ngx_uint_t code, ngx_str_t *text)
{
    u_char            *p;
    ngx_str_t          json;

    static ngx_str_t   kinds[] = {
        ngx_string("ENTITY_DATA"),
        ngx_string("COUNT_DATA"),
        ngx_string("ALARM_DATA"),
        ngx_string("ALARM_COUNT_DATA"),
        ngx_string("ALARM_STATUS"),
        ngx_string("NOTIFICATIONS"),
        ngx_string("NOTIFICATIONS_COUNT")
    };

    json.data = ngx_alloc(sizeof("{\"subscriptionId\":,\"errorCode\":,"
                                 "\"errorMsg\":\"\",\"data\":null,"
                                 "\"update\":null,\"cmdUpdateType\":\"\"}")
                          + NGX_INT64_LEN + NGX_INT_T_LEN + 32
                          + ngx_iot_json_escape_size(text->data, text->len),
                          ngx_cycle->log);
    if (json.data == NULL) {
        return;
    }

    p = ngx_sprintf(json.data, "{\"%s\":%L,\"errorCode\":%ui,\"errorMsg\":\"",
                    (type >= ngx_http_iot_tb_entity_data
                     && type < ngx_http_iot_tb_unknown)
                        ? "cmdId" : "subscriptionId",
                    id, code);
    p = ngx_iot_json_escape(p, text->data, text->len);
    *p++ = '"';

    if (type >= ngx_http_iot_tb_entity_data && type < ngx_http_iot_tb_unknown)
    {
        p = ngx_sprintf(p, ",\"data\":null,\"update\":null,"
                        "\"cmdUpdateType\":\"%V\"",
                        &kinds[type - ngx_http_iot_tb_entity_data]);
    }

    *p++ = '}';

    json.len = p - json.data;

    ngx_http_iot_ws_send(session->ws, &json);

    ngx_free(json.data);
}


ngx_int_t
ngx_http_iot_tb_feed_send(ngx_http_iot_tb_feed_t *feed, ngx_str_t *text)
{
    u_char                 buf[128];
    u_char                 name[NGX_INT64_LEN + 2 * sizeof(void *) + 1];
    ngx_str_t              key, error;
    ngx_uint_t             wait;
    ngx_http_iot_tb_ws_t  *session;

    session = feed->session;

    key.data = name;
    key.len = ngx_sprintf(name, "%P.%p", ngx_pid, session) - name;

    if (session->updates.n
        && ngx_iot_limit_take(&session->updates, "ws_updates", &key, 1, &wait)
           != NGX_OK)
    {
        if (!session->blocked) {
            session->blocked = 1;

            error.data = buf;
            error.len = ngx_sprintf(buf, "{\"subscriptionId\":%L,"
                                    "\"errorCode\":34,"
                                    "\"errorMsg\":\"Too many updates!\"}",
                                    feed->id)
                        - buf;

            ngx_http_iot_ws_send(session->ws, &error);
        }

        return NGX_BUSY;
    }

    session->blocked = 0;
    ngx_http_iot_ws_send(session->ws, text);

    return NGX_OK;
}


static ngx_int_t
ngx_http_iot_tb_feed_deliver(ngx_iot_bus_client_t *client,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t **subs, ngx_uint_t n)
{
    ngx_http_iot_tb_feed_t  *feed;

    feed = client->data;

    if (feed->ready) {
        ngx_http_iot_tb_feed_update(feed, msg);

        return NGX_OK;
    }

    if (feed->held == NULL) {
        feed->held = ngx_palloc(feed->pool, NGX_HTTP_IOT_TB_FEED_HELD
                                            * sizeof(ngx_iot_bus_message_t *));
        if (feed->held == NULL) {
            return NGX_OK;
        }
    }

    if (feed->nheld < NGX_HTTP_IOT_TB_FEED_HELD) {
        ngx_iot_bus_keep(msg);
        feed->held[feed->nheld++] = msg;
    }

    return NGX_OK;
}


static void
ngx_http_iot_tb_feed_update(ngx_http_iot_tb_feed_t *feed,
    ngx_iot_bus_message_t *msg)
{
    ngx_pool_t  *pool;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    if (feed->type == ngx_http_iot_tb_timeseries) {
        ngx_http_iot_tb_feed_series(feed, &msg->payload, pool);

    } else {
        ngx_http_iot_tb_feed_values(feed, msg->published, &msg->payload, pool);
    }

    ngx_destroy_pool(pool);
}


/* [{"ts":ms,"values":{...}},...]: an update for each time */

static void
ngx_http_iot_tb_feed_series(ngx_http_iot_tb_feed_t *feed, ngx_str_t *payload,
    ngx_pool_t *pool)
{
    ngx_int_t              ts;
    ngx_str_t              object;
    ngx_iot_json_t         json;
    ngx_iot_alloc_t        alloc;
    ngx_http_iot_ws_t     *ws;
    ngx_iot_json_field_t   f[2];

    ws = feed->session->ws;

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    ngx_iot_json_init(&json, payload, &alloc, NGX_IOT_JSON_MAX_DEPTH);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_ARRAY) {
        return;
    }

    while (!ws->ended && ngx_iot_json_next(&json) == NGX_IOT_JSON_OBJECT) {

        if (ngx_iot_json_skip(&json) != NGX_OK) {
            return;
        }

        object = json.raw;

        ngx_memzero(f, sizeof(f));
        ngx_str_set(&f[0].name, "ts");
        ngx_str_set(&f[1].name, "values");

        if (ngx_iot_json_fields(&object, &alloc, NGX_IOT_JSON_MAX_DEPTH, f, 2,
                                NULL)
            != NGX_OK)
        {
            return;
        }

        ts = ngx_atoi(f[0].text.data, f[0].text.len);

        if (ts != NGX_ERROR) {
            ngx_http_iot_tb_feed_values(feed, ts, &f[1].raw, pool);
        }
    }
}


static void
ngx_http_iot_tb_feed_values(ngx_http_iot_tb_feed_t *feed, uint64_t ts,
    ngx_str_t *values, ngx_pool_t *pool)
{
    size_t      data, latest;
    u_char     *p;
    ngx_str_t   json;

    data = ngx_http_iot_tb_feed_walk(feed, ts, values, 0, NULL, pool);

    if (data == 0) {
        return;
    }

    latest = ngx_http_iot_tb_feed_walk(feed, ts, values, 1, NULL, pool);

    json.data = ngx_palloc(pool, sizeof("{\"subscriptionId\":,\"errorCode\":0,"
                                        "\"errorMsg\":null,\"data\":{},"
                                        "\"latestValues\":{}}")
                                 + NGX_INT64_LEN + data + latest);
    if (json.data == NULL) {
        return;
    }

    p = ngx_sprintf(json.data, "{\"subscriptionId\":%L,\"errorCode\":0,"
                    "\"errorMsg\":null,\"data\":{", feed->id);
    p += ngx_http_iot_tb_feed_walk(feed, ts, values, 0, p, pool);
    p = ngx_sprintf(p, "},\"latestValues\":{");
    p += ngx_http_iot_tb_feed_walk(feed, ts, values, 1, p, pool);
    *p++ = '}';
    *p++ = '}';

    json.len = p - json.data;

    (void) ngx_http_iot_tb_feed_send(feed, &json);
}


/*
 * Members for the values of an update, written to dst, or with dst NULL only
 * counted (from above).  {"deleted":["k",...]} of attributes are values that
 * are gone.
 */

static size_t
ngx_http_iot_tb_feed_walk(ngx_http_iot_tb_feed_t *feed, uint64_t ts,
    ngx_str_t *values, ngx_uint_t latest, u_char *dst, ngx_pool_t *pool)
{
    u_char           *p;
    size_t            size;
    ngx_str_t         key, raw, value;
    ngx_uint_t        token, deleted, n;
    ngx_iot_json_t    json;
    ngx_iot_alloc_t   alloc;

    static ngx_str_t  none = ngx_string("\"\"");

    alloc.alloc = ngx_http_iot_alloc;
    alloc.data = pool;

    p = dst;
    n = 0;
    size = 0;
    deleted = 0;

    ngx_iot_json_init(&json, values, &alloc, NGX_IOT_JSON_MAX_DEPTH);

    if (ngx_iot_json_next(&json) != NGX_IOT_JSON_OBJECT) {
        return 0;
    }

    for ( ;; ) {
        token = ngx_iot_json_next(&json);

        if (deleted) {
            if (token != NGX_IOT_JSON_STRING) {
                break;
            }

            value = none;
            ts = 0;
            key = json.text;
            raw = json.raw;
            token = NGX_IOT_JSON_STRING;

        } else {
            if (token != NGX_IOT_JSON_KEY) {
                break;
            }

            key = json.text;
            raw = json.raw;
            token = ngx_iot_json_next(&json);

            if (token == NGX_IOT_JSON_ARRAY
                && feed->type == ngx_http_iot_tb_attributes
                && key.len == 7 && ngx_strncmp(key.data, "deleted", 7) == 0)
            {
                deleted = 1;
                continue;
            }

            if (ngx_iot_json_skip(&json) != NGX_OK) {
                break;
            }

            value = json.raw;
        }

        if (!ngx_http_iot_tb_feed_wants(feed, &key)) {
            continue;
        }

        size += sizeof(",:[[,\"\"]]") + 2 * NGX_INT64_LEN + raw.len
                + 2 * value.len;

        if (dst) {
            if (n++) {
                *p++ = ',';
            }

            p = ngx_http_iot_tb_feed_member(p, &raw, &value,
                                            token == NGX_IOT_JSON_STRING, ts,
                                            latest);
        }
    }

    return dst ? (size_t) (p - dst) : size;
}


/* values are strings, whatever they are */

static u_char *
ngx_http_iot_tb_feed_member(u_char *dst, ngx_str_t *key, ngx_str_t *value,
    ngx_uint_t string, uint64_t ts, ngx_uint_t latest)
{
    dst = ngx_cpymem(dst, key->data, key->len);

    if (latest) {
        return ngx_sprintf(dst, ":%uL", ts);
    }

    dst = ngx_sprintf(dst, ":[[%uL,", ts);

    if (string) {
        dst = ngx_cpymem(dst, value->data, value->len);

    } else {
        *dst++ = '"';
        dst = ngx_iot_json_escape(dst, value->data, value->len);
        *dst++ = '"';
    }

    *dst++ = ']';
    *dst++ = ']';

    return dst;
}


static ngx_uint_t
ngx_http_iot_tb_feed_wants(ngx_http_iot_tb_feed_t *feed, ngx_str_t *key)
{
    u_char  *p, *last;

    if (feed->keys.len == 0) {
        return 1;
    }

    p = feed->keys.data;
    last = p + feed->keys.len;

    while (p + key->len + 2 <= last) {

        if (p[key->len + 1] == ','
            && ngx_memcmp(p + 1, key->data, key->len) == 0)
        {
            return 1;
        }

        p = ngx_strlchr(p + 1, last, ',');

        if (p == NULL) {
            return 0;
        }
    }

    return 0;
}
