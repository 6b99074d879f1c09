
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "../codec/ngx_iot_id.h"
#include "../codec/ngx_iot_utf8.h"
#include "ngx_iot_basic.h"
#include "ngx_iot_db.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_password.h"
#include "ngx_iot_settings.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_BASIC_CACHE  4096     /* entries per worker */
#define NGX_IOT_BASIC_HASH   32
#define NGX_IOT_BASIC_TAGS   3
#define NGX_IOT_BASIC_TIME   600      /* seconds */
#define NGX_IOT_BASIC_USER   1020     /* 255 characters */
#define NGX_IOT_BASIC_AGENT  1024


/* columns of iot.basic_login() */

enum {
    NGX_IOT_BASIC_ROLE = 0,
    NGX_IOT_BASIC_TENANT,
    NGX_IOT_BASIC_CUSTOMER,
    NGX_IOT_BASIC_ID,
    NGX_IOT_BASIC_NAME
};


typedef struct {
    ngx_str_node_t        node;       /* by hash of name, password; first */
    ngx_queue_t           lru;
    ngx_queue_t           waiting;

    time_t                expires;
    ngx_iot_principal_t   principal;

    ngx_atomic_t         *tags[NGX_IOT_BASIC_TAGS];
    ngx_atomic_uint_t     seen_tags[NGX_IOT_BASIC_TAGS];
    ngx_uint_t            changes;    /* when the database was asked */

    /* while it is being found */
    ngx_pool_t           *pool;
    ngx_iot_basic_t       given;
    ngx_str_t             limit_key;
    ngx_str_t             user_id;
    ngx_str_t             stored;     /* hash that the password belongs to */
    ngx_iot_password_t   *job;

    u_char                hash[NGX_IOT_BASIC_HASH];

    unsigned              loading:1;
    unsigned              cached:1;
    unsigned              usable:1;
    unsigned              familiar:1;
    unsigned              counted:1;  /* against the account */
} ngx_iot_basic_entry_t;


/* what "pending" points to */

typedef struct {
    ngx_queue_t           queue;
    ngx_iot_auth_done_pt  done;
    void                 *data;
} ngx_iot_basic_wait_t;


static ngx_uint_t ngx_iot_basic_valid(ngx_iot_basic_t *basic);
static void ngx_iot_basic_key(ngx_iot_basic_t *basic, u_char *hash);
static ngx_iot_basic_entry_t *ngx_iot_basic_lookup(u_char *hash);
static ngx_uint_t ngx_iot_basic_current(ngx_iot_basic_entry_t *entry);
static ngx_iot_basic_entry_t *ngx_iot_basic_create(u_char *hash,
    ngx_iot_basic_t *basic);
static ngx_int_t ngx_iot_basic_keep(ngx_iot_basic_entry_t *entry,
    ngx_iot_basic_t *basic);
static ngx_int_t ngx_iot_basic_copy(ngx_pool_t *pool, ngx_str_t *dst,
    ngx_str_t *src);
static void ngx_iot_basic_forget(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_free(ngx_iot_basic_entry_t *entry);
static ngx_int_t ngx_iot_basic_admit(ngx_iot_basic_entry_t *entry,
    ngx_iot_error_t *err);
static ngx_int_t ngx_iot_basic_admit_stranger(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_account(ngx_iot_basic_entry_t *entry,
    ngx_str_t *key);
static void ngx_iot_basic_late(ngx_iot_error_t *err, ngx_uint_t seconds);
static void ngx_iot_basic_forgive(ngx_iot_basic_entry_t *entry);
static ngx_int_t ngx_iot_basic_send(ngx_iot_basic_entry_t *entry,
    ngx_iot_db_stmt_t *stmt, ngx_str_t **params, ngx_uint_t n,
    ngx_iot_db_done_pt done);
static ngx_int_t ngx_iot_basic_find(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_found(ngx_iot_db_call_t *call);
static void ngx_iot_basic_hashed(void *data, ngx_int_t rc, ngx_str_t *hash);
static void ngx_iot_basic_failed(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_counted(ngx_iot_db_call_t *call);
static void ngx_iot_basic_loaded(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_basic_fill(ngx_iot_basic_entry_t *entry,
    PGresult *res);
static ngx_uint_t ngx_iot_basic_uuid(ngx_iot_basic_entry_t *entry,
    ngx_uint_t tag, u_char *dst, PGresult *res, int column);
static void ngx_iot_basic_refuse(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_unavailable(ngx_iot_basic_entry_t *entry);
static void ngx_iot_basic_answer(ngx_iot_basic_entry_t *entry, ngx_int_t rc,
    ngx_iot_error_t *err);


static ngx_iot_db_stmt_t  ngx_iot_basic_find_stmt = ngx_iot_db_stmt(
    "SELECT user_id, password_hash, enabled AND activated AND NOT locked,"
    " familiar FROM iot.login_find($1, $2)");

static ngx_iot_db_stmt_t  ngx_iot_basic_failed_stmt = ngx_iot_db_stmt(
    "SELECT iot.login_failed($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_iot_basic_login_stmt = ngx_iot_db_stmt(
    "SELECT role, tenant_id, customer_id, id, name"
    " FROM iot.basic_login($1, $2, $3, $4, $5)");

static ngx_rbtree_t       ngx_iot_basic_tree;
static ngx_rbtree_node_t  ngx_iot_basic_sentinel;
static ngx_queue_t        ngx_iot_basic_lru;
static ngx_uint_t         ngx_iot_basic_entries;
static u_char             ngx_iot_basic_secret[NGX_IOT_BASIC_HASH];


ngx_int_t
ngx_iot_basic_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_basic_tree, &ngx_iot_basic_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_basic_lru);
    ngx_iot_basic_entries = 0;

    /* what is in memory must not tell passwords */
    randombytes_buf(ngx_iot_basic_secret, NGX_IOT_BASIC_HASH);

    return NGX_OK;
}


void
ngx_iot_basic_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t            *q;
    ngx_iot_basic_entry_t  *entry;

    while (!ngx_queue_empty(&ngx_iot_basic_lru)) {
        q = ngx_queue_head(&ngx_iot_basic_lru);
        entry = ngx_queue_data(q, ngx_iot_basic_entry_t, lru);
        ngx_iot_basic_forget(entry);
    }
}


ngx_int_t
ngx_iot_basic_auth(ngx_iot_basic_t *basic, ngx_iot_principal_t *principal,
    ngx_iot_error_t *err, ngx_iot_auth_done_pt done, void *data,
    void **pending)
{
    u_char                  hash[NGX_IOT_BASIC_HASH];
    ngx_iot_basic_wait_t   *wait;
    ngx_iot_basic_entry_t  *entry;

    *pending = NULL;

    ngx_iot_error_set(err, 503, "unavailable", "Service is unavailable");
    err->retry_after = 1;

    if (!ngx_iot_settings.loaded) {
        return NGX_ERROR;
    }

    if (!ngx_iot_basic_valid(basic)) {
        /* nobody has such a name or password: that tells nothing */
        ngx_iot_count(logins_failed);
        ngx_iot_error_set(err, 401, "authentication",
                          "Invalid username or password");
        return NGX_ERROR;
    }

    ngx_iot_basic_key(basic, hash);

    entry = ngx_iot_basic_lookup(hash);

    if (entry && !entry->loading && !ngx_iot_basic_current(entry)) {
        ngx_iot_basic_forget(entry);
        entry = NULL;
    }

    if (entry && !entry->loading) {
        ngx_queue_remove(&entry->lru);
        ngx_queue_insert_head(&ngx_iot_basic_lru, &entry->lru);

        *principal = entry->principal;

        return NGX_OK;
    }

    wait = ngx_alloc(sizeof(ngx_iot_basic_wait_t), ngx_cycle->log);
    if (wait == NULL) {
        return NGX_ERROR;
    }

    wait->done = done;
    wait->data = data;

    if (entry == NULL) {
        entry = ngx_iot_basic_create(hash, basic);

        if (entry == NULL) {
            ngx_free(wait);
            return NGX_ERROR;
        }

        if (ngx_iot_basic_admit(entry, err) != NGX_OK) {
            goto failed;
        }

        if (ngx_iot_basic_find(entry) != NGX_OK) {
            ngx_iot_basic_forgive(entry);
            goto failed;
        }
    }

    ngx_queue_insert_tail(&entry->waiting, &wait->queue);

    *pending = wait;

    return NGX_AGAIN;

failed:

    entry->loading = 0;
    ngx_iot_basic_forget(entry);
    ngx_free(wait);

    return NGX_ERROR;
}


/* what was begun goes on: it costs the hash anyway */

void
ngx_iot_basic_abandon(void *pending)
{
    ngx_iot_basic_wait_t *wait = pending;

    ngx_queue_remove(&wait->queue);
    ngx_free(wait);
}


static ngx_uint_t
ngx_iot_basic_valid(ngx_iot_basic_t *basic)
{
    ngx_str_t  *user;

    user = &basic->user;

    return user->len
           && user->len <= NGX_IOT_BASIC_USER
           && basic->password.len
           && basic->password.len <= NGX_IOT_PASSWORD_MAX
           && ngx_strlchr(user->data, user->data + user->len, '\0') == NULL
           && ngx_iot_utf8_check(user->data, user->len) == NGX_OK;
}


static void
ngx_iot_basic_key(ngx_iot_basic_t *basic, u_char *hash)
{
    crypto_generichash_state  state;

    (void) crypto_generichash_init(&state, ngx_iot_basic_secret,
                                   NGX_IOT_BASIC_HASH, NGX_IOT_BASIC_HASH);
    (void) crypto_generichash_update(&state, basic->user.data,
                                     basic->user.len);
    (void) crypto_generichash_update(&state, (u_char *) "", 1);
    (void) crypto_generichash_update(&state, basic->password.data,
                                     basic->password.len);
    (void) crypto_generichash_final(&state, hash, NGX_IOT_BASIC_HASH);

    sodium_memzero(&state, sizeof(state));
}


static ngx_iot_basic_entry_t *
ngx_iot_basic_lookup(u_char *hash)
{
    ngx_str_t  name;

    name.data = hash;
    name.len = NGX_IOT_BASIC_HASH;

    return (ngx_iot_basic_entry_t *)
               ngx_str_rbtree_lookup(&ngx_iot_basic_tree, &name,
                                     ngx_murmur_hash2(hash,
                                                      NGX_IOT_BASIC_HASH));
}


static ngx_uint_t
ngx_iot_basic_current(ngx_iot_basic_entry_t *entry)
{
    ngx_uint_t  i;

    if (!ngx_iot_db_listening() || entry->expires <= ngx_time()) {
        return 0;
    }

    for (i = 0; i < NGX_IOT_BASIC_TAGS; i++) {
        if (entry->tags[i] && *entry->tags[i] != entry->seen_tags[i]) {
            return 0;
        }
    }

    return 1;
}


static ngx_iot_basic_entry_t *
ngx_iot_basic_create(u_char *hash, ngx_iot_basic_t *basic)
{
    ngx_queue_t            *q;
    ngx_iot_basic_entry_t  *entry;

    while (ngx_iot_basic_entries >= NGX_IOT_BASIC_CACHE) {
        q = ngx_queue_last(&ngx_iot_basic_lru);
        entry = ngx_queue_data(q, ngx_iot_basic_entry_t, lru);

        if (entry->loading) {
            return NULL;
        }

        ngx_iot_basic_forget(entry);
    }

    entry = ngx_calloc(sizeof(ngx_iot_basic_entry_t), ngx_cycle->log);
    if (entry == NULL) {
        return NULL;
    }

    if (ngx_iot_basic_keep(entry, basic) != NGX_OK) {
        ngx_iot_basic_free(entry);
        return NULL;
    }

    ngx_memcpy(entry->hash, hash, NGX_IOT_BASIC_HASH);

    entry->node.str.data = entry->hash;
    entry->node.str.len = NGX_IOT_BASIC_HASH;
    entry->node.node.key = ngx_murmur_hash2(entry->hash, NGX_IOT_BASIC_HASH);
    entry->loading = 1;
    entry->cached = 1;

    ngx_queue_init(&entry->waiting);
    ngx_rbtree_insert(&ngx_iot_basic_tree, &entry->node.node);
    ngx_queue_insert_head(&ngx_iot_basic_lru, &entry->lru);

    ngx_iot_basic_entries++;

    return entry;
}


/* the request may be gone before the password has been hashed */

static ngx_int_t
ngx_iot_basic_keep(ngx_iot_basic_entry_t *entry, ngx_iot_basic_t *basic)
{
    u_char           *p;
    ngx_pool_t       *pool;
    ngx_iot_basic_t  *given;

    pool = ngx_create_pool(1024, ngx_cycle->log);
    if (pool == NULL) {
        return NGX_ERROR;
    }

    entry->pool = pool;
    given = &entry->given;

    if (ngx_iot_basic_copy(pool, &given->user, &basic->user) != NGX_OK
        || ngx_iot_basic_copy(pool, &given->password, &basic->password)
           != NGX_OK
        || ngx_iot_basic_copy(pool, &given->address, &basic->address)
           != NGX_OK
        || ngx_iot_basic_copy(pool, &given->network, &basic->network)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (basic->agent.len <= NGX_IOT_BASIC_AGENT
        && ngx_strlchr(basic->agent.data,
                       basic->agent.data + basic->agent.len, '\0')
           == NULL
        && ngx_iot_utf8_check(basic->agent.data, basic->agent.len) == NGX_OK
        && ngx_iot_basic_copy(pool, &given->agent, &basic->agent) != NGX_OK)
    {
        return NGX_ERROR;
    }

    /* the same name as that of a login: blanks are no way around a limit */

    while (given->user.len && given->user.data[0] == ' ') {
        given->user.data++;
        given->user.len--;
    }

    while (given->user.len && given->user.data[given->user.len - 1] == ' ') {
        given->user.len--;
    }

    given->user.data[given->user.len] = '\0';

    p = ngx_pnalloc(pool, given->address.len + 1 + given->user.len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    entry->limit_key.data = p;

    p = ngx_cpymem(p, given->address.data, given->address.len);
    *p++ = ' ';
    ngx_strlow(p, given->user.data, given->user.len);
    p += given->user.len;

    entry->limit_key.len = p - entry->limit_key.data;

    return NGX_OK;
}


static ngx_int_t
ngx_iot_basic_copy(ngx_pool_t *pool, ngx_str_t *dst, ngx_str_t *src)
{
    dst->data = ngx_pnalloc(pool, src->len + 1);
    if (dst->data == NULL) {
        return NGX_ERROR;
    }

    *ngx_cpymem(dst->data, src->data, src->len) = '\0';
    dst->len = src->len;

    return NGX_OK;
}


/* an entry that is loading is freed when it has been answered */

static void
ngx_iot_basic_forget(ngx_iot_basic_entry_t *entry)
{
    if (entry->cached) {
        entry->cached = 0;

        ngx_rbtree_delete(&ngx_iot_basic_tree, &entry->node.node);
        ngx_queue_remove(&entry->lru);

        ngx_iot_basic_entries--;
    }

    if (!entry->loading) {
        ngx_iot_basic_free(entry);
    }
}


static void
ngx_iot_basic_free(ngx_iot_basic_entry_t *entry)
{
    if (entry->pool) {

        if (entry->given.password.data) {
            sodium_memzero(entry->given.password.data,
                           entry->given.password.len);
        }

        ngx_destroy_pool(entry->pool);
    }

    if (entry->principal.name.data) {
        ngx_free(entry->principal.name.data);
    }

    ngx_free(entry);
}


static ngx_int_t
ngx_iot_basic_admit(ngx_iot_basic_entry_t *entry, ngx_iot_error_t *err)
{
    ngx_uint_t  seconds;

    if (ngx_iot_limit_take(&ngx_iot_settings.login_address, "login address",
                           &entry->given.network, 1, &seconds)
        == NGX_OK)
    {
        if (ngx_iot_limit_take(&ngx_iot_settings.login, "login",
                               &entry->limit_key, 1, &seconds)
            == NGX_OK)
        {
            return NGX_OK;
        }

        ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address",
                           &entry->given.network, 1);
    }

    ngx_iot_basic_late(err, seconds);

    return NGX_BUSY;
}


/* from where the user has never been: all such addresses count together */

static ngx_int_t
ngx_iot_basic_admit_stranger(ngx_iot_basic_entry_t *entry)
{
    ngx_str_t        key;
    ngx_uint_t       seconds;
    ngx_iot_error_t  err;

    ngx_iot_basic_account(entry, &key);

    if (ngx_iot_limit_take(&ngx_iot_settings.login_account, "login account",
                           &key, 1, &seconds)
        == NGX_OK)
    {
        entry->counted = 1;
        return NGX_OK;
    }

    ngx_memzero(&err, sizeof(ngx_iot_error_t));
    ngx_iot_basic_late(&err, seconds);
    ngx_iot_basic_answer(entry, NGX_ERROR, &err);

    return NGX_DONE;
}


/* what is behind the blank of the key is the account */

static void
ngx_iot_basic_account(ngx_iot_basic_entry_t *entry, ngx_str_t *key)
{
    key->len = entry->given.user.len;
    key->data = entry->limit_key.data + entry->limit_key.len - key->len;
}


static void
ngx_iot_basic_late(ngx_iot_error_t *err, ngx_uint_t seconds)
{
    ngx_iot_count(logins_throttled);

    ngx_iot_error_set(err, 429, "too_many_requests",
                      "Too many failed login attempts");
    err->retry_after = seconds ? seconds : 1;
}


static void
ngx_iot_basic_forgive(ngx_iot_basic_entry_t *entry)
{
    ngx_str_t  key;

    ngx_iot_limit_give(&ngx_iot_settings.login_address, "login address",
                       &entry->given.network, 1);
    ngx_iot_limit_give(&ngx_iot_settings.login, "login", &entry->limit_key,
                       1);

    if (entry->counted) {
        entry->counted = 0;
        ngx_iot_basic_account(entry, &key);
        ngx_iot_limit_give(&ngx_iot_settings.login_account, "login account",
                           &key, 1);
    }
}


static ngx_int_t
ngx_iot_basic_send(ngx_iot_basic_entry_t *entry, ngx_iot_db_stmt_t *stmt,
    ngx_str_t **params, ngx_uint_t n, ngx_iot_db_done_pt done)
{
    ngx_uint_t          i;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, stmt, ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    call->data = entry;
    call->done = done;

    for (i = 0; i < n; i++) {
        if (ngx_iot_db_text(call, params[i]) != NGX_OK) {
            goto failed;
        }
    }

    if (ngx_iot_db_send(call) == NGX_OK) {
        return NGX_OK;
    }

failed:

    ngx_destroy_pool(call->pool);

    return NGX_ERROR;
}


static ngx_int_t
ngx_iot_basic_find(ngx_iot_basic_entry_t *entry)
{
    ngx_str_t  *params[2];

    params[0] = &entry->given.user;
    params[1] = &entry->given.address;

    return ngx_iot_basic_send(entry, &ngx_iot_basic_find_stmt, params, 2,
                              ngx_iot_basic_found);
}


static void
ngx_iot_basic_found(ngx_iot_db_call_t *call)
{
    ngx_str_t               text;
    ngx_iot_basic_entry_t  *entry;

    entry = call->data;

    if (call->rc != NGX_OK) {
        ngx_iot_basic_unavailable(entry);
        return;
    }

    ngx_str_null(&text);

    if (PQntuples(call->result) == 1) {
        text.data = (u_char *) PQgetvalue(call->result, 0, 0);
        text.len = PQgetlength(call->result, 0, 0);

        if (ngx_iot_basic_copy(entry->pool, &entry->user_id, &text)
            != NGX_OK)
        {
            ngx_iot_basic_unavailable(entry);
            return;
        }

        text.data = (u_char *) PQgetvalue(call->result, 0, 1);
        text.len = PQgetlength(call->result, 0, 1);

        if (ngx_iot_basic_copy(entry->pool, &entry->stored, &text) != NGX_OK)
        {
            ngx_iot_basic_unavailable(entry);
            return;
        }

        entry->usable = PQgetvalue(call->result, 0, 2)[0] == 't';
        entry->familiar = PQgetvalue(call->result, 0, 3)[0] == 't';
    }

    if (!entry->familiar && ngx_iot_basic_admit_stranger(entry) != NGX_OK) {
        return;
    }

    if (ngx_iot_password_verify(&entry->given.password,
                                entry->stored.len ? &entry->stored : NULL,
                                ngx_iot_basic_hashed, entry, &entry->job)
        != NGX_OK)
    {
        ngx_iot_basic_unavailable(entry);
    }
}


static void
ngx_iot_basic_hashed(void *data, ngx_int_t rc, ngx_str_t *hash)
{
    ngx_iot_basic_entry_t *entry = data;

    ngx_str_t  *params[5];

    entry->job = NULL;

    if (rc == NGX_ERROR) {
        ngx_iot_basic_unavailable(entry);
        return;
    }

    if (rc != NGX_OK || !entry->usable) {
        ngx_iot_basic_failed(entry);
        return;
    }

    entry->changes = ngx_iot_zone_changes();

    params[0] = &entry->user_id;
    params[1] = &entry->given.address;
    params[2] = entry->given.agent.len ? &entry->given.agent : NULL;
    params[3] = &entry->stored;
    params[4] = hash->len ? hash : NULL;

    if (ngx_iot_basic_send(entry, &ngx_iot_basic_login_stmt, params, 5,
                           ngx_iot_basic_loaded)
        != NGX_OK)
    {
        ngx_iot_basic_unavailable(entry);
    }
}


/* asked also when there is no such user: it takes the same time */

static void
ngx_iot_basic_failed(ngx_iot_basic_entry_t *entry)
{
    ngx_str_t  *params[3];

    static ngx_str_t  reason = ngx_string("Invalid username or password");

    ngx_iot_count(logins_failed);

    params[0] = &entry->given.user;
    params[1] = &entry->given.address;
    params[2] = &reason;

    if (ngx_iot_basic_send(entry, &ngx_iot_basic_failed_stmt, params, 3,
                           ngx_iot_basic_counted)
        != NGX_OK)
    {
        ngx_iot_basic_unavailable(entry);
    }
}


static void
ngx_iot_basic_counted(ngx_iot_db_call_t *call)
{
    if (call->rc != NGX_OK) {
        ngx_iot_basic_unavailable(call->data);
        return;
    }

    ngx_iot_basic_refuse(call->data);
}


static void
ngx_iot_basic_loaded(ngx_iot_db_call_t *call)
{
    ngx_iot_basic_entry_t  *entry;

    entry = call->data;

    if (call->rc != NGX_OK) {

        if (call->error.status >= 400 && call->error.status < 500) {
            ngx_iot_basic_answer(entry, NGX_ERROR, &call->error);
            return;
        }

        ngx_iot_basic_unavailable(entry);
        return;
    }

    ngx_iot_basic_forgive(entry);

    if (PQntuples(call->result) == 0) {
        ngx_iot_basic_refuse(entry);
        return;
    }

    if (ngx_iot_basic_fill(entry, call->result) != NGX_OK) {
        ngx_iot_basic_unavailable(entry);
        return;
    }

    ngx_iot_count(logins);

    ngx_iot_basic_answer(entry, NGX_OK, NULL);
}


static ngx_int_t
ngx_iot_basic_fill(ngx_iot_basic_entry_t *entry, PGresult *res)
{
    size_t                len;
    ngx_iot_principal_t  *p;

    p = &entry->principal;

    switch (PQgetvalue(res, 0, NGX_IOT_BASIC_ROLE)[0]) {

    case 'S':
        p->role = NGX_IOT_SYSTEM;
        break;

    case 'T':
        p->role = NGX_IOT_TENANT;
        break;

    case 'C':
        p->role = NGX_IOT_CUSTOMER;
        break;

    default:
        return NGX_ERROR;
    }

    p->has_tenant = ngx_iot_basic_uuid(entry, 0, p->tenant, res,
                                       NGX_IOT_BASIC_TENANT);
    p->has_customer = ngx_iot_basic_uuid(entry, 1, p->customer, res,
                                         NGX_IOT_BASIC_CUSTOMER);
    p->has_user = ngx_iot_basic_uuid(entry, 2, p->user, res,
                                     NGX_IOT_BASIC_ID);

    len = PQgetlength(res, 0, NGX_IOT_BASIC_NAME);

    p->name.data = ngx_alloc(len + 1, ngx_cycle->log);
    if (p->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p->name.data, PQgetvalue(res, 0, NGX_IOT_BASIC_NAME), len + 1);
    p->name.len = len;

    entry->expires = ngx_time() + NGX_IOT_BASIC_TIME;

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_basic_uuid(ngx_iot_basic_entry_t *entry, ngx_uint_t tag, u_char *dst,
    PGresult *res, int column)
{
    ngx_str_t  id;

    if (PQgetlength(res, 0, column) != NGX_IOT_UUID_LEN) {
        return 0;
    }

    ngx_memcpy(dst, PQgetvalue(res, 0, column), NGX_IOT_UUID_LEN);

    id.data = dst;
    id.len = NGX_IOT_UUID_LEN;

    entry->tags[tag] = ngx_iot_zone_tag(&id);
    entry->seen_tags[tag] = *entry->tags[tag];

    return 1;
}


static void
ngx_iot_basic_refuse(ngx_iot_basic_entry_t *entry)
{
    ngx_iot_error_t  err;

    ngx_memzero(&err, sizeof(ngx_iot_error_t));
    ngx_iot_error_set(&err, 401, "authentication",
                      "Invalid username or password");

    ngx_iot_basic_answer(entry, NGX_ERROR, &err);
}


static void
ngx_iot_basic_unavailable(ngx_iot_basic_entry_t *entry)
{
    ngx_iot_error_t  err;

    ngx_iot_basic_forgive(entry);

    ngx_memzero(&err, sizeof(ngx_iot_error_t));
    ngx_iot_error_set(&err, 503, "unavailable", "Service is unavailable");
    err.retry_after = 1;

    ngx_iot_basic_answer(entry, NGX_ERROR, &err);
}


/*
 * Only who was let in is kept; and while we asked something changed, perhaps
 * this user: then it was good for once only.
 */

static void
ngx_iot_basic_answer(ngx_iot_basic_entry_t *entry, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    void                  *data;
    ngx_queue_t           *q;
    ngx_iot_auth_done_pt   done;
    ngx_iot_basic_wait_t  *wait;

    if ((rc != NGX_OK || entry->changes != ngx_iot_zone_changes())
        && entry->cached)
    {
        entry->cached = 0;

        ngx_rbtree_delete(&ngx_iot_basic_tree, &entry->node.node);
        ngx_queue_remove(&entry->lru);

        ngx_iot_basic_entries--;
    }

    while (!ngx_queue_empty(&entry->waiting)) {
        q = ngx_queue_head(&entry->waiting);
        wait = ngx_queue_data(q, ngx_iot_basic_wait_t, queue);

        ngx_queue_remove(q);

        done = wait->done;
        data = wait->data;

        ngx_free(wait);

        done(data, rc, rc == NGX_OK ? &entry->principal : NULL, err);
    }

    if (!entry->cached) {
        ngx_iot_basic_free(entry);
        return;
    }

    entry->loading = 0;

    sodium_memzero(entry->given.password.data, entry->given.password.len);
    ngx_destroy_pool(entry->pool);
    entry->pool = NULL;
}
