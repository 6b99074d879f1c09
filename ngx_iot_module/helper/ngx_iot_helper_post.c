
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdio.h>

#include "../codec/ngx_iot_id.h"
#include "ngx_iot_helper_curl.h"
#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_transport.h"


/*
 * Those who take mail by HTTPS: Amazon SES (API version 2, SendEmail) and
 * SendGrid (API version 3, mail/send).
 */

#define NGX_IOT_HELPER_POST_TIMEOUT  60000


static ngx_int_t ngx_iot_helper_post(ngx_iot_helper_job_t *job,
    const char *url, json_t *body);
static const char *ngx_iot_helper_post_secret(ngx_iot_helper_job_t *job,
    json_t *settings, const char *name, const char *what);
static json_t *ngx_iot_helper_sendgrid_content(ngx_iot_helper_letter_t *letter);


ngx_int_t
ngx_iot_helper_ses(ngx_iot_helper_job_t *job, ngx_iot_helper_letter_t *letter)
{
    char         sign[128], url[512];
    u_char      *data, *end;
    json_t      *body, *settings;
    const char  *base, *key, *region, *secret;

    settings = letter->settings;
    region = json_string_value(json_object_get(settings, "sesRegion"));
    key = json_string_value(json_object_get(settings, "sesAccessKey"));
    base = json_string_value(json_object_get(settings, "sesUrl"));
    secret = ngx_iot_helper_post_secret(job, settings, "sesSecretKey",
                                        "the secret key of Amazon SES");

    if (secret == NULL) {
        return NGX_OK;
    }

    if (region == NULL || key == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the region or the access key of Amazon SES is "
                           "missing");
        return NGX_OK;
    }

    data = ngx_iot_helper_alloc(&job->pool,
                                ngx_iot_base64_len(letter->mime.len) + 1);
    if (data == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_OK;
    }

    end = ngx_iot_base64(data, (u_char *) letter->mime.data, letter->mime.len);
    *end = '\0';

    body = json_pack("{s:s, s:{s:[s]}, s:{s:{s:s}}}",
                     "FromEmailAddress", letter->from.address,
                     "Destination", "ToAddresses", letter->to,
                     "Content", "Raw", "Data", data);

    (void) snprintf(url, sizeof(url),
                    base ? "%s/v2/%s/outbound-emails"
                         : "https://%2$s.%1$s.amazonaws.com/v2/%2$s/"
                           "outbound-emails",
                    base ? base : region, "email");

    if (ngx_iot_helper_post(job, url, body) != NGX_AGAIN) {
        return NGX_OK;
    }

    (void) snprintf(sign, sizeof(sign), "aws:amz:%s:ses", region);

    curl_easy_setopt(job->easy, CURLOPT_AWS_SIGV4, sign);
    curl_easy_setopt(job->easy, CURLOPT_USERNAME, key);
    curl_easy_setopt(job->easy, CURLOPT_PASSWORD, secret);

    return NGX_AGAIN;
}


ngx_int_t
ngx_iot_helper_sendgrid(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter)
{
    char                   id[512], url[512];
    json_t                *body, *from;
    const char            *base, *key;
    ngx_iot_helper_buf_t   value;

    base = json_string_value(json_object_get(letter->settings, "sendgridUrl"));
    key = ngx_iot_helper_post_secret(job, letter->settings, "sendgridKey",
                                     "the key of SendGrid");
    if (key == NULL) {
        return NGX_OK;
    }

    from = json_pack("{s:s}", "email", letter->from.address);

    if (letter->from.name) {
        (void) json_object_set_new(from, "name",
                                   json_string(letter->from.name));
    }

    (void) snprintf(id, sizeof(id), "<%s%s>", job->id,
                    strchr(letter->from.address, '@'));

    body = json_pack("{s:[{s:[{s:s}]}], s:o, s:s, s:o, s:{s:s}, s:{s:s}}",
                     "personalizations", "to", "email", letter->to,
                     "from", from,
                     "subject", letter->mail.subject,
                     "content", ngx_iot_helper_sendgrid_content(letter),
                     "headers", "Message-ID", id,
                     "custom_args", "job", job->id);

    (void) snprintf(url, sizeof(url), "%s/v3/mail/send",
                    base ? base : "https://api.sendgrid.com");

    if (ngx_iot_helper_post(job, url, body) != NGX_AGAIN) {
        return NGX_OK;
    }

    ngx_iot_helper_buf_init(&value, &job->pool, 0);
    ngx_iot_helper_printf(&value, "Bearer %s", key);

    if (value.failed
        || ngx_iot_helper_header(job, "Authorization", value.data) != NGX_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the key of SendGrid is not right");
        return NGX_OK;
    }

    curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->headers);

    return NGX_AGAIN;
}


static json_t *
ngx_iot_helper_sendgrid_content(ngx_iot_helper_letter_t *letter)
{
    json_t  *content;

    content = json_array();

    if (letter->mail.text) {
        (void) json_array_append_new(content,
                                     json_pack("{s:s, s:s}",
                                               "type", "text/plain",
                                               "value", letter->mail.text));
    }

    if (letter->mail.html) {
        (void) json_array_append_new(content,
                                     json_pack("{s:s, s:s}",
                                               "type", "text/html",
                                               "value", letter->mail.html));
    }

    return content;
}


static const char *
ngx_iot_helper_post_secret(ngx_iot_helper_job_t *job, json_t *settings,
    const char *name, const char *what)
{
    const char  *text;

    text = json_string_value(json_object_get(settings, name));

    if (text == NULL || text[0] == '\0') {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "%s is not set", what);
        return NULL;
    }

    return ngx_iot_helper_open(job, text, what);
}


/* takes over the body; NULL is a text that is no UTF-8 */

static ngx_int_t
ngx_iot_helper_post(ngx_iot_helper_job_t *job, const char *url, json_t *body)
{
    char  *text;

    text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);

    if (text == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the mail is not in UTF-8");
        return NGX_OK;
    }

    ngx_iot_helper_text(&job->body, text);
    free(text);

    if (job->body.failed
        || ngx_iot_helper_header(job, "Content-Type", "application/json")
           != NGX_OK)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_OK;
    }

    if (ngx_iot_helper_curl(job, url, "http,https",
                            NGX_IOT_HELPER_POST_TIMEOUT, 65536)
        != NGX_OK)
    {
        return NGX_OK;
    }

    curl_easy_setopt(job->easy, CURLOPT_HTTPHEADER, job->headers);
    curl_easy_setopt(job->easy, CURLOPT_POSTFIELDS, job->body.data);
    curl_easy_setopt(job->easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     (curl_off_t) job->body.len);

    return NGX_AGAIN;
}


void
ngx_iot_helper_post_done(ngx_iot_helper_job_t *job, CURLcode code)
{
    long  status;

    status = 0;
    (void) curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);

    if (code != CURLE_OK) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "%s",
                           ngx_iot_helper_curl_error(job, code));
        return;
    }

    if (status >= 200 && status < 300) {
        job->outcome = NGX_IOT_HELPER_DONE;
        job->result = json_pack("{s:i}", "status", (int) status);
        return;
    }

    /* a key can be mended, a limit passes; a mail that is refused stays so */

    ngx_iot_helper_end(job, (status == 400 || status == 413 || status == 422)
                            ? NGX_IOT_HELPER_FAILED : NGX_IOT_HELPER_RETRY,
                       "status %ld: %.500s", status,
                       job->answer.data ? job->answer.data : "");
}
