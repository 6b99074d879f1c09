
/*
 * Copyright (C) the ngx_iot authors
 */


#include "iot_mqtt.h"


static int64_t credit(publisher_t *pub);
static void put_publish(conn_t *c, uint64_t time);


static uint64_t  ts, due;


void
make_publish(publisher_t *pub, int nr)
{
    int             len, payload, body;
    char            topic[64], json[128];
    uint32_t        number;
    unsigned char  *p;

    payload = size;
    json[0] = '\0';

    if (tokens) {
        len = snprintf(topic, sizeof(topic), "v1/devices/me/telemetry");
        payload = snprintf(json, sizeof(json),
                           "{\"ts\":0000000000000,"
                           "\"values\":{\"temperature\":%d.%d}}",
                           20 + nr % 10, nr % 9 + 1);

    } else {
        len = snprintf(topic, sizeof(topic), "bench/%d/value", nr);
    }

    body = 2 + len + (qos ? 2 : 0) + payload;
    p = pub->packet;

    *p++ = 0x30 | qos << 1;

    if (body > 127) {
        *p++ = (body & 127) | 128;
        *p++ = body >> 7;

    } else {
        *p++ = body;
    }

    *p++ = 0;
    *p++ = len;
    memcpy(p, topic, len);
    p += len;

    if (qos) {
        pub->id_at = p - pub->packet;
        p += 2;
    }

    pub->payload_at = p - pub->packet;

    if (tokens) {
        memcpy(p, json, payload);

    } else {
        memset(p, 'x', payload);
        number = nr;
        memcpy(p, &number, 4);
        memset(p + 4, 0, 8);
    }

    pub->size = p + payload - pub->packet;
}


/* how many messages a publisher may send now */

static int64_t
credit(publisher_t *pub)
{
    uint64_t  done;

    done = pub->sent;

    if (fan) {
        done = pub->delivered / fan;
    }

    if (qos && pub->acked < done) {
        done = pub->acked;
    }

    return window - (int64_t) (pub->sent - done);
}


/* a quarter of a window at a time: many messages in one write */

void
refill(conn_t *c)
{
    int64_t       left;
    uint64_t      at;
    publisher_t  *pub;

    pub = c->pub;
    pub->hungry = 0;

    left = credit(pub);

    if (left < 1 || (left < window / 4 && pub->sent > pub->acked)
        || c->sent < c->nout)
    {
        return;
    }

    at = now_ns();

    while (left-- && c->nout + pub->size <= OUT_SIZE) {
        put_publish(c, at);
        at = 0;                        /* one of a write is a sample */
    }

    flush(c);
}


/* what is due by now, spread over all publishers */

void
pace(void)
{
    int       i;
    conn_t   *c;
    uint64_t  target, at;

    target = (now - pace_from) * rate / 1e9;

    while (due < target) {
        c = &conns[nconns - npubs + due % npubs];
        at = pace_from + due * 1e9 / rate;
        due++;

        if (c->nout - c->sent > OUT_SIZE - 1024) {
            late++;
            continue;
        }

        put_publish(c, at);
    }

    for (i = nconns - npubs; i < nconns; i++) {
        if (conns[i].sent < conns[i].nout) {
            flush(&conns[i]);
        }
    }
}


static void
put_publish(conn_t *c, uint64_t time)
{
    int             i;
    uint64_t        v;
    publisher_t    *pub;
    unsigned char  *p;

    pub = c->pub;
    p = room(c, pub->size);

    memcpy(p, pub->packet, pub->size);
    c->nout += pub->size;

    if (qos) {
        pub->id = pub->id % 65535 + 1;
        p[pub->id_at] = pub->id >> 8;
        p[pub->id_at + 1] = pub->id;
        pub->sent_at[pub->id % RING] = time;
    }

    p += pub->payload_at;

    if (tokens) {
        if (ts == 0) {
            /* what earlier runs have sent is not overwritten */
            ts = 1600000000000 + now_ns() / 1000 % 100000000000;
        }

        v = ts++;

        for (i = 12; i >= 0; i--) {
            p[6 + i] = '0' + v % 10;
            v /= 10;
        }

    } else {
        memcpy(p + 4, &time, 8);
    }

    pub->sent++;
    sent++;
}


unsigned char *
room(conn_t *c, size_t need)
{
    if (c->sent == c->nout) {
        c->sent = 0;
        c->nout = 0;
    }

    if (c->out_size - c->nout < need) {

        if (c->sent) {
            memmove(c->out, c->out + c->sent, c->nout - c->sent);
            c->nout -= c->sent;
            c->sent = 0;
        }

        while (c->out_size - c->nout < need) {
            c->out_size = c->out_size ? 2 * c->out_size
                                      : c->pub ? OUT_SIZE : 128;
            c->out = realloc(c->out, c->out_size);

            if (c->out == NULL) {
                die("no memory");
            }
        }
    }

    return c->out + c->nout;
}


void
flush(conn_t *c)
{
    ssize_t  done;

    while (c->sent < c->nout) {
        done = send(c->fd, c->out + c->sent, c->nout - c->sent,
                    MSG_NOSIGNAL);

        if (done < 0) {
            if (errno == EAGAIN) {
                return;
            }

            if (c->state == LEAVING) {
                break;
            }

            die("send: %s", strerror(errno));
        }

        c->sent += done;
    }

    c->sent = 0;
    c->nout = 0;
}


/*
 * A second in which a publisher saw nothing come back: what is on the way has
 * been dropped, and the next window replaces it.
 */

void
unstick(void)
{
    int           i;
    uint64_t      gone, moved;
    publisher_t  *pub;

    static uint64_t  *before;

    if (before == NULL) {
        before = calloc(npubs, sizeof(uint64_t));

        if (before == NULL) {
            die("no memory");
        }
    }

    for (i = 0; i < npubs; i++) {
        pub = conns[nconns - npubs + i].pub;
        moved = pub->delivered + pub->acked + pub->sent;

        if (moved == before[i] && fan && credit(pub) < window) {
            gone = pub->sent * fan - pub->delivered;
            lost += gone;
            pub->delivered += gone;
            pub->hungry = 1;
        }

        before[i] = moved;
    }
}
