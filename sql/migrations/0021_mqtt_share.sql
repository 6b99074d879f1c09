
--
-- Copyright (C) the ngx_iot authors
--
-- Shared subscriptions of stored sessions: a filter "$share/GROUP/FILTER" is
-- in iot.mqtt_subscription like any other, and what waits for a member says
-- for which.

ALTER TABLE iot.mqtt_queue ADD COLUMN share text COLLATE "C";

CREATE INDEX mqtt_queue_share ON iot.mqtt_queue (session)
    WHERE share IS NOT NULL;
CREATE INDEX mqtt_subscription_share ON iot.mqtt_subscription (filter)
    WHERE filter LIKE '$share/%';


-- What may wait for a session, as its listener allows; 0: no limit.

ALTER TABLE iot.mqtt_session
    ADD COLUMN max_messages integer NOT NULL DEFAULT 10000,
    ADD COLUMN max_bytes    bigint NOT NULL DEFAULT 0;
