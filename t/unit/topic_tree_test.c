
/*
 * Copyright (C) the ngx_iot authors
 */


#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ngx_iot_topic_name.h"
#include "ngx_iot_topic_tree.h"


#define MANY    600                 /* subscriptions of the random test */
#define ROUNDS  4000


/* what the random test knows without a tree */

typedef struct {
    ngx_iot_topic_sub_t   sub;
    ngx_str_t             filter;
    ngx_str_t             group;
    char                  filter_text[64];
    char                  group_text[8];
    ngx_uint_t            used;
    ngx_uint_t            seen;
} known_t;


typedef struct {
    char                  filter[64];
    ngx_uint_t            bit;
    ngx_uint_t            used;
} mark_t;


static ngx_iot_topic_cache_t  *cache;
static ngx_iot_topic_tree_t   *tree;

static uint32_t                seed;

static known_t                 known[MANY];
static mark_t                  marks[64];


static int
start(void **state)
{
    seed = 1;
    cache = ngx_iot_topic_cache_create(64 * 1024);
    tree = ngx_iot_topic_tree_create(cache);

    return (cache == NULL || tree == NULL);
}


static int
stop(void **state)
{
    ngx_iot_topic_tree_destroy(tree);
    ngx_iot_topic_cache_destroy(cache);

    return 0;
}


static uint32_t
dice(uint32_t n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 12) % n;
}


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = strlen(text);

    return s;
}


static ngx_int_t
subscribe(ngx_iot_topic_sub_t *sub, const char *filter, const char *group)
{
    ngx_str_t  f, g;

    f = str(filter);
    g = str(group ? group : "");

    return ngx_iot_topic_subscribe(tree, &f, group ? &g : NULL, sub);
}


/* how many subscriptions match, or -1 */

static int
matches(const char *name)
{
    int                     n;
    ngx_str_t               s;
    ngx_iot_topic_match_t  *match;

    s = str(name);

    match = ngx_iot_topic_match_name(tree, &s);
    if (match == NULL) {
        return -1;
    }

    n = (int) match->nsubs;

    ngx_iot_topic_match_release(match);

    return n;
}


static void
test_wildcards(void **state)
{
    ngx_uint_t           i;
    ngx_iot_topic_sub_t  sub;

    static const struct {
        const char   *filter;
        const char   *name;
        int           n;
    } cases[] = {
        { "a", "a", 1 },
        { "a", "b", 0 },
        { "a", "a/", 0 },
        { "a/", "a/", 1 },
        { "a/", "a", 0 },
        { "/", "/", 1 },
        { "+", "a", 1 },
        { "+", "/", 0 },
        { "+/+", "/", 1 },
        { "/+", "/a", 1 },
        { "+", "/a", 0 },
        { "#", "a", 1 },
        { "#", "/", 1 },
        { "#", "a/b/c/d", 1 },
        { "a/#", "a", 1 },
        { "a/#", "a/", 1 },
        { "a/#", "a/b/c", 1 },
        { "a/#", "ab", 0 },
        { "a/+/c", "a/b/c", 1 },
        { "a/+/c", "a//c", 1 },
        { "a/+/c", "a/b/d", 0 },
        { "a/+", "a", 0 },
        { "+/#", "a", 1 },
        { "+/b/#", "a/b", 1 },
        { "#", "$SYS/x", 0 },
        { "+/x", "$SYS/x", 0 },
        { "$SYS/#", "$SYS/x", 1 },
        { "$SYS/+", "$SYS/x", 1 },
        { "a/+", "a/$x", 1 },
        { "a/#", "a/$x", 1 }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        memset(&sub, 0, sizeof(sub));

        assert_int_equal(subscribe(&sub, cases[i].filter, NULL), NGX_DONE);
        assert_int_equal(matches(cases[i].name), cases[i].n);
        assert_int_equal(matches(cases[i].name), cases[i].n);

        assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub), NGX_DONE);
        assert_null(sub.node);
        assert_int_equal(matches(cases[i].name), 0);
        assert_true(ngx_iot_topic_tree_empty(tree));
    }
}


static void
test_first_and_last(void **state)
{
    ngx_iot_topic_sub_t  sub[3];

    memset(sub, 0, sizeof(sub));

    assert_int_equal(subscribe(&sub[0], "a/+", NULL), NGX_DONE);
    assert_int_equal(subscribe(&sub[1], "a/+", NULL), NGX_OK);
    assert_int_equal(subscribe(&sub[2], "a/+", "g"), NGX_OK);
    assert_int_equal(matches("a/b"), 2);

    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[0]), NGX_OK);
    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[0]), NGX_OK);
    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[1]), NGX_DONE);
    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[2]), NGX_OK);
    assert_true(ngx_iot_topic_tree_empty(tree));
}


static void
test_depth(void **state)
{
    char                 text[3 * NGX_IOT_TOPIC_LEVELS];
    ngx_uint_t           i;
    ngx_iot_topic_sub_t  sub[2];

    memset(sub, 0, sizeof(sub));

    for (i = 0; i < NGX_IOT_TOPIC_LEVELS; i++) {
        text[2 * i] = '+';
        text[2 * i + 1] = '/';
    }

    text[2 * i - 1] = '\0';

    assert_int_equal(subscribe(&sub[0], text, NULL), NGX_DONE);

    for (i = 0; i < NGX_IOT_TOPIC_LEVELS; i++) {
        text[2 * i] = 'x';
    }

    assert_int_equal(matches(text), 1);
    assert_int_equal(subscribe(&sub[1], text, NULL), NGX_DONE);
    assert_int_equal(matches(text), 2);

    strcat(text, "/x");

    assert_int_equal(matches(text), -1);
    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[1]), NGX_DONE);
    assert_int_equal(subscribe(&sub[1], text, NULL), NGX_ERROR);
    assert_int_equal(subscribe(&sub[1], "", NULL), NGX_ERROR);
    assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[0]), NGX_DONE);
    assert_true(ngx_iot_topic_tree_empty(tree));
}


/* a filter of "+" and "x" in all places: each step of the walk forks */

static void
test_forks(void **state)
{
    char                  filter[32], name[32];
    ngx_uint_t            i, j;
    ngx_iot_topic_sub_t  *sub;

    sub = calloc(1024, sizeof(ngx_iot_topic_sub_t));
    assert_non_null(sub);

    for (i = 0; i < 1024; i++) {

        for (j = 0; j < 10; j++) {
            filter[2 * j] = (i >> j) & 1 ? '+' : 'x';
            filter[2 * j + 1] = '/';
            name[2 * j] = 'x';
            name[2 * j + 1] = '/';
        }

        filter[19] = '\0';
        name[19] = '\0';

        assert_int_equal(subscribe(&sub[i], filter, NULL), NGX_DONE);
    }

    assert_int_equal(matches(name), 1024);

    for (i = 0; i < 1024; i++) {
        assert_int_equal(ngx_iot_topic_unsubscribe(tree, &sub[i]), NGX_DONE);
    }

    assert_true(ngx_iot_topic_tree_empty(tree));
    free(sub);
}


static void
test_group(void **state)
{
    ngx_str_t               filter, name, topic;
    ngx_uint_t              i, bit, turns[4];
    ngx_iot_topic_sub_t     sub[2], *picked;
    ngx_iot_topic_group_t  *group;
    ngx_iot_topic_match_t  *match;

    memset(sub, 0, sizeof(sub));
    memset(turns, 0, sizeof(turns));

    filter = str("a/#");
    name = str("workers");
    topic = str("a/b");

    assert_int_equal(subscribe(&sub[0], "a/#", "workers"), NGX_OK);
    assert_int_equal(subscribe(&sub[1], "a/#", "workers"), NGX_OK);
    assert_int_equal(ngx_iot_topic_weigh(tree, &filter, &name, 3, 5), NGX_OK);
    assert_int_equal(ngx_iot_topic_weigh(tree, &filter, &name, 63, 1), NGX_OK);

    match = ngx_iot_topic_match_name(tree, &topic);
    assert_non_null(match);
    assert_int_equal(match->nsubs, 0);
    assert_int_equal(match->ngroups, 1);
    assert_int_equal(match->marks, 0);

    group = match->groups[0];
    assert_ptr_equal(group, ngx_iot_topic_group_find(tree, &filter, &name));

    for (i = 0; i < 8 * 10; i++) {
        picked = ngx_iot_topic_pick(group, &bit);

        if (picked) {
            turns[picked == &sub[0] ? 0 : 1]++;

        } else if (bit == 3) {
            turns[2]++;

        } else {
            assert_int_equal(bit, 63);
            turns[3]++;
        }
    }

    assert_int_equal(turns[0], 10);
    assert_int_equal(turns[1], 10);
    assert_int_equal(turns[2], 50);
    assert_int_equal(turns[3], 10);

    ngx_iot_topic_match_release(match);

    (void) ngx_iot_topic_unsubscribe(tree, &sub[0]);
    (void) ngx_iot_topic_unsubscribe(tree, &sub[1]);

    group = ngx_iot_topic_group_find(tree, &filter, &name);
    assert_non_null(group);
    assert_null(ngx_iot_topic_pick_member(group));
    assert_int_equal(group->elsewhere, 6);

    assert_int_equal(ngx_iot_topic_weigh(tree, &filter, &name, 3, 0), NGX_OK);
    ngx_iot_topic_unmark_all(tree, 63);

    assert_null(ngx_iot_topic_group_find(tree, &filter, &name));
    assert_true(ngx_iot_topic_tree_empty(tree));

    /* taking away what was never there makes nothing */

    assert_int_equal(ngx_iot_topic_weigh(tree, &filter, &name, 3, 0), NGX_OK);
    ngx_iot_topic_unmark(tree, &filter, 5);
    assert_true(ngx_iot_topic_tree_empty(tree));
}


/* an answer that is held stays while the tree and the cache go on */

static void
test_held(void **state)
{
    char                    name[16];
    ngx_str_t               topic;
    ngx_uint_t              i;
    ngx_iot_topic_sub_t     sub[2];
    ngx_iot_topic_match_t  *match, *again;

    memset(sub, 0, sizeof(sub));

    topic = str("a/b");

    assert_int_equal(subscribe(&sub[0], "a/+", NULL), NGX_DONE);

    match = ngx_iot_topic_match_name(tree, &topic);
    again = ngx_iot_topic_match_name(tree, &topic);
    assert_non_null(match);
    assert_ptr_equal(match, again);
    ngx_iot_topic_match_release(again);
    assert_true(match->version == ngx_iot_topic_tree_version(tree));

    assert_int_equal(subscribe(&sub[1], "a/b", NULL), NGX_DONE);
    assert_false(match->version == ngx_iot_topic_tree_version(tree));
    assert_int_equal(matches("a/b"), 2);

    for (i = 0; i < 5000; i++) {
        snprintf(name, sizeof(name), "a/%u", (unsigned) i);
        assert_int_equal(matches(name), 1);
    }

    assert_int_equal(match->nsubs, 1);
    assert_ptr_equal(match->subs[0], &sub[0]);

    ngx_iot_topic_match_release(match);

    (void) ngx_iot_topic_unsubscribe(tree, &sub[0]);
    (void) ngx_iot_topic_unsubscribe(tree, &sub[1]);
}


/* two trees share the cache and not the answers */

static void
test_trees(void **state)
{
    ngx_iot_topic_sub_t    sub[2];
    ngx_iot_topic_tree_t  *first, *second;

    memset(sub, 0, sizeof(sub));

    first = tree;
    assert_int_equal(subscribe(&sub[0], "a", NULL), NGX_DONE);
    assert_int_equal(matches("a"), 1);

    second = ngx_iot_topic_tree_create(cache);
    assert_non_null(second);

    tree = second;
    assert_int_equal(matches("a"), 0);
    assert_int_equal(subscribe(&sub[1], "b", NULL), NGX_DONE);
    assert_int_equal(matches("b"), 1);

    ngx_iot_topic_tree_destroy(second);
    assert_null(sub[1].node);

    tree = first;
    assert_int_equal(matches("b"), 0);
    assert_int_equal(matches("a"), 1);
    (void) ngx_iot_topic_unsubscribe(tree, &sub[0]);
}


static void
random_levels(char *text, ngx_uint_t filter)
{
    ngx_uint_t           i, n;
    static const char   *levels[] = { "a", "b", "c", "", "dd", "$s", "+" };

    n = 1 + dice(5);
    text[0] = '\0';

    for (i = 0; i < n; i++) {

        if (i) {
            strcat(text, "/");
        }

        if (filter && i == n - 1 && dice(4) == 0) {
            strcat(text, "#");
            break;
        }

        strcat(text, levels[dice(filter ? 7 : 6)]);
    }

    if (text[0] == '\0') {
        strcpy(text, "a");
    }
}


/* against the plain list of all that is subscribed */

static void
check_against_list(const char *text)
{
    uint64_t                bits;
    ngx_str_t               name;
    ngx_uint_t              i, j, expected, groups;
    ngx_iot_topic_match_t  *match;
    ngx_iot_topic_group_t  *group;

    name = str(text);
    match = ngx_iot_topic_match_name(tree, &name);
    assert_non_null(match);

    for (i = 0; i < MANY; i++) {
        known[i].seen = 0;
    }

    for (i = 0; i < match->nsubs; i++) {
        ((known_t *) match->subs[i])->seen++;

        if (i) {
            assert_true((uintptr_t) match->subs[i - 1]->owner
                        <= (uintptr_t) match->subs[i]->owner);
        }
    }

    groups = 0;

    for (i = 0; i < MANY; i++) {

        expected = known[i].used
                   && ngx_iot_topic_match(&known[i].filter, &name);

        if (known[i].group.len == 0) {
            assert_int_equal(known[i].seen, expected);
            continue;
        }

        assert_int_equal(known[i].seen, 0);

        if (!expected) {
            continue;
        }

        group = ngx_iot_topic_group_find(tree, &known[i].filter,
                                         &known[i].group);
        assert_non_null(group);

        for (j = 0; j < match->ngroups && match->groups[j] != group; j++) {
            /* void */
        }

        assert_true(j < match->ngroups);
        groups |= (ngx_uint_t) 1 << j % 64;
    }

    if (match->ngroups < 64) {
        assert_true(groups == ((uint64_t) 1 << match->ngroups) - 1);
    }

    for (bits = 0, i = 0; i < 64; i++) {
        ngx_str_t  filter = str(marks[i].filter);

        if (marks[i].used && ngx_iot_topic_match(&filter, &name)) {
            bits |= (uint64_t) 1 << marks[i].bit;
        }
    }

    assert_true(match->marks == bits);

    ngx_iot_topic_match_release(match);
}


static void
test_random(void **state)
{
    char        name[64];
    ngx_str_t   filter;
    known_t    *k;
    ngx_uint_t  i, j;

    for (i = 0; i < ROUNDS; i++) {
        k = &known[dice(MANY)];

        if (k->used) {
            (void) ngx_iot_topic_unsubscribe(tree, &k->sub);
            k->used = 0;

        } else {
            memset(k, 0, sizeof(known_t));
            random_levels(k->filter_text, 1);
            k->group_text[0] = dice(4) ? '\0' : 'g' + (char) dice(3);
            k->filter = str(k->filter_text);
            k->group = str(k->group_text);
            k->sub.owner = (void *) (uintptr_t) (1 + dice(20));
            k->used = 1;

            assert_int_not_equal(ngx_iot_topic_subscribe(tree, &k->filter,
                                                         &k->group, &k->sub),
                                 NGX_ERROR);
        }

        /* one mark for each bit, so that taking it away is simple */

        j = dice(64);
        filter = str(marks[j].filter);

        if (marks[j].used && dice(8) == 0) {
            ngx_iot_topic_unmark_all(tree, marks[j].bit);
            marks[j].used = 0;

        } else if (marks[j].used) {
            ngx_iot_topic_unmark(tree, &filter, marks[j].bit);
            marks[j].used = 0;

        } else {
            random_levels(marks[j].filter, 1);
            filter = str(marks[j].filter);
            marks[j].bit = j;
            marks[j].used = 1;
            assert_int_equal(ngx_iot_topic_mark(tree, &filter, j), NGX_OK);
        }

        random_levels(name, 0);
        check_against_list(name);
        check_against_list(name);
    }

    for (i = 0; i < MANY; i++) {
        (void) ngx_iot_topic_unsubscribe(tree, &known[i].sub);
        known[i].used = 0;
    }

    for (i = 0; i < 64; i++) {
        ngx_iot_topic_unmark_all(tree, i);
        marks[i].used = 0;
    }

    assert_true(ngx_iot_topic_tree_empty(tree));
}


/* every filter is walked once, and comes back as it was */

static void
test_walk(void **state)
{
    u_char                 *buf;
    ngx_str_t               filter;
    ngx_uint_t              i, n;
    ngx_iot_topic_sub_t     sub[7];
    ngx_iot_topic_node_t   *node;

    static const char      *filters[] = { "a", "a/b/c", "+/b/#", "#", "/",
                                          "a//b", "$SYS/+" };

    memset(sub, 0, sizeof(sub));

    buf = malloc(NGX_IOT_TOPIC_MAX);
    assert_non_null(buf);

    for (i = 0; i < 7; i++) {
        (void) subscribe(&sub[i], filters[i], i % 2 ? "g" : NULL);
    }

    /* a mark alone is nobody's own */

    filter = str("a/b");
    assert_int_equal(ngx_iot_topic_mark(tree, &filter, 1), NGX_OK);

    n = 0;
    node = NULL;

    while (ngx_iot_topic_next(tree, &node, buf, &filter) == NGX_OK) {

        for (i = 0; i < 7; i++) {
            if (filter.len == strlen(filters[i])
                && memcmp(filter.data, filters[i], filter.len) == 0)
            {
                break;
            }
        }

        assert_true(i < 7);
        assert_false(n & (1 << i));
        n |= 1 << i;

        assert_int_equal(ngx_iot_topic_subscribed(node), i % 2 ? 0 : 1);
        assert_true((ngx_iot_topic_groups(node) != NULL) == (i % 2));
    }

    assert_int_equal(n, 127);

    for (i = 0; i < 7; i++) {
        (void) ngx_iot_topic_unsubscribe(tree, &sub[i]);
    }

    ngx_iot_topic_unmark_all(tree, 1);
    assert_true(ngx_iot_topic_tree_empty(tree));
    free(buf);
}


/* the subscription of an owner, among its own kind only */

static void
test_sub_of(void **state)
{
    int                   i, owner[20] = { 0 };
    ngx_str_t             a, b, none, group;
    ngx_iot_topic_sub_t   sub[20], other, shared, *found;

    a = str("a/+");
    b = str("a");
    none = str("");
    group = str("g");

    found = NULL;
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, owner, 100, &found),
                     NGX_DECLINED);

    memset(sub, 0, sizeof(sub));
    memset(&other, 0, sizeof(other));
    memset(&shared, 0, sizeof(shared));

    for (i = 0; i < 20; i++) {
        sub[i].owner = &owner[i];
        assert_int_not_equal(subscribe(&sub[i], "a/+", NULL), NGX_ERROR);
    }

    other.owner = &owner[0];
    assert_int_not_equal(subscribe(&other, "a/#", NULL), NGX_ERROR);
    shared.owner = &owner[1];
    assert_int_not_equal(subscribe(&shared, "a/+", "g"), NGX_ERROR);

    /* every one, with and without an empty name of a group */

    for (i = 0; i < 20; i++) {
        assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &owner[i], 20,
                                              &found), NGX_OK);
        assert_ptr_equal(found, &sub[i]);
        assert_int_equal(ngx_iot_topic_sub_of(tree, &a, &none, &owner[i], 20,
                                              &found), NGX_OK);
        assert_ptr_equal(found, &sub[i]);
    }

    /* filters are compared, not matched; levels above have none */

    assert_int_equal(ngx_iot_topic_sub_of(tree, &b, NULL, &owner[0], 20,
                                          &found), NGX_DECLINED);

    /* groups */

    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, &group, &owner[1], 20,
                                          &found), NGX_OK);
    assert_ptr_equal(found, &shared);
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, &group, &owner[0], 20,
                                          &found), NGX_DECLINED);

    group = str("h");
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, &group, &owner[1], 20,
                                          &found), NGX_DECLINED);

    /* not among the first: nobody knows, unless these were all */

    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &found, 5, &found),
                     NGX_AGAIN);
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &found, 20, &found),
                     NGX_DECLINED);
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &found, 0, &found),
                     NGX_AGAIN);

    /* who has gone is not found, the others are */

    (void) ngx_iot_topic_unsubscribe(tree, &sub[7]);
    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &owner[7], 20,
                                          &found), NGX_DECLINED);

    for (i = 0; i < 20; i++) {
        if (i != 7) {
            assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &owner[i],
                                                  20, &found), NGX_OK);
            assert_ptr_equal(found, &sub[i]);
            (void) ngx_iot_topic_unsubscribe(tree, &sub[i]);
        }
    }

    /* the group is still there, the others' list is empty */

    assert_int_equal(ngx_iot_topic_sub_of(tree, &a, NULL, &owner[0], 20,
                                          &found), NGX_DECLINED);

    (void) ngx_iot_topic_unsubscribe(tree, &shared);
    (void) ngx_iot_topic_unsubscribe(tree, &other);
    assert_true(ngx_iot_topic_tree_empty(tree));
}


int
main(void)
{
    const struct CMUnitTest  tests[] = {
        cmocka_unit_test_setup_teardown(test_wildcards, start, stop),
        cmocka_unit_test_setup_teardown(test_first_and_last, start, stop),
        cmocka_unit_test_setup_teardown(test_depth, start, stop),
        cmocka_unit_test_setup_teardown(test_forks, start, stop),
        cmocka_unit_test_setup_teardown(test_group, start, stop),
        cmocka_unit_test_setup_teardown(test_held, start, stop),
        cmocka_unit_test_setup_teardown(test_sub_of, start, stop),
        cmocka_unit_test_setup_teardown(test_trees, start, stop),
        cmocka_unit_test_setup_teardown(test_random, start, stop),
        cmocka_unit_test_setup_teardown(test_walk, start, stop)
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);

    return cmocka_run_group_tests_name("topic_tree", tests, NULL, NULL);
}
