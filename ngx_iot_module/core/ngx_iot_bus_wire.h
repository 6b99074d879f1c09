
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_BUS_WIRE_H_INCLUDED_
#define _NGX_IOT_BUS_WIRE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_bus.h"
#include "ngx_iot_link.h"


/* what the files of the bus share; for nobody else */

typedef struct ngx_iot_bus_confirm_s  ngx_iot_bus_confirm_t;


struct ngx_iot_bus_tenant_s {
    ngx_str_node_t           node;        /* must be first */
    ngx_uint_t               refs;        /* clients, and who works on it */
    ngx_iot_topic_tree_t    *tree;
    u_char                   id[NGX_IOT_BUS_TENANT];
};


/* a message and what the bus has to know of it */

typedef struct {
    ngx_iot_bus_message_t    msg;         /* must be first */
    ngx_iot_slot_id_t        from;        /* of one from another worker */
    uint64_t                 confirm;     /* its name there, or 0 */
    ngx_str_t                shares;      /* groups that are ours to serve */
    unsigned                 remote:1;
    unsigned                 plain:1;     /* for those not in a group too */
} ngx_iot_bus_envelope_t;


/* waits for the event loop */

typedef struct {
    ngx_queue_t              queue;
    ngx_iot_bus_message_t   *msg;         /* NULL: direct */
    ngx_iot_bus_confirm_t   *confirm;     /* msg is let go, with rc */
    ngx_int_t                rc;
    ngx_iot_slot_id_t        from;
    ngx_uint_t               type;
    size_t                   len;
} ngx_iot_bus_item_t;


/* a message that another worker holds */

struct ngx_iot_bus_confirm_s {
    ngx_rbtree_node_t        node;        /* key is its name */
    ngx_queue_t              queue;       /* of the slot */
    uint32_t                 generation;
    ngx_iot_bus_message_t   *msg;
    ngx_iot_bus_item_t       item;
};


/* a shared subscription served by another worker this time */

typedef struct {
    ngx_uint_t               slot;
    ngx_iot_topic_group_t   *group;
} ngx_iot_bus_share_t;


/* parcels */

#define NGX_IOT_BUS_PARCEL_MESSAGE   1
#define NGX_IOT_BUS_PARCEL_DIRECT    2
#define NGX_IOT_BUS_PARCEL_CONFIRM   3
#define NGX_IOT_BUS_PARCEL_INTEREST  4
#define NGX_IOT_BUS_PARCEL_SYNCED    5


/* bytes that grow */

typedef struct {
    u_char                  *data;
    size_t                   len;
    size_t                   alloc;
} ngx_iot_bus_buf_t;


/* ngx_iot_bus.c */

ngx_iot_bus_tenant_t *ngx_iot_bus_tenant(u_char *id, ngx_uint_t create);
void ngx_iot_bus_tenant_release(ngx_iot_bus_tenant_t *tenant);
ngx_rbtree_t *ngx_iot_bus_tenants(void);

ngx_iot_bus_envelope_t *ngx_iot_bus_envelope(u_char *tenant, ngx_str_t *topic,
    ngx_str_t *payload, ngx_str_t *properties, ngx_str_t *publisher,
    ngx_str_t *shares);

/* Runs who waits for room. */
void ngx_iot_bus_room(void);


/* ngx_iot_bus_route.c */

void ngx_iot_bus_route_init(void);

/* Delivers here what came from another worker. */
void ngx_iot_bus_arrived(ngx_iot_bus_envelope_t *envelope);

/* Ends what only the outermost publish or event may end. */
void ngx_iot_bus_finish(void);

/* Frees an unsubscribed subscription when nobody can meet it any more. */
void ngx_iot_bus_bury(ngx_iot_bus_sub_t *sub);


/* ngx_iot_bus_interest.c */

/* slots that have not told yet what they want: they get everything */
uint64_t ngx_iot_bus_unknown_slots(void);

/* Tells all: members (of the group) now, 0 or 1 without a group. */
void ngx_iot_bus_interest(ngx_iot_bus_tenant_t *tenant, ngx_str_t *filter,
    ngx_str_t *group, uint32_t members);

/* Tells one everything. */
void ngx_iot_bus_interest_tell(ngx_uint_t slot);
void ngx_iot_bus_interest_forget(ngx_uint_t slot);

void ngx_iot_bus_interest_in(ngx_iot_parcel_t *parcel);
void ngx_iot_bus_interest_synced(ngx_uint_t slot);


/* ngx_iot_bus_wire.c */

ngx_int_t ngx_iot_bus_wire_init(ngx_cycle_t *cycle);
void ngx_iot_bus_wire_exit(void);

/* Sees what the others have said until now. */
void ngx_iot_bus_wire_poll(void);

/*
 * NGX_OK, or NGX_ERROR when it could not be sent.  "plain" is also for
 * subscribers that are not in a group; shares are those of the slot.
 */
ngx_int_t ngx_iot_bus_wire_message(ngx_uint_t slot,
    ngx_iot_bus_message_t *msg, ngx_uint_t plain, ngx_iot_bus_share_t *shares,
    ngx_uint_t nshares);

/* One group of shares at a time, as on the wire; NGX_DONE, or NGX_ERROR. */
ngx_int_t ngx_iot_bus_wire_share(u_char **pos, u_char *end,
    ngx_str_t *filter, ngx_str_t *group);

/* Keeps the worker from leaving while somebody waits for something. */
void ngx_iot_bus_wire_busy(void);

/* "len" more bytes at the end of the buffer; NULL: no memory */
u_char *ngx_iot_bus_reserve(ngx_iot_bus_buf_t *buf, size_t len);


#endif /* _NGX_IOT_BUS_WIRE_H_INCLUDED_ */
