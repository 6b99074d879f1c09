
/*
 * Copyright (C) the ngx_iot authors
 */


#include <errno.h>
#include <stdio.h>

#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_template.h"


#define NGX_IOT_HELPER_TEMPLATE_MAX  262144
#define NGX_IOT_HELPER_MAIL_MAX      1048576
#define NGX_IOT_HELPER_VAR_MAX       64


typedef enum {
    NGX_IOT_HELPER_SUBJECT = 0,
    NGX_IOT_HELPER_TEXT,
    NGX_IOT_HELPER_HTML
} ngx_iot_helper_part_e;


static ngx_int_t ngx_iot_helper_template_name(const char *name);
static char *ngx_iot_helper_template_file(ngx_iot_helper_job_t *job,
    const char *dir, const char *name, const char *part);
static ngx_int_t ngx_iot_helper_template_part(ngx_iot_helper_job_t *job,
    const char *name, json_t *overrides, json_t *vars,
    ngx_iot_helper_part_e part, char **out);
static ngx_int_t ngx_iot_helper_template_fill(ngx_iot_helper_job_t *job,
    const char *name, const char *p, json_t *vars, ngx_iot_helper_part_e part,
    char **out);
static ngx_int_t ngx_iot_helper_template_var(ngx_iot_helper_job_t *job,
    const char *name, const char *p, size_t len, json_t *vars,
    ngx_iot_helper_part_e part, ngx_iot_helper_buf_t *buf);
static void ngx_iot_helper_template_put(ngx_iot_helper_buf_t *buf,
    ngx_iot_helper_part_e part, const char *text, size_t len);


static const char *const  ngx_iot_helper_parts[] = {
    "subject",
    "text",
    "html"
};


ngx_int_t
ngx_iot_helper_template(ngx_iot_helper_job_t *job, const char *name,
    json_t *overrides, json_t *vars, ngx_iot_helper_mail_t *mail)
{
    ngx_memzero(mail, sizeof(ngx_iot_helper_mail_t));

    if (name == NULL || ngx_iot_helper_template_name(name) != NGX_OK) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the name of the template is not right");
        return NGX_ERROR;
    }

    overrides = json_object_get(overrides, name);

    if (ngx_iot_helper_template_part(job, name, overrides, vars,
                                     NGX_IOT_HELPER_SUBJECT, &mail->subject)
        != NGX_OK
        || ngx_iot_helper_template_part(job, name, overrides, vars,
                                        NGX_IOT_HELPER_TEXT, &mail->text)
           != NGX_OK
        || ngx_iot_helper_template_part(job, name, overrides, vars,
                                        NGX_IOT_HELPER_HTML, &mail->html)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (mail->subject == NULL || (mail->text == NULL && mail->html == NULL)) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "there is no template \"%s\"", name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_template_name(const char *name)
{
    size_t  len;

    len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return (len > 0 && len <= 64 && name[len] == '\0') ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_iot_helper_template_part(ngx_iot_helper_job_t *job, const char *name,
    json_t *overrides, json_t *vars, ngx_iot_helper_part_e part, char **out)
{
    const char  *text;
    ngx_uint_t   i;

    text = json_string_value(json_object_get(overrides,
                                             ngx_iot_helper_parts[part]));

    for (i = 0; text == NULL && i < 2; i++) {
        text = ngx_iot_helper_template_file(job, job->helper->template_dirs[i],
                                            name, ngx_iot_helper_parts[part]);
    }

    *out = NULL;

    return text ? ngx_iot_helper_template_fill(job, name, text, vars, part,
                                               out)
                : NGX_OK;
}


static char *
ngx_iot_helper_template_file(ngx_iot_helper_job_t *job, const char *dir,
    const char *name, const char *part)
{
    char    *text, path[4096];
    FILE    *file;
    size_t   n;

    if (dir == NULL
        || snprintf(path, sizeof(path), "%s/%s/%s", dir, name, part)
           >= (int) sizeof(path))
    {
        return NULL;
    }

    file = fopen(path, "re");

    if (file == NULL) {
        if (errno != ENOENT && errno != ENOTDIR) {
            ngx_iot_helper_log("cannot read %s: %s", path, strerror(errno));
        }

        return NULL;
    }

    text = ngx_iot_helper_alloc(&job->pool, NGX_IOT_HELPER_TEMPLATE_MAX + 1);

    if (text) {
        n = fread(text, 1, NGX_IOT_HELPER_TEMPLATE_MAX, file);
        text[n] = '\0';
    }

    (void) fclose(file);

    return text;
}


static ngx_int_t
ngx_iot_helper_template_fill(ngx_iot_helper_job_t *job, const char *name,
    const char *p, json_t *vars, ngx_iot_helper_part_e part, char **out)
{
    size_t                 len;
    const char            *close, *open;
    ngx_iot_helper_buf_t   buf;

    ngx_iot_helper_buf_init(&buf, &job->pool, NGX_IOT_HELPER_MAIL_MAX);
    ngx_iot_helper_add(&buf, "", 0);

    for ( ;; ) {
        open = strstr(p, "{{");
        close = open ? strstr(open + 2, "}}") : NULL;

        if (close == NULL) {
            break;
        }

        ngx_iot_helper_add(&buf, p, open - p);

        if (ngx_iot_helper_template_var(job, name, open + 2,
                                        close - open - 2, vars, part, &buf)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        p = close + 2;
    }

    ngx_iot_helper_text(&buf, p);

    if (buf.failed) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the mail would be too large");
        return NGX_ERROR;
    }

    if (part == NGX_IOT_HELPER_SUBJECT) {

        for (len = 0; len < buf.len; len++) {
            if ((u_char) buf.data[len] < ' ' || buf.data[len] == '\x7f') {
                buf.data[len] = ' ';
            }
        }

        while (len && buf.data[len - 1] == ' ') {
            buf.data[--len] = '\0';
        }
    }

    *out = buf.data;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_template_var(ngx_iot_helper_job_t *job, const char *name,
    const char *p, size_t len, json_t *vars, ngx_iot_helper_part_e part,
    ngx_iot_helper_buf_t *buf)
{
    char         key[NGX_IOT_HELPER_VAR_MAX], *text;
    json_t      *value;
    size_t       n;
    const char  *bar;

    bar = memchr(p, '|', len);
    n = bar ? (size_t) (bar - p) : len;

    if (n == 0 || n >= sizeof(key)) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "template \"%s\": a variable has no proper name",
                           name);
        return NGX_ERROR;
    }

    ngx_memcpy(key, p, n);
    key[n] = '\0';

    value = json_object_get(vars, key);

    if (json_is_string(value) && json_string_length(value) > 0) {
        ngx_iot_helper_template_put(buf, part, json_string_value(value),
                                    json_string_length(value));
        return NGX_OK;
    }

    if (json_is_number(value) || json_is_boolean(value)) {
        text = json_dumps(value, JSON_ENCODE_ANY);

        if (text) {
            ngx_iot_helper_text(buf, text);
            free(text);
            return NGX_OK;
        }
    }

    if (bar == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "template \"%s\": there is no variable \"%s\"",
                           name, key);
        return NGX_ERROR;
    }

    ngx_iot_helper_add(buf, bar + 1, len - n - 1);

    return NGX_OK;
}


static void
ngx_iot_helper_template_put(ngx_iot_helper_buf_t *buf,
    ngx_iot_helper_part_e part, const char *text, size_t len)
{
    size_t  i;

    if (part != NGX_IOT_HELPER_HTML) {
        ngx_iot_helper_add(buf, text, len);
        return;
    }

    for (i = 0; i < len; i++) {
        switch (text[i]) {

        case '<':
            ngx_iot_helper_text(buf, "&lt;");
            break;

        case '>':
            ngx_iot_helper_text(buf, "&gt;");
            break;

        case '&':
            ngx_iot_helper_text(buf, "&amp;");
            break;

        case '"':
            ngx_iot_helper_text(buf, "&quot;");
            break;

        case '\'':
            ngx_iot_helper_text(buf, "&#39;");
            break;

        default:
            ngx_iot_helper_add(buf, text + i, 1);
            break;
        }
    }
}
