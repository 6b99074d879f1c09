
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_key.h"
#include "ngx_iot_metrics.h"


#define NGX_IOT_KEYS  65536


typedef struct {
    ngx_str_node_t   node;
    ngx_queue_t      lru;
    uint32_t         id;
} ngx_iot_key_t;


static ngx_rbtree_t       ngx_iot_key_tree;
static ngx_rbtree_node_t  ngx_iot_key_sentinel;
static ngx_queue_t        ngx_iot_key_lru;
static ngx_uint_t         ngx_iot_keys;


static void ngx_iot_key_forget(ngx_iot_key_t *key);


ngx_int_t
ngx_iot_key_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_key_tree, &ngx_iot_key_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_key_lru);
    ngx_iot_keys = 0;

    return NGX_OK;
}


void
ngx_iot_key_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t  *q;

    while (!ngx_queue_empty(&ngx_iot_key_lru)) {
        q = ngx_queue_head(&ngx_iot_key_lru);
        ngx_iot_key_forget(ngx_queue_data(q, ngx_iot_key_t, lru));
    }
}


uint32_t
ngx_iot_key_find(ngx_str_t *name)
{
    uint32_t        hash;
    ngx_iot_key_t  *key;

    hash = ngx_murmur_hash2(name->data, name->len);

    key = (ngx_iot_key_t *) ngx_str_rbtree_lookup(&ngx_iot_key_tree, name,
                                                  hash);
    if (key == NULL) {
        ngx_iot_count(cache_key_misses);
        return 0;
    }

    ngx_iot_count(cache_key_hits);

    ngx_queue_remove(&key->lru);
    ngx_queue_insert_head(&ngx_iot_key_lru, &key->lru);

    return key->id;
}


void
ngx_iot_key_learn(ngx_str_t *name, uint32_t id)
{
    uint32_t        hash;
    ngx_queue_t    *q;
    ngx_iot_key_t  *key;

    hash = ngx_murmur_hash2(name->data, name->len);

    if (ngx_str_rbtree_lookup(&ngx_iot_key_tree, name, hash)) {
        return;
    }

    if (ngx_iot_keys == NGX_IOT_KEYS) {
        q = ngx_queue_last(&ngx_iot_key_lru);
        ngx_iot_key_forget(ngx_queue_data(q, ngx_iot_key_t, lru));
    }

    key = ngx_alloc(sizeof(ngx_iot_key_t) + name->len, ngx_cycle->log);
    if (key == NULL) {
        return;
    }

    key->node.str.data = (u_char *) key + sizeof(ngx_iot_key_t);
    key->node.str.len = name->len;
    ngx_memcpy(key->node.str.data, name->data, name->len);

    key->node.node.key = hash;
    key->id = id;

    ngx_rbtree_insert(&ngx_iot_key_tree, &key->node.node);
    ngx_queue_insert_head(&ngx_iot_key_lru, &key->lru);
    ngx_iot_keys++;
}


static void
ngx_iot_key_forget(ngx_iot_key_t *key)
{
    ngx_rbtree_delete(&ngx_iot_key_tree, &key->node.node);
    ngx_queue_remove(&key->lru);
    ngx_free(key);
    ngx_iot_keys--;
}
