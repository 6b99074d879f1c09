
/*
 * Copyright (C) the ngx_iot authors
 */


#include "ngx_iot_codec.h"
#include "ngx_iot_topic_name.h"
#include "ngx_iot_utf8.h"


#define NGX_IOT_TOPIC_SHARE      "$share"
#define NGX_IOT_TOPIC_SHARE_LEN  (sizeof(NGX_IOT_TOPIC_SHARE) - 1)


static ngx_int_t ngx_iot_topic_text_check(const ngx_str_t *s,
    ngx_uint_t depth);
static ngx_int_t ngx_iot_topic_wildcards_check(const ngx_str_t *filter);
static ngx_uint_t ngx_iot_topic_is(const ngx_str_t *level, u_char c);
static ngx_int_t ngx_iot_topic_place(const ngx_str_t *value,
    ngx_uint_t first);


static ngx_int_t
ngx_iot_topic_text_check(const ngx_str_t *s, ngx_uint_t depth)
{
    u_char      *p, *end;
    ngx_uint_t   n;

    if (s->len == 0 || s->len > NGX_IOT_TOPIC_MAX) {
        return NGX_ERROR;
    }

    if (ngx_iot_utf8_check_mqtt(s->data, s->len) != NGX_OK) {
        return NGX_ERROR;
    }

    if (depth == 0 || s->len <= depth) {
        return NGX_OK;
    }

    n = 0;
    end = s->data + s->len;

    for (p = s->data; p < end; p++) {
        if (*p == '/' && ++n > depth) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_topic_name_check(const ngx_str_t *name, ngx_uint_t depth)
{
    if (ngx_iot_topic_text_check(name, depth) != NGX_OK
        || memchr(name->data, '+', name->len) != NULL
        || memchr(name->data, '#', name->len) != NULL)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_topic_wildcards_check(const ngx_str_t *filter)
{
    u_char  *p, *end;

    end = filter->data + filter->len;

    for (p = filter->data; p < end; p++) {

        if (*p != '+' && *p != '#') {
            continue;
        }

        if (p > filter->data && p[-1] != '/') {
            return NGX_ERROR;
        }

        if (p + 1 < end && (*p == '#' || p[1] != '/')) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_topic_filter_check(const ngx_str_t *filter, ngx_uint_t depth)
{
    ngx_iot_topic_share_t  share;

    if (ngx_iot_topic_text_check(filter, depth) != NGX_OK
        || ngx_iot_topic_share(filter, &share) == NGX_ERROR)
    {
        return NGX_ERROR;
    }

    return ngx_iot_topic_wildcards_check(&share.filter);
}


ngx_int_t
ngx_iot_topic_share(const ngx_str_t *filter, ngx_iot_topic_share_t *share)
{
    u_char  *p, *end, *slash;

    share->group.len = 0;
    share->group.data = NULL;
    share->filter = *filter;

    if (filter->len < NGX_IOT_TOPIC_SHARE_LEN
        || ngx_memcmp(filter->data, NGX_IOT_TOPIC_SHARE,
                      NGX_IOT_TOPIC_SHARE_LEN)
           != 0)
    {
        return NGX_DECLINED;
    }

    p = filter->data + NGX_IOT_TOPIC_SHARE_LEN;
    end = filter->data + filter->len;

    /* "$shared/x" is an ordinary filter */

    if (p < end && *p != '/') {
        return NGX_DECLINED;
    }

    if (end - p < 2) {
        return NGX_ERROR;
    }

    p++;

    slash = memchr(p, '/', end - p);

    if (slash == NULL || slash == p || slash + 1 == end
        || memchr(p, '+', slash - p) != NULL
        || memchr(p, '#', slash - p) != NULL)
    {
        return NGX_ERROR;
    }

    share->group.data = p;
    share->group.len = slash - p;
    share->filter.data = slash + 1;
    share->filter.len = end - (slash + 1);

    return NGX_OK;
}


ngx_uint_t
ngx_iot_topic_match(const ngx_str_t *filter, const ngx_str_t *name)
{
    u_char  *f, *n, *fend, *nend;

    if (filter->len == 0 || name->len == 0) {
        return 0;
    }

    f = filter->data;
    n = name->data;
    fend = f + filter->len;
    nend = n + name->len;

    if (*n == '$' && (*f == '+' || *f == '#')) {
        return 0;
    }

    while (f < fend) {

        if (*f == '#') {
            return 1;
        }

        if (*f == '+') {
            while (n < nend && *n != '/') {
                n++;
            }

            f++;

            continue;
        }

        if (n == nend) {

            /* "a/#" matches "a" too */

            return fend - f == 2 && f[0] == '/' && f[1] == '#';
        }

        if (*f != *n) {
            return 0;
        }

        f++;
        n++;
    }

    return n == nend;
}


ngx_int_t
ngx_iot_topic_next_level(u_char **pos, u_char *end, ngx_str_t *level)
{
    u_char  *p, *slash;

    p = *pos;

    if (p == NULL) {
        return NGX_DONE;
    }

    slash = (p == end) ? NULL : memchr(p, '/', end - p);

    level->data = p;

    if (slash == NULL) {
        level->len = end - p;
        *pos = NULL;

    } else {
        level->len = slash - p;
        *pos = slash + 1;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_topic_is(const ngx_str_t *level, u_char c)
{
    return level->len == 1 && level->data[0] == c;
}


ngx_uint_t
ngx_iot_topic_covers(const ngx_str_t *outer, const ngx_str_t *inner)
{
    u_char     *o, *i, *oend, *iend;
    ngx_int_t   more;
    ngx_str_t   olevel, ilevel;

    if (outer->len == 0 || inner->len == 0) {
        return 0;
    }

    o = outer->data;
    i = inner->data;
    oend = o + outer->len;
    iend = i + inner->len;

    if (*i == '$' && (*o == '+' || *o == '#')) {
        return 0;
    }

    /* any name has a first level, so these two are the same filter */

    if (inner->len == 1 && *i == '#'
        && outer->len == 3 && ngx_memcmp(o, "+/#", 3) == 0)
    {
        return 1;
    }

    while (ngx_iot_topic_next_level(&o, oend, &olevel) == NGX_OK) {

        if (ngx_iot_topic_is(&olevel, '#')) {
            return 1;
        }

        more = ngx_iot_topic_next_level(&i, iend, &ilevel);

        if (more != NGX_OK) {
            return 0;
        }

        if (ngx_iot_topic_is(&ilevel, '#')) {
            return 0;
        }

        if (ngx_iot_topic_is(&olevel, '+')) {
            continue;
        }

        if (olevel.len != ilevel.len
            || ngx_memcmp(olevel.data, ilevel.data, olevel.len) != 0)
        {
            return 0;
        }
    }

    return i == NULL;
}


static ngx_int_t
ngx_iot_topic_place(const ngx_str_t *value, ngx_uint_t first)
{
    u_char  *p, *end;

    if (value->data == NULL || value->len == 0) {
        return NGX_DECLINED;
    }

    if (first && value->data[0] == '$') {
        return NGX_DECLINED;
    }

    end = value->data + value->len;

    for (p = value->data; p < end; p++) {

        switch (*p) {

        case '+':
        case '#':
        case '/':
        case '\0':
            return NGX_DECLINED;
        }
    }

    return NGX_OK;
}


ngx_int_t
ngx_iot_topic_expand(const ngx_str_t *pattern,
    const ngx_iot_topic_places_t *places, ngx_str_t *result)
{
    u_char           *p, *end;
    size_t            len;
    ngx_str_t         piece;
    ngx_uint_t        shared;
    const ngx_str_t  *value;

    len = 0;
    result->len = 0;

    if (pattern->len == 0) {
        return NGX_OK;
    }

    shared = pattern->len > NGX_IOT_TOPIC_SHARE_LEN
             && ngx_memcmp(pattern->data, NGX_IOT_TOPIC_SHARE,
                           NGX_IOT_TOPIC_SHARE_LEN)
                == 0;

    p = pattern->data;
    end = p + pattern->len;

    while (p < end) {

        value = NULL;
        piece.data = p;
        piece.len = 1;

        if (*p == '%' && end - p > 1) {

            switch (p[1]) {

            case 'u':
                value = &places->user;
                break;

            case 'c':
                value = &places->client_id;
                break;

            case '%':
                p++;
                break;
            }
        }

        if (value != NULL) {

            if (ngx_iot_topic_place(value, len == 0 || shared) != NGX_OK) {
                return NGX_DECLINED;
            }

            piece = *value;
            p++;
        }

        if (piece.len > NGX_IOT_TOPIC_MAX - len) {
            return NGX_ERROR;
        }

        if (result->data != NULL) {
            ngx_memcpy(result->data + len, piece.data, piece.len);
        }

        len += piece.len;
        p++;
    }

    result->len = len;

    return NGX_OK;
}
