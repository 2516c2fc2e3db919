-- 19. An alert or a recommendation has an action when, and only when, one decision about it says so, and it is that one. An
-- alert about which nothing was decided waits for SIRA.
select format('%s %s', p.kind, p.id) as id,
       case when p.action_id is null and told.count = 0 then 'it waits for nothing, and nothing was decided'
            else format('%s decisions made an action, and it has %s', told.count, coalesce(p.action_id::text, 'none')) end as what
  from proposals p
  cross join lateral (select count(*) as count, min(decision #>> '{details,ops_action_id}') as action_id
                        from jsonb_array_elements(p.decisions) as decision
                       where decision ->> 'action' in ('create_ops_action', 'apply')) told
 where told.count <> (p.action_id is not null)::integer
    or told.action_id <> p.action_id::text
    or (p.kind = 'alert' and p.due_at is null and p.decisions = '[]')
