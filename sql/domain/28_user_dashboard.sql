
--
-- Copyright (C) the ngx_iot authors
--
-- The dashboards that a user has looked at last, and those with a star: ten of
-- each.  Of those that are gone, or not for the user any more, nothing is
-- shown.


CREATE OR REPLACE FUNCTION iot.user_dashboard_list(p iot.principal,
    kept jsonb, moment text) RETURNS jsonb
LANGUAGE plpgsql STABLE
AS $$
BEGIN
    RETURN COALESCE(
        (SELECT jsonb_agg(jsonb_build_object('id', d.id, 'title', d.title,
                                             moment, e.x -> 'time')
                          ORDER BY e.nr)
         FROM jsonb_array_elements(COALESCE(kept, '[]'))
                  WITH ORDINALITY AS e (x, nr)
             JOIN iot.dashboard AS d ON d.tenant_id = p.tenant_id
                 AND d.id = (e.x ->> 'id')::uuid
         WHERE iot.may(p, 'READ', 'DASHBOARD', d.id,
                       iot.dashboard_owner(p, d.id))), '[]');
END
$$;


CREATE OR REPLACE FUNCTION iot.user_dashboards(p iot.principal)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
    kept     jsonb := iot.user_setting_get(p, 'VISITED_DASHBOARDS');
    starred  jsonb := iot.user_dashboard_list(p, kept -> 'starred',
                                              'starredAt');
BEGIN
    RETURN jsonb_build_object(
        'last', COALESCE(
            (SELECT jsonb_agg(e.x || jsonb_build_object('starred',
                        starred @> jsonb_build_array(
                            jsonb_build_object('id', e.x -> 'id')))
                        ORDER BY e.nr)
             FROM jsonb_array_elements(iot.user_dashboard_list(p,
                      kept -> 'last', 'lastVisited'))
                      WITH ORDINALITY AS e (x, nr)), '[]'),
        'starred', starred);
END
$$;


-- action: visit, star, unstar

CREATE OR REPLACE FUNCTION iot.user_dashboard_note(p iot.principal, id uuid,
    action text) RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
    list  text := CASE action WHEN 'visit' THEN 'last' ELSE 'starred' END;
    kept  jsonb;
    rest  jsonb;
BEGIN
    IF action NOT IN ('visit', 'star', 'unstar') THEN
        PERFORM iot.fail_request('Invalid action on a dashboard!');
    END IF;

    PERFORM iot.dashboard_get(p, id);
    PERFORM iot.lock('user_setting', p.user_id);

    kept := iot.user_setting_get(p, 'VISITED_DASHBOARDS');

    SELECT COALESCE(jsonb_agg(e.x ORDER BY e.nr), '[]') INTO rest
    FROM (SELECT v.x, v.nr
          FROM jsonb_array_elements(COALESCE(kept -> list, '[]'))
                   WITH ORDINALITY AS v (x, nr)
          WHERE v.x ->> 'id' <> id::text
          ORDER BY v.nr LIMIT 9) AS e;

    IF action <> 'unstar' THEN
        rest := jsonb_build_array(jsonb_build_object('id', id,
                                                     'time', iot.now_ms()))
                || rest;
    END IF;

    PERFORM iot.user_setting_put(p, 'VISITED_DASHBOARDS',
                                 kept || jsonb_build_object(list, rest));
END
$$;
