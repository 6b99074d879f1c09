
/*
 * Copyright (C) the ngx_iot authors
 */


#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ngx_iot_helper_job.h"
#include "ngx_iot_helper_transport.h"


static ngx_int_t ngx_iot_helper_dir_write(const char *path,
    ngx_iot_helper_buf_t *buf);
static void ngx_iot_helper_dir_sync(const char *path);


/*
 * Into a directory like a Maildir: written in tmp/, then moved to new/, under
 * a name made of the job's id, so that a second try is the same file.
 */

ngx_int_t
ngx_iot_helper_dir(ngx_iot_helper_job_t *job, ngx_iot_helper_letter_t *letter)
{
    char         new[4096], path[4096], tmp[4096];
    ngx_uint_t   i;
    const char  *dir;

    static const char *const  parts[] = { "", "/tmp", "/new", "/cur" };

    dir = job->helper->mail_dir;

    if (dir == NULL) {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                           "there is no mail server and no directory");
        return NGX_OK;
    }

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        (void) snprintf(path, sizeof(path), "%s%s", dir, parts[i]);

        if (mkdir(path, 0700) != 0 && errno != EEXIST) {
            ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY,
                               "cannot make %s: %s", path, strerror(errno));
            return NGX_OK;
        }
    }

    if (snprintf(tmp, sizeof(tmp), "%s/tmp/%lld.%s", dir,
                 (long long) job->created, job->id)
        >= (int) sizeof(tmp))
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_FAILED,
                           "the name of the directory is too long");
        return NGX_OK;
    }

    (void) snprintf(new, sizeof(new), "%s/new/%lld.%s", dir,
                    (long long) job->created, job->id);

    if (ngx_iot_helper_dir_write(tmp, &letter->mime) != NGX_OK
        || rename(tmp, new) != 0)
    {
        ngx_iot_helper_end(job, NGX_IOT_HELPER_RETRY, "cannot write %s: %s",
                           tmp, strerror(errno));
        (void) unlink(tmp);
        return NGX_OK;
    }

    (void) snprintf(path, sizeof(path), "%s/new", dir);
    ngx_iot_helper_dir_sync(path);

    job->outcome = NGX_IOT_HELPER_DONE;
    job->result = json_pack("{s:s}", "transport", "dir");

    return NGX_OK;
}


static ngx_int_t
ngx_iot_helper_dir_write(const char *path, ngx_iot_helper_buf_t *buf)
{
    int      fd, saved;
    size_t   done;
    ssize_t  n;

    fd = open(path, O_WRONLY|O_CREAT|O_TRUNC|O_NOFOLLOW|O_CLOEXEC, 0600);

    if (fd == -1) {
        return NGX_ERROR;
    }

    for (done = 0; done < buf->len; done += n) {

        n = write(fd, buf->data + done, buf->len - done);

        if (n == -1 && errno == EINTR) {
            n = 0;
            continue;
        }

        if (n <= 0) {
            goto failed;
        }
    }

    if (fsync(fd) != 0) {
        goto failed;
    }

    return close(fd) == 0 ? NGX_OK : NGX_ERROR;

failed:

    saved = errno;
    (void) close(fd);
    errno = saved;

    return NGX_ERROR;
}


static void
ngx_iot_helper_dir_sync(const char *path)
{
    int  fd;

    fd = open(path, O_RDONLY|O_DIRECTORY|O_CLOEXEC);

    if (fd != -1) {
        (void) fsync(fd);
        (void) close(fd);
    }
}
