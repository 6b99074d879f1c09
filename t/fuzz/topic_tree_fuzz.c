
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ngx_iot_topic_name.h"
#include "ngx_iot_topic_tree.h"


#define SUBS  64


#define check(condition)                                                      \
    do {                                                                      \
        if (!(condition)) {                                                   \
            abort();                                                          \
        }                                                                     \
    } while (0)


typedef struct {
    ngx_iot_topic_sub_t   sub;
    ngx_str_t             filter;
    ngx_uint_t            used;
    ngx_uint_t            seen;
} fuzz_sub_t;


int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static void fuzz_subscribe(ngx_iot_topic_tree_t *tree, fuzz_sub_t *sub,
    const ngx_str_t *filter, uint8_t op);
static void fuzz_match(ngx_iot_topic_tree_t *tree, fuzz_sub_t *subs,
    const ngx_str_t *name);


/*
 * Lines: the first byte says what to do with the rest, which is a filter or a
 * name; the tree is held against the plain list.
 */

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t                  n;
    uint8_t                 op;
    ngx_str_t               text;
    ngx_uint_t              i;
    fuzz_sub_t              subs[SUBS];
    const uint8_t          *p, *end;
    ngx_iot_topic_tree_t   *tree;
    ngx_iot_topic_cache_t  *cache;

    memset(subs, 0, sizeof(subs));

    cache = ngx_iot_topic_cache_create(8192);
    check(cache);
    tree = ngx_iot_topic_tree_create(cache);
    check(tree);

    end = data + size;

    for (p = data; p < end; p += n + 1) {
        for (n = 0; p + n < end && p[n] != '\n'; n++) {
            /* void */
        }

        if (n < 2) {
            continue;
        }

        op = p[0];
        text.data = (u_char *) p + 1;
        text.len = n - 1;

        if (ngx_iot_topic_name_check(&text, 0) == NGX_OK) {
            fuzz_match(tree, subs, &text);
        }

        if (ngx_iot_topic_filter_check(&text, 0) == NGX_OK) {
            fuzz_subscribe(tree, &subs[op % SUBS], &text, op);
        }
    }

    for (i = 0; i < SUBS; i++) {
        (void) ngx_iot_topic_unsubscribe(tree, &subs[i].sub);
        ngx_iot_topic_unmark_all(tree, i);
    }

    check(ngx_iot_topic_tree_empty(tree));

    ngx_iot_topic_tree_destroy(tree);
    ngx_iot_topic_cache_destroy(cache);

    return 0;
}


static void
fuzz_subscribe(ngx_iot_topic_tree_t *tree, fuzz_sub_t *sub,
    const ngx_str_t *filter, uint8_t op)
{
    ngx_str_t  group;

    group.data = (u_char *) "group";
    group.len = 5;

    switch (op >> 6) {

    case 0:
        if (sub->used) {
            (void) ngx_iot_topic_unsubscribe(tree, &sub->sub);
        }

        sub->used = ngx_iot_topic_subscribe(tree, filter, NULL, &sub->sub)
                    != NGX_ERROR;
        sub->filter = *filter;
        return;

    case 1:
        (void) ngx_iot_topic_unsubscribe(tree, &sub->sub);
        sub->used = 0;
        return;

    case 2:
        (void) ngx_iot_topic_weigh(tree, filter, &group, op % SUBS, op & 3);
        return;

    default:
        (void) ngx_iot_topic_mark(tree, filter, op % SUBS);
        ngx_iot_topic_unmark(tree, filter, (op / 2) % SUBS);
        return;
    }
}


static void
fuzz_match(ngx_iot_topic_tree_t *tree, fuzz_sub_t *subs,
    const ngx_str_t *name)
{
    ngx_uint_t              i;
    ngx_iot_topic_match_t  *match;

    match = ngx_iot_topic_match_name(tree, name);
    if (match == NULL) {
        return;
    }

    for (i = 0; i < SUBS; i++) {
        subs[i].seen = 0;
    }

    for (i = 0; i < match->nsubs; i++) {
        ((fuzz_sub_t *) match->subs[i])->seen++;
    }

    for (i = 0; i < SUBS; i++) {
        check(subs[i].seen
              == (subs[i].used
                  && ngx_iot_topic_match(&subs[i].filter, name)));
    }

    ngx_iot_topic_match_release(match);
}
