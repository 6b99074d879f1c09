
--
-- Copyright (C) the ngx_iot authors
--
-- When devices were last heard of.  What the API shows is in their server
-- attributes; this is what the sweep finds the silent ones by.


CREATE TABLE iot.device_state (
    entity       integer PRIMARY KEY,
    active       boolean NOT NULL,
    inactive_at  bigint NOT NULL
);

CREATE INDEX device_state_ending ON iot.device_state (inactive_at)
    WHERE active;
