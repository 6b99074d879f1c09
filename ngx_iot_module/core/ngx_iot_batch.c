
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_batch.h"
#include "ngx_iot_metrics.h"
#include "ngx_iot_module.h"


#define NGX_IOT_BATCH_CHUNK      65536
#define NGX_IOT_BATCH_MAX_BYTES  (4 * 1024 * 1024)

/* how long COPY is left alone after it has met a duplicate, in batches */
#define NGX_IOT_BATCH_SHY        16


/*
 * A batch: rows in chunks of memory, entries in order of arrival, and a stack
 * of ranges of entries that are still to be written: one at first; a range
 * that fails because of its data is halved until the culprit is alone.
 */

typedef struct {
    uint32_t                from;
    uint32_t                to;
} ngx_iot_batch_range_t;


typedef struct ngx_iot_batch_s  ngx_iot_batch_t;

struct ngx_iot_batch_s {
    ngx_queue_t             queue;
    ngx_pool_t             *pool;
    ngx_uint_t              kind;
    ngx_array_t             rows;         /* ngx_str_t */
    ngx_array_t             entries;      /* ngx_iot_batch_entry_t * */
    u_char                 *pos;
    u_char                 *end;
    size_t                  bytes;

    ngx_iot_batch_range_t   ranges[40];
    ngx_uint_t              nranges;
    uint64_t                started;      /* of the range in flight, usec */
    ngx_uint_t              sent;         /* rows of the range in flight */
    unsigned                copying:1;
    unsigned                no_copy:1;
    unsigned                filling:1;    /* begin() without end() */
};


typedef struct {
    ngx_iot_batch_kind_t   *kind;
    ngx_queue_t             waiting;      /* the last one may be added to */
    ngx_iot_batch_t        *flying;
    ngx_uint_t              shy;
    ngx_iot_batch_answer_pt answer;
} ngx_iot_batch_writer_t;


static void ngx_iot_batch_event(ngx_event_t *ev);
static void ngx_iot_batch_wake(void);
static ngx_iot_batch_t *ngx_iot_batch_create(ngx_uint_t kind);
static ngx_iot_batch_t *ngx_iot_batch_open(ngx_uint_t kind);
static void ngx_iot_batch_start(ngx_iot_batch_writer_t *writer);
static void ngx_iot_batch_next(ngx_iot_batch_t *batch);
static ngx_int_t ngx_iot_batch_send(ngx_iot_batch_t *batch,
    ngx_iot_batch_range_t *range);
static ngx_uint_t ngx_iot_batch_collect(ngx_iot_batch_t *batch,
    ngx_iot_batch_range_t *range, ngx_str_t **rows);
static int ngx_libc_cdecl ngx_iot_batch_compare(const void *one,
    const void *two);
static ngx_int_t ngx_iot_batch_arrays(ngx_iot_db_call_t *call,
    ngx_iot_batch_kind_t *kind, ngx_str_t **rows, ngx_uint_t n);
static ngx_int_t ngx_iot_batch_copy(ngx_iot_db_call_t *call,
    ngx_str_t **rows, ngx_uint_t n);
static void ngx_iot_batch_answered(ngx_iot_batch_t *batch,
    ngx_iot_db_call_t *call);
static void ngx_iot_batch_sent(ngx_iot_db_call_t *call);
static ngx_uint_t ngx_iot_batch_bad_data(ngx_iot_db_call_t *call);
static void ngx_iot_batch_settle(ngx_iot_batch_t *batch,
    ngx_iot_batch_range_t *range, ngx_int_t rc, ngx_iot_error_t *err);
static void ngx_iot_batch_fail(ngx_iot_batch_t *batch, ngx_iot_error_t *err);
static uint64_t ngx_iot_batch_usec(void);


static ngx_iot_batch_writer_t  ngx_iot_batch_writers[NGX_IOT_BATCH_KINDS];
static ngx_uint_t              ngx_iot_batch_nkinds;
static ngx_uint_t              ngx_iot_batch_rows;     /* waiting or flying */

/* the debug log of timers and events reads data as a connection */
static ngx_connection_t        ngx_iot_batch_dummy;
static ngx_event_t             ngx_iot_batch_ev;

static size_t                  ngx_iot_batch_key;


ngx_int_t
ngx_iot_batch_init_process(ngx_cycle_t *cycle)
{
    ngx_iot_batch_dummy.fd = (ngx_socket_t) -1;

    ngx_iot_batch_ev.data = &ngx_iot_batch_dummy;
    ngx_iot_batch_ev.log = cycle->log;
    ngx_iot_batch_ev.handler = ngx_iot_batch_event;

    return NGX_OK;
}


void
ngx_iot_batch_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t               i;
    ngx_queue_t             *q;
    ngx_iot_batch_t         *batch;
    ngx_iot_batch_writer_t  *writer;

    for (i = 0; i < ngx_iot_batch_nkinds; i++) {
        writer = &ngx_iot_batch_writers[i];

        if (writer->flying) {
            ngx_destroy_pool(writer->flying->pool);
            writer->flying = NULL;
        }

        while (!ngx_queue_empty(&writer->waiting)) {
            q = ngx_queue_head(&writer->waiting);
            ngx_queue_remove(q);

            batch = ngx_queue_data(q, ngx_iot_batch_t, queue);
            ngx_destroy_pool(batch->pool);
        }
    }
}


ngx_uint_t
ngx_iot_batch_register(ngx_iot_batch_kind_t *kind)
{
    ngx_iot_batch_writer_t  *writer;

    writer = &ngx_iot_batch_writers[ngx_iot_batch_nkinds];

    writer->kind = kind;
    ngx_queue_init(&writer->waiting);

    return ngx_iot_batch_nkinds++;
}


void
ngx_iot_batch_on_answer(ngx_uint_t kind, ngx_iot_batch_answer_pt answer)
{
    ngx_iot_batch_writers[kind].answer = answer;
}


ngx_iot_batch_entry_t *
ngx_iot_batch_begin(ngx_uint_t kind, ngx_uint_t nrows)
{
    ngx_iot_batch_t         *batch;
    ngx_iot_batch_entry_t   *entry, **e;

    /* what is larger than the queue would never fit, so it may go alone */

    if (ngx_iot_batch_rows
        && ngx_iot_batch_rows + nrows > ngx_iot_conf()->batch_queue)
    {
        return NULL;
    }

    batch = ngx_iot_batch_open(kind);
    if (batch == NULL) {
        return NULL;
    }

    entry = ngx_palloc(batch->pool, sizeof(ngx_iot_batch_entry_t));
    if (entry == NULL) {
        return NULL;
    }

    e = ngx_array_push(&batch->entries);
    if (e == NULL) {
        return NULL;
    }

    *e = entry;

    entry->done = NULL;
    entry->data = NULL;
    entry->row = batch->rows.nelts;
    entry->nrows = 0;
    entry->start = ngx_current_msec;

    batch->filling = 1;

    return entry;
}


/* the last waiting batch, or a new one when it is full */

static ngx_iot_batch_t *
ngx_iot_batch_open(ngx_uint_t kind)
{
    ngx_queue_t             *q;
    ngx_iot_batch_t         *batch;
    ngx_iot_batch_writer_t  *writer;

    writer = &ngx_iot_batch_writers[kind];

    if (!ngx_queue_empty(&writer->waiting)) {
        q = ngx_queue_last(&writer->waiting);
        batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

        if (batch->rows.nelts < ngx_iot_conf()->batch_rows
            && batch->bytes < NGX_IOT_BATCH_MAX_BYTES)
        {
            return batch;
        }
    }

    batch = ngx_iot_batch_create(kind);
    if (batch == NULL) {
        return NULL;
    }

    ngx_queue_insert_tail(&writer->waiting, &batch->queue);

    return batch;
}


static ngx_iot_batch_t *
ngx_iot_batch_create(ngx_uint_t kind)
{
    ngx_pool_t       *pool;
    ngx_iot_batch_t  *batch;

    pool = ngx_create_pool(4096, ngx_cycle->log);
    if (pool == NULL) {
        return NULL;
    }

    batch = ngx_pcalloc(pool, sizeof(ngx_iot_batch_t));

    if (batch == NULL
        || ngx_array_init(&batch->rows, pool, 64, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&batch->entries, pool, 32,
                          sizeof(ngx_iot_batch_entry_t *))
           != NGX_OK)
    {
        ngx_destroy_pool(pool);
        return NULL;
    }

    batch->pool = pool;
    batch->kind = kind;

    return batch;
}


u_char *
ngx_iot_batch_row(ngx_uint_t kind, size_t size)
{
    size_t            chunk;
    ngx_str_t        *row;
    ngx_queue_t      *q;
    ngx_iot_batch_t  *batch;

    q = ngx_queue_last(&ngx_iot_batch_writers[kind].waiting);
    batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

    if ((size_t) (batch->end - batch->pos) < size) {

        /* small batches stay small */

        chunk = (batch->bytes == 0) ? 2048 : NGX_IOT_BATCH_CHUNK;
        chunk = ngx_max(chunk, size);

        batch->pos = ngx_pnalloc(batch->pool, chunk);
        if (batch->pos == NULL) {
            batch->end = NULL;
            return NULL;
        }

        batch->end = batch->pos + chunk;
    }

    row = ngx_array_push(&batch->rows);
    if (row == NULL) {
        return NULL;
    }

    row->data = batch->pos;
    row->len = 0;

    return ngx_iot_put16(batch->pos,
                         ngx_iot_batch_writers[kind].kind->ncolumns);
}


void
ngx_iot_batch_row_end(ngx_uint_t kind, u_char *end)
{
    ngx_str_t        *row;
    ngx_queue_t      *q;
    ngx_iot_batch_t  *batch;

    q = ngx_queue_last(&ngx_iot_batch_writers[kind].waiting);
    batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

    row = (ngx_str_t *) batch->rows.elts + batch->rows.nelts - 1;
    row->len = end - row->data;

    batch->pos = end;
    batch->bytes += row->len;
}


void
ngx_iot_batch_end(ngx_uint_t kind, ngx_iot_batch_entry_t *entry,
    ngx_iot_batch_done_pt done, void *data)
{
    ngx_queue_t             *q;
    ngx_iot_batch_t         *batch;

    q = ngx_queue_last(&ngx_iot_batch_writers[kind].waiting);
    batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

    batch->filling = 0;

    entry->done = done;
    entry->data = data;
    entry->nrows = batch->rows.nelts - entry->row;

    ngx_iot_batch_rows += entry->nrows;
    ngx_iot_gauge(batch_queue, ngx_iot_batch_rows);

    ngx_iot_batch_wake();
}


void
ngx_iot_batch_cancel(ngx_uint_t kind, ngx_iot_batch_entry_t *entry)
{
    ngx_queue_t      *q;
    ngx_iot_batch_t  *batch;

    q = ngx_queue_last(&ngx_iot_batch_writers[kind].waiting);
    batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

    batch->rows.nelts = entry->row;
    batch->entries.nelts--;
    batch->filling = 0;
}


void
ngx_iot_batch_abandon(ngx_iot_batch_entry_t *entry)
{
    entry->done = NULL;
    entry->data = NULL;
}


static void
ngx_iot_batch_wake(void)
{
    if (!ngx_iot_batch_ev.posted) {
        ngx_post_event(&ngx_iot_batch_ev, &ngx_posted_events);
    }
}


static void
ngx_iot_batch_event(ngx_event_t *ev)
{
    ngx_uint_t  i;

    for (i = 0; i < ngx_iot_batch_nkinds; i++) {
        if (ngx_iot_batch_writers[i].flying == NULL) {
            ngx_iot_batch_start(&ngx_iot_batch_writers[i]);
        }
    }
}


static void
ngx_iot_batch_start(ngx_iot_batch_writer_t *writer)
{
    ngx_queue_t      *q;
    ngx_iot_batch_t  *batch;

    while (!ngx_queue_empty(&writer->waiting)) {
        q = ngx_queue_head(&writer->waiting);
        batch = ngx_queue_data(q, ngx_iot_batch_t, queue);

        if (batch->filling) {
            return;
        }

        ngx_queue_remove(q);

        if (batch->entries.nelts == 0) {
            ngx_destroy_pool(batch->pool);
            continue;
        }

        writer->flying = batch;

        batch->ranges[0].from = 0;
        batch->ranges[0].to = batch->entries.nelts;
        batch->nranges = 1;

        ngx_iot_batch_next(batch);

        if (writer->flying) {
            return;
        }
    }
}


/* write the range on top of the stack, or be done with the batch */

static void
ngx_iot_batch_next(ngx_iot_batch_t *batch)
{
    ngx_iot_error_t          err;
    ngx_iot_batch_writer_t  *writer;

    writer = &ngx_iot_batch_writers[batch->kind];

    if (batch->nranges) {

        if (ngx_iot_batch_send(batch, &batch->ranges[batch->nranges - 1])
            == NGX_OK)
        {
            return;
        }

        ngx_iot_error_set(&err, 503, "unavailable",
                          "Storage is not available");
        ngx_iot_batch_fail(batch, &err);
    }

    writer->flying = NULL;
    ngx_destroy_pool(batch->pool);

    ngx_iot_batch_wake();
}


static ngx_int_t
ngx_iot_batch_send(ngx_iot_batch_t *batch, ngx_iot_batch_range_t *range)
{
    ngx_int_t                rc;
    ngx_str_t              **rows;
    ngx_uint_t               i, n;
    ngx_iot_db_call_t       *call;
    ngx_iot_db_stmt_t       *stmt;
    ngx_iot_batch_entry_t  **entries;
    ngx_iot_batch_writer_t  *writer;

    writer = &ngx_iot_batch_writers[batch->kind];
    entries = batch->entries.elts;

    for (n = 0, i = range->from; i < range->to; i++) {
        n += entries[i]->nrows;
    }

    batch->copying = writer->kind->copy.text.len
                     && n >= ngx_iot_conf()->batch_copy
                     && !batch->no_copy;

    if (batch->copying && writer->shy) {
        writer->shy--;
        batch->copying = 0;
    }

    stmt = batch->copying ? &writer->kind->copy : &writer->kind->upsert;

    call = ngx_iot_db_create(NGX_IOT_DB_WRITE, stmt, ngx_cycle->log);
    if (call == NULL) {
        return NGX_ERROR;
    }

    rows = ngx_palloc(call->pool, (n + 1) * sizeof(ngx_str_t *));
    if (rows == NULL) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    n = ngx_iot_batch_collect(batch, range, rows);

    rc = batch->copying ? ngx_iot_batch_copy(call, rows, n)
                        : ngx_iot_batch_arrays(call, writer->kind, rows, n);

    if (rc != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    call->data = batch;
    call->done = ngx_iot_batch_sent;

    batch->sent = n;
    batch->started = ngx_iot_batch_usec();

    if (ngx_iot_db_send(call) != NGX_OK) {
        ngx_destroy_pool(call->pool);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/*
 * The rows of a range, sorted by key so that two workers cannot deadlock on
 * each other's rows, and without those that a later row of the same key
 * replaces: one statement may touch a row once only.
 */

static ngx_uint_t
ngx_iot_batch_collect(ngx_iot_batch_t *batch, ngx_iot_batch_range_t *range,
    ngx_str_t **rows)
{
    size_t                   key;
    ngx_str_t               *all;
    ngx_uint_t               i, j, n, kept;
    ngx_iot_batch_entry_t  **entries;

    all = batch->rows.elts;
    entries = batch->entries.elts;
    n = 0;

    for (i = range->from; i < range->to; i++) {
        for (j = 0; j < entries[i]->nrows; j++) {
            rows[n++] = &all[entries[i]->row + j];
        }
    }

    key = ngx_iot_batch_writers[batch->kind].kind->key;

    if (key == 0 || n < 2) {
        return n;
    }

    ngx_iot_batch_key = key;

    ngx_qsort(rows, n, sizeof(ngx_str_t *), ngx_iot_batch_compare);

    kept = 0;

    for (i = 0; i < n; i++) {

        if (i + 1 < n
            && ngx_memcmp(rows[i]->data, rows[i + 1]->data, key) == 0)
        {
            continue;
        }

        rows[kept++] = rows[i];
    }

    return kept;
}


static int ngx_libc_cdecl
ngx_iot_batch_compare(const void *one, const void *two)
{
    int         rc;
    ngx_str_t  *a, *b;

    a = *(ngx_str_t **) one;
    b = *(ngx_str_t **) two;

    rc = ngx_memcmp(a->data, b->data, ngx_iot_batch_key);

    if (rc) {
        return rc;
    }

    /* rows lie in an array in order of arrival */

    return (a > b) - (a < b);
}


/*
 * One array per column in PostgreSQL's binary form: dimensions, has-null
 * flag, type, size, lower bound, elements.
 */

static ngx_int_t
ngx_iot_batch_arrays(ngx_iot_db_call_t *call, ngx_iot_batch_kind_t *kind,
    ngx_str_t **rows, ngx_uint_t n)
{
    u_char      *p, *src, *pos[NGX_IOT_DB_MAX_PARAMS];
    size_t       len, size[NGX_IOT_DB_MAX_PARAMS];
    uint32_t     cell;
    ngx_uint_t   i, c;

    ngx_memzero(size, sizeof(size));

    for (i = 0; i < n; i++) {
        src = rows[i]->data + 2;

        for (c = 0; c < kind->ncolumns; c++) {
            cell = (uint32_t) src[0] << 24 | src[1] << 16 | src[2] << 8
                   | src[3];
            len = (cell == 0xffffffff) ? 4 : 4 + (size_t) cell;

            size[c] += len;
            src += len;
        }
    }

    for (c = 0; c < kind->ncolumns; c++) {
        p = ngx_pnalloc(call->pool, 20 + size[c]);
        if (p == NULL) {
            return NGX_ERROR;
        }

        ngx_iot_db_param(call, p, 20 + size[c], 1);

        p = ngx_iot_put32(p, 1);
        p = ngx_iot_put32(p, 1);
        p = ngx_iot_put32(p, kind->types[c]);
        p = ngx_iot_put32(p, n);
        pos[c] = ngx_iot_put32(p, 1);
    }

    for (i = 0; i < n; i++) {
        src = rows[i]->data + 2;

        for (c = 0; c < kind->ncolumns; c++) {
            cell = (uint32_t) src[0] << 24 | src[1] << 16 | src[2] << 8
                   | src[3];
            len = (cell == 0xffffffff) ? 4 : 4 + (size_t) cell;

            pos[c] = ngx_cpymem(pos[c], src, len);
            src += len;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_batch_copy(ngx_iot_db_call_t *call, ngx_str_t **rows, ngx_uint_t n)
{
    size_t        size;
    ngx_buf_t    *b;
    ngx_uint_t    i;
    ngx_chain_t  *cl;

    static u_char  header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";

    size = 19 + 2;

    for (i = 0; i < n; i++) {
        size += rows[i]->len;
    }

    b = ngx_create_temp_buf(call->pool, size);
    cl = ngx_alloc_chain_link(call->pool);

    if (b == NULL || cl == NULL) {
        return NGX_ERROR;
    }

    b->last = ngx_cpymem(b->last, header, 19);

    for (i = 0; i < n; i++) {
        b->last = ngx_cpymem(b->last, rows[i]->data, rows[i]->len);
    }

    b->last = ngx_iot_put16(b->last, 0xffff);

    cl->buf = b;
    cl->next = NULL;
    call->copy = cl;

    return NGX_OK;
}


static void
ngx_iot_batch_answered(ngx_iot_batch_t *batch, ngx_iot_db_call_t *call)
{
    off_t                    n;
    ngx_iot_batch_answer_pt  answer;

    answer = ngx_iot_batch_writers[batch->kind].answer;

    if (answer == NULL
        || batch->copying
        || call->result == NULL
        || PQntuples(call->result) != 1
        || PQgetisnull(call->result, 0, 0))
    {
        return;
    }

    n = ngx_atoof((u_char *) PQgetvalue(call->result, 0, 0),
                  PQgetlength(call->result, 0, 0));

    if (n != NGX_ERROR) {
        answer(n);
    }
}


static void
ngx_iot_batch_sent(ngx_iot_db_call_t *call)
{
    uint32_t                half;
    ngx_msec_t              age;
    ngx_iot_batch_t        *batch;
    ngx_iot_batch_range_t   range;
    ngx_iot_batch_entry_t **entries;

    batch = call->data;
    entries = batch->entries.elts;
    range = batch->ranges[batch->nranges - 1];

    if (call->rc == NGX_OK) {
        ngx_iot_count(batches);
        ngx_iot_add(batch_rows, batch->sent);
        ngx_iot_add(batch_usec, ngx_iot_batch_usec() - batch->started);

        if (batch->copying) {
            ngx_iot_count(batches_copy);
        }

        ngx_iot_batch_answered(batch, call);

        batch->nranges--;
        batch->no_copy = 0;

        ngx_iot_batch_settle(batch, &range, NGX_OK, NULL);
        ngx_iot_batch_next(batch);
        return;
    }

    ngx_iot_count(batches_failed);

    if (batch->copying
        && ngx_strcmp(call->error.sqlstate, "23505") == 0)
    {
        /* rows that are there already: the upsert knows what to do */

        ngx_iot_batch_writers[batch->kind].shy = NGX_IOT_BATCH_SHY;
        batch->no_copy = 1;

        ngx_iot_batch_next(batch);
        return;
    }

    if (ngx_iot_batch_bad_data(call)) {
        batch->nranges--;

        if (range.to - range.from == 1) {
            ngx_iot_batch_settle(batch, &range, NGX_DECLINED, &call->error);

        } else {
            half = range.from + (range.to - range.from) / 2;

            batch->ranges[batch->nranges].from = half;
            batch->ranges[batch->nranges++].to = range.to;
            batch->ranges[batch->nranges].from = range.from;
            batch->ranges[batch->nranges++].to = half;
        }

        ngx_iot_batch_next(batch);
        return;
    }

    /*
     * The connection went: whether the batch was committed is unknown, and
     * writing it again does no harm.  Out of resources or read-only: trying
     * at once would not help.
     */

    age = ngx_current_msec - entries[range.from]->start;

    if (call->error.status == 503
        && age < ngx_iot_conf()->queue_timeout
        && (call->error.sqlstate[0] == '\0'
            || ngx_strncmp(call->error.sqlstate, "57", 2) == 0
            || ngx_strncmp(call->error.sqlstate, "08", 2) == 0))
    {
        ngx_iot_batch_next(batch);
        return;
    }

    ngx_iot_batch_fail(batch, &call->error);
    ngx_iot_batch_next(batch);
}


static ngx_uint_t
ngx_iot_batch_bad_data(ngx_iot_db_call_t *call)
{
    u_char  *state;

    state = call->error.sqlstate;

    /* 54: a text too long for the protocol or the page */

    return ngx_strncmp(state, "22", 2) == 0
           || ngx_strncmp(state, "23", 2) == 0
           || ngx_strncmp(state, "54", 2) == 0
           || ngx_strncmp(state, "IO4", 3) == 0;
}


static void
ngx_iot_batch_settle(ngx_iot_batch_t *batch, ngx_iot_batch_range_t *range,
    ngx_int_t rc, ngx_iot_error_t *err)
{
    uint32_t                 i;
    ngx_iot_batch_entry_t   *entry, **entries;

    entries = batch->entries.elts;

    for (i = range->from; i < range->to; i++) {
        ngx_iot_batch_rows -= entries[i]->nrows;
    }

    ngx_iot_gauge(batch_queue, ngx_iot_batch_rows);

    for (i = range->from; i < range->to; i++) {
        entry = entries[i];

        if (entry->done) {
            entry->done(entry->data, rc, err);
        }
    }
}


/* all that is left of a batch fails */

static void
ngx_iot_batch_fail(ngx_iot_batch_t *batch, ngx_iot_error_t *err)
{
    ngx_iot_batch_range_t  range;

    while (batch->nranges) {
        range = batch->ranges[--batch->nranges];
        ngx_iot_batch_settle(batch, &range, NGX_ERROR, err);
    }
}


static uint64_t
ngx_iot_batch_usec(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (uint64_t) ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}
