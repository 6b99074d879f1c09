
/*
 * Copyright (C) the ngx_iot authors
 */


#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../codec/ngx_iot_id.h"
#include "ngx_iot_helper_db.h"
#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_status.h"


#define NGX_IOT_HELPER_DRAIN  30000
#define NGX_IOT_HELPER_FDS    (3 + NGX_IOT_HELPER_CLIENTS)


static ngx_int_t ngx_iot_helper_options(ngx_iot_helper_t *helper, int argc,
    char **argv, ngx_uint_t *background);
static ngx_int_t ngx_iot_helper_number(const char *text, long least,
    long most, long *value);
static ngx_int_t ngx_iot_helper_key(ngx_iot_helper_t *helper);
static ngx_int_t ngx_iot_helper_signals(ngx_iot_helper_t *helper);
static ngx_int_t ngx_iot_helper_background(ngx_iot_helper_t *helper);
static ngx_int_t ngx_iot_helper_pid(ngx_iot_helper_t *helper, pid_t pid);
static ngx_int_t ngx_iot_helper_log_open(ngx_iot_helper_t *helper);
static void ngx_iot_helper_signal(ngx_iot_helper_t *helper);
static void ngx_iot_helper_wait(ngx_iot_helper_t *helper);
static int ngx_iot_helper_timeout(ngx_iot_helper_t *helper);
static void ngx_iot_helper_beat(ngx_iot_helper_t *helper);
static void ngx_iot_helper_cycle(ngx_iot_helper_t *helper);


static ngx_iot_helper_t  ngx_iot_helper;


static const struct option  ngx_iot_helper_long[] = {
    { "background", no_argument, NULL, 'b' },
    { "ca-file", required_argument, NULL, 'c' },
    { "help", no_argument, NULL, 'h' },
    { "jobs", required_argument, NULL, 'j' },
    { "key", required_argument, NULL, 'k' },
    { "lease", required_argument, NULL, 'e' },
    { "log", required_argument, NULL, 'l' },
    { "mail-dir", required_argument, NULL, 'm' },
    { "name", required_argument, NULL, 'n' },
    { "pid", required_argument, NULL, 'p' },
    { "role", required_argument, NULL, 'r' },
    { "socket", required_argument, NULL, 's' },
    { "templates", required_argument, NULL, 't' },
    { NULL, 0, NULL, 0 }
};


static const char  ngx_iot_helper_usage[] =
    "usage: IOT_HELPER_DATABASE=CONNINFO iot-helper --key FILE [OPTION]...\n"
    "\n"
    "    --key FILE         the helpers' key, as \"iotctl init\" makes it\n"
    "    --templates DIR    of mails; twice: the first one counts first\n"
    "    --mail-dir DIR     for mail when no mail server is set\n"
    "    --name NAME        in messages and in the table of helpers\n"
    "    --socket PATH      for metrics and health\n"
    "    --ca-file FILE     certificates to trust instead of the system's\n"
    "    --jobs N           in hand at a time (32)\n"
    "    --lease MS         after which others take over our jobs (60000)\n"
    "    --role NAME        of the database (iot_job; \"none\": no change)\n"
    "    --log FILE         else to standard error\n"
    "    --pid FILE         where to write the number of the process\n"
    "    --background       return when it is ready to work\n";


int
main(int argc, char **argv)
{
    ngx_uint_t         background;
    ngx_iot_helper_t  *helper;

    helper = &ngx_iot_helper;
    background = 0;

    if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_ALL) != 0) {
        fprintf(stderr, "iot-helper: a library cannot start\n");
        return 1;
    }

    if (ngx_iot_helper_options(helper, argc, argv, &background) != NGX_OK) {
        fputs(ngx_iot_helper_usage, stderr);
        return 2;
    }

    umask(0077);
    srand(randombytes_random());

    if (ngx_iot_helper_key(helper) != NGX_OK
        || ngx_iot_helper_log_open(helper) != NGX_OK
        || (background && ngx_iot_helper_background(helper) != NGX_OK)
        || ngx_iot_helper_signals(helper) != NGX_OK
        || ngx_iot_helper_listen(helper) != NGX_OK)
    {
        return 1;
    }

    if (!background && helper->pid_file
        && ngx_iot_helper_pid(helper, getpid()) != NGX_OK)
    {
        return 1;
    }

    helper->multi = curl_multi_init();
    if (helper->multi == NULL) {
        return 1;
    }

    ngx_iot_helper_log("helper %s (%s) begins", helper->name, helper->id);

    while (!helper->draining || helper->running || helper->unsaid) {

        ngx_iot_helper_cycle(helper);

        if (helper->draining
            && ngx_iot_helper_now() >= helper->drain_until)
        {
            if (helper->running == 0) {
                break;
            }

            /* their number goes back; a moment more to say so */

            ngx_iot_helper_give_back(helper);
            helper->drain_until += 2000;
        }
    }

    if (helper->db_state == NGX_IOT_HELPER_DB_UP) {
        const char  *values[1] = { helper->id };

        PQclear(ngx_iot_helper_query(helper, "SELECT iot.helper_gone($1)", 1,
                                     values));
    }

    ngx_iot_helper_db_close(helper);
    ngx_iot_helper_unlisten(helper);
    (void) curl_multi_cleanup(helper->multi);

    if (helper->pid_file) {
        (void) unlink(helper->pid_file);
    }

    ngx_iot_helper_log("helper %s ends", helper->name);
    sodium_memzero(&helper->keys, sizeof(ngx_iot_seal_keys_t));

    return 0;
}


static void
ngx_iot_helper_cycle(ngx_iot_helper_t *helper)
{
    ngx_iot_helper_wait(helper);
    ngx_iot_helper_signal(helper);
    ngx_iot_helper_db_process(helper);

    if (helper->db_state == NGX_IOT_HELPER_DB_UP
        && ngx_iot_helper_now() >= helper->beat_at)
    {
        ngx_iot_helper_beat(helper);
    }

    ngx_iot_helper_jobs(helper);

    if (helper->db_state == NGX_IOT_HELPER_DB_UP
        && !helper->draining
        && helper->running < helper->max_jobs
        && (helper->notified || ngx_iot_helper_now() >= helper->claim_at))
    {
        ngx_iot_helper_claim(helper);
        ngx_iot_helper_jobs(helper);
    }

    ngx_iot_helper_status(helper);
}


static void
ngx_iot_helper_wait(ngx_iot_helper_t *helper)
{
    int                 fd;
    short               events;
    unsigned            n;
    struct curl_waitfd  fds[NGX_IOT_HELPER_FDS];

    n = ngx_iot_helper_status_fds(helper, fds);

    fds[n].fd = helper->signal_fd;
    fds[n].events = CURL_WAIT_POLLIN;
    fds[n++].revents = 0;

    fd = ngx_iot_helper_db_fd(helper, &events);

    if (fd != -1) {
        fds[n].fd = fd;
        fds[n].events = (events & POLLOUT) ? CURL_WAIT_POLLOUT
                                           : CURL_WAIT_POLLIN;
        fds[n++].revents = 0;
    }

    (void) curl_multi_poll(helper->multi, fds, n,
                           ngx_iot_helper_timeout(helper), NULL);
}


static int
ngx_iot_helper_timeout(ngx_iot_helper_t *helper)
{
    int64_t  end, now;

    now = ngx_iot_helper_now();
    end = now + 1000;

    switch (helper->db_state) {

    case NGX_IOT_HELPER_DB_UP:

        /* told as soon as it is over */

        if (helper->unsaid) {
            return 50;
        }

        end = ngx_min(end, helper->beat_at);

        if (!helper->draining && helper->running < helper->max_jobs) {
            end = ngx_min(end, helper->claim_at);
        }

        break;

    case NGX_IOT_HELPER_DB_DOWN:
        end = ngx_min(end, helper->db_next);
        break;

    case NGX_IOT_HELPER_DB_CONNECTING:
        break;
    }

    if (helper->draining) {
        end = ngx_min(end, helper->drain_until);
    }

    return (end > now) ? (int) (end - now) : 0;
}


/* three times in a lease, so that one that is late does no harm */

static void
ngx_iot_helper_beat(ngx_iot_helper_t *helper)
{
    char         lease[32];
    PGresult    *res;
    const char  *values[3];

    (void) snprintf(lease, sizeof(lease), "%lld", (long long) helper->lease);

    values[0] = helper->id;
    values[1] = helper->name;
    values[2] = lease;

    res = ngx_iot_helper_query(helper, "SELECT iot.helper_beat($1, $2, $3)", 3,
                               values);
    PQclear(res);

    helper->beat_at = ngx_iot_helper_now()
                      + ngx_min(helper->lease / 3, 10000);
}


static ngx_int_t
ngx_iot_helper_options(ngx_iot_helper_t *helper, int argc, char **argv,
    ngx_uint_t *background)
{
    int        c;
    long       n;
    u_char     uuid[NGX_IOT_UUID_SIZE];
    unsigned   dirs;

    dirs = 0;

    helper->name = "helper";
    helper->role = "iot_job";
    helper->max_jobs = 32;
    helper->lease = 60000;
    helper->conninfo = getenv("IOT_HELPER_DATABASE");

    ngx_iot_uuid_random(uuid);
    (void) ngx_iot_uuid_text((u_char *) helper->id, uuid);

    for ( ;; ) {
        c = getopt_long(argc, argv, "", ngx_iot_helper_long, NULL);

        switch (c) {

        case -1:
            return (optind == argc && helper->key_file && helper->conninfo)
                   ? NGX_OK : NGX_ERROR;

        case 'b':
            *background = 1;
            break;

        case 'c':
            helper->ca_file = optarg;
            break;

        case 'e':
            if (ngx_iot_helper_number(optarg, 300, 3600000, &n) != NGX_OK) {
                return NGX_ERROR;
            }

            helper->lease = n;
            break;

        case 'j':
            if (ngx_iot_helper_number(optarg, 1, 1000, &n) != NGX_OK) {
                return NGX_ERROR;
            }

            helper->max_jobs = (unsigned) n;
            break;

        case 'k':
            helper->key_file = optarg;
            break;

        case 'l':
            helper->log = optarg;
            break;

        case 'm':
            helper->mail_dir = optarg;
            break;

        case 'n':
            helper->name = optarg;
            break;

        case 'p':
            helper->pid_file = optarg;
            break;

        case 'r':
            helper->role = optarg;
            break;

        case 's':
            helper->socket = optarg;
            break;

        case 't':
            if (dirs == 2) {
                return NGX_ERROR;
            }

            helper->template_dirs[dirs++] = optarg;
            break;

        default:
            return NGX_ERROR;
        }
    }
}


static ngx_int_t
ngx_iot_helper_number(const char *text, long least, long most, long *value)
{
    char  *end;

    *value = strtol(text, &end, 10);

    return (end == text || *end != '\0' || *value < least || *value > most)
           ? NGX_ERROR : NGX_OK;
}


static ngx_int_t
ngx_iot_helper_key(ngx_iot_helper_t *helper)
{
    FILE       *file;
    u_char      key[NGX_IOT_SEAL_KEY_SIZE], text[128];
    size_t      n;
    ngx_int_t   rc;

    file = fopen(helper->key_file, "re");

    if (file == NULL) {
        fprintf(stderr, "iot-helper: cannot read %s: %s\n", helper->key_file,
                strerror(errno));
        return NGX_ERROR;
    }

    n = fread(text, 1, sizeof(text), file);
    (void) fclose(file);

    rc = ngx_iot_seal_parse_key(text, n, key);

    if (rc == NGX_OK) {
        rc = ngx_iot_seal_secret_key(&helper->keys, key);
    }

    sodium_memzero(text, sizeof(text));
    sodium_memzero(key, sizeof(key));

    if (rc != NGX_OK) {
        fprintf(stderr, "iot-helper: %s does not hold 32 bytes in base64\n",
                helper->key_file);
    }

    return rc;
}


static ngx_int_t
ngx_iot_helper_signals(ngx_iot_helper_t *helper)
{
    sigset_t  set;

    (void) signal(SIGPIPE, SIG_IGN);

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGQUIT);
    sigaddset(&set, SIGHUP);

    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return NGX_ERROR;
    }

    helper->signal_fd = signalfd(-1, &set, SFD_NONBLOCK|SFD_CLOEXEC);

    return (helper->signal_fd == -1) ? NGX_ERROR : NGX_OK;
}


static void
ngx_iot_helper_signal(ngx_iot_helper_t *helper)
{
    struct signalfd_siginfo  info;

    while (read(helper->signal_fd, &info, sizeof(info)) == sizeof(info)) {

        if (info.ssi_signo == SIGHUP) {
            (void) ngx_iot_helper_log_open(helper);
            ngx_iot_helper_log("the log was opened again");
            continue;
        }

        if (helper->draining) {
            helper->drain_until = 0;
            continue;
        }

        ngx_iot_helper_log("ending: %u jobs in hand", helper->running);

        helper->draining = 1;
        helper->drain_until = ngx_iot_helper_now() + NGX_IOT_HELPER_DRAIN;
    }
}


static ngx_int_t
ngx_iot_helper_background(ngx_iot_helper_t *helper)
{
    int    fd;
    pid_t  pid;

    pid = fork();

    switch (pid) {

    case -1:
        fprintf(stderr, "iot-helper: cannot fork: %s\n", strerror(errno));
        return NGX_ERROR;

    case 0:
        break;

    default:
        _exit(helper->pid_file
              && ngx_iot_helper_pid(helper, pid) != NGX_OK ? 1 : 0);
    }

    (void) setsid();

    fd = open("/dev/null", O_RDWR);

    if (fd != -1) {
        (void) dup2(fd, STDIN_FILENO);
        (void) dup2(fd, STDOUT_FILENO);

        if (helper->log == NULL) {
            (void) dup2(fd, STDERR_FILENO);
        }

        if (fd > STDERR_FILENO) {
            (void) close(fd);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_pid(ngx_iot_helper_t *helper, pid_t pid)
{
    FILE  *file;

    file = fopen(helper->pid_file, "we");

    if (file == NULL || fprintf(file, "%ld\n", (long) pid) < 0
        || fclose(file) != 0)
    {
        fprintf(stderr, "iot-helper: cannot write %s: %s\n", helper->pid_file,
                strerror(errno));
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_log_open(ngx_iot_helper_t *helper)
{
    int  fd;

    if (helper->log == NULL) {
        return NGX_OK;
    }

    fd = open(helper->log, O_WRONLY|O_APPEND|O_CREAT|O_CLOEXEC, 0640);

    if (fd == -1 || dup2(fd, STDERR_FILENO) == -1) {
        fprintf(stderr, "iot-helper: cannot write %s: %s\n", helper->log,
                strerror(errno));
        return NGX_ERROR;
    }

    (void) close(fd);

    return NGX_OK;
}


int64_t
ngx_iot_helper_now(void)
{
    struct timespec  ts;

    (void) clock_gettime(CLOCK_MONOTONIC, &ts);

    return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}


void
ngx_iot_helper_log(const char *fmt, ...)
{
    char        line[2048], stamp[32];
    time_t      now;
    va_list     args;
    struct tm   tm;

    now = time(NULL);

    if (gmtime_r(&now, &tm) == NULL
        || strftime(stamp, sizeof(stamp), "%Y/%m/%d %H:%M:%S", &tm) == 0)
    {
        stamp[0] = '\0';
    }

    va_start(args, fmt);
    (void) vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);

    fprintf(stderr, "%s [%ld] %s\n", stamp, (long) getpid(), line);
}
