
/*
 * Copyright (C) the ngx_iot authors
 */


#include <sodium.h>
#include <stdio.h>

#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_text.h"
#include "ngx_iot_helper_curl.h"
#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"


/*
 * Requests to other people's servers.
 *
 * payload: url, method ("GET"), headers {}, body (text) or form {}, timeout
 * (ms, 10000), schemes ("https,http"), maxAnswer (bytes, 1048576).  A header,
 * a member of form and "secret" may be sealed.  The result is {status,
 * headers, body}, with "base64" instead of "body" for what is no text.
 *
 * "http" is done with whatever answer; "webhook" wants one of 200 to 299, and
 * signs what it sends.
 */

#define NGX_IOT_HELPER_HTTP_MAX      1048576
#define NGX_IOT_HELPER_HTTP_TIMEOUT  120000


static ngx_int_t ngx_iot_helper_http_start(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_webhook_start(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_begin(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_method(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_headers(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_body(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_form(ngx_iot_helper_job_t *job,
    json_t *form);
static ngx_int_t ngx_iot_helper_http_private(ngx_iot_helper_job_t *job);
static ngx_int_t ngx_iot_helper_http_number(ngx_iot_helper_job_t *job,
    const char *name, long otherwise, long most, long *value);
static ngx_int_t ngx_iot_helper_http_sign(ngx_iot_helper_job_t *job);
static void ngx_iot_helper_http_done(ngx_iot_helper_job_t *job,
    CURLcode code);
static void ngx_iot_helper_webhook_done(ngx_iot_helper_job_t *job,
    CURLcode code);
static void ngx_iot_helper_http_result(ngx_iot_helper_job_t *job,
    long status);


const ngx_iot_helper_kind_t  ngx_iot_helper_http_kind = {
    "http",
    ngx_iot_helper_http_start,
    ngx_iot_helper_http_done
};


const ngx_iot_helper_kind_t  ngx_iot_helper_webhook_kind = {
    "webhook",
    ngx_iot_helper_webhook_start,
    ngx_iot_helper_webhook_done
};


static ngx_int_t
ngx_iot_helper_http_start(ngx_iot_helper_job_t *job)
{
    if (ngx_iot_helper_http_begin(job) != NGX_OK) {
        return NGX_OK;
    }

    curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->headers);

    return NGX_AGAIN;
}


static ngx_int_t
ngx_iot_helper_webhook_start(ngx_iot_helper_job_t *job)
{
    if (ngx_iot_helper_http_begin(job) != NGX_OK
        || ngx_iot_helper_http_sign(job) != NGX_OK)
    {
        return NGX_OK;
    }

    curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->headers);

    return NGX_AGAIN;
}


/* NGX_ERROR: the job has been ended */

static ngx_int_t
ngx_iot_helper_http_begin(ngx_iot_helper_job_t *job)
{
    long         max, timeout;
    const char  *schemes, *url;

    url = ngx_iot_helper_arg(job, "url");
    schemes = ngx_iot_helper_arg(job, "schemes");

    if (schemes == NULL) {
        schemes = "https,http";
    }

    if (url == NULL || strlen(url) > 8192
        || (strcmp(schemes, "https,http") != 0
            && strcmp(schemes, "https") != 0))
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the URL or its schemes are not right");
        return NGX_ERROR;
    }

    if (ngx_iot_helper_http_number(job, "timeout", 10000,
                                   NGX_IOT_HELPER_HTTP_TIMEOUT, &timeout)
        != NGX_OK
        || ngx_iot_helper_http_number(job, "maxAnswer",
                                      NGX_IOT_HELPER_HTTP_MAX,
                                      NGX_IOT_HELPER_HTTP_MAX, &max)
           != NGX_OK
        || ngx_iot_helper_http_private(job) != NGX_OK
        || ngx_iot_helper_curl(job, url, schemes, timeout, max) != NGX_OK
        || ngx_iot_helper_http_body(job) != NGX_OK
        || ngx_iot_helper_http_method(job) != NGX_OK
        || ngx_iot_helper_http_headers(job) != NGX_OK)
    {
        return NGX_ERROR;
    }

    job->answer_headers = json_object();

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_http_number(ngx_iot_helper_job_t *job, const char *name,
    long otherwise, long most, long *value)
{
    json_t  *number;

    number = json_object_get(job->payload, name);
    *value = otherwise;

    if (number == NULL || json_is_null(number)) {
        return NGX_OK;
    }

    if (!json_is_integer(number) || json_integer_value(number) < 1) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "\"%s\" is no number from 1 on", name);
        return NGX_ERROR;
    }

    *value = (json_integer_value(number) < most)
             ? (long) json_integer_value(number) : most;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_http_private(ngx_iot_helper_job_t *job)
{
    char    *text;
    json_t  *settings;

    text = ngx_iot_helper_query_text(job->helper, &job->pool,
                                     "SELECT iot.outbound_settings()", 0,
                                     NULL);
    settings = text ? json_loads(text, 0, NULL) : NULL;

    if (settings == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the settings cannot be read");
        return NGX_ERROR;
    }

    job->allow_private = json_is_true(json_object_get(settings,
                                                      "allowPrivate"));
    json_decref(settings);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_http_method(ngx_iot_helper_job_t *job)
{
    const char  *method;
    ngx_uint_t   i;

    static const char *const  methods[] = { "GET", "POST", "PUT", "PATCH",
                                            "DELETE", "HEAD" };

    method = ngx_iot_helper_arg(job, "method");

    if (method == NULL) {
        method = job->body.data ? "POST" : "GET";
    }

    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (strcmp(method, methods[i]) == 0) {
            break;
        }
    }

    if (i == sizeof(methods) / sizeof(methods[0])) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the method is not right");
        return NGX_ERROR;
    }

    if (job->body.data && strcmp(method, "GET") != 0
        && strcmp(method, "HEAD") != 0)
    {
        curl_easy_setopt(job->easy, CURLOPT_POSTFIELDS, job->body.data);
        curl_easy_setopt(job->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         (curl_off_t) job->body.len);
    }

    if (strcmp(method, "HEAD") == 0) {
        curl_easy_setopt(job->easy, CURLOPT_NOBODY, 1L);

    } else {
        curl_easy_setopt(job->easy, CURLOPT_CUSTOMREQUEST, methods[i]);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_http_headers(ngx_iot_helper_job_t *job)
{
    json_t             *headers, *value;
    const char         *name, *text;
    struct curl_slist  *list;

    headers = json_object_get(job->payload, "headers");

    json_object_foreach(headers, name, value) {

        text = json_string_value(value);

        if (text) {
            text = ngx_iot_helper_open(job, text, "a header");

            if (text == NULL) {
                return NGX_ERROR;
            }
        }

        if (text == NULL || ngx_iot_helper_header(job, name, text) != NGX_OK) {
            ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                               "the header \"%s\" is not right", name);
            return NGX_ERROR;
        }
    }

    /* none of curl's own, which would wait for "100 Continue" */

    list = curl_slist_append(job->headers, "Expect:");
    if (list == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_ERROR;
    }

    job->headers = list;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_http_body(ngx_iot_helper_job_t *job)
{
    json_t      *form;
    const char  *body;

    body = ngx_iot_helper_arg(job, "body");
    form = json_object_get(job->payload, "form");

    if (body) {
        ngx_iot_helper_text(&job->body, body);

    } else if (json_is_object(form)) {

        if (ngx_iot_helper_http_form(job, form) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    if (job->body.failed) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* application/x-www-form-urlencoded */

static ngx_int_t
ngx_iot_helper_http_form(ngx_iot_helper_job_t *job, json_t *form)
{
    char        *key, *text;
    json_t      *value;
    const char  *name, *plain;

    ngx_iot_helper_add(&job->body, "", 0);

    json_object_foreach(form, name, value) {

        plain = json_string_value(value);

        if (plain == NULL) {
            continue;
        }

        plain = ngx_iot_helper_open(job, plain, "a member of the form");

        if (plain == NULL) {
            return NGX_ERROR;
        }

        key = curl_easy_escape(job->easy, name, 0);
        text = curl_easy_escape(job->easy, plain, 0);

        if (key && text) {
            ngx_iot_helper_printf(&job->body, "%s%s=%s",
                                  job->body.len ? "&" : "", key, text);
        }

        curl_free(key);
        curl_free(text);
    }

    return NGX_OK;
}


/*
 * X-Iot-Signature: sha256=HEX, the HMAC of "TIME.BODY" with the secret, TIME
 * being that of X-Iot-Timestamp, so that nobody can play it again much later.
 */

static ngx_int_t
ngx_iot_helper_http_sign(ngx_iot_helper_job_t *job)
{
    char                           stamp[32], value[80];
    u_char                         mac[crypto_auth_hmacsha256_BYTES], *p;
    const char                    *secret;
    crypto_auth_hmacsha256_state   state;

    if (ngx_iot_helper_header(job, "X-Iot-Delivery", job->id) != NGX_OK) {
        goto failed;
    }

    secret = ngx_iot_helper_arg(job, "secret");
    if (secret == NULL) {
        return NGX_OK;
    }

    secret = ngx_iot_helper_open(job, secret, "the secret");
    if (secret == NULL) {
        return NGX_ERROR;
    }

    (void) snprintf(stamp, sizeof(stamp), "%lld", (long long) time(NULL));

    (void) crypto_auth_hmacsha256_init(&state, (const u_char *) secret,
                                       strlen(secret));
    (void) crypto_auth_hmacsha256_update(&state, (const u_char *) stamp,
                                         strlen(stamp));
    (void) crypto_auth_hmacsha256_update(&state, (const u_char *) ".", 1);

    if (job->body.len) {
        (void) crypto_auth_hmacsha256_update(&state,
                                             (const u_char *) job->body.data,
                                             job->body.len);
    }

    (void) crypto_auth_hmacsha256_final(&state, mac);

    ngx_memcpy(value, "sha256=", 7);
    p = ngx_iot_hex((u_char *) value + 7, mac, sizeof(mac));
    *p = '\0';

    if (ngx_iot_helper_header(job, "X-Iot-Timestamp", stamp) == NGX_OK
        && ngx_iot_helper_header(job, "X-Iot-Signature", value) == NGX_OK)
    {
        return NGX_OK;
    }

failed:

    ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");

    return NGX_ERROR;
}


static void
ngx_iot_helper_http_done(ngx_iot_helper_job_t *job, CURLcode code)
{
    long  status;

    status = 0;
    (void) curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);

    if (code != CURLE_OK) {
        ngx_iot_helper_end(job, (job->refused || job->too_large)
                                ? NGX_IOT_HELPER_FAILED : NGX_IOT_HELPER_RETRY,
                           "%s", ngx_iot_helper_curl_error(job, code));
        return;
    }

    job->outcome = NGX_IOT_HELPER_DONE;
    ngx_iot_helper_http_result(job, status);
}


static void
ngx_iot_helper_webhook_done(ngx_iot_helper_job_t *job, CURLcode code)
{
    long  status;

    ngx_iot_helper_http_done(job, code);

    status = 0;
    (void) curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);

    if (job->outcome == NGX_IOT_HELPER_DONE
        && (status < 200 || status > 299))
    {
        /* 410: the receiver is gone for good */

        ngx_iot_helper_end(job, status == 410 ? NGX_IOT_HELPER_FAILED
                                              : NGX_IOT_HELPER_RETRY,
                           "status %ld", status);
    }
}


static void
ngx_iot_helper_http_result(ngx_iot_helper_job_t *job, long status)
{
    u_char      *end, *text;
    size_t       len;
    json_t      *body;
    const char  *name;

    len = job->answer.len;
    name = "body";
    body = NULL;

    if (len == 0 || memchr(job->answer.data, 0, len) == NULL) {
        body = len ? json_stringn(job->answer.data, len) : json_string("");
    }

    if (body == NULL) {
        name = "base64";
        text = ngx_iot_helper_alloc(&job->pool, ngx_iot_base64_len(len));

        if (text) {
            end = ngx_iot_base64(text, (u_char *) job->answer.data, len);
            body = json_stringn_nocheck((char *) text, end - text);
        }
    }

    if (body == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return;
    }

    job->result = json_pack("{s:i, s:O, s:o}", "status", (int) status,
                            "headers", job->answer_headers, name, body);
}
