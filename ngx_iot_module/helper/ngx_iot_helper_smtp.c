
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdio.h>

#include "ngx_iot_helper_curl.h"
#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_transport.h"


static ngx_int_t ngx_iot_helper_smtp_login(ngx_iot_helper_job_t *job,
    json_t *settings);
static const char *ngx_iot_helper_smtp_text(json_t *settings,
    const char *name);
static long ngx_iot_helper_smtp_number(const char *text, long least,
    long most);


ngx_int_t
ngx_iot_helper_smtp(ngx_iot_helper_job_t *job,
    ngx_iot_helper_letter_t *letter)
{
    char         url[512], from[512];
    long         port, timeout;
    json_t      *settings;
    const char  *host, *domain, *protocol;

    settings = letter->settings;

    host = ngx_iot_helper_smtp_text(settings, "host");
    port = ngx_iot_helper_smtp_number(
               ngx_iot_helper_smtp_text(settings, "port"), 1, 65535);
    timeout = ngx_iot_helper_smtp_number(
                  ngx_iot_helper_smtp_text(settings, "timeout"), 100, 600000);
    protocol = ngx_iot_helper_smtp_text(settings, "protocol");

    if (host[0] == '\0' || strlen(host) > 255
        || strpbrk(host, "/@?#% \\\r\n\t") || port < 0)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "the host or port of the mail server is not right");
        return NGX_OK;
    }

    if (timeout < 0) {
        timeout = 10000;
    }

    /* an IPv6 address wants brackets; the path is what HELO says */

    domain = strchr(letter->from.address, '@') + 1;

    (void) snprintf(url, sizeof(url), strchr(host, ':') && host[0] != '['
                                      ? "%s://[%s]:%ld/%s"
                                      : "%s://%s:%ld/%s",
                    strcmp(protocol, "smtps") == 0 ? "smtps" : "smtp",
                    host, port, domain);

    if (ngx_iot_helper_curl(job, url, "smtp,smtps", 120000 + 2 * timeout,
                            65536)
        != NGX_OK)
    {
        return NGX_OK;
    }

    job->recipients = curl_slist_append(NULL, letter->to);

    if (job->recipients == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "no memory");
        return NGX_OK;
    }

    (void) snprintf(from, sizeof(from), "<%s>", letter->from.address);

    job->body = letter->mime;

    curl_easy_setopt(job->easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(job->easy, CURLOPT_MAIL_RCPT, job->recipients);
    curl_easy_setopt(job->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(job->easy, CURLOPT_INFILESIZE_LARGE,
                     (curl_off_t) job->body.len);
    curl_easy_setopt(job->easy, CURLOPT_CONNECTTIMEOUT_MS, timeout);
    curl_easy_setopt(job->easy, CURLOPT_SERVER_RESPONSE_TIMEOUT,
                     (timeout + 999) / 1000);

    if (json_is_true(json_object_get(settings, "tls"))) {
        curl_easy_setopt(job->easy, CURLOPT_USE_SSL, (long) CURLUSESSL_ALL);
    }

    return ngx_iot_helper_smtp_login(job, settings);
}


static ngx_int_t
ngx_iot_helper_smtp_login(ngx_iot_helper_job_t *job, json_t *settings)
{
    const char  *password, *user;

    user = ngx_iot_helper_smtp_text(settings, "username");

    if (user[0] == '\0') {
        return NGX_AGAIN;
    }

    password = ngx_iot_helper_open(job,
                                   ngx_iot_helper_smtp_text(settings,
                                                            "password"),
                                   "the password of the mail server");
    if (password == NULL) {
        return NGX_OK;
    }

    curl_easy_setopt(job->easy, CURLOPT_USERNAME, user);
    curl_easy_setopt(job->easy, CURLOPT_PASSWORD, password);

    return NGX_AGAIN;
}


static const char *
ngx_iot_helper_smtp_text(json_t *settings, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(settings, name));

    return text ? text : "";
}


static long
ngx_iot_helper_smtp_number(const char *text, long least, long most)
{
    char  *end;
    long   n;

    n = strtol(text, &end, 10);

    return (end == text || *end != '\0' || n < least || n > most) ? -1 : n;
}


/*
 * 5xx to the recipient or to the mail itself will not change (RFC 5321
 * section 4.2.1); what is wrong with our account can be mended.
 */

void
ngx_iot_helper_smtp_done(ngx_iot_helper_job_t *job, CURLcode code)
{
    long        status;
    ngx_uint_t  last;

    status = 0;
    (void) curl_easy_getinfo(job->easy, CURLINFO_RESPONSE_CODE, &status);

    if (code == CURLE_OK) {
        job->outcome = NGX_IOT_HELPER_DONE;
        job->result = json_pack("{s:s}", "transport", "smtp");
        return;
    }

    last = (status >= 500 && status < 600
            && code != CURLE_LOGIN_DENIED
            && code != CURLE_USE_SSL_FAILED
            && status != 530 && status != 534 && status != 535
            && status != 538 && status != 554);

    ngx_iot_helper_end(job, last ? NGX_IOT_HELPER_FAILED
                                 : NGX_IOT_HELPER_RETRY,
                       job->line[0] ? "%s: %s" : "%s",
                       ngx_iot_helper_curl_error(job, code), job->line);
}
