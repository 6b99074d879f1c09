
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_activity.h"
#include "ngx_iot_db.h"
#include "ngx_iot_event.h"
#include "ngx_iot_slot.h"


#define NGX_IOT_ACTIVITY_INTERVAL  3000
#define NGX_IOT_ACTIVITY_SWEEP     10000      /* for the silent ones */
#define NGX_IOT_ACTIVITY_SLICE     5000       /* devices of one call */
#define NGX_IOT_ACTIVITY_MAX       200000     /* devices in memory */


typedef struct {
    ngx_rbtree_node_t    node;                /* key: the number */
    uint64_t             times[3];
} ngx_iot_activity_t;


static ngx_iot_activity_t *ngx_iot_activity_find(int32_t nr);
static void ngx_iot_activity_timer(ngx_event_t *ev);
static void ngx_iot_activity_shutdown(void *data);
static void ngx_iot_activity_flush(void);
static ngx_int_t ngx_iot_activity_param(ngx_iot_db_call_t *db,
    ngx_iot_activity_t **entries, ngx_uint_t n, ngx_int_t column);
static void ngx_iot_activity_tell(ngx_iot_db_call_t *db);
static ngx_int_t ngx_iot_activity_watched(ngx_iot_db_call_t *db);
static void ngx_iot_activity_done(ngx_iot_db_call_t *db);
static void ngx_iot_activity_sweep(ngx_event_t *ev);
static void ngx_iot_activity_swept(ngx_iot_db_call_t *db);


static ngx_iot_db_stmt_t  ngx_iot_activity_stmt = ngx_iot_db_stmt(
    "SELECT iot.device_activity($1::int[], $2::bigint[], $3::bigint[],"
    " $4::bigint[], $5::boolean)");

static ngx_iot_db_stmt_t  ngx_iot_activity_sweep_stmt = ngx_iot_db_stmt(
    "SELECT iot.activity_sweep($1::boolean)");

static ngx_rbtree_t       ngx_iot_activity_tree;
static ngx_rbtree_node_t  ngx_iot_activity_sentinel;
static ngx_uint_t         ngx_iot_activities;
static ngx_event_t        ngx_iot_activity_event;
static ngx_event_t        ngx_iot_activity_sweeper;
static ngx_connection_t   ngx_iot_activity_dummy;
static ngx_uint_t         ngx_iot_activity_busy;


ngx_int_t
ngx_iot_activity_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_activity_tree, &ngx_iot_activity_sentinel,
                    ngx_rbtree_insert_value);

    ngx_iot_activities = 0;
    ngx_iot_activity_busy = 0;

    ngx_iot_activity_dummy.fd = (ngx_socket_t) -1;
    ngx_iot_activity_event.data = &ngx_iot_activity_dummy;
    ngx_iot_activity_event.log = cycle->log;
    ngx_iot_activity_event.handler = ngx_iot_activity_timer;
    ngx_iot_activity_event.cancelable = 1;

    ngx_iot_activity_sweeper.data = &ngx_iot_activity_dummy;
    ngx_iot_activity_sweeper.log = cycle->log;
    ngx_iot_activity_sweeper.handler = ngx_iot_activity_sweep;
    ngx_iot_activity_sweeper.cancelable = 1;

    /* not all workers at the same time */

    ngx_add_timer(&ngx_iot_activity_sweeper,
                  1000 + ngx_random() % NGX_IOT_ACTIVITY_SWEEP);

    return ngx_iot_on_shutdown(ngx_iot_activity_shutdown, NULL);
}


void
ngx_iot_activity(int32_t nr, ngx_uint_t what)
{
    uint64_t             now;
    ngx_time_t          *tp;
    ngx_iot_activity_t  *entry;

    entry = ngx_iot_activity_find(nr);

    if (entry == NULL) {

        if (ngx_iot_activities >= NGX_IOT_ACTIVITY_MAX) {
            return;
        }

        entry = ngx_calloc(sizeof(ngx_iot_activity_t), ngx_cycle->log);
        if (entry == NULL) {
            return;
        }

        entry->node.key = (ngx_rbtree_key_t) nr;
        ngx_rbtree_insert(&ngx_iot_activity_tree, &entry->node);
        ngx_iot_activities++;
    }

    tp = ngx_timeofday();
    now = (uint64_t) tp->sec * 1000 + tp->msec;

    entry->times[what] = now;

    if (what != NGX_IOT_ACTIVITY_DISCONNECTED) {
        entry->times[NGX_IOT_ACTIVITY_SEEN] = now;
    }

    if (!ngx_iot_activity_event.timer_set) {
        ngx_add_timer(&ngx_iot_activity_event,
                      ngx_exiting ? 1 : NGX_IOT_ACTIVITY_INTERVAL);
    }
}


static ngx_iot_activity_t *
ngx_iot_activity_find(int32_t nr)
{
    ngx_rbtree_key_t    key;
    ngx_rbtree_node_t  *node;

    key = (ngx_rbtree_key_t) nr;
    node = ngx_iot_activity_tree.root;

    while (node != &ngx_iot_activity_sentinel) {

        if (key == node->key) {
            return (ngx_iot_activity_t *) node;
        }

        node = (key < node->key) ? node->left : node->right;
    }

    return NULL;
}


static void
ngx_iot_activity_timer(ngx_event_t *ev)
{
    ngx_iot_activity_flush();
}


static void
ngx_iot_activity_shutdown(void *data)
{
    ngx_iot_activity_flush();
}


/* one call at a time: what comes meanwhile goes with the next */

static void
ngx_iot_activity_flush(void)
{
    ngx_int_t             i;
    ngx_uint_t            n;
    ngx_rbtree_node_t    *node;
    ngx_iot_db_call_t    *db;
    ngx_iot_activity_t  **entries;

    if (ngx_iot_activities == 0 || ngx_iot_activity_busy) {
        return;
    }

    db = ngx_iot_db_create(NGX_IOT_DB_CHORE, &ngx_iot_activity_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        goto later;
    }

    n = ngx_min(ngx_iot_activities, NGX_IOT_ACTIVITY_SLICE);

    entries = ngx_palloc(db->pool, n * sizeof(ngx_iot_activity_t *));
    if (entries == NULL) {
        goto failed;
    }

    node = ngx_rbtree_min(ngx_iot_activity_tree.root,
                          &ngx_iot_activity_sentinel);

    for (i = 0; i < (ngx_int_t) n; i++) {
        entries[i] = (ngx_iot_activity_t *) node;
        node = ngx_rbtree_next(&ngx_iot_activity_tree, node);
    }

    for (i = -1; i < 3; i++) {
        if (ngx_iot_activity_param(db, entries, n, i) != NGX_OK) {
            goto failed;
        }
    }

    if (ngx_iot_activity_watched(db) != NGX_OK) {
        goto failed;
    }

    db->done = ngx_iot_activity_done;

    if (ngx_iot_db_send(db) != NGX_OK) {
        goto failed;
    }

    ngx_iot_activity_busy = 1;

    for (i = 0; i < (ngx_int_t) n; i++) {
        ngx_rbtree_delete(&ngx_iot_activity_tree, &entries[i]->node);
        ngx_free(entries[i]);
    }

    ngx_iot_activities -= n;

    return;

failed:

    ngx_destroy_pool(db->pool);

later:

    if (!ngx_iot_activity_event.timer_set) {
        ngx_add_timer(&ngx_iot_activity_event, NGX_IOT_ACTIVITY_INTERVAL);
    }
}


/* an array literal of the numbers (column -1) or of one of the times */

static ngx_int_t
ngx_iot_activity_param(ngx_iot_db_call_t *db, ngx_iot_activity_t **entries,
    ngx_uint_t n, ngx_int_t column)
{
    u_char      *p, *start;
    ngx_uint_t   i;

    start = ngx_pnalloc(db->pool, n * (NGX_INT64_LEN + 1) + sizeof("{}"));
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = start;
    *p++ = '{';

    for (i = 0; i < n; i++) {

        if (i) {
            *p++ = ',';
        }

        if (column < 0) {
            p = ngx_sprintf(p, "%ui", (ngx_uint_t) entries[i]->node.key);

        } else {
            p = ngx_sprintf(p, "%uL", entries[i]->times[column]);
        }
    }

    *p++ = '}';
    *p = '\0';

    ngx_iot_db_param(db, start, p - start, 0);

    return NGX_OK;
}


/* does anybody want to be told? */

static ngx_int_t
ngx_iot_activity_watched(ngx_iot_db_call_t *db)
{
    static ngx_str_t  yes = ngx_string("true");
    static ngx_str_t  no = ngx_string("false");

    return ngx_iot_db_text(db, ngx_iot_event_watched() ? &yes : &no);
}


static void
ngx_iot_activity_tell(ngx_iot_db_call_t *db)
{
    ngx_str_t  events;

    if (PQntuples(db->result) == 1 && !PQgetisnull(db->result, 0, 0)) {
        events.data = (u_char *) PQgetvalue(db->result, 0, 0);
        events.len = PQgetlength(db->result, 0, 0);

        ngx_iot_event_publish_json(&events, db->pool, ngx_cycle->log);
    }
}


static void
ngx_iot_activity_sweep(ngx_event_t *ev)
{
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(NGX_IOT_DB_CHORE, &ngx_iot_activity_sweep_stmt,
                           ngx_cycle->log);

    if (db) {
        db->done = ngx_iot_activity_swept;

        if (ngx_iot_activity_watched(db) == NGX_OK
            && ngx_iot_db_send(db) == NGX_OK)
        {
            return;
        }

        ngx_destroy_pool(db->pool);
    }

    ngx_add_timer(ev, NGX_IOT_ACTIVITY_SWEEP);
}


static void
ngx_iot_activity_swept(ngx_iot_db_call_t *db)
{
    if (db->rc == NGX_OK) {
        ngx_iot_activity_tell(db);
    }

    if (!ngx_exiting) {
        ngx_add_timer(&ngx_iot_activity_sweeper, NGX_IOT_ACTIVITY_SWEEP);
    }
}


static void
ngx_iot_activity_done(ngx_iot_db_call_t *db)
{
    ngx_iot_activity_busy = 0;

    if (db->rc == NGX_OK) {
        ngx_iot_activity_tell(db);

    } else {
        ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                      "the activity of devices was not stored: %V",
                      &db->error.message);
    }

    if (ngx_iot_activities && !ngx_iot_activity_event.timer_set) {
        ngx_add_timer(&ngx_iot_activity_event,
                      ngx_exiting ? 1 : NGX_IOT_ACTIVITY_INTERVAL);
    }
}
