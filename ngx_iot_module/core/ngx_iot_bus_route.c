
/*
 * Copyright (C) the ngx_iot authors
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>

#include "ngx_iot_bus_wire.h"
#include "ngx_iot_metrics.h"


static ngx_int_t ngx_iot_bus_route(ngx_iot_bus_message_t *msg,
    ngx_uint_t force, ngx_uint_t *matched);
static ngx_int_t ngx_iot_bus_pick(ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_blocked(ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_pass(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_shares_of(ngx_uint_t slot,
    ngx_iot_bus_share_t **shares);
static ngx_uint_t ngx_iot_bus_deliver(ngx_iot_bus_message_t *msg,
    ngx_iot_topic_match_t *match);
static ngx_uint_t ngx_iot_bus_deliver_picked(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub);
static ngx_int_t ngx_iot_bus_deliver_one(ngx_iot_bus_message_t *msg,
    ngx_iot_bus_sub_t *sub);
static void ngx_iot_bus_deliver_shares(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_envelope_t *envelope);


/* while somebody is called back, nothing that the caller uses may go */

static ngx_uint_t             ngx_iot_bus_delivering;
static ngx_queue_t            ngx_iot_bus_later;     /* messages */
static ngx_queue_t            ngx_iot_bus_dead;      /* subscriptions */

/* whose turn it is in the groups that match the message of the moment */

static ngx_iot_topic_sub_t  **ngx_iot_bus_picked;
static ngx_uint_t             ngx_iot_bus_npicked;
static ngx_iot_bus_share_t   *ngx_iot_bus_shares;
static ngx_uint_t             ngx_iot_bus_nshares;
static ngx_uint_t             ngx_iot_bus_picks_alloc;


void
ngx_iot_bus_route_init(void)
{
    ngx_queue_init(&ngx_iot_bus_later);
    ngx_queue_init(&ngx_iot_bus_dead);
}


ngx_int_t
ngx_iot_bus_publish(ngx_iot_bus_message_t *msg, ngx_uint_t *matched)
{
    ngx_int_t   rc;
    ngx_uint_t  n;

    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_ERROR;
    }

    if (matched == NULL) {
        matched = &n;
    }

    ngx_iot_bus_wire_poll();

    if (ngx_iot_bus_delivering) {
        ngx_iot_bus_keep(msg);
        ngx_queue_insert_tail(&ngx_iot_bus_later, &msg->queue);
        *matched = 1;

        return NGX_OK;
    }

    rc = ngx_iot_bus_route(msg, 0, matched);

    ngx_iot_bus_finish();

    return rc;
}


static ngx_int_t
ngx_iot_bus_route(ngx_iot_bus_message_t *msg, ngx_uint_t force,
    ngx_uint_t *matched)
{
    ngx_uint_t              i;
    ngx_iot_bus_tenant_t   *tenant;
    ngx_iot_topic_match_t  *match;

    *matched = 0;
    ngx_iot_bus_npicked = 0;
    ngx_iot_bus_nshares = 0;

    match = NULL;
    tenant = ngx_iot_bus_tenant(msg->tenant, 0);

    if (tenant) {
        match = ngx_iot_topic_match_name(tenant->tree, &msg->topic);

        if (match == NULL) {
            return NGX_ERROR;
        }

        if (ngx_iot_bus_pick(match) != NGX_OK) {
            ngx_iot_topic_match_release(match);
            return NGX_ERROR;
        }
    }

    if (msg->qos && !force && ngx_iot_bus_blocked(match)) {

        if (match) {
            ngx_iot_topic_match_release(match);
        }

        return NGX_BUSY;
    }

    ngx_iot_count(bus_published);

    ngx_iot_bus_delivering++;
    ngx_iot_bus_hold(msg);

    *matched = ngx_iot_bus_pass(msg, match);

    if (match) {
        tenant->refs++;

        *matched += ngx_iot_bus_deliver(msg, match);

        for (i = 0; i < ngx_iot_bus_npicked; i++) {
            *matched += ngx_iot_bus_deliver_picked(tenant, msg,
                                 (ngx_iot_bus_sub_t *) ngx_iot_bus_picked[i]);
        }

        ngx_iot_topic_match_release(match);

        tenant->refs--;
        ngx_iot_bus_tenant_release(tenant);
    }

    ngx_iot_bus_let_go(msg, NGX_OK);
    ngx_iot_bus_delivering--;

    ngx_iot_bus_wire_busy();

    return NGX_OK;
}


/*
 * Who serves the groups is settled before anybody is called: after that a
 * group may be gone.  A subscription never is, as long as we deliver.
 */

static ngx_int_t
ngx_iot_bus_pick(ngx_iot_topic_match_t *match)
{
    ngx_uint_t             i, slot;
    ngx_iot_bus_share_t   *shares;
    ngx_iot_topic_sub_t   *sub, **picked;

    if (match->ngroups > ngx_iot_bus_picks_alloc) {
        picked = ngx_alloc(match->ngroups * sizeof(ngx_iot_topic_sub_t *),
                           ngx_cycle->log);
        shares = ngx_alloc(match->ngroups * sizeof(ngx_iot_bus_share_t),
                           ngx_cycle->log);

        if (picked == NULL || shares == NULL) {
            ngx_free(picked);
            ngx_free(shares);
            return NGX_ERROR;
        }

        ngx_free(ngx_iot_bus_picked);
        ngx_free(ngx_iot_bus_shares);

        ngx_iot_bus_picked = picked;
        ngx_iot_bus_shares = shares;
        ngx_iot_bus_picks_alloc = match->ngroups;
    }

    for (i = 0; i < match->ngroups; i++) {
        sub = ngx_iot_topic_pick(match->groups[i], &slot);

        if (sub) {
            ngx_iot_bus_picked[ngx_iot_bus_npicked++] = sub;

        } else if (slot < NGX_IOT_SLOTS) {
            ngx_iot_bus_shares[ngx_iot_bus_nshares].slot = slot;
            ngx_iot_bus_shares[ngx_iot_bus_nshares++].group = match->groups[i];
        }
    }

    return NGX_OK;
}


/* 1 if somebody who should get it has no room */

static ngx_uint_t
ngx_iot_bus_blocked(ngx_iot_topic_match_t *match)
{
    uint64_t    slots;
    ngx_uint_t  i;

    slots = ngx_iot_bus_unknown_slots() | (match ? match->marks : 0);

    for (i = 0; slots; i++, slots >>= 1) {
        if ((slots & 1) && ngx_iot_link_full(i)) {
            return 1;
        }
    }

    for (i = 0; i < ngx_iot_bus_nshares; i++) {
        if (ngx_iot_link_full(ngx_iot_bus_shares[i].slot)) {
            return 1;
        }
    }

    return 0;
}


static ngx_uint_t
ngx_iot_bus_pass(ngx_iot_bus_message_t *msg, ngx_iot_topic_match_t *match)
{
    uint64_t              slots, plain;
    ngx_uint_t            i, n, nshares;
    ngx_iot_bus_share_t  *shares;

    plain = ngx_iot_bus_unknown_slots() | (match ? match->marks : 0);
    slots = plain;

    for (i = 0; i < ngx_iot_bus_nshares; i++) {
        slots |= (uint64_t) 1 << ngx_iot_bus_shares[i].slot;
    }

    for (n = 0, i = 0; slots; i++, slots >>= 1, plain >>= 1) {

        if ((slots & 1) == 0) {
            continue;
        }

        if (msg->qos == 0 && ngx_iot_link_full(i)) {
            ngx_iot_count(bus_dropped);
            continue;
        }

        nshares = ngx_iot_bus_shares_of(i, &shares);

        if (ngx_iot_bus_wire_message(i, msg, plain & 1, shares, nshares)
            != NGX_OK)
        {
            ngx_iot_count(bus_dropped);
            continue;
        }

        n++;
    }

    ngx_iot_add(bus_passed, n);

    return n;
}


/* brings the shares of a slot together at the end, and takes them off */

static ngx_uint_t
ngx_iot_bus_shares_of(ngx_uint_t slot, ngx_iot_bus_share_t **shares)
{
    ngx_uint_t           i, n;
    ngx_iot_bus_share_t  share;

    n = ngx_iot_bus_nshares;

    for (i = 0; i < n; /* void */ ) {
        share = ngx_iot_bus_shares[i];

        if (share.slot != slot) {
            i++;
            continue;
        }

        ngx_iot_bus_shares[i] = ngx_iot_bus_shares[--n];
        ngx_iot_bus_shares[n] = share;
    }

    *shares = ngx_iot_bus_shares + n;
    i = ngx_iot_bus_nshares - n;
    ngx_iot_bus_nshares = n;

    return i;
}


/*
 * Answers are sorted by client.  Those who were called may have unsubscribed
 * themselves or others: then the answer is out of date, and it does no harm
 * to move the rest of a client's subscriptions together in it.
 */

static ngx_uint_t
ngx_iot_bus_deliver(ngx_iot_bus_message_t *msg, ngx_iot_topic_match_t *match)
{
    void                  *owner;
    ngx_uint_t             i, j, k, n;
    ngx_iot_bus_sub_t     *sub;
    ngx_iot_topic_sub_t  **subs;

    subs = match->subs;
    n = 0;

    for (i = 0; i < match->nsubs; i = j) {
        owner = subs[i]->owner;

        for (j = i, k = i;
             j < match->nsubs && subs[j]->owner == owner;
             j++)
        {
            sub = (ngx_iot_bus_sub_t *) subs[j];

            if (sub->client) {
                subs[k++] = subs[j];
            }
        }

        if (k == i) {
            continue;
        }

        sub = (ngx_iot_bus_sub_t *) subs[i];

        (void) sub->client->deliver(sub->client, msg,
                                    (ngx_iot_bus_sub_t **) &subs[i], k - i);

        n++;
    }

    ngx_iot_add(bus_delivered, n);

    return n;
}


static ngx_uint_t
ngx_iot_bus_deliver_picked(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub)
{
    uint32_t                tries;
    ngx_str_t               filter, name;
    ngx_iot_topic_group_t  *group;

    if (ngx_iot_bus_deliver_one(msg, sub) == NGX_OK) {
        return 1;
    }

    /* the memory of the subscription stays while we deliver */

    filter = sub->filter;
    name = sub->group;

    group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

    for (tries = group ? group->members : 0; tries; tries--) {

        group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

        if (group == NULL || group->first == NULL) {
            break;
        }

        sub = (ngx_iot_bus_sub_t *) ngx_iot_topic_pick_member(group);

        if (ngx_iot_bus_deliver_one(msg, sub) == NGX_OK) {
            return 1;
        }
    }

    ngx_iot_count(bus_dropped);

    msg->rc = NGX_ERROR;

    return 0;
}


ngx_uint_t
ngx_iot_bus_members(u_char *tenant, ngx_str_t *filter, ngx_str_t *group)
{
    ngx_iot_bus_tenant_t   *t;
    ngx_iot_topic_group_t  *g;

    ngx_iot_bus_wire_poll();

    t = ngx_iot_bus_tenant(tenant, 0);

    if (t == NULL) {
        return 0;
    }

    g = ngx_iot_topic_group_find(t->tree, filter, group);

    return g ? (ngx_uint_t) g->members + g->elsewhere : 0;
}


ngx_int_t
ngx_iot_bus_publish_share(ngx_iot_bus_message_t *msg, ngx_str_t *filter,
    ngx_str_t *group)
{
    ngx_int_t               rc;
    ngx_uint_t              slot;
    ngx_iot_bus_sub_t      *sub;
    ngx_iot_bus_share_t     share;
    ngx_iot_bus_tenant_t   *tenant;

    if (ngx_iot_slot_self()->slot == NGX_IOT_SLOTS) {
        return NGX_DECLINED;
    }

    ngx_iot_bus_wire_poll();

    tenant = ngx_iot_bus_tenant(msg->tenant, 0);

    if (tenant == NULL) {
        return NGX_DECLINED;
    }

    share.group = ngx_iot_topic_group_find(tenant->tree, filter, group);

    if (share.group == NULL) {
        return NGX_DECLINED;
    }

    sub = (ngx_iot_bus_sub_t *) ngx_iot_topic_pick(share.group, &slot);

    if (sub == NULL && slot >= NGX_IOT_SLOTS) {
        return NGX_DECLINED;
    }

    tenant->refs++;

    ngx_iot_bus_delivering++;
    ngx_iot_bus_hold(msg);

    if (sub) {
        rc = ngx_iot_bus_deliver_picked(tenant, msg, sub) ? NGX_OK
                                                          : NGX_DECLINED;

    } else {
        share.slot = slot;
        rc = ngx_iot_bus_wire_message(slot, msg, 0, &share, 1);
        rc = (rc == NGX_OK) ? NGX_OK : NGX_DECLINED;
    }

    ngx_iot_bus_let_go(msg, NGX_OK);
    ngx_iot_bus_delivering--;

    tenant->refs--;
    ngx_iot_bus_tenant_release(tenant);

    ngx_iot_bus_wire_busy();
    ngx_iot_bus_finish();

    return rc;
}


static ngx_int_t
ngx_iot_bus_deliver_one(ngx_iot_bus_message_t *msg, ngx_iot_bus_sub_t *sub)
{
    if (sub->client == NULL
        || sub->client->deliver(sub->client, msg, &sub, 1) == NGX_DECLINED)
    {
        return NGX_DECLINED;
    }

    ngx_iot_count(bus_delivered);

    return NGX_OK;
}


void
ngx_iot_bus_arrived(ngx_iot_bus_envelope_t *envelope)
{
    ngx_iot_bus_tenant_t   *tenant;
    ngx_iot_bus_message_t  *msg;
    ngx_iot_topic_match_t  *match;

    msg = &envelope->msg;

    ngx_iot_bus_delivering++;
    ngx_iot_bus_hold(msg);

    tenant = ngx_iot_bus_tenant(msg->tenant, 0);

    if (tenant) {
        tenant->refs++;

        if (envelope->plain) {
            match = ngx_iot_topic_match_name(tenant->tree, &msg->topic);

            if (match) {
                (void) ngx_iot_bus_deliver(msg, match);
                ngx_iot_topic_match_release(match);

            } else {
                ngx_iot_count(bus_dropped);
                msg->rc = NGX_ERROR;
            }
        }

        ngx_iot_bus_deliver_shares(tenant, envelope);

        tenant->refs--;
        ngx_iot_bus_tenant_release(tenant);
    }

    ngx_iot_bus_let_go(msg, NGX_OK);
    ngx_iot_bus_delivering--;
}


static void
ngx_iot_bus_deliver_shares(ngx_iot_bus_tenant_t *tenant,
    ngx_iot_bus_envelope_t *envelope)
{
    u_char                 *p, *end;
    ngx_str_t               filter, name;
    ngx_iot_topic_group_t  *group;

    p = envelope->shares.data;
    end = p + envelope->shares.len;

    while (ngx_iot_bus_wire_share(&p, end, &filter, &name) == NGX_OK) {

        group = ngx_iot_topic_group_find(tenant->tree, &filter, &name);

        if (group == NULL || group->first == NULL) {
            ngx_iot_count(bus_dropped);
            envelope->msg.rc = NGX_ERROR;
            continue;
        }

        (void) ngx_iot_bus_deliver_picked(tenant, &envelope->msg,
                      (ngx_iot_bus_sub_t *) ngx_iot_topic_pick_member(group));
    }
}


/* messages published while others were delivered go one after another */

void
ngx_iot_bus_finish(void)
{
    ngx_uint_t              matched;
    ngx_queue_t            *q;
    ngx_iot_bus_message_t  *msg;

    if (ngx_iot_bus_delivering) {
        return;
    }

    while (!ngx_queue_empty(&ngx_iot_bus_later)) {
        q = ngx_queue_head(&ngx_iot_bus_later);
        msg = ngx_queue_data(q, ngx_iot_bus_message_t, queue);
        ngx_queue_remove(q);

        if (ngx_iot_bus_route(msg, 1, &matched) != NGX_OK) {
            ngx_iot_count(bus_dropped);

            /* publish() has said that all is well: done() tells otherwise */

            ngx_iot_bus_delivering++;
            ngx_iot_bus_hold(msg);
            ngx_iot_bus_let_go(msg, NGX_ERROR);
            ngx_iot_bus_delivering--;
        }

        ngx_iot_bus_drop(msg);
    }

    while (!ngx_queue_empty(&ngx_iot_bus_dead)) {
        q = ngx_queue_head(&ngx_iot_bus_dead);
        ngx_queue_remove(q);
        ngx_free(ngx_queue_data(q, ngx_iot_bus_sub_t, queue));
    }
}


/* it may still be in the answer that is being worked on */

void
ngx_iot_bus_bury(ngx_iot_bus_sub_t *sub)
{
    if (ngx_iot_bus_delivering) {
        ngx_queue_insert_tail(&ngx_iot_bus_dead, &sub->queue);
        return;
    }

    ngx_free(sub);
}
