
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>

#include <sodium.h>

#include "ngx_iot_auth.h"
#include "ngx_iot_db.h"
#include "ngx_iot_jwt.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_settings.h"
#include "ngx_iot_zone.h"


#define NGX_IOT_AUTH_CACHE  16384     /* entries per worker, 0.6 kB each */
#define NGX_IOT_AUTH_HASH   32
#define NGX_IOT_AUTH_TAGS   4


/* columns of iot.session_principal() and iot.api_key_principal() */

enum {
    NGX_IOT_AUTH_ROLE = 0,
    NGX_IOT_AUTH_TENANT,
    NGX_IOT_AUTH_CUSTOMER,
    NGX_IOT_AUTH_USER,
    NGX_IOT_AUTH_SESSION,
    NGX_IOT_AUTH_IS_PUBLIC,
    NGX_IOT_AUTH_NAME,
    NGX_IOT_AUTH_KEY,
    NGX_IOT_AUTH_EXPIRES,
    NGX_IOT_AUTH_PLAN
};


/*
 * The holder of one access token or API key.  The tags are those of session or
 * key, user, tenant and customer: whatever happens to one of them ends the
 * entry.
 */

typedef struct {
    ngx_str_node_t          node;         /* by hash of the token; first */
    ngx_queue_t             lru;
    ngx_queue_t             waiting;
    ngx_uint_t              refs;

    int64_t                 expires;
    ngx_uint_t              generation;   /* of the key that signed it */
    ngx_iot_principal_t     principal;

    ngx_atomic_t           *tags[NGX_IOT_AUTH_TAGS];
    ngx_atomic_uint_t       seen_tags[NGX_IOT_AUTH_TAGS];
    ngx_uint_t              changes;      /* when the database was asked */

    u_char                  hash[NGX_IOT_AUTH_HASH];

    unsigned                loading:1;
    unsigned                cached:1;
} ngx_iot_auth_entry_t;


/* what "pending" points to */

typedef struct {
    ngx_queue_t             queue;
    ngx_str_t               token;
    ngx_iot_settings_wait_t settings;
    ngx_iot_auth_done_pt    done;
    void                   *data;
    unsigned                queued:1;
} ngx_iot_auth_wait_t;


typedef struct {
    ngx_uint_t              role;
    ngx_str_t               name;
} ngx_iot_auth_role_t;


static ngx_iot_auth_wait_t *ngx_iot_auth_wait(ngx_str_t *token,
    ngx_iot_auth_done_pt done, void *data);
static void ngx_iot_auth_ready(ngx_iot_settings_wait_t *settings,
    ngx_int_t rc);
static ngx_int_t ngx_iot_auth_find(ngx_str_t *token,
    ngx_iot_auth_entry_t **found, ngx_iot_error_t *err);
static ngx_int_t ngx_iot_auth_ask(ngx_str_t *token, ngx_str_t *hash,
    ngx_iot_auth_entry_t **found, ngx_iot_error_t *err);
static ngx_uint_t ngx_iot_auth_current(ngx_iot_auth_entry_t *entry);
static ngx_iot_auth_entry_t *ngx_iot_auth_create(ngx_str_t *hash);
static void ngx_iot_auth_drop(ngx_iot_auth_entry_t *entry);
static ngx_int_t ngx_iot_auth_load(ngx_iot_auth_entry_t *entry,
    ngx_iot_jwt_t *jwt);
static ngx_int_t ngx_iot_auth_load_key(ngx_iot_auth_entry_t *entry,
    ngx_str_t *token);
static ngx_int_t ngx_iot_auth_send(ngx_iot_auth_entry_t *entry,
    ngx_iot_db_call_t *call);
static void ngx_iot_auth_loaded(ngx_iot_db_call_t *call);
static ngx_int_t ngx_iot_auth_fill(ngx_iot_auth_entry_t *entry,
    PGresult *res);
static ngx_uint_t ngx_iot_auth_role(PGresult *res);
static ngx_uint_t ngx_iot_auth_uuid(ngx_iot_auth_entry_t *entry,
    ngx_uint_t tag, u_char *dst, PGresult *res, int column);
static void ngx_iot_auth_answer(ngx_iot_auth_entry_t *entry, ngx_int_t rc,
    ngx_iot_error_t *err);
static u_char *ngx_iot_principal_quote(u_char *dst, ngx_str_t *text);


static ngx_iot_db_stmt_t  ngx_iot_auth_stmt = ngx_iot_db_stmt(
    "SELECT role, tenant_id, customer_id, user_id, session_id, is_public,"
    " name FROM iot.session_principal($1, $2, $3)");

static ngx_iot_db_stmt_t  ngx_iot_auth_key_stmt = ngx_iot_db_stmt(
    "SELECT role, tenant_id, customer_id, user_id, session_id, is_public,"
    " name, key_id, expires, plan FROM iot.api_key_principal($1)");

static ngx_iot_auth_role_t  ngx_iot_auth_roles[] = {
    { NGX_IOT_SYSTEM, ngx_string("SYS_ADMIN") },
    { NGX_IOT_TENANT, ngx_string("TENANT_ADMIN") },
    { NGX_IOT_CUSTOMER, ngx_string("CUSTOMER_USER") },
    { NGX_IOT_DEVICE, ngx_string("DEVICE") },
    { NGX_IOT_REFRESH, ngx_string("REFRESH_TOKEN") },
    { NGX_IOT_SECOND, ngx_string("PRE_VERIFICATION_TOKEN") },
    { NGX_IOT_ENROLL, ngx_string("MFA_CONFIGURATION_TOKEN") },
    { NGX_IOT_PUBLIC, ngx_string("ANONYMOUS") },
    { 0, ngx_null_string }
};

static ngx_rbtree_t       ngx_iot_auth_tree;
static ngx_rbtree_node_t  ngx_iot_auth_sentinel;
static ngx_queue_t        ngx_iot_auth_lru;
static ngx_uint_t         ngx_iot_auth_entries;


ngx_int_t
ngx_iot_auth_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_auth_tree, &ngx_iot_auth_sentinel,
                    ngx_str_rbtree_insert_value);
    ngx_queue_init(&ngx_iot_auth_lru);
    ngx_iot_auth_entries = 0;

    return NGX_OK;
}


void
ngx_iot_auth_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t           *q;
    ngx_iot_auth_entry_t  *entry;

    while (!ngx_queue_empty(&ngx_iot_auth_lru)) {
        q = ngx_queue_head(&ngx_iot_auth_lru);
        entry = ngx_queue_data(q, ngx_iot_auth_entry_t, lru);
        ngx_iot_auth_drop(entry);
    }
}


ngx_int_t
ngx_iot_auth_bearer(ngx_str_t *token, ngx_iot_principal_t *principal,
    ngx_iot_error_t *err, ngx_iot_auth_done_pt done, void *data,
    void **pending, ngx_log_t *log)
{
    ngx_int_t              rc;
    ngx_iot_auth_wait_t   *wait;
    ngx_iot_auth_entry_t  *entry;

    *pending = NULL;
    entry = NULL;

    if (ngx_iot_settings.loaded) {
        rc = ngx_iot_auth_find(token, &entry, err);

        if (rc == NGX_OK) {
            *principal = entry->principal;
            return NGX_OK;
        }

        if (rc != NGX_AGAIN) {
            return NGX_ERROR;
        }
    }

    wait = ngx_iot_auth_wait(token, done, data);

    if (wait == NULL) {
        /* an entry that is loading finds nobody waiting, which is fine */
        ngx_iot_error_set(err, 503, "unavailable", "Out of memory");
        return NGX_ERROR;
    }

    if (entry) {
        wait->queued = 1;
        ngx_queue_insert_tail(&entry->waiting, &wait->queue);

    } else {
        ngx_iot_settings_wait(&wait->settings);
    }

    *pending = wait;

    return NGX_AGAIN;
}


static ngx_iot_auth_wait_t *
ngx_iot_auth_wait(ngx_str_t *token, ngx_iot_auth_done_pt done, void *data)
{
    ngx_iot_auth_wait_t  *wait;

    wait = ngx_calloc(sizeof(ngx_iot_auth_wait_t), ngx_cycle->log);
    if (wait == NULL) {
        return NULL;
    }

    wait->token = *token;
    wait->done = done;
    wait->data = data;
    wait->settings.ready = ngx_iot_auth_ready;
    wait->settings.data = wait;

    return wait;
}


/* a worker that has just started knows its signing key now */

static void
ngx_iot_auth_ready(ngx_iot_settings_wait_t *settings, ngx_int_t rc)
{
    void                  *data;
    ngx_iot_error_t        err;
    ngx_iot_auth_wait_t   *wait;
    ngx_iot_auth_done_pt   done;
    ngx_iot_auth_entry_t  *entry;

    wait = settings->data;
    entry = NULL;

    if (rc == NGX_OK) {
        rc = ngx_iot_auth_find(&wait->token, &entry, &err);

        if (rc == NGX_AGAIN) {
            wait->queued = 1;
            ngx_queue_insert_tail(&entry->waiting, &wait->queue);
            return;
        }

    } else {
        ngx_iot_error_set(&err, 503, "unavailable",
                          "Storage is not available");
    }

    done = wait->done;
    data = wait->data;

    ngx_free(wait);

    done(data, rc == NGX_OK ? NGX_OK : NGX_ERROR,
         rc == NGX_OK ? &entry->principal : NULL, &err);
}


void
ngx_iot_auth_abandon(void *pending)
{
    ngx_iot_auth_wait_t *wait = pending;

    if (wait->queued) {
        ngx_queue_remove(&wait->queue);
    }

    ngx_iot_settings_unwait(&wait->settings);

    ngx_free(wait);
}


/* NGX_OK: current; NGX_AGAIN: loading; NGX_ERROR: err is set */

static ngx_int_t
ngx_iot_auth_find(ngx_str_t *token, ngx_iot_auth_entry_t **found,
    ngx_iot_error_t *err)
{
    u_char                 hash[NGX_IOT_AUTH_HASH];
    uint32_t               key;
    ngx_str_t              name;
    ngx_iot_auth_entry_t  *entry;

    (void) crypto_generichash(hash, NGX_IOT_AUTH_HASH, token->data, token->len,
                              NULL, 0);

    name.data = hash;
    name.len = NGX_IOT_AUTH_HASH;
    key = ngx_murmur_hash2(hash, NGX_IOT_AUTH_HASH);

    entry = (ngx_iot_auth_entry_t *) ngx_str_rbtree_lookup(&ngx_iot_auth_tree,
                                                           &name, key);

    if (entry && !entry->loading && !ngx_iot_auth_current(entry)) {
        ngx_iot_auth_drop(entry);
        entry = NULL;
    }

    if (entry) {
        ngx_iot_count(cache_principal_hits);

        ngx_queue_remove(&entry->lru);
        ngx_queue_insert_head(&ngx_iot_auth_lru, &entry->lru);

        *found = entry;

        return entry->loading ? NGX_AGAIN : NGX_OK;
    }

    return ngx_iot_auth_ask(token, &name, found, err);
}


static ngx_int_t
ngx_iot_auth_ask(ngx_str_t *token, ngx_str_t *hash,
    ngx_iot_auth_entry_t **found, ngx_iot_error_t *err)
{
    ngx_int_t              rc;
    ngx_uint_t             is_key;
    ngx_iot_jwt_t          jwt;
    ngx_iot_auth_entry_t  *entry;

    is_key = ngx_iot_auth_is_key(token);

    if (!is_key) {
        rc = ngx_iot_jwt_verify(token, &jwt);

        if (rc == NGX_ABORT) {
            ngx_iot_error_set(err, 401, "token_expired", "Token has expired");
            return NGX_ERROR;
        }

        if (rc != NGX_OK) {
            ngx_iot_error_set(err, 401, "authentication",
                              "Invalid username or password");
            return NGX_ERROR;
        }

        if (jwt.refresh) {
            ngx_iot_error_set(err, 401, "authentication",
                              "Authentication failed");
            return NGX_ERROR;
        }
    }

    ngx_iot_count(cache_principal_misses);

    entry = ngx_iot_auth_create(hash);

    if (entry == NULL) {
        goto failed;
    }

    rc = is_key ? ngx_iot_auth_load_key(entry, token)
                : ngx_iot_auth_load(entry, &jwt);

    if (rc != NGX_OK) {
        ngx_iot_auth_drop(entry);
        goto failed;
    }

    *found = entry;

    return NGX_AGAIN;

failed:

    ngx_iot_error_set(err, 503, "unavailable", "Service is unavailable");

    return NGX_ERROR;
}


ngx_uint_t
ngx_iot_auth_is_key(ngx_str_t *token)
{
    size_t  i;
    u_char  ch;

    if (token->len != NGX_IOT_API_KEY_LEN
        || ngx_strncmp(token->data, "tb_", sizeof("tb_") - 1) != 0)
    {
        return 0;
    }

    for (i = sizeof("tb_") - 1; i < token->len; i++) {
        ch = token->data[i];

        if (!((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z')
              || (ch >= '0' && ch <= '9')))
        {
            return 0;
        }
    }

    return 1;
}


static ngx_uint_t
ngx_iot_auth_current(ngx_iot_auth_entry_t *entry)
{
    ngx_uint_t  i;

    if (!ngx_iot_db_listening()
        || entry->expires <= (int64_t) ngx_time()
        || entry->generation != ngx_iot_settings.generation)
    {
        return 0;
    }

    for (i = 0; i < NGX_IOT_AUTH_TAGS; i++) {
        if (entry->tags[i] && *entry->tags[i] != entry->seen_tags[i]) {
            return 0;
        }
    }

    return 1;
}


static ngx_iot_auth_entry_t *
ngx_iot_auth_create(ngx_str_t *hash)
{
    ngx_queue_t           *q;
    ngx_iot_auth_entry_t  *entry;

    while (ngx_iot_auth_entries >= NGX_IOT_AUTH_CACHE) {
        q = ngx_queue_last(&ngx_iot_auth_lru);
        entry = ngx_queue_data(q, ngx_iot_auth_entry_t, lru);

        if (entry->loading) {
            /* so many questions at once are an attack or an overload */
            return NULL;
        }

        ngx_iot_auth_drop(entry);
    }

    entry = ngx_calloc(sizeof(ngx_iot_auth_entry_t), ngx_cycle->log);
    if (entry == NULL) {
        return NULL;
    }

    ngx_memcpy(entry->hash, hash->data, NGX_IOT_AUTH_HASH);

    entry->node.str.data = entry->hash;
    entry->node.str.len = NGX_IOT_AUTH_HASH;
    entry->node.node.key = ngx_murmur_hash2(entry->hash, NGX_IOT_AUTH_HASH);
    entry->loading = 1;
    entry->cached = 1;

    ngx_queue_init(&entry->waiting);
    ngx_rbtree_insert(&ngx_iot_auth_tree, &entry->node.node);
    ngx_queue_insert_head(&ngx_iot_auth_lru, &entry->lru);

    ngx_iot_auth_entries++;
    ngx_iot_gauge(cache_principal_entries, ngx_iot_auth_entries);

    return entry;
}


static void
ngx_iot_auth_drop(ngx_iot_auth_entry_t *entry)
{
    if (entry->cached) {
        entry->cached = 0;

        ngx_rbtree_delete(&ngx_iot_auth_tree, &entry->node.node);
        ngx_queue_remove(&entry->lru);

        ngx_iot_auth_entries--;
        ngx_iot_gauge(cache_principal_entries, ngx_iot_auth_entries);
    }

    if (entry->refs) {
        return;
    }

    if (entry->principal.name.data) {
        ngx_free(entry->principal.name.data);
    }

    ngx_free(entry);
}


static ngx_int_t
ngx_iot_auth_load(ngx_iot_auth_entry_t *entry, ngx_iot_jwt_t *jwt)
{
    u_char              text[NGX_INT64_LEN];
    ngx_str_t           session, user, issued;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_auth_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    session.data = jwt->session;
    session.len = NGX_IOT_UUID_LEN;

    user.data = jwt->user;
    user.len = NGX_IOT_UUID_LEN;

    issued.data = text;
    issued.len = ngx_sprintf(text, "%L", jwt->issued) - text;

    entry->expires = jwt->expires;

    if (ngx_iot_db_text(call, &session) != NGX_OK
        || ngx_iot_db_text(call, jwt->is_public ? NULL : &user) != NGX_OK
        || ngx_iot_db_text(call, &issued) != NGX_OK)
    {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    return ngx_iot_auth_send(entry, call);
}


/* the database knows the SHA-256 of a key only */

static ngx_int_t
ngx_iot_auth_load_key(ngx_iot_auth_entry_t *entry, ngx_str_t *token)
{
    u_char              hash[crypto_hash_sha256_BYTES];
    u_char              text[2 * crypto_hash_sha256_BYTES];
    ngx_str_t           hex;
    ngx_iot_db_call_t  *call;

    call = ngx_iot_db_create(NGX_IOT_DB_CALL, &ngx_iot_auth_key_stmt,
                             ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    (void) crypto_hash_sha256(hash, token->data, token->len);

    hex.data = text;
    hex.len = ngx_hex_dump(text, hash, crypto_hash_sha256_BYTES) - text;

    entry->expires = NGX_MAX_INT_T_VALUE;

    if (ngx_iot_db_text(call, &hex) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    return ngx_iot_auth_send(entry, call);
}


static ngx_int_t
ngx_iot_auth_send(ngx_iot_auth_entry_t *entry, ngx_iot_db_call_t *call)
{
    entry->generation = ngx_iot_settings.generation;
    entry->changes = ngx_iot_zone_changes();

    call->data = entry;
    call->done = ngx_iot_auth_loaded;

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    /* of the database call */
    entry->refs++;

    return NGX_OK;
}


static void
ngx_iot_auth_loaded(ngx_iot_db_call_t *call)
{
    ngx_int_t              rc;
    ngx_iot_auth_entry_t  *entry;

    entry = call->data;
    entry->loading = 0;

    if (call->rc != NGX_OK) {
        rc = NGX_ERROR;

    } else if (PQntuples(call->result) == 0) {

        if (PQnfields(call->result) > NGX_IOT_AUTH_KEY) {
            ngx_iot_error_set(&call->error, 401, "authentication",
                              "Authentication failed");

        } else {
            ngx_iot_error_set(&call->error, 401, "token_expired",
                              "Token has expired");
        }

        rc = NGX_ERROR;

    } else {
        rc = ngx_iot_auth_fill(entry, call->result);

        if (rc != NGX_OK) {
            ngx_iot_error_set(&call->error, 503, "unavailable",
                              "Service is unavailable");
        }
    }

    /* while we asked something changed, perhaps this: good for once only */

    if ((rc != NGX_OK || entry->changes != ngx_iot_zone_changes())
        && entry->cached)
    {
        ngx_iot_auth_drop(entry);
    }

    ngx_iot_auth_answer(entry, rc, &call->error);

    entry->refs--;

    if (entry->refs == 0 && !entry->cached) {
        ngx_iot_auth_drop(entry);
    }
}


static ngx_int_t
ngx_iot_auth_fill(ngx_iot_auth_entry_t *entry, PGresult *res)
{
    ngx_int_t             ms;
    ngx_str_t             plan;
    ngx_iot_principal_t  *p;

    p = &entry->principal;

    p->role = ngx_iot_auth_role(res);
    if (p->role == 0) {
        return NGX_ERROR;
    }

    p->has_tenant = ngx_iot_auth_uuid(entry, 0, p->tenant, res,
                                      NGX_IOT_AUTH_TENANT);
    p->has_customer = ngx_iot_auth_uuid(entry, 1, p->customer, res,
                                        NGX_IOT_AUTH_CUSTOMER);
    p->has_user = ngx_iot_auth_uuid(entry, 2, p->user, res,
                                    NGX_IOT_AUTH_USER);
    p->has_session = ngx_iot_auth_uuid(entry, 3, p->session, res,
                                       NGX_IOT_AUTH_SESSION);

    if (PQnfields(res) > NGX_IOT_AUTH_KEY) {
        p->has_key = ngx_iot_auth_uuid(entry, 3, p->key, res,
                                       NGX_IOT_AUTH_KEY);

        plan.data = (u_char *) PQgetvalue(res, 0, NGX_IOT_AUTH_PLAN);
        plan.len = PQgetlength(res, 0, NGX_IOT_AUTH_PLAN);

        if (ngx_iot_limit_parse(&p->plan, &plan) != NGX_OK) {
            ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                          "invalid plan \"%V\" of an API key", &plan);
            return NGX_ERROR;
        }

        if (!PQgetisnull(res, 0, NGX_IOT_AUTH_EXPIRES)) {
            ms = ngx_atoi((u_char *) PQgetvalue(res, 0, NGX_IOT_AUTH_EXPIRES),
                          PQgetlength(res, 0, NGX_IOT_AUTH_EXPIRES));
            entry->expires = ms / 1000;
        }
    }

    p->is_public = PQgetvalue(res, 0, NGX_IOT_AUTH_IS_PUBLIC)[0] == 't';

    p->name.len = PQgetlength(res, 0, NGX_IOT_AUTH_NAME);

    p->name.data = ngx_alloc(p->name.len + 1, ngx_cycle->log);
    if (p->name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_memcpy(p->name.data, PQgetvalue(res, 0, NGX_IOT_AUTH_NAME),
               p->name.len + 1);

    return NGX_OK;
}


static ngx_uint_t
ngx_iot_auth_role(PGresult *res)
{
    char                 *text;
    size_t                len;
    ngx_iot_auth_role_t  *r;

    text = PQgetvalue(res, 0, NGX_IOT_AUTH_ROLE);
    len = PQgetlength(res, 0, NGX_IOT_AUTH_ROLE);

    for (r = ngx_iot_auth_roles; r->role; r++) {

        if (r->name.len == len && ngx_strncmp(r->name.data, text, len) == 0) {
            return r->role & (NGX_IOT_ANY_USER|NGX_IOT_SECOND|NGX_IOT_ENROLL);
        }
    }

    return 0;
}


static ngx_uint_t
ngx_iot_auth_uuid(ngx_iot_auth_entry_t *entry, ngx_uint_t tag, u_char *dst,
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
ngx_iot_auth_answer(ngx_iot_auth_entry_t *entry, ngx_int_t rc,
    ngx_iot_error_t *err)
{
    void                  *data;
    ngx_queue_t           *q;
    ngx_iot_auth_wait_t   *wait;
    ngx_iot_auth_done_pt   done;

    while (!ngx_queue_empty(&entry->waiting)) {
        q = ngx_queue_head(&entry->waiting);
        wait = ngx_queue_data(q, ngx_iot_auth_wait_t, queue);

        ngx_queue_remove(q);

        done = wait->done;
        data = wait->data;

        ngx_free(wait);

        done(data, rc, rc == NGX_OK ? &entry->principal : NULL, err);
    }
}


/*
 * role, tenant, customer, user, device, session, is_public, name, address
 * as a composite literal (PostgreSQL 15, 8.16.6); nothing is NULL.
 */

ngx_int_t
ngx_iot_principal_text(ngx_iot_principal_t *principal, ngx_str_t *address,
    ngx_str_t *out, ngx_pool_t *pool)
{
    u_char               *p;
    ngx_iot_auth_role_t  *r;

    for (r = ngx_iot_auth_roles; r->role; r++) {
        if (r->role == principal->role) {
            break;
        }
    }

    p = ngx_pnalloc(pool, sizeof("(MFA_CONFIGURATION_TOKEN,,,,,,t,\"\",\"\")")
                          + 5 * NGX_IOT_UUID_LEN + 2 * principal->name.len
                          + 2 * address->len);
    if (p == NULL) {
        return NGX_ERROR;
    }

    out->data = p;

    *p++ = '(';
    p = ngx_cpymem(p, r->name.data, r->name.len);
    *p++ = ',';

    if (principal->has_tenant) {
        p = ngx_cpymem(p, principal->tenant, NGX_IOT_UUID_LEN);
    }

    *p++ = ',';

    if (principal->has_customer) {
        p = ngx_cpymem(p, principal->customer, NGX_IOT_UUID_LEN);
    }

    *p++ = ',';

    if (principal->has_user) {
        p = ngx_cpymem(p, principal->user, NGX_IOT_UUID_LEN);
    }

    *p++ = ',';

    if (principal->has_device) {
        p = ngx_cpymem(p, principal->device, NGX_IOT_UUID_LEN);
    }

    *p++ = ',';

    if (principal->has_session) {
        p = ngx_cpymem(p, principal->session, NGX_IOT_UUID_LEN);
    }

    *p++ = ',';
    *p++ = principal->is_public ? 't' : 'f';
    *p++ = ',';
    p = ngx_iot_principal_quote(p, &principal->name);
    *p++ = ',';
    p = ngx_iot_principal_quote(p, address);
    *p++ = ')';

    out->len = p - out->data;
    *p = '\0';

    return NGX_OK;
}


static u_char *
ngx_iot_principal_quote(u_char *dst, ngx_str_t *text)
{
    size_t  i;

    *dst++ = '"';

    for (i = 0; i < text->len; i++) {

        if (text->data[i] == '"' || text->data[i] == '\\') {
            *dst++ = '\\';
        }

        *dst++ = text->data[i];
    }

    *dst++ = '"';

    return dst;
}
