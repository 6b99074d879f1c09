
/*
 * Copyright (C) the ngx_iot authors
 */


#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_status.h"


/* ms that somebody may take to ask and to read */
#define NGX_IOT_HELPER_CLIENT_TIME  5000


static void ngx_iot_helper_accept(ngx_iot_helper_t *helper);
static void ngx_iot_helper_client(ngx_iot_helper_t *helper,
    ngx_iot_helper_client_t *client);
static void ngx_iot_helper_client_close(ngx_iot_helper_client_t *client);
static void ngx_iot_helper_answer(ngx_iot_helper_t *helper,
    ngx_iot_helper_client_t *client);
static void ngx_iot_helper_metrics(ngx_iot_helper_t *helper,
    ngx_iot_helper_buf_t *buf);
static void ngx_iot_helper_metric(ngx_iot_helper_buf_t *buf,
    const char *name, const char *type, const char *help, uint64_t value);


ngx_int_t
ngx_iot_helper_listen(ngx_iot_helper_t *helper)
{
    int                 i;
    struct sockaddr_un  sun;

    helper->listen_fd = -1;

    for (i = 0; i < NGX_IOT_HELPER_CLIENTS; i++) {
        helper->clients[i].fd = -1;
    }

    if (helper->socket == NULL) {
        return NGX_OK;
    }

    ngx_memzero(&sun, sizeof(struct sockaddr_un));
    sun.sun_family = AF_UNIX;

    if (snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", helper->socket)
        >= (int) sizeof(sun.sun_path))
    {
        ngx_iot_helper_log("the path of the socket is too long: %s",
                           helper->socket);
        return NGX_ERROR;
    }

    helper->listen_fd = socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK,
                               0);

    (void) unlink(helper->socket);

    if (helper->listen_fd == -1
        || bind(helper->listen_fd, (struct sockaddr *) &sun,
                sizeof(struct sockaddr_un)) != 0
        || chmod(helper->socket, 0666) != 0
        || listen(helper->listen_fd, 16) != 0)
    {
        ngx_iot_helper_log("cannot listen on %s: %s", helper->socket,
                           strerror(errno));
        return NGX_ERROR;
    }

    return NGX_OK;
}


void
ngx_iot_helper_unlisten(ngx_iot_helper_t *helper)
{
    int  i;

    for (i = 0; i < NGX_IOT_HELPER_CLIENTS; i++) {
        ngx_iot_helper_client_close(&helper->clients[i]);
    }

    if (helper->listen_fd != -1) {
        (void) close(helper->listen_fd);
        (void) unlink(helper->socket);
        helper->listen_fd = -1;
    }
}


unsigned
ngx_iot_helper_status_fds(ngx_iot_helper_t *helper, struct curl_waitfd *fds)
{
    int       i;
    unsigned  n;

    n = 0;

    if (helper->listen_fd != -1) {
        fds[n].fd = helper->listen_fd;
        fds[n].events = CURL_WAIT_POLLIN;
        fds[n++].revents = 0;
    }

    for (i = 0; i < NGX_IOT_HELPER_CLIENTS; i++) {
        if (helper->clients[i].fd != -1) {
            fds[n].fd = helper->clients[i].fd;
            fds[n].events = helper->clients[i].out.len ? CURL_WAIT_POLLOUT
                                                       : CURL_WAIT_POLLIN;
            fds[n++].revents = 0;
        }
    }

    return n;
}


void
ngx_iot_helper_status(ngx_iot_helper_t *helper)
{
    int  i;

    if (helper->listen_fd != -1) {
        ngx_iot_helper_accept(helper);
    }

    for (i = 0; i < NGX_IOT_HELPER_CLIENTS; i++) {
        if (helper->clients[i].fd != -1) {
            ngx_iot_helper_client(helper, &helper->clients[i]);
        }
    }
}


static void
ngx_iot_helper_accept(ngx_iot_helper_t *helper)
{
    int                       fd, i;
    ngx_iot_helper_client_t  *client;

    for ( ;; ) {

        client = NULL;

        for (i = 0; i < NGX_IOT_HELPER_CLIENTS; i++) {
            if (helper->clients[i].fd == -1) {
                client = &helper->clients[i];
                break;
            }
        }

        /* the others wait in the queue of the socket */

        if (client == NULL) {
            return;
        }

        fd = accept4(helper->listen_fd, NULL, NULL,
                     SOCK_CLOEXEC|SOCK_NONBLOCK);
        if (fd == -1) {
            return;
        }

        ngx_memzero(client, sizeof(ngx_iot_helper_client_t));
        client->fd = fd;
        client->since = ngx_iot_helper_now();
        ngx_iot_helper_buf_init(&client->out, &client->pool, 0);
    }
}


static void
ngx_iot_helper_client(ngx_iot_helper_t *helper,
    ngx_iot_helper_client_t *client)
{
    ssize_t  n;

    if (ngx_iot_helper_now() - client->since > NGX_IOT_HELPER_CLIENT_TIME) {
        ngx_iot_helper_client_close(client);
        return;
    }

    while (client->out.len == 0) {

        n = read(client->fd, client->in + client->len,
                 sizeof(client->in) - 1 - client->len);

        if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }

        if (n <= 0) {
            ngx_iot_helper_client_close(client);
            return;
        }

        client->len += n;
        client->in[client->len] = '\0';

        if (strstr(client->in, "\r\n\r\n")) {
            ngx_iot_helper_answer(helper, client);
        }
    }

    while (client->pos < client->out.len) {

        n = send(client->fd, client->out.data + client->pos,
                 client->out.len - client->pos, MSG_NOSIGNAL);

        if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }

        if (n <= 0) {
            break;
        }

        client->pos += n;
    }

    ngx_iot_helper_client_close(client);
}


static void
ngx_iot_helper_client_close(ngx_iot_helper_client_t *client)
{
    if (client->fd != -1) {
        (void) close(client->fd);
        client->fd = -1;
        ngx_iot_helper_pool_free(&client->pool);
    }
}


static void
ngx_iot_helper_answer(ngx_iot_helper_t *helper,
    ngx_iot_helper_client_t *client)
{
    const char            *status;
    ngx_iot_helper_buf_t   body;

    ngx_iot_helper_buf_init(&body, &client->pool, 0);
    ngx_iot_helper_add(&body, "", 0);
    status = "200 OK";

    if (strncmp(client->in, "GET /metrics ", 13) == 0) {
        ngx_iot_helper_metrics(helper, &body);

    } else if (strncmp(client->in, "GET /healthz ", 13) == 0) {

        if (helper->db_state == NGX_IOT_HELPER_DB_UP) {
            ngx_iot_helper_text(&body, "ok\n");

        } else {
            status = "503 Service Unavailable";
            ngx_iot_helper_text(&body, "no database\n");
        }

    } else {
        status = "404 Not Found";
    }

    ngx_iot_helper_printf(&client->out, "HTTP/1.1 %s\r\n"
                          "Content-Type: text/plain; version=0.0.4\r\n"
                          "Content-Length: %zu\r\nConnection: close\r\n\r\n",
                          status, body.len);
    ngx_iot_helper_add(&client->out, body.data, body.len);
}


static void
ngx_iot_helper_metrics(ngx_iot_helper_t *helper, ngx_iot_helper_buf_t *buf)
{
    char        *text;
    json_t      *counts;
    ngx_uint_t   i;

    static const struct {
        const char  *member;
        const char  *name;
        const char  *help;
    } rows[] = {
        { "queued", "iot_jobs_queued", "Jobs that wait, of all helpers." },
        { "running", "iot_jobs_running", "Jobs in some helper's hands." },
        { "failed", "iot_jobs_failed", "Jobs that were given up." },
        { "oldest", "iot_jobs_oldest_milliseconds",
          "How long the oldest job that is due has waited." }
    };

    ngx_iot_helper_metric(buf, "iot_helper_jobs_done_total", "counter",
                          "Jobs that went well.", helper->counts.done);
    ngx_iot_helper_metric(buf, "iot_helper_jobs_retried_total", "counter",
                          "Attempts that will be repeated.",
                          helper->counts.retried);
    ngx_iot_helper_metric(buf, "iot_helper_jobs_failed_total", "counter",
                          "Jobs that no repetition would help.",
                          helper->counts.failed);
    ngx_iot_helper_metric(buf, "iot_helper_jobs_lost_total", "counter",
                          "Jobs that another helper took over.",
                          helper->counts.lost);
    ngx_iot_helper_metric(buf, "iot_helper_connects_total", "counter",
                          "Connections to the database.",
                          helper->counts.reconnects);
    ngx_iot_helper_metric(buf, "iot_helper_jobs_running", "gauge",
                          "Jobs in hand.", helper->running);
    ngx_iot_helper_metric(buf, "iot_helper_database_up", "gauge",
                          "Whether the database is connected.",
                          helper->db_state == NGX_IOT_HELPER_DB_UP);

    text = ngx_iot_helper_query_text(helper, buf->pool,
                                     "SELECT iot.job_counts()", 0, NULL);
    counts = text ? json_loads(text, 0, NULL) : NULL;

    for (i = 0; counts && i < sizeof(rows) / sizeof(rows[0]); i++) {
        ngx_iot_helper_metric(buf, rows[i].name, "gauge", rows[i].help,
            json_integer_value(json_object_get(counts, rows[i].member)));
    }

    json_decref(counts);
}


static void
ngx_iot_helper_metric(ngx_iot_helper_buf_t *buf, const char *name,
    const char *type, const char *help, uint64_t value)
{
    ngx_iot_helper_printf(buf, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name,
                          help, name, type, name, (unsigned long long) value);
}
