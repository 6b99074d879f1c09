
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_H_INCLUDED_
#define _NGX_IOT_HELPER_H_INCLUDED_


#include <curl/curl.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <time.h>

#include "../codec/ngx_iot_codec.h"
#include "../codec/ngx_iot_seal.h"
#include "ngx_iot_helper_pool.h"


/*
 * iot-helper: what must not run in a worker of nginx.  One thread; libcurl's
 * multi interface carries the transfers, so that a slow server holds up
 * nobody else.  Jobs come from iot.job (27_job_helper.sql).
 */

#define NGX_IOT_HELPER_ID      36
#define NGX_IOT_HELPER_CLIENTS 16


typedef struct ngx_iot_helper_s      ngx_iot_helper_t;
typedef struct ngx_iot_helper_job_s  ngx_iot_helper_job_t;


typedef enum {
    NGX_IOT_HELPER_DONE = 0,
    NGX_IOT_HELPER_RETRY,         /* later, as long as there is time */
    NGX_IOT_HELPER_FAILED,        /* no use in trying again */
    NGX_IOT_HELPER_BACK           /* not tried: somebody else may */
} ngx_iot_helper_outcome_e;


/*
 * A kind of job.  start() begins it: NGX_OK: it is over already, outcome and
 * error are set; NGX_AGAIN: a transfer goes on (job->easy).  done() looks at a
 * transfer that has ended.
 */

typedef struct {
    const char                 *name;
    ngx_int_t                 (*start)(ngx_iot_helper_job_t *job);
    void                      (*done)(ngx_iot_helper_job_t *job,
                                      CURLcode code);
} ngx_iot_helper_kind_t;


/*
 * A job in hand: running -> over -> told to the database.  What is over stays
 * until the database has heard of it, for a mail must not be sent again
 * because PostgreSQL was restarted.
 */

struct ngx_iot_helper_job_s {
    ngx_iot_helper_t               *helper;
    const ngx_iot_helper_kind_t    *kind;
    ngx_iot_helper_job_t           *next;

    char                            id[NGX_IOT_HELPER_ID + 1];
    char                            tenant[NGX_IOT_HELPER_ID + 1];
    int                             attempt;
    time_t                          created;
    json_t                         *payload;

    ngx_iot_helper_pool_t           pool;

    CURL                           *easy;
    struct curl_slist              *headers;
    struct curl_slist              *recipients;
    ngx_iot_helper_buf_t            body;         /* what is sent */
    ngx_iot_helper_buf_t            answer;       /* what came */
    json_t                         *answer_headers;
    size_t                          sent;
    size_t                          answer_max;
    int                             fd;           /* of the transfer, or -1 */
    char                            curl_error[CURL_ERROR_SIZE];
    char                            line[256];    /* of refusal */

    ngx_iot_helper_outcome_e        outcome;
    char                            error[1024];
    json_t                         *result;

    unsigned                        allow_private:1;
    unsigned                        refused:1;    /* a private address */
    unsigned                        too_large:1;
    unsigned                        over:1;
    unsigned                        told:1;       /* by its kind */
};


typedef struct {
    uint64_t                        done;
    uint64_t                        retried;
    uint64_t                        failed;
    uint64_t                        lost;         /* lease ran out */
    uint64_t                        reconnects;
} ngx_iot_helper_counts_t;


typedef enum {
    NGX_IOT_HELPER_DB_DOWN = 0,
    NGX_IOT_HELPER_DB_CONNECTING,
    NGX_IOT_HELPER_DB_UP
} ngx_iot_helper_db_e;


typedef struct {
    int                             fd;           /* -1: free */
    short                           events;
    int64_t                         since;
    size_t                          pos;
    ngx_iot_helper_buf_t            out;
    ngx_iot_helper_pool_t           pool;
    size_t                          len;
    char                            in[1024];
} ngx_iot_helper_client_t;


struct ngx_iot_helper_s {
    const char                     *name;
    const char                     *conninfo;
    const char                     *role;
    const char                     *key_file;
    const char                     *template_dirs[2];
    const char                     *mail_dir;
    const char                     *ca_file;
    const char                     *socket;
    const char                     *log;
    const char                     *pid_file;
    unsigned                        max_jobs;
    int64_t                         lease;        /* ms */

    char                            id[NGX_IOT_HELPER_ID + 1];
    ngx_iot_seal_keys_t             keys;

    CURLM                          *multi;
    ngx_iot_helper_job_t           *jobs;
    unsigned                        running;
    unsigned                        unsaid;       /* over, not yet told */

    PGconn                         *db;
    ngx_iot_helper_db_e             db_state;
    int64_t                         db_next;      /* when to connect again */
    int64_t                         db_pause;
    int64_t                         db_since;
    short                           db_events;

    int64_t                         beat_at;
    int64_t                         claim_at;
    int64_t                         drain_until;
    int                             listen_fd;
    int                             signal_fd;
    ngx_iot_helper_client_t         clients[NGX_IOT_HELPER_CLIENTS];
    ngx_iot_helper_counts_t         counts;

    unsigned                        notified:1;
    unsigned                        draining:1;
};


/* milliseconds, never set back */
int64_t ngx_iot_helper_now(void);

/* printf(3) into the log, with the time, and an end of line */
void ngx_iot_helper_log(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));


#endif /* _NGX_IOT_HELPER_H_INCLUDED_ */
