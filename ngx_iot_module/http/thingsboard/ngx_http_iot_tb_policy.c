
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>

#include "../../core/ngx_iot_password.h"
#include "../../core/ngx_iot_settings.h"
#include "ngx_http_iot_tb.h"


#define NGX_HTTP_IOT_TB_POLICY_TEXT  640     /* all rules broken at once */


typedef struct {
    ngx_uint_t   length;
    ngx_uint_t   upper;
    ngx_uint_t   lower;
    ngx_uint_t   digits;
    ngx_uint_t   special;
    ngx_uint_t   blanks;
} ngx_http_iot_tb_password_t;


static void ngx_http_iot_tb_password_count(ngx_str_t *password,
    ngx_http_iot_tb_password_t *count);
static u_char *ngx_http_iot_tb_policy_least(u_char *p, ngx_uint_t n,
    ngx_uint_t least, char *what);


ngx_int_t
ngx_http_iot_tb_policy(ngx_str_t *password, ngx_str_t *text, ngx_pool_t *pool)
{
    u_char                      *p;
    ngx_iot_settings_t          *s;
    ngx_http_iot_tb_password_t   count;

    s = &ngx_iot_settings;

    ngx_http_iot_tb_password_count(password, &count);

    p = ngx_pnalloc(pool, NGX_HTTP_IOT_TB_POLICY_TEXT);
    if (p == NULL) {
        return NGX_ERROR;
    }

    text->data = p;

    if (count.length < s->min_length) {
        p = ngx_sprintf(p, "Password must be %ui or more characters in "
                        "length.\n", s->min_length);
    }

    if (count.length > s->max_length || password->len > NGX_IOT_PASSWORD_MAX) {
        p = ngx_sprintf(p, "Password must be no more than %ui characters in "
                        "length.\n", s->max_length);
    }

    p = ngx_http_iot_tb_policy_least(p, count.upper, s->min_upper,
                                     "uppercase");
    p = ngx_http_iot_tb_policy_least(p, count.lower, s->min_lower,
                                     "lowercase");
    p = ngx_http_iot_tb_policy_least(p, count.digits, s->min_digits, "digit");
    p = ngx_http_iot_tb_policy_least(p, count.special, s->min_special,
                                     "special");

    if (count.blanks && !s->allow_blanks) {
        p = ngx_sprintf(p, "Password contains a whitespace character.\n");
    }

    if (p == text->data) {
        text->len = 0;
        return NGX_OK;
    }

    /* without the last line feed */
    text->len = p - text->data - 1;

    return NGX_DECLINED;
}


/* characters of UTF-8; letters of other alphabets are of no class */

static void
ngx_http_iot_tb_password_count(ngx_str_t *password,
    ngx_http_iot_tb_password_t *count)
{
    size_t  i;
    u_char  ch;

    ngx_memzero(count, sizeof(ngx_http_iot_tb_password_t));

    for (i = 0; i < password->len; i++) {
        ch = password->data[i];

        if ((ch & 0xc0) != 0x80) {
            count->length++;
        }

        if (ch >= 'A' && ch <= 'Z') {
            count->upper++;

        } else if (ch >= 'a' && ch <= 'z') {
            count->lower++;

        } else if (ch >= '0' && ch <= '9') {
            count->digits++;

        } else if (ch == ' ' || (ch >= '\t' && ch <= '\r')) {
            count->blanks++;

        } else if (ch > ' ' && ch < 0x7f) {
            count->special++;
        }
    }
}


static u_char *
ngx_http_iot_tb_policy_least(u_char *p, ngx_uint_t n, ngx_uint_t least,
    char *what)
{
    if (n >= least) {
        return p;
    }

    return ngx_sprintf(p, "Password must contain %ui or more %s "
                       "characters.\n", least, what);
}
