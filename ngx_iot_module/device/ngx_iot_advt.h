
/*
 * Copyright (C) the ngx_iot authors
 */


#ifndef _NGX_IOT_ADVT_H_INCLUDED_
#define _NGX_IOT_ADVT_H_INCLUDED_


#include "ngx_iot_telemetry.h"


/*
 * Telemetry of a gateway has been saved: what it reports of devices that it
 * has heard ("advt_tms" and its older name "tms", of which "advt_adn" and
 * "advt_mac" say the device) is handed on by iot.advt_report().  It is not
 * waited for, and left out when too much is under way.
 */
void ngx_iot_advt_report(ngx_iot_save_t *save);


#endif /* _NGX_IOT_ADVT_H_INCLUDED_ */
