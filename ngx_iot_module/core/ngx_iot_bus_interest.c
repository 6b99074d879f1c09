
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_bus_wire.h"
#include "ngx_iot_topic_name.h"


/* interests are told in parcels of about this size */
#define NGX_IOT_BUS_DUMP  (16 * 1024)


typedef struct {
    uint32_t                members;
    uint32_t                group;
    uint32_t                filter;
    u_char                  tenant[NGX_IOT_BUS_TENANT];
} ngx_iot_bus_interest_t;


static ngx_int_t ngx_iot_bus_interest_dump_tenant(ngx_uint_t slot,
    ngx_iot_bus_tenant_t *tenant, u_char *filter_buf);
static ngx_int_t ngx_iot_bus_interest_dump_add(ngx_uint_t slot,
    ngx_iot_bus_tenant_t *tenant, ngx_str_t *filter, ngx_str_t *group,
    uint32_t members);
static void ngx_iot_bus_interest_dump_flush(ngx_uint_t slot);


static uint64_t           ngx_iot_bus_unknown;
static ngx_iot_bus_buf_t  ngx_iot_bus_dump;


uint64_t
ngx_iot_bus_unknown_slots(void)
{
    return ngx_iot_bus_unknown;
}


/* of a worker that has gone, or come in the place of another */

void
ngx_iot_bus_interest_forget(ngx_uint_t slot)
{
    ngx_rbtree_t          *tenants;
    ngx_rbtree_node_t     *node, *next;
    ngx_iot_bus_tenant_t  *tenant;

    ngx_iot_bus_unknown &= ~((uint64_t) 1 << slot);

    tenants = ngx_iot_bus_tenants();

    if (tenants->root == tenants->sentinel) {
        return;
    }

    for (node = ngx_rbtree_min(tenants->root, tenants->sentinel);
         node;
         node = next)
    {
        next = ngx_rbtree_next(tenants, node);
        tenant = (ngx_iot_bus_tenant_t *) node;

        ngx_iot_topic_unmark_all(tenant->tree, slot);
        ngx_iot_bus_tenant_release(tenant);
    }
}


/*
 * A new worker knows nobody's interests and nobody knows its own: each side
 * tells the other all it has, and then that this was all.  Until then it gets
 * everything.
 */

void
ngx_iot_bus_interest_tell(ngx_uint_t slot)
{
    u_char             *buf;
    ngx_int_t           rc;
    ngx_rbtree_t       *tenants;
    ngx_rbtree_node_t  *node;

    ngx_iot_bus_unknown |= (uint64_t) 1 << slot;

    rc = NGX_OK;
    tenants = ngx_iot_bus_tenants();

    ngx_iot_bus_dump.len = 0;

    if (tenants->root != tenants->sentinel) {

        buf = ngx_alloc(NGX_IOT_TOPIC_MAX, ngx_cycle->log);
        if (buf == NULL) {
            goto failed;
        }

        for (node = ngx_rbtree_min(tenants->root, tenants->sentinel);
             node && rc == NGX_OK;
             node = ngx_rbtree_next(tenants, node))
        {
            rc = ngx_iot_bus_interest_dump_tenant(slot,
                                         (ngx_iot_bus_tenant_t *) node, buf);
        }

        ngx_free(buf);

        if (rc != NGX_OK) {
            goto failed;
        }
    }

    ngx_iot_bus_interest_dump_flush(slot);

    if (ngx_iot_link_send(slot, NGX_IOT_BUS_PARCEL_SYNCED, NULL, 0, 1)
        == NGX_OK)
    {
        return;
    }

failed:

    /* without the end of it the other worker goes on sending everything */

    ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                  "could not tell worker slot %ui what is subscribed", slot);
}


static ngx_int_t
ngx_iot_bus_interest_dump_tenant(ngx_uint_t slot, ngx_iot_bus_tenant_t *tenant,
    u_char *buf)
{
    ngx_str_t               filter;
    ngx_iot_topic_node_t   *node;
    ngx_iot_topic_group_t  *group;

    node = NULL;

    while (ngx_iot_topic_next(tenant->tree, &node, buf, &filter) == NGX_OK) {

        if (ngx_iot_topic_subscribed(node)
            && ngx_iot_bus_interest_dump_add(slot, tenant, &filter, NULL, 1)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        for (group = ngx_iot_topic_groups(node); group; group = group->next) {

            if (group->members
                && ngx_iot_bus_interest_dump_add(slot, tenant, &filter,
                                             &group->name, group->members)
                   != NGX_OK)
            {
                return NGX_ERROR;
            }
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_bus_interest_dump_add(ngx_uint_t slot, ngx_iot_bus_tenant_t *tenant,
    ngx_str_t *filter, ngx_str_t *group, uint32_t members)
{
    u_char                  *p;
    ngx_iot_bus_interest_t   interest;

    ngx_memzero(&interest, sizeof(ngx_iot_bus_interest_t));

    interest.members = members;
    interest.group = group ? (uint32_t) group->len : 0;
    interest.filter = (uint32_t) filter->len;
    ngx_memcpy(interest.tenant, tenant->id, NGX_IOT_BUS_TENANT);

    p = ngx_iot_bus_reserve(&ngx_iot_bus_dump, sizeof(ngx_iot_bus_interest_t)
                                               + interest.group
                                               + interest.filter);
    if (p == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(p, &interest, sizeof(ngx_iot_bus_interest_t));

    if (interest.group) {
        p = ngx_cpymem(p, group->data, group->len);
    }

    ngx_memcpy(p, filter->data, filter->len);

    if (ngx_iot_bus_dump.len >= NGX_IOT_BUS_DUMP) {
        ngx_iot_bus_interest_dump_flush(slot);
    }

    return NGX_OK;
}


static void
ngx_iot_bus_interest_dump_flush(ngx_uint_t slot)
{
    ngx_str_t  part;

    if (ngx_iot_bus_dump.len == 0) {
        return;
    }

    part.len = ngx_iot_bus_dump.len;
    part.data = ngx_iot_bus_dump.data;

    if (ngx_iot_link_send(slot, NGX_IOT_BUS_PARCEL_INTEREST, &part, 1, 1)
        == NGX_ERROR)
    {
        ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                      "could not tell worker slot %ui of interests", slot);
    }

    ngx_iot_bus_dump.len = 0;
}


void
ngx_iot_bus_interest(ngx_iot_bus_tenant_t *tenant, ngx_str_t *filter,
    ngx_str_t *group, uint32_t members)
{
    ngx_str_t               parts[3];
    ngx_uint_t              i;
    ngx_iot_bus_interest_t  interest;

    ngx_memzero(&interest, sizeof(ngx_iot_bus_interest_t));

    interest.members = members;
    interest.group = group ? (uint32_t) group->len : 0;
    interest.filter = (uint32_t) filter->len;
    ngx_memcpy(interest.tenant, tenant->id, NGX_IOT_BUS_TENANT);

    parts[0].len = sizeof(ngx_iot_bus_interest_t);
    parts[0].data = (u_char *) &interest;
    parts[1].len = interest.group;
    parts[1].data = group ? group->data : NULL;
    parts[2] = *filter;

    for (i = 0; i < NGX_IOT_SLOTS; i++) {

        if (ngx_iot_link_peer(i) == 0) {
            continue;
        }

        if (ngx_iot_link_send(i, NGX_IOT_BUS_PARCEL_INTEREST, parts, 3, 1)
            == NGX_ERROR)
        {
            ngx_log_error(NGX_LOG_CRIT, ngx_cycle->log, 0,
                          "could not tell worker slot %ui of an interest", i);
        }
    }

    ngx_iot_bus_wire_busy();
}


void
ngx_iot_bus_interest_in(ngx_iot_parcel_t *parcel)
{
    u_char                  *p, *end;
    ngx_int_t                rc;
    ngx_str_t                filter, group;
    ngx_uint_t               slot;
    ngx_iot_bus_tenant_t    *tenant;
    ngx_iot_bus_interest_t   interest;

    slot = parcel->from.slot;
    p = parcel->data;
    end = p + parcel->len;

    while ((size_t) (end - p) >= sizeof(ngx_iot_bus_interest_t)) {

        ngx_memcpy(&interest, p, sizeof(ngx_iot_bus_interest_t));
        p += sizeof(ngx_iot_bus_interest_t);

        if ((uint64_t) interest.group + interest.filter
            > (uint64_t) (end - p))
        {
            return;
        }

        group.len = interest.group;
        group.data = p;
        filter.len = interest.filter;
        filter.data = p + group.len;

        p = filter.data + filter.len;

        tenant = ngx_iot_bus_tenant(interest.tenant, interest.members != 0);

        rc = NGX_OK;

        if (tenant == NULL) {
            rc = interest.members ? NGX_ERROR : NGX_OK;

        } else if (group.len) {
            rc = ngx_iot_topic_weigh(tenant->tree, &filter, &group, slot,
                                     interest.members);

        } else if (interest.members) {
            rc = ngx_iot_topic_mark(tenant->tree, &filter, slot);

        } else {
            ngx_iot_topic_unmark(tenant->tree, &filter, slot);
        }

        if (tenant) {
            ngx_iot_bus_tenant_release(tenant);
        }

        /* better everything than nothing */

        if (rc != NGX_OK) {
            ngx_iot_bus_unknown |= (uint64_t) 1 << slot;
        }
    }
}


void
ngx_iot_bus_interest_synced(ngx_uint_t slot)
{
    ngx_iot_bus_unknown &= ~((uint64_t) 1 << slot);
}
