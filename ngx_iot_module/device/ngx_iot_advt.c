
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_advt.h"
#include "ngx_iot_event.h"


#define NGX_IOT_ADVT_CALLS    256       /* under way, of one worker */
#define NGX_IOT_ADVT_REPORTS  16        /* of one request */
#define NGX_IOT_ADVT_TMS      8192


static void ngx_iot_advt_send(ngx_iot_save_t *save, ngx_iot_point_t *tms);
static ngx_int_t ngx_iot_advt_text(ngx_iot_db_call_t *db,
    ngx_iot_save_t *save, int64_t ts, char *name, char *old);
static ngx_uint_t ngx_iot_advt_is(ngx_iot_point_t *point, char *name);
static void ngx_iot_advt_done(ngx_iot_db_call_t *db);


static ngx_iot_db_stmt_t  ngx_iot_advt_stmt = ngx_iot_db_stmt(
    "SELECT iot.advt_report($1::uuid, $2::uuid, $3, $4, $5::json)");

static ngx_uint_t  ngx_iot_advt_calls;


void
ngx_iot_advt_report(ngx_iot_save_t *save)
{
    ngx_uint_t        i, n;
    ngx_iot_point_t  *point;

    if (save->scope || !save->device->gateway) {
        return;
    }

    for (i = 0, n = 0; i < save->npoints; i++) {
        point = &save->points[i];

        if (point->value.type != NGX_IOT_JSON
            || point->value.u.s.len > NGX_IOT_ADVT_TMS
            || (!ngx_iot_advt_is(point, "advt_tms")
                && !ngx_iot_advt_is(point, "tms")))
        {
            continue;
        }

        if (n++ == NGX_IOT_ADVT_REPORTS
            || ngx_iot_advt_calls >= NGX_IOT_ADVT_CALLS)
        {
            return;
        }

        ngx_iot_advt_send(save, point);
    }
}


static void
ngx_iot_advt_send(ngx_iot_save_t *save, ngx_iot_point_t *tms)
{
    ngx_str_t           id;
    ngx_iot_db_call_t  *db;

    db = ngx_iot_db_create(NGX_IOT_DB_CHORE, &ngx_iot_advt_stmt,
                           ngx_cycle->log);
    if (db == NULL) {
        return;
    }

    id.len = NGX_IOT_UUID_TEXT;
    id.data = save->device->tenant;

    if (ngx_iot_db_text(db, &id) != NGX_OK) {
        goto failed;
    }

    id.data = save->device->id;

    if (ngx_iot_db_text(db, &id) != NGX_OK
        || ngx_iot_advt_text(db, save, tms->ts, "advt_adn", "aDN") != NGX_OK
        || ngx_iot_advt_text(db, save, tms->ts, "advt_mac", "mac") != NGX_OK
        || ngx_iot_db_text(db, &tms->value.u.s) != NGX_OK)
    {
        goto failed;
    }

    db->done = ngx_iot_advt_done;

    if (ngx_iot_db_send(db) != NGX_OK) {
        goto failed;
    }

    ngx_iot_advt_calls++;

    return;

failed:

    ngx_destroy_pool(db->pool);
}


/* a name of digits has been made a number */

static ngx_int_t
ngx_iot_advt_text(ngx_iot_db_call_t *db, ngx_iot_save_t *save, int64_t ts,
    char *name, char *old)
{
    u_char            number[NGX_INT64_LEN];
    ngx_str_t         text;
    ngx_uint_t        i;
    ngx_iot_point_t  *point;

    for (i = 0; i < save->npoints; i++) {
        point = &save->points[i];

        if (point->ts != ts
            || (!ngx_iot_advt_is(point, name) && !ngx_iot_advt_is(point, old)))
        {
            continue;
        }

        if (point->value.type == NGX_IOT_TEXT) {
            return ngx_iot_db_text(db, &point->value.u.s);
        }

        if (point->value.type == NGX_IOT_LONG) {
            text.data = number;
            text.len = ngx_sprintf(number, "%L", point->value.u.l) - number;

            return ngx_iot_db_text(db, &text);
        }
    }

    ngx_iot_db_param(db, NULL, 0, 0);

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_advt_is(ngx_iot_point_t *point, char *name)
{
    return point->key.len == ngx_strlen(name)
           && ngx_memcmp(point->key.data, name, point->key.len) == 0;
}


static void
ngx_iot_advt_done(ngx_iot_db_call_t *db)
{
    ngx_str_t  events;

    ngx_iot_advt_calls--;

    if (db->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "a report of a gateway was not handed on: %V",
                      &db->error.message);
        return;
    }

    if (PQntuples(db->result) == 1 && !PQgetisnull(db->result, 0, 0)) {
        events.data = (u_char *) PQgetvalue(db->result, 0, 0);
        events.len = PQgetlength(db->result, 0, 0);

        ngx_iot_event_publish_json(&events, db->pool, ngx_cycle->log);
    }
}
