
--
-- Copyright (C) the ngx_iot authors
--
-- Queries over entities.


-- What a query finds: the fields are in the order in which they were asked
-- for, as text.

CREATE TYPE iot.query_item AS (
    entity_type  text,
    id           uuid,
    nr           integer,
    fields       text[]
);


-- A query on its way to SQL: conditions, and what they join.  args are the
-- texts of the client, which only ever are values of the parameter $1.

CREATE TYPE iot.query_text AS (
    types   text[],
    joins   text,
    wanted  text,
    keys    jsonb,
    args    text[]
);
