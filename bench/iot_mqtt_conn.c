
/*
 * Copyright (C) the ngx_iot authors
 */


#include "iot_mqtt.h"


static void reopen(conn_t *c);
static void greet(conn_t *c);
static void subscribe(conn_t *c);
static void be_ready(conn_t *c);
static void receive(conn_t *c);
static size_t parse(conn_t *c, unsigned char *p, unsigned char *end);
static void packet(conn_t *c, unsigned head, unsigned char *p,
    unsigned char *end);
static void on_publish(conn_t *c, unsigned q, unsigned char *p,
    unsigned char *end);
static void on_puback(conn_t *c, unsigned id);


static uint64_t  client;


void
open_conn(conn_t *c)
{
    int                 one = 1;
    struct sockaddr_in  sin;
    struct epoll_event  ev;

    memset(&sin, 0, sizeof(sin));
    sin.sin_family = AF_INET;
    sin.sin_port = htons(port);

    if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
        die("an IPv4 address is needed");
    }

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    if (c->fd < 0) {
        die("socket: %s", strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));

    if (connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) != 0
        && errno != EINPROGRESS)
    {
        die("connect: %s", strerror(errno));
    }

    c->state = CONNECTING;
    c->nrest = 0;
    c->nout = 0;
    c->sent = 0;
    opening++;

    memset(&ev, 0, sizeof(ev));
    ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
    ev.data.ptr = c;

    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0) {
        die("epoll_ctl: %s", strerror(errno));
    }
}


/* the end of a connection of mode connect */

static void
reopen(conn_t *c)
{
    close(c->fd);
    connects++;
    opening--;
    open_conn(c);
}


static void
greet(conn_t *c)
{
    int             error, nid, nuser, body;
    char            id[32];
    char           *user;
    socklen_t       len;
    unsigned char  *p;

    len = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);

    if (error) {
        die("connect: %s", strerror(error));
    }

    user = tokens ? tokens[c->nr] : NULL;
    nuser = user ? strlen(user) : 0;
    nid = snprintf(id, sizeof(id), "bench%d-%lu", (int) getpid(),
                   (unsigned long) client++);

    body = 10 + 2 + nid + (user ? 2 + nuser : 0);

    if (body > 127) {
        die("the token \"%s\" is too long", user);
    }

    p = room(c, 2 + body);

    *p++ = 0x10;
    *p++ = body;
    /* protocol, version 4, clean session, 300 seconds of keep-alive */
    memcpy(p, "\0\4MQTT\4\2\1\54", 10);
    p[7] |= user ? 0x80 : 0;
    p += 10;
    *p++ = 0;
    *p++ = nid;
    memcpy(p, id, nid);
    p += nid;

    if (user) {
        *p++ = 0;
        *p++ = nuser;
        memcpy(p, user, nuser);
    }

    c->nout += 2 + body;
    c->state = GREETING;

    flush(c);
}


static void
subscribe(conn_t *c)
{
    int             len;
    char            filter[32];
    unsigned char  *p;

    if (strcmp(mode, "fanin") == 0) {
        len = snprintf(filter, sizeof(filter), "bench/+/value");

    } else {
        len = snprintf(filter, sizeof(filter), "bench/%d/value",
                       npubs == 1 ? 0 : c->nr);
    }

    p = room(c, 64);

    *p++ = 0x82;
    *p++ = 5 + len;
    *p++ = 0;
    *p++ = 1;
    *p++ = 0;
    *p++ = len;
    memcpy(p, filter, len);
    p[len] = qos;

    c->nout += 7 + len;
    c->state = SUBSCRIBING;

    flush(c);
}


static void
be_ready(conn_t *c)
{
    unsigned char  *p;

    if (strcmp(mode, "connect") == 0) {
        p = room(c, 2);
        *p++ = 0xe0;
        *p = 0;
        c->nout += 2;
        c->state = LEAVING;
        flush(c);

        return;
    }

    c->state = READY;
    opening--;
    ready++;
    connects++;
}


void
event(conn_t *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
            return;
        }

        greet(c);
    }

    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        receive(c);
    }

    if ((events & EPOLLOUT) && c->sent < c->nout) {
        flush(c);
    }

    if (c->pub && c->sent == c->nout) {
        c->pub->hungry = 1;
    }
}


static void
receive(conn_t *c)
{
    size_t          used, have;
    ssize_t         got;

    static unsigned char  buf[IN_SIZE];

    for ( ;; ) {
        have = c->nrest;
        memcpy(buf, c->rest, have);

        got = recv(c->fd, buf + have, IN_SIZE - have, 0);

        if (got < 0 && errno == EAGAIN) {
            return;
        }

        if (got <= 0) {
            if (c->state == LEAVING) {
                reopen(c);
                return;
            }

            die("the broker closed a connection%s%s", got < 0 ? ": " : "",
                got < 0 ? strerror(errno) : "");
        }

        have += got;
        used = parse(c, buf, buf + have);

        c->nrest = have - used;

        if (c->nrest > MAX_REST) {
            die("a packet is larger than any that was expected");
        }

        memcpy(c->rest, buf + used, c->nrest);

        if (c->nout && c->sent < c->nout) {
            flush(c);
        }

        if (have < IN_SIZE) {
            /* less than asked for: the next edge tells of more */
            return;
        }
    }
}


/* returns how many bytes were whole packets */

static size_t
parse(conn_t *c, unsigned char *p, unsigned char *end)
{
    size_t          len;
    unsigned        shift, head;
    unsigned char  *start, *body;

    start = p;

    for ( ;; ) {
        body = p + 1;
        len = 0;
        shift = 0;

        do {
            if (body >= end) {
                return p - start;
            }

            if (shift > 21) {
                die("a malformed packet");
            }

            len |= (size_t) (*body & 127) << shift;
            shift += 7;

        } while (*body++ & 128);

        if ((size_t) (end - body) < len) {
            return p - start;
        }

        head = *p;
        p = body + len;

        packet(c, head, body, p);
    }
}


static void
packet(conn_t *c, unsigned head, unsigned char *p, unsigned char *end)
{
    size_t  len;

    len = end - p;

    switch (head >> 4) {

    case PUBLISH:
        on_publish(c, head >> 1 & 3, p, end);
        return;

    case PUBACK:
        if (len < 2 || c->pub == NULL) {
            break;
        }

        on_puback(c, p[0] << 8 | p[1]);
        return;

    case CONNACK:
        if (len < 2 || c->state != GREETING) {
            break;
        }

        if (p[1]) {
            die("connection refused, code %d", p[1]);
        }

        if (c->subscriber) {
            subscribe(c);

        } else {
            be_ready(c);
        }

        return;

    case SUBACK:
        if (len < 3 || p[2] != qos || c->state != SUBSCRIBING) {
            break;
        }

        be_ready(c);
        return;
    }

    die("an unexpected packet of type %u", head >> 4);
}


static void
on_publish(conn_t *c, unsigned q, unsigned char *p, unsigned char *end)
{
    size_t          len;
    uint64_t        at;
    uint32_t        nr;
    publisher_t    *pub;
    unsigned char  *id, *ack;

    len = end - p > 2 ? p[0] << 8 | p[1] : 0;
    id = p + 2 + len;
    p = id + (q ? 2 : 0);

    if (end - p != size) {
        die("a message of %ld bytes, not %d", (long) (end - p), size);
    }

    memcpy(&nr, p, 4);
    memcpy(&at, p + 4, 8);

    if (nr >= (uint32_t) npubs) {
        die("a message of nobody");
    }

    pub = conns[nconns - npubs + nr].pub;

    pub->delivered++;
    pub->hungry = 1;
    delivered++;

    if (at) {
        measured(at);
    }

    if (q) {
        ack = room(c, 4);
        ack[0] = 0x40;
        ack[1] = 2;
        ack[2] = id[0];
        ack[3] = id[1];
        c->nout += 4;
    }
}


static void
on_puback(conn_t *c, unsigned id)
{
    uint64_t      at;
    publisher_t  *pub;

    pub = c->pub;

    if (pub->acked == pub->sent) {
        die("an acknowledgement too many");
    }

    pub->acked++;
    pub->hungry = 1;
    acked++;

    at = pub->sent_at[id % RING];

    if (at && fan == 0) {
        measured(at);
    }
}


void
measured(uint64_t at)
{
    uint64_t  us, t;

    if (measuring == 0 || at < measuring) {
        return;
    }

    t = now_ns();
    us = t > at ? (t - at) / 1000 : 0;
    latency[us > MAX_LATENCY ? MAX_LATENCY : us]++;
    nlatency++;
}
