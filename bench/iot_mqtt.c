
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * A load generator for MQTT 3.1.1: one thread, epoll, large buffers.  Each
 * publisher keeps a window of messages on the way, counted from end to end,
 * so that the broker always has work and never a reason to drop.
 *
 *     iot-mqtt mode host port seconds [name=value ...]
 *
 *     pairs      n publishers, each with a subscriber of its own
 *     fanin      n publishers, one subscriber of all their topics
 *     fanout     one publisher, n subscribers
 *     ack        n publishers, QoS 1, no subscriber: publish to PUBACK
 *     telemetry  n devices, QoS 1, v1/devices/me/telemetry, a new timestamp
 *                in each message; needs tokens=FILE
 *     latency    pairs at rate=MESSAGES a second, in time whatever comes back
 *     connect    n at a time connect, see CONNACK, disconnect, come again
 *     idle       n connections that do nothing
 *
 *     n=10 qos=0 window=500 size=64 rate=0 tokens=FILE pids=1,2 (the broker's)
 *
 * Prints one line of name=value pairs.
 */


#include "iot_mqtt.h"


static void arguments(int argc, char **argv);
static void raise_files(void);
static void load_tokens(void);
static void make_conns(void);
static void run(void);
static void take(sample_t *s);
static double broker_cpu(void);
static uint64_t broker_kib(void);
static void report(sample_t *from, sample_t *to, uint64_t kib);


const char         *mode, *host;
char              **tokens;
int                 port, n = 10, qos, size = 64;
int                 ep, nconns, npubs, fan, ready, opening;
int64_t             window = 500;
double              rate;
conn_t             *conns;
uint64_t            sent, acked, delivered, connects, lost, late, nlatency;
uint64_t            measuring, pace_from, now;
uint32_t           *latency;

static const char  *tokens_file;
static int          seconds, npids, opened, pids[MAX_PIDS];


int
main(int argc, char **argv)
{
    arguments(argc, argv);
    raise_files();

    ep = epoll_create1(0);
    latency = calloc(MAX_LATENCY + 1, sizeof(uint32_t));

    if (latency == NULL) {
        die("no memory");
    }

    make_conns();
    run();

    return lost ? 1 : 0;
}


void
die(const char *format, ...)
{
    va_list  args;

    va_start(args, format);
    fprintf(stderr, "iot-mqtt: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);

    exit(2);
}


uint64_t
now_ns(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return (uint64_t) t.tv_sec * 1000000000 + t.tv_nsec;
}


static void
arguments(int argc, char **argv)
{
    int    i;
    char  *name, *value;

    if (argc < 5) {
        die("usage: iot-mqtt mode host port seconds [name=value ...]");
    }

    mode = argv[1];
    host = argv[2];
    port = atoi(argv[3]);
    seconds = atoi(argv[4]);

    for (i = 5; i < argc; i++) {
        name = argv[i];
        value = strchr(name, '=');

        if (value == NULL) {
            die("\"%s\" is not name=value", name);
        }

        *value++ = '\0';

        if (strcmp(name, "n") == 0) {
            n = atoi(value);

        } else if (strcmp(name, "qos") == 0) {
            qos = atoi(value);

        } else if (strcmp(name, "size") == 0) {
            size = atoi(value);

        } else if (strcmp(name, "window") == 0) {
            window = atoi(value);

        } else if (strcmp(name, "rate") == 0) {
            rate = atof(value);

        } else if (strcmp(name, "tokens") == 0) {
            tokens_file = value;

        } else if (strcmp(name, "pids") == 0) {
            for (value = strtok(value, ",");
                 value && npids < MAX_PIDS;
                 value = strtok(NULL, ","))
            {
                pids[npids++] = atoi(value);
            }

        } else {
            die("what is \"%s\"?", name);
        }
    }

    if (n < 1 || seconds < 1 || qos < 0 || qos > 1 || size < HEAD
        || size > MAX_PACKET - 200 || window < 1 || window >= RING)
    {
        die("a value is out of range");
    }
}


static void
raise_files(void)
{
    struct rlimit  limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}


static void
load_tokens(void)
{
    int    i;
    char   line[300];
    FILE  *f;

    f = tokens_file ? fopen(tokens_file, "r") : NULL;

    if (f == NULL) {
        die("tokens=FILE is missing, or no file");
    }

    tokens = calloc(n, sizeof(char *));

    for (i = 0; i < n && fgets(line, sizeof(line), f); i++) {
        line[strcspn(line, "\r\n")] = '\0';
        tokens[i] = strdup(line);
    }

    fclose(f);

    if (i < n) {
        die("%d tokens for %d devices", i, n);
    }
}


/* subscribers come first, so that none misses a message */

static void
make_conns(void)
{
    int  i, nsubs;

    nsubs = 0;

    if (strcmp(mode, "pairs") == 0 || strcmp(mode, "latency") == 0) {
        npubs = nsubs = n;
        fan = 1;

    } else if (strcmp(mode, "fanin") == 0) {
        npubs = n;
        nsubs = fan = 1;

    } else if (strcmp(mode, "fanout") == 0) {
        npubs = 1;
        nsubs = fan = n;

    } else if (strcmp(mode, "ack") == 0) {
        npubs = n;
        qos = 1;

    } else if (strcmp(mode, "telemetry") == 0) {
        npubs = n;
        qos = 1;
        load_tokens();

    } else if (strcmp(mode, "connect") == 0 || strcmp(mode, "idle") == 0) {
        nconns = n;

    } else {
        die("there is no mode \"%s\"", mode);
    }

    if (nconns == 0) {
        nconns = npubs + nsubs;
    }

    conns = calloc(nconns, sizeof(conn_t));

    if (conns == NULL) {
        die("no memory");
    }

    for (i = 0; i < nconns; i++) {
        conns[i].fd = -1;
        conns[i].subscriber = (i < nsubs);
        conns[i].nr = (i < nsubs) ? i : i - nsubs;

        if (npubs && i >= nsubs) {
            conns[i].pub = calloc(1, sizeof(publisher_t));

            if (conns[i].pub == NULL) {
                die("no memory");
            }

            make_publish(conns[i].pub, conns[i].nr);
        }
    }
}


/* everybody connects, a second to warm up, then what is measured */

static void
run(void)
{
    int                 i, k, paced, warm;
    uint64_t            kib, until, checked;
    sample_t            first, last;
    struct epoll_event  events[1024];

    paced = (strcmp(mode, "latency") == 0);
    kib = broker_kib();
    until = 0;
    checked = 0;
    warm = 0;

    for ( ;; ) {
        while (opened < nconns && opening < HANDSHAKES) {
            open_conn(&conns[opened++]);
        }

        k = epoll_wait(ep, events, 1024,
                       pace_from ? 0 : (npubs && until) ? 100 : 10);
        now = now_ns();

        for (i = 0; i < k; i++) {
            event(events[i].data.ptr, events[i].events);
        }

        if (until == 0 && (ready == nconns || strcmp(mode, "connect") == 0)) {
            until = now + 1000000000;
            checked = now;
            pace_from = paced ? now : 0;

            for (i = nconns - npubs; i < nconns; i++) {
                conns[i].pub->hungry = 1;
            }
        }

        if (until && now >= until) {
            if (warm++) {
                break;
            }

            until = now + (uint64_t) seconds * 1000000000;
            take(&first);
            measuring = now;
        }

        if (until == 0) {
            continue;
        }

        if (paced) {
            pace();
            continue;
        }

        for (i = nconns - npubs; i < nconns; i++) {
            if (conns[i].pub->hungry) {
                refill(&conns[i]);
            }
        }

        if (npubs && now - checked > 1000000000) {
            checked = now;
            unstick();
        }
    }

    take(&last);

    report(&first, &last, broker_kib() - kib);
}


static void
take(sample_t *s)
{
    struct rusage  ru;

    getrusage(RUSAGE_SELF, &ru);

    s->time = now;
    s->sent = sent;
    s->acked = acked;
    s->delivered = delivered;
    s->connects = connects;
    s->broker_cpu = broker_cpu();
    s->own_cpu = ru.ru_utime.tv_sec + ru.ru_utime.tv_usec / 1e6
                 + ru.ru_stime.tv_sec + ru.ru_stime.tv_usec / 1e6;
}


static double
broker_cpu(void)
{
    int            i, k;
    char           text[1024];
    char          *p;
    FILE          *f;
    double         sum;
    unsigned long  user, system;

    sum = 0;

    for (i = 0; i < npids; i++) {
        snprintf(text, sizeof(text), "/proc/%d/stat", pids[i]);
        f = fopen(text, "r");

        if (f == NULL) {
            die("%s: %s", text, strerror(errno));
        }

        k = fread(text, 1, sizeof(text) - 1, f);
        fclose(f);
        text[k] = '\0';

        p = strrchr(text, ')');

        if (p && sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u"
                               " %lu %lu", &user, &system) == 2)
        {
            sum += (double) (user + system) / sysconf(_SC_CLK_TCK);
        }
    }

    return sum;
}


/* resident memory, what is shared between processes counted in parts */

static uint64_t
broker_kib(void)
{
    int            i;
    char           line[256];
    FILE          *f;
    uint64_t       sum;
    unsigned long  kib;

    sum = 0;

    for (i = 0; i < npids; i++) {
        snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", pids[i]);
        f = fopen(line, "r");

        if (f == NULL) {
            die("%s: %s", line, strerror(errno));
        }

        while (fgets(line, sizeof(line), f)) {
            if (sscanf(line, "Pss: %lu kB", &kib) == 1) {
                sum += kib;
            }
        }

        fclose(f);
    }

    return sum;
}


static void
report(sample_t *from, sample_t *to, uint64_t kib)
{
    int            i, k;
    double         s;
    uint64_t       sum;
    static double  at[] = { 0.5, 0.99, 0.999 };
    uint64_t       value[3] = { 0, 0, 0 };

    for (i = 0, k = 0, sum = 0; nlatency && i <= MAX_LATENCY && k < 3; i++) {
        sum += latency[i];

        while (k < 3 && sum >= at[k] * nlatency) {
            value[k++] = i;
        }
    }

    s = (to->time - from->time) / 1e9;

    printf("published=%.0f acked=%.0f delivered=%.0f connects=%.0f lost=%lu "
           "late=%lu p50_us=%lu p99_us=%lu p999_us=%lu broker_cpu=%.2f "
           "cpu=%.2f kib=%ld bytes_each=%.0f\n",
           (to->sent - from->sent) / s, (to->acked - from->acked) / s,
           (to->delivered - from->delivered) / s,
           (to->connects - from->connects) / s, (unsigned long) lost,
           (unsigned long) late, (unsigned long) value[0],
           (unsigned long) value[1], (unsigned long) value[2],
           to->broker_cpu - from->broker_cpu, to->own_cpu - from->own_cpu,
           (long) kib, (double) (long) kib * 1024 / nconns);
}
