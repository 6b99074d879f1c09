
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_LINK_H_INCLUDED_
#define _NGX_IOT_LINK_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_slot.h"


/*
 * Parcels between the workers of a node: a ring of the zone for each ordered
 * pair of slots, made when first used, and behind it, in the sender's memory,
 * a queue of what found no room.  Parcels to one worker arrive whole and in
 * order, or not at all if that worker goes.
 *
 * For the bus only: others use ngx_iot_bus_send().
 */

#define NGX_IOT_LINK_PARTS   8
#define NGX_IOT_LINK_QUEUE   (4 * 1024 * 1024)    /* full from here */


typedef struct {
    ngx_iot_slot_id_t    from;
    ngx_uint_t           type;
    u_char              *data;
    size_t               len;
} ngx_iot_parcel_t;


typedef struct {

    /* the data are valid during the call, which must not receive */
    void               (*parcel)(ngx_iot_parcel_t *parcel);

    /* a worker is there, or no more, or is another one now */
    void               (*changed)(ngx_uint_t slot);

    /* a queue that was full has room again */
    void               (*room)(void);

} ngx_iot_link_handlers_t;


ngx_int_t ngx_iot_link_init(ngx_cycle_t *cycle,
    ngx_iot_link_handlers_t *handlers);
void ngx_iot_link_exit(void);

/* Looks who has come and gone, by one load if nobody has. */
void ngx_iot_link_refresh(void);

/* the generation of a slot at the last refresh(); 0: nobody, or oneself */
uint32_t ngx_iot_link_peer(ngx_uint_t slot);

/* 1 if its queue is full */
ngx_uint_t ngx_iot_link_full(ngx_uint_t slot);

/* how many parcels of urgent kind wait in queues */
ngx_uint_t ngx_iot_link_urgent(void);

/*
 * Sends the parts as one parcel.  Never refuses because a queue is full: ask
 * first.  NGX_OK; NGX_DECLINED: nobody is there; NGX_ERROR: no memory.
 */
ngx_int_t ngx_iot_link_send(ngx_uint_t slot, ngx_uint_t type,
    ngx_str_t *parts, ngx_uint_t n, ngx_uint_t urgent);

/* Takes all that has come; at most about "max" bytes. */
void ngx_iot_link_receive(size_t max);

/* 1 if something may have come since receive(): one load */
#define ngx_iot_link_news()  (!ngx_iot_slot_asleep())

/* Sends what waits and tells of room; from the event loop. */
void ngx_iot_link_flush(void);

/* Finds workers that have died; about once a second. */
void ngx_iot_link_check(void);

/* NGX_OK: all is taken and this worker sleeps; NGX_AGAIN: receive once more */
ngx_int_t ngx_iot_link_sleep(void);

/* bytes in queues */
size_t ngx_iot_link_queued(void);


#endif /* _NGX_IOT_LINK_H_INCLUDED_ */
