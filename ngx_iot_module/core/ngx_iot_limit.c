
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "ngx_iot_limit.h"
#include "ngx_iot_module.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_LIMIT_ID     16
#define NGX_IOT_LIMIT_SHARE  4        /* of the zone: a fourth */


/*
 * A bucket counts in units that make it exact: with capacity c in s seconds a
 * token is 1000 * s units, the bucket holds c tokens, and c units come in
 * with each millisecond.
 */

typedef struct {
    ngx_iot_limit_window_t  window;
    uint64_t                level;
} ngx_iot_bucket_t;


typedef struct {
    ngx_rbtree_node_t       node;
    ngx_queue_t             queue;
    u_char                  id[NGX_IOT_LIMIT_ID];
    ngx_msec_t              updated;
    ngx_uint_t              n;
    ngx_iot_bucket_t        buckets[NGX_IOT_LIMIT_WINDOWS];
} ngx_iot_limit_node_t;


typedef struct {
    ngx_rbtree_t            tree;
    ngx_rbtree_node_t       sentinel;
    ngx_queue_t             queue;      /* the least recently used at the end */
    ngx_uint_t              n;
    ngx_uint_t              max;
} ngx_iot_limit_zone_t;


static ngx_int_t ngx_iot_limit_number(u_char **pos, u_char *last, u_char end,
    ngx_int_t max, uint32_t *value);
static void ngx_iot_limit_insert(ngx_rbtree_node_t *temp,
    ngx_rbtree_node_t *node, ngx_rbtree_node_t *sentinel);
static void ngx_iot_limit_id(u_char *id, char *what, ngx_str_t *key);
static ngx_iot_limit_node_t *ngx_iot_limit_find(ngx_iot_limit_zone_t *lz,
    u_char *id);
static ngx_iot_limit_node_t *ngx_iot_limit_create(ngx_iot_limit_zone_t *lz,
    ngx_slab_pool_t *shpool, u_char *id);
static void ngx_iot_limit_forget(ngx_iot_limit_zone_t *lz,
    ngx_slab_pool_t *shpool, ngx_iot_limit_node_t *node);
static void ngx_iot_limit_fill(ngx_iot_limit_node_t *node,
    ngx_iot_limit_t *limit);
static void ngx_iot_limit_refill(ngx_iot_limit_node_t *node,
    ngx_iot_limit_t *limit);
static ngx_int_t ngx_iot_limit_consume(ngx_iot_limit_node_t *node,
    ngx_uint_t n, ngx_uint_t *retry_after);


ngx_int_t
ngx_iot_limit_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_zone_t        *zone;
    ngx_slab_pool_t       *shpool;
    ngx_iot_limit_zone_t  *lz;

    zone = ngx_iot_zone();
    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    if (zone->limits) {
        ngx_shmtx_unlock(&shpool->mutex);
        return NGX_OK;
    }

    lz = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_limit_zone_t));

    if (lz) {
        ngx_rbtree_init(&lz->tree, &lz->sentinel, ngx_iot_limit_insert);
        ngx_queue_init(&lz->queue);

        lz->max = (shpool->end - (u_char *) shpool) / NGX_IOT_LIMIT_SHARE
                  / (2 * sizeof(ngx_iot_limit_node_t));
        zone->limits = lz;
    }

    ngx_shmtx_unlock(&shpool->mutex);

    return lz ? NGX_OK : NGX_ERROR;
}


ngx_int_t
ngx_iot_limit_parse(ngx_iot_limit_t *limit, ngx_str_t *text)
{
    u_char                  *p, *last;
    ngx_uint_t               i;
    ngx_iot_limit_t          result;
    ngx_iot_limit_window_t  *w;

    result.n = 0;

    p = text->data;
    last = p + text->len;

    while (p < last) {

        if (result.n == NGX_IOT_LIMIT_WINDOWS) {
            return NGX_ERROR;
        }

        w = &result.windows[result.n];

        if (ngx_iot_limit_number(&p, last, ':', NGX_IOT_LIMIT_MAX_CAPACITY,
                                 &w->capacity)
            != NGX_OK
            || ngx_iot_limit_number(&p, last, ',', NGX_IOT_LIMIT_MAX_SECONDS,
                                    &w->seconds)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (i = 0; i < result.n; i++) {
            if (result.windows[i].seconds == w->seconds) {
                return NGX_ERROR;
            }
        }

        result.n++;
    }

    if (text->len && text->data[text->len - 1] == ',') {
        return NGX_ERROR;
    }

    *limit = result;

    return NGX_OK;
}


/* digits up to the character, which the last number may lack if it is "," */

static ngx_int_t
ngx_iot_limit_number(u_char **pos, u_char *last, u_char end, ngx_int_t max,
    uint32_t *value)
{
    u_char     *p;
    ngx_int_t   n;

    for (p = *pos; p < last && *p != end; p++) { /* void */ }

    if (p == last && end == ':') {
        return NGX_ERROR;
    }

    n = ngx_atoi(*pos, p - *pos);

    if (n == NGX_ERROR || n == 0 || n > max) {
        return NGX_ERROR;
    }

    *value = (uint32_t) n;
    *pos = (p < last) ? p + 1 : p;

    return NGX_OK;
}


ngx_int_t
ngx_iot_limit_take(ngx_iot_limit_t *limit, char *what, ngx_str_t *key,
    ngx_uint_t n, ngx_uint_t *retry_after)
{
    u_char                 id[NGX_IOT_LIMIT_ID];
    ngx_int_t              rc;
    ngx_slab_pool_t       *shpool;
    ngx_iot_limit_node_t  *node;
    ngx_iot_limit_zone_t  *lz;

    *retry_after = 0;

    lz = ngx_iot_zone()->limits;

    if (limit->n == 0 || n == 0 || lz == NULL) {
        return NGX_OK;
    }

    ngx_iot_limit_id(id, what, key);

    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_iot_limit_find(lz, id);

    if (node == NULL) {
        node = ngx_iot_limit_create(lz, shpool, id);

        if (node == NULL) {
            ngx_shmtx_unlock(&shpool->mutex);

            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "no memory for rate limits in the iot zone");
            return NGX_OK;
        }

        ngx_iot_limit_fill(node, limit);

    } else {
        ngx_iot_limit_refill(node, limit);

        ngx_queue_remove(&node->queue);
        ngx_queue_insert_head(&lz->queue, &node->queue);
    }

    rc = ngx_iot_limit_consume(node, n, retry_after);

    ngx_shmtx_unlock(&shpool->mutex);

    return rc;
}


void
ngx_iot_limit_left(ngx_iot_limit_t *limit, char *what, ngx_str_t *key,
    ngx_iot_limit_left_t *left)
{
    u_char                 id[NGX_IOT_LIMIT_ID];
    uint64_t               full, tokens;
    ngx_uint_t             i;
    ngx_slab_pool_t       *shpool;
    ngx_iot_bucket_t      *b;
    ngx_iot_limit_node_t  *node;
    ngx_iot_limit_zone_t  *lz;

    left->limit = limit->n ? limit->windows[0].capacity : 0;
    left->remaining = left->limit;
    left->reset = 0;

    lz = ngx_iot_zone()->limits;

    if (limit->n == 0 || lz == NULL) {
        return;
    }

    ngx_iot_limit_id(id, what, key);

    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_iot_limit_find(lz, id);

    for (i = 0; node && i < node->n; i++) {
        b = &node->buckets[i];

        full = (uint64_t) b->window.capacity * 1000 * b->window.seconds;
        tokens = b->level / 1000 / b->window.seconds;

        if (i == 0 || tokens < left->remaining) {
            left->limit = b->window.capacity;
            left->remaining = tokens;
            left->reset = (full - b->level + b->window.capacity * 1000ULL - 1)
                          / (b->window.capacity * 1000ULL);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


void
ngx_iot_limit_give(ngx_iot_limit_t *limit, char *what, ngx_str_t *key,
    ngx_uint_t n)
{
    u_char                 id[NGX_IOT_LIMIT_ID];
    uint64_t               full, back;
    ngx_uint_t             i;
    ngx_slab_pool_t       *shpool;
    ngx_iot_bucket_t      *b;
    ngx_iot_limit_node_t  *node;
    ngx_iot_limit_zone_t  *lz;

    lz = ngx_iot_zone()->limits;

    if (limit->n == 0 || lz == NULL) {
        return;
    }

    ngx_iot_limit_id(id, what, key);

    shpool = ngx_iot_zone_pool();

    ngx_shmtx_lock(&shpool->mutex);

    node = ngx_iot_limit_find(lz, id);

    if (node) {
        ngx_iot_limit_refill(node, limit);

        for (i = 0; i < node->n; i++) {
            b = &node->buckets[i];

            full = (uint64_t) b->window.capacity * 1000 * b->window.seconds;

            /* never more than the bucket holds, or it might overflow */
            back = (uint64_t) ngx_min(n, b->window.capacity) * 1000
                   * b->window.seconds;

            b->level = ngx_min(full, b->level + back);
        }
    }

    ngx_shmtx_unlock(&shpool->mutex);
}


static void
ngx_iot_limit_id(u_char *id, char *what, ngx_str_t *key)
{
    crypto_generichash_state  state;

    (void) crypto_generichash_init(&state, NULL, 0, NGX_IOT_LIMIT_ID);
    (void) crypto_generichash_update(&state, (u_char *) what,
                                     ngx_strlen(what) + 1);
    (void) crypto_generichash_update(&state, key->data, key->len);
    (void) crypto_generichash_final(&state, id, NGX_IOT_LIMIT_ID);
}


static void
ngx_iot_limit_insert(ngx_rbtree_node_t *temp, ngx_rbtree_node_t *node,
    ngx_rbtree_node_t *sentinel)
{
    ngx_rbtree_node_t     **p;
    ngx_iot_limit_node_t   *ln, *lt;

    for ( ;; ) {

        if (node->key != temp->key) {
            p = (node->key < temp->key) ? &temp->left : &temp->right;

        } else {
            ln = (ngx_iot_limit_node_t *) node;
            lt = (ngx_iot_limit_node_t *) temp;

            p = (ngx_memcmp(ln->id, lt->id, NGX_IOT_LIMIT_ID) < 0)
                ? &temp->left : &temp->right;
        }

        if (*p == sentinel) {
            break;
        }

        temp = *p;
    }

    *p = node;
    node->parent = temp;
    node->left = sentinel;
    node->right = sentinel;
    ngx_rbt_red(node);
}


static ngx_iot_limit_node_t *
ngx_iot_limit_find(ngx_iot_limit_zone_t *lz, u_char *id)
{
    uint32_t               key;
    ngx_int_t              rc;
    ngx_rbtree_node_t     *node;
    ngx_iot_limit_node_t  *ln;

    ngx_memcpy(&key, id, sizeof(uint32_t));

    node = lz->tree.root;

    while (node != lz->tree.sentinel) {

        if (key != node->key) {
            node = (key < node->key) ? node->left : node->right;
            continue;
        }

        ln = (ngx_iot_limit_node_t *) node;

        rc = ngx_memcmp(id, ln->id, NGX_IOT_LIMIT_ID);
        if (rc == 0) {
            return ln;
        }

        node = (rc < 0) ? node->left : node->right;
    }

    return NULL;
}


static ngx_iot_limit_node_t *
ngx_iot_limit_create(ngx_iot_limit_zone_t *lz, ngx_slab_pool_t *shpool,
    u_char *id)
{
    uint32_t               key;
    ngx_iot_limit_node_t  *node;

    if (lz->n >= lz->max) {
        node = ngx_queue_data(ngx_queue_last(&lz->queue),
                              ngx_iot_limit_node_t, queue);
        ngx_iot_limit_forget(lz, shpool, node);
    }

    node = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_limit_node_t));

    if (node == NULL && lz->n) {
        node = ngx_queue_data(ngx_queue_last(&lz->queue),
                              ngx_iot_limit_node_t, queue);
        ngx_iot_limit_forget(lz, shpool, node);

        node = ngx_slab_calloc_locked(shpool, sizeof(ngx_iot_limit_node_t));
    }

    if (node == NULL) {
        return NULL;
    }

    ngx_memcpy(&key, id, sizeof(uint32_t));
    ngx_memcpy(node->id, id, NGX_IOT_LIMIT_ID);
    node->node.key = key;

    ngx_rbtree_insert(&lz->tree, &node->node);
    ngx_queue_insert_head(&lz->queue, &node->queue);
    lz->n++;

    return node;
}


static void
ngx_iot_limit_forget(ngx_iot_limit_zone_t *lz, ngx_slab_pool_t *shpool,
    ngx_iot_limit_node_t *node)
{
    ngx_rbtree_delete(&lz->tree, &node->node);
    ngx_queue_remove(&node->queue);
    lz->n--;

    ngx_slab_free_locked(shpool, node);
}


static void
ngx_iot_limit_fill(ngx_iot_limit_node_t *node, ngx_iot_limit_t *limit)
{
    ngx_uint_t         i;
    ngx_iot_bucket_t  *b;

    for (i = 0; i < limit->n; i++) {
        b = &node->buckets[i];

        b->window = limit->windows[i];
        b->level = (uint64_t) b->window.capacity * 1000 * b->window.seconds;
    }

    node->n = limit->n;
    node->updated = ngx_current_msec;
}


static void
ngx_iot_limit_refill(ngx_iot_limit_node_t *node, ngx_iot_limit_t *limit)
{
    uint64_t            full, ms;
    ngx_uint_t          i;
    ngx_msec_int_t      passed;
    ngx_iot_bucket_t   *b;

    if (node->n != limit->n) {
        ngx_iot_limit_fill(node, limit);
        return;
    }

    for (i = 0; i < node->n; i++) {
        b = &node->buckets[i];

        if (b->window.capacity != limit->windows[i].capacity
            || b->window.seconds != limit->windows[i].seconds)
        {
            /* the limit was changed */
            ngx_iot_limit_fill(node, limit);
            return;
        }
    }

    passed = (ngx_msec_int_t) (ngx_current_msec - node->updated);

    /* another worker may have looked at the clock later */
    if (passed <= 0) {
        return;
    }

    node->updated = ngx_current_msec;

    for (i = 0; i < node->n; i++) {
        b = &node->buckets[i];

        full = (uint64_t) b->window.capacity * 1000 * b->window.seconds;
        ms = ngx_min((uint64_t) passed, (uint64_t) b->window.seconds * 1000);

        b->level = ngx_min(full, b->level + ms * b->window.capacity);
    }
}


static ngx_int_t
ngx_iot_limit_consume(ngx_iot_limit_node_t *node, ngx_uint_t n,
    ngx_uint_t *retry_after)
{
    uint64_t           need, seconds;
    ngx_int_t          rc;
    ngx_uint_t         i;
    ngx_iot_bucket_t  *b;

    rc = NGX_OK;

    for (i = 0; i < node->n; i++) {
        b = &node->buckets[i];

        if (n > b->window.capacity) {
            /* never, but a client must be told a number */
            *retry_after = ngx_max(*retry_after, b->window.seconds);
            rc = NGX_BUSY;
            continue;
        }

        need = (uint64_t) n * 1000 * b->window.seconds;

        if (b->level < need) {
            seconds = (need - b->level) / b->window.capacity / 1000 + 1;
            *retry_after = ngx_max(*retry_after, (ngx_uint_t) seconds);
            rc = NGX_BUSY;
        }
    }

    if (rc != NGX_OK) {
        return rc;
    }

    for (i = 0; i < node->n; i++) {
        b = &node->buckets[i];
        b->level -= (uint64_t) n * 1000 * b->window.seconds;
    }

    return NGX_OK;
}


void
ngx_iot_limit_network(ngx_connection_t *c, ngx_str_t *key)
{
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;

    if (c->sockaddr->sa_family == AF_INET6) {
        sin6 = (struct sockaddr_in6 *) c->sockaddr;

        if (!IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
            key->data = (u_char *) &sin6->sin6_addr;
            key->len = 8;
            return;
        }
    }
#endif

    *key = c->addr_text;
}
