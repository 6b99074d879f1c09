
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_RPC_H_INCLUDED_
#define _NGX_IOT_RPC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "../core/ngx_iot_bus.h"
#include "../core/ngx_iot_db.h"
#include "ngx_iot_device.h"


/*
 * Requests of people to devices, whatever both speak.  The caller keeps its
 * request until it is done; a front is where a device takes requests.  They
 * meet on the bus: requests go to the event RPC of the device, and what fronts
 * have to say goes to RPC_UP.  A front that opens says so, and gets what is
 * waiting: first the stored requests, then those of callers.
 *
 * Ids count up for each device from 0, 31 bits.
 */

typedef struct ngx_iot_rpc_call_s    ngx_iot_rpc_call_t;
typedef struct ngx_iot_rpc_front_s   ngx_iot_rpc_front_t;
typedef struct ngx_iot_rpc_answer_s  ngx_iot_rpc_answer_t;


typedef struct {
    uint32_t                   id;
    ngx_str_t                  body;     /* {"method":...,"params":...} */
    unsigned                   oneway:1;
    unsigned                   stored:1; /* persistent: its state is kept */
} ngx_iot_rpc_request_t;


/*
 * The side of the caller.  done() is called once, unless cancelled, and may
 * be called from within ngx_iot_rpc_call().  NGX_OK: *answer is what the
 * device said (any bytes), or empty for a request without answer that was
 * delivered; NGX_DECLINED: the time is over, call->delivered says whether a
 * device has got it.
 */

typedef void (*ngx_iot_rpc_done_pt)(ngx_iot_rpc_call_t *call, ngx_int_t rc,
    ngx_str_t *answer);

struct ngx_iot_rpc_call_s {
    void                      *dummy[3];   /* the debug log of timers reads */
    ngx_int_t                  ident;      /* data as a connection's */

    u_char                     tenant[NGX_IOT_UUID_TEXT];
    u_char                     device[NGX_IOT_UUID_TEXT];
    ngx_iot_rpc_request_t      request;  /* body: alive until done */
    ngx_msec_t                 timeout;
    ngx_iot_rpc_done_pt        done;
    void                      *data;

    ngx_queue_t                queue;
    ngx_event_t                timer;
    void                      *target;
    unsigned                   delivered:1;
};

/* NGX_OK, or NGX_ERROR: no memory */
ngx_int_t ngx_iot_rpc_call(ngx_iot_rpc_call_t *call);
void ngx_iot_rpc_cancel(ngx_iot_rpc_call_t *call);

/* A stored request: told to the fronts that there are. */
void ngx_iot_rpc_announce(u_char *tenant, u_char *device,
    ngx_iot_rpc_request_t *request);


/*
 * The side of the device.  request() is called for each request, oldest
 * first, each once; the body is valid during the call.  It may close the
 * front, also when the memory of the front goes with that.
 */

#define NGX_IOT_RPC_SEEN  32

typedef void (*ngx_iot_rpc_request_pt)(ngx_iot_rpc_front_t *front,
    ngx_iot_rpc_request_t *request);

struct ngx_iot_rpc_front_s {
    u_char                     tenant[NGX_IOT_UUID_TEXT];
    u_char                     device[NGX_IOT_UUID_TEXT];
    ngx_iot_rpc_request_pt     request;
    void                      *data;

    ngx_iot_bus_client_t       client;
    ngx_iot_db_call_t         *db;
    void                      *group;
    ngx_uint_t                 place;
    ngx_uint_t                *closed;
    ngx_uint_t                 nseen;
    uint32_t                   seen[NGX_IOT_RPC_SEEN];
    unsigned                   open:1;
    unsigned                   later:1;  /* ngx_iot_rpc_open_all() follows */
};

/* the first four members are set; NGX_OK or NGX_ERROR: no memory */
ngx_int_t ngx_iot_rpc_open(ngx_iot_rpc_front_t *front);
void ngx_iot_rpc_close(ngx_iot_rpc_front_t *front);

/*
 * Many fronts of one tenant, each opened with "later" set: what is waiting
 * for all of them is asked for at once.
 */
void ngx_iot_rpc_open_all(ngx_iot_rpc_front_t **fronts, ngx_uint_t n);

/*
 * What became of a request: SENT (on its way), DELIVERED (the device has it:
 * a request without answer is done with).
 */
#define NGX_IOT_RPC_SENT       1
#define NGX_IOT_RPC_DELIVERED  2

/*
 * With done() (NULL: nobody asks) a stored request can be kept from another
 * front until its state is stored.  Returns the call after which done() will
 * be called, to be abandoned by who goes away; NULL: it will not.
 */
ngx_iot_db_call_t *ngx_iot_rpc_status(u_char *tenant, u_char *device,
    ngx_iot_rpc_request_t *request, ngx_uint_t status,
    ngx_iot_db_done_pt done, void *data);

/*
 * The device answers; an id that nobody waits for is dropped.  The caller
 * hears of it at once.  done() (NULL: nobody asks) comes when the answer to a
 * stored request is stored: NGX_OK, or NGX_ERROR and err.  NGX_AGAIN: it will
 * be called; NGX_BUSY: the database is away, it will not.
 */

typedef void (*ngx_iot_rpc_answered_pt)(ngx_iot_rpc_answer_t *answer,
    ngx_int_t rc, ngx_iot_error_t *err);

struct ngx_iot_rpc_answer_s {
    u_char                     tenant[NGX_IOT_UUID_TEXT];
    u_char                     device[NGX_IOT_UUID_TEXT];
    uint32_t                   id;
    ngx_str_t                  body;     /* copied */
    ngx_iot_rpc_answered_pt    done;
    void                      *data;

    ngx_iot_db_call_t         *db;       /* to be abandoned, or NULL */
};

ngx_int_t ngx_iot_rpc_answer(ngx_iot_rpc_answer_t *answer);


/*
 * The limits of a device's session, the JSON answer to "getSessionLimits"
 * (MQTT and HTTP).  The statement takes the tenant and whether the device is
 * a gateway, and gives one text.
 */
extern ngx_iot_db_stmt_t  ngx_iot_rpc_limits_stmt;


ngx_int_t ngx_iot_rpc_init_process(ngx_cycle_t *cycle);


#endif /* _NGX_IOT_RPC_H_INCLUDED_ */
