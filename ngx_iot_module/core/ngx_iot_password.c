
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_thread_pool.h>

#include <sodium.h>

#include "ngx_iot_module.h"
#include "ngx_iot_password.h"


#define NGX_IOT_PASSWORD_RUNNING  2
#define NGX_IOT_PASSWORD_WAITING  64

#define NGX_IOT_PASSWORD_OPS  crypto_pwhash_OPSLIMIT_INTERACTIVE
#define NGX_IOT_PASSWORD_MEM  crypto_pwhash_MEMLIMIT_INTERACTIVE


/* lives in the pool of its own, which the thread does not touch */

struct ngx_iot_password_s {
    ngx_queue_t                 queue;
    ngx_pool_t                 *pool;
    ngx_thread_task_t          *task;

    ngx_iot_password_done_pt    done;
    void                       *data;

    size_t                      len;
    u_char                      password[NGX_IOT_PASSWORD_MAX];
    char                        stored[crypto_pwhash_STRBYTES];
    char                        hash[crypto_pwhash_STRBYTES];
    ngx_int_t                   rc;

    unsigned                    verify:1;
    unsigned                    unknown:1;
    unsigned                    running:1;
    unsigned                    abandoned:1;
};


typedef struct {
    ngx_iot_password_t         *job;
} ngx_iot_password_ctx_t;


static ngx_iot_password_t *ngx_iot_password_create(ngx_str_t *password,
    ngx_iot_password_done_pt done, void *data);
static ngx_int_t ngx_iot_password_start(ngx_iot_password_t *job,
    ngx_iot_password_t **result);
static ngx_int_t ngx_iot_password_post(ngx_iot_password_t *job);
static void ngx_iot_password_thread(void *data, ngx_log_t *log);
static void ngx_iot_password_finished(ngx_event_t *ev);
static void ngx_iot_password_free(ngx_iot_password_t *job);


static ngx_queue_t  ngx_iot_password_queue;
static ngx_uint_t   ngx_iot_password_waiting;
static ngx_uint_t   ngx_iot_password_running;
static char         ngx_iot_password_dummy[crypto_pwhash_STRBYTES];


ngx_int_t
ngx_iot_password_init_process(ngx_cycle_t *cycle)
{
    u_char  random[48];
    char    salt[32], hash[64];

    ngx_queue_init(&ngx_iot_password_queue);
    ngx_iot_password_waiting = 0;
    ngx_iot_password_running = 0;

    /* the hash of no password, as costly as the hash of one */

    randombytes_buf(random, sizeof(random));

    (void) sodium_bin2base64(salt, sizeof(salt), random, 16,
                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    (void) sodium_bin2base64(hash, sizeof(hash), random + 16, 32,
                             sodium_base64_VARIANT_ORIGINAL_NO_PADDING);

    (void) ngx_snprintf((u_char *) ngx_iot_password_dummy,
                        sizeof(ngx_iot_password_dummy),
                        "$argon2id$v=19$m=%ui,t=%ui,p=1$%s$%s%Z",
                        (ngx_uint_t) NGX_IOT_PASSWORD_MEM / 1024,
                        (ngx_uint_t) NGX_IOT_PASSWORD_OPS, salt, hash);

    return NGX_OK;
}


/* threads that still run are waited for by nginx, later than this */

void
ngx_iot_password_exit_process(ngx_cycle_t *cycle)
{
    ngx_queue_t         *q;
    ngx_iot_password_t  *job;

    while (!ngx_queue_empty(&ngx_iot_password_queue)) {
        q = ngx_queue_head(&ngx_iot_password_queue);
        job = ngx_queue_data(q, ngx_iot_password_t, queue);

        ngx_queue_remove(q);
        ngx_iot_password_free(job);
    }

    ngx_iot_password_waiting = 0;
}


ngx_int_t
ngx_iot_password_verify(ngx_str_t *password, ngx_str_t *hash,
    ngx_iot_password_done_pt done, void *data, ngx_iot_password_t **result)
{
    ngx_iot_password_t  *job;

    job = ngx_iot_password_create(password, done, data);
    if (job == NULL) {
        return NGX_ERROR;
    }

    job->verify = 1;

    if (hash && hash->len && hash->len < crypto_pwhash_STRBYTES
        && password->len <= NGX_IOT_PASSWORD_MAX)
    {
        ngx_memcpy(job->stored, hash->data, hash->len);

    } else {
        ngx_memcpy(job->stored, ngx_iot_password_dummy,
                   crypto_pwhash_STRBYTES);
        job->unknown = 1;
    }

    return ngx_iot_password_start(job, result);
}


ngx_int_t
ngx_iot_password_hash(ngx_str_t *password, ngx_iot_password_done_pt done,
    void *data, ngx_iot_password_t **result)
{
    ngx_iot_password_t  *job;

    if (password->len == 0 || password->len > NGX_IOT_PASSWORD_MAX) {
        return NGX_ERROR;
    }

    job = ngx_iot_password_create(password, done, data);
    if (job == NULL) {
        return NGX_ERROR;
    }

    return ngx_iot_password_start(job, result);
}


static ngx_iot_password_t *
ngx_iot_password_create(ngx_str_t *password, ngx_iot_password_done_pt done,
    void *data)
{
    ngx_pool_t              *pool;
    ngx_thread_task_t       *task;
    ngx_iot_password_t      *job;
    ngx_iot_password_ctx_t  *ctx;

    pool = ngx_create_pool(2048, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    job = ngx_pcalloc(pool, sizeof(ngx_iot_password_t));
    task = ngx_thread_task_alloc(pool, sizeof(ngx_iot_password_ctx_t));

    if (job == NULL || task == NULL) {
        ngx_destroy_pool(pool);
        return NULL;
    }

    ctx = task->ctx;
    ctx->job = job;

    task->handler = ngx_iot_password_thread;
    task->event.handler = ngx_iot_password_finished;
    task->event.data = job;
    task->event.log = ngx_cycle->log;

    job->pool = pool;
    job->task = task;
    job->done = done;
    job->data = data;
    job->len = ngx_min(password->len, NGX_IOT_PASSWORD_MAX);

    if (job->len) {
        ngx_memcpy(job->password, password->data, job->len);
    }

    return job;
}


static ngx_int_t
ngx_iot_password_start(ngx_iot_password_t *job, ngx_iot_password_t **result)
{
    *result = job;

    if (ngx_iot_password_running < NGX_IOT_PASSWORD_RUNNING) {

        if (ngx_iot_password_post(job) == NGX_OK) {
            return NGX_OK;
        }

    } else if (ngx_iot_password_waiting < NGX_IOT_PASSWORD_WAITING) {
        ngx_queue_insert_tail(&ngx_iot_password_queue, &job->queue);
        ngx_iot_password_waiting++;
        return NGX_OK;
    }

    *result = NULL;
    ngx_iot_password_free(job);

    return NGX_BUSY;
}


static ngx_int_t
ngx_iot_password_post(ngx_iot_password_t *job)
{
    ngx_thread_pool_t  *tp;

    tp = ngx_iot_conf()->thread_pool;

    if (tp == NULL || ngx_thread_task_post(tp, job->task) != NGX_OK) {
        return NGX_ERROR;
    }

    job->running = 1;
    ngx_iot_password_running++;

    return NGX_OK;
}


/* in a thread: nothing here but the job and libsodium */

static void
ngx_iot_password_thread(void *data, ngx_log_t *log)
{
    ngx_iot_password_ctx_t *ctx = data;

    ngx_iot_password_t  *job;

    job = ctx->job;
    job->rc = NGX_ERROR;

    if (job->verify) {
        ngx_set_errno(0);

        if (crypto_pwhash_str_verify(job->stored, (char *) job->password,
                                     job->len)
            != 0
            || job->unknown)
        {
            job->rc = (ngx_errno == NGX_ENOMEM) ? NGX_ERROR : NGX_DECLINED;
            goto done;
        }

        job->rc = NGX_OK;

        if (crypto_pwhash_str_needs_rehash(job->stored, NGX_IOT_PASSWORD_OPS,
                                           NGX_IOT_PASSWORD_MEM)
            == 0)
        {
            goto done;
        }
    }

    if (crypto_pwhash_str(job->hash, (char *) job->password, job->len,
                          NGX_IOT_PASSWORD_OPS, NGX_IOT_PASSWORD_MEM)
        == 0)
    {
        job->rc = NGX_OK;

    } else {
        job->hash[0] = '\0';
    }

done:

    sodium_memzero(job->password, NGX_IOT_PASSWORD_MAX);
}


static void
ngx_iot_password_finished(ngx_event_t *ev)
{
    ngx_iot_password_t *job = ev->data;

    ngx_str_t            hash;
    ngx_queue_t         *q;
    ngx_iot_password_t  *next;

    ngx_iot_password_running--;

    while (!ngx_queue_empty(&ngx_iot_password_queue)
           && ngx_iot_password_running < NGX_IOT_PASSWORD_RUNNING)
    {
        q = ngx_queue_head(&ngx_iot_password_queue);
        next = ngx_queue_data(q, ngx_iot_password_t, queue);

        if (ngx_iot_password_post(next) != NGX_OK) {
            break;
        }

        ngx_queue_remove(q);
        ngx_iot_password_waiting--;
    }

    if (!job->abandoned) {
        hash.data = (u_char *) job->hash;
        hash.len = ngx_strlen(job->hash);

        job->done(job->data, job->rc, &hash);
    }

    ngx_iot_password_free(job);
}


void
ngx_iot_password_abandon(ngx_iot_password_t *job)
{
    if (job->running) {
        job->abandoned = 1;
        return;
    }

    ngx_queue_remove(&job->queue);
    ngx_iot_password_waiting--;

    ngx_iot_password_free(job);
}


static void
ngx_iot_password_free(ngx_iot_password_t *job)
{
    sodium_memzero(job->password, NGX_IOT_PASSWORD_MAX);
    ngx_destroy_pool(job->pool);
}
