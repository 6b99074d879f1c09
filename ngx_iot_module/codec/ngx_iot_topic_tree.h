
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_TOPIC_TREE_H_INCLUDED_
#define _NGX_IOT_TOPIC_TREE_H_INCLUDED_


#include "ngx_iot_codec.h"


/*
 * Who subscribed to what: a tree of topic levels (MQTT 5.0, section 4.7) that
 * answers which subscriptions match a name.  A node has its children by name
 * in a hash of the whole tree, the children "+" and "#" apart.  Answers are
 * kept in a cache, which many trees share, until the tree changes.
 *
 * Nothing here recurses.  Filters and names must have been checked, as by
 * ngx_iot_topic_filter_check() without "$share/GROUP/", and have at most
 * NGX_IOT_TOPIC_LEVELS levels.  Memory comes from malloc().
 */

#define NGX_IOT_TOPIC_LEVELS  256
#define NGX_IOT_TOPIC_MARKS   64


typedef struct ngx_iot_topic_tree_s   ngx_iot_topic_tree_t;
typedef struct ngx_iot_topic_cache_s  ngx_iot_topic_cache_t;
typedef struct ngx_iot_topic_node_s   ngx_iot_topic_node_t;
typedef struct ngx_iot_topic_group_s  ngx_iot_topic_group_t;
typedef struct ngx_iot_topic_sub_s    ngx_iot_topic_sub_t;


/* a subscription: the owner's memory, usually the head of something larger */

struct ngx_iot_topic_sub_s {
    ngx_iot_topic_node_t    *node;        /* NULL: not in a tree */
    ngx_iot_topic_group_t   *group;       /* NULL: not shared */
    ngx_iot_topic_sub_t     *prev;
    ngx_iot_topic_sub_t     *next;
    void                    *owner;       /* matches are sorted by it */
};


/*
 * The members of a shared subscription, in a ring; first is whose turn it is.
 * The weights are how many members there are elsewhere.
 */

struct ngx_iot_topic_group_s {
    ngx_iot_topic_node_t    *node;
    ngx_iot_topic_group_t   *next;
    ngx_iot_topic_sub_t     *first;
    uint32_t                 members;
    uint32_t                 elsewhere;   /* sum of weights */
    uint32_t                 turn;
    uint32_t                 weights[NGX_IOT_TOPIC_MARKS];
    ngx_str_t                name;
};


/* valid until ngx_iot_topic_match_release() */

typedef struct {
    uint64_t                 marks;       /* set in any node that matches */
    uint64_t                 version;     /* of the tree */
    ngx_uint_t               refs;
    ngx_uint_t               nsubs;
    ngx_uint_t               ngroups;
    ngx_iot_topic_sub_t    **subs;        /* sorted by owner */
    ngx_iot_topic_group_t  **groups;
} ngx_iot_topic_match_t;


/* "bytes" is the most that all answers together may take */
ngx_iot_topic_cache_t *ngx_iot_topic_cache_create(size_t bytes);
void ngx_iot_topic_cache_destroy(ngx_iot_topic_cache_t *cache);

/* Trees must go before their cache.  Subscriptions still in it are let go. */
ngx_iot_topic_tree_t *ngx_iot_topic_tree_create(ngx_iot_topic_cache_t *cache);
void ngx_iot_topic_tree_destroy(ngx_iot_topic_tree_t *tree);

/* 1 if nothing is subscribed and nothing marked */
ngx_uint_t ngx_iot_topic_tree_empty(ngx_iot_topic_tree_t *tree);

/* changes with every change of the tree: a match of another version is old */
uint64_t ngx_iot_topic_tree_version(ngx_iot_topic_tree_t *tree);

/*
 * "sub" is set up here but for its owner; group NULL or empty: not shared.
 * NGX_OK; NGX_DONE: OK, and the first (or, removing, the last) of its filter
 * that is not shared, which never is said of a shared one.  NGX_ERROR: no
 * memory, or too many levels.
 */
ngx_int_t ngx_iot_topic_subscribe(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, const ngx_str_t *group,
    ngx_iot_topic_sub_t *sub);
ngx_int_t ngx_iot_topic_unsubscribe(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_sub_t *sub);

/*
 * Marks stand for others who are interested in a filter: bit 0 to 63.  A
 * weight is the same for a shared subscription; 0 takes it away.
 */
ngx_int_t ngx_iot_topic_mark(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, ngx_uint_t bit);
void ngx_iot_topic_unmark(ngx_iot_topic_tree_t *tree, const ngx_str_t *filter,
    ngx_uint_t bit);
ngx_int_t ngx_iot_topic_weigh(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, const ngx_str_t *group, ngx_uint_t bit,
    uint32_t weight);

/* Takes a bit, and its weights, away from all filters. */
void ngx_iot_topic_unmark_all(ngx_iot_topic_tree_t *tree, ngx_uint_t bit);

/* NULL if there is no memory or the name has too many levels */
ngx_iot_topic_match_t *ngx_iot_topic_match_name(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *name);
void ngx_iot_topic_match_release(ngx_iot_topic_match_t *match);

/*
 * Whose turn it is: a member, which then goes to the end of the ring, or NULL
 * and the bit of somebody elsewhere.
 */
ngx_iot_topic_sub_t *ngx_iot_topic_pick(ngx_iot_topic_group_t *group,
    ngx_uint_t *bit);

/* the same among the members only; NULL if there are none */
ngx_iot_topic_sub_t *ngx_iot_topic_pick_member(ngx_iot_topic_group_t *group);

/* NULL if there is none; to find a shared subscription named by somebody */
ngx_iot_topic_group_t *ngx_iot_topic_group_find(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, const ngx_str_t *group);

/*
 * The subscription of an owner.  NGX_OK; NGX_DECLINED: it has none; NGX_AGAIN:
 * it is not among the first "most" of that filter or group.
 */
ngx_int_t ngx_iot_topic_sub_of(ngx_iot_topic_tree_t *tree,
    const ngx_str_t *filter, const ngx_str_t *group, const void *owner,
    ngx_uint_t most, ngx_iot_topic_sub_t **found);

/*
 * Walks all filters that have subscriptions of their own.  Start with *node
 * NULL; NGX_DONE after the last.  The tree must not change meanwhile.  The
 * filter is written to "buf", which has room for NGX_IOT_TOPIC_MAX bytes.
 */
ngx_int_t ngx_iot_topic_next(ngx_iot_topic_tree_t *tree,
    ngx_iot_topic_node_t **node, u_char *buf, ngx_str_t *filter);

/* the filter of a node, as above */
void ngx_iot_topic_filter(ngx_iot_topic_node_t *node, u_char *buf,
    ngx_str_t *filter);

/* of a node: how many subscriptions are not shared, and its groups */
uint32_t ngx_iot_topic_subscribed(ngx_iot_topic_node_t *node);
ngx_iot_topic_group_t *ngx_iot_topic_groups(ngx_iot_topic_node_t *node);


#endif /* _NGX_IOT_TOPIC_TREE_H_INCLUDED_ */
