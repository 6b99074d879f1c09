
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_BATCH_H_INCLUDED_
#define _NGX_IOT_BATCH_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>

#include "ngx_iot_db.h"


/*
 * Group commit.  Rows of many senders gather while the previous batch of
 * their kind is being written; when that one has committed, its senders are
 * told, and what has gathered goes out.  With nothing in flight a batch goes
 * out at the end of the current turn of the event loop.  There is no timer:
 * latency is one commit when idle, and batches grow with load.
 *
 * Rows are kept as PostgreSQL's binary COPY has them (16 bits: number of
 * columns; for each column 32 bits: length or -1, and the bytes), so a large
 * batch is COPYed as it is; a small one is turned into one array per column
 * and goes as one prepared upsert, whose elements have the same form.
 */

typedef struct {
    ngx_str_t              name;
    ngx_iot_db_stmt_t      upsert;      /* one array parameter per column */
    ngx_iot_db_stmt_t      copy;        /* COPY ... (FORMAT binary), or none */
    ngx_uint_t             ncolumns;
    uint32_t              *types;       /* OID of each column */
    size_t                 key;         /* bytes of a row that identify it */
} ngx_iot_batch_kind_t;


/* kinds register themselves at start; the number is their handle */

#define NGX_IOT_BATCH_KINDS  12


typedef struct ngx_iot_batch_entry_s  ngx_iot_batch_entry_t;

/*
 * NGX_OK: committed.  NGX_DECLINED: the rows are bad (err says how).
 * NGX_ERROR: storage is not available (err: 503).  Called exactly once,
 * unless abandoned; the entry is gone afterwards.
 */
typedef void (*ngx_iot_batch_done_pt)(void *data, ngx_int_t rc,
    ngx_iot_error_t *err);


struct ngx_iot_batch_entry_s {
    ngx_iot_batch_done_pt   done;
    void                   *data;
    uint32_t                row;        /* first row */
    uint32_t                nrows;
    ngx_msec_t              start;
};


ngx_int_t ngx_iot_batch_init_process(ngx_cycle_t *cycle);
void ngx_iot_batch_exit_process(ngx_cycle_t *cycle);

/* Make a kind known to this worker; returns its number. */
ngx_uint_t ngx_iot_batch_register(ngx_iot_batch_kind_t *kind);

/* Called with the number that the upsert has answered, after its commit. */
typedef void (*ngx_iot_batch_answer_pt)(off_t n);

void ngx_iot_batch_on_answer(ngx_uint_t kind, ngx_iot_batch_answer_pt answer);

/*
 * Begin an entry: all of its rows are committed together or not at all.
 * NULL: too much is waiting already (answer 503, or stop reading).
 */
ngx_iot_batch_entry_t *ngx_iot_batch_begin(ngx_uint_t kind, ngx_uint_t nrows);

/*
 * Room for one row of at most size bytes, including the leading 16 bits; then
 * tell where it ended.  NULL: no memory, give the entry up with cancel().
 */
u_char *ngx_iot_batch_row(ngx_uint_t kind, size_t size);
void ngx_iot_batch_row_end(ngx_uint_t kind, u_char *end);

/* The entry is complete: done() will be called. */
void ngx_iot_batch_end(ngx_uint_t kind, ngx_iot_batch_entry_t *entry,
    ngx_iot_batch_done_pt done, void *data);

/* Undo what begin() and row() did, before end(). */
void ngx_iot_batch_cancel(ngx_uint_t kind, ngx_iot_batch_entry_t *entry);

/* The sender has gone; its rows are written all the same. */
void ngx_iot_batch_abandon(ngx_iot_batch_entry_t *entry);


/* writers for cells: return the position after them */

#define ngx_iot_put16(p, n)                                                   \
    ((p)[0] = (u_char) ((n) >> 8), (p)[1] = (u_char) (n), (p) + 2)

#define ngx_iot_put32(p, n)                                                   \
    ((p)[0] = (u_char) ((uint32_t) (n) >> 24),                                \
     (p)[1] = (u_char) ((uint32_t) (n) >> 16),                                \
     (p)[2] = (u_char) ((uint32_t) (n) >> 8),                                 \
     (p)[3] = (u_char) (n), (p) + 4)

#define ngx_iot_put64(p, n)                                                   \
    ((void) ngx_iot_put32(p, (uint64_t) (n) >> 32),                           \
     (void) ngx_iot_put32((p) + 4, (uint64_t) (n) & 0xffffffff), (p) + 8)

#define ngx_iot_cell_null(p)     ngx_iot_put32(p, -1)

static ngx_inline u_char *
ngx_iot_cell_bool(u_char *p, ngx_uint_t value)
{
    p = ngx_iot_put32(p, 1);
    *p++ = value ? 1 : 0;
    return p;
}

static ngx_inline u_char *
ngx_iot_cell_int2(u_char *p, int16_t value)
{
    p = ngx_iot_put32(p, 2);
    return ngx_iot_put16(p, (uint16_t) value);
}

static ngx_inline u_char *
ngx_iot_cell_int4(u_char *p, int32_t value)
{
    p = ngx_iot_put32(p, 4);
    return ngx_iot_put32(p, value);
}

static ngx_inline u_char *
ngx_iot_cell_int8(u_char *p, int64_t value)
{
    p = ngx_iot_put32(p, 8);
    return ngx_iot_put64(p, value);
}

static ngx_inline u_char *
ngx_iot_cell_double(u_char *p, double value)
{
    uint64_t  bits;

    ngx_memcpy(&bits, &value, sizeof(double));
    p = ngx_iot_put32(p, 8);
    return ngx_iot_put64(p, bits);
}

static ngx_inline u_char *
ngx_iot_cell_text(u_char *p, ngx_str_t *value)
{
    p = ngx_iot_put32(p, value->len);
    return ngx_cpymem(p, value->data, value->len);
}


#endif /* _NGX_IOT_BATCH_H_INCLUDED_ */
