
/*
 * Copyright (C) the ngx_iot authors
 */


#include <sodium.h>
#include <stdio.h>

#include "../codec/ngx_iot_keycode.h"
#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"


/*
 * Keycodes of pay-as-you-go devices: nobody else can open their secrets.
 *
 * iot.keycode_take() tells what to make and of which id, iot.keycode_put()
 * stores it, moves the id and ends the job in one transaction, unless another
 * code has taken that id in between: then it is made again with the next one.
 * So a crash at any point uses up nothing, and an id is never given twice.
 */

#define NGX_IOT_HELPER_KEYCODE_TRIES  1000


static ngx_int_t ngx_iot_helper_keycode_start(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_keycode_try(ngx_iot_helper_job_t *job);
static char *ngx_iot_helper_keycode_call(ngx_iot_helper_job_t *job,
    const char *sql, const char *made);
static ngx_int_t ngx_iot_helper_keycode_make(ngx_iot_helper_job_t *job,
    json_t *take, ngx_iot_keycode_text_t *text, int64_t *next);
static ngx_iot_keycode_err_e ngx_iot_helper_keycode_nexus(json_t *take,
    const ngx_str_t *secret, ngx_iot_keycode_text_t *text, int64_t *next);
static ngx_iot_keycode_err_e ngx_iot_helper_keycode_small(json_t *take,
    const ngx_str_t *secret, ngx_iot_keycode_text_t *text, int64_t *next);
static ngx_iot_keycode_err_e ngx_iot_helper_keycode_openpaygo(json_t *take,
    const ngx_str_t *secret, ngx_iot_keycode_text_t *text, int64_t *next);
static int64_t ngx_iot_helper_keycode_number(json_t *take, const char *name);
static void ngx_iot_helper_keycode_fail(ngx_iot_helper_job_t *job,
    ngx_iot_keycode_err_e err);


const ngx_iot_helper_kind_t  ngx_iot_helper_keycode_kind = {
    "keycode",
    ngx_iot_helper_keycode_start,
    NULL
};


static ngx_int_t
ngx_iot_helper_keycode_start(ngx_iot_helper_job_t *job)
{
    ngx_int_t   rc;
    ngx_uint_t  i;

    for (i = 0; i < NGX_IOT_HELPER_KEYCODE_TRIES; i++) {
        rc = ngx_iot_helper_keycode_try(job);

        if (rc != NGX_AGAIN) {
            return NGX_OK;
        }
    }

    ngx_iot_helper_end(job, NGX_IOT_HELPER_BACK,
                       "other helpers were always faster");

    return NGX_OK;
}


/* NGX_AGAIN: somebody else has used the id; else the job has been ended */

static ngx_int_t
ngx_iot_helper_keycode_try(ngx_iot_helper_job_t *job)
{
    char                    *answer, *made;
    json_t                  *take;
    int64_t                  next;
    ngx_int_t                rc;
    const char              *error;
    ngx_iot_keycode_text_t   text;

    answer = ngx_iot_helper_keycode_call(job,
                 "SELECT iot.keycode_take($1, $2, $3)", NULL);

    if (answer == NULL) {
        return NGX_ERROR;
    }

    take = json_loads(answer, 0, NULL);
    error = json_string_value(json_object_get(take, "error"));

    if (take == NULL || error) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED, "%s",
                           error ? error : "no memory");
        json_decref(take);
        return NGX_ERROR;
    }

    if (json_object_get(take, "stored")) {
        job->result = json_incref(json_object_get(take, "stored"));
        job->outcome = NGX_IOT_HELPER_DONE;
        json_decref(take);
        return NGX_OK;
    }

    rc = ngx_iot_helper_keycode_make(job, take, &text, &next);

    if (rc != NGX_OK) {
        json_decref(take);
        return rc;
    }

    json_object_set_new(take, "token", json_string((char *) text.data));
    json_object_set_new(take, "next", json_integer(next));
    json_object_del(take, "secret");
    sodium_memzero(&text, sizeof(text));

    made = json_dumps(take, JSON_COMPACT);
    json_decref(take);

    if (made == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED, "no memory");
        return NGX_ERROR;
    }

    answer = ngx_iot_helper_keycode_call(job,
                 "SELECT iot.keycode_put($1, $2, $3, $4)", made);
    free(made);

    if (answer == NULL) {
        return NGX_ERROR;
    }

    if (strcmp(answer, "again") == 0) {
        return NGX_AGAIN;
    }

    /* stored, or taken back by who has asked: either way it has ended */

    job->outcome = NGX_IOT_HELPER_DONE;
    job->told = 1;

    return NGX_OK;
}


/* NULL: the job has been ended */

static char *
ngx_iot_helper_keycode_call(ngx_iot_helper_job_t *job, const char *sql,
    const char *made)
{
    char              *answer, attempt[16];
    const char        *values[4];
    ngx_iot_helper_t  *helper;

    helper = job->helper;

    (void) snprintf(attempt, sizeof(attempt), "%d", job->attempt);

    values[0] = helper->id;
    values[1] = job->id;
    values[2] = attempt;
    values[3] = made;

    answer = ngx_iot_helper_query_text(helper, &job->pool, sql,
                                       made ? 4 : 3, values);

    if (answer == NULL) {

        if (helper->db_state == NGX_IOT_HELPER_DB_UP) {
            ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                               "the database refused the code");

        } else {
            ngx_iot_helper_end(job, NGX_IOT_HELPER_BACK,
                               "the database has gone");
        }
    }

    return answer;
}


static ngx_int_t
ngx_iot_helper_keycode_make(ngx_iot_helper_job_t *job, json_t *take,
    ngx_iot_keycode_text_t *text, int64_t *next)
{
    u_char                  key[NGX_IOT_KEYCODE_SECRET];
    ngx_str_t               secret;
    const char             *hex, *system;
    ngx_iot_keycode_err_e   err;

    hex = json_string_value(json_object_get(take, "secret"));
    system = json_string_value(json_object_get(take, "system"));

    if (hex == NULL || system == NULL) {
        ngx_iot_helper_keycode_fail(job, NGX_IOT_KEYCODE_E_SECRET);
        return NGX_ERROR;
    }

    hex = ngx_iot_helper_open(job, hex, "the secret of the device");

    if (hex == NULL) {
        return NGX_ERROR;
    }

    err = ngx_iot_keycode_secret((u_char *) hex, strlen(hex), key);

    if (err == NGX_IOT_KEYCODE_OK) {
        secret.data = key;
        secret.len = sizeof(key);

        if (strcmp(system, "openpaygo") == 0) {
            err = ngx_iot_helper_keycode_openpaygo(take, &secret, text, next);

        } else if (strcmp(system, "nexus-small") == 0) {
            err = ngx_iot_helper_keycode_small(take, &secret, text, next);

        } else {
            err = ngx_iot_helper_keycode_nexus(take, &secret, text, next);
        }
    }

    sodium_memzero(key, sizeof(key));

    if (err != NGX_IOT_KEYCODE_OK) {
        ngx_iot_helper_keycode_fail(job, err);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_iot_keycode_err_e
ngx_iot_helper_keycode_nexus(json_t *take, const ngx_str_t *secret,
    ngx_iot_keycode_text_t *text, int64_t *next)
{
    const char               *type;
    ngx_iot_keycode_err_e     err;
    ngx_iot_nexus_message_t   m;

    ngx_memzero(&m, sizeof(ngx_iot_nexus_message_t));

    type = json_string_value(json_object_get(take, "type"));

    if (type == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    err = ngx_iot_nexus_type((u_char *) type, strlen(type), &m.type);

    if (err != NGX_IOT_KEYCODE_OK) {
        return err;
    }

    m.message_id = ngx_iot_helper_keycode_number(take, "msgId");
    m.value = ngx_iot_helper_keycode_number(take, "value");
    *next = m.message_id + 1;

    return ngx_iot_nexus_full_make(&m, secret, NGX_IOT_NEXUS_GROUPED, text);
}


/* An id whose code would be ambiguous is left out. */

static ngx_iot_keycode_err_e
ngx_iot_helper_keycode_small(json_t *take, const ngx_str_t *secret,
    ngx_iot_keycode_text_t *text, int64_t *next)
{
    int64_t                  hours;
    const char              *type;
    ngx_uint_t               i;
    ngx_iot_nexus_small_t    m;
    ngx_iot_keycode_err_e    err;

    type = json_string_value(json_object_get(take, "type"));
    hours = ngx_iot_helper_keycode_number(take, "value");

    if (type == NULL) {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    m.message_id = ngx_iot_helper_keycode_number(take, "msgId");
    m.value = hours / 24;

    if (strcmp(type, "add_credit") == 0) {
        m.type = NGX_IOT_NEXUS_SMALL_ADD_CREDIT;

    } else if (strcmp(type, "set_credit") == 0) {
        m.type = NGX_IOT_NEXUS_SMALL_SET_CREDIT;

    } else if (strcmp(type, "unlock") == 0) {
        m.type = NGX_IOT_NEXUS_SMALL_UNLOCK;
        m.value = 0;
        hours = 0;

    } else {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    if (hours % 24) {
        return NGX_IOT_KEYCODE_E_VALUE;
    }

    for (i = 0; /* void */ ; i++) {
        err = ngx_iot_nexus_small_make(&m, secret, NGX_IOT_NEXUS_GROUPED,
                                       text);
        *next = m.message_id + 1;

        if (err != NGX_IOT_KEYCODE_E_COLLISION || i == 64) {
            return err;
        }

        m.message_id++;
    }
}


static ngx_iot_keycode_err_e
ngx_iot_helper_keycode_openpaygo(json_t *take, const ngx_str_t *secret,
    ngx_iot_keycode_text_t *text, int64_t *next)
{
    const char                   *days, *type;
    ngx_iot_keycode_err_e         err;
    ngx_iot_openpaygo_request_t   r;

    ngx_memzero(&r, sizeof(ngx_iot_openpaygo_request_t));

    type = json_string_value(json_object_get(take, "type"));
    days = json_string_value(json_object_get(take, "days"));

    r.value = NGX_IOT_OPENPAYGO_NONE;
    r.count = ngx_iot_helper_keycode_number(take, "msgId");
    r.start = ngx_iot_helper_keycode_number(take, "start");
    r.test_code = ngx_iot_helper_keycode_number(take, "testCode");
    r.restricted = json_is_true(json_object_get(take, "restricted"));

    if (type && strcmp(type, "add_credit") == 0) {
        r.type = NGX_IOT_OPENPAYGO_ADD_TIME;

    } else if (type && strcmp(type, "set_credit") == 0) {
        r.type = NGX_IOT_OPENPAYGO_SET_TIME;

    } else if (type && strcmp(type, "unlock") == 0) {
        r.type = NGX_IOT_OPENPAYGO_DISABLE_PAYG;

    } else if (type && strcmp(type, "counter_sync") == 0) {
        r.type = NGX_IOT_OPENPAYGO_COUNTER_SYNC;

    } else {
        return NGX_IOT_KEYCODE_E_TYPE;
    }

    if (r.type == NGX_IOT_OPENPAYGO_ADD_TIME
        || r.type == NGX_IOT_OPENPAYGO_SET_TIME)
    {
        err = ngx_iot_openpaygo_units((u_char *) days,
                                      days ? strlen(days) : 0,
                                      ngx_iot_helper_keycode_number(take,
                                                                 "divider"),
                                      &r.value);

        if (err != NGX_IOT_KEYCODE_OK) {
            return err;
        }
    }

    return ngx_iot_openpaygo_make(&r, secret, text, next);
}


/* -1, which no function of the codecs takes, for what is no number */

static int64_t
ngx_iot_helper_keycode_number(json_t *take, const char *name)
{
    json_t  *number;

    number = json_object_get(take, name);

    return json_is_integer(number) ? json_integer_value(number) : -1;
}


static void
ngx_iot_helper_keycode_fail(ngx_iot_helper_job_t *job,
    ngx_iot_keycode_err_e err)
{
    ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED, "%s %s",
                       ngx_iot_keycode_error(err),
                       ngx_iot_keycode_error_text(err));
}
