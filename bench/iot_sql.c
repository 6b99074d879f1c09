
/*
 * Copyright (C) the ngx_iot authors
 */


/*
 * What PostgreSQL does alone, through one libpq connection: the limit that
 * the rates of the server are shown beside.
 *
 *     iot-sql copy  conninfo seconds devices keys
 *         binary COPY into iot.telemetry in batches of 5,000 rows, each
 *         committed
 *     iot-sql query conninfo seconds statement [parameter ...]
 *         the same prepared statement again and again, one after the other
 *
 * Prints one line of name=value pairs.
 */


#include <arpa/inet.h>
#include <endian.h>
#include <libpq-fe.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>


#define BATCH  5000


static void die(PGconn *pg, const char *text);
static double now(void);
static void copy(PGconn *pg, double seconds, int devices, int keys);
static char *put16(char *p, int n);
static char *put32(char *p, int32_t n);
static char *put64(char *p, uint64_t n);
static char *row(char *p, int device, int key, uint64_t ts, double value);
static void query(PGconn *pg, double seconds, const char *text, int n,
    char **params);


int
main(int argc, char **argv)
{
    PGconn  *pg;

    if (argc < 5) {
        die(NULL, "usage: iot-sql copy conninfo seconds devices keys | "
                  "query conninfo seconds statement [parameter ...]");
    }

    pg = PQconnectdb(argv[2]);

    if (PQstatus(pg) != CONNECTION_OK) {
        die(pg, "connect");
    }

    if (strcmp(argv[1], "copy") == 0 && argc == 6) {
        copy(pg, atof(argv[3]), atoi(argv[4]), atoi(argv[5]));

    } else {
        query(pg, atof(argv[3]), argv[4], argc - 5, argv + 5);
    }

    PQfinish(pg);

    return 0;
}


static void
die(PGconn *pg, const char *text)
{
    fprintf(stderr, "iot-sql: %s %s\n", text, pg ? PQerrorMessage(pg) : "");
    exit(2);
}


static double
now(void)
{
    struct timespec  t;

    clock_gettime(CLOCK_MONOTONIC, &t);

    return t.tv_sec + t.tv_nsec / 1e9;
}


static void
copy(PGconn *pg, double seconds, int devices, int keys)
{
    int        i;
    char      *buf, *p;
    double     start, end;
    uint64_t   rows, ts;
    PGresult  *res;

    buf = malloc(BATCH * 128 + 64);
    rows = 0;
    ts = 1700000000000 + (uint64_t) getpid() * 10000000;
    start = now();

    do {
        res = PQexec(pg, "COPY iot.telemetry"
                         " (entity, key, ts, b, l, d, s, expires_at)"
                         " FROM STDIN (FORMAT binary)");

        if (PQresultStatus(res) != PGRES_COPY_IN) {
            die(pg, "COPY");
        }

        PQclear(res);

        p = buf;
        memcpy(p, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
        p += 19;

        for (i = 0; i < BATCH; i++, rows++) {
            p = row(p, 1000000 + rows / keys % devices, rows % keys + 1,
                    ts + rows / keys / devices, 20 + i * 0.1);
        }

        p = put16(p, -1);

        if (PQputCopyData(pg, buf, p - buf) != 1
            || PQputCopyEnd(pg, NULL) != 1)
        {
            die(pg, "COPY");
        }

        while ((res = PQgetResult(pg)) != NULL) {

            if (PQresultStatus(res) != PGRES_COMMAND_OK) {
                die(pg, "COPY");
            }

            PQclear(res);
        }

        end = now();

    } while (end - start < seconds);

    printf("rows=%.0f\n", rows / (end - start));
}


static char *
put16(char *p, int n)
{
    uint16_t  v = htons((uint16_t) n);

    memcpy(p, &v, 2);

    return p + 2;
}


static char *
put32(char *p, int32_t n)
{
    uint32_t  v = htonl((uint32_t) n);

    memcpy(p, &v, 4);

    return p + 4;
}


static char *
put64(char *p, uint64_t n)
{
    uint64_t  v = htobe64(n);

    memcpy(p, &v, 8);

    return p + 8;
}


static char *
row(char *p, int device, int key, uint64_t ts, double value)
{
    uint64_t  bits;

    memcpy(&bits, &value, 8);

    p = put16(p, 8);
    p = put32(put32(p, 4), device);
    p = put32(put32(p, 4), key);
    p = put64(put32(p, 8), ts);
    p = put32(p, -1);
    p = put32(p, -1);
    p = put64(put32(p, 8), bits);
    p = put32(p, -1);

    return put32(p, -1);
}


static void
query(PGconn *pg, double seconds, const char *text, int n, char **params)
{
    double     start, end;
    uint64_t   calls;
    PGresult  *res;

    res = PQprepare(pg, "q", text, 0, NULL);

    if (PQresultStatus(res) != PGRES_COMMAND_OK) {
        die(pg, "prepare");
    }

    PQclear(res);

    PQclear(PQexec(pg, "SET plan_cache_mode = force_generic_plan"));

    calls = 0;
    start = now();

    do {
        res = PQexecPrepared(pg, "q", n, (const char *const *) params, NULL,
                             NULL, 0);

        if (PQresultStatus(res) != PGRES_TUPLES_OK) {
            die(pg, "query");
        }

        PQclear(res);
        calls++;
        end = now();

    } while (end - start < seconds);

    printf("calls=%.0f us=%.1f\n", calls / (end - start),
           (end - start) / calls * 1e6);
}
