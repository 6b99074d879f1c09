
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _KEYCODE_VECTORS_H_INCLUDED_
#define _KEYCODE_VECTORS_H_INCLUDED_


#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <cmocka.h>
#include <jansson.h>

#include "ngx_iot_keycode.h"


/*
 * The rows of a vector file.  A row is {"id", "op", "in", "out" or "error"}.
 * A test walks all rows of one operation and fails if the file has not as
 * many as it counts itself.
 */

typedef void (*vector_pt)(json_t *in, json_t *out, const char *error);


static json_t      *vectors;
static const char  *vector_id;


static int
vectors_load(const char *path)
{
    json_error_t  error;

    vectors = json_load_file(path, 0, &error);

    if (vectors == NULL) {
        fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
        return -1;
    }

    return 0;
}


static void
vectors_run(const char *op, vector_pt handler)
{
    size_t       i, n;
    json_t      *row, *rows;
    const char  *name;

    n = 0;
    rows = json_object_get(vectors, "vectors");

    json_array_foreach(rows, i, row) {

        name = json_string_value(json_object_get(row, "op"));

        if (name == NULL || strcmp(name, op) != 0) {
            continue;
        }

        vector_id = json_string_value(json_object_get(row, "id"));
        n++;

        handler(json_object_get(row, "in"), json_object_get(row, "out"),
                json_string_value(json_object_get(row, "error")));
    }

    vector_id = "-";

    assert_true(n > 0);
    assert_int_equal(n, json_integer_value(json_object_get(
                                json_object_get(vectors, "counts"), op)));
}


#define check(cond)                                                           \
    if (!(cond)) {                                                            \
        fail_msg("%s: %s", vector_id ? vector_id : "-", #cond);               \
    }

#define check_text(a, b)                                                      \
    if (strcmp((const char *) (a), (const char *) (b)) != 0) {                \
        fail_msg("%s: \"%s\" is not \"%s\"", vector_id ? vector_id : "-",     \
                 (const char *) (a), (const char *) (b));                     \
    }


#define check_error(err, id)  check_error_at(err, id, __LINE__)


static void
check_error_at(ngx_iot_keycode_err_e err, const char *id, int line)
{
    const char  *got;

    got = ngx_iot_keycode_error(err);

    if (strcmp(got, id == NULL ? "OK" : id) != 0) {
        fail_msg("line %d, %s: %s is not %s", line,
                 vector_id ? vector_id : "-", got, id == NULL ? "OK" : id);
    }
}


static const char *
text_of(json_t *object, const char *name)
{
    const char  *s;

    s = json_string_value(json_object_get(object, name));

    if (s == NULL) {
        fail_msg("%s: no %s", vector_id, name);
    }

    return s;
}


static int64_t
number_of(json_t *object, const char *name, int64_t absent)
{
    json_t  *value;

    value = json_object_get(object, name);

    return json_is_integer(value) ? json_integer_value(value) : absent;
}


static size_t
hex_of(json_t *object, const char *name, u_char *buf, size_t size)
{
    char         pair[3];
    size_t       n;
    const char  *s;

    s = text_of(object, name);
    pair[2] = '\0';

    for (n = 0; s[0] && s[1]; s += 2) {
        check(n < size);
        pair[0] = s[0];
        pair[1] = s[1];
        buf[n++] = (u_char) strtoul(pair, NULL, 16);
    }

    return n;
}


/* a secret that is no secret stays a NULL one, which everything refuses */

static void
secret_of(json_t *object, const char *name, u_char *buf, ngx_str_t *secret)
{
    const char  *s;

    secret->len = 0;
    secret->data = NULL;

    s = json_string_value(json_object_get(object, name));

    if (s
        && ngx_iot_keycode_secret((const u_char *) s, strlen(s), buf)
           == NGX_IOT_KEYCODE_OK)
    {
        secret->len = NGX_IOT_KEYCODE_SECRET;
        secret->data = buf;
    }
}


/* not rand(): the same numbers everywhere */

static uint32_t
next_random(void)
{
    static uint64_t  state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;

    return (uint32_t) (state >> 16);
}


#endif /* _KEYCODE_VECTORS_H_INCLUDED_ */
