
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdlib.h>

#include "ngx_iot_topic_match.h"
#include "ngx_iot_topic_tree.h"


#define NGX_IOT_TOPIC_BUCKETS  16         /* at first; a power of two */


static ngx_iot_topic_node_t *ngx_iot_topic_find(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, ngx_uint_t create);
static ngx_iot_topic_node_t *ngx_iot_topic_step(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *node, ngx_iot_topic_level_t *level);
static ngx_iot_topic_node_t *ngx_iot_topic_add(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *parent, ngx_iot_topic_level_t *level);
static ngx_int_t ngx_iot_topic_grow(ngx_iot_topic_tree_t *tree);
static ngx_iot_topic_node_t **ngx_iot_topic_bucket(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *parent, uint64_t hash);
static ngx_uint_t ngx_iot_topic_remove(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *node);
static void ngx_iot_topic_prune(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *node);
static ngx_iot_topic_group_t *ngx_iot_topic_group(ngx_iot_topic_node_t *node,
    const ngx_str_t *name, ngx_uint_t create);
static void ngx_iot_topic_group_remove(ngx_iot_topic_group_t *group);
static void ngx_iot_topic_group_weigh(ngx_iot_topic_group_t *group,
    ngx_uint_t bit, uint32_t weight);


ngx_iot_topic_tree_t *
ngx_iot_topic_tree_create(ngx_iot_topic_cache_t *cache)
{
    ngx_iot_topic_tree_t  *tree;

    tree = calloc(1, sizeof(ngx_iot_topic_tree_t));
    if (tree == NULL) {
        return NULL;
    }

    tree->buckets = calloc(NGX_IOT_TOPIC_BUCKETS,
                           sizeof(ngx_iot_topic_node_t *));
    tree->root = calloc(1, sizeof(ngx_iot_topic_node_t));

    if (tree->buckets == NULL || tree->root == NULL) {
        free(tree->buckets);
        free(tree->root);
        free(tree);
        return NULL;
    }

    tree->nbuckets = NGX_IOT_TOPIC_BUCKETS;
    tree->cache = cache;
    tree->version = ++cache->version;

    return tree;
}


void
ngx_iot_topic_tree_destroy(ngx_iot_topic_tree_t *tree)
{
    ngx_iot_topic_sub_t    *sub;
    ngx_iot_topic_node_t   *node, *prev;
    ngx_iot_topic_group_t  *group, *next;

    for (node = tree->last; node; node = prev) {
        prev = node->prev;

        for (sub = node->subs; sub; sub = sub->next) {
            sub->node = NULL;
        }

        for (group = node->groups; group; group = next) {
            next = group->next;

            while (group->first) {
                (void) ngx_iot_topic_group_leave(group, group->first);
            }

            free(group);
        }

        free(node);
    }

    free(tree->root);
    free(tree->buckets);
    free(tree);
}


ngx_uint_t
ngx_iot_topic_tree_empty(ngx_iot_topic_tree_t *tree)
{
    return tree->last == NULL;
}


uint64_t
ngx_iot_topic_tree_version(ngx_iot_topic_tree_t *tree)
{
    return tree->version;
}


ngx_int_t
ngx_iot_topic_subscribe(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    const ngx_str_t *name, ngx_iot_topic_sub_t *sub)
{
    ngx_iot_topic_node_t   *node;
    ngx_iot_topic_group_t  *group;

    node = ngx_iot_topic_find(tree, filter, 1);
    if (node == NULL) {
        return NGX_ERROR;
    }

    group = NULL;

    if (name && name->len) {
        group = ngx_iot_topic_group(node, name, 1);

        if (group == NULL) {
            ngx_iot_topic_prune(tree, node);
            return NGX_ERROR;
        }
    }

    tree->version = ++tree->cache->version;

    sub->node = node;
    sub->group = group;

    if (group) {
        ngx_iot_topic_group_join(group, sub);
        return NGX_OK;
    }

    sub->prev = NULL;
    sub->next = node->subs;

    if (node->subs) {
        node->subs->prev = sub;
    }

    node->subs = sub;

    return node->nsubs++ ? NGX_OK : NGX_DONE;
}


ngx_int_t
ngx_iot_topic_unsubscribe(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_sub_t *sub)
{
    ngx_int_t               rc;
    ngx_iot_topic_node_t   *node;
    ngx_iot_topic_group_t  *group;

    node = sub->node;

    if (node == NULL) {
        return NGX_OK;
    }

    tree->version = ++tree->cache->version;

    group = sub->group;

    if (group) {
        rc = NGX_OK;

        if (ngx_iot_topic_group_leave(group, sub) && group->elsewhere == 0) {
            ngx_iot_topic_group_remove(group);
        }

    } else {

        if (sub->prev) {
            sub->prev->next = sub->next;

        } else {
            node->subs = sub->next;
        }

        if (sub->next) {
            sub->next->prev = sub->prev;
        }

        rc = --node->nsubs ? NGX_OK : NGX_DONE;
    }

    sub->node = NULL;
    sub->group = NULL;

    ngx_iot_topic_prune(tree, node);

    return rc;
}


ngx_int_t
ngx_iot_topic_mark(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    ngx_uint_t bit)
{
    ngx_iot_topic_node_t  *node;

    node = ngx_iot_topic_find(tree, filter, 1);
    if (node == NULL) {
        return NGX_ERROR;
    }

    tree->version = ++tree->cache->version;
    node->marks |= (uint64_t) 1 << bit;

    return NGX_OK;
}


void
ngx_iot_topic_unmark(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    ngx_uint_t bit)
{
    ngx_iot_topic_node_t  *node;

    node = ngx_iot_topic_find(tree, filter, 0);

    if (node == NULL) {
        return;
    }

    tree->version = ++tree->cache->version;
    node->marks &= ~((uint64_t) 1 << bit);

    ngx_iot_topic_prune(tree, node);
}


ngx_int_t
ngx_iot_topic_weigh(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    const ngx_str_t *name, ngx_uint_t bit, uint32_t weight)
{
    ngx_iot_topic_node_t   *node;
    ngx_iot_topic_group_t  *group;

    node = ngx_iot_topic_find(tree, filter, weight != 0);

    if (node == NULL) {
        return weight ? NGX_ERROR : NGX_OK;
    }

    group = ngx_iot_topic_group(node, name, weight != 0);

    if (group == NULL) {
        ngx_iot_topic_prune(tree, node);
        return weight ? NGX_ERROR : NGX_OK;
    }

    tree->version = ++tree->cache->version;

    ngx_iot_topic_group_weigh(group, bit, weight);
    ngx_iot_topic_prune(tree, node);

    return NGX_OK;
}


/*
 * Parents are made before their children and stand before them in the list:
 * from its end, what has become empty goes in one pass.
 */

void
ngx_iot_topic_unmark_all(ngx_iot_topic_tree_t *tree, ngx_uint_t bit)
{
    ngx_iot_topic_node_t   *node, *prev;
    ngx_iot_topic_group_t  *group, *next;

    tree->version = ++tree->cache->version;

    for (node = tree->last; node; node = prev) {
        prev = node->prev;

        node->marks &= ~((uint64_t) 1 << bit);

        for (group = node->groups; group; group = next) {
            next = group->next;
            ngx_iot_topic_group_weigh(group, bit, 0);
        }

        (void) ngx_iot_topic_remove(tree, node);
    }
}


ngx_iot_topic_group_t *
ngx_iot_topic_group_find(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    const ngx_str_t *name)
{
    ngx_iot_topic_node_t  *node;

    node = ngx_iot_topic_find(tree, filter, 0);

    return node ? ngx_iot_topic_group(node, name, 0) : NULL;
}


ngx_int_t
ngx_iot_topic_sub_of(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    const ngx_str_t *name, const void *owner, ngx_uint_t most,
    ngx_iot_topic_sub_t **found)
{
    ngx_iot_topic_sub_t    *sub, *first;
    ngx_iot_topic_node_t   *node;
    ngx_iot_topic_group_t  *group;

    node = ngx_iot_topic_find(tree, filter, 0);

    if (node == NULL) {
        return NGX_DECLINED;
    }

    first = node->subs;

    if (name && name->len) {
        group = ngx_iot_topic_group(node, name, 0);
        first = group ? group->first : NULL;
    }

    for (sub = first; sub; /* void */) {

        if (sub->owner == owner) {
            *found = sub;
            return NGX_OK;
        }

        if (most-- == 0) {
            return NGX_AGAIN;
        }

        sub = sub->next;

        if (sub == first) {
            break;
        }
    }

    return NGX_DECLINED;
}


ngx_int_t
ngx_iot_topic_next(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t **node,
    u_char *buf, ngx_str_t *filter)
{
    ngx_iot_topic_node_t   *n;
    ngx_iot_topic_group_t  *group;

    for (n = *node ? (*node)->prev : tree->last; n; n = n->prev) {

        if (n->nsubs) {
            break;
        }

        for (group = n->groups; group && group->members == 0;
             group = group->next)
        {
            /* void */
        }

        if (group) {
            break;
        }
    }

    *node = n;

    if (n == NULL) {
        return NGX_DONE;
    }

    ngx_iot_topic_filter(n, buf, filter);

    return NGX_OK;
}


void
ngx_iot_topic_filter(ngx_iot_topic_node_t *node, u_char *buf,
    ngx_str_t *filter)
{
    u_char                *p;
    size_t                 len;
    ngx_iot_topic_node_t  *n;

    len = node->len;

    for (n = node->parent; n->parent; n = n->parent) {
        len += n->len + 1;
    }

    filter->len = len;
    filter->data = buf;

    p = buf + len;

    for (n = node; n->parent; n = n->parent) {

        if (n != node) {
            *--p = '/';
        }

        p -= n->len;
        ngx_memcpy(p, n->name, n->len);
    }
}


uint32_t
ngx_iot_topic_subscribed(ngx_iot_topic_node_t *node)
{
    return node->nsubs;
}


ngx_iot_topic_group_t *
ngx_iot_topic_groups(ngx_iot_topic_node_t *node)
{
    return node->groups;
}


/* the levels are left in the cache: one place for all trees of a worker */

ngx_int_t
ngx_iot_topic_split(ngx_iot_topic_tree_t *tree, const ngx_str_t *topic)
{
    u_char                 *p, *end;
    ngx_iot_topic_cache_t  *cache;
    ngx_iot_topic_level_t  *level;

    cache = tree->cache;
    cache->nlevels = 0;

    p = topic->data;
    end = p + topic->len;

    for ( ;; ) {

        if (cache->nlevels == NGX_IOT_TOPIC_LEVELS) {
            return NGX_ERROR;
        }

        level = &cache->levels[cache->nlevels++];
        level->data = p;

        while (p < end && *p != '/') {
            p++;
        }

        level->len = p - level->data;
        level->hash = ngx_iot_topic_hash(cache, level->data, level->len);

        if (p == end) {
            return NGX_OK;
        }

        p++;
    }
}


static ngx_iot_topic_node_t *
ngx_iot_topic_find(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    ngx_uint_t create)
{
    ngx_uint_t              i;
    ngx_iot_topic_node_t   *node, *child;
    ngx_iot_topic_cache_t  *cache;

    if (filter->len == 0 || filter->len > NGX_IOT_TOPIC_BYTES
        || ngx_iot_topic_split(tree, filter) != NGX_OK)
    {
        return NULL;
    }

    cache = tree->cache;
    node = tree->root;

    for (i = 0; i < cache->nlevels; i++) {
        child = ngx_iot_topic_step(tree, node, &cache->levels[i]);

        if (child == NULL) {

            if (!create) {
                return NULL;
            }

            child = ngx_iot_topic_add(tree, node, &cache->levels[i]);

            if (child == NULL) {
                ngx_iot_topic_prune(tree, node);
                return NULL;
            }
        }

        node = child;
    }

    return node;
}


/* a level of a filter, where "+" and "#" are themselves */

static ngx_iot_topic_node_t *
ngx_iot_topic_step(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *node,
    ngx_iot_topic_level_t *level)
{
    if (level->len == 1) {

        if (level->data[0] == '+') {
            return node->plus;
        }

        if (level->data[0] == '#') {
            return node->rest;
        }
    }

    return ngx_iot_topic_child(tree, node, level);
}


ngx_iot_topic_node_t *
ngx_iot_topic_child(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *parent,
    ngx_iot_topic_level_t *level)
{
    ngx_iot_topic_node_t  *node;

    if (parent->named == 0) {
        return NULL;
    }

    node = *ngx_iot_topic_bucket(tree, parent, level->hash);

    while (node) {

        if (node->parent == parent
            && node->hash == level->hash
            && node->len == level->len
            && ngx_memcmp(node->name, level->data, level->len) == 0)
        {
            return node;
        }

        node = node->chain;
    }

    return NULL;
}


static ngx_iot_topic_node_t *
ngx_iot_topic_add(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *parent,
    ngx_iot_topic_level_t *level)
{
    ngx_iot_topic_node_t  *node, **bucket;

    if (tree->nnamed >= tree->nbuckets) {
        if (ngx_iot_topic_grow(tree) != NGX_OK) {
            return NULL;
        }
    }

    node = calloc(1, offsetof(ngx_iot_topic_node_t, name) + level->len + 1);
    if (node == NULL) {
        return NULL;
    }

    node->parent = parent;
    node->id = ++tree->last_id;
    node->hash = level->hash;
    node->len = level->len;
    ngx_memcpy(node->name, level->data, level->len);

    if (level->len == 1 && level->data[0] == '+') {
        parent->plus = node;

    } else if (level->len == 1 && level->data[0] == '#') {
        parent->rest = node;

    } else {
        bucket = ngx_iot_topic_bucket(tree, parent, level->hash);
        node->chain = *bucket;
        *bucket = node;

        parent->named++;
        tree->nnamed++;
    }

    node->prev = tree->last;

    if (tree->last) {
        tree->last->next = node;
    }

    tree->last = node;

    return node;
}


static ngx_int_t
ngx_iot_topic_grow(ngx_iot_topic_tree_t *tree)
{
    size_t                  n;
    ngx_iot_topic_node_t   *node, **bucket, **buckets;

    n = tree->nbuckets * 2;

    buckets = calloc(n, sizeof(ngx_iot_topic_node_t *));
    if (buckets == NULL) {
        return NGX_ERROR;
    }

    free(tree->buckets);

    tree->buckets = buckets;
    tree->nbuckets = n;

    for (node = tree->last; node; node = node->prev) {

        if (node->parent->plus == node || node->parent->rest == node) {
            continue;
        }

        bucket = ngx_iot_topic_bucket(tree, node->parent, node->hash);
        node->chain = *bucket;
        *bucket = node;
    }

    return NGX_OK;
}


/*
 * The hash of the level is keyed: nobody can choose names that fall together.
 * The id of the parent keeps apart the same name in many places.
 */

static ngx_iot_topic_node_t **
ngx_iot_topic_bucket(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *parent,
    uint64_t hash)
{
    hash ^= parent->id * 0x9e3779b97f4a7c15;
    hash *= 0xd6e8feb86659fd93;

    return &tree->buckets[(hash >> 32) & (tree->nbuckets - 1)];
}


/* 1 if the node was of no use any more and is gone */

static ngx_uint_t
ngx_iot_topic_remove(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *node)
{
    ngx_iot_topic_node_t  *parent, **p;

    parent = node->parent;

    if (parent == NULL || node->subs || node->groups || node->marks
        || node->plus || node->rest || node->named)
    {
        return 0;
    }

    if (parent->plus == node) {
        parent->plus = NULL;

    } else if (parent->rest == node) {
        parent->rest = NULL;

    } else {
        p = ngx_iot_topic_bucket(tree, parent, node->hash);

        while (*p != node) {
            p = &(*p)->chain;
        }

        *p = node->chain;

        parent->named--;
        tree->nnamed--;
    }

    if (node->prev) {
        node->prev->next = node->next;
    }

    if (node->next) {
        node->next->prev = node->prev;

    } else {
        tree->last = node->prev;
    }

    free(node);

    return 1;
}


static void
ngx_iot_topic_prune(ngx_iot_topic_tree_t *tree, ngx_iot_topic_node_t *node)
{
    ngx_iot_topic_node_t  *parent;

    do {
        parent = node->parent;

        if (!ngx_iot_topic_remove(tree, node)) {
            return;
        }

        node = parent;

    } while (node);
}


static ngx_iot_topic_group_t *
ngx_iot_topic_group(ngx_iot_topic_node_t *node, const ngx_str_t *name,
    ngx_uint_t create)
{
    ngx_iot_topic_group_t  *group;

    for (group = node->groups; group; group = group->next) {

        if (group->name.len == name->len
            && ngx_memcmp(group->name.data, name->data, name->len) == 0)
        {
            return group;
        }
    }

    if (!create || name->len > NGX_IOT_TOPIC_BYTES) {
        return NULL;
    }

    group = calloc(1, sizeof(ngx_iot_topic_group_t) + name->len);
    if (group == NULL) {
        return NULL;
    }

    group->name.len = name->len;
    group->name.data = (u_char *) (group + 1);
    ngx_memcpy(group->name.data, name->data, name->len);

    group->node = node;
    group->next = node->groups;
    node->groups = group;

    return group;
}


static void
ngx_iot_topic_group_remove(ngx_iot_topic_group_t *group)
{
    ngx_iot_topic_group_t  **p;

    p = &group->node->groups;

    while (*p != group) {
        p = &(*p)->next;
    }

    *p = group->next;

    free(group);
}


static void
ngx_iot_topic_group_weigh(ngx_iot_topic_group_t *group, ngx_uint_t bit,
    uint32_t weight)
{
    group->elsewhere += weight - group->weights[bit];
    group->weights[bit] = weight;

    if (group->members == 0 && group->elsewhere == 0) {
        ngx_iot_topic_group_remove(group);
    }
}
