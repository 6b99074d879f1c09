
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include <sodium.h>

#include "../codec/ngx_iot_json.h"
#include "ngx_iot_db.h"
#include "ngx_iot_jwt.h"
#include "ngx_iot_sealer.h"
#include "ngx_iot_settings.h"


#define NGX_IOT_SETTINGS_DEPTH  16
#define NGX_IOT_SETTINGS_RETRY  1000

#define NGX_IOT_SETTINGS_MAX_LIFETIME  315360000     /* ten years */


#define ngx_iot_settings_field(name)                                          \
    { ngx_string(name), 0, ngx_null_string, ngx_null_string }


static void ngx_iot_settings_defaults(void);
static void ngx_iot_settings_notified(ngx_str_t *what, ngx_str_t *id);
static void ngx_iot_settings_load(void);
static void ngx_iot_settings_retry(ngx_event_t *ev);
static void ngx_iot_settings_loaded(ngx_iot_db_call_t *call);
static void ngx_iot_settings_answer(ngx_int_t rc);
static ngx_int_t ngx_iot_settings_take(ngx_str_t *json, ngx_pool_t *pool);
static ngx_int_t ngx_iot_settings_key(ngx_str_t *sealed, ngx_pool_t *pool);
static ngx_int_t ngx_iot_settings_jwt(ngx_str_t *json, ngx_iot_alloc_t *alloc,
    ngx_str_t *key);
static ngx_int_t ngx_iot_settings_security(ngx_str_t *json,
    ngx_iot_alloc_t *alloc);
static ngx_int_t ngx_iot_settings_limits(ngx_str_t *json,
    ngx_iot_alloc_t *alloc, ngx_log_t *log);
static ngx_int_t ngx_iot_settings_cors(ngx_iot_json_field_t *field);
static ngx_int_t ngx_iot_settings_number(ngx_iot_json_field_t *field,
    ngx_int_t low, ngx_int_t high, ngx_int_t value);
static void *ngx_iot_settings_alloc(void *data, size_t size);


ngx_iot_settings_t  ngx_iot_settings;


static ngx_iot_db_stmt_t  ngx_iot_settings_stmt = ngx_iot_db_stmt(
    "SELECT iot.settings_core()");

static ngx_iot_db_call_t  *ngx_iot_settings_call;
static ngx_queue_t         ngx_iot_settings_waiting;
static ngx_event_t         ngx_iot_settings_ev;
static ngx_connection_t    ngx_iot_settings_dummy;
static ngx_uint_t          ngx_iot_settings_again;


ngx_int_t
ngx_iot_settings_init_process(ngx_cycle_t *cycle)
{
    ngx_str_t  none = ngx_null_string;

    ngx_queue_init(&ngx_iot_settings_waiting);

    ngx_iot_settings_defaults();
    ngx_iot_jwt_use(ngx_iot_settings.generation, &none);

    ngx_iot_settings_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_settings_ev.data = &ngx_iot_settings_dummy;
    ngx_iot_settings_ev.log = cycle->log;
    ngx_iot_settings_ev.handler = ngx_iot_settings_retry;
    ngx_iot_settings_ev.cancelable = 1;

    if (ngx_iot_db_on_notify(ngx_iot_settings_notified) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_settings_load();

    return NGX_OK;
}


void
ngx_iot_settings_exit_process(ngx_cycle_t *cycle)
{
    if (ngx_iot_settings_call) {
        ngx_iot_db_abandon(ngx_iot_settings_call);
        ngx_iot_settings_call = NULL;
    }
}


static void
ngx_iot_settings_defaults(void)
{
    ngx_str_t            text;
    ngx_iot_settings_t  *s;

    s = &ngx_iot_settings;

    s->generation = 1;
    s->issuer.data = s->issuer_buf;
    s->issuer.len = ngx_cpymem(s->issuer_buf, "thingsboard.io",
                               sizeof("thingsboard.io") - 1)
                    - s->issuer_buf;
    s->expiration = 9000;
    s->refresh = 604800;

    s->min_length = 6;
    s->max_length = 72;
    s->min_upper = 0;
    s->min_lower = 0;
    s->min_digits = 0;
    s->min_special = 0;
    s->allow_blanks = 1;
    s->force_policy = 0;

    ngx_str_set(&text, "10:60");
    (void) ngx_iot_limit_parse(&s->login, &text);

    ngx_str_set(&text, "100:60");
    (void) ngx_iot_limit_parse(&s->login_address, &text);
    (void) ngx_iot_limit_parse(&s->login_public, &text);

    ngx_str_set(&text, "100:3600");
    (void) ngx_iot_limit_parse(&s->login_account, &text);

    s->cors.data = s->cors_buf;
    s->cors.len = 1;
    s->cors_buf[0] = '*';
}


static void
ngx_iot_settings_notified(ngx_str_t *what, ngx_str_t *id)
{
    if ((what->len == sizeof("settings") - 1
         && ngx_strncmp(what->data, "settings", sizeof("settings") - 1) == 0)
        || (what->len == sizeof("reset") - 1
            && ngx_strncmp(what->data, "reset", sizeof("reset") - 1) == 0))
    {
        ngx_iot_settings_load();
    }
}


static void
ngx_iot_settings_load(void)
{
    ngx_iot_db_call_t  *call;

    if (ngx_iot_settings_call) {
        /* what is on its way may be out of date */
        ngx_iot_settings_again = 1;
        return;
    }

    ngx_iot_settings_again = 0;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_settings_stmt,
                             ngx_cycle->log);

    if (call) {
        call->done = ngx_iot_settings_loaded;

        if (ngx_iot_db_send(call) == NGX_OK) {
            ngx_iot_settings_call = call;
            return;
        }

        ngx_destroy_pool(call->pool);
    }

    if (!ngx_iot_settings_ev.timer_set) {
        ngx_add_timer(&ngx_iot_settings_ev, NGX_IOT_SETTINGS_RETRY);
    }
}


static void
ngx_iot_settings_retry(ngx_event_t *ev)
{
    ngx_iot_settings_load();

    if (ngx_iot_settings_call == NULL) {
        ngx_iot_settings_answer(NGX_ERROR);
    }
}


static void
ngx_iot_settings_loaded(ngx_iot_db_call_t *call)
{
    ngx_int_t  rc;
    ngx_str_t  json;

    ngx_iot_settings_call = NULL;

    rc = NGX_ERROR;

    if (call->rc != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, call->log, 0,
                      "settings cannot be read: %V", &call->error.message);

    } else if (PQntuples(call->result) == 1) {
        json.data = (u_char *) PQgetvalue(call->result, 0, 0);
        json.len = PQgetlength(call->result, 0, 0);

        rc = ngx_iot_settings_take(&json, call->pool);

        if (rc != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, call->log, 0,
                          "settings cannot be understood: \"%V\"", &json);
        }
    }

    if (rc == NGX_OK) {
        ngx_iot_settings.loaded = 1;

        if (ngx_iot_settings_ev.timer_set) {
            ngx_del_timer(&ngx_iot_settings_ev);
        }

    } else if (!ngx_iot_settings_ev.timer_set) {
        ngx_add_timer(&ngx_iot_settings_ev, NGX_IOT_SETTINGS_RETRY);
    }

    if (ngx_iot_settings_again) {
        ngx_iot_settings_load();

        /* who waits may have asked after that change */

        if (ngx_iot_settings_call) {
            return;
        }
    }

    ngx_iot_settings_answer(rc);
}


void
ngx_iot_settings_refresh(void)
{
    ngx_iot_settings_load();
}


void
ngx_iot_settings_wait(ngx_iot_settings_wait_t *wait)
{
    wait->active = 1;
    ngx_queue_insert_tail(&ngx_iot_settings_waiting, &wait->queue);
}


void
ngx_iot_settings_unwait(ngx_iot_settings_wait_t *wait)
{
    if (wait->active) {
        wait->active = 0;
        ngx_queue_remove(&wait->queue);
    }
}


static void
ngx_iot_settings_answer(ngx_int_t rc)
{
    ngx_queue_t              *q;
    ngx_iot_settings_wait_t  *wait;

    while (!ngx_queue_empty(&ngx_iot_settings_waiting)) {
        q = ngx_queue_head(&ngx_iot_settings_waiting);
        wait = ngx_queue_data(q, ngx_iot_settings_wait_t, queue);

        ngx_iot_settings_unwait(wait);

        wait->ready(wait, rc);
    }
}


static ngx_int_t
ngx_iot_settings_take(ngx_str_t *json, ngx_pool_t *pool)
{
    ngx_int_t             rc;
    ngx_str_t             key;
    ngx_iot_alloc_t       alloc;
    ngx_iot_settings_t    old;
    ngx_iot_json_field_t  fields[] = {
        ngx_iot_settings_field("jwt"),
        ngx_iot_settings_field("security"),
        ngx_iot_settings_field("limits"),
        ngx_iot_settings_field("cors")
    };

    alloc.alloc = ngx_iot_settings_alloc;
    alloc.data = pool;

    if (ngx_iot_json_fields(json, &alloc, NGX_IOT_SETTINGS_DEPTH, fields, 4,
                            NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    old = ngx_iot_settings;

    /* what was removed from the settings is as if it had never been */
    ngx_iot_settings_defaults();

    if (ngx_iot_settings_jwt(&fields[0].raw, &alloc, &key) != NGX_OK
        || ngx_iot_settings_security(&fields[1].raw, &alloc) != NGX_OK
        || ngx_iot_settings_limits(&fields[2].raw, &alloc, pool->log)
           != NGX_OK
        || ngx_iot_settings_cors(&fields[3]) != NGX_OK)
    {
        ngx_iot_settings = old;
        return NGX_ERROR;
    }

    rc = ngx_iot_settings_key(&key, pool);

    if (rc != NGX_OK) {
        ngx_iot_settings = old;
    }

    return rc;
}


/* sealed is empty where the key is made from that of the instance */

static ngx_int_t
ngx_iot_settings_key(ngx_str_t *sealed, ngx_pool_t *pool)
{
    ngx_str_t  key;

    if (sealed->len == 0) {
        ngx_iot_jwt_use(ngx_iot_settings.generation, sealed);
        return NGX_OK;
    }

    if (ngx_iot_seal_open(pool, sealed, &key) != NGX_OK) {
        ngx_log_error(NGX_LOG_ERR, pool->log, 0,
                      "the key of tokens cannot be opened: was "
                      "\"secret_key_file\" changed?");
        return NGX_ERROR;
    }

    ngx_iot_jwt_use(ngx_iot_settings.generation, &key);

    sodium_memzero(key.data, key.len);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_settings_jwt(ngx_str_t *json, ngx_iot_alloc_t *alloc, ngx_str_t *key)
{
    ngx_str_t             *issuer;
    ngx_iot_settings_t    *s;
    ngx_iot_json_field_t   fields[] = {
        ngx_iot_settings_field("generation"),
        ngx_iot_settings_field("issuer"),
        ngx_iot_settings_field("expiration"),
        ngx_iot_settings_field("refresh"),
        ngx_iot_settings_field("key")
    };

    if (ngx_iot_json_fields(json, alloc, NGX_IOT_SETTINGS_DEPTH, fields, 5,
                            NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    s = &ngx_iot_settings;

    ngx_str_null(key);

    if (fields[4].token == NGX_IOT_JSON_STRING) {
        *key = fields[4].text;
    }

    s->generation = ngx_iot_settings_number(&fields[0], 1, 2147483647, 1);
    s->expiration = ngx_iot_settings_number(&fields[2], 1,
                                            NGX_IOT_SETTINGS_MAX_LIFETIME,
                                            9000);
    s->refresh = ngx_iot_settings_number(&fields[3], 1,
                                         NGX_IOT_SETTINGS_MAX_LIFETIME,
                                         604800);

    issuer = &fields[1].text;

    if (fields[1].token == NGX_IOT_JSON_STRING
        && ngx_iot_json_escape_size(issuer->data, issuer->len)
           <= NGX_IOT_ISSUER_LEN)
    {
        s->issuer.len = ngx_iot_json_escape(s->issuer_buf, issuer->data,
                                            issuer->len)
                        - s->issuer_buf;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_settings_security(ngx_str_t *json, ngx_iot_alloc_t *alloc)
{
    ngx_iot_settings_t    *s;
    ngx_iot_json_field_t   policy = ngx_iot_settings_field("passwordPolicy");
    ngx_iot_json_field_t   fields[] = {
        ngx_iot_settings_field("minimumLength"),
        ngx_iot_settings_field("maximumLength"),
        ngx_iot_settings_field("minimumUppercaseLetters"),
        ngx_iot_settings_field("minimumLowercaseLetters"),
        ngx_iot_settings_field("minimumDigits"),
        ngx_iot_settings_field("minimumSpecialCharacters"),
        ngx_iot_settings_field("allowWhitespaces"),
        ngx_iot_settings_field("forceUserToResetPasswordIfNotValid")
    };

    if (ngx_iot_json_fields(json, alloc, NGX_IOT_SETTINGS_DEPTH, &policy, 1,
                            NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (policy.token != NGX_IOT_JSON_OBJECT) {
        return NGX_OK;
    }

    if (ngx_iot_json_fields(&policy.raw, alloc, NGX_IOT_SETTINGS_DEPTH, fields,
                            8, NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    s = &ngx_iot_settings;

    s->min_length = ngx_iot_settings_number(&fields[0], 1, 72, 6);
    s->max_length = ngx_iot_settings_number(&fields[1], 1, 72, 72);
    s->min_upper = ngx_iot_settings_number(&fields[2], 0, 72, 0);
    s->min_lower = ngx_iot_settings_number(&fields[3], 0, 72, 0);
    s->min_digits = ngx_iot_settings_number(&fields[4], 0, 72, 0);
    s->min_special = ngx_iot_settings_number(&fields[5], 0, 72, 0);
    s->allow_blanks = (fields[6].token != NGX_IOT_JSON_FALSE);
    s->force_policy = (fields[7].token == NGX_IOT_JSON_TRUE);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_settings_limits(ngx_str_t *json, ngx_iot_alloc_t *alloc,
    ngx_log_t *log)
{
    ngx_uint_t            i;
    ngx_iot_json_field_t  fields[] = {
        ngx_iot_settings_field("login"),
        ngx_iot_settings_field("loginAddress"),
        ngx_iot_settings_field("loginPublic"),
        ngx_iot_settings_field("loginAccount")
    };
    ngx_iot_limit_t  *limits[] = {
        &ngx_iot_settings.login,
        &ngx_iot_settings.login_address,
        &ngx_iot_settings.login_public,
        &ngx_iot_settings.login_account
    };

    if (ngx_iot_json_fields(json, alloc, NGX_IOT_SETTINGS_DEPTH, fields, 4,
                            NULL)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (i = 0; i < 4; i++) {

        if (fields[i].token != NGX_IOT_JSON_STRING) {
            continue;
        }

        if (ngx_iot_limit_parse(limits[i], &fields[i].text) != NGX_OK) {
            ngx_log_error(NGX_LOG_WARN, log, 0,
                          "limit \"%V\" in the settings is not of the form "
                          "\"100:1,2000:60\": \"%V\"",
                          &fields[i].name, &fields[i].text);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_settings_cors(ngx_iot_json_field_t *field)
{
    ngx_iot_settings_t  *s;

    if (field->token != NGX_IOT_JSON_STRING
        || field->text.len > NGX_IOT_CORS_LEN)
    {
        return NGX_ERROR;
    }

    s = &ngx_iot_settings;

    ngx_memcpy(s->cors_buf, field->text.data, field->text.len);
    s->cors.len = field->text.len;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_settings_number(ngx_iot_json_field_t *field, ngx_int_t low,
    ngx_int_t high, ngx_int_t value)
{
    ngx_int_t  n;

    if (field->token != NGX_IOT_JSON_NUMBER) {
        return value;
    }

    n = ngx_atoi(field->text.data, field->text.len);

    return (n == NGX_ERROR || n < low || n > high) ? value : n;
}


static void *
ngx_iot_settings_alloc(void *data, size_t size)
{
    return ngx_palloc(data, size);
}
