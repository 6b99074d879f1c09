
/*
 * Copyright (C) the ngx_iot authors
 */


#include <stdlib.h>
#include <sodium.h>

#include "ngx_iot_topic_match.h"


#define ngx_iot_topic_slot(cache, hash)                                       \
    &(cache)->buckets[(hash) & ((cache)->nbuckets - 1)]


typedef struct {
    ngx_iot_topic_node_t    *node;
    ngx_uint_t               level;
} ngx_iot_topic_place_t;


static ngx_iot_topic_entry_t *ngx_iot_topic_lookup(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *name, uint64_t hash);
static ngx_int_t ngx_iot_topic_walk(ngx_iot_topic_tree_t *tree,
    uint64_t *marks);
static ngx_int_t ngx_iot_topic_collect(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_node_t *node, uint64_t *marks);
static ngx_int_t ngx_iot_topic_reserve(void *array, size_t *alloc, size_t n);
static int ngx_iot_topic_by_owner(const void *one, const void *two);
static ngx_iot_topic_entry_t *ngx_iot_topic_entry(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *name, uint64_t hash, uint64_t marks);
static void ngx_iot_topic_cache_add(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry);
static void ngx_iot_topic_cache_remove(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry);
static void ngx_iot_topic_cache_link(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry);
static void ngx_iot_topic_cache_unlink(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry);


ngx_iot_topic_cache_t *
ngx_iot_topic_cache_create(size_t bytes)
{
    ngx_iot_topic_cache_t  *cache;

    cache = calloc(1, sizeof(ngx_iot_topic_cache_t));
    if (cache == NULL) {
        return NULL;
    }

    cache->max = bytes;
    cache->nbuckets = 64;

    while (cache->nbuckets < bytes / 512) {
        cache->nbuckets *= 2;
    }

    cache->buckets = calloc(cache->nbuckets, sizeof(ngx_iot_topic_entry_t *));
    if (cache->buckets == NULL) {
        free(cache);
        return NULL;
    }

    randombytes_buf(cache->key, sizeof(cache->key));

    return cache;
}


void
ngx_iot_topic_cache_destroy(ngx_iot_topic_cache_t *cache)
{
    while (cache->last) {
        ngx_iot_topic_cache_remove(cache, cache->last);
    }

    free(cache->subs);
    free(cache->groups);
    free(cache->buckets);
    free(cache);
}


uint64_t
ngx_iot_topic_hash(ngx_iot_topic_cache_t *cache, const u_char *data,
    size_t len)
{
    uint64_t  hash;

    (void) crypto_shorthash((u_char *) &hash, data, len, cache->key);

    return hash;
}


ngx_iot_topic_match_t *
ngx_iot_topic_match_name(ngx_iot_topic_tree_t *tree, const ngx_str_t *name)
{
    uint64_t                hash, marks;
    ngx_iot_topic_cache_t  *cache;
    ngx_iot_topic_entry_t  *entry;

    if (name->len == 0 || name->len > NGX_IOT_TOPIC_BYTES) {
        return NULL;
    }

    cache = tree->cache;
    hash = ngx_iot_topic_hash(cache, name->data, name->len);

    entry = ngx_iot_topic_lookup(tree, name, hash);

    if (entry) {
        entry->match.refs++;
        return &entry->match;
    }

    if (ngx_iot_topic_split(tree, name) != NGX_OK
        || ngx_iot_topic_walk(tree, &marks) != NGX_OK)
    {
        return NULL;
    }

    if (cache->nsubs > 1) {
        qsort(cache->subs, cache->nsubs, sizeof(ngx_iot_topic_sub_t *),
              ngx_iot_topic_by_owner);
    }

    entry = ngx_iot_topic_entry(tree, name, hash, marks);
    if (entry == NULL) {
        return NULL;
    }

    ngx_iot_topic_cache_add(cache, entry);

    return &entry->match;
}


void
ngx_iot_topic_match_release(ngx_iot_topic_match_t *match)
{
    if (--match->refs == 0) {
        free(match);
    }
}


ngx_iot_topic_sub_t *
ngx_iot_topic_pick(ngx_iot_topic_group_t *group, ngx_uint_t *bit)
{
    uint32_t    turn;
    ngx_uint_t  i;

    if (group->members + group->elsewhere == 0) {
        *bit = NGX_IOT_TOPIC_MARKS;
        return NULL;
    }

    turn = group->turn++ % (group->members + group->elsewhere);

    if (turn < group->members) {
        return ngx_iot_topic_pick_member(group);
    }

    turn -= group->members;

    for (i = 0; turn >= group->weights[i]; i++) {
        turn -= group->weights[i];
    }

    *bit = i;

    return NULL;
}


ngx_iot_topic_sub_t *
ngx_iot_topic_pick_member(ngx_iot_topic_group_t *group)
{
    ngx_iot_topic_sub_t  *sub;

    sub = group->first;

    if (sub) {
        group->first = sub->next;
    }

    return sub;
}


void
ngx_iot_topic_group_join(ngx_iot_topic_group_t *group,
    ngx_iot_topic_sub_t *sub)
{
    if (group->first == NULL) {
        sub->prev = sub;
        sub->next = sub;
        group->first = sub;

    } else {
        sub->next = group->first;
        sub->prev = group->first->prev;
        sub->prev->next = sub;
        sub->next->prev = sub;
    }

    group->members++;
}


ngx_uint_t
ngx_iot_topic_group_leave(ngx_iot_topic_group_t *group,
    ngx_iot_topic_sub_t *sub)
{
    if (sub->next == sub) {
        group->first = NULL;

    } else {
        sub->prev->next = sub->next;
        sub->next->prev = sub->prev;

        if (group->first == sub) {
            group->first = sub->next;
        }
    }

    sub->node = NULL;
    sub->group = NULL;

    return --group->members == 0;
}


static ngx_iot_topic_entry_t *
ngx_iot_topic_lookup(ngx_iot_topic_tree_t *tree, const ngx_str_t *name,
    uint64_t hash)
{
    ngx_iot_topic_entry_t  *entry;
    ngx_iot_topic_cache_t  *cache;

    cache = tree->cache;

    for (entry = *ngx_iot_topic_slot(cache, hash);
         entry;
         entry = entry->chain)
    {
        if (entry->hash == hash
            && entry->tree == tree
            && entry->name.len == name->len
            && ngx_memcmp(entry->name.data, name->data, name->len) == 0)
        {
            break;
        }
    }

    if (entry == NULL) {
        return NULL;
    }

    /* versions are never given twice, also when a tree has another's place */

    if (entry->match.version != tree->version) {
        ngx_iot_topic_cache_remove(cache, entry);
        return NULL;
    }

    if (cache->first != entry) {
        ngx_iot_topic_cache_unlink(cache, entry);
        ngx_iot_topic_cache_link(cache, entry);
    }

    return entry;
}


/*
 * Each step leaves at most one more place for later, so there are never more
 * of them than levels, and one.
 */

static ngx_int_t
ngx_iot_topic_walk(ngx_iot_topic_tree_t *tree, uint64_t *marks)
{
    ngx_uint_t              n, wild;
    ngx_iot_topic_node_t   *node, *child;
    ngx_iot_topic_cache_t  *cache;
    ngx_iot_topic_level_t  *levels;
    ngx_iot_topic_place_t   place, places[NGX_IOT_TOPIC_LEVELS + 2];

    cache = tree->cache;
    cache->nsubs = 0;
    cache->ngroups = 0;
    levels = cache->levels;

    *marks = 0;

    /* MQTT 5.0, section 4.7.2: "$..." is not for who begins with a wildcard */

    wild = (levels[0].len == 0 || levels[0].data[0] != '$');

    places[0].node = tree->root;
    places[0].level = 0;
    n = 1;

    while (n) {
        place = places[--n];
        node = place.node;

        if (node->rest && wild) {
            if (ngx_iot_topic_collect(cache, node->rest, marks) != NGX_OK) {
                return NGX_ERROR;
            }
        }

        if (place.level == cache->nlevels) {
            if (ngx_iot_topic_collect(cache, node, marks) != NGX_OK) {
                return NGX_ERROR;
            }

            continue;
        }

        if (node->plus && wild) {
            places[n].node = node->plus;
            places[n++].level = place.level + 1;
        }

        wild = 1;

        child = ngx_iot_topic_child(tree, node, &levels[place.level]);

        if (child) {
            places[n].node = child;
            places[n++].level = place.level + 1;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_topic_collect(ngx_iot_topic_cache_t *cache, ngx_iot_topic_node_t *node,
    uint64_t *marks)
{
    ngx_iot_topic_sub_t    *sub;
    ngx_iot_topic_group_t  *group;

    *marks |= node->marks;

    if (ngx_iot_topic_reserve(&cache->subs, &cache->subs_alloc,
                              cache->nsubs + node->nsubs)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    for (sub = node->subs; sub; sub = sub->next) {
        cache->subs[cache->nsubs++] = sub;
    }

    for (group = node->groups; group; group = group->next) {

        if (ngx_iot_topic_reserve(&cache->groups, &cache->groups_alloc,
                                  cache->ngroups + 1)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        cache->groups[cache->ngroups++] = group;
    }

    return NGX_OK;
}


/* array points to a pointer to pointers, of whatever type */

static ngx_int_t
ngx_iot_topic_reserve(void *array, size_t *alloc, size_t n)
{
    void    *old, *new;
    size_t   size;

    if (n <= *alloc) {
        return NGX_OK;
    }

    size = ngx_max(n, 2 * *alloc);
    size = ngx_max(size, 64);

    ngx_memcpy(&old, array, sizeof(void *));

    new = realloc(old, size * sizeof(void *));
    if (new == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(array, &new, sizeof(void *));
    *alloc = size;

    return NGX_OK;
}


static int
ngx_iot_topic_by_owner(const void *one, const void *two)
{
    uintptr_t  a, b;

    a = (uintptr_t) (*(ngx_iot_topic_sub_t *const *) one)->owner;
    b = (uintptr_t) (*(ngx_iot_topic_sub_t *const *) two)->owner;

    return (a > b) - (a < b);
}


static ngx_iot_topic_entry_t *
ngx_iot_topic_entry(ngx_iot_topic_tree_t *tree, const ngx_str_t *name,
    uint64_t hash, uint64_t marks)
{
    u_char                 *p;
    size_t                  bytes, subs, groups;
    ngx_iot_topic_cache_t  *cache;
    ngx_iot_topic_entry_t  *entry;

    cache = tree->cache;

    subs = cache->nsubs * sizeof(ngx_iot_topic_sub_t *);
    groups = cache->ngroups * sizeof(ngx_iot_topic_group_t *);

    bytes = sizeof(ngx_iot_topic_entry_t) + subs + groups + name->len;

    entry = malloc(bytes);
    if (entry == NULL) {
        return NULL;
    }

    p = (u_char *) (entry + 1);

    entry->match.marks = marks;
    entry->match.version = tree->version;
    entry->match.refs = 1;
    entry->match.nsubs = cache->nsubs;
    entry->match.ngroups = cache->ngroups;
    entry->match.subs = (ngx_iot_topic_sub_t **) p;
    entry->match.groups = (ngx_iot_topic_group_t **) (p + subs);
    entry->chain = NULL;
    entry->prev = NULL;
    entry->next = NULL;
    entry->tree = tree;
    entry->hash = hash;
    entry->bytes = bytes;
    entry->name.len = name->len;
    entry->name.data = p + subs + groups;

    if (subs) {
        ngx_memcpy(p, cache->subs, subs);
    }

    if (groups) {
        ngx_memcpy(p + subs, cache->groups, groups);
    }

    ngx_memcpy(entry->name.data, name->data, name->len);

    return entry;
}


static void
ngx_iot_topic_cache_add(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry)
{
    ngx_iot_topic_entry_t  **bucket;

    /* one answer must not turn out all others */

    if (entry->bytes > cache->max / 4) {
        return;
    }

    while (cache->bytes + entry->bytes > cache->max) {
        ngx_iot_topic_cache_remove(cache, cache->last);
    }

    bucket = ngx_iot_topic_slot(cache, entry->hash);
    entry->chain = *bucket;
    *bucket = entry;

    ngx_iot_topic_cache_link(cache, entry);

    cache->bytes += entry->bytes;
    entry->match.refs++;
}


static void
ngx_iot_topic_cache_remove(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry)
{
    ngx_iot_topic_entry_t  **p;

    p = ngx_iot_topic_slot(cache, entry->hash);

    while (*p != entry) {
        p = &(*p)->chain;
    }

    *p = entry->chain;

    ngx_iot_topic_cache_unlink(cache, entry);

    cache->bytes -= entry->bytes;

    ngx_iot_topic_match_release(&entry->match);
}


static void
ngx_iot_topic_cache_link(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry)
{
    entry->prev = NULL;
    entry->next = cache->first;

    if (cache->first) {
        cache->first->prev = entry;

    } else {
        cache->last = entry;
    }

    cache->first = entry;
}


static void
ngx_iot_topic_cache_unlink(ngx_iot_topic_cache_t *cache,
    ngx_iot_topic_entry_t *entry)
{
    if (entry->prev) {
        entry->prev->next = entry->next;

    } else {
        cache->first = entry->next;
    }

    if (entry->next) {
        entry->next->prev = entry->prev;

    } else {
        cache->last = entry->prev;
    }
}
