
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_transport.h"


static ngx_int_t ngx_iot_helper_mail_start(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_mail_write(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);
static ngx_int_t ngx_iot_helper_mail_send(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter);
static json_t *ngx_iot_helper_mail_settings(ngx_iot_helper_job_t *job);
static void ngx_iot_helper_mail_done(ngx_iot_helper_job_t *job,
    CURLcode code);


/*
 * payload: template, recipient, vars; "mail": members of the settings object
 * to try out.
 */

const ngx_iot_helper_kind_t  ngx_iot_helper_mail_kind = {
    "mail",
    ngx_iot_helper_mail_start,
    ngx_iot_helper_mail_done
};


static ngx_int_t
ngx_iot_helper_mail_start(ngx_iot_helper_job_t *job)
{
    ngx_int_t                 rc;
    ngx_iot_helper_letter_t   letter;

    ngx_memzero(&letter, sizeof(ngx_iot_helper_letter_t));

    letter.settings = ngx_iot_helper_mail_settings(job);
    if (letter.settings == NULL) {
        return NGX_OK;
    }

    rc = ngx_iot_helper_mail_write(job, &letter);

    if (rc == NGX_OK) {
        rc = ngx_iot_helper_mail_send(job, &letter);

    } else {
        rc = NGX_OK;
    }

    json_decref(letter.settings);

    return rc;
}


static json_t *
ngx_iot_helper_mail_settings(ngx_iot_helper_job_t *job)
{
    char        *other, *text;
    json_t      *settings;
    const char  *values[2];

    other = json_dumps(json_object_get(job->payload, "mail"), JSON_COMPACT);

    values[0] = job->tenant;
    values[1] = other;

    text = ngx_iot_helper_query_text(job->helper, &job->pool,
                                     "SELECT iot.mail_settings($1, $2)", 2,
                                     values);
    free(other);

    settings = text ? json_loads(text, 0, NULL) : NULL;

    if (settings == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the settings of mail cannot be read");
    }

    return settings;
}


static ngx_int_t
ngx_iot_helper_mail_write(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter)
{
    json_t      *vars;
    ngx_int_t    rc;
    const char  *p, *text;

    letter->to = ngx_iot_helper_arg(job, "recipient");

    for (p = letter->to; p && *p; p++) {
        if ((u_char) *p <= ' ' || strchr("<>,;\"\\", *p)) {
            letter->to = NULL;
            break;
        }
    }

    if (letter->to == NULL || strchr(letter->to, '@') == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the recipient is no address");
        return NGX_ERROR;
    }

    text = json_string_value(json_object_get(letter->settings, "from"));

    if (text == NULL
        || ngx_iot_helper_from(&job->pool, text, &letter->from) != NGX_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the sender is no address");
        return NGX_ERROR;
    }

    vars = json_deep_copy(json_object_get(job->payload, "vars"));

    if (vars == NULL) {
        vars = json_object();
    }

    (void) json_object_set_new_nocheck(vars, "recipient",
                                       json_string_nocheck(letter->to));

    if (json_object_get(vars, "baseUrl") == NULL) {
        (void) json_object_set(vars, "baseUrl",
                               json_object_get(letter->settings, "baseUrl"));
    }

    rc = ngx_iot_helper_template(job, ngx_iot_helper_arg(job, "template"),
                                 json_object_get(letter->settings,
                                                 "templates"),
                                 vars, &letter->mail);
    json_decref(vars);

    if (rc != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_iot_helper_buf_init(&letter->mime, &job->pool, 0);

    if (ngx_iot_helper_mime(&letter->mime, job->id, job->created,
                            &letter->from, letter->to, &letter->mail)
        != NGX_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_mail_send(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter)
{
    ngx_int_t    rc;
    const char  *way;

    way = json_string_value(json_object_get(letter->settings, "transport"));

    /* where these servers are is the administrator's choice */

    job->allow_private = 1;

    if (way && strcmp(way, "smtp") == 0) {
        rc = ngx_iot_helper_smtp(job, letter);

    } else if (way && strcmp(way, "ses") == 0) {
        rc = ngx_iot_helper_ses(job, letter);

    } else if (way && strcmp(way, "sendgrid") == 0) {
        rc = ngx_iot_helper_sendgrid(job, letter);

    } else {
        rc = ngx_iot_helper_dir(job, letter);
    }

    return rc;
}


static void
ngx_iot_helper_mail_done(ngx_iot_helper_job_t *job, CURLcode code)
{

    if (job->recipients) {
        ngx_iot_helper_smtp_done(job, code);

    } else {
        ngx_iot_helper_post_done(job, code);
    }
}
