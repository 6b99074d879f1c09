
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * A load generator for HTTP over keep-alive connections: one thread, epoll,
 * one request in flight on each connection.  Devices post telemetry with a
 * timestamp of their own in each post, so that every post adds new rows; or
 * people read, with the same GET again and again.
 *
 *     iot-load post host port connections seconds points tokens-file
 *     iot-load get  host port connections seconds path authorization
 *
 * Prints one line of name=value pairs.
 */


#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>


#define MAX_TOKENS    10000
#define MAX_REQUEST   16384
#define MAX_LATENCY   1000000            /* us, one bucket each */


typedef struct {
    int       fd;
    char     *request;
    size_t    size;
    size_t    sent;
    char     *ts;                        /* 13 digits inside request */
    char      head[1024];                /* of the response */
    size_t    nhead;
    size_t    body;                      /* still to come */
    int       in_body;
    int       chunked;
    uint64_t  started;
} conn_t;


static void die(const char *text);
static uint64_t now_us(void);
static int load_tokens(const char *file);
static void make_post(conn_t *c, const char *token, int points);
static void make_get(conn_t *c, const char *path, const char *authorization);
static void open_conn(conn_t *c, const char *host, int port);
static void begin(conn_t *c);
static void send_some(conn_t *c);
static void receive(conn_t *c);
static int response(conn_t *c, char *p, size_t n, size_t *used);
static void done(conn_t *c, int status);
static void report(double seconds, int points);


static int        ep, ntokens;
static char      *tokens[MAX_TOKENS];
static uint64_t   ts = 1700000000000, stop_at;
static uint64_t   ok, failed;
static uint32_t  *latency;


int
main(int argc, char **argv)
{
    int                 i, n, conns, points;
    conn_t             *all, *c;
    uint64_t            start;
    struct epoll_event  events[256];

    if (argc != 8) {
        die("usage: iot-load post|get host port connections seconds "
            "points|path tokens-file|authorization");
    }

    conns = atoi(argv[4]);
    points = 1;

    ep = epoll_create1(0);
    latency = calloc(MAX_LATENCY + 1, sizeof(uint32_t));
    all = calloc(conns, sizeof(conn_t));

    if (all == NULL || latency == NULL) {
        die("no memory");
    }

    if (strcmp(argv[1], "post") == 0) {
        points = atoi(argv[6]);
        ntokens = load_tokens(argv[7]);
    }

    for (i = 0; i < conns; i++) {
        c = &all[i];

        if (ntokens) {
            make_post(c, tokens[i % ntokens], points);

        } else {
            make_get(c, argv[6], argv[7]);
        }

        open_conn(c, argv[2], atoi(argv[3]));
    }

    start = now_us();
    ts += (uint64_t) getpid() * 10000000;
    stop_at = start + (uint64_t) atoi(argv[5]) * 1000000;

    for (i = 0; i < conns; i++) {
        begin(&all[i]);
    }

    while (now_us() < stop_at) {
        n = epoll_wait(ep, events, 256, 100);

        for (i = 0; i < n; i++) {
            c = events[i].data.ptr;

            if (events[i].events & EPOLLIN) {
                receive(c);
            }

            if ((events[i].events & EPOLLOUT) && c->sent < c->size) {
                send_some(c);
            }
        }
    }

    report((now_us() - start) / 1e6, points);

    return failed ? 1 : 0;
}


static void
die(const char *text)
{
    fprintf(stderr, "iot-load: %s\n", text);
    exit(2);
}


static uint64_t
now_us(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000000 + t.tv_nsec / 1000;
}


static int
load_tokens(const char *file)
{
    int    n;
    char   line[300];
    FILE  *f;

    f = fopen(file, "r");
    if (f == NULL) {
        die("cannot open the file of tokens");
    }

    for (n = 0; n < MAX_TOKENS && fgets(line, sizeof(line), f); n++) {
        line[strcspn(line, "\r\n")] = '\0';
        tokens[n] = strdup(line);
    }

    fclose(f);

    if (n == 0) {
        die("no tokens");
    }

    return n;
}


static void
make_post(conn_t *c, const char *token, int points)
{
    int   i, n;
    char  body[MAX_REQUEST / 2];

    n = snprintf(body, sizeof(body), "{\"ts\":0000000000000,\"values\":{");

    for (i = 0; i < points; i++) {
        n += snprintf(body + n, sizeof(body) - n, "%s\"key%d\":%d.%d",
                      i ? "," : "", i, 20 + i, i % 9 + 1);
    }

    n += snprintf(body + n, sizeof(body) - n, "}}");

    c->request = malloc(MAX_REQUEST);

    c->size = snprintf(c->request, MAX_REQUEST,
                       "POST /api/v1/%s/telemetry HTTP/1.1\r\n"
                       "Host: localhost\r\n"
                       "Content-Type: application/json\r\n"
                       "Content-Length: %d\r\n\r\n%s", token, n, body);

    c->ts = strstr(c->request, "{\"ts\":") + 6;
}


static void
make_get(conn_t *c, const char *path, const char *authorization)
{
    c->request = malloc(MAX_REQUEST);

    c->size = snprintf(c->request, MAX_REQUEST,
                       "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                       "X-Authorization: %s\r\n\r\n", path, authorization);
}


static void
open_conn(conn_t *c, const char *host, int port)
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

    c->fd = socket(AF_INET, SOCK_STREAM, 0);

    if (c->fd < 0
        || connect(c->fd, (struct sockaddr *) &sin, sizeof(sin)) != 0)
    {
        die(strerror(errno));
    }

    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    fcntl(c->fd, F_SETFL, O_NONBLOCK);

    memset(&ev, 0, sizeof(ev));
    ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
    ev.data.ptr = c;

    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}


static void
begin(conn_t *c)
{
    int       i;
    uint64_t  n;

    if (c->ts) {
        n = ts++;

        for (i = 12; i >= 0; i--) {
            c->ts[i] = '0' + n % 10;
            n /= 10;
        }
    }

    c->sent = 0;
    c->nhead = 0;
    c->in_body = 0;
    c->started = now_us();

    send_some(c);
}


static void
send_some(conn_t *c)
{
    ssize_t  n;

    while (c->sent < c->size) {
        n = send(c->fd, c->request + c->sent, c->size - c->sent,
                 MSG_NOSIGNAL);

        if (n < 0) {
            if (errno == EAGAIN) {
                return;
            }

            die("the server closed a connection");
        }

        c->sent += n;
    }
}


static void
receive(conn_t *c)
{
    int          status;
    size_t       used;
    ssize_t      n;
    char        *p;
    static char  buf[262144];

    for ( ;; ) {
        n = recv(c->fd, buf, sizeof(buf), 0);

        if (n < 0 && errno == EAGAIN) {
            return;
        }

        if (n <= 0) {
            die("the server closed a connection");
        }

        for (p = buf; n > 0; p += used, n -= used) {
            status = response(c, p, n, &used);

            if (status) {
                done(c, status);
            }
        }
    }
}


/* returns the status when the response is complete, else 0 */

static int
response(conn_t *c, char *p, size_t n, size_t *used)
{
    char    *end, *len;
    size_t   take, have;

    *used = n;

    if (!c->in_body) {
        take = n < sizeof(c->head) - 1 - c->nhead
               ? n : sizeof(c->head) - 1 - c->nhead;

        have = c->nhead;
        memcpy(c->head + have, p, take);
        c->nhead += take;
        c->head[c->nhead] = '\0';

        end = strstr(c->head, "\r\n\r\n");

        if (end == NULL) {
            return 0;
        }

        take = end + 4 - c->head - have;
        len = strcasestr(c->head, "Content-Length:");

        c->chunked = len == NULL;
        c->body = len ? strtoul(len + 15, NULL, 10) : 0;
        c->in_body = 1;

        *used = take;

        if (!c->chunked && c->body == 0) {
            return atoi(c->head + 9);
        }

        return 0;
    }

    if (c->chunked) {
        /* the last chunk ends what one request alone can have caused */
        if (n >= 5 && memcmp(p + n - 5, "0\r\n\r\n", 5) == 0) {
            return atoi(c->head + 9);
        }

        return 0;
    }

    if (n < c->body) {
        c->body -= n;
        return 0;
    }

    *used = c->body;
    c->body = 0;

    return atoi(c->head + 9);
}


static void
done(conn_t *c, int status)
{
    uint64_t  us;

    if (status == 200) {
        ok++;

    } else if (failed++ == 0) {
        fprintf(stderr, "iot-load: %.*s\n",
                (int) strcspn(c->head, "\r"), c->head);
    }

    us = now_us() - c->started;
    latency[us > MAX_LATENCY ? MAX_LATENCY : us]++;

    begin(c);
}


static void
report(double seconds, int points)
{
    int            i, k;
    uint64_t       sum;
    struct rusage  ru;
    static double  at[] = { 0.5, 0.99, 0.999 };
    uint64_t       value[3] = { 0, 0, 0 };

    for (i = 0, k = 0, sum = 0; i <= MAX_LATENCY && k < 3; i++) {
        sum += latency[i];

        while (k < 3 && sum >= at[k] * (ok + failed)) {
            value[k++] = i;
        }
    }

    getrusage(RUSAGE_SELF, &ru);

    printf("requests=%.0f points=%.0f failed=%lu p50_us=%lu p99_us=%lu "
           "p999_us=%lu cpu=%.2f\n",
           ok / seconds, ok * points / seconds, (unsigned long) failed,
           (unsigned long) value[0], (unsigned long) value[1],
           (unsigned long) value[2],
           ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6
           + ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6);
}
