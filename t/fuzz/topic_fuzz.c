
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_iot_codec.h"
#include "ngx_iot_topic_name.h"
#include "ngx_iot_utf8.h"


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static ngx_str_t fuzz_part(const uint8_t **p, const uint8_t *end);
static void fuzz_utf8(const ngx_str_t *s);
static ngx_uint_t fuzz_match(const ngx_str_t *filter, const ngx_str_t *name);
static ngx_uint_t fuzz_count(const ngx_str_t *s, u_char c);
static void fuzz_expand(const ngx_str_t *pattern, const ngx_str_t *user,
    const ngx_str_t *client_id);


/* lines: a filter, another, a name, a client identifier */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ngx_str_t               outer, inner, name, id;
    ngx_uint_t              filters;
    const uint8_t          *p, *end;
    ngx_iot_topic_share_t   oshare, ishare;

    if (size == 0) {
        return 0;
    }

    p = data;
    end = data + size;

    outer = fuzz_part(&p, end);
    inner = fuzz_part(&p, end);
    name = fuzz_part(&p, end);
    id = fuzz_part(&p, end);

    fuzz_utf8(&outer);
    fuzz_utf8(&name);

    filters = ngx_iot_topic_filter_check(&outer, 0) == NGX_OK
              && ngx_iot_topic_filter_check(&inner, 0) == NGX_OK;

    if (filters) {
        check(ngx_iot_topic_share(&outer, &oshare) != NGX_ERROR);
        check(ngx_iot_topic_share(&inner, &ishare) != NGX_ERROR);
        check(ngx_iot_topic_covers(&oshare.filter, &oshare.filter));
    }

    if (filters && ngx_iot_topic_name_check(&name, 0) == NGX_OK) {

        check(ngx_iot_topic_match(&name, &name));
        check(ngx_iot_topic_match(&oshare.filter, &name)
              == fuzz_match(&oshare.filter, &name));

        if (ngx_iot_topic_covers(&oshare.filter, &ishare.filter)
            && ngx_iot_topic_match(&ishare.filter, &name))
        {
            check(ngx_iot_topic_match(&oshare.filter, &name));
        }

        check(ngx_iot_topic_covers(&oshare.filter, &name)
              == ngx_iot_topic_match(&oshare.filter, &name));

        check(ngx_iot_topic_name_check(&name, 1 + fuzz_count(&name, '/'))
              == NGX_OK);

        if (fuzz_count(&name, '/') > 1) {
            check(ngx_iot_topic_name_check(&name, fuzz_count(&name, '/') - 1)
                  == NGX_ERROR);
        }
    }

    fuzz_expand(&outer, &inner, &id);

    free(outer.data);
    free(inner.data);
    free(name.data);
    free(id.data);

    return 0;
}


static ngx_str_t
fuzz_part(const uint8_t **p, const uint8_t *end)
{
    ngx_str_t       s;
    const uint8_t  *start;

    for (start = *p; *p < end && **p != '\n'; (*p)++) {
        /* void */
    }

    s.len = *p - start;
    s.data = malloc(s.len + !s.len);
    check(s.data != NULL);

    memcpy(s.data, start, s.len);

    if (*p < end) {
        (*p)++;
    }

    return s;
}


static void
fuzz_utf8(const ngx_str_t *s)
{
    size_t           half;
    ngx_int_t        rc, parts;
    ngx_iot_utf8_t   u;

    rc = ngx_iot_utf8_check(s->data, s->len);

    if (ngx_iot_utf8_check_mqtt(s->data, s->len) == NGX_OK) {
        check(rc == NGX_OK);
    }

    memset(&u, 0, sizeof(u));
    half = s->len / 2;

    parts = ngx_iot_utf8_update(&u, s->data, s->data + half);

    if (parts == NGX_OK) {
        parts = ngx_iot_utf8_update(&u, s->data + half, s->data + s->len);
    }

    check((parts == NGX_OK && u.need == 0) == (rc == NGX_OK));
}


/* the definition, level by level */

static ngx_uint_t
fuzz_match(const ngx_str_t *filter, const ngx_str_t *name)
{
    u_char     *f, *n;
    ngx_str_t   flevel, nlevel;

    f = filter->data;
    n = name->data;

    if (*n == '$' && (*f == '+' || *f == '#')) {
        return 0;
    }

    while (ngx_iot_topic_next_level(&f, filter->data + filter->len, &flevel)
           == NGX_OK)
    {
        if (flevel.len == 1 && flevel.data[0] == '#') {
            return 1;
        }

        if (ngx_iot_topic_next_level(&n, name->data + name->len, &nlevel)
            != NGX_OK)
        {
            return 0;
        }

        if (flevel.len == 1 && flevel.data[0] == '+') {
            continue;
        }

        if (flevel.len != nlevel.len
            || memcmp(flevel.data, nlevel.data, nlevel.len) != 0)
        {
            return 0;
        }
    }

    return n == NULL;
}


static ngx_uint_t
fuzz_count(const ngx_str_t *s, u_char c)
{
    size_t      i;
    ngx_uint_t  n;

    for (i = 0, n = 0; i < s->len; i++) {
        n += (s->data[i] == c);
    }

    return n;
}


/* nobody's name adds a level or a wildcard */

static void
fuzz_expand(const ngx_str_t *pattern, const ngx_str_t *user,
    const ngx_str_t *client_id)
{
    size_t                   len;
    ngx_str_t                result;
    ngx_iot_topic_places_t   places;

    places.user = *user;
    places.client_id = *client_id;

    result.len = 0;
    result.data = NULL;

    if (ngx_iot_topic_expand(pattern, &places, &result) != NGX_OK) {
        return;
    }

    len = result.len;
    result.data = malloc(len + !len);
    check(result.data != NULL);

    check(ngx_iot_topic_expand(pattern, &places, &result) == NGX_OK);
    check(result.len == len);

    check(fuzz_count(&result, '/') == fuzz_count(pattern, '/'));
    check(fuzz_count(&result, '+') == fuzz_count(pattern, '+'));
    check(fuzz_count(&result, '#') == fuzz_count(pattern, '#'));
    check(len == 0 || result.data[0] != '$' || pattern->data[0] == '$');

    free(result.data);
}
