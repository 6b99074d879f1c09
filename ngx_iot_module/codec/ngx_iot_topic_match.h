
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TOPIC_MATCH_H_INCLUDED_
#define _NGX_IOT_TOPIC_MATCH_H_INCLUDED_


#include "ngx_iot_topic_tree.h"


/* what the two files of the topic tree share; for nobody else */

#define NGX_IOT_TOPIC_BYTES  65535


typedef struct ngx_iot_topic_entry_s  ngx_iot_topic_entry_t;


typedef struct {
    uint64_t                 hash;
    size_t                   len;
    u_char                  *data;
} ngx_iot_topic_level_t;


struct ngx_iot_topic_node_s {
    ngx_iot_topic_node_t    *chain;       /* of the bucket */
    ngx_iot_topic_node_t    *parent;
    ngx_iot_topic_node_t    *plus;
    ngx_iot_topic_node_t    *rest;        /* "#" */
    ngx_iot_topic_node_t    *prev;        /* in the order of making */
    ngx_iot_topic_node_t    *next;
    ngx_iot_topic_sub_t     *subs;
    ngx_iot_topic_group_t   *groups;
    uint64_t                 marks;
    uint64_t                 hash;        /* of the name */
    uint64_t                 id;
    uint32_t                 nsubs;
    uint32_t                 named;       /* children but "+" and "#" */
    uint16_t                 len;
    u_char                   name[1];
};


struct ngx_iot_topic_tree_s {
    ngx_iot_topic_node_t    *root;
    ngx_iot_topic_node_t    *last;        /* all nodes but the root */
    ngx_iot_topic_node_t   **buckets;
    size_t                   nbuckets;
    size_t                   nnamed;
    uint64_t                 last_id;
    uint64_t                 version;
    ngx_iot_topic_cache_t   *cache;
};


/* one answer of the cache; the match must be first */

struct ngx_iot_topic_entry_s {
    ngx_iot_topic_match_t    match;
    ngx_iot_topic_entry_t   *chain;
    ngx_iot_topic_entry_t   *prev;        /* younger */
    ngx_iot_topic_entry_t   *next;
    ngx_iot_topic_tree_t    *tree;
    uint64_t                 hash;
    size_t                   bytes;
    ngx_str_t                name;
};


struct ngx_iot_topic_cache_s {
    ngx_iot_topic_entry_t  **buckets;
    size_t                   nbuckets;
    ngx_iot_topic_entry_t   *first;       /* the youngest */
    ngx_iot_topic_entry_t   *last;
    size_t                   bytes;
    size_t                   max;
    uint64_t                 version;     /* the last one given to a tree */

    ngx_iot_topic_sub_t    **subs;        /* of the answer being made */
    size_t                   nsubs;
    size_t                   subs_alloc;
    ngx_iot_topic_group_t  **groups;
    size_t                   ngroups;
    size_t                   groups_alloc;

    ngx_uint_t               nlevels;
    ngx_iot_topic_level_t    levels[NGX_IOT_TOPIC_LEVELS];

    u_char                   key[16];
};


uint64_t ngx_iot_topic_hash(ngx_iot_topic_cache_t *cache, const u_char *data,
    size_t len);
ngx_int_t ngx_iot_topic_split(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *topic);
ngx_iot_topic_node_t *ngx_iot_topic_child(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t *parent, ngx_iot_topic_level_t *level);

void ngx_iot_topic_group_join(ngx_iot_topic_group_t *group,
    ngx_iot_topic_sub_t *sub);

/* 1 if it was the last one */
ngx_uint_t ngx_iot_topic_group_leave(ngx_iot_topic_group_t *group,
    ngx_iot_topic_sub_t *sub);


#endif /* _NGX_IOT_TOPIC_MATCH_H_INCLUDED_ */
