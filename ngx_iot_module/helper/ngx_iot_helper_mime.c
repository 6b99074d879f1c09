
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdio.h>

#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_text.h"
#include "ngx_iot_helper_mime.h"


#define NGX_IOT_HELPER_MIME_LINE  76

/* lines of at most 76: 39 bytes are 52 of base64, "Subject: " comes first */
#define NGX_IOT_HELPER_MIME_WORD  39


static ngx_uint_t ngx_iot_helper_mime_plain(const char *text);
static void ngx_iot_helper_mime_words(ngx_iot_helper_buf_t *buf,
    const char *text);
static void ngx_iot_helper_mime_phrase(ngx_iot_helper_buf_t *buf,
    const char *text);
static void ngx_iot_helper_mime_part(ngx_iot_helper_buf_t *buf,
    const char *type, const char *text);
static void ngx_iot_helper_mime_quoted(ngx_iot_helper_buf_t *buf,
    const char *text);


ngx_int_t
ngx_iot_helper_from(ngx_iot_helper_pool_t *pool, const char *text,
    ngx_iot_helper_from_t *from)
{
    char        *end, *name, *open;
    const char  *p;

    name = ngx_iot_helper_strdup(pool, text);
    if (name == NULL) {
        return NGX_ERROR;
    }

    from->name = NULL;
    from->address = name;

    open = strrchr(name, '<');

    if (open) {
        end = strchr(open, '>');

        if (end == NULL || end[1] != '\0') {
            return NGX_ERROR;
        }

        *end = '\0';
        from->address = open + 1;

        while (open > name && (open[-1] == ' ' || open[-1] == '"')) {
            open--;
        }

        *open = '\0';

        while (*name == '"' || *name == ' ') {
            name++;
        }

        from->name = *name ? name : NULL;
    }

    p = strchr(from->address, '@');

    if (p == NULL || p == from->address || p[1] == '\0' || strchr(p + 1, '@'))
    {
        return NGX_ERROR;
    }

    for (p = from->address; *p; p++) {
        if ((u_char) *p <= ' ' || strchr("<>,;\"\\", *p)) {
            return NGX_ERROR;
        }
    }

    for (p = from->name; p && *p; p++) {
        if ((u_char) *p < ' ') {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_helper_mime(ngx_iot_helper_buf_t *buf, const char *id, time_t when,
    const ngx_iot_helper_from_t *from, const char *to,
    const ngx_iot_helper_mail_t *mail)
{
    char       date[64];
    struct tm  tm;

    /* the names of days and months are those of the C locale */

    if (gmtime_r(&when, &tm) == NULL
        || strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S +0000", &tm)
           == 0)
    {
        return NGX_ERROR;
    }

    ngx_iot_helper_text(buf, "From: ");

    if (from->name) {
        ngx_iot_helper_mime_phrase(buf, from->name);
        ngx_iot_helper_text(buf, "\r\n ");
    }

    ngx_iot_helper_printf(buf, "<%s>\r\nTo: <%s>\r\nSubject: ", from->address,
                          to);
    ngx_iot_helper_mime_words(buf, mail->subject);
    ngx_iot_helper_printf(buf,
                          "\r\nDate: %s\r\n"
                          "Message-ID: <%s%s>\r\n"
                          "Auto-Submitted: auto-generated\r\n"
                          "MIME-Version: 1.0\r\n",
                          date, id, strchr(from->address, '@'));

    if (mail->text && mail->html) {
        ngx_iot_helper_printf(buf, "Content-Type: multipart/alternative;\r\n"
                              " boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", id, id);
        ngx_iot_helper_mime_part(buf, "plain", mail->text);
        ngx_iot_helper_printf(buf, "\r\n--=_%s\r\n", id);
        ngx_iot_helper_mime_part(buf, "html", mail->html);
        ngx_iot_helper_printf(buf, "\r\n--=_%s--\r\n", id);

    } else if (mail->text) {
        ngx_iot_helper_mime_part(buf, "plain", mail->text);

    } else {
        ngx_iot_helper_mime_part(buf, "html", mail->html);
    }

    return buf->failed ? NGX_ERROR : NGX_OK;
}


/* printable ASCII that nobody takes for an encoded word, in one line */

static ngx_uint_t
ngx_iot_helper_mime_plain(const char *text)
{
    const char  *p;

    for (p = text; *p; p++) {
        if ((u_char) *p < ' ' || (u_char) *p > '~') {
            return 0;
        }
    }

    return p - text <= 60 && strstr(text, "=?") == NULL;
}


/* RFC 2047; no character is split between two words */

static void
ngx_iot_helper_mime_words(ngx_iot_helper_buf_t *buf, const char *text)
{
    u_char  *p, word[ngx_iot_base64_len(NGX_IOT_HELPER_MIME_WORD)];
    size_t   len, n;

    if (ngx_iot_helper_mime_plain(text)) {
        ngx_iot_helper_text(buf, text);
        return;
    }

    len = strlen(text);

    while (len) {
        n = ngx_iot_text_cut((u_char *) text, len, NGX_IOT_HELPER_MIME_WORD);

        /* what is no UTF-8 is cut anywhere */

        if (n == 0) {
            n = ngx_min(len, NGX_IOT_HELPER_MIME_WORD);
        }

        p = ngx_iot_base64(word, (u_char *) text, n);

        ngx_iot_helper_text(buf, "=?UTF-8?B?");
        ngx_iot_helper_add(buf, (char *) word, p - word);
        ngx_iot_helper_text(buf, "?=");

        text += n;
        len -= n;

        if (len) {
            ngx_iot_helper_text(buf, "\r\n ");
        }
    }
}


static void
ngx_iot_helper_mime_phrase(ngx_iot_helper_buf_t *buf, const char *text)
{
    if (!ngx_iot_helper_mime_plain(text)) {
        ngx_iot_helper_mime_words(buf, text);
        return;
    }

    ngx_iot_helper_text(buf, "\"");

    for ( /* void */ ; *text; text++) {
        if (*text == '"' || *text == '\\') {
            ngx_iot_helper_text(buf, "\\");
        }

        ngx_iot_helper_add(buf, text, 1);
    }

    ngx_iot_helper_text(buf, "\"");
}


static void
ngx_iot_helper_mime_part(ngx_iot_helper_buf_t *buf, const char *type,
    const char *text)
{
    ngx_iot_helper_printf(buf, "Content-Type: text/%s; charset=utf-8\r\n"
                          "Content-Transfer-Encoding: quoted-printable\r\n"
                          "\r\n", type);
    ngx_iot_helper_mime_quoted(buf, text);
}


/* RFC 2045 section 6.7 */

static void
ngx_iot_helper_mime_quoted(ngx_iot_helper_buf_t *buf, const char *text)
{
    char         code[4];
    size_t       column, n;
    const char  *p;

    column = 0;

    for (p = text; *p; p++) {

        if (*p == '\n' || (*p == '\r' && p[1] == '\n')) {
            p += (*p == '\r');
            ngx_iot_helper_text(buf, "\r\n");
            column = 0;
            continue;
        }

        if ((*p > ' ' && *p <= '~' && *p != '=')
            || ((*p == ' ' || *p == '\t') && p[1] != '\0' && p[1] != '\n'
                && p[1] != '\r'))
        {
            code[0] = *p;
            n = 1;

        } else {
            (void) snprintf(code, sizeof(code), "=%02X", (u_char) *p);
            n = 3;
        }

        if (column + n > NGX_IOT_HELPER_MIME_LINE - 1) {
            ngx_iot_helper_text(buf, "=\r\n");
            column = 0;
        }

        ngx_iot_helper_add(buf, code, n);
        column += n;
    }

    if (column) {
        ngx_iot_helper_text(buf, "\r\n");
    }
}
