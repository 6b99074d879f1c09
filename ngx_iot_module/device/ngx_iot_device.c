
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_utf8.h"
#include "ngx_iot_db.h"
#include "ngx_iot_device.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_module.h"


#define NGX_IOT_DEVICE_MAX_TOKEN  255

/*
 * No token begins with one of them: what follows is a hash and a user name,
 * or the hash of a certificate, or the id of the device.
 */
#define NGX_IOT_DEVICE_LOGIN        0xff
#define NGX_IOT_DEVICE_CERTIFICATE  0xfe
#define NGX_IOT_DEVICE_ID           0xfd
#define NGX_IOT_DEVICE_LOGIN_LEN    (1 + NGX_IOT_SHA3_LEN)


static ngx_uint_t ngx_iot_device_text(ngx_str_t *text);
static ngx_int_t ngx_iot_device_get(ngx_str_t *key, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait);
static ngx_iot_device_t *ngx_iot_device_lookup(ngx_str_t *token);
static ngx_iot_device_t *ngx_iot_device_create(ngx_str_t *token);
static void ngx_iot_device_drop(ngx_iot_device_t *device);
static ngx_int_t ngx_iot_device_load(ngx_iot_device_t *device);
static void ngx_iot_device_loaded(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_device_rates(ngx_iot_device_t *device);
static void ngx_iot_device_rated(ngx_iot_rates_wait_t *wait,
    ngx_iot_rates_t *rates);
static void ngx_iot_device_done(ngx_iot_device_t *device, ngx_int_t rc,
    ngx_iot_error_t *err);
static ngx_int_t ngx_iot_device_fill(ngx_iot_device_t *device,
    PGresult *res, int row);
static ngx_int_t ngx_iot_device_session(ngx_iot_device_t *device,
    PGresult *res);
static ngx_uint_t ngx_iot_device_uuid(u_char *dst, PGresult *res, int row,
    int column);
static void ngx_iot_device_answer(ngx_iot_device_t *device, ngx_int_t rc,
    ngx_iot_error_t *err);
static ngx_uint_t ngx_iot_device_key_pos(ngx_iot_device_t *device,
    uint32_t key);


static ngx_iot_db_stmt_t  ngx_iot_device_by_token_stmt = ngx_iot_db_stmt(
    "SELECT device_id, nr, tenant_id, customer_id, profile_id, name, gateway,"
    " cast_strings, enabled,"
    " iot.device_transport(tenant_id, profile_id) AS transport"
    " FROM iot.device_by_token($1)");

static ngx_iot_db_stmt_t  ngx_iot_device_by_login_stmt = ngx_iot_db_stmt(
    "SELECT device_id, nr, tenant_id, customer_id, profile_id, name, gateway,"
    " cast_strings, enabled, tenant_profile_id, password,"
    " iot.device_transport(tenant_id, profile_id) AS transport"
    " FROM iot.device_by_login($1, $2)");

static ngx_iot_db_stmt_t  ngx_iot_device_by_certificate_stmt = ngx_iot_db_stmt(
    "SELECT device_id, nr, tenant_id, customer_id, profile_id, name, gateway,"
    " cast_strings, enabled,"
    " iot.device_transport(tenant_id, profile_id) AS transport"
    " FROM iot.device_by_certificate($1)");

static ngx_iot_db_stmt_t  ngx_iot_device_by_id_stmt = ngx_iot_db_stmt(
    "SELECT device_id, nr, tenant_id, customer_id, profile_id, name, gateway,"
    " cast_strings, enabled,"
    " iot.device_transport(tenant_id, profile_id) AS transport"
    " FROM iot.device_by_id($1)");

static ngx_rbtree_t       ngx_iot_device_tree;
static ngx_rbtree_node_t  ngx_iot_device_sentinel;
static ngx_queue_t        ngx_iot_device_lru;
static ngx_uint_t         ngx_iot_devices;


ngx_int_t
ngx_iot_device_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_device_tree, &ngx_iot_device_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_device_lru);
    ngx_iot_devices = 0;

    return NGX_OK;
}


void
ngx_iot_device_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t       *q;
    ngx_iot_device_t  *device;

    while (!ngx_queue_empty(&ngx_iot_device_lru)) {
        q = ngx_queue_head(&ngx_iot_device_lru);
        device = ngx_queue_data(q, ngx_iot_device_t, lru);
        ngx_iot_device_drop(device);
    }
}


ngx_int_t
ngx_iot_device_by_token(ngx_str_t *token, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait)
{
    if (token->len == 0 || !ngx_iot_device_text(token)) {
        return NGX_DECLINED;
    }

    return ngx_iot_device_get(token, found, wait);
}


/* the database would not even compare what is no text */

static ngx_uint_t
ngx_iot_device_text(ngx_str_t *text)
{
    return text->len == 0
           || (text->len <= NGX_IOT_DEVICE_MAX_TOKEN
               && ngx_strlchr(text->data, text->data + text->len, '\0')
                  == NULL
               && ngx_iot_utf8_check(text->data, text->len) == NGX_OK);
}


ngx_int_t
ngx_iot_device_by_login(ngx_str_t *client_id, ngx_str_t *user,
    ngx_iot_device_t **found, ngx_iot_device_wait_t *wait)
{
    u_char     *p, *text;
    u_char      buf[NGX_IOT_DEVICE_LOGIN_LEN + NGX_IOT_DEVICE_MAX_TOKEN];
    ngx_int_t   rc;
    ngx_str_t   key;

    if (client_id->len + user->len == 0 || !ngx_iot_device_text(user)) {
        return NGX_DECLINED;
    }

    text = ngx_alloc(client_id->len + 1 + user->len, ngx_cycle->log);
    if (text == NULL) {
        return NGX_BUSY;
    }

    p = ngx_cpymem(text, client_id->data, client_id->len);

    if (user->len) {
        *p++ = '|';
        p = ngx_cpymem(p, user->data, user->len);
    }

    buf[0] = NGX_IOT_DEVICE_LOGIN;
    rc = ngx_iot_sha3(buf + 1, text, p - text);

    ngx_free(text);

    if (rc != NGX_OK) {
        return NGX_BUSY;
    }

    if (user->len) {
        ngx_memcpy(buf + NGX_IOT_DEVICE_LOGIN_LEN, user->data, user->len);
    }

    key.data = buf;
    key.len = NGX_IOT_DEVICE_LOGIN_LEN + user->len;

    return ngx_iot_device_get(&key, found, wait);
}


ngx_int_t
ngx_iot_device_by_certificate(u_char *id, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait)
{
    u_char     buf[NGX_IOT_DEVICE_LOGIN_LEN];
    ngx_str_t  key;

    buf[0] = NGX_IOT_DEVICE_CERTIFICATE;
    ngx_memcpy(buf + 1, id, NGX_IOT_SHA3_LEN);

    key.data = buf;
    key.len = NGX_IOT_DEVICE_LOGIN_LEN;

    return ngx_iot_device_get(&key, found, wait);
}


ngx_int_t
ngx_iot_device_by_id(u_char *id, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait)
{
    u_char     buf[1 + NGX_IOT_UUID_TEXT];
    ngx_str_t  key;

    buf[0] = NGX_IOT_DEVICE_ID;
    ngx_memcpy(buf + 1, id, NGX_IOT_UUID_TEXT);

    key.data = buf;
    key.len = 1 + NGX_IOT_UUID_TEXT;

    return ngx_iot_device_get(&key, found, wait);
}


ngx_int_t
ngx_iot_device_again(ngx_iot_device_t *former, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait)
{
    return ngx_iot_device_get(&former->node.str, found, wait);
}


ngx_uint_t
ngx_iot_device_may_enter(ngx_iot_device_t *device, ngx_str_t *password)
{
    return device->password.data == NULL
           || ngx_iot_secret_equal(device->password.data,
                                   device->password.len, password->data,
                                   password->len);
}


static ngx_int_t
ngx_iot_device_get(ngx_str_t *token, ngx_iot_device_t **found,
    ngx_iot_device_wait_t *wait)
{
    ngx_iot_device_t  *device;

    device = ngx_iot_device_lookup(token);

    if (device && !device->loading && !ngx_iot_device_current(device)) {
        ngx_iot_device_drop(device);
        device = NULL;
    }

    if (device && !device->loading) {
        ngx_iot_count(cache_device_hits);

        ngx_queue_remove(&device->lru);
        ngx_queue_insert_head(&ngx_iot_device_lru, &device->lru);

        device->refs++;
        *found = device;

        return NGX_OK;
    }

    if (device == NULL) {
        ngx_iot_count(cache_device_misses);

        device = ngx_iot_device_create(token);
        if (device == NULL) {
            return NGX_BUSY;
        }

        if (ngx_iot_device_load(device) != NGX_OK) {
            ngx_iot_device_drop(device);
            return NGX_BUSY;
        }
    }

    wait->active = 1;
    ngx_queue_insert_tail(&device->waiting, &wait->queue);

    return NGX_AGAIN;
}


static ngx_iot_device_t *
ngx_iot_device_lookup(ngx_str_t *token)
{
    uint32_t  hash;

    hash = ngx_murmur_hash2(token->data, token->len);

    return (ngx_iot_device_t *) ngx_str_rbtree_lookup(&ngx_iot_device_tree,
                                                      token, hash);
}


/* cached entries may be trusted only while changes are being heard of */

ngx_uint_t
ngx_iot_device_current(ngx_iot_device_t *device)
{
    ngx_uint_t  i;

    if (device->once || !ngx_iot_db_listening()) {
        return 0;
    }

    for (i = 0; i < NGX_IOT_DEVICE_TAGS; i++) {
        if (device->tags[i] && *device->tags[i] != device->seen_tags[i]) {
            return 0;
        }
    }

    return 1;
}


static ngx_iot_device_t *
ngx_iot_device_create(ngx_str_t *token)
{
    ngx_queue_t       *q;
    ngx_iot_device_t  *device;

    while (ngx_iot_devices >= ngx_iot_conf()->device_cache) {
        q = ngx_queue_last(&ngx_iot_device_lru);
        device = ngx_queue_data(q, ngx_iot_device_t, lru);

        if (device->loading) {
            return NULL;
        }

        ngx_iot_device_drop(device);
    }

    device = ngx_calloc(sizeof(ngx_iot_device_t) + token->len,
                        ngx_cycle->log);
    if (device == NULL) {
        return NULL;
    }

    device->node.str.data = (u_char *) device + sizeof(ngx_iot_device_t);
    device->node.str.len = token->len;
    ngx_memcpy(device->node.str.data, token->data, token->len);

    device->node.node.key = ngx_murmur_hash2(token->data, token->len);
    device->loading = 1;
    device->cached = 1;

    ngx_queue_init(&device->waiting);
    ngx_rbtree_insert(&ngx_iot_device_tree, &device->node.node);
    ngx_queue_insert_head(&ngx_iot_device_lru, &device->lru);

    ngx_iot_devices++;
    ngx_iot_gauge(cache_device_entries, ngx_iot_devices);

    return device;
}


/* out of the cache; its memory goes with the last who holds it */

static void
ngx_iot_device_drop(ngx_iot_device_t *device)
{
    if (device->cached) {
        device->cached = 0;

        ngx_rbtree_delete(&ngx_iot_device_tree, &device->node.node);
        ngx_queue_remove(&device->lru);

        ngx_iot_devices--;
        ngx_iot_gauge(cache_device_entries, ngx_iot_devices);
    }

    if (device->refs) {
        return;
    }

    if (device->name.data) {
        ngx_free(device->name.data);
    }

    if (device->password.data) {
        ngx_memzero(device->password.data, device->password.len);
        ngx_free(device->password.data);
    }

    if (device->keys) {
        ngx_free(device->keys);
    }

    if (device->transport) {
        ngx_free(device->transport);
    }

    if (device->rates) {
        ngx_iot_rates_release(device->rates);
    }

    ngx_free(device);
}


void
ngx_iot_device_release(ngx_iot_device_t *device)
{
    device->refs--;

    if (device->refs == 0 && !device->cached) {
        ngx_iot_device_drop(device);
    }
}


void
ngx_iot_device_unwait(ngx_iot_device_wait_t *wait)
{
    if (wait->active) {
        wait->active = 0;
        ngx_queue_remove(&wait->queue);
    }
}


static ngx_int_t
ngx_iot_device_load(ngx_iot_device_t *device)
{
    ngx_int_t           rc;
    ngx_str_t           key, user;
    ngx_iot_db_call_t  *call;
    ngx_iot_db_stmt_t  *stmt;

    key = device->node.str;

    switch (key.data[0]) {

    case NGX_IOT_DEVICE_LOGIN:
        stmt = &ngx_iot_device_by_login_stmt;
        break;

    case NGX_IOT_DEVICE_CERTIFICATE:
        stmt = &ngx_iot_device_by_certificate_stmt;
        break;

    case NGX_IOT_DEVICE_ID:
        stmt = &ngx_iot_device_by_id_stmt;
        break;

    default:
        stmt = &ngx_iot_device_by_token_stmt;
    }

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, stmt, ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    device->changes = ngx_iot_zone_changes();

    call->data = device;
    call->done = ngx_iot_device_loaded;

    if (stmt == &ngx_iot_device_by_id_stmt) {
        key.data++;
        key.len--;

    } else if (stmt != &ngx_iot_device_by_token_stmt) {
        user.data = key.data + NGX_IOT_DEVICE_LOGIN_LEN;
        user.len = key.len - NGX_IOT_DEVICE_LOGIN_LEN;

        key.data++;
        key.len = NGX_IOT_SHA3_LEN;
    }

    rc = ngx_iot_db_text(call, &key);

    if (rc == NGX_OK && stmt == &ngx_iot_device_by_login_stmt) {
        rc = ngx_iot_db_text(call, &user);
    }

    if (rc != NGX_OK || ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    return NGX_OK;
}


static void
ngx_iot_device_loaded(ngx_iot_db_call_t *call)
{
    ngx_int_t          rc;
    ngx_iot_device_t  *device;

    device = call->data;

    /* the answers may release it */
    device->refs++;

    if (call->rc != NGX_OK) {
        rc = NGX_ERROR;

    } else if (PQntuples(call->result) == 0
               || PQgetvalue(call->result, 0, 8)[0] != 't')
    {
        /* not cached: the device may be made in the next moment */
        rc = NGX_DECLINED;

    } else {
        rc = ngx_iot_device_fill(device, call->result, 0);

        if (rc == NGX_OK) {
            rc = ngx_iot_device_session(device, call->result);
        }

        if (rc == NGX_OK) {
            rc = ngx_iot_device_rates(device);

            if (rc == NGX_AGAIN) {
                return;
            }
        }

        if (rc != NGX_OK) {
            ngx_iot_error_set(&call->error, 503, "unavailable",
                              "Out of memory");
        }
    }

    ngx_iot_device_done(device, rc, &call->error);
}


/* NGX_AGAIN: they are being read */

static ngx_int_t
ngx_iot_device_rates(ngx_iot_device_t *device)
{
    ngx_int_t              rc;
    ngx_iot_rates_wait_t  *wait;

    wait = ngx_calloc(sizeof(ngx_iot_rates_wait_t), ngx_cycle->log);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    wait->found = ngx_iot_device_rated;
    wait->data = device;

    rc = ngx_iot_rates_find(device->tenant, &device->rates, wait);

    if (rc != NGX_AGAIN) {
        ngx_free(wait);
    }

    return rc;
}


static void
ngx_iot_device_rated(ngx_iot_rates_wait_t *wait, ngx_iot_rates_t *rates)
{
    ngx_iot_device_t  *device;

    device = wait->data;
    device->rates = rates;

    ngx_free(wait);

    ngx_iot_device_done(device, NGX_OK, NULL);
}


static void
ngx_iot_device_done(ngx_iot_device_t *device, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    device->loading = 0;

    if (device->rates) {
        device->tags[4] = device->rates->tags[1];
        device->seen_tags[4] = device->rates->seen_tags[1];
    }

    if ((rc != NGX_OK || device->changes != ngx_iot_zone_changes())
        && device->cached)
    {
        ngx_iot_device_drop(device);
    }

    ngx_iot_device_answer(device, rc, err);
    ngx_iot_device_release(device);
}


ngx_iot_device_t *
ngx_iot_device_behind(ngx_iot_device_t *gateway, PGresult *res, int row)
{
    ngx_iot_device_t  *device;

    device = ngx_calloc(sizeof(ngx_iot_device_t), ngx_cycle->log);
    if (device == NULL) {
        return NULL;
    }

    ngx_queue_init(&device->waiting);

    if (ngx_iot_device_fill(device, res, row) != NGX_OK) {
        ngx_iot_device_drop(device);
        return NULL;
    }

    device->refs = 1;
    device->rates = gateway->rates;

    if (device->rates) {
        ngx_iot_rates_hold(device->rates);

        device->tags[4] = device->rates->tags[1];
        device->seen_tags[4] = *device->tags[4];
    }

    return device;
}


static ngx_int_t
ngx_iot_device_fill(ngx_iot_device_t *device, PGresult *res, int row)
{
    u_char      text[NGX_INT32_LEN], *ids[4];
    ngx_str_t   id;
    ngx_uint_t  i;
    static int  columns[] = { 0, 2, 3, 4 };

    device->nr = ngx_atoi((u_char *) PQgetvalue(res, row, 1),
                          PQgetlength(res, row, 1));

    id.len = NGX_IOT_UUID_TEXT;

    ids[0] = device->id;
    ids[1] = device->tenant;
    ids[2] = device->customer;
    ids[3] = device->profile;

    for (i = 0; i < 4; i++) {

        if (!ngx_iot_device_uuid(ids[i], res, row, columns[i])) {
            continue;
        }

        id.data = ids[i];
        device->tags[i] = ngx_iot_zone_tag(&id);
        device->seen_tags[i] = *device->tags[i];
    }

    device->has_customer = (device->tags[2] != NULL);

    id.data = text;
    id.len = ngx_sprintf(text, "%D", device->nr) - text;

    device->keys_tag = ngx_iot_zone_tag(&id);
    device->seen_keys_tag = *device->keys_tag;

    device->gateway = PQgetvalue(res, row, 6)[0] == 't';
    device->cast_strings = PQgetvalue(res, row, 7)[0] == 't';

    device->name.len = PQgetlength(res, row, 5);
    device->name.data = ngx_alloc(device->name.len + 1, ngx_cycle->log);
    if (device->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(device->name.data, PQgetvalue(res, row, 5),
               device->name.len + 1);

    return NGX_OK;
}


static ngx_int_t
ngx_iot_device_session(ngx_iot_device_t *device, PGresult *res)
{
    int  column;

    column = PQfnumber(res, "transport");

    if (column >= 0 && !PQgetisnull(res, 0, column)) {
        device->transport = ngx_iot_transport_parse(
                                (u_char *) PQgetvalue(res, 0, column),
                                PQgetlength(res, 0, column));
        if (device->transport == NULL) {
            return NGX_ERROR;
        }
    }

    if (PQnfields(res) > 10 && !PQgetisnull(res, 0, 10)) {
        device->password.len = PQgetlength(res, 0, 10);
        device->password.data = ngx_alloc(device->password.len + 1,
                                          ngx_cycle->log);
        if (device->password.data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(device->password.data, PQgetvalue(res, 0, 10),
                   device->password.len + 1);
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_device_uuid(u_char *dst, PGresult *res, int row, int column)
{
    if (PQgetlength(res, row, column) != NGX_IOT_UUID_TEXT) {
        return 0;
    }

    ngx_memcpy(dst, PQgetvalue(res, row, column), NGX_IOT_UUID_TEXT);

    return 1;
}


static void
ngx_iot_device_answer(ngx_iot_device_t *device, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    ngx_queue_t            *q;
    ngx_iot_device_wait_t  *wait;

    while (!ngx_queue_empty(&device->waiting)) {
        q = ngx_queue_head(&device->waiting);
        wait = ngx_queue_data(q, ngx_iot_device_wait_t, queue);

        ngx_iot_device_unwait(wait);

        if (rc == NGX_OK) {
            device->refs++;
        }

        wait->found(wait, rc, rc == NGX_OK ? device : NULL, err);
    }
}


ngx_uint_t
ngx_iot_device_has_key(ngx_iot_device_t *device, uint32_t key)
{
    ngx_uint_t  i;

    if (*device->keys_tag != device->seen_keys_tag) {
        /* a delete made the database forget some: ask for all again */
        device->seen_keys_tag = *device->keys_tag;
        device->nkeys = 0;
        return 0;
    }

    i = ngx_iot_device_key_pos(device, key);

    return i < device->nkeys && device->keys[i] == key;
}


ngx_int_t
ngx_iot_device_add_key(ngx_iot_device_t *device, uint32_t key)
{
    uint32_t    *keys;
    ngx_uint_t   i, n;

    i = ngx_iot_device_key_pos(device, key);

    if (i < device->nkeys && device->keys[i] == key) {
        return NGX_OK;
    }

    if (device->nkeys == device->nkeys_alloc) {
        n = device->nkeys_alloc ? device->nkeys_alloc * 2 : 16;

        keys = ngx_alloc(n * sizeof(uint32_t), ngx_cycle->log);
        if (keys == NULL) {
            return NGX_ERROR;
        }

        if (device->keys) {
            ngx_memcpy(keys, device->keys, device->nkeys * sizeof(uint32_t));
            ngx_free(device->keys);
        }

        device->keys = keys;
        device->nkeys_alloc = n;
    }

    ngx_memmove(&device->keys[i + 1], &device->keys[i],
                (device->nkeys - i) * sizeof(uint32_t));

    device->keys[i] = key;
    device->nkeys++;

    return NGX_OK;
}


/* where the key is or belongs */

static ngx_uint_t
ngx_iot_device_key_pos(ngx_iot_device_t *device, uint32_t key)
{
    ngx_uint_t  low, high, middle;

    low = 0;
    high = device->nkeys;

    while (low < high) {
        middle = (low + high) / 2;

        if (device->keys[middle] < key) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low;
}
