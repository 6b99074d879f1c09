
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../device/ngx_iot_activity.h"
#include "ngx_iot_mqtt_gw.h"


#define NGX_IOT_MQTT_GW_SEEN  1000


static ngx_int_t ngx_iot_mqtt_gw_peer(ngx_iot_mqtt_gw_t *gw,
    ngx_iot_device_t *device, ngx_iot_mqtt_tb_peer_t **fresh);
static void ngx_iot_mqtt_gw_swap(ngx_iot_mqtt_tb_peer_t *peer,
    ngx_iot_device_t *device);
static ngx_rbtree_node_t *ngx_iot_mqtt_gw_first(ngx_rbtree_key_t key);
static void ngx_iot_mqtt_gw_check(ngx_iot_mqtt_tb_peer_t *peer);
static void ngx_iot_mqtt_gw_checked(ngx_iot_gateway_find_t *find,
    ngx_int_t rc);


/* what is asked about a device that has changed */

typedef struct {
    ngx_iot_gateway_find_t    find;
    ngx_iot_gateway_item_t    item;
    ngx_pool_t               *pool;
    u_char                    id[NGX_IOT_UUID_TEXT];
} ngx_iot_mqtt_gw_check_t;


/* peers of all sessions, by a hash of their ids */

static ngx_rbtree_t       ngx_iot_mqtt_gw_ids;
static ngx_rbtree_node_t  ngx_iot_mqtt_gw_sentinel;


ngx_int_t
ngx_iot_mqtt_gw_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_mqtt_gw_ids, &ngx_iot_mqtt_gw_sentinel,
                    ngx_rbtree_insert_value);

    return NGX_OK;
}


ngx_iot_mqtt_tb_peer_t *
ngx_iot_mqtt_gw_find(ngx_iot_mqtt_gw_t *gw, ngx_str_t *name)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2(name->data, name->len);

    return (ngx_iot_mqtt_tb_peer_t *) ngx_str_rbtree_lookup(&gw->peers, name,
                                                            hash);
}


void
ngx_iot_mqtt_gw_attach(ngx_iot_mqtt_gw_t *gw, ngx_iot_gateway_item_t *items,
    ngx_uint_t *reasons, ngx_uint_t n, ngx_pool_t *pool)
{
    ngx_int_t                 rc;
    ngx_uint_t                i, nfronts;
    ngx_iot_rpc_front_t     **fronts;
    ngx_iot_mqtt_tb_peer_t   *peer, *fresh;

    nfronts = 0;

    fronts = ngx_palloc(pool, n * sizeof(ngx_iot_rpc_front_t *));

    for (i = 0; i < n; i++) {

        if (reasons[i]) {
            peer = ngx_iot_mqtt_gw_find(gw, &items[i].name);

            if (peer) {
                ngx_iot_mqtt_gw_detach(gw, peer);
            }

            continue;
        }

        fresh = NULL;

        rc = fronts ? ngx_iot_mqtt_gw_peer(gw, items[i].device, &fresh)
                    : NGX_ERROR;

        if (rc != NGX_OK) {
            reasons[i] = (rc == NGX_BUSY) ? NGX_IOT_MQTT_QUOTA
                                          : NGX_IOT_MQTT_UNAVAILABLE;
        }

        if (fresh) {
            fronts[nfronts++] = &fresh->front;
        }
    }

    ngx_iot_rpc_open_all(fronts, nfronts);
}


/* NGX_BUSY: the session has too many */

static ngx_int_t
ngx_iot_mqtt_gw_peer(ngx_iot_mqtt_gw_t *gw, ngx_iot_device_t *device,
    ngx_iot_mqtt_tb_peer_t **fresh)
{
    ngx_iot_mqtt_tb_peer_t  *peer;

    peer = ngx_iot_mqtt_gw_find(gw, &device->name);

    if (peer && ngx_memcmp(peer->device->id, device->id, NGX_IOT_UUID_TEXT)
                == 0)
    {
        ngx_iot_mqtt_gw_swap(peer, device);
        return NGX_OK;
    }

    if (peer) {
        /* another has its name now */
        ngx_iot_mqtt_gw_detach(gw, peer);
    }

    if (gw->npeers >= NGX_IOT_MQTT_GW_PEERS) {
        return NGX_BUSY;
    }

    peer = ngx_calloc(sizeof(ngx_iot_mqtt_tb_peer_t), ngx_cycle->log);
    if (peer == NULL) {
        return NGX_ERROR;
    }

    peer->tb = gw->tb;
    peer->behind = 1;
    peer->device = device;
    device->refs++;

    peer->node.str = device->name;
    peer->node.node.key = ngx_murmur_hash2(device->name.data,
                                           device->name.len);
    ngx_rbtree_insert(&gw->peers, &peer->node.node);

    peer->id.key = ngx_murmur_hash2(device->id, NGX_IOT_UUID_TEXT);
    ngx_rbtree_insert(&ngx_iot_mqtt_gw_ids, &peer->id);

    gw->npeers++;
    ngx_iot_activity(device->nr, NGX_IOT_ACTIVITY_CONNECTED);

    if (ngx_iot_mqtt_tb_watch(peer) != NGX_OK
        || ngx_iot_mqtt_tb_listen(peer, 1) != NGX_OK)
    {
        ngx_iot_mqtt_gw_detach(gw, peer);
        return NGX_ERROR;
    }

    *fresh = peer;

    return NGX_OK;
}


/* the same device, as it is now */

static void
ngx_iot_mqtt_gw_swap(ngx_iot_mqtt_tb_peer_t *peer, ngx_iot_device_t *device)
{
    ngx_iot_device_release(peer->device);

    peer->device = device;
    peer->node.str = device->name;
    device->refs++;
}


void
ngx_iot_mqtt_gw_detach(ngx_iot_mqtt_gw_t *gw, ngx_iot_mqtt_tb_peer_t *peer)
{
    ngx_rbtree_delete(&gw->peers, &peer->node.node);
    ngx_rbtree_delete(&ngx_iot_mqtt_gw_ids, &peer->id);
    gw->npeers--;

    ngx_iot_mqtt_tb_unwatch(peer);
    ngx_iot_mqtt_tb_unlisten(peer);

    ngx_iot_activity(peer->device->nr, NGX_IOT_ACTIVITY_DISCONNECTED);
    ngx_iot_device_release(peer->device);

    ngx_free(peer);
}


void
ngx_iot_mqtt_gw_detach_all(ngx_iot_mqtt_gw_t *gw)
{
    ngx_rbtree_node_t  *node;

    while (gw->peers.root != &gw->sentinel) {
        node = ngx_rbtree_min(gw->peers.root, &gw->sentinel);
        ngx_iot_mqtt_gw_detach(gw, (ngx_iot_mqtt_tb_peer_t *) node);
    }
}


void
ngx_iot_mqtt_gw_seen(ngx_iot_mqtt_gw_t *gw)
{
    ngx_rbtree_node_t       *node;
    ngx_iot_mqtt_tb_peer_t  *peer;

    if (!gw->overwrite || gw->npeers == 0
        || ngx_current_msec - gw->seen < NGX_IOT_MQTT_GW_SEEN)
    {
        return;
    }

    gw->seen = ngx_current_msec;

    for (node = ngx_rbtree_min(gw->peers.root, &gw->sentinel);
         node;
         node = ngx_rbtree_next(&gw->peers, node))
    {
        peer = (ngx_iot_mqtt_tb_peer_t *) node;
        ngx_iot_activity(peer->device->nr, NGX_IOT_ACTIVITY_SEEN);
    }
}


/*
 * It may be another's now, or gone.  What it sends is checked anyway; but
 * what is for it must not go on to a gateway that may not have it.
 */

void
ngx_iot_mqtt_gw_changed(ngx_str_t *id)
{
    ngx_rbtree_key_t         key;
    ngx_rbtree_node_t       *node;
    ngx_iot_mqtt_tb_peer_t  *peer;

    if (id->len != NGX_IOT_UUID_TEXT) {
        return;
    }

    key = ngx_murmur_hash2(id->data, id->len);

    for (node = ngx_iot_mqtt_gw_first(key);
         node && node->key == key;
         node = ngx_rbtree_next(&ngx_iot_mqtt_gw_ids, node))
    {
        peer = (ngx_iot_mqtt_tb_peer_t *)
                   ((u_char *) node - offsetof(ngx_iot_mqtt_tb_peer_t, id));

        if (ngx_memcmp(peer->device->id, id->data, NGX_IOT_UUID_TEXT) == 0) {
            ngx_iot_mqtt_gw_check(peer);
        }
    }
}


static ngx_rbtree_node_t *
ngx_iot_mqtt_gw_first(ngx_rbtree_key_t key)
{
    ngx_rbtree_node_t  *node, *first;

    node = ngx_iot_mqtt_gw_ids.root;
    first = NULL;

    while (node != &ngx_iot_mqtt_gw_sentinel) {

        if (node->key >= key) {
            first = node;
            node = node->left;

        } else {
            node = node->right;
        }
    }

    return first;
}


static void
ngx_iot_mqtt_gw_check(ngx_iot_mqtt_tb_peer_t *peer)
{
    ngx_str_t                *name;
    ngx_pool_t               *pool;
    ngx_iot_mqtt_gw_check_t  *check;

    name = &peer->device->name;

    pool = ngx_create_pool(ngx_align(sizeof(ngx_iot_mqtt_gw_check_t)
                                     + name->len + 256, NGX_POOL_ALIGNMENT),
                           ngx_cycle->log);
    if (pool == NULL) {
        return;
    }

    check = ngx_pcalloc(pool, sizeof(ngx_iot_mqtt_gw_check_t));

    if (check) {
        check->item.name.data = ngx_pstrdup(pool, name);
        check->item.name.len = name->len;
    }

    if (check == NULL || check->item.name.data == NULL) {
        ngx_destroy_pool(pool);
        return;
    }

    ngx_memcpy(check->id, peer->device->id, NGX_IOT_UUID_TEXT);

    check->pool = pool;
    check->find.gateway = peer->tb->session->device;
    check->find.gateway->refs++;
    check->find.items = &check->item;
    check->find.n = 1;
    check->find.found = ngx_iot_mqtt_gw_checked;
    check->find.data = check;

    if (ngx_iot_gateway_find(&check->find) != NGX_AGAIN) {
        /* asked again with its next message */
        ngx_iot_device_release(check->find.gateway);
        ngx_destroy_pool(pool);
    }
}


static void
ngx_iot_mqtt_gw_checked(ngx_iot_gateway_find_t *find, ngx_int_t rc)
{
    ngx_rbtree_key_t          key;
    ngx_rbtree_node_t        *node, *next;
    ngx_iot_device_t         *device;
    ngx_iot_mqtt_tb_peer_t   *peer;
    ngx_iot_mqtt_session_t   *s;
    ngx_iot_mqtt_gw_check_t  *check;

    check = find->data;
    device = check->item.device;
    key = ngx_murmur_hash2(check->id, NGX_IOT_UUID_TEXT);

    for (node = (rc == NGX_OK) ? ngx_iot_mqtt_gw_first(key) : NULL;
         node && node->key == key;
         node = next)
    {
        next = ngx_rbtree_next(&ngx_iot_mqtt_gw_ids, node);

        peer = (ngx_iot_mqtt_tb_peer_t *)
                   ((u_char *) node - offsetof(ngx_iot_mqtt_tb_peer_t, id));

        if (ngx_memcmp(peer->device->id, check->id, NGX_IOT_UUID_TEXT) != 0
            || ngx_memcmp(peer->tb->session->device->id, find->gateway->id,
                          NGX_IOT_UUID_TEXT)
               != 0)
        {
            continue;
        }

        if (device
            && ngx_memcmp(device->id, check->id, NGX_IOT_UUID_TEXT) == 0)
        {
            ngx_iot_mqtt_gw_swap(peer, device);
            continue;
        }

        s = peer->tb->session;

        ngx_iot_mqtt_gw_detach(peer->tb->gw, peer);
        ngx_iot_mqtt_gw_notice(s, &check->item.name,
                               NGX_IOT_MQTT_ADMINISTRATIVE);

        /* that may have ended the session */
        next = ngx_iot_mqtt_gw_first(key);
    }

    if (device) {
        ngx_iot_device_release(device);
    }

    ngx_iot_device_release(find->gateway);
    ngx_destroy_pool(check->pool);
}


ngx_int_t
ngx_iot_mqtt_gw_send(ngx_iot_mqtt_tb_peer_t *peer, ngx_uint_t subject,
    ngx_iot_rpc_request_t *request, ngx_str_t *data)
{
    u_char     *p, *start;
    ngx_int_t   rc;
    ngx_str_t   payload;

    start = ngx_iot_mqtt_gw_object(&peer->device->name,
                                   sizeof(",\"data\":{\"id\":,}}")
                                   + NGX_INT32_LEN + data->len, &p);
    if (start == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, ",\"data\":", 8);

    if (request && data->len && data->data[0] == '{') {
        p = ngx_sprintf(p, "{\"id\":%uD,", request->id);
        p = ngx_cpymem(p, data->data + 1, data->len - 1);

    } else {
        p = ngx_cpymem(p, data->data, data->len);
    }

    *p++ = '}';

    payload.data = start;
    payload.len = p - start;

    rc = ngx_iot_mqtt_tb_send(peer->tb->session, subject, NGX_IOT_MQTT_TB_V1,
                              NULL, &payload);
    ngx_free(start);

    return rc;
}


u_char *
ngx_iot_mqtt_gw_object(ngx_str_t *name, size_t size, u_char **end)
{
    u_char  *p, *start;

    start = ngx_alloc(sizeof("{\"device\":\"\"")
                      + ngx_iot_json_escape_size(name->data, name->len) + size,
                      ngx_cycle->log);
    if (start == NULL) {
        return NULL;
    }

    p = ngx_cpymem(start, "{\"device\":\"", 11);
    p = ngx_iot_json_escape(p, name->data, name->len);
    *p++ = '"';

    *end = p;

    return start;
}


void
ngx_iot_mqtt_gw_notice(ngx_iot_mqtt_session_t *s, ngx_str_t *name,
    ngx_uint_t reason)
{
    u_char     *p, *start;
    ngx_str_t   payload;

    if (s->parser.version < NGX_IOT_MQTT_V5) {
        return;
    }

    start = ngx_iot_mqtt_gw_object(name, sizeof(",\"reason\":}")
                                         + NGX_INT32_LEN, &p);
    if (start == NULL) {
        return;
    }

    payload.data = start;
    payload.len = ngx_sprintf(p, ",\"reason\":%ui}", reason) - start;

    (void) ngx_iot_mqtt_tb_send(s, NGX_IOT_MQTT_TB_GW_DISCONNECT,
                                NGX_IOT_MQTT_TB_V1, NULL, &payload);
    ngx_free(start);
}
