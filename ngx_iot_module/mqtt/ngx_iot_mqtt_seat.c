
/*
 * Copyright (C) the ngx_iot authors
 */


#include "../core/ngx_iot_registry.h"
#include "ngx_iot_mqtt_session.h"


/*
 * A device has so many seats in the node as its listener says, whatever its
 * sessions call themselves.  Who comes when all are taken gets that of the
 * session which has sat longest, and that one is told to go.
 */

#define NGX_IOT_MQTT_SEAT_ID  (NGX_IOT_UUID_TEXT + 1 + NGX_INT_T_LEN)


typedef struct {
    ngx_rbtree_node_t        node;        /* by ref, in this worker */
    ngx_iot_mqtt_session_t  *session;
    ngx_uint_t               nr;
} ngx_iot_mqtt_seat_t;


static ngx_uint_t ngx_iot_mqtt_seat_choose(ngx_iot_mqtt_session_t *s);
static void ngx_iot_mqtt_seat_id(ngx_iot_mqtt_session_t *s, ngx_uint_t nr,
    ngx_str_t *id);
static ngx_int_t ngx_iot_mqtt_seat_clear(ngx_iot_registry_entry_t *former);
static void ngx_iot_mqtt_seat_on_clear(ngx_iot_slot_id_t *from, u_char *data,
    size_t len);
static void ngx_iot_mqtt_seat_end(uint64_t ref);


static ngx_rbtree_t       ngx_iot_mqtt_seats;
static ngx_rbtree_node_t  ngx_iot_mqtt_seats_sentinel;
static uint32_t           ngx_iot_mqtt_seat_count;


ngx_int_t
ngx_iot_mqtt_seat_init_process(ngx_cycle_t *cycle)
{
    ngx_rbtree_init(&ngx_iot_mqtt_seats, &ngx_iot_mqtt_seats_sentinel,
                    ngx_rbtree_insert_value);

    ngx_iot_bus_on_direct(NGX_IOT_BUS_SEAT, ngx_iot_mqtt_seat_on_clear);

    return NGX_OK;
}


ngx_int_t
ngx_iot_mqtt_seat_take(ngx_iot_mqtt_session_t *s)
{
    u_char                     buf[NGX_IOT_MQTT_SEAT_ID];
    uint64_t                   ref;
    ngx_int_t                  rc;
    ngx_str_t                  id;
    ngx_iot_mqtt_seat_t       *seat;
    ngx_iot_registry_entry_t   former;

    if (s->device == NULL || s->conf->max_device_sessions == 0) {
        return NGX_OK;
    }

    seat = ngx_pcalloc(s->connection->pool, sizeof(ngx_iot_mqtt_seat_t));
    if (seat == NULL) {
        return NGX_IOT_MQTT_BUSY;
    }

    /* in the order of time, as far as workers share it */

    ref = (uint64_t) ngx_current_msec << 20
          | (++ngx_iot_mqtt_seat_count & 0xfffff);

    seat->session = s;
    seat->node.key = (ngx_rbtree_key_t) ref;
    seat->nr = ngx_iot_mqtt_seat_choose(s);

    id.data = buf;
    ngx_iot_mqtt_seat_id(s, seat->nr, &id);

    rc = ngx_iot_registry_claim(NGX_IOT_REGISTRY_SEAT, s->device->tenant, &id,
                                ref, &former);

    if (rc != NGX_OK && rc != NGX_DONE) {
        return NGX_IOT_MQTT_BUSY;
    }

    ngx_rbtree_insert(&ngx_iot_mqtt_seats, &seat->node);
    s->seat = seat;

    if (rc == NGX_DONE && ngx_iot_mqtt_seat_clear(&former) != NGX_OK) {
        return NGX_IOT_MQTT_BUSY;
    }

    return NGX_OK;
}


void
ngx_iot_mqtt_seat_leave(ngx_iot_mqtt_session_t *s)
{
    u_char                buf[NGX_IOT_MQTT_SEAT_ID];
    ngx_str_t             id;
    ngx_iot_mqtt_seat_t  *seat;

    seat = s->seat;

    if (seat == NULL) {
        return;
    }

    s->seat = NULL;

    id.data = buf;
    ngx_iot_mqtt_seat_id(s, seat->nr, &id);

    ngx_iot_registry_drop(NGX_IOT_REGISTRY_SEAT, s->device->tenant, &id,
                          (uint64_t) seat->node.key);

    ngx_rbtree_delete(&ngx_iot_mqtt_seats, &seat->node);
}


/* a free one, or that of the oldest */

static ngx_uint_t
ngx_iot_mqtt_seat_choose(ngx_iot_mqtt_session_t *s)
{
    u_char                     buf[NGX_IOT_MQTT_SEAT_ID];
    uint64_t                   oldest;
    ngx_str_t                  id;
    ngx_uint_t                 i, nr;
    ngx_iot_registry_entry_t   entry;

    nr = 0;
    oldest = (uint64_t) -1;
    id.data = buf;

    if (s->conf->max_device_sessions == 1) {
        return 0;
    }

    for (i = 0; i < s->conf->max_device_sessions; i++) {
        ngx_iot_mqtt_seat_id(s, i, &id);

        if (ngx_iot_registry_find(NGX_IOT_REGISTRY_SEAT, s->device->tenant,
                                  &id, &entry)
            != NGX_OK)
        {
            return i;
        }

        if (entry.ref < oldest) {
            oldest = entry.ref;
            nr = i;
        }
    }

    return nr;
}


static void
ngx_iot_mqtt_seat_id(ngx_iot_mqtt_session_t *s, ngx_uint_t nr, ngx_str_t *id)
{
    u_char  *p;

    p = ngx_cpymem(id->data, s->device->id, NGX_IOT_UUID_TEXT);
    p = ngx_sprintf(p, "/%ui", nr);

    id->len = p - id->data;
}


static ngx_int_t
ngx_iot_mqtt_seat_clear(ngx_iot_registry_entry_t *former)
{
    ngx_int_t           rc;
    ngx_iot_slot_id_t  *self;

    self = ngx_iot_slot_self();

    if (ngx_memcmp(&former->owner, self, sizeof(ngx_iot_slot_id_t)) == 0) {
        ngx_iot_mqtt_seat_end(former->ref);
        return NGX_OK;
    }

    rc = ngx_iot_bus_send(&former->owner, NGX_IOT_BUS_SEAT,
                          (u_char *) &former->ref, 8);

    /* a worker that has gone took its sessions with it */

    return (rc == NGX_OK || rc == NGX_DECLINED) ? NGX_OK : NGX_ERROR;
}


static void
ngx_iot_mqtt_seat_on_clear(ngx_iot_slot_id_t *from, u_char *data, size_t len)
{
    uint64_t  ref;

    if (len != 8) {
        return;
    }

    ngx_memcpy(&ref, data, 8);

    ngx_iot_mqtt_seat_end(ref);
}


static void
ngx_iot_mqtt_seat_end(uint64_t ref)
{
    ngx_rbtree_node_t    *node;
    ngx_iot_mqtt_seat_t  *seat;

    node = ngx_iot_mqtt_seats.root;

    while (node != &ngx_iot_mqtt_seats_sentinel) {

        if (ref == (uint64_t) node->key) {
            seat = (ngx_iot_mqtt_seat_t *) node;
            ngx_iot_mqtt_end(seat->session, NGX_IOT_MQTT_TAKEN_OVER);
            return;
        }

        node = (ref < (uint64_t) node->key) ? node->left : node->right;
    }
}
