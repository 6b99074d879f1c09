
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_HELPER_TEMPLATE_H_INCLUDED_
#define _NGX_IOT_HELPER_TEMPLATE_H_INCLUDED_


#include "ngx_iot_helper.h"


/*
 * A mail's subject, text and html (NULL: there is none) from the template
 * "name": from the settings of the tenant, else from $IOT_DIR/mail/NAME/,
 * else from conf/mail/NAME/, each part by itself.
 *
 *     {{link}}            the variable; without it the mail is not sent
 *     {{name|customer}}   or the words after the bar when there is none
 *
 * In html the variables are escaped; in the subject ends of lines become
 * blanks.
 */

typedef struct {
    char           *subject;
    char           *text;
    char           *html;
} ngx_iot_helper_mail_t;


/* NGX_ERROR: the job has been ended with the reason */
ngx_int_t ngx_iot_helper_template(ngx_iot_helper_job_t *job, const char *name,
    json_t *overrides, json_t *vars, ngx_iot_helper_mail_t *mail);


#endif /* _NGX_IOT_HELPER_TEMPLATE_H_INCLUDED_ */
