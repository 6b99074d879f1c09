
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _IOT_MQTT_H_INCLUDED_
#define _IOT_MQTT_H_INCLUDED_


#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define IN_SIZE       262144
#define OUT_SIZE      65536
#define MAX_PACKET    2048
#define MAX_REST      256              /* of a packet cut by a read */
#define MAX_PIDS      64
#define RING          1024             /* send times of unacknowledged */
#define HANDSHAKES    64               /* connections begun and not ready */
#define HEAD          12               /* of a payload: number and time */
#define MAX_LATENCY   1000000          /* us, one bucket each */

#define CONNACK       2
#define PUBLISH       3
#define PUBACK        4
#define SUBACK        9


typedef enum {
    CLOSED = 0,
    CONNECTING,
    GREETING,                          /* waits for CONNACK */
    SUBSCRIBING,
    READY,
    LEAVING                            /* sent DISCONNECT */
} state_t;


typedef struct {
    unsigned char   packet[MAX_PACKET];
    size_t          size;
    size_t          id_at;             /* offset of the identifier, or 0 */
    size_t          payload_at;
    unsigned        id;
    uint64_t        sent;
    uint64_t        acked;
    uint64_t        delivered;         /* to all subscribers together */
    int             hungry;
    uint64_t        sent_at[RING];
} publisher_t;


typedef struct {
    int             fd;
    state_t         state;
    int             nr;
    int             subscriber;
    publisher_t    *pub;
    unsigned char  *out;
    size_t          out_size;
    size_t          nout;
    size_t          sent;
    size_t          nrest;
    unsigned char   rest[MAX_REST];
} conn_t;


typedef struct {
    uint64_t        time;
    uint64_t        sent;
    uint64_t        acked;
    uint64_t        delivered;
    uint64_t        connects;
    double          broker_cpu;
    double          own_cpu;
} sample_t;


void die(const char *format, ...);
uint64_t now_ns(void);

/* connections: the handshake, and what comes in */

void open_conn(conn_t *c);
void event(conn_t *c, uint32_t events);

/* publishers: what goes out */

void make_publish(publisher_t *pub, int nr);
void refill(conn_t *c);
void pace(void);
void unstick(void);
unsigned char *room(conn_t *c, size_t size);
void flush(conn_t *c);

/* one latency, of what began at that time */

void measured(uint64_t at);


extern const char  *mode, *host;
extern char       **tokens;
extern int          port, n, qos, size, ep, nconns, npubs, fan, ready;
extern int          opening;
extern int64_t      window;
extern double       rate;
extern conn_t      *conns;
extern uint64_t     sent, acked, delivered, connects, lost, late, nlatency;
extern uint64_t     measuring, pace_from, now;
extern uint32_t    *latency;


#endif /* _IOT_MQTT_H_INCLUDED_ */
